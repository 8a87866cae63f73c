//! What ends a command.

use std::path::PathBuf;

use alloy_primitives::{Address, Bytes};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{path}: {error}", path = path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("`{0}` is no name for a project: letters, digits, - and _, and a letter first")]
    Name(String),
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error(
        "where is the kit? Give --kit-path (the folder `kit` of a clone of Tandem) or --kit-git"
    )]
    NoKit,
    #[error(transparent)]
    Toolchain(#[from] toolchain::NoToolchain),
    #[error("{program} does not start: {error}")]
    Start { program: String, error: std::io::Error },
    #[error("{program} failed: {status}")]
    Program { program: &'static str, status: std::process::ExitStatus },
    #[error("no contract here: {0}")]
    NoContract(String),
    #[error("{name}: {reason}")]
    Image { name: String, reason: String },
    #[error("the ABI of {name} is not understood: {error}")]
    Abi { name: String, error: serde_json::Error },
    #[error(
        "`{name}` is not in the ABIs of target/tandem: give a signature, {name}(..), or --abi FILE"
    )]
    UnknownFunction { name: String },
    #[error("{name} takes {wanted} argument(s) ({signature}), {given} given")]
    Arguments { name: String, signature: String, wanted: usize, given: usize },
    #[error("`{text}` is no {kind}: {}", last_line(error))]
    Value { text: String, kind: String, error: Box<alloy_dyn_abi::Error> },
    #[error("`{0}` is no signature of a function, as in transfer(address,uint256)(bool)")]
    Signature(String),
    #[error("the answer is not understood: {error}, 0x{data}")]
    Answer { error: Box<alloy_dyn_abi::Error>, data: String },
    #[error("there is no contract at {address} in block {block}")]
    NoCode { address: Address, block: String },
    #[error("{path} is not there: `tandem build` builds {contract}{built}", path = path.display())]
    NotBuilt { contract: String, path: PathBuf, built: String },
    #[error("no node answers at {url} ({error}): `tandem` starts one, --rpc-url names another")]
    NoNode { url: String, error: std::io::Error },
    #[error("{url}: {error}; a node's URL is as in http://127.0.0.1:8545")]
    Transport { url: String, error: Box<ureq::Error> },
    #[error("{url} answers no JSON-RPC: {text}")]
    NoJsonRpc { url: String, text: String },
    #[error("{method}: {message} (code {code})")]
    Rpc { method: &'static str, code: i64, message: String },
    #[error("reverted: {reason}")]
    Reverted { reason: String, data: Bytes },
    #[error("the node has no unlocked account: give --from or --private-key")]
    NoAccount,
    #[error("the private key is not understood: {0}")]
    Key(Box<alloy_signer_local::LocalSignerError>),
    #[error("the transaction cannot be signed: {0}")]
    Sign(Box<alloy_signer::Error>),
    #[error("`{text}` is no amount of wei, as in 5, 1ether, 30gwei")]
    Amount { text: String },
    #[error("transaction {hash} is not in a block after {seconds} s")]
    NotMined { hash: String, seconds: u64 },
    #[error("transaction {hash} failed: {reason}")]
    Failed { hash: String, reason: String },
}

impl Failure {
    /// The exit code: 3 if a contract reverted, 1 for all else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Reverted { .. } | Self::Failed { .. } => 3,
            _ => 1,
        }
    }

    /// As one JSON object, with the revert data if there is any.
    pub(crate) fn to_json(&self) -> String {
        let mut object = serde_json::json!({ "error": self.to_string() });
        if let Self::Reverted { data, .. } = self {
            object["data"] = data.to_string().into();
        }
        format!("{object}\n")
    }
}

/// Without the lines that point at a place in the text.
fn last_line(error: &alloy_dyn_abi::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}

impl From<alloy_signer_local::LocalSignerError> for Failure {
    fn from(error: alloy_signer_local::LocalSignerError) -> Self {
        Self::Key(Box::new(error))
    }
}

impl From<alloy_signer::Error> for Failure {
    fn from(error: alloy_signer::Error) -> Self {
        Self::Sign(Box::new(error))
    }
}
