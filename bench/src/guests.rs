//! The guests. Each ends by `ecall` number 93 with its result in `a0`.

use crate::asm::{self, *};

/// Where a megabyte of writable data begins.
pub const DATA: u64 = asm::DATA;

/// A program to measure.
pub struct Guest {
    /// What it is like.
    pub name: String,
    /// The ELF file.
    pub elf: Vec<u8>,
}

/// All guests; `scale` multiplies their work (at 1, each executes about a million instructions).
pub fn all(scale: u32) -> Vec<Guest> {
    let guest = |name: &str, code: Vec<u8>| Guest { name: name.to_owned(), elf: image(&code) };
    vec![
        guest("integer loop", integer_loop(scale * 90_000)),
        guest("memory heavy", memory_heavy(scale * 14)),
        guest("call heavy", call_heavy(scale)),
        guest("sha256 rounds", sha256(scale * 300)),
    ]
}

/// Xorshift, a multiply, compares and a data-dependent branch: eleven instructions a round.
fn integer_loop(rounds: u32) -> Vec<u8> {
    let mut a = Assembler::new();
    a.li(T0, rounds.into()).li(A0, 0x9e37_79b9_7f4a_7c15_u64 as i64).li(A1, 0);
    let top = a.here();
    let skip = a.label();
    a.push(slli(T1, A0, 13)).push(xor(A0, A0, T1));
    a.push(i(0x13, 5, T1, A0, 7)).push(xor(A0, A0, T1));
    a.push(slli(T1, A0, 17)).push(xor(A0, A0, T1));
    a.push(i(0x13, 7, T2, A0, 3)).bne(T2, ZERO, skip);
    a.push(mul(A1, A1, A0)).push(addi(A1, A1, 1));
    a.bind(skip).push(add(A1, A1, T2)).push(addi(T0, T0, -1)).bne(T0, ZERO, top);
    a.push(xor(A0, A0, A1)).exit();
    a.finish()
}

/// Fills 64 KiB with words, sums them, copies bytes: about 70,000 instructions a round.
fn memory_heavy(rounds: u32) -> Vec<u8> {
    let mut a = Assembler::new();
    a.li(S0, rounds.into()).li(A0, 1);
    let round = a.here();
    a.li(T0, DATA as i64).li(T1, DATA as i64 + 65_536);
    let fill = a.here();
    a.push(sd(A0, T0, 0)).push(addi(A0, A0, 77)).push(addi(T0, T0, 8)).bltu(T0, T1, fill);
    a.li(T0, DATA as i64);
    let sum = a.here();
    a.push(ld(T2, T0, 0)).push(lw(A2, T0, 4)).push(add(A0, A0, T2)).push(add(A0, A0, A2));
    a.push(addi(T0, T0, 8)).bltu(T0, T1, sum);
    a.li(T0, DATA as i64).li(A1, DATA as i64 + 0x2_0000).li(T1, DATA as i64 + 2_048);
    let copy = a.here();
    a.push(lbu(T2, T0, 1)).push(sb(T2, A1, 0)).push(addi(A1, A1, 1)).push(addi(T0, T0, 1));
    a.bltu(T0, T1, copy).push(addi(S0, S0, -1)).bne(S0, ZERO, round);
    a.exit();
    a.finish()
}

/// Fibonacci of 20 by recursion, `times` and four times over: calls, returns and the stack.
fn call_heavy(times: u32) -> Vec<u8> {
    let mut a = Assembler::new();
    let (fib, recurse) = (a.label(), a.label());
    a.li(S1, (times * 5).into()).li(S2, 0);
    let top = a.here();
    a.li(A0, 20).jal(RA, fib).push(add(S2, S2, A0));
    a.push(addi(S1, S1, -1)).bne(S1, ZERO, top);
    a.push(addi(A0, S2, 0)).exit();
    a.bind(fib).push(addi(T0, ZERO, 2)).branch(5, A0, T0, recurse).push(jalr(ZERO, RA, 0));
    a.bind(recurse).push(addi(SP, SP, -24)).push(sd(RA, SP, 0)).push(sd(A0, SP, 8));
    a.push(addi(A0, A0, -1)).jal(RA, fib).push(sd(A0, SP, 16));
    a.push(ld(A0, SP, 8)).push(addi(A0, A0, -2)).jal(RA, fib);
    a.push(ld(T0, SP, 16)).push(add(A0, A0, T0)).push(ld(RA, SP, 0));
    a.push(addi(SP, SP, 24)).push(jalr(ZERO, RA, 0));
    a.finish()
}

/// SHA-256 compressions without the bit-manipulation extension, rotates in three instructions.
fn sha256(blocks: u32) -> Vec<u8> {
    let mut a = Assembler::new();
    a.li(S0, blocks.into()).li(S1, DATA as i64);
    // The working variables a to h live in x18 to x25, as a compiler would keep them.
    for register in 18..26 {
        a.li(register, i64::from(0x6a09_e667_i32).wrapping_mul(i64::from(register)) as i32 as i64);
    }
    let block = a.here();
    for word in 16..64 {
        schedule(&mut a, word);
    }
    let mut v: [u32; 8] = [18, 19, 20, 21, 22, 23, 24, 25];
    for word in 0..64 {
        round(&mut a, &v, word);
        v.rotate_right(1);
    }
    for word in 0..8 {
        a.push(sw(18 + word, S1, 4 * word as i32));
    }
    a.push(addi(S0, S0, -1));
    // The body is longer than a branch reaches.
    let done = a.label();
    a.branch(0, S0, ZERO, done).jal(ZERO, block);
    a.bind(done).push(addi(A0, 18, 0)).exit();
    a.finish()
}

/// `to = from` rotated right by `by` bits, as 32-bit values; changes t2.
fn rotate(a: &mut Assembler, to: u32, from: u32, by: i32) {
    a.push(i(0x1b, 5, T2, from, by)).push(i(0x1b, 1, to, from, 32 - by));
    a.push(r(0x33, 6, 0, [to, to, T2]));
}

fn addw(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x3b, 0, 0, [rd, rs1, rs2])
}

fn schedule(a: &mut Assembler, word: i32) {
    for (source, [first, second, shift], sum) in
        [(word - 15, [7, 18, 3], A3), (word - 2, [17, 19, 10], A4)]
    {
        a.push(lw(A0, S1, 4 * source));
        rotate(a, A1, A0, first);
        rotate(a, A2, A0, second);
        a.push(i(0x1b, 5, T1, A0, shift)).push(xor(A1, A1, A2)).push(xor(sum, A1, T1));
    }
    a.push(lw(A0, S1, 4 * (word - 16))).push(lw(A1, S1, 4 * (word - 7)));
    a.push(addw(A3, A3, A4)).push(addw(A0, A0, A1)).push(addw(A0, A0, A3));
    a.push(sw(A0, S1, 4 * word));
}

fn round(a: &mut Assembler, v: &[u32; 8], word: i32) {
    let [va, vb, vc, vd, ve, vf, vg, vh] = *v;
    rotate(a, A0, ve, 6);
    rotate(a, A1, ve, 11);
    rotate(a, A2, ve, 25);
    a.push(xor(A0, A0, A1)).push(xor(A0, A0, A2));
    // Choice, as compilers write it: g ^ (e & (f ^ g)).
    a.push(xor(A1, vf, vg)).push(r(0x33, 7, 0, [A1, A1, ve])).push(xor(A1, A1, vg));
    a.push(lui(A2, 0x4_28a2 + word as u32)).push(i(0x1b, 0, A2, A2, 0x798 - word));
    a.push(lw(A3, S1, 4 * word)).push(addw(A0, A0, vh)).push(addw(A1, A1, A2));
    a.push(addw(A0, A0, A3)).push(addw(A0, A0, A1));
    rotate(a, A1, va, 2);
    rotate(a, A2, va, 13);
    rotate(a, A3, va, 22);
    a.push(xor(A1, A1, A2)).push(xor(A1, A1, A3));
    a.push(xor(A2, va, vb)).push(r(0x33, 7, 0, [A2, A2, vc])).push(r(0x33, 7, 0, [A3, va, vb]));
    a.push(xor(A2, A2, A3)).push(addw(A1, A1, A2));
    a.push(addw(vd, vd, A0)).push(addw(vh, A0, A1));
}

/// Stops at once.
pub fn stop() -> Vec<u8> {
    let mut a = Assembler::new();
    a.li(A7, 0).push(ECALL);
    image(&a.finish())
}

/// Gives back the first word of its call data.
pub fn echo() -> Vec<u8> {
    let mut a = Assembler::new();
    a.li(A0, 0).push(addi(A1, SP, -32)).li(A7, 0x35).push(ECALL);
    a.push(addi(A0, SP, -32)).li(A1, 32).li(A7, 0xf3).push(ECALL);
    image(&a.finish())
}

/// Makes system calls without an end.
pub fn system_calls() -> Vec<u8> {
    let mut a = Assembler::new();
    let top = a.here();
    a.push(ECALL).jal(ZERO, top);
    image(&a.finish())
}

/// Stores a register on the stack and makes a system call.
pub fn store_and_call() -> Vec<u8> {
    let mut a = Assembler::new();
    a.push(sd(RA, SP, -8)).exit();
    image(&a.finish())
}
