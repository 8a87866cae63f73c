//! Calls methods in this process: what HTTP and IPC have in common.
//!
//! jsonrpsee's own way from an HTTP request to a method costs half of what a small read takes, most
//! of it in wrapping bodies and extensions; here a request goes from its bytes to the method's
//! function and back. Sockets stay with jsonrpsee.

use crate::dispatch::{Dispatch, DispatchLayer};
use crate::error::RpcError;
use crate::subscription_id::SubscriptionIds;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::server::{
    BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionState,
};
use jsonrpsee::types::error::reject_too_big_batch_request;
use jsonrpsee::types::{ErrorCode, ErrorObject, Id, Params, Request};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::Layer;

/// What one connection may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one answer.
    pub(crate) answer_bytes: usize,
    /// Calls in one batch.
    pub(crate) batch: usize,
    /// Subscriptions.
    pub(crate) subscriptions: u32,
}

/// Calls methods for one connection, or for many that can't be told things.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    methods: Methods,
    /// Where notifications go; nowhere over HTTP.
    sink: Option<MethodSink>,
    subscriptions: BoundedSubscriptions,
    connection: ConnectionId,
    limits: Limits,
}

impl Local {
    /// A service of `methods` whose notifications go into `sink`.
    pub(crate) fn service(
        methods: Methods,
        sink: Option<MethodSink>,
        limits: Limits,
    ) -> Dispatch<Self> {
        // Sockets have 32-bit ids of their own: these stay above.
        static NEXT: AtomicUsize = AtomicUsize::new(1 << 32);
        let shared = Shared {
            methods: methods.clone(),
            sink,
            subscriptions: BoundedSubscriptions::new(limits.subscriptions),
            connection: ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed)),
            limits,
        };
        DispatchLayer::new(methods).layer(Self { shared: Arc::new(shared) })
    }
}

impl Dispatch<Local> {
    /// Answers one request or batch. Notifications have no answer, and subscriptions send theirs
    /// themselves.
    pub(crate) async fn answer(&self, text: &[u8]) -> Option<Box<RawValue>> {
        let text = text.trim_ascii_start();
        let response = if text.first() == Some(&b'[') {
            self.answer_batch(text).await
        } else {
            match Incoming::parse(text) {
                Ok(Incoming { id: None, .. }) => return None,
                Ok(incoming) => self.call(incoming.into_request()).await,
                Err((id, code)) => MethodResponse::error(id, ErrorObject::from(code)),
            }
        };
        (response.is_method_call() || response.is_batch()).then(|| response.into_json())
    }

    async fn answer_batch(&self, text: &[u8]) -> MethodResponse {
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(text) else {
            return MethodResponse::error(Id::Null, ErrorObject::from(ErrorCode::ParseError));
        };
        let max = self.below().shared.limits.batch;
        if entries.len() > max {
            return MethodResponse::error(Id::Null, reject_too_big_batch_request(max));
        }
        let entries =
            entries.into_iter().map(|entry| match Incoming::parse(entry.get().as_bytes()) {
                Ok(Incoming { id: None, method, .. }) => {
                    Ok(BatchEntry::Notification(Notification::new(method, None)))
                }
                Ok(incoming) => Ok(BatchEntry::Call(incoming.into_request())),
                Err((id, code)) => Err(BatchEntryErr::new(id, code.into())),
            });
        self.batch(Batch::from(entries.collect::<Vec<_>>())).await
    }
}

/// A request as it comes in.
#[derive(Debug, Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
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
            Ok(incoming) if incoming.id.is_none_or(|id| parse_id(id).is_some()) => Ok(incoming),
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

    fn into_request(self) -> Request<'a> {
        let id = self.id.and_then(parse_id).unwrap_or(Id::Null);
        Request {
            jsonrpc: jsonrpsee::types::TwoPointZero,
            id,
            method: self.method,
            params: self.params.map(Cow::Borrowed),
            extensions: ::http::Extensions::new(),
        }
    }
}

/// A number, a string, or null.
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

impl RpcServiceT for Local {
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let shared = self.shared.clone();
        async move {
            let Request { id, method, params, extensions, .. } = request;
            let params = Params::new(params.as_ref().map(|p| p.get()));
            let bytes_max = shared.limits.answer_bytes;
            match shared.methods.method(&method) {
                None => MethodResponse::error(id, RpcError::unknown_method(&method)),
                Some(MethodCallback::Sync(call)) => call(id, params, bytes_max, extensions),
                Some(MethodCallback::Async(call)) => {
                    let (id, params) = (id.into_owned(), params.into_owned());
                    call(id, params, shared.connection, bytes_max, extensions).await
                }
                Some(MethodCallback::Subscription(call)) => {
                    let Some(sink) = shared.sink.clone() else {
                        return MethodResponse::error(id, RpcError::no_notifications());
                    };
                    let Some(subscription_permit) = shared.subscriptions.acquire() else {
                        let error = RpcError::too_many_subscriptions(shared.limits.subscriptions);
                        return MethodResponse::error(id, error);
                    };
                    let state = SubscriptionState {
                        conn_id: shared.connection,
                        id_provider: &SubscriptionIds,
                        subscription_permit,
                    };
                    call(id, params, sink, state, extensions).await
                }
                Some(MethodCallback::Unsubscription(call)) => {
                    if shared.sink.is_none() {
                        return MethodResponse::error(id, RpcError::no_notifications());
                    }
                    call(id, params, shared.connection, bytes_max, extensions)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_notifications_and_nonsense() {
        let parse = |text: &'static str| Incoming::parse(text.as_bytes());
        let call = parse(r#"{"jsonrpc":"2.0","id":"a\"b","method":"m","params":[1]}"#).unwrap();
        let request = call.into_request();
        assert_eq!(request.id, Id::Str("a\"b".into()));
        assert_eq!(request.params.map(|p| p.get().to_owned()).as_deref(), Some("[1]"));
        assert_eq!(parse(r#"{"id":7,"method":"m"}"#).unwrap().into_request().id, Id::Number(7));
        assert!(parse(r#"{"method":"m"}"#).unwrap().id.is_none());
        let error = |text| parse(text).unwrap_err();
        assert_eq!(error(r#"{"id":7}"#), (Id::Number(7), ErrorCode::InvalidRequest));
        assert_eq!(error(r#"{"id":{},"method":"m"}"#), (Id::Null, ErrorCode::InvalidRequest));
        assert_eq!(error("{"), (Id::Null, ErrorCode::ParseError));
        assert_eq!(error("5"), (Id::Null, ErrorCode::InvalidRequest));
    }
}
