//! Types that both Solidity and the kit have, drawn at random: how each writes them, and values.

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, I256, U256, hex};

/// Randomness that begins with a number, so that a failure comes again.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A number of at most so many bits; of any size below, and often at an end.
    fn bits(&mut self, bits: usize) -> U256 {
        let max = U256::MAX >> (256 - bits);
        match self.below(6) {
            0 => max,
            1 => U256::from(self.below(2) + 1),
            _ => {
                let number = U256::from_be_slice(&self.bytes(32)) & max;
                number >> self.below(bits)
            }
        }
    }
}

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Uint(usize),
    Int(usize),
    Bool,
    Address,
    Fixed(usize),
    /// `Phase`, of three variants.
    Phase,
    Text,
    Bytes,
    List(Box<Kind>),
    Array(Box<Kind>, usize),
    Map(Box<Kind>, Box<Kind>),
    /// One of the structs, by its number.
    Struct(usize),
}

impl Kind {
    /// A type of one word.
    pub(super) fn value(dice: &mut Dice) -> Self {
        let size = 8 * (1 + dice.below(32));
        match dice.below(9) {
            0 | 1 => Self::Uint(size),
            2 => Self::Uint([8, 16, 32, 64, 128, 256][dice.below(6)]),
            3 => Self::Int(size),
            4 => Self::Int([8, 16, 32, 64, 128, 256][dice.below(6)]),
            5 => Self::Bool,
            6 => Self::Address,
            7 => Self::Fixed(size / 8),
            _ => Self::Phase,
        }
    }

    /// Any type that has a place in the ABI, with the first `structs` of the structs.
    pub(super) fn argument(dice: &mut Dice, structs: usize, depth: usize) -> Self {
        match dice.below(if depth == 0 { 6 } else { 10 }) {
            0..=3 => Self::value(dice),
            4 => Self::Text,
            5 => Self::Bytes,
            6 => Self::Array(Self::argument(dice, structs, depth - 1).into(), 1 + dice.below(4)),
            7 | 8 if structs > 0 => Self::Struct(dice.below(structs)),
            _ => Self::List(Self::argument(dice, structs, depth - 1).into()),
        }
    }

    /// Any type that has a place in storage.
    pub(super) fn stored(dice: &mut Dice, structs: usize, depth: usize) -> Self {
        match dice.below(if depth == 0 { 8 } else { 14 }) {
            0..=5 => Self::value(dice),
            6 => Self::Text,
            7 => Self::Bytes,
            8 | 9 => {
                let key = if dice.below(5) == 0 { Self::Text } else { Self::value(dice) };
                Self::Map(key.into(), Self::stored(dice, structs, depth - 1).into())
            }
            10 => Self::Array(Self::stored(dice, structs, depth - 1).into(), 1 + dice.below(5)),
            11 | 12 if structs > 0 => Self::Struct(dice.below(structs)),
            _ => Self::List(Self::stored(dice, structs, depth - 1).into()),
        }
    }

    pub(super) fn is_value(&self) -> bool {
        use Kind::{Array, Bytes, List, Map, Struct, Text};
        !matches!(self, Text | Bytes | List(_) | Array(..) | Map(..) | Struct(_))
    }

    /// As the kit declares it.
    pub(super) fn rust(&self) -> String {
        match self {
            Self::Uint(256) => "U256".into(),
            Self::Int(256) => "I256".into(),
            Self::Uint(bits @ (8 | 16 | 32 | 64 | 128)) => format!("u{bits}"),
            Self::Int(bits @ (8 | 16 | 32 | 64 | 128)) => format!("i{bits}"),
            Self::Uint(bits) => format!("Uint<{bits}>"),
            Self::Int(bits) => format!("Int<{bits}>"),
            Self::Bool => "bool".into(),
            Self::Address => "Address".into(),
            Self::Fixed(32) => "Word".into(),
            Self::Fixed(size) => format!("FixedBytes<{size}>"),
            Self::Phase => "Phase".into(),
            Self::Text => "Text".into(),
            Self::Bytes => "Bytes".into(),
            Self::List(of) => format!("Vec<{}>", of.rust()),
            Self::Array(of, len) => format!("[{}; {len}]", of.rust()),
            Self::Map(key, of) => format!("Map<{}, {}>", key.rust(), of.rust()),
            Self::Struct(number) => format!("Part{number}"),
        }
    }

    /// As Solidity declares it.
    pub(super) fn solidity(&self) -> String {
        match self {
            Self::Uint(bits) => format!("uint{bits}"),
            Self::Int(bits) => format!("int{bits}"),
            Self::Bool => "bool".into(),
            Self::Address => "address".into(),
            Self::Fixed(size) => format!("bytes{size}"),
            Self::Phase => "Phase".into(),
            Self::Text => "string".into(),
            Self::Bytes => "bytes".into(),
            Self::List(of) => format!("{}[]", of.solidity()),
            Self::Array(of, len) => format!("{}[{len}]", of.solidity()),
            Self::Map(key, of) => format!("mapping({} => {})", key.solidity(), of.solidity()),
            Self::Struct(number) => format!("Part{number}"),
        }
    }

    /// The same as an argument in memory.
    pub(super) fn in_memory(&self) -> String {
        let place = if self.is_value() { "" } else { " memory" };
        format!("{}{place}", self.solidity())
    }

    /// A value of it, or of what the structs' fields are; for the ABI.
    pub(super) fn draw(&self, dice: &mut Dice, structs: &[Vec<Self>]) -> DynSolValue {
        let all = |kinds: &[Self], dice: &mut Dice| -> Vec<DynSolValue> {
            kinds.iter().map(|kind| kind.draw(dice, structs)).collect()
        };
        match self {
            Self::Uint(bits) => DynSolValue::Uint(dice.bits(*bits), *bits),
            Self::Int(bits) => {
                let size = I256::from_raw(dice.bits(bits - 1));
                let number = if dice.below(2) == 0 { size } else { !size };
                DynSolValue::Int(number, *bits)
            }
            Self::Bool => DynSolValue::Bool(dice.below(2) == 0),
            Self::Address => DynSolValue::Address(Address::from_slice(&dice.bytes(20))),
            Self::Fixed(size) => {
                let mut word = B256::ZERO;
                word[..*size].copy_from_slice(&dice.bytes(*size));
                DynSolValue::FixedBytes(word, *size)
            }
            Self::Phase => DynSolValue::Uint(U256::from(dice.below(3)), 8),
            Self::Text => {
                let len = dice.below(70);
                let text =
                    dice.bytes(len).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
                DynSolValue::String(text)
            }
            Self::Bytes => {
                let len = dice.below(70);
                DynSolValue::Bytes(dice.bytes(len))
            }
            Self::List(of) => {
                let len = dice.below(4);
                DynSolValue::Array(all(&vec![(**of).clone(); len], dice))
            }
            Self::Array(of, len) => DynSolValue::FixedArray(all(&vec![(**of).clone(); *len], dice)),
            Self::Struct(number) => DynSolValue::Tuple(all(&structs[*number], dice)),
            Self::Map(..) => panic!("the ABI has no mappings"),
        }
    }

    /// A value that is not made of others, as Solidity and as Rust write it.
    pub(super) fn literal(&self, dice: &mut Dice) -> (String, String) {
        match (self, self.draw(dice, &[])) {
            (Self::Phase, DynSolValue::Uint(number, _)) => {
                let name = ["A", "B", "C"][number.to::<usize>()];
                (format!("Phase.{name}"), format!("Phase::{name}"))
            }
            (_, DynSolValue::Uint(number, bits)) => {
                let limbs = format!("U256::from_limbs({:?})", number.as_limbs());
                let rust = match bits {
                    8 | 16 | 32 | 64 | 128 => format!("{number}u{bits}"),
                    256 => limbs,
                    _ => format!("Uint::<{bits}>::truncated({limbs})"),
                };
                (number.to_string(), rust)
            }
            (_, DynSolValue::Int(number, bits)) => {
                let limbs = number.into_raw();
                let wide = format!("I256::from_bits(U256::from_limbs({:?}))", limbs.as_limbs());
                let rust = match bits {
                    8 | 16 | 32 | 64 | 128 => format!("{number}i{bits}"),
                    256 => wide,
                    _ => format!("Int::<{bits}>::new({wide}).unwrap_or_default()"),
                };
                (number.to_string(), rust)
            }
            (_, DynSolValue::Bool(value)) => (value.to_string(), value.to_string()),
            (_, DynSolValue::Address(address)) => {
                let bytes = address.as_slice();
                let number = U256::from_be_slice(bytes);
                (format!("address(uint160({number}))"), format!("Address::new({bytes:?})"))
            }
            (_, DynSolValue::FixedBytes(word, size)) => {
                let bytes = &word[..size];
                let name = if size == 32 { "Word::new" } else { "FixedBytes" };
                let solidity = format!("bytes{size}(hex\"{}\")", hex::encode(bytes));
                (solidity, format!("{name}({bytes:?})"))
            }
            (_, DynSolValue::String(text)) => {
                (format!("{text:?}"), format!("Text::from({text:?})"))
            }
            (_, DynSolValue::Bytes(bytes)) => {
                let rust =
                    format!("Bytes::from(&{bytes:?}[..])").replace("&[][..]", "&[0u8; 0][..]");
                (format!("hex\"{}\"", hex::encode(bytes)), rust)
            }
            (kind, _) => panic!("{kind:?} is made of others"),
        }
    }
}
