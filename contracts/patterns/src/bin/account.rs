//! A smart account with one key: operations through an entry point (ERC-4337), signatures for
//! others (ERC-1271), and code for an ordinary account that delegates to it (EIP-7702).
//!
//! `Account.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::recover;
use tandem_kit::prelude::*;

#[storage]
pub struct Account {
    /// Whose signatures count. Zero where the account delegates by EIP-7702: then its own key's do.
    owner: Address,
}

error! {
    OnlyEntryPoint(caller: Address);
    OnlyOwner(caller: Address);
}

/// ERC-4337's operation as the entry point hands it over, from version 0.7 on.
#[derive(tandem_kit::Abi)]
pub struct PackedUserOperation {
    pub sender: Address,
    pub nonce: U256,
    pub init_code: Bytes,
    pub call_data: Bytes,
    pub account_gas_limits: Word,
    pub pre_verification_gas: U256,
    pub gas_fees: Word,
    pub paymaster_and_data: Bytes,
    pub signature: Bytes,
}

/// One call of a batch.
#[derive(tandem_kit::Abi)]
pub struct Step {
    pub target: Address,
    pub value: U256,
    pub data: Bytes,
}

/// What ERC-1271 has for a good signature, and what is answered to others.
const VALID: FixedBytes<4> = FixedBytes([0x16, 0x26, 0xba, 0x7e]);
const INVALID: FixedBytes<4> = FixedBytes([0xff; 4]);

#[contract(errors(OnlyEntryPoint, OnlyOwner))]
impl Account {
    /// The entry point is an immutable value: it stands in the code, so accounts that delegate here
    /// have it, too. The owner stands in storage, which they have of their own.
    #[constructor]
    #[payable]
    fn new(&mut self, entry_point: Address, owner: Address) -> Address {
        self.owner.set(owner);
        entry_point
    }

    #[receive]
    fn accept(&mut self) {}

    pub fn entry_point(&self) -> Address {
        env::immutables()
    }

    pub fn owner(&self) -> Address {
        let owner = self.owner.get();
        if owner.is_zero() { env::this() } else { owner }
    }

    /// ERC-4337: 0 if the owner has signed the operation, else 1. Pays the entry point what it asks.
    pub fn validate_user_op(
        &mut self,
        user_op: PackedUserOperation,
        user_op_hash: Word,
        missing_account_funds: U256,
    ) -> U256 {
        let caller = env::caller();
        ensure!(caller == self.entry_point(), OnlyEntryPoint { caller });
        let is_signed = self.has_signed(user_op_hash, &user_op.signature.0);
        if !missing_account_funds.is_zero() {
            // Whether that went well is the entry point's to see.
            let _ = Call::to(caller).value(missing_account_funds).send(self, &[]);
        }
        U256::from(!is_signed)
    }

    /// ERC-1271.
    pub fn is_valid_signature(&self, hash: Word, signature: Bytes) -> FixedBytes<4> {
        if self.has_signed(hash, &signature.0) { VALID } else { INVALID }
    }

    pub fn execute(&mut self, target: Address, value: U256, data: Bytes) {
        self.authorize();
        self.run(&Step { target, value, data });
    }

    pub fn execute_batch(&mut self, steps: Vec<Step>) {
        self.authorize();
        for step in &steps {
            self.run(step);
        }
    }

    /// It takes tokens of ERC-721: as code of an ordinary account it stands in nobody's way.
    #[name("onERC721Received")]
    pub fn on_erc721_received(
        _operator: Address,
        _from: Address,
        _id: U256,
        _data: Bytes,
    ) -> FixedBytes<4> {
        FixedBytes([0x15, 0x0b, 0x7a, 0x02])
    }

    fn run(&mut self, step: &Step) {
        if let Err(failure) = Call::to(step.target).value(step.value).send(self, &step.data.0) {
            failure.bubble();
        }
    }

    fn authorize(&self) {
        let caller = env::caller();
        let may = caller == self.owner() || caller == env::this() || caller == self.entry_point();
        ensure!(may, OnlyOwner { caller });
    }

    fn has_signed(&self, hash: Word, signature: &[u8]) -> bool {
        recover(hash, signature) == Some(self.owner())
    }
}

entry!(Account);
