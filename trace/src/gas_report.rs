//! Where the gas of a transaction or call went, over both machines.
//!
//! A frame's own gas is what it used less what the frames that it began used. In a RISC-V frame the
//! engine says what the machine paid for, and every system call that is an opcode shows its gas
//! before and after; what is left is the deployment of a contract, or what a halt took. So the parts
//! sum to the gas used.

use std::collections::BTreeMap;

use revm::{
    Inspector,
    bytecode::opcode as op,
    context::ContextTr,
    context_interface::result::ExecutionResult,
    handler::FrameResult,
    interpreter::{FrameInput, Interpreter, interpreter::EthInterpreter},
};
use serde::Serialize;
use vm::{
    riscv::{Class, syscall},
    watch::{Instruction, MachineEnd},
};

use super::recorder::Recorder;

/// Units that the proof of an EVM opcode takes: the middle of 56 to 81 instructions of an interpreter
/// that is RISC-V code, of 1.1 additions each (`docs/spec/riscv-gas.md`).
const UNITS_PER_OPCODE: u64 = 75_000;

/// Where the gas went. All amounts are gas but where units are said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasReport {
    /// Whether the transaction succeeded.
    pub success: bool,
    /// What the receipt says: the sum of all parts.
    pub gas_used: u64,
    /// The parts.
    pub parts: Parts,
    /// The gas of the machines, in units.
    pub machine: MachineReport,
    /// The system calls of RISC-V frames.
    pub syscalls: Vec<SyscallReport>,
    /// EVM opcodes that were executed.
    pub evm_opcodes: u64,
    /// What a proof of it all costs, about.
    pub proving_cost: ProvingCost,
}

/// The parts of the gas used; their sum is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// Before the first frame: the transaction itself, its data, its access list.
    pub intrinsic: i64,
    /// EVM frames.
    pub evm: i64,
    /// Precompiles that were called.
    pub precompiles: i64,
    /// RISC-V instructions, copies, pages and pure calls: `machine` has the detail.
    pub machine: i64,
    /// The start of RISC-V frames.
    pub frame_starts: i64,
    /// Decoding of RISC-V init code.
    pub decoding: i64,
    /// Opcodes that RISC-V frames asked for: `syscalls` has the detail.
    pub syscalls: i64,
    /// Deposit and decoding of RISC-V contracts that were deployed.
    pub deployment: i64,
    /// Gas that halts took.
    pub lost: i64,
    /// What was refunded, as a negative number.
    pub refund: i64,
    /// What EIP-7623's floor adds.
    pub floor: i64,
}

/// What machines did, in units. The sum of all units is `parts.machine * unitsPerGas`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineReport {
    /// Units that one gas buys.
    pub units_per_gas: u64,
    /// RISC-V frames.
    pub frames: u64,
    /// Instructions by class.
    pub instructions: Vec<ClassReport>,
    /// Ranges that crossed between guest and host.
    pub copies: u64,
    /// Pages touched first, and their units.
    pub pages: Count,
    /// What pure calls computed.
    pub pure_calls: u64,
    /// Paid for and not used: the rest of a block that a trap ended, and of each frame's last gas.
    pub remainder: i64,
}

/// A count and its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Their units.
    pub units: u64,
}

/// The instructions of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassReport {
    /// The key of its price.
    pub class: &'static str,
    /// How many were executed, and their units.
    #[serde(flatten)]
    pub count: Count,
}

/// The calls of one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyscallReport {
    /// Its name.
    pub name: &'static str,
    /// How many there were.
    pub count: u64,
    /// The EVM's gas for them, without what callees used.
    pub gas: i64,
    /// Units for their copies, pages and computing, which `machine` counts.
    pub units: u64,
}

/// An estimate of the cost of a proof, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvingCost {
    /// What machines did.
    pub machine: u64,
    /// Opcodes, of EVM frames and of system calls, as an interpreter in RISC-V does them.
    pub opcodes: u64,
    /// Both.
    pub total: u64,
}

/// A frame that is open.
#[derive(Default)]
struct Open {
    /// Gas of the frames that it began.
    children: i64,
    /// Gas of its opcodes, if it is a machine's.
    syscalls: i64,
    /// Whether an opcode of an interpreter was executed.
    ran: bool,
    machine: Option<MachineEnd>,
}

/// Collects a report.
pub(super) struct Collector {
    report: GasReport,
    prices: genesis::RiscvGas,
    classes: BTreeMap<Class, u64>,
    calls: BTreeMap<u64, (u64, i64, u64)>,
    open: Vec<Open>,
    /// The opcode that a machine asks for, and the gas before it.
    asked: Option<(u8, u64)>,
    /// The opcode that may have begun a frame.
    began: Option<u8>,
    /// Gas of the first frame.
    first: i64,
}

impl Collector {
    pub(super) fn new(prices: &genesis::RiscvGas) -> Self {
        Self {
            report: GasReport::default(),
            prices: prices.clone(),
            classes: BTreeMap::new(),
            calls: BTreeMap::new(),
            open: Vec::new(),
            asked: None,
            began: None,
            first: 0,
        }
    }

    fn spend(&mut self, opcode: u8, gas: i64) {
        // KECCAK256 pays units, which the machine reports.
        if opcode != op::KECCAK256
            && let Some(frame) = self.open.last_mut()
        {
            frame.syscalls += gas;
            self.calls.entry(opcode.into()).or_default().1 += gas;
        }
    }

    fn close(&mut self, frame: Open, created: bool, ok: bool, spent: i64) {
        let own = spent - frame.children;
        let parts = &mut self.report.parts;
        let Some(end) = frame.machine else {
            match (frame.ran, ok) {
                (true, _) => parts.evm += own,
                (false, true) => parts.precompiles += own,
                (false, false) => parts.lost += own,
            }
            return;
        };
        let known = [end.spent.gas, end.start, end.decoding].map(|gas| gas as i64);
        parts.machine += known[0];
        parts.frame_starts += known[1];
        parts.decoding += known[2];
        parts.syscalls += frame.syscalls;
        let rest = own - known.iter().sum::<i64>() - frame.syscalls;
        *(if created && ok { &mut parts.deployment } else { &mut parts.lost }) += rest;
        let machine = &mut self.report.machine;
        machine.frames += 1;
        machine.copies += end.spent.copies;
        machine.pages.units += end.spent.pages;
        machine.pure_calls += end.spent.calls;
    }

    pub(super) fn finish(mut self, result: &ExecutionResult) -> GasReport {
        let mut report = self.report;
        let gas = result.gas();
        report.success = result.is_success();
        report.gas_used = result.tx_gas_used();
        let parts = &mut report.parts;
        parts.intrinsic = gas.total_gas_spent() as i64 - self.first;
        let refund = gas.inner_refunded().min(gas.total_gas_spent());
        let net = (gas.total_gas_spent() - refund) as i64;
        parts.refund = -(refund as i64);
        parts.floor = report.gas_used as i64 - net;
        let machine = &mut report.machine;
        machine.units_per_gas = self.prices.units_per_gas.max(1);
        machine.pages.count = machine.pages.units / u64::from(self.prices.page.max(1));
        machine.instructions = Class::ALL
            .into_iter()
            .filter_map(|class| {
                let count = self.classes.remove(&class)?;
                let units = count * u64::from(class.price(&self.prices));
                Some(ClassReport { class: class.name(), count: Count { count, units } })
            })
            .collect();
        let units = machine.copies
            + machine.pages.units
            + machine.pure_calls
            + machine.instructions.iter().map(|class| class.count.units).sum::<u64>();
        machine.remainder = parts.machine * machine.units_per_gas as i64 - units as i64;
        let syscalls = self.calls.into_iter();
        report.syscalls = syscalls
            .map(|(number, (count, gas, units))| {
                let name = syscall::name(number).unwrap_or("UNKNOWN");
                SyscallReport { name, count, gas, units }
            })
            .collect();
        let asked: u64 =
            report.syscalls.iter().filter(|call| call.gas != 0).map(|call| call.count).sum();
        let opcodes = (report.evm_opcodes + asked).saturating_mul(UNITS_PER_OPCODE);
        let total = units.saturating_add(opcodes);
        report.proving_cost = ProvingCost { machine: units, opcodes, total };
        report
    }
}

impl<CTX: ContextTr> Recorder<CTX> for Collector {
    fn syscall(&mut self, _: u64) {
        // The step that follows is a machine's.
        self.asked = Some((0, 0));
    }

    fn served(&mut self, number: u64, units: u64) {
        let call = self.calls.entry(number).or_default();
        call.0 += 1;
        call.2 += units;
    }

    fn machine_end(&mut self, end: MachineEnd) {
        if let Some(frame) = self.open.last_mut() {
            frame.machine = Some(end);
        }
    }

    fn wants_instructions(&self) -> bool {
        true
    }

    fn instruction_size(&self) -> usize {
        0
    }

    fn instruction(&mut self, done: &Instruction<'_>) {
        if let Some(class) = done.machine.image().fetch(done.pc).and_then(Class::of_encoding) {
            *self.classes.entry(class).or_default() += 1;
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX, EthInterpreter> for Collector {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        use revm::interpreter::interpreter_types::Jumps;
        match &mut self.asked {
            Some(asked) => *asked = (interpreter.bytecode.opcode(), interpreter.gas.remaining()),
            None => {
                self.report.evm_opcodes += 1;
                if let Some(frame) = self.open.last_mut() {
                    frame.ran = true;
                }
            }
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if let Some((opcode, before)) = self.asked.take() {
            self.spend(opcode, before as i64 - interpreter.gas.remaining() as i64);
            self.began = Some(opcode);
        }
    }

    fn frame_start(&mut self, _: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        // What the callee gets is no cost of the call.
        if let Some(opcode) = self.began.take() {
            let gas = match input {
                FrameInput::Call(call) => call.gas_limit,
                FrameInput::Create(create) => create.gas_limit(),
                FrameInput::Empty => 0,
            };
            self.spend(opcode, -(gas as i64));
        }
        self.open.push(Open::default());
        None
    }

    fn frame_end(&mut self, _: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        let Some(frame) = self.open.pop() else { return };
        self.began = None;
        let ended = result.interpreter_result();
        let kept = ended.result.is_ok_or_revert();
        let remaining = if kept { ended.gas.remaining() } else { 0 };
        let spent = ended.gas.limit() as i64 - remaining as i64;
        let created = matches!(input, FrameInput::Create(_));
        let ok = ended.result.is_ok();
        self.close(frame, created, ok || kept && !created, spent);
        match self.open.last_mut() {
            Some(parent) => parent.children += spent,
            None => self.first = spent,
        }
    }
}
