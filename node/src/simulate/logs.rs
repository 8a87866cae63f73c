//! What a simulated call logs: its contracts' logs and, if asked for, transfers of ether.

use alloy_primitives::{Address, B256, Log, LogData, U256, address, b256};
use revm::Inspector;
use revm::bytecode::opcode;
use revm::context::{ContextTr, JournalTr};
use revm::interpreter::interpreter_types::{InputsTr, Jumps};
use revm::interpreter::{
    CallInputs, CallOutcome, CallScheme, CallValue, CreateInputs, CreateOutcome, Interpreter,
};

/// Ether's address where tokens are named by theirs (ERC-7528).
const ETHER: Address = address!("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Collects the logs of a block's calls, those of failed frames taken back.
#[derive(Debug, Default)]
pub(crate) struct CallLogs {
    transfers: bool,
    /// Logs of each open frame.
    frames: Vec<Vec<(Log, u64)>>,
    /// Logs of the block so far, those that were taken back among them: geth counts them too.
    count: u64,
    done: Vec<(Log, u64)>,
    last: LastStep,
}

/// The instruction that a call came to last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastStep {
    pub(crate) opcode: u8,
    pub(crate) stack: usize,
}

impl CallLogs {
    pub(super) fn new(transfers: bool) -> Self {
        Self { transfers, ..Self::default() }
    }

    /// Takes the logs of the call that has just ended.
    pub(super) fn take(&mut self) -> Vec<(Log, u64)> {
        self.frames.clear();
        std::mem::take(&mut self.done)
    }

    /// The instruction that the last call ended with.
    pub(crate) const fn last(&self) -> LastStep {
        self.last
    }

    fn add(&mut self, log: Log) {
        let index = self.count;
        self.count += 1;
        if let Some(frame) = self.frames.last_mut() {
            frame.push((log, index));
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if self.transfers && !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            let data = value.to_be_bytes::<32>().to_vec().into();
            self.add(Log { address: ETHER, data: LogData::new_unchecked(topics, data) });
        }
    }

    fn end(&mut self, ok: bool) {
        let Some(logs) = self.frames.pop().filter(|_| ok) else { return };
        match self.frames.last_mut() {
            Some(outer) => outer.extend(logs),
            None => self.done.extend(logs),
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX> for CallLogs {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        let opcode = interpreter.bytecode.opcode();
        self.last = LastStep { opcode, stack: interpreter.stack.len() };
        if self.transfers
            && opcode == opcode::SELFDESTRUCT
            && let Ok(target) = interpreter.stack.peek(0)
        {
            // Should the instruction fail, so does its frame, and the log goes with it.
            let contract = interpreter.input.target_address();
            let target = Address::from_word(target.into());
            if let Ok(account) = context.journal_mut().load_account(contract) {
                let balance = account.data.info.balance;
                self.transfer(contract, target, balance);
            }
        }
    }

    fn log(&mut self, _: &mut CTX, log: Log) {
        self.add(log);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.frames.push(Vec::new());
        if inputs.scheme == CallScheme::Call
            && let CallValue::Transfer(value) = inputs.value
        {
            self.transfer(inputs.caller, inputs.target_address, value);
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(outcome.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.frames.push(Vec::new());
        if self.transfers
            && let Ok(account) = context.journal_mut().load_account(inputs.caller())
        {
            let created = inputs.created_address(account.data.info.nonce);
            self.transfer(inputs.caller(), created, inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.is_ok());
    }
}
