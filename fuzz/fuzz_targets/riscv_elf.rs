//! Any bytes as an ELF file: refused with a reason, or loaded within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm::riscv::Image;

fuzz_target!(|file: &[u8]| {
    match Image::load(file, &Default::default()) {
        Ok(image) => assert!(image.heap_size() <= 46 * file.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
