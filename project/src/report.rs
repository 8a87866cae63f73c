//! What a command has to say.

use serde_json::{Map, Value};

/// Named results, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(&'static str, Value)>,
    /// What is printed in place of the names and values, if it is not JSON.
    text: Option<String>,
}

impl Report {
    /// With a result.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.lines.push((name, value.into()));
        self
    }

    /// With this text for people.
    pub(crate) fn text(mut self, text: String) -> Self {
        self.text = Some(text);
        self
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let object: Map<String, Value> =
            self.lines.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        format!("{}\n", Value::Object(object))
    }

    /// As lines for people.
    pub(crate) fn to_text(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let width = self.lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let line = |(name, value): &(&str, Value)| match value {
            Value::String(text) => format!("{name:width$}  {text}\n"),
            Value::Array(items) => items
                .iter()
                .map(|item| format!("{name:width$}  {}\n", item.as_str().unwrap_or_default()))
                .collect(),
            other => format!("{name:width$}  {other}\n"),
        };
        self.lines.iter().map(line).collect()
    }
}
