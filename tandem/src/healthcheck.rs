//! Asks a running node whether it answers: `GET /health`, without any client library.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// Why a node counts as not healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthError {
    /// Nobody answers there.
    #[error("no answer from {address}: {source}")]
    NoAnswer {
        /// The address asked.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody answers something else.
    #[error("{address} answers `{answer}`")]
    Answer {
        /// The address asked.
        address: SocketAddr,
        /// First line of the answer.
        answer: String,
    },
}

/// Asks the node that listens on this address.
pub(crate) fn ask(listens_on: SocketAddr, timeout: Duration) -> Result<(), HealthError> {
    let address = SocketAddr::new(reachable(listens_on.ip()), listens_on.port());
    let answer =
        request(address, timeout).map_err(|source| HealthError::NoAnswer { address, source })?;
    let first = answer.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(HealthError::Answer { address, answer: first.to_owned() })
}

/// A node that listens everywhere is asked on the loopback.
const fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    }
}

fn request(address: SocketAddr, timeout: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
