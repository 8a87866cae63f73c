//! The fork's precompiled contracts, some of which an override may have moved.

use alloc::{collections::BTreeMap, string::String};

use alloy_primitives::{Address, map::AddressSet};
use genesis::SpecId;
use revm::{
    context::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, InterpreterResult},
};

/// The fork's precompiles under the addresses where they answer.
pub(crate) struct Precompiles {
    fork: EthPrecompiles,
    /// From where a precompile answers to where it belongs.
    moved: BTreeMap<Address, Address>,
    addresses: AddressSet,
    /// The journal has not been told of `addresses` yet.
    changed: bool,
}

impl Precompiles {
    /// The precompiles of `fork` where they belong.
    pub(crate) fn new(fork: SpecId) -> Self {
        let fork = EthPrecompiles::new(fork);
        let addresses = fork.warm_addresses().clone();
        Self { fork, moved: BTreeMap::new(), addresses, changed: true }
    }

    /// Makes the precompile that answers at `from` answer at `to` instead; false if there is none.
    pub(crate) fn shift(&mut self, from: Address, to: Address) -> bool {
        if !self.addresses.remove(&from) {
            return false;
        }
        let origin = self.moved.remove(&from).unwrap_or(from);
        self.moved.insert(to, origin);
        self.addresses.insert(to);
        self.changed = true;
        true
    }
}

impl<CTX: ContextTr> PrecompileProvider<CTX> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: <CTX::Cfg as Cfg>::Spec) -> bool {
        // An execution never leaves its fork: only an override changes the addresses.
        core::mem::take(&mut self.changed)
    }

    fn run(
        &mut self,
        context: &mut CTX,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        if self.moved.is_empty() {
            return self.fork.run(context, inputs);
        }
        if !self.addresses.contains(&inputs.bytecode_address) {
            return Ok(None);
        }
        let mut inputs = inputs.clone();
        if let Some(origin) = self.moved.get(&inputs.bytecode_address) {
            inputs.bytecode_address = *origin;
        }
        self.fork.run(context, &inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.addresses
    }
}
