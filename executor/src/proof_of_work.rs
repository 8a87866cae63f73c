//! What the rules of proof of work give and demand besides the seal: rewards and difficulty.

use alloc::{vec, vec::Vec};

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, U256};
use genesis::{ChainSpec, SpecId};

/// The least difficulty.
const DIFFICULTY_MIN: U256 = U256::from_limbs([131_072, 0, 0, 0]);
/// Blocks after which the difficulty bomb doubles.
const BOMB_PERIOD: u64 = 100_000;
/// One ether, in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;
/// Most generations between a block and an ommer's parent.
pub const OMMER_DEPTH_MAX: u64 = 7;

/// What a block's beneficiaries get (EIP-649, EIP-1234): that of the block first.
pub fn rewards(fork: SpecId, header: &Header, ommers: &[Header]) -> Vec<(Address, U256)> {
    let ether = match fork {
        _ if fork.is_enabled_in(SpecId::PETERSBURG) => 2,
        _ if fork.is_enabled_in(SpecId::BYZANTIUM) => 3,
        _ => 5,
    };
    let reward = ether * ETHER;
    let with_ommers = reward + reward / 32 * ommers.len() as u128;
    let mut rewards = vec![(header.beneficiary, U256::from(with_ommers))];
    for ommer in ommers {
        // An ommer is checked to be younger than this before.
        let nearness = (ommer.number + OMMER_DEPTH_MAX + 1).saturating_sub(header.number);
        rewards.push((ommer.beneficiary, U256::from(u128::from(nearness) * reward / 8)));
    }
    rewards
}

/// The difficulty of the block after `parent` at `timestamp`.
pub(super) fn difficulty(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    let number = parent.number + 1;
    let fork = spec.fork(number, timestamp);
    let step = parent.difficulty / U256::from(2_048);
    let passed = timestamp.saturating_sub(parent.timestamp);
    // Steps up, and steps down.
    let (up, down) = if fork.is_enabled_in(SpecId::BYZANTIUM) {
        let base = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
        (base, passed / 9)
    } else if fork.is_enabled_in(SpecId::HOMESTEAD) {
        (1, passed / 10)
    } else if passed < 13 {
        (1, 0)
    } else {
        (0, 1)
    };
    let change = step * U256::from(down.saturating_sub(up).min(99));
    let rise = step * U256::from(up.saturating_sub(down));
    let moved = (parent.difficulty + rise).saturating_sub(change).max(DIFFICULTY_MIN);
    moved + bomb(number.saturating_sub(bomb_delay(spec, number, fork)))
}

/// The difficulty bomb, from the number that counts for it.
fn bomb(number: u64) -> U256 {
    match number / BOMB_PERIOD {
        0 | 1 => U256::ZERO,
        periods => U256::from(1) << (periods - 2),
    }
}

/// Blocks by which the bomb is put off (EIP-649, EIP-1234, EIP-2384, EIP-3554, EIP-4345, EIP-5133).
fn bomb_delay(spec: &ChainSpec, number: u64, fork: SpecId) -> u64 {
    let config = &spec.config;
    let from = |block: Option<u64>| block.is_some_and(|block| block <= number);
    match fork {
        _ if from(config.gray_glacier_block) => 11_400_000,
        _ if from(config.arrow_glacier_block) => 10_700_000,
        _ if fork.is_enabled_in(SpecId::LONDON) => 9_700_000,
        _ if from(config.muir_glacier_block) => 9_000_000,
        _ if fork.is_enabled_in(SpecId::PETERSBURG) => 5_000_000,
        _ if fork.is_enabled_in(SpecId::BYZANTIUM) => 3_000_000,
        _ => 0,
    }
}
