//! What a transaction did.

use revm::context::result::{ExecutionResult, Output};
use tandem_kit::abi::{Reader, Returns};
use tandem_kit::host::{self, Ended};
use tandem_kit::{Address, Revert, U256, Word};
use vm::Outcome;

use crate::words::{from_address, from_word};

/// A log of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// The contract.
    pub by: Address,
    /// The topics.
    pub topics: Vec<Word>,
    /// The data.
    pub data: Vec<u8>,
}

/// A transaction or call that has run.
#[derive(Clone, Debug)]
pub struct Done {
    /// The gas that it used: of native contracts, without what they compute.
    pub gas_used: u64,
    /// What it returned or reverted with.
    pub output: Vec<u8>,
    /// The logs, in order; none of a failed transaction.
    pub logs: Vec<Emitted>,
    /// What contracts printed, those of the EVM by `console.log`.
    pub printed: Vec<String>,
    /// The contract that it created.
    pub created: Option<Address>,
    /// Why it failed, if it did.
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
enum Failure {
    Reverted,
    /// Without revert data, for this reason.
    Halted(String),
}

impl Done {
    pub(crate) fn new(outcome: &Outcome) -> Self {
        let result = &outcome.result;
        let (created, failure) = match result {
            ExecutionResult::Success { output: Output::Create(_, address), .. } => {
                (address.map(from_address), None)
            }
            ExecutionResult::Success { .. } => (None, None),
            ExecutionResult::Revert { .. } => (None, Some(Failure::Reverted)),
            ExecutionResult::Halt { reason, .. } => {
                let trap = outcome.trap.as_ref().map(|trap| format!(": {}", trap.reason));
                (None, Some(Failure::Halted(format!("{reason:?}{}", trap.unwrap_or_default()))))
            }
        };
        let logs = if failure.is_none() { result.logs() } else { &[] };
        let logs = logs.iter().map(|log| Emitted {
            by: from_address(log.address),
            topics: log.topics().iter().map(|topic| from_word(*topic)).collect(),
            data: log.data.data.to_vec(),
        });
        Self {
            gas_used: result.tx_gas_used(),
            output: result.output().map(|output| output.to_vec()).unwrap_or_default(),
            logs: logs.collect(),
            printed: outcome.prints.iter().map(console::text).collect(),
            created,
            failure,
        }
    }

    /// Whether it went well.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none()
    }

    /// Panics unless it went well.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        if let Some(failure) = &self.failure {
            match failure {
                Failure::Reverted => panic!("reverted: {}", reason(&self.output)),
                Failure::Halted(reason) => panic!("halted: {reason}"),
            }
        }
        self
    }

    /// The values that it returned. Panics unless it went well and they are of these types.
    #[track_caller]
    pub fn returned<T: Returns>(&self) -> T {
        let output = &self.succeeded().output;
        let mut values = None;
        host::run(|| values = Some(T::read(&mut Reader::new(&output[..], 0))));
        match values {
            Some(values) => values,
            None => panic!("the answer is of other types: 0x{}", hex(output)),
        }
    }

    /// The revert data. Panics unless it reverted.
    #[track_caller]
    pub fn reverted(&self) -> &[u8] {
        match &self.failure {
            Some(Failure::Reverted) => &self.output,
            Some(Failure::Halted(reason)) => panic!("halted instead of reverting: {reason}"),
            None => panic!("went well instead of reverting"),
        }
    }

    /// Panics unless it reverted with this error, or with this text.
    #[track_caller]
    pub fn reverted_with(&self, error: impl Revert) {
        let Ended::Reverted(expected) = host::run(|| error.revert()) else {
            panic!("an error that does not revert");
        };
        let data = self.reverted();
        if data != expected {
            panic!("reverted with {}, not with {}", reason(data), reason(&expected));
        }
    }

    /// Panics unless it reverted with `Panic(uint256)` of this code.
    #[track_caller]
    pub fn panicked_with(&self, code: tandem_kit::PanicCode) {
        let data = self.reverted();
        let word = Word::from_u64(code as u64);
        let expected = [&[0x4e, 0x48, 0x7b, 0x71], &word.bytes()[..]];
        if data != expected.concat() {
            panic!("reverted with {}, not with {code:?}", reason(data));
        }
    }

    /// Panics unless it was halted: out of gas, by a trap, or by what a static call forbids.
    #[track_caller]
    pub fn halted(&self) {
        if !matches!(self.failure, Some(Failure::Halted(_))) {
            panic!("not halted: {:?}", self.failure);
        }
    }

    /// Panics unless the contract `by` has emitted the event.
    #[track_caller]
    pub fn emitted<E: tandem_kit::Event>(&self, by: Address, event: E) {
        self.succeeded();
        let before = host::with(|world| world.logs.len());
        host::run(|| event.log());
        let log = host::with(|world| world.logs.drain(before..).next());
        let Some(host::Log { topics, data }) = log else { panic!("the event was not recorded") };
        let expected = Emitted { by, topics, data };
        if !self.logs.contains(&expected) {
            panic!("{} was not emitted: {expected:?} is not in {:?}", E::NAME, self.logs);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Revert data in words.
fn reason(data: &[u8]) -> String {
    let failure = tandem_kit::call::Failure { data: data.to_vec() };
    if let Some(text) = failure.text() {
        return format!("Error({:?})", String::from_utf8_lossy(text));
    }
    if let Some(code) = failure.panic_code() {
        let code = code.to_u64().map_or(U256::MAX, U256::from);
        return format!("Panic({code})");
    }
    format!("0x{}", hex(data))
}
