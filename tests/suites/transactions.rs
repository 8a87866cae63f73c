//! ethereum/tests' vectors of transactions: bytes, and their hash and sender or why they are wrong.

use std::{collections::BTreeMap, fs, path::Path};

use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use anyhow::{Context, Result, bail, ensure};
use executor::tx_env;
use genesis::SpecId;
use serde::Deserialize;
use tandem_tests::suites;
use vm::{AccountEdit, Engine};

use super::{Report, block, engine};

/// The newest of these that a vector has is what it is judged by.
const FORKS: [(&str, SpecId); 3] =
    [("Cancun", SpecId::CANCUN), ("Shanghai", SpecId::SHANGHAI), ("London", SpecId::LONDON)];

const PRICE: &str = "its gas price has more than 128 bits: there is not that much ether";
const COST: &str = "its value and gas together cost more than 256 bits: no balance pays that";
/// Vectors that do not apply, and why.
const EXCLUDED: [(&str, &str); 4] = [
    ("GasLimitPriceProductOverflowtMinusOne", PRICE),
    ("TransactionWithHighGasPrice", PRICE),
    ("V_equals38", PRICE),
    ("TransactionWithHighValue", COST),
];

#[derive(Deserialize)]
struct Vector {
    txbytes: Bytes,
    result: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    exception: Option<String>,
    hash: Option<B256>,
    sender: Option<Address>,
}

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let engines = FORKS.map(|(name, fork)| (name, engine(fork)));
    for path in suites::json_files(&folder.join("TransactionTests"))? {
        let vectors: BTreeMap<String, Vector> = serde_json::from_slice(&fs::read(&path)?)?;
        for (name, vector) in &vectors {
            if let Some((_, reason)) = EXCLUDED.iter().find(|(excluded, _)| excluded == name) {
                println!("excluded: {name}: {reason}");
                continue;
            }
            let mut newest = engines.iter();
            let (expected, engine) = newest
                .find_map(|(fork, engine)| Some((vector.result.get(*fork)?, engine)))
                .with_context(|| format!("{name} has none of the forks"))?;
            report.note(name, check(engine, &vector.txbytes, expected));
        }
    }
    Ok(())
}

fn check(engine: &Engine, bytes: &[u8], expected: &Expected) -> Result<()> {
    let decoded = decode(bytes).and_then(|(tx, sender)| {
        // A dry run is enough: what is wrong with a transaction is seen before it starts.
        let mut execution = block(engine);
        execution.change(&AccountEdit {
            address: sender,
            balance: Some(U256::MAX),
            ..AccountEdit::default()
        })?;
        match execution.call(&tx_env(&tx, sender)) {
            Ok(_) => Ok((tx, sender)),
            Err(error) => bail!("{error}"),
        }
    });
    match (decoded, &expected.exception) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(_), Some(exception)) => bail!("{exception} expected, but it was taken"),
        (Err(error), None) => Err(error.context("refused")),
        (Ok((tx, sender)), None) => {
            ensure!(expected.hash == Some(*tx.tx_hash()), "hash {}", tx.tx_hash());
            ensure!(expected.sender == Some(sender), "sender {sender}");
            Ok(())
        }
    }
}

fn decode(bytes: &[u8]) -> Result<(TxEnvelope, Address)> {
    let mut rest = bytes;
    let tx = TxEnvelope::decode_2718(&mut rest)?;
    ensure!(rest.is_empty(), "{} bytes too many", rest.len());
    let sender = tx.recover_signer()?;
    Ok((tx, sender))
}
