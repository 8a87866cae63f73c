//! A ledger of deposits behind a proxy: what an implementation has to look like that can be
//! replaced by the next one (UUPS, ERC-1822), in Solidity or for RISC-V.
//!
//! `Ledger.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

/// What a proxy keeps when its implementation is replaced: the next one may add entries at the
/// end, and neither move nor retype those that are there.
#[storage]
pub struct Ledger {
    owner: Address,
    balances: Map<Address, U256>,
    total: U256,
    name: Text,
    payers: Vec<Address>,
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

fn immutables() -> (U256, Address) {
    env::immutables()
}

#[contract(
    events(Deposited, Upgraded),
    errors(
        AlreadyInitialized,
        NotOwner,
        InsufficientBalance,
        UUPSUnauthorizedCallContext,
        UUPSUnsupportedProxiableUUID,
        ERC1967InvalidImplementation
    )
)]
impl Ledger {
    /// Immutable values stand in the code, so a proxy sees those of its implementation: which
    /// version it is, and the implementation's own address, by which code knows that it runs for a
    /// proxy.
    #[constructor]
    fn new(&mut self, version: U256) -> (U256, Address) {
        (version, env::this())
    }

    /// What a constructor does elsewhere, over the proxy's state, once.
    pub fn initialize(&mut self, owner: Address, name: Text) {
        ensure!(self.owner.get().is_zero(), AlreadyInitialized {});
        self.owner.set(owner);
        self.name.set(&name);
    }

    #[payable]
    pub fn deposit(&mut self) {
        let (by, value) = (env::caller(), env::value());
        let before = self.balances.get(by);
        if before.is_zero() {
            self.payers.push(by);
        }
        self.balances.set(by, before + value);
        self.total.update(|total| total + value);
        self.emit(Deposited { by, value, version: immutables().0 });
    }

    pub fn withdraw(&mut self, value: U256) -> Result<(), Failure> {
        let by = env::caller();
        let balance = self.balances.get(by);
        let Some(rest) = balance.checked_sub(value) else {
            InsufficientBalance { balance, needed: value }.revert()
        };
        self.balances.set(by, rest);
        self.total.update(|total| total - value);
        Call::to(by).value(value).send(self, &[]).map(|_| ())
    }

    pub fn owner(&self) -> Address {
        self.owner.get()
    }

    pub fn balance_of(&self, account: Address) -> U256 {
        self.balances.get(account)
    }

    pub fn total(&self) -> U256 {
        self.total.get()
    }

    pub fn name(&self) -> Text {
        self.name.get()
    }

    pub fn payer_count(&self) -> u64 {
        self.payers.len()
    }

    pub fn payers(&self, index: u64) -> Address {
        self.payers.get(index)
    }

    pub fn version(&self) -> U256 {
        immutables().0
    }

    /// The slot that this implementation expects a proxy to have its address in. Not to be asked
    /// through a proxy: an implementation that is a proxy itself would delegate for ever.
    #[name("proxiableUUID")]
    pub fn proxiable_uuid(&self) -> Word {
        ensure!(env::this() == immutables().1, UUPSUnauthorizedCallContext {});
        IMPLEMENTATION
    }

    /// Replaces the proxy's implementation, and runs `data` on the new one.
    #[payable]
    pub fn upgrade_to_and_call(
        &mut self,
        implementation: Address,
        data: Bytes,
    ) -> Result<(), Failure> {
        ensure!(env::this() != immutables().1, UUPSUnauthorizedCallContext {});
        let account = env::caller();
        ensure!(account == self.owner.get(), NotOwner { account });
        ensure!(
            env::code_size(implementation) > 0,
            ERC1967InvalidImplementation { implementation }
        );
        match Upgradeable::at(implementation).proxiableUUID() {
            Ok(slot) => ensure!(slot == IMPLEMENTATION, UUPSUnsupportedProxiableUUID { slot }),
            Err(_) => ERC1967InvalidImplementation { implementation }.revert(),
        }
        self.at_slot_mut(IMPLEMENTATION).set(implementation);
        self.emit(Upgraded { implementation });
        if !data.0.is_empty() {
            Call::to(implementation).delegate(self, &data.0)?;
        }
        Ok(())
    }
}

entry!(Ledger);
