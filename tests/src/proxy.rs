//! A little HTTP server between a node and the one that it forks: it counts what is asked for, and
//! fails as it is told to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;

use crate::Client;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Passes it on.
    Works,
    /// Answers this HTTP status.
    Status(u16),
    /// Answers something that is no JSON.
    Garbage,
    /// Answers a JSON-RPC error of the provider's limit.
    RateLimit,
    /// Waits so long before it passes it on.
    Slow(Duration),
    /// Closes the connection.
    Closes,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    /// What it does with the next so many requests; after them, it works.
    mood: Mutex<(Mood, usize)>,
    /// Calls that were passed on, and how often.
    calls: Mutex<BTreeMap<String, usize>>,
    requests: Mutex<usize>,
}

/// The server.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts it before the node at `upstream`, on a free port of loopback.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (mood, calls, requests) =
            (Mutex::new((Mood::Works, 0)), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { upstream, mood, calls, requests });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A connection ends with whoever opened it.
                thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Ok(Self { shared, address })
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this with the next `times` requests, then works again.
    pub fn set_mood(&self, mood: Mood, times: usize) {
        *lock(&self.shared.mood) = (mood, times);
    }

    /// How often each call was passed on.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        lock(&self.shared.calls).clone()
    }

    /// How many requests came, whatever became of them.
    pub fn requests(&self) -> usize {
        *lock(&self.shared.requests)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(shared: &Shared, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        *lock(&shared.requests) += 1;
        let (status, answer) = match mood(shared) {
            Mood::Closes => return Ok(()),
            Mood::Status(status) => (status, b"out of order".to_vec()),
            Mood::Garbage => (200, b"<html>maintenance</html>".to_vec()),
            Mood::RateLimit => (200, rate_limit(&body)?),
            Mood::Works => (200, pass_on(shared, &body)?),
            Mood::Slow(wait) => {
                thread::sleep(wait);
                (200, pass_on(shared, &body)?)
            }
        };
        let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n", answer.len());
        reader.get_mut().write_all(head.as_bytes())?;
        reader.get_mut().write_all(&answer)?;
    }
}

fn mood(shared: &Shared) -> Mood {
    let mut mood = lock(&shared.mood);
    if mood.1 == 0 {
        return Mood::Works;
    }
    mood.1 -= 1;
    mood.0
}

fn entries(body: &[u8]) -> Result<Vec<Value>> {
    Ok(match serde_json::from_slice(body)? {
        Value::Array(calls) => calls,
        call => vec![call],
    })
}

fn rate_limit(body: &[u8]) -> Result<Vec<u8>> {
    let error = serde_json::json!({"code": -32005, "message": "request rate exceeded"});
    let answers = entries(body)?
        .into_iter()
        .map(|call| serde_json::json!({"jsonrpc": "2.0", "id": call["id"], "error": error}));
    let mut answers: Vec<_> = answers.collect();
    let answer = if body.starts_with(b"[") { Value::Array(answers) } else { answers.remove(0) };
    Ok(answer.to_string().into_bytes())
}

fn pass_on(shared: &Shared, body: &[u8]) -> Result<Vec<u8>> {
    for call in entries(body)? {
        let text = format!("{} {}", call["method"].as_str().unwrap_or_default(), call["params"]);
        *lock(&shared.calls).entry(text).or_default() += 1;
    }
    Client::connect(shared.upstream)?.exchange(body)
}
