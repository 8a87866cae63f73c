//! Hostile clients, all at once, beside one that asks ordinary things: each of its requests is
//! answered, right, and within a time that its unloaded time in the same run bounds.
//!
//! `TANDEM_TEST_HOSTILE_SECONDS=600 cargo test --test e2e hostile -- --nocapture` runs longer.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256, hex},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node, contracts,
    sign::{self, Request},
};

/// How long the hostile clients go on unless told otherwise.
const SECONDS: u64 = 8;
/// Rounds of ordinary requests before they come.
const UNLOADED_ROUNDS: u64 = 30;
/// An ordinary request may take so many times its unloaded time, and this on top: other tests run
/// at the same time.
const SLOWER_MAX: u32 = 100;
const GRACE: Duration = Duration::from_secs(3);

const FRIEND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const TARGET: &str = "0x00000000000000000000000000000000000000cc";

/// What an ordinary user does: reads, a call, and a transfer with its receipt.
struct Ordinary {
    client: Client,
    signer: PrivateKeySigner,
    friend: Address,
    nonce: u64,
    times: Vec<Duration>,
}

impl Ordinary {
    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        let start = Instant::now();
        let answer = self.client.call(method, params)?;
        self.times.push(start.elapsed());
        Ok(answer)
    }

    fn round(&mut self) -> Result<()> {
        ensure!(self.ask("eth_chainId", json!([]))? == "0x7a69", "chain id");
        let height = format!("{:#x}", self.nonce);
        ensure!(self.ask("eth_blockNumber", json!([]))? == json!(height), "height");
        let balance = self.ask("eth_getBalance", json!([FRIEND, "0x0"]))?;
        ensure!(balance == "0x21e19e0c9bab2400000", "{balance}");
        let block = self.ask("eth_getBlockByNumber", json!([height, false]))?;
        ensure!(block["number"] == json!(height), "{block}");
        ensure!(self.ask("eth_getLogs", json!([{"fromBlock": "0x0"}]))? == json!([]), "logs");
        // Adds two words of its call data.
        let code = json!({TARGET: {"code": "0x5f35602035015f5260205ff3"}});
        let input = format!("0x{:064x}{:064x}", 40, 2);
        let sum = self.ask("eth_call", json!([{"to": TARGET, "data": input}, "latest", code]))?;
        ensure!(sum == json!(format!("0x{:064x}", 42)), "{sum}");
        let transfer = Request::transfer(self.nonce, self.friend, U256::from(1));
        let raw = transfer.raw(&self.signer)?;
        let hash = self.ask("eth_sendRawTransaction", json!([raw]))?;
        self.nonce += 1;
        let receipt = self.ask("eth_getTransactionReceipt", json!([hash]))?;
        ensure!(receipt["status"] == "0x1", "{receipt}");
        Ok(())
    }

    /// Median, 90th and 99th percentile, and the longest time.
    fn percentiles(&mut self) -> [Duration; 4] {
        let mut times = std::mem::take(&mut self.times);
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied();
        [50, 90, 99, 100].map(|percent| at(percent).unwrap_or_default())
    }
}

/// What hostile clients share.
struct Attack<'a> {
    address: SocketAddr,
    ended: &'a AtomicBool,
    requests: &'a AtomicU64,
}

impl Attack<'_> {
    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(90)))?;
        Ok(stream)
    }

    /// Sends these bodies over and over; every one has to be answered, with an error where one is
    /// named.
    fn post(&self, bodies: &[(String, &str)]) -> Result<()> {
        while !self.ended.load(Ordering::Relaxed) {
            for (body, wanted) in bodies {
                if self.ended.load(Ordering::Relaxed) {
                    break;
                }
                let mut client = Client::connect(self.address)?;
                let answer = client.exchange(body.as_bytes())?;
                let answer = String::from_utf8_lossy(&answer);
                let start: String = answer.chars().take(300).collect();
                ensure!(answer.contains(wanted), "no {wanted:?} in {start}");
                self.requests.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Asks for long answers and reads none.
    fn read_slowly(&self) -> Result<()> {
        let call =
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",true]}"#;
        let body = format!("[{}]", vec![call; 5_000].join(","));
        let mut held = Vec::new();
        while !self.ended.load(Ordering::Relaxed) {
            if held.len() < 10 {
                let mut stream = self.connect()?;
                let length = body.len();
                write!(
                    stream,
                    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
                )?;
                held.push(stream);
                self.requests.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Opens connections that send a byte of their request now and then.
    fn write_slowly(&self) -> Result<()> {
        let mut held = Vec::new();
        while !self.ended.load(Ordering::Relaxed) {
            if held.len() < 200 {
                let mut stream = self.connect()?;
                stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nx-")?;
                held.push(stream);
            }
            for stream in &mut held {
                // The node may have given it up.
                let _ = stream.write_all(b"a");
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Upgrades to WebSocket and sends what is no frame.
    fn break_frames(&self) -> Result<()> {
        let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        // Reserved bits, no mask, a length of 2^63, a control frame that is too long, a fragment
        // of nothing.
        let frames: [&[u8]; 5] = [
            b"\xf1\x85aaaabbbbb",
            b"\x81\x05hello",
            b"\x81\xff\x80\0\0\0\0\0\0\0aaaa",
            b"\x89\xfe\x04\0aaaa",
            b"\x80\x80aaaa",
        ];
        while !self.ended.load(Ordering::Relaxed) {
            for frame in frames {
                let mut stream = self.connect()?;
                stream.write_all(upgrade.as_bytes())?;
                let mut answer = [0; 12];
                stream.read_exact(&mut answer)?;
                ensure!(&answer == b"HTTP/1.1 101", "{}", String::from_utf8_lossy(&answer));
                // The node may close it in the middle of this.
                let _ = stream.write_all(frame);
                self.requests.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn with_code(code: &str) -> Value {
    json!([{"to": TARGET}, "latest", {TARGET: {"code": code}}])
}

/// An ELF file with these instructions behind its headers at 0x10000, and 13 MiB of memory at
/// 0x100000.
pub(crate) fn elf(instructions: &[u32]) -> Vec<u8> {
    let code: Vec<u8> = instructions.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (base, start) = (0x10000u64, 0xb0u64);
    let size = start + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2u16, 243] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    for word in [base + start, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // Readable and executable; readable and writable.
    let segments =
        [(5u32, [0, base, base, size, size]), (6, [0, 0x10_0000, 0x10_0000, 0, 13 << 20])];
    for (flags, words) in segments {
        file.extend(1u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in words.into_iter().chain([0x1000]) {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(code);
    file
}

/// Bodies that run contracts, with what their answers have to contain.
fn executions() -> Result<Vec<(String, &'static str)>> {
    let creation = |image: &[u8]| -> Result<String> {
        let code = contracts::container(image)?;
        let code = hex::encode_prefixed(code);
        Ok(request("eth_estimateGas", &json!([{"from": FRIEND, "data": code}])))
    };
    // Stores a byte in each page: lui a0, 0x100; lui a1, 1; sb zero, (a0); add a0, a0, a1; j -8.
    let pages = elf(&[0x0010_0537, 0x0000_15b7, 0x0005_0023, 0x00b5_0533, 0xff9f_f06f]);
    let many: serde_json::Map<_, _> = (1_000..6_000u32)
        .map(|n| (format!("0x{n:040x}"), json!({"balance": "0x1", "stateDiff": {}})))
        .collect();
    let blob = format!("0x{}", "5b".repeat(1 << 20));
    Ok(vec![
        // JUMPDEST, PUSH0, JUMP.
        (request("eth_call", &with_code("0x5b5f56")), "out of gas"),
        (request("eth_estimateGas", &with_code("0x5b5f56")), "gas required exceeds allowance"),
        // Memory at 2^40, and memory that grows by a word until the gas is used up.
        (request("eth_call", &with_code("0x5f650100000000005200")), "out of gas"),
        (request("eth_call", &with_code("0x5b5f59525f56")), "out of gas"),
        (request("eth_call", &with_code(&blob)), "result"),
        (request("eth_call", &json!([{"to": TARGET}, "latest", many])), "result"),
        // jal x0, 0: an endless loop.
        (creation(&elf(&[0x0000_006f]))?, "gas required exceeds allowance"),
        (creation(&pages)?, "memory"),
    ])
}

/// Bodies that are no sensible requests, with what their answers have to contain.
fn nonsense() -> Vec<(String, &'static str)> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let deep = "[".repeat(200_000);
    let params = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let far = "0xffffffffffffffff";
    vec![
        (deep, "-32700"),
        (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{params}}}"#), "error"),
        (format!("[{}]", vec![call; 10_001].join(",")), "--batch-max"),
        (format!("[{}]", vec![call; 10_000].join(",")), "0x7a69"),
        (request("eth_getLogs", &json!([{"fromBlock": "0x0", "toBlock": far}])), "error"),
        (request("eth_getLogs", &json!([{"fromBlock": far, "toBlock": "0x0"}])), "error"),
        (request("eth_getBlockByNumber", &json!([far, true])), "null"),
        (request("eth_feeHistory", &json!([far, "latest", []])), "jsonrpc"),
        (request("eth_getBalance", &json!(["0x12", far])), "-32602"),
    ]
}

#[test]
fn hostile_clients_leave_the_others_their_answers() -> Result<()> {
    let seconds = std::env::var("TANDEM_TEST_HOSTILE_SECONDS").ok();
    let seconds = seconds.map_or(Ok(SECONDS), |seconds| seconds.parse())?;
    let node = Node::start(&[])?;
    let (client, signer) = (node.client()?, sign::account(0)?);
    let friend = sign::account(1)?.address();
    let mut ordinary = Ordinary { client, signer, friend, nonce: 0, times: Vec::new() };
    for _ in 0..UNLOADED_ROUNDS {
        ordinary.round()?;
    }
    let unloaded = ordinary.percentiles();
    let (ended, requests) = (AtomicBool::new(false), AtomicU64::new(0));
    let attack = Attack { address: node.address(), ended: &ended, requests: &requests };
    let (nonsense, executions) = (nonsense(), executions()?);
    thread::scope(|scope| -> Result<()> {
        let attack = &attack;
        let attackers = [
            scope.spawn(|| attack.post(&nonsense)),
            scope.spawn(|| attack.post(&executions)),
            scope.spawn(|| attack.post(&executions)),
            scope.spawn(|| attack.read_slowly()),
            scope.spawn(|| attack.write_slowly()),
            scope.spawn(|| attack.break_frames()),
        ];
        let start = Instant::now();
        let mut result = Ok(());
        while result.is_ok() && start.elapsed() < Duration::from_secs(seconds) {
            result = ordinary.round();
        }
        ended.store(true, Ordering::Relaxed);
        for attacker in attackers {
            attacker.join().map_err(|_| anyhow::anyhow!("an attacker has panicked"))??;
        }
        result
    })?;
    let (rounds, loaded) = (ordinary.nonce - UNLOADED_ROUNDS, ordinary.percentiles());
    let count = requests.load(Ordering::Relaxed);
    report(&format!(
        "{count} hostile requests beside {rounds} ordinary rounds; 50th, 90th, 99th percentile and \
         longest: unloaded {unloaded:?}, loaded {loaded:?}"
    ));
    for (unloaded, loaded) in unloaded.into_iter().zip(loaded) {
        let bound = unloaded * SLOWER_MAX + GRACE;
        ensure!(loaded <= bound, "{loaded:?} beside hostile clients, {unloaded:?} without");
    }
    // It still works when they have gone.
    ordinary.round().context("after the hostile clients")
}

#[expect(clippy::print_stderr, reason = "the percentiles are for whoever runs the test")]
fn report(text: &str) {
    eprintln!("{text}");
}
