//! What a dev user can change while the node runs.

use std::collections::VecDeque;

use alloy_consensus::Header;
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256};
use genesis::{ChainSpec, SpecId};
use vm::{Engine, Rules};

use crate::clock::Clock;
use crate::config::{NodeConfig, Profile, Sealing};
use crate::fee::next_blob_base_fee;
use crate::pool::PoolRules;
use executor::{NextBlock, next_base_fee};

/// Most withdrawals of a block, as on mainnet.
const WITHDRAWALS_MAX: usize = 16;

/// Settings of the running node; they start as the configuration says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When blocks are sealed.
    pub sealing: Sealing,
    /// Which timestamp blocks get.
    pub clock: Clock,
    /// Who gets the fees.
    pub coinbase: Address,
    /// Gas limit of the next blocks.
    pub gas_limit: u64,
    /// Base fee of the next block only.
    pub next_base_fee: Option<u64>,
    /// Randomness of the next block only.
    pub next_prev_randao: Option<B256>,
    /// Withdrawals that the next blocks pay, first come first served.
    pub withdrawals: VecDeque<Withdrawal>,
    /// The least tip or gas price, in wei.
    pub min_gas_price: u128,
    /// Whether the node logs what it does.
    pub logging: bool,
    /// When the newest block was sealed, by the wall clock; `None` if that was before the start.
    pub sealed_at: Option<u64>,
}

impl Settings {
    /// The settings at the start of a node whose chain ends with `head`.
    pub(crate) fn new(config: &NodeConfig, sealing: Sealing, head: &Header, now: u64) -> Self {
        let clock = Clock::of_chain(config.timestamp.is_some(), head.timestamp, now);
        Self {
            sealing,
            clock,
            coinbase: config.coinbase,
            gas_limit: config.gas_limit.unwrap_or(head.gas_limit),
            next_base_fee: None,
            next_prev_randao: None,
            withdrawals: VecDeque::new(),
            min_gas_price: config.min_gas_price,
            logging: true,
            sealed_at: None,
        }
    }
}

impl Settings {
    /// What a forked chain takes over from the other one: time, and who gets the fees. Its head is
    /// given, and the number of the block that it was forked at.
    pub(crate) fn go_on_from(
        &mut self,
        config: &NodeConfig,
        (forked_at, head): (u64, &Header),
        now: u64,
    ) {
        self.clock = Clock::starting_at(head.timestamp, now);
        if config.coinbase.is_zero() {
            self.coinbase = head.beneficiary;
        }
        if head.number == forked_at {
            self.next_base_fee = config.base_fee;
        }
    }

    /// What a block after one at `parent` is like if it is sealed at `now`.
    pub fn next_block(&self, parent: u64, now: u64) -> NextBlock {
        NextBlock {
            timestamp: self.clock.peek(parent, now),
            gas_limit: self.gas_limit,
            coinbase: self.coinbase,
            base_fee: self.next_base_fee,
            prev_randao: self.next_prev_randao,
        }
    }

    /// The base fee of a block after `head` at `timestamp`, in wei.
    pub(crate) fn base_fee(&self, spec: &ChainSpec, head: &Header, timestamp: u64) -> u64 {
        let next = self.next_base_fee.or_else(|| next_base_fee(spec, head, timestamp));
        next.unwrap_or_default()
    }

    /// The withdrawals that the next block pays, if its fork has any.
    pub(crate) fn next_withdrawals(&self, fork: SpecId) -> Option<Withdrawals> {
        let next = self.withdrawals.iter().take(WITHDRAWALS_MAX).copied();
        fork.is_enabled_in(SpecId::SHANGHAI).then(|| next.collect::<Vec<_>>().into())
    }

    /// Takes back what was meant for one block only: it was sealed at `now` with `timestamp`.
    pub(crate) fn use_up(&mut self, timestamp: u64, now: u64) {
        self.clock.sealed(timestamp, now);
        self.sealed_at = Some(now);
        self.next_base_fee = None;
        self.next_prev_randao = None;
    }
}

/// What is checked of a transaction in a block.
pub(crate) fn block_rules(config: &NodeConfig) -> Rules {
    Rules {
        check_block_gas_limit: !config.disable_block_gas_limit,
        tx_gas_limit_cap: (!config.tx_gas_limit_enforced()).then_some(u64::MAX),
        code_size_max: config.code_size_max(),
        memory_max: config.memory_limit,
        check_balance: !config.disable_balance_checks,
        // An impersonated contract sends, too.
        check_sender_code: config.profile == Profile::Testnet,
        ..Rules::block()
    }
}

/// The pool's rules for a block after `head` at `timestamp`.
pub(crate) fn pool_rules(
    (config, engine): (&NodeConfig, &Engine),
    settings: &Settings,
    head: &Header,
    timestamp: u64,
) -> PoolRules {
    let spec = engine.spec();
    let fork = spec.fork(head.number + 1, timestamp);
    let base_fee = settings.base_fee(spec, head, timestamp);
    let osaka = fork.is_enabled_in(genesis::SpecId::OSAKA);
    let code_size_max = config.code_size_max();
    PoolRules {
        chain_id: engine.chain_id(),
        fork,
        block_gas_limit: if config.disable_block_gas_limit { u64::MAX } else { settings.gas_limit },
        tx_gas_max: (osaka && config.tx_gas_limit_enforced())
            .then_some(alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA),
        base_fee,
        refuse_below_base_fee: config.profile == Profile::Dev,
        blobs: spec.blob_params(timestamp),
        blob_base_fee: next_blob_base_fee(spec, head, timestamp),
        min_gas_price: settings.min_gas_price,
        check_balance: !config.disable_balance_checks,
        check_overdraft: config.profile == Profile::Testnet,
        init_code_max: code_size_max
            .map_or_else(|| init_code_max(fork), |limit| limit.saturating_mul(2)),
        riscv_init_code_max: usize::try_from(spec.riscv.init_code_size_max).unwrap_or(usize::MAX),
        allow_sender_code: config.profile == Profile::Dev,
    }
}

/// EIP-3860's limit, and EIP-7954's from Amsterdam on.
fn init_code_max(fork: genesis::SpecId) -> usize {
    if fork.is_enabled_in(genesis::SpecId::AMSTERDAM) { 65_536 } else { 49_152 }
}
