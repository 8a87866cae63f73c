//! The chain from and to files on the node's machine, under geth's names.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_primitives::U64;
use node::import::{ExportRange, ImportError};
use std::path::PathBuf;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("admin_importChain", import_chain);
    table.task("admin_exportChain", export_chain);
}

async fn import_chain(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let file: PathBuf = arguments.required("file")?;
    api.chain.import_file(file).await?;
    Ok(true)
}

async fn export_chain(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let file: PathBuf = arguments.required("file")?;
    let mut number = |name| -> Reply<Option<u64>> {
        Ok(arguments.optional::<U64>(name)?.map(|number| number.to()))
    };
    let range = ExportRange { first: number("first")?, last: number("last")? };
    if range.first.is_none() && range.last.is_some() {
        return Err(RpcError::server("last cannot be specified without first"));
    }
    if file.exists() {
        return Err(RpcError::server("location would overwrite an existing file"));
    }
    api.chain.export_file(file, range).await?;
    Ok(true)
}

impl From<ImportError> for RpcError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Failure(failure) => failure.into(),
            error => Self::server(error),
        }
    }
}
