//! `tandem rv run`: a bare RISC-V ELF file, outside of any chain.
//!
//! The file runs on the same machine, with the same prices, as a contract does. What a contract
//! asks a chain for is missing; in its place stand four system calls of Linux, so that test
//! programs made for a user-mode emulator run as they are. `docs/rv-run.md` lists them.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use alloy_primitives::{hex, keccak256};
use clap::{Args, Subcommand};
use genesis::{RiscvGas, RiscvParams};
use vm::riscv::{
    Class, Image, ImageError, Machine, MemoryFault, Pool, Stop, Trap, Units,
    crypto::{self, latest_precompile},
    disassemble_at, register_name,
};

/// Exit code if the guest did not end by itself: a trap, or the end of its gas.
const FAILED: u8 = 125;
/// Most bytes of an image or of the input.
const FILE_SIZE_MAX: u64 = 16 << 20;
/// What Linux answers for a bad file descriptor.
const EBADF: u64 = -9i64 as u64;

/// Commands for RISC-V programs.
#[derive(Debug, Subcommand)]
pub(crate) enum RvCommand {
    /// Runs a bare RISC-V ELF file outside of any chain
    Run(RunOptions),
}

/// How a bare file is run.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The ELF file
    file: PathBuf,
    /// Gas that it may use
    #[arg(long, value_name = "GAS", default_value_t = 1_000_000_000)]
    gas: u64,
    /// Its input: bytes in hex, or @FILE
    #[arg(long, value_name = "HEX|@FILE", default_value = "")]
    input: String,
    /// Runs it as a constructor: a0 is 1 at the start
    #[arg(long)]
    constructor: bool,
    /// Prints every instruction and the register that it changes to standard error
    #[arg(long)]
    trace: bool,
}

/// Why a file was not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RvError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {size} bytes, limit {FILE_SIZE_MAX}", path.display())]
    Size { path: PathBuf, size: u64 },
    #[error("--input: {0}")]
    Input(#[from] hex::FromHexError),
    #[error("{}: {source}", path.display())]
    Image { path: PathBuf, source: ImageError },
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// How a guest ended.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    /// By Linux's `exit`.
    Exit(u8),
    /// By STOP or RETURN.
    Returned,
    /// By REVERT.
    Reverted,
    /// By INVALID.
    Invalid,
    /// The gas did not suffice.
    OutOfGas,
    /// It did what it must not do.
    Trap(Trap),
    /// It made a system call that needs a chain.
    NeedsChain { pc: u64, number: u64 },
}

impl Status {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            Self::Returned => 0,
            Self::Reverted => 1,
            Self::Invalid | Self::OutOfGas | Self::Trap(_) | Self::NeedsChain { .. } => FAILED,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Returned => f.write_str("returned"),
            Self::Reverted => f.write_str("reverted"),
            Self::Invalid => f.write_str("INVALID"),
            Self::OutOfGas => f.write_str("out of gas"),
            Self::Trap(trap) => write!(f, "trap: {trap}"),
            Self::NeedsChain { pc, number } => {
                write!(f, "system call {number:#x} at pc {pc:#x} needs a chain")
            }
        }
    }
}

/// Runs a command and answers the exit code.
pub(crate) fn execute(command: &RvCommand) -> Result<ExitCode, RvError> {
    let RvCommand::Run(options) = command;
    let input = match options.input.strip_prefix('@') {
        Some(path) => read(Path::new(path))?,
        None => hex::decode(&options.input)?,
    };
    let gas = RiscvParams::default().gas;
    let file = read(&options.file)?;
    let image = Image::load_bare(&file, &gas)
        .map_err(|source| RvError::Image { path: options.file.clone(), source })?;
    let mut guest = Guest::new(image, &gas, options, input);
    let status = guest.run()?;
    guest.report(&status, options.gas)?;
    Ok(ExitCode::from(status.exit_code()))
}

fn read(path: &Path) -> Result<Vec<u8>, RvError> {
    let failed = |source| RvError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        let size = path.metadata().map_err(failed)?.len();
        return Err(RvError::Size { path: path.to_owned(), size });
    }
    Ok(bytes)
}

/// A running file, with what it has used and answered.
struct Guest {
    machine: Machine,
    units: Units,
    prices: RiscvGas,
    input: Vec<u8>,
    /// Bytes of the input that `read` has taken.
    input_read: usize,
    output: Vec<u8>,
    trace: bool,
    counts: BTreeMap<Class, u64>,
}

/// What a system call leads to.
enum Next {
    /// The guest goes on with this in `a0`.
    Continue(u64),
    /// The guest has ended.
    End(Status),
}

impl Guest {
    fn new(image: Image, prices: &RiscvGas, options: &RunOptions, input: Vec<u8>) -> Self {
        let mut units = Units::new(prices, RiscvParams::default().memory_pages_max);
        units.refill(options.gas);
        Self {
            machine: Machine::new(image.into(), &mut Pool::new(), options.constructor),
            units,
            prices: prices.clone(),
            input,
            input_read: 0,
            output: Vec::new(),
            trace: options.trace,
            counts: BTreeMap::new(),
        }
    }

    fn run(&mut self) -> io::Result<Status> {
        loop {
            match self.step()? {
                None => {}
                Some(Stop::OutOfGas) => return Ok(Status::OutOfGas),
                Some(Stop::Trap(trap)) => return Ok(Status::Trap(trap)),
                Some(Stop::Syscall) => match self.syscall() {
                    Ok(Next::Continue(result)) => self.machine.set_result(result),
                    Ok(Next::End(status)) => return Ok(status),
                    Err(MemoryFault::OutOfGas(_)) => return Ok(Status::OutOfGas),
                    Err(MemoryFault::Trap(trap)) => return Ok(Status::Trap(trap)),
                },
            }
        }
    }

    /// Runs one instruction, counts it and shows it.
    fn step(&mut self) -> io::Result<Option<Stop>> {
        let pc = self.machine.pc();
        let before = *self.machine.registers();
        let stop = self.machine.step(&mut self.units);
        if matches!(stop, None | Some(Stop::Syscall))
            && let Some(class) = self.machine.image().fetch(pc).and_then(Class::of_encoding)
        {
            *self.counts.entry(class).or_default() += 1;
        }
        if self.trace {
            let text = disassemble_at(self.machine.image(), pc).map(|line| line.text);
            let mut line = format!("{pc:#x}  {}", text.as_deref().unwrap_or("?"));
            let after = self.machine.registers();
            if let Some(n) = (1..after.len()).find(|n| before[*n] != after[*n]) {
                line = format!("{line:<48} {} = {:#x}", register_name(n), after[n]);
            }
            writeln!(io::stderr(), "{line}")?;
        }
        Ok(stop)
    }

    fn syscall(&mut self) -> Result<Next, MemoryFault> {
        let [a, b, c] = [0, 1, 2].map(|n| self.machine.arg(n));
        Ok(match self.machine.number() {
            0x00 => Next::End(Status::Returned),
            0x20 => {
                let bytes = self.machine.read(a, b, &mut self.units)?;
                let blocks = bytes.len() as u64 / 136 + 1;
                self.units.charge(blocks * u64::from(self.prices.keccak_block))?;
                self.machine.write(c, keccak256(bytes).as_slice(), &mut self.units)?;
                Next::Continue(a)
            }
            0x35 => {
                self.copy_input(b, a, 32)?;
                Next::Continue(a)
            }
            0x36 => Next::Continue(self.input.len() as u64),
            0x37 => {
                self.copy_input(a, b, c)?;
                Next::Continue(a)
            }
            0x5a => Next::Continue(self.units.left / self.prices.units_per_gas),
            0xf3 => {
                self.output = self.machine.read(a, b, &mut self.units)?;
                Next::End(Status::Returned)
            }
            0xfd => {
                self.output = self.machine.read(a, b, &mut self.units)?;
                Next::End(Status::Reverted)
            }
            0xfe => Next::End(Status::Invalid),
            0x1003 => {
                let bytes = self.machine.read(a, b, &mut self.units)?;
                // Nobody is left to tell when the terminal is gone.
                let _ = io::stderr().write_all(&[&bytes[..], b"\n"].concat());
                Next::Continue(a)
            }
            63 => Next::Continue(self.read_input(a, b, c)?),
            64 => Next::Continue(self.write_out(a, b, c)?),
            93 | 94 => Next::End(Status::Exit(a as u8)),
            number => {
                match crypto::compute(&mut self.machine, &mut self.units, &latest_precompile)? {
                    Some(result) => Next::Continue(result),
                    None => {
                        let pc = self.machine.stopped_at();
                        Next::End(Status::NeedsChain { pc, number })
                    }
                }
            }
        })
    }

    /// Copies from the input, zeros past its end.
    fn copy_input(&mut self, to: u64, offset: u64, len: u64) -> Result<(), MemoryFault> {
        self.machine.check(to, len, vm::riscv::Access::Store)?;
        // Bounded by the address space, for the range was just found to be mapped.
        let mut bytes = vec![0; len as usize];
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.input.len());
        let rest = &self.input[from..];
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        self.machine.write(to, &bytes, &mut self.units)
    }

    /// Linux's `read`: the input is standard input.
    fn read_input(&mut self, file: u64, to: u64, len: u64) -> Result<u64, MemoryFault> {
        if file != 0 {
            return Ok(EBADF);
        }
        let rest = &self.input[self.input_read..];
        let count = rest.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        let bytes = rest[..count].to_vec();
        self.machine.write(to, &bytes, &mut self.units)?;
        self.input_read += count;
        Ok(count as u64)
    }

    /// Linux's `write`: to standard output or standard error.
    fn write_out(&mut self, file: u64, ptr: u64, len: u64) -> Result<u64, MemoryFault> {
        let bytes = self.machine.read(ptr, len, &mut self.units)?;
        let written = match file {
            1 => io::stdout().write_all(&bytes),
            2 => io::stderr().write_all(&bytes),
            _ => return Ok(EBADF),
        };
        // A reader that is gone is no fault of the guest.
        let _ = written;
        Ok(len)
    }

    fn report(&mut self, status: &Status, gas_limit: u64) -> io::Result<()> {
        let per_gas = self.prices.units_per_gas;
        let units = match status {
            // As in a frame: what fails takes all gas.
            Status::Trap(_) | Status::OutOfGas | Status::Invalid | Status::NeedsChain { .. } => {
                gas_limit.saturating_mul(per_gas)
            }
            _ => gas_limit.saturating_mul(per_gas) - self.units.left,
        };
        let mut out = io::stdout().lock();
        writeln!(out, "status: {status}")?;
        writeln!(out, "output: {}", hex::encode_prefixed(&self.output))?;
        writeln!(out, "gas: {} ({units} units)", units.div_ceil(per_gas))?;
        writeln!(out, "pages: {}", self.machine.pages())?;
        writeln!(out, "instructions: {}", self.counts.values().sum::<u64>())?;
        for class in Class::ALL {
            if let Some(count) = self.counts.get(&class) {
                writeln!(out, "  {:<13} {count}", class.name())?;
            }
        }
        out.flush()
    }
}
