//! A program's output on this machine and on ckb-vm's.

use std::sync::{Arc, Mutex};

use ckb_vm::{
    Error, ISA_A, ISA_B, ISA_IMC, Memory, Register, Syscalls,
    machine::{DefaultMachineBuilder, DefaultMachineRunner, SupportMachine, VERSION2, asm},
    registers::{A1, A2, A7},
};
use vm::riscv::{Image, Machine, Pool, Stop, Units};

const WRITE: u64 = 64;
const EXIT: u64 = 93;

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

pub(crate) fn output_of_ckb(file: &[u8]) -> Vec<u8> {
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

pub(crate) fn output_of_tandem(file: &[u8]) -> Vec<u8> {
    let gas = Default::default();
    let image = Image::load(file, &gas).expect("the program is valid");
    let mut machine = Machine::new(image.into(), &mut Pool::new(), false);
    let mut units = Units::new(&gas, 1_000);
    units.refill(100_000_000);
    let mut output = Vec::new();
    loop {
        assert_eq!(machine.run(&mut units), Stop::Syscall);
        match machine.number() {
            WRITE => {
                let (ptr, len) = (machine.arg(1), machine.arg(2));
                output.extend(machine.read(ptr, len, &mut units).expect("the buffer is mapped"));
            }
            EXIT => break,
            number => panic!("system call {number}"),
        }
    }
    assert_eq!(machine.arg(0) as u8, 0, "the program succeeds");
    output
}
