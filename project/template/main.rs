//! A counter that anybody may raise, up to a limit that its owner sets.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(test)]
mod tests;

use tandem_kit::prelude::*;

event! {
    Counted(#[indexed] by: Address, count: U256);
}

error! {
    TooFar(limit: U256);
    NotOwner(account: Address);
}

#[derive(Revert)]
pub enum LimitError {
    NotOwner(NotOwner),
    TooFar(TooFar),
}

#[storage]
pub struct Counter {
    owner: Address,
    count: U256,
    limit: U256,
    raised: Map<Address, U256>,
}

#[contract(events(Counted))]
impl Counter {
    #[constructor]
    fn new(&mut self, limit: U256) {
        self.owner.set(env::caller());
        self.limit.set(limit);
    }

    pub fn count(&self) -> U256 {
        self.count.get()
    }

    pub fn limit(&self) -> U256 {
        self.limit.get()
    }

    pub fn raised(&self, by: Address) -> U256 {
        self.raised.get(by)
    }

    pub fn add(&mut self, step: U256) -> Result<U256, TooFar> {
        let (by, limit) = (env::caller(), self.limit.get());
        let count = self.count.get() + step;
        if count > limit {
            return Err(TooFar { limit });
        }
        self.count.set(count);
        self.raised.update(by, |raised| raised + step);
        self.emit(Counted { by, count });
        Ok(count)
    }

    pub fn set_limit(&mut self, limit: U256) -> Result<(), LimitError> {
        let account = env::caller();
        if account != self.owner.get() {
            return Err(NotOwner { account }.into());
        }
        if self.count.get() > limit {
            return Err(TooFar { limit }.into());
        }
        self.limit.set(limit);
        Ok(())
    }
}

entry!(Counter);
