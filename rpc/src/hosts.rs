//! By which names the node may be called.
//!
//! A web page of a name that its owner points at this machine (DNS rebinding) is of one origin with
//! the node, so no rule about origins keeps it out; but its requests carry that name. Names that
//! nobody can own in the public DNS need no permission: a container's, a machine's on the local
//! network, an address.

use std::net::IpAddr;

/// Ends of names that are for private use (RFC 6761, RFC 6762, and ICANN's `.internal`).
const PRIVATE: [&str; 4] = [".localhost", ".local", ".internal", ".test"];

/// The names by which requests may call the node, in their `Host` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any name.
    Any,
    /// Addresses, names without a dot or for private use, and these; in lower case.
    Private(Vec<String>),
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Private(Vec::new())
    }
}

impl Hosts {
    /// Whether a request may call the node `host`, which may end in a port.
    pub(crate) fn allow(&self, host: &str) -> bool {
        let Self::Private(more) = self else { return true };
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let private = !name.contains('.') || PRIVATE.iter().any(|end| name.ends_with(end));
        address || (private && !name.is_empty()) || more.contains(&name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address without brackets has colons of its own.
        Some((name, port)) if port.parse::<u16>().is_ok() && !name.ends_with(':') => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_can_own_need_no_permission() {
        let hosts = Hosts::Private(vec!["rpc.example.org".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:8545",
            "127.0.0.1:8545",
            "10.0.0.7",
            "[::1]:8545",
            "[::1]",
            "::1",
            "tandem:8545",
            "my-mac.local:8545",
            "host.docker.internal",
            "a.b.localhost",
            "x.test",
            "rpc.example.org",
            "RPC.example.org:443",
            "rpc.example.org.",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "example.org",
            "evil.example.org:8545",
            "rpc.example.org.evil.com",
            "127.0.0.1.nip.io",
            "localhost.evil.com",
            "",
            ":8545",
            "notlocal.com",
            "1.2.3",
        ] {
            assert!(!hosts.allow(host), "{host}");
            assert!(Hosts::Any.allow(host), "{host}");
        }
    }
}
