//! JSON-RPC over one HTTP connection that stays open, without a library in between: what the
//! benches measure is the node, and what the tests see is what the node sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An error object of an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message} (data: {data})")]
pub struct RpcError {
    /// JSON-RPC's code.
    pub code: i64,
    /// What it says.
    pub message: String,
    /// What else is known, or null.
    pub data: Value,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Calls a method; an error object is an error.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.try_call(method, params)?.with_context(|| method.to_owned())
    }

    /// Calls a method; an error object is a value.
    pub fn try_call(&mut self, method: &str, params: Value) -> Result<Result<Value, RpcError>> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.exchange(request.to_string().as_bytes())?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let error = &answer["error"];
        if error.is_null() {
            return Ok(Ok(answer["result"].take()));
        }
        Ok(Err(RpcError {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error["data"].clone(),
        }))
    }

    /// Calls a method that has to be refused.
    pub fn refused(&mut self, method: &str, params: Value) -> Result<RpcError> {
        match self.try_call(method, params)? {
            Ok(result) => bail!("{method} was to be refused, but gave {result}"),
            Err(error) => Ok(error),
        }
    }

    /// Sends a body and returns the answer's.
    pub fn exchange(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        self.send(body)?;
        self.receive()
    }

    /// Sends a body; several may be on their way.
    pub fn send(&mut self, body: &[u8]) -> Result<()> {
        let mut request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        Ok(())
    }

    /// Receives the next answer's body.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        let (mut length, mut chunked) = (0, false);
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if !line.contains(" 200 ") {
            bail!("answered {:?}", line.trim());
        }
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = value.contains("chunked"),
                _ => {}
            }
        }
        if chunked { self.chunks() } else { self.bytes(length) }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16)?;
            body.extend(self.bytes(length)?);
            self.bytes(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

/// Reads a quantity such as `"0x1f"`.
pub fn quantity(value: &Value) -> Result<u64> {
    let text = value.as_str().with_context(|| format!("{value} is no quantity"))?;
    let digits = text.strip_prefix("0x").with_context(|| format!("{text} is no quantity"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
