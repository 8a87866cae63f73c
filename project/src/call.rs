//! `tandem call` and `tandem send`.

use alloy_dyn_abi::JsonAbiExt;
use alloy_json_abi::Function;
use alloy_primitives::{Address, Bytes};
use clap::Args;
use serde_json::json;

use crate::abi::{self, Abis, Known};
use crate::node::Node;
use crate::sender::{Sender, amount};
use crate::{Failure, Report};

/// Which function, of which contract, with which arguments.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The contract
    address: Address,
    /// A function's name, if an ABI has it, or its signature: balanceOf(address)(uint256)
    function: String,
    /// Its arguments
    #[arg(allow_negative_numbers = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    abis: Abis,
}

/// Calls a function and prints its answer.
#[derive(Debug, Args)]
pub(crate) struct Call {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    node: Node,
    /// Calls from this account
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// Wei that go with it: 5, 30gwei, 1ether
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    value: String,
    /// The block: a number, or latest, safe, finalized, earliest, pending
    #[arg(long, value_name = "BLOCK", default_value = "latest")]
    block: String,
}

/// Sends a transaction that calls a function.
#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sender: Sender,
}

impl Target {
    fn read(&self) -> Result<(Known, Function, Bytes), Failure> {
        let known = self.abis.load()?;
        let function = known.function(&self.function, self.arguments.len())?;
        let values = abi::values(&function.name, &function.inputs, &self.arguments)?;
        let data = function.abi_encode_input(&values).map_err(|error| Failure::Value {
            text: self.arguments.join(" "),
            kind: function.signature(),
            error: Box::new(error),
        })?;
        Ok((known, function, data.into()))
    }
}

impl Call {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let (known, function, data) = self.target.read()?;
        let value = amount(&self.value)?;
        let mut request = json!({ "to": self.target.address, "data": data, "value": value });
        if let Some(from) = self.from {
            request["from"] = json!(from);
        }
        let block = match self.block.parse::<u64>() {
            Ok(number) => format!("{number:#x}"),
            Err(_) => self.block.clone(),
        };
        let answer: Result<Bytes, Failure> = self.node.ask("eth_call", json!([request, block]));
        let answer = answer.map_err(|failure| known.explain(failure))?;
        if answer.is_empty() {
            let address = self.target.address;
            let code: Bytes = self.node.ask("eth_getCode", json!([address, block]))?;
            if code.is_empty() {
                return Err(Failure::NoCode { address, block });
            }
        }
        let values = abi::answer(&function, &answer)?;
        let text = values.iter().map(|value| format!("{value}\n")).collect();
        Ok(Report::default().with("values", values).with("data", answer.to_string()).text(text))
    }
}

impl Send {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let (known, _, data) = self.target.read()?;
        self.sender.send(Some(self.target.address), &data, &known)
    }
}
