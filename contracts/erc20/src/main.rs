//! An ERC-20 token with permit (EIP-2612), minting by its owner, and ERC-6093's errors.
//!
//! `Token.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod permit;

use tandem_kit::prelude::*;

storage! {
    /// The layout of OpenZeppelin's ERC20, then the token's own.
    mod state {
        balances: Map<Address, Value<U256>>,
        allowances: Map<Address, Map<Address, Value<U256>>>,
        total_supply: Value<U256>,
        name: TextSlot,
        symbol: TextSlot,
        nonces: Map<Address, Value<U256>>,
        owner: Value<Address>,
    }
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

/// Answers the hash of the name, which permit signatures contain, as an immutable value.
fn construct(name: Text, symbol: Text, supply: U256, owner: Address) -> Word {
    ensure!(!owner.is_zero(), OwnableInvalidOwner { owner });
    state::name().store(&name);
    state::symbol().store(&symbol);
    state::owner().store(owner);
    create_tokens(owner, supply);
    keccak256(&name.0)
}

fn name() -> Text {
    state::name().load()
}

fn symbol() -> Text {
    state::symbol().load()
}

fn decimals() -> u8 {
    18
}

fn total_supply() -> U256 {
    state::total_supply().load()
}

fn owner() -> Address {
    state::owner().load()
}

fn balance_of(account: Address) -> U256 {
    state::balances().at(account).load()
}

fn allowance(owner: Address, spender: Address) -> U256 {
    state::allowances().at(owner).at(spender).load()
}

fn transfer(to: Address, value: U256) -> bool {
    move_tokens(env::caller(), to, value);
    true
}

fn approve(spender: Address, value: U256) -> bool {
    allow(env::caller(), spender, value);
    true
}

fn transfer_from(from: Address, to: Address, value: U256) -> bool {
    spend(from, env::caller(), value);
    move_tokens(from, to, value);
    true
}

fn mint(to: Address, value: U256) {
    let account = env::caller();
    ensure!(account == state::owner().load(), OwnableUnauthorizedAccount { account });
    create_tokens(to, value);
}

fn burn(value: U256) {
    let from = env::caller();
    take(from, value);
    state::total_supply().update(|supply| supply.wrapping_sub(value));
    Transfer { from, to: Address::ZERO, value }.emit();
}

fn move_tokens(from: Address, to: Address, value: U256) {
    ensure!(!from.is_zero(), ERC20InvalidSender { sender: from });
    ensure!(!to.is_zero(), ERC20InvalidReceiver { receiver: to });
    take(from, value);
    give(to, value);
    Transfer { from, to, value }.emit();
}

fn create_tokens(to: Address, value: U256) {
    ensure!(!to.is_zero(), ERC20InvalidReceiver { receiver: to });
    state::total_supply().update(|supply| supply + value);
    give(to, value);
    Transfer { from: Address::ZERO, to, value }.emit();
}

fn take(sender: Address, needed: U256) {
    let place = state::balances().at(sender);
    let balance = place.load();
    match balance.checked_sub(needed) {
        Some(rest) => place.store(rest),
        None => ERC20InsufficientBalance { sender, balance, needed }.revert(),
    }
}

fn give(to: Address, value: U256) {
    // The sum of all balances is the supply, which has been checked.
    state::balances().at(to).update(|balance| balance.wrapping_add(value));
}

fn allow(owner: Address, spender: Address, value: U256) {
    set_allowance(owner, spender, value);
    Approval { owner, spender, value }.emit();
}

fn set_allowance(owner: Address, spender: Address, value: U256) {
    ensure!(!owner.is_zero(), ERC20InvalidApprover { approver: owner });
    ensure!(!spender.is_zero(), ERC20InvalidSpender { spender });
    state::allowances().at(owner).at(spender).store(value);
}

/// Takes `needed` off the allowance; the largest one is without end.
fn spend(owner: Address, spender: Address, needed: U256) {
    let allowance = allowance(owner, spender);
    if allowance == U256::MAX {
        return;
    }
    match allowance.checked_sub(needed) {
        Some(rest) => set_allowance(owner, spender, rest),
        None => ERC20InsufficientAllowance { spender, allowance, needed }.revert(),
    }
}

contract! {
    constructor(name: Text, symbol: Text, supply: U256, owner: Address) -> Word => construct;
    functions {
        view name() -> Text => name;
        view symbol() -> Text => symbol;
        pure decimals() -> u8 => decimals;
        view totalSupply() -> U256 => total_supply;
        view owner() -> Address => owner;
        view balanceOf(account: Address) -> U256 => balance_of;
        view allowance(owner: Address, spender: Address) -> U256 => allowance;
        write transfer(to: Address, value: U256) -> bool => transfer;
        write approve(spender: Address, value: U256) -> bool => approve;
        write transferFrom(from: Address, to: Address, value: U256) -> bool => transfer_from;
        write mint(to: Address, value: U256) => mint;
        write burn(value: U256) => burn;
        view DOMAIN_SEPARATOR() -> Word => permit::domain_separator;
        view nonces(owner: Address) -> U256 => permit::nonces;
        write permit(
            owner: Address, spender: Address, value: U256, deadline: U256, v: u8, r: Word, s: Word,
        ) => permit::permit;
    }
    events { Transfer, Approval }
    errors {
        ERC20InsufficientBalance, ERC20InvalidSender, ERC20InvalidReceiver,
        ERC20InsufficientAllowance, ERC20InvalidApprover, ERC20InvalidSpender,
        OwnableUnauthorizedAccount, OwnableInvalidOwner,
        permit::ERC2612ExpiredSignature, permit::ERC2612InvalidSigner,
        permit::ECDSAInvalidSignature, permit::ECDSAInvalidSignatureS,
    }
}
