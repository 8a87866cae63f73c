//! Several connections at a time, which share threads.

use super::*;

/// A connection that stays open.
struct Caller(TcpStream);

impl Caller {
    async fn connect(server: &Server) -> Self {
        Self(TcpStream::connect(server.local_addr).await.unwrap())
    }

    async fn ask(&mut self, method: &str, params: &Value) {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = body.to_string();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.write_all((head + &body).as_bytes()).await.unwrap();
    }

    /// The result of the oldest request that has none yet.
    async fn result(&mut self) -> Value {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        json_of(std::str::from_utf8(&body).unwrap())["result"].take()
    }

    /// Whether no answer is there.
    fn waits(&self) -> bool {
        self.0.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

async fn callers(server: &Server, count: usize) -> Vec<Caller> {
    let mut callers = Vec::new();
    for _ in 0..count {
        callers.push(Caller::connect(server).await);
    }
    callers
}

#[tokio::test]
async fn every_request_of_every_connection_is_answered_in_order() {
    let server = start(ServerConfig::default()).await;
    let mut callers = callers(&server, 20).await;
    for round in 0..5 {
        for (index, caller) in callers.iter_mut().enumerate() {
            // Two at once, one of which waits; and one that no single read takes.
            caller.ask("nap", &json!([])).await;
            caller.ask("echo", &json!([[round, index]])).await;
            caller.ask("echo", &json!(["x".repeat(10_000)])).await;
        }
        for (index, caller) in callers.iter_mut().enumerate() {
            assert_eq!(caller.result().await, "rested");
            assert_eq!(caller.result().await, json!([round, index]));
            assert_eq!(caller.result().await, "x".repeat(10_000));
        }
    }
    // One goes on to what is no plain request.
    let get = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    callers[7].0.write_all(get).await.unwrap();
    let mut answer = String::new();
    callers[7].0.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
    let stop = Instant::now();
    server.stop().await;
    assert!(stop.elapsed() < Duration::from_secs(2), "{:?}", stop.elapsed());
    for caller in &mut callers {
        assert_eq!(caller.0.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_long_call_holds_up_no_other_connection() {
    let server = start(ServerConfig::default()).await;
    let mut callers = callers(&server, 12).await;
    for caller in &mut callers {
        caller.ask("context", &json!([])).await;
        assert_eq!(caller.result().await, 7);
    }
    let (hogs, others) = callers.split_at_mut(4);
    for hog in &mut *hogs {
        hog.ask("hog", &json!([])).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    for other in others {
        other.ask("context", &json!([])).await;
        assert_eq!(other.result().await, 7);
    }
    // All of them before the first result: they end within milliseconds of each other.
    for hog in &mut *hogs {
        assert!(hog.waits(), "the others were answered first");
    }
    for hog in hogs {
        assert_eq!(hog.result().await, "done");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_else() {
    let server = start(ServerConfig::default()).await;
    let mut callers = callers(&server, 6).await;
    let text = "x".repeat(12 << 20);
    let (slow, others) = callers.split_at_mut(2);
    for slow in &mut *slow {
        slow.ask("echo", &json!([text])).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..20 {
        for other in &mut *others {
            other.ask("context", &json!([])).await;
            assert_eq!(other.result().await, 7);
        }
    }
    for slow in slow {
        assert_eq!(slow.result().await, text);
        slow.ask("context", &json!([])).await;
        assert_eq!(slow.result().await, 7);
    }
    server.stop().await;
}
