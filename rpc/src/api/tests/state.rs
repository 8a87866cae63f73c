//! The state methods of `debug_` and `reth_`, block access lists, and what the node says of itself.

use super::*;
use alloy_primitives::{Address, B256, keccak256};

/// Code that stores 42 in slot 1 and logs nothing: PUSH1 42, PUSH1 1, SSTORE.
const STORE: &str = "0x602a60015500";
const CONTRACT: &str = "0x00000000000000000000000000000000000000aa";

/// A chain with one block of two transfers and a call that stores a slot.
async fn one_block(config: NodeConfig) -> (Chain, Arc<Local>, Value) {
    let (chain, methods) = start(config).await;
    result(ask(&methods, "anvil_setCode", json!([CONTRACT, STORE])).await);
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    for to in [BOB, CONTRACT, BOB] {
        let gas = "0x20000";
        let send = json!([{"from": ALICE, "to": to, "value": "0x5", "gas": gas}]);
        result(ask(&methods, "eth_sendTransaction", send).await);
    }
    result(ask(&methods, "evm_mine", json!([])).await);
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", true])).await);
    assert_eq!(block["transactions"].as_array().unwrap().len(), 3);
    (chain, methods, block)
}

fn hash_of(text: &str) -> B256 {
    keccak256(text.parse::<Address>().unwrap())
}

#[tokio::test]
async fn a_block_goes_on_to_show_what_dev_methods_changed_after_it() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // SELFBALANCE and NUMBER, returned.
    let code = "0x475f524360205260405ff3";
    for (block, wei) in [("0x0", "0x5"), ("0x1", "0x7")] {
        result(ask(&methods, "anvil_setCode", json!([CONTRACT, code])).await);
        result(ask(&methods, "anvil_setBalance", json!([CONTRACT, wei])).await);
        let balance = ask(&methods, "eth_getBalance", json!([CONTRACT, block])).await;
        assert_eq!(result(balance), wei);
        result(ask(&methods, "evm_mine", json!([])).await);
    }
    for (block, wei, proven) in [(0, 5, 0), (1, 7, 5), (2, 7, 7)] {
        let id = format!("{block:#x}");
        let balance = ask(&methods, "eth_getBalance", json!([CONTRACT, id])).await;
        assert_eq!(result(balance), format!("{wei:#x}"), "{block}");
        let call = ask(&methods, "eth_call", json!([{"to": CONTRACT}, id])).await;
        assert_eq!(result(call), format!("0x{wei:064x}{block:064x}"), "{block}");
        // Its proof is of the root in its header, where the edit is not.
        let proof = result(ask(&methods, "eth_getProof", json!([CONTRACT, [], id])).await);
        assert_eq!(proof["balance"], format!("{proven:#x}"), "{block}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn accounts_are_read_between_transactions() {
    let (chain, methods, block) = one_block(NodeConfig::default()).await;
    let start = u128::from_str_radix("21e19e0c9bab2400000", 16).unwrap();
    for (index, want) in [(0, start + 5), (1, start + 5), (2, start + 10)] {
        let params = json!([block["hash"], index, BOB]);
        let account = result(ask(&methods, "debug_accountAt", params.clone()).await);
        assert_eq!(account["balance"], format!("{want:#x}"), "{index}");
        assert_eq!(
            (&account["nonce"], &account["storageRoot"]),
            (&json!("0x0"), &json!(B256::ZERO))
        );
        let info = result(ask(&methods, "debug_accountInfoAt", params).await);
        assert_eq!((&info["balance"], &info["code"]), (&account["balance"], &json!("0x")));
    }
    let beyond = ask(&methods, "debug_accountAt", json!(["0x1", 3, BOB])).await;
    let text = "tx_index 3 out of bounds for block with 3 transactions";
    assert_eq!(beyond["error"], json!({"code": -32602, "message": text}));

    let key = keccak256(B256::with_last_byte(1));
    let range = async |index: u64, count: u64| {
        let params = json!([block["hash"], index, CONTRACT, "0x00", count]);
        result(ask(&methods, "debug_storageRangeAt", params).await)
    };
    assert_eq!(range(1, 5).await, json!({"storage": {}, "nextKey": null}));
    let slot = json!({"key": B256::with_last_byte(1), "value": B256::with_last_byte(42)});
    assert_eq!(range(2, 5).await, json!({"storage": {key.to_string(): slot}, "nextKey": null}));
    assert_eq!(range(2, 0).await, json!({"storage": {}, "nextKey": key}));
    chain.stop().await;
}

#[tokio::test]
async fn dumps_go_by_hash() {
    let (chain, methods, block) = one_block(NodeConfig::default()).await;
    let dump = result(ask(&methods, "debug_dumpBlock", json!(["latest"])).await);
    assert_eq!(format!("0x{}", dump["root"].as_str().unwrap()), block["stateRoot"]);
    let accounts = dump["accounts"].as_object().unwrap();
    assert!(accounts.len() >= 11, "{dump}");
    let contract = &accounts["0x00000000000000000000000000000000000000AA"];
    for (field, want) in [
        ("balance", json!("5")),
        ("nonce", json!(0)),
        ("code", json!(STORE)),
        ("codeHash", json!(keccak256(alloy_primitives::hex::decode(STORE).unwrap()))),
        ("storage", json!({B256::with_last_byte(1).to_string(): "2a"})),
        ("key", json!(hash_of(CONTRACT))),
    ] {
        assert_eq!(contract[field], want, "{field}");
    }
    // All accounts, three at a time.
    let (mut next, mut all) = (json!("0x"), BTreeSet::new());
    for _ in 0..100 {
        let params = json!(["latest", next, 3, true, true]);
        let page = result(ask(&methods, "debug_accountRange", params).await);
        all.extend(page["accounts"].as_object().unwrap().keys().cloned());
        assert!(page["accounts"].as_object().unwrap().len() <= 3);
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(all, accounts.keys().cloned().collect());
    chain.stop().await;
}

#[tokio::test]
async fn changes_of_blocks_are_listed() {
    let (chain, methods, block) = one_block(NodeConfig::default()).await;
    let changed = result(ask(&methods, "debug_getModifiedAccountsByNumber", json!([1])).await);
    let changed: BTreeSet<_> =
        changed.as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect();
    for address in [ALICE, BOB, CONTRACT] {
        assert!(changed.contains(address), "{address} in {changed:?}");
    }
    let by_hash = ask(&methods, "debug_getModifiedAccountsByHash", json!([block["hash"]])).await;
    assert_eq!(result(by_hash).as_array().unwrap().len(), changed.len());
    for (method, params, text) in [
        ("debug_getModifiedAccountsByNumber", json!([0]), "block 0 has no parent"),
        ("debug_getModifiedAccountsByNumber", json!([9]), "start block 9 not found"),
        ("debug_getModifiedAccountsByNumber", json!([1, 9]), "end block 9 not found"),
        (
            "debug_getModifiedAccountsByNumber",
            json!([1, 1]),
            "start block height (1) must be less than end block height (1)",
        ),
        ("debug_getAccessibleState", json!(["0x1", "0x1"]), "from and to needs to be different"),
        ("debug_getAccessibleState", json!(["0x9", "0x1"]), "missing header 9"),
        ("debug_printBlock", json!([9]), "block #9 not found"),
        ("debug_preimage", json!([B256::ZERO]), "unknown preimage"),
    ] {
        let answer = ask(&methods, method, params).await;
        assert_eq!(answer["error"], json!({"code": -32000, "message": text}));
    }
    let balances = result(ask(&methods, "reth_getBalanceChangesInBlock", json!(["0x1"])).await);
    assert_eq!(balances[CONTRACT], "0x5");
    assert!(balances[ALICE].is_string() && balances[BOB].is_string(), "{balances}");
    let outcome = result(ask(&methods, "reth_getBlockExecutionOutcome", json!(["0x1"])).await);
    assert_eq!(
        (&outcome["first_block"], outcome["receipts"][0].as_array().unwrap().len()),
        (&json!(1), 3)
    );
    let storage = &outcome["bundle"]["state"][CONTRACT]["storage"]["0x1"];
    let want = json!({"previous_or_original_value": "0x0", "present_value": "0x2a"});
    assert_eq!(storage, &want, "{outcome}");
    let many = ask(&methods, "reth_getBlockExecutionOutcome", json!(["0x1", 129])).await;
    assert_eq!(many["error"]["code"], -32602);
    assert_eq!(result(ask(&methods, "debug_getAccessibleState", json!(["0x1", "0x0"])).await), 1);
    let preimage = ask(&methods, "debug_preimage", json!([hash_of(CONTRACT)])).await;
    assert_eq!(result(preimage), CONTRACT);
    let slot = keccak256(B256::with_last_byte(1));
    let preimage = ask(&methods, "debug_preimage", json!([slot])).await;
    assert_eq!(result(preimage), json!(B256::with_last_byte(1)));
    let code = keccak256(alloy_primitives::hex::decode(STORE).unwrap());
    assert_eq!(result(ask(&methods, "debug_codeByHash", json!([code])).await), STORE);
    assert_eq!(result(ask(&methods, "debug_codeByHash", json!([B256::ZERO])).await), "0x");
    let none = ask(&methods, "debug_codeByHash", json!([B256::repeat_byte(1)])).await;
    assert!(result(none).is_null());
    chain.stop().await;
}

#[tokio::test]
async fn roots_between_transactions_end_in_the_blocks_own() {
    let (chain, methods, block) = one_block(NodeConfig::default()).await;
    let roots = result(ask(&methods, "debug_intermediateRoots", json!([block["hash"]])).await);
    let roots: Vec<_> = roots.as_array().unwrap().clone();
    assert_eq!(roots.iter().map(Value::to_string).collect::<BTreeSet<_>>().len(), 3);
    // The block's last system calls change nothing here.
    assert_eq!(roots[2], block["stateRoot"]);
    let same = json!([{"accounts": {}, "storages": {}}, "latest"]);
    let same = result(ask(&methods, "debug_stateRootWithUpdates", same).await);
    assert_eq!(same[0], block["stateRoot"]);
    let slot = keccak256(B256::with_last_byte(1)).to_string();
    let update = |slot: &str| {
        json!([{"storages": {
            hash_of(CONTRACT).to_string(): {"wiped": false, "storage": {slot: "0x2b"}}
        }}])
    };
    let changed = result(ask(&methods, "debug_stateRootWithUpdates", update(&slot)).await);
    result(
        ask(&methods, "anvil_setStorageAt", json!([CONTRACT, "0x1", format!("{:#066x}", 0x2b)]))
            .await,
    );
    let head = result(ask(&methods, "debug_stateRootWithUpdates", json!([{}])).await);
    assert_eq!(changed[0], head[0], "the same change by a dev user leads to the same root");
    let unknown =
        ask(&methods, "debug_stateRootWithUpdates", update(&B256::ZERO.to_string())).await;
    let text = unknown["error"]["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("unknown preimage"), "{unknown}");
    let genesis = result(ask(&methods, "eth_getBlockByNumber", json!(["0x0", false])).await);
    let answer = ask(&methods, "debug_intermediateRoots", json!([genesis["hash"]])).await;
    assert_eq!(answer["error"]["message"], "genesis is not traceable");
    chain.stop().await;
}

#[tokio::test]
async fn access_lists_are_there_from_amsterdam_on() {
    let (chain, methods, _) = one_block(NodeConfig::default()).await;
    for (method, params) in [
        ("eth_getBlockAccessList", json!(["latest"])),
        ("eth_getBlockAccessListByBlockNumber", json!(["0x1"])),
        ("eth_getBlockAccessListRaw", json!(["0x1"])),
    ] {
        assert!(result(ask(&methods, method, params).await).is_null(), "{method}");
    }
    let raw = ask(&methods, "debug_getRawBlockAccessList", json!(["0x1"])).await;
    assert_eq!(raw["error"]["code"], -32000, "{raw}");
    chain.stop().await;

    let (chain, methods) = start_at(NodeConfig::default(), genesis::SpecId::AMSTERDAM).await;
    let image = alloy_primitives::hex::encode_prefixed(
        std::fs::read("../contracts/images/pingpong.elf").unwrap(),
    );
    let deployed =
        result(ask(&methods, "rv_deploy", json!([{"image": image, "from": ALICE}])).await);
    let contract = deployed["address"].as_str().unwrap().to_lowercase();
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    let list = result(ask(&methods, "eth_getBlockAccessList", json!([block["hash"]])).await);
    let find = |address: &str| {
        let all = list.as_array().unwrap().iter();
        all.clone().find(|account| account["address"] == address).unwrap().clone()
    };
    let code = result(ask(&methods, "eth_getCode", json!([contract])).await);
    assert!(code.as_str().unwrap().starts_with("0xef5256"), "a RISC-V contract");
    assert_eq!(find(&contract)["codeChanges"].as_array().unwrap().len(), 1);
    assert_eq!(find(ALICE)["nonceChanges"].as_array().unwrap().len(), 1);
    for method in ["eth_getBlockAccessListRaw", "debug_getRawBlockAccessList"] {
        let raw = result(ask(&methods, method, json!(["latest"])).await);
        let bytes = alloy_primitives::hex::decode(raw.as_str().unwrap()).unwrap();
        assert_eq!(json!(keccak256(bytes)), block["blockAccessListHash"], "{method}");
    }
    assert_eq!(result(ask(&methods, "eth_getBlockAccessList", json!(["0x0"])).await), json!([]));
    let none = ask(&methods, "eth_getBlockAccessListByBlockHash", json!([B256::ZERO])).await;
    assert!(result(none).is_null());
    chain.stop().await;
}

#[tokio::test]
async fn the_node_says_what_it_is() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let head = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    let info = result(ask(&methods, "admin_nodeInfo", json!([])).await);
    assert_eq!(info["protocols"]["eth"]["network"], 31337);
    assert_eq!(info["protocols"]["eth"]["genesis"], head["hash"]);
    assert_eq!(info["protocols"]["eth"]["head"], head["hash"]);
    let config = result(ask(&methods, "debug_chainConfig", json!([])).await);
    assert_eq!((&config["chainId"], &info["protocols"]["eth"]["config"]), (&json!(31337), &config));
    let forks = result(ask(&methods, "eth_config", json!([])).await);
    assert_eq!(forks["current"]["activationTime"], 0);
    assert_eq!(forks["current"]["chainId"], "0x7a69");
    assert_eq!((&forks["next"], &forks["last"]), (&Value::Null, &Value::Null));
    assert_eq!(
        forks["current"]["precompiles"]["ECREC"],
        "0x0000000000000000000000000000000000000001"
    );
    let capabilities = result(ask(&methods, "eth_capabilities", json!([])).await);
    assert_eq!(capabilities["head"], json!({"number": "0x0", "hash": head["hash"]}));
    assert_eq!(capabilities["state"], json!({"disabled": false, "oldestBlock": "0x0"}));
    assert_eq!(result(ask(&methods, "debug_getBadBlocks", json!([])).await), json!([]));
    let bad = ask(&methods, "debug_replayBadBlock", json!([B256::ZERO])).await;
    assert_eq!(bad["error"]["message"], format!("bad block {} not found", B256::ZERO));
    chain.stop().await;
}

#[tokio::test]
async fn traces_of_a_chain_are_told_block_by_block() {
    let (chain, methods, block) = one_block(NodeConfig::default()).await;
    let params = json!(["traceChain", "0x0", "0x1", {"tracer": "callTracer"}]);
    let mut traces = Subscriber::begin(&methods, "debug_subscribe", params).await.unwrap();
    let told = traces.next().await;
    assert_eq!((&told["block"], &told["hash"]), (&json!("0x1"), &block["hash"]));
    for (index, to) in [BOB, CONTRACT, BOB].into_iter().enumerate() {
        assert_eq!(told["traces"][index]["txHash"], block["transactions"][index]["hash"]);
        assert_eq!(told["traces"][index]["result"]["to"], to);
    }
    for params in
        [("other", "0x0", "0x1"), ("traceChain", "0x1", "0x1"), ("traceChain", "0x0", "0x9")]
    {
        let begun = Subscriber::begin(&methods, "debug_subscribe", json!(params)).await;
        assert!(begun.is_err(), "{params:?}");
    }
    chain.stop().await;
}

#[tokio::test]
async fn reth_tells_of_blocks() {
    let (chain, methods) =
        start(NodeConfig { slots_in_an_epoch: 1, ..NodeConfig::default() }).await;
    let mut all =
        Subscriber::begin(&methods, "reth_subscribeChainNotifications", json!([])).await.unwrap();
    let mut kept =
        Subscriber::begin(&methods, "reth_subscribePersistedBlock", json!([])).await.unwrap();
    let mut finals =
        Subscriber::begin(&methods, "reth_subscribeFinalizedChainNotifications", json!([]))
            .await
            .unwrap();
    let snapshot = result(ask(&methods, "evm_snapshot", json!([])).await);
    result(ask(&methods, "anvil_mine", json!(["0x3"])).await);
    let first = result(ask(&methods, "eth_getBlockByNumber", json!(["0x1", true])).await);
    let told = all.next().await;
    assert_eq!(told["Commit"]["new"]["blocks"]["1"], first);
    let told = kept.next().await;
    assert_eq!(told, json!({"number": 1, "hash": first["hash"]}));
    let told = finals.next().await;
    assert_eq!(told[0]["Commit"]["new"]["blocks"]["1"], first, "two epochs later");
    let third = result(ask(&methods, "eth_getBlockByNumber", json!(["0x3", true])).await);
    result(ask(&methods, "evm_revert", json!([snapshot])).await);
    let mut told = json!({});
    for _ in 0..3 {
        told = all.next().await;
    }
    assert_eq!(told["Reorg"]["old"]["blocks"]["3"], third, "{told}");
    chain.stop().await;
}
