//! The RPC tests that web3.py ships in its package, and web3.py with contracts of both kinds.

use std::thread;

use anyhow::{Context, Result};
use tandem_tests::{Node, python};

/// What a run's tests connect to.
#[derive(Clone, Copy)]
enum Transport {
    Http,
    WebSocket,
    Ipc,
}

/// One run of those tests on a chain of its own: both kinds of clients delegate the same account.
fn run(transport: Transport, filter: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("node.ipc");
    let socket = socket.to_str().context("a path that is no UTF-8")?;
    // The chain id is that of their own fixture: some transactions are signed for it. They seal by
    // a method, for they replace waiting transactions.
    let fixture = ["--no-mining", "--chain-id", "131277322940537", "--ipc", socket];
    let node = Node::start(&fixture)?;
    let url = match transport {
        Transport::Http => node.url(),
        Transport::WebSocket => node.ws_url(),
        Transport::Ipc => socket.to_owned(),
    };
    python::run_tests(&url, filter)
}

/// They wait more than they work, so all runs go at once.
#[test]
fn web3_py_tests_pass() -> Result<()> {
    let runs = [
        (Transport::Http, "test_web3 and not TestAsync and not TestPersistent"),
        (Transport::Http, "test_web3 and TestAsync"),
        (Transport::WebSocket, "test_web3 and (TestAsync or TestPersistent)"),
        (Transport::Ipc, "test_web3 and not TestAsync"),
    ];
    let results: Vec<_> = thread::scope(|scope| {
        let start = |(transport, filter)| scope.spawn(move || run(transport, filter));
        let started: Vec<_> = runs.into_iter().map(start).collect();
        started.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a run has panicked"))??;
    }
    Ok(())
}

#[test]
fn web3_py_uses_contracts_of_both_kinds() -> Result<()> {
    let node = Node::start(&[])?;
    python::run_tests(&node.url(), "test_machines")
}
