//! The recorded exchanges of ethereum/execution-apis over its own chain, imported with
//! `tandem import`, judged as hive's `rpc-compat` simulator does: equal JSON, where both have an
//! error its message aside; what is marked `speconly` has to fit the method's schema instead.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node, node, rpc::quantity};

use super::Report;

/// Exchanges that end otherwise by design, and why: by the file's path.
const LISTED: &[(&str, &str)] = &[];

/// An exchange: requests, each with its answer.
struct Exchange {
    name: String,
    spec_only: bool,
    turns: Vec<(String, Value)>,
}

/// Result schemas by method.
type Schemas = HashMap<String, jsonschema::Validator>;

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let datadir = tempfile::tempdir()?;
    import(folder, datadir.path())?;
    let path = datadir.path().to_str().context("the path is no text")?;
    let node = Node::start(&["--datadir", path])?;
    let mut client = node.client()?;
    report.note("headfcu.json", check_tags(folder, &mut client));
    report.note("forkenv.json", check_fork_env(folder, &mut client));
    report.note("issuance of ots_getBlockDetails", check_issuance(folder, &mut client));
    let schemas = read_schemas(folder)?;
    let exchanges = read_exchanges(folder)?;
    ensure!(!exchanges.is_empty(), "{} has no exchanges", folder.display());
    for exchange in &exchanges {
        let played = play(exchange, &mut client, &schemas);
        match LISTED.iter().find(|(name, _)| *name == exchange.name) {
            Some((name, reason)) if played.is_err() => {
                println!("listed: {name}: {reason}");
                report.listed += 1;
            }
            Some((name, _)) => report.note(name, Err(anyhow::anyhow!("listed, but it passes"))),
            None => report.note(&format!("execution-apis {}", exchange.name), played),
        }
    }
    node.stop()
}

/// Imports the suite's chain into `datadir`.
pub(crate) fn import(folder: &Path, datadir: &Path) -> Result<()> {
    let mut command = node::clean(Command::new(node::binary()?));
    command.arg("import").arg(folder.join("chain.rlp"));
    command.arg("--genesis").arg(folder.join("genesis.json"));
    command.arg("--datadir").arg(datadir);
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the import failed: {stderr}");
    Ok(())
}

/// What hive tells a client with `engine_forkchoiceUpdated` follows from the import here.
fn check_tags(folder: &Path, client: &mut Client) -> Result<()> {
    let told: Value = serde_json::from_slice(&fs::read(folder.join("headfcu.json"))?)?;
    let state = &told["params"][0];
    let tags = [
        ("latest", "headBlockHash"),
        ("safe", "safeBlockHash"),
        ("finalized", "finalizedBlockHash"),
    ];
    for (tag, field) in tags {
        let block = client.call("eth_getBlockByNumber", json!([tag, false]))?;
        ensure!(block["hash"] == state[field], "{tag} is {}", block["hash"]);
    }
    Ok(())
}

/// The settings that hive gives a client are those of the genesis file.
fn check_fork_env(folder: &Path, client: &mut Client) -> Result<()> {
    let env: Value = serde_json::from_slice(&fs::read(folder.join("forkenv.json"))?)?;
    let genesis: Value = serde_json::from_slice(&fs::read(folder.join("genesis.json"))?)?;
    let number = |name: &str| -> Result<u64> {
        Ok(env[name].as_str().with_context(|| name.to_owned())?.parse()?)
    };
    let config = &genesis["config"];
    for (variable, key) in [
        ("HIVE_FORK_HOMESTEAD", "homesteadBlock"),
        ("HIVE_FORK_TANGERINE", "eip150Block"),
        ("HIVE_FORK_SPURIOUS", "eip158Block"),
        ("HIVE_FORK_BYZANTIUM", "byzantiumBlock"),
        ("HIVE_FORK_LONDON", "londonBlock"),
        ("HIVE_MERGE_BLOCK_ID", "mergeNetsplitBlock"),
        ("HIVE_SHANGHAI_TIMESTAMP", "shanghaiTime"),
        ("HIVE_CANCUN_TIMESTAMP", "cancunTime"),
        ("HIVE_PRAGUE_TIMESTAMP", "pragueTime"),
        ("HIVE_OSAKA_TIMESTAMP", "osakaTime"),
        ("HIVE_BPO2_TIMESTAMP", "bpo2Time"),
    ] {
        ensure!(config[key] == json!(number(variable)?), "{variable} is not {key}");
    }
    let chain_id = client.call("eth_chainId", json!([]))?;
    ensure!(chain_id == json!(format!("{:#x}", number("HIVE_CHAIN_ID")?)), "{chain_id}");
    let network = client.call("net_version", json!([]))?;
    ensure!(network == env["HIVE_NETWORK_ID"], "{network}");
    Ok(())
}

/// Proof of work pays 5, 3 and 2 ether, a 32nd of it for each uncle, and uncles by their nearness.
fn check_issuance(folder: &Path, client: &mut Client) -> Result<()> {
    let genesis: Value = serde_json::from_slice(&fs::read(folder.join("genesis.json"))?)?;
    let config = &genesis["config"];
    let at = |key: &str| config[key].as_u64().with_context(|| key.to_owned());
    let (byzantium, constantinople) = (at("byzantiumBlock")?, at("constantinopleBlock")?);
    let merge = at("mergeNetsplitBlock")?;
    let head = quantity(&client.call("eth_blockNumber", json!([]))?)?;
    let (mut paid, mut uncles_seen) = (0, 0);
    for number in 0..=head {
        let details = client.call("ots_getBlockDetails", json!([number]))?;
        let uncles = details["block"]["uncles"].as_array().context("no uncles")?.len() as u128;
        let ether: u128 = match number {
            0 => 0,
            _ if number >= merge => 0,
            _ if number >= constantinople => 2,
            _ if number >= byzantium => 3,
            _ => 5,
        };
        let reward = ether * 1_000_000_000_000_000_000;
        let mut uncle_reward = 0;
        for index in 0..uncles {
            let place = json!([format!("{number:#x}"), format!("{index:#x}")]);
            let uncle = client.call("eth_getUncleByBlockNumberAndIndex", place)?;
            let distance = number - quantity(&uncle["number"])?;
            uncle_reward += reward * u128::from(8 - distance) / 8;
        }
        let block_reward = reward + reward / 32 * uncles;
        let hex = |wei: u128| json!(format!("{wei:#x}"));
        let wanted = json!({
            "blockReward": hex(block_reward),
            "uncleReward": hex(uncle_reward),
            "issuance": hex(block_reward + uncle_reward),
        });
        ensure!(details["issuance"] == wanted, "block {number}: {}", details["issuance"]);
        paid += u64::from(block_reward > 0);
        uncles_seen += uncles;
    }
    ensure!(paid == merge - 1 && uncles_seen > 0, "{paid} rewards, {uncles_seen} uncles");
    Ok(())
}

fn read_schemas(folder: &Path) -> Result<Schemas> {
    let document: Value = serde_json::from_slice(&fs::read(folder.join("openrpc.json"))?)?;
    let methods = document["methods"].as_array().context("openrpc.json has no methods")?;
    let mut schemas = Schemas::new();
    for method in methods {
        let (Some(name), Some(schema)) =
            (method["name"].as_str(), method.pointer("/result/schema"))
        else {
            continue;
        };
        let schema = jsonschema::draft201909::new(schema)
            .map_err(|error| anyhow::anyhow!("schema of {name}: {error}"))?;
        schemas.insert(name.to_owned(), schema);
    }
    Ok(schemas)
}

fn read_exchanges(folder: &Path) -> Result<Vec<Exchange>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for method in folder.read_dir()? {
        let method = method?.path();
        if method.is_dir() {
            files.extend(
                method.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?,
            );
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "io"));
    files.sort();
    files.iter().map(|path| read_exchange(folder, path)).collect()
}

fn read_exchange(folder: &Path, path: &Path) -> Result<Exchange> {
    let name = path.strip_prefix(folder)?.with_extension("").display().to_string();
    let text = fs::read_to_string(path)?;
    let (mut spec_only, mut turns, mut request) = (false, Vec::new(), None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("//") {
            // Only what stands before the first request counts.
            let is_head = request.is_none() && turns.is_empty();
            spec_only |= is_head && comment.trim_start().starts_with("speconly:");
        } else if let Some(data) = line.strip_prefix(">>") {
            ensure!(request.replace(data.trim().to_owned()).is_none(), "{name}: no answer");
        } else if let Some(data) = line.strip_prefix("<<") {
            let request = request.take().with_context(|| format!("{name}: no request"))?;
            turns.push((request, serde_json::from_str(data)?));
        } else {
            bail!("{name}: {line:?} is no line of an exchange");
        }
    }
    ensure!(request.is_none(), "{name}: no answer");
    Ok(Exchange { name, spec_only, turns })
}

fn play(exchange: &Exchange, client: &mut Client, schemas: &Schemas) -> Result<()> {
    for (request, expected) in &exchange.turns {
        let answer = client.exchange(request.as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if exchange.spec_only && answer.get("error").is_none() {
            let request: Value = serde_json::from_str(request)?;
            let method = request["method"].as_str().unwrap_or_default();
            let schema = schemas.get(method).with_context(|| format!("no schema of {method}"))?;
            let result = answer.get("result").unwrap_or(&Value::Null);
            if let Err(error) = schema.validate(result) {
                bail!("{}: {error}", error.instance_path());
            }
            continue;
        }
        if let Some(difference) = difference("", &answer, expected) {
            bail!("{difference}");
        }
    }
    Ok(())
}

/// The first difference between two JSON values, messages of errors that both have aside.
fn difference(path: &str, got: &Value, expected: &Value) -> Option<String> {
    let short = |value: &Value| value.to_string().chars().take(160).collect::<String>();
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            let is_error = path.ends_with("/error");
            let names = got.keys().chain(expected.keys());
            names.filter(|name| !(is_error && *name == "message")).find_map(|name| {
                let path = format!("{path}/{name}");
                match (got.get(name), expected.get(name)) {
                    (Some(got), Some(expected)) => difference(&path, got, expected),
                    (Some(got), None) => Some(format!("{path}: {} not expected", short(got))),
                    (None, Some(expected)) => Some(format!("{path}: {} missing", short(expected))),
                    (None, None) => None,
                }
            })
        }
        (Value::Array(got), Value::Array(expected)) if got.len() == expected.len() => {
            let both = got.iter().zip(expected).enumerate();
            both.into_iter().find_map(|(index, (got, expected))| {
                difference(&format!("{path}/{index}"), got, expected)
            })
        }
        (Value::Number(got), Value::Number(expected)) if got.as_f64() == expected.as_f64() => None,
        _ if got == expected => None,
        _ => Some(format!("{path}: {} instead of {}", short(got), short(expected))),
    }
}
