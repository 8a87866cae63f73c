//! Blocks without transactions are the same whether or not the engine makes them. It does as soon
//! as something waits, if only for a gap.

use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS as WITHDRAWALS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS as CONSOLIDATIONS;
use alloy_eips::{BlockId, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use genesis::{DevOptions, Genesis, SpecId};
use node::accounts::dev_accounts;
use node::{Chain, NodeConfig};

use super::{Devnet, Transfer, manual};

/// Two chains that are to be the same; on the second one a transaction waits for a gap.
struct Twins([Devnet; 2]);

impl Twins {
    async fn start(fork: SpecId) -> Self {
        let twin = || {
            let (_, accounts) = dev_accounts(&NodeConfig::default()).unwrap();
            let genesis = Genesis::dev(DevOptions {
                fork,
                accounts: accounts.iter().map(|a| (a.address, U256::from(1u64 << 60))).collect(),
                timestamp: 1_700_000_000,
                ..DevOptions::default()
            });
            Devnet { chain: Chain::start(manual(), genesis).unwrap() }
        };
        let twins = Self([twin(), twin()]);
        twins.0[1].send(twins.0[1].transfer(2, 7)).await.unwrap();
        twins
    }

    /// Seals a block at each of these times on both; returns whether the last had requests.
    async fn seal(&self, times: impl IntoIterator<Item = u64>) -> bool {
        for time in times {
            let [idle, engine] = &self.0;
            for net in [idle, engine] {
                net.chain.seal_at(Some(time)).await.unwrap();
                net.check_root().await;
            }
            let (idle, engine) = (idle.chain.head(), engine.chain.head());
            assert_eq!(idle.header, engine.header);
            assert_eq!(idle.requests, engine.requests);
            assert_eq!(idle.withdrawals, engine.withdrawals);
        }
        self.0[0].chain.head().header.requests_hash != Some(EMPTY_REQUESTS_HASH)
    }

    /// Seals some blocks from a time on.
    async fn seal_from(&self, time: u64) -> bool {
        self.seal(time..time + 4).await
    }

    async fn set_storage(&self, address: Address, slot: u64, value: U256) {
        for net in &self.0 {
            net.chain.set_storage(address, U256::from(slot), value).await.unwrap();
        }
    }

    async fn set_code(&self, address: Address, code: Bytes) {
        for net in &self.0 {
            net.chain.set_code(address, code.clone(), false).await.unwrap();
        }
    }
}

#[tokio::test]
async fn rings_are_written_as_their_contracts_write_them() {
    for fork in [SpecId::CANCUN, SpecId::PRAGUE, SpecId::OSAKA, SpecId::AMSTERDAM] {
        let twins = Twins::start(fork).await;
        // Around the ring of timestamps, and back to slots that are written already.
        let start = (1_700_000_000 / 8_191 + 1) * 8_191;
        let requests = twins.seal([start - 2, start - 1, start, start + 1, start + 8_190]).await;
        // Before Prague there is no such hash.
        assert_eq!(requests, fork == SpecId::CANCUN);
        twins.seal_from(start + 8_191).await;
    }
}

#[tokio::test]
async fn queues_that_are_not_empty_are_worked_off() {
    let twins = Twins::start(SpecId::OSAKA).await;
    twins.seal_from(1_800_000_000).await;
    for (index, queue) in (1..).zip([WITHDRAWALS, CONSOLIDATIONS]) {
        // An excess falls by two or one in each block; a count becomes excess.
        twins.set_storage(queue, 0, U256::from(5)).await;
        twins.seal_from(1_800_000_000 + index * 100).await;
        twins.set_storage(queue, 1, U256::from(7)).await;
        twins.seal_from(1_800_000_000 + index * 100 + 10).await;
        twins.set_storage(queue, 0, U256::MAX).await;
        twins.seal_from(1_800_000_000 + index * 100 + 20).await;
        // Requests of zeros, more than one block takes.
        twins.set_storage(queue, 3, U256::from(20)).await;
        assert!(twins.seal([1_800_000_000 + index * 100 + 30]).await);
        let requests = twins.seal_from(1_800_000_000 + index * 100 + 31).await;
        // Of consolidations a block takes two.
        assert_eq!(requests, queue == CONSOLIDATIONS);
        twins.seal(1_800_000_040 + index * 100..1_800_000_060 + index * 100).await;
    }
}

#[tokio::test]
async fn other_contracts_at_their_places_run() {
    let twins = Twins::start(SpecId::PRAGUE).await;
    twins.seal_from(1_800_000_000).await;
    // Counts its calls in slot 0.
    let counter = Bytes::from(hex!("5f546001015f5500"));
    let places = [BEACON_ROOTS_ADDRESS, HISTORY_STORAGE_ADDRESS, WITHDRAWALS, CONSOLIDATIONS];
    for (index, place) in (1..).zip(places) {
        let state = twins.0[0].chain.state(BlockId::latest()).await.unwrap();
        let usual = state.code(place).unwrap();
        twins.set_code(place, counter.clone()).await;
        twins.seal_from(1_800_000_000 + index * 100).await;
        twins.set_code(place, usual).await;
        twins.set_storage(place, 0, U256::ZERO).await;
        twins.seal_from(1_800_000_000 + index * 100 + 10).await;
    }
}

#[tokio::test]
async fn transactions_withdrawals_and_steps_back_come_between() {
    let twins = Twins::start(SpecId::OSAKA).await;
    twins.seal_from(1_800_000_000).await;
    for net in &twins.0 {
        // Public key and amount of a withdrawal request, which pays a fee of 1 wei.
        let transfer = Transfer { value: 1, ..net.transfer(0, 0) };
        let input = Bytes::from(vec![7; 56]);
        net.send_to(transfer, TxKind::Call(WITHDRAWALS), input).await.unwrap();
    }
    assert!(twins.seal([1_800_000_010]).await);
    twins.seal_from(1_800_000_011).await;
    for net in &twins.0 {
        let withdrawal =
            Withdrawal { amount: 3, address: Address::repeat_byte(9), ..Default::default() };
        net.chain.add_withdrawal(withdrawal).await.unwrap();
    }
    twins.seal_from(1_800_000_020).await;
    for net in &twins.0 {
        net.chain.rollback(6).await.unwrap();
    }
    twins.seal_from(1_800_000_030).await;
    for net in &twins.0 {
        assert_eq!(net.head(), 11);
    }
}
