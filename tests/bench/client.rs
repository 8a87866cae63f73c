//! The load's client: requests made before the clock starts, sent over plain sockets.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The kernel's unit of CPU time in `/proc/PID/stat`: 100 a second on every Linux.
const TICK_US: f64 = 10_000.0;
/// CPU time from which ticks are exact enough.
const TICKS_FROM_US: f64 = 2e6;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    host: String,
    path: String,
    /// The process behind it, if it is on this machine.
    pub(crate) process: Option<u32>,
}

impl Target {
    /// A node that was started here.
    pub(crate) fn local(address: SocketAddr, process: u32) -> Self {
        let (host, path) = (address.to_string(), "/".to_owned());
        Self { address, host, path, process: Some(process) }
    }

    /// What stands behind `http://HOST[:PORT][/PATH]`.
    pub(crate) fn parse(url: &str, process: Option<u32>) -> Result<Self> {
        let rest = url.strip_prefix("http://").with_context(|| {
            format!("{url}: the load goes over plain HTTP, so the URL starts with http://")
        })?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if port { host.to_owned() } else { format!("{host}:80") };
        let address = host
            .to_socket_addrs()
            .with_context(|| format!("cannot find {host}"))?
            .next()
            .with_context(|| format!("{host} has no address"))?;
        Ok(Self { address, host, path: path.to_owned(), process })
    }

    /// A request, ready to be sent.
    pub(crate) fn request(&self, method: &str, params: &Value) -> Vec<u8> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = body.to_string();
        let Self { path, host, .. } = self;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    /// Asks once.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let answer = Connection::open(self)?.exchange(&self.request(method, &params))?.to_vec();
        result(&answer).with_context(|| method.to_owned())
    }

    /// CPU time that the process has used so far, and by how much the clock may be wrong.
    fn cpu_us(&self) -> Result<Option<Cpu>> {
        self.process.map(Cpu::of).transpose()
    }

    /// Time that `work` takes, divided by `count`.
    pub(crate) fn measure(
        &self,
        count: usize,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Sample> {
        let before = self.cpu_us()?;
        let start = Instant::now();
        work()?;
        let wall_us = start.elapsed().as_secs_f64() * 1e6;
        let cpu_us = before.zip(self.cpu_us()?).map(|(before, after)| after.since(&before));
        let count = f64::from(u32::try_from(count)?);
        Ok(Sample { wall_us: wall_us / count, cpu_us: cpu_us.map(|cpu_us| cpu_us / count) })
    }
}

/// Time for one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) wall_us: f64,
    pub(crate) cpu_us: Option<f64>,
}

impl Sample {
    /// The lesser of both times: what others do on the machine only ever adds.
    pub(crate) fn least(self, other: Self) -> Self {
        let cpu_us = match (self.cpu_us, other.cpu_us) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { wall_us: self.wall_us.min(other.wall_us), cpu_us }
    }
}

/// What the kernel says that a process has used.
pub(crate) struct Cpu {
    /// Exact, but only of the threads that run now.
    threads_us: BTreeMap<OsString, f64>,
    /// All of it, in ticks.
    ticks_us: f64,
}

impl Cpu {
    /// Of this process up to now.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let mut threads_us = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let thread = thread?;
            // A thread may end in between.
            let Ok(line) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let ran = line.split_whitespace().next().context("an empty schedstat")?;
            threads_us.insert(thread.file_name(), ran.parse::<f64>()? / 1e3);
        }
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let fields = stat.rsplit_once(')').context("no name in stat")?.1;
        let mut ticks = 0.0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<f64>()?;
        }
        Ok(Self { threads_us, ticks_us: ticks * TICK_US })
    }

    /// Microseconds since `before`. Threads that end are idle for seconds before: what they used
    /// matters in long measurements alone, and for those ticks are exact enough.
    pub(crate) fn since(&self, before: &Self) -> f64 {
        let ticks_us = self.ticks_us - before.ticks_us;
        if ticks_us > TICKS_FROM_US {
            return ticks_us;
        }
        let thread = |(id, us): (&OsString, &f64)| us - before.threads_us.get(id).unwrap_or(&0.0);
        self.threads_us.iter().map(thread).sum()
    }

    /// Microseconds since the process began.
    pub(crate) fn total_us(&self) -> f64 {
        self.threads_us.values().sum()
    }
}

/// Sends each queue of transactions over a connection of its own, all at once; before the next
/// transaction is sent, the receipt of the one before has been read.
pub(crate) fn send_queues(target: &Target, queues: &[Vec<Vec<u8>>]) -> Result<()> {
    thread::scope(|scope| {
        let run = |queue: &[Vec<u8>]| -> Result<()> {
            let mut connection = Connection::open(target)?;
            queue.iter().try_for_each(|request| connection.send(target, request))
        };
        let threads: Vec<_> = queues.iter().map(|queue| scope.spawn(move || run(queue))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a connection's thread panicked"),
        })
    })
}

/// Sends each queue of transactions over a connection of its own, all at once, and returns how many
/// microseconds each of them waited to be acknowledged.
pub(crate) fn acknowledge(target: &Target, queues: &[Vec<Vec<u8>>]) -> Result<Vec<f64>> {
    thread::scope(|scope| {
        let run = |queue: &[Vec<u8>]| -> Result<Vec<f64>> {
            let mut connection = Connection::open(target)?;
            let wait = |request: &Vec<u8>| {
                let start = Instant::now();
                result(connection.exchange(request)?)?;
                Ok(start.elapsed().as_secs_f64() * 1e6)
            };
            queue.iter().map(wait).collect()
        };
        let threads: Vec<_> = queues.iter().map(|queue| scope.spawn(move || run(queue))).collect();
        let waits = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a connection's thread panicked"),
        });
        Ok(waits.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// Sends one request `count` times over each of so many connections at once.
pub(crate) fn repeat(
    target: &Target,
    request: &[u8],
    connections: usize,
    count: usize,
) -> Result<()> {
    thread::scope(|scope| {
        let run = move || -> Result<()> {
            let mut connection = Connection::open(target)?;
            for _ in 0..count {
                let answer = connection.exchange(request)?;
                ensure!(!is_error(answer), "{}", String::from_utf8_lossy(answer));
            }
            Ok(())
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a connection's thread panicked"),
        })
    })
}

/// A connection that stays open.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address)
            .with_context(|| format!("cannot reach {}", target.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream, buffer: vec![0; 1 << 16] })
    }

    /// Sends a transaction and waits for its receipt.
    fn send(&mut self, target: &Target, request: &[u8]) -> Result<()> {
        let hash = result(self.exchange(request)?)?;
        let request = target.request("eth_getTransactionReceipt", &json!([hash]));
        // Anvil answers before the block is there.
        while result(self.exchange(&request)?)?.is_null() {}
        Ok(())
    }

    /// Sends a request and returns the body of its answer.
    fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let (start, length) = loop {
            filled += self.read(filled)?;
            if let Some(end) = find(&self.buffer[..filled], b"\r\n\r\n") {
                break (end + 4, body_length(&self.buffer[..end])?);
            }
        };
        let end = start + length;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while filled < end {
            filled += self.read(filled)?;
        }
        Ok(&self.buffer[start..end])
    }

    fn read(&mut self, filled: usize) -> Result<usize> {
        ensure!(filled < self.buffer.len(), "the head of an answer has no end");
        let read = self.stream.read(&mut self.buffer[filled..])?;
        ensure!(read > 0, "the node has closed the connection");
        Ok(read)
    }
}

fn body_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    ensure!(head.contains(" 200 "), "answered {:?}", head.lines().next().unwrap_or_default());
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse())
        .next();
    Ok(length.context("an answer without a length")??)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Whether an answer is an error: a look at its first bytes, for its result may be long.
fn is_error(answer: &[u8]) -> bool {
    find(&answer[..answer.len().min(40)], b"\"error\"").is_some()
}

fn result(answer: &[u8]) -> Result<Value> {
    let mut answer: Value = serde_json::from_slice(answer)?;
    ensure!(answer["error"].is_null(), "{}", answer["error"]);
    Ok(answer["result"].take())
}
