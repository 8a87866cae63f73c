//! From the wire to the node's types, as lenient as geth and anvil are.

use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use alloy_eips::eip4844::{BYTES_PER_BLOB, Blob};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use alloy_rpc_types_eth::{BlockOverrides, TransactionInput, TransactionRequest};
use node::Chain;
use node::call::{self, Call, Overrides};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most blobs of a transaction under any fork's rules; the chain's may be stricter.
const BLOBS_MAX: usize = 9;

/// A block: a tag, a number (hex, or a JSON number), a hash, or an object of EIP-1898.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockArgument(pub(crate) BlockId);

impl<'de> Deserialize<'de> for BlockArgument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => {
                let number =
                    number.as_u64().ok_or_else(|| D::Error::custom("not a block number"))?;
                Ok(Self(BlockId::number(number)))
            }
            value => serde_json::from_value(value).map(Self).map_err(D::Error::custom),
        }
    }
}

/// A 64-bit number: hex, or decimal as a number or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if matches!(value.as_str(), Some("" | "0x" | "0X")) {
            return Err(D::Error::custom("empty hex string"));
        }
        let number = U256::deserialize(value).map_err(D::Error::custom)?;
        number
            .try_into()
            .map(Self)
            .map_err(|_| D::Error::custom(format!("{number} is over 64 bits")))
    }
}

/// A hash. Other than alloy's, it needs its prefix, as in geth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) B256);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.starts_with("0x") {
            return Err(D::Error::custom("hex string without 0x prefix"));
        }
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A storage slot: a quantity, or up to 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) U256);

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::String(text) = &value
            && text.len() > 2 + 64
        {
            let text = format!("storage key too long (want at most 32 bytes): {text:?}");
            return Err(D::Error::custom(text));
        }
        U256::deserialize(value).map(Self).map_err(D::Error::custom)
    }
}

/// A call with nothing unusual in it, as most are: alloy's type looks for the parts of a blob
/// transaction first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainCall {
    from: Option<Address>,
    to: Option<Address>,
    #[serde(default, with = "alloy_serde::quantity::opt")]
    gas: Option<u64>,
    value: Option<U256>,
    input: Option<Bytes>,
    data: Option<Bytes>,
}

/// The blobs of a transaction; alloy's type takes them with all that belongs to them or not at all.
#[derive(Debug, Deserialize)]
struct Blobs {
    blobs: Option<Vec<Bytes>>,
    commitments: Option<IgnoredAny>,
    proofs: Option<IgnoredAny>,
}

impl From<PlainCall> for Call {
    fn from(plain: PlainCall) -> Self {
        let PlainCall { from, to, gas, value, input, data } = plain;
        let (value, input) = (value.unwrap_or_default(), input.or(data).unwrap_or_default());
        Self { from, to, gas, value, input, ..Self::default() }
    }
}

impl Arguments {
    /// Takes a hash.
    pub(crate) fn hash(&mut self, name: &str) -> Reply<B256> {
        Ok(self.required::<Hash>(name)?.0)
    }

    /// Takes a block, the newest one if it is left out.
    pub(crate) fn block(&mut self) -> Reply<BlockId> {
        self.block_or(BlockId::latest())
    }

    /// Takes a block, or returns `default` if it is left out.
    pub(crate) fn block_or(&mut self, default: BlockId) -> Reply<BlockId> {
        if self.take_text("\"latest\"") {
            return Ok(BlockId::latest());
        }
        Ok(self.optional::<BlockArgument>("block")?.map_or(default, |block| block.0))
    }

    /// Takes a call.
    pub(crate) fn call(&mut self) -> Reply<Call> {
        match self.take_plain::<PlainCall>() {
            Some(plain) => Ok(plain.into()),
            None => call(self.required::<TransactionRequest>("transaction")?),
        }
    }

    /// Takes a transaction, the first argument, and makes its blobs' commitments and proofs if they
    /// do not come along, as geth does.
    pub(crate) async fn transaction(&mut self, chain: &Chain) -> Reply<TransactionRequest> {
        let mut request: TransactionRequest = self.required("transaction")?;
        let text = self.all().first().map_or("", |text| text.get());
        if request.sidecar.is_some() || !text.contains("\"blobs\"") {
            return Ok(request);
        }
        let given: Blobs = serde_json::from_str(text).map_err(RpcError::invalid_params)?;
        let blobs = match given {
            Blobs { blobs: None, .. } => return Ok(request),
            Blobs { commitments: None, proofs: None, blobs: Some(blobs) } => blobs,
            _ => {
                let text =
                    "commitments and proofs of the blobs do not fit, or one of them is missing";
                return Err(RpcError::invalid_params(text));
            }
        };
        let sidecar = chain.blob_sidecar(whole_blobs(&blobs)?).await?;
        let sidecar = sidecar.ok_or_else(|| RpcError::invalid_params("blobs: one is no blob"))?;
        request.sidecar = Some(sidecar.into());
        Ok(request)
    }

    /// Takes a block by number or tag; a block that is named by its hash has no place here.
    pub(crate) fn block_number(&mut self, name: &str) -> Reply<BlockNumberOrTag> {
        match self.required::<BlockArgument>(name)?.0 {
            BlockId::Number(number) => Ok(number),
            BlockId::Hash(hash) => Err(RpcError::invalid_params(format!(
                "invalid argument ({name}): {} is a hash, not a block number",
                hash.block_hash
            ))),
        }
    }

    /// Takes a number that fits 64 bits.
    pub(crate) fn number(&mut self, name: &str) -> Reply<u64> {
        Ok(self.required::<Quantity>(name)?.0)
    }

    /// Takes a number that fits 64 bits, if it is there.
    pub(crate) fn optional_number(&mut self, name: &str) -> Reply<Option<u64>> {
        Ok(self.optional::<Quantity>(name)?.map(|quantity| quantity.0))
    }
}

/// The data of a transaction, under either of its names.
pub(crate) fn input(input: &TransactionInput) -> Reply<Bytes> {
    match input.unique_input() {
        Ok(input) => Ok(input.cloned().unwrap_or_default()),
        Err(_) => Err(RpcError::server(
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass \
             transaction call data",
        )),
    }
}

/// As many blobs as a transaction may have, and whole ones.
fn whole_blobs(blobs: &[Bytes]) -> Reply<Vec<Blob>> {
    if !(1..=BLOBS_MAX).contains(&blobs.len()) {
        let text = format!("blobs: {} of them, instead of 1 to {BLOBS_MAX}", blobs.len());
        return Err(RpcError::invalid_params(text));
    }
    if let Some(part) = blobs.iter().find(|blob| blob.len() != BYTES_PER_BLOB) {
        let text = format!("blobs: one has {} bytes instead of {BYTES_PER_BLOB}", part.len());
        return Err(RpcError::invalid_params(text));
    }
    // On the heap all the time: one is too large to be handed from frame to frame.
    let mut whole = vec![Blob::ZERO; blobs.len()];
    whole.iter_mut().zip(blobs).for_each(|(whole, blob)| whole.copy_from_slice(blob));
    Ok(whole)
}

/// That lists which make a request one of blobs or of delegations have something in them, and that
/// it creates nothing then.
pub(crate) fn check_lists(request: &TransactionRequest) -> Reply<()> {
    let blobs = request.blob_versioned_hashes.as_ref().map(Vec::len);
    let authorizations = request.authorization_list.as_ref().map(Vec::len);
    Err(RpcError::server(match (blobs, authorizations, is_creation(request)) {
        (Some(_), _, true) => "blob transaction of type create",
        (Some(0), ..) => "blob transaction missing blob hashes",
        (_, Some(_), true) => "EIP-7702 transaction cannot be used to create contract",
        (_, Some(0), _) => "EIP-7702 transaction with empty auth list",
        _ => return Ok(()),
    }))
}

/// A call as the node takes it: of its data's two names, `input` comes first.
pub(crate) fn call(request: TransactionRequest) -> Reply<Call> {
    check_lists(&request)?;
    Ok(Call {
        from: request.from,
        to: request.to.and_then(|to| to.to().copied()),
        gas: request.gas,
        gas_price: request.gas_price,
        max_fee_per_gas: request.max_fee_per_gas,
        max_priority_fee_per_gas: request.max_priority_fee_per_gas,
        max_fee_per_blob_gas: request.max_fee_per_blob_gas,
        value: request.value.unwrap_or_default(),
        input: request.input.input().cloned().unwrap_or_default(),
        nonce: request.nonce,
        chain_id: request.chain_id,
        access_list: request.access_list,
        blob_versioned_hashes: request.blob_versioned_hashes.unwrap_or_default(),
        authorization_list: request.authorization_list.unwrap_or_default(),
    })
}

/// Overrides of one call.
pub(crate) fn overrides(
    state: Option<StateOverride>,
    block: Option<Box<BlockOverrides>>,
) -> Overrides {
    let state = state.unwrap_or_default();
    let state = state.into_iter().map(|(address, account)| (address, account_override(account)));
    Overrides {
        state: state.collect(),
        block: block.map(|block| block_overrides(*block)).unwrap_or_default(),
    }
}

fn account_override(account: AccountOverride) -> call::AccountOverride {
    let slots = |slots: alloy_primitives::map::B256HashMap<B256>| slots.into_iter().collect();
    call::AccountOverride {
        balance: account.balance,
        nonce: account.nonce,
        code: account.code,
        state: account.state.map(slots),
        state_diff: account.state_diff.map(slots),
        move_precompile_to: account.move_precompile_to,
    }
}

fn block_overrides(block: BlockOverrides) -> call::BlockOverrides {
    call::BlockOverrides {
        number: block.number,
        difficulty: block.difficulty,
        time: block.time,
        gas_limit: block.gas_limit,
        coinbase: block.coinbase,
        random: block.random,
        base_fee: block.base_fee,
        blob_base_fee: block.blob_base_fee,
        block_hash: block.block_hash.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// Whether a request creates a contract.
pub(crate) fn is_creation(request: &TransactionRequest) -> bool {
    !matches!(request.to, Some(TxKind::Call(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256, bytes};
    use jsonrpsee::types::Params;
    use serde_json::json;

    #[track_caller]
    fn check_block(argument: Value, want: BlockId) {
        let block: BlockArgument = serde_json::from_value(argument).unwrap();
        assert_eq!(block.0, want);
    }

    #[test]
    fn blocks_have_many_forms() {
        let hash = b256!("0x1111111111111111111111111111111111111111111111111111111111111111");
        check_block(json!("latest"), BlockId::latest());
        check_block(json!("pending"), BlockId::pending());
        check_block(json!("safe"), BlockId::safe());
        check_block(json!("finalized"), BlockId::finalized());
        check_block(json!("earliest"), BlockId::earliest());
        check_block(json!("0x10"), BlockId::number(16));
        check_block(json!(16), BlockId::number(16));
        check_block(json!(hash), BlockId::hash(hash));
        check_block(json!({"blockNumber": "0x10"}), BlockId::number(16));
        check_block(json!({"blockHash": hash}), BlockId::hash(hash));
        let canonical = json!({"blockHash": hash, "requireCanonical": true});
        check_block(canonical, BlockId::hash_canonical(hash));
        for bad in [json!("newest"), json!(-1), json!({}), json!("0x"), json!("0xzz"), json!("16")]
        {
            assert!(serde_json::from_value::<BlockArgument>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_many_forms() {
        for (text, want) in [("\"0x10\"", 16), ("16", 16), ("\"16\"", 16)] {
            assert_eq!(serde_json::from_str::<Quantity>(text).unwrap().0, want);
        }
        for bad in ["\"0x10000000000000000\"", "\"0x\"", "\"\"", "-1", "1.5", "true", "null"] {
            assert!(serde_json::from_str::<Quantity>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blobs_and_delegations_are_there_and_create_nothing() {
        let request = |value| serde_json::from_value::<TransactionRequest>(value).unwrap();
        let (to, hash) = (Address::ZERO, B256::ZERO);
        for (wanted, text) in [
            (json!({"to": to, "blobVersionedHashes": []}), "blob transaction missing blob hashes"),
            (json!({"blobVersionedHashes": [hash]}), "blob transaction of type create"),
            (
                json!({"to": to, "authorizationList": []}),
                "EIP-7702 transaction with empty auth list",
            ),
            (
                json!({"authorizationList": []}),
                "EIP-7702 transaction cannot be used to create contract",
            ),
        ] {
            assert_eq!(call(request(wanted)).unwrap_err(), RpcError::server(text));
        }
        assert!(call(request(json!({"to": to, "blobVersionedHashes": [hash]}))).is_ok());
        let none = json!({"blobVersionedHashes": null, "authorizationList": null});
        assert!(call(request(none)).is_ok());
    }

    #[test]
    fn hashes_and_slots_are_checked() {
        let digits = "1".repeat(64);
        assert!(serde_json::from_value::<Hash>(json!(format!("0x{digits}"))).is_ok());
        assert!(serde_json::from_value::<Hash>(json!(digits)).is_err());
        assert!(serde_json::from_value::<Hash>(json!("0x11")).is_err());
        for slot in [json!("0x2a"), json!(42), json!(format!("0x{:064x}", 42))] {
            assert_eq!(serde_json::from_value::<Slot>(slot).unwrap().0, U256::from(42));
        }
        let error = serde_json::from_value::<Slot>(json!(format!("0x{:065x}", 42))).unwrap_err();
        assert!(error.to_string().starts_with("storage key too long"), "{error}");
    }

    /// Whatever a call looks like, it is read as alloy's type reads it, errors included.
    #[test]
    fn plain_calls_are_read_as_all_others() {
        let callee = "0x00000000000000000000000000000000000000aa";
        for wanted in [
            json!({}),
            json!({"to": callee, "data": "0x1234"}),
            json!({"to": callee, "input": "0x1234", "data": "0x5678", "value": "0x7"}),
            json!({"from": callee, "to": null, "gas": "0x5208", "value": null, "data": null}),
            json!({"to": callee, "gas": 21000, "value": 5}),
            json!({"to": callee, "gas": "0x", "value": "12"}),
            json!({"to": "0x", "data": "0x00"}),
            json!({"to": "", "data": "0x00"}),
            json!({"to": callee, "data": "1234"}),
            json!({"to": callee, "data": "0x123"}),
            json!({"to": "0xaa"}),
            json!({"from": "aa", "gas": "-1"}),
            json!({"gas": "0x10000000000000000"}),
            json!({"to": callee, "data": "0x12", "chainId": "0x1", "nonce": "0x2"}),
            json!({"to": callee, "unknown": [1], "type": "0x2"}),
            json!({"blobVersionedHashes": []}),
            json!([null, null, null, null, null, null]),
            json!([]),
            json!("0x"),
            json!(null),
        ] {
            let text = json!([wanted]).to_string();
            let arguments = || Arguments::new(&Params::new(Some(&text))).unwrap();
            let alloys = arguments().required::<TransactionRequest>("transaction").and_then(call);
            let (mut ours, what) = (arguments(), |call: Call| format!("{call:?}"));
            assert_eq!(ours.call().map(what), alloys.map(what), "{text}");
            assert!(ours.optional::<Value>("next").unwrap().is_none(), "{text}");
        }
        // One field twice is an error either way.
        let twice = format!(r#"[{{"to":"{callee}","to":"{callee}"}}]"#);
        assert!(Arguments::new(&Params::new(Some(&twice))).unwrap().call().is_err());
    }

    #[test]
    fn data_and_input_are_one() {
        let request = |value| serde_json::from_value::<TransactionRequest>(value).unwrap();
        let callee = address!("0x00000000000000000000000000000000000000aa");
        for both in [
            json!({"to": callee, "data": "0x1234"}),
            json!({"to": callee, "input": "0x1234"}),
            json!({"to": callee, "input": "0x1234", "data": "0x1234"}),
        ] {
            let call = call(request(both)).unwrap();
            assert_eq!((call.to, call.input), (Some(callee), bytes!("1234")));
        }
        // As geth has it, a call is read by `input`, and a transaction that has two is refused.
        let both = request(json!({"to": callee, "input": "0x12", "data": "0x34"}));
        let error = input(&both.input).unwrap_err();
        assert!(error.message().starts_with("both \"data\" and \"input\" are set"));
        assert_eq!(error.code(), -32000);
        assert_eq!(call(both).unwrap().input, bytes!("12"));
        let creation = request(json!({"to": null, "data": "0x1234", "value": 5}));
        assert!(is_creation(&creation));
        assert_eq!(call(creation).unwrap().value, U256::from(5));
    }
}
