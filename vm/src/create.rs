//! What may become code, and the instructions that are not revm's own.
//!
//! EVM code keeps the EVM's limits; RISC-V containers have their own, from genesis.

use alloc::sync::Arc;

use alloy_primitives::{U256, keccak256};
use genesis::{
    Container, ContainerError, RiscvParams, SpecId,
    container::{MAGIC, is_container},
};
use revm::{
    DatabaseRef,
    bytecode::{Bytecode, opcode},
    context::{Cfg, CfgEnv, ContextTr, JournalTr},
    context_interface::cfg::GasId,
    handler::{
        FrameData, FrameInitOrResult, FrameResult, ItemOrResult, evm::ContextDbError,
        instructions::EthInstructions,
    },
    interpreter::{
        CreateOutcome, FrameInput, Host as _, Instruction, InstructionContext,
        InstructionExecResult, InstructionResult, InterpreterAction, InterpreterResult, gas,
        instructions::{contract, gas_table_spec, host},
        interpreter::EthInterpreter,
    },
};

use crate::{
    Engine,
    machines::{Frame, Host, Live},
    riscv::{Image, ImageError},
    source::Context,
};

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

/// Has SSTORE paid for as EIP-1283 says, from Constantinople to Petersburg: by the rule that revm
/// has from Istanbul on (EIP-2200), with a load at 200 and without the gas that must be left.
pub(crate) fn meter_net<DB: DatabaseRef>(cfg: &mut CfgEnv, instructions: &mut Instructions<DB>) {
    cfg.gas_params.override_gas([
        (GasId::sstore_static(), 200),
        (GasId::sstore_set_without_load_cost(), 20_000 - 200),
        (GasId::sstore_reset_without_cold_load_cost(), 5_000 - 200),
        (GasId::sstore_set_refund(), 20_000 - 200),
        (GasId::sstore_reset_refund(), 5_000 - 200),
    ]);
    instructions.insert_instruction(opcode::SSTORE, Instruction::new(sstore_net::<DB>), 0);
}

fn sstore_net<DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    host::sstore_with_gas_accounting(context, |context, _, load| {
        let params = context.host.gas_params();
        let cost = params.sstore_dynamic_gas(true, &load.data, false);
        let refund = params.sstore_refund(true, &load.data);
        gas!(context.interpreter, cost);
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}

/// CREATE or CREATE2, which revm would hold to the larger of the two limits only.
fn create<const IS_CREATE2: bool, DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    let stack = &context.interpreter.stack.data()[..];
    if let [.., size, offset, _value] = stack {
        let limit = evm_init_code_size_max(&context.host.cfg);
        let is_larger = *size > U256::from(limit);
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
    offset: U256,
) -> bool {
    let memory = &context.interpreter.memory;
    usize::try_from(offset)
        .ok()
        .and_then(|start| Some(start..start.checked_add(MAGIC.len())?))
        .filter(|range| range.end <= memory.len())
        .is_some_and(|range| is_container(&memory.slice_range(range)))
}

/// Why RISC-V code neither runs as init code nor becomes an account's code.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("malformed RISC-V code: {0}")]
    Container(#[from] ContainerError),
    #[error("malformed RISC-V image: {0}")]
    Image(#[from] ImageError),
    #[error("RISC-V image of {size} bytes is larger than imageSizeMax, {limit}")]
    ImageSize { size: usize, limit: u32 },
    #[error("RISC-V code of {size} bytes is larger than initCodeSizeMax, {limit}")]
    CodeSize { size: usize, limit: u32 },
    #[error(
        "RISC-V code of {size} bytes costs {cost} gas to deploy (depositGasPerByte and \
         decodeGasPerByte), {left} left"
    )]
    Deposit { size: usize, cost: u64, left: u64 },
}

impl Refusal {
    /// The nearest of the EVM's result codes.
    pub(crate) const fn result(&self) -> InstructionResult {
        match self {
            Self::Container(_) | Self::Image(_) => InstructionResult::CreateContractStartingWithEF,
            Self::ImageSize { .. } | Self::CodeSize { .. } => {
                InstructionResult::CreateContractSizeLimit
            }
            Self::Deposit { .. } => InstructionResult::OutOfGas,
        }
    }
}

/// Holds RISC-V init code, and code to be deployed, to the limits from genesis.
pub(crate) fn check_init_code(
    code: &[u8],
    image: &[u8],
    params: &RiscvParams,
) -> Result<(), Refusal> {
    if code.len() > params.init_code_size_max as usize {
        return Err(Refusal::CodeSize { size: code.len(), limit: params.init_code_size_max });
    }
    if image.len() > params.image_size_max as usize {
        return Err(Refusal::ImageSize { size: image.len(), limit: params.image_size_max });
    }
    Ok(())
}

/// Ends or suspends a RISC-V frame: its creation may deploy a container, all else is as revm does.
pub(crate) fn finish<DB: DatabaseRef>(
    frame: &mut Frame,
    context: &mut Context<DB>,
    host: &mut Host,
    live: Option<&Live>,
    action: InterpreterAction,
) -> Result<FrameInitOrResult<Frame>, ContextDbError<Context<DB>>> {
    let next = match (&frame.data, live, action) {
        (FrameData::Create(data), Some(live), InterpreterAction::Return(mut result))
            if result.is_ok() && is_container(&result.output) =>
        {
            let address = data.created_address;
            match prepare(&mut result, live, &host.engine) {
                Ok(code) => {
                    context.journal_mut().checkpoint_commit();
                    let hash = keccak256(&result.output);
                    host.engine.keep(hash, &code);
                    context.journal_mut().set_code_with_hash(address, code.bytecode, hash);
                    result.result = InstructionResult::Return;
                }
                Err(refusal) => {
                    context.journal_mut().checkpoint_revert(frame.checkpoint);
                    let pc = live.machine.stopped_at();
                    host.trapped(live.number, &frame.interpreter, pc, &refusal);
                    result.result = refusal.result();
                }
            }
            let mut outcome = CreateOutcome::new(result, Some(address));
            if let FrameInput::Create(input) = &frame.input {
                outcome.charged_create_state_gas = input.charged_create_state_gas();
            }
            ItemOrResult::Result(FrameResult::Create(outcome))
        }
        (_, _, action) => {
            frame.process_next_action::<_, ContextDbError<Context<DB>>>(context, action)?
        }
    };
    if next.is_result() {
        frame.set_finished(true);
    }
    Ok(next)
}

/// A container that may be deployed.
pub(crate) struct Deployable {
    /// The container as revm holds code.
    pub(crate) bytecode: Bytecode,
    /// Its image, decoded.
    pub(crate) image: Arc<Image>,
}

/// Checks, pays for and decodes the container that a constructor returned.
///
/// The deposit is regular gas on every fork: `depositGasPerByte` stands in place of both the
/// EVM's deposit and the state gas of EIP-8037.
fn prepare(
    result: &mut InterpreterResult,
    live: &Live,
    engine: &Engine,
) -> Result<Deployable, Refusal> {
    let params = &engine.spec().riscv;
    let (code, left) = (&result.output, result.gas.remaining());
    let image = Container::parse(code)?.image;
    check_init_code(code, image, params)?;
    let deposit = params.deposit_gas_per_byte.saturating_mul(code.len() as u64);
    let decode = params.decode_gas_per_byte.saturating_mul(image.len() as u64);
    let cost = deposit.saturating_add(decode);
    if !result.gas.record_regular_cost(cost) {
        return Err(Refusal::Deposit { size: code.len(), cost, left });
    }
    let image = if image == live.image_bytes() {
        live.machine.image().clone()
    } else {
        Arc::new(Image::load(image, &params.gas)?)
    };
    Ok(Deployable { bytecode: Bytecode::new_legacy(code.clone()), image })
}
