//! JSON-RPC over HTTP.

use std::time::Duration;

use alloy_primitives::{Bytes, hex};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Failure;

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The node's URL [env: ETH_RPC_URL]
    #[arg(
        long,
        value_name = "URL",
        env = "ETH_RPC_URL",
        hide_env = true,
        default_value = "http://127.0.0.1:8545"
    )]
    rpc_url: String,
}

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

impl Node {
    /// What a method answers.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Failure> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = serde_json::from_str(&self.post(&request.to_string())?)
            .map_err(|error| self.no_json_rpc(error.to_string()))?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(refused(method, error));
        }
        let result = answer.get_mut("result").map(Value::take).unwrap_or_default();
        serde_json::from_value(result).map_err(|error| self.no_json_rpc(error.to_string()))
    }

    fn post(&self, body: &str) -> Result<String, Failure> {
        let url = || self.rpc_url.clone();
        let fail = |error| match error {
            ureq::Error::Io(error) => Failure::NoNode { url: url(), error },
            error => Failure::Transport { url: url(), error: Box::new(error) },
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let post = agent.post(&self.rpc_url).header("content-type", "application/json");
        let mut answer = post.send(body).map_err(fail)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        body.read_to_string().map_err(fail)
    }

    fn no_json_rpc(&self, text: String) -> Failure {
        Failure::NoJsonRpc { url: self.rpc_url.clone(), text }
    }
}

/// An error of the node: a revert if it carries data or says so.
fn refused(method: &'static str, error: &Value) -> Failure {
    let code = error["code"].as_i64().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    let data = error["data"].as_str().and_then(|data| hex::decode(data).ok());
    if code == 3 || message.starts_with("execution reverted") {
        return Failure::Reverted { reason: message, data: Bytes::from(data.unwrap_or_default()) };
    }
    Failure::Rpc { method, code, message }
}
