//! One port for everything: JSON-RPC by HTTP POST and by WebSocket, and `GET /health`.
//!
//! A connection begins in the [`lane`](crate::lane), which answers plain POST requests; all else
//! goes to axum, where `http` answers POST, and `socket` the WebSockets.

use crate::hosts::Hosts;
use crate::http::Posts;
use crate::lane::{Handed, Lane};
use crate::local::Limits;
use crate::methods::MethodTable;
use crate::socket::{self, Sockets};
use ::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use ::http::{HeaderValue, Method, StatusCode};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::Listener;
use axum::{Router, ServiceExt};
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Cursor};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, Chain, Join};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Connections that may wait to be taken.
const WAITING_MAX: u32 = 4096;

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
    /// More addresses to listen on, at the same port.
    pub more: Vec<IpAddr>,
    /// Which web pages may use the node.
    pub origins: Origins,
    /// By which names requests may call the node.
    pub hosts: Hosts,
    /// Refuses POST requests whose content type is not JSON.
    pub json_only: bool,
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
            more: Vec::new(),
            origins: Origins::Any,
            hosts: Hosts::default(),
            json_only: false,
            request_bytes_max: 128 << 20,
            response_bytes_max: 256 << 20,
            connections_max: 4_096,
            batch_max: 10_000,
            subscriptions_max: 1_024,
        }
    }
}

impl ServerConfig {
    /// What one connection may do.
    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            request_bytes: self.request_bytes_max as usize,
            answer_bytes: self.response_bytes_max as usize,
            batch: self.batch_max as usize,
            subscriptions: self.subscriptions_max,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address it listens on, with the port that was picked.
    pub local_addr: SocketAddr,
    /// The other ones.
    pub more: Vec<SocketAddr>,
    methods: MethodTable,
    limits: Limits,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// The methods it serves, to serve them elsewhere too.
    pub fn methods(&self) -> MethodTable {
        self.methods.clone()
    }

    /// What each of its connections may do, for those elsewhere.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Stops listening, lets requests in flight end and closes the sockets.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut tasks = self.tasks;
        let ended = async {
            while tasks.join_next().await.is_some() {}
            // Each socket has a receiver.
            self.stop.closed().await;
        };
        if tokio::time::timeout(Duration::from_secs(5), ended).await.is_err() {
            tracing::warn!("requests still in flight after 5 s, closing their connections");
        }
    }
}

/// Serves `methods`, and `paths` beside them, at the configured addresses.
pub(crate) async fn listen(
    methods: MethodTable,
    paths: Router,
    config: ServerConfig,
) -> io::Result<Server> {
    let first = bind(config.address)?;
    let local_addr = first.local_addr()?;
    let (mut listeners, mut more) = (vec![(first, local_addr)], Vec::new());
    for ip in &config.more {
        let address = SocketAddr::new(*ip, local_addr.port());
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        listeners.push((bind(address).map_err(named)?, address));
        more.push(address);
    }
    let (sender, stop) = watch::channel(false);
    let posts = Arc::new(Posts::new(methods.clone(), &config));
    let (table, limits) = (methods.clone(), config.limits());
    let sockets = Sockets { posts: posts.clone(), table, limits, stop: stop.clone() };
    let app = serve(sockets, (paths, &config));
    let app = app.into_make_service();
    let mut tasks = JoinSet::new();
    for (listener, local_addr) in listeners {
        let (app, stop) = (app.clone(), stop.clone());
        let (sender, connections) = unbounded_channel();
        let lane = Lane::new(posts.clone(), sender)?;
        tasks.spawn(async move {
            let ends = stop.clone();
            let served = axum::serve(Leaving { connections, local_addr }, app)
                .with_graceful_shutdown(stopped(ends));
            let (served, ()) = tokio::join!(served, accept(listener, lane, stop));
            if let Err(error) = served {
                tracing::error!(%error, "the server has stopped");
            }
        });
    }
    Ok(Server { local_addr, more, methods, limits, stop: sender, tasks })
}

/// Listens at an address. `TcpListener::bind` lets 128 connections wait to be taken: each of
/// the others tries again after a second.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Waits for the end.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error says that nobody can tell any more: that is the end too.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Takes connections until the end, and then lets their requests end.
async fn accept(listener: TcpListener, lane: Lane, stop: watch::Receiver<bool>) {
    let mut stopped = std::pin::pin!(stopped(stop));
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        let connection = accepted.and_then(|(connection, _)| {
            connection.set_nodelay(true)?;
            connection.into_std()
        });
        match connection {
            Ok(connection) => lane.take(connection),
            Err(error) => {
                tracing::debug!(%error, "a connection that did not come about");
                // Without free file descriptors accepting again at once would spin.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    drop(listener);
    lane.close().await;
}

/// Connections that leave the lane, as axum takes them.
struct Leaving {
    connections: UnboundedReceiver<Handed>,
    local_addr: SocketAddr,
}

impl Listener for Leaving {
    type Io = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Some((connection, read)) = self.connections.recv().await else {
                // The lane is closed: there will be no more.
                return std::future::pending().await;
            };
            let joined = connection.set_nonblocking(true).and_then(|()| {
                let address = connection.peer_addr()?;
                let (reader, writer) = TcpStream::from_std(connection)?.into_split();
                Ok((tokio::io::join(Cursor::new(read).chain(reader), writer), address))
            });
            match joined {
                Ok(joined) => return joined,
                Err(error) => tracing::debug!(%error, "a connection that did not last"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }
}

/// POST goes straight to its methods; all else has the time to go through a router.
fn serve(
    sockets: Sockets,
    (paths, config): (Router, &ServerConfig),
) -> impl Service<
    Request,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    let allowed = Arc::new((config.origins.clone(), config.hosts.clone()));
    let posts = sockets.posts.clone();
    let router = router(sockets, (paths, config));
    tower::service_fn(move |request: Request| {
        let (posts, refused) = (posts.clone(), refuse(&allowed, &request));
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

fn router(sockets: Sockets, (paths, config): (Router, &ServerConfig)) -> Router {
    let sockets = any(socket::open).with_state(sockets);
    let app = paths.route("/health", get(health)).fallback_service(sockets);
    match cors(&config.origins) {
        Some(layer) => app.layer(layer),
        None => app,
    }
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

/// Refuses a name that the node must not be called by, and a page that is not on the list: CORS
/// alone would only keep it from reading the answer, and does not hold for sockets.
fn refuse((origins, hosts): &(Origins, Hosts), request: &Request) -> Option<Response> {
    let field = request.headers().get(HOST).map(|host| host.to_str().unwrap_or("?"));
    let host = field.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if let Some(host) = host.filter(|host| !hosts.allow(host)) {
        let text = format!("invalid host specified: {host:?}, allow it with --allow-host\n");
        return Some((StatusCode::FORBIDDEN, text).into_response());
    }
    let origin = request.headers().get(ORIGIN)?;
    let allowed = match origins {
        Origins::Any => true,
        Origins::Only(list) => list.contains(origin),
        Origins::Nobody => false,
    };
    let text = || {
        let origin = origin.to_str().unwrap_or("?");
        format!("origin {origin:?} is not allowed, allow it with --allow-origin\n")
    };
    (!allowed).then(|| (StatusCode::FORBIDDEN, text()).into_response())
}

#[cfg(test)]
mod tests;
