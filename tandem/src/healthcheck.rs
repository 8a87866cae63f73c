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
    // One write: a server that answers and hangs up after the first of several resets the rest.
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with `answer`, or hangs up without one.
    fn check(answer: &'static str, expected: Result<(), &str>) {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request).into_owned()
        });
        let result = ask(address, Duration::from_secs(5)).map_err(|error| error.to_string());
        let port = address.port().to_string();
        assert_eq!(
            result.map_err(|error| error.replace(&port, "PORT")),
            expected.map_err(str::to_owned)
        );
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
    }

    #[test]
    fn only_an_answer_of_200_is_healthy() {
        check("HTTP/1.1 200 OK\r\n\r\nok", Ok(()));
        check(
            "HTTP/1.1 500 Internal Server Error\r\n\r\n",
            Err("127.0.0.1:PORT answers `HTTP/1.1 500 Internal Server Error`"),
        );
        check("", Err("127.0.0.1:PORT answers ``"));
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        // The port of a listener that is gone again.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(address, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("no answer from 127.0.0.1:"), "{error}");
    }
}
