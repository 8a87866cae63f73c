//! Gas reports: the parts sum to the gas used, and the units to the machine's part.

use alloy_primitives::{Bytes, U256};
use genesis::{RiscvGas, RiscvParams, SpecId};
use revm::context::TxEnv;
use trace::{Budget, GasReport, gas_report};

use crate::{
    program::{Program, constructor_returning, self_deploying},
    world::{A, B, C, Evm, SENDER, World, call, creation},
};

/// The report, after what holds for each of them was checked.
fn report(world: &World, tx: &TxEnv) -> GasReport {
    let mut execution = world.execution();
    let plain = world.run(tx);
    let (outcome, report) = gas_report(&mut execution, tx, &mut Budget::unlimited()).unwrap();
    assert_eq!(outcome.result, plain.result, "a report changes nothing");
    assert_eq!(report.gas_used, plain.result.tx_gas_used());
    check_sums(&report);
    report
}

/// Gas and units sum to what they are parts of.
pub(crate) fn check_sums(report: &GasReport) {
    let parts = &report.parts;
    let sum = [
        parts.intrinsic,
        parts.evm,
        parts.precompiles,
        parts.machine,
        parts.frame_starts,
        parts.decoding,
        parts.syscalls,
        parts.deployment,
        parts.lost,
        parts.refund,
        parts.floor,
    ];
    assert_eq!(sum.iter().sum::<i64>(), report.gas_used as i64, "{report:#?}");
    let machine = &report.machine;
    let units = machine.instructions.iter().map(|class| class.count.units).sum::<u64>()
        + machine.copies
        + machine.pages.units
        + machine.pure_calls;
    assert_eq!(
        units as i64 + machine.remainder,
        parts.machine * machine.units_per_gas as i64,
        "{report:#?}"
    );
    assert_eq!(report.syscalls.iter().map(|call| call.gas).sum::<i64>(), parts.syscalls);
    assert_eq!(report.proving_cost.machine, units);
    assert_eq!(report.proving_cost.total, units + report.proving_cost.opcodes);
}

fn count(report: &GasReport, name: &str) -> (u64, i64) {
    let call = report.syscalls.iter().find(|call| call.name == name);
    call.map_or((0, 0), |call| (call.count, call.gas))
}

fn instructions(report: &GasReport, class: &str) -> u64 {
    let found = report.machine.instructions.iter().find(|found| found.class == class);
    found.map_or(0, |found| found.count.count)
}

#[test]
fn a_guest_shows_instructions_and_system_calls() {
    let mut program = Program::new();
    let (key, out) = (program.word(5), program.space(32));
    program.sstore(1, 7).call(0x54, &[key, out]).call(0x20, &[key, 32, out]).ret(out, 32);
    let world = World::new().put(A, program.container());
    let report = report(&world, &call(A));
    assert!(report.success);
    assert_eq!(report.parts.intrinsic, 21_000);
    assert_eq!((report.parts.evm, report.parts.lost, report.parts.deployment), (0, 0, 0));
    assert_eq!(report.parts.frame_starts, 100);
    assert_eq!(count(&report, "SSTORE"), (1, 22_100));
    assert_eq!(count(&report, "SLOAD"), (1, 2_100));
    assert_eq!(count(&report, "KECCAK256"), (1, 0));
    assert_eq!(count(&report, "RETURN"), (1, 0));
    assert_eq!(report.machine.pure_calls, 2_270_000);
    assert_eq!((report.machine.frames, report.machine.pages.count), (1, 1));
    assert_eq!(instructions(&report, "syscall"), 4);
    // Three words in, a word out, 32 bytes hashed, 32 out, 32 returned.
    assert_eq!(report.machine.copies, 7 * 4 * 2_400);
    let gas = RiscvGas::default().units_per_gas as i64;
    assert!((0..gas).contains(&report.machine.remainder));
    assert_eq!(report.evm_opcodes, 0);
}

#[test]
fn frames_of_both_machines_are_told_apart() {
    let mut callee = Program::new();
    callee.sstore(1, 1).call(0, &[]);
    let mut guest = Program::new();
    let (one, to, zero) = (guest.word(1), guest.address(C), guest.word(0));
    guest.call_address(B).call(0xf1, &[u64::MAX, to, one, 0, 0, 0, 0]);
    let identity = guest.word(4);
    guest.call(0xf1, &[u64::MAX, identity, zero, zero, 32, 0, 0]).call(0, &[]);
    let world = World::new()
        .put(A, guest.container())
        .put(B, Evm::new().call(C))
        .put(C, callee.container())
        .fund(A, 10);
    let report = report(&world, &call(A));
    assert!(report.success);
    assert_eq!(report.machine.frames, 3);
    assert_eq!(report.parts.precompiles, 18, "15 and 3 for a word");
    assert!(report.parts.evm > 2_600, "{report:?}");
    assert!(report.evm_opcodes > 3);
    // One cold account, one warm with a value and its stipend, one precompile.
    assert_eq!(count(&report, "CALL"), (3, 2_600 + (100 + 9_000 - 2_300) + 100));
    assert_eq!(count(&report, "SSTORE"), (2, 22_100 + 100));
}

#[test]
fn creations_show_decoding_and_deployment() {
    let program = self_deploying(b"tail", |program| {
        program.call(0, &[]);
    });
    let code = program.container();
    let image = code.len() as i64 - 8;
    let report = report(&World::new(), &creation(code));
    let params = RiscvParams::default();
    assert_eq!(report.parts.decoding, image * params.decode_gas_per_byte as i64);
    let deposit = (image + 8 + 4) * params.deposit_gas_per_byte as i64;
    assert_eq!(report.parts.deployment, deposit + image * params.decode_gas_per_byte as i64);
    assert_eq!(count(&report, "DEPLOY"), (1, 0));
}

#[test]
fn what_fails_is_lost() {
    let mut spin = Program::new();
    spin.spin();
    let mut trap = Program::new();
    trap.raw(0);
    let mut revert = Program::new();
    revert.sstore(1, 2).call(0xfd, &[0, 0]);
    let mut caller = Program::new();
    caller.call_address(B).call(0, &[]);
    for (code, lost) in
        [(spin.container(), false), (trap.container(), true), (revert.container(), false)]
    {
        let world = World::new().put(A, caller.container()).put(B, code.clone());
        let nested = report(&world, &TxEnv { gas_limit: 200_000, ..call(A) });
        assert!(nested.success);
        assert!(!lost || nested.parts.lost > 100_000, "{nested:?}");
        let world = World::new().put(A, code);
        let alone = report(&world, &TxEnv { gas_limit: 200_000, ..call(A) });
        assert!(!alone.success);
    }
    // Code that is refused never runs.
    let broken = Bytes::from_static(&[0xef, 0x52, 0x56, 1, 0, 0, 0, 1, 7]);
    let refused = report(&World::new().put(A, broken), &TxEnv { gas_limit: 100_000, ..call(A) });
    assert_eq!(refused.parts.lost, 79_000);
}

#[test]
fn refunds_and_floors_count() {
    let mut program = Program::new();
    program.sstore(5, 0).call(0, &[]);
    let mut world = World::new().put(A, program.container());
    world.db.insert_account_storage(A, U256::from(5), U256::from(55)).unwrap();
    let cleared = report(&world, &call(A));
    assert_eq!(cleared.parts.refund, -4_800);
    let mut stop = Program::new();
    stop.call(0, &[]);
    let world = World::new().put(A, stop.container());
    let long = report(&world, &TxEnv { data: vec![1; 5_000].into(), ..call(A) });
    assert!(long.parts.floor > 0);
    assert_eq!(long.gas_used, 21_000 + 40 * 5_000);
}

#[test]
fn plain_transfers_and_evm_code_have_reports_too() {
    let transfer = report(&World::new(), &TxEnv { value: U256::from(1), ..call(SENDER) });
    assert_eq!((transfer.gas_used, transfer.parts.intrinsic), (21_000, 21_000));
    let world = World::on(SpecId::LONDON).put(A, Evm::new().op(0x5a).op(0x50));
    let evm = report(&world, &call(A));
    assert_eq!((evm.parts.evm, evm.machine.frames), (4, 0));
    let created = report(&World::new(), &creation(constructor_returning(&[0x00])));
    assert_eq!(created.parts.deployment, 200, "the EVM's deposit for one byte");
}
