//! `tandem proof verify`: what an answer of `eth_getProof` proves, without asking any node.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use clap::{Args, Subcommand, ValueEnum};
use tree::{HashFunction, ProofError};

/// Bytes of an answer that are read at most.
const ANSWER_SIZE_MAX: u64 = 256 << 20;

/// What to do with a proof.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Verifies an answer of eth_getProof or eth_getMultiProof against a state root
    Verify(Verify),
}

/// What to verify, and against what.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The answer as JSON, with or without the JSON-RPC object around it; - reads standard input
    file: PathBuf,
    /// The state root, if it is known by itself
    #[arg(long, value_name = "HASH", required_unless_present = "header")]
    root: Option<B256>,
    /// The RLP of a block's header: its state root counts, and its hash is printed
    #[arg(long, value_name = "RLP", conflicts_with = "root")]
    header: Option<Bytes>,
    /// The hash of the chain's tree, as its genesis says
    #[arg(long, value_name = "NAME", default_value = "blake3")]
    tree_hash: TreeHash,
}

/// Names of the tree's hashes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TreeHash {
    /// BLAKE3-256
    Blake3,
    /// Keccak-256
    Keccak256,
    /// Poseidon2, as docs/spec/state.md has it
    Poseidon2,
}

impl From<TreeHash> for HashFunction {
    fn from(name: TreeHash) -> Self {
        match name {
            TreeHash::Blake3 => Self::Blake3,
            TreeHash::Keccak256 => Self::Keccak256,
            TreeHash::Poseidon2 => Self::Poseidon2,
        }
    }
}

/// Why nothing is proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofFailure {
    /// The answer can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The answer is larger than any node gives.
    #[error("the answer is larger than {ANSWER_SIZE_MAX} bytes")]
    Size,
    /// The answer has no account in it.
    #[error("the answer proves nothing: it is an empty list")]
    Nothing,
    /// The answer is no answer of the two methods.
    #[error("no answer of eth_getProof: {0}")]
    Json(#[from] serde_json::Error),
    /// The header is none.
    #[error("no header: {0}")]
    Header(alloy_rlp::Error),
    /// The header goes on after its end.
    #[error("no header: {rest} bytes too many")]
    LongHeader {
        /// Bytes after it.
        rest: usize,
    },
    /// An account's proof is refused.
    #[error("account {address} is not proven: {source}")]
    Account {
        /// The account.
        address: Address,
        /// Why.
        source: Box<ProofError>,
    },
    /// A slot's proof is refused.
    #[error("slot {slot:#x} of {address} is not proven: {source}")]
    Slot {
        /// The account.
        address: Address,
        /// The slot.
        slot: U256,
        /// Why.
        source: Box<ProofError>,
    },
    /// The answer says something else than its own proof.
    #[error("{address}: {field} is said to be {said}, but {proven} is proven")]
    Said {
        /// The account.
        address: Address,
        /// What of it.
        field: String,
        /// What the answer says.
        said: String,
        /// What is proven.
        proven: String,
    },
}

/// Returns what was proven, line by line.
pub(crate) fn run(action: &Action) -> Result<String, ProofFailure> {
    let Action::Verify(verify) = action;
    let mut report = String::new();
    let root = match (&verify.header, verify.root) {
        (Some(header), _) => {
            let mut rest = header.as_ref();
            let decoded = Header::decode(&mut rest).map_err(ProofFailure::Header)?;
            if !rest.is_empty() {
                return Err(ProofFailure::LongHeader { rest: rest.len() });
            }
            line(&mut report, "block", format!("{}, hash {}", decoded.number, keccak256(header)));
            decoded.state_root
        }
        (None, root) => root.unwrap_or_default(),
    };
    line(&mut report, "state root", root);
    let answers = answers(&read(&verify.file)?)?;
    if answers.is_empty() {
        return Err(ProofFailure::Nothing);
    }
    for answer in answers {
        check(&mut report, verify.tree_hash.into(), root, &answer)?;
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Vec<u8>, ProofFailure> {
    let failed = |source| ProofFailure::Read { path: path.into(), source };
    let mut text = Vec::new();
    let limit = ANSWER_SIZE_MAX + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut text).map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut text).map_err(failed)?;
    }
    if text.len() as u64 > ANSWER_SIZE_MAX { Err(ProofFailure::Size) } else { Ok(text) }
}

/// The answers in a file: one or a list, bare or as the result of a JSON-RPC answer.
fn answers(text: &[u8]) -> Result<Vec<EIP1186AccountProofResponse>, serde_json::Error> {
    let mut json: serde_json::Value = serde_json::from_slice(text)?;
    if let Some(result) = json.get_mut("result") {
        json = result.take();
    }
    if json.is_array() {
        return serde_json::from_value(json);
    }
    Ok(vec![serde_json::from_value(json)?])
}

fn check(
    report: &mut String,
    hash: HashFunction,
    root: B256,
    answer: &EIP1186AccountProofResponse,
) -> Result<(), ProofFailure> {
    let address = answer.address;
    let proven = tree::verify_account(hash, root, address, &answer.account_proof)
        .map_err(|source| ProofFailure::Account { address, source: source.into() })?;
    let (nonce, balance, code_hash) = proven.map_or((0, 0, KECCAK256_EMPTY), |account| {
        (account.nonce, account.balance, account.code_hash)
    });
    let said = |field: &str, said: String, proven: String| match said == proven {
        true => Ok(()),
        false => Err(ProofFailure::Said { address, field: field.to_owned(), said, proven }),
    };
    said("nonce", answer.nonce.to_string(), nonce.to_string())?;
    said("balance", answer.balance.to_string(), balance.to_string())?;
    said("code hash", answer.code_hash.to_string(), code_hash.to_string())?;
    let absent = if proven.is_none() { ", which is not there" } else { "" };
    line(report, "account", format!("{address}{absent}"));
    line(report, "  nonce", nonce);
    line(report, "  balance", format!("{balance} wei"));
    line(report, "  code hash", code_hash);
    for storage in &answer.storage_proof {
        let slot: U256 = storage.key.as_b256().into();
        let value = tree::verify_slot(hash, root, (address, slot), &storage.proof)
            .map_err(|source| ProofFailure::Slot { address, slot, source: source.into() })?;
        said(&format!("slot {slot:#x}"), storage.value.to_string(), value.to_string())?;
        line(report, &format!("  slot {slot:#x}"), format!("{value:#x}"));
    }
    Ok(())
}

fn line(report: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing into a string does not fail.
    let _ = writeln!(report, "{name}: {value}");
}
