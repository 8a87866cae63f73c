//! RISC-V code for users: how to deploy an image, what an account runs, its listing.

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use genesis::{CREATE2_DEPLOYER, Container, ContainerError};
use vm::riscv::{Image, ImageError, Line, disassemble};

use crate::chain::{Chain, blocking};
use crate::error::QueryError;

/// What to deploy.
#[derive(Clone, Debug, Default)]
pub struct DeployRequest {
    /// The image: an ELF file, or a container without arguments.
    pub image: Bytes,
    /// The constructor's arguments.
    pub args: Bytes,
    /// Deploys through the CREATE2 deployer, to an address that the sender has no part in.
    pub salt: Option<B256>,
}

/// The transaction that deploys a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Whom it goes to; a creation if `None`.
    pub to: Option<Address>,
    /// Its input.
    pub input: Bytes,
    /// Where the contract will be; of a plain creation that depends on sender and nonce.
    pub address: Option<Address>,
}

impl Deployment {
    /// Where the contract will be if `sender` sends the transaction with `nonce`.
    pub fn address_for(&self, sender: Address, nonce: u64) -> Address {
        self.address.unwrap_or_else(|| sender.create(nonce))
    }
}

/// What an account's RISC-V code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// Hash of the code, as EXTCODEHASH gives it.
    pub code_hash: B256,
    /// Size of the code.
    pub code_size: usize,
    /// Hash of the image alone: the same for all contracts deployed from it.
    pub image_hash: B256,
    /// Size of the image.
    pub image_size: usize,
    /// The tail: constructor arguments or immutable values.
    pub tail: Bytes,
    /// Where it starts.
    pub entry: u64,
    /// Its segments.
    pub segments: Vec<SegmentInfo>,
}

/// A segment of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Address of its first byte.
    pub start: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Whether stores are allowed.
    pub writable: bool,
    /// Whether instructions are fetched from it.
    pub executable: bool,
}

/// Why RISC-V code cannot be deployed or shown.
#[derive(Debug, thiserror::Error)]
pub enum RiscvError {
    /// The container is malformed.
    #[error("RISC-V container: {0}")]
    Container(#[from] ContainerError),
    /// The image is not one that the engine runs.
    #[error("RISC-V image: {0}")]
    Image(#[from] ImageError),
    /// The image is larger than the chain allows.
    #[error("RISC-V image of {size} bytes exceeds the limit of {max} bytes")]
    ImageSize {
        /// Its size.
        size: usize,
        /// The chain's limit.
        max: u32,
    },
    /// The image with its arguments is larger than the chain allows.
    #[error("RISC-V init code of {size} bytes exceeds the limit of {max} bytes")]
    InitCodeSize {
        /// Its size.
        size: usize,
        /// The chain's limit.
        max: u32,
    },
    /// There is no CREATE2 deployer on this chain.
    #[error("no CREATE2 deployer at {CREATE2_DEPLOYER}: deploy without a salt")]
    NoDeployer,
    /// The state could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl Chain {
    /// The transaction that deploys an image, once the image has proved good.
    pub async fn deployment(&self, request: DeployRequest) -> Result<Deployment, RiscvError> {
        let chain = self.clone();
        let (container, salt) = blocking(move || {
            let salt = request.salt;
            chain.container(&request).map(|container| (container, salt))
        })
        .await
        .map_err(QueryError::from)??;
        let Some(salt) = salt else {
            return Ok(Deployment { to: None, input: container.into(), address: None });
        };
        let state = self.state(BlockId::latest()).await?;
        if state.code(CREATE2_DEPLOYER).map_err(QueryError::from)?.is_empty() {
            return Err(RiscvError::NoDeployer);
        }
        let address = CREATE2_DEPLOYER.create2(salt, keccak256(&container));
        let input = [salt.as_slice(), &container].concat().into();
        Ok(Deployment { to: Some(CREATE2_DEPLOYER), input, address: Some(address) })
    }

    /// Joins image and arguments after checking the image as a deployment would.
    fn container(&self, request: &DeployRequest) -> Result<Vec<u8>, RiscvError> {
        let limits = &self.spec().riscv;
        let given = if genesis::container::is_container(&request.image) {
            Container::parse(&request.image)?
        } else {
            Container { image: &request.image, tail: &[] }
        };
        let (size, max) = (given.image.len(), limits.image_size_max);
        if size as u64 > u64::from(max) {
            return Err(RiscvError::ImageSize { size, max });
        }
        Image::load(given.image, &limits.gas)?;
        let tail = [given.tail, &request.args].concat();
        let code = Container { image: given.image, tail: &tail }.encode()?;
        let (size, max) = (code.len(), limits.init_code_size_max);
        if size as u64 > u64::from(max) {
            return Err(RiscvError::InitCodeSize { size, max });
        }
        Ok(code)
    }

    /// What the RISC-V code of `address` is; `None` if it has none.
    pub async fn code_info(
        &self,
        address: Address,
        id: BlockId,
    ) -> Result<Option<CodeInfo>, RiscvError> {
        let code = self.state(id).await?.code(address).map_err(QueryError::from)?;
        if !genesis::container::is_container(&code) {
            return Ok(None);
        }
        let Container { image, tail } = Container::parse(&code)?;
        let loaded = Image::load(image, &self.spec().riscv.gas)?;
        let segments = loaded.segments().iter();
        Ok(Some(CodeInfo {
            code_hash: keccak256(&code),
            code_size: code.len(),
            image_hash: keccak256(image),
            image_size: image.len(),
            tail: Bytes::copy_from_slice(tail),
            entry: loaded.entry(),
            segments: segments
                .map(|segment| SegmentInfo {
                    start: segment.start,
                    size: segment.size,
                    writable: segment.writable,
                    executable: segment.executable,
                })
                .collect(),
        }))
    }

    /// The listing of an image or container.
    pub async fn disassemble(&self, code: Bytes) -> Result<Vec<Line>, RiscvError> {
        let gas = self.spec().riscv.gas.clone();
        let listing = blocking(move || {
            let image = match genesis::container::is_container(&code) {
                true => Container::parse(&code)?.image,
                false => &code,
            };
            let image = Image::load(image, &gas)?;
            Ok(disassemble(&image).collect())
        });
        listing.await.map_err(QueryError::from)?
    }
}
