//! The table, row by row.

use super::*;
use alloy_primitives::{Address, U256, bytes};
use node::pool::PoolError;
use serde_json::{Value, json};
use vm::TxError;

#[track_caller]
fn check(error: impl Into<RpcError>, want: Value) {
    let object = ErrorObjectOwned::from(error.into());
    assert_eq!(serde_json::to_value(object).unwrap(), want);
}

#[test]
fn transactions_are_refused_in_geths_words() {
    let text = "nonce too low: next nonce 5, tx nonce 3";
    let pool = PoolError::NonceTooLow { next: 5, nonce: 3 };
    check(SubmitError::Pool(pool), json!({"code": -32000, "message": text}));
    let tx = TxError::NonceTooLow { next: 5, nonce: 3 };
    check(SubmitError::Invalid(tx), json!({"code": -32000, "message": text}));
    let pool = PoolError::InsufficientFunds {
        address: Address::ZERO,
        have: U256::from(1),
        want: U256::from(2),
    };
    let text = "insufficient funds for gas * price + value: address \
                0x0000000000000000000000000000000000000000 have 1 want 2";
    check(SubmitError::Pool(pool), json!({"code": -32000, "message": text}));
    let known = json!({"code": -32000, "message": "already known"});
    check(SubmitError::Pool(PoolError::AlreadyKnown), known);
    check(SubmitError::Signature, json!({"code": -32000, "message": "invalid sender"}));
}

#[test]
fn reverts_carry_their_data() {
    let revert = |output| CallError::Revert { output, gas_used: 21_000 };
    let plain = json!({"code": 3, "message": "execution reverted", "data": "0x"});
    check(revert(Bytes::new()), plain);
    let custom = json!({"code": 3, "message": "execution reverted", "data": "0x12345678"});
    check(revert(bytes!("12345678")), custom);
    let data = "0x4e487b710000000000000000000000000000000000000000000000000000000000000011";
    let text = "execution reverted: arithmetic underflow or overflow";
    let panic: Bytes = data.parse().unwrap();
    check(revert(panic), json!({"code": 3, "message": text, "data": data}));
}

#[test]
fn what_is_missing_is_named() {
    let missing = |id| QueryError::BlockNotFound(id);
    let text = "header not found: block 0x5";
    check(missing(BlockId::number(5)), json!({"code": -32000, "message": text}));
    let hash = B256::with_last_byte(1);
    let text = format!("header for hash not found: {hash}");
    check(missing(BlockId::hash(hash)), json!({"code": -32000, "message": text}));
    let text = "invalid block range params: from 5 to 3";
    check(QueryError::Range { from: 5, to: 3 }, json!({"code": -32602, "message": text}));
    let text = "query returned more than 10 results, see --logs-max";
    check(QueryError::TooManyLogs { max: 10 }, json!({"code": -32000, "message": text}));
}

#[test]
fn halts_say_why() {
    let halt = CallError::Halt { reason: "out of gas".to_owned(), trap: None, gas_used: 1 };
    check(halt, json!({"code": -32000, "message": "out of gas"}));
    let text = "gas required exceeds allowance (21000)";
    let allowance = CallError::GasAllowance { allowance: 21_000 };
    check(allowance, json!({"code": -32000, "message": text}));
    let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
    check(CallError::MixedFees, json!({"code": -32000, "message": text}));
}

#[test]
fn the_nodes_own_faults_are_internal() {
    let internal = json!({"code": -32603, "message": "the node is stopped"});
    check(Failure::Stopped, internal.clone());
    check(QueryError::Failure(Failure::Stopped), internal.clone());
    check(CallError::Query(QueryError::Failure(Failure::Stopped)), internal.clone());
    check(SubmitError::Failure(Failure::Stopped), internal.clone());
    check(DevError::Failure(Failure::Stopped), internal);
}

#[test]
fn requests_are_refused_by_name() {
    let text = "the method eth_foo does not exist/is not available";
    check(RpcError::unknown_method("eth_foo"), json!({"code": -32601, "message": text}));
    let text = "notifications not supported";
    check(RpcError::no_notifications(), json!({"code": -32601, "message": text}));
    let hash = B256::with_last_byte(1);
    let text = "The transaction was added to the mempool but wasn't processed within the \
                designated timeout interval.";
    let want = json!({"code": 4, "message": text, "data": hash});
    check(RpcError::not_sealed(hash), want);
}
