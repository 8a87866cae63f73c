//! Pure system calls, each as the whole of a block: their time for each gas, and the EVM's for the
//! precompiles over the same inputs.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use alloy_primitives::{Bytes, hex};
use cpu_time::ThreadTime;
use genesis::RiscvGas;
use revm::precompile::{Precompiles, u64_to_address};
use serde::Deserialize;
use tandem_bench::guests::{self, DATA};
use vm::riscv::{
    Image, Machine, Pool, Stop, Units,
    crypto::{compute, latest_precompile},
};

/// Gas of a block unless told otherwise.
const BLOCK_GAS: f64 = 30e6;
/// Least time of a measurement; the best of three counts.
const TIME: Duration = Duration::from_millis(4);
/// Where calls put their output: far from their input.
const OUT: u64 = DATA + (1 << 19);
/// Longer than any output.
const OUT_LEN: u64 = 4_096;
/// The precompile at address n has this number and n more.
const PRECOMPILES: u64 = 0x1100;

/// Files of vectors, with the precompile's address.
const FILES: [(&str, u64); 15] = [
    ("ecRecover", 0x01),
    ("modexp_eip7883", 0x05),
    ("bn256Add", 0x06),
    ("bn256ScalarMul", 0x07),
    ("bn256Pairing", 0x08),
    ("blake2F", 0x09),
    ("pointEvaluation", 0x0a),
    ("blsG1Add", 0x0b),
    ("blsG1MultiExp", 0x0c),
    ("blsG2Add", 0x0d),
    ("blsG2MultiExp", 0x0e),
    ("blsPairing", 0x0f),
    ("blsMapG1", 0x10),
    ("blsMapG2", 0x11),
    ("p256Verify", 0x100),
];

/// A message's hash, the recovery id as a word, and a signature.
const SIGNED: [u8; 128] = hex!(
    "18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c
     000000000000000000000000000000000000000000000000000000000000001c
     73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75f
     eeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549"
);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    name: String,
    input: Bytes,
}

/// A time that some gas buys.
#[derive(Clone, Copy)]
struct Price {
    time: Duration,
    gas: f64,
}

impl Price {
    /// Seconds of a block that is full of it.
    fn seconds(self) -> f64 {
        self.time.as_secs_f64() / self.gas * BLOCK_GAS
    }

    fn cells(self) -> String {
        let micros = self.time.as_secs_f64() * 1e6;
        format!("{micros:.2} µs | {:.1} | {:.2} s", self.gas, self.seconds())
    }
}

pub(crate) fn run() {
    println!("\n| call | time | gas | full block | EVM time | EVM gas | full block |");
    println!("|---|---|---|---|---|---|---|");
    for (name, number, args, memory) in own_calls() {
        println!("| {name} | {} | | | |", measure(number, &args, &memory).cells());
    }
    let Some(folder) = vectors() else {
        println!("left out: TANDEM_SUITES names no vectors of precompiles");
        return;
    };
    for (file, address) in FILES {
        let text = fs::read(folder.join(format!("{file}.json"))).expect("it is there");
        let mut vectors: Vec<Vector> = serde_json::from_slice(&text).expect("it is JSON");
        if address == 0x05 {
            vectors.extend(small_powers());
        }
        let all = vectors.iter().map(|Vector { name, input }| {
            let args = [DATA, input.len() as u64, OUT, OUT_LEN];
            (name, measure(PRECOMPILES + address, &args, input), precompile(address, input))
        });
        let worst = all.max_by(|a, b| a.1.seconds().total_cmp(&b.1.seconds()));
        let (name, ours, evm) = worst.expect("a file has vectors");
        println!("| {file} {name} | {} | {} |", ours.cells(), evm.cells());
    }
}

/// Name, number, arguments and memory of the calls that are no precompile, or one without vectors.
fn own_calls() -> Vec<(&'static str, u64, Vec<u64>, Vec<u8>)> {
    let high = vec![0xff; 4_096];
    let mut three = vec![0; 64];
    three[31] = 3;
    let [second, third, long] = [DATA + 32, DATA + 41, 4_096];
    let key = {
        let (mut machine, mut units) = machine_over(&SIGNED);
        machine.set_syscall(0x1011, [DATA, DATA + 64, 1, OUT, 0, 0, 0]);
        compute(&mut machine, &mut units, &latest_precompile).expect("it is mapped");
        machine.read(OUT, 64, &mut units).expect("it is mapped")
    };
    vec![
        ("MUL", 0x02, vec![DATA, second, OUT], high.clone()),
        ("DIV", 0x04, vec![DATA, third, OUT], high.clone()),
        ("MOD", 0x06, vec![DATA, third, OUT], high.clone()),
        ("ADDMOD", 0x08, vec![DATA, second, third, OUT], high.clone()),
        ("MULMOD", 0x09, vec![DATA, second, third, OUT], high.clone()),
        ("EXP of 3 by 0", 0x0a, vec![DATA, second, OUT], three),
        ("EXP", 0x0a, vec![DATA, second, OUT], high.clone()),
        ("BLAKE3 of nothing", 0x1010, vec![DATA, 0, OUT], Vec::new()),
        ("BLAKE3 of 4,096 bytes", 0x1010, vec![DATA, long, OUT], high.clone()),
        ("SECP256K1_RECOVER", 0x1011, vec![DATA, DATA + 64, 1, OUT], SIGNED.to_vec()),
        (
            "SECP256K1_VERIFY",
            0x1012,
            vec![DATA, DATA + 64, DATA + 128],
            [&SIGNED, &key[..]].concat(),
        ),
        ("SHA256 of nothing", 0x1102, vec![DATA, 0, OUT, 32], Vec::new()),
        ("SHA256 of 4,096 bytes", 0x1102, vec![DATA, long, OUT, 32], high.clone()),
        ("RIPEMD160 of nothing", 0x1103, vec![DATA, 0, OUT, 32], Vec::new()),
        ("RIPEMD160 of 4,096 bytes", 0x1103, vec![DATA, long, OUT, 32], high.clone()),
        ("IDENTITY of nothing", 0x1104, vec![DATA, 0, OUT, 0], Vec::new()),
        ("IDENTITY of 4,096 bytes", 0x1104, vec![DATA, long, OUT, long], high),
    ]
}

/// Powers that are cheap by the EVM's rule of 500 gas at least.
fn small_powers() -> Vec<Vector> {
    let mut powers = Vec::new();
    for fill in [0xff, 0xfe] {
        for modulus in [1, 8, 32, 33, 64, 128, 256, 1_024] {
            for (base, exponent) in [(0, 1), (1, 1), (modulus, 1), (modulus, 2), (32, 32)] {
                let mut input = Vec::new();
                for size in [base, exponent, modulus] {
                    input.extend_from_slice(&[0; 24]);
                    input.extend_from_slice(&(size as u64).to_be_bytes());
                }
                input.resize(96 + base + exponent + modulus, fill);
                let name = format!("{base}^{exponent} mod {modulus} bytes of {fill:#x}");
                powers.push(Vector { name, input: input.into() });
            }
        }
    }
    powers
}

/// The price of a system call, the jump around it, and the way from the guest and back.
fn measure(number: u64, args: &[u64], memory: &[u8]) -> Price {
    let (mut machine, mut units) = machine_over(memory);
    let mut registers = [0; 7];
    registers[..args.len()].copy_from_slice(args);
    let mut left = 0;
    let mut call = || {
        left = units.left;
        machine.set_syscall(number, registers);
        let served = compute(&mut machine, &mut units, &latest_precompile);
        assert!(served.expect("it is mapped").is_some(), "there is a system call {number:#x}");
        assert_eq!(machine.run(&mut units), Stop::Syscall);
    };
    let time = best(&mut call);
    let gas = (left - units.left) as f64 / RiscvGas::default().units_per_gas as f64;
    Price { time, gas }
}

/// The price of the EVM's precompile, without a call of it.
fn precompile(address: u64, input: &[u8]) -> Price {
    let precompile = Precompiles::latest().get(&u64_to_address(address)).expect("it is there");
    let run = || precompile.execute(input, u64::MAX, 0).expect("it runs");
    let gas = run().gas_used as f64;
    Price { time: best(&mut || drop(run())), gas }
}

/// A machine that asks for one system call after the other, with this at the start of its data.
fn machine_over(memory: &[u8]) -> (Machine, Units) {
    let gas = RiscvGas::default();
    let image = Image::load(&guests::system_calls(), &gas).expect("it is valid");
    let mut machine = Machine::new(image.into(), &mut Pool::new(), false);
    let mut units = Units::new(&gas, 16_384);
    units.refill(u64::MAX);
    assert_eq!(machine.run(&mut units), Stop::Syscall);
    machine.write(DATA, memory, &mut units).expect("there is room");
    (machine, units)
}

/// The time of a call: the least mean of three, the first of which finds out how many to make.
fn best(call: &mut impl FnMut()) -> Duration {
    let mut count = 1;
    let mut mean = || loop {
        let start = ThreadTime::now();
        (0..count).for_each(|_| call());
        let time = start.elapsed();
        if time >= TIME {
            return time / count;
        }
        count *= 2;
    };
    [mean(), mean(), mean()].into_iter().min().expect("there are three")
}

/// Unpacks the vectors.
fn vectors() -> Option<PathBuf> {
    let suites = PathBuf::from(std::env::var_os("TANDEM_SUITES")?);
    let archive = suites.join("precompiles/geth-precompiles.tar.gz");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    fs::create_dir_all(&folder).ok()?;
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&folder).status();
    status.ok()?.success().then(|| folder.join("precompiles/precompiles"))
}
