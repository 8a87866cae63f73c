//! What the fuzz targets share.

#[path = "../vm/tests/riscv/asm.rs"]
#[allow(dead_code)]
mod asm;

/// Where an image's writable segment begins.
pub const DATA: u64 = asm::DATA;

/// An image that makes these system calls, one after the other, and stops.
pub fn calls_of(calls: &[(u64, [u64; 7])]) -> Vec<u8> {
    let mut program = asm::Assembler::new();
    for (number, args) in calls {
        for (register, arg) in (asm::A0..).zip(args) {
            program.li(register, *arg as i64);
        }
        program.li(asm::A7, *number as i64).push(asm::ECALL);
    }
    program.li(asm::A7, 0).push(asm::ECALL);
    asm::image(&program.finish())
}

/// An image of this code, with a writable segment behind it.
pub fn image_of(code: &[u8]) -> Vec<u8> {
    asm::image(code)
}
