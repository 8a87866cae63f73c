//! The system calls of ABI version 1 (`docs/spec/riscv-abi.md`), grouped by their shape.
//!
//! `guest` makes them with `ecall`; `host`, in every other build, plays the node's part over a
//! small world in memory so that contracts can be unit-tested. Both have the same functions.
//! This folder is the only one with `unsafe` code.

mod bytes;
#[cfg(target_os = "none")]
mod guest;
#[cfg(not(target_os = "none"))]
pub mod host;

pub(crate) use bytes::{bytes_of, bytes_of_mut, flatten};
#[cfg(target_os = "none")]
pub(crate) use guest::*;
#[cfg(not(target_os = "none"))]
pub(crate) use host::calls::*;

use crate::Word;

/// Numbers of system calls: the EVM's opcode where there is one, from 0x1000 what is Tandem's own.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the host needs some of them only"))]
pub(crate) mod number {
    pub(crate) const STOP: u64 = 0x00;
    pub(crate) const DIV: u64 = 0x04;
    pub(crate) const MOD: u64 = 0x06;
    pub(crate) const ADDMOD: u64 = 0x08;
    pub(crate) const MULMOD: u64 = 0x09;
    pub(crate) const KECCAK256: u64 = 0x20;
    pub(crate) const ADDRESS: u64 = 0x30;
    pub(crate) const BALANCE: u64 = 0x31;
    pub(crate) const ORIGIN: u64 = 0x32;
    pub(crate) const CALLER: u64 = 0x33;
    pub(crate) const CALLVALUE: u64 = 0x34;
    pub(crate) const CALLDATALOAD: u64 = 0x35;
    pub(crate) const CALLDATASIZE: u64 = 0x36;
    pub(crate) const CALLDATACOPY: u64 = 0x37;
    pub(crate) const CODESIZE: u64 = 0x38;
    pub(crate) const CODECOPY: u64 = 0x39;
    pub(crate) const GASPRICE: u64 = 0x3a;
    pub(crate) const EXTCODESIZE: u64 = 0x3b;
    pub(crate) const EXTCODECOPY: u64 = 0x3c;
    pub(crate) const RETURNDATASIZE: u64 = 0x3d;
    pub(crate) const RETURNDATACOPY: u64 = 0x3e;
    pub(crate) const EXTCODEHASH: u64 = 0x3f;
    pub(crate) const BLOCKHASH: u64 = 0x40;
    pub(crate) const COINBASE: u64 = 0x41;
    pub(crate) const TIMESTAMP: u64 = 0x42;
    pub(crate) const NUMBER: u64 = 0x43;
    pub(crate) const PREVRANDAO: u64 = 0x44;
    pub(crate) const GASLIMIT: u64 = 0x45;
    pub(crate) const CHAINID: u64 = 0x46;
    pub(crate) const SELFBALANCE: u64 = 0x47;
    pub(crate) const BASEFEE: u64 = 0x48;
    pub(crate) const BLOBHASH: u64 = 0x49;
    pub(crate) const BLOBBASEFEE: u64 = 0x4a;
    pub(crate) const SLOAD: u64 = 0x54;
    pub(crate) const SSTORE: u64 = 0x55;
    pub(crate) const GAS: u64 = 0x5a;
    pub(crate) const TLOAD: u64 = 0x5c;
    pub(crate) const TSTORE: u64 = 0x5d;
    pub(crate) const LOG0: u64 = 0xa0;
    pub(crate) const CREATE: u64 = 0xf0;
    pub(crate) const CALL: u64 = 0xf1;
    pub(crate) const RETURN: u64 = 0xf3;
    pub(crate) const DELEGATECALL: u64 = 0xf4;
    pub(crate) const CREATE2: u64 = 0xf5;
    pub(crate) const STATICCALL: u64 = 0xfa;
    pub(crate) const REVERT: u64 = 0xfd;
    pub(crate) const SELFDESTRUCT: u64 = 0xff;
    pub(crate) const TAIL_SIZE: u64 = 0x1000;
    pub(crate) const TAIL_COPY: u64 = 0x1001;
    pub(crate) const DEPLOY: u64 = 0x1002;
    pub(crate) const PRINT: u64 = 0x1003;
}

/// A type of which zero bytes are a value.
#[cfg(feature = "heap")]
pub(crate) trait Zero: Clone + Default {}

#[cfg(feature = "heap")]
impl Zero for u8 {}
#[cfg(feature = "heap")]
impl Zero for Word {}

/// What a message call sends: the arguments of CALL, DELEGATECALL and STATICCALL.
pub(crate) struct Message<'a> {
    /// Upper bound; `u64::MAX` asks for all that may be passed on.
    #[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the host counts no gas"))]
    pub(crate) gas: u64,
    pub(crate) to: &'a Word,
    /// Looked at by CALL only.
    pub(crate) value: &'a Word,
    pub(crate) input: &'a [u8],
}
