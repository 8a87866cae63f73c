//! The engine: a chain's rules and what is cached across blocks.

use alloc::sync::Arc;

use alloy_primitives::B256;
use genesis::ChainSpec;
use revm::bytecode::Bytecode;

use crate::cache::Cache;

/// Bytes of EVM code kept analysed.
const CODE_CACHE_MAX: usize = 64 << 20;

/// What runs transactions of one chain. Clones share the caches.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    spec: Arc<ChainSpec>,
    codes: Cache<Bytecode>,
}

impl Engine {
    /// An engine for the chain `spec`.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        Self(Arc::new(Parts { spec, codes: Cache::new(CODE_CACHE_MAX) }))
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    /// The code of `hash`, from the cache or through `load`.
    pub(crate) fn bytecode<E>(
        &self,
        hash: B256,
        load: impl FnOnce() -> Result<Bytecode, E>,
    ) -> Result<Bytecode, E> {
        if let Some(code) = self.0.codes.find(&hash) {
            return Ok(code);
        }
        let code = load()?;
        self.0.codes.insert(hash, code.clone(), code.len());
        Ok(code)
    }
}
