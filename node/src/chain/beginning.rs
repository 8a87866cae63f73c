//! What a chain began with: it changes when a dev user begins another one in its place.

use std::sync::{Arc, OnceLock};

use genesis::Genesis;
use vm::Engine;

use crate::fork::Fork;

/// Genesis, engine and fork of a chain.
pub(crate) struct Beginning {
    pub(super) genesis: Genesis,
    pub(super) engine: Engine,
    pub(super) fork: Option<Arc<Fork>>,
    /// What took its place. Beginnings are few, and whoever has borrowed an old one keeps it.
    next: OnceLock<Box<Self>>,
}

impl Beginning {
    /// The beginning of a chain on its own, or on top of `fork`.
    pub(super) fn new(genesis: Genesis, fork: Option<Arc<Fork>>) -> Self {
        let engine = Engine::new(Arc::new(genesis.spec.clone()));
        Self { genesis, engine, fork, next: OnceLock::new() }
    }

    /// The one that holds now.
    pub(super) fn now(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Puts another one in the place of the newest; only the sequencer does.
    pub(super) fn replace(&self, genesis: Genesis, fork: Option<Arc<Fork>>) {
        let newest = self.now();
        let mut next = Self::new(genesis, fork);
        if next.genesis.spec == newest.genesis.spec {
            // The same rules: what was decoded stays decoded.
            next.engine = newest.engine.clone();
        }
        // There is one sequencer, so nobody was faster.
        let _ = newest.next.set(Box::new(next));
    }
}
