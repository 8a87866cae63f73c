//! What went wrong in earlier RISC-V chains, each as a test of its own here.

use alloy_primitives::U256;
use genesis::{RiscvParams, SpecId};
use revm::{
    context::TxEnv,
    context_interface::result::{ExecutionResult, HaltReason, OutOfGasError},
};
use vm::Outcome;

use crate::{
    program::{A0, Program, container},
    world::{A, B, Evm, World, call, gas, halted, output, register, slot},
};

#[test]
fn an_endless_loop_runs_out_of_gas() {
    let mut guest = Program::new();
    guest.sstore(1, 1).spin();
    let world = World::new().put(A, guest.container());
    let brief = |to| TxEnv { gas_limit: 500_000, ..call(to) };
    let outcome = world.run(&brief(A));
    let out = HaltReason::OutOfGas(OutOfGasError::Basic);
    assert!(matches!(&outcome.result, ExecutionResult::Halt { reason, .. } if *reason == out));
    assert_eq!(gas(&outcome), 500_000);
    assert_eq!(slot(&outcome, A, 1).unwrap_or_default(), U256::ZERO);
    // Called from either machine it takes its 63/64 and no more.
    let mut caller = Program::new();
    caller.call_address(A).ret_a0();
    let world = world.put(B, caller.container());
    let outcome = world.run(&brief(B));
    assert_eq!(output(&outcome), register(0));
    assert!(gas(&outcome) > 490_000 && gas(&outcome) < 500_000);
    let world = world.put(B, Evm::new().call(A).ret_top());
    assert_eq!(output(&world.run(&brief(B))), [0; 32]);
}

#[test]
fn gas_is_charged_as_the_guest_goes_not_at_its_end() {
    // Ten times the gas, ten times the rounds, whatever the loop would do later.
    let mut guest = Program::new();
    guest.spin();
    let world = World::new().put(A, guest.container());
    for gas_limit in [30_000, 100_000, 300_000] {
        let outcome = world.run(&TxEnv { gas_limit, ..call(A) });
        assert_eq!(gas(&outcome), gas_limit);
    }
}

/// The trap of a call to a guest that does what `write` says.
#[track_caller]
fn check_trap(expected: &str, write: impl FnOnce(&mut Program)) -> Outcome {
    let mut guest = Program::new();
    guest.sstore(1, 1);
    write(&mut guest);
    guest.call(0, &[]);
    let mut caller = Program::new();
    caller.call_address(A);
    caller.call(0x3d, &[]).ret_a0();
    let world = World::new().put(A, guest.container()).put(B, caller.container());
    // Inside a call: the caller goes on, and sees no return data.
    let nested = world.call(B);
    assert_eq!(output(&nested), register(0));
    assert_eq!(nested.trap.as_ref().unwrap().depth, 1);
    let outcome = world.call(A);
    assert!(halted(&outcome), "{:?}", outcome.result);
    assert_eq!(gas(&outcome), 10_000_000);
    assert_eq!(slot(&outcome, A, 1).unwrap_or_default(), U256::ZERO);
    let trap = outcome.trap.as_ref().unwrap();
    assert!(trap.reason.starts_with(expected), "{}", trap.reason);
    assert_eq!((trap.address, trap.depth), (A, 0));
    outcome
}

#[test]
fn guest_pointers_out_of_range_trap() {
    let unmapped = [0, 0xfff, 0x00f0_0000, 0x00fb_ffff, 0x0100_0000, 1 << 40, u64::MAX - 3];
    for ptr in unmapped {
        check_trap("load from unmapped memory", |guest| {
            guest.call(0xf3, &[ptr, 8]);
        });
        check_trap("load from unmapped memory", |guest| {
            guest.call(0x54, &[ptr, ptr]);
        });
        check_trap("load from unmapped memory", |guest| {
            guest.call(0xa0, &[ptr, 8, 0]);
        });
        check_trap("load from unmapped memory", |guest| {
            guest.call(0x20, &[ptr, 8, ptr]);
        });
        check_trap("store to unmapped memory", |guest| {
            guest.call(0x30, &[ptr]);
        });
        check_trap("store to unmapped memory", |guest| {
            guest.call(0x37, &[ptr, 0, 8]);
        });
        check_trap("store to unmapped memory", |guest| {
            guest.call(0x1001, &[ptr, 0, 8]);
        });
    }
}

#[test]
fn lengths_out_of_range_trap_before_anything_is_allocated() {
    for len in [0x0100_0000, 1 << 40, u64::MAX] {
        let load = "load from unmapped memory";
        check_trap(load, |guest| {
            guest.call(0xf3, &[0x10_0000, len]);
        });
        check_trap(load, |guest| {
            guest.call(0xfd, &[0x10_0000, len]);
        });
        check_trap(load, |guest| {
            guest.call(0xa4, &[0x10_0000, len, 0x10_0000]);
        });
        check_trap(load, |guest| {
            guest.call(0x1003, &[0x10_0000, len]);
        });
        check_trap("store to unmapped memory", |guest| {
            let who = guest.space(32);
            guest.call(0x3c, &[who, 0x10_0000, 0, len]);
        });
        check_trap("store to unmapped memory", |guest| {
            guest.call(0x37, &[0x10_0000, 0, len]);
        });
        check_trap(load, |guest| {
            let (zero, out) = (guest.space(32), guest.space(32));
            guest.call(0xf0, &[zero, 0x10_0000, len, out]);
        });
        check_trap(load, |guest| {
            let (to, zero) = (guest.address(B), guest.word(0));
            guest.call(0xf1, &[u64::MAX, to, zero, 0x10_0000, len, 0, 0]);
        });
        check_trap("store to unmapped memory", |guest| {
            let (to, zero) = (guest.address(B), guest.word(0));
            guest.call(0xf1, &[u64::MAX, to, zero, 0, 0, 0x10_0000, len]);
        });
    }
}

#[test]
fn ranges_of_length_zero_are_never_looked_at() {
    let mut guest = Program::new();
    let bad = u64::MAX;
    let (to, zero, hash) = (guest.address(B), guest.word(0), guest.space(32));
    guest.call(0xf1, &[u64::MAX, to, zero, bad, 0, bad, 0]);
    guest.call(0xa0, &[bad, 0, bad]);
    guest.call(0x37, &[bad, 0, 0]);
    guest.call(0x3e, &[bad, 0, 0]);
    guest.call(0x20, &[bad, 0, hash]);
    guest.call(0x1003, &[bad, 0]);
    guest.ret(bad, 0);
    let world = World::new().put(A, guest.container());
    assert!(output(&world.call(A)).is_empty());
}

#[test]
fn code_is_not_writable() {
    check_trap("store to read-only memory 0x10000", |guest| {
        guest.call(0x30, &[0x1_0000]);
    });
    check_trap("store to read-only memory 0x10000", |guest| {
        guest.store(A0, 0x1_0000);
    });
}

#[test]
fn undefined_instructions_and_breakpoints_trap() {
    check_trap("undefined instruction", |guest| {
        guest.raw(0);
    });
    // csrr a0, cycle
    check_trap("undefined instruction", |guest| {
        guest.raw(0xc000_2573);
    });
    // fadd.s
    check_trap("undefined instruction", |guest| {
        guest.raw(0x0000_0053);
    });
    check_trap("ebreak at pc", |guest| {
        guest.raw(0x0010_0073);
    });
    // Returning from the entry function.
    check_trap("jump to 0x0", |guest| {
        guest.raw(0x0000_8067);
    });
}

#[test]
fn code_that_starts_with_an_opcode_is_the_evms() {
    // SELFDESTRUCT, and the letters of an ELF file without a container: 0x7f pushes 32 bytes.
    for (code, succeeds) in [(vec![0xff], false), (Program::new().elf(), true), (vec![0x00], true)]
    {
        let outcome = World::new().put(A, code).call(A);
        assert_eq!(outcome.result.is_success(), succeeds, "{:?}", outcome.result);
        assert_eq!(outcome.trap, None, "no machine ran");
    }
}

#[test]
fn a_malformed_image_fails_and_never_runs_as_evm_code() {
    // As EVM code, this tail would store.
    let evm = Evm::new().push(1).push(1).op(0x55).0;
    let rows = [
        (container(b"", &evm), "malformed RISC-V image: ELF file too short"),
        (container(&evm, &[]), "malformed RISC-V image: ELF magic"),
        (vec![0xef, 0x52, 0x56].into(), "malformed RISC-V code: container of 3 bytes"),
        (
            vec![0xef, 0x52, 0x56, 9, 0, 0, 0, 0].into(),
            "malformed RISC-V code: container version 9",
        ),
    ];
    for (code, reason) in rows {
        let world = World::new().put(A, code).put(B, Evm::new().call(A).ret_top());
        let outcome = world.call(A);
        assert!(halted(&outcome));
        assert_eq!(gas(&outcome), 10_000_000);
        let trap = outcome.trap.as_ref().unwrap();
        assert!(trap.reason.starts_with(reason), "{}", trap.reason);
        let nested = world.call(B);
        assert_eq!(output(&nested), [0; 32]);
        assert_eq!(slot(&nested, A, 1), None);
    }
}

#[test]
fn pages_of_all_frames_together_are_capped() {
    // Each frame touches 10 pages and calls itself.
    let mut guest = Program::new();
    for page in 0..10 {
        guest.store(0, 0x20_0000 + page * 4096);
    }
    guest.call_address(A);
    guest.call(0, &[]);
    let params = RiscvParams { memory_pages_max: 100, ..RiscvParams::default() };
    let world = World::with(SpecId::OSAKA, params).put(A, guest.container());
    let mut execution = world.execution();
    for nonce in 0..2 {
        let outcome = execution.transact(&TxEnv { nonce, ..call(A) }).unwrap();
        assert!(outcome.result.is_success());
        let trap = outcome.trap.unwrap();
        assert!(trap.reason.ends_with("all 100 pages are in use"), "{}", trap.reason);
        // Data, stack of none, and 10 pages a frame: the tenth frame finds no room.
        assert_eq!(trap.depth, 9);
    }
}

#[test]
fn pages_come_back_when_a_frame_ends() {
    let mut guest = Program::new();
    for page in 0..20 {
        guest.store(0, 0x20_0000 + page * 4096);
    }
    guest.call(0, &[]);
    let mut caller = Program::new();
    for _ in 0..20 {
        caller.call_address(A);
    }
    caller.ret_a0();
    let params = RiscvParams { memory_pages_max: 30, ..RiscvParams::default() };
    let world =
        World::with(SpecId::OSAKA, params).put(A, guest.container()).put(B, caller.container());
    let outcome = world.call(B);
    assert_eq!(output(&outcome), register(1));
    assert!(outcome.trap.is_none());
}

#[test]
fn memory_is_new_in_every_frame() {
    // Reads a word of heap, then fills it.
    let mut guest = Program::new();
    let heap = 0x30_0000;
    guest.li(5, heap).raw(5 << 15 | 3 << 12 | A0 << 7 | 3);
    guest.mv(18, A0);
    guest.li(6, u64::MAX).store(6, heap);
    guest.mv(A0, 18).ret_a0();
    let mut caller = Program::new();
    caller.call_address(A).call_address(A);
    caller.ret_data();
    let world = World::new().put(A, guest.container()).put(B, caller.container());
    let mut execution = world.execution();
    for nonce in 0..2 {
        let outcome = execution.transact(&TxEnv { nonce, ..call(B) }).unwrap();
        assert_eq!(output(&outcome), register(0));
    }
}

#[test]
fn a_callee_that_writes_is_seen_by_the_caller_again() {
    // The caller reads its slot, a library changes it, the caller reads it again.
    let mut main = Program::new();
    let (key, out) = (main.word(1), main.space(32));
    main.call(0x54, &[key, out]);
    main.call_without_value(0xf4, B);
    main.call(0x54, &[key, out]).ret(out, 32);
    let writer = Evm::new().push(9).push(1).op(0x55);
    let world = World::new().put(A, main.container()).put(B, writer);
    assert_eq!(output(&world.call(A)), U256::from(9).to_be_bytes::<32>());
}
