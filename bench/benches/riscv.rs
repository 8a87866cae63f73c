//! The RISC-V engine against ckb-vm's assembly interpreter, over the same guest bytes.
//!
//! `cargo bench -p tandem-bench --bench riscv` prints one line per guest: instructions, the best
//! time of each engine (of the thread's CPU, so that other load matters less), and how many times
//! faster ours is. `-- SCALE` changes the guests' length, `-- NAME` leaves out the other guests.

#![expect(clippy::print_stdout, reason = "the figures are the product")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ckb_vm::{
    Error, ISA_A, ISA_B, ISA_IMC, ISA_MOP, Register, Syscalls,
    machine::{
        DefaultMachineBuilder, DefaultMachineRunner, SupportMachine, VERSION2,
        asm::{AsmCoreMachine, AsmMachine},
    },
    registers::A7,
};
use cpu_time::ThreadTime;
use tandem_bench::{
    guests::{self, Guest},
    programs,
};
use vm::riscv::{Image, Machine, Pool, Stop, Units};

/// Runs of each guest by each engine, taken in turn, and for how long at least; the fastest counts.
const RUNS: u32 = 9;
const SPAN: Duration = Duration::from_secs(2);
/// Linux's `write` and `exit`.
const WRITE: u64 = 64;
const EXIT: u64 = 93;

/// Lets the guest write, to nowhere.
struct Ignored;

impl<M: SupportMachine> Syscalls<M> for Ignored {
    fn initialize(&mut self, _machine: &mut M) -> Result<(), Error> {
        Ok(())
    }

    fn ecall(&mut self, machine: &mut M) -> Result<bool, Error> {
        Ok(machine.registers()[A7].to_u64() == WRITE)
    }
}

fn main() {
    let scale = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(40);
    println!("| guest | instructions | tandem | ckb-vm asm | ckb-vm time / tandem time |");
    println!("|---|---|---|---|---|");
    let names: Vec<_> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--") && arg.parse::<u32>().is_err())
        .collect();
    let mut product = 1.0;
    let mut guests = guests::all(scale);
    for bitmanip in [false, true] {
        match programs::rust(bitmanip) {
            Some(programs) => guests.extend(programs),
            None => println!("the programs in bench/programs could not be built"),
        }
    }
    guests.retain(|guest| names.is_empty() || names.contains(&guest.name));
    for guest in &guests {
        product *= compare(guest);
    }
    println!("geometric mean: {:.2}", product.powf(1.0 / guests.len() as f64));
    println!("machine start and release: {:?}", machine_start());
    println!("machine start, first page and system call: {:?}", first_call());
}

fn compare(guest: &Guest) -> f64 {
    let image = Arc::new(Image::load(&guest.elf, &Default::default()).expect("the guest is valid"));
    let instructions = count(&image);
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    let (mut runs, start) = (0, Instant::now());
    while runs < RUNS || start.elapsed() < SPAN {
        runs += 1;
        let (time, result) = run_ours(&image);
        let (their_time, their_result) = run_ckb(&guest.elf);
        assert_eq!(result as i8, their_result, "both engines agree on {}", guest.name);
        ours = ours.min(time);
        theirs = theirs.min(their_time);
    }
    let rate = |time: Duration| instructions as f64 / time.as_secs_f64() / 1e6;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!(
        "| {} | {:.1} M | {:.1} ms, {:.0} M/s | {:.1} ms, {:.0} M/s | {ratio:.2} |",
        guest.name,
        instructions as f64 / 1e6,
        ours.as_secs_f64() * 1e3,
        rate(ours),
        theirs.as_secs_f64() * 1e3,
        rate(theirs),
    );
    ratio
}

fn plenty() -> Units {
    let mut units = Units::new(&Default::default(), 16_384);
    units.refill(u64::MAX);
    units
}

fn run_ours(image: &Arc<Image>) -> (Duration, u64) {
    let mut pool = Pool::new();
    let mut units = plenty();
    let start = ThreadTime::now();
    let mut machine = Machine::new(image.clone(), &mut pool, false);
    loop {
        let stop = machine.run(&mut units);
        assert_eq!(stop, Stop::Syscall, "{stop:?}");
        if machine.number() != WRITE {
            break;
        }
    }
    let time = start.elapsed();
    assert_eq!(machine.number(), EXIT);
    (time, machine.arg(0))
}

fn run_ckb(elf: &[u8]) -> (Duration, i8) {
    let isa = ISA_IMC | ISA_A | ISA_B | ISA_MOP;
    let core = <Box<AsmCoreMachine> as SupportMachine>::new(isa, VERSION2, u64::MAX);
    let machine = DefaultMachineBuilder::new(core)
        .instruction_cycle_func(Box::new(|_| 1))
        .syscall(Box::new(Ignored))
        .build();
    let mut machine = AsmMachine::new(machine);
    let program = bytes_of(elf);
    machine.load_program(&program, [].into_iter()).expect("the guest loads");
    let start = ThreadTime::now();
    let result = machine.run().expect("the guest ends");
    (start.elapsed(), result)
}

fn bytes_of(elf: &[u8]) -> ckb_vm::Bytes {
    ckb_vm::Bytes::copy_from_slice(elf)
}

/// Instructions that the guest executes, counted one by one.
fn count(image: &Arc<Image>) -> u64 {
    let mut pool = Pool::new();
    let mut machine = Machine::new(image.clone(), &mut pool, false);
    let mut units = plenty();
    let mut instructions = 0;
    loop {
        instructions += 1;
        match machine.step(&mut units) {
            None => {}
            Some(Stop::Syscall) if machine.number() == WRITE => {}
            Some(_) => return instructions,
        }
    }
}

fn machine_start() -> Duration {
    let elf = guests::store_and_call();
    let image = Arc::new(Image::load(&elf, &Default::default()).expect("the guest is valid"));
    let mut pool = Pool::new();
    let rounds = 100_000;
    let start = ThreadTime::now();
    for _ in 0..rounds {
        let machine = Machine::new(image.clone(), &mut pool, false);
        machine.release(&mut pool);
    }
    start.elapsed() / rounds
}

/// From nothing to a system call, by way of one store to the stack.
fn first_call() -> Duration {
    let elf = guests::store_and_call();
    let image = Arc::new(Image::load(&elf, &Default::default()).expect("the guest is valid"));
    let mut pool = Pool::new();
    let rounds = 100_000;
    let start = ThreadTime::now();
    for _ in 0..rounds {
        let mut machine = Machine::new(image.clone(), &mut pool, false);
        assert_eq!(machine.run(&mut plenty()), Stop::Syscall);
        machine.release(&mut pool);
    }
    start.elapsed() / rounds
}
