//! A bank that pays before it writes down that it has paid: safe only behind a guard against
//! re-entrancy, which costs next to nothing in transient storage (EIP-1153).
//!
//! `Bank.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::Call;
use tandem_kit::prelude::*;
use tandem_kit::storage::Transient;

storage! {
    mod state {
        balances: Map<Address, Value<U256>>,
    }
}

storage! {
    /// Transient variables count their slots for themselves, as in Solidity.
    mod transient {
        entered: Transient<bool>,
    }
}

error! { ReentrantCall(); }

fn deposit() {
    state::balances().at(env::caller()).update(|balance| balance + env::value());
}

/// The mistake, on purpose: whoever is paid may call again before the balance is gone.
fn pay() {
    let place = state::balances().at(env::caller());
    if let Err(failure) = Call::to(env::caller()).value(place.load()).send(&[]) {
        failure.bubble();
    }
    place.store(U256::ZERO);
}

/// Runs `body` unless a call that has not ended yet does already. Whatever ends the frame without
/// coming back here also undoes the mark.
fn guarded(body: impl FnOnce()) {
    ensure!(!transient::entered().load(), ReentrantCall {});
    transient::entered().store(true);
    body();
    transient::entered().store(false);
}

fn withdraw() {
    guarded(pay);
}

fn withdraw_unguarded() {
    pay();
}

fn balance_of(account: Address) -> U256 {
    state::balances().at(account).load()
}

contract! {
    functions {
        payable deposit() => deposit;
        write withdraw() => withdraw;
        write withdrawUnguarded() => withdraw_unguarded;
        view balanceOf(account: Address) -> U256 => balance_of;
    }
    errors { ReentrantCall }
}
