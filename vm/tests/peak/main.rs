//! How much memory nested frames take: in a process of its own, for the peak is the process's.

#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

extern crate tandem_vm as vm;

#[path = "../engine/program.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod program;
#[path = "../engine/world.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod world;

use program::Program;
use revm::context::TxEnv;
use vm::Rules;
use world::{A, B, Evm, World, call};

/// Pages that each guest touches, so that those of 512 guests nearly fill the cap of 16,384.
const PAGES: u64 = 30;
/// What a frame may take besides its pages: registers, page tables, revm's stack, caller's data.
const FRAME_BYTES_MAX: u64 = 64 << 10;

/// The most memory that the process has had, in bytes; `None` where Linux does not say it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

/// 1,025 frames, EVM and RISC-V in turn, of which each guest holds its pages until the last one ends.
#[test]
fn nested_frames_stay_within_the_cap_of_pages() {
    let mut guest = Program::new();
    for page in 0..PAGES {
        guest.store(0, 0x20_0000 + page * 4096);
    }
    guest.call_address(A);
    guest.call(0, &[]);
    let mut world = World::cheap().put(A, Evm::new().call(B)).put(B, guest.container());
    world.rules = Rules { tx_gas_limit_cap: Some(u64::MAX), ..Rules::block() };
    let pages_max = u64::from(world.engine.spec().riscv.memory_pages_max);
    let before = peak();
    let outcome = world.run(&TxEnv { gas_limit: 900_000_000_000, ..call(A) });
    assert!(outcome.result.is_success(), "{:?}", outcome.result);
    assert_eq!(outcome.trap, None, "the cap is not met");
    let (Some(before), Some(after)) = (before, peak()) else {
        println!("left out: no /proc/self/status");
        return;
    };
    let (grown, held) = (after - before, 512 * PAGES * 4096);
    assert!(grown > held / 2, "{grown} bytes for pages of {held}: nothing was nested");
    let most = pages_max * 4096 + 1_025 * FRAME_BYTES_MAX;
    assert!(grown <= most, "{grown} bytes at the peak, {most} allowed");
}
