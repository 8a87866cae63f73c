//! A pair of tokens that trades one for the other along x * y = k, for 0.3 % that stay with those
//! who have lent it the tokens. Who gives what is seen from the balances: send first, then call.
//!
//! `Pair` in `Exchange.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

#[storage]
pub struct Pair {
    total_supply: U256,
    balances: Map<Address, U256>,
    reserve0: U256,
    reserve1: U256,
    entered: Transient<bool>,
}

event! {
    Transfer(#[indexed] from: Address, #[indexed] to: Address, value: U256);
    Mint(#[indexed] to: Address, amount0: U256, amount1: U256);
    Burn(#[indexed] to: Address, amount0: U256, amount1: U256);
    Swap(
        #[indexed] sender: Address, #[indexed] to: Address,
        in0: U256, in1: U256, out0: U256, out1: U256,
    );
}

error! {
    Locked();
    InsufficientLiquidity();
    InsufficientShares(account: Address, balance: U256, needed: U256);
    InsufficientInput();
    InvalidReceiver(receiver: Address);
    InvariantBroken();
}

interface! {
    Token {
        view balanceOf(account: Address) -> U256;
        write transfer(to: Address, value: U256) -> bool;
    }
}

/// Shares that belong to nobody for ever: a share can't be made so dear that others can't buy one.
const LOCKED: u64 = 1000;

#[contract(
    events(Transfer, Mint, Burn, Swap),
    errors(
        Locked,
        InsufficientLiquidity,
        InsufficientShares,
        InsufficientInput,
        InvalidReceiver,
        InvariantBroken
    )
)]
impl Pair {
    /// The tokens are immutable values: they stand in the code, and reading them is cheap.
    #[constructor]
    fn new(&mut self, token0: Address, token1: Address) -> (Address, Address) {
        (token0, token1)
    }

    pub fn token0(&self) -> Address {
        tokens().0
    }

    pub fn token1(&self) -> Address {
        tokens().1
    }

    pub fn total_supply(&self) -> U256 {
        self.total_supply.get()
    }

    pub fn balance_of(&self, account: Address) -> U256 {
        self.balances.get(account)
    }

    pub fn get_reserves(&self) -> (U256, U256) {
        (self.reserve0.get(), self.reserve1.get())
    }

    pub fn transfer(&mut self, to: Address, value: U256) -> bool {
        self.move_shares(env::caller(), to, value);
        true
    }

    /// Shares for the tokens that have come since the last call.
    pub fn mint(&mut self, to: Address) -> U256 {
        self.lock();
        let ((balance0, balance1), (reserve0, reserve1)) = (balances(), self.get_reserves());
        let (amount0, amount1) = (balance0 - reserve0, balance1 - reserve1);
        let (supply, locked) = (self.total_supply.get(), U256::from(LOCKED));
        let shares = if supply.is_zero() {
            let root = sqrt(amount0 * amount1);
            ensure!(root > locked, InsufficientLiquidity {});
            self.create(Address::ZERO, locked);
            root - locked
        } else {
            let shares = (amount0 * supply / reserve0).min(amount1 * supply / reserve1);
            ensure!(!shares.is_zero(), InsufficientLiquidity {});
            shares
        };
        self.create(to, shares);
        self.keep(balance0, balance1);
        self.emit(Mint { to, amount0, amount1 });
        self.entered.set(false);
        shares
    }

    /// The caller's `shares` go, and `to` gets their part of both tokens.
    pub fn burn(&mut self, shares: U256, to: Address) -> (U256, U256) {
        self.lock();
        let (balance0, balance1) = balances();
        let supply = self.total_supply.get();
        ensure!(!supply.is_zero(), InsufficientLiquidity {});
        let (amount0, amount1) = (shares * balance0 / supply, shares * balance1 / supply);
        ensure!(!amount0.is_zero() && !amount1.is_zero(), InsufficientLiquidity {});
        self.move_shares(env::caller(), Address::ZERO, shares);
        self.balances.update(Address::ZERO, |balance| balance - shares);
        self.total_supply.set(supply - shares);
        let (token0, token1) = tokens();
        self.pay(token0, to, amount0);
        self.pay(token1, to, amount1);
        let (balance0, balance1) = balances();
        self.keep(balance0, balance1);
        self.emit(Burn { to, amount0, amount1 });
        self.entered.set(false);
        (amount0, amount1)
    }

    /// Pays out what is asked for if what has come, less 0.3 %, keeps the product of the reserves.
    pub fn swap(&mut self, out0: U256, out1: U256, to: Address) {
        self.lock();
        ensure!(!out0.is_zero() || !out1.is_zero(), InsufficientInput {});
        let (reserve0, reserve1) = self.get_reserves();
        ensure!(out0 < reserve0 && out1 < reserve1, InsufficientLiquidity {});
        let (token0, token1) = tokens();
        ensure!(to != token0 && to != token1, InvalidReceiver { receiver: to });
        for (token, out) in [(token0, out0), (token1, out1)] {
            if !out.is_zero() {
                self.pay(token, to, out);
            }
        }
        let (balance0, balance1) = balances();
        let come = |balance: U256, left: U256| balance.checked_sub(left).unwrap_or(U256::ZERO);
        let (in0, in1) = (come(balance0, reserve0 - out0), come(balance1, reserve1 - out1));
        ensure!(!in0.is_zero() || !in1.is_zero(), InsufficientInput {});
        let (thousand, three) = (U256::from(1000u16), U256::from(3u8));
        let kept0 = balance0 * thousand - in0 * three;
        let kept1 = balance1 * thousand - in1 * three;
        let before = reserve0 * reserve1 * U256::from(1_000_000u32);
        ensure!(kept0 * kept1 >= before, InvariantBroken {});
        self.keep(balance0, balance1);
        self.emit(Swap { sender: env::caller(), to, in0, in1, out0, out1 });
        self.entered.set(false);
    }

    fn pay(&mut self, token: Address, to: Address, value: U256) {
        if let Err(failure) = Token::at(token).transfer(self, to, value) {
            failure.bubble();
        }
    }

    /// Refuses a call that comes out of one that has not ended yet. A revert opens the lock, too.
    fn lock(&mut self) {
        ensure!(!self.entered.get(), Locked {});
        self.entered.set(true);
    }

    fn keep(&mut self, balance0: U256, balance1: U256) {
        self.reserve0.set(balance0);
        self.reserve1.set(balance1);
    }

    fn create(&mut self, to: Address, shares: U256) {
        self.total_supply.update(|supply| supply + shares);
        self.balances.update(to, |balance| balance + shares);
        self.emit(Transfer { from: Address::ZERO, to, value: shares });
    }

    fn move_shares(&mut self, from: Address, to: Address, value: U256) {
        let balance = self.balances.get(from);
        match balance.checked_sub(value) {
            Some(rest) => self.balances.set(from, rest),
            None => InsufficientShares { account: from, balance, needed: value }.revert(),
        }
        self.balances.update(to, |balance| balance + value);
        self.emit(Transfer { from, to, value });
    }
}

fn tokens() -> (Address, Address) {
    env::immutables()
}

/// What the pair has of both tokens.
fn balances() -> (U256, U256) {
    let (token0, token1) = tokens();
    (balance(token0), balance(token1))
}

fn balance(token: Address) -> U256 {
    match Token::at(token).balanceOf(env::this()) {
        Ok(balance) => balance,
        Err(failure) => failure.bubble(),
    }
}

/// The largest number whose square is not above `number`, by Newton's method.
fn sqrt(number: U256) -> U256 {
    if number.is_zero() {
        return number;
    }
    let two = U256::from(2u8);
    let mut root = number;
    let mut next = number / two + U256::ONE;
    while next < root {
        root = next;
        next = (number / root + root) / two;
    }
    root
}

entry!(Pair);
