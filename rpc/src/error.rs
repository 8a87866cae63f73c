//! The one table from what went wrong to JSON-RPC codes and texts.
//!
//! Client libraries match on geth's phrases, so they come first and the figures follow.

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{OVERSIZED_RESPONSE_CODE, OVERSIZED_RESPONSE_MSG};
use node::building::BuildError;
use node::error::{CallError, DevError, Failure, QueryError, SubmitError};
use node::riscv::RiscvError;
use node::simulate::SimulateError;
use std::fmt::Display;
use storage::StoreError;
use vm::TxError;

/// What a method answers.
pub(crate) type Reply<T> = Result<T, RpcError>;

/// An error as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    code: i32,
    message: String,
    data: Option<Bytes>,
}

/// The arguments are wrong.
const INVALID_PARAMS: i32 = -32602;
/// No such method in this profile.
pub(crate) const UNKNOWN_METHOD: i32 = -32601;
/// The node is at fault.
pub(crate) const INTERNAL: i32 = -32603;
/// geth's code for all that a server refuses.
const SERVER: i32 = -32000;
/// A connection has as many subscriptions as it may.
const SUBSCRIPTIONS: i32 = -32006;
/// A request is longer than the limit.
const REQUEST_TOO_LARGE: i32 = -32007;
/// A batch has more calls than the limit.
const BATCH_TOO_LARGE: i32 = -32010;
/// A contract has reverted; its data goes with the error.
const REVERTED: i32 = 3;
/// A transaction was taken, but not sealed in time (EIP-7966); its hash goes with the error.
const NOT_SEALED: i32 = 4;

/// A simulated block takes more gas than it has.
const BLOCK_GAS_LIMIT: i32 = -38015;
/// Numbers of simulated blocks do not ascend.
const BLOCK_NUMBER: i32 = -38020;
/// Timestamps of simulated blocks do not ascend.
const BLOCK_TIMESTAMP: i32 = -38021;
/// A limit that the node sets itself.
const LIMIT: i32 = -38026;

impl RpcError {
    /// An error with any of the codes above.
    pub(crate) fn new(code: i32, message: impl Display) -> Self {
        Self { code, message: message.to_string(), data: None }
    }

    /// The same with data.
    pub(crate) fn with_data(self, data: Option<Bytes>) -> Self {
        Self { data, ..self }
    }

    /// The caller's arguments are wrong.
    pub(crate) fn invalid_params(message: impl Display) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// The server refuses, with geth's code for it.
    pub(crate) fn server(message: impl Display) -> Self {
        Self::new(SERVER, message)
    }

    /// The condition of a conditional transaction does not hold (ERC-7796).
    pub(crate) fn condition_failed(message: impl Display) -> Self {
        Self::new(-32003, message)
    }

    /// The condition of a conditional transaction is too large (ERC-7796).
    pub(crate) fn condition_too_large(message: impl Display) -> Self {
        Self::new(-32005, message)
    }

    /// A limit of the node's own, with execution-apis' code for it.
    pub(crate) fn limit(message: impl Display) -> Self {
        Self::new(LIMIT, message)
    }

    /// The node is at fault; the log has more.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(INTERNAL, message)
    }

    /// Nobody has registered `method`.
    pub(crate) fn unknown_method(method: &str) -> Self {
        Self::new(UNKNOWN_METHOD, format!("the method {method} does not exist/is not available"))
    }

    /// geth's answer to a subscription over HTTP.
    pub(crate) fn no_notifications() -> Self {
        Self::new(UNKNOWN_METHOD, "notifications not supported")
    }

    /// A connection has as many subscriptions as it may.
    pub(crate) fn too_many_subscriptions(max: u32) -> Self {
        Self::new(
            SUBSCRIPTIONS,
            format!(
                "too many subscriptions on this connection: at most {max}, see --subscriptions-max"
            ),
        )
    }

    /// A result is longer than an answer may be.
    pub(crate) fn too_long(bytes_max: usize) -> Self {
        Self::new(
            OVERSIZED_RESPONSE_CODE,
            format!("{OVERSIZED_RESPONSE_MSG}: over {bytes_max} bytes, see --response-size-max"),
        )
    }

    /// A request is longer than the limit.
    pub(crate) fn request_too_large(bytes_max: usize) -> Self {
        let text = format!("request is too big: at most {bytes_max} bytes, see --request-size-max");
        Self::new(REQUEST_TOO_LARGE, text)
    }

    /// A batch has more calls than the limit.
    pub(crate) fn batch_too_large(calls: usize, max: usize) -> Self {
        let text = format!("batch of {calls} calls is too large: at most {max}, see --batch-max");
        Self::new(BATCH_TOO_LARGE, text)
    }

    /// A contract has reverted with `data`.
    pub(crate) fn reverted(data: Bytes) -> Self {
        let message = crate::revert::message(&data);
        Self { code: REVERTED, message, data: Some(data) }
    }

    /// A synchronous send has waited long enough.
    pub(crate) fn not_sealed(hash: B256) -> Self {
        let message = "The transaction was added to the mempool but wasn't processed within the \
                       designated timeout interval.";
        let data = Some(Bytes::copy_from_slice(hash.as_slice()));
        Self { code: NOT_SEALED, message: message.to_owned(), data }
    }

    /// There is no such block.
    pub(crate) fn no_block(id: BlockId) -> Self {
        match id {
            BlockId::Hash(hash) => {
                Self::server(format!("header for hash not found: {}", hash.block_hash))
            }
            BlockId::Number(number) => Self::server(format!("header not found: block {number}")),
        }
    }

    /// The JSON-RPC code.
    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// The text.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Failure(failure) => failure.into(),
            error => Self::server(error),
        }
    }
}

impl From<QueryError> for RpcError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::BlockNotFound(id) => Self::no_block(id),
            QueryError::Failure(failure) => failure.into(),
            QueryError::Range { .. } | QueryError::WideRange { .. } => Self::invalid_params(error),
            QueryError::TransactionNotFound(_)
            | QueryError::TooManyPercentiles { .. }
            | QueryError::PercentileOrder { .. }
            | QueryError::Percentile { .. }
            | QueryError::StateNotAvailable { .. }
            | QueryError::Unsealed
            | QueryError::Unprovable
            | QueryError::OtherRoot
            | QueryError::Replay { .. }
            | QueryError::FarBlock { .. }
            | QueryError::TooManyLogs { .. }
            | QueryError::AfterHead { .. } => Self::server(error),
        }
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Revert { output, .. } => Self::reverted(output),
            CallError::Query(error) => error.into(),
            CallError::Invalid(error) => Self::server(error),
            CallError::Tracer(_) => Self::invalid_params(error),
            CallError::Halt { .. }
            | CallError::MixedStorage { .. }
            | CallError::NoPrecompile { .. }
            | CallError::PrecompileThere { .. }
            | CallError::Overridden { .. }
            | CallError::OtherChain { .. }
            | CallError::UnknownPreimage { .. }
            | CallError::GasAllowance { .. }
            | CallError::MixedFees
            | CallError::Executor(_)
            | CallError::TooLong { .. }
            | CallError::Busy { .. }
            | CallError::Limit(_)
            | CallError::NoParent { .. }
            | CallError::NoBadBlock { .. }
            | CallError::Sender { .. }
            | CallError::TransactionIndex { .. }
            | CallError::Stopped => Self::server(error),
        }
    }
}

impl From<BuildError> for RpcError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Call(error) => error.into(),
            other => Self::server(other),
        }
    }
}

impl From<SimulateError> for RpcError {
    fn from(error: SimulateError) -> Self {
        let code = match &error {
            SimulateError::Call(error) => return error.clone().into(),
            SimulateError::Empty => INVALID_PARAMS,
            SimulateError::TooManyBlocks
            | SimulateError::TooManyBlockCalls { .. }
            | SimulateError::TooManyCalls { .. } => LIMIT,
            SimulateError::BlockNumber { .. } => BLOCK_NUMBER,
            SimulateError::Timestamp { .. } => BLOCK_TIMESTAMP,
            SimulateError::BlockGasLimit { .. } => BLOCK_GAS_LIMIT,
            SimulateError::Transaction(_) => SERVER,
            SimulateError::Invalid { error, .. } => invalid_code(error),
        };
        Self::new(code, error)
    }
}

/// The codes that execution-apis give to simulated transactions that are not valid.
fn invalid_code(error: &TxError) -> i32 {
    match error {
        TxError::NonceTooLow { .. } => -38010,
        TxError::NonceTooHigh { .. } => -38011,
        TxError::FeeTooLow { .. } => -38012,
        TxError::IntrinsicGas { .. } => -38013,
        TxError::InsufficientFunds { .. } | TxError::CostOverflow { .. } => -38014,
        TxError::SenderHasCode { .. } => -38024,
        TxError::InitCodeSize { .. } => -38025,
        TxError::TipAboveFee { .. } => INVALID_PARAMS,
        _ => INTERNAL,
    }
}

impl From<DevError> for RpcError {
    fn from(error: DevError) -> Self {
        match error {
            DevError::Submit(error) => error.into(),
            DevError::Failure(failure) => failure.into(),
            DevError::NoTokenSlot { .. } => Self::internal(error),
            DevError::Future { .. } => Self::server(error),
            other => Self::invalid_params(other),
        }
    }
}

impl From<RiscvError> for RpcError {
    fn from(error: RiscvError) -> Self {
        match error {
            RiscvError::Query(error) => error.into(),
            RiscvError::NoDeployer => Self::server(error),
            other => Self::invalid_params(other),
        }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        // What a node was told to forget is no fault of its own.
        if let Failure::Store(error) = &failure
            && matches!(**error, StoreError::HistoryPruned { .. })
        {
            return Self::server(error);
        }
        tracing::error!(%failure, "a request failed");
        Self::internal(failure)
    }
}

#[cfg(test)]
mod tests;
