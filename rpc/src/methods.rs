//! The table of methods: a name, and the function that answers it.

use crate::arguments::Arguments;
use crate::error::Reply;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{Methods, RegisterMethodError};
use serde::Serialize;
use std::future::Future;
use std::sync::Arc;

/// Collects methods under their names; `C` is what all of them use.
#[derive(Debug)]
pub(crate) struct Table<C> {
    pub(crate) module: RpcModule<C>,
    clash: Option<RegisterMethodError>,
}

impl<C: Send + Sync + 'static> Table<C> {
    /// An empty table over `context`.
    pub(crate) fn new(context: C) -> Self {
        Self { module: RpcModule::new(context), clash: None }
    }

    /// Adds a method that answers at once, on the connection's own thread: it does nothing slower
    /// than a few reads.
    pub(crate) fn quick<T>(&mut self, name: &'static str, method: fn(&C, Arguments) -> Reply<T>)
    where
        T: Serialize + Clone + 'static,
    {
        let added = self.module.register_method(name, move |params, context, _| {
            method(context, Arguments::new(&params)?)
        });
        self.clash = self.clash.take().or(added.err());
    }

    /// Adds a method that waits for others.
    pub(crate) fn task<T, F>(&mut self, name: &'static str, method: fn(Arc<C>, Arguments) -> F)
    where
        T: Serialize + Clone + 'static,
        F: Future<Output = Reply<T>> + Send + 'static,
    {
        let added = self.module.register_async_method(name, move |params, context, _| async move {
            method(context, Arguments::new(&params)?).await
        });
        self.clash = self.clash.take().or(added.err());
    }

    /// Gives a method more names.
    pub(crate) fn aliases(&mut self, aliases: &[(&'static str, &'static str)]) {
        for (alias, name) in aliases {
            let added = self.module.register_alias(alias, name);
            self.clash = self.clash.take().or(added.err());
        }
    }

    /// Adds methods that were made elsewhere.
    pub(crate) fn result(&mut self, added: Result<(), RegisterMethodError>) {
        self.clash = self.clash.take().or(added.err());
    }

    /// The methods, or the first name that was taken already.
    pub(crate) fn finish(self) -> Result<Methods, RegisterMethodError> {
        match self.clash {
            Some(clash) => Err(clash),
            None => Ok(self.module.into()),
        }
    }
}
