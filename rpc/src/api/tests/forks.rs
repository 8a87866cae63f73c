//! Forks of a chain that is asked over each kind of connection.

use super::*;
use node::fork::{CachePlace, ForkBlock, ForkConfig, ForkRules, RemoteConfig, begin};
use std::time::Duration;

/// Forks the chain at `url`, which is asked once more after `backoff`.
async fn fork(url: String, backoff: Duration) -> Chain {
    let shown = url.clone();
    let start = tokio::task::spawn_blocking(move || {
        let config = ForkConfig {
            remote: RemoteConfig { urls: vec![url], retries: 1, backoff, ..Default::default() },
            block: ForkBlock::Newest,
            chain_id: None,
            cache: CachePlace::Nowhere,
            datadir: None,
        };
        begin(config, ForkRules::default())
    });
    let start = start.await.unwrap().unwrap_or_else(|error| panic!("{shown}: {error}"));
    Chain::start_forked(NodeConfig::default(), start).unwrap()
}

/// Forks the chain at `url` and reads through the fork.
async fn check(url: String, head: u64) {
    let shown = url.clone();
    let forked = fork(url, Duration::ZERO).await;
    assert_eq!(forked.fork().unwrap().number(), head, "{shown}");
    assert_eq!(forked.head().number(), head);
    let methods = calls(&forked);
    let balance = result(ask(&methods, "eth_getBalance", json!([BOB, "latest"])).await);
    assert_eq!(balance, "0x21e19e0c9bab24000f1", "{shown}");
    // Once more after a pause, over the same connection or a new one.
    let older = result(ask(&methods, "eth_getBalance", json!([BOB, "0x0"])).await);
    assert_eq!(older, "0x21e19e0c9bab2400000", "{shown}");
    let missing = ask(&methods, "eth_getBlockByNumber", json!(["0xffffff", false])).await;
    assert_eq!(result(missing), Value::Null);
    forked.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fork_asks_over_http_web_and_unix_sockets() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let transfer = json!([{"from": ALICE, "to": BOB, "value": "0xf1"}]);
    result(ask(&methods, "eth_sendTransaction", transfer).await);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig { address, ..Default::default() };
    let server = serve(chain.clone(), config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.ipc");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (table, limits) = (server.methods(), server.limits());
    let streams = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(crate::serve_stream(table.clone(), limits, stream));
        }
    });
    let path = path.to_str().unwrap();
    let at = server.local_addr;
    for url in [format!("http://{at}"), format!("ws://{at}"), path.into(), format!("file://{path}")]
    {
        check(url, 1).await;
    }
    streams.abort();
    server.stop().await;
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_hear_of_the_chain_that_a_reset_forks() {
    let (remote, methods_there) = start(NodeConfig::default()).await;
    result(ask(&methods_there, "anvil_mine", json!([7])).await);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig { address, ..Default::default() };
    let server = serve(remote.clone(), config).await.unwrap();

    let (chain, methods) = start(NodeConfig::default()).await;
    let mut heads =
        Subscriber::begin(&methods, "eth_subscribe", json!(["newHeads"])).await.unwrap();
    let mut logs = Subscriber::begin(&methods, "eth_subscribe", json!(["logs"])).await.unwrap();
    let hash = result(ask(&methods, "eth_sendTransaction", creation("0x602a5f5fa1")).await);
    heads.next().await;
    assert_eq!(logs.next().await["removed"], false);
    let url = format!("http://{}", server.local_addr);
    let reset = json!([{"forking": {"jsonRpcUrl": url}}]);
    result(ask(&methods, "anvil_reset", reset).await);
    let log = logs.next().await;
    assert_eq!((&log["transactionHash"], &log["removed"]), (&hash, &json!(true)));
    let head = heads.next().await;
    assert_eq!((&head["number"], &head["hash"]), (&json!("0x7"), &json!(remote.head().hash())));
    result(ask(&methods, "evm_mine", json!([])).await);
    let next = heads.next().await;
    assert_eq!((&next["number"], &next["parentHash"]), (&json!("0x8"), &head["hash"]));
    chain.stop().await;
    server.stop().await;
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_to_who_refuses_connections_says_so_at_once() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "ws"] {
        let reset = json!([{"forking": {"jsonRpcUrl": format!("{scheme}://{free}")}}]);
        let error = ask(&methods, "anvil_reset", reset).await["error"].clone();
        let text = error["message"].as_str().unwrap();
        assert!(text.contains("eth_chainId") && text.contains(&free.to_string()), "{text}");
        assert!(text.to_lowercase().contains("refused") && !text.contains("attempts"), "{text}");
    }
    assert!(chain.fork().is_none());
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_waits_for_a_node_is_answered_by_the_one_that_takes_its_place() {
    let (remote, methods_there) = start(NodeConfig::default()).await;
    let transfer = json!([{"from": ALICE, "to": BOB, "value": "0xf1"}]);
    result(ask(&methods_there, "eth_sendTransaction", transfer).await);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig { address, ..Default::default() };
    let server = serve(remote.clone(), config).await.unwrap();
    let url = format!("http://{}", server.local_addr);
    // After the first failure it would be asked again in an hour.
    let forked = fork(url.clone(), Duration::from_secs(3_600)).await;
    let methods = calls(&forked);
    let broken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", broken.local_addr().unwrap());
    result(ask(&methods, "anvil_setRpcUrl", json!([elsewhere])).await);
    let asking = calls(&forked);
    let balance =
        tokio::spawn(async move { ask(&asking, "eth_getBalance", json!([BOB, "latest"])).await });
    drop(broken.accept().await.unwrap());
    drop(broken);
    result(ask(&methods, "anvil_setRpcUrl", json!([url])).await);
    assert_eq!(result(balance.await.unwrap()), "0x21e19e0c9bab24000f1");
    forked.stop().await;
    server.stop().await;
    remote.stop().await;
}
