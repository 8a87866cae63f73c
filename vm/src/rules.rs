//! What is checked before a transaction runs.

use genesis::SpecId;
use revm::context::CfgEnv;

/// What is checked and what is allowed: blocks, `eth_call` and dev settings differ only here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The sender's nonce must be the transaction's.
    pub check_nonce: bool,
    /// The sender must be able to pay gas and value; otherwise the value is lent.
    pub check_balance: bool,
    /// The gas price must reach the block's base fee.
    pub check_base_fee: bool,
    /// A transaction that offers no gas price sees a base fee of 0, as in geth's `eth_call`.
    pub lower_base_fee: bool,
    /// The transaction's gas limit must fit the block's.
    pub check_block_gas_limit: bool,
    /// The sender must have no code but a delegation (EIP-3607).
    pub check_sender_code: bool,
    /// The transaction's chain id must be the chain's.
    pub check_chain_id: bool,
    /// Most gas a transaction may ask for: `None` is the fork's cap (EIP-7825).
    pub tx_gas_limit_cap: Option<u64>,
    /// Largest EVM code in bytes, of which init code may have twice as many: `None` is the fork's
    /// limit (EIP-170).
    pub code_size_max: Option<usize>,
    /// Most bytes of memory that the EVM frames of a transaction have together: `None` is 4 GiB.
    pub memory_max: Option<u64>,
}

impl Rules {
    /// Everything is checked, as for a transaction in a block.
    pub const fn block() -> Self {
        Self {
            check_nonce: true,
            check_balance: true,
            check_base_fee: true,
            lower_base_fee: false,
            check_block_gas_limit: true,
            check_sender_code: true,
            check_chain_id: true,
            tx_gas_limit_cap: None,
            code_size_max: None,
            memory_max: None,
        }
    }

    /// As for `eth_call`: only the sender's balance is checked.
    pub const fn call() -> Self {
        Self {
            check_nonce: false,
            check_balance: true,
            check_base_fee: false,
            lower_base_fee: true,
            check_block_gas_limit: false,
            check_sender_code: false,
            check_chain_id: true,
            tx_gas_limit_cap: Some(u64::MAX),
            code_size_max: None,
            memory_max: None,
        }
    }

    /// revm's configuration for a chain and fork under these rules.
    pub(crate) fn config(&self, chain_id: u64, fork: SpecId) -> CfgEnv {
        let mut cfg = CfgEnv::new_with_spec(fork).with_chain_id(chain_id);
        cfg.tx_chain_id_check = self.check_chain_id;
        cfg.disable_nonce_check = !self.check_nonce;
        cfg.disable_balance_check = !self.check_balance;
        cfg.disable_base_fee = !self.check_base_fee;
        cfg.disable_block_gas_limit = !self.check_block_gas_limit;
        cfg.disable_eip3607 = !self.check_sender_code;
        cfg.tx_gas_limit_cap = self.tx_gas_limit_cap;
        cfg.limit_contract_code_size = self.code_size_max;
        cfg.memory_limit = self.memory_max.unwrap_or(cfg.memory_limit);
        cfg
    }
}
