//! What calls and estimates refuse, what they take though a block would not, and senders that are
//! delegated.

use super::*;

const CONTRACT: &str = "0x00000000000000000000000000000000000000aa";

/// Has Bob delegate to a contract that gives Alice all it has, and returns his code.
async fn delegate(methods: &Local) -> String {
    // PUSH0 four times, SELFBALANCE, PUSH20 Alice, GAS, CALL.
    let drain = format!("0x5f5f5f5f4773{}5af100", &ALICE[2..]);
    result(ask(methods, "anvil_setCode", json!([CONTRACT, drain])).await);
    let delegation = format!("0xef0100{}", &CONTRACT[2..]);
    result(ask(methods, "anvil_setCode", json!([BOB, delegation])).await);
    delegation
}

#[tokio::test]
async fn a_delegated_sender_is_refused_as_all_others() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let delegation = delegate(&methods).await;
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
    // Nor is the code of an override in any table.
    let cheap = json!([{"from": ALICE, "to": BOB, "gasPrice": "0x1"}, "latest",
        {ALICE: {"code": "0x6001600255"}}]);
    let answer = ask(&methods, "eth_call", cheap).await;
    let text = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("max fee per gas less than block base fee"), "{answer}");
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
    delegate(&methods).await;
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

/// The number and the time that an estimate sees, of code that reverts with both.
async fn seen_by_estimate(methods: &Local, call: Value) -> (u64, u64) {
    let answer = ask(methods, "eth_estimateGas", call).await;
    let data = answer["error"]["data"].as_str().unwrap_or_default();
    let word = |index: usize| data.get(50 + index * 64..66 + index * 64);
    let word = |index| u64::from_str_radix(word(index).unwrap_or_default(), 16);
    (word(0).expect("a number"), word(1).expect("a time"))
}

#[tokio::test]
async fn gas_is_estimated_for_the_next_block() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, "0x435f524260205260405ffd"])).await);
    result(ask(&methods, "evm_mine", json!([2_000_000_000])).await);
    result(ask(&methods, "evm_setNextBlockTimestamp", json!([2_000_086_400])).await);
    let call = json!({"from": ALICE, "to": CONTRACT});
    assert_eq!(seen_by_estimate(&methods, json!([call])).await, (2, 2_000_086_400));
    assert_eq!(seen_by_estimate(&methods, json!([call, null])).await, (2, 2_000_086_400));
    assert_eq!(seen_by_estimate(&methods, json!([call, "pending"])).await, (2, 2_000_086_400));
    assert_eq!(seen_by_estimate(&methods, json!([call, "latest"])).await, (1, 2_000_000_000));
    chain.stop().await;

    let profile = Profile::Testnet;
    let (chain, methods) = start(NodeConfig { profile, ..NodeConfig::default() }).await;
    let call = json!({"data": "0x435f524260205260405ffd"});
    assert_eq!(seen_by_estimate(&methods, json!([call])).await.0, 0);
    assert_eq!(seen_by_estimate(&methods, json!([call, "pending"])).await.0, 1);
    chain.stop().await;
}

#[tokio::test]
async fn estimates_and_access_lists_name_the_instruction() {
    let (chain, methods) = start(NodeConfig::default()).await;
    for (code, text) in [
        ("0xfe", "invalid opcode: INVALID"),
        ("0x0c", "invalid opcode: opcode 0xc not defined"),
        ("0x01", "stack underflow (0 <=> 2)"),
        ("0x5f81", "stack underflow (1 <=> 2)"),
    ] {
        let answer = ask(&methods, "eth_estimateGas", creation(code)).await;
        assert_eq!(answer["error"], json!({"code": -32000, "message": text}), "{code}");
        let list = result(ask(&methods, "eth_createAccessList", creation(code)).await);
        assert_eq!(list["error"], text, "{list}");
        let call = json!([{"from": ALICE, "data": code}, "latest", {"tracer": "callTracer"}]);
        let frame = result(ask(&methods, "debug_traceCall", call).await);
        assert_eq!(frame["error"], text, "{frame}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn calls_check_the_chain_and_neither_nonces_nor_blobs_that_cost_nothing() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let blob = format!("0x01{}", "00".repeat(31));
    for method in ["eth_call", "eth_estimateGas"] {
        let other = json!([{"from": ALICE, "to": BOB, "chainId": "0x1"}]);
        let text = "chainId does not match node's (have=1, want=31337)";
        let answer = ask(&methods, method, other).await;
        assert_eq!(answer["error"], json!({"code": -32000, "message": text}), "{method}");
        let last = json!([{"from": ALICE, "to": BOB, "nonce": "0xffffffffffffffff"}]);
        result(ask(&methods, method, last).await);
        let blobs = json!([{"from": ALICE, "to": BOB, "blobVersionedHashes": [blob]}]);
        result(ask(&methods, method, blobs).await);
    }
    // BLOBBASEFEE PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: free blobs cost nothing.
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, "0x4a5f5260205ff3"])).await);
    for (blobs, fee, want) in [
        (json!([blob]), json!(null), 0),
        (json!([blob]), json!("0x9"), 7),
        (json!(null), json!(null), 7),
    ] {
        let call = json!({"from": ALICE, "to": CONTRACT, "blobVersionedHashes": blobs,
            "maxFeePerBlobGas": fee});
        let params = json!([call, "latest", null, {"blobBaseFee": "0x7"}]);
        let seen = result(ask(&methods, "eth_call", params).await);
        assert_eq!(seen, format!("{want:#066x}"), "{call}");
    }
    let low = json!([{"from": ALICE, "to": BOB, "blobVersionedHashes": [blob],
        "maxFeePerBlobGas": "0x3"}, "latest", null, {"blobBaseFee": "0x7"}]);
    let answer = ask(&methods, "eth_call", low).await;
    let text = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("max fee per blob gas less than block blob gas fee"), "{answer}");
    chain.stop().await;
}

/// geth makes what belongs to blobs; anything but all of it or none is refused, not left out.
#[tokio::test]
async fn blobs_alone_are_enough() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let blob = format!("0x{}", "00".repeat(131_072));
    let request = |more: Value| {
        let mut request = json!({"from": ALICE, "to": BOB, "blobs": [blob]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([request])
    };
    let filled = result(ask(&methods, "eth_fillTransaction", request(json!({}))).await);
    assert_eq!(filled["tx"]["type"], "0x3");
    // The hash of the point at infinity's commitment.
    let hash = "0x010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014";
    assert_eq!(filled["tx"]["blobVersionedHashes"], json!([hash]));
    let sent = result(ask(&methods, "eth_sendTransaction", request(json!({}))).await);
    let receipt = result(ask(&methods, "eth_getTransactionReceipt", json!([sent])).await);
    assert_eq!((&receipt["type"], &receipt["blobGasUsed"]), (&json!("0x3"), &json!("0x20000")));
    let kept = result(ask(&methods, "anvil_getBlobByHash", json!([hash])).await);
    assert_eq!(kept, json!(blob));
    let commitments = json!({"commitments": [format!("0xc0{}", "00".repeat(47))]});
    let answer = ask(&methods, "eth_sendTransaction", request(commitments)).await;
    let text = "commitments and proofs of the blobs do not fit, or one of them is missing";
    assert_eq!(answer["error"], json!({"code": -32602, "message": text}));
    let short = json!([{"from": ALICE, "to": BOB, "blobs": ["0x00"]}]);
    let answer = ask(&methods, "eth_sendTransaction", short).await;
    let text = "blobs: one has 1 bytes instead of 131072";
    assert_eq!(answer["error"], json!({"code": -32602, "message": text}));
    for (blobs, text) in [
        (vec!["0x"; 10], "blobs: 10 of them, instead of 1 to 9"),
        (vec![], "blobs: 0 of them, instead of 1 to 9"),
        // A field element above the field's modulus.
        (vec![&*format!("0x{}", "ff".repeat(131_072))], "blobs: one is no blob"),
    ] {
        let wrong = json!([{"from": ALICE, "to": BOB, "blobs": blobs}]);
        let answer = ask(&methods, "eth_fillTransaction", wrong).await;
        assert_eq!(answer["error"], json!({"code": -32602, "message": text}));
    }
    chain.stop().await;
}

#[tokio::test]
async fn what_can_not_be_is_refused_by_name() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let beacon = json!([{"to": BOB}, "latest", null, {"beaconRoot": format!("{:#066x}", 1)}]);
    for (method, params, code, text) in [
        (
            "eth_call",
            beacon,
            -32000,
            "block override \"beaconRoot\" is not supported for this RPC method",
        ),
        (
            "eth_newFilter",
            json!([{"fromBlock": "0x5", "toBlock": "0x3"}]),
            -32602,
            "invalid block range params: from 5 to 3",
        ),
        (
            "eth_signTypedData_v4",
            json!([ALICE, {"primaryType": "Mail"}]),
            -32602,
            "invalid argument 1 (typed data): missing field `types`",
        ),
        (
            "eth_sendRawTransaction",
            json!(["0x12"]),
            -32000,
            "transaction could not be decoded: transaction type not supported: 0x12",
        ),
    ] {
        let answer = ask(&methods, method, params).await;
        assert_eq!(answer["error"], json!({"code": code, "message": text}), "{method}");
    }
    chain.stop().await;
}

/// As with Hardhat and anvil: a time that was set is that of the first block, and an interval that
/// was set for all blocks stays theirs.
#[tokio::test]
async fn mined_blocks_are_spaced_after_a_time_that_was_set() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let time_of = async |number: u64| {
        let params = json!([format!("{number:#x}"), false]);
        let block = result(ask(&methods, "eth_getBlockByNumber", params).await);
        u64::from_str_radix(&block["timestamp"].as_str().unwrap()[2..], 16).unwrap()
    };
    result(ask(&methods, "evm_setNextBlockTimestamp", json!([3_000_000_000u64])).await);
    result(ask(&methods, "anvil_mine", json!(["0x3", "0xa"])).await);
    for (number, wanted) in [(1, 3_000_000_000), (2, 3_000_000_010), (3, 3_000_000_020)] {
        assert_eq!(time_of(number).await, wanted);
    }
    result(ask(&methods, "anvil_setBlockTimestampInterval", json!([7])).await);
    result(ask(&methods, "anvil_mine", json!(["0x2", "0x3"])).await);
    for (number, wanted) in [(4, 3_000_000_027), (5, 3_000_000_034)] {
        assert_eq!(time_of(number).await, wanted);
    }
    chain.stop().await;
}

#[tokio::test]
async fn a_reset_takes_the_clock_back() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let year = 31_536_000u64;
    let seal = async || {
        result(ask(&methods, "evm_mine", json!([])).await);
        let block = result(ask(&methods, "eth_getBlockByNumber", json!(["0x1", false])).await);
        u64::from_str_radix(&block["timestamp"].as_str().unwrap()[2..], 16).unwrap()
    };
    let before = seal().await;
    result(ask(&methods, "evm_increaseTime", json!([year])).await);
    result(ask(&methods, "anvil_reset", json!([])).await);
    let after = seal().await;
    assert!(after >= before && after < before + year / 2, "{before} {after}");
    chain.stop().await;
}

/// A creation that reverts has no address, in geth's flat trace as in its nested one.
#[tokio::test]
async fn the_flat_trace_of_a_reverted_creation_has_no_address() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let call = json!([{"from": ALICE, "data": "0x5f5ffd"}, "latest", {"tracer": "flatCallTracer"}]);
    let flat = result(ask(&methods, "debug_traceCall", call).await);
    assert_eq!(flat[0]["error"], "execution reverted");
    assert_eq!(flat[0]["result"]["code"], "0x");
    assert!(flat[0]["result"].get("address").is_none(), "{flat}");
    let call = json!([{"from": ALICE, "data": "0x00"}, "latest", {"tracer": "flatCallTracer"}]);
    let flat = result(ask(&methods, "debug_traceCall", call).await);
    assert!(flat[0]["result"]["address"].is_string(), "{flat}");
    chain.stop().await;
}

/// Where there is no code geth runs nothing: neither of a transaction nor of a frame in it.
#[tokio::test]
async fn frames_without_code_have_no_steps() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let empty = json!([{"from": ALICE, "data": "0x"}, "latest", {}]);
    let trace = result(ask(&methods, "debug_traceCall", empty).await);
    assert_eq!(trace["structLogs"], json!([]));
    // PUSH0 PUSH0 PUSH0 CREATE STOP: a contract of nothing.
    let inner = json!([{"from": ALICE, "data": "0x5f5f5ff000"}, "latest", {}]);
    let trace = result(ask(&methods, "debug_traceCall", inner).await);
    let steps: Vec<_> = trace["structLogs"].as_array().unwrap().iter().collect();
    let steps: Vec<_> = steps.iter().map(|step| step["op"].as_str().unwrap()).collect();
    assert_eq!(steps, ["PUSH0", "PUSH0", "PUSH0", "CREATE", "STOP"]);
    chain.stop().await;
}

/// As geth has it: a step that can't pay its fixed price has that price, and an SLOAD has none.
#[tokio::test]
async fn a_step_without_gas_or_stack_has_its_fixed_price() {
    let (chain, methods) = start(NodeConfig::default()).await;
    for (code, gas, op, cost, error) in [
        // 53,000 for the creation, 4 and 16 for the bytes, 2 for the word of init code.
        ("0x3600", 53_022, "CALLDATASIZE", 2, "out of gas"),
        ("0x5f3600", 53_041, "CALLDATASIZE", 2, "out of gas"),
        ("0x54", 60_000, "SLOAD", 0, "stack underflow (0 <=> 1)"),
        ("0x3f", 60_000, "EXTCODEHASH", 100, "stack underflow (0 <=> 1)"),
    ] {
        let call = json!({"from": ALICE, "data": code, "gas": format!("{gas:#x}")});
        let trace = result(ask(&methods, "debug_traceCall", json!([call, "latest", {}])).await);
        let last = trace["structLogs"].as_array().unwrap().last().unwrap();
        let have = (&last["op"], &last["gasCost"], &last["error"]);
        assert_eq!(have, (&json!(op), &json!(cost), &json!(error)), "{code}: {trace}");
    }
    chain.stop().await;
}

/// A block runs again under the chain id that it had: CHAINID, PUSH0, SSTORE.
#[tokio::test]
async fn another_chain_id_changes_no_block_of_before() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, "0x465f5500"])).await);
    let call = json!([{"from": ALICE, "to": CONTRACT, "gas": "0x20000"}]);
    let hash = result(ask(&methods, "eth_sendTransaction", call).await);
    result(ask(&methods, "anvil_setChainId", json!([7])).await);
    let tracer = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}});
    let diff = result(ask(&methods, "debug_traceTransaction", json!([hash, tracer])).await);
    let slot = format!("0x{:064x}", 0);
    assert_eq!(diff["post"][CONTRACT]["storage"][&slot], format!("0x{:064x}", 31_337), "{diff}");
    chain.stop().await;
}

#[tokio::test]
async fn an_account_with_the_last_nonce_sends_nothing() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let send = json!([{"from": ALICE, "to": BOB, "gas": "0x5208"}]);
    result(ask(&methods, "anvil_setNonce", json!([ALICE, "0xffffffffffffffff"])).await);
    let answer = ask(&methods, "eth_sendTransaction", send.clone()).await;
    let text = "nonce has max value: 18446744073709551615";
    assert_eq!(answer["error"], json!({"code": -32000, "message": text}));
    result(ask(&methods, "anvil_setNonce", json!([ALICE, "0xfffffffffffffffe"])).await);
    result(ask(&methods, "eth_sendTransaction", send).await);
    let nonce = ask(&methods, "eth_getTransactionCount", json!([ALICE, "latest"])).await;
    assert_eq!(result(nonce), "0xffffffffffffffff");
    chain.stop().await;
}
