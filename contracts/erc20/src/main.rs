//! An ERC-20 token with permit (EIP-2612), minting by its owner, and ERC-6093's errors.
//!
//! `Token.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod permit;

use permit::{ERC2612ExpiredSignature, Permit, Signature};
use tandem_kit::prelude::*;

/// The layout of OpenZeppelin's ERC20, then the token's own.
#[storage]
pub struct Token {
    balances: Map<Address, U256>,
    allowances: Map<Address, Map<Address, U256>>,
    total_supply: U256,
    name: Text,
    symbol: Text,
    nonces: Map<Address, U256>,
    owner: Address,
}

event! {
    /// Tokens change hands; from the zero address when minted, to it when burnt.
    Transfer(#[indexed] from: Address, #[indexed] to: Address, value: U256);
    /// An owner lets a spender spend.
    Approval(#[indexed] owner: Address, #[indexed] spender: Address, value: U256);
}

error! {
    ERC20InsufficientBalance(sender: Address, balance: U256, needed: U256);
    ERC20InvalidSender(sender: Address);
    ERC20InvalidReceiver(receiver: Address);
    ERC20InsufficientAllowance(spender: Address, allowance: U256, needed: U256);
    ERC20InvalidApprover(approver: Address);
    ERC20InvalidSpender(spender: Address);
    OwnableUnauthorizedAccount(account: Address);
    OwnableInvalidOwner(owner: Address);
}

#[contract(
    events(Transfer, Approval),
    errors(
        ERC20InsufficientBalance,
        ERC20InvalidSender,
        ERC20InvalidReceiver,
        ERC20InsufficientAllowance,
        ERC20InvalidApprover,
        ERC20InvalidSpender,
        OwnableUnauthorizedAccount,
        OwnableInvalidOwner,
        permit::ERC2612ExpiredSignature,
        permit::ERC2612InvalidSigner,
        permit::ECDSAInvalidSignature,
        permit::ECDSAInvalidSignatureS
    )
)]
impl Token {
    /// Answers the hash of the name, which permit signatures contain, as an immutable value.
    #[constructor]
    fn new(&mut self, name: Text, symbol: Text, supply: U256, owner: Address) -> Word {
        ensure!(!owner.is_zero(), OwnableInvalidOwner { owner });
        self.name.set(&name);
        self.symbol.set(&symbol);
        self.owner.set(owner);
        self.create_tokens(owner, supply);
        keccak256(&name.0)
    }

    pub fn name(&self) -> Text {
        self.name.get()
    }

    pub fn symbol(&self) -> Text {
        self.symbol.get()
    }

    pub fn decimals() -> u8 {
        18
    }

    pub fn total_supply(&self) -> U256 {
        self.total_supply.get()
    }

    pub fn owner(&self) -> Address {
        self.owner.get()
    }

    pub fn balance_of(&self, account: Address) -> U256 {
        self.balances.get(account)
    }

    pub fn allowance(&self, owner: Address, spender: Address) -> U256 {
        self.allowances.at(owner).get(spender)
    }

    pub fn transfer(&mut self, to: Address, value: U256) -> bool {
        self.move_tokens(env::caller(), to, value);
        true
    }

    pub fn approve(&mut self, spender: Address, value: U256) -> bool {
        self.allow(env::caller(), spender, value);
        true
    }

    pub fn transfer_from(&mut self, from: Address, to: Address, value: U256) -> bool {
        self.spend(from, env::caller(), value);
        self.move_tokens(from, to, value);
        true
    }

    pub fn mint(&mut self, to: Address, value: U256) {
        let account = env::caller();
        ensure!(account == self.owner.get(), OwnableUnauthorizedAccount { account });
        self.create_tokens(to, value);
    }

    pub fn burn(&mut self, value: U256) {
        let from = env::caller();
        self.take(from, value);
        self.total_supply.update(|supply| supply.wrapping_sub(value));
        self.emit(Transfer { from, to: Address::ZERO, value });
    }

    #[name("DOMAIN_SEPARATOR")]
    pub fn domain_separator(&self) -> Word {
        permit::domain_separator()
    }

    pub fn nonces(&self, owner: Address) -> U256 {
        self.nonces.get(owner)
    }

    /// Sets the allowance that the owner has signed.
    #[expect(clippy::too_many_arguments, reason = "EIP-2612 has that many")]
    pub fn permit(
        &mut self,
        owner: Address,
        spender: Address,
        value: U256,
        deadline: U256,
        v: u8,
        r: Word,
        s: Word,
    ) {
        ensure!(U256::from(env::timestamp()) <= deadline, ERC2612ExpiredSignature { deadline });
        let nonce = self.nonces.get(owner);
        self.nonces.set(owner, nonce.wrapping_add(U256::ONE));
        permit::check(&Permit { owner, spender, value, nonce, deadline }, &Signature { v, r, s });
        self.allow(owner, spender, value);
    }

    fn move_tokens(&mut self, from: Address, to: Address, value: U256) {
        ensure!(!from.is_zero(), ERC20InvalidSender { sender: from });
        ensure!(!to.is_zero(), ERC20InvalidReceiver { receiver: to });
        self.take(from, value);
        self.give(to, value);
        self.emit(Transfer { from, to, value });
    }

    fn create_tokens(&mut self, to: Address, value: U256) {
        ensure!(!to.is_zero(), ERC20InvalidReceiver { receiver: to });
        self.total_supply.update(|supply| supply + value);
        self.give(to, value);
        self.emit(Transfer { from: Address::ZERO, to, value });
    }

    fn take(&mut self, sender: Address, needed: U256) {
        let mut place = self.balances.at_mut(sender);
        let balance = place.get();
        match balance.checked_sub(needed) {
            Some(rest) => place.set(rest),
            None => ERC20InsufficientBalance { sender, balance, needed }.revert(),
        }
    }

    fn give(&mut self, to: Address, value: U256) {
        // The sum of all balances is the supply, which has been checked.
        self.balances.update(to, |balance| balance.wrapping_add(value));
    }

    fn allow(&mut self, owner: Address, spender: Address, value: U256) {
        self.set_allowance(owner, spender, value);
        self.emit(Approval { owner, spender, value });
    }

    fn set_allowance(&mut self, owner: Address, spender: Address, value: U256) {
        ensure!(!owner.is_zero(), ERC20InvalidApprover { approver: owner });
        ensure!(!spender.is_zero(), ERC20InvalidSpender { spender });
        self.allowances.at_mut(owner).set(spender, value);
    }

    /// Takes `needed` off the allowance; the largest one is without end.
    fn spend(&mut self, owner: Address, spender: Address, needed: U256) {
        let allowance = self.allowance(owner, spender);
        if allowance == U256::MAX {
            return;
        }
        match allowance.checked_sub(needed) {
            Some(rest) => self.set_allowance(owner, spender, rest),
            None => ERC20InsufficientAllowance { spender, allowance, needed }.revert(),
        }
    }
}

entry!(Token);
