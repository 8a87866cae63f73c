//! Random programs against `qemu-riscv64`: the same file gives the same registers and memory.
//!
//! A program writes its registers and memory to standard output, which is a system call of Linux
//! under qemu and of the test here. `TANDEM_PROGRAMS` says how many, `TANDEM_PROGRAMS_FROM` which is
//! the first.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tandem_vm::riscv::Stop;

use crate::{
    guest::{Run, run_image},
    random::{WRITE, program},
};

/// How many programs are compared unless told otherwise.
const PROGRAMS: u64 = 60;

/// What the program writes when run here.
fn output_here(file: &[u8]) -> Vec<u8> {
    let Run { stop, mut machine, mut units } = run_image(file);
    assert_eq!((stop, machine.number()), (Stop::Syscall, WRITE));
    let (ptr, len) = (machine.arg(1), machine.arg(2));
    let output = machine.read(ptr, len, &mut units).expect("the buffer is mapped");
    assert_eq!(machine.run(&mut units), Stop::Syscall);
    assert_eq!(machine.number(), 93);
    output
}

fn find_qemu() -> Option<PathBuf> {
    let names = ["qemu-riscv64-static", "qemu-riscv64"];
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).find(|p| p.is_file())
}

/// qemu refuses files that the user may not execute, without a word.
fn make_executable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[test]
fn random_programs_agree_with_qemu() {
    let Some(qemu) = find_qemu() else {
        println!("left out: no qemu-riscv64 to compare with (Debian: qemu-user-static)");
        return;
    };
    let path = env::temp_dir().join(format!("tandem-riscv-differential-{}", std::process::id()));
    let number = |name, default| env::var(name).map_or(default, |text| text.parse().expect(name));
    let first = number("TANDEM_PROGRAMS_FROM", 0);
    for seed in first..first + number("TANDEM_PROGRAMS", PROGRAMS) {
        let file = program(seed, false);
        fs::write(&path, &file).expect("the temporary folder is writable");
        make_executable(&path);
        let output = Command::new(&qemu).arg(&path).output().expect("qemu starts");
        assert!(output.status.success(), "seed {seed}: qemu ended with {}", output.status);
        let here = output_here(&file);
        let differs = here.iter().zip(&output.stdout).position(|(a, b)| a != b);
        assert_eq!((here.len(), differs), (output.stdout.len(), None), "seed {seed}");
    }
    fs::remove_file(&path).expect("it was just written");
}
