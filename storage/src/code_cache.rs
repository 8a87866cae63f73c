//! Analysed code, kept between reads.

use alloy_primitives::B256;
use parking_lot::Mutex;
use revm::bytecode::Bytecode;
use std::collections::HashMap;

/// Bytes of code whose analysis is kept.
const CODE_CACHE_BYTES: usize = 64 << 20;

/// Analysed code by hash, so that a contract is analysed once and not at every load.
#[derive(Debug, Default)]
pub(crate) struct CodeCache(Mutex<(HashMap<B256, Bytecode>, usize)>);

impl CodeCache {
    pub(crate) fn find(&self, code_hash: B256) -> Option<Bytecode> {
        if state::is_empty_code(code_hash) {
            return Some(Bytecode::default());
        }
        self.0.lock().0.get(&code_hash).cloned()
    }

    pub(crate) fn insert(&self, code_hash: B256, code: Bytecode) {
        let mut cache = self.0.lock();
        if cache.1 + code.len() > CODE_CACHE_BYTES {
            // Contracts in use come back at once; keeping an order would cost every hit.
            cache.0.clear();
            cache.1 = 0;
        }
        cache.1 += code.len();
        cache.0.insert(code_hash, code);
    }
}
