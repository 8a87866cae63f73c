//! The engine: a chain's rules and what is cached across blocks.

use alloc::{sync::Arc, vec::Vec};

use alloy_primitives::B256;
use genesis::ChainSpec;
use revm::bytecode::Bytecode;

use crate::{
    cache::Cache,
    create::Deployable,
    riscv::{Image, ImageError},
};

/// Bytes of EVM code kept analysed.
const CODE_CACHE_MAX: usize = 64 << 20;
/// Bytes that decoded images may take.
const IMAGE_CACHE_MAX: usize = 256 << 20;

/// What runs transactions of one chain. Clones share the caches.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    spec: Arc<ChainSpec>,
    codes: Cache<Bytecode>,
    images: Cache<Arc<Image>>,
    /// The program that system calls run on: byte i is opcode i.
    strip: Bytecode,
}

impl Engine {
    /// An engine for the chain `spec`.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        let opcodes: Vec<u8> = (0..=u8::MAX).collect();
        Self(Arc::new(Parts {
            spec,
            codes: Cache::new(CODE_CACHE_MAX),
            images: Cache::new(IMAGE_CACHE_MAX),
            strip: Bytecode::new_legacy(opcodes.into()),
        }))
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

    /// The decoded image of the container whose hash is `hash`.
    pub(crate) fn image(&self, hash: B256, file: &[u8]) -> Result<Arc<Image>, ImageError> {
        if let Some(image) = self.0.images.find(&hash) {
            return Ok(image);
        }
        let image = Arc::new(Image::load(file, &self.0.spec.riscv.gas)?);
        self.0.images.insert(hash, image.clone(), image.heap_size());
        Ok(image)
    }

    /// Keeps what was just deployed under its code hash.
    pub(crate) fn keep(&self, hash: B256, code: &Deployable) {
        self.0.codes.insert(hash, code.bytecode.clone(), code.bytecode.len());
        self.0.images.insert(hash, code.image.clone(), code.image.heap_size());
    }

    pub(crate) fn strip(&self) -> &Bytecode {
        &self.0.strip
    }
}
