//! Any bytes as a program: run at once and step by step, it does and costs the same.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::image_of;
use vm::riscv::{Image, Machine, Pool, Stop, Units};

/// Pages and gas of the frame, system calls answered.
const PAGES_MAX: u32 = 64;
const GAS: u64 = 500;
const SYSCALLS_MAX: u32 = 100;

fuzz_target!(|code: &[u8]| {
    let gas = Default::default();
    let Ok(image) = Image::load(&image_of(code), &gas) else { return };
    let image = Arc::new(image);
    let mut pool = Pool::new();
    let mut whole = Machine::new(image.clone(), &mut pool, false);
    let mut stepped = Machine::new(image, &mut pool, false);
    let mut units = Units::new(&gas, PAGES_MAX);
    units.refill(GAS);
    let mut stepped_units = units.clone();
    for _ in 0..SYSCALLS_MAX {
        let stop = whole.run(&mut units);
        let other = loop {
            if let Some(stop) = stepped.step(&mut stepped_units) {
                break stop;
            }
        };
        assert_eq!(stop, other);
        assert_eq!(units, stepped_units);
        assert_eq!(whole.registers(), stepped.registers());
        if stop != Stop::Syscall {
            break;
        }
        let (ptr, len) = (whole.arg(0), whole.arg(1) % 20_000);
        let bytes = whole.read(ptr, len, &mut units);
        assert_eq!(bytes, stepped.read(ptr, len, &mut stepped_units));
        let noise = vec![0x5a; (whole.arg(3) % 5_000) as usize];
        let written = whole.write(whole.arg(2), &noise, &mut units);
        assert_eq!(written, stepped.write(stepped.arg(2), &noise, &mut stepped_units));
    }
    assert!(whole.release(&mut pool) <= PAGES_MAX);
});
