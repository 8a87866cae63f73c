//! Two contracts play: each call of `play` calls the peer with one less to go, so that chains of
//! calls alternate between the machines when one of the two runs on the EVM.
//!
//! `PingPong.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use tandem_kit::call::{Call, Failure};
use tandem_kit::prelude::*;

storage! {
    mod state {
        /// How often this contract was hit.
        hits: Value<U256>,
        /// The sum of the depths that it was hit with.
        sum: Value<U256>,
        last_caller: Value<Address>,
    }
}

event! {
    /// The contract was called; `hits` counts this one too.
    Hit(#[indexed] by: Address, #[indexed] depth: U256, hits: U256, value: U256);
    /// A call failed, and was caught.
    Caught(#[indexed] peer: Address, reason: Bytes);
}

error! {
    /// The end of a chain that was to fail, with what the last contract had been hit with.
    Bottom(player: Address, hits: U256);
    NoReturn();
}

interface! {
    Player {
        payable play(peer: Address, depth: U256) -> U256;
        write fail(peer: Address, depth: U256) -> U256;
        view hits() -> U256;
    }
}

fn hit(depth: U256) -> U256 {
    let by = env::caller();
    let hits = state::hits().load() + U256::ONE;
    state::hits().store(hits);
    state::sum().update(|sum| sum + depth);
    state::last_caller().store(by);
    Hit { by, depth, hits, value: env::value() }.emit();
    hits
}

/// Hits this contract, then its peer with one less, until there is nothing to go. What wei came
/// goes on to the last. Answers the number of contracts hit.
fn play(peer: Address, depth: U256) -> U256 {
    hit(depth);
    if depth.is_zero() {
        return U256::ONE;
    }
    let next = Player::at(peer).value(env::value()).play(env::this(), depth - U256::ONE);
    // What the peer wrote is there, and what this frame knew has stayed.
    match next {
        Ok(further) => further + U256::ONE,
        Err(failure) => failure.bubble(),
    }
}

/// As `play`, but the last one reverts with `Bottom`, which all others pass on.
fn fail(peer: Address, depth: U256) -> U256 {
    let hits = hit(depth);
    if depth.is_zero() {
        Bottom { player: env::this(), hits }.revert();
    }
    match Player::at(peer).fail(env::this(), depth - U256::ONE) {
        Ok(_) => NoReturn {}.revert(),
        Err(failure) => failure.bubble(),
    }
}

/// Calls `fail` of the peer and catches what comes back: nothing but this contract's own hit
/// stays. Answers the revert data.
fn survive(peer: Address, depth: U256) -> Bytes {
    hit(depth);
    match Player::at(peer).fail(env::this(), depth) {
        Ok(_) => NoReturn {}.revert(),
        Err(Failure { data }) => {
            Caught { peer, reason: Bytes(data.clone()) }.emit();
            Bytes(data)
        }
    }
}

/// Hits of this contract and of its peer, read with a static call.
fn score(peer: Address) -> (U256, U256) {
    match Player::at(peer).hits() {
        Ok(theirs) => (state::hits().load(), theirs),
        Err(failure) => failure.bubble(),
    }
}

fn passed_on(answer: Result<alloc::vec::Vec<u8>, Failure>) -> Bytes {
    match answer {
        Ok(data) => Bytes(data),
        Err(failure) => failure.bubble(),
    }
}

/// Sends any call on, with its wei.
fn call(target: Address, data: Bytes) -> Bytes {
    passed_on(Call::to(target).value(env::value()).send(&data.0))
}

/// Sends any static call on.
fn static_call(target: Address, data: Bytes) -> Bytes {
    passed_on(Call::to(target).read(&data.0))
}

/// Runs another contract's code over this one's state.
fn delegate_call(target: Address, data: Bytes) -> Bytes {
    passed_on(Call::to(target).delegate(&data.0))
}

fn hits() -> U256 {
    state::hits().load()
}

fn sum() -> U256 {
    state::sum().load()
}

fn last_caller() -> Address {
    state::last_caller().load()
}

fn accept() {}

contract! {
    functions {
        payable play(peer: Address, depth: U256) -> U256 => play;
        write fail(peer: Address, depth: U256) -> U256 => fail;
        write survive(peer: Address, depth: U256) -> Bytes => survive;
        view score(peer: Address) -> (U256, U256) => score;
        payable call(target: Address, data: Bytes) -> Bytes => call;
        view staticCall(target: Address, data: Bytes) -> Bytes => static_call;
        payable delegateCall(target: Address, data: Bytes) -> Bytes => delegate_call;
        view hits() -> U256 => hits;
        view sum() -> U256 => sum;
        view lastCaller() -> Address => last_caller;
    }
    receive => accept;
    events { Hit, Caught }
    errors { Bottom, NoReturn }
}
