//! `tandem rv run`: what it prints and how it ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::{Command, Output};

#[path = "../../vm/tests/riscv/asm.rs"]
#[expect(dead_code, reason = "the tests of the machine use more of it")]
mod asm;

use asm::*;

/// Runs a program; its text is a system call at the end of `setup`.
fn run(code: &[u8], options: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("program.elf");
    std::fs::write(&file, image(code)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["rv", "run"]).arg(&file).args(options).output().unwrap()
}

/// A program that makes one system call with these arguments, and exits with 7 if it goes on.
fn call(number: i64, arguments: [i64; 3]) -> Vec<u8> {
    let mut a = Assembler::new();
    // "hi!\n" in memory, where calls that read find something.
    a.li(T0, DATA as i64).li(T1, 0x0a21_6968).push(sw(T1, T0, 0));
    a.li(A0, arguments[0]).li(A1, arguments[1]).li(A2, arguments[2]).li(A7, number).push(ECALL);
    a.li(A0, 7).li(A7, 93).push(ECALL);
    a.finish()
}

fn check(code: &[u8], options: &[&str], status: &str, output: &str, exit_code: i32) {
    let ended = run(code, options);
    let text = String::from_utf8(ended.stdout).unwrap();
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    assert_eq!(line("status: "), Some(status), "{text}");
    assert_eq!(line("output: "), Some(output), "{text}");
    assert_eq!(ended.status.code(), Some(exit_code), "{text}");
}

#[test]
fn a_program_ends_as_it_says() {
    let data = DATA as i64;
    check(&call(93, [3, 0, 0]), &[], "exit 3", "0x", 3);
    check(&call(94, [0x1ff, 0, 0]), &[], "exit 255", "0x", 255);
    check(&call(0x00, [0; 3]), &[], "returned", "0x", 0);
    check(&call(0xf3, [data, 4, 0]), &[], "returned", "0x6869210a", 0);
    check(&call(0xfd, [data, 2, 0]), &[], "reverted", "0x6869", 1);
    check(&call(0xfe, [0; 3]), &[], "INVALID", "0x", 125);
    let status = "system call 0x54 at pc 0x10024 needs a chain";
    check(&call(0x54, [0; 3]), &[], status, "0x", 125);
    let status = "trap: load from unmapped memory 0x10 (4 bytes) at pc 0x10024";
    check(&call(0xf3, [16, 4, 0]), &[], status, "0x", 125);
    check(&call(93, [0; 3]), &["--gas", "1"], "out of gas", "0x", 125);
}

#[test]
fn input_comes_in_by_read_and_by_call_data() {
    let data = DATA as i64;
    let bytes = ["--input", "0x010203"];
    // The result of the call is the exit status.
    let status = |number, arguments| {
        let mut a = Assembler::new();
        a.li(T0, data).push(sw(ZERO, T0, 0));
        let [first, second, third] = arguments;
        a.li(A0, first).li(A1, second).li(A2, third).li(A7, number).push(ECALL);
        a.push(lbu(T0, T0, 1)).push(add(A0, A0, T0)).li(A7, 93).push(ECALL);
        a.finish()
    };
    check(&status(0x36, [0; 3]), &bytes, "exit 3", "0x", 3);
    check(&status(63, [0, data, 9]), &bytes, "exit 5", "0x", 5);
    check(&status(63, [5, data, 9]), &bytes, "exit 247", "0x", 247);
    let mut a = Assembler::new();
    a.li(A0, data).li(A1, 1).li(A2, 4).li(A7, 0x37).push(ECALL);
    a.li(A0, data).li(A1, 4).li(A7, 0xf3).push(ECALL);
    check(&a.finish(), &bytes, "returned", "0x02030000", 0);
}

#[test]
fn what_a_program_writes_comes_before_the_report() {
    let ended = run(&call(64, [1, DATA as i64, 4]), &[]);
    let text = String::from_utf8(ended.stdout).unwrap();
    let expected = "hi!\nstatus: exit 7\noutput: 0x\ngas: 32 (633500 units)\npages: 1\n\
                    instructions: 14\n  add           8\n  luiJump       3\n  accessNarrow  1\n  \
                    syscall       2\n";
    assert_eq!(text, expected);
    let ended = run(&call(0x1003, [DATA as i64, 3, 0]), &[]);
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "hi!\n");
}

#[test]
fn a_trace_shows_each_instruction_and_what_it_changes() {
    let ended = run(&call(93, [3, 0, 0]), &["--trace"]);
    let text = String::from_utf8(ended.stderr).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "0x10000  lui t0,0x200                            t0 = 0x200000");
    assert_eq!(lines.last(), Some(&"0x10024  ecall"));
}

#[test]
fn a_file_that_is_no_image_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("program.elf");
    std::fs::write(&file, b"#!/bin/sh").unwrap();
    let run = |path: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        let ended = command.args(["rv", "run"]).arg(path).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, text) = run(&file);
    assert_eq!(code, Some(1));
    assert!(text.contains("program.elf: ELF file too short"), "{text}");
    let (code, text) = run(&dir.path().join("missing"));
    assert_eq!(code, Some(1));
    assert!(text.contains("missing: No such file"), "{text}");
}
