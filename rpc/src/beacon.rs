//! The few paths of the beacon chain's REST interface that rollups ask for blobs: the same as
//! anvil's, on the port of JSON-RPC.

use ::http::StatusCode;
use ::http::header::CONTENT_TYPE;
use alloy_consensus::Transaction;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, hex};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use node::Chain;
use node::error::QueryError;
use serde_json::{Value, json};

/// Most blobs that one request may name.
const HASHES_MAX: usize = 128;

/// The paths.
pub(crate) fn routes(chain: Chain) -> Router {
    Router::new()
        .route("/eth/v1/beacon/genesis", get(genesis))
        .route("/eth/v1/beacon/blobs/{block_id}", get(blobs))
        .route("/eth/v1/beacon/blob_sidecars/{block_id}", get(blob_sidecars))
        .with_state(chain)
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn refuse(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({"code": status.as_u16(), "message": message}))
}

async fn genesis(State(chain): State<Chain>) -> Response {
    let data = json!({
        "genesis_time": chain.genesis().timestamp.to_string(),
        "genesis_validators_root": B256::ZERO,
        "genesis_fork_version": "0x00000000",
    });
    answer(StatusCode::OK, &json!({"data": data}))
}

/// Proofs of single blobs went out of use with Osaka, and this path with them.
async fn blob_sidecars(Path(_): Path<String>) -> Response {
    refuse(
        StatusCode::GONE,
        "This endpoint is deprecated. Use `GET /eth/v1/beacon/blobs/{block_id}` instead.",
    )
}

/// The blobs of a block; with `versioned_hashes` only those.
async fn blobs(
    State(chain): State<Chain>,
    Path(block_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(id) = block(&block_id) else {
        return refuse(StatusCode::BAD_REQUEST, &format!("Invalid block ID: {block_id}"));
    };
    let wanted = match hashes(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, &message),
    };
    match find(&chain, id, &wanted).await {
        Ok(Some(found)) => answer(StatusCode::OK, &found),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "Block not found"),
        Err(error) => {
            tracing::error!(%error, "blobs");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
    }
}

async fn find(chain: &Chain, id: BlockId, wanted: &[B256]) -> Result<Option<Value>, QueryError> {
    let Some(block) = chain.block(id).await? else { return Ok(None) };
    let mut data = Vec::new();
    for transaction in &block.transactions {
        let hashes = transaction.blob_versioned_hashes().unwrap_or_default();
        if hashes.is_empty() {
            continue;
        }
        let blobs = chain.blobs(*transaction.tx_hash())?.unwrap_or_default();
        let named = hashes.iter().zip(blobs);
        let named = named.filter(|(hash, _)| wanted.is_empty() || wanted.contains(hash));
        data.extend(named.map(|(_, blob)| Value::from(hex::encode_prefixed(blob))));
    }
    let finalized = chain.header(BlockId::finalized()).await?;
    let finalized = finalized.is_some_and(|header| block.number() <= header.number);
    Ok(Some(json!({"execution_optimistic": false, "finalized": finalized, "data": data})))
}

/// A number, a hash, or a name: those of JSON-RPC, and those of the beacon chain.
fn block(text: &str) -> Option<BlockId> {
    let tag = match text {
        "head" => BlockNumberOrTag::Latest,
        "genesis" => BlockNumberOrTag::Earliest,
        "justified" => BlockNumberOrTag::Safe,
        _ => match text.parse::<u64>() {
            Ok(number) => BlockNumberOrTag::Number(number),
            Err(_) => return text.parse().ok(),
        },
    };
    Some(tag.into())
}

/// The hashes of `versioned_hashes=..,..&versioned_hashes=..`.
fn hashes(query: &str) -> Result<Vec<B256>, String> {
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("versioned_hashes="));
    let texts: Vec<_> = values
        .flat_map(|value| value.split(',').flat_map(|part| part.split("%2C")))
        .filter(|text| !text.is_empty())
        .collect();
    if texts.len() > HASHES_MAX {
        return Err(format!("{} versioned hashes, at most {HASHES_MAX}", texts.len()));
    }
    texts
        .into_iter()
        .map(|text| text.parse().map_err(|_| format!("Invalid versioned hash: {text}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_by_the_names_of_both_interfaces() {
        for (text, want) in [
            ("head", Some(BlockId::latest())),
            ("latest", Some(BlockId::latest())),
            ("genesis", Some(BlockId::earliest())),
            ("justified", Some(BlockId::safe())),
            ("finalized", Some(BlockId::finalized())),
            ("17", Some(BlockId::number(17))),
            ("0x11", Some(BlockId::number(17))),
            ("foo", None),
            ("", None),
        ] {
            assert_eq!(block(text), want, "{text}");
        }
    }

    #[test]
    fn hashes_come_in_lists_and_repeated() {
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let query = format!("x=1&versioned_hashes={a},{b}&versioned_hashes={a}");
        assert_eq!(hashes(&query), Ok(vec![a, b, a]));
        assert_eq!(hashes(""), Ok(vec![]));
        assert!(hashes("versioned_hashes=0x12").is_err());
        let many = format!("versioned_hashes={}", vec![a.to_string(); 129].join(","));
        assert_eq!(hashes(&many), Err("129 versioned hashes, at most 128".to_owned()));
    }
}
