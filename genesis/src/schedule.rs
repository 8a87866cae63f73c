//! The forks in their order, by block and by time, and the check of that order.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use alloy_eips::eip7840::BlobParams;
use revm::primitives::hardfork::SpecId;

use crate::{
    ChainSpec,
    error::{GenesisError, Problem},
};

/// A fork that changes the rules of execution.
pub(crate) struct Fork {
    pub(crate) at: Option<u64>,
    pub(crate) spec: SpecId,
}

/// A fork that may change the blob limits.
pub(crate) struct BlobFork {
    pub(crate) name: &'static str,
    pub(crate) at: Option<u64>,
    pub(crate) mainnet: Option<BlobParams>,
}

/// An activation key of `config` in the order that forks have.
struct Activation {
    key: &'static str,
    at: Option<u64>,
    /// The forks after it may come without it.
    optional: bool,
}

const fn needed(key: &'static str, at: Option<u64>) -> Activation {
    Activation { key, at, optional: false }
}

const fn optional(key: &'static str, at: Option<u64>) -> Activation {
    Activation { key, at, optional: true }
}

impl ChainSpec {
    pub(crate) fn block_forks(&self) -> [Fork; 8] {
        let config = &self.config;
        let petersburg = config.constantinople_block.or(config.petersburg_block);
        [
            (config.homestead_block, SpecId::HOMESTEAD),
            (config.eip150_block, SpecId::TANGERINE),
            (config.eip158_block, SpecId::SPURIOUS_DRAGON),
            (config.byzantium_block, SpecId::BYZANTIUM),
            (petersburg, SpecId::PETERSBURG),
            (config.istanbul_block, SpecId::ISTANBUL),
            (config.berlin_block, SpecId::BERLIN),
            (config.london_block, SpecId::LONDON),
        ]
        .map(|(at, spec)| Fork { at, spec })
    }

    pub(crate) fn time_forks(&self) -> [Fork; 5] {
        let config = &self.config;
        [
            (config.shanghai_time, SpecId::SHANGHAI),
            (config.cancun_time, SpecId::CANCUN),
            (config.prague_time, SpecId::PRAGUE),
            (config.osaka_time, SpecId::OSAKA),
            (config.amsterdam_time, SpecId::AMSTERDAM),
        ]
        .map(|(at, spec)| Fork { at, spec })
    }

    pub(crate) fn blob_forks(&self) -> [BlobFork; 9] {
        let config = &self.config;
        [
            ("cancun", config.cancun_time, Some(BlobParams::cancun())),
            ("prague", config.prague_time, Some(BlobParams::prague())),
            ("osaka", config.osaka_time, Some(BlobParams::osaka())),
            ("bpo1", config.bpo1_time, Some(BlobParams::bpo1())),
            ("bpo2", config.bpo2_time, Some(BlobParams::bpo2())),
            ("bpo3", config.bpo3_time, None),
            ("bpo4", config.bpo4_time, None),
            ("bpo5", config.bpo5_time, None),
            ("amsterdam", config.amsterdam_time, None),
        ]
        .map(|(name, at, mainnet)| BlobFork { name, at, mainnet })
    }

    /// The blocks at which forks start, each once and in order.
    pub fn fork_blocks(&self) -> Vec<u64> {
        starts(&self.block_activations())
    }

    /// The times at which forks start, each once and in order.
    pub fn fork_times(&self) -> Vec<u64> {
        starts(&self.time_activations())
    }

    /// Refuses a schedule that skips a fork, turns two round, or asks for what is not there.
    pub(crate) fn check(&self) -> Result<(), GenesisError> {
        let config = &self.config;
        self.check_order(&self.block_activations())?;
        self.check_order(&self.time_activations())?;
        let by_time = config.shanghai_time.or(config.cancun_time).is_some();
        if by_time && config.london_block.is_none() {
            let problem = Problem::ForkMissing { earlier: "londonBlock" };
            return Err(problem.at(key("shanghaiTime")));
        }
        if let Some(difficulty) = config.terminal_total_difficulty
            && by_time
            && self.merge_block().is_none()
        {
            return Err(Problem::MergeBlock { difficulty }.at(key("mergeNetsplitBlock")));
        }
        if config.bogota_time.is_some() {
            return Err(Problem::UnsupportedFork.at(key("bogotaTime")));
        }
        self.check_unknown_forks()?;
        self.check_blobs()
    }

    fn block_activations(&self) -> [Activation; 15] {
        let config = &self.config;
        [
            needed("homesteadBlock", config.homestead_block),
            optional("daoForkBlock", config.dao_fork_block),
            needed("eip150Block", config.eip150_block),
            needed("eip155Block", config.eip155_block),
            needed("eip158Block", config.eip158_block),
            needed("byzantiumBlock", config.byzantium_block),
            needed("constantinopleBlock", config.constantinople_block),
            needed("petersburgBlock", config.petersburg_block),
            needed("istanbulBlock", config.istanbul_block),
            optional("muirGlacierBlock", config.muir_glacier_block),
            needed("berlinBlock", config.berlin_block),
            needed("londonBlock", config.london_block),
            optional("arrowGlacierBlock", config.arrow_glacier_block),
            optional("grayGlacierBlock", config.gray_glacier_block),
            optional("mergeNetsplitBlock", config.merge_netsplit_block),
        ]
    }

    fn time_activations(&self) -> [Activation; 10] {
        let config = &self.config;
        [
            needed("shanghaiTime", config.shanghai_time),
            needed("cancunTime", config.cancun_time),
            needed("pragueTime", config.prague_time),
            needed("osakaTime", config.osaka_time),
            optional("bpo1Time", config.bpo1_time),
            optional("bpo2Time", config.bpo2_time),
            optional("bpo3Time", config.bpo3_time),
            optional("bpo4Time", config.bpo4_time),
            optional("bpo5Time", config.bpo5_time),
            optional("amsterdamTime", config.amsterdam_time),
        ]
    }

    fn check_order(&self, activations: &[Activation]) -> Result<(), GenesisError> {
        let mut missing = None;
        let mut last: Option<(&'static str, u64)> = None;
        for activation in activations {
            let Some(at) = activation.at else {
                if !activation.optional {
                    missing = missing.or(Some(activation.key));
                }
                continue;
            };
            if let Some(earlier) = missing {
                return Err(Problem::ForkMissing { earlier }.at(key(activation.key)));
            }
            if let Some((earlier, earlier_at)) = last
                && at < earlier_at
            {
                let problem = Problem::ForkOrder { at, earlier, earlier_at };
                return Err(problem.at(key(activation.key)));
            }
            last = Some((activation.key, at));
        }
        Ok(())
    }

    /// A misspelt fork would silently not happen: an unknown key that looks like one is refused.
    fn check_unknown_forks(&self) -> Result<(), GenesisError> {
        for (name, value) in self.config.extra_fields.iter() {
            if (name.ends_with("Block") || name.ends_with("Time")) && !value.is_null() {
                return Err(Problem::UnknownFork.at(key(name)));
            }
        }
        Ok(())
    }

    fn check_blobs(&self) -> Result<(), GenesisError> {
        let names: Vec<_> = self.blob_forks().iter().map(|fork| fork.name).collect();
        for (name, params) in &self.config.blob_schedule {
            let path = |field: &str| format!("config.blobSchedule.{name}{field}");
            if !names.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                return Err(Problem::UnknownFork.at(path("")));
            }
            if params.max_blob_count == 0 {
                return Err(Problem::Zero.at(path(".max")));
            }
            if params.update_fraction == 0 {
                return Err(Problem::Zero.at(path(".baseFeeUpdateFraction")));
            }
            let (target, max) = (params.target_blob_count, params.max_blob_count);
            if target > max {
                return Err(Problem::BlobTarget { target, max }.at(path(".target")));
            }
        }
        Ok(())
    }
}

fn starts(activations: &[Activation]) -> Vec<u64> {
    let mut starts: Vec<_> = activations.iter().filter_map(|fork| fork.at).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn key(name: &str) -> String {
    "config.".to_owned() + name
}
