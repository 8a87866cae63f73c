//! What happens to every request of a socket on its way to its method: a line in the log, and the
//! answer to names that nobody registered.

use crate::error::{INTERNAL, RpcError, SUBSCRIPTIONS};
use crate::local::Limits;
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::server::{BatchResponseBuilder, MethodCallback, MethodResponse, Methods};
use jsonrpsee::types::error::OVERSIZED_RESPONSE_CODE;
use jsonrpsee::types::{Id, Request};
use std::future::Future;
use std::time::{Duration, Instant};
use tracing::Level;

/// How long an `eth_unsubscribe` waits before it looks for its subscription again.
const UNSUBSCRIBE_WAITS: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
];

/// Wraps a service in [`Dispatch`].
#[derive(Clone, Debug)]
pub(crate) struct DispatchLayer {
    methods: Methods,
    limits: Limits,
}

impl DispatchLayer {
    /// A layer over a service of these methods, whose connections have these limits.
    pub(crate) fn new(methods: Methods, limits: Limits) -> Self {
        Self { methods, limits }
    }
}

impl<S> tower::Layer<S> for DispatchLayer {
    type Service = Dispatch<S>;

    fn layer(&self, service: S) -> Dispatch<S> {
        Dispatch { service, methods: self.methods.clone(), limits: self.limits }
    }
}

/// Hands requests to the service below it and logs them.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch<S> {
    service: S,
    methods: Methods,
    limits: Limits,
}

impl<S> RpcServiceT for Dispatch<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let known = self.methods.method_with_name(&request.method).map(|(name, callback)| {
            let notifies = matches!(
                callback,
                MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)
            );
            (name, notifies, matches!(callback, MethodCallback::Unsubscription(_)))
        });
        let start = start();
        let (service, limits) = (self.service.clone(), self.limits);
        async move {
            let Some((method, notifies, unsubscribes)) = known else {
                tracing::info!(target: "rpc", method = %request.method, "unknown method");
                return MethodResponse::error(
                    request.id.clone(),
                    RpcError::unknown_method(&request.method),
                );
            };
            // jsonrpsee answers a subscription over HTTP with an internal error.
            let id = request.id.clone().into_owned();
            let again = unsubscribes.then(|| request.clone());
            let mut response = service.call(request).await;
            if let Some(again) = again {
                response = found_late(&service, again, response).await;
            }
            // Its texts for limits name neither the limit nor what raises it.
            let better = match response.as_error_code() {
                Some(INTERNAL) if notifies => Some(RpcError::no_notifications()),
                Some(SUBSCRIPTIONS) => Some(RpcError::too_many_subscriptions(limits.subscriptions)),
                Some(OVERSIZED_RESPONSE_CODE) => Some(RpcError::too_long(limits.answer_bytes)),
                _ => None,
            };
            if let Some(error) = better {
                response = MethodResponse::error(id, error);
            }
            log(method, start, response.as_error_code());
            response
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let Limits { answer_bytes, batch: max, .. } = service.limits;
            if batch.len() > max {
                let error = RpcError::batch_too_large(batch.len(), max);
                return MethodResponse::error(Id::Null, error);
            }
            // Each answer is bounded by the service below; once their sum is too long, no more
            // calls are made.
            let mut answers = BatchResponseBuilder::new_with_limit(answer_bytes);
            let mut notified = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => service.call(request).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        notified = true;
                        service.notification(notification).await;
                        continue;
                    }
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if answers.append(answer).is_err() {
                    return MethodResponse::error(Id::Null, RpcError::too_long(answer_bytes));
                }
            }
            if answers.is_empty() && notified {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.service.notification(notification)
    }
}

/// Asks again for the end of a subscription that was not found.
///
/// jsonrpsee tells a client the id of its subscription a moment before it enters it in its list,
/// so a client that unsubscribes at once may be too early.
async fn found_late<S>(service: &S, request: Request<'_>, first: MethodResponse) -> MethodResponse
where
    S: RpcServiceT<MethodResponse = MethodResponse>,
{
    let mut response = first;
    for wait in UNSUBSCRIBE_WAITS {
        if !response.as_json().get().ends_with("\"result\":false}") {
            break;
        }
        tokio::time::sleep(wait).await;
        response = service.call(request.clone()).await;
    }
    response
}

/// When a request began, if somebody wants to know what it took.
pub(crate) fn start() -> Option<Instant> {
    tracing::enabled!(target: "rpc", Level::DEBUG).then(Instant::now)
}

/// One line a request: its name at info, as anvil prints it, and what it took at debug.
pub(crate) fn log(method: &str, start: Option<Instant>, error: Option<i32>) {
    tracing::info!(target: "rpc", "{method}");
    if let Some(start) = start {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(target: "rpc", method, micros, error, "answered");
    }
}
