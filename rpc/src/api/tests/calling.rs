//! Senders that are delegated.

use super::*;

const CONTRACT: &str = "0x00000000000000000000000000000000000000aa";

/// PUSH0 four times, SELFBALANCE, PUSH20 Alice, GAS, CALL: what is here goes to Alice.
fn drain() -> String {
    format!("0x5f5f5f5f4773{}5af100", &ALICE[2..])
}

#[tokio::test]
async fn a_delegated_sender_is_refused_as_all_others() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, drain()])).await);
    let delegation = format!("0xef0100{}", &CONTRACT[2..]);
    result(ask(&methods, "anvil_setCode", json!([BOB, delegation])).await);
    result(ask(&methods, "evm_mine", json!([])).await);
    let code = ask(&methods, "eth_getCode", json!([BOB, "latest"])).await;
    assert_eq!(result(code), json!(delegation));
    for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
        let cheap = json!([{"from": BOB, "to": ALICE, "gasPrice": "0x1"}]);
        let answer = ask(&methods, method, cheap).await;
        let text = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(text.starts_with("max fee per gas less than block base fee"), "{answer}");
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
    }
    let little = json!([{"from": BOB, "to": ALICE, "gas": "0x5207"}]);
    let answer = ask(&methods, "eth_call", little).await;
    let text = "intrinsic gas too low: have 20999, want 21000";
    assert_eq!(answer["error"], json!({"code": -32000, "message": text}));
    let listed = json!([{"address": ALICE, "storageKeys": []}]);
    let listed = json!([{"from": BOB, "to": ALICE, "accessList": listed}]);
    let gas = result(ask(&methods, "eth_estimateGas", listed).await);
    assert!(gas.as_str().is_some_and(|gas| gas > "0x5b00" && gas < "0x5d00"), "{gas}");
    chain.stop().await;
}

/// The first transaction of the block leaves nothing for the second one, which had enough when the
/// pool took it.
#[tokio::test]
async fn a_block_goes_on_without_a_delegated_sender_that_can_not_pay() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, drain()])).await);
    let delegation = format!("0xef0100{}", &CONTRACT[2..]);
    result(ask(&methods, "anvil_setCode", json!([BOB, delegation])).await);
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    let first = json!([{"from": ALICE, "to": BOB, "gas": "0x30d40",
        "maxFeePerGas": "0x4a817c800", "maxPriorityFeePerGas": "0x2540be400"}]);
    let first = result(ask(&methods, "eth_sendTransaction", first).await);
    let second = json!([{"from": BOB, "to": ALICE, "gas": "0x5208", "value": "0x1",
        "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1"}]);
    result(ask(&methods, "eth_sendTransaction", second).await);
    result(ask(&methods, "evm_mine", json!([])).await);
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["0x1", false])).await);
    assert_eq!(block["transactions"], json!([first]));
    let balance = ask(&methods, "eth_getBalance", json!([BOB, "latest"])).await;
    assert_eq!(result(balance), "0x0");
    // The chain goes on.
    result(ask(&methods, "evm_mine", json!([])).await);
    assert_eq!(result(ask(&methods, "eth_blockNumber", json!([])).await), "0x2");
    chain.stop().await;
}
