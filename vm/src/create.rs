//! What may become code.
//!
//! EVM code keeps the EVM's limits; RISC-V containers have their own, from genesis.

use genesis::{RiscvParams, SpecId, container::is_container};
use revm::{
    DatabaseRef,
    bytecode::opcode,
    context::{Cfg, CfgEnv},
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{contract, gas_table_spec},
        interpreter::EthInterpreter,
    },
};

use crate::source::Context;

/// revm's instruction table over our context.
pub(crate) type Instructions<DB> = EthInstructions<EthInterpreter, Context<DB>>;

/// Largest EVM init code in bytes (EIP-3860, EIP-7954): twice the largest code.
pub(crate) fn evm_init_code_size_max(cfg: &CfgEnv) -> usize {
    cfg.max_code_size().saturating_mul(2)
}

/// Raises revm's one limit on init code to the larger of the two machines'.
pub(crate) fn raise_init_code_limit(cfg: &mut CfgEnv, params: &RiscvParams) {
    let limit = evm_init_code_size_max(cfg).max(params.init_code_size_max as usize);
    cfg.limit_contract_initcode_size = Some(limit);
}

/// The fork's instructions, where CREATE and CREATE2 hold EVM init code to the EVM's limit.
pub(crate) fn instructions<DB: DatabaseRef>(fork: SpecId) -> Instructions<DB> {
    let mut instructions = EthInstructions::new_mainnet_with_spec(fork);
    if fork.is_enabled_in(SpecId::SHANGHAI) {
        let gas = gas_table_spec(fork);
        let price = |op: u8| gas[usize::from(op)];
        instructions.insert_instruction(
            opcode::CREATE,
            Instruction::new(create::<false, DB>),
            price(opcode::CREATE),
        );
        instructions.insert_instruction(
            opcode::CREATE2,
            Instruction::new(create::<true, DB>),
            price(opcode::CREATE2),
        );
    }
    instructions
}

/// CREATE or CREATE2, which revm would hold to the larger of the two limits only.
fn create<const IS_CREATE2: bool, DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    let stack = &context.interpreter.stack.data()[..];
    if let [.., size, offset, _value] = stack {
        let limit = evm_init_code_size_max(&context.host.cfg);
        let is_larger = *size > alloy_primitives::U256::from(limit);
        let is_static = context.interpreter.runtime_flag.is_static;
        if is_larger && !is_static && !reads_container(&context, *offset) {
            return Err(InstructionResult::CreateInitCodeSizeLimit);
        }
    }
    contract::create::<IS_CREATE2, _, _>(context)
}

/// Whether the EVM's memory at `offset` starts with the magic of a container.
fn reads_container<DB: DatabaseRef>(
    context: &InstructionContext<'_, Context<DB>, EthInterpreter>,
    offset: alloy_primitives::U256,
) -> bool {
    let memory = &context.interpreter.memory;
    usize::try_from(offset)
        .ok()
        .and_then(|start| Some(start..start.checked_add(genesis::container::MAGIC.len())?))
        .filter(|range| range.end <= memory.len())
        .is_some_and(|range| is_container(&memory.slice_range(range)))
}
