//! go-ethereum's transactions with the traces that geth gives of them.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use anyhow::{Context, Result, ensure};
use executor::tx_env;
use genesis::{ChainSpec, DevOptions, Genesis, SpecId};
use revm::{
    bytecode::Bytecode, context::BlockEnv, context_interface::block::BlobExcessGasAndPrice,
    database::CacheDB, database_interface::EmptyDB, state::AccountInfo,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_tests::suites;
use trace::{Budget, TransactionContext, geth::GethDebugTracingOptions, geth_trace};
use vm::{Engine, Execution, Rules};

use super::Report;

/// A folder of the suite, and the tracer whose traces it has.
const FOLDERS: [(&str, &str); 8] = [
    ("call_tracer", "callTracer"),
    ("call_tracer_flat", "flatCallTracer"),
    ("call_tracer_legacy", "callTracerLegacy"),
    ("call_tracer_withLog", "callTracer"),
    ("erc7562_tracer", "erc7562Tracer"),
    ("prestate_tracer", "prestateTracer"),
    ("prestate_tracer_with_diff_mode", "prestateTracer"),
    ("4byte_tracer", "4byteTracer"),
];
/// Cases that do not apply, and why.
const EXCLUDED: [(&str, &str); 0] = [];
/// What a flat trace has of its transaction's place in the chain: geth's own test leaves it out.
const PLACE: [&str; 4] = ["blockHash", "blockNumber", "transactionHash", "transactionPosition"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    genesis: Value,
    context: Value,
    input: Bytes,
    tracer_config: Option<Value>,
    result: Value,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    balance: U256,
    #[serde(default)]
    nonce: U256,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<B256, B256>,
}

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    for (name, tracer) in FOLDERS {
        let folder = folder.join(name);
        if !folder.is_dir() {
            continue;
        }
        for path in suites::json_files(&folder)? {
            let case = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
            let case = format!("{name}/{case}");
            if let Some((_, reason)) = EXCLUDED.iter().find(|(excluded, _)| *excluded == case) {
                println!("excluded: {case}: {reason}");
                continue;
            }
            report.note(&case, check(&path, tracer));
        }
    }
    Ok(())
}

fn check(path: &Path, tracer: &str) -> Result<()> {
    let case: Case = serde_json::from_slice(&fs::read(path)?)?;
    let mut have = trace(&case, tracer)?;
    let mut want = case.result;
    for trace in [&mut have, &mut want] {
        if tracer == "flatCallTracer" {
            without_place(trace);
        }
        in_lower_case(trace);
    }
    ensure!(have == want, "{}", difference("", &have, &want));
    Ok(())
}

/// Runs the transaction of a case under a tracer, as geth's own test does.
fn trace(case: &Case, tracer: &str) -> Result<Value> {
    let mut spec = Genesis::dev(DevOptions::default()).spec;
    spec.config = serde_json::from_value(case.genesis["config"].clone())?;
    let block = block(case, &spec)?;
    let engine = Engine::new(Arc::new(spec));
    let tx = TxEnvelope::decode_2718(&mut case.input.as_ref())?;
    // Homestead's rule on signatures came after some of these.
    let sender = tx.recover_signer_unchecked()?;
    let rules = Rules { check_block_gas_limit: false, ..Rules::block() };
    let mut execution = Execution::new(&engine, block, rules, state(case)?);
    let options: GethDebugTracingOptions = serde_json::from_value(json!({
        "tracer": tracer,
        "tracerConfig": case.tracer_config.clone().unwrap_or(json!({})),
    }))?;
    let (place, mut budget) = (TransactionContext::default(), Budget::unlimited());
    let (_, trace) =
        geth_trace(&mut execution, &tx_env(&tx, sender), (&options, place), &mut budget)?;
    Ok(serde_json::to_value(trace)?)
}

fn block(case: &Case, spec: &ChainSpec) -> Result<BlockEnv> {
    let field = |name: &str| -> Result<Option<U256>> {
        let value = case.context.get(name).or_else(|| case.genesis.get(name));
        Ok(value.map(|value| serde_json::from_value(value.clone())).transpose()?)
    };
    let number = field("number")?.context("a number")?;
    let timestamp = field("timestamp")?.context("a timestamp")?;
    let fork = spec.fork(number.saturating_to(), timestamp.saturating_to());
    let excess: Option<U256> = case
        .genesis
        .get("excessBlobGas")
        .map(|gas| serde_json::from_value(gas.clone()))
        .transpose()?;
    let blobs = spec.blob_params(timestamp.saturating_to());
    let merged = spec.config.terminal_total_difficulty == Some(U256::ZERO);
    let mix_hash = serde_json::from_value(case.genesis["mixHash"].clone()).unwrap_or_default();
    Ok(BlockEnv {
        number,
        beneficiary: serde_json::from_value(case.context["miner"].clone())?,
        timestamp,
        gas_limit: field("gasLimit")?.context("a gas limit")?.saturating_to(),
        basefee: if fork.is_enabled_in(SpecId::LONDON) {
            field("baseFeePerGas")?.unwrap_or_default().saturating_to()
        } else {
            0
        },
        difficulty: field("difficulty")?.unwrap_or_default(),
        prevrandao: merged.then_some(mix_hash),
        blob_excess_gas_and_price: blobs.map(|blobs| {
            let parent = excess.unwrap_or_default().saturating_to::<u64>();
            let excess_blob_gas = blobs.next_block_excess_blob_gas_osaka(parent, 0, 0);
            let blob_gasprice = blobs.calc_blob_fee(excess_blob_gas);
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice }
        }),
        ..BlockEnv::default()
    })
}

fn state(case: &Case) -> Result<CacheDB<EmptyDB>> {
    let alloc: BTreeMap<Address, Account> = serde_json::from_value(case.genesis["alloc"].clone())?;
    let mut state = CacheDB::new(EmptyDB::default());
    for (address, account) in alloc {
        let code = Bytecode::new_raw_checked(account.code.clone())
            .unwrap_or_else(|_| Bytecode::new_legacy(account.code));
        let info = AccountInfo::new(
            account.balance,
            account.nonce.saturating_to(),
            code.hash_slow(),
            code,
        );
        state.insert_account_info(address, info);
        for (slot, value) in account.storage {
            state.insert_account_storage(address, slot.into(), value.into())?;
        }
    }
    Ok(state)
}

/// Leaves out what geth's own test does not compare.
fn without_place(trace: &mut Value) {
    for entry in trace.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for field in PLACE {
            entry.remove(field);
        }
        // A few cases have fields of another kind of action, with nothing in them.
        let nothing = [json!(Address::ZERO), json!("0x0"), json!("0x")];
        for part in ["action", "result"] {
            let Some(part) = entry.get_mut(part).and_then(Value::as_object_mut) else { continue };
            for field in ["author", "address", "balance", "refundAddress", "code"] {
                if part.get(field).is_some_and(|value| nothing.contains(value)) {
                    part.remove(field);
                }
            }
        }
        if entry.get("result").is_some_and(|result| result.is_null() || *result == json!({})) {
            entry.remove("result");
        }
    }
}

/// A few addresses are written with a checksum.
fn in_lower_case(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("0x") => *text = text.to_lowercase(),
        Value::Array(all) => all.iter_mut().for_each(in_lower_case),
        Value::Object(all) => all.values_mut().for_each(in_lower_case),
        _ => {}
    }
}

/// The first place where two values differ.
fn difference(path: &str, have: &Value, want: &Value) -> String {
    match (have, want) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            let differing = keys.into_iter().find(|key| a.get(*key) != b.get(*key));
            let Some(key) = differing else { return String::new() };
            let null = Value::Null;
            difference(
                &format!("{path}.{key}"),
                a.get(key).unwrap_or(&null),
                b.get(key).unwrap_or(&null),
            )
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let differing = a.iter().zip(b).position(|(a, b)| a != b);
            let Some(n) = differing else { return String::new() };
            difference(&format!("{path}[{n}]"), &a[n], &b[n])
        }
        _ => {
            let short = |value: &Value| value.to_string().chars().take(400).collect::<String>();
            format!("{path}: have {}, want {}", short(have), short(want))
        }
    }
}
