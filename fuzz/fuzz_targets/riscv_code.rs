//! Any bytes as code: decoding and disassembly agree on what is undefined, and cover all of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::image_of;
use vm::riscv::{Image, disassemble, disassemble_at};

fuzz_target!(|code: &[u8]| {
    let Ok(image) = Image::load(&image_of(code), &Default::default()) else { return };
    let mut next = image.entry();
    for line in disassemble(&image) {
        assert_eq!(line.pc, next);
        assert_eq!(disassemble_at(&image, line.pc).as_ref(), Some(&line));
        next += u64::from(line.length);
    }
    assert!(next + 4 > image.entry() + code.len() as u64);
});
