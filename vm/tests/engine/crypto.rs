//! System calls that only compute: against the EVM's opcodes, against the precompiles when they
//! are called like contracts, and against the libraries.

use alloy_primitives::{B256, U256, hex, keccak256};
use genesis::{RiscvGas, SpecId};
use k256::ecdsa::SigningKey;
use vm::riscv::{crypto::precompile_price, syscall::number};

use crate::{
    program::{DATA, Program},
    world::{A, B, Evm, World, gas, halted, output},
};

/// Runs `call` with these arguments and returns a0 and the `len` bytes at `out`.
fn run(fork: SpecId, program: &mut Program, call: u64, args: &[u64], out: (u64, u64)) -> Vec<u8> {
    program.call(call, args);
    let at = program.space(8);
    program.store(10, at);
    let parts = [(at, 8), out].into_iter().filter(|(_, len)| *len > 0);
    let outputs = parts.map(|(from, len)| {
        let mut ended = program.clone();
        ended.ret(from, len);
        output(&World::on(fork).put(A, ended.container()).call(A))
    });
    outputs.flatten().collect()
}

fn arithmetic(opcode: u8, words: &[U256]) {
    let mut evm = Evm::new();
    evm = evm.run(opcode, words);
    let expected = output(&World::new().put(A, evm.ret_top()).call(A));
    let mut program = Program::new();
    let mut args: Vec<u64> = words.iter().map(|word| program.word(*word)).collect();
    let out = program.space(32);
    args.push(out);
    program.call(opcode.into(), &args).ret(out, 32);
    let outcome = World::new().put(A, program.container()).call(A);
    assert_eq!(output(&outcome), expected, "{opcode:#x} of {words:x?}");
}

#[test]
fn arithmetic_is_the_evms() {
    let edges = [
        U256::ZERO,
        U256::from(1),
        U256::from(2),
        U256::MAX,
        U256::MAX - U256::from(1),
        U256::from(1) << 255,
        (U256::from(1) << 255) - U256::from(1),
        U256::from_be_bytes(keccak256("a").0),
        U256::from(1) << 128,
    ];
    for a in edges {
        for b in edges {
            for opcode in [0x02, 0x04, 0x05, 0x06, 0x07, 0x0a] {
                arithmetic(opcode, &[a, b]);
            }
            for c in [U256::ZERO, U256::from(7), U256::MAX, edges[7]] {
                arithmetic(0x08, &[a, b, c]);
                arithmetic(0x09, &[a, b, c]);
            }
        }
    }
}

#[test]
fn arithmetic_the_isa_has_traps() {
    // ADD, SUB, LT, SIGNEXTEND, AND, SHL: instructions do these.
    for opcode in [0x01, 0x03, 0x0b, 0x10, 0x16, 0x1b] {
        let mut program = Program::new();
        let at = program.space(96);
        program.call(opcode, &[at, at + 32, at + 64]);
        assert!(halted(&World::new().put(A, program.container()).call(A)), "{opcode:#x}");
    }
}

#[test]
fn blake3_is_the_librarys() {
    for len in [0, 1, 64, 65, 1_023, 1_024, 1_025, 5_000] {
        let input: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut program = Program::new();
        let (from, out) = (program.bytes(&input), program.space(32));
        program.call(number::BLAKE3, &[from, len, out]).ret(out, 32);
        let outcome = World::new().put(A, program.container()).call(A);
        assert_eq!(output(&outcome), blake3::hash(&input).as_bytes(), "{len} bytes");
    }
}

#[test]
fn secp256k1_recovers_and_verifies() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let hash = keccak256("message");
    let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice()).unwrap();
    let point = key.verifying_key().to_encoded_point(false).as_bytes()[1..].to_vec();
    let high = {
        // n - s signs as well, under the other parity.
        let (r, s) = signature.split_scalars();
        k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap()
    };
    for (signature, recovery) in [(signature, recovery.to_byte()), (high, recovery.to_byte() ^ 1)] {
        let mut program = Program::new();
        let (hash, out) = (program.bytes(hash.as_slice()), program.space(64));
        let signature = program.bytes(&signature.to_bytes());
        let args = [hash, signature, recovery.into(), out];
        let answer = run(SpecId::OSAKA, &mut program, number::SECP256K1_RECOVER, &args, (out, 64));
        assert_eq!(answer, [&1u64.to_le_bytes()[..], &point].concat());
        for (key, valid) in [(point.clone(), 1u64), (vec![9; 64], 0)] {
            let mut program = Program::new();
            let hash = program.bytes(keccak256("message").as_slice());
            let signature_at = program.bytes(&high.to_bytes());
            let key = program.bytes(&key);
            let args = [hash, signature_at, key];
            let answer = run(SpecId::OSAKA, &mut program, number::SECP256K1_VERIFY, &args, (0, 0));
            assert_eq!(answer, valid.to_le_bytes());
        }
    }
    for recovery in [4, 255, 256, u64::MAX] {
        let mut program = Program::new();
        let (hash, out) = (program.bytes(hash.as_slice()), program.space(64));
        let signature = program.bytes(&signature.to_bytes());
        let args = [hash, signature, recovery, out];
        let answer = run(SpecId::OSAKA, &mut program, number::SECP256K1_RECOVER, &args, (out, 64));
        assert_eq!(answer, [0; 72], "recovery {recovery}");
    }
}

/// Inputs of the precompiles by address, valid ones and others.
fn inputs(n: u64) -> Vec<Vec<u8>> {
    let zeros = |len: usize| vec![0; len];
    let word = |value: u64| B256::from(U256::from(value)).to_vec();
    match n {
        1 => vec![
            [
                hex!("456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3").to_vec(),
                word(28),
                hex!("9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608").to_vec(),
                hex!("4f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada").to_vec(),
            ]
            .concat(),
            zeros(128),
        ],
        2..=4 => vec![b"abc".to_vec(), zeros(0), zeros(200)],
        5 => vec![
            [word(1), word(1), word(2), vec![3, 5], vec![1, 1]].concat(),
            [word(32), word(32), word(32), word(3), word(77), word(1_000_007)].concat(),
            zeros(96),
        ],
        6 => vec![
            [word(1), word(2), word(1), word(2)].concat(),
            [word(1), word(1), word(1), word(1)].concat(),
        ],
        7 => vec![[word(1), word(2), word(99)].concat(), zeros(96)],
        8 => vec![zeros(0), zeros(192), zeros(191)],
        9 => vec![
            [&[0, 0, 0, 12][..], &zeros(208), &[1]].concat(),
            [&[0, 0, 0, 12][..], &zeros(208), &[2]].concat(),
        ],
        0x0a => vec![zeros(192)],
        0x0b => vec![zeros(256), vec![1; 256]],
        0x0c => vec![zeros(160), zeros(320), zeros(159)],
        0x0d => vec![zeros(512)],
        0x0e => vec![zeros(288)],
        0x0f => vec![zeros(384)],
        0x10 => vec![zeros(64), [zeros(63), vec![3]].concat()],
        0x11 => vec![zeros(128)],
        _ => vec![zeros(160), vec![1; 160]],
    }
}

#[test]
fn precompiles_compute_what_they_do_as_contracts() {
    for n in (1..=0x11).chain([0x100]) {
        for input in inputs(n) {
            let mut called = Program::new();
            let (from, out) = (called.bytes(&input), called.space(256));
            let to = called.word(n);
            let args = [u64::MAX, to, from, input.len() as u64, out, 256];
            let flag = run(SpecId::OSAKA, &mut called, 0xfa, &args, (out, 256));
            let mut computed = Program::new();
            let (from, out) = (computed.bytes(&input), computed.space(256));
            let args = [from, input.len() as u64, out, 256];
            let call = number::PRECOMPILES + n;
            let answer = run(SpecId::OSAKA, &mut computed, call, &args, (out, 256));
            let failed = answer[..8] == u64::MAX.to_le_bytes();
            assert_eq!(flag[0] == 0, failed, "{n:#x} of {}", hex::encode(&input));
            assert_eq!(answer[8..], flag[8..], "{n:#x} of {}", hex::encode(&input));
        }
    }
}

#[test]
fn a_fork_without_a_precompile_has_no_call_for_it() {
    let program = |n: u64| {
        let mut program = Program::new();
        let at = program.space(512);
        program.call(number::PRECOMPILES + n, &[at, 0, at, 32]).call(0, &[]);
        program.container()
    };
    for (fork, n, there) in [
        (SpecId::LONDON, 0x0a, false),
        (SpecId::CANCUN, 0x0a, true),
        (SpecId::CANCUN, 0x0b, false),
        (SpecId::PRAGUE, 0x0b, true),
        (SpecId::PRAGUE, 0x100, false),
        (SpecId::OSAKA, 0x100, true),
        (SpecId::OSAKA, 0x12, false),
        (SpecId::OSAKA, 0, false),
    ] {
        let outcome = World::on(fork).put(A, program(n)).call(A);
        assert_eq!(halted(&outcome), !there, "{n:#x} at {fork:?}");
    }
}

#[test]
fn pure_calls_work_in_a_static_context_and_check_their_pointers() {
    let mut callee = Program::new();
    let at = callee.space(128);
    callee.call(0x09, &[at, at, at, at + 32]).call(number::PRECOMPILES + 2, &[at, 64, at, 32]);
    callee.call(number::BLAKE3, &[at, 64, at]).ret(at, 32);
    let mut caller = Program::new();
    caller.call_without_value(0xfa, B).ret_a0();
    let world = World::new().put(A, caller.container()).put(B, callee.container());
    assert_eq!(output(&world.call(A)), 1u64.to_le_bytes());
    let bad = 0xf0_0000;
    for (call, args) in [
        (0x02, [bad, DATA, DATA, 0]),
        (0x02, [DATA, DATA, bad, 0]),
        (number::BLAKE3, [bad, 1, DATA, 0]),
        (number::BLAKE3, [DATA, 0, bad, 0]),
        (number::SECP256K1_RECOVER, [DATA, DATA, 0, bad]),
        (number::SECP256K1_VERIFY, [DATA, DATA, bad, 0]),
        (number::PRECOMPILES + 4, [bad, 1, DATA, 32]),
        (number::PRECOMPILES + 4, [DATA, 1, bad, 32]),
        (number::PRECOMPILES + 4, [DATA, u64::MAX, DATA, 32]),
    ] {
        let mut program = Program::new();
        program.space(128);
        program.call(call, &args).call(0, &[]);
        let outcome = World::new().put(A, program.container()).call(A);
        assert!(outcome.trap.is_some(), "{call:#x} {args:x?}");
    }
}

#[test]
fn a_pure_call_costs_its_units() {
    let prices = RiscvGas::default();
    let cost = |n: u64, input: &[u8]| {
        let mut program = Program::new();
        let (from, out) = (program.bytes(input), program.space(256));
        program.call(number::PRECOMPILES + n, &[from, input.len() as u64, out, 0]).call(0, &[]);
        gas(&World::new().put(A, program.container()).call(A))
    };
    let base = cost(4, &[0; 128]);
    for n in [1, 2, 3, 7, 0x100] {
        let units = precompile_price(&prices, n, &[0; 128]).unwrap();
        let expected = units.div_ceil(prices.units_per_gas);
        let there = cost(n, &[0; 128]) - base;
        assert!(there.abs_diff(expected) <= 1, "{n:#x}: {there} gas instead of {expected}");
    }
    // What cannot be paid is not computed: 2^32 rounds.
    let mut program = Program::new();
    let from = program.bytes(&[&[0xff; 4][..], &[0; 209]].concat());
    program.call(number::PRECOMPILES + 9, &[from, 213, from, 64]).call(0, &[]);
    assert!(halted(&World::new().put(A, program.container()).call(A)));
}
