//! An ERC-1967 proxy: its state and its address stay, the code that runs over them is wherever its
//! slot says, on either machine.
//!
//! OpenZeppelin's `ERC1967Proxy` is its twin: the same constructor, slot, event and errors, but this
//! one may also start without initialising anything.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

event! { Upgraded(#[indexed] implementation: Address); }
error! {
    ERC1967InvalidImplementation(implementation: Address);
    ERC1967NonPayable();
}

/// keccak256("eip1967.proxy.implementation") - 1: far from the slots of any layout, for the
/// implementation's variables take those from 0 on.
const IMPLEMENTATION: Word = Word::new([
    0x36, 0x08, 0x94, 0xa1, 0x3b, 0xa1, 0xa3, 0x21, 0x06, 0x67, 0xc8, 0x28, 0x49, 0x2d, 0xb9, 0x8d,
    0xca, 0x3e, 0x20, 0x76, 0xcc, 0x37, 0x35, 0xa9, 0x20, 0xa3, 0xca, 0x50, 0x5d, 0x38, 0x2b, 0xbc,
]);

/// No variables: those of the implementation stand here.
#[storage]
pub struct Proxy {}

#[contract(events(Upgraded), errors(ERC1967InvalidImplementation, ERC1967NonPayable))]
impl Proxy {
    /// Starts with an implementation, and runs `data` on it: its initialisation, for its
    /// constructor has written to its own state, not to this one.
    #[constructor]
    #[payable]
    fn new(&mut self, implementation: Address, data: Bytes) -> Result<(), Failure> {
        ensure!(
            env::code_size(implementation) > 0,
            ERC1967InvalidImplementation { implementation }
        );
        self.at_slot_mut(IMPLEMENTATION).set(implementation);
        self.emit(Upgraded { implementation });
        if data.0.is_empty() {
            ensure!(env::value().is_zero(), ERC1967NonPayable {});
        } else {
            Call::to(implementation).delegate(self, &data.0)?;
        }
        Ok(())
    }

    /// Every call, with its wei: the implementation's code over this contract's state.
    #[fallback]
    #[payable]
    fn forward(&mut self, data: Bytes) -> Result<Bytes, Failure> {
        let implementation = self.at_slot(IMPLEMENTATION).get();
        Call::to(implementation).delegate(self, &data.0).map(Bytes)
    }
}

entry!(Proxy);
