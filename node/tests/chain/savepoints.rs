//! Savepoints, reverts and rollbacks against a naive twin, which copies the whole world: every
//! account with its storage, every block's hash, all that waits and in which order.

use std::collections::BTreeMap;

use alloy_consensus::Transaction;
use alloy_eips::BlockId;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use node::NodeConfig;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Devnet, STRANGER, in_directory};

#[derive(Clone, Debug)]
enum Step {
    /// A transfer: from which account, how far ahead of its nonce, for which tip.
    Send(usize, u64, u128),
    Drop(Index),
    DropAll,
    Seal(u64),
    Edit(u64, Edit),
    /// Withdrawals wait for the next block, too.
    Withdraw(u64),
    Savepoint,
    Revert(Index),
    Rollback(Index),
    Reset,
    Restart,
}

#[derive(Clone, Debug)]
enum Edit {
    Balance(u64),
    Nonce(u64),
    Code(u8),
    Slot(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let edit = prop_oneof![
        (0u64..9).prop_map(Edit::Balance),
        (0u64..4).prop_map(Edit::Nonce),
        (0u8..3).prop_map(Edit::Code),
        (0u64..3, 0u64..3).prop_map(|(slot, value)| Edit::Slot(slot, value)),
    ];
    prop_oneof![
        8 => (0usize..3, 0u64..3, 1u128..4).prop_map(|(from, ahead, tip)| Step::Send(from, ahead, tip)),
        1 => any::<Index>().prop_map(Step::Drop),
        1 => Just(Step::DropAll),
        5 => (1u64..4).prop_map(Step::Seal),
        5 => (0u64..3, edit).prop_map(|(index, edit)| Step::Edit(index, edit)),
        1 => (1u64..5).prop_map(Step::Withdraw),
        6 => Just(Step::Savepoint),
        4 => any::<Index>().prop_map(Step::Revert),
        1 => any::<Index>().prop_map(Step::Rollback),
        1 => Just(Step::Reset),
        3 => Just(Step::Restart),
    ]
}

type Account = (u64, U256, Bytes, BTreeMap<U256, U256>);
type State = BTreeMap<Address, Account>;
/// The state that the block after one was executed on: with so many edits.
type Edited = (State, u32);
/// A world with the states after its older blocks.
type Copy = (World, Vec<Edited>);

/// Everything there is.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    hashes: Vec<B256>,
    state: State,
    /// Hash, sender and nonce, in the order of arrival.
    waiting: Vec<(B256, Address, u64)>,
    withdrawals: Vec<Withdrawal>,
    /// Edits since the newest block.
    edits: u32,
}

struct Pair {
    net: Devnet,
    config: NodeConfig,
    now: World,
    genesis: State,
    /// The state after each block but the newest.
    after: Vec<Edited>,
    /// Each id with the world that it was made in and the states before it; used ones have none.
    savepoints: Vec<(u64, Option<Copy>)>,
}

impl Pair {
    async fn read(&self) -> World {
        let chain = &self.net.chain;
        let state = chain.state(BlockId::latest()).await.unwrap();
        let view = state.snapshot();
        let hashes = (0..=view.head()).map(|number| view.hash(number).unwrap().unwrap());
        let accounts = view.accounts().unwrap().into_iter().map(|(address, info)| {
            let code = view.code(address).unwrap();
            let slots = view.storage_of(address).unwrap().into_iter().collect();
            (address, (info.nonce, info.balance, code, slots))
        });
        let waiting = chain.pool_content().into_iter();
        let waiting = waiting.map(|(tx, _)| (tx.hash, tx.sender, tx.transaction.nonce()));
        World {
            hashes: hashes.collect(),
            state: accounts.collect(),
            waiting: waiting.collect(),
            withdrawals: chain.settings().withdrawals.into_iter().collect(),
            edits: view.edits(),
        }
    }

    /// Demands that the node's world is the twin's.
    async fn check(&self, step: &Step) {
        let found = self.read().await;
        assert_eq!(found, self.now, "after {step:?}");
        let live = self.net.chain.state(BlockId::latest()).await.unwrap();
        let live = live.snapshot();
        assert_eq!(live.rebuild_root().unwrap(), live.live_root(), "after {step:?}");
    }

    async fn run(&mut self, step: &Step) {
        let chain = &self.net.chain;
        match step {
            Step::Send(from, ahead, tip) => {
                let sender = self.net.account(*from);
                let nonce = self.now.state[&sender].0 + ahead;
                let mut transfer = self.net.transfer(*from, nonce);
                (transfer.tip, transfer.cap) = (*tip, transfer.cap * *tip);
                // It may be there already, or cheaper than the one that it would replace.
                let sent = self.net.send_to(transfer, TxKind::Call(STRANGER), Bytes::new()).await;
                if let Ok(hash) = sent {
                    self.now.waiting.retain(|(_, from, at)| (*from, *at) != (sender, nonce));
                    self.now.waiting.push((hash, sender, nonce));
                }
            }
            Step::Drop(index) if !self.now.waiting.is_empty() => {
                let (hash, ..) = self.now.waiting.remove(index.index(self.now.waiting.len()));
                assert!(chain.drop_transaction(hash).await.unwrap().is_some());
            }
            Step::DropAll => {
                assert_eq!(chain.drop_all_transactions().await.unwrap(), self.now.waiting.len());
                self.now.waiting.clear();
            }
            Step::Seal(blocks) => {
                for _ in 0..*blocks {
                    self.seal().await;
                }
            }
            Step::Edit(index, edit) => self.edit(*index, edit).await,
            Step::Withdraw(amount) => {
                let withdrawal =
                    Withdrawal { address: STRANGER, amount: *amount, ..Default::default() };
                chain.add_withdrawal(withdrawal).await.unwrap();
                self.now.withdrawals.push(withdrawal);
            }
            Step::Savepoint => {
                let id = chain.savepoint().await.unwrap();
                assert_eq!(id, self.savepoints.len() as u64, "ids are given once");
                self.savepoints.push((id, Some((self.now.clone(), self.after.clone()))));
            }
            Step::Revert(index) if !self.savepoints.is_empty() => {
                let index = index.index(self.savepoints.len());
                let (id, copy) = self.savepoints[index].clone();
                assert_eq!(chain.revert(id).await.unwrap(), copy.is_some(), "savepoint {id}");
                if let Some(copy) = copy {
                    (self.now, self.after) = copy;
                    self.savepoints[index..].iter_mut().for_each(|(_, copy)| *copy = None);
                }
            }
            Step::Rollback(index) => {
                let head = self.now.hashes.len() - 1;
                let to = index.index(head + 1);
                chain.set_head(to as u64).await.unwrap();
                self.rolled_back(to, self.after.get(to).cloned());
            }
            Step::Reset => {
                chain.reset().await.unwrap();
                self.rolled_back(0, Some((self.genesis.clone(), 0)));
                self.now.waiting.clear();
                self.now.withdrawals.clear();
                self.savepoints.iter_mut().for_each(|(_, copy)| *copy = None);
            }
            Step::Restart => {
                chain.clone().stop().await;
                // The lock goes with the last handle.
                self.net.chain = Devnet::start(NodeConfig::default()).chain;
                self.net = Devnet::start(self.config.clone());
            }
            Step::Drop(_) | Step::Revert(_) => return,
        }
        self.check(step).await;
    }

    async fn seal(&mut self) {
        self.net.chain.seal(1, None).await.unwrap();
        let head = self.net.chain.head();
        let sealed: Vec<_> = head.transactions.iter().map(|tx| *tx.tx_hash()).collect();
        // What a block does is not the question here.
        let after = self.read().await.state;
        let World { state, edits, .. } = &mut self.now;
        self.after.push((std::mem::replace(state, after), std::mem::take(edits)));
        self.now.hashes.push(head.hash());
        // Balances are nothing or more than all transfers cost. Who has nothing to pay the next
        // one with loses it.
        let World { state, waiting, .. } = &mut self.now;
        waiting.retain(|(hash, from, nonce)| {
            let has_nothing = state.get(from).is_some_and(|a| a.0 == *nonce && a.1.is_zero());
            !sealed.contains(hash) && !has_nothing
        });
        let paid = head.withdrawals.as_ref().map_or(0, |paid| paid.len());
        self.now.withdrawals.drain(..paid);
    }

    async fn edit(&mut self, index: u64, edit: &Edit) {
        let chain = &self.net.chain;
        // One of them sends, the others are anybody.
        let address =
            if index == 0 { self.net.account(0) } else { Address::with_last_byte(index as u8) };
        if matches!(edit, Edit::Code(_)) && index == 0 {
            return;
        }
        self.now.edits += 1;
        let account = self.now.state.entry(address).or_default();
        match edit {
            Edit::Balance(value) => {
                account.1 = U256::from(super::ETHER * u128::from(*value));
                chain.set_balance(address, account.1).await.unwrap();
            }
            Edit::Nonce(nonce) => {
                account.0 = *nonce;
                chain.set_nonce(address, *nonce).await.unwrap();
                self.now.waiting.retain(|(_, from, at)| *from != address || at >= nonce);
            }
            Edit::Code(length) => {
                account.2 = vec![0x5b; (*length).into()].into();
                chain.set_code(address, account.2.clone(), false).await.unwrap();
            }
            Edit::Slot(slot, value) => {
                let (slot, value) = (U256::from(*slot), U256::from(*value));
                if value.is_zero() {
                    account.3.remove(&slot)
                } else {
                    account.3.insert(slot, value)
                };
                chain.set_storage(address, slot, value).await.unwrap();
            }
        }
    }

    /// The blocks after `to` are gone, and with them the savepoints made after its edits.
    fn rolled_back(&mut self, to: usize, edited: Option<Edited>) {
        let (state, edits) = edited.unwrap_or((self.now.state.clone(), self.now.edits));
        let same = |world: &World| {
            world.hashes.len() <= to || (world.hashes.len() == to + 1 && world.edits <= edits)
        };
        for (_, copy) in &mut self.savepoints {
            *copy = copy.take().filter(|(world, _)| same(world));
        }
        self.now.hashes.truncate(to + 1);
        self.after.truncate(to);
        (self.now.state, self.now.edits) = (state, edits);
        let state = &self.now.state;
        self.now.waiting.retain(|(_, from, nonce)| *nonce >= state.get(from).map_or(0, |a| a.0));
    }
}

async fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig { no_mining: true, ..in_directory(directory.path()) };
    let net = Devnet::start(config.clone());
    let (now, after) = (World::default(), Vec::new());
    let mut pair = Pair { net, config, now, genesis: State::new(), after, savepoints: Vec::new() };
    pair.now = pair.read().await;
    pair.genesis = pair.now.state.clone();
    for step in &steps {
        pair.run(step).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn savepoints_and_the_twin_agree(steps in prop::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(steps));
    }
}

#[tokio::test]
async fn what_was_dropped_and_sent_anew_waits_where_it_did() {
    let net = Devnet::start(NodeConfig { no_mining: true, ..NodeConfig::default() });
    let first = net.send(net.transfer(1, 0)).await.unwrap();
    let second = net.send(net.transfer(0, 0)).await.unwrap();
    let id = net.chain.savepoint().await.unwrap();
    assert!(net.chain.drop_transaction(first).await.unwrap().is_some());
    assert_eq!(net.send(net.transfer(1, 0)).await.unwrap(), first);
    assert!(net.chain.revert(id).await.unwrap());
    let waiting: Vec<_> = net.chain.pool_content().into_iter().map(|(tx, _)| tx.hash).collect();
    assert_eq!(waiting, [first, second]);
}
