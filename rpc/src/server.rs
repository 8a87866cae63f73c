//! One port for everything: JSON-RPC by HTTP POST and by WebSocket, and `GET /health`.
//!
//! axum owns the socket, `http` answers POST, jsonrpsee the WebSockets. Two traps, both found in a
//! trial: the jsonrpsee service is built per socket, for a shared one would give all sockets one
//! connection id; and shutdown waits for `StopHandle::shutdown`, never for
//! `ServerHandle::stopped`, which would wait for the router that waits for it.

use crate::dispatch::DispatchLayer;
use crate::http::Posts;
use crate::subscription_id::SubscriptionIds;
use ::http::header::{CONTENT_TYPE, ORIGIN};
use ::http::{HeaderValue, Method, StatusCode};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, ServiceExt};
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, Methods, PingConfig, ServerBuilder, ServerHandle, StopHandle, stop_channel,
};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// A socket that answers no ping for so long is closed.
const SILENT_MAX: Duration = Duration::from_secs(300);

/// Which web pages may use the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every page: the default of a dev chain.
    #[default]
    Any,
    /// The pages of these origins; requests that name another origin are refused.
    Only(Vec<HeaderValue>),
    /// No page: no CORS headers, and requests that name an origin are refused.
    Nobody,
}

/// Where the server listens, and its limits.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on; port 0 picks a free one.
    pub address: SocketAddr,
    /// Which web pages may use the node.
    pub origins: Origins,
    /// Bytes of one request, a batch counting as one.
    pub request_bytes_max: u32,
    /// Bytes of one answer, a batch counting as one.
    pub response_bytes_max: u32,
    /// Requests in flight and open sockets together.
    pub connections_max: u32,
    /// Calls in one batch.
    pub batch_max: u32,
    /// Subscriptions of one socket.
    pub subscriptions_max: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8545)),
            origins: Origins::Any,
            request_bytes_max: 128 << 20,
            response_bytes_max: 256 << 20,
            connections_max: 4_096,
            batch_max: 10_000,
            subscriptions_max: 1_024,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address it listens on, with the port that was picked.
    pub local_addr: SocketAddr,
    methods: Methods,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl Server {
    /// The methods it serves, to serve them elsewhere too.
    pub fn methods(&self) -> Methods {
        self.methods.clone()
    }

    /// Stops listening, lets requests in flight end and closes the sockets.
    pub async fn stop(self) {
        // An error says that it has stopped already.
        let _ = self.handle.stop();
        let mut task = self.task;
        if tokio::time::timeout(Duration::from_secs(5), &mut task).await.is_err() {
            tracing::warn!("requests still in flight after 5 s, closing their connections");
            task.abort();
        }
    }
}

/// Serves `methods` at the configured address.
pub(crate) async fn listen(methods: Methods, config: ServerConfig) -> std::io::Result<Server> {
    let listener = TcpListener::bind(config.address).await?;
    let local_addr = listener.local_addr()?;
    let (stop, handle) = stop_channel();
    let app = serve(methods.clone(), &config, stop.clone()).into_make_service();
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(async move { stop.shutdown().await })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the server has stopped");
        }
    });
    Ok(Server { local_addr, methods, handle, task })
}

/// POST goes straight to its methods; all else has the time to go through a router.
fn serve(
    methods: Methods,
    config: &ServerConfig,
    stop: StopHandle,
) -> impl Service<
    Request,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    let posts = Arc::new(Posts::new(methods.clone(), config));
    let origins = Arc::new(config.origins.clone());
    let router = router(methods, config, stop);
    tower::service_fn(move |request: Request| {
        let (posts, refused) = (posts.clone(), refuse(&origins, &request));
        let router = (request.method() != Method::POST).then(|| router.clone());
        async move {
            match (refused, router) {
                (Some(refusal), _) => Ok(refusal),
                (None, Some(router)) => router.oneshot(request).await,
                (None, None) => Ok(posts.answer(request).await),
            }
        }
    })
}

fn router(methods: Methods, config: &ServerConfig, stop: StopHandle) -> Router {
    let builder = ServerBuilder::with_config(json_rpc_config(config))
        .set_rpc_middleware(RpcServiceBuilder::new().layer(DispatchLayer::new(methods.clone())))
        .to_service_builder();
    let sockets = tower::service_fn(move |request: Request| {
        let mut service = builder.clone().build(methods.clone(), stop.clone());
        async move {
            Ok::<_, Infallible>(match service.call(request).await {
                Ok(response) => response.into_response(),
                Err(error) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
                }
            })
        }
    });
    let app = Router::new().route("/health", get(health)).fallback_service(sockets);
    match cors(&config.origins) {
        Some(layer) => app.layer(layer),
        None => app,
    }
}

fn json_rpc_config(config: &ServerConfig) -> jsonrpsee::server::ServerConfig {
    jsonrpsee::server::ServerConfig::builder()
        .max_request_body_size(config.request_bytes_max)
        .max_response_body_size(config.response_bytes_max)
        .max_connections(config.connections_max)
        .max_subscriptions_per_connection(config.subscriptions_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .set_id_provider(SubscriptionIds)
        .enable_ws_ping(PingConfig::new().inactive_limit(SILENT_MAX))
        .build()
}

async fn health() -> &'static str {
    "ok"
}

fn cors(origins: &Origins) -> Option<CorsLayer> {
    let allowed = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Only(list) => AllowOrigin::list(list.iter().cloned()),
        Origins::Nobody => return None,
    };
    let methods = [Method::GET, Method::POST];
    Some(
        CorsLayer::new().allow_origin(allowed).allow_headers([CONTENT_TYPE]).allow_methods(methods),
    )
}

/// Refuses a page that is not on the list. CORS alone would only keep it from reading the answer,
/// and does not hold for sockets.
fn refuse(origins: &Origins, request: &Request) -> Option<Response> {
    let origin = request.headers().get(ORIGIN)?;
    let allowed = match origins {
        Origins::Any => true,
        Origins::Only(list) => list.contains(origin),
        Origins::Nobody => false,
    };
    let text = || format!("origin {:?} is not allowed\n", origin.to_str().unwrap_or("?"));
    (!allowed).then(|| (StatusCode::FORBIDDEN, text()).into_response())
}

#[cfg(test)]
mod tests;
