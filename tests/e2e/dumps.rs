//! Dumps of anvil's in Tandem, and Tandem's in anvil: what is read afterwards is what was dumped.

use alloy::primitives::{Address, hex};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node, node, npm, rpc::quantity};

use crate::support::address;

const SOMEONE: Address = Address::repeat_byte(0x55);
const STRANGER: Address = Address::repeat_byte(0x22);
/// Deploys code that logs topic 9 with 32 bytes and puts the block's number into slot 1.
const LOGGER: &str = "0x600b8060095f395ff3600960205fa14360015500";
/// Who does not know it: the hash of nothing known.
const UNKNOWN: &str = "0x00000000000000000000000000000000000000000000000000000000000000ff";

fn anvil(arguments: &[&str]) -> Result<Option<Node>> {
    let Some(folder) = npm::folder("dumps of anvil's")? else { return Ok(None) };
    let mut command = std::process::Command::new(npm::foundry_path(folder, "anvil")?);
    command.args(["--port", "0"]).args(arguments);
    Ok(Some(Node::spawn(command)?))
}

/// The receipt of a transaction, once there is one: anvil answers before it seals.
fn receipt(client: &mut Client, hash: &Value) -> Result<Value> {
    for _ in 0..100 {
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        if !receipt.is_null() {
            return Ok(receipt);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    anyhow::bail!("{hash} has no receipt after five seconds")
}

/// Six blocks with a transfer, a contract, calls of it, one of them by somebody who did not sign.
fn furnish(client: &mut Client) -> Result<Address> {
    let (from, gas) = (address(0)?, "0x20000");
    let send = |client: &mut Client, request: Value| -> Result<Value> {
        let hash = client.call("eth_sendTransaction", json!([request]))?;
        receipt(client, &hash)
    };
    send(client, json!({"from": from, "to": SOMEONE, "value": "0x7"}))?;
    let receipt = send(client, json!({"from": from, "data": LOGGER, "gas": gas}))?;
    let logger: Address = serde_json::from_value(receipt["contractAddress"].clone())?;
    send(client, json!({"from": from, "to": logger, "gas": gas}))?;
    client.call("anvil_setBalance", json!([STRANGER, "0xde0b6b3a7640000"]))?;
    client.call("anvil_impersonateAccount", json!([STRANGER]))?;
    send(client, json!({"from": STRANGER, "to": logger, "gas": gas}))?;
    client.call("anvil_mine", json!(["0x2", "0x5"]))?;
    Ok(logger)
}

/// What a node says of the chain that [`furnish`] made, but for fields that one of the two has not:
/// blooms
/// of receipts. Without older states, what needs none of them.
fn facts(client: &mut Client, logger: Address, historical: bool) -> Result<Vec<(String, Value)>> {
    let mut asked = Vec::new();
    let mut ask = |client: &mut Client, method: &str, params: Value| -> Result<Value> {
        let mut answer = client.call(method, params.clone())?;
        for field in ["logsBloom", "size", "totalDifficulty", "blobGasPrice", "blockTimestamp"] {
            forget(&mut answer, field);
        }
        asked.push((format!("{method} {params}"), answer.clone()));
        Ok(answer)
    };
    for number in 0..=6 {
        let tag = format!("{number:#x}");
        let block = ask(client, "eth_getBlockByNumber", json!([tag, true]))?;
        ask(client, "eth_getBlockByHash", json!([block["hash"], false]))?;
        ask(client, "eth_getBlockReceipts", json!([tag]))?;
        ask(client, "eth_getLogs", json!([{"blockHash": block["hash"]}]))?;
        for transaction in block["transactions"].as_array().context("no list")? {
            let hash = json!([transaction["hash"]]);
            ask(client, "eth_getTransactionByHash", hash.clone())?;
            ask(client, "eth_getTransactionReceipt", hash)?;
        }
        if historical || number == 6 {
            for account in [address(0)?, SOMEONE, STRANGER, logger] {
                ask(client, "eth_getBalance", json!([account, tag]))?;
                ask(client, "eth_getTransactionCount", json!([account, tag]))?;
                ask(client, "eth_getCode", json!([account, tag]))?;
            }
            ask(client, "eth_getStorageAt", json!([logger, "0x1", tag]))?;
        }
    }
    ask(client, "eth_getLogs", json!([{"fromBlock": "0x0", "address": logger}]))?;
    ask(client, "eth_getTransactionByHash", json!([UNKNOWN]))?;
    ask(client, "eth_blockNumber", json!([]))?;
    Ok(asked)
}

fn forget(value: &mut Value, field: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, field)),
        Value::Object(object) => {
            object.remove(field);
            object.values_mut().for_each(|item| forget(item, field));
        }
        _ => {}
    }
}

fn same(expected: &[(String, Value)], found: &[(String, Value)]) -> Result<()> {
    for ((question, expected), (_, found)) in expected.iter().zip(found) {
        ensure!(expected == found, "{question}:\nexpected {expected}\nfound    {found}");
    }
    ensure!(expected.len() == found.len(), "other questions");
    Ok(())
}

fn dump(client: &mut Client, historical: bool) -> Result<Value> {
    client.call("anvil_dumpState", json!([historical]))
}

fn verify(data: &str) -> Result<()> {
    let mut command = std::process::Command::new(node::binary()?);
    command.args(["db", "verify", "--datadir", data]);
    let output = node::clean(command).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_dump_of_anvils_is_answered_as_anvil_does() -> Result<()> {
    for historical in [true, false] {
        let Some(theirs) = anvil(&["--timestamp", "1000000"])? else { return Ok(()) };
        let mut client = theirs.client()?;
        let logger = furnish(&mut client)?;
        let expected = facts(&mut client, logger, historical)?;
        let dump = dump(&mut client, historical)?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let data = data.to_str().context("no UTF-8")?;
        let ours = Node::start(&["--datadir", data])?;
        let mut client = ours.client()?;
        ensure!(client.call("anvil_loadState", json!([dump]))? == true, "not taken");
        same(&expected, &facts(&mut client, logger, historical)?)?;
        ours.stop()?;
        verify(data)?;
        // And all of it is there after a restart, the tree's root checked.
        let ours = Node::start(&["--datadir", data])?;
        let mut client = ours.client()?;
        same(&expected, &facts(&mut client, logger, historical)?)?;
        go_on(&mut client, logger, historical)?;
        ours.stop()?;
        verify(data)?;
    }
    Ok(())
}

/// A chain that was loaded goes on, is traced, gone back on and begun anew.
fn go_on(client: &mut Client, logger: Address, historical: bool) -> Result<()> {
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    let request = json!([{"from": address(1)?, "to": logger, "gas": "0x20000"}]);
    let hash = client.call("eth_sendTransaction", request)?;
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["blockNumber"] == "0x7" && receipt["status"] == "0x1", "{receipt}");
    let block = client.call("eth_getBlockByNumber", json!(["0x7", false]))?;
    ensure!(block["parentHash"] == head["hash"], "{block}");
    let old = client.call("eth_getBlockByNumber", json!(["0x3", false]))?;
    let traced = json!([old["transactions"][0], {"tracer": "callTracer"}]);
    let balance = json!([SOMEONE, "0x1"]);
    if historical {
        let trace = client.call("debug_traceTransaction", traced)?;
        ensure!(trace["to"] == json!(logger) && trace.get("error").is_none(), "{trace}");
        ensure!(client.call("eth_getBalance", balance)? == "0x7", "no older state");
        client.call("anvil_rollback", json!(["0x4"]))?;
        ensure!(quantity(&client.call("eth_blockNumber", json!([]))?)? == 3, "not gone back");
        let gone = client.call("eth_getBlockByNumber", json!(["0x4", false]))?;
        ensure!(gone.is_null(), "{gone}");
        client.call("evm_mine", json!([]))?;
        let block = client.call("eth_getBlockByNumber", json!(["0x4", false]))?;
        ensure!(block["parentHash"] == old["hash"], "{block}");
    } else {
        for (method, params) in [("debug_traceTransaction", traced), ("eth_getBalance", balance)] {
            let error = client.refused(method, params)?;
            ensure!(error.message.contains("is not available"), "{method}: {error}");
        }
        let error = client.refused("anvil_rollback", json!(["0x4"]))?;
        ensure!(error.message.contains("is not available"), "{error}");
        let first = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
        client.call("anvil_reset", json!([]))?;
        ensure!(quantity(&client.call("eth_blockNumber", json!([]))?)? == 0, "no reset");
        let genesis = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
        ensure!(genesis["hash"] != first["hash"], "{genesis}");
        ensure!(client.call("eth_getCode", json!([logger, "latest"]))? == "0x", "no reset");
    }
    Ok(())
}

/// Facts about what was signed: anvil has another hash than Tandem for what was not, and blocks
/// name it.
fn signed(facts: &[(String, Value)]) -> Vec<(String, Value)> {
    let stranger = STRANGER.to_string().to_lowercase();
    // Block 4 has it, and logs of block 4 are its.
    let unsigned = [stranger.as_str(), "\"number\":\"0x4\"", "\"blockNumber\":\"0x4\""];
    let is_signed = |(question, answer): &&(String, Value)| {
        let answer = answer.to_string();
        !question.contains("0x4") && !unsigned.iter().any(|text| answer.contains(text))
    };
    facts.iter().filter(is_signed).cloned().collect()
}

#[test]
fn our_dump_is_answered_in_anvil_as_here() -> Result<()> {
    let ours = Node::start(&[])?;
    let mut client = ours.client()?;
    let logger = furnish(&mut client)?;
    let expected = facts(&mut client, logger, true)?;
    let dump = dump(&mut client, true)?;
    let Some(theirs) = anvil(&[])? else { return Ok(()) };
    let mut client = theirs.client()?;
    ensure!(client.call("anvil_loadState", json!([dump]))? == true, "not taken");
    let found = facts(&mut client, logger, true)?;
    let (expected, found) = (signed(&expected), signed(&found));
    ensure!(expected.len() > 60, "only {} of the facts", expected.len());
    same(&expected, &found)?;
    let request = json!([{"from": address(1)?, "to": logger, "gas": "0x20000"}]);
    let hash = client.call("eth_sendTransaction", request)?;
    let receipt = receipt(&mut client, &hash)?;
    ensure!(receipt["blockNumber"] == "0x7" && receipt["status"] == "0x1", "{receipt}");
    // And back again, with what anvil has added; what was not signed has its first hash again.
    let expected = facts(&mut client, logger, true)?;
    let dump = self::dump(&mut client, true)?;
    let again = Node::start(&[])?;
    let mut client = again.client()?;
    ensure!(client.call("anvil_loadState", json!([dump]))? == true, "not taken back");
    same(&signed(&expected), &signed(&facts(&mut client, logger, true)?))
}

#[test]
fn a_dump_takes_the_place_of_a_running_chain() -> Result<()> {
    let ours = Node::start(&["--no-mining"])?;
    let mut client = ours.client()?;
    let transfer = |to: Address| json!([{"from": address(2).ok(), "to": to, "value": "0x1"}]);
    client.call("anvil_mine", json!(["0x3"]))?;
    let dumped = dump(&mut client, false)?;
    let mark = client.call("evm_snapshot", json!([]))?;
    let filter = client.call("eth_newBlockFilter", json!([]))?;
    client.call("anvil_setBalance", json!([SOMEONE, "0x9"]))?;
    client.call("anvil_mine", json!(["0x5"]))?;
    let left = client.call("eth_getBlockByNumber", json!(["0x8", false]))?;
    let waiting = client.call("eth_sendTransaction", transfer(STRANGER))?;
    ensure!(client.call("anvil_loadState", json!([dumped]))? == true, "not taken");
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x3", "not the dump's height");
    // Accounts that the dump does not name stay, as with anvil.
    ensure!(client.call("eth_getBalance", json!([SOMEONE, "latest"]))? == "0x9", "an account");
    let gone = client.call("eth_getBlockByHash", json!([left["hash"], false]))?;
    ensure!(gone.is_null(), "{gone}");
    // Savepoints were of the chain that is gone.
    ensure!(
        client.call("evm_revert", json!([mark]))? == false,
        "a savepoint of a chain that is gone"
    );
    // What waits goes on waiting.
    client.call("evm_mine", json!([]))?;
    let receipt = client.call("eth_getTransactionReceipt", json!([waiting]))?;
    ensure!(receipt["blockNumber"] == "0x4", "{receipt}");
    let changes = client.call("eth_getFilterChanges", json!([filter]))?;
    let newest = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    let told = changes.as_array().context("no list")?;
    ensure!(told.last() == Some(&newest["hash"]), "{changes}");
    // A dump of accounts alone changes neither blocks nor height; slots that it does not name stay.
    client.call("anvil_setStorageAt", json!([SOMEONE, "0x1", UNKNOWN]))?;
    let accounts = json!({"accounts": {SOMEONE.to_string():
        {"nonce": 3, "balance": "0x8", "code": "0x00", "storage": {"0x2": "0x5"}}}});
    let accounts = hex::encode_prefixed(accounts.to_string());
    ensure!(client.call("anvil_loadState", json!([accounts]))? == true, "accounts");
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x4", "moved by accounts");
    ensure!(client.call("eth_getBalance", json!([SOMEONE, "latest"]))? == "0x8", "no account");
    for (slot, value) in [("0x1", UNKNOWN), ("0x2", &format!("{:#066x}", 5))] {
        let found = client.call("eth_getStorageAt", json!([SOMEONE, slot, "latest"]))?;
        ensure!(found == value, "slot {slot}: {found}");
    }
    Ok(())
}

#[test]
fn a_dump_without_blocks_begins_one_at_its_height() -> Result<()> {
    let ours = Node::start(&[])?;
    let mut client = ours.client()?;
    let block = |number: &str| {
        json!({"number": number, "timestamp": "0x77359400",
        "gas_limit": "0x1312d00", "basefee": "0x7", "beneficiary": STRANGER})
    };
    let load = |client: &mut Client, dump: Value| {
        client.try_call("anvil_loadState", json!([hex::encode_prefixed(dump.to_string())]))
    };
    let accounts = json!({SOMEONE.to_string():
        {"nonce": "0x1", "balance": "0x8", "code": "0x", "storage": {}}});
    load(&mut client, json!({"block": block("0x29"), "accounts": accounts}))??;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    let wanted = [("number", "0x29"), ("baseFeePerGas", "0x7"), ("gasLimit", "0x1312d00")];
    for (field, value) in wanted {
        ensure!(head[field] == value, "{field} of {head}");
    }
    client.call("evm_mine", json!([]))?;
    let next = client.call("eth_getBlockByNumber", json!(["0x2a", false]))?;
    ensure!(next["parentHash"] == head["hash"] && next["miner"] == json!(STRANGER), "{next}");
    let early = client.call("eth_getBlockByNumber", json!(["earliest", false]))?;
    ensure!(early["hash"] == head["hash"], "{early}");
    let refusals = [
        (json!({"block": block("0xffffffffffffffff"), "accounts": {}}), "is above"),
        (
            json!({"accounts": {SOMEONE.to_string(): {"nonce": "x", "balance": "0x0", "code": "0x",
            "storage": {}}}}),
            "nonce is no number",
        ),
        (
            json!({"accounts": {SOMEONE.to_string(): {"nonce": 0, "code": "0x", "storage": {},
            "balance": "0x100000000000000000000000000000000"}}}),
            "balance",
        ),
        (json!({}), "missing field `accounts`"),
    ];
    for (dump, reason) in refusals {
        let Err(error) = load(&mut client, dump.clone())? else {
            anyhow::bail!("taken: {dump}");
        };
        ensure!(error.message.contains(reason), "{error}");
    }
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x2a", "moved by what was refused");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gone").join("state.json");
    let path = path.to_str().context("a path that is no UTF-8")?;
    for flag in ["--state", "--dump-state"] {
        let mut command = std::process::Command::new(node::binary()?);
        command.args(["--port", "0", flag, path]);
        let output = node::clean(command).output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{flag}: {}", output.status);
        ensure!(text.contains(path) && text.contains("No such file"), "{flag}: {text}");
    }
    Ok(())
}
