//! Creates contracts of both kinds: out of init code, or as further instances of a contract that
//! is there already.
//!
//! `Factory.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::{Failure, container, create, create2, image_of};
use tandem_kit::prelude::*;

storage! {
    mod state {
        count: Value<U256>,
        children: Map<U256, Value<Address>>,
    }
}

event! {
    Created(#[indexed] child: Address, #[indexed] by: Address, code_hash: Word);
}

error! {
    /// Init code ended without a reason: out of gas, a trap, or code that may not be deployed.
    CreationFailed();
    NotRiscv(template: Address);
}

fn keep(created: Result<Address, Failure>) -> Address {
    let child = match created {
        Ok(child) => child,
        Err(failure) if failure.data.is_empty() => CreationFailed {}.revert(),
        Err(failure) => failure.bubble(),
    };
    let count = state::count().load();
    state::children().at(count).store(child);
    state::count().store(count + U256::ONE);
    Created { child, by: env::caller(), code_hash: env::code_hash(child) }.emit();
    child
}

/// Init code as it comes: EVM's, or a container with the constructor's arguments as its tail.
fn create_child(code: Bytes) -> Address {
    keep(create(&code.0, env::value()))
}

/// The same, at an address that code and salt decide.
fn create_child2(code: Bytes, salt: Word) -> Address {
    keep(create2(&code.0, env::value(), salt))
}

/// Another instance of a RISC-V contract: the template's image, with these constructor arguments.
fn create_like(template: Address, arguments: Bytes) -> Address {
    let code = env::code(template);
    match image_of(&code) {
        Some(image) => keep(create(&container(image, &arguments.0), env::value())),
        None => NotRiscv { template }.revert(),
    }
}

fn count() -> U256 {
    state::count().load()
}

fn child(index: U256) -> Address {
    state::children().at(index).load()
}

contract! {
    functions {
        payable create(code: Bytes) -> Address => create_child;
        payable create2(code: Bytes, salt: Word) -> Address => create_child2;
        payable createLike(template: Address, arguments: Bytes) -> Address => create_like;
        view count() -> U256 => count;
        view children(index: U256) -> Address => child;
    }
    events { Created }
    errors { CreationFailed, NotRiscv }
}
