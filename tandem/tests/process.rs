//! The binary as a process: start, signals, exit codes, error lines, files it leaves.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn tandem(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running node, killed when it is dropped.
struct Node {
    child: Child,
    address: String,
}

impl Node {
    fn start(dir: &Path, arguments: &[&str]) -> Self {
        let out = dir.join("out.json");
        let _ = fs::remove_file(&out);
        let child = tandem(arguments)
            .args(["--port", "0", "--quiet", "--config-out", out.to_str().unwrap()])
            .current_dir(dir)
            .spawn()
            .unwrap();
        let mut node = Self { child, address: String::new() };
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the node does not start");
            assert!(node.child.try_wait().unwrap().is_none(), "the node has ended");
            let told = fs::read(&out).ok().and_then(|b| serde_json::from_slice::<Value>(&b).ok());
            if let Some(told) = told {
                node.address = told["address"].as_str().unwrap().to_owned();
                return node;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn call(&self, method: &str, params: Value) -> Value {
        call(&self.address, method, &params)
    }

    fn result(&self, method: &str, params: Value) -> Value {
        self.call(method, params)["result"].take()
    }

    /// Sends a signal and waits for the end; the exit code.
    fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the node does not end");
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn call(address: &str, method: &str, params: &Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fails(dir: &Path, arguments: &[&str], code: i32, expected: &str) {
    let Output { status, stderr, stdout } =
        tandem(arguments).args(["--port", "0"]).current_dir(dir).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().next(), Some(expected), "{arguments:?}");
    assert!(code == 2 || stderr.lines().count() == 1, "{stderr}");
    assert_eq!(String::from_utf8(stdout).unwrap(), "", "{arguments:?}");
}

#[test]
fn signals_end_it_cleanly_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--datadir", "chain"]);
    assert_eq!(node.result("eth_chainId", json!([])), "0x7a69");
    node.result("evm_mine", json!([]));
    let genesis = node.result("eth_getBlockByNumber", json!(["0x0", false]));
    assert_eq!(node.end("-TERM"), Some(0));
    let node = Node::start(dir.path(), &["--datadir", "chain"]);
    assert_eq!(node.result("eth_blockNumber", json!([])), "0x1");
    assert_eq!(node.result("eth_getBlockByNumber", json!(["0x0", false])), genesis);
    fails(
        dir.path(),
        &["--datadir", "chain"],
        1,
        "error: store: data directory chain is in use by another process",
    );
    assert_eq!(node.end("-INT"), Some(0));
}

#[test]
fn a_large_state_with_another_root_than_recorded_ends_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let account = "0x00000000000000000000000000000000000000aa";
    // So many that of a start's tree the leaves are not read.
    let value = format!("{:#066x}", 1);
    let slots = (1..=70_000).map(|slot| (format!("{slot:#066x}"), json!(value)));
    let storage: serde_json::Map<_, _> = slots.collect();
    let alloc = json!({account: {"balance": "0x1", "storage": storage}});
    let genesis = json!({"config": {"chainId": 1}, "gasLimit": "0x1c9c380", "alloc": alloc});
    fs::write(dir.path().join("genesis.json"), genesis.to_string()).unwrap();
    let arguments = ["--genesis", "genesis.json", "--datadir", "chain", "--quiet"];
    let node = Node::start(dir.path(), &arguments[..4]);
    assert_eq!(node.end("-TERM"), Some(0));
    let node = Node::start(dir.path(), &arguments[..4]);
    let slot = node.result("eth_getStorageAt", json!([account, "0x7", "latest"]));
    assert_eq!(slot, value);
    node.result("evm_mine", json!([]));
    let head = node.result("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(head["number"], "0x1");
    assert_eq!(node.end("-TERM"), Some(0));
    // The last commit's row: its block's hash, and the root.
    let row = ["hash", "stateRoot"].map(|key| &head[key].as_str().unwrap()[2..]).concat();
    let byte = |at| u8::from_str_radix(&row[at..at + 2], 16).unwrap();
    let row: Vec<_> = (0..row.len()).step_by(2).map(byte).collect();
    let path = dir.path().join("chain/mdbx.dat");
    let mut bytes = fs::read(&path).unwrap();
    let is_row = |at: &usize| bytes[*at..].starts_with(&row);
    let rows: Vec<_> = (0..bytes.len()).filter(is_row).collect();
    assert!(!rows.is_empty(), "the row is in the file");
    rows.iter().for_each(|at| bytes[at + 63] ^= 1);
    fs::write(&path, bytes).unwrap();
    let output = tandem(&arguments).args(["--port", "0"]).current_dir(dir.path()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let root = head["stateRoot"].as_str().unwrap();
    let expected = format!("error: store: state root of the stored leaves is {root}, recorded is ");
    assert!(errors.lines().last().unwrap().starts_with(&expected), "{errors}");
}

#[test]
fn a_chain_without_a_directory_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let temporary = dir.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let out = dir.path().join("out.json");
    let mut child = tandem(&["--port", "0", "--quiet", "--config-out", out.to_str().unwrap()])
        .env("TMPDIR", &temporary)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !out.exists() {
        assert!(begun.elapsed() < PATIENCE, "the node does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "files are left after a kill");
}

#[test]
fn ipc_serves_calls_and_subscriptions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.ipc");
    let arguments = ["--ipc", path.to_str().unwrap()];
    let node = Node::start(dir.path(), &arguments);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut values = serde_json::Deserializer::from_reader(stream.try_clone().unwrap()).into_iter();
    let mut next = || -> Value { values.next().unwrap().unwrap() };
    stream.write_all(br#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#).unwrap();
    assert_eq!(next()["result"], "0x7a69");
    let subscribe = br#"{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]}"#;
    stream.write_all(subscribe).unwrap();
    let subscription = next()["result"].take();
    node.result("evm_mine", json!([]));
    let notice = next();
    assert_eq!(notice["params"]["subscription"], subscription);
    assert_eq!(notice["params"]["result"]["number"], "0x1");
    fails(
        dir.path(),
        &arguments,
        1,
        &format!("error: can't listen on {}: address in use", path.display()),
    );
    // A killed node leaves its socket; the next one takes it over, and takes it away at its end.
    node.end("-KILL");
    assert!(path.exists());
    let node = Node::start(dir.path(), &arguments);
    assert_eq!(node.end("-TERM"), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_state_goes_through_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let account = "0x00000000000000000000000000000000000000aa";
    let node = Node::start(dir.path(), &["--state", "state.json"]);
    node.result("anvil_setBalance", json!([account, "0x1234"]));
    assert_eq!(node.end("-INT"), Some(0));
    for flag in ["--state", "--load-state"] {
        let node = Node::start(dir.path(), &[flag, "state.json"]);
        assert_eq!(node.result("eth_getBalance", json!([account, "latest"])), "0x1234");
    }
    fs::create_dir(dir.path().join("folder")).unwrap();
    let node = Node::start(dir.path(), &["--dump-state", "folder", "--state-interval", "1"]);
    let begun = Instant::now();
    while !dir.path().join("folder/state.json").exists() {
        assert!(begun.elapsed() < PATIENCE, "no dump at the interval");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(node.end("-TERM"), Some(0));
    fails(
        dir.path(),
        &["--load-state", "none.json"],
        1,
        "error: none.json: No such file or directory (os error 2)",
    );
}

#[test]
fn the_health_check_tells_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let port = node.address.rsplit(':').next().unwrap().to_owned();
    let ask = || tandem(&["healthcheck"]).env("TANDEM_PORT", &port).output().unwrap().status.code();
    assert_eq!(ask(), Some(0));
    let taken = tandem(&["--port", &port]).output().unwrap();
    let expected =
        format!("error: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)\n");
    assert_eq!(String::from_utf8(taken.stderr).unwrap(), expected);
    assert_eq!(taken.status.code(), Some(1));
    assert_eq!(node.end("-TERM"), Some(0));
    assert_eq!(ask(), Some(1));
}

#[test]
fn errors_are_one_line_with_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("bad.json", r#"{"config":{"chainId":7},"gasLimit":5,"alloc":{"0xzz":{}}}"#);
    write("bad.toml", "prot = 1");
    let check =
        |arguments: &[&str], code, expected: &str| fails(dir.path(), arguments, code, expected);
    check(
        &["--genesis", "bad.json"],
        1,
        "error: bad.json: alloc.0xzz: invalid string length at line 1 column 52",
    );
    check(&["--config", "bad.toml"], 1, "error: unknown key `prot` in bad.toml");
    check(&["--mnemonic", "a b c"], 1, "error: dev accounts: the word `a` is invalid");
    check(&["--datadir", "bad.json"], 1, "error: bad.json: File exists (os error 17)");
    check(
        &["--block-time", "0"],
        1,
        "error: config: block_time: 0 is not between 0.001 and 1,000,000,000 seconds",
    );
    check(&["--frob"], 2, "error: unexpected argument '--frob' found");
    check(&["--celo"], 2, "error: --celo: Tandem runs Ethereum's rules only.");
}

#[test]
fn the_testnet_profile_has_no_dev_methods() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--profile", "testnet"]);
    assert_eq!(node.call("evm_mine", json!([]))["error"]["code"], -32601);
    assert_eq!(node.result("eth_accounts", json!([])), json!([]));
}

/// State root and hash of the default dev genesis at timestamp 1,700,000,000, on every machine.
const GENESIS: [&str; 2] = [
    "0xb396d0af823945d9d9ec602eda67d4b4adc5be9dc4c9daa9b7df33937475426b",
    "0xe4fa8220850289ecd910c5d501baeb6df4fa1bb10f666b8fd284d671afc8f6cd",
];

#[test]
fn the_same_settings_give_the_same_genesis_hash() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--timestamp", "1700000000"]);
    let genesis = node.result("eth_getBlockByNumber", json!(["0x0", false]));
    let found = [&genesis["stateRoot"], &genesis["hash"]].map(|hash| hash.as_str().unwrap());
    assert_eq!(found, GENESIS);
}

#[test]
fn the_banner_and_the_log_go_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut child = tandem(arguments)
            .args(["--port", "0", "--config-out", "out.json"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !dir.path().join("out.json").exists() {
            assert!(begun.elapsed() < PATIENCE, "the node does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
        let told: Value =
            serde_json::from_slice(&fs::read(dir.path().join("out.json")).unwrap()).unwrap();
        let port = told["address"].as_str().unwrap().rsplit(':').next().unwrap();
        call(&format!("127.0.0.1:{port}"), "evm_mine", &json!([]));
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        fs::remove_file(dir.path().join("out.json")).unwrap();
        text
    };
    let text = run(&["-a", "1", "--host", "0.0.0.0"]);
    for expected in [
        "(0) 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 (10000.000000000000000000 ETH)",
        "(0) 0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "Mnemonic:          test test test test test test test test test test test junk",
        "Chain ID\n==================\n\n31337\n",
        "\nListening on 0.0.0.0:",
        "WARN the dev profile listens on 0.0.0.0:",
        "INFO evm_mine\n",
        "INFO block number=1 ",
        "INFO stopping",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let text = run(&["--json"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listening = lines[0]["fields"]["message"].as_str().unwrap();
    assert!(listening.starts_with("Listening on 127.0.0.1:"), "{text}");
    assert_eq!(run(&["--silent"]), "");
}
