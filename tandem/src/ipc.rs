//! JSON-RPC over a Unix socket: the same methods as on the port.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rpc::Server;
use tokio::{
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

/// A socket that is served. Its file is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Ipc {
    path: PathBuf,
    task: JoinHandle<()>,
}

/// Serves the methods of `server` at `path`.
pub(crate) async fn listen(path: &Path, server: &Server) -> io::Result<Ipc> {
    remove_stale(path).await?;
    let listener = UnixListener::bind(path)?;
    let (methods, limits) = (server.methods(), server.limits());
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let methods = methods.clone();
                    connections.spawn(async move {
                        if let Err(error) = rpc::serve_stream(methods, limits, stream).await {
                            tracing::debug!(%error, "ipc connection");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "ipc");
                    // Without free file descriptors accepting again at once would spin.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(Ipc { path: path.to_owned(), task })
}

/// A socket that a killed node left behind answers nobody and may go.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

impl Drop for Ipc {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "ipc");
        }
    }
}
