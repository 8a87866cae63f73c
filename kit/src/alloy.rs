//! alloy's types in contracts: its numbers and addresses as arguments and in storage, and the
//! calls, events and errors that its `sol!` declares.
//!
//! With the feature `alloy`. The kit's own codec is smaller; what passes through here is encoded by
//! alloy.

use alloc::vec::Vec;

use alloy_primitives::{Address as AlloyAddress, B256, U256 as AlloyNumber};
use alloy_sol_types::{SolCall, SolError, SolEvent};

use crate::abi::values::word_type;
use crate::abi::{Name, Simple};
use crate::call::{Call, Failure};
use crate::storage::State;
use crate::sys;
use crate::{Address, Revert, U256, Word, revert_bytes, revert_empty};

macro_rules! same {
    ($($ours:ty, $theirs:ty, $name:literal, $bytes:literal, $to:expr, $from:expr;)*) => {$(
        impl From<$ours> for $theirs {
            #[inline]
            fn from(value: $ours) -> Self {
                let to: fn($ours) -> $theirs = $to;
                to(value)
            }
        }

        impl From<$theirs> for $ours {
            #[inline]
            fn from(value: $theirs) -> Self {
                let from: fn($theirs) -> $ours = $from;
                from(value)
            }
        }

        impl Simple for $theirs {
            const BYTES: usize = $bytes;

            #[inline]
            fn to_word(&self) -> Word {
                <$ours>::from(*self).to_word()
            }

            #[inline]
            fn from_word(word: Word) -> Option<Self> {
                <$ours as Simple>::from_word(word).map(<$theirs as From<$ours>>::from)
            }
        }

        word_type! { [] $theirs, Name::new($name) }
    )*};
}

same! {
    U256, AlloyNumber, "uint256", 32,
        |number| AlloyNumber::from_limbs(number.limbs()),
        |number| U256::from_limbs(number.into_limbs());
    Address, AlloyAddress, "address", 20,
        |address| AlloyAddress::from_word(B256::from(*address.word())),
        |address| Address::new(address.into_array());
    Word, B256, "bytes32", 32, |word| B256::from(*word.bytes()), |word| Word::new(word.0);
}

/// An error that `sol!` declares, as what a contract's function may return: `Err(Sol(error))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sol<E>(pub E);

impl<E: SolError> From<E> for Sol<E> {
    fn from(error: E) -> Self {
        Self(error)
    }
}

impl<E: SolError> Revert for Sol<E> {
    fn revert(self) -> ! {
        revert_bytes(&self.0.abi_encode())
    }
}

/// What a contract does with events of `sol!`.
pub trait EmitSol: State {
    /// Emits an event that `sol!` declares.
    fn emit_sol<E: SolEvent>(&mut self, event: &E) {
        let data = event.encode_log_data();
        let topics: Vec<Word> = data.topics().iter().map(|topic| Word::from(*topic)).collect();
        match topics[..] {
            [] => sys::log::<0>(&[], &data.data),
            [a] => sys::log(&[a], &data.data),
            [a, b] => sys::log(&[a, b], &data.data),
            [a, b, c] => sys::log(&[a, b, c], &data.data),
            [a, b, c, d, ..] => sys::log(&[a, b, c, d], &data.data),
        }
    }
}

impl<S: State> EmitSol for S {}

impl Call {
    /// CALL of a function that `sol!` declares. What is answered and does not decode reverts.
    pub fn send_sol<C: SolCall>(
        &self,
        of: &mut impl State,
        call: &C,
    ) -> Result<C::Return, Failure> {
        self.send(of, &call.abi_encode()).map(|data| decoded::<C>(&data))
    }

    /// STATICCALL of a function that `sol!` declares.
    pub fn read_sol<C: SolCall>(&self, call: &C) -> Result<C::Return, Failure> {
        self.read(&call.abi_encode()).map(|data| decoded::<C>(&data))
    }
}

fn decoded<C: SolCall>(data: &[u8]) -> C::Return {
    match C::abi_decode_returns_validate(data) {
        Ok(values) => values,
        Err(_) => revert_empty(),
    }
}
