//! What waits to be sealed: its limits.

use clap::Args;
use node::NodeConfig;
use serde::{Deserialize, Serialize};

const POOL: &str = "Pool";

/// The settings of the pool.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
pub(crate) struct PoolSettings {
    /// Takes transactions whose senders can't pay for them, and runs them all the same
    #[arg(long, help_heading = POOL)]
    pub(crate) disable_pool_balance_checks: bool,

    /// Seconds that transactions behind a missing nonce may wait after their sender's last one; 0
    /// for any time [default: 0 in the dev profile, 10800 in the testnet profile]
    #[arg(long, value_name = "SECONDS", visible_alias = "txpool.lifetime", help_heading = POOL)]
    pub(crate) pool_lifetime: Option<u64>,

    /// Bytes of all waiting transactions
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, help_heading = POOL)]
    pub(crate) pool_size_max: usize,

    /// Waiting transactions of one sender
    #[arg(long, value_name = "NUM", default_value_t = 10_000, help_heading = POOL)]
    pub(crate) pool_sender_max: usize,

    /// Waiting transactions in all
    #[arg(long, value_name = "NUM", default_value_t = 100_000, help_heading = POOL)]
    pub(crate) pool_transactions_max: usize,
}

impl PoolSettings {
    /// Puts them into the node's.
    pub(crate) fn apply(&self, config: &mut NodeConfig) {
        config.disable_balance_checks = self.disable_pool_balance_checks;
        config.pool_lifetime = self.pool_lifetime;
        config.pool_bytes_max = self.pool_size_max;
        config.pool_sender_max = self.pool_sender_max;
        config.pool_transactions_max = self.pool_transactions_max;
    }
}
