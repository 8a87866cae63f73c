//! A bank that pays before it writes down that it has paid: safe only behind a guard against
//! re-entrancy, which costs next to nothing in transient storage (EIP-1153).
//!
//! `Bank.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

#[storage]
pub struct Bank {
    balances: Map<Address, U256>,
    entered: Transient<bool>,
}

error! { ReentrantCall(); }

#[contract(errors(ReentrantCall))]
impl Bank {
    #[payable]
    pub fn deposit(&mut self) {
        self.balances.update(env::caller(), |balance| balance + env::value());
    }

    pub fn withdraw(&mut self) -> Result<(), Failure> {
        self.guarded(Self::pay)
    }

    pub fn withdraw_unguarded(&mut self) -> Result<(), Failure> {
        self.pay()
    }

    pub fn balance_of(&self, account: Address) -> U256 {
        self.balances.get(account)
    }

    /// The mistake, on purpose: whoever is paid may call again before the balance is gone.
    fn pay(&mut self) -> Result<(), Failure> {
        let caller = env::caller();
        let balance = self.balances.get(caller);
        Call::to(caller).value(balance).send(self, &[])?;
        self.balances.set(caller, U256::ZERO);
        Ok(())
    }

    /// Runs `body` unless a call that has not ended yet does already. Whatever ends the frame
    /// without coming back here also undoes the mark.
    fn guarded(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        ensure!(!self.entered.get(), ReentrantCall {});
        self.entered.set(true);
        body(self)?;
        self.entered.set(false);
        Ok(())
    }
}

entry!(Bank);
