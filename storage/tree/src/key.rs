//! Keys of the tree: which leaf holds a field of an account, a slot, a chunk of code.

use crate::Hash;
use alloy_primitives::{Address, B256, U256};
use core::{cmp::Ordering, fmt};

/// Zone of account headers, the first byte of a key.
pub const HEADER_ZONE: u8 = 0x00;
/// Zone of code chunks.
pub const CODE_ZONE: u8 = 0x01;
/// Zone of the slots that do not fit the header.
pub const STORAGE_ZONE: u8 = 0xff;
/// Length in bytes of the longest key, one of [`STORAGE_ZONE`].
pub const KEY_LEN_MAX: usize = 66;

const SHORT_KEY_LEN: usize = 34;
const HEADER_SLOTS: u64 = 64;

/// Last byte of a header key: which field of the account.
pub mod sub {
    /// Version, code size, nonce and balance.
    pub const BASIC_DATA: u8 = 0;
    /// Keccak hash of the account's code.
    pub const CODE_HASH: u8 = 1;
    /// Target of an EIP-7702 delegation.
    pub const DELEGATION: u8 = 2;
    /// Slot 0; slots up to 63 follow.
    pub const FIRST_SLOT: u8 = 64;
}

/// A key of at most [`KEY_LEN_MAX`] bytes; no key of a tree is a prefix of another.
#[derive(Clone, Copy)]
pub struct Key {
    len: u8,
    bytes: [u8; KEY_LEN_MAX],
}

impl Key {
    /// Wraps any 1 to 66 bytes, for trees over raw keys; such keys must not be prefixes of each
    /// other.
    pub fn raw(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > KEY_LEN_MAX {
            return None;
        }
        let mut key = Self { len: bytes.len() as u8, bytes: [0; KEY_LEN_MAX] };
        key.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(key)
    }

    /// Reads a key of EIP-8297 from the start of `bytes`, which may go on after it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let len = Self::len_in_zone(*bytes.first()?)?;
        Self::raw(bytes.get(..len)?)
    }

    /// Returns how long the keys of a zone are, or `None` if the zone is reserved.
    pub const fn len_in_zone(zone: u8) -> Option<usize> {
        match zone {
            HEADER_ZONE | CODE_ZONE => Some(SHORT_KEY_LEN),
            STORAGE_ZONE => Some(KEY_LEN_MAX),
            _ => None,
        }
    }

    /// Returns the key of code chunk `index` of the code with this hash.
    pub fn chunk<H: Hash>(hash: H, code_hash: B256, index: u32) -> Self {
        let mut input = [0; 64];
        input[..32].copy_from_slice(code_hash.as_slice());
        input[60..].copy_from_slice(&(index / 256).to_be_bytes());
        short_key(CODE_ZONE, hash.hash(&input), (index % 256) as u8)
    }

    /// Returns the key's bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Returns the zone, the first byte.
    pub const fn zone(&self) -> u8 {
        self.bytes[0]
    }

    /// Returns the account's part of a header or storage key, `None` for a code chunk.
    pub fn stem(&self) -> Option<Stem> {
        let of_account = self.zone() == HEADER_ZONE || self.zone() == STORAGE_ZONE;
        (of_account && self.len as usize >= SHORT_KEY_LEN)
            .then(|| Stem(B256::from_slice(&self.bytes[1..33])))
    }

    /// Returns the hash of the group of 256 slots that a key of [`STORAGE_ZONE`] belongs to.
    pub fn slot_group(&self) -> Option<B256> {
        (self.zone() == STORAGE_ZONE && self.len as usize == KEY_LEN_MAX)
            .then(|| B256::from_slice(&self.bytes[33..65]))
    }

    /// Returns the last byte: the field, the slot in its group, or the chunk in its group.
    pub fn sub(&self) -> u8 {
        self.bytes[self.len as usize - 1]
    }

    pub(crate) const fn bits(&self) -> u16 {
        self.len as u16 * 8
    }

    /// Bit `index`, counted from the most significant bit of the first byte.
    pub(crate) const fn bit(&self, index: u16) -> bool {
        self.bytes[(index / 8) as usize] & (0x80 >> (index % 8)) != 0
    }

    /// Number of leading bits that both keys share.
    pub(crate) fn common_bits(&self, other: &Self) -> u16 {
        let both = self.as_slice().iter().zip(other.as_slice());
        match both.enumerate().find(|(_, (a, b))| a != b) {
            Some((at, (a, b))) => at as u16 * 8 + (a ^ b).leading_zeros() as u16,
            None => self.bits().min(other.bits()),
        }
    }

    /// Whether `count` bits from `from` on are those of `packed`.
    pub(crate) fn has_bits(&self, from: u16, count: u16, packed: &[u8]) -> bool {
        let mut own = [0; KEY_LEN_MAX];
        self.pack_bits(from, from + count, &mut own);
        own[..usize::from(count.div_ceil(8))] == *packed
    }

    /// The same key with other bits from `from` on: those of `packed`, and zeros up to the greatest
    /// length.
    pub(crate) fn with_bits(&self, from: u16, count: u16, packed: &[u8]) -> Self {
        let mut key = Self { len: KEY_LEN_MAX as u8, bytes: [0; KEY_LEN_MAX] };
        self.pack_bits(0, from, &mut key.bytes);
        for index in (0..count).filter(|index| is_set(packed, *index)) {
            let at = from + index;
            key.bytes[usize::from(at / 8)] |= 0x80 >> (at % 8);
        }
        key
    }

    /// Appends the bits `from..to`, packed from the most significant, to a zeroed buffer.
    pub(crate) fn pack_bits(&self, from: u16, to: u16, out: &mut [u8]) {
        let shift = from % 8;
        let first = (from / 8) as usize;
        let count = (to - from) as usize;
        for (index, byte) in out[..count.div_ceil(8)].iter_mut().enumerate() {
            let high = self.bytes[first + index] << shift;
            let low = match self.bytes.get(first + index + 1) {
                Some(next) if shift > 0 => next >> (8 - shift),
                _ => 0,
            };
            *byte = high | low;
        }
        if !count.is_multiple_of(8) {
            out[count / 8] &= 0xffu8 << (8 - count % 8);
        }
    }
}

fn is_set(packed: &[u8], index: u16) -> bool {
    packed[usize::from(index / 8)] & (0x80 >> (index % 8)) != 0
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl core::hash::Hash for Key {
    fn hash<S: core::hash::Hasher>(&self, state: &mut S) {
        state.write(self.as_slice());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", alloy_primitives::hex::encode(self.as_slice()))
    }
}

/// The hash of an address: what all header and storage keys of an account share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stem(pub B256);

impl Stem {
    /// Returns the stem of `address`.
    pub fn of<H: Hash>(hash: H, address: Address) -> Self {
        Self(hash.hash(address.into_word().as_slice()))
    }

    /// Returns the key of a header field, see [`sub`].
    pub fn header(self, sub: u8) -> Key {
        short_key(HEADER_ZONE, self.0, sub)
    }

    /// Returns the key of a storage slot of `address`, whose stem this is.
    pub fn slot<H: Hash>(self, hash: H, address: Address, slot: U256) -> Key {
        if slot < U256::from(HEADER_SLOTS) {
            return self.header(sub::FIRST_SLOT + slot.to::<u8>());
        }
        let group = slot_group(hash, address, slot >> 8);
        let mut bytes = [0; KEY_LEN_MAX];
        bytes[0] = STORAGE_ZONE;
        bytes[1..33].copy_from_slice(self.0.as_slice());
        bytes[33..65].copy_from_slice(group.as_slice());
        bytes[65] = slot.byte(0);
        Key { len: KEY_LEN_MAX as u8, bytes }
    }

    /// Returns the prefix that all storage keys of the account start with.
    pub fn storage_prefix(self) -> [u8; 33] {
        self.prefix(STORAGE_ZONE)
    }

    /// Returns the prefix that all header keys of the account start with.
    pub fn header_prefix(self) -> [u8; 33] {
        self.prefix(HEADER_ZONE)
    }

    fn prefix(self, zone: u8) -> [u8; 33] {
        let mut prefix = [zone; 33];
        prefix[1..].copy_from_slice(self.0.as_slice());
        prefix
    }
}

fn slot_group<H: Hash>(hash: H, address: Address, group: U256) -> B256 {
    let mut input = [0; 64];
    input[..32].copy_from_slice(address.into_word().as_slice());
    input[32..].copy_from_slice(&group.to_be_bytes::<32>());
    hash.hash(&input)
}

fn short_key(zone: u8, middle: B256, sub: u8) -> Key {
    let mut bytes = [0; KEY_LEN_MAX];
    bytes[0] = zone;
    bytes[1..33].copy_from_slice(middle.as_slice());
    bytes[33] = sub;
    Key { len: SHORT_KEY_LEN as u8, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bits_are_shifted_and_padded() {
        let key = Key::raw(&[0b1010_0111, 0b1100_0001, 0xff]).unwrap();
        let check = |from, to, expected: &[u8]| {
            let mut out = [0; 3];
            key.pack_bits(from, to, &mut out);
            assert_eq!(&out[..expected.len()], expected, "{from}..{to}");
        };
        check(0, 0, &[]);
        check(0, 3, &[0b1010_0000]);
        check(1, 9, &[0b0100_1111]);
        check(3, 17, &[0b0011_1110, 0b0000_1100]);
        check(23, 24, &[0b1000_0000]);
        check(0, 24, &[0b1010_0111, 0b1100_0001, 0xff]);
    }

    #[test]
    fn keys_are_read_by_zone() {
        assert_eq!(Key::parse(&[0x00; 40]).map(|k| k.as_slice().len()), Some(34));
        assert_eq!(Key::parse(&[0x01; 33]), None);
        assert_eq!(Key::parse(&[0x02; 66]), None);
        assert_eq!(Key::parse(&[0xff; 66]).map(|k| k.as_slice().len()), Some(66));
        assert_eq!(Key::parse(&[]), None);
        assert_eq!(Key::raw(&[0; 67]), None);
    }
}
