//! The transport alone, over methods made for it.

mod crowd;

use super::*;
use crate::methods::Table;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn methods() -> MethodTable {
    let mut table = Table::new(7u64);
    table.quick("context", |context, _| Ok(*context));
    table.quick("echo", |_, mut arguments| arguments.required::<Value>("value"));
    table.quick("hog", |_, _| {
        std::thread::sleep(Duration::from_secs(2));
        Ok("done")
    });
    table.task("nap", |_, _| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok("rested")
    });
    table.subscription(
        ["eth_subscribe", "eth_subscription", "eth_unsubscribe"],
        |_, _, notifier| async move {
            Ok(async move {
                notifier.notify(&"hello").await;
                std::future::pending::<()>().await;
            })
        },
    );
    table.finish().unwrap()
}

#[tokio::test]
async fn more_connections_wait_to_be_taken_than_128() {
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody takes one: of what finds no room the first packet is dropped, again and again.
    let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(20));
    let connections = (0..300).map(connect).collect::<Result<Vec<_>, _>>();
    assert_eq!(connections.unwrap().len(), 300);
}

async fn start(config: ServerConfig) -> Server {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    listen(methods(), axum::Router::new(), ServerConfig { address, ..config }).await.unwrap()
}

/// Status line and headers, and the body.
async fn send(server: &Server, request: &str) -> (String, String) {
    let mut socket = TcpStream::connect(server.local_addr).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn post(server: &Server, headers: &str, body: &str) -> (String, String) {
    let length = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    send(server, &request).await
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn answers_calls_and_batches() {
    let server = start(ServerConfig::default()).await;
    let (head, body) = post(&server, JSON, r#"{"jsonrpc":"2.0","id":1,"method":"context"}"#).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(json_of(&body), json!({"jsonrpc": "2.0", "id": 1, "result": 7}));

    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"echo","params":["a"]},
        {"jsonrpc":"2.0","id":"two","method":"nope"}, 5]"#;
    let (_, body) = post(&server, JSON, batch).await;
    let missing = "the method nope does not exist/is not available";
    assert_eq!(
        json_of(&body),
        json!([
            {"jsonrpc": "2.0", "id": 1, "result": "a"},
            {"jsonrpc": "2.0", "id": "two", "error": {"code": -32601, "message": missing}},
            {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "Invalid request"}},
        ])
    );
    server.stop().await;
}

#[tokio::test]
async fn takes_any_content_type_and_names_what_it_refuses() {
    let server = start(ServerConfig { request_bytes_max: 100, ..Default::default() }).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"context"}"#;
    for headers in ["", "content-type: text/plain\r\n", "content-type: a/b; charset=x\r\n"] {
        let (head, body) = post(&server, headers, call).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{headers}: {head}");
        assert_eq!(json_of(&body)["result"], 7);
    }
    let (head, body) = post(&server, JSON, &format!("{call}{}", " ".repeat(100))).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert!(body.contains("100"), "{body}");
    let (_, body) = post(&server, JSON, "{not json").await;
    assert_eq!(json_of(&body)["error"]["code"], -32700);
    let missing = r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#;
    let (_, body) = post(&server, JSON, missing).await;
    let text = "missing value for required argument 0 (value)";
    assert_eq!(json_of(&body)["error"], json!({"code": -32602, "message": text}));
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe"}"#;
    let (_, body) = post(&server, JSON, subscribe).await;
    let text = "notifications not supported";
    assert_eq!(json_of(&body)["error"], json!({"code": -32601, "message": text}));
    server.stop().await;
}

#[tokio::test]
async fn a_connection_goes_from_plain_requests_to_all_others() {
    let server = start(ServerConfig::default()).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"nap"}"#;
    let length = body.len();
    let plain = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0\r\n\r\n"
    );
    let last = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // All at once: two plain ones, then what the lane does not know, and plain ones after it.
    let all = [&plain, &plain, &chunked, &plain, last].map(str::to_owned).concat();
    let answer = answer_to(&server, &[&all]).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 5, "{answer}");
    assert_eq!(answer.matches("\"rested\"").count(), 4, "{answer}");
    assert!(answer.ends_with("ok"), "{answer}");
    // The same, cut in the middle of head and body.
    let (cut_head, cut_body) = (20, plain.len() - 10);
    let parts = [&plain[..cut_head], &plain[cut_head..cut_body], &plain[cut_body..], last];
    let answer = answer_to(&server, &parts).await;
    assert_eq!(answer.matches("\"rested\"").count(), 1, "{answer}");
    assert!(answer.ends_with("ok"), "{answer}");
    server.stop().await;
}

/// Sends the parts one after the other and reads until the server closes.
async fn answer_to(server: &Server, parts: &[&str]) -> String {
    let mut socket = TcpStream::connect(server.local_addr).await.unwrap();
    for part in parts {
        socket.write_all(part.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn long_answers_and_requests_go_through() {
    let server = start(ServerConfig { response_bytes_max: 300_000, ..Default::default() }).await;
    let ask = async |length: usize| {
        let text = "x".repeat(length);
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#);
        (json_of(&post(&server, JSON, &call).await.1), text)
    };
    let (answer, text) = ask(250_000).await;
    assert_eq!(answer["result"], text);
    let (answer, _) = ask(300_000).await;
    let text = "Response is too big: over 300000 bytes, see --response-size-max";
    assert_eq!(
        answer,
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32008, "message": text}})
    );
    server.stop().await;
}

#[tokio::test]
async fn health_and_other_verbs() {
    let server = start(ServerConfig::default()).await;
    let get = "HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (head, body) = send(&server, &format!("GET /health {get}")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "ok");
    let (head, _) = send(&server, &format!("GET / {get}")).await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn pages_ask_before_they_call() {
    let ask = |origin: &str| {
        format!(
            "OPTIONS / HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: content-type\r\n\r\n"
        )
    };
    let server = start(ServerConfig::default()).await;
    let (head, _) = send(&server, &ask("http://a.example")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert!(head.contains("access-control-allow-headers: content-type"), "{head}");
    server.stop().await;

    let only = Origins::Only(vec![HeaderValue::from_static("http://a.example")]);
    let server = start(ServerConfig { origins: only, ..Default::default() }).await;
    let (head, _) = send(&server, &ask("http://a.example")).await;
    assert!(head.contains("access-control-allow-origin: http://a.example"), "{head}");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"context"}"#;
    let (head, _) = post(&server, "origin: http://a.example\r\n", call).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, body) = post(&server, "origin: http://b.example\r\n", call).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert_eq!(body, "origin \"http://b.example\" is not allowed, allow it with --allow-origin\n");
    let (head, _) = post(&server, "", call).await;
    assert!(head.starts_with("HTTP/1.1 200"), "no page at all: {head}");
    server.stop().await;
}

/// A text frame with a mask of zeros, which leaves the text as it is.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// The next frame that is no ping: its kind and its text.
async fn read_frame(socket: &mut TcpStream) -> (u8, String) {
    loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head).await.unwrap();
        let length = match head[1] {
            126 => usize::from(socket.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut text = vec![0; length];
        socket.read_exact(&mut text).await.unwrap();
        let kind = head[0] & 0x0f;
        if kind != 0x9 {
            return (kind, String::from_utf8_lossy(&text).into_owned());
        }
    }
}

async fn open_socket(server: &Server) -> TcpStream {
    let mut socket = TcpStream::connect(server.local_addr).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    socket
}

#[tokio::test]
async fn sockets_call_subscribe_and_close() {
    let server = start(ServerConfig::default()).await;
    let mut socket = open_socket(&server).await;
    let mut other = open_socket(&server).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
    socket.write_all(&frame(subscribe)).await.unwrap();
    let (_, text) = read_frame(&mut socket).await;
    let id = json_of(&text)["result"].as_str().unwrap().to_owned();
    assert!(id.starts_with("0x"), "{id}");
    let (_, text) = read_frame(&mut socket).await;
    let params = json!({"subscription": id, "result": "hello"});
    assert_eq!(json_of(&text)["method"], "eth_subscription");
    assert_eq!(json_of(&text)["params"], params);

    // A subscription belongs to its own socket.
    let text = json!({"jsonrpc": "2.0", "id": 2, "method": "eth_unsubscribe", "params": [id]});
    for (socket, want) in [(&mut other, false), (&mut socket, true)] {
        socket.write_all(&frame(&text.to_string())).await.unwrap();
        assert_eq!(json_of(&read_frame(socket).await.1)["result"], want);
    }
    let stop = Instant::now();
    server.stop().await;
    assert_eq!(read_frame(&mut socket).await.0, 0x8, "a Close frame");
    assert!(stop.elapsed() < Duration::from_secs(2), "{:?}", stop.elapsed());
}

#[tokio::test]
async fn sockets_answer_whatever_the_id_and_whatever_the_batch() {
    let server = start(ServerConfig { request_bytes_max: 300, ..Default::default() }).await;
    let mut socket = open_socket(&server).await;
    for id in ["-1", "1.5", "18446744073709551616", "null", "\"a\"", "7"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"context"}}"#);
        socket.write_all(&frame(&text)).await.unwrap();
        let want = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":7}}"#);
        assert_eq!(read_frame(&mut socket).await.1, want);
    }
    // The answer with the id of a subscription stands in the batch's, and before all that is told.
    let batch = r#"[{"id":1,"method":"eth_subscribe"},{"id":-2,"method":"nap"},
        {"id":3,"method":"eth_unsubscribe"},{"method":"context"}]"#;
    let answer = ask(&mut socket, batch).await;
    let id = answer[0]["result"].as_str().unwrap().to_owned();
    assert_eq!((&answer[0]["id"], &answer[1]["result"]), (&json!(1), &json!("rested")));
    assert_eq!((&answer[1]["id"], &answer[2]["error"]["code"]), (&json!(-2), &json!(-32602)));
    assert_eq!(answer.as_array().unwrap().len(), 3, "{answer}");
    let told = json_of(&read_frame(&mut socket).await.1);
    assert_eq!(told["params"], json!({"subscription": id, "result": "hello"}));
    let text = format!(r#"{{"id":4,"method":"eth_unsubscribe","params":["{id}"]}}"#);
    assert_eq!(ask(&mut socket, &text).await["result"], true);
    assert_eq!(ask(&mut socket, &text).await["result"], false);
    // A message that is too long is told so, with the limit, and the socket is closed.
    let answer = ask(&mut socket, &format!("{batch}{}", " ".repeat(300))).await;
    let text = "request is too big: at most 300 bytes, see --request-size-max";
    assert_eq!(answer["error"], json!({"code": -32007, "message": text}));
    assert_eq!(read_frame(&mut socket).await.0, 0x8, "a Close frame");
    server.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_calls_in_flight() {
    let server = start(ServerConfig::default()).await;
    let address = server.local_addr;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"nap"}"#;
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop().await;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("rested"), "{answer}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn streams_serve_the_same_methods() {
    let (client, server) = tokio::io::duplex(1 << 16);
    let task =
        tokio::spawn(crate::ipc::serve_stream(methods(), ServerConfig::default().limits(), server));
    let (mut reader, mut writer) = tokio::io::split(client);
    let text =
        r#"{"jsonrpc":"2.0","id":1,"method":"context"}[{"jsonrpc":"2.0","id":2,"method":"nope"}]"#;
    writer.write_all(text.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    while answers.iter().filter(|b| **b == b'\n').count() < 2 {
        reader.read_buf(&mut answers).await.unwrap();
    }
    let text = String::from_utf8(answers).unwrap();
    let mut lines: Vec<Value> = text.lines().map(json_of).collect();
    lines.sort_by_key(Value::is_array);
    assert_eq!(lines[0]["result"], 7);
    assert_eq!(lines[1][0]["error"]["code"], -32601);
    writer
        .write_all(br#"{"jsonrpc":"2.0","id":3,"method":"eth_subscribe","params":["logs"]}"#)
        .await
        .unwrap();
    let mut answers = Vec::new();
    while answers.iter().filter(|b| **b == b'\n').count() < 2 {
        reader.read_buf(&mut answers).await.unwrap();
    }
    let text = String::from_utf8(answers).unwrap();
    let lines: Vec<Value> = text.lines().map(json_of).collect();
    assert!(lines[0]["result"].as_str().unwrap().starts_with("0x"), "{text}");
    assert_eq!(lines[1]["params"]["result"], "hello");
    drop((reader, writer));
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_that_may_be_rebound_is_refused() {
    let hosts = Hosts::Private(vec!["rpc.example.org".to_owned()]);
    let server = start(ServerConfig { hosts, ..Default::default() }).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"context"}"#;
    for (host, status) in [
        ("localhost:8545", "200"),
        ("tandem", "200"),
        ("rpc.example.org", "200"),
        ("evil.example.com", "403"),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (head, body) = send(&server, &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {head}");
        assert_eq!(body.contains("--allow-host"), status == "403", "{host}: {body}");
    }
    let upgrade = "GET / HTTP/1.1\r\nhost: evil.example.com\r\nconnection: close, upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (head, _) = send(&server, upgrade).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn a_testnet_wants_json() {
    let server = start(ServerConfig { json_only: true, ..Default::default() }).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"context"}"#;
    for (headers, status) in [
        (JSON, "200"),
        ("content-type: application/json; charset=utf-8\r\n", "200"),
        ("content-type: text/plain\r\n", "415"),
        ("", "415"),
    ] {
        let (head, _) = post(&server, headers, call).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{headers}: {head}");
    }
    server.stop().await;
}

/// Asks a socket and reads its next answer.
async fn ask(socket: &mut TcpStream, text: &str) -> Value {
    socket.write_all(&frame(text)).await.unwrap();
    json_of(&read_frame(socket).await.1)
}

#[tokio::test]
async fn limits_of_sockets_and_streams_are_those_of_posts() {
    let config = ServerConfig {
        response_bytes_max: 1_000,
        batch_max: 3,
        subscriptions_max: 1,
        ..Default::default()
    };
    let server = start(config.clone()).await;
    let echo = |length: usize| {
        let text = "x".repeat(length);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#)
    };
    let batch = |calls: &[usize]| {
        let calls: Vec<_> = calls.iter().map(|length| echo(*length)).collect();
        format!("[{}]", calls.join(","))
    };
    let error = |code: i32, message: &str| json!({"code": code, "message": message});
    let long = error(-32008, "Response is too big: over 1000 bytes, see --response-size-max");
    let many = error(-32010, "batch of 4 calls is too large: at most 3, see --batch-max");
    let mut socket = open_socket(&server).await;
    assert_eq!(ask(&mut socket, &batch(&[100, 100])).await[1]["result"], "x".repeat(100));
    assert_eq!(ask(&mut socket, &echo(1_000)).await["error"], long);
    let whole = ask(&mut socket, &batch(&[500, 500, 500])).await;
    assert_eq!((&whole["error"], &whole["id"]), (&long, &Value::Null));
    assert_eq!(ask(&mut socket, &batch(&[1, 1, 1, 1])).await["error"], many);
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
    assert!(ask(&mut socket, subscribe).await["result"].is_string());
    assert_eq!(json_of(&read_frame(&mut socket).await.1)["params"]["result"], "hello");
    let text = "too many subscriptions on this connection: at most 1, see --subscriptions-max";
    assert_eq!(ask(&mut socket, subscribe).await["error"], error(-32006, text));
    server.stop().await;

    let (client, stream) = tokio::io::duplex(1 << 16);
    let task = tokio::spawn(crate::ipc::serve_stream(methods(), config.limits(), stream));
    let (reader, mut writer) = tokio::io::split(client);
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
    for (text, want) in
        [(echo(1_000), &long), (batch(&[500, 500, 500]), &long), (batch(&[1, 1, 1, 1]), &many)]
    {
        writer.write_all(text.as_bytes()).await.unwrap();
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(json_of(&line)["error"], *want, "{text}");
    }
    drop((lines, writer));
    task.await.unwrap().unwrap();
}
