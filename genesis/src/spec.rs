//! What every block of a chain follows: its id, its forks, its RISC-V rules.

use alloy_eips::{
    eip1559::BaseFeeParams,
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, address};
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize};

use crate::RiscvParams;

/// The rules of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// The chain's id and forks, as geth writes them in `config`.
    pub config: ChainConfig,
    /// Limits and prices of RISC-V code.
    pub riscv: RiscvParams,
    /// What the roots and blooms of headers are.
    pub headers: Headers,
    /// The hash of the state tree.
    pub tree_hash: TreeHash,
}

/// Where the DAO fork puts the balances of [`ChainSpec::dao_accounts`].
pub const DAO_REFUND: Address = address!("0xbf4ed7b27f1d666546e30d74d50d173d20bca754");
/// Extra data of the ten blocks from the DAO fork on, where it is supported.
pub const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";

/// Whose headers a chain has (`config.headers`, see `docs/spec/block.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Headers {
    /// `stateRoot` is the binary tree's, blooms are a constant, nobody mines.
    #[default]
    Tandem,
    /// As other clients make and check them: `stateRoot` is the Merkle Patricia trie's, blooms are
    /// real, and blocks before the merge follow the rules of proof of work but for the seal.
    Ethereum,
}

/// The hash of a chain's state tree, `config.treeHash` of the genesis file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TreeHash {
    /// BLAKE3-256.
    #[default]
    Blake3,
    /// Keccak-256.
    Keccak256,
    /// Poseidon2 over the KoalaBear field: experimental.
    Poseidon2,
}

impl ChainSpec {
    /// The chain's id, of EIP-155 and `eth_chainId`.
    pub const fn chain_id(&self) -> u64 {
        self.config.chain_id
    }

    /// Whether headers are as other clients make them.
    pub fn is_ethereum(&self) -> bool {
        self.headers == Headers::Ethereum
    }

    /// The fork that a block with this number and timestamp follows.
    ///
    /// revm knows no Constantinople apart from Petersburg: from `constantinopleBlock` on it is
    /// Petersburg; what differs, [`Self::has_net_metering`] tells.
    pub fn fork(&self, number: u64, timestamp: u64) -> SpecId {
        let by_block = active(&self.block_forks(), number).unwrap_or(SpecId::FRONTIER);
        if self.merge_block().is_none_or(|merge| number < merge) {
            return by_block;
        }
        active(&self.time_forks(), timestamp).unwrap_or(SpecId::MERGE)
    }

    /// Whether SSTORE is paid for as EIP-1283 says: from Constantinople to before Petersburg.
    pub fn has_net_metering(&self, number: u64) -> bool {
        let config = &self.config;
        let forks = config.constantinople_block.zip(config.petersburg_block);
        forks.is_some_and(|(from, to)| (from..to).contains(&number))
    }

    /// First block without proof of work, if the chain has one.
    ///
    /// `mergeNetsplitBlock` says it; without it, a terminal total difficulty of 0 or one that is
    /// marked as passed means: from London on.
    pub fn merge_block(&self) -> Option<u64> {
        let config = &self.config;
        let from_london = config.terminal_total_difficulty_passed
            || match config.terminal_total_difficulty {
                Some(difficulty) => difficulty.is_zero(),
                None => config.shanghai_time.is_some(),
            };
        config.merge_netsplit_block.or(if from_london { config.london_block } else { None })
    }

    /// Blob limits and fees at a time, from Cancun on.
    ///
    /// A fork without an entry in `blobSchedule` has mainnet's, or, where mainnet has none, those
    /// of the fork before.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        let mut forks = self.blob_forks();
        forks.sort_by_key(|fork| fork.at);
        let begun = forks.iter().rev().filter(|fork| fork.at.is_some_and(|at| at <= timestamp));
        // The newest one that says anything.
        let params = begun.map(|fork| self.blob_entry(fork.name).or(fork.mainnet));
        let params = params.flatten().next()?;
        let osaka = self.config.osaka_time.is_some_and(|at| at <= timestamp);
        Some(if osaka {
            params
                .with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA)
                .with_blob_base_cost(BLOB_BASE_COST)
        } else {
            params.with_max_blobs_per_tx(params.max_blob_count).with_blob_base_cost(0)
        })
    }

    /// How the base fee moves from block to block (EIP-1559).
    pub const fn base_fee_params(&self) -> BaseFeeParams {
        BaseFeeParams::ethereum()
    }

    /// Of a block at the DAO fork or up to nine after it: whether the chain supports the fork, and
    /// the block's extra data therefore is [`DAO_EXTRA_DATA`], or anything else.
    pub fn dao_extra_data(&self, number: u64) -> Option<bool> {
        let past = number.checked_sub(self.config.dao_fork_block.filter(|at| *at > 0)?)?;
        let merged = self.merge_block().is_some_and(|merge| number >= merge);
        (past < 10 && !merged).then_some(self.config.dao_fork_support)
    }

    /// The accounts whose balances go to [`DAO_REFUND`] as this block begins; mostly none.
    pub fn dao_accounts(&self, number: u64) -> impl Iterator<Item = Address> + use<> {
        let is_fork = self.config.dao_fork_support && self.config.dao_fork_block == Some(number);
        let list = if is_fork { include_str!("dao.txt") } else { "" };
        list.lines().filter_map(|line| line.parse().ok())
    }

    /// The contract whose logs are deposit requests (EIP-6110), if the chain has one.
    pub const fn deposit_contract(&self) -> Option<Address> {
        self.config.deposit_contract_address
    }

    fn blob_entry(&self, name: &str) -> Option<BlobParams> {
        let schedule = &self.config.blob_schedule;
        schedule.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, params)| *params)
    }
}

fn active(forks: &[crate::schedule::Fork], at: u64) -> Option<SpecId> {
    forks.iter().filter(|fork| fork.at.is_some_and(|start| start <= at)).map(|fork| fork.spec).max()
}
