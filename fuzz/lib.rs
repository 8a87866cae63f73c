//! What the fuzz targets share.

#[path = "../vm/tests/riscv/asm.rs"]
#[allow(dead_code)]
mod asm;

/// An image of this code, with a writable segment behind it.
pub fn image_of(code: &[u8]) -> Vec<u8> {
    asm::image(code)
}
