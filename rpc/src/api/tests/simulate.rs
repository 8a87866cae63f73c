//! `eth_simulateV1`: values and errors, as geth and execution-apis have them.

use super::*;

const CAROL: &str = "0xc000000000000000000000000000000000000000";
const DAVE: &str = "0xc100000000000000000000000000000000000000";

async fn simulate(methods: &Local, blocks: Value, options: Value) -> Value {
    let mut request = json!({"blockStateCalls": blocks});
    for (key, value) in options.as_object().unwrap() {
        request[key] = value.clone();
    }
    ask(methods, "eth_simulateV1", json!([request, "latest"])).await
}

#[tokio::test]
async fn blocks_go_on_from_each_other() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let head = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    let send = json!({"from": CAROL, "to": DAVE, "value": "0x3e8"});
    let blocks = json!([
        {"stateOverrides": {CAROL: {"balance": "0x7d0"}}, "calls": [send]},
        {"blockOverrides": {"number": "0x3"}, "calls": [send]},
    ]);
    let blocks = result(simulate(&methods, blocks, json!({"traceTransfers": true})).await);
    assert_eq!(blocks.as_array().unwrap().len(), 3, "the gap is filled");
    let mut parent = &head["hash"];
    let mut roots = BTreeSet::new();
    for (index, block) in blocks.as_array().unwrap().iter().enumerate() {
        assert_eq!(&block["parentHash"], parent, "{index}");
        assert_eq!(block["number"], format!("{:#x}", index + 1));
        assert_eq!(block["baseFeePerGas"], "0x0");
        let calls = block["calls"].as_array().unwrap().len();
        assert_eq!(block["gasUsed"], format!("{:#x}", 21_000 * calls));
        roots.insert(block["stateRoot"].to_string());
        parent = &block["hash"];
    }
    assert_eq!(roots.len(), 3, "each block writes its parent's hash: {roots:?}");
    let call = &blocks[2]["calls"][0];
    assert_eq!(
        call["logs"][0],
        json!({
            "address": "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            "topics": [
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
                format!("0x{}{}", "0".repeat(24), &CAROL[2..]),
                format!("0x{}{}", "0".repeat(24), &DAVE[2..]),
            ],
            "data": format!("{:#066x}", 1000),
            "blockHash": blocks[2]["hash"], "blockNumber": "0x3",
            "blockTimestamp": blocks[2]["timestamp"],
            "transactionHash": blocks[2]["transactions"][0], "transactionIndex": "0x0",
            "logIndex": "0x0", "removed": false,
        })
    );
    for (field, want) in
        [("returnData", "0x"), ("gasUsed", "0x5208"), ("maxUsedGas", "0x5208"), ("status", "0x1")]
    {
        assert_eq!(call[field], want, "{field}");
    }
    let now = result(ask(&methods, "eth_blockNumber", json!([])).await);
    assert_eq!(now, "0x0", "nothing of it is kept");
    chain.stop().await;
}

#[tokio::test]
async fn what_a_block_is_given_is_what_its_calls_see() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // NUMBER, TIMESTAMP, COINBASE, PREVRANDAO, GASLIMIT, BASEFEE, BLOBBASEFEE to memory; RETURN.
    let code =
        "0x436000524260205241604052446060524560805248 60a0524a60c05260e06000f3".replace(' ', "");
    let block = json!({
        "blockOverrides": {
            "number": "0x1", "time": "0xffffffff", "feeRecipient": DAVE, "gasLimit": "0x100000",
            "prevRandao": format!("{:#066x}", 0x12), "baseFeePerGas": "0xa", "blobBaseFee": "0x15",
            "withdrawals": [
                {"index": "0x0", "validatorIndex": "0x1", "address": CAROL, "amount": "0x2"},
            ],
        },
        "stateOverrides": {DAVE: {"code": code}},
        "calls": [{"to": DAVE}],
    });
    let balance = json!({
        // BALANCE of CAROL; RETURN.
        "stateOverrides": {DAVE: {"code": format!("0x73{}315f5260205ff3", &CAROL[2..])}},
        "calls": [{"to": DAVE}],
    });
    let blocks = result(simulate(&methods, json!([block, balance]), json!({})).await);
    let words: Vec<_> = blocks[0]["calls"][0]["returnData"].as_str().unwrap().as_bytes()[2..]
        .chunks(64)
        .map(|word| String::from_utf8(word.to_vec()).unwrap())
        .collect();
    let want =
        [1, 0xffff_ffff, 0, 0x12, 0x10_0000, 0xa, 0x15].map(|word: u64| format!("{word:064x}"));
    assert_eq!(words[..2], want[..2]);
    assert_eq!(words[2], format!("{}{}", "0".repeat(24), &DAVE[2..]));
    assert_eq!(words[3..], want[3..]);
    assert_eq!(blocks[0]["withdrawals"][0]["amount"], "0x2");
    let paid = blocks[1]["calls"][0]["returnData"].as_str().unwrap();
    assert_eq!(paid, format!("{:#066x}", 2_000_000_000u64), "in gwei");
    chain.stop().await;
}

#[tokio::test]
async fn failed_calls_say_why_and_log_nothing() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let with = |code: &str| {
        json!({"stateOverrides": {DAVE: {"code": code}}, "calls": [
            {"from": ALICE, "to": DAVE, "value": "0x1", "gas": "0x20000"},
        ]})
    };
    let halt = |text: &str| json!({"code": -32015, "message": text});
    let revert = json!({"code": 3, "message": "execution reverted", "data": "0x"});
    for (code, want) in [
        ("0x5f5ffd", revert),
        ("0xfe", halt("invalid opcode: INVALID")),
        ("0x0c", halt("invalid opcode: opcode 0xc not defined")),
        ("0x01", halt("stack underflow (0 <=> 2)")),
        ("0x5f56", halt("invalid jump destination")),
        ("0x5b5f56", halt("out of gas")),
    ] {
        let block =
            result(simulate(&methods, json!([with(code)]), json!({"traceTransfers": true})).await);
        let call = &block[0]["calls"][0];
        assert_eq!((&call["status"], &call["logs"]), (&json!("0x0"), &json!([])), "{code}");
        assert_eq!((&call["error"], &call["returnData"]), (&want, &json!("0x")), "{code}");
    }
    chain.stop().await;
}

/// Simulates each and checks code and start of the error.
async fn refuse(rows: Vec<(Value, Value, i32, &str)>) {
    let (chain, methods) = start(NodeConfig::default()).await;
    for (blocks, options, code, text) in rows {
        let answer = simulate(&methods, blocks, options).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(answer["error"]["code"], code, "{text}: {answer}");
        assert!(message.starts_with(text), "{text}: {message}");
    }
    chain.stop().await;
}

fn block(overrides: Value) -> Value {
    json!([{"blockOverrides": overrides}])
}

fn accounts(overrides: Value) -> Value {
    json!([{"stateOverrides": overrides}])
}

fn call(fields: Value) -> Value {
    json!([{"calls": [fields]}])
}

#[tokio::test]
async fn limits_and_order_have_their_codes() {
    let many = Value::Array(vec![json!({}); 257]);
    let calls = Value::Array(vec![json!({}); 5_001]);
    let half = json!({"calls": vec![json!({}); 4_000]});
    let number = "block numbers must be in order: 0 <= 0";
    let time = "block timestamps must be in order: 1 <= 1700000000";
    refuse(vec![
        (json!([]), json!({}), -32602, "empty input"),
        (many, json!({}), -38026, "too many blocks"),
        (block(json!({"number": "0x101"})), json!({}), -38026, "too many blocks"),
        (json!([{"calls": calls}]), json!({}), -38026, "too many calls in block: 5001 > 5000"),
        (json!([half, half, half]), json!({}), -38026, "too many calls: 12000 > 10000"),
        (block(json!({"number": "0x0"})), json!({}), -38020, number),
        (block(json!({"time": "0x1"})), json!({}), -38021, time),
    ])
    .await;
}

#[tokio::test]
async fn overrides_that_clash_are_refused() {
    const WITHDRAWALS: &str = "0x00000961ef480eb55e80d19ad83579a64c007002";
    let (one, two) = (format!("{:#042x}", 1), format!("{:#042x}", 2));
    let carol = "account 0xC000000000000000000000000000000000000000";
    let no_precompile = format!("{carol} is not a precompile");
    let both = format!("{carol} has both 'state' and 'stateDiff'");
    let overridden = format!("account {two} is already overridden");
    refuse(vec![
        (
            accounts(json!({CAROL: {"movePrecompileToAddress": DAVE}})),
            json!({}),
            -32000,
            &no_precompile,
        ),
        (
            accounts(json!({one: {"movePrecompileToAddress": two}, two.clone(): {}})),
            json!({}),
            -32000,
            &overridden,
        ),
        (accounts(json!({CAROL: {"state": {}, "stateDiff": {}}})), json!({}), -32000, &both),
        // The predeploy of EIP-7002, which every block calls.
        (
            accounts(json!({WITHDRAWALS: {"code": "0xfe"}})),
            json!({}),
            -32000,
            "system call to 0x00000961Ef480Eb55e80D19ad83579A64c007002 failed",
        ),
    ])
    .await;
}

#[tokio::test]
async fn calls_that_are_not_valid_have_their_codes() {
    let validation = || json!({"validation": true});
    let none = || json!({});
    let transfer = |fields: Value| {
        let mut transfer = json!({"from": ALICE, "to": BOB});
        transfer.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        call(transfer)
    };
    let old = json!([{"stateOverrides": {ALICE: {"nonce": "0x5"}}, "calls": [
        {"from": ALICE, "to": BOB, "nonce": "0x4"},
    ]}]);
    let init_code = json!({"from": CAROL, "data": format!("0x{}", "00".repeat(49_153))});
    let tip = json!({"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"});
    let poor = json!({"from": CAROL, "to": BOB, "value": "0x1"});
    let intrinsic = "err: intrinsic gas too low: have 1, want 21000 (supplied gas 1)";
    let chain = "chainId does not match node's (have=1, want=31337)";
    refuse(vec![
        (old, validation(), -38010, "err: nonce too low: next nonce 5, tx nonce 4"),
        (transfer(json!({"nonce": "0x5"})), validation(), -38011, "err: nonce too high"),
        (transfer(none()), validation(), -38012, "err: max fee per gas less than block base fee"),
        (transfer(json!({"gas": "0x1"})), none(), -38013, intrinsic),
        (call(poor), none(), -38014, "err: insufficient funds for gas * price + value"),
        (
            transfer(json!({"gas": "0xffffffffffff"})),
            none(),
            -38015,
            "block gas limit reached: remaining: ",
        ),
        (call(init_code), none(), -38025, "err: max initcode size exceeded"),
        (transfer(tip), none(), -32602, "err: max priority fee per gas higher"),
        (
            transfer(json!({"gasPrice": "0x1", "maxFeePerGas": "0x1"})),
            none(),
            -32000,
            "both gasPrice and",
        ),
        (transfer(json!({"chainId": "0x1"})), none(), -32000, chain),
    ])
    .await;
}

#[tokio::test]
async fn transactions_are_shown_in_full_with_zeros_for_a_signature() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let calls = json!([{"from": ALICE, "to": BOB}, {"from": ALICE, "to": BOB, "gasPrice": "0x0"}]);
    let options = json!({"returnFullTransactions": true});
    let blocks = result(simulate(&methods, json!([{"calls": calls}]), options).await);
    let [first, second] = [0, 1].map(|index| &blocks[0]["transactions"][index]);
    for (transaction, fields) in [
        (first, json!({"type": "0x2", "nonce": "0x0", "chainId": "0x7a69", "yParity": "0x0"})),
        (second, json!({"type": "0x0", "nonce": "0x1", "chainId": "0x7fffffffffffffee"})),
    ] {
        for (field, want) in fields.as_object().unwrap() {
            assert_eq!(&transaction[field], want, "{field} of {transaction}");
        }
        for (field, want) in
            [("from", ALICE), ("to", BOB), ("v", "0x0"), ("r", "0x0"), ("s", "0x0")]
        {
            assert_eq!(transaction[field], want, "{field} of {transaction}");
        }
        assert_eq!(transaction["blockHash"], blocks[0]["hash"]);
    }
    chain.stop().await;
}
