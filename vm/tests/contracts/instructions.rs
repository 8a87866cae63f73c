//! The kit's ERC-20 image on the bare machine: how many instructions its functions take besides
//! system calls. The system calls are answered here, over a map; what they cost is no matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, keccak256};
use genesis::RiscvGas;
use vm::riscv::{Image, Machine, Pool, Stop, Units};

const ELF: &[u8] = include_bytes!("../../../contracts/images/erc20.elf");
/// What the kit promises: beside system calls, a transfer runs this many instructions at most.
const TRANSFER_INSTRUCTIONS_MAX: u64 = 1_500;
const IMAGE_SIZE_MAX: usize = 12 * 1024;

const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

#[derive(Default)]
struct World {
    storage: BTreeMap<B256, B256>,
    tail: Vec<u8>,
    logs: Vec<(Vec<B256>, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Returned(Vec<u8>),
    Reverted(Vec<u8>),
    Deployed(Vec<u8>),
}

/// One frame of the contract.
struct Frame<'a> {
    world: &'a mut World,
    machine: Machine,
    units: Units,
    caller: Address,
    calldata: Vec<u8>,
}

impl Frame<'_> {
    fn read(&mut self, ptr: u64, len: u64) -> Vec<u8> {
        self.machine.read(ptr, len, &mut self.units).expect("the guest's pointers are good")
    }

    fn word(&mut self, ptr: u64) -> B256 {
        B256::from_slice(&self.read(ptr, 32))
    }

    fn write(&mut self, ptr: u64, bytes: &[u8]) {
        self.machine.write(ptr, bytes, &mut self.units).expect("the guest's pointers are good");
    }

    fn copy(&mut self, from: &[u8], ptr: u64, offset: u64, len: u64) {
        let part = from.iter().skip(offset as usize).copied().chain(std::iter::repeat(0));
        let part: Vec<u8> = part.take(len as usize).collect();
        self.write(ptr, &part);
    }

    /// Answers the system call that the machine stopped for.
    fn answer(&mut self) -> Option<Ended> {
        let arg = |n| self.machine.arg(n);
        let (a, b, c) = (arg(0), arg(1), arg(2));
        match self.machine.number() {
            0x20 => {
                let hash = keccak256(self.read(a, b));
                self.write(c, hash.as_slice());
            }
            0x33 => {
                let caller = self.caller.into_word();
                self.write(a, caller.as_slice());
            }
            0x34 => self.write(a, &[0; 32]),
            0x35 => self.copy(&self.calldata.clone(), b, a, 32),
            0x36 => self.machine.set_result(self.calldata.len() as u64),
            0x54 => {
                let key = self.word(a);
                let value = self.world.storage.get(&key).copied().unwrap_or_default();
                self.write(b, value.as_slice());
            }
            0x55 => {
                let (key, value) = (self.word(a), self.word(b));
                self.world.storage.insert(key, value);
            }
            number @ 0xa0..=0xa4 => {
                let data = self.read(a, b);
                let topics = (0..number - 0xa0).map(|n| self.word(c + 32 * n)).collect();
                self.world.logs.push((topics, data));
            }
            0x1000 => self.machine.set_result(self.world.tail.len() as u64),
            0x1001 => self.copy(&self.world.tail.clone(), a, b, c),
            0xf3 => return Some(Ended::Returned(self.read(a, b))),
            0xfd => return Some(Ended::Reverted(self.read(a, b))),
            0x1002 => return Some(Ended::Deployed(self.read(a, b))),
            number => panic!("system call {number:#x} is not answered here"),
        }
        None
    }

    /// Runs the frame to its end; how many instructions it took, besides the system calls.
    fn run(mut self) -> (Ended, u64) {
        let mut instructions = 0;
        loop {
            match self.machine.step(&mut self.units) {
                None => instructions += 1,
                Some(Stop::Syscall) => {
                    if let Some(ended) = self.answer() {
                        return (ended, instructions);
                    }
                }
                Some(stop) => panic!("{stop:?}"),
            }
        }
    }
}

fn frame(world: &mut World, constructor: bool, calldata: Vec<u8>) -> (Ended, u64) {
    let gas = RiscvGas::default();
    let image = Arc::new(Image::load(ELF, &gas).expect("the image is well-formed"));
    let machine = Machine::new(image, &mut Pool::new(), constructor);
    let mut units = Units::new(&gas, 64);
    units.refill(10_000_000);
    Frame { world, machine, units, caller: ALICE, calldata }.run()
}

fn words(words: &[B256]) -> Vec<u8> {
    words.concat()
}

fn number(number: u64) -> B256 {
    U256::from(number).into()
}

fn deployed() -> World {
    let mut world = World::default();
    // Token("Tandem Token", "TND", 1,000,000, alice)
    let mut name = [0; 32];
    name[..12].copy_from_slice(b"Tandem Token");
    let mut symbol = [0; 32];
    symbol[..3].copy_from_slice(b"TND");
    let heads = [number(128), number(192), number(1_000_000), ALICE.into_word()];
    let strings = [number(12), name.into(), number(3), symbol.into()];
    world.tail = [words(&heads), words(&strings)].concat();
    let (ended, instructions) = frame(&mut world, true, Vec::new());
    println!("constructor: {instructions} instructions");
    let hash = keccak256("Tandem Token");
    assert_eq!(ended, Ended::Deployed(hash.to_vec()));
    world.tail = hash.to_vec();
    world
}

fn call(world: &mut World, signature: &str, arguments: &[B256]) -> (Ended, u64) {
    let calldata = [keccak256(signature)[..4].to_vec(), words(arguments)].concat();
    let (ended, instructions) = frame(world, false, calldata);
    println!("{signature}: {instructions} instructions");
    (ended, instructions)
}

#[test]
fn a_transfer_is_lean() {
    let mut world = deployed();
    let (ended, instructions) =
        call(&mut world, "transfer(address,uint256)", &[BOB.into_word(), number(1_234)]);
    assert_eq!(ended, Ended::Returned(number(1).to_vec()));
    assert!(instructions <= TRANSFER_INSTRUCTIONS_MAX, "{instructions} instructions");
    let (topics, data) = world.logs.last().expect("the transfer is logged").clone();
    let event = keccak256("Transfer(address,address,uint256)");
    assert_eq!(topics, [event, ALICE.into_word(), BOB.into_word()]);
    assert_eq!(data, number(1_234).to_vec());
    for (who, balance) in [(ALICE, 1_000_000 - 1_234), (BOB, 1_234)] {
        let (ended, _) = call(&mut world, "balanceOf(address)", &[who.into_word()]);
        assert_eq!(ended, Ended::Returned(number(balance).to_vec()));
    }
    // The most that a number can be, all of its parts set.
    let all = U256::MAX.into();
    let (ended, _) = call(&mut world, "transfer(address,uint256)", &[BOB.into_word(), all]);
    let error = keccak256("ERC20InsufficientBalance(address,uint256,uint256)");
    let data = [ALICE.into_word(), number(1_000_000 - 1_234), all];
    assert_eq!(ended, Ended::Reverted([error[..4].to_vec(), words(&data)].concat()));
}

#[test]
fn text_comes_back() {
    let mut world = deployed();
    let (ended, _) = call(&mut world, "symbol()", &[]);
    let mut symbol = [0; 32];
    symbol[..3].copy_from_slice(b"TND");
    assert_eq!(ended, Ended::Returned(words(&[number(32), number(3), symbol.into()])));
}

#[test]
fn the_image_is_small() {
    assert!(ELF.len() <= IMAGE_SIZE_MAX, "{} bytes", ELF.len());
}
