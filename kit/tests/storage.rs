//! What stands where in storage: the words that Solidity's layout has for the same declarations.

use std::collections::BTreeMap;

use tandem_kit::host::{self, Ended};
use tandem_kit::prelude::*;
use tandem_kit::storage::Stored;
use tandem_kit::{PanicCode, abi};

#[derive(Abi, Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open,
    Ended,
}

#[storage]
struct Order {
    price: Uint<112>,
    open: bool,
    owner: Address,
    notes: Vec<Text>,
}

#[storage]
struct Everything {
    a: u8,                              // 0: 0
    b: Address,                         // 0: 1
    c: i32,                             // 0: 21
    d: FixedBytes<4>,                   // 0: 25
    phase: Phase,                       // 0: 29
    e: Int<24>,                         // 1: 0
    orders: Map<U256, Order>,           // 2
    order: Order,                       // 3 and 4 (price, open; owner) and 5 (notes)
    small: Vec<u16>,                    // 6
    fixed: [Uint<112>; 3],              // 7 and 8
    by_name: Map<Text, Map<bool, u64>>, // 9
    pairs: [[u8; 2]; 2],                // 10 and 11
    lists: Vec<Vec<Order>>,             // 12
    blob: Bytes,                        // 13
    entered: Transient<bool>,           // transient 0: 0
    depth: Transient<u8>,               // transient 0: 1
}

fn everything() -> Everything {
    Everything::place(Word::ZERO, 0)
}

fn slot(number: u64) -> Word {
    Word::from_u64(number)
}

fn after(slot: Word, more: u64) -> Word {
    U256::from_be_word(&slot).wrapping_add(U256::from(more)).to_word()
}

/// Storage after `change`, which must go well; in hex.
fn stored(change: impl FnOnce(&mut Everything)) -> BTreeMap<[u8; 32], String> {
    let ended = host::run(|| change(&mut everything()));
    assert_eq!(ended, Ended::Returned(Vec::new()));
    host::with(|world| world.storage.iter().map(|(slot, word)| (*slot, word.to_string())).collect())
}

#[track_caller]
fn check(storage: &BTreeMap<[u8; 32], String>, slot: Word, word: &str) {
    let found = storage.get(slot.bytes()).cloned().unwrap_or_default();
    assert_eq!(found, format!("0x{:0>64}", word.replace('_', "")), "slot {slot}");
}

#[test]
fn small_values_share_a_slot() {
    let storage = stored(|all| {
        all.b.set(Address::new([0xbb; 20]));
        all.a.set(0xaa);
        all.c.set(-2);
        all.d.set(FixedBytes([1, 2, 3, 4]));
        all.phase.set(Phase::Ended);
        all.e.set(Int::new(I256::from(-3i8)).unwrap());
    });
    let b = "bb".repeat(20);
    check(&storage, slot(0), &format!("02_01020304_fffffffe_{b}_aa"));
    check(&storage, slot(1), "fffffd");
    host::run(|| {
        let all = everything();
        assert_eq!((all.a.get(), all.b.get()), (0xaa, Address::new([0xbb; 20])));
        assert_eq!((all.c.get(), all.d.get()), (-2, FixedBytes([1, 2, 3, 4])));
        assert_eq!((all.phase.get(), all.e.get().get()), (Phase::Ended, I256::from(-3i8)));
    });
    let storage = stored(|all| all.b.erase());
    check(&storage, slot(0), &format!("02_01020304_fffffffe_{}_aa", "00".repeat(20)));
}

#[test]
fn structs_take_whole_slots() {
    let key = U256::from(77u8);
    let storage = stored(|all| {
        all.order.price.set(Uint::new(U256::from(0x1234u16)).unwrap());
        all.order.open.set(true);
        all.order.owner.set(Address::from_u64(9));
        all.orders.at_mut(key).open.set(true);
        all.orders.at_mut(key).notes.grow().set(&Text::from("hello"));
    });
    check(&storage, slot(3), &format!("01_{}", format_args!("{:0>28}", "1234")));
    check(&storage, slot(4), "09");
    let order = keccak256_words(&[key.to_word(), slot(2)]);
    check(&storage, order, &format!("01{}", "00".repeat(14)));
    check(&storage, after(order, 2), "1");
    let note = keccak256_words(&[after(order, 2)]);
    check(&storage, note, &format!("{}{}0a", "68656c6c6f", "00".repeat(26)));
    let storage = stored(|all| {
        all.orders.at_mut(key).erase();
        all.order.erase();
    });
    assert!(storage.is_empty(), "{storage:?}");
}

#[test]
fn arrays_pack_their_elements() {
    let storage = stored(|all| {
        for n in 1..=17 {
            all.small.push(n);
        }
        all.fixed.set(0, Uint::new(U256::from(5u8)).unwrap());
        all.fixed.set(1, Uint::new(U256::from(6u8)).unwrap());
        all.fixed.set(2, Uint::new(U256::from(7u8)).unwrap());
        all.pairs.at_mut(1).set(1, 0xee);
    });
    check(&storage, slot(6), "11");
    let first = keccak256_words(&[slot(6)]);
    let numbers: String = (1..=16).rev().map(|n| format!("{n:04x}")).collect();
    check(&storage, first, &numbers);
    check(&storage, after(first, 1), "11");
    check(&storage, slot(7), &format!("06{}", format_args!("{:0>28}", "5")));
    check(&storage, slot(8), "7");
    check(&storage, slot(11), "ee00");
    let ended = host::run(|| everything().fixed.set(3, Uint::ZERO));
    let panic = abi::encode(&U256::from(PanicCode::Index as u8));
    assert_eq!(ended, Ended::Reverted([&[0x4e, 0x48, 0x7b, 0x71], &panic[..]].concat()));
    let storage = stored(|all| {
        assert_eq!(all.small.to_vec(), (1..=17).collect::<Vec<u16>>());
        assert_eq!(all.small.pop(), Some(17));
        all.small.set(0, 0xffff);
    });
    assert!(!storage.contains_key(after(first, 1).bytes()));
    let storage = stored(|all| {
        all.small.erase();
        all.fixed.erase();
        all.pairs.erase();
    });
    assert!(storage.is_empty(), "{storage:?}");
}

#[test]
fn keys_of_bytes_are_hashed_unpadded() {
    let storage = stored(|all| all.by_name.at_mut(Text::from("ab")).set(true, 3));
    let outer = keccak256(&[&b"ab"[..], slot(9).bytes()].concat());
    check(&storage, keccak256_words(&[slot(1), outer]), "3");
}

#[test]
fn nested_lists_hold_structs_of_three_slots() {
    let storage = stored(|all| {
        all.lists.grow();
        let mut inner = all.lists.at_mut(0);
        inner.grow();
        inner.grow().owner.set(Address::from_u64(4));
    });
    check(&storage, slot(12), "1");
    let inner = keccak256_words(&[slot(12)]);
    check(&storage, inner, "2");
    check(&storage, after(keccak256_words(&[inner]), 4), "4");
    let storage = stored(|all| {
        all.lists.at_mut(0).shrink();
        all.lists.shrink();
    });
    assert!(storage.is_empty(), "{storage:?}");
}

#[test]
fn transient_values_have_slots_of_their_own() {
    host::run(|| {
        everything().entered.set(true);
        everything().depth.set(7);
        everything().blob.set(&Bytes::from(&[1, 2][..]));
    });
    host::with(|world| {
        assert_eq!(world.transient[slot(0).bytes()], slot(0x0701));
        assert_eq!(world.storage.len(), 1);
        assert!(world.storage.contains_key(slot(13).bytes()));
    });
}

#[derive(Abi, Stored, Clone, Debug, PartialEq, Eq)]
struct Point {
    x: i32,
    y: i32,
}

/// A struct in memory, with one field of every kind of place.
#[derive(Abi, Stored, Clone, Debug, PartialEq, Eq)]
struct Offer {
    price: Uint<112>,
    open: bool,
    name: Text,
    corners: [Point; 2],
    bids: Vec<U256>,
    path: Vec<Point>,
}

#[storage]
struct Offers {
    count: u8,                // 0
    offers: Map<U256, Offer>, // 1
    last: Vec<Offer>,         // 2
}

#[test]
fn structs_in_memory_are_stored_as_a_whole() {
    let point = |x, y| Point { x, y };
    let first = Offer {
        price: Uint::truncated(U256::from(5u8)),
        open: true,
        name: Text::from("a name that takes more than one slot of storage"),
        corners: [point(1, -1), point(-2, 2)],
        bids: vec![U256::from(7u8), U256::from(8u8)],
        path: vec![point(3, 3), point(4, 4), point(5, 5)],
    };
    let second = Offer {
        name: Text::from("short"),
        bids: Vec::new(),
        path: vec![point(9, 9)],
        ..first.clone()
    };
    let key = U256::from(77u8);
    let ended = host::run(|| {
        let mut of = Offers::place(Word::ZERO, 0);
        of.offers.at_mut(key).store(&first);
        assert_eq!(of.offers.at(key).load(), first);
        // Its fields, one by one.
        assert_eq!(of.offers.at(key).path.at(2).y.get(), 5);
        assert_eq!(of.offers.at(key).name.get(), first.name);
        of.last.grow().store(&first);
        of.last.grow().store(&second);
        assert_eq!(of.last.to_vec(), [first.clone(), second.clone()]);
        of.last.at_mut(0).store(&second);
        of.last.shrink();
        of.last.shrink();
        // What is stored over a longer one leaves nothing of it.
        of.offers.at_mut(key).store(&second);
        assert_eq!(of.offers.at(key).load(), second);
    });
    assert_eq!(ended, Ended::Returned(Vec::new()));
    let kept = host::with(|world| world.storage.clone());
    // A corner takes a slot, as a struct does: price and open, name, corners, two lengths, one point.
    assert_eq!(kept.len(), 6, "{kept:?}");
    let slot = keccak256_words(&[key.to_word(), Word::from_u64(1)]);
    let corner = format!("0x{:0>64}", "00000002fffffffe");
    assert_eq!(kept[after(slot, 3).bytes()].to_string(), corner);
    host::run(|| Offers::place(Word::ZERO, 0).offers.at_mut(key).erase());
    assert!(host::with(|world| world.storage.is_empty()));
}
