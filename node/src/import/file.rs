//! Files of blocks: one RLP list after the other, packed with gzip if the name ends in `.gz`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use alloy_consensus::{Block, TxEnvelope};
use alloy_rlp::{Decodable, Encodable};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::error::ImportError;

/// Most bytes of a block's RLP: several times what a block of any fork can have.
const BLOCK_MAX: u64 = 64 << 20;
/// The first byte of the shortest list, and of the shortest one whose length has bytes of its own.
const LIST: u8 = 0xc0;
const LONG_LIST: u8 = 0xf8;

/// Reads the blocks of a file one after the other.
pub struct BlockReader {
    path: PathBuf,
    source: Box<dyn Read + Send>,
    index: u64,
    offset: u64,
}

impl BlockReader {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let file = File::open(path)
            .map_err(|source| ImportError::File { path: path.to_owned(), source })?;
        let file = BufReader::new(file);
        let source: Box<dyn Read + Send> = if is_packed(path) {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self { path: path.to_owned(), source, index: 0, offset: 0 })
    }

    /// The next block and the size of its RLP, `None` at the end of the file.
    pub fn read(&mut self) -> Result<Option<(Block<TxEnvelope>, usize)>, ImportError> {
        let Some(bytes) = self.next_item()? else { return Ok(None) };
        let mut rest = bytes.as_slice();
        let block = Block::decode(&mut rest).map_err(|source| self.not_rlp(source))?;
        if !rest.is_empty() {
            return Err(self.not_rlp(alloy_rlp::Error::UnexpectedLength));
        }
        self.index += 1;
        self.offset += bytes.len() as u64;
        Ok(Some((block, bytes.len())))
    }

    /// The bytes of the next list.
    fn next_item(&mut self) -> Result<Option<Vec<u8>>, ImportError> {
        let mut bytes = Vec::new();
        if self.fill(&mut bytes, 1)? == 0 {
            return Ok(None);
        }
        let first = bytes[0];
        if first < LIST {
            return Err(self.not_rlp(alloy_rlp::Error::UnexpectedString));
        }
        let payload = if first < LONG_LIST {
            u64::from(first - LIST)
        } else {
            let length_size = usize::from(first - LONG_LIST) + 1;
            self.fill_all(&mut bytes, length_size as u64)?;
            let length = bytes[1..].iter();
            length.fold(0u64, |length, byte| {
                length.saturating_mul(256).saturating_add((*byte).into())
            })
        };
        let size = payload.saturating_add(bytes.len() as u64);
        if size > BLOCK_MAX {
            let (path, index, offset) = (self.path.clone(), self.index, self.offset);
            return Err(ImportError::TooLarge { path, index, offset, size, max: BLOCK_MAX });
        }
        self.fill_all(&mut bytes, payload)?;
        Ok(Some(bytes))
    }

    /// Reads `count` bytes more; fewer of them at the end of the file.
    fn fill(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<usize, ImportError> {
        let read = (&mut self.source).take(count).read_to_end(bytes);
        read.map_err(|source| ImportError::File { path: self.path.clone(), source })
    }

    fn fill_all(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<(), ImportError> {
        let size = bytes.len() as u64 + count;
        if self.fill(bytes, count)? as u64 == count {
            return Ok(());
        }
        let (path, index, offset) = (self.path.clone(), self.index, self.offset);
        Err(ImportError::CutOff { path, index, offset, has: bytes.len() as u64, size })
    }

    fn not_rlp(&self, source: alloy_rlp::Error) -> ImportError {
        let (path, index, offset) = (self.path.clone(), self.index, self.offset);
        ImportError::Rlp { path, index, offset, source }
    }
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Writes blocks to a file, which is there once all of it is written.
#[derive(Debug)]
pub struct BlockWriter {
    path: PathBuf,
    partial: PathBuf,
    sink: Sink,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Sink {
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

impl BlockWriter {
    /// Begins a file in the place of what is there.
    pub fn create(path: &Path) -> Result<Self, ImportError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial)
            .map_err(|source| ImportError::File { path: partial.clone(), source })?;
        let file = BufWriter::new(file);
        let sink = if is_packed(path) {
            Sink::Packed(GzEncoder::new(file, Compression::default()))
        } else {
            Sink::Plain(file)
        };
        Ok(Self { path: path.to_owned(), partial, sink, buffer: Vec::new() })
    }

    /// Adds a block.
    pub fn write(&mut self, block: &Block<TxEnvelope>) -> Result<(), ImportError> {
        self.buffer.clear();
        block.encode(&mut self.buffer);
        let written = match &mut self.sink {
            Sink::Plain(file) => file.write_all(&self.buffer),
            Sink::Packed(file) => file.write_all(&self.buffer),
        };
        written.map_err(|source| ImportError::File { path: self.partial.clone(), source })
    }

    /// Writes what is left, and gives the file its name.
    pub fn finish(self) -> Result<(), ImportError> {
        let Self { path, partial, sink, .. } = self;
        let finished = || -> io::Result<()> {
            let mut file = match sink {
                Sink::Plain(file) => file,
                Sink::Packed(file) => file.finish()?,
            };
            file.flush()?;
            file.get_ref().sync_all()?;
            fs::rename(&partial, &path)
        };
        finished().map_err(|source| ImportError::File { path: path.clone(), source })
    }
}

fn is_packed(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("gz"))
}
