//! The kit beside solc: contracts that are drawn at random, as a RISC-V image and as their Solidity
//! twin, on one node.
//!
//! `kind.rs` draws types and values, `source.rs` writes both contracts. What is compared: all of the
//! storage after the same steps, answers, events and errors, what becomes of hostile calldata, and
//! the ABI. `TANDEM_TWINS_SEEDS=3,4,5` draws other contracts.

mod kind;
mod source;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{hex, keccak256};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node, npm};

use crate::project::{Project, target};
use kind::Dice;
use source::{FUNCTIONS, STEPS, Twins};

/// Where the Solidity contracts stand.
const SOLIDITY: &str = "0x0000000000000000000000000000000000001eaf";
/// `Panic(0x41)`.
const OUT_OF_MEMORY: &str =
    "0x4e487b710000000000000000000000000000000000000000000000000000000000000041";
/// How many values and how many spoilt calldata each function gets.
const VALUES: usize = 6;
const SPOILT: usize = 40;

#[test]
fn drawn_contracts_do_as_their_solidity_twins() -> Result<()> {
    let Some(npm) = npm::folder("contracts beside solc")? else { return Ok(()) };
    let seeds = std::env::var("TANDEM_TWINS_SEEDS").unwrap_or_else(|_| "1,2".to_owned());
    let seeds: Vec<u64> = seeds.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let project = Project::new("twins")?;
    fs::remove_file(project.folder.join("src/main.rs"))?;
    fs::create_dir_all(project.folder.join("src/bin"))?;
    let twins: Vec<Twins> = seeds.iter().map(|seed| Twins::new(&mut Dice::new(*seed))).collect();
    for (seed, twins) in seeds.iter().zip(&twins) {
        fs::write(project.folder.join(format!("src/bin/twin{seed}.rs")), &twins.rust)?;
    }
    project.json(&["build"])?;
    for (seed, twins) in seeds.iter().zip(&twins) {
        let interface = fs::read_to_string(target()?.join(format!("tandem/ITwin{seed}.sol")))?;
        let compiled = compile(npm, &twins.solidity, &interface)
            .with_context(|| format!("seed {seed}:\n{}", twins.solidity))?;
        let outcome = compare(*seed, twins, &compiled);
        outcome.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

/// What solc makes of a contract and of the interface that the kit gives its twin.
struct Compiled {
    code: String,
    abi: Value,
    interface: Value,
}

fn compile(npm: &std::path::Path, contract: &str, interface: &str) -> Result<Compiled> {
    const SCRIPT: &str =
        "process.stdout.write(require('solc').compile(require('fs').readFileSync(0, 'utf8')))";
    let input = json!({
        "language": "Solidity",
        "sources": { "Twin.sol": { "content": contract }, "ITwin.sol": { "content": interface } },
        "settings": {
            "viaIR": true,
            "evmVersion": "cancun",
            "outputSelection": { "*": { "*": ["abi", "evm.deployedBytecode.object"] } },
        },
    });
    let mut node = Command::new("node");
    node.args(["-e", SCRIPT]).current_dir(npm).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn()?;
    node.stdin.take().context("a pipe")?.write_all(input.to_string().as_bytes())?;
    let output: Value = serde_json::from_slice(&node.wait_with_output()?.stdout)?;
    let errors = output["errors"].as_array().cloned().unwrap_or_default();
    if let Some(error) = errors.iter().find(|error| error["severity"] == "error") {
        bail!("{}", error["formattedMessage"]);
    }
    let twin = &output["contracts"]["Twin.sol"]["Twin"];
    let interfaces = output["contracts"]["ITwin.sol"].as_object().context("an interface")?;
    // Libraries of structs stand beside it.
    let interface = interfaces.iter().find(|(name, _)| name.starts_with("ITwin"));
    Ok(Compiled {
        code: format!("0x{}", twin["evm"]["deployedBytecode"]["object"].as_str().context("code")?),
        abi: twin["abi"].clone(),
        interface: interface.context("the interface")?.1["abi"].clone(),
    })
}

fn compare(seed: u64, twins: &Twins, compiled: &Compiled) -> Result<()> {
    let read = |name: &str| -> Result<Vec<u8>> {
        Ok(fs::read(target()?.join(format!("tandem/twin{seed}{name}")))?)
    };
    let abi: Value = serde_json::from_slice(&read(".abi.json")?)?;
    same_abi(&abi, &compiled.abi).context("the ABI beside solc's")?;
    same_abi(&abi, &compiled.interface).context("the ABI beside that of the interface")?;
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    client.call("anvil_setCode", json!([SOLIDITY, compiled.code]))?;
    let accounts = client.call("eth_accounts", json!([]))?;
    let image = hex::encode_prefixed(read(".elf")?);
    let deployed = client.call("rv_deploy", json!([{ "image": image, "from": accounts[0] }]))?;
    let riscv = deployed["address"].as_str().context("an address")?.to_owned();
    let mut trial =
        Trial { client, from: accounts[0].clone(), contracts: [SOLIDITY.into(), riscv] };
    for step in 0..STEPS {
        trial.step(step).with_context(|| format!("step {step}"))?;
    }
    let mut dice = Dice::new(seed);
    for number in 0..FUNCTIONS {
        trial.function(number, twins, &mut dice).with_context(|| format!("function {number}"))?;
    }
    node.stop()
}

/// That two ABIs have the same entries, but for what types are called inside of a language.
fn same_abi(a: &Value, b: &Value) -> Result<()> {
    let (a, b) = (entries(a)?, entries(b)?);
    for (here, there) in [(&a, &b), (&b, &a)] {
        for entry in here {
            ensure!(there.contains(entry), "{entry} is missing");
        }
    }
    Ok(())
}

fn entries(abi: &Value) -> Result<Vec<Value>> {
    fn plain(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(plain),
            Value::Object(fields) => {
                fields.remove("internalType");
                fields.values_mut().for_each(plain);
            }
            _ => {}
        }
    }
    let mut abi = abi.clone();
    plain(&mut abi);
    Ok(abi.as_array().context("an array")?.clone())
}

/// A selector and the arguments behind it.
fn calldata(twins: &Twins, name: &str, number: usize, values: &[DynSolValue]) -> Vec<u8> {
    let types: Vec<String> = values
        .iter()
        .zip(&twins.arguments[number])
        .map(|(_, kind)| signature(kind, &twins.structs))
        .collect();
    let hash = keccak256(format!("{name}{number}({})", types.join(",")));
    [&hash[..4], &encoded(values)].concat()
}

fn encoded(values: &[DynSolValue]) -> Vec<u8> {
    DynSolValue::Tuple(values.to_vec()).abi_encode_params()
}

/// A type as it is in signatures.
fn signature(kind: &kind::Kind, structs: &[Vec<kind::Kind>]) -> String {
    use kind::Kind;
    match kind {
        Kind::Phase => "uint8".to_owned(),
        Kind::List(of) => format!("{}[]", signature(of, structs)),
        Kind::Array(of, len) => format!("{}[{len}]", signature(of, structs)),
        Kind::Struct(number) => {
            let fields: Vec<String> =
                structs[*number].iter().map(|field| signature(field, structs)).collect();
            format!("({})", fields.join(","))
        }
        other => other.solidity(),
    }
}

/// Calldata that nobody's encoder writes: cut, with another word in the place of one, or a bit.
fn spoil(data: &mut Vec<u8>, dice: &mut Dice) {
    let words = data.len().saturating_sub(4) / 32;
    match dice.below(5) {
        0 => data.truncate(4 + dice.below(data.len() - 3)),
        1 => data.extend(dice.bytes(33)),
        2 => {
            let at = 4 + dice.below(data.len() - 4);
            data[at] ^= 1 << dice.below(8);
        }
        _ => {
            let at = 4 + 32 * dice.below(words);
            let mut word = [0; 32];
            match dice.below(6) {
                0 => word = [0xff; 32],
                1 => word[23 - dice.below(16)] = 1,
                2 => word[24] = 0x80,
                3 => {}
                4 => word[30..].copy_from_slice(&(32 * dice.below(words + 2) as u16).to_be_bytes()),
                _ => word[31] = dice.below(256) as u8,
            }
            data[at..at + 32].copy_from_slice(&word);
        }
    }
}

/// Both contracts on one node.
struct Trial {
    client: Client,
    from: Value,
    /// Solidity's, then the kit's.
    contracts: [String; 2],
}

impl Trial {
    /// Changes both in the same way, and compares all that they have stored.
    fn step(&mut self, step: usize) -> Result<()> {
        let hash = keccak256(format!("step{step}()"));
        let mut stored = Vec::new();
        for contract in self.contracts.clone() {
            let receipt = self.send(&contract, &hash[..4])?;
            ensure!(receipt["status"] == "0x1", "{contract}: {receipt}");
            stored.push(self.storage(&contract)?);
        }
        let [solidity, kit] = &stored[..] else { bail!("two of them") };
        ensure!(!solidity.is_empty(), "nothing is stored");
        for (slot, word) in solidity {
            ensure!(kit.get(slot) == Some(word), "{slot}: {word}, not {:?}", kit.get(slot));
        }
        for (slot, word) in kit {
            ensure!(solidity.contains_key(slot), "{slot}: {word} is there of the kit's alone");
        }
        Ok(())
    }

    /// Calls `echo` and `fail` and sends `emit` with the same values, then with what is none.
    fn function(&mut self, number: usize, twins: &Twins, dice: &mut Dice) -> Result<()> {
        for _ in 0..VALUES {
            let kinds = &twins.arguments[number];
            let values: Vec<_> = kinds.iter().map(|kind| kind.draw(dice, &twins.structs)).collect();
            let data = calldata(twins, "echo", number, &values);
            let echoed = self.call(&data).with_context(|| hex::encode(&data))?;
            ensure!(echoed == Ok(hex::encode_prefixed(encoded(&values))), "{echoed:?}");
            let failed = self.call(&calldata(twins, "fail", number, &values))?;
            let error = calldata(twins, "Error", number, &values);
            ensure!(failed == Err(hex::encode_prefixed(error)), "{failed:?}");
            self.emit(&calldata(twins, "emit", number, &values))?;
            for _ in 0..SPOILT / VALUES {
                let mut spoilt = data.clone();
                spoil(&mut spoilt, dice);
                // That both do the same is all that is asked.
                let _ = self.call(&spoilt).with_context(|| hex::encode(&spoilt))?;
            }
        }
        Ok(())
    }

    /// What both answer, or revert with; they have to agree.
    fn call(&mut self, data: &[u8]) -> Result<std::result::Result<String, String>> {
        let mut outcomes = Vec::new();
        for contract in &self.contracts {
            let request = json!({ "to": contract, "data": hex::encode_prefixed(data) });
            let outcome = self.client.try_call("eth_call", json!([request, "latest"]))?;
            outcomes.push(match outcome {
                Ok(answer) => Ok(answer.as_str().context("bytes")?.to_owned()),
                Err(error) => Err(error.data.as_str().unwrap_or("0x").to_owned()),
            });
        }
        // solc's code takes memory for what it is told is there, the kit's looks first.
        if outcomes[0].as_ref().is_err_and(|data| data == OUT_OF_MEMORY) {
            outcomes[0] = Err("0x".to_owned());
        }
        ensure!(
            outcomes[0] == outcomes[1],
            "solc's: {:?}\nthe kit's: {:?}",
            outcomes[0],
            outcomes[1]
        );
        Ok(outcomes.remove(0))
    }

    fn emit(&mut self, data: &[u8]) -> Result<()> {
        let mut logs = Vec::new();
        for contract in self.contracts.clone() {
            let receipt = self.send(&contract, data)?;
            let log = &receipt["logs"][0];
            ensure!(log["data"].is_string(), "{contract} emits nothing: {receipt}");
            logs.push((log["topics"].clone(), log["data"].clone()));
        }
        ensure!(logs[0] == logs[1], "solc's: {:?}\nthe kit's: {:?}", logs[0], logs[1]);
        Ok(())
    }

    fn send(&mut self, to: &str, data: &[u8]) -> Result<Value> {
        let data = hex::encode_prefixed(data);
        let request = json!({ "from": self.from, "to": to, "data": data, "gas": "0xf00000" });
        let hash = self.client.call("eth_sendTransaction", json!([request]))?;
        self.client.call("eth_getTransactionReceipt", json!([hash]))
    }

    /// Every slot that is not zero.
    fn storage(&mut self, of: &str) -> Result<BTreeMap<String, String>> {
        self.client.call("evm_mine", json!([]))?;
        let block = self.client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        let (mut all, mut start) = (BTreeMap::new(), json!("0x00"));
        while !start.is_null() {
            let range = json!([block["hash"], 0, of, start, 256]);
            let page = self.client.call("debug_storageRangeAt", range)?;
            for entry in page["storage"].as_object().context("slots")?.values() {
                let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
                all.insert(text("key"), text("value"));
            }
            start = page["nextKey"].clone();
        }
        Ok(all)
    }
}
