//! `rvTracer`: guests instruction by instruction.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use alloy_primitives::{Address, U64, hex};
use alloy_rpc_types_trace::geth::GethTrace;
use revm::{
    Inspector, context_interface::result::ExecutionResult, interpreter::interpreter::EthInterpreter,
};
use serde_json::json;

use vm::{
    riscv::{disassemble_at, register_name},
    watch::Instruction,
};

/// Number of the register that holds a system call's result.
const A0: usize = 10;
/// Instructions shown if the options set no limit.
const STEPS_MAX: usize = 200_000;

/// Collects what guests execute.
pub(super) struct Instructions {
    steps: Vec<Step>,
    steps_max: usize,
    truncated: bool,
    units_per_gas: u64,
    /// Of each frame, its last step and the value of a0 after it.
    last: BTreeMap<usize, (usize, u64)>,
}

struct Step {
    address: Address,
    depth: usize,
    pc: u64,
    text: String,
    /// The register that changed, and its new value.
    change: Option<(usize, u64)>,
    units: u64,
    gas_left: u64,
}

impl Instructions {
    pub(super) fn new(limit: Option<u64>, units_per_gas: u64) -> Self {
        let limit = limit.filter(|limit| *limit > 0);
        let steps_max =
            limit.map_or(STEPS_MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self {
            steps: Vec::new(),
            steps_max,
            truncated: false,
            units_per_gas: units_per_gas.max(1),
            last: BTreeMap::new(),
        }
    }

    /// Gives a system call its result, which is there only when its frame goes on.
    fn complete_syscall(&mut self, frame: usize, a0: u64) {
        if let Some((step, before)) = self.last.get(&frame)
            && *before != a0
            && let Some(step) = self.steps.get_mut(*step)
        {
            step.change = Some((A0, a0));
        }
    }

    pub(super) fn wants_instructions(&self) -> bool {
        self.steps.len() < self.steps_max
    }

    pub(super) fn instruction(&mut self, done: &Instruction<'_>) {
        let Instruction { frame, machine, pc, before, units, units_left, address, depth } = *done;
        self.complete_syscall(frame, before[A0]);
        let after = machine.registers();
        let change = (1..after.len()).find(|n| before[*n] != after[*n]).map(|n| (n, after[n]));
        let line = disassemble_at(machine.image(), pc);
        let text = line.map_or_else(|| "undefined".into(), |line| line.text);
        let gas_left = units_left / self.units_per_gas;
        self.last.insert(frame, (self.steps.len(), after[A0]));
        self.steps.push(Step { address, depth, pc, text, change, units, gas_left });
        self.truncated = self.steps.len() >= self.steps_max;
    }

    pub(super) fn into_trace(self, result: &ExecutionResult, trap: Option<String>) -> GethTrace {
        let steps: Vec<_> = self.steps.iter().map(Step::to_json).collect();
        GethTrace::JS(json!({
            "gas": result.tx_gas_used(),
            "failed": !result.is_success(),
            "returnValue": result.output().map(hex::encode_prefixed).unwrap_or_default(),
            "trap": trap,
            "truncated": self.truncated,
            "unitsPerGas": self.units_per_gas,
            "steps": steps,
        }))
    }
}

impl Step {
    fn to_json(&self) -> serde_json::Value {
        let change = self.change.map(|(register, value)| {
            json!({ "name": register_name(register), "value": U64::from(value) })
        });
        json!({
            "address": self.address,
            "depth": self.depth + 1,
            "pc": format!("{:#x}", self.pc),
            "instruction": self.text,
            "register": change,
            "units": self.units,
            "gas": self.gas_left,
        })
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for Instructions {}
