//! The arguments of a request, read by position.
//!
//! Optional ones may be left out or null; too many are ignored, as anvil does. A parameter object
//! (`"params": {..}`) counts as the first argument.

use crate::error::{Reply, RpcError};
use jsonrpsee::types::Params;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The arguments of one request, not yet decoded, taken from the first to the last.
#[derive(Debug)]
pub(crate) struct Arguments {
    values: Vec<Box<RawValue>>,
    next: usize,
}

impl Arguments {
    /// Splits the parameters of a request into its arguments.
    pub(crate) fn new(params: &Params<'_>) -> Reply<Self> {
        let text = params.as_str().unwrap_or("").trim();
        let values = if text.is_empty() || text == "null" {
            Vec::new()
        } else if text.starts_with('[') {
            serde_json::from_str(text).map_err(|e| RpcError::invalid_params(e.to_string()))?
        } else if text.starts_with('{') {
            let object = serde_json::from_str(text);
            vec![object.map_err(|e| RpcError::invalid_params(e.to_string()))?]
        } else {
            return Err(RpcError::invalid_params("non-array args"));
        };
        Ok(Self { values, next: 0 })
    }

    /// All arguments, as they came.
    pub(crate) fn all(&self) -> &[Box<RawValue>] {
        &self.values
    }

    /// Takes the next argument; `name` is for the error.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Reply<T> {
        let position = self.next;
        self.optional(name)?.ok_or_else(|| {
            RpcError::invalid_params(format!(
                "missing value for required argument {position} ({name})"
            ))
        })
    }

    /// Takes the next argument if it is an object that makes a `T`.
    pub(crate) fn take_plain<T: DeserializeOwned>(&mut self) -> Option<T> {
        let text = self.values.get(self.next)?.get();
        let plain = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
        self.next += 1;
        Some(plain)
    }

    /// Takes the next argument if it is this very text.
    pub(crate) fn take_text(&mut self, text: &str) -> bool {
        let is_it = self.values.get(self.next).is_some_and(|value| value.get() == text);
        self.next += usize::from(is_it);
        is_it
    }

    /// Takes the next argument, if it is there and not null.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Reply<Option<T>> {
        let position = self.next;
        self.next += 1;
        match self.values.get(position) {
            None => Ok(None),
            Some(value) if value.get() == "null" => Ok(None),
            Some(value) => serde_json::from_str(value.get()).map(Some).map_err(|e| {
                RpcError::invalid_params(format!("invalid argument {position} ({name}): {e}"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    fn arguments(text: &'static str) -> Arguments {
        Arguments::new(&Params::new(Some(text))).expect("well-formed")
    }

    #[test]
    fn reads_by_position_and_skips_null() {
        let mut a = arguments(r#"[1, null, "x", 4]"#);
        assert_eq!(a.required::<u64>("a").unwrap(), 1);
        assert_eq!(a.optional::<u64>("b").unwrap(), None);
        assert_eq!(a.required::<String>("c").unwrap(), "x");
        assert_eq!(a.required::<u64>("d").unwrap(), 4);
        assert_eq!(a.optional::<u64>("e").unwrap(), None);
    }

    #[test]
    fn an_object_is_the_first_argument() {
        let mut a = arguments(r#"{"k": 1}"#);
        assert_eq!(a.required::<serde_json::Value>("o").unwrap()["k"], 1);
    }

    #[test]
    fn a_value_is_no_list_of_arguments() {
        for text in [r#""x""#, "1", "true"] {
            let error = Arguments::new(&Params::new(Some(text))).unwrap_err();
            assert_eq!(error, RpcError::invalid_params("non-array args"));
        }
    }

    #[test]
    fn errors_name_position_and_field() {
        let mut a = arguments(r#"["0x12"]"#);
        let e = a.required::<Address>("address").unwrap_err();
        assert_eq!(e.code(), -32602);
        assert!(e.message().starts_with("invalid argument 0 (address): "), "{}", e.message());
        let e = a.required::<u64>("nonce").unwrap_err();
        assert_eq!(e.message(), "missing value for required argument 1 (nonce)");
    }
}
