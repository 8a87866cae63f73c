//! Creates a pair for any two tokens, once, at an address that the tokens decide.
//!
//! `Exchange` in `Exchange.sol` is its twin, but for the constructor: Solidity puts the pair's code
//! into the factory's, a RISC-V factory copies the image from a pair that is there already.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::abi::encode;
use tandem_kit::call::{container, create2, image_of};
use tandem_kit::prelude::*;

#[storage]
pub struct Exchange {
    pairs: Map<Address, Map<Address, Address>>,
    all_pairs: Vec<Address>,
}

event! {
    PairCreated(#[indexed] token0: Address, #[indexed] token1: Address, pair: Address, count: U256);
}

error! {
    IdenticalTokens();
    ZeroToken();
    PairExists(pair: Address);
    NotRiscv(template: Address);
}

#[contract(events(PairCreated), errors(IdenticalTokens, ZeroToken, PairExists, NotRiscv))]
impl Exchange {
    /// Keeps the template as its immutable value.
    #[constructor]
    fn new(&mut self, template: Address) -> Address {
        ensure!(image_of(&env::code(template)).is_some(), NotRiscv { template });
        template
    }

    pub fn get_pair(&self, token_a: Address, token_b: Address) -> Address {
        self.pairs.at(token_a).get(token_b)
    }

    pub fn all_pairs(&self, index: U256) -> Address {
        self.all_pairs.get(index.to_u64().unwrap_or(u64::MAX))
    }

    pub fn all_pairs_length(&self) -> U256 {
        U256::from(self.all_pairs.len())
    }

    pub fn create_pair(&mut self, token_a: Address, token_b: Address) -> Address {
        ensure!(token_a != token_b, IdenticalTokens {});
        let in_order = token_a.bytes() < token_b.bytes();
        let (token0, token1) = if in_order { (token_a, token_b) } else { (token_b, token_a) };
        ensure!(!token0.is_zero(), ZeroToken {});
        let known = self.get_pair(token0, token1);
        ensure!(known.is_zero(), PairExists { pair: known });
        let pair = self.create(token0, token1);
        self.pairs.at_mut(token0).set(token1, pair);
        self.pairs.at_mut(token1).set(token0, pair);
        self.all_pairs.push(pair);
        let count = self.all_pairs_length();
        self.emit(PairCreated { token0, token1, pair, count });
        pair
    }

    /// Another instance of the template, with these tokens as its constructor's arguments.
    fn create(&mut self, token0: Address, token1: Address) -> Address {
        let template: Address = env::immutables();
        let code = env::code(template);
        let Some(image) = image_of(&code) else { NotRiscv { template }.revert() };
        let arguments = encode(&(token0, token1));
        let salt = keccak256(&arguments);
        match create2(self, &container(image, &arguments), U256::ZERO, salt) {
            Ok(pair) => pair,
            Err(failure) => failure.bubble(),
        }
    }
}

entry!(Exchange);
