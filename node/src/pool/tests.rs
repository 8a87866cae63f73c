//! The pool's rules as a table, and its queues.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use genesis::SpecId;
use revm::state::AccountInfo;

use super::rules::{check_form, check_sender};
use super::*;
use crate::config::Order;
use crate::fee::BaseFees;
use executor::impersonated_signature;

const SENDER: Address = Address::repeat_byte(0xaa);
const OTHER: Address = Address::repeat_byte(0xbb);

fn rules() -> PoolRules {
    PoolRules {
        chain_id: 31337,
        fork: SpecId::OSAKA,
        block_gas_limit: 30_000_000,
        tx_gas_max: Some(16_777_216),
        base_fee: 100,
        refuse_below_base_fee: true,
        blobs: None,
        blob_base_fee: None,
        min_gas_price: 0,
        check_balance: true,
        check_overdraft: true,
        init_code_max: 49_152,
        riscv_init_code_max: 655_360,
        allow_sender_code: false,
    }
}

fn plain() -> TxEip1559 {
    TxEip1559 {
        chain_id: 31337,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000,
        max_priority_fee_per_gas: 10,
        to: TxKind::Call(OTHER),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

fn signed(transaction: TxEip1559) -> TxEnvelope {
    transaction.into_signed(impersonated_signature(SENDER)).into()
}

fn check(rules: &PoolRules, transaction: &TxEnvelope, account: &AccountInfo) -> String {
    let checked = check_form(rules, transaction)
        .and_then(|()| check_sender(rules, transaction, (SENDER, account, false)));
    checked.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

fn rich() -> AccountInfo {
    AccountInfo { balance: U256::from(10).pow(U256::from(18)), nonce: 5, ..AccountInfo::default() }
}

#[test]
fn the_rules_speak_geths_phrases() {
    let at_five = || TxEip1559 { nonce: 5, ..plain() };
    let table: Vec<(TxEip1559, &str)> = vec![
        (at_five(), "ok"),
        (TxEip1559 { nonce: 9, ..plain() }, "ok"),
        (plain(), "nonce too low: next nonce 5, tx nonce 0"),
        (TxEip1559 { nonce: u64::MAX, ..plain() }, "nonce has max value: 18446744073709551615"),
        (TxEip1559 { chain_id: 1, ..at_five() }, "invalid chain id for signer: have 1 want 31337"),
        (
            TxEip1559 { gas_limit: 20_999, ..at_five() },
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            TxEip1559 { gas_limit: 30_000_001, ..at_five() },
            "exceeds block gas limit: tx gas limit 30000001, block gas limit 30000000",
        ),
        (
            TxEip1559 { gas_limit: 16_777_217, ..at_five() },
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (
            TxEip1559 { max_priority_fee_per_gas: 1_001, ..at_five() },
            "max priority fee per gas higher than max fee per gas: \
             maxPriorityFeePerGas: 1001, maxFeePerGas: 1000",
        ),
        (
            TxEip1559 { max_fee_per_gas: 99, ..at_five() },
            "max fee per gas less than block base fee: maxFeePerGas: 99, baseFee: 100",
        ),
        (
            TxEip1559 { input: Bytes::from(vec![1; 2_000]), gas_limit: 60_000, ..at_five() },
            "insufficient gas for floor data gas cost: gas 60000, minimum needed 101000",
        ),
        (
            TxEip1559 {
                to: TxKind::Create,
                input: Bytes::from(vec![0; 49_153]),
                gas_limit: 10_000_000,
                ..at_five()
            },
            "max initcode size exceeded: code size 49153 limit 49152",
        ),
        (
            TxEip1559 { input: Bytes::from(vec![0; 2_097_153]), ..at_five() },
            "oversized data: transaction size 2097153, limit 2097152",
        ),
    ];
    for (transaction, want) in table {
        assert_eq!(check(&rules(), &signed(transaction), &rich()), want);
    }
}

#[test]
fn senders_must_pay_and_be_no_contracts() {
    let poor = AccountInfo { balance: U256::from(100_000_000), ..AccountInfo::default() };
    let want = format!(
        "insufficient funds for gas * price + value: address {SENDER} have 100000000 want 100000001"
    );
    assert_eq!(check(&rules(), &signed(plain()), &poor), want);
    let huge = TxEip1559 { value: U256::MAX, ..plain() };
    assert!(check(&rules(), &signed(huge), &poor).contains("cost exceeds 256 bits"));
    let contract = AccountInfo { code_hash: B256::repeat_byte(1), nonce: 0, ..rich() };
    assert!(check(&rules(), &signed(plain()), &contract).starts_with("sender not an eoa"));
    let dev = PoolRules { allow_sender_code: true, ..rules() };
    assert_eq!(check(&dev, &signed(plain()), &contract), "ok");
}

#[test]
fn types_need_their_forks() {
    let at = |fork| PoolRules { fork, tx_gas_max: None, ..rules() };
    let account = AccountInfo { nonce: 0, ..rich() };
    let want = "transaction type not supported: type 2 needs London, the chain is at Berlin";
    assert_eq!(check(&at(SpecId::BERLIN), &signed(plain()), &account), want);
    let legacy: TxEnvelope =
        TxLegacy { gas_price: 1_000, gas_limit: 21_000, ..TxLegacy::default() }
            .into_signed(impersonated_signature(SENDER))
            .into();
    assert!(check(&at(SpecId::HOMESTEAD), &legacy, &account).contains("intrinsic gas too low"));
    let no_list: TxEnvelope = TxEip7702 {
        chain_id: 31337,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000,
        ..TxEip7702::default()
    }
    .into_signed(impersonated_signature(SENDER))
    .into();
    let want = "EIP-7702 transaction with empty auth list";
    assert_eq!(check(&rules(), &no_list, &account), want);
}

fn pool(transactions: usize) -> Pool {
    Pool::new(PoolLimits { transactions, sender: 3, bytes: 1 << 20 })
}

fn waiting(sender: Address, nonce: u64, tip: u128) -> PoolTransaction {
    let transaction =
        TxEip1559 { nonce, max_priority_fee_per_gas: tip, max_fee_per_gas: 1_000 + tip, ..plain() };
    let envelope = transaction.into_signed(impersonated_signature(sender)).into();
    PoolTransaction::new(envelope, sender)
}

fn best(pool: &Pool, order: Order) -> Vec<(Address, u64)> {
    pool.best(BaseFees { gas: 100, blob: Some(50) }, order)
        .map(|tx| (tx.sender, tx.transaction.nonce()))
        .collect()
}

#[test]
fn a_gap_waits_until_it_is_filled() {
    let mut pool = pool(10);
    pool.insert(waiting(SENDER, 2, 1), 0).unwrap();
    pool.insert(waiting(SENDER, 1, 1), 0).unwrap();
    assert_eq!(pool.status(), PoolStatus { pending: 0, queued: 2 });
    assert_eq!(pool.next_nonce(SENDER), Some(0));
    pool.insert(waiting(SENDER, 0, 1), 0).unwrap();
    assert_eq!(pool.status(), PoolStatus { pending: 3, queued: 0 });
    assert_eq!(pool.next_nonce(SENDER), Some(3));
    assert_eq!(pool.set_nonce(SENDER, 2).len(), 2);
    assert_eq!(best(&pool, Order::Fees), [(SENDER, 2)]);
}

#[test]
fn order_is_by_tip_or_arrival_and_always_by_nonce() {
    let mut pool = pool(10);
    for (sender, nonce, tip) in [(SENDER, 0, 1), (SENDER, 1, 50), (OTHER, 0, 20)] {
        pool.insert(waiting(sender, nonce, tip), 0).unwrap();
    }
    assert_eq!(best(&pool, Order::Fees), [(OTHER, 0), (SENDER, 0), (SENDER, 1)]);
    assert_eq!(best(&pool, Order::Fifo), [(SENDER, 0), (SENDER, 1), (OTHER, 0)]);
}

#[test]
fn blobs_that_cannot_pay_their_fee_wait() {
    let best_at = |cap| {
        let mut pool = pool(10);
        pool.insert(priced((200, 1, Some(cap))), 0).unwrap();
        best(&pool, Order::Fees)
    };
    assert_eq!(best_at(49), []);
    assert_eq!(best_at(50), [(SENDER, 0)]);
}

/// Fees of a transaction: fee cap, tip, and blob fee cap if it has blobs.
type Fees = (u128, u128, Option<u128>);

fn priced((cap, tip, blob_fee): Fees) -> PoolTransaction {
    let signature = impersonated_signature(SENDER);
    let envelope = match blob_fee {
        None => {
            let fees = TxEip1559 { max_fee_per_gas: cap, max_priority_fee_per_gas: tip, ..plain() };
            fees.into_signed(signature).into()
        }
        Some(max_fee_per_blob_gas) => {
            let transaction = TxEip4844 {
                max_fee_per_gas: cap,
                max_priority_fee_per_gas: tip,
                max_fee_per_blob_gas,
                blob_versioned_hashes: vec![B256::ZERO],
                ..TxEip4844::default()
            };
            let transaction: TxEip4844Variant = transaction.into();
            transaction.into_signed(signature).into()
        }
    };
    PoolTransaction::new(envelope, SENDER)
}

#[test]
fn a_replacement_pays_a_tenth_more_and_with_blobs_twice_as_much() {
    let underpriced = "replacement transaction underpriced: ";
    let table: Vec<(Fees, Fees, &str)> = vec![
        ((100, 100, None), (100, 100, None), "already known"),
        ((100, 10, None), (110, 11, None), "ok"),
        ((100, 10, None), (109, 11, None), underpriced),
        ((100, 10, None), (110, 10, None), underpriced),
        ((100, 10, None), (1_000, 10, None), underpriced),
        ((105, 15, None), (116, 17, None), "ok"),
        ((105, 15, None), (115, 17, None), underpriced),
        ((105, 15, None), (116, 16, None), underpriced),
        ((100, 0, None), (110, 1, None), "ok"),
        ((100, 0, None), (110, 0, None), underpriced),
        ((0, 0, None), (1, 1, None), "ok"),
        ((100, 10, Some(5)), (200, 20, Some(10)), "ok"),
        ((100, 10, Some(5)), (199, 20, Some(10)), underpriced),
        ((100, 10, Some(5)), (200, 19, Some(10)), underpriced),
        ((100, 10, Some(5)), (200, 20, Some(9)), underpriced),
        ((100, 10, Some(0)), (200, 20, Some(1)), "ok"),
        ((100, 10, None), (1_000, 1_000, Some(5)), "address already reserved: "),
        ((100, 10, Some(5)), (1_000, 1_000, None), "address already reserved: "),
        ((u128::MAX, 1, None), (u128::MAX, 2, None), "ok"),
    ];
    for (first, second, want) in table {
        let mut pool = pool(10);
        let first_hash = pool.insert(priced(first), 0).unwrap().transaction.hash;
        let (replaced, got) = match pool.insert(priced(second), 0) {
            Ok(inserted) => (inserted.replaced.map(|old| old.hash), "ok".to_owned()),
            Err(error) => (None, error.to_string()),
        };
        assert!(got.starts_with(want), "{first:?} then {second:?}: {got}");
        assert_eq!(replaced, (want == "ok").then_some(first_hash), "{first:?} then {second:?}");
        assert_eq!(pool.status(), PoolStatus { pending: 1, queued: 0 });
    }
    let mut pool = pool(10);
    pool.insert(priced((1_100, 100, None)), 0).unwrap();
    let error = pool.insert(priced((1_109, 109, None)), 0).unwrap_err().to_string();
    assert_eq!(error, format!("{underpriced}fee cap 1109 and tip 109, needs 1210 and 110"));
    let mut pool = self::pool(10);
    pool.insert(priced((100, 10, Some(5))), 0).unwrap();
    let error = pool.insert(priced((200, 20, Some(9))), 0).unwrap_err().to_string();
    assert_eq!(error, format!("{underpriced}blob fee cap 9, needs 10"));
}

#[test]
fn a_full_pool_lets_the_cheapest_go() {
    let senders: Vec<_> = (1..=4).map(Address::with_last_byte).collect();
    // Who sends what with which tip into a pool of three, and who has to go for it.
    type Evicted = Result<Vec<(usize, u64)>, &'static str>;
    let table: Vec<((usize, u64, u128), Evicted)> = vec![
        ((3, 0, 25), Ok(vec![(1, 0)])),
        ((3, 0, 15), Err("txpool is full: 3 transactions, ")),
        ((3, 0, 20), Err("txpool is full: 3 transactions, ")),
        ((3, 1, 99), Err("txpool is full: 3 transactions, ")),
        // Never the sender's own: the newcomer could not run without them.
        ((1, 1, 99), Ok(vec![(0, 0)])),
    ];
    for ((sender, nonce, tip), want) in table {
        let mut pool = pool(3);
        for (index, tip) in [(0, 50), (1, 20), (2, 60)] {
            pool.insert(waiting(senders[index], 0, tip), 0).unwrap();
        }
        let inserted = pool.insert(waiting(senders[sender], nonce, tip), 0);
        match (inserted, want) {
            (Ok(inserted), Ok(want)) => {
                let evicted = inserted.evicted.iter();
                let evicted: Vec<_> =
                    evicted.map(|tx| (tx.sender, tx.transaction.nonce())).collect();
                let want: Vec<_> = want.into_iter().map(|(s, nonce)| (senders[s], nonce)).collect();
                assert_eq!(evicted, want);
                assert_eq!(pool.status().pending, 3);
            }
            (Err(error), Err(want)) => {
                assert!(error.to_string().starts_with(want), "{error}");
                assert_eq!(pool.status().pending, 3, "nothing goes for nothing");
            }
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }
}

#[test]
fn a_sender_pays_for_all_that_waits() {
    let mut pool = pool(10);
    for nonce in 0..2 {
        pool.insert(waiting(SENDER, nonce, 0), 0).unwrap();
    }
    // A hundred thousand gas at a thousand wei, and one wei, each.
    let (each, next) = (100_000_001, signed(TxEip1559 { nonce: 2, ..plain() }));
    assert_eq!(pool.cost(SENDER, 2), U256::from(2 * each));
    assert_eq!(pool.cost(SENDER, 1), U256::from(each));
    let check = |rules: &PoolRules, balance: u64| {
        let account = AccountInfo { balance: U256::from(balance), ..AccountInfo::default() };
        let checked = super::rules::check_overdraft(rules, &next, (&account, pool.cost(SENDER, 2)));
        checked.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
    };
    assert_eq!(check(&rules(), 3 * each), "ok");
    let want = "insufficient funds for gas * price + value: balance 300000002, queued cost \
                200000002, tx cost 100000001, overshot 1";
    assert_eq!(check(&rules(), 3 * each - 1), want);
    assert_eq!(check(&PoolRules { check_overdraft: false, ..rules() }, each), "ok");
    assert_eq!(check(&PoolRules { check_balance: false, ..rules() }, 0), "ok");
}

#[test]
fn limits_evict_what_cannot_run_yet() {
    let mut pool = pool(2);
    pool.insert(waiting(SENDER, 0, 1), 0).unwrap();
    let queued = pool.insert(waiting(OTHER, 7, 1), 0).unwrap().transaction;
    let evicted = pool.insert(waiting(SENDER, 1, 1), 0).unwrap().evicted;
    assert_eq!(evicted[0].hash, queued.hash);
    let full = pool.insert(waiting(OTHER, 0, 1), 0).unwrap_err();
    assert!(full.to_string().starts_with("txpool is full: 2 transactions"), "{full}");
    let mut pool = self::pool(10);
    for nonce in 0..3 {
        pool.insert(waiting(SENDER, nonce, 1), 0).unwrap();
    }
    let error = pool.insert(waiting(SENDER, 3, 1), 0).unwrap_err();
    assert_eq!(error, PoolError::SenderFull { address: SENDER, count: 3 });
}

#[test]
fn a_sealed_transaction_is_seen_until_its_block_is_committed() {
    let mut pool = pool(10);
    let first = pool.insert(waiting(SENDER, 0, 1), 0).unwrap().transaction.hash;
    let second = pool.insert(waiting(SENDER, 1, 1), 0).unwrap().transaction.hash;
    assert!(pool.seal(&[first, second], [(SENDER, 2)]).is_empty());
    assert!(pool.find(&second).is_none(), "the next block must not take it again");
    assert!(pool.find_unsettled(&second).is_some());
    assert_eq!(pool.next_unsettled_nonce(SENDER), Some(2));
    pool.settle([first, second]);
    assert!(pool.find_unsettled(&second).is_none());
    assert_eq!(pool.next_unsettled_nonce(SENDER), None);
}

#[test]
fn what_waits_for_a_gap_too_long_goes() {
    let (start, life) = (Instant::now(), Duration::from_secs(100));
    let at = |seconds| start + Duration::from_secs(seconds);
    let nonces = |expired: Vec<Arc<PoolTransaction>>| -> Vec<(Address, u64)> {
        let mut all: Vec<_> =
            expired.iter().map(|tx| (tx.sender, tx.transaction.nonce())).collect();
        all.sort_unstable();
        all
    };
    let mut pool = pool(10);
    pool.insert(waiting(SENDER, 0, 1), 0).unwrap();
    pool.insert(waiting(SENDER, 2, 1), 0).unwrap();
    pool.insert(waiting(OTHER, 5, 1), 0).unwrap();
    assert_eq!(nonces(pool.expire(start, life)), []);
    assert_eq!(nonces(pool.expire(at(99), life)), []);
    // Another one of the same sender, and all of its own have a new life.
    pool.insert(waiting(OTHER, 6, 1), 0).unwrap();
    // What can run waits for ever.
    assert_eq!(nonces(pool.expire(at(100), life)), [(SENDER, 2)]);
    assert_eq!(nonces(pool.expire(at(199), life)), []);
    // The gap closes and opens again: the time in between does not count.
    pool.set_nonce(OTHER, 5);
    assert_eq!(nonces(pool.expire(at(250), life)), []);
    pool.set_nonce(OTHER, 4);
    assert_eq!(nonces(pool.expire(at(300), life)), []);
    assert_eq!(nonces(pool.expire(at(399), life)), []);
    assert_eq!(nonces(pool.expire(at(400), life)), [(OTHER, 5), (OTHER, 6)]);
    assert_eq!(pool.status(), PoolStatus { pending: 1, queued: 0 });
}
