//! The same methods over any stream of bytes, as geth's and anvil's IPC: JSON values one after
//! another in both directions, with or without white space between them.

use crate::connection::Connection;
use crate::error::RpcError;
use crate::local::{Limits, error_of};
use crate::methods::MethodTable;
use jsonrpsee::types::Id;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Serves the methods of `table` over one stream until the other side closes it.
pub async fn serve_stream<S>(table: MethodTable, limits: Limits, stream: S) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (connection, mut waiting) = Connection::open(table, limits);
    tokio::spawn(async move {
        while let Some(mut answer) = waiting.recv().await {
            answer.text.push('\n');
            if writer.write_all(answer.text.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut values = Values::default();
    loop {
        if reader.read_buf(&mut values.bytes).await? == 0 {
            return Ok(());
        }
        while let Some(value) = values.take_next() {
            tokio::spawn(connection.clone().answer(value));
        }
        if values.bytes.len() > limits.request_bytes {
            let error = RpcError::request_too_large(limits.request_bytes);
            connection.send(error_of(Vec::new(), &Id::Null, error)).await;
            return Ok(());
        }
    }
}

/// Finds where JSON objects and arrays end in a stream, looking at each byte once.
#[derive(Debug, Default)]
struct Values {
    bytes: Vec<u8>,
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Values {
    fn take_next(&mut self) -> Option<Vec<u8>> {
        while let Some(&byte) = self.bytes.get(self.scanned) {
            self.scanned += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.split());
                    }
                }
                // Between two values, only a line can be told from the next one.
                b'\n' if self.depth == 0 => {
                    let line = self.split();
                    if !line.is_empty() {
                        return Some(line);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn split(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.scanned);
        let value = std::mem::replace(&mut self.bytes, rest);
        self.scanned = 0;
        value.trim_ascii().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_however_they_arrive() {
        let stream = br#" {"a":"}\"{"}[{"b":[1]}, 2]
          {"c":1}x"#;
        let mut values = Values::default();
        let mut found = Vec::new();
        for byte in stream {
            values.bytes.push(*byte);
            found.extend(values.take_next());
        }
        let text: Vec<_> = found.iter().map(|v| String::from_utf8_lossy(v)).collect();
        assert_eq!(text, [r#"{"a":"}\"{"}"#, r#"[{"b":[1]}, 2]"#, r#"{"c":1}"#]);
        values.bytes.push(b'\n');
        assert_eq!(values.take_next().as_deref(), Some(b"x".as_slice()));
        assert_eq!(values.take_next(), None);
    }
}
