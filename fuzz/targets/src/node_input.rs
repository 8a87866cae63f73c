//! What a running node reads: requests, dumps of a state, files of blocks.

use std::{
    fs,
    sync::{Mutex, MutexGuard, OnceLock},
};

use alloy_consensus::{Block, TxEnvelope};
use genesis::{DevOptions, Genesis};
use node::{Chain, NodeConfig, check_dump, import::BlockReader};
use rpc::{Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

use crate::state_input;

/// Methods that every seed of requests calls, with what they take.
const REQUESTS: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",true]}"#,
    r#"{"jsonrpc":"2.0","id":"a","method":"eth_call","params":[{"to":"0x00000000000000000000000000000000000000cc","data":"0x01"},"latest",{"0x00000000000000000000000000000000000000cc":{"code":"0x5f5ffd","stateDiff":{}}},{"number":"0x5"}]}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"latest","address":[],"topics":[null,["0x00"]]}]}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"eth_sendRawTransaction","params":["0x02f8"]}"#,
    r#"[{"jsonrpc":"2.0","id":4,"method":"eth_chainId"},{"jsonrpc":"2.0","id":5,"method":"eth_feeHistory","params":["0x4","latest",[1,50]]}]"#,
    r#"{"jsonrpc":"2.0","id":6,"method":"eth_simulateV1","params":[{"blockStateCalls":[{"blockOverrides":{"time":"0x70000000"},"calls":[{"from":"0x00000000000000000000000000000000000000cc"}]}],"validation":false},"latest"]}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"debug_traceCall","params":[{},"latest",{"tracer":"callTracer","tracerConfig":{"onlyTopCall":true}}]}"#,
    r#"{"jsonrpc":"2.0","id":8,"method":"eth_estimateGas","params":[{"gas":"0x5208","value":"0x0","accessList":[]}]}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"eth_getProof","params":["0x00000000000000000000000000000000000000cc",["0x1"],"latest"]}"#,
    r#"{"jsonrpc":"2.0","id":10,"method":"evm_snapshot","params":[]}"#,
    r#"{"jsonrpc":"2.0","id":11,"method":"anvil_setBalance","params":["0x00000000000000000000000000000000000000cc","0xff"]}"#,
    r#"{"jsonrpc":"2.0","id":12,"method":"rv_gasReport","params":[{"to":"0x00000000000000000000000000000000000000cc"}]}"#,
    r#"{"jsonrpc":"2.0","id":14,"method":"trace_call","params":[{},["trace","stateDiff"],"latest"]}"#,
];

/// Any bytes as what a client sends over a stream: every value of them is answered by JSON, and the
/// node answers the next client.
pub(crate) fn request(bytes: &[u8]) {
    // A subscription would keep the stream open.
    if bytes.windows(9).any(|part| part == b"subscribe") {
        return;
    }
    let mut running = running();
    let Running { runtime, server, .. } = &mut *running;
    let ask = |bytes: Vec<u8>| {
        let (table, limits) = (server.methods(), server.limits());
        runtime.block_on(async move {
            let (mut client, theirs) = tokio::io::duplex(1 << 20);
            let service = tokio::spawn(rpc::serve_stream(table, limits, theirs));
            client.write_all(&bytes).await.expect("the stream takes it");
            client.write_all(br#"{"jsonrpc":"2.0","id":"last","method":"eth_chainId"}"#).await?;
            client.shutdown().await?;
            let mut answers = Vec::new();
            client.read_to_end(&mut answers).await?;
            service.await.expect("serving does not panic")?;
            Ok::<_, std::io::Error>(answers)
        })
    };
    let answers = ask(bytes.to_vec()).expect("the stream is there");
    for line in answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.starts_with(b"{") || line.starts_with(b"["), "an answer is JSON");
    }
    let answers = ask(Vec::new()).expect("the stream is there");
    assert!(answers.windows(6).any(|part| part == b"0x7a69"), "the next client is answered");
}

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    REQUESTS.iter().map(|request| request.as_bytes().to_vec()).collect()
}

/// Any bytes as a dump of a state: refused with a reason, or loaded.
pub(crate) fn dump(bytes: &[u8]) {
    if let Err(error) = check_dump(bytes) {
        assert!(!error.to_string().is_empty());
    }
    let Running { runtime, chain, .. } = &mut *running();
    if let Err(error) = runtime.block_on(chain.load_state(bytes.to_vec())) {
        assert!(!error.to_string().is_empty());
    }
    assert!(chain.failure().is_none(), "the node goes on");
}

pub(crate) fn dump_seeds() -> Vec<Vec<u8>> {
    let accounts = r#""0x00000000000000000000000000000000000000cc":{"nonce":1,"balance":"0xff",
        "code":"0x5f5ffd","storage":{"0x0":"0x1"}}"#;
    let block = r#"{"number":"0x1","timestamp":"0x70000000","basefee":"0x7","gas_limit":"0xffff"}"#;
    vec![
        format!(r#"{{"accounts":{{{accounts}}}}}"#).into_bytes(),
        format!(r#"{{"accounts":{{{accounts}}},"block":{block},"best_block_number":"0x2"}}"#)
            .into_bytes(),
        [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xab, 0xae, 5, 0]].concat(),
    ]
}

/// Any bytes as a file of blocks: read to its end, or refused with a place.
pub(crate) fn blocks(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for name in ["blocks.rlp", "blocks.rlp.gz"] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("it can be written to");
        let mut reader = BlockReader::open(&path).expect("it is there");
        let (mut blocks, mut size) = (Vec::new(), 0);
        let ended = loop {
            match reader.read() {
                Ok(Some((block, length))) => {
                    size += length;
                    blocks.push(block);
                }
                Ok(None) => break true,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    break false;
                }
            }
        };
        if ended && name == "blocks.rlp" {
            assert_eq!(size, bytes.len());
            let again: Vec<u8> = blocks.iter().flat_map(alloy_rlp::encode).collect();
            assert_eq!(again, bytes, "what was read is written as it came");
        }
    }
}

pub(crate) fn blocks_seeds() -> Vec<Vec<u8>> {
    let genesis = Genesis::dev(DevOptions::default());
    let mut block: Block<TxEnvelope> =
        Block::new(genesis.header(Default::default()), Default::default());
    block.body.withdrawals = Some(Default::default());
    block.body.transactions = state_input::transactions().to_vec();
    let bytes = alloy_rlp::encode(&block);
    vec![bytes.clone(), bytes.repeat(2)]
}

/// A node without a data directory, for all inputs of a process.
struct Running {
    runtime: Runtime,
    chain: Chain,
    server: Server,
}

fn running() -> MutexGuard<'static, Running> {
    static RUNNING: OnceLock<Mutex<Running>> = OnceLock::new();
    let start = || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads can be started");
        let genesis = Genesis::dev(DevOptions::default());
        let (chain, server) = runtime.block_on(async {
            let chain = Chain::start(NodeConfig::default(), genesis).expect("nothing is wrong");
            let address = ([127, 0, 0, 1], 0).into();
            let config = ServerConfig { address, ..ServerConfig::default() };
            let server = rpc::serve(chain.clone(), config).await.expect("a port is free");
            (chain, server)
        });
        Mutex::new(Running { runtime, chain, server })
    };
    RUNNING.get_or_init(start).lock().expect("no input has panicked")
}
