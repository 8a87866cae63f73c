//! A contract's way through dispatch, storage, events, errors and calls, over the world in memory.

use tandem_kit::host::{self, Ended, Log, World};
use tandem_kit::prelude::*;
use tandem_kit::storage::Stored;
use tandem_kit::{PanicCode, abi};

#[storage]
struct Sample {
    count: U256,
    text: Text,
    nested: Map<Address, Map<U256, bool>>,
    list: Vec<Word>,
    locked: Transient<bool>,
}

event! { Counted(#[indexed] by: Address, note: Text, #[indexed] odd: bool, count: U256); }
error! {
    TooFar(limit: U256, note: Text);
    Locked();
}

interface! {
    Other {
        view size(of: Text) -> u64;
        write touch();
    }
}

const CALLER: u64 = 0x33;
const CALL_VALUE: u64 = 0x34;
const ALICE: Address = Address::new([0xa1; 20]);

#[contract(events(Counted), errors(Locked))]
impl Sample {
    #[constructor]
    fn new(&mut self, start: U256, text: Text) -> (U256, Address) {
        self.count.set(start);
        self.text.set(&text);
        (start + U256::ONE, env::caller())
    }

    pub fn add(&mut self, step: U256, note: Text) -> Result<U256, TooFar> {
        let limit = U256::from(100u8);
        let count = self.count.get() + step;
        if count > limit {
            return Err(TooFar { limit, note });
        }
        self.count.set(count);
        let odd = count.bit(0);
        self.emit(Counted { by: env::caller(), note, odd, count });
        Ok(count)
    }

    pub fn origin(&self) -> (U256, Address) {
        env::immutables()
    }

    pub fn text(&self) -> Text {
        self.text.get()
    }

    pub fn set_text(&mut self, text: Text) {
        self.text.set(&text);
    }

    pub fn size_of(&self, other: Address, text: Text) -> Result<u64, Failure> {
        match Other::at(other).gas(5_000).size(text) {
            Err(failure) if failure.is::<Locked>() => Ok(0),
            other => other,
        }
    }

    #[payable]
    pub fn touch(&mut self, other: Address) {
        ensure!(!self.locked.get(), Locked {});
        self.locked.set(true);
        if Other::at(other).value(env::value()).touch(self).is_err() {
            revert("touching failed");
        }
        self.locked.set(false);
    }

    pub fn sum(numbers: Vec<U256>) -> U256 {
        numbers.into_iter().fold(U256::ZERO, |sum, number| sum + number)
    }

    #[receive]
    fn deposit(&mut self) {
        self.count.update(|count| count + env::value());
    }
}

fn sample() -> Sample {
    Sample::place(Word::ZERO, 0)
}

fn n(number: u64) -> U256 {
    U256::from(number)
}

fn calldata(signature: &str, arguments: &impl Returns) -> Vec<u8> {
    let hash = keccak256(signature.as_bytes());
    [&hash.bytes()[..4], &abi::encode(arguments)].concat()
}

fn call(signature: &str, arguments: &impl Returns) -> Ended {
    host::with(|world| {
        world.calldata = calldata(signature, arguments);
        world.words.insert(CALLER, *ALICE.word());
    });
    host::run(|| Sample::run(false))
}

fn returned(values: &impl Returns) -> Ended {
    Ended::Returned(abi::encode(values))
}

fn reverted(signature: &str, arguments: &impl Returns) -> Ended {
    Ended::Reverted(calldata(signature, arguments))
}

#[test]
fn a_constructor_reads_its_arguments_and_leaves_immutables() {
    host::with(|world| {
        world.tail = abi::encode(&(n(7), Text::from("seven")));
        world.words.insert(CALLER, *ALICE.word());
    });
    let ended = host::run(|| Sample::run(true));
    assert_eq!(ended, Ended::Deployed(abi::encode(&(n(8), ALICE))));
    host::with(|world| world.tail = abi::encode(&(n(8), ALICE)));
    assert_eq!(call("origin()", &()), returned(&(n(8), ALICE)));
    assert_eq!(call("text()", &()), returned(&Text::from("seven")));
}

#[test]
fn a_function_changes_storage_and_emits_an_event() {
    let note = Text::from("first");
    assert_eq!(call("add(uint256,string)", &(n(41), note.clone())), returned(&n(41)));
    let topics =
        [keccak256(b"Counted(address,string,bool,uint256)"), *ALICE.word(), Word::from_u64(1)];
    let data = abi::encode(&(note, n(41)));
    assert_eq!(host::with(|world| world.logs.clone()), [Log { topics: topics.into(), data }]);
    assert_eq!(call("add(uint256,string)", &(n(1), Text::default())), returned(&n(42)));
}

#[test]
fn an_error_undoes_the_frame() {
    let note = Text::from("a note of more than one word, so that its tail has two of them");
    let ended = call("add(uint256,string)", &(n(101), note.clone()));
    assert_eq!(ended, reverted("TooFar(uint256,string)", &(n(100), note)));
    assert!(host::with(|world| world.storage.is_empty() && world.logs.is_empty()));
    let ended = call("add(uint256,string)", &(n(50), Text::default()));
    assert_eq!(ended, returned(&n(50)));
    let ended = call("add(uint256,string)", &(U256::MAX, Text::default()));
    assert_eq!(ended, reverted("Panic(uint256)", &(PanicCode::Overflow as u8)));
}

#[test]
fn calls_that_no_function_answers_revert() {
    for data in [&[1][..], &[1, 2, 3, 4], &calldata("sum(uint256[])", &())] {
        host::with(|world| world.calldata = data.to_vec());
        assert_eq!(host::run(|| Sample::run(false)), Ended::Reverted(Vec::new()), "{data:?}");
    }
}

#[test]
fn wei_is_refused_unless_payable() {
    host::with(|world| world.words.insert(CALL_VALUE, Word::from_u64(5)));
    assert_eq!(call("text()", &()), Ended::Reverted(Vec::new()));
    host::with(|world| world.calldata.clear());
    assert_eq!(host::run(|| Sample::run(false)), Ended::Returned(Vec::new()));
    assert_eq!(host::with(|world| world.storage[Word::ZERO.bytes()]), Word::from_u64(5));
}

#[test]
fn arrays_are_read() {
    assert_eq!(call("sum(uint256[])", &vec![n(1), n(2), n(39)]), returned(&n(42)));
    assert_eq!(call("sum(uint256[])", &Vec::<U256>::new()), returned(&n(0)));
}

#[test]
fn text_is_laid_out_as_solidity_does() {
    let slot = *Word::from_u64(1).bytes();
    let long = "x".repeat(33);
    let first = keccak256(&slot);
    let second = U256::from_be_word(&first).wrapping_add(U256::ONE).to_word();
    let storage = |world: &mut World| world.storage.clone();
    call("setText(string)", &Text::from(long.as_str()));
    let stored = host::with(storage);
    assert_eq!(stored[&slot], Word::from_u64(2 * 33 + 1));
    assert_eq!(stored[first.bytes()], Word::new([b'x'; 32]));
    assert_eq!(stored[second.bytes()], Word::left_aligned(b"x"));
    assert_eq!(call("text()", &()), returned(&Text::from(long.as_str())));
    // A text of 31 bytes stands in the slot, and the long one's are cleared.
    call("setText(string)", &Text::from(&long[..31]));
    let mut short = [b'x'; 32];
    short[31] = 62;
    let stored = host::with(storage);
    assert_eq!(stored[&slot], Word::new(short));
    assert_eq!(stored.len(), 1);
    assert_eq!(call("text()", &()), returned(&Text::from(&long[..31])));
    call("setText(string)", &Text::default());
    assert!(host::with(storage).is_empty());
}

#[test]
fn maps_lists_and_transient_values_have_solidity_places() {
    host::run(|| {
        sample().nested.at_mut(ALICE).set(n(9), true);
        sample().list.push(Word::from_u64(11));
        sample().list.push(Word::from_u64(12));
        sample().locked.set(true);
    });
    let outer = keccak256_words(&[*ALICE.word(), Word::from_u64(2)]);
    let inner = keccak256_words(&[Word::from_u64(9), outer]);
    let first = keccak256_words(&[Word::from_u64(3)]);
    host::with(|world| {
        assert_eq!(world.storage[inner.bytes()], Word::from_u64(1));
        assert_eq!(world.storage[Word::from_u64(3).bytes()], Word::from_u64(2));
        assert_eq!(world.storage[first.bytes()], Word::from_u64(11));
        // Transient storage is numbered from zero.
        assert_eq!(world.transient[Word::ZERO.bytes()], Word::from_u64(1));
    });
    host::run(|| {
        assert_eq!(sample().list.get(1), Word::from_u64(12));
        assert_eq!(sample().list.pop(), Some(Word::from_u64(12)));
        assert_eq!(sample().list.len(), 1);
    });
    let past = host::run(|| {
        sample().list.get(1);
    });
    assert_eq!(past, reverted("Panic(uint256)", &(PanicCode::Index as u8)));
}

#[test]
fn another_contract_is_called_with_typed_arguments() {
    let other = Address::from_u64(0x77);
    let text = Text::from("abc");
    let answer = |done: bool, data: Vec<u8>| {
        host::with(|world| world.answers.push_back((done, data)));
        call("sizeOf(address,string)", &(other, text.clone()))
    };
    assert_eq!(answer(true, abi::encode(&3u64)), returned(&3u64));
    let sent = host::with(|world| world.sent.last().cloned()).expect("a call was made");
    assert_eq!((sent.number, sent.to), (0xfa, other));
    assert_eq!(sent.input, calldata("size(string)", &text));
    // A known error is caught, another one is passed on, and so is none.
    assert_eq!(answer(false, calldata("Locked()", &())), returned(&0u64));
    let reason = calldata("Error(string)", &Text::from("no"));
    assert_eq!(answer(false, reason.clone()), Ended::Reverted(reason));
    assert_eq!(answer(false, Vec::new()), Ended::Reverted(Vec::new()));
    // An answer that is too short is no number.
    assert_eq!(answer(true, vec![0; 31]), Ended::Reverted(Vec::new()));
}

#[test]
fn a_call_without_answer_wants_a_contract_there() {
    let other = Address::from_u64(0x77);
    host::with(|world| world.answers.push_back((true, Vec::new())));
    assert_eq!(call("touch(address)", &other), Ended::Reverted(Vec::new()));
    host::with(|world| {
        world.codes.insert(*other.word().bytes(), vec![0]);
        world.answers.push_back((true, Vec::new()));
    });
    assert_eq!(call("touch(address)", &other), returned(&()));
    let failed = call("touch(address)", &other);
    assert_eq!(failed, reverted("Error(string)", &Text::from("touching failed")));
}

#[test]
fn containers_hold_an_image_and_a_tail() {
    let code = tandem_kit::call::container(b"image", b"tail");
    assert_eq!(code, b"\xef\x52\x56\x01\0\0\0\x05imagetail");
    assert_eq!(tandem_kit::call::image_of(&code), Some(&b"image"[..]));
    for other in [&b"\xef\x52\x56\x02\0\0\0\0"[..], b"\xef\x52\x56\x01\0\0\0\x01", b"", b"\x60"] {
        assert_eq!(tandem_kit::call::image_of(other), None);
    }
    host::with(|world| world.answers.push_back((false, b"why".to_vec())));
    let failed = tandem_kit::call::create(&mut sample(), &code, U256::ZERO);
    assert_eq!(failed, Err(Failure { data: b"why".to_vec() }));
}

#[test]
fn the_abi_is_solidity_json() {
    let json = Sample::describe().to_json();
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines.len(), 2 + 1 + 7 + 1 + 1 + 2);
    assert!(lines.contains(
        &r#"{"type":"function","name":"sum","inputs":[{"name":"numbers","type":"uint256[]","internalType":"uint256[]"}],"outputs":[{"name":"","type":"uint256","internalType":"uint256"}],"stateMutability":"pure"},"#
    ));
    assert!(lines.contains(&r#"{"type":"receive","stateMutability":"payable"},"#));
}

#[test]
fn a_failure_is_read_as_solidity_catches_it() {
    let failure = |selector: [u8; 4], words: &[u64]| {
        let words = words.iter().flat_map(|word| *Word::from_u64(*word).bytes());
        Failure { data: selector.into_iter().chain(words).collect() }
    };
    let (text, panic) = ([0x08, 0xc3, 0x79, 0xa0], [0x4e, 0x48, 0x7b, 0x71]);
    let mut spelt = failure(text, &[32, 3, 0]);
    spelt.data[68..71].copy_from_slice(b"why");
    assert_eq!((spelt.text(), spelt.panic_code()), (Some(&b"why"[..]), None));
    assert_eq!(failure(panic, &[0x11]).panic_code(), Some(U256::from(0x11u8)));
    // An offset or a length that leads outside, a word that is cut, another selector, nothing.
    for broken in [&[32, 97, 0][..], &[96, 0, 0], &[u64::MAX, 1, 0], &[32, u64::MAX, 0], &[32]] {
        assert_eq!(failure(text, broken).text(), None, "{broken:?}");
    }
    assert_eq!(failure(panic, &[]).panic_code(), None);
    assert_eq!(failure([0; 4], &[32, 0]).text(), None);
    assert_eq!(Failure { data: Vec::new() }.text(), None);
}
