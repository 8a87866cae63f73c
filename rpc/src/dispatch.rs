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

/// How long an `eth_unsubscribe` waits each time before it looks for its subscription again.
const UNSUBSCRIBE_WAITS_MS: [u64; 4] = [1, 10, 50, 250];

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
            let unsubscribes = matches!(callback, MethodCallback::Unsubscription(_));
            let notifies = unsubscribes || matches!(callback, MethodCallback::Subscription(_));
            (name, notifies, unsubscribes)
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
            let mut response = if unsubscribes {
                unsubscribe(|| service.call(request.clone())).await
            } else {
                service.call(request).await
            };
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

/// Asks for the end of a subscription, and again if it is not found.
///
/// jsonrpsee tells a client the id of its subscription a moment before it enters it in its list,
/// so a client that unsubscribes at once may be too early.
pub(crate) async fn unsubscribe<F>(call: impl Fn() -> F) -> MethodResponse
where
    F: Future<Output = MethodResponse>,
{
    for wait in UNSUBSCRIBE_WAITS_MS {
        let response = call().await;
        if !response.as_json().get().ends_with("\"result\":false}") {
            return response;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    call().await
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

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::core::server::ResponsePayload;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_subscription_that_is_listed_late_ends() {
        for (listed, ends) in [(1, true), (4, true), (6, false)] {
            let calls = Cell::new(0);
            let response = unsubscribe(|| {
                calls.set(calls.get() + 1);
                let found = ResponsePayload::success(calls.get() >= listed);
                std::future::ready(MethodResponse::response(Id::Number(1), found, 100))
            });
            let answer: serde_json::Value =
                serde_json::from_str(response.await.as_json().get()).unwrap();
            assert_eq!((answer["result"].as_bool(), calls.get()), (Some(ends), listed.min(5)));
        }
    }
}
