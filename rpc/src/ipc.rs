//! The same methods over any stream of bytes, as geth's and anvil's IPC: JSON values one after
//! another in both directions, with or without white space between them.

use crate::dispatch::{Dispatch, DispatchLayer};
use crate::error::RpcError;
use crate::subscription_id::SubscriptionIds;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::server::{
    BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionState,
};
use jsonrpsee::types::{ErrorCode, ErrorObject, Id, InvalidRequest, Params, Request};
use serde_json::value::RawValue;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tower::Layer;

/// Answers and notifications that wait for a slow reader.
const WAITING_MAX: usize = 1_024;
const SUBSCRIPTIONS_MAX: u32 = 1_024;
const REQUEST_BYTES_MAX: usize = 128 << 20;
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Serves `methods` over one stream until the other side closes it.
pub async fn serve_stream<S>(methods: Methods, stream: S) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut waiting) = mpsc::channel::<Box<RawValue>>(WAITING_MAX);
    let service =
        Arc::new(DispatchLayer::new(methods.clone()).layer(Local::new(methods, &answers)));
    tokio::spawn(async move {
        while let Some(answer) = waiting.recv().await {
            let written = async {
                writer.write_all(answer.get().as_bytes()).await?;
                writer.write_all(b"\n").await
            };
            if written.await.is_err() {
                return;
            }
        }
    });
    let mut values = Values::default();
    loop {
        if reader.read_buf(&mut values.bytes).await? == 0 {
            return Ok(());
        }
        while let Some(value) = values.take_next() {
            let (service, answers) = (service.clone(), answers.clone());
            tokio::spawn(async move {
                if let Some(answer) = answer(&service, &value).await {
                    // An error says that the other side is gone.
                    let _ = answers.send(answer).await;
                }
            });
        }
        if values.bytes.len() > REQUEST_BYTES_MAX {
            let error = RpcError::new(-32600, format!("request over {REQUEST_BYTES_MAX} bytes"));
            let _ = answers.send(MethodResponse::error(Id::Null, error).into_json()).await;
            return Ok(());
        }
    }
}

/// Answers one request or batch. Subscriptions send their answer themselves.
async fn answer(service: &Dispatch<Local>, text: &[u8]) -> Option<Box<RawValue>> {
    let response = if text.first() == Some(&b'[') {
        match serde_json::from_slice::<Vec<&RawValue>>(text) {
            Ok(entries) => {
                service.batch(Batch::from(entries.into_iter().map(entry).collect::<Vec<_>>())).await
            }
            Err(_) => MethodResponse::error(Id::Null, ErrorObject::from(ErrorCode::ParseError)),
        }
    } else if let Ok(request) = serde_json::from_slice::<Request<'_>>(text) {
        service.call(request).await
    } else if serde_json::from_slice::<Notification<'_>>(text).is_ok() {
        return None;
    } else {
        let (id, code) = match serde_json::from_slice::<InvalidRequest<'_>>(text) {
            Ok(request) => (request.id, ErrorCode::InvalidRequest),
            Err(_) => (Id::Null, ErrorCode::ParseError),
        };
        MethodResponse::error(id, ErrorObject::from(code))
    };
    (response.is_method_call() || response.is_batch()).then(|| response.into_json())
}

fn entry(text: &RawValue) -> Result<BatchEntry<'_>, BatchEntryErr<'_>> {
    if let Ok(request) = serde_json::from_str(text.get()) {
        return Ok(BatchEntry::Call(request));
    }
    if let Ok(notification) = serde_json::from_str(text.get()) {
        return Ok(BatchEntry::Notification(notification));
    }
    let id = serde_json::from_str::<InvalidRequest<'_>>(text.get()).map_or(Id::Null, |r| r.id);
    Err(BatchEntryErr::new(id, ErrorCode::InvalidRequest.into()))
}

/// Calls methods in this process, for one stream.
#[derive(Clone, Debug)]
struct Local {
    methods: Methods,
    answers: MethodSink,
    subscriptions: BoundedSubscriptions,
    connection: ConnectionId,
}

impl Local {
    fn new(methods: Methods, answers: &mpsc::Sender<Box<RawValue>>) -> Self {
        // Sockets have 32-bit ids of their own: these stay above.
        static NEXT: AtomicUsize = AtomicUsize::new(1 << 32);
        Self {
            methods,
            answers: MethodSink::new(answers.clone()),
            subscriptions: BoundedSubscriptions::new(SUBSCRIPTIONS_MAX),
            connection: ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl RpcServiceT for Local {
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let local = self.clone();
        async move {
            let Request { id, method, params, extensions, .. } = request;
            let params = Params::new(params.as_ref().map(|p| p.get()));
            match local.methods.method(&method) {
                None => MethodResponse::error(id, RpcError::unknown_method(&method)),
                Some(MethodCallback::Sync(call)) => call(id, params, ANSWER_BYTES_MAX, extensions),
                Some(MethodCallback::Async(call)) => {
                    let (id, params) = (id.into_owned(), params.into_owned());
                    call(id, params, local.connection, ANSWER_BYTES_MAX, extensions).await
                }
                Some(MethodCallback::Subscription(call)) => {
                    let Some(subscription_permit) = local.subscriptions.acquire() else {
                        let error = RpcError::too_many_subscriptions(SUBSCRIPTIONS_MAX);
                        return MethodResponse::error(id, error);
                    };
                    let state = SubscriptionState {
                        conn_id: local.connection,
                        id_provider: &SubscriptionIds,
                        subscription_permit,
                    };
                    call(id, params, local.answers.clone(), state, extensions).await
                }
                Some(MethodCallback::Unsubscription(call)) => {
                    call(id, params, local.connection, ANSWER_BYTES_MAX, extensions)
                }
            }
        }
    }

    fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        // `Dispatch` takes batches apart before they come here.
        let error = ErrorObject::from(ErrorCode::InternalError);
        std::future::ready(MethodResponse::error(Id::Null, error))
    }

    fn notification<'a>(
        &self,
        _: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        std::future::ready(MethodResponse::notification())
    }
}

/// Finds where JSON objects and arrays end in a stream, looking at each byte once.
#[derive(Debug, Default)]
struct Values {
    bytes: Vec<u8>,
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Values {
    fn take_next(&mut self) -> Option<Vec<u8>> {
        while let Some(&byte) = self.bytes.get(self.scanned) {
            self.scanned += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.split());
                    }
                }
                // Between two values, only a line can be told from the next one.
                b'\n' if self.depth == 0 => {
                    let line = self.split();
                    if !line.is_empty() {
                        return Some(line);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn split(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.scanned);
        let value = std::mem::replace(&mut self.bytes, rest);
        self.scanned = 0;
        value.trim_ascii().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_however_they_arrive() {
        let stream = br#" {"a":"}\"{"}[{"b":[1]}, 2]
          {"c":1}x"#;
        let mut values = Values::default();
        let mut found = Vec::new();
        for byte in stream {
            values.bytes.push(*byte);
            found.extend(values.take_next());
        }
        let text: Vec<_> = found.iter().map(|v| String::from_utf8_lossy(v)).collect();
        assert_eq!(text, [r#"{"a":"}\"{"}"#, r#"[{"b":[1]}, 2]"#, r#"{"c":1}"#]);
        values.bytes.push(b'\n');
        assert_eq!(values.take_next().as_deref(), Some(b"x".as_slice()));
        assert_eq!(values.take_next(), None);
    }
}
