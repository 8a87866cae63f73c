//! `erc7562Tracer`: what an operation of account abstraction did that a validator has rules for.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{Address, B256, Bytes, Log, U256, hex};
use alloy_rpc_types_trace::geth::{CallConfig, CallFrame, erc7562::Erc7562Config};
use revm::{
    DatabaseRef, Inspector,
    bytecode::opcode as op,
    context::ContextTr,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
    state::EvmState,
};
use serde_json::{Map, Value, json};

use super::calls::{Calls, SELFDESTRUCT};

/// Longest preimage of a hash that is shown, in bytes.
const PREIMAGE_SIZE_MAX: usize = 1 << 20;

/// A call tracer with notes on each frame.
pub(super) struct Erc7562 {
    pub(super) calls: Calls,
    ignored: BTreeSet<u8>,
    frames: Vec<Notes>,
    open: Vec<usize>,
    /// The step before, and the account on top of its stack.
    last: Option<(u8, Option<Address>)>,
    /// The slot that the step reads.
    slot: Option<B256>,
    /// Whether the step is a guest's.
    guest: bool,
    preimages: BTreeSet<Bytes>,
}

/// What a frame did itself.
#[derive(Default)]
struct Notes {
    reads: BTreeMap<B256, Vec<B256>>,
    writes: BTreeMap<B256, u64>,
    transient_reads: BTreeMap<B256, u64>,
    transient_writes: BTreeMap<B256, u64>,
    looked_at: Vec<Address>,
    opcodes: BTreeMap<u8, u64>,
    /// The opcode that first looked at an account with its code.
    sized: BTreeMap<Address, u8>,
}

const fn is_ext(opcode: u8) -> bool {
    matches!(opcode, op::EXTCODESIZE | op::EXTCODECOPY | op::EXTCODEHASH)
}

const fn is_call(opcode: u8) -> bool {
    matches!(opcode, op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL)
}

/// The precompiles that every operation may call: 1 to 9.
fn is_allowed_precompile(address: Address) -> bool {
    let number = U256::from_be_bytes(address.into_word().0);
    !number.is_zero() && number < U256::from(10)
}

impl Erc7562 {
    /// Without opcodes to ignore in its configuration it ignores those that geth does.
    pub(super) fn new(config: Erc7562Config) -> Self {
        let mut ignored: BTreeSet<u8> = config.ignored_opcodes.into_iter().collect();
        if ignored.is_empty() {
            ignored.extend(op::PUSH0..op::SWAP16);
            ignored.extend([
                op::POP,
                op::ADD,
                op::SUB,
                op::MUL,
                op::DIV,
                op::EQ,
                op::LT,
                op::GT,
                op::SLT,
                op::SGT,
                op::SHL,
                op::SHR,
                op::AND,
                op::OR,
                op::NOT,
                op::ISZERO,
            ]);
        }
        let config = CallConfig { with_log: config.with_log, ..CallConfig::default() };
        Self {
            calls: Calls::nested(config),
            ignored,
            frames: Vec::new(),
            open: Vec::new(),
            last: None,
            slot: None,
            guest: false,
            preimages: BTreeSet::new(),
        }
    }

    /// The coming step is a guest's, whose memory is not the EVM's.
    pub(super) const fn syscall(&mut self) {
        self.guest = true;
    }

    /// Bytes that are recorded of the coming step.
    pub(super) fn step_size(interpreter: &Interpreter) -> usize {
        match interpreter.bytecode.opcode() {
            op::KECCAK256 => preimage(interpreter).map_or(0, |(_, len)| len),
            op::SLOAD | op::SSTORE | op::TLOAD | op::TSTORE => 128,
            _ => 0,
        }
    }

    fn enter(&mut self) {
        self.open.push(self.frames.len());
        self.frames.push(Notes::default());
    }

    /// Puts the notes into the call trace.
    pub(super) fn into_json<DB: DatabaseRef>(
        self,
        root: CallFrame,
        (db, state): (&DB, &EvmState),
    ) -> Result<Value, DB::Error> {
        let mut sizes = BTreeMap::new();
        for address in self.frames.iter().flat_map(|notes| notes.sized.keys()) {
            sizes.insert(*address, code_size(*address, db, state)?);
        }
        let mut root = show(root, &self.frames, &sizes, &mut 0);
        if let (Value::Object(root), false) = (&mut root, self.preimages.is_empty()) {
            root.insert("keccak".to_string(), json!(self.preimages));
        }
        Ok(root)
    }

    fn note(&mut self, interpreter: &Interpreter, opcode: u8) {
        let Some(notes) = self.open.last().and_then(|open| self.frames.get_mut(*open)) else {
            return;
        };
        let word = |n: usize| interpreter.stack.peek(n).ok();
        let account = |n: usize| word(n).map(|word| Address::from_word(word.into()));
        if matches!(opcode, op::RETURN | op::REVERT) {
            self.last = None;
        }
        if let Some((last, Some(address))) = self.last
            && is_ext(last)
            && !(last == op::EXTCODESIZE && opcode == op::ISZERO)
        {
            notes.looked_at.push(address);
        }
        let sized = if is_ext(opcode) {
            account(0)
        } else if is_call(opcode) {
            account(1)
        } else {
            None
        };
        if let Some(address) = sized.filter(|address| !is_allowed_precompile(*address)) {
            notes.sized.entry(address).or_insert(opcode);
        }
        if self.last.is_some_and(|(last, _)| last == op::GAS) && !is_call(opcode) {
            *notes.opcodes.entry(op::GAS).or_default() += 1;
        }
        if opcode != op::GAS && !self.ignored.contains(&opcode) {
            *notes.opcodes.entry(opcode).or_default() += 1;
        }
        if let Some(slot) = word(0).map(B256::from) {
            match opcode {
                op::SLOAD
                    if !notes.reads.contains_key(&slot) && !notes.writes.contains_key(&slot) =>
                {
                    self.slot = Some(slot)
                }
                op::SSTORE => *notes.writes.entry(slot).or_default() += 1,
                op::TLOAD => *notes.transient_reads.entry(slot).or_default() += 1,
                op::TSTORE => *notes.transient_writes.entry(slot).or_default() += 1,
                _ => {}
            }
        }
        self.last = Some((opcode, account(0)));
    }
}

/// Where the bytes are that a step hashes, if they can be shown.
fn preimage(interpreter: &Interpreter) -> Option<(usize, usize)> {
    let offset = usize::try_from(interpreter.stack.peek(0).ok()?).ok()?;
    let len = usize::try_from(interpreter.stack.peek(1).ok()?).ok()?;
    (len <= PREIMAGE_SIZE_MAX).then_some((offset, len))
}

/// Bytes of the EVM's memory; zeros where it does not reach yet.
fn padded(interpreter: &Interpreter, (offset, len): (usize, usize)) -> Bytes {
    let end = offset.saturating_add(len).min(interpreter.memory.size());
    let mut bytes = Vec::with_capacity(len);
    if offset < end {
        bytes.extend_from_slice(&interpreter.memory.slice(offset..end));
    }
    bytes.resize(len, 0);
    bytes.into()
}

fn code_size<DB: DatabaseRef>(
    address: Address,
    db: &DB,
    state: &EvmState,
) -> Result<usize, DB::Error> {
    let info = match state.get(&address) {
        Some(account) => Some(account.info.clone()),
        None => db.basic_ref(address)?,
    };
    let Some(info) = info.filter(|info| !info.is_empty_code_hash()) else { return Ok(0) };
    match info.code {
        Some(code) => Ok(code.original_byte_slice().len()),
        None => Ok(db.code_by_hash_ref(info.code_hash)?.original_byte_slice().len()),
    }
}

/// A frame and those below it, with what they did.
fn show(
    mut frame: CallFrame,
    notes: &[Notes],
    sizes: &BTreeMap<Address, usize>,
    number: &mut usize,
) -> Value {
    let nothing = Notes::default();
    let own =
        if frame.typ == SELFDESTRUCT { &nothing } else { notes.get(*number).unwrap_or(&nothing) };
    let out_of_gas = frame.error.as_deref().is_some_and(|error| error.contains("out of gas"));
    let below = core::mem::take(&mut frame.calls);
    let mut shown = match serde_json::to_value(&frame) {
        Ok(Value::Object(shown)) => shown,
        _ => Map::new(),
    };
    let mut insert = |name: &str, value: Value| shown.insert(name.to_string(), value);
    insert(
        "accessedSlots",
        json!({
            "reads": own.reads, "writes": own.writes,
            "transientReads": own.transient_reads, "transientWrites": own.transient_writes,
        }),
    );
    insert("extCodeAccessInfo", json!(own.looked_at));
    let opcodes = own.opcodes.iter().map(|(opcode, count)| (format!("{opcode:#x}"), json!(count)));
    insert("usedOpcodes", Value::Object(opcodes.collect()));
    let sized = own.sized.iter().map(|(address, opcode)| {
        let size = sizes.get(address).copied().unwrap_or_default();
        (hex::encode_prefixed(address), json!({ "contractSize": size, "opcode": opcode }))
    });
    insert("contractSize", Value::Object(sized.collect::<Map<String, Value>>()));
    insert("outOfGas", json!(out_of_gas));
    let mut calls = Vec::with_capacity(below.len());
    for call in below {
        if call.typ != SELFDESTRUCT {
            *number += 1;
        }
        calls.push(show(call, notes, sizes, number));
    }
    if !calls.is_empty() {
        insert("calls", Value::Array(calls));
    }
    Value::Object(shown)
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Erc7562 {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.calls.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.calls.step(interpreter, context);
        let guest = core::mem::take(&mut self.guest);
        let opcode = interpreter.bytecode.opcode();
        self.slot = None;
        self.note(interpreter, opcode);
        if opcode == op::KECCAK256
            && !guest
            && let Some(place) = preimage(interpreter)
        {
            self.preimages.insert(padded(interpreter, place));
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.calls.step_end(interpreter, context);
        let notes = self.open.last().and_then(|open| self.frames.get_mut(*open));
        if let (Some(slot), Some(notes), Ok(value)) =
            (self.slot.take(), notes, interpreter.stack.peek(0))
        {
            notes.reads.entry(slot).or_default().push(value.into());
        }
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.calls.log(context, log);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.enter();
        self.calls.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.open.pop();
        self.calls.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter();
        self.calls.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.open.pop();
        self.calls.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX, EthInterpreter>::selfdestruct(&mut self.calls, contract, target, value);
    }
}
