//! Bundles of calls, conditional sends, resends, and blocks that a test describes.

use super::*;
use alloy_primitives::B256;

const CONTRACT: &str = "0x00000000000000000000000000000000000000aa";

#[tokio::test]
async fn calls_of_a_bundle_go_on_from_each_other() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // With data: SSTORE(0, CALLDATALOAD(0)); without: return SLOAD(0) and NUMBER.
    let code = "0x3615600a575f355f55005b5f545f524360205260405ff3";
    let state = json!({CONTRACT: {"code": code}});
    let store = json!({"to": CONTRACT, "data": format!("{:#066x}", 42)});
    let load = json!({"to": CONTRACT});
    let bundles = json!([
        {"transactions": [load, store, load]},
        {"transactions": [load, {"from": ALICE, "to": CONTRACT, "value": "0x1"}],
         "blockOverride": {"number": "0x64"}},
    ]);
    let answer = result(ask(&methods, "eth_callMany", json!([bundles, null, state])).await);
    let word = |value: u64| format!("{value:064x}");
    let value =
        |slot: u64, number: u64| json!({"value": format!("0x{}{}", word(slot), word(number))});
    assert_eq!(answer[0], json!([value(0, 0), {"value": "0x"}, value(42, 0)]));
    assert_eq!(answer[1][0], value(42, 100));
    let empty = ask(&methods, "eth_callMany", json!([[]])).await;
    assert_eq!(empty["error"], json!({"code": -32602, "message": "bundles are empty."}));
    chain.stop().await;
}

#[tokio::test]
async fn a_nonce_finds_its_transaction() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let mut hashes = Vec::new();
    for _ in 0..5 {
        let send = json!([{"from": ALICE, "to": BOB, "value": "0x1"}]);
        hashes.push(result(ask(&methods, "eth_sendTransaction", send).await));
    }
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    let send = json!([{"from": ALICE, "to": BOB}]);
    hashes.push(result(ask(&methods, "eth_sendTransaction", send).await));
    let find = async |nonce: usize| {
        let params = json!([ALICE, format!("{nonce:#x}")]);
        result(ask(&methods, "eth_getTransactionBySenderAndNonce", params).await)
    };
    for (nonce, hash) in hashes.iter().enumerate() {
        let found = find(nonce).await;
        assert_eq!(&found["hash"], hash, "{nonce}");
        assert_eq!(found["blockNumber"].is_null(), nonce == 5);
    }
    assert!(find(6).await.is_null());
    chain.stop().await;
}

#[tokio::test]
async fn a_waiting_transaction_is_sent_again() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    let mut send = json!({
        "from": ALICE, "to": BOB, "value": "0x1", "gas": "0x5208",
        "gasPrice": "0x77359400", "nonce": "0x0",
    });
    let first = result(ask(&methods, "eth_sendTransaction", json!([send])).await);
    let price = "0xee6b2800";
    let second = result(ask(&methods, "eth_resend", json!([send, price, "0x6000"])).await);
    assert_ne!(first, second);
    let waiting = result(ask(&methods, "eth_getTransactionByHash", json!([second])).await);
    assert_eq!((&waiting["gasPrice"], &waiting["gas"]), (&json!(price), &json!("0x6000")));
    assert!(result(ask(&methods, "eth_getTransactionByHash", json!([first])).await).is_null());
    let gone = ask(&methods, "eth_resend", json!([send, price])).await;
    let text = gone["error"]["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("transaction 0x") && text.ends_with(" not found"), "{gone}");
    send.as_object_mut().unwrap().remove("nonce");
    let missing = ask(&methods, "eth_resend", json!([send])).await;
    let text = "missing transaction nonce in transaction spec";
    assert_eq!(missing["error"], json!({"code": -32000, "message": text}));
    chain.stop().await;
}

#[tokio::test]
async fn bytes_are_signed_and_conditions_are_checked() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // A transfer of 1 wei to BOB at 2 gwei, as it is hashed for an EIP-155 signature.
    let unsigned = format!("0xe580847735940082520894{}0180827a698080", &BOB[2..]);
    let raw = result(ask(&methods, "eth_signRawTransaction", json!([unsigned, ALICE])).await);
    for (condition, text) in [
        (json!({"blockNumberMin": "0x2"}), "next block number 1 is below the least one, 2"),
        (json!({"blockNumberMax": "0x0"}), "next block number 1 is above the largest one, 0"),
        (json!({"timestampMax": "0x1"}), "next timestamp "),
        (json!({"knownAccounts": {BOB: {"0x1": B256::with_last_byte(1)}}}), "slot 0x1 of "),
    ] {
        let send = json!([raw, condition]);
        let answer = ask(&methods, "eth_sendRawTransactionConditional", send).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(answer["error"]["code"], -32003, "{answer}");
        assert!(message.starts_with(text), "{message}");
    }
    let condition = json!({"blockNumberMin": "0x1", "knownAccounts": {BOB: {"0x1": B256::ZERO}}});
    let send = json!([raw, condition]);
    let hash = result(ask(&methods, "eth_sendRawTransactionConditional", send).await);
    let found = result(ask(&methods, "eth_getTransactionByHash", json!([hash])).await);
    assert_eq!(
        (&found["from"], &found["to"], &found["chainId"]),
        (&json!(ALICE), &json!(BOB), &json!("0x7a69"))
    );
    let signed = ask(&methods, "eth_signRawTransaction", json!([raw])).await;
    assert_eq!(signed["error"]["code"], -32000, "{signed}");
    chain.stop().await;
}

#[tokio::test]
async fn what_is_left_out_is_filled_in() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let wanted = json!([{"from": ALICE, "to": BOB, "value": "0x1"}]);
    let filled = result(ask(&methods, "eth_fillTransaction", wanted).await);
    for (field, want) in [
        ("type", "0x2"),
        ("nonce", "0x0"),
        ("gas", "0x5208"),
        ("chainId", "0x7a69"),
        ("value", "0x1"),
        ("r", "0x0"),
        ("s", "0x0"),
        ("v", "0x0"),
        ("yParity", "0x0"),
        ("gasPrice", filled["tx"]["maxFeePerGas"].as_str().unwrap()),
    ] {
        assert_eq!(filled["tx"][field], want, "{field} of {filled}");
    }
    let raw = alloy_primitives::hex::decode(filled["raw"].as_str().unwrap()).unwrap();
    assert_eq!(filled["tx"]["hash"], json!(alloy_primitives::keccak256(raw)));
    let legacy = json!([{"from": ALICE, "to": BOB, "gasPrice": "0x77359400"}]);
    let filled = result(ask(&methods, "eth_fillTransaction", legacy).await);
    assert_eq!((&filled["tx"]["type"], &filled["tx"]["v"]), (&json!("0x0"), &json!("0x0")));
    for (wanted, text) in [
        (json!({"from": ALICE}), "contract creation without any data provided"),
        (
            json!({"from": ALICE, "to": BOB, "chainId": "0x1"}),
            "chainId does not match node's (have=1, want=31337)",
        ),
        (
            json!({"from": ALICE, "to": BOB, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}),
            "maxFeePerGas (1) < maxPriorityFeePerGas (2)",
        ),
    ] {
        let answer = ask(&methods, "eth_fillTransaction", json!([wanted])).await;
        assert_eq!(answer["error"], json!({"code": -32000, "message": text}));
    }
    chain.stop().await;
}

#[tokio::test]
async fn only_accounts_of_the_node_send() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let nobody = "0x7777777777777777777777777777777777777777";
    let wanted = json!([{"from": nobody, "to": BOB, "value": "0x1"}]);
    let text = format!("no key for account {nobody}: unknown account");
    for method in ["eth_sendTransaction", "eth_sendTransactionSync", "eth_signTransaction"] {
        let answer = ask(&methods, method, wanted.clone()).await;
        assert_eq!(answer["error"], json!({"code": -32000, "message": text}), "{method}");
    }
    result(ask(&methods, "anvil_impersonateAccount", json!([nobody])).await);
    let answer = ask(&methods, "eth_sendTransaction", wanted.clone()).await;
    let text = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("insufficient funds for gas * price + value: "), "{answer}");
    result(ask(&methods, "anvil_setBalance", json!([nobody, "0xde0b6b3a7640000"])).await);
    result(ask(&methods, "eth_sendTransaction", wanted).await);
    chain.stop().await;
}

#[tokio::test]
async fn limits_of_questions_have_their_errors() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let slots: Vec<_> = (0..1_025).map(|slot| format!("{slot:#066x}")).collect();
    let percentiles: Vec<_> = (0..101).collect();
    for (method, params, code, text) in [
        (
            "eth_getStorageValues",
            json!([{ALICE: slots}]),
            -38026,
            "too many slots: 1025 (max 1024)",
        ),
        ("eth_getStorageValues", json!([{}]), -32602, "empty request"),
        (
            "eth_feeHistory",
            json!(["0x1", "0x9", []]),
            -32000,
            "request beyond head block: requested 9, head 0",
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [101]]),
            -32000,
            "invalid reward percentile: 101",
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [5, 5]]),
            -32000,
            "invalid reward percentile: #0:5 >= #1:5",
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", percentiles]),
            -32000,
            "invalid reward percentile: over the query limit 100: 101 percentiles",
        ),
        ("eth_call", json!([{"from": ALICE, "data": "0xfe"}]), -32000, "invalid opcode: INVALID"),
        ("eth_call", json!([{"from": ALICE, "data": "0x01"}]), -32000, "stack underflow (0 <=> 2)"),
    ] {
        let answer = ask(&methods, method, params).await;
        assert_eq!(answer["error"], json!({"code": code, "message": text}), "{method}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn blocks_are_built_as_described() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let head = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    let unsigned = format!("0xe580847735940082520894{}0180827a698080", &BOB[2..]);
    let raw = result(ask(&methods, "eth_signRawTransaction", json!([unsigned, ALICE])).await);
    let attributes = |timestamp: &str| {
        json!({
            "timestamp": timestamp, "prevRandao": B256::repeat_byte(7),
            "suggestedFeeRecipient": CONTRACT, "parentBeaconBlockRoot": B256::repeat_byte(8),
            "withdrawals": [{"index": "0x0", "validatorIndex": "0x1", "address": BOB, "amount": "0x3"}],
        })
    };
    let later = attributes("0x7fffffff");
    let build = async |parent: &Value, attributes: &Value, transactions: Value| {
        let params = json!([parent, attributes, transactions, "0x1234"]);
        ask(&methods, "testing_buildBlockV1", params).await
    };
    let empty = result(build(&head["hash"], &later, json!([])).await);
    assert_eq!(
        (&empty["blockValue"], &empty["executionPayload"]["transactions"]),
        (&json!("0x0"), &json!([]))
    );
    let built = result(build(&head["hash"], &later, json!([raw])).await);
    let payload = &built["executionPayload"];
    for (field, want) in [
        ("parentHash", head["hash"].clone()),
        ("feeRecipient", json!(CONTRACT)),
        ("prevRandao", json!(B256::repeat_byte(7))),
        ("blockNumber", json!("0x1")),
        ("gasUsed", json!("0x5208")),
        ("timestamp", json!("0x7fffffff")),
        ("extraData", json!("0x1234")),
        ("transactions", json!([raw])),
    ] {
        assert_eq!(payload[field], want, "{field}");
    }
    assert_eq!(built["executionRequests"], json!([]));
    for (parent, attributes, transactions, text) in [
        (&json!(B256::ZERO), &later, json!([]), "parentHash is not current head"),
        (
            &head["hash"],
            &attributes("0x1"),
            json!([]),
            "invalid timestamp, parent 1700000000 given 1",
        ),
        (&head["hash"], &later, json!([raw, raw]), "nonce too low: next nonce 1, tx nonce 0"),
        (&head["hash"], &later, json!(["0x02"]), "invalid transaction 0: "),
    ] {
        let answer = build(parent, attributes, transactions).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
        assert!(message.starts_with(text), "{message}");
    }
    assert_eq!(result(ask(&methods, "eth_blockNumber", json!([])).await), "0x0");
    let commit = json!([later, [raw], "0x1234"]);
    let hash = result(ask(&methods, "testing_commitBlockV1", commit).await);
    assert_eq!(hash, payload["blockHash"], "what was built is what is put on the chain");
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    assert_eq!((&block["hash"], &block["stateRoot"]), (&hash, &payload["stateRoot"]));
    assert_eq!(block["withdrawals"][0]["amount"], "0x3");
    let got = result(ask(&methods, "eth_getBalance", json!([BOB, "latest"])).await);
    let want = u128::from_str_radix("21e19e0c9bab2400000", 16).unwrap() + 1 + 3_000_000_000;
    assert_eq!(got, format!("{want:#x}"));
    chain.stop().await;
}
