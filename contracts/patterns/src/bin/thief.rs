//! Calls a bank again while it is being paid, as often as it was told to.
//!
//! `Thief.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

#[storage]
pub struct Thief {
    bank: Address,
    guarded: bool,
    /// How often it is still to call again.
    rounds: U256,
    /// The selector of the bank's last refusal.
    refusal: Word,
}

interface! {
    Bank {
        payable deposit();
        write withdraw();
        write withdrawUnguarded();
    }
}

#[contract]
impl Thief {
    /// Deposits what wei came, and draws it `rounds + 1` times if the bank lets it.
    #[payable]
    pub fn attack(&mut self, bank: Address, guarded: bool, rounds: U256) -> Result<(), Failure> {
        self.bank.set(bank);
        self.guarded.set(guarded);
        self.rounds.set(rounds);
        Bank::at(bank).value(env::value()).deposit(self)?;
        self.withdraw()
    }

    pub fn refusal(&self) -> Word {
        self.refusal.get()
    }

    /// Paid: before the bank writes that down, it is asked again.
    #[receive]
    fn receive(&mut self) {
        let rounds = self.rounds.get();
        if rounds.is_zero() {
            return;
        }
        self.rounds.set(rounds - U256::ONE);
        if let Err(failure) = self.withdraw() {
            let selector = failure.data.get(..4).unwrap_or_default();
            self.refusal.set(Word::left_aligned(selector));
        }
    }

    fn withdraw(&mut self) -> Result<(), Failure> {
        let bank = Bank::at(self.bank.get());
        if self.guarded.get() { bank.withdraw(self) } else { bank.withdrawUnguarded(self) }
    }
}

entry!(Thief);
