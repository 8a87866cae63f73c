//! RISC-V machines beside revm's frames.
//!
//! revm's frame stack holds a frame for every call and creation. `Stack::machines` has a place for
//! each of these frames: empty for the EVM's, a machine for RISC-V code. A machine that calls out
//! stays in its place until the result comes back, so that the host's stack never grows.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Display;

use alloy_primitives::{Address, Bytes, address};
use genesis::{
    Container, SpecId,
    container::{HEADER_SIZE, is_container},
};
use revm::{
    DatabaseRef,
    context::{Evm, FrameStack},
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, ItemOrResult,
        evm::{ContextDbError, FrameInitResult},
    },
    inspector::{
        InspectorEvmTr,
        handler::{frame_end, inspect_instructions},
    },
    interpreter::{
        FrameInput, InstructionResult, Interpreter,
        interpreter::{EthInterpreter, ExtBytecode},
        interpreter_action::FrameInit,
        interpreter_types::LoopControl,
    },
};

use crate::{
    Engine,
    create::{self, Instructions},
    precompiles::Precompiles,
    riscv::{Machine, Pool, Units, syscall::Guest},
    source::Context,
    stop,
    watch::{MachineEnd, Watch},
};

/// Where Solidity's `console.log` calls go.
pub const CONSOLE: Address = address!("000000000000000000636F6e736F6c652e6c6f67");

/// Bytes of prints that are kept of one transaction, with what keeping one takes; what comes after
/// is dropped.
const PRINTS_SIZE_MAX: usize = 1 << 20;

/// Text or console call data that a contract gave out; not part of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The contract that printed.
    pub address: Address,
    /// How to read `data`.
    pub kind: PrintKind,
    /// The text's bytes, or the console call's data.
    pub data: Bytes,
}

/// What a [`Print`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintKind {
    /// UTF-8 of a RISC-V contract's PRINT.
    Text,
    /// Call data for [`CONSOLE`].
    Console,
}

/// Why a RISC-V frame was halted by its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// What the contract did.
    pub reason: String,
    /// The guest's program counter; 0 if it never started.
    pub pc: u64,
    /// The account whose frame it was.
    pub address: Address,
    /// The frame's depth: 0 is the transaction's own.
    pub depth: usize,
}

/// revm's frame.
pub(crate) type Frame = EthFrame<EthInterpreter>;

type FrameEvm<DB> = Evm<Context<DB>, (), Instructions<DB>, Precompiles, Frame>;

type NextResult<DB> = Result<FrameInitOrResult<Frame>, ContextDbError<Context<DB>>>;

/// The frames of one execution, kept from transaction to transaction.
pub(crate) struct Stack<DB: DatabaseRef> {
    pub(crate) evm: FrameEvm<DB>,
    /// The place of each live frame.
    machines: Vec<Option<Place>>,
    pub(crate) host: Host,
}

/// A frame whose code is a container.
enum Place {
    /// It has not run yet. It is the transaction's frame of this number.
    Fresh(usize),
    /// It runs or waits.
    Live(Box<Live>),
}

/// A machine and what it is to its frame.
pub(crate) struct Live {
    /// The number of its frame in the transaction.
    pub(crate) number: usize,
    pub(crate) machine: Machine,
    pub(crate) units: Units,
    /// The running code: header, image and tail.
    pub(crate) container: Bytes,
    /// Whether it runs as init code.
    pub(crate) constructor: bool,
    /// What it waits for, if it waits.
    pub(crate) waiting: Option<Waiting>,
    /// Gas for its start, and for decoding.
    opening: [u64; 2],
    image_end: usize,
}

impl Live {
    /// The ELF file inside the container.
    pub(crate) fn image_bytes(&self) -> &[u8] {
        &self.container[HEADER_SIZE..self.image_end]
    }

    /// What stands behind the image.
    pub(crate) fn tail(&self) -> Bytes {
        self.container.slice(self.image_end..)
    }
}

/// What a machine has asked for, and where the guest wants the answer.
pub(crate) enum Waiting {
    /// A call: the return data's place.
    Call { out: u64, out_len: u64 },
    /// A creation: the address's place.
    Create { out: u64 },
}

/// What the machines of all frames share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    enabled: bool,
    pool: Pool,
    /// Pages that the transaction may still touch.
    pub(crate) pages_left: u32,
    pub(crate) prints: Vec<Print>,
    prints_size: usize,
    /// Frames that were asked for so far, with those that never came to be.
    frames: usize,
    /// Traps, each with the number of its frame in that count.
    pub(crate) traps: Vec<(usize, TrapReport)>,
}

impl Host {
    pub(crate) fn print(&mut self, print: Print) {
        let size = size_of::<Print>() + print.data.len();
        self.prints_size = self.prints_size.saturating_add(size);
        if self.prints_size <= PRINTS_SIZE_MAX {
            self.prints.push(print);
        }
    }

    /// Keeps why the frame of this number was halted; its caller gets only the result code.
    pub(crate) fn trapped(
        &mut self,
        number: usize,
        interpreter: &Interpreter,
        pc: u64,
        reason: &impl Display,
    ) {
        let input = &interpreter.input;
        let (address, depth) = (input.target_address, input.depth);
        self.traps.push((number, TrapReport { reason: reason.to_string(), pc, address, depth }));
    }
}

impl<DB: DatabaseRef> Stack<DB> {
    pub(crate) fn new(evm: FrameEvm<DB>, engine: Engine, fork: SpecId) -> Self {
        let host = Host {
            engine,
            enabled: fork.is_enabled_in(SpecId::LONDON),
            pool: Pool::new(),
            pages_left: 0,
            prints: Vec::new(),
            prints_size: 0,
            frames: 0,
            traps: Vec::new(),
        };
        Self { evm, machines: Vec::new(), host }
    }

    /// Forgets what the last transaction left.
    pub(crate) fn reset(&mut self) {
        self.machines.clear();
        self.host.pages_left = self.host.engine.spec().riscv.memory_pages_max;
        self.host.prints.clear();
        self.host.prints_size = 0;
        self.host.frames = 0;
        self.host.traps.clear();
    }

    /// Runs the machine of the top frame, if it has one, until the frame ends or waits.
    fn run_machine<W: Watch<Context<DB>>>(&mut self, watch: &mut W) -> Option<NextResult<DB>> {
        let place = self.machines.last_mut()?.as_mut()?;
        let Self { evm, host, .. } = self;
        let frame = evm.frame_stack.get();
        let action = match start(place, frame, host) {
            Some(live) => Guest {
                live,
                interpreter: &mut frame.interpreter,
                context: &mut evm.ctx,
                instructions: &evm.instruction,
                precompiles: &evm.precompiles,
                host,
                watch,
            }
            .run(),
            None => frame.interpreter.take_next_action(),
        };
        let live = match place {
            Place::Live(live) => Some(&**live),
            Place::Fresh(_) => None,
        };
        Some(create::finish(frame, &mut evm.ctx, host, live, action))
    }

    /// Shows what the machine of the top frame, which is about to end, has paid for.
    fn show_end<W: Watch<Context<DB>>>(&self, watch: &mut W) {
        if let Some(Some(Place::Live(live))) = self.machines.last() {
            let [start, decoding] = live.opening;
            watch.machine_end(MachineEnd { start, decoding, spent: live.units.spent });
        }
    }

    /// Empties the place of the top frame, which has ended.
    fn pop_machine(&mut self) {
        if let Some(Some(Place::Live(live))) = self.machines.pop() {
            self.host.pages_left += live.machine.release(&mut self.host.pool);
        }
    }
}

/// The live machine of a place; `None` if the frame was halted instead.
fn start<'a>(place: &'a mut Place, frame: &mut Frame, host: &mut Host) -> Option<&'a mut Live> {
    if let Place::Fresh(number) = *place {
        if frame.interpreter.bytecode.is_end() {
            // An inspector has ended the frame before it began.
            return None;
        }
        *place = Place::Live(Box::new(open(number, frame, host)?));
    }
    match place {
        Place::Live(live) => Some(live),
        Place::Fresh(_) => None,
    }
}

/// Makes the machine of a frame that begins, or halts the frame.
fn open(number: usize, frame: &mut Frame, host: &mut Host) -> Option<Live> {
    let constructor = matches!(frame.input, FrameInput::Create(_));
    let interpreter = &mut frame.interpreter;
    match load(number, interpreter, constructor, host) {
        Ok(live) => {
            interpreter.bytecode = ExtBytecode::new(host.engine.strip().clone());
            Some(live)
        }
        Err(Refused::OutOfGas) => {
            interpreter.halt(InstructionResult::OutOfGas);
            None
        }
        Err(Refused::Code(refusal)) => {
            host.trapped(number, interpreter, 0, &refusal);
            interpreter.halt(refusal.result());
            None
        }
    }
}

enum Refused {
    OutOfGas,
    Code(create::Refusal),
}

impl From<create::Refusal> for Refused {
    fn from(refusal: create::Refusal) -> Self {
        Self::Code(refusal)
    }
}

/// Pays for a frame's start and, as init code, for decoding; finds the image in the cache.
fn load(
    number: usize,
    interpreter: &mut Interpreter,
    constructor: bool,
    host: &mut Host,
) -> Result<Live, Refused> {
    let params = &host.engine.spec().riscv;
    let code = interpreter.bytecode.original_bytes();
    let image = Container::parse(&code).map_err(create::Refusal::from)?.image;
    let image_end = HEADER_SIZE + image.len();
    let start = u64::from(params.gas.call_base).div_ceil(params.gas.units_per_gas.max(1));
    let mut decoding = 0;
    if constructor {
        create::check_init_code(&code, image, params)?;
        decoding = params.decode_gas_per_byte.saturating_mul(image.len() as u64);
    }
    if !interpreter.gas.record_regular_cost(start.saturating_add(decoding)) {
        return Err(Refused::OutOfGas);
    }
    let loaded = if constructor {
        // A factory deploys one image with many tails, so init code is known by its image.
        host.engine.image(blake3::hash(image).as_bytes().into(), image)
    } else {
        let hash = interpreter.bytecode.get_or_calculate_hash();
        host.engine.image(hash, image)
    };
    let image = loaded.map_err(create::Refusal::from)?;
    let units = Units::new(&params.gas, params.memory_pages_max);
    let machine = Machine::new(image, &mut host.pool, constructor);
    let (waiting, opening) = (None, [start, decoding]);
    let container = code;
    Ok(Live { number, machine, units, container, constructor, waiting, opening, image_end })
}

/// The frames under the eyes of an observer: what revm's loop drives.
pub(crate) struct Frames<'a, DB: DatabaseRef, W> {
    pub(crate) stack: &'a mut Stack<DB>,
    pub(crate) watch: &'a mut W,
}

impl<DB: DatabaseRef, W: Watch<Context<DB>>> EvmTr for Frames<'_, DB, W> {
    type Context = Context<DB>;
    type Instructions = Instructions<DB>;
    type Precompiles = Precompiles;
    type Frame = Frame;

    fn all(&self) -> (&Context<DB>, &Instructions<DB>, &Precompiles, &FrameStack<Frame>) {
        self.stack.evm.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Context<DB>, &mut Instructions<DB>, &mut Precompiles, &mut FrameStack<Frame>) {
        self.stack.evm.all_mut()
    }

    fn frame_init(
        &mut self,
        input: FrameInit,
    ) -> Result<FrameInitResult<'_, Frame>, ContextDbError<Context<DB>>> {
        let Stack { evm, machines, host } = &mut *self.stack;
        if let FrameInput::Call(call) = &input.frame_input
            && call.target_address == CONSOLE
        {
            let data = call.input.bytes(&evm.ctx);
            host.print(Print { address: call.caller, kind: PrintKind::Console, data });
        }
        stop::pass_frame(&mut evm.ctx)?;
        let depth = evm.frame_stack.index().map_or(0, |index| index + 1);
        let enabled = host.enabled;
        let number = host.frames;
        host.frames += 1;
        Ok(evm.frame_init(input)?.map_item(|frame| {
            let code = frame.interpreter.bytecode.original_byte_slice();
            machines.truncate(depth);
            machines.push((enabled && is_container(code)).then_some(Place::Fresh(number)));
            frame
        }))
    }

    fn frame_run(&mut self) -> NextResult<DB> {
        let next = match self.stack.run_machine(&mut *self.watch) {
            Some(next) => next?,
            None => self.stack.evm.frame_run()?,
        };
        if next.is_result() {
            self.stack.pop_machine();
        }
        Ok(next)
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Context<DB>>> {
        self.stack.evm.frame_return_result(result)
    }
}

impl<DB: DatabaseRef, W: Watch<Context<DB>>> InspectorEvmTr for Frames<'_, DB, W> {
    type Inspector = W;

    fn all_inspector(
        &self,
    ) -> (&Context<DB>, &Instructions<DB>, &Precompiles, &FrameStack<Frame>, &W) {
        let (context, instructions, precompiles, frames) = self.stack.evm.all();
        (context, instructions, precompiles, frames, self.watch)
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (&mut Context<DB>, &mut Instructions<DB>, &mut Precompiles, &mut FrameStack<Frame>, &mut W)
    {
        let (context, instructions, precompiles, frames) = self.stack.evm.all_mut();
        (context, instructions, precompiles, frames, self.watch)
    }

    fn inspect_frame_run(&mut self) -> NextResult<DB> {
        let mut next = match self.stack.run_machine(&mut *self.watch) {
            Some(next) => next?,
            None => {
                let FrameEvm::<DB> { ctx, instruction, frame_stack, .. } = &mut self.stack.evm;
                let frame = frame_stack.get();
                let action = inspect_instructions(
                    ctx,
                    &mut frame.interpreter,
                    &mut *self.watch,
                    instruction.instruction_table(),
                    instruction.gas_table(),
                );
                frame.process_next_action::<_, ContextDbError<Context<DB>>>(ctx, action)?
            }
        };
        if let ItemOrResult::Result(result) = &mut next {
            self.stack.show_end(&mut *self.watch);
            let frame = self.stack.evm.frame_stack.get();
            frame_end(&mut self.stack.evm.ctx, &mut *self.watch, &frame.input, result);
            frame.set_finished(true);
            self.stack.pop_machine();
        }
        Ok(next)
    }
}
