//! What a contract may know about its frame, its transaction and its block.

use crate::abi::{Reader, Returns, Tail};
use crate::sys::{self, number};
use crate::{Address, U256, Word};

/// Who called: Solidity's `msg.sender`.
#[inline(always)]
pub fn caller() -> Address {
    Address::trusted(sys::word(number::CALLER))
}

/// The wei that came with the call: Solidity's `msg.value`.
#[inline(always)]
pub fn value() -> U256 {
    U256::from_be_word(&sys::word(number::CALLVALUE))
}

/// What the caller sent, all of it: Solidity's `msg.data`.
#[cfg(feature = "heap")]
pub fn calldata() -> alloc::vec::Vec<u8> {
    let mut data = crate::sys::zeros(sys::number(number::CALLDATASIZE) as usize);
    sys::copy(number::CALLDATACOPY, &mut data, 0);
    data
}

/// How many bytes the last call or creation gave back, whether it ended well or not.
#[inline(always)]
pub fn return_size() -> usize {
    sys::number(number::RETURNDATASIZE) as usize
}

/// This contract: Solidity's `address(this)`.
#[inline(always)]
pub fn this() -> Address {
    Address::trusted(sys::word(number::ADDRESS))
}

/// Who signed the transaction: Solidity's `tx.origin`.
#[inline(always)]
pub fn origin() -> Address {
    Address::trusted(sys::word(number::ORIGIN))
}

/// What the transaction pays for a unit of gas.
#[inline(always)]
pub fn gas_price() -> U256 {
    U256::from_be_word(&sys::word(number::GASPRICE))
}

/// The gas that is left.
#[inline(always)]
pub fn gas_left() -> u64 {
    sys::number(number::GAS)
}

/// The wei that an account has.
#[inline(always)]
pub fn balance(account: Address) -> U256 {
    U256::from_be_word(&sys::word_of(number::BALANCE, account.word()))
}

/// The wei that this contract has.
#[inline(always)]
pub fn own_balance() -> U256 {
    U256::from_be_word(&sys::word(number::SELFBALANCE))
}

/// The size in bytes of an account's code.
#[inline(always)]
pub fn code_size(account: Address) -> usize {
    sys::number_of(number::EXTCODESIZE, account.word()) as usize
}

/// The hash of an account's code.
#[inline(always)]
pub fn code_hash(account: Address) -> Word {
    sys::word_of(number::EXTCODEHASH, account.word())
}

/// An account's code.
#[cfg(feature = "heap")]
pub fn code(account: Address) -> alloc::vec::Vec<u8> {
    let mut code = crate::sys::zeros(code_size(account));
    sys::copy_code(account.word(), &mut code, 0);
    code
}

/// The running code: a container with this contract's image and its tail.
#[cfg(feature = "heap")]
pub fn own_code() -> alloc::vec::Vec<u8> {
    let mut code = crate::sys::zeros(sys::number(number::CODESIZE) as usize);
    sys::copy(number::CODECOPY, &mut code, 0);
    code
}

/// The values that the constructor returned: Solidity's `immutable` variables.
#[inline(always)]
pub fn immutables<T: Returns>() -> T {
    T::read(&mut Reader::new(&Tail, 0))
}

/// The chain's id.
#[inline(always)]
pub fn chain_id() -> u64 {
    sys::number(number::CHAINID)
}

/// The block's number.
#[inline(always)]
pub fn block_number() -> u64 {
    sys::number(number::NUMBER)
}

/// The block's time in seconds.
#[inline(always)]
pub fn timestamp() -> u64 {
    sys::number(number::TIMESTAMP)
}

/// The block's gas limit.
#[inline(always)]
pub fn gas_limit() -> u64 {
    sys::number(number::GASLIMIT)
}

/// Who gets the block's fees.
#[inline(always)]
pub fn coinbase() -> Address {
    Address::trusted(sys::word(number::COINBASE))
}

/// The block's random value, as the beacon chain gives it.
#[inline(always)]
pub fn prevrandao() -> Word {
    sys::word(number::PREVRANDAO)
}

/// The block's base fee.
#[inline(always)]
pub fn base_fee() -> U256 {
    U256::from_be_word(&sys::word(number::BASEFEE))
}

/// The block's base fee for blobs.
#[inline(always)]
pub fn blob_base_fee() -> U256 {
    U256::from_be_word(&sys::word(number::BLOBBASEFEE))
}

/// The versioned hash of one of the transaction's blobs; zero past the last.
#[inline(always)]
pub fn blob_hash(index: u64) -> Word {
    sys::word_at(number::BLOBHASH, index)
}

/// The hash of one of the last 256 blocks; zero for others.
#[inline(always)]
pub fn block_hash(block: u64) -> Word {
    sys::word_at(number::BLOCKHASH, block)
}

/// Writes text to the node's log. It is no part of the chain.
#[inline(always)]
pub fn print(text: &str) {
    sys::print(text);
}

/// Writes text to the node's log, with `format!`'s arguments if there are any: `println!` of a contract.
#[macro_export]
macro_rules! console {
    ($($argument:tt)*) => {
        $crate::__private::print(format_args!($($argument)*))
    };
}
