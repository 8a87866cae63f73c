//! A dev chain and its server in a few lines: `cargo run -p tandem-rpc --example dev_chain -- 8545`.

use genesis::{DevOptions, Genesis};
use node::{Chain, NodeConfig};
use std::net::SocketAddr;
use tandem_rpc::{ServerConfig, serve};

#[tokio::main(worker_threads = 8)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8545), |port| port.parse())?;
    let config = NodeConfig::default();
    let balance = config.balance_wei();
    let (_, accounts) = node::accounts::dev_accounts(&config)?;
    let accounts = accounts.into_iter().map(|account| (account.address, balance)).collect();
    let genesis = Genesis::dev(DevOptions { accounts, ..DevOptions::default() });
    let chain = Chain::start(config, genesis)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let server = serve(chain.clone(), ServerConfig { address, ..ServerConfig::default() }).await?;
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    chain.stop().await;
    Ok(())
}
