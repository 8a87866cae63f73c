//! System calls: what a guest asks for, done by revm.
//!
//! A call whose number is an opcode runs revm's own instruction on the *strip*, a program in which
//! byte i is opcode i. So gas, cold and warm access, static context, refunds and forks are revm's,
//! and every inspector sees an opcode. `docs/spec/riscv-abi.md`, section 5, is the table.
//!
//! All calls that are opcodes are in one file, which makes it longer than 600 lines: they share one
//! way to run an instruction, and a part of them alone could not be read.

use alloc::vec::Vec;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use genesis::Container;
use revm::{
    DatabaseRef,
    bytecode::opcode as op,
    interpreter::{
        CallInput, FrameInput, InstructionResult, Interpreter, InterpreterAction,
        interpreter_types::{LoopControl, ReturnData, StackTr},
    },
};

use crate::{
    create::Instructions,
    machines::{Host, Live, Print, PrintKind, Waiting},
    precompiles::Precompiles,
    riscv::{Access, MemoryFault, OutOfGas, Stop, Trap, crypto},
    source::Context,
    stop,
    watch::{Instruction, OwnSyscall, StandIn, Watch},
};

/// Numbers of the system calls that are no opcodes.
pub mod number {
    /// Bytes of the tail.
    pub const TAIL_SIZE: u64 = 0x1000;
    /// Copies the tail.
    pub const TAIL_COPY: u64 = 0x1001;
    /// Ends a constructor.
    pub const DEPLOY: u64 = 0x1002;
    /// Text for the node's log.
    pub const PRINT: u64 = 0x1003;
    /// The BLAKE3 hash.
    pub const BLAKE3: u64 = 0x1010;
    /// The public key that signed a hash.
    pub const SECP256K1_RECOVER: u64 = 0x1011;
    /// Whether a public key signed a hash.
    pub const SECP256K1_VERIFY: u64 = 0x1012;
    /// The precompile at address n has this number and n more.
    pub const PRECOMPILES: u64 = 0x1100;
    /// The last number there is.
    pub const LAST: u64 = PRECOMPILES + 0x100;
}

/// The names of the precompiles, by address.
const PRECOMPILES: [(u64, &str); 18] = [
    (0x01, "ECRECOVER"),
    (0x02, "SHA256"),
    (0x03, "RIPEMD160"),
    (0x04, "IDENTITY"),
    (0x05, "MODEXP"),
    (0x06, "BN254_ADD"),
    (0x07, "BN254_MUL"),
    (0x08, "BN254_PAIRING"),
    (0x09, "BLAKE2F"),
    (0x0a, "KZG_POINT_EVALUATION"),
    (0x0b, "BLS12_G1ADD"),
    (0x0c, "BLS12_G1MSM"),
    (0x0d, "BLS12_G2ADD"),
    (0x0e, "BLS12_G2MSM"),
    (0x0f, "BLS12_PAIRING"),
    (0x10, "BLS12_MAP_FP_TO_G1"),
    (0x11, "BLS12_MAP_FP2_TO_G2"),
    (0x100, "P256VERIFY"),
];

/// The name of a system call; `None` if the ABI has none of this number.
pub fn name(call: u64) -> Option<&'static str> {
    if let Ok(opcode) = u8::try_from(call) {
        let served = plain(opcode).is_some()
            || crypto::operands(opcode).is_some()
            || matches!(opcode, op::KECCAK256 | op::LOG0..=op::LOG4)
            || matches!(opcode, op::CALLDATACOPY | op::CODESIZE | op::CODECOPY)
            || matches!(opcode, op::EXTCODECOPY | op::RETURNDATACOPY)
            || matches!(opcode, op::CREATE | op::CREATE2 | op::RETURN | op::REVERT)
            || matches!(opcode, op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL);
        return match opcode {
            op::DIFFICULTY => Some("PREVRANDAO"),
            _ if served => op::OpCode::new(opcode).map(|opcode| opcode.as_str()),
            _ => None,
        };
    }
    match call {
        number::TAIL_SIZE => Some("TAIL_SIZE"),
        number::TAIL_COPY => Some("TAIL_COPY"),
        number::DEPLOY => Some("DEPLOY"),
        number::PRINT => Some("PRINT"),
        number::BLAKE3 => Some("BLAKE3"),
        number::SECP256K1_RECOVER => Some("SECP256K1_RECOVER"),
        number::SECP256K1_VERIFY => Some("SECP256K1_VERIFY"),
        _ => {
            let address = call.checked_sub(number::PRECOMPILES)?;
            PRECOMPILES.iter().find(|(n, _)| *n == address).map(|(_, name)| *name)
        }
    }
}

/// Why a machine does not go on.
pub(crate) enum Halt {
    /// Its frame's next action is set.
    Done,
    /// As an EVM frame ends or halts.
    Result(InstructionResult),
    /// The guest did what it must not do.
    Trap(Trap),
}

impl From<InstructionResult> for Halt {
    fn from(result: InstructionResult) -> Self {
        Self::Result(result)
    }
}

impl From<Trap> for Halt {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

impl From<OutOfGas> for Halt {
    fn from(OutOfGas: OutOfGas) -> Self {
        Self::Result(InstructionResult::OutOfGas)
    }
}

impl From<MemoryFault> for Halt {
    fn from(fault: MemoryFault) -> Self {
        match fault {
            MemoryFault::OutOfGas(out) => out.into(),
            MemoryFault::Trap(trap) => Self::Trap(trap),
        }
    }
}

/// Where an opcode's stack argument comes from.
#[derive(Clone, Copy)]
enum Arg {
    /// The register's value.
    Register,
    /// The 32 bytes that the register points to.
    Word,
}

/// Where an opcode's result goes.
#[derive(Clone, Copy)]
enum Out {
    Nothing,
    /// To a0.
    Register,
    /// To the 32 bytes that the register behind the arguments points to.
    Word,
}

/// Arguments and result of the opcodes that need no memory.
const fn plain(opcode: u8) -> Option<(&'static [Arg], Out)> {
    use Arg::{Register, Word};
    Some(match opcode {
        op::STOP | op::INVALID => (&[], Out::Nothing),
        op::ADDRESS
        | op::ORIGIN
        | op::CALLER
        | op::CALLVALUE
        | op::GASPRICE
        | op::COINBASE
        | op::DIFFICULTY
        | op::SELFBALANCE
        | op::BASEFEE
        | op::BLOBBASEFEE => (&[], Out::Word),
        op::CALLDATASIZE
        | op::RETURNDATASIZE
        | op::TIMESTAMP
        | op::NUMBER
        | op::GASLIMIT
        | op::CHAINID
        | op::SLOTNUM
        | op::GAS => (&[], Out::Register),
        op::CALLDATALOAD | op::BLOCKHASH | op::BLOBHASH => (&[Register], Out::Word),
        op::EXTCODESIZE => (&[Word], Out::Register),
        op::BALANCE | op::EXTCODEHASH | op::SLOAD | op::TLOAD => (&[Word], Out::Word),
        op::SSTORE | op::TSTORE => (&[Word, Word], Out::Nothing),
        op::SELFDESTRUCT => (&[Word], Out::Nothing),
        _ => return None,
    })
}

/// A guest and everything that its system calls need.
pub(crate) struct Guest<'a, DB: DatabaseRef, W> {
    pub(crate) live: &'a mut Live,
    pub(crate) interpreter: &'a mut Interpreter,
    pub(crate) context: &'a mut Context<DB>,
    pub(crate) instructions: &'a Instructions<DB>,
    pub(crate) precompiles: &'a Precompiles,
    pub(crate) host: &'a mut Host,
    pub(crate) watch: &'a mut W,
}

impl<DB: DatabaseRef, W: Watch<Context<DB>>> Guest<'_, DB, W> {
    /// Runs the guest until its frame ends or waits for another frame.
    pub(crate) fn run(&mut self) -> InterpreterAction {
        // An inspector may have ended the frame before it began.
        if !self.interpreter.bytecode.is_end()
            && let Err(halt) = self.drive()
        {
            self.halt(halt);
        }
        self.interpreter.take_next_action()
    }

    fn drive(&mut self) -> Result<(), Halt> {
        self.open();
        match self.live.waiting.take() {
            Some(Waiting::Call { out, out_len }) => self.resume_call(out, out_len)?,
            Some(Waiting::Create { out }) => self.resume_create(out)?,
            None => {}
        }
        loop {
            match self.compute()? {
                Stop::Syscall => {
                    let before = self.live.units.spent.units();
                    let served = self.serve();
                    if W::ACTIVE {
                        let units = self.live.units.spent.units() - before;
                        self.watch.served(self.live.machine.number(), units);
                    }
                    served?;
                }
                Stop::OutOfGas => return Err(OutOfGas.into()),
                Stop::Trap(trap) => return Err(trap.into()),
            }
        }
    }

    fn halt(&mut self, halt: Halt) {
        self.settle();
        match halt {
            Halt::Done => {}
            Halt::Result(result) => self.interpreter.halt(result),
            Halt::Trap(trap) => {
                self.host.trapped(self.live.number, self.interpreter, trap.pc(), &trap);
                self.interpreter.halt(InstructionResult::OpcodeNotFound);
            }
        }
    }

    fn compute(&mut self) -> Result<Stop, Halt> {
        let Live { machine, units, number, container, constructor, .. } = &mut *self.live;
        let input = &self.interpreter.input;
        if W::ACTIVE {
            let (frame, constructor) = (*number, *constructor);
            let guest = StandIn { frame, container, constructor, machine };
            if let Some(stop) = self.watch.stand_in(guest) {
                return Ok(stop);
            }
        }
        while W::ACTIVE && self.watch.wants_instructions() {
            stop::pass(self.context, stop::JUMP)?;
            let (pc, units_before, before) = (machine.pc(), units.left, *machine.registers());
            let stop = machine.step(units);
            self.watch.instruction(Instruction {
                frame: *number,
                depth: input.depth,
                address: input.target_address,
                machine,
                pc,
                before,
                units: units_before - units.left,
                units_left: units.left,
            });
            if let Some(stop) = stop {
                return Ok(stop);
            }
        }
        if !self.context.journaled_state.database.database.watchdog.is_set() {
            return Ok(machine.run(units));
        }
        // Between two system calls there may be little of a slice.
        stop::pass(self.context, stop::LONG)?;
        let slice = stop::SLICE_ADDITIONS * u64::from(machine.image().gas().add.max(1));
        loop {
            if let Some(stop) = machine.run_slice(units, slice) {
                return Ok(stop);
            }
            stop::pass(self.context, stop::SLICE)?;
        }
    }

    fn serve(&mut self) -> Result<(), Halt> {
        let number = self.live.machine.number();
        let Some(opcode) = u8::try_from(number).ok().filter(|_| !crypto::is_pure(number)) else {
            return if W::ACTIVE { self.serve_watched(number) } else { self.serve_own(number) };
        };
        if let Some((args, out)) = plain(opcode) {
            return self.serve_plain(opcode, args, out);
        }
        match opcode {
            op::KECCAK256 => self.keccak(),
            op::CALLDATACOPY => {
                let data = self.interpreter.input.input.bytes(self.context);
                self.copy(opcode, data)
            }
            op::CODESIZE => self.code_size(),
            op::CODECOPY => self.copy(opcode, self.live.container.clone()),
            op::EXTCODECOPY => self.copy_foreign_code(),
            op::RETURNDATACOPY => self.copy(opcode, self.interpreter.return_data.buffer().clone()),
            op::LOG0..=op::LOG4 => self.log(opcode),
            op::CREATE | op::CREATE2 => self.create(opcode),
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => self.call(opcode),
            op::RETURN => self.end(opcode, InstructionResult::Return),
            op::REVERT => self.end(opcode, InstructionResult::Revert),
            _ => Err(self.unknown(number)),
        }
    }

    /// A call that is no opcode, in view of the observer.
    fn serve_watched(&mut self, number: u64) -> Result<(), Halt> {
        let name = name(number).unwrap_or("UNKNOWN");
        let pc = self.live.machine.stopped_at();
        self.settle();
        let gas = self.interpreter.gas.remaining();
        self.open();
        let served = self.serve_own(number);
        self.settle();
        let gas_cost = gas - self.interpreter.gas.remaining();
        let depth = self.interpreter.input.depth;
        self.watch.own_syscall(OwnSyscall { name, pc, gas, gas_cost, depth });
        self.open();
        served
    }

    fn serve_own(&mut self, number: u64) -> Result<(), Halt> {
        if matches!(number, number::TAIL_SIZE | number::TAIL_COPY | number::PRINT) {
            // The price of a product, for to be asked takes a node longer than what `ecall` costs.
            let price = self.live.machine.image().gas().mul_add256;
            self.live.units.charge_call(price.into())?;
        }
        match number {
            number::TAIL_SIZE => {
                let size = self.live.tail().len() as u64;
                self.live.machine.set_result(size);
                Ok(())
            }
            number::TAIL_COPY => {
                let [dst, offset, len] = self.args();
                self.live.machine.check(dst, len, Access::Store)?;
                let bytes = padded(&self.live.tail(), offset, len);
                self.write(dst, &bytes)
            }
            number::DEPLOY => self.deploy(),
            number::PRINT => {
                let [ptr, len] = self.args();
                let data = self.read(ptr, len)?.into();
                let address = self.interpreter.input.target_address;
                self.host.print(Print { address, kind: PrintKind::Text, data });
                Ok(())
            }
            _ => {
                let precompiles = self.precompiles;
                let precompile = |n, input: &[u8]| precompiles.compute(n, input);
                let Live { machine, units, .. } = &mut *self.live;
                let result = crypto::compute(machine, units, &precompile)?;
                let result = result.ok_or_else(|| self.unknown(number))?;
                self.live.machine.set_result(result);
                Ok(())
            }
        }
    }

    fn unknown(&self, number: u64) -> Halt {
        Trap::UnknownSyscall { pc: self.live.machine.stopped_at(), number }.into()
    }

    /// An opcode without memory: arguments in, instruction, result out.
    fn serve_plain(&mut self, opcode: u8, kinds: &[Arg], out: Out) -> Result<(), Halt> {
        let mut args = [U256::ZERO; 2];
        for (n, (arg, kind)) in args.iter_mut().zip(kinds).enumerate() {
            *arg = match kind {
                Arg::Register => U256::from(self.live.machine.arg(n)),
                Arg::Word => self.read_word(self.live.machine.arg(n))?,
            };
        }
        let ptr = self.live.machine.arg(kinds.len());
        if let Out::Word = out {
            self.live.machine.check(ptr, 32, Access::Store)?;
        }
        self.opcode(opcode, &args[..kinds.len()])?;
        match out {
            Out::Nothing => Ok(()),
            Out::Register => {
                let result = self.pop().saturating_to();
                self.live.machine.set_result(result);
                Ok(())
            }
            Out::Word => {
                let word = self.pop();
                self.write_word(ptr, word)
            }
        }
    }

    fn keccak(&mut self) -> Result<(), Halt> {
        let [ptr, len, out] = self.args();
        let bytes = self.read(ptr, len)?;
        self.live.machine.check(out, 32, Access::Store)?;
        // keccak pads, so that a message of whole blocks takes one more.
        let blocks = len / 136 + 1;
        let price = blocks.saturating_mul(self.live.machine.image().gas().keccak_block.into());
        let mut hash = U256::ZERO;
        self.step(op::KECCAK256, &[U256::from(ptr), U256::from(len)], |strip| {
            strip.pay_units(price)?;
            hash = keccak256(&bytes).into();
            strip.interpreter.stack.clear();
            let _ = strip.interpreter.stack.push(hash);
            Ok(())
        })?;
        self.pop();
        self.write_word(out, hash)
    }

    fn code_size(&mut self) -> Result<(), Halt> {
        let size = self.live.container.len();
        self.step(op::CODESIZE, &[], |strip| {
            strip.pay(strip.static_gas(op::CODESIZE))?;
            let _ = strip.interpreter.stack.push(U256::from(size));
            Ok(())
        })?;
        self.pop();
        self.live.machine.set_result(size as u64);
        Ok(())
    }

    /// CALLDATACOPY, CODECOPY and RETURNDATACOPY.
    fn copy(&mut self, opcode: u8, source: Bytes) -> Result<(), Halt> {
        let [dst, offset, len] = self.args();
        self.live.machine.check(dst, len, Access::Store)?;
        let size = source.len() as u64;
        let args = [dst, offset, len].map(U256::from);
        self.step(opcode, &args, |strip| {
            strip.pay(strip.static_gas(opcode))?;
            strip.pay(strip.context.cfg.gas_params.copy_cost(len as usize))?;
            let past_end = offset.checked_add(len).is_none_or(|end| end > size);
            if opcode == op::RETURNDATACOPY && past_end {
                return Err(InstructionResult::OutOfOffset);
            }
            strip.interpreter.stack.clear();
            Ok(())
        })?;
        let bytes = padded(&source, offset, len);
        self.write(dst, &bytes)
    }

    fn copy_foreign_code(&mut self) -> Result<(), Halt> {
        let [address, dst, offset, len] = self.args();
        let address = self.read_word(address)?;
        self.live.machine.check(dst, len, Access::Store)?;
        // The range was found to be mapped, so `len` is less than the address space.
        let size = len as usize;
        self.settle();
        let price = self.context.cfg.gas_params.extcodecopy(size);
        if self.interpreter.gas.remaining() < price {
            return Err(OutOfGas.into());
        }
        self.stretch_memory(size);
        self.opcode(op::EXTCODECOPY, &[address, U256::ZERO, U256::from(offset), U256::from(len)])?;
        let bytes = self.interpreter.memory.slice_len(0, size).to_vec();
        self.stretch_memory(0);
        self.write(dst, &bytes)
    }

    fn log(&mut self, opcode: u8) -> Result<(), Halt> {
        let [ptr, len, topics] = self.args();
        let count = u64::from(opcode - op::LOG0);
        let topics = self.read(topics, 32 * count)?;
        let data = self.read(ptr, len)?;
        self.set_memory(&data);
        let mut args = Vec::with_capacity(6);
        args.extend([U256::ZERO, U256::from(len)]);
        args.extend(topics.chunks_exact(32).map(U256::from_be_slice));
        self.opcode(opcode, &args)
    }

    fn create(&mut self, opcode: u8) -> Result<(), Halt> {
        let [value, ptr, len, fourth, fifth] = self.args();
        let out = if opcode == op::CREATE2 { fifth } else { fourth };
        let mut args = Vec::with_capacity(4);
        args.extend([self.read_word(value)?, U256::ZERO, U256::from(len)]);
        if opcode == op::CREATE2 {
            args.push(self.read_word(fourth)?);
        }
        let code = self.read(ptr, len)?;
        self.live.machine.check(out, 32, Access::Store)?;
        self.set_memory(&code);
        let went = self.opcode(opcode, &args);
        if let Some(InterpreterAction::NewFrame(_)) = self.interpreter.bytecode.action() {
            self.live.waiting = Some(Waiting::Create { out });
        }
        went?;
        // Under Amsterdam the instruction itself may refuse, and has then pushed 0.
        self.resume_create(out)
    }

    fn resume_create(&mut self, out: u64) -> Result<(), Halt> {
        let address = self.pop();
        self.live.machine.set_result((!address.is_zero()).into());
        self.write_word(out, address)
    }

    fn call(&mut self, opcode: u8) -> Result<(), Halt> {
        let takes_value = matches!(opcode, op::CALL | op::CALLCODE);
        let [gas, address, third, fourth, fifth, sixth, seventh] = self.args();
        let ([input, input_len, out, out_len], value) = if takes_value {
            ([fourth, fifth, sixth, seventh], Some(third))
        } else {
            ([third, fourth, fifth, sixth], None)
        };
        let mut args = Vec::with_capacity(7);
        args.extend([U256::from(gas), self.read_word(address)?]);
        if let Some(value) = value {
            args.push(self.read_word(value)?);
        }
        let input: Bytes = self.read(input, input_len)?.into();
        self.live.machine.check(out, out_len, Access::Store)?;
        // The ranges of the EVM's memory: none, for what the guest gives needs none.
        args.extend([U256::ZERO; 4]);
        let went = self.opcode(opcode, &args);
        if let Some(InterpreterAction::NewFrame(FrameInput::Call(call))) =
            self.interpreter.bytecode.action()
        {
            call.input = CallInput::Bytes(input);
            self.live.waiting = Some(Waiting::Call { out, out_len });
        }
        went
    }

    fn resume_call(&mut self, out: u64, out_len: u64) -> Result<(), Halt> {
        let flag = self.pop();
        self.live.machine.set_result(flag.saturating_to());
        let data = self.interpreter.return_data.buffer().clone();
        let len = data.len().min(usize::try_from(out_len).unwrap_or(usize::MAX));
        self.write(out, &data[..len])
    }

    fn deploy(&mut self) -> Result<(), Halt> {
        let pc = self.live.machine.stopped_at();
        if !self.live.constructor {
            return Err(Trap::NotAConstructor { pc }.into());
        }
        let [ptr, len] = self.args();
        let tail = self.read(ptr, len)?;
        let code = Container { image: self.live.image_bytes(), tail: &tail }.encode();
        // The image came out of a container, so its length fits one.
        let code = code.map_err(|_| Halt::Result(InstructionResult::CreateContractSizeLimit))?;
        self.settle();
        self.interpreter.return_with_output(code.into());
        Err(Halt::Done)
    }

    /// RETURN and REVERT.
    fn end(&mut self, opcode: u8, result: InstructionResult) -> Result<(), Halt> {
        let [ptr, len] = self.args();
        let output: Bytes = self.read(ptr, len)?.into();
        self.step(opcode, &[U256::from(ptr), U256::from(len)], |strip| {
            strip.interpreter.stack.clear();
            let gas = strip.interpreter.gas;
            let action = InterpreterAction::new_return(result, output, gas);
            strip.interpreter.bytecode.set_action(action);
            Ok(())
        })
    }

    fn args<const N: usize>(&self) -> [u64; N] {
        core::array::from_fn(|n| self.live.machine.arg(n))
    }

    fn pop(&mut self) -> U256 {
        // The instruction before has pushed it.
        self.interpreter.stack.pop().unwrap_or_default()
    }

    fn read(&mut self, ptr: u64, len: u64) -> Result<Vec<u8>, Halt> {
        Ok(self.live.machine.read(ptr, len, &mut self.live.units)?)
    }

    fn read_word(&mut self, ptr: u64) -> Result<U256, Halt> {
        let word = self.live.machine.read_word(ptr, &mut self.live.units)?;
        Ok(U256::from_be_bytes(word))
    }

    fn write(&mut self, ptr: u64, bytes: &[u8]) -> Result<(), Halt> {
        Ok(self.live.machine.write(ptr, bytes, &mut self.live.units)?)
    }

    fn write_word(&mut self, ptr: u64, word: U256) -> Result<(), Halt> {
        self.write(ptr, B256::from(word).as_slice())
    }
}

/// `len` bytes of `source` from `offset` on, zeros past its end.
fn padded(source: &[u8], offset: u64, len: u64) -> Vec<u8> {
    // The caller has checked that the guest has `len` bytes mapped.
    let mut bytes = alloc::vec![0; len as usize];
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(source.len());
    let there = (source.len() - start).min(bytes.len());
    bytes[..there].copy_from_slice(&source[start..start + there]);
    bytes
}
