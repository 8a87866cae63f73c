//! `rv_`: RISC-V contracts.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::eth;
use crate::methods::Table;
use crate::request;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256};
use alloy_rpc_types_eth::TransactionRequest;
use node::config::Profile;
use node::error::{CallError, QueryError};
use node::riscv::{CodeInfo, DeployRequest, Deployment};
use node::trace::GasReport;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("rv_deploy", deploy);
    table.task("rv_getCodeInfo", code_info);
    table.task("rv_disassemble", disassemble);
    table.task("rv_gasReport", gas_report);
}

/// What to deploy, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deploy {
    /// An ELF file, or a container.
    image: Bytes,
    /// The constructor's arguments.
    #[serde(default)]
    args: Bytes,
    value: Option<U256>,
    /// An unlocked account that sends.
    from: Option<Address>,
    /// Deploys through the CREATE2 deployer.
    salt: Option<U256>,
    #[serde(default, with = "alloy_serde::quantity::opt")]
    gas: Option<u64>,
}

/// The answer to a deployment.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Deployed {
    /// It was sent.
    #[serde(rename_all = "camelCase")]
    Sent { transaction_hash: B256, address: Address },
    /// It is for a wallet to sign.
    Unsigned(Box<Unsigned>),
}

/// A transaction without nonce and signature, in the fields that every wallet reads.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unsigned {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    data: Bytes,
    value: U256,
    gas: U64,
    chain_id: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_price: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<U256>,
}

async fn deploy(api: Arc<Api>, mut arguments: Arguments) -> Reply<Deployed> {
    let Deploy { image, args, value, from, salt, gas } = arguments.required("deployment")?;
    let salt = salt.map(B256::from);
    let deployment = api.chain.deployment(DeployRequest { image, args, salt }).await?;
    let wanted = TransactionRequest {
        from,
        to: Some(deployment.to.map_or(TxKind::Create, TxKind::Call)),
        input: deployment.input.clone().into(),
        value,
        gas,
        ..TransactionRequest::default()
    };
    match from {
        Some(from) if api.chain.profile() == Profile::Dev => {
            send(&api, from, (wanted, &deployment)).await
        }
        _ => Ok(Deployed::Unsigned(Box::new(unsigned(&api, wanted).await?))),
    }
}

async fn send(
    api: &Api,
    from: Address,
    (wanted, deployment): (TransactionRequest, &Deployment),
) -> Reply<Deployed> {
    let sent = eth::send_unlocked(api, TransactionRequest { from: Some(from), ..wanted }).await?;
    let (transaction_hash, nonce) = (sent.hash, sent.nonce);
    Ok(Deployed::Sent { transaction_hash, address: deployment.address_for(from, nonce) })
}

async fn unsigned(api: &Api, wanted: TransactionRequest) -> Reply<Unsigned> {
    let from = wanted.from;
    let filled = eth::fill(api, from.unwrap_or_default(), wanted).await?.0;
    Ok(Unsigned {
        from,
        to: filled.to.and_then(|to| to.to().copied()),
        data: filled.input.into_input().unwrap_or_default(),
        value: filled.value.unwrap_or_default(),
        gas: U64::from(filled.gas.unwrap_or_default()),
        chain_id: U64::from(api.chain.chain_id()),
        gas_price: filled.gas_price.map(U256::from),
        max_fee_per_gas: filled.max_fee_per_gas.map(U256::from),
        max_priority_fee_per_gas: filled.max_priority_fee_per_gas.map(U256::from),
    })
}

/// What is known of deployed RISC-V code.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    code_hash: B256,
    code_size: U64,
    image_hash: B256,
    image_size: U64,
    tail: Bytes,
    entry: U64,
    segments: Vec<Segment>,
}

/// A segment of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    start: U64,
    size: U64,
    writable: bool,
    executable: bool,
}

impl From<CodeInfo> for Code {
    fn from(info: CodeInfo) -> Self {
        let segments = info.segments.into_iter().map(|segment| Segment {
            start: U64::from(segment.start),
            size: U64::from(segment.size),
            writable: segment.writable,
            executable: segment.executable,
        });
        Self {
            code_hash: info.code_hash,
            code_size: U64::from(info.code_size),
            image_hash: info.image_hash,
            image_size: U64::from(info.image_size),
            tail: info.tail,
            entry: U64::from(info.entry),
            segments: segments.collect(),
        }
    }
}

async fn code_info(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Code>> {
    let address = arguments.required("address")?;
    let info = api.chain.code_info(address, arguments.block()?).await?;
    Ok(info.map(Code::from))
}

/// A line of a listing.
#[derive(Clone, Debug, Serialize)]
struct Line {
    pc: U64,
    bytes: Bytes,
    text: String,
}

/// Lists the code of an account, or an image or container that is given.
async fn disassemble(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Line>> {
    let given: Bytes = arguments.required("address or code")?;
    let code = if given.len() == Address::len_bytes() {
        let address = Address::from_slice(&given);
        let code = api.chain.state(arguments.block()?).await?.code(address)?;
        if !genesis::container::is_container(&code) {
            return Err(RpcError::server(format!("{address} has no RISC-V code")));
        }
        code
    } else {
        given
    };
    let lines = api.chain.disassemble(code).await?;
    Ok(lines
        .into_iter()
        .map(|line| Line {
            pc: U64::from(line.pc),
            bytes: Bytes::copy_from_slice(&line.bits.to_le_bytes()[..usize::from(line.length)]),
            text: line.text,
        })
        .collect())
}

/// What a report is about.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Subject {
    Transaction(B256),
    Call(Box<TransactionRequest>),
}

/// Says where the gas of a transaction or call went.
async fn gas_report(api: Arc<Api>, mut arguments: Arguments) -> Reply<GasReport> {
    let subject = arguments.required("transaction hash or call")?;
    let call = match subject {
        Subject::Transaction(hash) => match api.chain.gas_report(hash).await {
            Err(CallError::Query(QueryError::TransactionNotFound(_))) => {
                return Err(RpcError::server("transaction not found"));
            }
            report => return Ok(report?),
        },
        Subject::Call(call) => request::call(*call)?,
    };
    let block = arguments.block()?;
    let overrides = request::overrides(arguments.optional("state overrides")?, None);
    Ok(api.chain.gas_report_of_call(call, overrides, block).await?)
}
