//! ABIs: where they are, values from text, and text from values.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_dyn_abi::{DynSolValue, EventExt, JsonAbiExt, Specifier};
use alloy_json_abi::{Event, Function, JsonAbi, Param};
use alloy_primitives::{Bytes, LogData, hex};
use clap::Args;

use crate::Failure;
use crate::build::OUTPUT;

/// Which ABIs.
#[derive(Debug, Args)]
pub(crate) struct Abis {
    /// The contract's ABI: a JSON file, or an artifact that has one. Else those of target/tandem
    #[arg(long, value_name = "FILE")]
    abi: Option<PathBuf>,
}

/// The ABIs that a command goes by.
pub(crate) struct Known(Vec<JsonAbi>);

impl Abis {
    pub(crate) fn load(&self) -> Result<Known, Failure> {
        if let Some(path) = &self.abi {
            return Ok(Known(vec![read(path)?]));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let Ok(folder) = fs::read_dir(target.join(OUTPUT)) else { return Ok(Known(Vec::new())) };
        let files = folder.flatten().map(|entry| entry.path());
        let mut files: Vec<_> =
            files.filter(|path| path.to_string_lossy().ends_with(".abi.json")).collect();
        files.sort();
        files.iter().map(|path| read(path)).collect::<Result<_, _>>().map(Known)
    }
}

/// The ABI in a file: an array, or an object with the array under `abi`.
pub(crate) fn read(path: &Path) -> Result<JsonAbi, Failure> {
    let name = || path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|error| Failure::File { path: path.to_owned(), error })?;
    serde_json::from_str(&text).map_err(|error| Failure::Abi { name: name(), error })
}

impl Known {
    pub(crate) fn of(abi: JsonAbi) -> Self {
        Self(vec![abi])
    }

    /// The function that a command names, by a signature or by its name in an ABI. Among overloads
    /// it is the one that takes as many arguments.
    pub(crate) fn function(&self, text: &str, arguments: usize) -> Result<Function, Failure> {
        if text.contains('(') {
            return signature(text);
        }
        let named: Vec<&Function> =
            self.0.iter().filter_map(|abi| abi.function(text)).flatten().collect();
        let fitting = named.iter().find(|function| function.inputs.len() == arguments);
        let found = fitting.or(named.first()).map(|function| (*function).clone());
        found.ok_or_else(|| Failure::UnknownFunction { name: text.to_owned() })
    }

    /// Revert data in words.
    pub(crate) fn reason(&self, data: &[u8]) -> String {
        if data.is_empty() {
            return "without a reason".to_owned();
        }
        let errors = self.0.iter().flat_map(JsonAbi::errors);
        for error in errors.chain(&standard_errors()) {
            let arguments = data.strip_prefix(error.selector().as_slice());
            if let Some(Ok(values)) = arguments.map(|data| error.abi_decode_input(data)) {
                return format!("{}({})", error.name, named(&error.inputs, &values));
            }
        }
        hex::encode_prefixed(data)
    }

    /// A failure with its revert data explained.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Reverted { data, .. } => {
                Failure::Reverted { reason: self.reason(&data), data }
            }
            other => other,
        }
    }

    /// A log in words, if an ABI has its event.
    pub(crate) fn event(&self, log: &LogData) -> Option<String> {
        let events: Vec<&Event> = self.0.iter().flat_map(JsonAbi::events).collect();
        events.into_iter().find_map(|event| {
            let decoded = event.decode_log(log).ok()?;
            let (mut indexed, mut body) = (decoded.indexed.iter(), decoded.body.iter());
            let values = event.inputs.iter().filter_map(|input| {
                let value = if input.indexed { indexed.next() } else { body.next() }?;
                Some(format!("{}: {}", input.name, show(value)))
            });
            let values: Vec<String> = values.collect();
            Some(format!("{}({})", event.name, values.join(", ")))
        })
    }
}

/// Solidity's own errors.
fn standard_errors() -> [alloy_json_abi::Error; 2] {
    ["Error(string message)", "Panic(uint256 code)"]
        .map(|text| alloy_json_abi::Error::parse(text).expect("a signature of ours"))
}

/// A function out of `transfer(address,uint256)(bool)`, or out of Solidity's own form.
fn signature(text: &str) -> Result<Function, Failure> {
    let fail = || Failure::Signature(text.to_owned());
    // Where the brackets of the arguments end.
    let mut depth = 0;
    let end = text.char_indices().find_map(|(at, letter)| {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (letter == ')' && depth == 0).then_some(at + 1)
    });
    let (head, rest) = text.split_at_checked(end.ok_or_else(fail)?).ok_or_else(fail)?;
    let rest = rest.trim();
    let written =
        if rest.starts_with('(') { format!("{head} returns {rest}") } else { text.into() };
    let function = Function::parse(&written).map_err(|_| fail())?;
    // Any word passes for a type until it is looked up.
    let mut params = function.inputs.iter().chain(&function.outputs);
    if params.any(|param| param.resolve().is_err()) {
        return Err(fail());
    }
    Ok(function)
}

/// Values out of text, for these parameters.
pub(crate) fn values(
    name: &str,
    inputs: &[Param],
    texts: &[String],
) -> Result<Vec<DynSolValue>, Failure> {
    if inputs.len() != texts.len() {
        let kinds: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        return Err(Failure::Arguments {
            name: name.to_owned(),
            signature: kinds.join(", "),
            wanted: inputs.len(),
            given: texts.len(),
        });
    }
    let value = |(input, text): (&Param, &String)| {
        let fail = |error| Failure::Value {
            text: text.clone(),
            kind: input.selector_type().into_owned(),
            error: Box::new(error),
        };
        input.resolve().and_then(|kind| kind.coerce_str(text)).map_err(fail)
    };
    inputs.iter().zip(texts).map(value).collect()
}

fn named(params: &[Param], values: &[DynSolValue]) -> String {
    let named = params.iter().zip(values).map(|(param, value)| match param.name.as_str() {
        "" => show(value),
        name => format!("{name}: {}", show(value)),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A value as text that is read back as the same.
pub(crate) fn show(value: &DynSolValue) -> String {
    let list = |values: &[DynSolValue], [open, close]: [char; 2]| {
        let values: Vec<String> = values.iter().map(show).collect();
        format!("{open}{}{close}", values.join(", "))
    };
    match value {
        DynSolValue::Bool(value) => value.to_string(),
        DynSolValue::Int(value, _) => value.to_string(),
        DynSolValue::Uint(value, _) => value.to_string(),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..*size]),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Function(function) => hex::encode_prefixed(function.as_slice()),
        DynSolValue::Bytes(bytes) => hex::encode_prefixed(bytes),
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => list(values, ['[', ']']),
        DynSolValue::Tuple(values) => list(values, ['(', ')']),
        other => format!("{other:?}"),
    }
}

/// The values that a function answered, as text.
pub(crate) fn answer(function: &Function, data: &Bytes) -> Result<Vec<String>, Failure> {
    use alloy_dyn_abi::FunctionExt as _;
    if function.outputs.is_empty() {
        // A signature that says nothing of what comes back.
        return Ok(if data.is_empty() { Vec::new() } else { vec![data.to_string()] });
    }
    let values = function
        .abi_decode_output(data)
        .map_err(|error| Failure::Answer { error: Box::new(error), data: hex::encode(data) })?;
    Ok(values.iter().map(show).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_read_in_both_forms() {
        for text in [
            "transfer(address,uint256)(bool)",
            "function transfer(address to, uint256 value) returns (bool)",
            "transfer(address,uint256) returns (bool)",
        ] {
            let function = signature(text).unwrap();
            assert_eq!(function.signature(), "transfer(address,uint256)", "{text}");
            assert_eq!(function.outputs.len(), 1, "{text}");
        }
        assert_eq!(signature("f((uint256,bool)[],bytes)").unwrap().inputs.len(), 2);
        for text in ["f(", "f)(", "f(nothing)", "(", "f(uint256))"] {
            assert!(signature(text).is_err(), "{text}");
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn text_becomes_values_and_comes_back() {
        let function = signature("f(uint8,(bool,string)[],bytes4,int256)").unwrap();
        let given = ["7", r#"[(true, "a b"), (false, "")]"#, "0x01020304", "-5"];
        let read = values("f", &function.inputs, &texts(&given)).unwrap();
        assert_eq!(read.iter().map(show).collect::<Vec<_>>(), given);
        let short = values("f", &function.inputs, &texts(&["7"])).unwrap_err();
        assert!(short.to_string().contains("takes 4 argument(s)"), "{short}");
        let bad = values("g", &signature("g(uint8)").unwrap().inputs, &texts(&["300"]));
        assert!(bad.unwrap_err().to_string().contains("`300` is no uint8"));
    }

    #[test]
    fn revert_data_is_explained() {
        let abi =
            r#"[{"type":"error","name":"TooFar","inputs":[{"name":"limit","type":"uint256"}]}]"#;
        let known = Known::of(serde_json::from_str(abi).unwrap());
        let of = |text: &str, values: &[DynSolValue]| {
            alloy_json_abi::Error::parse(text).unwrap().abi_encode_input(values).unwrap()
        };
        let number = |n: u64| DynSolValue::Uint(alloy_primitives::U256::from(n), 256);
        assert_eq!(known.reason(&of("TooFar(uint256)", &[number(9)])), "TooFar(limit: 9)");
        assert_eq!(known.reason(&of("Panic(uint256)", &[number(17)])), "Panic(code: 17)");
        let text = of("Error(string)", &["no".to_owned().into()]);
        assert_eq!(known.reason(&text), r#"Error(message: "no")"#);
        assert_eq!(known.reason(&[1, 2]), "0x0102");
        assert_eq!(known.reason(&[]), "without a reason");
    }
}
