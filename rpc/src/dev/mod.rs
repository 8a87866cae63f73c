//! What only dev chains have: `anvil_`, `evm_` and `hardhat_` methods, under each of their names.
//!
//! `state` changes accounts, `blocks` seals and goes back, `clock` sets times, `chain_file` imports and
//! exports, `settings` the rest.

mod blobs;
mod blocks;
mod chain_file;
mod clock;
mod reorg;
mod settings;
mod state;
mod token;

use crate::api::Api;
use crate::methods::Table;

/// Other names of methods. `hardhat_` and `evm_` names come from Hardhat and ganache, the
/// `tenderly_` ones from Tenderly's testnets.
const ALIASES: &[(&str, &str)] = &[
    ("anvil_setERC20Balance", "anvil_dealERC20"),
    ("debug_clearTxpool", "anvil_dropAllTransactions"),
    ("dev_setFeeRecipient", "anvil_setCoinbase"),
    ("evm_increaseTime", "anvil_increaseTime"),
    ("evm_mine_detailed", "anvil_mine_detailed"),
    ("evm_revert", "anvil_revert"),
    ("evm_setAccountBalance", "anvil_setBalance"),
    ("evm_setAccountCode", "anvil_setCode"),
    ("evm_setAccountNonce", "anvil_setNonce"),
    ("evm_setAccountStorageAt", "anvil_setStorageAt"),
    ("evm_setAutomine", "anvil_setAutomine"),
    ("evm_setBlockGasLimit", "anvil_setBlockGasLimit"),
    ("evm_setIntervalMining", "anvil_setIntervalMining"),
    ("evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp"),
    ("evm_setTime", "anvil_setTime"),
    ("evm_snapshot", "anvil_snapshot"),
    ("hardhat_addBalance", "anvil_addBalance"),
    ("hardhat_autoImpersonateAccount", "anvil_autoImpersonateAccount"),
    ("hardhat_dealERC20", "anvil_dealERC20"),
    ("hardhat_dropAllTransactions", "anvil_dropAllTransactions"),
    ("hardhat_dumpState", "anvil_dumpState"),
    ("hardhat_getAutomine", "anvil_getAutomine"),
    ("hardhat_impersonateAccount", "anvil_impersonateAccount"),
    ("hardhat_loadState", "anvil_loadState"),
    ("hardhat_metadata", "anvil_metadata"),
    ("hardhat_mine", "anvil_mine"),
    ("hardhat_setBalance", "anvil_setBalance"),
    ("hardhat_setCode", "anvil_setCode"),
    ("hardhat_setCoinbase", "anvil_setCoinbase"),
    ("hardhat_setLoggingEnabled", "anvil_setLoggingEnabled"),
    ("hardhat_setMinGasPrice", "anvil_setMinGasPrice"),
    ("hardhat_setNextBlockBaseFeePerGas", "anvil_setNextBlockBaseFeePerGas"),
    ("hardhat_setNonce", "anvil_setNonce"),
    ("hardhat_setPrevRandao", "anvil_setNextBlockPrevRandao"),
    ("hardhat_setStorageAt", "anvil_setStorageAt"),
    ("hardhat_stopImpersonatingAccount", "anvil_stopImpersonatingAccount"),
    ("tenderly_addBalance", "anvil_addBalance"),
    ("tenderly_setBalance", "anvil_setBalance"),
];

/// Adds the methods of this folder.
pub(crate) fn register(table: &mut Table<Api>) {
    state::register(table);
    blocks::register(table);
    chain_file::register(table);
    clock::register(table);
    settings::register(table);
    token::register(table);
    blobs::register(table);
    reorg::register(table);
    table.aliases(ALIASES);
}
