//! Calls and traces that have more gas than time: each ends soon after its time, leaves its place
//! to the next one, and says which limit it was. Everybody else is answered meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use alloy::primitives::hex;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node, contracts,
    sign::{self, Request},
};

use crate::hostile::elf;

/// Beyond its second, a request may take so long: other tests run at the same time.
const GRACE: Duration = Duration::from_secs(15);
/// Gas that no machine uses up within an hour.
const GAS: &str = "0x38d7ea4c68000";
const FRIEND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const TARGET: &str = "0x00000000000000000000000000000000000000cc";
/// JUMPDEST, PUSH0, JUMP.
const LOOP: &str = "0x5b5f56";

/// Code that never ends, of both machines.
fn loops() -> Result<[String; 2]> {
    // jal x0, 0.
    let guest = contracts::container(&elf(&[0x0000_006f]))?;
    Ok([LOOP.to_owned(), hex::encode_prefixed(guest)])
}

fn start() -> Result<Node> {
    let gas = "1000000000000000";
    Node::start(&[
        "--call-time-max",
        "1",
        "--trace-time-max",
        "1",
        "--calls-max",
        "1",
        "--traces-max",
        "1",
        "--call-gas-limit",
        gas,
        "--gas-limit",
        gas,
    ])
}

/// Requests that would run for ever, by the limit that ends them.
fn endless(code: &str) -> Vec<(&'static str, Value, &'static str)> {
    let call = json!({"from": FRIEND, "to": TARGET, "gas": GAS});
    let state = json!({TARGET: {"code": code}});
    let simulated = json!({"blockStateCalls": [{"stateOverrides": state, "calls": [call]}]});
    let traced =
        |tracer: &str| json!([call, "latest", {"tracer": tracer, "stateOverrides": state}]);
    let (time, trace) = ("--call-time-max", "--trace-time-max");
    vec![
        ("eth_call", json!([call, "latest", state]), time),
        ("eth_estimateGas", json!([call, "latest", state]), time),
        ("eth_createAccessList", json!([call, "latest", state]), time),
        ("eth_simulateV1", json!([simulated, "latest"]), time),
        (
            "eth_callMany",
            json!([[{"transactions": [call]}], {"blockNumber": "latest"}, state]),
            trace,
        ),
        ("debug_traceCall", traced("callTracer"), trace),
        ("debug_traceCall", traced("prestateTracer"), trace),
        ("debug_traceCall", json!([call, "latest", {"stateOverrides": state}]), trace),
        ("trace_call", json!([call, ["trace"], "latest", state]), trace),
    ]
}

fn check(client: &mut Client, (method, params, flag): (&str, Value, &str)) -> Result<()> {
    let start = Instant::now();
    let error = client.refused(method, params)?;
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(1) + GRACE, "{method} took {took:?}");
    let text = if flag == "--call-time-max" {
        "execution aborted (timeout = 1s), see --call-time-max"
    } else {
        "execution timeout: the trace took more than 1000 ms, see --trace-time-max"
    };
    // A struct log of an endless loop may be too long before it is too late.
    let too_large = error.message.contains("--trace-size-max");
    ensure!(error.message == text || method == "debug_traceCall" && too_large, "{method}: {error}");
    // Its place is free again: there is only one.
    let four = json!([{"to": TARGET}, "latest", {TARGET: {"code": "0x60045f5260205ff3"}}]);
    let start = Instant::now();
    let answer = client.call("eth_call", four)?;
    ensure!(answer == json!(format!("0x{:064x}", 4)), "{answer}");
    ensure!(start.elapsed() < GRACE, "the next call took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn what_never_ends_is_ended() -> Result<()> {
    let node = start()?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| -> Result<Duration> {
            let (mut client, mut longest) = (node.client()?, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let start = Instant::now();
                ensure!(client.call("eth_blockNumber", json!([]))? == "0x0", "height");
                client.call("eth_getBalance", json!([FRIEND, "latest"]))?;
                longest = longest.max(start.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            Ok(longest)
        });
        let checked = (|| {
            let mut client = node.client()?;
            for code in loops()? {
                endless(&code).into_iter().try_for_each(|request| check(&mut client, request))?;
            }
            Ok(())
        })();
        ended.store(true, Ordering::Relaxed);
        let longest = others.join().map_err(|_| anyhow::anyhow!("the others have panicked"))??;
        ensure!(longest < GRACE, "an ordinary request took {longest:?}");
        checked
    })
}

#[test]
fn creations_and_sealed_transactions_end_as_well() -> Result<()> {
    let node = start()?;
    let mut client = node.client()?;
    for code in loops()? {
        let creation = json!([{"from": FRIEND, "data": code, "gas": GAS}]);
        check(&mut client, ("eth_estimateGas", creation, "--call-time-max"))?;
    }
    // A sealed transaction that takes longer than its trace may.
    let creation = Request::create(0, hex::decode(LOOP)?.into(), 16_000_000);
    let raw = creation.raw(&sign::account(0)?)?;
    let hash = client.call("eth_sendRawTransaction", json!([raw]))?;
    let options = json!({"tracer": "callTracer", "timeout": "1ms"});
    let error = client.refused("debug_traceTransaction", json!([hash, options]))?;
    ensure!(error.message == "execution timeout: the trace took more than 1 ms", "{error}");
    Ok(())
}

/// With one place, the second of two long traces waits for it, and the third does so in vain.
#[test]
fn traces_wait_for_a_place() -> Result<()> {
    let node = Node::start(&[
        "--traces-max",
        "1",
        "--trace-time-max",
        "3",
        "--gas-limit",
        "1000000000000",
    ])?;
    let call = json!({"to": TARGET, "gas": "0xe8d4a51000"});
    let options =
        |code: &str| json!({"tracer": "callTracer", "stateOverrides": {TARGET: {"code": code}}});
    thread::scope(|scope| {
        let trace = || {
            let client = node.client();
            thread::sleep(Duration::from_secs(1));
            let params = json!([call, "latest", options(LOOP)]);
            scope.spawn(move || client?.refused("debug_traceCall", params))
        };
        let (first, second, third) = (trace(), trace(), trace());
        // Calls have places of their own.
        let start = Instant::now();
        node.client()?.call("eth_call", json!([{"to": FRIEND}, "latest"]))?;
        ensure!(start.elapsed() < Duration::from_secs(2), "a call waits for traces");
        for (trace, text) in [
            (first, "execution timeout: the trace took more than 3000 ms, see --trace-time-max"),
            (third, "no place for another trace within 3 s: 1 run at once (see --traces-max)"),
            (second, "execution timeout: the trace took more than 3000 ms, see --trace-time-max"),
        ] {
            let error = trace.join().map_err(|_| anyhow::anyhow!("a trace has panicked"))??;
            ensure!(error.message == text, "{error}, not {text}");
        }
        Ok(())
    })
}
