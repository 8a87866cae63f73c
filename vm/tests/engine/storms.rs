//! Guests that make arbitrary system calls with arbitrary arguments.

use proptest::prelude::*;
use revm::{context::TxEnv, inspector::NoOpInspector};
use trace::{Budget, gas_report, geth_trace};

use crate::{
    program::{DATA, Program},
    reports::check_sums,
    world::{A, B, C, Evm, World, call, creation, gas},
};

/// Numbers of system calls, and some that are none.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0x20u64..0x60,
        4 => 0xa0u64..0xa6,
        6 => 0xf0u64..0x100,
        4 => 0x1000u64..0x1005,
        3 => 0u64..0x0c,
        3 => 0x1010u64..0x1014,
        4 => 0x1100u64..0x1113,
        1 => Just(0x1200),
        1 => any::<u64>(),
    ]
}

/// Pointers, lengths and numbers that matter.
fn args() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (DATA..DATA + 512).prop_map(|at| at & !7),
        3 => 0u64..70,
        1 => prop::sample::select(vec![0xffff, 0x1_0000, 0x00f0_0000, 0x0100_0000, 1 << 63, !0, !30]),
        1 => Just(0x00ff_0000u64),
        1 => any::<u64>(),
    ]
}

fn storm(calls: &[(u64, [u64; 7])]) -> Program {
    let mut guest = Program::new();
    // Addresses of the other contracts are among what the pointers point to.
    for address in [A, B, C, vm::CONSOLE] {
        guest.address(address);
    }
    guest.word(1);
    guest.space(512);
    for (number, args) in calls {
        guest.call(*number, args);
    }
    guest.call(0, &[]);
    guest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_system_calls_end_within_their_gas(
        calls in prop::collection::vec((numbers(), prop::array::uniform7(args())), 1..12),
        constructor: bool,
    ) {
        let code = storm(&calls).container();
        let world = World::new()
            .put(B, Evm::new().op(0x36).push(0).push(0).op(0x37).op(0x36).push(0).op(0xf3))
            .put(C, Evm::new().push(7).op(0x54).push(1).push(1).op(0x55).op(0x5a).ret_top())
            .fund(C, 1000);
        let world = world.put(A, code.clone()).fund(A, 1000);
        let tx = if constructor { creation(code) } else { call(A) };
        let tx = TxEnv { gas_limit: 3_000_000, data: tx.data.clone(), ..tx };
        let plain = world.run(&tx);
        prop_assert!(gas(&plain) <= tx.gas_limit);
        let watched = world.execution().inspect(&tx, &mut NoOpInspector).unwrap();
        prop_assert_eq!(&plain.result, &watched.result);
        prop_assert_eq!(&plain.state, &watched.state);
        prop_assert_eq!(&plain.trap, &watched.trap);
        // Nor does it matter that somebody could stop it.
        let mut guarded = world.execution();
        guarded.stop_when(|| false);
        let guarded = guarded.call(&tx).unwrap();
        prop_assert_eq!(&plain.result, &guarded.result);
        prop_assert_eq!(&plain.state, &guarded.state);
        prop_assert_eq!(&plain.trap, &guarded.trap);
        // Instruction by instruction it is the same again.
        let options = serde_json::from_str(r#"{"tracer":"rvTracer","limit":100000}"#).unwrap();
        let place = trace::TransactionContext::default();
        let (stepped, _) = geth_trace(&mut world.execution(), &tx, (&options, place), &mut Budget::unlimited()).unwrap();
        prop_assert_eq!(&plain.result, &stepped.result);
        let (reported, report) =
            gas_report(&mut world.execution(), &tx, &mut Budget::unlimited()).unwrap();
        prop_assert_eq!(&plain.result, &reported.result);
        check_sums(&report);
    }
}
