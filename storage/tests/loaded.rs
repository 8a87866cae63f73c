//! A chain that goes on from the blocks of a file, against the states that the file told.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod workload;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256};
use genesis::{Genesis, GenesisAccount};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use tandem_storage::{
    Commit, DataDir, ExecutedBlock, Fault, Loaded, Mark, Rules, Snapshot, Store, StoreError,
    Verified, Writer,
};
use workload::{Change, Fields};

type State = BTreeMap<Address, GenesisAccount>;

const FIRST: u64 = 11;

fn account() -> impl Strategy<Value = GenesisAccount> {
    let code = prop_oneof![
        2 => Just(Bytes::new()),
        1 => Just(Bytes::from_static(&[0x60, 0x01, 0x5b, 0x00])),
        1 => Just(Bytes::from(vec![0x7f; 80])),
        1 => Just(Bytes::from([&genesis::container::MAGIC[..], &[1; 70]].concat())),
    ];
    let slot = prop_oneof![(0u64..3).prop_map(U256::from), (63u64..66).prop_map(U256::from)];
    let slots = prop::collection::btree_map(slot, (1u64..4).prop_map(U256::from), 0..4);
    (1u64..4, 0u64..4, code, slots).prop_map(|(nonce, balance, code, slots)| GenesisAccount {
        balance: U256::from(balance),
        nonce,
        code,
        storage: slots.into_iter().map(|(slot, value)| (slot.into(), value.into())).collect(),
    })
}

fn states() -> impl Strategy<Value = Vec<State>> {
    let accounts =
        prop::collection::btree_map((0u64..6).prop_map(workload::address), account(), 0..5);
    prop::collection::vec(accounts, 1..6)
}

fn logs(number: u64) -> Vec<Vec<Log>> {
    let log = |topic| {
        let data = LogData::new_unchecked(vec![workload::word(topic)], Bytes::new());
        Log { address: workload::address(number % 2), data }
    };
    (0..number % 3).map(|index| vec![log(index); index as usize]).collect()
}

/// Blocks with state roots of somebody else's.
fn blocks(count: u64) -> Vec<ExecutedBlock> {
    let mut parent = workload::word(1);
    let numbers = FIRST..FIRST + count;
    let blocks = numbers.map(|number| {
        let block = workload::block(number, parent, workload::word(number), logs(number));
        parent = block.hash();
        block
    });
    blocks.collect()
}

fn loaded(older: u64, states: &[State]) -> Loaded {
    let changes = states.windows(2).map(|pair| {
        let gone = pair[0].keys().filter(|address| !pair[1].contains_key(*address));
        let gone = gone.map(|address| Change { address: *address, ..Change::default() });
        let there = pair[1].iter().map(|(address, account)| Change {
            address: *address,
            fields: Some(Fields {
                nonce: account.nonce,
                balance: account.balance.to(),
                code: account.code.clone(),
            }),
            wiped: true,
            slots: account
                .storage
                .iter()
                .map(|(slot, value)| ((*slot).into(), (*value).into()))
                .collect(),
        });
        workload::bundle(&gone.chain(there).collect::<Vec<_>>())
    });
    Loaded {
        blocks: blocks(older + states.len() as u64),
        accounts: states[0].clone(),
        changes: changes.collect(),
    }
}

fn check_state(snapshot: &Snapshot, state: &State) {
    let accounts = snapshot.accounts().unwrap();
    assert!(accounts.keys().eq(state.keys()), "{accounts:?}");
    for (address, account) in state {
        let info = &accounts[address];
        assert_eq!((info.nonce, info.balance), (account.nonce, account.balance));
        assert_eq!(snapshot.code(*address).unwrap(), account.code);
        let slots = snapshot.storage_of(*address).unwrap().into_iter();
        let slots: BTreeMap<B256, B256> =
            slots.map(|(slot, value)| (slot.into(), value.into())).collect();
        assert_eq!(slots, account.storage);
    }
}

fn check_chain(store: &Store, loaded: &Loaded, states: &[State]) {
    let known = loaded.blocks.len() - states.len();
    let snapshot = store.snapshot().unwrap();
    assert_eq!((store.first(), snapshot.first()), (FIRST, FIRST));
    for (index, block) in loaded.blocks.iter().enumerate() {
        let number = block.number();
        assert_eq!(snapshot.block(number).unwrap().as_ref(), Some(block));
        assert_eq!(snapshot.number_of(block.hash()).unwrap(), Some(number));
        for transaction in &block.transactions {
            assert_eq!(snapshot.location(*transaction.tx_hash()).unwrap().unwrap().number, number);
        }
        let after = store.snapshot_at(number);
        if index < known {
            let oldest = FIRST + known as u64;
            let error = after.unwrap_err();
            let is_gone = matches!(error, StoreError::HistoryPruned { asked, oldest: kept, .. }
                if (asked, kept) == (number, oldest));
            assert!(is_gone, "{error}");
        } else {
            let after = after.unwrap();
            check_state(&after, &states[index - known]);
            assert_eq!(after.rebuild_root().unwrap(), after.tree_root().unwrap());
        }
        let before = store.snapshot_before(number);
        if index > known {
            check_state(&before.unwrap(), &states[index - known - 1]);
        } else {
            before.unwrap_err();
        }
    }
}

fn verify(path: &std::path::Path) -> Result<Verified, Vec<Fault>> {
    let genesis = workload::genesis(1337);
    let rules = Rules { genesis: &genesis, forked: false, sender: workload::sender };
    DataDir::open(path).unwrap().verify(&rules)
}

fn seal(store: &Store, writer: &mut Writer, parent: B256) -> B256 {
    let number = writer.mark().number + 1;
    let fields = Some(Fields { nonce: number, balance: 5, code: Bytes::new() });
    let change = Change { address: workload::address(3), fields, ..Change::default() };
    let delta = writer.apply(number, &workload::bundle(&[change])).unwrap();
    let block = workload::block(number, parent, delta.root(), logs(number));
    let hash = block.hash();
    store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    hash
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_is_read_as_it_was_told(
        states in states(),
        older in 0u64..3,
        back in any::<prop::sample::Index>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let loaded = loaded(older, &states);
        let (store, mut writer) = workload::open(directory.path());
        seal(&store, &mut writer, store.genesis_hash().unwrap());
        let waits = workload::transaction(77, 1);
        let (hash, bytes) = (*waits.tx_hash(), waits.encoded_2718().into());
        store.commit(vec![Commit::PoolInsert { hash, order: 4, bytes }]).unwrap();
        store.commit(vec![Commit::Savepoint { id: 0, settings: vec![7] }]).unwrap();
        let waiting = store.snapshot().unwrap().waiting().unwrap();
        let genesis = workload::genesis(1337);
        writer.restart_from(&genesis, &loaded).unwrap();
        check_chain(&store, &loaded, &states);
        let snapshot = store.snapshot().unwrap();
        prop_assert_eq!(waiting.len(), 1);
        prop_assert_eq!(snapshot.waiting().unwrap(), waiting);
        prop_assert_eq!(snapshot.savepoint(0).unwrap(), None);
        prop_assert_eq!(snapshot.next_savepoint().unwrap(), 1);
        drop(snapshot);
        drop((store, writer));
        verify(directory.path()).unwrap();

        let (store, mut writer) = workload::open(directory.path());
        check_chain(&store, &loaded, &states);
        let newest = loaded.blocks.last().unwrap();
        let next = seal(&store, &mut writer, newest.hash());
        seal(&store, &mut writer, next);
        check_chain(&store, &loaded, &states);
        // Back to a block of the file, and another one on top of it.
        let to = FIRST + older + back.index(states.len()) as u64;
        writer.unwind(Mark { number: to, edits: 0 }).unwrap();
        check_state(&store.snapshot().unwrap(), &states[(to - FIRST - older) as usize]);
        let parent = store.snapshot().unwrap().hash(to).unwrap().unwrap();
        seal(&store, &mut writer, parent);
        let snapshot = store.snapshot().unwrap();
        prop_assert!(snapshot.is_loaded(to).unwrap() && !snapshot.is_loaded(to + 1).unwrap());
        if to > FIRST + older {
            let error = writer.unwind(Mark { number: FIRST + older - 1, edits: 0 }).unwrap_err();
            let is_refused =
                matches!(error, StoreError::HistoryPruned { .. } | StoreError::BadMark { .. });
            prop_assert!(is_refused, "{}", error);
        }
        drop((store, writer, snapshot));
        let verified = verify(directory.path()).unwrap();
        prop_assert_eq!(verified.states, (FIRST + older, to + 1));

        // The genesis is the chain's own as ever, and can be gone back to.
        let (store, mut writer) = workload::open(directory.path());
        writer.restart(&genesis, None).unwrap();
        prop_assert_eq!(store.first(), genesis.number);
        prop_assert_eq!(store.genesis_hash().unwrap(), tandem_storage::genesis_hash(&genesis).unwrap());
        drop((store, writer));
        verify(directory.path()).unwrap();
    }
}

#[test]
fn a_chain_of_another_genesis_stays_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let states = [State::from([(workload::address(1), GenesisAccount::default())])];
    writer.restart_from(&workload::genesis(1337), &loaded(1, &states)).unwrap();
    drop((store, writer));
    let other = Genesis { timestamp: 5, ..workload::genesis(1337) };
    let options = workload::options(directory.path(), Default::default());
    let error = Store::open(&options, &other).unwrap_err();
    assert!(matches!(error, StoreError::GenesisMismatch { .. }), "{error}");
}

#[test]
fn a_file_of_fewer_blocks_than_states_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let head = store.snapshot().unwrap().head();
    let states = [State::new(), State::new()];
    let wrong = Loaded { blocks: blocks(1), ..loaded(0, &states) };
    let error = writer.restart_from(&workload::genesis(1337), &wrong).unwrap_err();
    assert!(matches!(error, StoreError::OutOfOrder { .. }), "{error}");
    assert_eq!(store.snapshot().unwrap().head(), head);
}
