//! Transactions that can't run, in geth's words.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use genesis::SpecId;
use revm::{
    context::{BlockEnv, TxEnv},
    context_interface::block::BlobExcessGasAndPrice,
    state::AccountInfo,
};
use vm::{Execution, Rules};

use crate::world::{A, Evm, SENDER, World, call, creation, output};

const POOR: Address = address!("0000000000000000000000000000000000009009");

#[track_caller]
fn check(expected: &str, change: impl FnOnce(&mut World, &mut BlockEnv, &mut TxEnv)) {
    let mut world = World::new();
    let mut block = world.block();
    let mut tx = call(A);
    change(&mut world, &mut block, &mut tx);
    let mut execution = Execution::new(&world.engine, block, world.rules.clone(), &world.db);
    let error = execution.transact(&tx).unwrap_err();
    assert_eq!(error.to_string(), expected);
    // The next one is not harmed.
    assert!(execution.call(&TxEnv { gas_price: 1 << 40, ..call(A) }).is_ok());
}

#[test]
fn nonces() {
    check("nonce too low: next nonce 7, tx nonce 6", |world, _, tx| {
        world.db.insert_account_info(POOR, AccountInfo { nonce: 7, ..AccountInfo::default() });
        tx.caller = POOR;
        tx.nonce = 6;
    });
    let said = format!("nonce too high: address {SENDER}, tx: 9 state: 0");
    check(&said, |_, _, tx| tx.nonce = 9);
}

#[test]
fn funds() {
    let said = format!(
        "insufficient funds for gas * price + value: address {POOR} have 10 want 21000000000005"
    );
    check(&said, |world, _, tx| {
        world.db.insert_account_info(POOR, AccountInfo::from_balance(U256::from(10)));
        tx.caller = POOR;
        tx.gas_limit = 21_000;
        tx.gas_price = 1_000_000_000;
        tx.value = U256::from(5);
    });
}

#[test]
fn a_cost_of_more_than_256_bits() {
    let said = format!("gas * price + value of the transaction exceeds 256 bits: address {SENDER}");
    for check_balance in [true, false] {
        check(&said, |world, _, tx| {
            world.rules = Rules { check_balance, ..Rules::call() };
            tx.gas_limit = u64::MAX;
            tx.gas_price = u128::MAX;
            tx.value = U256::MAX;
        });
    }
}

#[test]
fn gas() {
    check("intrinsic gas too low: have 20999, want 21000", |_, _, tx| tx.gas_limit = 20_999);
    let floor = 21_000 + 40 * 1000;
    let said = format!("insufficient gas for floor data gas cost: have 50000, want {floor}");
    check(&said, |_, _, tx| {
        tx.gas_limit = 50_000;
        tx.data = vec![1; 1000].into();
    });
    check("transaction gas limit too high (cap: 16777216, tx: 16777217)", |_, _, tx| {
        tx.gas_limit = 16_777_217;
    });
    let said = "exceeds block gas limit: tx gas limit 16000001, block gas limit 16000000";
    check(said, |_, block, tx| {
        block.gas_limit = 16_000_000;
        tx.gas_limit = 16_000_001;
    });
}

#[test]
fn fees() {
    let said = format!(
        "max fee per gas less than block base fee: address {SENDER}, maxFeePerGas: 6, baseFee: 7"
    );
    check(&said, |_, block, tx| {
        block.basefee = 7;
        tx.gas_price = 6;
    });
    let said = format!(
        "max priority fee per gas higher than max fee per gas: address {SENDER}, \
         maxPriorityFeePerGas: 9, maxFeePerGas: 8"
    );
    check(&said, |_, _, tx| {
        tx.tx_type = 2;
        tx.gas_price = 8;
        tx.gas_priority_fee = Some(9);
    });
    let said = format!(
        "max fee per blob gas less than block blob gas fee: address {SENDER} \
         blobGasFeeCap: 1, blobBaseFee: 3"
    );
    check(&said, |_, block, tx| {
        block.blob_excess_gas_and_price =
            Some(BlobExcessGasAndPrice { excess_blob_gas: 1, blob_gasprice: 3 });
        blobs(tx, 1);
        tx.max_fee_per_blob_gas = 1;
    });
}

fn blobs(tx: &mut TxEnv, count: usize) {
    tx.tx_type = 3;
    tx.blob_hashes = vec![B256::repeat_byte(1); count];
    tx.max_fee_per_blob_gas = 10;
    tx.gas_priority_fee = Some(0);
}

#[test]
fn kinds() {
    check("blob transaction missing blob hashes", |_, _, tx| blobs(tx, 0));
    check("blob transaction has too many blobs: have 7, permitted 6", |_, _, tx| blobs(tx, 7));
    check("EIP-7702 transaction with empty auth list", |_, _, tx| {
        tx.tx_type = 4;
        tx.gas_priority_fee = Some(0);
    });
    check("invalid chain id for signer: have 1 want 31337", |_, _, tx| tx.chain_id = Some(1));
    let said = format!("sender not an eoa: address {POOR}, len(code): 3");
    check(&said, |world, _, tx| {
        world.set(POOR, Bytes::from_static(&[1, 2, 3]));
        tx.caller = POOR;
    });
    let world = World::on(SpecId::BERLIN);
    let tx = TxEnv { tx_type: 2, gas_priority_fee: Some(0), ..call(A) };
    let error = world.execution().call(&tx).unwrap_err().to_string();
    assert_eq!(error, "transaction type not supported: type 2 is not part of the Berlin fork");
}

#[test]
fn calls_check_next_to_nothing() {
    let mut world = World::new().put(A, Evm::new().op(0x48).ret_top());
    world.rules = Rules::call();
    let block = BlockEnv { basefee: 1000, gas_limit: 1, ..world.block() };
    let mut execution = Execution::new(&world.engine, block, Rules::call(), &world.db);
    let tx = TxEnv { nonce: 99, gas_limit: 500_000_000, caller: POOR, ..call(A) };
    // Without a price the base fee reads as 0, with one as what it is.
    assert_eq!(output(&execution.call(&tx).unwrap()), [0; 32]);
    let rich = TxEnv { gas_price: 1, gas_limit: 100_000, caller: SENDER, ..tx.clone() };
    assert_eq!(output(&execution.call(&rich).unwrap()), U256::from(1000).to_be_bytes::<32>());
    assert_eq!(output(&execution.call(&tx).unwrap()), [0; 32]);
    // Value is still checked.
    let error = execution.call(&TxEnv { value: U256::from(1), ..tx.clone() }).unwrap_err();
    let said = format!("insufficient funds for gas * price + value: address {POOR} have 0 want 1");
    assert_eq!(error.to_string(), said);
    // Unless the rules lend it.
    let rules = Rules { check_balance: false, ..Rules::call() };
    let mut execution = Execution::new(&world.engine, world.block(), rules, &world.db);
    assert!(execution.call(&TxEnv { value: U256::from(1), ..tx }).unwrap().result.is_success());
}

#[test]
fn creations_without_code_are_fine() {
    let tx = TxEnv { kind: TxKind::Create, ..creation(Bytes::new()) };
    assert!(World::new().run(&tx).result.is_success());
}
