//! Names of types and the selectors made of them, at compile time.

use crate::Word;
use crate::keccak::Keccak;

/// The longest name of a type.
const NAME_SIZE_MAX: usize = 48;

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
    pub const fn then(mut self, text: &str) -> Self {
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.len] = text.as_bytes()[i];
            self.len += 1;
            i += 1;
        }
        self
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

/// Fails the build if two of these functions have one selector.
pub const fn assert_distinct(selectors: &[u32]) {
    let mut i = 0;
    while i < selectors.len() {
        let mut j = i + 1;
        while j < selectors.len() {
            assert!(selectors[i] != selectors[j], "two functions have the same selector");
            j += 1;
        }
        i += 1;
    }
}
