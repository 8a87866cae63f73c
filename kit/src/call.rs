//! Calls to other contracts, of either kind, and their creation.
//!
//! Whatever may change the chain's state takes the calling contract, `self`, as one that may be
//! written: a `view` function has none to give. So no reference into storage outlives such a call.

use crate::storage::State;
use crate::sys::{self, Message, number};
use crate::{Address, U256, Word};

/// Half of secp256k1's order. Of the two signatures that exist for a hash and a key, the one with
/// the larger `s` is what everybody can make of the other (EIP-2): who counts signatures refuses it.
pub const S_MAX: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// The signer of `hash`, by 65 bytes of signature (`r`, `s` and `v`), as wallets give them; `None`
/// if the signature is no good or its `s` is above [`S_MAX`].
#[inline]
pub fn recover(hash: Word, signature: &[u8]) -> Option<Address> {
    let (r, rest) = signature.split_first_chunk()?;
    let (s, v) = rest.split_first_chunk()?;
    let (&[v], s) = (v, Word::new(*s)) else { return None };
    if U256::from_be_word(&s) > S_MAX {
        return None;
    }
    ecrecover(hash, v, Word::new(*r), s)
}

/// The signer of `hash`, by the precompile at address 1; `None` if the signature is no good.
///
/// It takes an `s` above [`S_MAX`], too.
pub fn ecrecover(hash: Word, v: u8, r: Word, s: Word) -> Option<Address> {
    let input = [hash, Word::from_u64(v.into()), r, s];
    let to = Address::from_u64(1);
    let message =
        Message { gas: u64::MAX, to: to.word(), value: &Word::ZERO, input: sys::flatten(&input) };
    // The precompile answers nothing, without failing, if there is no such signer.
    if !sys::call(number::STATICCALL, &message) || sys::number(number::RETURNDATASIZE) != 32 {
        return None;
    }
    let mut signer = Word::ZERO;
    sys::copy(number::RETURNDATACOPY, signer.bytes_mut(), 0);
    Address::from_word(signer)
}

/// Ends this contract's account at the transaction's end (EIP-6780: if it began in it), and sends
/// its wei to `heir`.
pub fn selfdestruct(_of: &mut impl State, heir: Address) -> ! {
    sys::selfdestruct(heir.word())
}

#[cfg(feature = "heap")]
pub use typed::{Call, Failure, container, create, create2, image_of};

#[cfg(feature = "heap")]
mod typed {
    use alloc::vec::Vec;

    use super::*;
    use crate::abi::{Reader, ReturnData, Returns, Source};
    use crate::{Revert, SolError, revert_bytes, revert_empty};

    /// A call to be made: to whom, with how much wei, with at most how much gas.
    #[derive(Clone, Copy, Debug)]
    pub struct Call {
        to: Address,
        value: U256,
        gas: u64,
        answer_max: usize,
        delegate: bool,
    }

    /// A call or creation that failed, with what the callee reverted with.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Failure {
        /// The revert data; empty if the callee halted or could not be called.
        pub data: Vec<u8>,
    }

    /// With the callee's revert data: what Solidity does unless told otherwise.
    impl Revert for Failure {
        fn revert(self) -> ! {
            self.bubble()
        }
    }

    impl Failure {
        fn fetch(max: usize) -> Self {
            Self { data: return_data(max) }
        }

        /// Ends the frame with the callee's revert data: what Solidity does unless told otherwise.
        pub fn bubble(&self) -> ! {
            revert_bytes(&self.data)
        }

        /// Whether it is the error `E`.
        pub fn is<E: SolError>(&self) -> bool {
            self.data.starts_with(&E::SELECTOR.to_be_bytes())
        }

        /// The text of an `Error(string)`: what Solidity's `catch Error(string memory)` catches.
        /// `None` for anything else, also for data that only begins like one.
        pub fn text(&self) -> Option<&[u8]> {
            let values = self.data.strip_prefix(&[0x08, 0xc3, 0x79, 0xa0])?;
            let at = count(values)?;
            let content = values.get(at..)?;
            content.get(32..)?.get(..count(content)?)
        }

        /// The code of a `Panic(uint256)`: what Solidity's `catch Panic(uint)` catches.
        pub fn panic_code(&self) -> Option<U256> {
            let word = self.data.strip_prefix(&[0x4e, 0x48, 0x7b, 0x71])?.get(..32)?;
            Some(U256::from_be_word(&Word::left_aligned(word)))
        }
    }

    /// The length or offset that the bytes begin with.
    fn count(bytes: &[u8]) -> Option<usize> {
        Word::left_aligned(bytes.get(..32)?).to_u64()?.try_into().ok()
    }

    impl Call {
        /// A call to `to`, without value, with all the gas that may be passed on.
        #[inline(always)]
        pub fn to(to: Address) -> Self {
            Self { to, value: U256::ZERO, gas: u64::MAX, answer_max: usize::MAX, delegate: false }
        }

        /// With this much wei.
        #[inline(always)]
        pub fn value(self, value: U256) -> Self {
            Self { value, ..self }
        }

        /// With at most this much gas.
        #[inline(always)]
        pub fn gas(self, gas: u64) -> Self {
            Self { gas, ..self }
        }

        /// Fetching at most this many bytes of what comes back: a callee that answers or reverts with
        /// megabytes then costs this contract no memory.
        #[inline(always)]
        pub fn answer_max(self, answer_max: usize) -> Self {
            Self { answer_max, ..self }
        }

        /// By DELEGATECALL, if a declared function is called: the callee's code over this
        /// contract's state, caller and value.
        #[inline(always)]
        pub fn delegated(self, _of: &mut impl State) -> Self {
            Self { delegate: true, ..self }
        }

        #[inline]
        fn make(&self, number: u64, input: &[u8]) -> Result<(), Failure> {
            let value = self.value.to_word();
            let message = Message { gas: self.gas, to: self.to.word(), value: &value, input };
            if sys::call(number, &message) { Ok(()) } else { Err(Failure::fetch(self.answer_max)) }
        }

        /// CALL with these bytes; the answer's bytes.
        #[inline]
        pub fn send(&self, _of: &mut impl State, input: &[u8]) -> Result<Vec<u8>, Failure> {
            self.make(number::CALL, input).map(|()| return_data(self.answer_max))
        }

        /// STATICCALL with these bytes; the answer's bytes.
        pub fn read(&self, input: &[u8]) -> Result<Vec<u8>, Failure> {
            self.make(number::STATICCALL, input).map(|()| return_data(self.answer_max))
        }

        /// DELEGATECALL with these bytes: the callee's code over this contract's state, caller and
        /// value. The answer's bytes.
        #[inline]
        pub fn delegate(&self, _of: &mut impl State, input: &[u8]) -> Result<Vec<u8>, Failure> {
            self.make(number::DELEGATECALL, input).map(|()| return_data(self.answer_max))
        }

        /// A call of a declared function: what [`interface!`](crate::interface) makes.
        #[doc(hidden)]
        #[inline]
        pub fn invoke<R: Returns>(&self, is_view: bool, input: &[u8]) -> Result<R, Failure> {
            let number = match (self.delegate, is_view) {
                (true, _) => number::DELEGATECALL,
                (false, true) => number::STATICCALL,
                (false, false) => number::CALL,
            };
            self.make(number, input)?;
            // An account without code answers every call with nothing. Solidity looks before the
            // call; looking after it, and only if nothing came back, is cheaper and sees the same.
            if R::HEADS == 0
                && ReturnData.size() == 0
                && sys::number_of(number::EXTCODESIZE, self.to.word()) == 0
            {
                revert_empty();
            }
            Ok(R::read(&mut Reader::new(&ReturnData, 0)))
        }
    }

    fn return_data(max: usize) -> Vec<u8> {
        let mut data = crate::sys::zeros(ReturnData.size().min(max));
        ReturnData.copy(0, &mut data);
        data
    }

    fn created(address: Option<Word>) -> Result<Address, Failure> {
        address.map(Address::trusted).ok_or_else(|| Failure::fetch(usize::MAX))
    }

    /// CREATE: a contract out of init code, EVM's or a container (see [`container`]).
    pub fn create(_of: &mut impl State, code: &[u8], value: U256) -> Result<Address, Failure> {
        created(sys::create(&value.to_word(), code, None))
    }

    /// CREATE2: as [`create`], at an address that depends on this contract, the code and the salt.
    pub fn create2(
        _of: &mut impl State,
        code: &[u8],
        value: U256,
        salt: Word,
    ) -> Result<Address, Failure> {
        created(sys::create(&value.to_word(), code, Some(&salt)))
    }

    const MAGIC: [u8; 4] = [0xef, 0x52, 0x56, 0x01];

    /// RISC-V code: the container of an image, with the constructor's arguments as its tail.
    pub fn container(image: &[u8], tail: &[u8]) -> Vec<u8> {
        let mut code: Vec<u8> = sys::zeros(8 + image.len() + tail.len());
        let len = (image.len() as u32).to_be_bytes();
        let mut rest = &mut code[..];
        for part in [&MAGIC[..], &len, image, tail] {
            if let Some((place, after)) =
                core::mem::take(&mut rest).split_at_mut_checked(part.len())
            {
                place.copy_from_slice(part);
                rest = after;
            }
        }
        code
    }

    /// The image in RISC-V code; `None` if it is not RISC-V code.
    pub fn image_of(code: &[u8]) -> Option<&[u8]> {
        let (len, rest) = code.strip_prefix(&MAGIC)?.split_first_chunk()?;
        rest.get(..u32::from_be_bytes(*len) as usize)
    }
}

/// Declares the functions of another contract, to be called with typed arguments.
///
/// ```
/// # use tandem_kit::prelude::*;
/// interface! {
///     Token {
///         view balanceOf(owner: Address) -> U256;
///         write transfer(to: Address, value: U256) -> bool;
///     }
/// }
///
/// #[storage]
/// struct Till { token: Address }
///
/// #[contract]
/// impl Till {
///     pub fn money(&self) -> Result<U256, Failure> {
///         Token::at(self.token.get()).balanceOf(env::this())
///     }
///
///     pub fn pay(&mut self, to: Address, value: U256) -> bool {
///         match Token::at(self.token.get()).transfer(self, to, value) {
///             Ok(done) => done,
///             Err(failure) => failure.bubble(),
///         }
///     }
/// }
/// ```
///
/// Functions declared as `view` or `pure` are called with STATICCALL; those declared as `write` or
/// `payable` take the calling contract before their arguments. Of `Token::at(token)`,
/// `.value(wei).gas(limit)` sets value and gas, `.delegated(self)` runs the other contract's code over this one's state. Two
/// functions with one selector fail the build.
#[macro_export]
macro_rules! interface {
    ($(#[$doc:meta])* $visibility:vis $interface:ident {
        $(
            $kind:ident $name:ident ( $($argument:ident : $type:ty),* $(,)? )
            $(-> $returned:ty)?;
        )*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        $visibility struct $interface($crate::call::Call);

        const _: () = {
            const SELECTORS: &[u32] = &[$($crate::abi::selector(
                stringify!($name), &[$(<$type as $crate::abi::Abi>::NAME),*])),*];
            let mut i = 0;
            while i < SELECTORS.len() {
                assert!(
                    $crate::abi::is_distinct(SELECTORS, i),
                    concat!("two functions of ", stringify!($interface), " have one selector"),
                );
                i += 1;
            }
        };

        #[allow(missing_docs, dead_code, non_snake_case, reason = "named as in the other contract")]
        impl $interface {
            #[inline(always)]
            $visibility fn at(contract: $crate::Address) -> Self {
                Self($crate::call::Call::to(contract))
            }

            #[inline(always)]
            $visibility fn value(self, value: $crate::U256) -> Self {
                Self(self.0.value(value))
            }

            #[inline(always)]
            $visibility fn gas(self, gas: u64) -> Self {
                Self(self.0.gas(gas))
            }

            #[inline(always)]
            $visibility fn delegated(self, of: &mut impl $crate::storage::State) -> Self {
                Self(self.0.delegated(of))
            }

            $($crate::__other! {
                $kind $visibility $name($($argument: $type),*)
                    -> $crate::__returned!($($returned)?)
            })*
        }
    };
}

/// A function of another contract, by its kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __other {
    (view $($rest:tt)*) => { $crate::__other! { (true) $($rest)* } };
    (pure $($rest:tt)*) => { $crate::__other! { view $($rest)* } };
    (write $($rest:tt)*) => {
        $crate::__other! { (false, _of: &mut impl $crate::storage::State) $($rest)* }
    };
    (payable $($rest:tt)*) => { $crate::__other! { write $($rest)* } };
    (($is_view:literal $(, $of:ident: $state:ty)?)
        $visibility:vis $name:ident($($argument:ident: $type:ty),*) -> $returned:ty
    ) => {
        #[allow(clippy::too_many_arguments, reason = "as many as the other has")]
        #[inline]
        $visibility fn $name(
            &self,
            $($of: $state,)?
            $($argument: $type),*
        ) -> Result<$returned, $crate::call::Failure> {
            let tail = 0 $(+ $crate::abi::Abi::tail_words(&$argument))*;
            $crate::__private::with_selector::<
                { 1 $(+ <$type as $crate::abi::Abi>::HEAD_WORDS)* }, _,
            >(
                const { $crate::abi::selector(
                    stringify!($name), &[$(<$type as $crate::abi::Abi>::NAME),*]) },
                tail,
                |_writer| { $(_writer.put(&$argument);)* },
                |data| self.0.invoke($is_view, data),
            )
        }
    };
}
