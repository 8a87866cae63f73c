//! The forked node over a connection that stays open: a WebSocket, or a Unix socket (IPC).
//!
//! Connections that are not in use wait for the next request. One that has waited may be closed by
//! now, so what fails on it is tried once more on a fresh one.

use std::io::{BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde_json::value::RawValue;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Connector, Message, WebSocket, client_tls_with_config};
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::error::Reason;
use super::remote::ANSWER_BYTES_MAX;

/// Connections that are kept for later.
const IDLE_MAX: usize = 16;

/// Where such connections go.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// To a WebSocket, with these headers; over TLS if there are settings for it.
    Web(Uri, Vec<(HeaderName, HeaderValue)>, Option<Arc<ClientConfig>>),
    /// To a Unix socket.
    Ipc(PathBuf),
}

/// A place and the connections to it.
pub(super) struct Socket {
    place: Place,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

enum Connection {
    Web(Box<WebSocket<MaybeTlsStream<TcpStream>>>),
    Ipc(BufReader<UnixStream>),
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens nothing yet. Neither connecting nor a wait for bytes may take longer than `timeout`.
    pub(super) fn new(place: Place, timeout: Duration) -> Self {
        Self { place, timeout, idle: Mutex::default() }
    }

    /// Sends one request and reads the answer to it.
    pub(super) fn exchange(&self, body: &[u8]) -> Result<Vec<u8>, Reason> {
        let waiting = self.idle.lock().pop();
        if let Some(mut connection) = waiting
            && let Ok(answer) = connection.exchange(body)
        {
            self.keep(connection);
            return Ok(answer);
        }
        let exchanged = self.open().and_then(|mut connection| {
            let answer = connection.exchange(body)?;
            self.keep(connection);
            Ok(answer)
        });
        exchanged.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Reason::Timeout { millis: self.timeout.as_millis() }
            }
            ErrorKind::FileTooLarge => Reason::Size { limit: ANSWER_BYTES_MAX },
            _ => Reason::Transport(error.to_string()),
        })
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    fn open(&self) -> Result<Connection, Error> {
        match &self.place {
            Place::Ipc(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(self.timeout))?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(Connection::Ipc(BufReader::new(stream)))
            }
            Place::Web(uri, headers, tls) => {
                let mut request = uri.into_client_request().map_err(Error::other)?;
                for (name, value) in headers {
                    request.headers_mut().insert(name, value.clone());
                }
                let stream = self.connect(uri)?;
                let size = Some(ANSWER_BYTES_MAX as usize);
                let config = WebSocketConfig::default().max_message_size(size).max_frame_size(size);
                let connector = Some(tls.clone().map_or(Connector::Plain, Connector::Rustls));
                let opened = client_tls_with_config(request, stream, Some(config), connector);
                let (socket, _) = opened.map_err(|error| match error {
                    tungstenite::HandshakeError::Failure(error) => io_error(error),
                    tungstenite::HandshakeError::Interrupted(_) => ErrorKind::TimedOut.into(),
                })?;
                Ok(Connection::Web(Box::new(socket)))
            }
        }
    }

    fn connect(&self, uri: &Uri) -> Result<TcpStream, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let default = if uri.scheme_str() == Some("wss") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let mut last = Error::from(ErrorKind::NotFound);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(self.timeout))?;
                    stream.set_write_timeout(Some(self.timeout))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Connection {
    fn exchange(&mut self, body: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Web(socket) => {
                let text = String::from_utf8_lossy(body).into_owned();
                socket.send(Message::text(text)).map_err(io_error)?;
                loop {
                    match socket.read().map_err(io_error)? {
                        Message::Text(text) => return Ok(text.as_bytes().to_vec()),
                        Message::Binary(bytes) => return Ok(bytes.to_vec()),
                        Message::Close(_) => return Err(ErrorKind::ConnectionAborted.into()),
                        // Pings are answered on the way.
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
            }
            Self::Ipc(stream) => {
                stream.get_mut().write_all(body)?;
                stream.get_mut().write_all(b"\n")?;
                // One JSON value: nodes put nothing or a line's end between two.
                let mut bounded = stream.take(ANSWER_BYTES_MAX);
                let mut values = serde_json::Deserializer::from_reader(&mut bounded)
                    .into_iter::<Box<RawValue>>();
                let value = values.next().ok_or(ErrorKind::ConnectionAborted)?;
                let value = value.map_err(Error::from);
                drop(values);
                if value.is_err() && bounded.limit() == 0 {
                    return Err(ErrorKind::FileTooLarge.into());
                }
                Ok(value?.get().as_bytes().to_vec())
            }
        }
    }
}

/// TLS with whom these certificates vouch for; without them with whom Mozilla trusts, as the HTTP
/// client does.
pub(super) fn tls(
    own: Option<&[CertificateDer<'static>]>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    match own {
        Some(own) => own.iter().try_for_each(|root| roots.add(root.clone()))?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn io_error(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::Capacity(_) => ErrorKind::FileTooLarge.into(),
        other => Error::other(other),
    }
}
