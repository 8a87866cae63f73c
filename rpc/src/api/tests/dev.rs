//! Accounts without keys, and what dev methods answer.

use super::*;

const NOBODY: &str = "0x7777777777777777777777777777777777777777";

#[tokio::test]
async fn whoever_is_named_sends_without_a_signature() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // A contract, and nobody impersonates it.
    result(ask(&methods, "anvil_setCode", json!([NOBODY, "0x00"])).await);
    result(ask(&methods, "anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"])).await);
    let wanted = json!([{"from": NOBODY, "to": BOB, "value": "0x7"}]);
    let hash = result(ask(&methods, "eth_sendUnsignedTransaction", wanted.clone()).await);
    let sent = result(ask(&methods, "eth_getTransactionByHash", json!([hash])).await);
    assert_eq!((&sent["from"], &sent["value"]), (&json!(NOBODY), &json!("0x7")));
    assert_eq!(sent["blockNumber"], "0x1");
    // It stays locked for other methods.
    let text = format!("no key for account {NOBODY}: unknown account");
    let answer = ask(&methods, "eth_sendTransaction", wanted).await;
    assert_eq!(answer["error"], json!({"code": -32000, "message": text}));
    let answer = ask(&methods, "eth_sendUnsignedTransaction", json!([{"to": BOB}])).await;
    let text = "invalid argument 0 (transaction): from is missing";
    assert_eq!(answer["error"], json!({"code": -32602, "message": text}));
    chain.stop().await;
}

#[tokio::test]
async fn an_impersonated_account_signs_nothing() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"])).await);
    result(ask(&methods, "anvil_autoImpersonateAccount", json!([true])).await);
    let wanted = json!([{"from": NOBODY, "to": BOB}]);
    let error = json!({
        "code": -32000,
        "message": format!("no key for account {NOBODY}: unknown account"),
    });
    for (method, params) in [
        ("eth_signTransaction", wanted.clone()),
        ("eth_sign", json!([NOBODY, "0x1234"])),
        ("personal_sign", json!(["0x1234", NOBODY])),
    ] {
        assert_eq!(ask(&methods, method, params).await["error"], error, "{method}");
    }
    result(ask(&methods, "eth_sendTransaction", wanted).await);
    // A dev account has its key all the while.
    let wanted = json!([{"from": ALICE, "to": BOB}]);
    let signed = result(ask(&methods, "eth_signTransaction", wanted).await);
    result(ask(&methods, "eth_sendRawTransaction", json!([signed["raw"]])).await);
    chain.stop().await;
}

#[tokio::test]
async fn going_back_brings_the_gas_limit_back() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let gas_limit = || async {
        let block = ask(&methods, "eth_getBlockByNumber", json!(["pending", false]));
        result(block.await)["gasLimit"].clone()
    };
    let set = |limit: &'static str| ask(&methods, "evm_setBlockGasLimit", json!([limit]));
    let first = gas_limit().await;
    let outer = result(ask(&methods, "evm_snapshot", json!([])).await);
    result(set("0xf4240").await);
    let inner = result(ask(&methods, "evm_snapshot", json!([])).await);
    result(set("0x5208").await);
    result(ask(&methods, "evm_mine", json!([])).await);
    assert_eq!(result(ask(&methods, "evm_revert", json!([inner])).await), true);
    assert_eq!(gas_limit().await, "0xf4240");
    assert_eq!(result(ask(&methods, "evm_revert", json!([outer])).await), true);
    assert_eq!(gas_limit().await, first);
    chain.stop().await;
}

/// Foundry's clients read some of them into a type of their own, so that `true` is no `null`.
#[tokio::test]
async fn answers_have_the_types_that_clients_read() {
    let (chain, methods) = start(NodeConfig::default()).await;
    for (method, params, answer) in [
        ("anvil_reset", json!([]), json!(null)),
        ("anvil_reset", json!([{"forking": null}]), json!(null)),
        ("hardhat_reset", json!([]), json!(true)),
        ("evm_setTime", json!([1]), json!(0)),
        ("anvil_setBlockTimestampInterval", json!([5]), json!(null)),
        ("anvil_removeBlockTimestampInterval", json!([]), json!(true)),
        ("anvil_removeBlockTimestampInterval", json!([]), json!(false)),
        ("evm_revert", json!(["0x77"]), json!(false)),
        ("evm_setAutomine", json!([false]), json!(null)),
        ("evm_setBlockGasLimit", json!(["0x1c9c380"]), json!(true)),
        ("anvil_setStorageAt", json!([NOBODY, "0x0", "0x1"]), json!(true)),
        ("anvil_dropTransaction", json!([format!("{:#066x}", 1)]), json!(null)),
        ("hardhat_dropTransaction", json!([format!("{:#066x}", 1)]), json!(false)),
        ("evm_mine", json!([]), json!("0x0")),
        ("anvil_mine", json!([]), json!(null)),
        ("anvil_rollback", json!([2]), json!(null)),
    ] {
        assert_eq!(result(ask(&methods, method, params).await), answer, "{method}");
    }
    let refused = ask(&methods, "evm_setIntervalMining", json!([u64::MAX])).await;
    let text = "an interval of 18446744073709551615 seconds is more than 1000000000";
    assert_eq!(refused["error"], json!({"code": -32602, "message": text}));
    assert_eq!(result(ask(&methods, "evm_mine", json!([])).await), "0x0");
    chain.stop().await;
}
