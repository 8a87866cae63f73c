//! A ledger of deposits behind a proxy: what an implementation has to look like that can be
//! replaced by the next one (UUPS, ERC-1822), in Solidity or for RISC-V.
//!
//! `Ledger.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::Call;
use tandem_kit::prelude::*;
use tandem_kit::storage::{List, Place};

storage! {
    /// What a proxy keeps when its implementation is replaced: the next one may add entries at the
    /// end, and neither move nor retype those that are there.
    mod state {
        owner: Value<Address>,
        balances: Map<Address, Value<U256>>,
        total: Value<U256>,
        name: TextSlot,
        payers: List<Address>,
    }
}

event! {
    Deposited(#[indexed] by: Address, value: U256, version: U256);
    Upgraded(#[indexed] implementation: Address);
}

error! {
    AlreadyInitialized();
    NotOwner(account: Address);
    InsufficientBalance(balance: U256, needed: U256);
    UUPSUnauthorizedCallContext();
    UUPSUnsupportedProxiableUUID(slot: Word);
    ERC1967InvalidImplementation(implementation: Address);
}

interface! {
    Upgradeable {
        view proxiableUUID() -> Word;
    }
}

/// ERC-1967's slot, keccak256("eip1967.proxy.implementation") - 1.
const IMPLEMENTATION: Word = Word::new([
    0x36, 0x08, 0x94, 0xa1, 0x3b, 0xa1, 0xa3, 0x21, 0x06, 0x67, 0xc8, 0x28, 0x49, 0x2d, 0xb9, 0x8d,
    0xca, 0x3e, 0x20, 0x76, 0xcc, 0x37, 0x35, 0xa9, 0x20, 0xa3, 0xca, 0x50, 0x5d, 0x38, 0x2b, 0xbc,
]);

/// Immutable values stand in the code, so a proxy sees those of its implementation: which version
/// it is, and the implementation's own address, by which code knows that it runs for a proxy.
fn construct(version: U256) -> (U256, Address) {
    (version, env::this())
}

fn immutables() -> (U256, Address) {
    env::immutables()
}

/// What a constructor does elsewhere, over the proxy's state, once.
fn initialize(owner: Address, name: Text) {
    ensure!(state::owner().load().is_zero(), AlreadyInitialized {});
    state::owner().store(owner);
    state::name().store(&name);
}

fn deposit() {
    let (by, value) = (env::caller(), env::value());
    let balance = state::balances().at(by);
    let before = balance.load();
    if before.is_zero() {
        state::payers().push(by);
    }
    balance.store(before + value);
    state::total().update(|total| total + value);
    Deposited { by, value, version: immutables().0 }.emit();
}

fn withdraw(value: U256) {
    let by = env::caller();
    let place = state::balances().at(by);
    let balance = place.load();
    let Some(rest) = balance.checked_sub(value) else {
        InsufficientBalance { balance, needed: value }.revert()
    };
    place.store(rest);
    state::total().update(|total| total - value);
    if let Err(failure) = Call::to(by).value(value).send(&[]) {
        failure.bubble();
    }
}

fn owner() -> Address {
    state::owner().load()
}

fn balance_of(account: Address) -> U256 {
    state::balances().at(account).load()
}

fn total() -> U256 {
    state::total().load()
}

fn name() -> Text {
    state::name().load()
}

fn payer_count() -> u64 {
    state::payers().len()
}

fn payer(index: u64) -> Address {
    state::payers().at(index).load()
}

fn version() -> U256 {
    immutables().0
}

/// The slot that this implementation expects a proxy to have its address in. Not to be asked
/// through a proxy: an implementation that is a proxy itself would delegate for ever.
fn proxiable_uuid() -> Word {
    ensure!(env::this() == immutables().1, UUPSUnauthorizedCallContext {});
    IMPLEMENTATION
}

/// Replaces the proxy's implementation, and runs `data` on the new one.
fn upgrade_to_and_call(implementation: Address, data: Bytes) {
    ensure!(env::this() != immutables().1, UUPSUnauthorizedCallContext {});
    let account = env::caller();
    ensure!(account == state::owner().load(), NotOwner { account });
    ensure!(env::code_size(implementation) > 0, ERC1967InvalidImplementation { implementation });
    match Upgradeable::at(implementation).proxiableUUID() {
        Ok(slot) => ensure!(slot == IMPLEMENTATION, UUPSUnsupportedProxiableUUID { slot }),
        Err(_) => ERC1967InvalidImplementation { implementation }.revert(),
    }
    <Value<Address>>::at_slot(IMPLEMENTATION).store(implementation);
    Upgraded { implementation }.emit();
    if !data.0.is_empty()
        && let Err(failure) = Call::to(implementation).delegate(&data.0)
    {
        failure.bubble();
    }
}

contract! {
    constructor(version: U256) -> (U256, Address) => construct;
    functions {
        write initialize(owner: Address, name: Text) => initialize;
        payable deposit() => deposit;
        write withdraw(value: U256) => withdraw;
        view owner() -> Address => owner;
        view balanceOf(account: Address) -> U256 => balance_of;
        view total() -> U256 => total;
        view name() -> Text => name;
        view payerCount() -> u64 => payer_count;
        view payers(index: u64) -> Address => payer;
        view version() -> U256 => version;
        view proxiableUUID() -> Word => proxiable_uuid;
        payable upgradeToAndCall(implementation: Address, data: Bytes) => upgrade_to_and_call;
    }
    events { Deposited, Upgraded }
    errors {
        AlreadyInitialized, NotOwner, InsufficientBalance, UUPSUnauthorizedCallContext,
        UUPSUnsupportedProxiableUUID, ERC1967InvalidImplementation,
    }
}
