//! What all methods share, and the table of all of them.

use crate::filters::Filters;
use crate::methods::{MethodTable, NameTaken, Table};
use crate::server::{Server, ServerConfig, listen};
use crate::{beacon, debug, dev, eth, net, ots, reth, rv, testing, trace, txpool};
use node::Chain;
use node::config::Profile;
use std::sync::Arc;

/// What every method has at hand.
pub(crate) struct Api {
    /// The node.
    pub(crate) chain: Chain,
    /// Filters that clients poll.
    pub(crate) filters: Arc<Filters>,
    /// Nonces of unlocked accounts that are about to be used.
    pub(crate) reserved: eth::Reserved,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Two methods have the same name.
    #[error(transparent)]
    Register(#[from] NameTaken),
}

/// Serves the methods of the chain's profile.
pub async fn serve(chain: Chain, config: ServerConfig) -> Result<Server, ServeError> {
    let paths = beacon::routes(chain.clone());
    let methods = methods(chain)?;
    let address = config.address;
    listen(methods, paths, config).await.map_err(|source| ServeError::Listen { address, source })
}

/// The methods of the chain's profile. They need a tokio runtime, on which filters follow the chain.
pub(crate) fn methods(chain: Chain) -> Result<MethodTable, NameTaken> {
    let profile = chain.profile();
    let api = Api { chain, filters: Arc::default(), reserved: eth::Reserved::default() };
    let mut table = Table::new(api).forwarding(crate::forked::forward);
    eth::register(&mut table);
    net::register(&mut table);
    txpool::register(&mut table);
    debug::register(&mut table);
    trace::register(&mut table);
    ots::register(&mut table);
    rv::register(&mut table);
    reth::register(&mut table);
    if profile == Profile::Dev {
        eth::register_unlocked(&mut table);
        debug::register_dev(&mut table);
        dev::register(&mut table);
        testing::register(&mut table);
    }
    table.finish()
}

#[cfg(test)]
mod tests;
