//! Which blocks a simulation has, gaps filled, and what their headers start from.

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, U256};
use genesis::{ChainSpec, SpecId};

use super::{BLOCKS_MAX, PlannedBlock, SimulateError, Simulation};

/// Seconds between two blocks where nothing else is asked for.
const BLOCK_TIME: u64 = 12;

/// The blocks to run.
#[derive(Debug)]
pub(super) struct Plan {
    /// Each block with the header that its overrides make.
    pub(super) blocks: Vec<(PlannedBlock, Header)>,
    pub(super) trace_transfers: bool,
    pub(super) validation: bool,
}

impl Plan {
    /// Puts the blocks of `simulation` in order after `base`.
    pub(super) fn new(
        simulation: &Simulation,
        base: &Header,
        spec: &ChainSpec,
    ) -> Result<Self, SimulateError> {
        let mut plan = Self {
            blocks: Vec::new(),
            trace_transfers: simulation.trace_transfers,
            validation: simulation.validation,
        };
        let mut last = base.clone();
        for block in &simulation.blocks {
            let next = U256::from(last.number) + U256::ONE;
            let number = block.overrides.number.unwrap_or(next);
            if number < next {
                let previous = last.number;
                return Err(SimulateError::BlockNumber { number: number.to(), previous });
            }
            if number - U256::from(base.number) > U256::from(BLOCKS_MAX) {
                return Err(SimulateError::TooManyBlocks);
            }
            let number: u64 = number.to();
            while last.number + 1 < number {
                last = plan.push(PlannedBlock::default(), &last, spec)?;
            }
            last = plan.push(block.clone(), &last, spec)?;
        }
        Ok(plan)
    }

    /// Adds the block after `last`, and returns its header.
    fn push(
        &mut self,
        block: PlannedBlock,
        last: &Header,
        spec: &ChainSpec,
    ) -> Result<Header, SimulateError> {
        let timestamp = match block.overrides.time {
            Some(timestamp) if timestamp <= last.timestamp => {
                let previous = last.timestamp;
                return Err(SimulateError::Timestamp { timestamp, previous });
            }
            Some(timestamp) => timestamp,
            None => last.timestamp.saturating_add(BLOCK_TIME),
        };
        let header = header(&block, last, timestamp, spec);
        self.blocks.push((block, header.clone()));
        Ok(header)
    }
}

/// What is known of a block's header before its parent has run. A base fee of `None` means that it
/// is to follow from the parent.
fn header(block: &PlannedBlock, last: &Header, timestamp: u64, spec: &ChainSpec) -> Header {
    let number = last.number + 1;
    let fork = spec.fork(number, timestamp);
    let from = |start: SpecId| fork.is_enabled_in(start);
    let changed = &block.overrides;
    let difficulty = if from(SpecId::MERGE) { U256::ZERO } else { last.difficulty };
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: changed.coinbase.unwrap_or(last.beneficiary),
        difficulty: changed.difficulty.unwrap_or(difficulty),
        number,
        gas_limit: changed.gas_limit.unwrap_or(last.gas_limit),
        timestamp,
        mix_hash: changed.random.unwrap_or_default(),
        base_fee_per_gas: changed.base_fee.map(|fee| fee.saturating_to()),
        blob_gas_used: from(SpecId::CANCUN).then_some(0),
        parent_beacon_block_root: from(SpecId::CANCUN)
            .then(|| block.beacon_root.unwrap_or(B256::ZERO)),
        slot_number: from(SpecId::AMSTERDAM).then(|| last.slot_number.unwrap_or(last.number) + 1),
        ..Header::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::BlockOverrides;
    use genesis::Genesis;

    fn block(number: Option<u64>, time: Option<u64>) -> PlannedBlock {
        let number = number.map(U256::from);
        let overrides = BlockOverrides { number, time, ..BlockOverrides::default() };
        PlannedBlock { overrides, ..PlannedBlock::default() }
    }

    /// Numbers and timestamps of the plan on a block 10 at time 100, or the error's text.
    fn plan(blocks: &[PlannedBlock]) -> Result<Vec<(u64, u64)>, String> {
        let simulation = Simulation { blocks: blocks.to_vec(), ..Simulation::default() };
        let base = Header { number: 10, timestamp: 100, ..Header::default() };
        let spec = Genesis::dev(genesis::DevOptions::default()).spec;
        let plan = Plan::new(&simulation, &base, &spec).map_err(|error| error.to_string())?;
        Ok(plan.blocks.iter().map(|(_, header)| (header.number, header.timestamp)).collect())
    }

    #[track_caller]
    fn check(blocks: &[PlannedBlock], want: &[(u64, u64)]) {
        assert_eq!(plan(blocks).as_deref(), Ok(want));
    }

    #[track_caller]
    fn refuse(blocks: &[PlannedBlock], want: &str) {
        assert_eq!(plan(blocks).unwrap_err(), want);
    }

    #[test]
    fn gaps_are_filled_and_times_go_on() {
        check(&[block(None, None)], &[(11, 112)]);
        check(&[block(Some(13), None)], &[(11, 112), (12, 124), (13, 136)]);
        check(
            &[block(None, Some(101)), block(None, Some(102)), block(None, None)],
            &[(11, 101), (12, 102), (13, 114)],
        );
        let all = plan(&[block(Some(266), None)]).unwrap();
        assert_eq!((all.len(), all[255]), (256, (266, 100 + 256 * 12)));
    }

    #[test]
    fn order_and_number_are_checked() {
        refuse(&[block(Some(10), None)], "block numbers must be in order: 10 <= 10");
        refuse(
            &[block(Some(12), None), block(Some(12), None)],
            "block numbers must be in order: 12 <= 12",
        );
        refuse(&[block(None, Some(100))], "block timestamps must be in order: 100 <= 100");
        refuse(&[block(Some(12), Some(112))], "block timestamps must be in order: 112 <= 112");
        let far = "too many blocks: at most 256, gaps included";
        refuse(&[block(Some(267), None)], far);
        refuse(&[block(Some(u64::MAX), None)], far);
    }
}
