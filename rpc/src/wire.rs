//! Requests and answers as the bytes of a connection.

use crate::head::{Allowed, Head, Wanted};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a client may take no byte of its answer.
pub(crate) const STUCK_MAX: Duration = Duration::from_secs(30);
/// Bytes to begin reading with: what most requests have room in.
const INPUT_BYTES: usize = 4 << 10;
/// The longest head that is kept to be known again.
const KNOWN_BYTES_MAX: usize = 1 << 10;
/// Buffers that have grown beyond this are not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What a connection brings.
pub(crate) enum Next {
    /// A request that is there to its end.
    Request(Wanted),
    /// Nothing more for now.
    Silence,
    /// Something for axum.
    Other,
    /// The end, or an error.
    End,
}

/// What was read of a connection and not answered yet.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    filled: usize,
    /// The last read took all that was there.
    drained: bool,
    /// The last plain head and what it says: a client sends the same one again and again.
    known: Option<(Vec<u8>, Wanted)>,
}

impl Default for Input {
    fn default() -> Self {
        Self { bytes: vec![0; INPUT_BYTES], filled: 0, drained: false, known: None }
    }
}

impl Input {
    /// Reads until a request is complete.
    pub(crate) fn next(&mut self, mut connection: &TcpStream, allowed: &Allowed) -> Next {
        let mut wanted = None;
        loop {
            if wanted.is_none() && self.filled > 0 {
                match self.head(allowed) {
                    Head::Plain(head) => wanted = Some(head),
                    Head::Partial => {}
                    Head::Other => return Next::Other,
                }
            }
            match wanted {
                Some(wanted) if wanted.end() <= self.filled => return Next::Request(wanted),
                _ if self.filled < self.bytes.len() => {}
                // Room follows what came, not what was announced.
                Some(wanted) => self.bytes.resize(wanted.end().min(2 * self.filled), 0),
                None => self.bytes.resize(2 * self.filled, 0),
            }
            let room = &mut self.bytes[self.filled..];
            match connection.read(room) {
                Ok(0) => return Next::End,
                Ok(read) => {
                    self.drained = read < room.len();
                    self.filled += read;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.drained = true;
                    return Next::Silence;
                }
                Err(_) => return Next::End,
            }
        }
    }

    /// Looks at the head of what was read.
    fn head(&mut self, allowed: &Allowed) -> Head {
        let read = &self.bytes[..self.filled];
        if let Some((head, wanted)) = &self.known
            && read.starts_with(head)
        {
            return Head::Plain(*wanted);
        }
        let head = Head::parse(read, allowed);
        if let Head::Plain(wanted) = head
            && wanted.body_start <= KNOWN_BYTES_MAX
        {
            self.known = Some((read[..wanted.body_start].to_vec(), wanted));
        }
        head
    }

    /// Forgets what the last read took: there may be more.
    pub(crate) fn expect_more(&mut self) {
        self.drained = false;
    }

    /// Whether nothing is left: neither here nor, when it was last read, in the connection.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained && self.filled == 0
    }

    /// Whether nothing is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub(crate) fn body(&self, wanted: &Wanted) -> &[u8] {
        &self.bytes[wanted.body_start..wanted.end()]
    }

    /// Drops a request that is answered; the next one may be there already.
    pub(crate) fn drop_request(&mut self, wanted: &Wanted) {
        self.bytes.copy_within(wanted.end()..self.filled, 0);
        self.filled -= wanted.end();
        if self.bytes.len() > KEPT_BYTES_MAX && self.filled <= INPUT_BYTES {
            self.bytes.truncate(INPUT_BYTES);
            self.bytes.shrink_to_fit();
        }
    }

    pub(crate) fn into_read(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}

/// An answer with room for its head in front, so that both go out in one write.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: Vec<u8>,
    /// Where the head begins.
    start: usize,
    /// The date of the second at hand.
    date: (u64, String),
}

/// Longest head of an answer.
const HEAD_BYTES: usize = 160;

impl Output {
    /// Room for the text of an answer, to be appended to.
    pub(crate) fn begin(&mut self) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.text);
        if text.capacity() > KEPT_BYTES_MAX {
            text = Vec::new();
        }
        text.clear();
        text.resize(HEAD_BYTES, 0);
        text
    }

    /// The whole of what is to be sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }

    /// Puts the head before an answer's text, which was appended to what [`Output::begin`] gave.
    pub(crate) fn finish(&mut self, text: Vec<u8>, wanted: &Wanted) {
        self.text = text;
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.date.0 != second {
            self.date = (second, httpdate::fmt_http_date(now));
        }
        let length = self.text.len() - HEAD_BYTES;
        let close = if wanted.keeps_open { "" } else { "connection: close\r\n" };
        let mut head = [0; HEAD_BYTES];
        let mut rest = &mut head[..];
        let written = write!(
            rest,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{close}content-length: {length}\r\n\
             date: {}\r\n\r\n",
            self.date.1
        );
        debug_assert!(written.is_ok(), "the longest head has {HEAD_BYTES} bytes");
        let unused = rest.len();
        let head = &head[..HEAD_BYTES - unused];
        self.text[unused..HEAD_BYTES].copy_from_slice(head);
        self.start = unused;
    }
}
