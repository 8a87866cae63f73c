//! Text: formatting of numbers, debug output, parsing back.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, string::String};
use core::fmt::Write;
use programs::Random;

programs::program!(run);

#[derive(Debug)]
#[allow(dead_code)]
struct Entry<'a> {
    name: &'a str,
    value: i64,
    parts: [u16; 3],
    nested: Option<&'a str>,
}

fn run() {
    let mut random = Random(17);
    let mut text = String::new();
    let mut sum = 0u64;
    for n in 0..400u32 {
        programs::reset_heap();
        text = String::with_capacity(4096);
        let value = random.number() as i64;
        let entry = Entry {
            name: "entry",
            value,
            parts: [n as u16, value as u16, (value >> 16) as u16],
            nested: (n % 3 == 0).then_some("yes"),
        };
        write!(text, "{entry:?} {:>20} {:#018x} {:+e}", value, value, n).expect("memory suffices");
        let back: i64 = format!("{value}").parse().expect("it is a number");
        assert!(back == value);
        sum = text.bytes().fold(sum, |sum, byte| sum.wrapping_mul(131).wrapping_add(byte.into()));
    }
    programs::write(text.as_bytes());
    programs::write(&sum.to_be_bytes());
}
