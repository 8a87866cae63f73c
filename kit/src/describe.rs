//! A contract's ABI as JSON, in the form that Solidity's compiler gives it.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::abi::{Kind, Parameter};
use crate::event::SolEvent;
use crate::{Revert, SolError};

/// A contract's ABI, put together entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    entries: Vec<String>,
}

/// `"type"`, `"internalType"` and, of structs, `"components"`.
fn kind(of: &Kind) -> String {
    let name = of.name.as_str();
    let Some(tuple) = of.tuple else {
        return format!(r#""type":"{name}","internalType":"{name}""#);
    };
    // What follows the last bracket of the fields: `[]`, `[3]`, or nothing.
    let suffix = name.rsplit_once(')').map_or("", |(_, suffix)| suffix);
    let fields = parameters(tuple.fields.iter().map(|field| (*field, None)));
    let (struct_name, components) = (tuple.name, fields);
    format!(
        r#""type":"tuple{suffix}","internalType":"struct {struct_name}{suffix}","components":{components}"#
    )
}

fn parameters(of: impl Iterator<Item = (Parameter, Option<bool>)>) -> String {
    let mut json = String::from("[");
    for (parameter, indexed) in of {
        if json.len() > 1 {
            json.push(',');
        }
        // Writing to a `String` does not fail.
        let _ = write!(json, r#"{{"name":"{}",{}"#, parameter.name, kind(&parameter.kind));
        if let Some(indexed) = indexed {
            let _ = write!(json, r#","indexed":{indexed}"#);
        }
        json.push('}');
    }
    json.push(']');
    json
}

fn plain(of: &[Parameter]) -> String {
    parameters(of.iter().map(|parameter| (*parameter, None)))
}

impl Contract {
    /// An ABI without entries.
    pub fn new() -> Self {
        Self::default()
    }

    fn entry(mut self, json: String) -> Self {
        // An error is named by each function that returns it.
        if !self.entries.contains(&json) {
            self.entries.push(json);
        }
        self
    }

    /// With a constructor.
    pub fn constructor(self, mutability: &str, inputs: &[Parameter]) -> Self {
        let inputs = plain(inputs);
        self.entry(format!(
            r#"{{"type":"constructor","inputs":{inputs},"stateMutability":"{mutability}"}}"#
        ))
    }

    /// With a function.
    pub fn function(
        self,
        mutability: &str,
        name: &str,
        inputs: &[Parameter],
        outputs: &[Kind],
    ) -> Self {
        let inputs = plain(inputs);
        let outputs = outputs.iter().map(|kind| (Parameter { name: "", kind: *kind }, None));
        let outputs = parameters(outputs);
        self.entry(format!(
            r#"{{"type":"function","name":"{name}","inputs":{inputs},"outputs":{outputs},"stateMutability":"{mutability}"}}"#
        ))
    }

    /// With a function without a name: `receive` or `fallback`.
    pub fn nameless(self, kind: &str, mutability: &str) -> Self {
        self.entry(format!(r#"{{"type":"{kind}","stateMutability":"{mutability}"}}"#))
    }

    /// With an event.
    pub fn event<E: SolEvent>(self) -> Self {
        let indexed = E::INDEXED.iter().map(|indexed| Some(*indexed));
        let inputs = parameters(E::ARGUMENTS.iter().copied().zip(indexed));
        self.entry(format!(
            r#"{{"type":"event","name":"{}","inputs":{inputs},"anonymous":{}}}"#,
            E::NAME,
            E::ANONYMOUS
        ))
    }

    /// With an error.
    pub fn error<E: SolError>(self) -> Self {
        let inputs = plain(E::ARGUMENTS);
        self.entry(format!(r#"{{"type":"error","name":"{}","inputs":{inputs}}}"#, E::NAME))
    }

    /// With all that a function's error can be.
    pub fn errors<E: Revert>(self) -> Self {
        E::describe(self)
    }

    /// The ABI as JSON: an array, an entry a line.
    pub fn to_json(&self) -> String {
        format!("[\n{}\n]\n", self.entries.join(",\n"))
    }

    /// Writes the JSON to the standard output.
    pub fn print(&self) {
        if let Err(error) = std::io::stdout().write_all(self.to_json().as_bytes()) {
            panic!("the ABI cannot be written: {error}");
        }
    }
}
