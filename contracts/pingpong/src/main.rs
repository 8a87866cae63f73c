//! Two contracts play: each call of `play` calls the peer with one less to go, so that chains of
//! calls alternate between the machines when one of the two runs on the EVM.
//!
//! `PingPong.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

#[storage]
pub struct PingPong {
    /// How often this contract was hit.
    hits: U256,
    /// The sum of the depths that it was hit with.
    sum: U256,
    last_caller: Address,
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

#[contract(events(Hit, Caught), errors(Bottom, NoReturn))]
impl PingPong {
    /// Hits this contract, then its peer with one less, until there is nothing to go. What wei came
    /// goes on to the last. Answers the number of contracts hit.
    #[payable]
    pub fn play(&mut self, peer: Address, depth: U256) -> Result<U256, Failure> {
        self.hit(depth);
        if depth.is_zero() {
            return Ok(U256::ONE);
        }
        let player = Player::at(peer).value(env::value());
        // What the peer wrote is there, and what this frame knew has stayed.
        Ok(player.play(self, env::this(), depth - U256::ONE)? + U256::ONE)
    }

    /// As `play`, but the last one reverts with `Bottom`, which all others pass on.
    pub fn fail(&mut self, peer: Address, depth: U256) -> Result<U256, Failure> {
        let hits = self.hit(depth);
        if depth.is_zero() {
            Bottom { player: env::this(), hits }.revert();
        }
        Player::at(peer).fail(self, env::this(), depth - U256::ONE)?;
        NoReturn {}.revert()
    }

    /// Calls `fail` of the peer and catches what comes back: nothing but this contract's own hit
    /// stays. Answers the revert data.
    pub fn survive(&mut self, peer: Address, depth: U256) -> Bytes {
        self.hit(depth);
        match Player::at(peer).fail(self, env::this(), depth) {
            Ok(_) => NoReturn {}.revert(),
            Err(Failure { data }) => {
                self.emit(Caught { peer, reason: Bytes(data.clone()) });
                Bytes(data)
            }
        }
    }

    /// Hits of this contract and of its peer, read with a static call.
    pub fn score(&self, peer: Address) -> Result<(U256, U256), Failure> {
        let theirs = Player::at(peer).hits()?;
        Ok((self.hits.get(), theirs))
    }

    /// Sends any call on, with its wei.
    #[payable]
    pub fn call(&mut self, target: Address, data: Bytes) -> Result<Bytes, Failure> {
        Call::to(target).value(env::value()).send(self, &data.0).map(Bytes)
    }

    /// Sends any static call on.
    pub fn static_call(&self, target: Address, data: Bytes) -> Result<Bytes, Failure> {
        Call::to(target).read(&data.0).map(Bytes)
    }

    /// Runs another contract's code over this one's state.
    #[payable]
    pub fn delegate_call(&mut self, target: Address, data: Bytes) -> Result<Bytes, Failure> {
        Call::to(target).delegate(self, &data.0).map(Bytes)
    }

    pub fn hits(&self) -> U256 {
        self.hits.get()
    }

    pub fn sum(&self) -> U256 {
        self.sum.get()
    }

    pub fn last_caller(&self) -> Address {
        self.last_caller.get()
    }

    #[receive]
    fn accept(&mut self) {}

    fn hit(&mut self, depth: U256) -> U256 {
        let by = env::caller();
        let hits = self.hits.get() + U256::ONE;
        self.hits.set(hits);
        self.sum.update(|sum| sum + depth);
        self.last_caller.set(by);
        self.emit(Hit { by, depth, hits, value: env::value() });
        hits
    }
}

entry!(PingPong);
