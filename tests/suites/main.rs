//! Vectors of go-ethereum and ethereum/tests through the engine: precompiled contracts with their
//! gas, arithmetic, the decoding of transactions, and traces. Another client's chain, imported, and the
//! exchanges of execution-apis over it. A word as the argument runs the parts that it names only.
#![expect(clippy::print_stdout, reason = "the report is the result")]

mod arithmetic;
mod execution_apis;
mod imports;
mod precompiles;
mod tracers;
mod transactions;

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, TxKind};
use anyhow::{Context, Result, bail};
use genesis::{DevOptions, Genesis, SpecId};
use revm::{
    context::{BlockEnv, TxEnv},
    context_interface::result::ExecutionResult,
    database_interface::EmptyDB,
};
use tandem_tests::suites;
use vm::{AccountEdit, Engine, Execution, Rules};

/// Where the contract under test is.
const CONTRACT: Address = Address::repeat_byte(0xc0);
/// More than any vector needs.
const GAS_LIMIT: u64 = 2_000_000_000;

/// What passed and what did not.
#[derive(Default)]
struct Report {
    passed: usize,
    /// Left out by name, with the reason.
    listed: usize,
    failed: Vec<String>,
}

impl Report {
    fn note(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => self.failed.push(format!("{name}: {error:#}")),
        }
    }
}

fn main() -> Result<()> {
    let Some(suites) = suites::folder("vectors")? else { return Ok(()) };
    let mut report = Report::default();
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let wanted = |part: &str| only.as_deref().is_none_or(|only| part.contains(only));
    if wanted("precompiles") {
        let folder = suites::unpack(&suites.join("precompiles/geth-precompiles.tar.gz"))?;
        precompiles::run(folder.path(), &mut report)?;
        arithmetic::run(folder.path(), &mut report)?;
    }
    if wanted("transactions") {
        let folder = suites::unpack(&suites.join("transactions/ethereum-tests-tx-rlp.tar.gz"))?;
        transactions::run(folder.path(), &mut report)?;
    }
    if wanted("tracers") {
        tracers::run(&suites.join("tracers"), &mut report)?;
    }
    let folder = suites.join("execution-apis");
    if wanted("imports") {
        imports::run(&folder, &mut report)?;
    }
    if wanted("execution-apis") {
        execution_apis::run(&folder, &mut report)?;
    }
    for failure in &report.failed {
        println!("failed: {failure}");
    }
    let word = if report.failed.is_empty() { "ok" } else { "FAILED" };
    let Report { passed, listed, failed } = &report;
    println!("test result: {word}. {passed} passed; {} failed; {listed} listed", failed.len());
    if report.failed.is_empty() { Ok(()) } else { bail!("{} failed", report.failed.len()) }
}

/// An engine of mainnet's chain id at a fork.
fn engine(fork: SpecId) -> Engine {
    let options = DevOptions { chain_id: 1, fork, ..DevOptions::default() };
    Engine::new(Arc::new(Genesis::dev(options).spec))
}

/// A block of that fork over an empty state.
fn block(engine: &Engine) -> Execution<EmptyDB> {
    let env = BlockEnv { gas_limit: GAS_LIMIT, ..BlockEnv::default() };
    Execution::new(engine, env, Rules::call(), EmptyDB::default())
}

/// Runs code with some call data and returns what it returns.
fn run_code(engine: &Engine, code: Bytes, data: Bytes) -> Result<Bytes> {
    let mut execution = block(engine);
    let edit = AccountEdit { address: CONTRACT, code: Some(code), ..AccountEdit::default() };
    execution.change(&edit)?;
    let tx = TxEnv {
        kind: TxKind::Call(CONTRACT),
        data,
        gas_limit: GAS_LIMIT,
        chain_id: Some(1),
        ..TxEnv::default()
    };
    match execution.call(&tx)?.result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        other => bail!("{other:?}"),
    }
}

fn hex(text: &str) -> Result<Bytes> {
    Ok(alloy_primitives::hex::decode(text).with_context(|| text.to_owned())?.into())
}
