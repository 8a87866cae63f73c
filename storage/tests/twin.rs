//! The store against a naive twin: cloned maps of every state, a list of every log.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod workload;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, keccak256};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_storage::{
    Commit, DataDir, Durability, LogEntry, LogFilter, Mark, OpenOptions, Rules, Snapshot, Start,
    Store, StoreError, TreeLimits, Writer,
};
use tree::HashFunction;
use workload::{Change, Fields};

type Slots = BTreeMap<U256, U256>;
type State = BTreeMap<Address, (Fields, Slots)>;

#[derive(Debug, Clone)]
enum Step {
    Block(Vec<Change>, Vec<Vec<Log>>),
    Edit(Vec<Change>),
    Commit,
    /// Opens it anew, to keep the state of so many blocks.
    Reopen(Option<u64>),
    Unwind(prop::sample::Index),
    Prove(prop::sample::Index),
    Logs(LogFilter),
    /// A transaction of a block to come waits, or does so no more.
    Wait(u64, bool),
    Savepoint,
    Revert(prop::sample::Index),
}

/// The chain as the twin knows it.
#[derive(Debug, Clone)]
struct Twin {
    /// State after each block.
    after: Vec<State>,
    /// State that each block was executed on.
    before: Vec<State>,
    /// What each block changed.
    changes: Vec<Vec<Change>>,
    now: State,
    hashes: Vec<B256>,
    logs: Vec<LogEntry>,
    edits: u32,
    /// State after each of the edits since the head.
    edited: Vec<State>,
    /// The same since each older block.
    edited_since: Vec<Vec<State>>,
    /// What waits, by its order.
    waiting: BTreeMap<u64, B256>,
}

fn code() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        3 => Just(Bytes::new()),
        2 => Just(Bytes::from_static(&[0x60, 0x01, 0x5b, 0x00])),
        1 => Just(Bytes::from(vec![0x7f; 80])),
        1 => Just(Bytes::from([&genesis::container::MAGIC[..], &[1; 70]].concat())),
        1 => Just(Bytes::from([&[0xef, 0x01, 0x00][..], &[0x77; 20]].concat())),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let slot = prop_oneof![
        (0u64..3).prop_map(U256::from),
        (62u64..67).prop_map(U256::from),
        (0u64..3).prop_map(|i| U256::MAX - U256::from(i * 200)),
    ];
    let value = prop_oneof![1 => Just(U256::ZERO), 3 => (1u64..4).prop_map(U256::from)];
    let fields = (0u64..3, 0u128..3, code());
    let fields = fields.prop_map(|(nonce, balance, code)| Fields { nonce, balance, code });
    (
        0u64..5,
        prop::option::weighted(0.85, fields),
        prop::bool::weighted(0.15),
        prop::collection::vec((slot, value), 0..4),
    )
        .prop_map(|(index, fields, wiped, slots)| {
            let slots = if fields.is_some() { slots } else { Vec::new() };
            Change { address: workload::address(index), fields, wiped, slots }
        })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..5).prop_map(|all| {
        let unique: BTreeMap<_, _> = all.into_iter().map(|c| (c.address, c)).collect();
        unique.into_values().collect()
    })
}

fn log() -> impl Strategy<Value = Log> {
    (0u64..3, prop::collection::vec(0u64..3, 0..=4)).prop_map(|(emitter, topics)| Log {
        address: workload::address(emitter),
        data: LogData::new_unchecked(
            topics.into_iter().map(workload::word).collect(),
            Bytes::from_static(b"data"),
        ),
    })
}

fn filter() -> impl Strategy<Value = LogFilter> {
    let topics =
        prop::collection::vec(prop::collection::vec((0u64..3).prop_map(workload::word), 0..3), 4);
    let addresses = prop::collection::vec((0u64..4).prop_map(workload::address), 0..3);
    (0u64..4, 0u64..12, addresses, topics).prop_map(|(from, more, addresses, topics)| {
        let topics = topics.try_into().expect("four positions");
        let topics_min = more as usize % 3;
        LogFilter { from, to: from + more, addresses, topics, topics_min, limit: None }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (changes(), prop::collection::vec(prop::collection::vec(log(), 0..3), 0..3))
            .prop_map(|(changes, logs)| Step::Block(changes, logs)),
        2 => changes().prop_map(Step::Edit),
        3 => Just(Step::Commit),
        1 => prop::option::of(0u64..8).prop_map(Step::Reopen),
        1 => any::<prop::sample::Index>().prop_map(Step::Unwind),
        2 => any::<prop::sample::Index>().prop_map(Step::Prove),
        2 => filter().prop_map(Step::Logs),
        3 => (0u64..3, any::<bool>()).prop_map(|(ahead, comes)| Step::Wait(ahead, comes)),
        2 => Just(Step::Savepoint),
        2 => any::<prop::sample::Index>().prop_map(Step::Revert),
    ]
}

fn change_state(state: &mut State, changes: &[Change]) {
    for change in changes {
        let Some(fields) = &change.fields else {
            state.remove(&change.address);
            continue;
        };
        let (known, slots) = state.entry(change.address).or_default();
        *known = fields.clone();
        if change.wiped {
            slots.clear();
        }
        for (slot, value) in &change.slots {
            if value.is_zero() {
                slots.remove(slot)
            } else {
                slots.insert(*slot, *value)
            };
        }
    }
}

/// Reads a whole state out of a view.
fn read_state(view: &Snapshot) -> State {
    let accounts = view.accounts().unwrap();
    accounts
        .into_iter()
        .map(|(address, info)| {
            let code = view.code(address).unwrap();
            let fields = Fields { nonce: info.nonce, balance: info.balance.to(), code };
            let slots = view.storage_of(address).unwrap();
            for (slot, value) in &slots {
                assert_eq!(view.storage(address, *slot).unwrap(), *value);
            }
            (address, (fields, slots))
        })
        .collect()
}

/// Proves every account and slot there could be, against the root in the block's header.
fn check_proofs(store: &Store, number: u64, state: &State) {
    let slots = |known: Option<&(Fields, Slots)>| {
        let known = known.into_iter().flat_map(|(_, slots)| slots.keys().copied());
        known.chain([U256::from(1), U256::from(64), U256::MAX]).collect::<Vec<_>>()
    };
    let addresses = (0..6).map(workload::address).chain(state.keys().copied());
    let targets: Vec<_> = addresses.map(|address| (address, slots(state.get(&address)))).collect();
    let root = store.snapshot().unwrap().header(number).unwrap().unwrap().state_root;
    for proof in store.prove(number, &targets).unwrap() {
        assert_eq!(proof.root, root);
        let (hash, address) = (HashFunction::Blake3, proof.address);
        let proven = tree::verify_account(hash, root, address, &proof.proof).unwrap();
        let known = state.get(&address);
        assert_eq!(proven.is_some(), known.is_some(), "{address} after block {number}");
        if let Some((account, (fields, _))) = proven.zip(known) {
            assert_eq!((account.nonce, account.balance), (fields.nonce, fields.balance));
            assert_eq!(account.code_hash, keccak256(&fields.code));
            assert_eq!(account.code_size as usize, fields.code.len());
        }
        for slot in &proof.slots {
            let place = (address, slot.slot);
            let proven = tree::verify_slot(hash, root, place, &slot.proof).unwrap();
            let value = known.and_then(|(_, slots)| slots.get(&slot.slot));
            assert_eq!((proven, slot.value), (value.copied().unwrap_or_default(), proven));
        }
    }
}

/// The store, its twin, and what is not committed.
struct Pair {
    directory: tempfile::TempDir,
    limits: TreeLimits,
    store: Option<(Store, Writer)>,
    twin: Twin,
    pending: Vec<Commit>,
    prune: Option<u64>,
    /// The oldest block whose state is to be there.
    oldest: u64,
    /// Id, and the twin as it was.
    savepoints: Vec<(u64, Twin)>,
    next_savepoint: u64,
    orders: u64,
}

impl Pair {
    fn new(limits: TreeLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, writer) = workload::open_within(directory.path(), limits);
        let view = store.snapshot().unwrap();
        let now = read_state(&view);
        let twin = Twin {
            after: vec![now.clone()],
            before: vec![State::new()],
            changes: vec![Vec::new()],
            now,
            hashes: vec![view.hash(0).unwrap().unwrap()],
            logs: Vec::new(),
            edits: 0,
            edited: Vec::new(),
            edited_since: Vec::new(),
            waiting: BTreeMap::new(),
        };
        drop(view);
        let store = Some((store, writer));
        Self {
            directory,
            limits,
            store,
            twin,
            pending: Vec::new(),
            prune: None,
            oldest: 0,
            savepoints: Vec::new(),
            next_savepoint: 0,
            orders: 0,
        }
    }

    fn store(&mut self) -> &mut (Store, Writer) {
        self.store.as_mut().unwrap()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Block(changes, logs) => self.block(&changes, logs),
            Step::Edit(changes) => {
                let delta = self.store().1.edit(&workload::bundle(&changes)).unwrap();
                self.pending.push(Commit::Edit { delta });
                change_state(&mut self.twin.now, &changes);
                self.twin.edits += 1;
                self.twin.edited.push(self.twin.now.clone());
            }
            Step::Commit => self.commit(),
            Step::Reopen(prune) => self.reopen(prune),
            Step::Unwind(index) => self.unwind(index),
            Step::Prove(index) => {
                self.commit();
                let number = index.index(self.twin.after.len());
                let store = &self.store.as_ref().unwrap().0;
                if number as u64 >= self.oldest {
                    check_proofs(store, number as u64, &self.twin.after[number]);
                } else {
                    assert_pruned(store.prove(number as u64, &[]), number as u64, self.oldest);
                }
            }
            Step::Logs(filter) => {
                self.commit();
                let found = self.store().0.snapshot().unwrap().logs(&filter, &|| false).unwrap();
                let range = filter.from..=filter.to;
                let wanted = self.twin.logs.iter().filter(|entry| range.contains(&entry.number));
                let expected: Vec<_> =
                    wanted.filter(|entry| filter.matches(&entry.log)).cloned().collect();
                assert_eq!(found, expected);
            }
            Step::Wait(ahead, comes) => self.wait(ahead, comes),
            Step::Savepoint => {
                let (id, settings) = (self.next_savepoint, vec![7; self.twin.after.len()]);
                self.next_savepoint += 1;
                self.pending.push(Commit::Savepoint { id, settings });
                self.savepoints.push((id, self.twin.clone()));
            }
            Step::Revert(index) => self.revert(index),
        }
    }

    fn wait(&mut self, ahead: u64, comes: bool) {
        let transaction = workload::transaction(self.twin.after.len() as u64 + ahead, 0);
        let hash = *transaction.tx_hash();
        let order = self.twin.waiting.iter().find(|(_, waits)| **waits == hash);
        match (order.map(|(order, _)| *order), comes) {
            (None, true) => {
                let (order, bytes) = (self.orders, transaction.encoded_2718().into());
                self.orders += 1;
                self.pending.push(Commit::PoolInsert { hash, order, bytes });
                self.twin.waiting.insert(order, hash);
            }
            (Some(order), false) => {
                self.pending.push(Commit::PoolRemove(hash));
                self.twin.waiting.remove(&order);
            }
            // What is not there may be struck, too.
            (None, false) => self.pending.push(Commit::PoolRemove(hash)),
            (Some(_), true) => {}
        }
    }

    fn revert(&mut self, index: prop::sample::Index) {
        self.commit();
        // One more than there are: one that is used up, or was never made.
        let index = index.index(self.savepoints.len() + 1);
        let Some((id, copy)) = self.savepoints.get(index).cloned() else {
            let unknown = self.savepoints.last().map_or(0, |(id, _)| id + 1);
            assert_eq!(self.store().0.snapshot().unwrap().savepoint(unknown).unwrap(), None);
            assert_eq!(self.store().1.revert(unknown).unwrap(), None);
            return;
        };
        let (number, oldest) = (copy.after.len() as u64 - 1, self.oldest);
        let kept = self.store().0.snapshot().unwrap().savepoint(id).unwrap().unwrap();
        assert_eq!(kept.mark, Mark { number, edits: copy.edits });
        assert_eq!(kept.settings, vec![7; copy.after.len()]);
        if number < oldest && kept.mark != self.store().1.mark() {
            assert_pruned(self.store().1.revert(id), number, oldest);
            return;
        }
        let reverted = self.store().1.revert(id).unwrap().unwrap();
        let now = &self.twin.waiting;
        let gone = now.values().filter(|hash| !copy.waiting.values().any(|waits| waits == *hash));
        assert_eq!(BTreeSet::from_iter(&reverted.gone), gone.collect());
        // One that went and came again comes back, too: to its old place.
        let back = copy.waiting.iter().filter(|(order, hash)| now.get(*order) != Some(*hash));
        assert!(back.eq(reverted.back.iter().map(|waits| (&waits.order, &waits.hash))));
        self.twin = copy;
        self.savepoints.truncate(index);
        self.check_waiting();
    }

    fn check_waiting(&mut self) {
        let live = self.store().0.snapshot().unwrap();
        let waiting = live.waiting().unwrap();
        assert!(waiting.iter().map(|waits| (&waits.order, &waits.hash)).eq(&self.twin.waiting));
        assert_eq!(live.next_savepoint().unwrap(), self.next_savepoint);
    }

    fn block(&mut self, changes: &[Change], logs: Vec<Vec<Log>>) {
        let number = self.twin.after.len() as u64;
        let writer = &mut self.store.as_mut().unwrap().1;
        let delta = writer.apply(number, &workload::bundle(changes)).unwrap();
        let parent = self.twin.hashes[number as usize - 1];
        let block = Arc::new(workload::block(number, parent, delta.root(), logs));
        writer.sealed(number, block.hash());
        let mut log_index = 0;
        for (tx_index, receipt) in block.receipts.iter().enumerate() {
            for log in &receipt.receipt.logs {
                self.twin.logs.push(LogEntry {
                    number,
                    block_hash: block.hash(),
                    timestamp: block.header.timestamp,
                    tx_hash: *block.transactions[tx_index].tx_hash(),
                    tx_index: tx_index as u32,
                    log_index,
                    log: log.clone(),
                });
                log_index += 1;
            }
        }
        let sealed: Vec<_> = block.transactions.iter().map(|tx| *tx.tx_hash()).collect();
        self.twin.waiting.retain(|_, hash| !sealed.contains(hash));
        self.twin.before.push(self.twin.now.clone());
        self.twin.changes.push(changes.to_vec());
        change_state(&mut self.twin.now, changes);
        self.twin.after.push(self.twin.now.clone());
        self.twin.hashes.push(block.hash());
        self.twin.edits = 0;
        self.twin.edited_since.push(std::mem::take(&mut self.twin.edited));
        self.pending.push(Commit::Block { block, delta });
    }

    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.pending);
        if !batch.is_empty() {
            self.forget_old();
        }
        self.store().0.commit(batch).unwrap();
    }

    /// The twin keeps its states; it knows which ones it may ask for.
    fn forget_old(&mut self) {
        let head = self.twin.after.len() as u64 - 1;
        self.oldest = self.oldest.max(self.prune.map_or(0, |blocks| head.saturating_sub(blocks)));
    }

    fn reopen(&mut self, prune: Option<u64>) {
        self.commit();
        self.store = None;
        let genesis = workload::genesis(1337);
        let rules = Rules { genesis: &genesis, forked: false, sender: workload::sender };
        let found = DataDir::open(self.directory.path()).unwrap().verify(&rules).unwrap();
        assert_eq!(found.states, (self.oldest, self.twin.after.len() as u64 - 1));
        assert_eq!(found.waiting, self.twin.waiting.len() as u64);
        assert_eq!(found.savepoints, self.savepoints.len() as u64);
        let options = workload::options(self.directory.path(), Durability::Process);
        let opened =
            Store::open_within(&OpenOptions { prune, ..options }, &genesis, self.limits).unwrap();
        while opened.0.has_to_prune() {
            opened.0.prune().unwrap();
        }
        self.store = Some(opened);
        self.prune = prune;
        self.forget_old();
    }

    fn unwind(&mut self, index: prop::sample::Index) {
        let is_state =
            |commit: &Commit| matches!(commit, Commit::Block { .. } | Commit::Edit { .. });
        if self.pending.iter().any(is_state) {
            let mark = Mark { number: 0, edits: 0 };
            let refused = self.store().1.unwind(mark).unwrap_err();
            assert!(matches!(refused, StoreError::Uncommitted { .. }), "{refused}");
        }
        self.commit();
        let head = self.twin.after.len() - 1;
        let to = index.index(head + 1);
        // Back to a block, or to one of the edits on top of it.
        let edited = self.twin.edited_since.get(to).unwrap_or(&self.twin.edited).clone();
        let edits = index.index(edited.len() + 1) as u32;
        let (mark, oldest) = (Mark { number: to as u64, edits }, self.oldest);
        if mark.number < oldest {
            assert_pruned(self.store().1.unwind(mark), mark.number, oldest);
            return;
        }
        let with_edits = self.store().0.snapshot().unwrap().mark_with_edits(mark.number).unwrap();
        assert_eq!(with_edits, Mark { edits: edited.len() as u32, ..mark });
        self.store().1.unwind(mark).unwrap();
        self.savepoints.retain(|(_, twin)| {
            let number = twin.after.len() as u64 - 1;
            (number, twin.edits) <= (mark.number, mark.edits)
        });
        self.twin.after.truncate(to + 1);
        self.twin.before.truncate(to + 1);
        self.twin.changes.truncate(to + 1);
        self.twin.hashes.truncate(to + 1);
        self.twin.logs.retain(|entry| entry.number <= to as u64);
        self.twin.edits = edits;
        self.twin.edited_since.truncate(to);
        self.twin.edited = edited[..edits as usize].to_vec();
        self.twin.now = self.twin.edited.last().unwrap_or(&self.twin.after[to]).clone();
    }

    fn check(&mut self) {
        self.commit();
        self.check_waiting();
        let (twin, oldest) = (self.twin.clone(), self.oldest);
        let (store, writer) = self.store();
        let live = store.snapshot().unwrap();
        assert_eq!(read_state(&live), twin.now);
        assert_eq!(live.head(), twin.after.len() as u64 - 1);
        assert_eq!(live.edits(), twin.edits);
        assert_eq!(live.rebuild_root().unwrap(), writer.root());
        assert_eq!(live.live_root(), writer.root());
        for (number, state) in twin.after.iter().enumerate() {
            let number = number as u64;
            let header = live.header(number).unwrap().unwrap();
            assert_eq!(header.seal(), twin.hashes[number as usize]);
            assert_eq!(live.number_of(header.seal()).unwrap(), Some(number));
            if number < oldest {
                assert_pruned(store.snapshot_at(number), number, oldest);
                assert_pruned(store.prove(number, &[]), number, oldest);
                if number > 0 {
                    assert_pruned(store.snapshot_before(number), number, oldest);
                }
                continue;
            }
            let view = store.snapshot_sealed(number).unwrap();
            assert_eq!(&read_state(&view), state, "state after block {number}");
            assert_eq!(view.rebuild_root().unwrap(), header.state_root);
            let view = store.snapshot_at(number).unwrap();
            let edited = twin.before.get(number as usize + 1).unwrap_or(&twin.now);
            assert_eq!(&read_state(&view), edited, "after block {number} and edits");
            assert_eq!(view.number(), number);
            if number > 0 {
                let view = store.snapshot_before(number).unwrap();
                assert_eq!(read_state(&view), twin.before[number as usize], "before {number}");
            }
        }
        // Forth and back, to every block.
        let all = oldest as usize..twin.after.len();
        let numbers = all.clone().chain(all.rev().step_by(3));
        for number in numbers {
            check_proofs(store, number as u64, &twin.after[number]);
        }
        check_scratches((&twin, oldest), &live, writer);
        let next = live.head() + 1;
        assert!(live.header(next).unwrap().is_none());
        assert!(matches!(store.snapshot_at(next), Err(StoreError::BlockNotKept { .. })));
    }
}

/// Demands that the state of a block is refused, and how.
fn assert_pruned<T: std::fmt::Debug>(outcome: Result<T, StoreError>, number: u64, first: u64) {
    let error = outcome.unwrap_err();
    let holds = matches!(error, StoreError::HistoryPruned { asked, oldest, .. }
        if asked == number && oldest == first);
    assert!(holds, "block {number} of those from {first} on: {error}");
}

/// Copies of the state have the roots that blocks got, and lead to them.
fn check_scratches((twin, oldest): (&Twin, u64), live: &Snapshot, writer: &Writer) {
    let scratch = |start| writer.freeze().unwrap().scratch(start).unwrap();
    assert_eq!(scratch(Start::Head).root(), writer.root());
    for (number, changes) in twin.changes.iter().enumerate() {
        let number = number as u64;
        if number < oldest {
            let refused = writer.freeze().unwrap().scratch(Start::After(number));
            assert_pruned(refused, number, oldest);
            continue;
        }
        let root = live.header(number).unwrap().unwrap().state_root;
        assert_eq!(scratch(Start::After(number)).root(), root, "after {number}");
        if number > 0 {
            let mut before = scratch(Start::Before(number));
            assert_eq!(before.apply(&workload::bundle(changes)).unwrap(), root, "in {number}");
        }
    }
    let beyond = writer.freeze().unwrap().scratch(Start::After(live.head() + 1));
    assert!(matches!(beyond, Err(StoreError::BlockNotKept { .. })), "{beyond:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn store_and_twin_agree(steps in prop::collection::vec(step(), 1..40)) {
        run(TreeLimits::default(), steps);
    }

    #[test]
    fn a_folded_tree_and_the_twin_agree(
        steps in prop::collection::vec(step(), 1..40),
        save_interval in 1..8usize,
        settle_rows in 1..200usize,
    ) {
        let limits = TreeLimits {
            fold_leaves_max: 4, whole_leaves_max: 3, leaves_max: 4, save_interval, settle_rows,
        };
        run(limits, steps);
    }
}

fn run(limits: TreeLimits, steps: Vec<Step>) {
    let mut pair = Pair::new(limits);
    for step in steps {
        pair.run(step);
    }
    pair.check();
    pair.run(Step::Reopen(None));
    pair.check();
}
