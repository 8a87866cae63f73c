//! Random programs against ckb-vm: the same file gives the same registers and memory.

use std::sync::{Arc, Mutex};

use ckb_vm::{
    Error, ISA_A, ISA_B, ISA_IMC, Memory, Register, Syscalls,
    machine::{DefaultMachineBuilder, DefaultMachineRunner, SupportMachine, VERSION2, asm},
    registers::{A1, A2, A7},
};
use tandem_bench::random_program;
use vm::riscv::{Image, Machine, Pool, Stop, Units};

const PROGRAMS: u64 = 300;
const WRITE: u64 = 64;

type Core = Box<asm::AsmCoreMachine>;

/// Keeps what the guest writes.
struct Output(Arc<Mutex<Vec<u8>>>);

impl<M: SupportMachine> Syscalls<M> for Output {
    fn initialize(&mut self, _machine: &mut M) -> Result<(), Error> {
        Ok(())
    }

    fn ecall(&mut self, machine: &mut M) -> Result<bool, Error> {
        let [ptr, len, number] = [A1, A2, A7].map(|n| machine.registers()[n].to_u64());
        if number == WRITE {
            let bytes = machine.memory_mut().load_bytes(ptr, len)?;
            self.0.lock().expect("one thread").extend_from_slice(&bytes);
        }
        Ok(number == WRITE)
    }
}

fn output_of_ckb(file: &[u8]) -> Vec<u8> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let core = <Core as SupportMachine>::new(ISA_IMC | ISA_A | ISA_B, VERSION2, u64::MAX);
    let machine = DefaultMachineBuilder::new(core)
        .instruction_cycle_func(Box::new(|_| 1))
        .syscall(Box::new(Output(output.clone())))
        .build();
    let mut machine = asm::AsmMachine::new(machine);
    let program = ckb_vm::Bytes::copy_from_slice(file);
    machine.load_program(&program, [].into_iter()).expect("the program loads");
    assert_eq!(machine.run().expect("the program ends"), 0);
    output.lock().expect("one thread").clone()
}

fn output_of_tandem(file: &[u8]) -> Vec<u8> {
    let gas = Default::default();
    let image = Image::load(file, &gas).expect("the program is valid");
    let mut machine = Machine::new(image.into(), &mut Pool::new(), false);
    let mut units = Units::new(&gas, 1_000);
    units.refill(1_000_000);
    assert_eq!((machine.run(&mut units), machine.number()), (Stop::Syscall, WRITE));
    let (ptr, len) = (machine.arg(1), machine.arg(2));
    let output = machine.read(ptr, len, &mut units).expect("the buffer is mapped");
    assert_eq!((machine.run(&mut units), machine.number()), (Stop::Syscall, 93));
    output
}

#[test]
fn random_programs_agree_with_ckb() {
    for number in 0..PROGRAMS {
        let file = random_program(number);
        let (here, there) = (output_of_tandem(&file), output_of_ckb(&file));
        let differs = here.iter().zip(&there).position(|(a, b)| a != b);
        assert_eq!((here.len(), differs), (there.len(), None), "program {number}");
    }
}
