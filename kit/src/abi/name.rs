//! Names of types and the selectors made of them, at compile time.

use crate::Word;
use crate::keccak::Keccak;

/// The longest name of a type: that of a struct has all its fields' in it. Names are there at compile
/// time only.
const NAME_SIZE_MAX: usize = 256;

/// The name of a type in signatures, as a constant that can be put together.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_SIZE_MAX],
    len: usize,
}

impl Name {
    /// The name that `text` is.
    pub const fn new(text: &str) -> Self {
        Self { bytes: [0; NAME_SIZE_MAX], len: 0 }.then(text)
    }

    /// This name with `text` after it.
    pub const fn then(self, text: &str) -> Self {
        self.then_bytes(text.as_bytes())
    }

    const fn then_bytes(mut self, text: &[u8]) -> Self {
        assert!(self.len + text.len() <= NAME_SIZE_MAX, "a type's name has at most 256 bytes");
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    /// This name with a decimal number after it.
    pub const fn then_number(self, number: usize) -> Self {
        let longer = if number < 10 { self } else { self.then_number(number / 10) };
        longer.then_bytes(&[b'0' + (number % 10) as u8])
    }

    /// The name of a tuple of types.
    pub const fn tuple(types: &[Name]) -> Self {
        let mut name = Self::new("(");
        let mut i = 0;
        while i < types.len() {
            if i > 0 {
                name = name.then(",");
            }
            name = name.then_bytes(types[i].as_bytes());
            i += 1;
        }
        name.then(")")
    }

    /// The name's bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len).0
    }

    /// The name as text.
    pub const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!("a name is put together from text"),
        }
    }
}

const fn hash(name: &str, types: &[Name]) -> [u8; 32] {
    let mut hash = Keccak::new().update(name.as_bytes()).update(b"(");
    let mut i = 0;
    while i < types.len() {
        if i > 0 {
            hash = hash.update(b",");
        }
        hash = hash.update(types[i].as_bytes());
        i += 1;
    }
    hash.update(b")").finish()
}

/// The selector of a function or an error.
pub const fn selector(name: &str, types: &[Name]) -> u32 {
    let [a, b, c, d, ..] = hash(name, types);
    u32::from_be_bytes([a, b, c, d])
}

/// The first topic of an event.
pub const fn topic(name: &str, types: &[Name]) -> Word {
    Word::new(hash(name, types))
}

/// The text that is hashed for a selector or a topic.
#[cfg(feature = "heap")]
pub fn signature(name: &str, types: &[Name]) -> alloc::string::String {
    let mut text = alloc::string::String::from(name);
    text.push('(');
    for (i, part) in types.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(part.as_str());
    }
    text.push(')');
    text
}

/// Whether none of the selectors after number `at` is the same as it.
pub const fn is_distinct(selectors: &[u32], at: usize) -> bool {
    let mut i = at + 1;
    while i < selectors.len() {
        if selectors[i] == selectors[at] {
            return false;
        }
        i += 1;
    }
    true
}
