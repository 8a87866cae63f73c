//! A careful caller: tells the ways apart in which a callee fails, takes large answers, keeps
//! what it copies of them within bounds, and outlives a callee that ends itself.
//!
//! `Catcher.sol` is its twin: the same ABI.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::abi::{Reader, selector};
use tandem_kit::call::create;
use tandem_kit::prelude::*;

error! { Refused(number: U256, text: Text); }

#[storage]
pub struct Catcher {}

interface! {
    Trouble {
        write fail(how: u8, number: U256, text: Text) -> U256;
        pure fill(size: u64) -> Bytes;
        write end(heir: Address);
    }
}

/// How a call ended: 0 well, 1 `Error(string)`, 2 `Panic(uint256)`, 3 `Refused`, 4 without a
/// reason, 5 with one that is not known here.
fn judge(failure: &Failure) -> (u8, U256, Text) {
    if let Some(text) = failure.text() {
        return (1, U256::ZERO, Text(text.to_vec()));
    }
    if let Some(code) = failure.panic_code() {
        return (2, code, Text::default());
    }
    if failure.is::<Refused>() {
        let mut values = Reader::new(&failure.data[..], 4);
        return (3, values.take(), values.take());
    }
    let kind = if failure.data.is_empty() { 4 } else { 5 };
    (kind, U256::ZERO, Text::default())
}

#[contract]
impl Catcher {
    /// Calls `fail`, with enough gas kept to go on after a callee that burns all it gets.
    pub fn attempt(
        &mut self,
        target: Address,
        how: u8,
        number: U256,
        text: Text,
    ) -> (u8, U256, Text) {
        match Trouble::at(target).gas(1_000_000).fail(self, how, number, text) {
            Ok(answer) => (0, answer, Text::default()),
            Err(failure) => judge(&failure),
        }
    }

    /// The size and the hash of a large answer.
    pub fn fetch(target: Address, size: u64) -> Result<(U256, Word), Failure> {
        let answer = Trouble::at(target).fill(size)?;
        Ok((U256::from(answer.0.len() as u64), keccak256(&answer.0)))
    }

    /// Calls `bomb`, takes no more than 64 bytes of what it reverts with, and answers how many it
    /// offered and what was taken.
    pub fn defuse(&self, target: Address, size: u64) -> (U256, Bytes) {
        const BOMB: u32 = selector("bomb", &[<u64 as Abi>::NAME]);
        let mut input = [0; 36];
        let (head, argument) = input.split_at_mut(4);
        head.copy_from_slice(&BOMB.to_be_bytes());
        argument.copy_from_slice(Word::from_u64(size).bytes());
        let data = match Call::to(target).answer_max(64).read(&input) {
            Ok(data) => data,
            Err(failure) => failure.data,
        };
        (U256::from(env::return_size() as u64), Bytes(data))
    }

    /// Creates a contract out of init code, with the wei that came, and has it end at once.
    #[payable]
    pub fn make_and_end(&mut self, code: Bytes, heir: Address) -> Result<Address, Failure> {
        let child = create(self, &code.0, env::value())?;
        Trouble::at(child).end(self, heir)?;
        Ok(child)
    }
}

entry!(Catcher);
