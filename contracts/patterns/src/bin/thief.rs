//! Calls a bank again while it is being paid, as often as it was told to.
//!
//! `Thief.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

storage! {
    mod state {
        bank: Value<Address>,
        guarded: Value<bool>,
        /// How often it is still to call again.
        rounds: Value<U256>,
        /// The selector of the bank's last refusal.
        refusal: Value<Word>,
    }
}

interface! {
    Bank {
        payable deposit();
        write withdraw();
        write withdrawUnguarded();
    }
}

fn withdraw() -> Result<(), tandem_kit::call::Failure> {
    let bank = Bank::at(state::bank().load());
    if state::guarded().load() { bank.withdraw() } else { bank.withdrawUnguarded() }
}

/// Deposits what wei came, and draws it `rounds + 1` times if the bank lets it.
fn attack(bank: Address, guarded: bool, rounds: U256) {
    state::bank().store(bank);
    state::guarded().store(guarded);
    state::rounds().store(rounds);
    let stolen = Bank::at(bank).value(env::value()).deposit().and_then(|()| withdraw());
    if let Err(failure) = stolen {
        failure.bubble();
    }
}

/// Paid: before the bank writes that down, it is asked again.
fn receive() {
    let rounds = state::rounds().load();
    if rounds.is_zero() {
        return;
    }
    state::rounds().store(rounds - U256::ONE);
    if let Err(failure) = withdraw() {
        let selector = failure.data.get(..4).unwrap_or_default();
        state::refusal().store(Word::left_aligned(selector));
    }
}

fn refusal() -> Word {
    state::refusal().load()
}

contract! {
    functions {
        payable attack(bank: Address, guarded: bool, rounds: U256) => attack;
        view refusal() -> Word => refusal;
    }
    receive => receive;
}
