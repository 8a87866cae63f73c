//! JSON-RPC to the chain that is forked: over HTTP, WebSocket or IPC, with retries, in the thread
//! that asks.
//!
//! The engine asks for state in the middle of a run, so a request blocks its thread. On a thread of
//! the async runtime it first makes room for others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Condvar, Mutex};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::{Handle, RuntimeFlavor};
use ureq::http::uri::Authority;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::error::{ForkError, Reason, RemoteError};
use super::roots;
use super::socket::{Place, Socket, tls};

/// Most bytes of an answer.
pub(super) const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Calls in one request; providers allow a hundred to a thousand.
const BATCH_MAX: usize = 100;
/// The pause between two attempts doubles up to this many times the first one.
const BACKOFF_FACTOR_MAX: u32 = 8;
/// The longest pause that a provider may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Compute units that a call costs on average, as Foundry reckons.
const CALL_UNITS: u64 = 20;
/// Text of an answer that an error repeats.
const EXCERPT_MAX: usize = 200;

/// How the other node is asked. The names and defaults are anvil's.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteConfig {
    /// Where it is; with several, requests go to them in turn.
    pub urls: Vec<String>,
    /// Headers of every request.
    pub headers: Vec<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often a request is repeated that failed and may succeed yet.
    pub retries: u32,
    /// The first pause before that.
    pub backoff: Duration,
    /// Compute units that the provider grants in a second; `None` for any number.
    pub compute_units_per_second: Option<u64>,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            headers: Vec::new(),
            timeout: Duration::from_millis(45_000),
            retries: 5,
            backoff: Duration::from_millis(1_000),
            compute_units_per_second: Some(330),
        }
    }
}

impl RemoteConfig {
    /// Whether every address is on this machine.
    pub fn is_local(&self) -> bool {
        self.urls.iter().all(|url| {
            if ipc_path(url).is_some() {
                return true;
            }
            let shown = hide(url);
            let authority = shown.rsplit("://").next().unwrap_or_default();
            authority.parse().is_ok_and(|authority: Authority| is_local(authority.host()))
        })
    }
}

/// The node that is forked.
#[derive(Debug)]
pub struct Remote {
    config: RemoteConfig,
    endpoints: Vec<Endpoint>,
    /// Which endpoint is asked next.
    turn: AtomicUsize,
    /// Calls that are being made.
    under_way: AtomicUsize,
    /// Whether it takes no batches.
    one_by_one: AtomicBool,
    /// Whether another node has taken its place: nothing is asked again then.
    retired: Mutex<bool>,
    /// Ends the pauses between two attempts when it is.
    retiring: Condvar,
}

/// One address of it.
#[derive(Debug)]
struct Endpoint {
    wire: Wire,
    /// Scheme, host and port: the rest may hold a key.
    shown: String,
}

/// How it is asked there.
#[derive(Debug)]
enum Wire {
    Http { agent: ureq::Agent, uri: Uri, headers: Vec<(HeaderName, HeaderValue)> },
    Socket(Socket),
}

/// A method and its parameters.
pub(crate) type Call<'a> = (&'a str, Value);

/// One answer: the result, or an error object.
type Answer = Result<Box<RawValue>, Reason>;

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Value,
    result: Option<Box<RawValue>>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Value>,
}

impl Remote {
    /// Checks the settings; asks nothing yet.
    pub fn new(config: RemoteConfig) -> Result<Self, ForkError> {
        let headers = config.headers.iter().map(|text| header(text)).collect::<Result<Vec<_>, _>>();
        let headers = headers?;
        let endpoints = config.urls.iter().map(|url| Endpoint::new(url, &config, &headers));
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let (turn, under_way) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let one_by_one = AtomicBool::new(false);
        let (retired, retiring) = (Mutex::new(false), Condvar::new());
        Ok(Self { config, endpoints, turn, under_way, one_by_one, retired, retiring })
    }

    /// Has requests end that would be made again: another node takes its place.
    pub(super) fn retire(&self) {
        *self.retired.lock() = true;
        self.retiring.notify_all();
    }

    /// Whether another node has taken its place.
    pub(super) fn is_retired(&self) -> bool {
        *self.retired.lock()
    }

    /// How it is asked.
    pub fn config(&self) -> &RemoteConfig {
        &self.config
    }

    /// Where it is, without user, password and path, which may hold a key.
    pub fn shown(&self) -> String {
        self.endpoints.first().map(|endpoint| endpoint.shown.clone()).unwrap_or_default()
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.config.is_local()
    }

    /// Calls a method and reads its result.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, RemoteError> {
        let raw = self.call(method, params)?;
        serde_json::from_str(raw.get()).map_err(|source| self.misread(method, &source, &raw))
    }

    /// Calls a method.
    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Box<RawValue>, RemoteError> {
        let mut answers = self.call_all(&[(method, params)])?;
        let missing = || self.error(method, (String::new(), 1), Reason::Missing);
        answers.pop().ok_or_else(missing)
    }

    /// Calls several methods, many at a time in one request; an error of one is an error of all.
    pub(crate) fn call_all(&self, calls: &[Call<'_>]) -> Result<Vec<Box<RawValue>>, RemoteError> {
        let mut results = Vec::with_capacity(calls.len());
        let size = if self.one_by_one.load(Ordering::Relaxed) { 1 } else { BATCH_MAX };
        for part in calls.chunks(size) {
            self.under_way.fetch_add(part.len(), Ordering::Relaxed);
            let answered = unhurried(|| self.request(part));
            self.under_way.fetch_sub(part.len(), Ordering::Relaxed);
            match answered {
                Ok(answers) => results.extend(answers),
                Err(error) if part.len() > 1 && matches!(*error.reason, Reason::NoBatch(_)) => {
                    self.one_by_one.store(true, Ordering::Relaxed);
                    results.extend(self.call_all(part)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    /// The error of a result that is not what was asked for.
    pub(crate) fn misread(
        &self,
        method: &str,
        source: &serde_json::Error,
        raw: &RawValue,
    ) -> RemoteError {
        let reason = Reason::Result { error: source.to_string(), got: excerpt(raw.get()) };
        self.error(method, (self.shown(), 1), reason)
    }

    fn error(&self, method: &str, (url, attempts): (String, u32), reason: Reason) -> RemoteError {
        RemoteError { method: method.to_owned(), url, attempts, reason: Box::new(reason) }
    }

    /// Makes one request, again and again if need be.
    fn request(&self, calls: &[Call<'_>]) -> Result<Vec<Box<RawValue>>, RemoteError> {
        let method = calls.first().map_or("", |(method, _)| *method);
        let body = body(calls);
        let mut attempts = 0;
        let mut pause = self.config.backoff;
        loop {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let Some(endpoint) = self.endpoints.get(turn % self.endpoints.len().max(1)) else {
                return Err(self.error(method, (String::new(), 0), Reason::NoUrl));
            };
            attempts += 1;
            let (failed, reason) = match endpoint.exchange(&body, calls.len()) {
                Ok(answers) => match all(calls, answers) {
                    Ok(results) => return Ok(results),
                    Err(failed) => failed,
                },
                Err(reason) => (method, reason),
            };
            if attempts > self.config.retries || !reason.may_pass() || self.is_retired() {
                return Err(self.error(failed, (endpoint.shown.clone(), attempts), reason));
            }
            let wait = reason.retry_after().map_or(pause, |asked| asked.min(RETRY_AFTER_MAX));
            let wait = wait + self.budget_wait(&reason);
            tracing::debug!(method, url = endpoint.shown, attempts, ?wait, "asked again: {reason}");
            let until = Instant::now() + wait;
            self.retiring.wait_while_until(&mut self.retired.lock(), |retired| !*retired, until);
            pause = (pause * 2).min(self.config.backoff * BACKOFF_FACTOR_MAX);
        }
    }

    /// How long the calls under way take of the provider's budget, once it has said stop.
    fn budget_wait(&self, reason: &Reason) -> Duration {
        let Some(units) = self.config.compute_units_per_second.filter(|units| *units > 0) else {
            return Duration::ZERO;
        };
        if !reason.is_rate_limit() {
            return Duration::ZERO;
        }
        let calls = self.under_way.load(Ordering::Relaxed).saturating_sub(1) as u64;
        Duration::from_millis(calls.saturating_mul(CALL_UNITS).saturating_mul(1_000) / units)
            .min(RETRY_AFTER_MAX)
    }
}

/// Makes room for others before a thread of the async runtime waits.
pub(crate) fn unhurried<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn body(calls: &[Call<'_>]) -> Vec<u8> {
    let one = |(id, (method, params)): (usize, &Call<'_>)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let mut all: Vec<_> = calls.iter().enumerate().map(one).collect();
    let body = if all.len() == 1 { all.remove(0) } else { Value::Array(all) };
    body.to_string().into_bytes()
}

/// The results of all calls, or the method and reason of the first that has none.
fn all<'a>(
    calls: &[Call<'a>],
    answers: Vec<Answer>,
) -> Result<Vec<Box<RawValue>>, (&'a str, Reason)> {
    let named = calls.iter().zip(answers);
    named.map(|((method, _), answer)| answer.map_err(|reason| (*method, reason))).collect()
}

impl Endpoint {
    fn new(
        url: &str,
        config: &RemoteConfig,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Self, ForkError> {
        if let Some(path) = ipc_path(url) {
            let wire = Wire::Socket(Socket::new(Place::Ipc(path.into()), config.timeout));
            return Ok(Self { wire, shown: path.to_owned() });
        }
        let bad = |problem: &str| ForkError::Url { shown: hide(url), problem: problem.to_owned() };
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let parsed: Uri = full.parse().map_err(|_| bad("it is no URL"))?;
        let scheme = parsed.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !["http", "https", "ws", "wss"].contains(&scheme.as_str()) {
            return Err(bad(
                "only http, https, ws, wss and the path of a socket can be forked from",
            ));
        }
        let host = parsed.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("no host"))?;
        let port = parsed.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{scheme}://{host}{port}");
        let mut headers = headers.to_vec();
        let user = parsed.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        if let Some((user, _)) = user {
            let user = percent_encoding::percent_decode_str(user).collect::<Vec<_>>();
            let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)));
            headers.push((ureq::http::header::AUTHORIZATION, value.map_err(|_| bad("bad user"))?));
        }
        let path = parsed.path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("{shown}{path}").parse().map_err(|_| bad("it is no URL"))?;
        let secure = ["https", "wss"].contains(&scheme.as_str());
        let roots = if secure { roots::of_file()? } else { None };
        if scheme.starts_with("ws") {
            let tls = secure.then(|| tls(roots.as_deref())).transpose();
            let tls = tls.map_err(|error| bad(&error.to_string()))?;
            let place = Place::Web(uri, headers, tls);
            return Ok(Self { wire: Wire::Socket(Socket::new(place, config.timeout)), shown });
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .max_idle_connections_per_host(16)
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")));
        // A proxy does not reach what is on this machine.
        let agent = if is_local(host) { agent.proxy(None) } else { agent };
        let trusted = |roots: Vec<CertificateDer<'static>>| {
            let roots: Vec<_> =
                roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
            TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build()
        };
        let agent = agent.tls_config(roots.map(trusted).unwrap_or_default());
        let agent = agent.build().new_agent();
        Ok(Self { wire: Wire::Http { agent, uri, headers }, shown })
    }

    /// Sends a body and reads as many answers as there were calls, in their order.
    fn exchange(&self, body: &[u8], calls: usize) -> Result<Vec<Answer>, Reason> {
        let (agent, uri, headers) = match &self.wire {
            Wire::Socket(socket) => return parse(&socket.exchange(body)?, calls),
            Wire::Http { agent, uri, headers } => (agent, uri, headers),
        };
        let transport = |error| transport(agent, error);
        let mut request = agent.post(uri.clone()).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(transport)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs));
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text = text.map_err(transport)?;
        let answers = parse(&text, calls);
        match answers {
            // Some nodes answer errors of their own with a status other than 200.
            Ok(answers) if status < 400 || !retryable(status) => Ok(answers),
            Err(error) if status < 400 => Err(error),
            Err(error @ Reason::NoBatch(_)) if !retryable(status) => Err(error),
            _ => {
                let text = excerpt(&String::from_utf8_lossy(&text));
                let reason = Reason::Status { status, text, retry_after };
                let refused = calls > 1 && !retryable(status);
                Err(if refused { Reason::NoBatch(Box::new(reason)) } else { reason })
            }
        }
    }
}

fn transport(agent: &ureq::Agent, error: ureq::Error) -> Reason {
    match error {
        ureq::Error::Timeout(_) => {
            let timeout = agent.config().timeouts().global.unwrap_or_default();
            Reason::Timeout { millis: timeout.as_millis() }
        }
        ureq::Error::BodyExceedsLimit(limit) => Reason::Size { limit },
        other => Reason::Transport(other.to_string()),
    }
}

/// Whether the same request may do better later.
pub(super) const fn retryable(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=529)
}

fn parse(text: &[u8], calls: usize) -> Result<Vec<Answer>, Reason> {
    let garbage = |error: serde_json::Error| Reason::Garbage {
        error: error.to_string(),
        text: excerpt(&String::from_utf8_lossy(text)),
    };
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        let message: Message = serde_json::from_slice(text).map_err(garbage)?;
        let answer = message.answer();
        return match answer {
            Err(reason) if calls > 1 && !reason.is_rate_limit() => {
                Err(Reason::NoBatch(Box::new(reason)))
            }
            Err(reason) if calls > 1 => Err(reason),
            Ok(_) if calls > 1 => Err(Reason::NoBatch(Box::new(Reason::Missing))),
            answer => Ok(vec![answer]),
        };
    }
    let messages: Vec<Message> = serde_json::from_slice(text).map_err(garbage)?;
    let mut answers: Vec<Answer> = (0..calls).map(|_| Err(Reason::Missing)).collect();
    for message in messages {
        let place = message.id.as_u64().and_then(|id| answers.get_mut(id as usize));
        if let Some(place) = place {
            *place = message.answer();
        }
    }
    Ok(answers)
}

impl Message {
    fn answer(self) -> Answer {
        match (self.error, self.result) {
            (Some(error), _) => {
                Err(Reason::Error { code: error.code, message: error.message, data: error.data })
            }
            (None, Some(result)) => Ok(result),
            // serde reads a null result as none.
            (None, None) => Ok(RawValue::NULL.to_owned()),
        }
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), ForkError> {
    let bad = || ForkError::Header { name: text.split(':').next().unwrap_or_default().to_owned() };
    let (name, value) = text.split_once(':').ok_or_else(bad)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| bad())?;
    Ok((name, HeaderValue::try_from(value.trim()).map_err(|_| bad())?))
}

/// What of an address can be told: up to its host, without user and password.
fn hide(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

/// The path of a Unix socket, if the address is one: as `file://PATH`, or as a path by itself.
fn ipc_path(url: &str) -> Option<&str> {
    let path = |url: &&str| {
        ["/", "./", "../"].iter().any(|start| url.starts_with(start))
            || !url.contains("://") && url.ends_with(".ipc")
    };
    url.strip_prefix("file://").or_else(|| Some(url).filter(path))
}

fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        let config = RemoteConfig { urls: vec![url.to_owned()], ..RemoteConfig::default() };
        match Remote::new(config) {
            Ok(remote) => remote.shown(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn urls_are_shown_without_their_secrets() {
        assert_eq!(shown("https://user:secret@host/v2/key?x=1"), "https://host");
        assert_eq!(shown("http://127.0.0.1:8545"), "http://127.0.0.1:8545");
        assert_eq!(shown("localhost:8545"), "http://localhost:8545");
        assert_eq!(shown("wss://user:secret@host/key"), "wss://host");
        assert_eq!(shown("/tmp/node.ipc"), "/tmp/node.ipc");
        assert_eq!(shown("file:///tmp/node.ipc"), "/tmp/node.ipc");
        let error = shown("ftp://user:secret@host/key");
        let known = "only http, https, ws, wss and the path of a socket can be forked from";
        assert_eq!(error, format!("fork_url ftp://host: {known}"));
        assert!(!shown("http://user:secret@/key").contains("secret"));
    }

    #[test]
    fn users_become_a_header() {
        let config = RemoteConfig::default();
        let endpoint = Endpoint::new("http://a:b%20c@host/p", &config, &[]).unwrap();
        let Wire::Http { uri, headers, .. } = endpoint.wire else { panic!("{endpoint:?}") };
        assert_eq!(uri, "http://host/p");
        assert_eq!(headers[0].1, "Basic YTpiIGM=");
        let is_local = |url: &str| {
            RemoteConfig { urls: vec![url.to_owned()], ..RemoteConfig::default() }.is_local()
        };
        for url in ["http://[::1]:1/", "localhost:8545", "ws://u:p@127.0.0.1:1/x", "a/b.ipc"] {
            assert!(is_local(url), "{url}");
        }
        assert!(!is_local("http://localhost.example/") && !is_local("https://h/v2/127.0.0.1"));
    }

    #[test]
    fn headers_are_checked() {
        assert_eq!(header("X-Key: a b").unwrap().1, "a b");
        assert!(header("no colon").is_err());
        assert!(header("bad name: x").is_err());
    }

    #[test]
    fn batches_are_put_in_order() {
        let text = br#"[{"id":1,"result":"b"},{"id":0,"result":null}]"#;
        let answers: Vec<_> = parse(text, 3).unwrap();
        assert_eq!(answers[0].as_ref().unwrap().get(), "null");
        assert_eq!(answers[1].as_ref().unwrap().get(), "\"b\"");
        assert!(matches!(answers[2], Err(Reason::Missing)));
        assert!(matches!(parse(b"<html>", 1), Err(Reason::Garbage { .. })));
        let error = parse(br#"{"id":0,"error":{"code":-32005,"message":"limit"}}"#, 1).unwrap();
        assert!(error[0].as_ref().unwrap_err().is_rate_limit());
    }
}
