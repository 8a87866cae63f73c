//! Creates contracts of both kinds: out of init code, or as further instances of a contract that
//! is there already.
//!
//! `Factory.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::{container, create, create2, image_of};
use tandem_kit::prelude::*;

#[storage]
pub struct Factory {
    count: U256,
    children: Map<U256, Address>,
}

event! {
    Created(#[indexed] child: Address, #[indexed] by: Address, code_hash: Word);
}

error! {
    /// Init code ended without a reason: out of gas, a trap, or code that may not be deployed.
    CreationFailed();
    NotRiscv(template: Address);
}

#[contract(events(Created), errors(CreationFailed, NotRiscv))]
impl Factory {
    /// Init code as it comes: EVM's, or a container with the constructor's arguments as its tail.
    #[payable]
    pub fn create(&mut self, code: Bytes) -> Result<Address, Failure> {
        let created = create(self, &code.0, env::value());
        self.keep(created)
    }

    /// The same, at an address that code and salt decide.
    #[payable]
    pub fn create2(&mut self, code: Bytes, salt: Word) -> Result<Address, Failure> {
        let created = create2(self, &code.0, env::value(), salt);
        self.keep(created)
    }

    /// Another instance of a RISC-V contract: the template's image, with these constructor
    /// arguments.
    #[payable]
    pub fn create_like(&mut self, template: Address, arguments: Bytes) -> Result<Address, Failure> {
        let code = env::code(template);
        let Some(image) = image_of(&code) else { NotRiscv { template }.revert() };
        let created = create(self, &container(image, &arguments.0), env::value());
        self.keep(created)
    }

    pub fn count(&self) -> U256 {
        self.count.get()
    }

    pub fn children(&self, index: U256) -> Address {
        self.children.get(index)
    }

    fn keep(&mut self, created: Result<Address, Failure>) -> Result<Address, Failure> {
        let child = match created {
            Err(failure) if failure.data.is_empty() => CreationFailed {}.revert(),
            other => other?,
        };
        let count = self.count.get();
        self.children.set(count, child);
        self.count.set(count + U256::ONE);
        self.emit(Created { child, by: env::caller(), code_hash: env::code_hash(child) });
        Ok(child)
    }
}

entry!(Factory);
