//! Calls methods in this process: what HTTP, WebSocket and IPC have in common.
//!
//! A request goes from its bytes to the method's function, which appends its result to the
//! answer's.

use crate::arguments::Arguments;
use crate::connection::{Connection, Feed};
use crate::error::{Reply, RpcError};
use crate::methods::{Answer, Method, MethodTable, Step, Subscribe};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, Params};
use parking_lot::Mutex;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tracing::Level;

/// What one connection may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request, a batch counting as one.
    pub request_bytes: usize,
    /// Bytes of one answer, a batch counting as one.
    pub answer_bytes: usize,
    /// Calls in one batch.
    pub batch: usize,
    /// Subscriptions.
    pub subscriptions: u32,
}

/// Calls methods: for one request of a connection that can be told things, or for many that can't.
#[derive(Debug)]
pub(crate) struct Local {
    table: MethodTable,
    /// Whom to tell things; nobody over HTTP.
    connection: Option<Arc<Connection>>,
    /// Subscriptions, to be told once the answer is on its way.
    begun: Mutex<Begun>,
    limits: Limits,
}

/// Subscriptions that have begun, with their ids.
#[derive(Default)]
struct Begun(Vec<(String, Feed)>);

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl Local {
    /// Calls the methods of `table`; what they tell goes to `connection`.
    pub(crate) fn new(
        table: MethodTable,
        connection: Option<Arc<Connection>>,
        limits: Limits,
    ) -> Self {
        Self { table, connection, begun: Mutex::default(), limits }
    }

    /// The subscriptions that have begun, with their ids.
    pub(crate) fn into_begun(self) -> Vec<(String, Feed)> {
        self.begun.into_inner().0
    }

    /// The methods that it calls.
    #[cfg(test)]
    pub(crate) const fn table(&self) -> &MethodTable {
        &self.table
    }

    /// Appends the answer to one request or batch to `out`. Notifications have no answer.
    pub(crate) async fn answer(&self, text: &[u8], out: Vec<u8>) -> Vec<u8> {
        let text = text.trim_ascii_start();
        if text.first() == Some(&b'[') {
            self.answer_batch(text, out).await
        } else {
            self.answer_one(text, out).await
        }
    }

    async fn answer_batch(&self, text: &[u8], mut out: Vec<u8>) -> Vec<u8> {
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(text) else {
            return error_of(out, &Id::Null, ErrorCode::ParseError);
        };
        if entries.is_empty() {
            return error_of(out, &Id::Null, ErrorCode::InvalidRequest);
        }
        let max = self.limits.batch;
        if entries.len() > max {
            return error_of(out, &Id::Null, RpcError::batch_too_large(entries.len(), max));
        }
        // Each answer is bounded; once their sum is too long, no more calls are made.
        let start = out.len();
        for entry in entries {
            let end = out.len();
            if end - start > self.limits.answer_bytes {
                out.truncate(start);
                let error = RpcError::too_long(self.limits.answer_bytes);
                return error_of(out, &Id::Null, error);
            }
            out.push(if end == start { b'[' } else { b',' });
            out = self.answer_one(entry.get().as_bytes(), out).await;
            if out.len() == end + 1 {
                out.truncate(end);
            }
        }
        if out.len() > start {
            out.push(b']');
        }
        out
    }

    async fn answer_one(&self, text: &[u8], out: Vec<u8>) -> Vec<u8> {
        let incoming = match Incoming::parse(text) {
            Ok(incoming) => incoming,
            Err((id, code)) => return error_of(out, &id, code),
        };
        let Some(id) = incoming.id else { return out };
        let params = Params::new(incoming.params.map(RawValue::get));
        // If somebody wants to know what it took.
        let start = tracing::enabled!(target: "rpc", Level::DEBUG).then(Instant::now);
        let mut answer = begin(out, id);
        let member = answer.len();
        answer.extend_from_slice(b",\"result\":");
        let answer = Answer::new(answer, self.limits.answer_bytes);
        let found = self.table.find(&incoming.method);
        let (answer, result) = match (found, Arguments::new(&params)) {
            (None, _) => (answer, Err(RpcError::unknown_method(&incoming.method))),
            (_, Err(error)) => (answer, Err(error)),
            (Some((_, Method::Call(call))), Ok(arguments)) => match call(arguments, answer) {
                Step::Done(answered) => answered,
                Step::Waits(answered) => answered.await,
            },
            (Some((_, Method::Subscribe(method))), Ok(arguments)) => {
                answer.with(self.subscribe(method, arguments).await)
            }
            (Some((name, Method::Unsubscribe)), Ok(arguments)) => {
                answer.with(self.unsubscribe(name, arguments))
            }
        };
        match found {
            Some((name, _)) => log(name, start, result.as_ref().err().map(RpcError::code)),
            None => tracing::info!(target: "rpc", method = %incoming.method, "unknown method"),
        }
        let mut out = answer.into_text();
        match result {
            Ok(()) => out.push(b'}'),
            Err(error) => {
                out.truncate(member);
                end_with_error(&mut out, error);
            }
        }
        out
    }

    /// Begins a subscription; its id.
    async fn subscribe(&self, method: &Subscribe, arguments: Arguments) -> Reply<String> {
        let connection = self.connection()?;
        let (id, notifier) = connection
            .subscribe(method.notification, method.end)
            .ok_or_else(|| RpcError::too_many_subscriptions(self.limits.subscriptions))?;
        match (method.begin)(arguments, notifier).await {
            Ok(feed) => self.begun.lock().0.push((id.clone(), feed)),
            Err(error) => {
                connection.forget(&id);
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Ends a subscription; whether there was one.
    fn unsubscribe(&self, name: &str, mut arguments: Arguments) -> Reply<bool> {
        let connection = self.connection()?;
        Ok(connection.unsubscribe(&arguments.required::<String>("subscription id")?, name))
    }

    fn connection(&self) -> Reply<&Connection> {
        self.connection.as_deref().ok_or_else(RpcError::no_notifications)
    }
}

/// One line a request: its name at info, as anvil prints it, and what it took at debug.
fn log(method: &str, start: Option<Instant>, error: Option<i32>) {
    tracing::info!(target: "rpc", message = method);
    if let Some(start) = start {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(target: "rpc", method, micros, error, "answered");
    }
}

/// Begins an answer with the request's own id.
fn begin(mut out: Vec<u8>, id: &RawValue) -> Vec<u8> {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.get().as_bytes());
    out
}

fn end_with_error(out: &mut Vec<u8>, error: RpcError) {
    out.extend_from_slice(b",\"error\":");
    to_writer(out, &ErrorObjectOwned::from(error));
    out.push(b'}');
}

/// An answer to what is no request.
pub(crate) fn error_of(
    mut out: Vec<u8>,
    id: &Id<'_>,
    error: impl Into<ErrorObjectOwned>,
) -> Vec<u8> {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    to_writer(&mut out, id);
    out.extend_from_slice(b",\"error\":");
    to_writer(&mut out, &error.into());
    out.push(b'}');
    out
}

fn to_writer(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(out, value)
        .expect("ids and error objects have no maps and write to memory");
}

/// A request as it comes in.
#[derive(Debug, Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

impl<'a> Incoming<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, (Id<'a>, ErrorCode)> {
        #[derive(Deserialize)]
        struct OnlyId<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
        }
        let parsed: Result<Self, _> = serde_json::from_slice(text);
        match parsed {
            Ok(incoming) if incoming.id.is_none_or(is_id) => Ok(incoming),
            Ok(_) => Err((Id::Null, ErrorCode::InvalidRequest)),
            Err(_) if serde_json::from_slice::<IgnoredAny>(text).is_err() => {
                Err((Id::Null, ErrorCode::ParseError))
            }
            Err(_) => {
                let id = serde_json::from_slice::<OnlyId<'a>>(text).ok().and_then(|only| only.id);
                Err((id.and_then(parse_id).unwrap_or(Id::Null), ErrorCode::InvalidRequest))
            }
        }
    }
}

/// What is there, null too: only a request without an id is a notification.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Whether it is a number, a string, or null.
fn is_id(text: &RawValue) -> bool {
    matches!(text.get().as_bytes().first(), Some(b'"' | b'n' | b'-' | b'0'..=b'9'))
}

/// The id of what is no request; negative numbers and fractions are not told back.
fn parse_id(text: &RawValue) -> Option<Id<'_>> {
    match text.get().as_bytes().first()? {
        b'"' => {
            #[derive(Deserialize)]
            struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
            serde_json::from_str::<Text<'_>>(text.get()).ok().map(|text| Id::Str(text.0))
        }
        b'n' => Some(Id::Null),
        _ => text.get().parse().ok().map(Id::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_notifications_and_nonsense() {
        let parse = |text: &'static str| Incoming::parse(text.as_bytes());
        let call = parse(r#"{"jsonrpc":"2.0","id":"a\"b","method":"m","params":[1]}"#).unwrap();
        assert_eq!(call.id.and_then(parse_id), Some(Id::Str("a\"b".into())));
        assert_eq!(call.params.map(RawValue::get), Some("[1]"));
        let call = parse(r#"{"id":7,"method":"m"}"#).unwrap();
        assert_eq!(call.id.and_then(parse_id), Some(Id::Number(7)));
        assert!(parse(r#"{"method":"m"}"#).unwrap().id.is_none());
        for id in ["null", "-1", "1.5", "18446744073709551616", "0", "\"\""] {
            let text = format!(r#"{{"id":{id},"method":"m"}}"#);
            let call = Incoming::parse(text.as_bytes()).unwrap();
            assert_eq!(call.id.map(RawValue::get), Some(id));
        }
        let error = |text| parse(text).unwrap_err();
        assert_eq!(error(r#"{"id":7}"#), (Id::Number(7), ErrorCode::InvalidRequest));
        for bad in [r#"{"id":{},"method":"m"}"#, r#"{"id":[1],"method":"m"}"#] {
            assert_eq!(error(bad), (Id::Null, ErrorCode::InvalidRequest));
        }
        assert_eq!(error(r#"{"id":true,"method":"m"}"#), (Id::Null, ErrorCode::InvalidRequest));
        assert_eq!(error("{"), (Id::Null, ErrorCode::ParseError));
        assert_eq!(error("5"), (Id::Null, ErrorCode::InvalidRequest));
    }
}
