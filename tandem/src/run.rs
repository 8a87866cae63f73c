//! The node's life: start, serve, wait for a signal, stop.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use genesis::Genesis;
use node::{Chain, Event, NodeConfig, config::Profile, error::StartError, fork::ForkStart};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::broadcast::{Receiver, error::RecvError},
};

use crate::{
    banner::{self, BannerError},
    chain_genesis::{self, SourceError},
    fork::{self, ForkStartError},
    ipc::{self, Ipc},
    log,
    settings::{Settings, SettingsError},
    state_file::{StateError, StateFile},
};

/// Why the node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The settings don't go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no genesis to start from.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no fork to start from.
    #[error(transparent)]
    Fork(#[from] ForkStartError),
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server did not start.
    #[error(transparent)]
    Serve(#[from] rpc::ServeError),
    /// The Unix socket can't be had.
    #[error("can't listen on {}: {source}", path.display())]
    Ipc {
        /// The socket's path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The state can't be loaded or dumped.
    #[error(transparent)]
    State(#[from] StateError),
    /// The start can't be told.
    #[error(transparent)]
    Banner(#[from] BannerError),
    /// Threads or signals can't be had.
    #[error("system: {0}")]
    System(#[from] io::Error),
}

/// What the chain begins with.
enum Beginning {
    Genesis(NodeConfig, Box<Genesis>),
    Fork(NodeConfig, Box<ForkStart>),
}

/// Runs the node until a signal ends it.
pub(crate) fn run(settings: &Settings) -> Result<(), RunError> {
    // A wrong setting ends the program before anything is written.
    let server = settings.server()?;
    let _log = log::start(settings)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let beginning = match fork::resolve(settings)? {
        Some((start, node)) => Beginning::Fork(node, Box::new(start)),
        None => {
            let (genesis, node) = chain_genesis::resolve(settings, now)?;
            Beginning::Genesis(node, Box::new(genesis))
        }
    };
    runtime(settings.threads)?.block_on(live(settings, server, beginning))
}

/// Calls run on the threads that serve requests: with fewer of them than this, a few long calls
/// would keep all other requests waiting.
const THREADS_MIN: usize = 8;

/// The threads that the node runs on.
pub(crate) fn runtime(threads: usize) -> io::Result<Runtime> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from).max(THREADS_MIN),
        threads => threads,
    };
    Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

async fn live(
    settings: &Settings,
    config: rpc::ServerConfig,
    beginning: Beginning,
) -> Result<(), RunError> {
    let mut signals = Signals::new()?;
    let chain = match beginning {
        Beginning::Genesis(node, genesis) => Chain::start(node, *genesis)?,
        Beginning::Fork(node, start) => Chain::start_forked(node, *start)?,
    };
    let state = StateFile::new(settings);
    state.load(&chain).await?;
    let server = rpc::serve(chain.clone(), config).await?;
    let ipc = listen_ipc(settings, &server).await?;
    if settings.print_traces {
        tokio::spawn(print_traces(chain.clone(), chain.subscribe()));
    }
    let addresses: Vec<_> = [server.local_addr].into_iter().chain(server.more.clone()).collect();
    warn(settings, &addresses);
    banner::announce(settings, &chain, &addresses).await?;
    chain.ready().await?;
    while !signals.ended_within(state.until_next_dump()).await {
        if let Err(error) = state.dump(&chain).await {
            tracing::error!(%error, "the state was not dumped");
        }
    }
    tracing::info!("stopping");
    drop(ipc);
    server.stop().await;
    let dumped = state.dump(&chain).await;
    chain.stop().await;
    Ok(dumped?)
}

/// Logs the calls of each block's transactions, until the node stops.
async fn print_traces(chain: Chain, mut events: Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Head(block)) => {
                if let Err(error) = chain.print_traces(block).await {
                    tracing::warn!(%error, "no trace");
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "blocks not traced"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn listen_ipc(settings: &Settings, server: &rpc::Server) -> Result<Option<Ipc>, RunError> {
    let Some(path) = &settings.ipc else { return Ok(None) };
    let ipc = ipc::listen(path, server)
        .await
        .map_err(|source| RunError::Ipc { path: path.clone(), source })?;
    Ok(Some(ipc))
}

fn warn(settings: &Settings, addresses: &[SocketAddr]) {
    let open = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(address) = open.filter(|_| settings.profile == Profile::Dev) {
        tracing::warn!(
            "the dev profile listens on {address}: whoever reaches it can use the unlocked \
             accounts and change the chain"
        );
    }
    if settings.profile == Profile::Testnet && settings.genesis.is_none() {
        tracing::warn!(
            "no --genesis was given: the funded accounts are those of the dev mnemonic, whose \
             keys everybody knows"
        );
    }
}

/// What asks the node to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal, but no longer than `pause`; whether there was one.
    async fn ended_within(&mut self, pause: Option<std::time::Duration>) -> bool {
        let end = async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        };
        match pause {
            None => {
                end.await;
                true
            }
            Some(pause) => tokio::time::timeout(pause, end).await.is_ok(),
        }
    }
}
