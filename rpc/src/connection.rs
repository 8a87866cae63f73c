//! A connection that can be told things, over WebSocket or IPC: its requests, what waits to be sent
//! to it, and its subscriptions.
//!
//! Each subscription has a place in the node's broadcast and goes into the connection's queue, which
//! is bounded by messages and by bytes. Who reads too slowly loses the subscription instead of
//! filling memory.

use crate::local::{Limits, Local};
use crate::methods::MethodTable;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Answers and notifications that wait for a slow reader.
const WAITING_MAX: usize = 1_024;
/// Bytes that wait for one, unless a single message has more.
pub(crate) const WAITING_BYTES_MAX: usize = 16 << 20;
/// How long a notification waits for room in the queue, and for its turn.
const SLOW_MAX: Duration = Duration::from_secs(10);

/// What notifies a subscriber, until there is nothing more to tell.
pub(crate) type Feed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One connection; what it subscribed to ends with it.
#[derive(Debug)]
pub(crate) struct Connection {
    table: MethodTable,
    limits: Limits,
    queue: Queue,
    subscriptions: Mutex<HashMap<String, Subscription>>,
}

/// Where what is to be sent to one connection waits.
#[derive(Clone, Debug)]
struct Queue {
    messages: Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Whose notification is written next: only one at a time lies beside the queue.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A message that is to be sent, and its room in the queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) text: String,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Subscription {
    /// The method that ends it.
    end: &'static str,
    /// Nothing until the answer with its id is on its way.
    task: Option<AbortHandle>,
}

/// Notifies one subscriber.
#[derive(Debug)]
pub(crate) struct Notifier {
    queue: Queue,
    /// The method of its notifications.
    method: &'static str,
    id: String,
}

impl Connection {
    /// A connection without subscriptions, and what is to be sent to it.
    pub(crate) fn open(table: MethodTable, limits: Limits) -> (Arc<Self>, Receiver<Waiting>) {
        let (messages, waiting) = channel(WAITING_MAX);
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let queue = Queue { messages, room, turn: Arc::default() };
        (Arc::new(Self { table, limits, queue, subscriptions: Mutex::default() }), waiting)
    }

    /// Answers one request or batch, and then begins to tell what was subscribed to. What still
    /// waits when the other side goes is given up.
    pub(crate) async fn answer(self: Arc<Self>, text: impl AsRef<[u8]>) {
        let local = Local::new(self.table.clone(), Some(Arc::clone(&self)), self.limits);
        let answer = tokio::select! {
            () = self.queue.messages.closed() => return,
            answer = local.answer(text.as_ref(), Vec::new()) => answer,
        };
        self.send(answer).await;
        for (id, feed) in local.into_begun() {
            self.start(id, feed);
        }
    }

    /// Sends an answer, unless it is empty.
    pub(crate) async fn send(&self, answer: Vec<u8>) {
        match String::from_utf8(answer) {
            Ok(answer) if answer.is_empty() => {}
            // An error says that the other side is gone.
            Ok(answer) => drop(self.queue.put(answer).await),
            Err(error) => tracing::error!(%error, "an answer is no text"),
        }
    }

    /// Makes room for a subscription that `end` will end: its id, and what notifies of it. Nothing
    /// if there are as many as there may be.
    pub(crate) fn subscribe(
        &self,
        method: &'static str,
        end: &'static str,
    ) -> Option<(String, Notifier)> {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.len() >= self.limits.subscriptions as usize {
            return None;
        }
        let id = new_id();
        subscriptions.insert(id.clone(), Subscription { end, task: None });
        let notifier = Notifier { queue: self.queue.clone(), method, id: id.clone() };
        Some((id, notifier))
    }

    /// Ends a subscription; false if `end` ends none that has this id.
    pub(crate) fn unsubscribe(&self, id: &str, end: &str) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.get(id).is_none_or(|found| found.end != end) {
            return false;
        }
        if let Some(task) = subscriptions.remove(id).and_then(|found| found.task) {
            task.abort();
        }
        true
    }

    /// Gives up a subscription that did not come about, or that is at its end.
    pub(crate) fn forget(&self, id: &str) {
        self.subscriptions.lock().remove(id);
    }

    fn start(self: &Arc<Self>, id: String, feed: Feed) {
        let mut subscriptions = self.subscriptions.lock();
        // It may have been ended in the same batch.
        let Some(subscription) = subscriptions.get_mut(&id) else { return };
        let connection = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            feed.await;
            if let Some(connection) = connection.upgrade() {
                connection.forget(&id);
            }
        });
        subscription.task = Some(task.abort_handle());
    }
}

impl Queue {
    /// Puts a message in once there is room; false if the other side is gone.
    async fn put(&self, text: String) -> bool {
        let bytes = text.len().min(WAITING_BYTES_MAX) as u32;
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(bytes).await else { return false };
        self.messages.send(Waiting { text, _room: room }).await.is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in self.subscriptions.get_mut().values().filter_map(|found| found.task.as_ref()) {
            task.abort();
        }
    }
}

impl Notifier {
    /// Notifies the subscriber of `value`; false if nobody listens any more.
    pub(crate) async fn notify<T: Serialize>(&self, value: &T) -> bool {
        #[derive(Serialize)]
        struct Notification<'a, T> {
            jsonrpc: &'static str,
            method: &'static str,
            params: Params<'a, T>,
        }
        #[derive(Serialize)]
        struct Params<'a, T> {
            subscription: &'a str,
            result: &'a T,
        }
        let params = Params { subscription: &self.id, result: value };
        let notification = Notification { jsonrpc: "2.0", method: self.method, params };
        let sent = timeout(SLOW_MAX, async {
            let _turn = self.queue.turn.lock().await;
            match serde_json::to_string(&notification) {
                Ok(text) => self.queue.put(text).await,
                Err(_) => false,
            }
        });
        let sent = sent.await.unwrap_or(false);
        if !sent {
            tracing::debug!(id = self.id, "a subscription ends: nobody reads it, or too slowly");
        }
        sent
    }
}

/// A new id of a subscription or filter that can't be guessed from another one: 128 bits in hex, as
/// Ethereum clients expect.
pub(crate) fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    static KEYS: OnceLock<(RandomState, RandomState)> = OnceLock::new();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // `RandomState` is keyed anew, from the system's randomness, in every process.
    let keys = KEYS.get_or_init(|| (RandomState::new(), RandomState::new()));
    format!("0x{:016x}{:016x}", keys.0.hash_one(count) | 1 << 63, keys.1.hash_one(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::Table;

    #[tokio::test]
    async fn notifications_wait_for_room_in_bytes() {
        let limits = crate::ServerConfig::default().limits();
        let table = Table::new(7).finish().unwrap();
        let (connection, mut waiting) = Connection::open(table, limits);
        let (_, notifier) = connection.subscribe("eth_subscription", "eth_unsubscribe").unwrap();
        let large = "a".repeat(WAITING_BYTES_MAX / 2 - 1_000);
        assert!(notifier.notify(&large).await && notifier.notify(&large).await);
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, notifier.notify(&large)).await.is_err());
        assert!(notifier.notify(&"small").await);
        assert!(waiting.recv().await.unwrap().text.contains(&large));
        assert!(notifier.notify(&large).await);
        // More than there is ever room for goes alone.
        while !waiting.is_empty() {
            waiting.recv().await.unwrap();
        }
        assert!(notifier.notify(&"a".repeat(2 * WAITING_BYTES_MAX)).await);
        assert!(timeout(soon, notifier.notify(&"small")).await.is_err());
        drop(waiting);
        assert!(!notifier.notify(&"small").await);
    }

    #[test]
    fn ids_differ_and_are_hex_strings() {
        let (a, b) = (new_id(), new_id());
        assert_ne!(a, b);
        assert!(a.starts_with("0x") && a.len() == 34, "{a}");
    }
}
