//! The form of RISC-V code in an account and of RISC-V init code: magic, version, image, tail.
//!
//! `docs/spec/riscv-abi.md`, section 1.

use alloc::vec::Vec;

/// The bytes that RISC-V code starts with. Since London no EVM code starts with `0xef` (EIP-3541).
pub const MAGIC: [u8; 3] = [0xEF, 0x52, 0x56];

/// The container version that this code reads and writes.
pub const VERSION: u8 = 1;

/// Bytes before the image: magic, version, and the image's length.
pub const HEADER_SIZE: usize = 8;

/// A parsed container: the image and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// The ELF file.
    pub image: &'a [u8],
    /// Constructor arguments in init code, immutable values in deployed code.
    pub tail: &'a [u8],
}

/// Why bytes are no container, or can't become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// The code does not start with [`MAGIC`].
    #[error("code does not start with the RISC-V magic 0xef5256")]
    Magic,
    /// The code ends inside the header.
    #[error("container of {size} bytes is shorter than its header of 8 bytes")]
    Header {
        /// Bytes there are.
        size: usize,
    },
    /// The version is not one that this node knows.
    #[error("container version {version} is not known, only version 1 is")]
    Version {
        /// The version byte found.
        version: u8,
    },
    /// The header promises a longer image than there is.
    #[error("container promises an image of {promised} bytes but holds {held}")]
    Truncated {
        /// Image length in the header.
        promised: u32,
        /// Bytes after the header.
        held: usize,
    },
    /// The image does not fit the header's length field.
    #[error("image of {size} bytes does not fit a container, at most 4294967295 do")]
    ImageSize {
        /// Bytes of the image.
        size: usize,
    },
}

/// Whether code runs on the RISC-V machine (from London on), be it well-formed or not.
pub fn is_container(code: &[u8]) -> bool {
    code.starts_with(&MAGIC)
}

impl<'a> Container<'a> {
    /// Splits code into image and tail.
    pub fn parse(code: &'a [u8]) -> Result<Self, ContainerError> {
        let rest = code.strip_prefix(&MAGIC).ok_or(ContainerError::Magic)?;
        let Some((&[version, a, b, c, d], body)) = rest.split_first_chunk::<5>() else {
            return Err(ContainerError::Header { size: code.len() });
        };
        if version != VERSION {
            return Err(ContainerError::Version { version });
        }
        let promised = u32::from_be_bytes([a, b, c, d]);
        usize::try_from(promised)
            .ok()
            .and_then(|len| body.split_at_checked(len))
            .map(|(image, tail)| Self { image, tail })
            .ok_or(ContainerError::Truncated { promised, held: body.len() })
    }

    /// Joins image and tail into code.
    pub fn encode(&self) -> Result<Vec<u8>, ContainerError> {
        let size = self.image.len();
        let length = u32::try_from(size).map_err(|_| ContainerError::ImageSize { size })?;
        let mut code = Vec::with_capacity(HEADER_SIZE + size + self.tail.len());
        code.extend_from_slice(&MAGIC);
        code.push(VERSION);
        code.extend_from_slice(&length.to_be_bytes());
        code.extend_from_slice(self.image);
        code.extend_from_slice(self.tail);
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(code: &[u8], expected: Result<(&[u8], &[u8]), ContainerError>) {
        assert_eq!(Container::parse(code).map(|c| (c.image, c.tail)), expected, "{code:02x?}");
    }

    #[test]
    fn parse_splits_image_and_tail() {
        check(&[0xEF, 0x52, 0x56, 1, 0, 0, 0, 2, 7, 8], Ok((&[7, 8], &[])));
        check(&[0xEF, 0x52, 0x56, 1, 0, 0, 0, 2, 7, 8, 9], Ok((&[7, 8], &[9])));
        check(&[0xEF, 0x52, 0x56, 1, 0, 0, 0, 0], Ok((&[], &[])));
    }

    #[test]
    fn parse_names_what_is_wrong() {
        check(&[], Err(ContainerError::Magic));
        check(&[0xEF, 0x52], Err(ContainerError::Magic));
        check(&[0xEF, 0x01, 0x00, 1, 0, 0, 0, 0], Err(ContainerError::Magic));
        check(&[0xEF, 0x52, 0x56], Err(ContainerError::Header { size: 3 }));
        check(&[0xEF, 0x52, 0x56, 1, 0, 0, 0], Err(ContainerError::Header { size: 7 }));
        check(&[0xEF, 0x52, 0x56, 2, 0, 0, 0, 0], Err(ContainerError::Version { version: 2 }));
        check(
            &[0xEF, 0x52, 0x56, 1, 0, 0, 0, 3, 7, 8],
            Err(ContainerError::Truncated { promised: 3, held: 2 }),
        );
        check(
            &[0xEF, 0x52, 0x56, 1, 0xFF, 0xFF, 0xFF, 0xFF],
            Err(ContainerError::Truncated { promised: u32::MAX, held: 0 }),
        );
    }

    proptest! {
        #[test]
        fn encode_and_parse_are_inverse(image: Vec<u8>, tail: Vec<u8>) {
            let container = Container { image: &image, tail: &tail };
            let code = container.encode().unwrap();
            prop_assert!(is_container(&code));
            prop_assert_eq!(code.len(), HEADER_SIZE + image.len() + tail.len());
            prop_assert_eq!(Container::parse(&code), Ok(container));
        }

        #[test]
        fn parse_never_panics_and_keeps_every_byte(
            head in prop::sample::select(std::vec![&MAGIC[..], &[0xEF, 0x52, 0x56, 1][..], &[][..]]),
            rest: Vec<u8>,
        ) {
            let code = [head, &rest].concat();
            if let Ok(container) = Container::parse(&code) {
                prop_assert_eq!(container.encode(), Ok(code));
            }
        }
    }
}
