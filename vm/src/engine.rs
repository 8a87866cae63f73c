//! The engine: a chain's rules and what is cached across blocks.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use alloy_primitives::{Address, B256};
use genesis::ChainSpec;
use revm::bytecode::Bytecode;

use crate::{
    cache::{Cache, Shared},
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

/// Signatures, as r ‖ s ‖ v, and who is to be taken for their signer.
pub type Signers = BTreeMap<[u8; 65], Address>;

/// What a dev user has changed of the chain's rules.
#[derive(Clone, Default)]
struct Changes {
    chain_id: Option<u64>,
    signers: Option<Arc<Signers>>,
}

struct Parts {
    spec: Arc<ChainSpec>,
    changes: Shared<Changes>,
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
            changes: Shared::new(Changes::default()),
            codes: Cache::new(CODE_CACHE_MAX),
            images: Cache::new(IMAGE_CACHE_MAX),
            strip: Bytecode::new_legacy(opcodes.into()),
        }))
    }

    /// An engine for the same chain, with what dev users changed of it, that has nothing cached:
    /// whatever it runs, it asks for all code.
    pub fn without_caches(&self) -> Self {
        let fresh = Self::new(self.0.spec.clone());
        let changes = self.0.changes.with(|changes| changes.clone());
        fresh.0.changes.with(|own| *own = changes);
        fresh
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    /// The chain's id: the specification's, unless a dev user has set another.
    pub fn chain_id(&self) -> u64 {
        self.0.changes.with(|changes| changes.chain_id).unwrap_or_else(|| self.0.spec.chain_id())
    }

    /// Gives the chain another id, for what runs from now on.
    pub fn set_chain_id(&self, chain_id: u64) {
        self.0.changes.with(|changes| changes.chain_id = Some(chain_id));
    }

    /// Makes the ecrecover precompile answer `signer` for a signature of r ‖ s ‖ v, whatever was
    /// signed.
    pub fn set_signer(&self, signature: [u8; 65], signer: Address) {
        self.0.changes.with(|changes| {
            Arc::make_mut(changes.signers.get_or_insert_default()).insert(signature, signer);
        });
    }

    /// Signatures whose signer a dev user has set, if there are any.
    pub fn signers(&self) -> Option<Arc<Signers>> {
        self.0.changes.with(|changes| changes.signers.clone())
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

    /// The decoded image that `hash` stands for: keccak-256 of a deployed container, or BLAKE3 of
    /// the image alone.
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

#[cfg(test)]
mod tests {
    use genesis::{DevOptions, Genesis};

    use super::*;

    /// The smallest file that loads: a header, one segment's header, and four bytes of code.
    fn file(code: u32) -> Vec<u8> {
        let mut file = alloc::vec![0; 124];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &[2, 0, 243, 0, 1]);
        put(24, &0x1_0078_u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 1, 0, 64]);
        put(64, &[1, 0, 0, 0, 5]);
        for (at, value) in [(72, 0), (80, 0x1_0000u64), (88, 0x1_0000), (96, 124), (104, 124)] {
            put(at, &value.to_le_bytes());
        }
        put(112, &4096u64.to_le_bytes());
        put(120, &code.to_le_bytes());
        file
    }

    #[test]
    fn an_image_is_decoded_once_for_a_hash_and_all_clones() {
        let engine = Engine::new(Arc::new(Genesis::dev(DevOptions::default()).spec));
        let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let first = engine.image(one, &file(0x73)).unwrap();
        // The bytes are not even looked at again.
        let again = engine.clone().image(one, b"no ELF file").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(engine.image(two, b"no ELF file").is_err(), "what fails is not kept");
        let other = engine.image(two, &file(0x13)).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(engine.without_caches().image(one, b"no ELF file").is_err());
    }
}
