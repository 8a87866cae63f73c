//! Between the kit's words and the engine's.

use alloy_primitives as alloy;
use tandem_kit::{Address, U256, Word};

pub(crate) fn to_address(address: Address) -> alloy::Address {
    alloy::Address::from_slice(address.bytes())
}

pub(crate) fn from_address(address: alloy::Address) -> Address {
    Address::new(address.into_array())
}

pub(crate) fn to_number(number: U256) -> alloy::U256 {
    alloy::U256::from_be_bytes(*number.to_word().bytes())
}

pub(crate) fn from_number(number: alloy::U256) -> U256 {
    U256::from_be_word(&Word::new(number.to_be_bytes()))
}

pub(crate) fn from_word(word: alloy::B256) -> Word {
    Word::new(word.0)
}
