//! What was fetched of another chain: rows in a database of its own, which processes share.

use crate::{
    StoreError,
    mdbx::{Env, Meaning, Rows, Size, Sync, Table},
    store::LAZY_SYNC,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

/// Bytes that a cache may grow to.
const SIZE_MAX: u64 = 1 << 38;
const GROWTH_STEP: u64 = 1 << 20;
const TABLE: &str = "fetched";

/// The open caches: the library opens a file once in a process.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<ForkCache>>>> = Mutex::new(None);

/// Rows that were fetched. They never change: they belong to one block of another chain.
#[derive(Debug)]
pub struct ForkCache {
    env: Env,
    table: Table,
}

impl ForkCache {
    /// Opens or makes the cache in a directory.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        let io = |source| StoreError::Io { path: path.into(), source };
        fs::create_dir_all(path).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let mut open = OPEN.lock();
        let open = open.get_or_insert_default();
        if let Some(cache) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(cache);
        }
        let cache = Arc::new(Self::open_env(&path, Sync::Lazy(LAZY_SYNC))?);
        open.insert(path, Arc::downgrade(&cache));
        Ok(cache)
    }

    /// Makes a cache that is gone with the process.
    pub fn temporary() -> Result<Arc<Self>, StoreError> {
        let io = |source| StoreError::Io { path: std::env::temp_dir(), source };
        let directory = tempfile::Builder::new().prefix("tandem-").tempdir().map_err(io)?;
        let cache = Self::open_env(directory.path(), Sync::Never)?;
        directory.close().map_err(io)?;
        Ok(Arc::new(cache))
    }

    fn open_env(path: &Path, sync: Sync) -> Result<Self, StoreError> {
        let size = Size { max: SIZE_MAX, growth_step: GROWTH_STEP };
        let env = Env::open(path, sync, size)?;
        let tx = env.write()?;
        let table = tx.make_table(TABLE, Rows::Unique)?;
        tx.commit()?;
        Ok(Self { env, table })
    }

    /// Returns a row.
    pub fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tx = self.env.read()?;
        Ok(tx.value(self.table, key)?.map(|row| row.into_owned()))
    }

    /// Keeps rows.
    pub fn keep(&self, rows: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        let full = |error: crate::mdbx::Error| match error.meaning() {
            Meaning::Full => StoreError::Full { size_max: SIZE_MAX },
            _ => error.into(),
        };
        let tx = self.env.write()?;
        for (key, value) in rows {
            tx.put(self.table, key, value).map_err(full)?;
        }
        tx.commit().map_err(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_within_a_process_and_outlive_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = ForkCache::open(directory.path()).unwrap();
        let second = ForkCache::open(&directory.path().join(".")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        first.keep(&[(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), Vec::new())]).unwrap();
        assert_eq!(second.find(b"a").unwrap(), Some(b"1".to_vec()));
        drop((first, second));
        let again = ForkCache::open(directory.path()).unwrap();
        assert_eq!(again.find(b"b").unwrap(), Some(Vec::new()));
        assert_eq!(again.find(b"c").unwrap(), None);
    }

    #[test]
    fn a_temporary_cache_leaves_nothing() {
        let cache = ForkCache::temporary().unwrap();
        cache.keep(&[(b"a".to_vec(), b"1".to_vec())]).unwrap();
        assert_eq!(cache.find(b"a").unwrap(), Some(b"1".to_vec()));
    }
}
