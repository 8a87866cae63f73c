//! Calls between both machines: what comes back, what it costs, what is undone.

use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use genesis::SpecId;
use revm::{
    DatabaseRef, bytecode::Bytecode, context::TxEnv, database_interface::DBErrorMarker,
    inspector::NoOpInspector, primitives::B256, state::AccountInfo,
};
use vm::{EngineError, Execution, Outcome, Rules};

use crate::{
    program::{A0, Program},
    world::{
        A, B, C, Db, Evm, GUEST, World, call, gas, halted, logs, output, register, slot, word,
    },
};

/// Plain, and under an inspector: the same in every respect.
#[track_caller]
fn run_both(world: &World, tx: &TxEnv) -> Outcome {
    let plain = world.run(tx);
    let watched = world.execution().inspect(tx, &mut NoOpInspector).unwrap();
    assert_eq!(plain.result, watched.result);
    plain
}

/// EVM code that stores its caller's first word of data plus one, and returns 0xab.
fn callee() -> Evm {
    let store = Evm::new().push(0).op(0x35).push(1).op(0x01).push(5).op(0x55);
    store.push(0xab).ret_top()
}

#[test]
fn evm_to_guest_to_evm_and_back() {
    let mut guest = Program::new();
    guest.sstore(1, 2);
    let (to, zero, input, out) = (guest.address(C), guest.word(0), guest.word(41), guest.space(32));
    guest.call(0xf1, &[u64::MAX, to, zero, input, 32, out, 32]);
    let topic = guest.word(0xfeed);
    guest.call(0xa1, &[out, 32, topic]);
    guest.ret(out, 32);
    let world = World::new()
        .put(A, Evm::new().call(B).ret_data())
        .put(B, guest.container())
        .put(C, callee());
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), word(0xab));
    assert_eq!(slot(&outcome, B, 1), Some(U256::from(2)));
    assert_eq!(slot(&outcome, C, 5), Some(U256::from(42)));
    let logs = logs(&outcome);
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].address, B);
    assert_eq!(logs[0].topics(), [B256::from(U256::from(0xfeed))]);
    assert_eq!(logs[0].data.data[..], word(0xab));
}

#[test]
fn a_guest_keeps_registers_and_memory_over_a_call() {
    let mut guest = Program::new();
    let at = guest.space(8);
    guest.li(18, 77).store(18, at);
    guest.call_address(C);
    guest.mv(A0, 18);
    guest.ret_a0();
    let world = World::new().put(A, guest.container()).put(C, callee());
    assert_eq!(output(&run_both(&world, &call(A))), register(77));
}

#[test]
fn guest_to_guest_to_guest() {
    let mut inner = Program::new();
    inner.sstore(3, 4).call(0, &[]);
    let mut outer = Program::new();
    outer.call_address(B);
    outer.ret_a0();
    let mut middle = Program::new();
    middle.call_address(C);
    middle.ret_data();
    let world =
        World::new().put(A, outer.container()).put(B, middle.container()).put(C, inner.container());
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), register(1));
    assert_eq!(slot(&outcome, C, 3), Some(U256::from(4)));
}

/// What a call to a guest costs beyond the transaction's 21,000 and the guest's own work.
#[track_caller]
fn check_cost(expected: u64, write: impl FnOnce(&mut Program)) {
    let mut guest = Program::new();
    write(&mut guest);
    guest.call(0, &[]);
    let world = World::cheap().put(A, guest.container()).put(B, Evm::new().op(0));
    assert_eq!(gas(&run_both(&world, &call(A))), 21_000 + GUEST + expected);
}

#[test]
fn cold_and_warm_access_cost_what_the_evm_asks() {
    let sload = |guest: &mut Program| {
        let (key, out) = (guest.word(1), guest.space(32));
        guest.call(0x54, &[key, out]);
    };
    check_cost(2_100, sload);
    check_cost(2_200, |guest| {
        sload(guest);
        sload(guest);
    });
    check_cost(22_100, |guest| {
        guest.sstore(1, 1);
    });
    check_cost(22_200, |guest| {
        guest.sstore(1, 1).sstore(1, 2);
    });
    check_cost(2_600, |guest| {
        guest.call_address(B);
    });
    check_cost(2_700, |guest| {
        guest.call_address(B).call_address(B);
    });
    check_cost(758, |guest| {
        let (data, topic) = (guest.bytes(&[1]), guest.word(1));
        guest.call(0xa1, &[data, 1, topic]);
    });
    // 375 + 8 * 3000 for data that the EVM would also charge memory for.
    check_cost(24_375, |guest| {
        let data = guest.space(3000);
        guest.call(0xa0, &[data, 3000]);
    });
    // Call data takes no memory gas either.
    check_cost(2_600, |guest| {
        let (to, zero, data) = (guest.address(B), guest.word(0), guest.space(30_000));
        guest.call(0xf1, &[u64::MAX, to, zero, data, 30_000, 0, 0]);
    });
}

#[test]
fn a_refund_is_the_evms() {
    let mut guest = Program::new();
    guest.sstore(1, 0).call(0, &[]);
    let mut world = World::cheap().put(A, guest.container());
    world.db.insert_account_storage(A, U256::from(1), U256::from(1)).unwrap();
    let outcome = run_both(&world, &call(A));
    let spent = 21_000 + GUEST + 5_000;
    // 4,800 of refund, within a fifth of what was spent.
    assert_eq!(gas(&outcome), spent - 4_800);
}

#[test]
fn a_63rd_of_64_goes_to_each_callee() {
    let mut guest = Program::new();
    guest.call_address(C).call(0, &[]);
    let world = World::cheap()
        .put(A, Evm::new().call(B))
        .put(B, guest.container())
        .put(C, Evm::new().op(0xfe));
    let outcome = run_both(&world, &call(A));
    let at_call = 10_000_000 - 21_000 - 6 * 3 - 2 - 2_600;
    let kept_by_evm = at_call / 64;
    // The guest pays for its start and, rounded up, for its instructions before it calls.
    let at_guest_call = at_call - kept_by_evm - 2 - 2_600;
    let kept_by_guest = at_guest_call / 64;
    assert_eq!(gas(&outcome), 10_000_000 - kept_by_evm - kept_by_guest);
}

#[test]
fn a_gas_bound_holds() {
    let mut guest = Program::new();
    let (to, zero) = (guest.address(B), guest.word(0));
    guest.call(0xf1, &[5_000, to, zero, 0, 0, 0, 0]);
    guest.ret_a0();
    let world = World::cheap().put(A, guest.container()).put(B, Evm::new().op(0xfe));
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), register(0));
    assert_eq!(gas(&outcome), 21_000 + GUEST + 2_600 + 5_000);
}

#[test]
fn value_of_256_bits_moves() {
    let ether = U256::from(10).pow(U256::from(20));
    let mut guest = Program::new();
    let (to, value) = (guest.address(B), guest.word(ether));
    guest.call(0xf1, &[u64::MAX, to, value, 0, 0, 0, 0]);
    guest.ret_a0();
    let world = World::new().put(A, guest.container());
    let outcome = run_both(&world, &TxEnv { value: ether, ..call(A) });
    assert_eq!(output(&outcome), register(1));
    assert_eq!(outcome.state[&B].info.balance, ether);
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), register(0), "no balance: the flag says so");
}

#[track_caller]
fn check_static(fails: bool, write: impl FnOnce(&mut Program)) {
    let mut guest = Program::new();
    write(&mut guest);
    guest.call(0, &[]);
    let world = World::new()
        .put(A, Evm::new().call_without_value(0xfa, B).ret_top())
        .put(B, guest.container())
        .fund(B, 1);
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), word(u64::from(!fails)));
    assert_eq!(gas(&outcome) > 9_000_000, fails, "a failed static call takes its gas");
}

#[test]
fn static_context_holds_for_guests() {
    check_static(false, |guest| {
        let (key, out) = (guest.word(1), guest.space(32));
        guest.call(0x54, &[key, out]);
    });
    check_static(true, |guest| {
        guest.sstore(1, 1);
    });
    check_static(true, |guest| {
        let word = guest.word(1);
        guest.call(0x5d, &[word, word]);
    });
    for topics in 0..=4 {
        check_static(true, |guest| {
            let at = guest.space(128);
            guest.call(0xa0 + topics, &[at, 3, at]);
        });
    }
    check_static(true, |guest| {
        let (zero, out) = (guest.word(0), guest.space(32));
        guest.call(0xf0, &[zero, 0, 0, out]);
    });
    check_static(true, |guest| {
        let (zero, out) = (guest.word(0), guest.space(32));
        guest.call(0xf5, &[zero, 0, 0, zero, out]);
    });
    check_static(true, |guest| {
        let to = guest.address(C);
        guest.call(0xff, &[to]);
    });
    check_static(true, |guest| {
        let (to, one) = (guest.address(C), guest.word(1));
        guest.call(0xf1, &[u64::MAX, to, one, 0, 0, 0, 0]);
    });
    check_static(false, |guest| {
        guest.call_address(C);
    });
}

#[test]
fn static_context_is_inherited_from_guest_to_guest_to_evm() {
    let mut outer = Program::new();
    outer.call_without_value(0xfa, B);
    outer.ret_data();
    let mut inner = Program::new();
    inner.call_address(C);
    inner.ret_a0();
    let store = Evm::new().push(1).push(1).op(0x55);
    let world = World::new().put(A, outer.container()).put(B, inner.container()).put(C, store);
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), register(0), "the EVM callee must not write");
}

#[test]
fn delegate_calls_act_on_the_callers_account() {
    let mut library = Program::new();
    let (caller, this) = (library.space(32), library.space(32));
    library.sstore(1, 9);
    library.call(0x33, &[caller]).call(0x30, &[this]);
    library.ret(caller, 64);
    // An EVM proxy in front of a guest.
    let proxy = Evm::new().call_without_value(0xf4, B).ret_data();
    let world = World::new().put(A, proxy).put(B, library.container());
    let outcome = run_both(&world, &call(A));
    let seen = [crate::world::SENDER.into_word(), A.into_word()].concat();
    assert_eq!(output(&outcome), seen);
    assert_eq!(slot(&outcome, A, 1), Some(U256::from(9)));
    assert_eq!(slot(&outcome, B, 1), None);
    // A guest in front of EVM code, by DELEGATECALL and by CALLCODE.
    let store = Evm::new().push(7).push(1).op(0x55);
    let mut proxy = Program::new();
    proxy.call_without_value(0xf4, C).ret_a0();
    let world = World::new().put(A, proxy.container()).put(C, store);
    assert_eq!(slot(&run_both(&world, &call(A)), A, 1), Some(U256::from(7)));
    let mut proxy = Program::new();
    let (to, zero) = (proxy.address(C), proxy.word(0));
    proxy.call(0xf2, &[u64::MAX, to, zero, 0, 0, 0, 0]).ret_a0();
    let world = world.put(A, proxy.container());
    assert_eq!(slot(&run_both(&world, &call(A)), A, 1), Some(U256::from(7)));
}

#[test]
fn a_delegated_account_runs_guest_code() {
    let mut guest = Program::new();
    guest.sstore(1, 9).call(0, &[]);
    let delegation = [&[0xef, 0x01, 0x00][..], B.as_slice()].concat();
    let world = World::new().put(A, delegation).put(B, guest.container());
    let outcome = run_both(&world, &call(A));
    assert_eq!(slot(&outcome, A, 1), Some(U256::from(9)));
    // The same by a call from the EVM and from a guest.
    for caller in [Bytes::from(Evm::new().call(A)), {
        let mut caller = Program::new();
        caller.call_address(A).call(0, &[]);
        caller.container()
    }] {
        let mut world = World::new().put(C, caller).put(B, guest.container());
        world.set(A, [&[0xef, 0x01, 0x00][..], B.as_slice()].concat());
        assert_eq!(slot(&run_both(&world, &call(C)), A, 1), Some(U256::from(9)));
    }
}

#[test]
fn a_guest_calls_precompiles() {
    let mut guest = Program::new();
    let to = guest.address(address!("0000000000000000000000000000000000000002"));
    let (input, out) = (guest.bytes(b"abc"), guest.space(32));
    guest.call(0xfa, &[u64::MAX, to, input, 3, out, 32]);
    guest.ret(out, 32);
    let world = World::cheap().put(A, guest.container());
    let outcome = run_both(&world, &call(A));
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(alloy_primitives::hex::encode(output(&outcome)), sha256);
    assert_eq!(gas(&outcome), 21_000 + GUEST + 100 + 60 + 12);
}

#[test]
fn return_data_is_kept_and_cut() {
    let mut guest = Program::new();
    let (to, zero) = (guest.address(B), guest.word(0));
    let out = guest.bytes(&[0x11; 32]);
    // Only 4 bytes are asked for.
    guest.call(0xf1, &[u64::MAX, to, zero, 0, 0, out, 4]);
    guest.call(0x3e, &[out + 8, 24, 8]);
    guest.ret(out, 24);
    let world = World::new().put(A, guest.container()).put(B, Evm::new().push(U256::MAX).ret_top());
    let outcome = run_both(&world, &call(A));
    let expected = [[0xff; 4].as_slice(), &[0x11; 4], &[0xff; 8], &[0x11; 8]].concat();
    assert_eq!(output(&outcome), expected);
    // Past the end it halts.
    let mut guest = Program::new();
    let out = guest.space(64);
    guest.call_address(B);
    guest.call(0x3e, &[out, 0, 33]).ret(out, 1);
    let world = world.put(A, guest.container());
    assert!(halted(&run_both(&world, &call(A))));
}

#[test]
fn a_revert_gives_data_and_gas_back() {
    let mut guest = Program::new();
    guest.sstore(1, 1);
    let data = guest.bytes(b"no");
    guest.call(0xfd, &[data, 2]);
    let mut caller = Program::new();
    caller.call_address(B);
    caller.ret_data();
    let world = World::cheap().put(A, caller.container()).put(B, guest.container());
    let outcome = run_both(&world, &call(A));
    assert_eq!(output(&outcome), b"no");
    assert_eq!(slot(&outcome, B, 1), Some(U256::ZERO));
    // RETURNDATASIZE and RETURNDATACOPY of one word take 2 and 6.
    assert_eq!(gas(&outcome), 21_000 + 2 * GUEST + 2_600 + 22_100 + 8);
    let direct = run_both(&world, &call(B));
    assert!(!direct.result.is_success() && !halted(&direct));
    assert_eq!(direct.result.output().unwrap()[..], *b"no");
    // The EVM sees a guest's revert data too.
    let world = world.put(A, Evm::new().call(B).ret_data());
    assert_eq!(output(&run_both(&world, &call(A))), b"no");
}

#[test]
fn selfdestruct_of_a_guest_moves_its_balance() {
    let mut guest = Program::new();
    let to = guest.address(C);
    guest.call(0xff, &[to]);
    let world = World::new().put(A, guest.container()).fund(A, 12);
    let outcome = run_both(&world, &call(A));
    assert!(outcome.result.is_success());
    assert_eq!(outcome.state[&C].info.balance, U256::from(12));
}

/// Calls the address in its first data word with the other one, if it is not at depth 1024.
fn bouncing_guest(other: Address) -> Bytes {
    let mut guest = Program::new();
    guest.call_address(other);
    guest.call(0, &[]);
    guest.container()
}

#[test]
fn both_machines_nest_to_depth_1024_without_the_hosts_stack() {
    let run = || {
        let mut world = World::cheap().put(A, Evm::new().call(B)).put(B, bouncing_guest(A));
        world.rules = Rules { tx_gas_limit_cap: Some(u64::MAX), ..Rules::block() };
        let tx = TxEnv { gas_limit: 900_000_000_000, ..call(A) };
        let mut deepest = Depth::default();
        let outcome = world.execution().inspect(&tx, &mut deepest).unwrap();
        assert!(outcome.result.is_success());
        // The transaction's own frame and 1,024 below it; the next call is refused.
        assert_eq!(deepest.frames, 1026);
        let plain = world.run(&tx);
        assert_eq!(plain.result, outcome.result);
    };
    let thread = std::thread::Builder::new().stack_size(192 << 10).spawn(run).unwrap();
    thread.join().unwrap();
}

#[derive(Default)]
struct Depth {
    frames: usize,
}

impl<CTX> revm::Inspector<CTX> for Depth {
    fn call(
        &mut self,
        _: &mut CTX,
        _: &mut revm::interpreter::CallInputs,
    ) -> Option<revm::interpreter::CallOutcome> {
        self.frames += 1;
        None
    }
}

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken disk")
    }
}

impl std::error::Error for Broken {}

impl DBErrorMarker for Broken {}

/// A database that can't read the slot 13.
struct Breaking<'a>(&'a Db);

impl DatabaseRef for Breaking<'_> {
    type Error = Broken;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Broken> {
        Ok(self.0.basic_ref(address).unwrap())
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Broken> {
        Ok(self.0.code_by_hash_ref(hash).unwrap())
    }

    fn storage_ref(&self, _: Address, index: U256) -> Result<U256, Broken> {
        if index == U256::from(13) { Err(Broken) } else { Ok(U256::ZERO) }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Broken> {
        Ok(keccak256(number.to_be_bytes()))
    }
}

#[test]
fn a_database_error_in_a_nested_guest_ends_the_transaction_only() {
    let mut bad = Program::new();
    let (key, out) = (bad.word(13), bad.space(32));
    bad.call(0x54, &[key, out]).call(0, &[]);
    let mut good = Program::new();
    good.sstore(1, 1).call(0, &[]);
    let mut caller = Program::new();
    caller.call_address(B).call(0, &[]);
    let world =
        World::new().put(A, caller.container()).put(B, bad.container()).put(C, good.container());
    let mut execution =
        Execution::new(&world.engine, world.block(), Rules::call(), Breaking(&world.db));
    for _ in 0..3 {
        let error = execution.call(&call(A)).unwrap_err();
        assert!(matches!(error, EngineError::Database(Broken)), "{error}");
        assert_eq!(error.to_string(), "state: broken disk");
        let outcome = execution.transact(&call(C)).unwrap();
        assert!(outcome.result.is_success());
    }
}

#[test]
fn before_london_a_container_is_what_the_evm_makes_of_it() {
    let mut guest = Program::new();
    guest.call(0, &[]);
    let world = World::on(SpecId::BERLIN).put(A, guest.container());
    let outcome = world.call(A);
    assert!(halted(&outcome));
    assert!(outcome.trap.is_none(), "0xEF is an undefined opcode: no machine was there");
    let world = World::on(SpecId::LONDON).put(A, guest.container());
    assert!(world.call(A).result.is_success());
}
