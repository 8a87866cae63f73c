//! A contract's ABI as JSON, in the form that Solidity's compiler gives it.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::SolError;
use crate::abi::Name;
use crate::event::SolEvent;

/// A contract's ABI, put together entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    entries: Vec<String>,
}

/// An argument as it stands in JSON: name, type, and for events whether it is indexed.
type Argument<'a> = (&'a str, Name, Option<bool>);

fn arguments<'a>(of: impl IntoIterator<Item = Argument<'a>>) -> String {
    let mut json = String::from("[");
    for (name, kind, indexed) in of {
        if json.len() > 1 {
            json.push(',');
        }
        let kind = kind.as_str();
        // Writing to a `String` does not fail.
        let _ = match indexed {
            None => write!(json, r#"{{"name":"{name}","type":"{kind}","internalType":"{kind}"}}"#),
            Some(indexed) => write!(
                json,
                r#"{{"name":"{name}","type":"{kind}","indexed":{indexed},"internalType":"{kind}"}}"#
            ),
        };
    }
    json.push(']');
    json
}

fn plain<'a>(of: &'a [(&'a str, Name)]) -> impl Iterator<Item = Argument<'a>> {
    of.iter().map(|(name, kind)| (*name, *kind, None))
}

impl Contract {
    /// An ABI without entries.
    pub fn new() -> Self {
        Self::default()
    }

    fn entry(mut self, json: String) -> Self {
        self.entries.push(json);
        self
    }

    /// With a constructor.
    pub fn constructor(self, inputs: &[(&str, Name)], payable: bool) -> Self {
        let mutability = if payable { "payable" } else { "nonpayable" };
        let inputs = arguments(plain(inputs));
        self.entry(format!(
            r#"{{"type":"constructor","inputs":{inputs},"stateMutability":"{mutability}"}}"#
        ))
    }

    /// With a function.
    pub fn function(
        self,
        kind: &str,
        name: &str,
        inputs: &[(&str, Name)],
        outputs: &[Name],
    ) -> Self {
        let mutability = if kind == "write" { "nonpayable" } else { kind };
        let inputs = arguments(plain(inputs));
        let outputs = arguments(outputs.iter().map(|kind| ("", *kind, None)));
        self.entry(format!(
            r#"{{"type":"function","name":"{name}","inputs":{inputs},"outputs":{outputs},"stateMutability":"{mutability}"}}"#
        ))
    }

    /// With a function for calls without data.
    pub fn receive(self, _function: &str) -> Self {
        self.entry(String::from(r#"{"type":"receive","stateMutability":"payable"}"#))
    }

    /// With a function for calls that no other function answers.
    pub fn fallback(self, _function: &str) -> Self {
        self.entry(String::from(r#"{"type":"fallback","stateMutability":"payable"}"#))
    }

    /// With an event.
    pub fn event<E: SolEvent>(self) -> Self {
        let inputs = arguments(
            E::ARGUMENTS
                .iter()
                .zip(E::TYPES)
                .map(|((name, indexed), kind)| (*name, *kind, Some(*indexed))),
        );
        self.entry(format!(
            r#"{{"type":"event","name":"{}","inputs":{inputs},"anonymous":false}}"#,
            E::NAME
        ))
    }

    /// With an error.
    pub fn error<E: SolError>(self) -> Self {
        let inputs =
            arguments(E::ARGUMENTS.iter().zip(E::TYPES).map(|(name, kind)| (*name, *kind, None)));
        self.entry(format!(r#"{{"type":"error","name":"{}","inputs":{inputs}}}"#, E::NAME))
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
