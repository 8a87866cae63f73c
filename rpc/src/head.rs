//! The head of a request, as far as the short way goes.

use crate::hosts::Hosts;

/// The most fields that a head may have here.
const FIELDS_MAX: usize = 48;
/// The longest head that is read here.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A request that can be answered once its body is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Where its body begins.
    pub(crate) body_start: usize,
    /// How long that is.
    pub(crate) body_len: usize,
    /// Whether more requests may follow.
    pub(crate) keeps_open: bool,
}

impl Wanted {
    /// Where it ends.
    pub(crate) const fn end(&self) -> usize {
        self.body_start + self.body_len
    }
}

/// What requests may be like.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    /// Bytes of a body.
    pub(crate) body_max: usize,
    /// By which names they may call the node.
    pub(crate) hosts: Hosts,
    /// Whether their content type has to be JSON.
    pub(crate) json_only: bool,
}

impl Allowed {
    /// Whether a content type may be: JSON in one of the ways that geth takes, or any.
    pub(crate) fn content_type(&self, value: Option<&[u8]>) -> bool {
        let kind = value.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
        !self.json_only
            || ["application/json", "application/json-rpc", "application/jsonrequest"]
                .iter()
                .any(|json| kind.trim_ascii().eq_ignore_ascii_case(json.as_bytes()))
    }

    fn host(&self, value: &[u8]) -> bool {
        std::str::from_utf8(value).is_ok_and(|host| self.hosts.allow(host))
    }
}

/// What the bytes of a connection begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A POST request with a length, and with nothing that asks for more than its answer.
    Plain(Wanted),
    /// A head that is not there to its end.
    Partial,
    /// Anything else: another method or version, a page's request, a body in chunks, nonsense, or
    /// what is to be refused.
    Other,
}

impl Head {
    /// Looks at the bytes read so far.
    pub(crate) fn parse(bytes: &[u8], allowed: &Allowed) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let body_start = match request.parse(bytes) {
            Ok(httparse::Status::Complete(body_start)) => body_start,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => {
                let post = b"POST ";
                let begins = bytes.iter().zip(post).all(|(byte, wanted)| byte == wanted);
                return if begins { Self::Partial } else { Self::Other };
            }
            _ => return Self::Other,
        };
        if request.method != Some("POST") || request.version != Some(1) {
            return Self::Other;
        }
        let (mut length, mut keeps_open, mut hosts, mut content_type) = (None, true, 0, None);
        for field in &*request.headers {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("content-length") && length.is_none() {
                length = number(field.value).filter(|length| *length <= allowed.body_max);
                if length.is_none() {
                    return Self::Other;
                }
            } else if is("connection") {
                match field.value {
                    b"close" => keeps_open = false,
                    value if value.eq_ignore_ascii_case(b"keep-alive") => {}
                    _ => return Self::Other,
                }
            } else if is("host") {
                hosts += if allowed.host(field.value) { 1 } else { 2 };
            } else if is("content-type") {
                content_type = Some(field.value);
            } else if ["content-length", "transfer-encoding", "expect", "upgrade", "origin"]
                .into_iter()
                .any(is)
            {
                return Self::Other;
            }
        }
        match length {
            Some(body_len) if hosts == 1 && allowed.content_type(content_type) => {
                Self::Plain(Wanted { body_start, body_len, keeps_open })
            }
            _ => Self::Other,
        }
    }
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_plain_requests_from_all_others() {
        let parse = |text: &str| {
            Head::parse(
                text.as_bytes(),
                &Allowed { body_max: 100, hosts: Hosts::default(), json_only: false },
            )
        };
        let plain = |fields: &str| parse(&format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        let wanted = |body_start, body_len, keeps_open| {
            Head::Plain(Wanted { body_start, body_len, keeps_open })
        };
        assert_eq!(plain("content-length: 7\r\n"), wanted(47, 7, true));
        assert_eq!(plain("Content-Length: 0\r\nConnection: Keep-Alive\r\n"), wanted(71, 0, true));
        assert_eq!(plain("content-length: 7\r\nconnection: close\r\n"), wanted(66, 7, false));
        for fields in [
            "",
            "content-length: 101\r\n",
            "content-length: -1\r\n",
            "content-length: +1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 1\r\ncontent-length: 2\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "content-length: 1\r\nexpect: 100-continue\r\n",
            "content-length: 1\r\norigin: http://a.example\r\n",
            "content-length: 1\r\nconnection: upgrade\r\n",
            "content-length: 1\r\nhost: b\r\n",
        ] {
            assert_eq!(plain(fields), Head::Other, "{fields}");
        }
        for text in
            ["GET / HTTP/1.1\r\n", "G", "POST / HTTP/1.0\r\nhost: a\r\ncontent-length: 1\r\n\r\n"]
        {
            assert_eq!(parse(text), Head::Other, "{text}");
        }
        for text in ["", "PO", "POST / HTTP/1.1\r\nhost: a\r\ncontent-le"] {
            assert_eq!(parse(text), Head::Partial, "{text}");
        }
        assert_eq!(parse(&format!("POST /{}", "a".repeat(HEAD_BYTES_MAX))), Head::Other);
    }
}
