//! The fork's precompiled contracts, some of which an override may have moved.

use alloc::{collections::BTreeMap, string::String, sync::Arc};

use alloy_primitives::{Address, Bytes, U256, address, map::AddressSet};
use genesis::SpecId;
use revm::{
    context::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    precompile::u64_to_address,
};

use crate::{
    engine::Signers,
    riscv::crypto::{self, Answer},
};

/// The precompile that recovers a signer.
const ECRECOVER: Address = address!("0000000000000000000000000000000000000001");
/// Its price.
const ECRECOVER_GAS: u64 = 3_000;

/// The fork's precompiles under the addresses where they answer.
pub(crate) struct Precompiles {
    fork: EthPrecompiles,
    /// Where overrides changed what answers: the precompile's own address, or `None` for nothing.
    overrides: BTreeMap<Address, Option<Address>>,
    /// The journal has not been told of the fork's addresses yet.
    changed: bool,
    /// Signatures for which ecrecover gives what a dev user wants.
    signers: Option<Arc<Signers>>,
}

impl Precompiles {
    /// The precompiles of `fork` where they belong.
    pub(crate) fn new(fork: SpecId, signers: Option<Arc<Signers>>) -> Self {
        let fork = EthPrecompiles::new(fork);
        Self { fork, overrides: BTreeMap::new(), changed: true, signers }
    }

    /// The own address of the precompile that answers at `address`.
    fn origin(&self, address: Address) -> Option<Address> {
        match self.overrides.get(&address) {
            Some(origin) => *origin,
            None => self.fork.warm_addresses().contains(&address).then_some(address),
        }
    }

    /// Whether a precompile answers at `address`.
    pub(crate) fn contains(&self, address: Address) -> bool {
        self.origin(address).is_some()
    }

    /// What the precompile at address `n` computes; the outer `None` if none answers there.
    pub(crate) fn compute(&self, n: u64, input: &[u8]) -> Option<Answer> {
        let origin = self.origin(u64_to_address(n))?;
        if origin == ECRECOVER
            && let Some(signer) = self.signers.as_ref().and_then(|signers| signer(signers, input))
        {
            return Some(Some(Bytes::copy_from_slice(signer.into_word().as_slice())));
        }
        crypto::run(self.fork.precompiles, origin, input)
    }

    /// Lets no precompile answer at `address` any more.
    pub(crate) fn remove(&mut self, address: Address) {
        self.overrides.insert(address, None);
    }

    /// Makes the precompile that answers at `from` answer at `to` instead; false if there is none.
    pub(crate) fn shift(&mut self, from: Address, to: Address) -> bool {
        let Some(origin) = self.origin(from) else { return false };
        self.overrides.insert(from, None);
        self.overrides.insert(to, Some(origin));
        true
    }
}

impl<CTX: ContextTr> PrecompileProvider<CTX> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: <CTX::Cfg as Cfg>::Spec) -> bool {
        // An execution never leaves its fork. As in geth, an override changes who answers, not which
        // addresses are warm.
        core::mem::take(&mut self.changed)
    }

    fn run(
        &mut self,
        context: &mut CTX,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        if self.overrides.is_empty() && self.signers.is_none() {
            return self.fork.run(context, inputs);
        }
        let Some(origin) = self.origin(inputs.bytecode_address) else { return Ok(None) };
        let inputs = CallInputs { bytecode_address: origin, ..inputs.clone() };
        if origin == ECRECOVER
            && let Some(signers) = &self.signers
            && let Some(signer) = signer(signers, &inputs.input.bytes(context))
            && inputs.gas_limit >= ECRECOVER_GAS
        {
            let mut gas = Gas::new(inputs.gas_limit);
            let _ = gas.record_regular_cost(ECRECOVER_GAS);
            let output = Bytes::copy_from_slice(signer.into_word().as_slice());
            return Ok(Some(InterpreterResult::new(InstructionResult::Return, output, gas)));
        }
        self.fork.run(context, &inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.fork.warm_addresses()
    }
}

/// Who is to be taken for the signer of ecrecover's input: hash, v, r and s, 32 bytes each.
fn signer(signers: &Signers, input: &[u8]) -> Option<Address> {
    let mut words = [0; 128];
    let given = input.len().min(words.len());
    words[..given].copy_from_slice(&input[..given]);
    let mut signature = [0; 65];
    signature[..64].copy_from_slice(&words[64..]);
    signature[64] = U256::from_be_slice(&words[32..64]).try_into().ok()?;
    signers.get(&signature).copied()
}
