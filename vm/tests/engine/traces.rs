//! Traces of transactions that cross both machines.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_trace::geth::{
    CallConfig, DefaultFrame, FourByteFrame, GethDebugBuiltInTracerType, GethDebugTracerConfig,
    GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};
use alloy_rpc_types_trace::parity::{Delta, TraceType};
use revm::context::TxEnv;
use serde_json::json;
use trace::{
    Budget, Exceeded, RV_TRACER, TraceError, TransactionContext, access_list, geth_trace,
    parity_trace,
};
use vm::{Outcome, Rules};

use crate::{
    program::Program,
    world::{A, B, C, Evm, SENDER, World, call, creation, gas, output, word},
};

fn options(tracer: &str, config: serde_json::Value) -> GethDebugTracingOptions {
    serde_json::from_value(json!({ "tracer": tracer, "tracerConfig": config })).unwrap()
}

#[track_caller]
fn trace(world: &World, tx: &TxEnv, options: &GethDebugTracingOptions) -> (Outcome, GethTrace) {
    let traced = {
        let (place, budget) = (TransactionContext::default(), &mut Budget::unlimited());
        geth_trace(&mut world.execution(), tx, (options, place), budget).unwrap()
    };
    // Nobody's gas depends on who watches.
    assert_eq!(traced.0.result, world.run(tx).result);
    traced
}

/// EVM to guest to EVM: stores and logs on the way.
fn mixed() -> World {
    let mut guest = Program::new();
    guest.sstore(1, 2);
    let (key, out) = (guest.word(1), guest.space(32));
    guest.call(0x54, &[key, out]);
    let (to, zero, data) =
        (guest.address(C), guest.word(0), guest.bytes(&[0xaa, 0xbb, 0xcc, 0xdd]));
    guest.call(0xf1, &[u64::MAX, to, zero, data, 4, out, 32]);
    let topic = guest.word(7);
    guest.call(0xa1, &[data, 4, topic]);
    guest.call(0x1000, &[]);
    let text = guest.bytes(b"hi");
    guest.call(0x1003, &[text, 2]);
    guest.ret(out, 32);
    World::new()
        .put(A, Evm::new().call(B).ret_data())
        .put(B, guest.container())
        .put(C, Evm::new().push(9).push(5).op(0x55).push(0xab).ret_top())
}

fn steps(world: &World, options: serde_json::Value) -> DefaultFrame {
    let options = serde_json::from_value(options).unwrap();
    match trace(world, &call(A), &options).1 {
        GethTrace::Default(frame) => frame,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_struct_log_has_an_entry_for_each_system_call() {
    let world = mixed();
    let frame = steps(&world, json!({}));
    let seen: Vec<_> =
        frame.struct_logs.iter().filter(|log| log.depth == 2).map(|log| &*log.op).collect();
    let expected = ["SSTORE", "SLOAD", "CALL", "LOG1", "TAIL_SIZE", "PRINT", "RETURN"];
    assert_eq!(seen, expected);
    assert_eq!(frame.gas, gas(&world.call(A)));
    assert_eq!(frame.return_value[..], word(0xab));
    let guest: Vec<_> = frame.struct_logs.iter().filter(|log| log.depth == 2).collect();
    // The guest's pc: each `ecall` stands behind the one before.
    assert!(guest.windows(2).all(|pair| pair[0].pc < pair[1].pc));
    assert!(guest.iter().all(|log| log.pc > 0x1_0000 && log.pc < 0x1_1000 && log.pc % 4 == 0));
    let code = world.db.cache.accounts[&B].info.code_hash;
    let elf = world.db.cache.contracts[&code].original_bytes();
    for log in &guest {
        // Header of 8, ELF headers of 176, then the code of 0x10000.
        let at = 8 + 176 + (log.pc - 0x1_0000) as usize;
        assert_eq!(elf[at..at + 4], 0x73u32.to_le_bytes(), "{} at {:#x}", log.op, log.pc);
    }
    assert_eq!(guest[0].gas_cost, 22_100);
    assert_eq!(guest[1].gas_cost, 100);
    assert_eq!(guest[3].gas_cost, 375 * 2 + 8 * 4);
    let slot = |n: u64| B256::from(U256::from(n));
    assert_eq!(guest[0].storage.as_ref().unwrap()[&slot(1)], slot(2));
    assert_eq!(guest[0].stack.as_ref().unwrap()[..], [U256::from(2), U256::from(1)]);
    // Order and gas over the whole transaction: what is left never grows inside a frame.
    let evm: Vec<_> = frame.struct_logs.iter().filter(|log| log.depth == 3).collect();
    assert!(evm.iter().any(|log| &*log.op == "SSTORE"));
    assert!(guest.windows(2).all(|pair| pair[0].gas > pair[1].gas));
    let places: Vec<_> = frame.struct_logs.iter().map(|log| log.depth).collect();
    let inner = places.iter().position(|depth| *depth == 3).unwrap();
    assert_eq!(&*frame.struct_logs[inner - 1].op, "CALL");
}

#[test]
fn struct_log_options_hold_for_guests() {
    let world = mixed();
    let frame = steps(&world, json!({ "disableStack": true, "disableStorage": true }));
    assert!(frame.struct_logs.iter().all(|log| log.stack.is_none() && log.storage.is_none()));
    let frame = steps(&world, json!({ "enableMemory": true, "enableReturnData": true }));
    let log1 = frame.struct_logs.iter().find(|log| &*log.op == "LOG1").unwrap();
    assert_eq!(log1.return_data.as_ref().unwrap()[..], word(0xab));
    let all = steps(&world, json!({})).struct_logs.len();
    let frame = steps(&world, json!({ "limit": 12 }));
    assert!(frame.struct_logs.len() < all, "{}", frame.struct_logs.len());
}

#[test]
fn the_call_tracer_nests_both_machines() {
    let config = json!(CallConfig::default().with_log());
    let GethTrace::CallTracer(root) = trace(&mixed(), &call(A), &options("callTracer", config)).1
    else {
        panic!()
    };
    assert_eq!((root.from, root.to, &*root.typ), (SENDER, Some(A), "CALL"));
    let guest = &root.calls[0];
    assert_eq!((guest.from, guest.to), (A, Some(B)));
    assert_eq!(guest.output.as_ref().unwrap()[..], word(0xab));
    assert_eq!(guest.logs.len(), 1);
    assert_eq!(guest.logs[0].address, Some(B));
    assert_eq!(guest.logs[0].position, Some(1));
    let inner = &guest.calls[0];
    assert_eq!((inner.from, inner.to), (B, Some(C)));
    assert_eq!(inner.input[..], [0xaa, 0xbb, 0xcc, 0xdd]);
    assert_eq!(root.gas_used, U256::from(gas(&mixed().call(A))));
}

#[test]
fn the_call_tracer_says_why_a_guest_trapped() {
    let mut bad = Program::new();
    bad.call(0x30, &[0]);
    let mut middle = Program::new();
    middle.call_address(C);
    middle.call_address(A);
    middle.call(0xfd, &[0, 0]);
    let world =
        World::new().put(A, bad.container()).put(B, middle.container()).put(C, Evm::new().op(0xfe));
    let tx = call(B);
    let trace = trace(&world, &tx, &options("callTracer", json!({}))).1;
    let GethTrace::CallTracer(root) = trace else { panic!() };
    assert_eq!(root.error.as_deref(), Some("execution reverted"));
    assert_eq!(root.calls[0].error.as_deref(), Some("invalid opcode: INVALID"));
    let said = root.calls[1].error.as_deref().unwrap();
    assert!(said.starts_with("store to unmapped memory 0x0 (32 bytes) at pc"), "{said}");
}

#[test]
fn creations_are_traced() {
    let mut guest = Program::new();
    guest.call(0x1002, &[0, 0]);
    let trace =
        trace(&World::new(), &creation(guest.container()), &options("callTracer", json!({}))).1;
    let GethTrace::CallTracer(root) = trace else { panic!() };
    assert_eq!(&*root.typ, "CREATE");
    assert_eq!(root.output.unwrap()[..], guest.container()[..]);
    let world = World::new().put(A, Evm::factory());
    let tx = TxEnv { data: guest.container(), ..call(A) };
    let trace = crate::traces::trace(&world, &tx, &options("callTracer", json!({}))).1;
    let GethTrace::CallTracer(root) = trace else { panic!() };
    assert_eq!(root.calls[0].to, Some(A.create(1)));
    assert!(root.calls[0].error.is_none());
}

#[test]
fn the_prestate_tracer_sees_what_guests_touch() {
    let world = mixed();
    let GethTrace::JS(diff) =
        trace(&world, &call(A), &options("prestateTracer", json!({ "diffMode": true }))).1
    else {
        panic!()
    };
    let key = |address: Address| format!("{address:?}");
    let slot = |n: u64| B256::from(U256::from(n));
    assert_eq!(diff["post"][key(B)]["storage"], json!({ slot(1).to_string(): slot(2) }));
    assert_eq!(diff["post"][key(C)]["storage"], json!({ slot(5).to_string(): slot(9) }));
    assert_eq!(diff["post"].get(key(A)), None);
    let GethTrace::JS(before) = trace(&world, &call(A), &options("prestateTracer", json!({}))).1
    else {
        panic!()
    };
    assert!(before[key(B)]["code"].as_str().unwrap().starts_with("0xef5256"));
    assert_eq!(before[key(B)]["storage"], json!({ slot(1).to_string(): slot(0) }));
    let both = options("prestateTracer", json!({ "diffMode": true, "includeEmpty": true }));
    let error = refused(&world, &both, &mut Budget::unlimited());
    assert_eq!(error.to_string(), "tracer: cannot use diffMode with includeEmpty");
}

#[test]
fn the_other_tracers_work_too() {
    let world = mixed();
    let GethTrace::FourByteTracer(FourByteFrame(seen)) =
        trace(&world, &call(A), &options("4byteTracer", json!({}))).1
    else {
        panic!()
    };
    assert_eq!(seen.get("0xaabbccdd-0"), Some(&1));
    let GethTrace::JS(flat) = trace(&world, &call(A), &options("flatCallTracer", json!({}))).1
    else {
        panic!()
    };
    let places: Vec<_> =
        flat.as_array().unwrap().iter().map(|entry| entry["traceAddress"].clone()).collect();
    assert_eq!(places, [json!([]), json!([0]), json!([0, 0])]);
    let config = json!({ "callTracer": {}, "4byteTracer": null, "rvTracer": null });
    let GethTrace::JS(mux) = trace(&world, &call(A), &options("muxTracer", config)).1 else {
        panic!()
    };
    assert_eq!(mux["4byteTracer"]["0xaabbccdd-0"], 1);
    assert_eq!(mux["callTracer"]["type"], "CALL");
    assert_eq!(mux["rvTracer"]["failed"], false);
    assert!(matches!(
        trace(&world, &call(A), &options("noopTracer", json!({}))).1,
        GethTrace::NoopTracer(_)
    ));
    let error = refused(&world, &options("nonsense", json!({})), &mut Budget::unlimited());
    let want = "tracer not found: \"nonsense\" is not one of the built-in tracers";
    assert_eq!(error.to_string(), want);
    for script in ["{step: function() {}, result: function() { return 1 }}", " ({})"] {
        let error = refused(&world, &options(script, json!({})), &mut Budget::unlimited());
        assert!(
            error.to_string().starts_with("tracers in JavaScript are not supported"),
            "{error}"
        );
        // One of several as well.
        let parts = json!({ script: {}, "callTracer": {} });
        let error = refused(&world, &options("muxTracer", parts), &mut Budget::unlimited());
        assert!(
            error.to_string().starts_with("tracers in JavaScript are not supported"),
            "{error}"
        );
    }
}

fn refused(
    world: &World,
    options: &GethDebugTracingOptions,
    budget: &mut Budget,
) -> TraceError<std::convert::Infallible> {
    let place = TransactionContext::default();
    geth_trace(&mut world.execution(), &call(A), (options, place), budget).unwrap_err()
}

#[test]
fn a_budget_ends_a_trace() {
    let world = mixed();
    let log = options("", json!({}));
    let mut small = Budget::new(None, 2_000);
    let error = refused(&world, &log, &mut small);
    assert!(matches!(error, TraceError::Exceeded(Exceeded::Size)), "{error}");
    let mut late = Budget::new(Some(std::time::Instant::now()), usize::MAX);
    let error = refused(&world, &options("callTracer", json!({})), &mut late);
    assert!(matches!(error, TraceError::Exceeded(Exceeded::Time)), "{error}");
    // What is left serves the next one.
    let mut enough = Budget::new(None, 1 << 20);
    let place = TransactionContext::default();
    geth_trace(&mut world.execution(), &call(A), (&log, place), &mut enough).unwrap();
    assert!(enough.size_left() < (1 << 20) - 4_000, "{}", enough.size_left());
}

#[test]
fn paritys_traces_show_both_machines() {
    let world = mixed();
    let types = [TraceType::Trace, TraceType::VmTrace, TraceType::StateDiff].into_iter().collect();
    let mut execution = world.execution();
    let (outcome, traces) =
        parity_trace(&mut execution, &call(A), &types, &mut Budget::unlimited()).unwrap();
    assert_eq!(traces.output, output(&outcome));
    let calls: Vec<_> = traces
        .trace
        .iter()
        .map(|trace| {
            let call = trace.action.as_call().unwrap();
            (call.from, call.to, trace.trace_address.clone())
        })
        .collect();
    assert_eq!(calls, [(SENDER, A, vec![]), (A, B, vec![0]), (B, C, vec![0, 0])]);
    let vm = traces.vm_trace.unwrap();
    let guest = vm.ops.iter().find_map(|op| op.sub.as_ref()).unwrap();
    let ops: Vec<_> = guest.ops.iter().map(|op| op.op.as_deref().unwrap()).collect();
    assert_eq!(ops, ["SSTORE", "SLOAD", "CALL", "LOG1", "RETURN"]);
    assert!(guest.ops.iter().all(|op| op.pc > 0x1_0000 && op.pc < 0x1_1000), "{guest:?}");
    assert!(guest.code.starts_with(&[0xef, 0x52, 0x56]));
    let inner = guest.ops[2].sub.as_ref().unwrap();
    assert!(inner.ops.iter().any(|op| op.op.as_deref() == Some("SSTORE")));
    assert!(inner.ops.iter().all(|op| op.pc < 0x1_0000));
    let slot = |n: u64| B256::from(U256::from(n));
    let diff = traces.state_diff.unwrap();
    assert_eq!(diff[&B].storage[&slot(1)], Delta::changed(slot(0), slot(2)));
    assert_eq!(diff[&C].storage[&slot(5)], Delta::changed(slot(0), slot(9)));
}

#[test]
fn paritys_trace_says_why_a_guest_trapped() {
    let mut bad = Program::new();
    bad.call(0x30, &[0]);
    let mut middle = Program::new();
    middle.call_address(C);
    middle.call_address(A);
    middle.call(0xfd, &[0, 0]);
    let world =
        World::new().put(A, bad.container()).put(B, middle.container()).put(C, Evm::new().op(0xfe));
    let types = [TraceType::Trace].into_iter().collect();
    let mut execution = world.execution();
    let traced =
        parity_trace(&mut execution, &call(B), &types, &mut Budget::unlimited()).unwrap().1;
    let errors: Vec<_> = traced.trace.iter().map(|trace| trace.error.as_deref().unwrap()).collect();
    assert_eq!(errors[..2], ["Reverted", "Bad instruction"]);
    assert!(errors[2].starts_with("store to unmapped memory 0x0 (32 bytes) at pc"), "{errors:?}");
}

#[test]
fn the_access_list_names_what_both_machines_use() {
    let (outcome, list) = access_list(&mut mixed().execution(), &call(A)).unwrap();
    assert!(outcome.result.is_success());
    let slot = |n: u64| B256::from(U256::from(n));
    let seen: Vec<(Address, Vec<B256>)> =
        list.0.into_iter().map(|item| (item.address, item.storage_keys)).collect();
    assert_eq!(seen, [(B, vec![slot(1)]), (C, vec![slot(5)])]);
}

#[test]
fn the_rv_tracer_shows_instructions() {
    let mut guest = Program::new();
    guest.li(18, 77).mv(10, 18);
    guest.call_address(C);
    guest.ret_a0();
    let world = World::new().put(A, guest.container()).put(C, Evm::new().push(1).push(5).op(0x55));
    let options = GethDebugTracingOptions::default()
        .with_tracer(GethDebugTracerType::JsTracer(RV_TRACER.into()));
    let (outcome, traced) = trace(&world, &call(A), &options);
    let GethTrace::JS(trace) = traced else { panic!() };
    let steps = trace["steps"].as_array().unwrap();
    assert_eq!(steps[0]["instruction"], "li s2,77");
    assert_eq!(steps[0]["pc"], "0x10000");
    assert_eq!(steps[1]["instruction"], "mv a0,s2");
    assert_eq!(steps[1]["register"], json!({ "name": "a0", "value": "0x4d" }));
    assert_eq!(steps[0]["depth"], 1);
    assert_eq!(steps[0]["register"], json!({ "name": "s2", "value": "0x4d" }));
    let calls = steps.iter().filter(|step| step["instruction"] == "ecall").count();
    assert_eq!(calls, 2);
    assert_eq!(trace["gas"], gas(&outcome));
    assert_eq!(trace["failed"], false);
    assert_eq!(trace["truncated"], false);
    // The result of a call is the change of its `ecall`.
    assert_eq!(output(&outcome)[0], 1);
    let first_call = steps.iter().find(|step| step["instruction"] == "ecall").unwrap();
    assert_eq!(first_call["register"], json!({ "name": "a0", "value": "0x1" }));
    let short = GethDebugTracingOptions {
        config: serde_json::from_value(json!({ "limit": 3 })).unwrap(),
        ..options
    };
    let GethTrace::JS(trace) = crate::traces::trace(&world, &call(A), &short).1 else { panic!() };
    assert_eq!(trace["steps"].as_array().unwrap().len(), 3);
    assert_eq!(trace["truncated"], true);
}

#[test]
fn a_trace_of_1026_frames_works() {
    let mut guest = Program::new();
    guest.call_address(A);
    guest.call(0, &[]);
    let mut world = World::cheap().put(A, Evm::new().call(B)).put(B, guest.container());
    world.rules = Rules { tx_gas_limit_cap: Some(u64::MAX), ..Rules::block() };
    let tx = TxEnv { gas_limit: 900_000_000_000, ..call(A) };
    let tracer = GethDebugTracingOptions::default()
        .with_tracer(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::CallTracer));
    let tracer = tracer.with_config(GethDebugTracerConfig::default());
    let GethTrace::CallTracer(root) = trace(&world, &tx, &tracer).1 else { panic!() };
    let (mut depth, mut frame) = (1, &root);
    while let Some(next) = frame.calls.first() {
        (depth, frame) = (depth + 1, next);
    }
    assert_eq!(depth, 1026);
    assert_eq!(frame.error.as_deref(), Some("max call depth exceeded"));
}
