//! Real programs in Rust and C: the same output as under ckb-vm and under `qemu-riscv64`.

mod peers;

use std::{os::unix::fs::PermissionsExt, process::Command};

use peers::{output_of_ckb, output_of_tandem};
use tandem_bench::{guests::Guest, programs};

#[test]
fn rust_programs_agree() {
    check(programs::rust(false).expect("the target is installed"), true);
}

#[test]
fn rust_programs_with_bit_manipulation_agree() {
    // An emulator may be too old for these instructions.
    check(programs::rust(true).expect("the target is installed"), false);
}

#[test]
fn c_programs_agree() {
    let Some(programs) = programs::c() else {
        eprintln!("left out: no riscv64-unknown-elf-gcc with picolibc");
        return;
    };
    assert_eq!(programs.len(), 3);
    check(programs, true);
}

fn check(programs: Vec<Guest>, under_qemu: bool) {
    for Guest { name, elf } in programs {
        let here = output_of_tandem(&elf);
        assert!(!here.is_empty(), "{name} writes");
        assert_eq!(here, output_of_ckb(&elf), "{name}, here and under ckb-vm");
        if let Some(there) = under_qemu.then(|| output_of_qemu(&elf)).flatten() {
            assert_eq!(here, there, "{name}, here and under qemu");
        }
    }
}

/// `None` without qemu.
fn output_of_qemu(elf: &[u8]) -> Option<Vec<u8>> {
    let emulator = ["qemu-riscv64", "qemu-riscv64-static"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())?;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("program");
    std::fs::write(&file, elf).expect("it can be written to");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let output = Command::new(emulator).arg(&file).output().expect("it starts");
    assert!(output.status.success(), "qemu: {}", output.status);
    Some(output.stdout)
}
