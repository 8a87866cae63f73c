//! The table of methods: a name, and the function that answers it.
//!
//! jsonrpsee has every method, for sockets; its way from a request to a function and back parses
//! each answer once more and copies it twice. HTTP and IPC call the functions themselves: a
//! [`Call`] appends its result to the bytes that go out.

use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::forked;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{Methods, RegisterMethodError};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;

/// Every method of a profile. Clones are handles to the same one.
#[derive(Clone)]
pub struct MethodTable {
    /// For sockets.
    pub(crate) methods: Methods,
    /// The functions, without subscriptions.
    calls: Arc<HashMap<&'static str, Call>>,
}

/// A method's function: takes its arguments, and what its result is appended to.
pub(crate) type Call = Arc<dyn Fn(Arguments, Answer) -> Step + Send + Sync>;

/// How far a call has come.
pub(crate) enum Step {
    /// To its end.
    Done(Answered),
    /// It waits for others.
    Waits(Pin<Box<dyn Future<Output = Answered> + Send>>),
}

/// The answer, and whether there is a result in it.
pub(crate) type Answered = (Answer, Reply<()>);

/// Bytes on their way out, up to a limit.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What there is so far.
    text: Vec<u8>,
    /// Where the result begins.
    start: usize,
    /// How long the result may become.
    bytes_max: usize,
}

impl Answer {
    /// An answer whose result comes behind `text`.
    pub(crate) fn new(text: Vec<u8>, bytes_max: usize) -> Self {
        Self { start: text.len(), text, bytes_max }
    }

    /// What there is by now.
    pub(crate) fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// Appends a result, or keeps the error.
    fn with(mut self, result: Reply<impl Serialize>) -> Answered {
        let max = self.bytes_max;
        let written = result.and_then(|value| {
            serde_json::to_writer(&mut self, &value).map_err(|error| {
                if error.is_io() { RpcError::too_long(max) } else { RpcError::internal(error) }
            })
        });
        (self, written)
    }
}

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() - self.start + bytes.len() > self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MethodTable {
    /// The function of a method, and its name.
    pub(crate) fn find(&self, name: &str) -> Option<(&'static str, &Call)> {
        self.calls.get_key_value(name).map(|(name, call)| (*name, call))
    }
}

impl fmt::Debug for MethodTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodTable").field("methods", &self.calls.len()).finish_non_exhaustive()
    }
}

/// Collects methods under their names; `C` is what all of them use.
pub(crate) struct Table<C> {
    pub(crate) module: RpcModule<C>,
    context: Arc<C>,
    calls: HashMap<&'static str, Call>,
    /// Asked before a method that another node may have to answer.
    forward: Forward<C>,
    clash: Option<RegisterMethodError>,
}

/// Another node's answer to a request, if that one has to answer.
pub(crate) type Forward<C> = fn(&C, &str, &Arguments) -> Option<Reply<Box<RawValue>>>;

/// What a method gives, or another node in its place.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Given<T> {
    Own(T),
    Forwarded(Box<RawValue>),
}

impl<C: Send + Sync + 'static> Table<C> {
    /// An empty table over `context`.
    pub(crate) fn new(context: C) -> Self {
        let context = Arc::new(context);
        let module = RpcModule::from_arc(Arc::clone(&context));
        let calls = HashMap::new();
        Self { module, context, calls, forward: |_, _, _| None, clash: None }
    }

    /// Lets `forward` answer requests before the methods do that are added after this.
    pub(crate) fn forwarding(self, forward: Forward<C>) -> Self {
        Self { forward, ..self }
    }

    /// Who is asked before the method of this name.
    fn forward_of(&self, name: &str) -> Option<Forward<C>> {
        forked::may_forward(name).then_some(self.forward)
    }

    /// Adds a method that answers at once, on the connection's own thread: it does nothing slower
    /// than a few reads.
    pub(crate) fn quick<T>(&mut self, name: &'static str, method: fn(&C, Arguments) -> Reply<T>)
    where
        T: Serialize + Clone + 'static,
    {
        let forward = self.forward_of(name);
        let own = move |context: &C, arguments: Arguments| match forward
            .and_then(|forward| forward(context, name, &arguments))
        {
            Some(answer) => answer.map(Given::Forwarded),
            None => method(context, arguments).map(Given::Own),
        };
        let added = self.module.register_method(name, move |params, context, _| {
            own(context, Arguments::new(&params)?)
        });
        self.clash = self.clash.take().or(added.err());
        let context = Arc::clone(&self.context);
        let call =
            move |arguments, answer: Answer| Step::Done(answer.with(own(&context, arguments)));
        self.calls.insert(name, Arc::new(call));
    }

    /// Adds a method that waits for others.
    pub(crate) fn task<T, F>(&mut self, name: &'static str, method: fn(Arc<C>, Arguments) -> F)
    where
        T: Serialize + Clone + 'static,
        F: Future<Output = Reply<T>> + Send + 'static,
    {
        let forward = self.forward_of(name);
        let own = move |context: Arc<C>, arguments: Arguments| async move {
            match forward.and_then(|forward| forward(&context, name, &arguments)) {
                Some(answer) => answer.map(Given::Forwarded),
                None => method(context, arguments).await.map(Given::Own),
            }
        };
        let added = self.module.register_async_method(name, move |params, context, _| async move {
            own(context, Arguments::new(&params)?).await
        });
        self.clash = self.clash.take().or(added.err());
        let context = Arc::clone(&self.context);
        let call = move |arguments, answer: Answer| {
            let result = own(Arc::clone(&context), arguments);
            Step::Waits(Box::pin(async move { answer.with(result.await) }))
        };
        self.calls.insert(name, Arc::new(call));
    }

    /// Gives a method more names.
    pub(crate) fn aliases(&mut self, aliases: &[(&'static str, &'static str)]) {
        for (alias, name) in aliases {
            let added = self.module.register_alias(alias, name);
            self.clash = self.clash.take().or(added.err());
            if let Some(call) = self.calls.get(name).cloned() {
                self.calls.insert(alias, call);
            }
        }
    }

    /// Adds methods that were made elsewhere.
    pub(crate) fn result(&mut self, added: Result<(), RegisterMethodError>) {
        self.clash = self.clash.take().or(added.err());
    }

    /// The methods, or the first name that was taken already.
    pub(crate) fn finish(self) -> Result<MethodTable, RegisterMethodError> {
        match self.clash {
            Some(clash) => Err(clash),
            None => Ok(MethodTable { methods: self.module.into(), calls: Arc::new(self.calls) }),
        }
    }
}
