//! What a transaction must be like to wait in the pool. The phrases are geth's: client libraries
//! match on them.

use alloy_consensus::{Transaction, TxEnvelope, Typed2718};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, B256, U256};
use genesis::SpecId;
use revm::context_interface::cfg::gas;
use revm::state::AccountInfo;

/// Bytes that a transaction may have besides its blobs and init code: more than EIP-7825's most gas
/// buys at the floor's price of a zero byte (EIP-7623). geth's 128 KiB spare its network.
const SIZE_MAX: usize = 2 << 20;

/// The head, as far as the pool's rules need it.
#[derive(Clone, Debug)]
pub struct PoolRules {
    /// Id of the chain.
    pub chain_id: u64,
    /// Fork of the next block.
    pub fork: SpecId,
    /// Gas limit of the next block.
    pub block_gas_limit: u64,
    /// Most gas that a transaction may have.
    pub tx_gas_max: Option<u64>,
    /// Base fee of the next block.
    pub base_fee: u64,
    /// Whether a fee cap below the base fee is refused rather than kept waiting.
    pub refuse_below_base_fee: bool,
    /// Blob rules of the next block.
    pub blobs: Option<BlobParams>,
    /// Blob base fee of the next block.
    pub blob_base_fee: Option<u128>,
    /// The least tip, or gas price, in wei.
    pub min_gas_price: u128,
    /// Whether a sender must be able to pay for the transaction.
    pub check_balance: bool,
    /// Whether a sender must be able to pay for all of its waiting transactions together.
    pub check_overdraft: bool,
    /// Size limit of EVM init code.
    pub init_code_max: usize,
    /// Size limit of RISC-V init code.
    pub riscv_init_code_max: usize,
    /// Whether a sender may have code (impersonated contracts do).
    pub allow_sender_code: bool,
}

/// Checks what does not change while the transaction waits.
pub fn check_form(rules: &PoolRules, transaction: &TxEnvelope) -> Result<(), PoolError> {
    check_type(rules, transaction)?;
    if let Some(have) = transaction.chain_id().filter(|id| *id != rules.chain_id) {
        return Err(PoolError::ChainId { have, want: rules.chain_id });
    }
    check_size(rules, transaction)?;
    let (cap, tip) = (transaction.max_fee_per_gas(), transaction.max_priority_fee_per_gas());
    if let Some(tip) = tip.filter(|tip| *tip > cap) {
        return Err(PoolError::TipAboveFeeCap { tip, cap });
    }
    if transaction.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    check_gas(rules, transaction)?;
    match transaction {
        TxEnvelope::Eip4844(signed) => {
            check_blobs(rules, transaction, signed.tx().sidecar().is_some())
        }
        TxEnvelope::Eip7702(signed) if signed.tx().authorization_list.is_empty() => {
            Err(PoolError::NoAuthorizations)
        }
        _ => Ok(()),
    }
}

fn check_type(rules: &PoolRules, transaction: &TxEnvelope) -> Result<(), PoolError> {
    let (ty, needs) = match transaction.ty() {
        0 => return Ok(()),
        ty @ 1 => (ty, SpecId::BERLIN),
        ty @ 2 => (ty, SpecId::LONDON),
        ty @ 3 => (ty, SpecId::CANCUN),
        ty => (ty, SpecId::PRAGUE),
    };
    if rules.fork.is_enabled_in(needs) {
        Ok(())
    } else {
        Err(PoolError::Type { ty, needs: needs.into(), fork: rules.fork.into() })
    }
}

fn check_size(rules: &PoolRules, transaction: &TxEnvelope) -> Result<(), PoolError> {
    let mut size_max = SIZE_MAX;
    if transaction.is_create() && rules.fork.is_enabled_in(SpecId::LONDON) {
        let size = transaction.input().len();
        let riscv = genesis::container::is_container(transaction.input());
        let limit = if riscv { rules.riscv_init_code_max } else { rules.init_code_max };
        let limited = riscv || rules.fork.is_enabled_in(SpecId::SHANGHAI);
        if limited && size > limit {
            return Err(PoolError::InitCodeSize { size, limit });
        }
        size_max += size;
    }
    let size = transaction.input().len()
        + transaction.access_list().map_or(0, |list| list.size())
        + transaction.authorization_list().map_or(0, |list| list.len() * 128);
    if size > size_max {
        return Err(PoolError::Oversized { size, limit: size_max });
    }
    Ok(())
}

fn check_gas(rules: &PoolRules, transaction: &TxEnvelope) -> Result<(), PoolError> {
    let gas_limit = transaction.gas_limit();
    if gas_limit > rules.block_gas_limit {
        return Err(PoolError::BlockGasLimit { gas_limit, limit: rules.block_gas_limit });
    }
    if let Some(cap) = rules.tx_gas_max.filter(|cap| gas_limit > *cap) {
        return Err(PoolError::TxGasLimit { gas_limit, cap });
    }
    // Amsterdam's price of the base depends on the callee's state: execution checks it there.
    if rules.fork.is_enabled_in(SpecId::AMSTERDAM) {
        return Ok(());
    }
    let (accounts, slots) = transaction.access_list().map_or((0, 0), |list| {
        (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum())
    });
    let need = gas::calculate_initial_tx_gas(
        rules.fork,
        transaction.input(),
        transaction.is_create(),
        accounts,
        slots,
        transaction.authorization_list().map_or(0, |list| list.len() as u64),
        None,
    );
    if gas_limit < need.initial_total_gas() {
        return Err(PoolError::IntrinsicGas { gas_limit, need: need.initial_total_gas() });
    }
    if rules.fork.is_enabled_in(SpecId::PRAGUE) && gas_limit < need.floor_gas() {
        return Err(PoolError::FloorGas { gas_limit, need: need.floor_gas() });
    }
    Ok(())
}

fn check_blobs(
    rules: &PoolRules,
    transaction: &TxEnvelope,
    sidecar: bool,
) -> Result<(), PoolError> {
    let hashes = transaction.blob_versioned_hashes().unwrap_or_default();
    if hashes.is_empty() {
        return Err(PoolError::NoBlobs);
    }
    let permitted = rules.blobs.as_ref().map_or(0, |blobs| blobs.max_blobs_per_tx);
    if hashes.len() as u64 > permitted {
        return Err(PoolError::TooManyBlobs { have: hashes.len(), permitted });
    }
    if !sidecar {
        return Err(PoolError::NoSidecar);
    }
    Ok(())
}

/// Checks the blobs of `transaction` against their commitments and proofs.
///
/// This takes milliseconds a blob: it belongs on the request's thread.
pub fn check_sidecar(transaction: &TxEnvelope) -> Result<(), PoolError> {
    let TxEnvelope::Eip4844(signed) = transaction else { return Ok(()) };
    let Some(sidecar) = signed.tx().sidecar() else { return Err(PoolError::NoSidecar) };
    let hashes = transaction.blob_versioned_hashes().unwrap_or_default();
    let settings = alloy_eips::eip4844::env_settings::EnvKzgSettings::Default;
    let valid = match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => sidecar.validate(hashes, settings.get()),
        BlobTransactionSidecarVariant::Eip7594(sidecar) => sidecar.validate(hashes, settings.get()),
    };
    valid.map_err(|_| PoolError::Sidecar)
}

/// Checks the transaction against its sender's account and the next block's fees.
pub fn check_sender(
    rules: &PoolRules,
    transaction: &TxEnvelope,
    (sender, account, delegated): (Address, &AccountInfo, bool),
) -> Result<(), PoolError> {
    let (nonce, next) = (transaction.nonce(), account.nonce);
    if nonce < next {
        return Err(PoolError::NonceTooLow { next, nonce });
    }
    if !account.is_empty_code_hash() && !delegated && !rules.allow_sender_code {
        return Err(PoolError::SenderHasCode { address: sender, code_hash: account.code_hash });
    }
    check_fees(rules, transaction)?;
    if !rules.check_balance {
        return Ok(());
    }
    let want = cost(transaction).ok_or(PoolError::CostOverflow { address: sender })?;
    if account.balance < want {
        let have = account.balance;
        return Err(PoolError::InsufficientFunds { address: sender, have, want });
    }
    Ok(())
}

/// Checks that `account` can pay for `transaction` beside its other waiting ones, which take
/// `queued` wei.
pub fn check_overdraft(
    rules: &PoolRules,
    transaction: &TxEnvelope,
    (account, queued): (&AccountInfo, U256),
) -> Result<(), PoolError> {
    let (balance, cost) = (account.balance, cost(transaction).unwrap_or(U256::MAX));
    if rules.check_balance && rules.check_overdraft && queued.saturating_add(cost) > balance {
        return Err(PoolError::Overdraft { balance, queued, cost });
    }
    Ok(())
}

fn check_fees(rules: &PoolRules, transaction: &TxEnvelope) -> Result<(), PoolError> {
    let cap = transaction.max_fee_per_gas();
    let tip = transaction.max_priority_fee_per_gas().unwrap_or(cap);
    if tip.min(cap) < rules.min_gas_price {
        return Err(PoolError::Underpriced { tip, need: rules.min_gas_price });
    }
    if !rules.refuse_below_base_fee {
        return Ok(());
    }
    if cap < u128::from(rules.base_fee) {
        return Err(PoolError::FeeCapTooLow { cap, base_fee: rules.base_fee });
    }
    if let (Some(cap), Some(base_fee)) = (transaction.max_fee_per_blob_gas(), rules.blob_base_fee)
        && cap < base_fee
    {
        return Err(PoolError::BlobFeeCapTooLow { cap, base_fee });
    }
    Ok(())
}

/// The most wei that a transaction can take from its sender, unless that is no number.
pub fn cost(transaction: &TxEnvelope) -> Option<U256> {
    let gas = U256::from(transaction.max_fee_per_gas()) * U256::from(transaction.gas_limit());
    let blobs = U256::from(transaction.max_fee_per_blob_gas().unwrap_or_default())
        * U256::from(transaction.blob_gas_used().unwrap_or_default());
    gas.checked_add(blobs)?.checked_add(transaction.value())
}

/// Why the pool refuses a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what each field is")]
pub enum PoolError {
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce has max value: {}", u64::MAX)]
    NonceMax,
    #[error(
        "replacement transaction underpriced: fee cap {cap} and tip {tip}, needs {need_cap} and {need_tip}"
    )]
    ReplacementUnderpriced { cap: u128, tip: u128, need_cap: u128, need_tip: u128 },
    #[error("replacement transaction underpriced: blob fee cap {cap}, needs {need}")]
    ReplacementBlobFee { cap: u128, need: u128 },
    #[error(
        "insufficient funds for gas * price + value: address {address} have {have} want {want}"
    )]
    InsufficientFunds { address: Address, have: U256, want: U256 },
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {}",
        queued.saturating_add(*cost).saturating_sub(*balance)
    )]
    Overdraft { balance: U256, queued: U256, cost: U256 },
    #[error("insufficient funds for gas * price + value: address {address} cost exceeds 256 bits")]
    CostOverflow { address: Address },
    #[error("exceeds block gas limit: tx gas limit {gas_limit}, block gas limit {limit}")]
    BlockGasLimit { gas_limit: u64, limit: u64 },
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")]
    TxGasLimit { gas_limit: u64, cap: u64 },
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {need}")]
    IntrinsicGas { gas_limit: u64, need: u64 },
    #[error("insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {need}")]
    FloorGas { gas_limit: u64, need: u64 },
    #[error("transaction underpriced: gas tip cap {tip}, minimum needed {need}")]
    Underpriced { tip: u128, need: u128 },
    #[error("max fee per gas less than block base fee: maxFeePerGas: {cap}, baseFee: {base_fee}")]
    FeeCapTooLow { cap: u128, base_fee: u64 },
    #[error(
        "max fee per blob gas less than block blob gas fee: maxFeePerBlobGas: {cap}, blobBaseFee: {base_fee}"
    )]
    BlobFeeCapTooLow { cap: u128, base_fee: u128 },
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap { tip: u128, cap: u128 },
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },
    #[error("transaction type not supported: type {ty} needs {needs}, the chain is at {fork}")]
    Type { ty: u8, needs: &'static str, fork: &'static str },
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeSize { size: usize, limit: usize },
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized { size: usize, limit: usize },
    #[error("sender not an eoa: address {address}, codehash: {code_hash}")]
    SenderHasCode { address: Address, code_hash: B256 },
    #[error("blobless blob transaction")]
    NoBlobs,
    #[error("too many blobs in transaction: have {have}, permitted {permitted}")]
    TooManyBlobs { have: usize, permitted: u64 },
    #[error("missing sidecar in blob transaction")]
    NoSidecar,
    #[error("invalid blob sidecar: the blobs do not match their commitments, proofs or hashes")]
    Sidecar,
    #[error("EIP-7702 transaction with empty auth list")]
    NoAuthorizations,
    #[error(
        "txpool is full: {count} transactions, {bytes} bytes, see --pool-transactions-max and \
         --pool-size-max"
    )]
    Full { count: usize, bytes: usize },
    #[error("account limit exceeded: pooled {count} txs of {address}, see --pool-sender-max")]
    SenderFull { address: Address, count: usize },
    #[error("address already reserved: {address} has waiting transactions of another kind")]
    Reserved { address: Address },
}
