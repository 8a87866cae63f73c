//! JSON-RPC by WebSocket: each message is a request or a batch, and so is each answer.

use crate::connection::{Connection, WAITING_BYTES_MAX};
use crate::error::RpcError;
use crate::http::Posts;
use crate::local::{Limits, error_of};
use crate::methods::MethodTable;
use crate::server::stopped;
use crate::wire::STUCK_MAX;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jsonrpsee::types::Id;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, interval_at, timeout};
use tungstenite::Error;
use tungstenite::error::CapacityError;

/// How often a socket is asked whether it is still there.
const PAUSE: Duration = Duration::from_secs(30);
/// A socket that says nothing for so long is closed.
const SILENT_MAX: Duration = Duration::from_secs(300);
/// Bytes beside a message that lie unsent: with more than that, pings get no answer of their own.
const UNSENT_MAX: usize = 1 << 20;
/// Requests of one socket that are answered at a time; the next ones wait in the kernel.
const REQUESTS_MAX: usize = 1_024;

/// What sockets are opened with.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    pub(crate) posts: Arc<Posts>,
    pub(crate) table: MethodTable,
    pub(crate) limits: Limits,
    /// Says true at the node's end.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Makes a WebSocket of a GET request that asks for one.
pub(crate) async fn open(
    State(sockets): State<Sockets>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return (StatusCode::METHOD_NOT_ALLOWED, "use POST or a WebSocket\n").into_response();
    };
    let Ok(permit) = Arc::clone(&sockets.posts.in_flight).try_acquire_owned() else {
        return sockets.posts.too_many();
    };
    let bytes_max = sockets.limits.request_bytes;
    let message_max = sockets.limits.answer_bytes.max(WAITING_BYTES_MAX);
    let upgrade = upgrade
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max)
        .max_write_buffer_size(message_max.saturating_add(UNSENT_MAX));
    upgrade.on_upgrade(|socket| serve(socket, sockets, permit))
}

/// Answers what a socket asks until it closes or the node stops.
async fn serve(mut socket: WebSocket, sockets: Sockets, _permit: OwnedSemaphorePermit) {
    let mut stopped = std::pin::pin!(stopped(sockets.stop));
    let (connection, mut waiting) = Connection::open(sockets.table, sockets.limits);
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let (mut ping, mut heard) = (interval_at(Instant::now() + PAUSE, PAUSE), Instant::now());
    let last = loop {
        let message = tokio::select! {
            () = &mut stopped => break close(close_code::AWAY, "the node stops"),
            Some(mut answer) = waiting.recv() => {
                let text = std::mem::take(&mut answer.text);
                if !send(&mut socket, Message::Text(text.into())).await {
                    return;
                }
                continue;
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENT_MAX {
                    break close(close_code::AWAY, "silent for too long");
                }
                if !send(&mut socket, Message::Ping(Default::default())).await {
                    return;
                }
                continue;
            }
            // Both at once, for nothing may be read for which there is no place.
            (place, message) = async {
                (Arc::clone(&places).acquire_owned().await, socket.recv().await)
            } => message.map(|message| (place, message)),
        };
        heard = Instant::now();
        let (place, text) = match message {
            Some((place, Ok(Message::Text(text)))) => (place, text.into()),
            Some((place, Ok(Message::Binary(bytes)))) => (place, bytes),
            // The answer to a ping or to the end goes out with the next look.
            Some((_, Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)))) => continue,
            Some((_, Err(error))) => {
                if !is_too_long(error) {
                    return;
                }
                let error = RpcError::request_too_large(sockets.limits.request_bytes);
                let text = error_of(Vec::new(), &Id::Null, error);
                let text = String::from_utf8_lossy(&text).into_owned();
                send(&mut socket, Message::Text(text.into())).await;
                break close(close_code::SIZE, "too long");
            }
            None => return,
        };
        let connection = Arc::clone(&connection);
        tokio::spawn(async move {
            connection.answer(text).await;
            drop(place);
        });
    };
    send(&mut socket, last).await;
}

/// Sends a message; false if nobody takes it.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(STUCK_MAX, socket.send(message)).await, Ok(Ok(())))
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Whether a message was longer than it may be.
fn is_too_long(error: axum::Error) -> bool {
    let error = error.into_inner().downcast::<Error>();
    error.is_ok_and(|error| matches!(*error, Error::Capacity(CapacityError::MessageTooLong { .. })))
}
