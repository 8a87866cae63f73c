//! A forked chain against a naive twin: maps of the other chain's state, cloned for every block.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod workload;

use alloy_consensus::{Header, Sealable};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use revm::{DatabaseRef, bytecode::Bytecode, database::BundleState, state::AccountInfo};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
};
use tandem_storage::{Commit, Durability, ForkPoint, Mark, Snapshot, Store, StoreError, Writer};
use workload::{Change, Fields};

type State = BTreeMap<Address, (Option<Fields>, BTreeMap<U256, U256>)>;

/// Number of the block that is forked at.
const FORKED_AT: u64 = 7;
const ADDRESSES: u64 = 6;

fn slots() -> Vec<U256> {
    let small = [0u64, 1, 63, 64, 255, 256].map(U256::from);
    small.into_iter().chain([U256::MAX]).collect()
}

/// The other chain's state.
#[derive(Debug, Default)]
struct Other {
    state: State,
    gone: AtomicBool,
}

impl Other {
    fn check(&self) -> Result<(), StoreError> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(StoreError::Forked("gone".into()));
        }
        Ok(())
    }
}

fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

impl DatabaseRef for Other {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        self.check()?;
        let fields = self.state.get(&address).and_then(|(fields, _)| fields.clone());
        Ok(fields.map(|fields| AccountInfo {
            nonce: fields.nonce,
            balance: U256::from(fields.balance),
            code_hash: keccak256(&fields.code),
            code: None,
            ..Default::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        self.check()?;
        let codes = self.state.values().filter_map(|(fields, _)| fields.as_ref());
        let code = codes.map(|fields| &fields.code).find(|code| keccak256(code) == code_hash);
        code.map(bytecode).ok_or(StoreError::MissingCode { code_hash })
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.check()?;
        let slots = self.state.get(&address).map(|(_, slots)| slots);
        Ok(slots.and_then(|slots| slots.get(&slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        self.check()?;
        Ok(workload::word(number))
    }
}

fn point(other: &Arc<Other>) -> ForkPoint {
    let header = Header {
        number: FORKED_AT,
        parent_hash: workload::word(FORKED_AT - 1),
        state_root: workload::word(1_000),
        gas_used: 5,
        timestamp: 9,
        ..Header::default()
    };
    ForkPoint { block: header.seal_slow(), state: other.clone() }
}

fn open(path: &Path, other: &Arc<Other>) -> Result<(Store, Writer), StoreError> {
    let mut genesis = workload::genesis(1337);
    genesis.number = FORKED_AT;
    genesis.alloc.clear();
    let options = workload::options(path, Durability::Process);
    Store::open_forked(&options, &genesis, &point(other))
}

#[derive(Debug, Clone)]
enum Step {
    Block(Vec<Change>),
    Edit(Vec<Change>),
    Reopen,
    Unwind(prop::sample::Index),
}

fn fields() -> impl Strategy<Value = Fields> {
    let code = prop_oneof![
        2 => Just(Bytes::new()),
        2 => Just(Bytes::from_static(&[0x60, 0x01, 0x5b, 0x00])),
        1 => Just(Bytes::from([&genesis::container::MAGIC[..], &[1; 70]].concat())),
        1 => Just(Bytes::from([&[0xef, 0x01, 0x00][..], &[0x77; 20]].concat())),
    ];
    (0u64..3, 0u128..3, code).prop_map(|(nonce, balance, code)| Fields { nonce, balance, code })
}

fn slot_values() -> impl Strategy<Value = Vec<(U256, U256)>> {
    let value = prop_oneof![1 => Just(U256::ZERO), 2 => (1u64..4).prop_map(U256::from)];
    prop::collection::vec((prop::sample::select(slots()), value), 0..4)
}

fn change() -> impl Strategy<Value = Change> {
    let fields = prop::option::weighted(0.8, fields());
    (0..ADDRESSES, fields, prop::bool::weighted(0.2), slot_values()).prop_map(
        |(index, fields, wiped, slots)| {
            let slots = if fields.is_some() { slots } else { Vec::new() };
            Change { address: workload::address(index), fields, wiped, slots }
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..4).prop_map(|all| {
        let unique: BTreeMap<_, _> = all.into_iter().map(|c| (c.address, c)).collect();
        unique.into_values().collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => changes().prop_map(Step::Block),
        2 => changes().prop_map(Step::Edit),
        1 => Just(Step::Reopen),
        1 => any::<prop::sample::Index>().prop_map(Step::Unwind),
    ]
}

fn other() -> impl Strategy<Value = State> {
    let account = (prop::option::weighted(0.7, fields()), slot_values());
    prop::collection::vec(account, ADDRESSES as usize).prop_map(|accounts| {
        (0..)
            .zip(accounts)
            .map(|(index, (fields, slots))| {
                let slots = slots.into_iter().filter(|(_, value)| !value.is_zero()).collect();
                (workload::address(index), (fields, slots))
            })
            .collect()
    })
}

fn change_state(state: &mut State, changes: &[Change]) {
    for change in changes {
        let (fields, slots) = state.entry(change.address).or_default();
        fields.clone_from(&change.fields);
        if change.wiped || change.fields.is_none() {
            slots.clear();
        }
        slots.extend(change.slots.iter().copied());
        slots.retain(|_, value| !value.is_zero());
    }
}

/// A view shows what the twin has, account by account and slot by slot.
fn check(view: &impl DatabaseRef<Error = StoreError>, twin: &State, what: &str) {
    for index in 0..ADDRESSES {
        let address = workload::address(index);
        let (fields, values) = twin.get(&address).cloned().unwrap_or_default();
        let found = view.basic_ref(address).unwrap().map(|info| {
            let code = info.code.unwrap_or_else(|| view.code_by_hash_ref(info.code_hash).unwrap());
            assert_eq!(keccak256(code.original_bytes()), info.code_hash);
            let code = code.original_bytes();
            Fields { nonce: info.nonce, balance: info.balance.to(), code }
        });
        assert_eq!(found, fields, "{what}: account {index}");
        for slot in slots() {
            let value = values.get(&slot).copied().unwrap_or_default();
            assert_eq!(view.storage_ref(address, slot).unwrap(), value, "{what}: {index} {slot}");
        }
    }
}

struct Pair {
    directory: tempfile::TempDir,
    other: Arc<Other>,
    store: Option<(Store, Writer)>,
    after: Vec<State>,
    before: Vec<State>,
    hashes: Vec<B256>,
    edits: u32,
    now: State,
}

impl Pair {
    fn new(state: State) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let other = Arc::new(Other { state: state.clone(), gone: AtomicBool::new(false) });
        let store = Some(open(directory.path(), &other).unwrap());
        let hashes = vec![point(&other).block.hash()];
        let (after, before, now) = (vec![state.clone()], vec![State::new()], state);
        Self { directory, other, store, after, before, hashes, edits: 0, now }
    }

    fn run(&mut self, step: &Step) {
        let (store, writer) = self.store.as_mut().unwrap();
        match step {
            Step::Block(changes) => {
                let number = FORKED_AT + self.after.len() as u64;
                let delta = writer.apply(number, &bundle(writer, changes)).unwrap();
                let parent = *self.hashes.last().unwrap();
                let block = Arc::new(workload::block(number, parent, delta.root(), Vec::new()));
                writer.sealed(number, block.hash());
                self.hashes.push(block.hash());
                store.commit(vec![Commit::Block { block, delta }]).unwrap();
                self.before.push(self.now.clone());
                change_state(&mut self.now, changes);
                self.after.push(self.now.clone());
                self.edits = 0;
            }
            Step::Edit(changes) => {
                let delta = writer.edit(&bundle(writer, changes)).unwrap();
                store.commit(vec![Commit::Edit { delta }]).unwrap();
                change_state(&mut self.now, changes);
                self.edits += 1;
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(open(self.directory.path(), &self.other).unwrap());
            }
            Step::Unwind(index) => {
                let depth = index.index(self.after.len());
                writer.unwind(Mark { number: FORKED_AT + depth as u64, edits: 0 }).unwrap();
                self.after.truncate(depth + 1);
                self.before.truncate(depth + 1);
                self.hashes.truncate(depth + 1);
                self.now = self.after[depth].clone();
                self.edits = 0;
            }
        }
        self.check();
    }

    fn check(&self) {
        let (store, writer) = self.store.as_ref().unwrap();
        check(writer, &self.now, "writer");
        let live = store.snapshot().unwrap();
        check(&live, &self.now, "live");
        assert_eq!(live.rebuild_root().unwrap(), writer.root());
        for (number, state) in (FORKED_AT..).zip(&self.after) {
            let view = store.snapshot_sealed(number).unwrap();
            check(&view, state, &format!("after {number}"));
            assert_root(&view, number);
            let edited = self.before.get((number - FORKED_AT) as usize + 1).unwrap_or(&self.now);
            check(&store.snapshot_at(number).unwrap(), edited, &format!("edited after {number}"));
        }
        for (number, state) in (FORKED_AT..).zip(&self.before).skip(1) {
            check(&store.snapshot_before(number).unwrap(), state, &format!("before {number}"));
        }
    }
}

/// Every block but the first has the tree's root.
fn assert_root(view: &Snapshot, number: u64) {
    let header = view.header(number).unwrap().unwrap();
    if number == FORKED_AT {
        assert_eq!(header.state_root, workload::word(1_000));
    } else {
        assert_eq!(view.rebuild_root().unwrap(), header.state_root, "block {number}");
    }
}

/// The changes as an execution collects them: with what was there before.
fn bundle(before: &Writer, changes: &[Change]) -> BundleState {
    let mut bundle = workload::bundle(changes);
    for (address, account) in &mut bundle.state {
        account.original_info = before.basic_ref(*address).unwrap();
    }
    bundle
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_forked_chain_is_the_other_chain_with_its_own_changes(
        state in other(),
        steps in prop::collection::vec(step(), 1..10),
    ) {
        let mut pair = Pair::new(state);
        pair.check();
        for step in &steps {
            pair.run(step);
        }
    }
}

fn contract(nonce: u64) -> Fields {
    Fields { nonce, balance: 1, code: Bytes::from_static(&[0x60, 0x01, 0x5b, 0x00]) }
}

fn one_contract() -> State {
    let slots = slots().into_iter().map(|slot| (slot, U256::from(9))).collect();
    [(workload::address(0), (Some(contract(1)), slots))].into_iter().collect()
}

#[test]
fn reads_leave_the_root_alone_and_writes_need_no_remote() {
    let mut pair = Pair::new(one_contract());
    let root = pair.store.as_ref().unwrap().1.root();
    assert_eq!(root, B256::ZERO, "nothing was written");
    pair.check();
    let address = workload::address(0);
    let slot = |value| vec![(U256::from(64), U256::from(value))];
    let change = |fields, wiped, slots| Step::Block(vec![Change { address, fields, wiped, slots }]);
    // A slot alone: one leaf, and the account stays where it is.
    pair.run(&change(Some(contract(1)), false, slot(0)));
    assert_eq!(pair.store.as_ref().unwrap().1.leaf_count(), 1);
    // Gone and made anew: nothing of its slots shines through.
    pair.run(&change(None, false, Vec::new()));
    pair.run(&change(Some(contract(1)), false, slot(3)));
    pair.other.gone.store(true, Ordering::Relaxed);
    let view = pair.store.as_ref().unwrap().0.snapshot().unwrap();
    assert_eq!(view.storage(address, U256::from(64)).unwrap(), U256::from(3));
    assert_eq!(view.storage(address, U256::from(1)).unwrap(), U256::ZERO);
    assert!(matches!(view.account(workload::address(1)), Err(StoreError::Forked(_))));
}

#[test]
fn block_hashes_before_the_fork_are_the_other_chains() {
    let pair = Pair::new(State::new());
    let (store, writer) = pair.store.as_ref().unwrap();
    let view = store.snapshot().unwrap();
    for number in [0, FORKED_AT - 1] {
        assert_eq!(writer.block_hash_ref(number).unwrap(), workload::word(number));
        assert_eq!(view.block_hash_ref(number).unwrap(), workload::word(number));
    }
    assert_eq!(view.block_hash_ref(FORKED_AT).unwrap(), pair.hashes[0]);
    assert_eq!(view.block_hash_ref(FORKED_AT + 1).unwrap(), B256::ZERO);
    assert_eq!(view.first(), FORKED_AT);
}

#[test]
fn a_directory_stays_with_its_fork() {
    let pair = Pair::new(State::new());
    let Pair { directory, other, store, .. } = pair;
    drop(store);
    let mut elsewhere = point(&other);
    elsewhere.block = Header { number: FORKED_AT, ..Header::default() }.seal_slow();
    let options = workload::options(directory.path(), Durability::Process);
    let genesis = workload::genesis(1337);
    let refused = Store::open_forked(&options, &genesis, &elsewhere).unwrap_err();
    assert!(matches!(refused, StoreError::GenesisMismatch { .. }), "{refused}");
    let refused = Store::open(&options, &genesis).unwrap_err();
    assert!(matches!(refused, StoreError::GenesisMismatch { .. }), "{refused}");
}

#[test]
fn a_chain_begins_anew_on_another_fork() {
    let mut pair = Pair::new(one_contract());
    let address = workload::address(0);
    let fields = Some(Fields { nonce: 8, ..Fields::default() });
    pair.run(&Step::Block(vec![Change { address, fields, ..Change::default() }]));
    let (store, writer) = pair.store.as_mut().unwrap();
    let old = store.snapshot().unwrap();
    let other = Arc::new(Other::default());
    let mut elsewhere = point(&other);
    elsewhere.block = Header { number: 3, ..Header::default() }.seal_slow();
    let mut genesis = workload::genesis(1337);
    genesis.number = 3;
    writer.restart(&genesis, Some(&elsewhere)).unwrap();
    let view = store.snapshot().unwrap();
    assert_eq!((view.head(), view.first()), (3, 3));
    assert_eq!(view.account(address).unwrap(), None);
    assert_eq!(view.accounts().unwrap().len(), 2, "the accounts put over the fork");
    assert_eq!(view.rebuild_root().unwrap(), writer.root());
    assert_eq!(old.account(address).unwrap().map(|info| info.nonce), Some(8));
    assert_eq!((old.head(), old.first()), (FORKED_AT + 1, FORKED_AT));
    // And on none.
    drop((view, old));
    writer.restart(&workload::genesis(1337), None).unwrap();
    let view = store.snapshot().unwrap();
    assert_eq!(view.head(), 0);
    assert_eq!(view.rebuild_root().unwrap(), view.header(0).unwrap().unwrap().state_root);
}
