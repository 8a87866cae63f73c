//! A TLS server on loopback before a plain one, with a certificate that only its own file vouches
//! for.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};

/// How long one side is listened to before the other.
const TURN: Duration = Duration::from_millis(2);

/// Passes TLS connections on to the plain server at `upstream`. Answers where it listens; its
/// certificate, for `localhost`, is written to `file` as PEM.
pub fn start(upstream: SocketAddr, file: &Path) -> Result<SocketAddr> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(file, made.cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A connection ends with whoever opened it.
            thread::spawn(move || drop(serve(config, stream, upstream)));
        }
    });
    Ok(address)
}

fn serve(config: Arc<ServerConfig>, stream: TcpStream, upstream: SocketAddr) -> Result<()> {
    stream.set_read_timeout(Some(TURN))?;
    let mut outer = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut inner = TcpStream::connect(upstream)?;
    inner.set_read_timeout(Some(TURN))?;
    let mut bytes = vec![0; 1 << 16];
    while pass(&mut outer, &mut inner, &mut bytes)? && pass(&mut inner, &mut outer, &mut bytes)? {}
    Ok(())
}

/// Passes on what has come; `false` once no more will.
fn pass(from: &mut impl Read, to: &mut impl Write, bytes: &mut [u8]) -> Result<bool> {
    match from.read(bytes) {
        Ok(0) => Ok(false),
        Ok(count) => {
            to.write_all(&bytes[..count])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}
