//! The dev accounts and raw transactions signed by them.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::Encodable2718,
    primitives::{Address, Bytes, TxKind, U256},
    signers::{
        SignerSync,
        local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
    },
};
use anyhow::Result;

/// The mnemonic of the dev accounts.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// The chain id of a dev chain.
pub const CHAIN_ID: u64 = 31_337;
/// A fee that is enough on any chain of the tests.
pub const MAX_FEE: u128 = 20_000_000_000;

/// The dev account with this index.
pub fn account(index: u32) -> Result<PrivateKeySigner> {
    Ok(MnemonicBuilder::<English>::default().phrase(MNEMONIC).index(index)?.build()?)
}

/// What differs from transaction to transaction.
#[derive(Clone, Debug)]
pub struct Request {
    /// The sender's nonce.
    pub nonce: u64,
    /// Whom it goes to, or a creation.
    pub to: TxKind,
    /// Wei sent along.
    pub value: U256,
    /// Most gas it may use.
    pub gas_limit: u64,
    /// Call data or init code.
    pub input: Bytes,
}

impl Request {
    /// A transfer.
    pub const fn transfer(nonce: u64, to: Address, value: U256) -> Self {
        Self { nonce, to: TxKind::Call(to), value, gas_limit: 21_000, input: Bytes::new() }
    }

    /// A call.
    pub const fn call(nonce: u64, to: Address, input: Bytes, gas_limit: u64) -> Self {
        Self { nonce, to: TxKind::Call(to), value: U256::ZERO, gas_limit, input }
    }

    /// A creation.
    pub const fn create(nonce: u64, input: Bytes, gas_limit: u64) -> Self {
        Self { nonce, to: TxKind::Create, value: U256::ZERO, gas_limit, input }
    }

    /// Signs it as an EIP-1559 transaction.
    pub fn sign(self, signer: &PrivateKeySigner) -> Result<TxEnvelope> {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: 1,
            to: self.to,
            value: self.value,
            access_list: Default::default(),
            input: self.input,
        };
        let signature = signer.sign_hash_sync(&tx.signature_hash())?;
        Ok(tx.into_signed(signature).into())
    }

    /// Signs it and encodes it as `eth_sendRawTransaction` takes it.
    pub fn raw(self, signer: &PrivateKeySigner) -> Result<String> {
        let bytes = self.sign(signer)?.encoded_2718();
        Ok(format!("0x{}", alloy::primitives::hex::encode(bytes)))
    }
}
