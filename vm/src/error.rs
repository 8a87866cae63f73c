//! What stops a transaction before it runs, in geth's phrases with the figures behind them.

use alloc::string::String;

use alloy_primitives::{Address, U256};
use genesis::container::is_container;
use revm::{
    context::{BlockEnv, Cfg, CfgEnv, TxEnv},
    context_interface::result::{InvalidHeader, InvalidTransaction},
};

use crate::create::evm_init_code_size_max;

/// A transaction that could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError<E> {
    /// The transaction is not valid in this block on this state.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// The block environment lacks something that its fork needs.
    #[error("block environment: {0}")]
    Header(InvalidHeader),
    /// The state could not be read.
    #[error("state: {0}")]
    Database(E),
    /// revm refused to go on, for example because a precompile's library failed.
    #[error("engine: {0}")]
    Internal(String),
    /// The run was ended from outside.
    #[error("the run was stopped before its end")]
    Stopped,
}

/// Why a transaction is not valid. The phrases are geth's, because client libraries match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its fields are")]
pub enum TxError {
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce too high: address {address}, tx: {nonce} state: {next}")]
    NonceTooHigh { address: Address, next: u64, nonce: u64 },
    #[error("nonce has max value: address {address}, nonce: {nonce}")]
    NonceMax { address: Address, nonce: u64 },
    #[error("sender not an eoa: address {address}, len(code): {code_size}")]
    SenderHasCode { address: Address, code_size: usize },
    #[error(
        "insufficient funds for gas * price + value: address {address} have {balance} want {cost}"
    )]
    InsufficientFunds { address: Address, balance: U256, cost: U256 },
    #[error("gas * price + value of the transaction exceeds 256 bits: address {address}")]
    CostOverflow { address: Address },
    #[error("intrinsic gas too low: have {gas_limit}, want {intrinsic}")]
    IntrinsicGas { gas_limit: u64, intrinsic: u64 },
    #[error("insufficient gas for floor data gas cost: have {gas_limit}, want {floor}")]
    FloorGas { gas_limit: u64, floor: u64 },
    #[error("exceeds block gas limit: tx gas limit {gas_limit}, block gas limit {block_gas_limit}")]
    BlockGasLimit { gas_limit: u64, block_gas_limit: u64 },
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")]
    GasLimitTooHigh { gas_limit: u64, cap: u64 },
    #[error(
        "max fee per gas less than block base fee: address {address}, \
         maxFeePerGas: {max_fee}, baseFee: {base_fee}"
    )]
    FeeTooLow { address: Address, max_fee: u128, base_fee: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: address {address}, \
         maxPriorityFeePerGas: {max_priority_fee}, maxFeePerGas: {max_fee}"
    )]
    TipAboveFee { address: Address, max_priority_fee: u128, max_fee: u128 },
    #[error(
        "max fee per blob gas less than block blob gas fee: address {address} \
         blobGasFeeCap: {max_blob_fee}, blobBaseFee: {blob_base_fee}"
    )]
    BlobFeeTooLow { address: Address, max_blob_fee: u128, blob_base_fee: u128 },
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeSize { size: usize, limit: usize },
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },
    #[error("transaction type {kind} must name its chain id: want {want}")]
    ChainIdMissing { kind: u8, want: u64 },
    #[error("transaction type not supported: type {kind} is not part of the {fork} fork")]
    TypeNotSupported { kind: u8, fork: &'static str },
    #[error("blob transaction missing blob hashes")]
    BlobsMissing,
    #[error("blob transaction has too many blobs: have {have}, permitted {permitted}")]
    BlobsTooMany { have: usize, permitted: usize },
    #[error("blob transaction has a blob hash with an invalid version, want version 1")]
    BlobVersion,
    #[error("blob transaction of type create")]
    BlobCreate,
    #[error("EIP-7702 transaction with empty auth list")]
    AuthorizationsMissing,
    #[error("EIP-7702 transaction cannot be used to create contract")]
    AuthorizationsCreate,
    #[error("invalid transaction: {0}")]
    Other(InvalidTransaction),
}

/// Where a transaction was refused.
pub(crate) struct Refusal<'a> {
    pub(crate) tx: &'a TxEnv,
    pub(crate) block: &'a BlockEnv,
    pub(crate) cfg: &'a CfgEnv,
    pub(crate) sender_code_size: usize,
}

impl Refusal<'_> {
    /// revm's reason with the figures that clients want.
    pub(crate) fn explain(&self, reason: InvalidTransaction) -> TxError {
        use InvalidTransaction as Reason;
        let &Self { tx, block, cfg, sender_code_size: code_size } = self;
        let (address, gas_limit) = (tx.caller, tx.gas_limit);
        match reason {
            Reason::NonceTooLow { tx: nonce, state: next } => TxError::NonceTooLow { next, nonce },
            Reason::NonceTooHigh { tx: nonce, state: next } => {
                TxError::NonceTooHigh { address, next, nonce }
            }
            Reason::NonceOverflowInTransaction => TxError::NonceMax { address, nonce: tx.nonce },
            Reason::RejectCallerWithCode => TxError::SenderHasCode { address, code_size },
            Reason::LackOfFundForMaxFee { fee, balance } => {
                TxError::InsufficientFunds { address, balance: *balance, cost: *fee }
            }
            Reason::OverflowPaymentInTransaction => TxError::CostOverflow { address },
            Reason::CallGasCostMoreThanGasLimit { initial_gas: intrinsic, .. } => {
                TxError::IntrinsicGas { gas_limit, intrinsic }
            }
            Reason::GasFloorMoreThanGasLimit { gas_floor: floor, .. } => {
                TxError::FloorGas { gas_limit, floor }
            }
            Reason::CallerGasLimitMoreThanBlock => {
                TxError::BlockGasLimit { gas_limit, block_gas_limit: block.gas_limit }
            }
            Reason::TxGasLimitGreaterThanCap { cap, .. } => {
                TxError::GasLimitTooHigh { gas_limit, cap }
            }
            Reason::CreateInitCodeSizeLimit => self.init_code_size(),
            Reason::InvalidChainId => {
                TxError::ChainId { have: tx.chain_id.unwrap_or_default(), want: cfg.chain_id }
            }
            Reason::MissingChainId => {
                TxError::ChainIdMissing { kind: tx.tx_type, want: cfg.chain_id }
            }
            Reason::Eip2930NotSupported
            | Reason::Eip1559NotSupported
            | Reason::Eip4844NotSupported
            | Reason::Eip7702NotSupported => {
                TxError::TypeNotSupported { kind: tx.tx_type, fork: cfg.spec.into() }
            }
            fee_or_list => self.explain_fee(fee_or_list),
        }
    }

    fn explain_fee(&self, reason: InvalidTransaction) -> TxError {
        use InvalidTransaction as Reason;
        let &Self { tx, block, .. } = self;
        let (address, max_fee) = (tx.caller, tx.gas_price);
        match reason {
            Reason::GasPriceLessThanBasefee => {
                TxError::FeeTooLow { address, max_fee, base_fee: block.basefee }
            }
            Reason::PriorityFeeGreaterThanMaxFee => {
                let max_priority_fee = tx.gas_priority_fee.unwrap_or_default();
                TxError::TipAboveFee { address, max_priority_fee, max_fee }
            }
            Reason::BlobGasPriceGreaterThanMax {
                block_blob_gas_price: blob_base_fee,
                tx_max_fee_per_blob_gas: max_blob_fee,
            } => TxError::BlobFeeTooLow { address, max_blob_fee, blob_base_fee },
            Reason::EmptyBlobs => TxError::BlobsMissing,
            Reason::TooManyBlobs { max: permitted, have } => {
                TxError::BlobsTooMany { have, permitted }
            }
            Reason::BlobVersionNotSupported => TxError::BlobVersion,
            Reason::BlobCreateTransaction => TxError::BlobCreate,
            Reason::EmptyAuthorizationList => TxError::AuthorizationsMissing,
            Reason::AuthorizationListInvalidFields => TxError::AuthorizationsCreate,
            other => TxError::Other(other),
        }
    }

    fn init_code_size(&self) -> TxError {
        let limit = if is_container(&self.tx.data) {
            self.cfg.max_initcode_size()
        } else {
            evm_init_code_size_max(self.cfg)
        };
        TxError::InitCodeSize { size: self.tx.data.len(), limit }
    }
}
