//! Runs that are ended from outside, whatever gas they have.

use std::{cell::Cell, rc::Rc};

use alloy_primitives::Bytes;
use revm::{context::TxEnv, inspector::NoOpInspector};
use trace::{Budget, TransactionContext, geth_trace};
use vm::{EngineError, Execution};

use crate::{
    program::{A0, Program, T0},
    world::{A, B, Db, Evm, World, call, output, word},
};

/// More gas than any run here could use within a day.
const ENDLESS: u64 = 1 << 60;

/// An execution that is over when it has asked three times, and how often it has asked.
fn limited(world: &World) -> (Execution<&Db>, Rc<Cell<u32>>) {
    let mut execution = world.execution();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    execution.stop_when(move || {
        count.set(count.get() + 1);
        count.get() >= 3
    });
    (execution, asked)
}

#[track_caller]
fn check(code: impl Into<Bytes>) {
    let mut world = World::new().put(A, code);
    world.rules.check_block_gas_limit = false;
    world.rules.tx_gas_limit_cap = Some(u64::MAX);
    // Called from either machine, too.
    let mut guest = Program::new();
    guest.call_address(A).ret_a0();
    let world = world.put(B, guest.container());
    for to in [A, B] {
        let tx = TxEnv { gas_limit: ENDLESS, ..call(to) };
        let (mut execution, asked) = limited(&world);
        let stopped = execution.call(&tx).unwrap_err();
        assert!(matches!(stopped, EngineError::Stopped), "{stopped}");
        assert_eq!(asked.get(), 3);
        // Under the eyes of an inspector as well.
        let (mut execution, _) = limited(&world);
        let stopped = execution.inspect(&tx, &mut NoOpInspector).unwrap_err();
        assert!(matches!(stopped, EngineError::Stopped), "{stopped}");
        // What comes next in the same execution is stopped at once, and changes nothing.
        let (mut execution, asked) = limited(&world);
        execution.call(&tx).unwrap_err();
        execution.call(&tx).unwrap_err();
        assert_eq!(asked.get(), 4);
        assert!(execution.into_changes().state.is_empty());
    }
}

#[test]
fn endless_loops_of_the_evm_stop() {
    // JUMPDEST, PUSH0, JUMP.
    check(vec![0x5b, 0x5f, 0x56]);
    // With a store in it: nothing of it stays.
    check(vec![0x5b, 0x60, 1, 0x5f, 0x55, 0x5f, 0x56]);
}

#[test]
fn frames_without_a_jump_stop() {
    // Calls itself twice: twice as many frames at each of 1,024 depths.
    check(Evm::new().call(A).op(0x50).call(A));
    // Calls the identity precompile without end.
    let identity = Evm::new().op(0x5b).call(alloy_primitives::Address::with_last_byte(4));
    check(identity.op(0x50).op(0x5f).op(0x56));
}

#[test]
fn endless_loops_of_guests_stop() {
    let mut guest = Program::new();
    guest.spin();
    check(guest.container());
    // One that makes system calls: TIMESTAMP, and back.
    let mut guest = Program::new();
    guest.sstore(1, 1).call(0x42, &[]).raw(0xff9f_f06f);
    check(guest.container());
    // One that touches a page after the other before it spins: add t0, t0, a0; sb x0, (t0).
    let mut guest = Program::new();
    guest.li(T0, 0x20_0000).li(A0, 4096);
    guest.raw(0x00a2_82b3).raw(0x0002_8023).spin();
    check(guest.container());
}

#[test]
fn guests_stop_while_they_are_stepped() {
    let mut guest = Program::new();
    guest.spin();
    let mut world = World::new().put(A, guest.container());
    world.rules.check_block_gas_limit = false;
    world.rules.tx_gas_limit_cap = Some(u64::MAX);
    let tx = TxEnv { gas_limit: ENDLESS, ..call(A) };
    let options = serde_json::from_str(r#"{"tracer":"rvTracer","limit":1000000000}"#).unwrap();
    let (mut execution, _) = limited(&world);
    let place = TransactionContext::default();
    let budget = &mut Budget::unlimited();
    let stopped = geth_trace(&mut execution, &tx, (&options, place), budget);
    assert!(matches!(stopped, Err(trace::TraceError::Engine(EngineError::Stopped))));
}

#[test]
fn a_run_that_has_time_is_what_it_was() {
    // A loop of 100,000 rounds that reads storage: PUSH3 n; JUMPDEST; PUSH0 SLOAD POP; PUSH1 1,
    // SWAP1, SUB; DUP1; PUSH1 4; JUMPI.
    let code = Evm(vec![
        0x62, 0x01, 0x86, 0xa0, 0x5b, 0x5f, 0x54, 0x50, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 4, 0x57,
    ]);
    let mut world = World::new().put(A, code.op(0x5a).ret_top());
    world.rules.tx_gas_limit_cap = Some(u64::MAX);
    let tx = TxEnv { gas_limit: 100_000_000, ..call(A) };
    let plain = world.run(&tx);
    let mut execution = world.execution();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    execution.stop_when(move || {
        count.set(count.get() + 1);
        false
    });
    let guarded = execution.call(&tx).unwrap();
    assert_eq!(plain.result, guarded.result);
    assert_eq!(plain.state, guarded.state);
    // 33 ticks a round, so that eight rounds lie between two questions.
    assert!((12_000..13_000).contains(&asked.get()), "{}", asked.get());
    assert_ne!(output(&plain), word(0));
}
