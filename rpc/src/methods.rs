//! The table of methods: a name, and the function that answers it.
//!
//! A [`Call`] appends its result to the bytes that go out.

use crate::arguments::Arguments;
use crate::connection::{Feed, Notifier};
use crate::error::{Reply, RpcError};
use crate::forked;
use alloy_primitives::{Bytes, hex};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;

/// Bytes that are made digits at a time.
const HEX_CHUNK: usize = 1_024;

/// Every method of a profile. Clones are handles to the same one.
#[derive(Clone)]
pub struct MethodTable(pub(crate) Arc<HashMap<&'static str, Method>>);

/// What stands behind a name.
#[derive(Clone)]
pub(crate) enum Method {
    /// A function.
    Call(Call),
    /// A subscription.
    Subscribe(Subscribe),
    /// The end of one.
    Unsubscribe,
}

/// Begins to tell a connection things.
#[derive(Clone)]
pub(crate) struct Subscribe {
    /// The method of its notifications.
    pub(crate) notification: &'static str,
    /// The method that ends it.
    pub(crate) end: &'static str,
    /// Reads its arguments, and gives what is told once the answer is on its way.
    pub(crate) begin: Arc<dyn Fn(Arguments, Notifier) -> Beginning + Send + Sync>,
}

type Beginning = Pin<Box<dyn Future<Output = Reply<Feed>> + Send>>;

/// Two methods have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two methods are called {0}")]
pub struct NameTaken(&'static str);

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
    pub(crate) fn with(mut self, result: Reply<impl Serialize>) -> Answered {
        let max = self.bytes_max;
        let written = result.and_then(|value| {
            let mut to = serde_json::Serializer::with_formatter(&mut self, PlainHex);
            value.serialize(&mut to).map_err(|error| {
                if error.is_io() { RpcError::too_long(max) } else { RpcError::internal(error) }
            })
        });
        (self, written)
    }
}

/// Bytes as `0x` and hex digits, in which serde_json would look for characters to escape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Bytes);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Writes JSON as serde_json does, and [`Hex`].
struct PlainHex;

impl Formatter for PlainHex {
    fn write_byte_array<W: Write + ?Sized>(&mut self, out: &mut W, bytes: &[u8]) -> io::Result<()> {
        let mut digits = [0; 2 * HEX_CHUNK];
        out.write_all(b"\"0x")?;
        for chunk in bytes.chunks(HEX_CHUNK) {
            let digits = &mut digits[..2 * chunk.len()];
            hex::encode_to_slice(chunk, digits).map_err(io::Error::other)?;
            out.write_all(digits)?;
        }
        out.write_all(b"\"")
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
    /// What stands behind a name, and the name.
    pub(crate) fn find(&self, name: &str) -> Option<(&'static str, &Method)> {
        self.0.get_key_value(name).map(|(name, method)| (*name, method))
    }
}

impl fmt::Debug for MethodTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodTable").field("methods", &self.0.len()).finish_non_exhaustive()
    }
}

/// Collects methods under their names; `C` is what all of them use.
pub(crate) struct Table<C> {
    context: Arc<C>,
    methods: HashMap<&'static str, Method>,
    /// Asked before a method that another node may have to answer.
    forward: Forward<C>,
    clash: Option<NameTaken>,
}

/// Another node's answer to a request, if that one has to answer.
pub(crate) type Forward<C> = fn(&C, &str, &Arguments) -> Option<Reply<Box<RawValue>>>;

/// What a method gives, or another node in its place.
#[derive(Serialize)]
#[serde(untagged)]
enum Given<T> {
    Own(T),
    Forwarded(Box<RawValue>),
}

impl<C: Send + Sync + 'static> Table<C> {
    /// An empty table over `context`.
    pub(crate) fn new(context: C) -> Self {
        let (context, methods) = (Arc::new(context), HashMap::new());
        Self { context, methods, forward: |_, _, _| None, clash: None }
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
        T: Serialize + 'static,
    {
        let forward = self.forward_of(name);
        let own = move |context: &C, arguments: Arguments| match forward
            .and_then(|forward| forward(context, name, &arguments))
        {
            Some(answer) => answer.map(Given::Forwarded),
            None => method(context, arguments).map(Given::Own),
        };
        let context = Arc::clone(&self.context);
        let call =
            move |arguments, answer: Answer| Step::Done(answer.with(own(&context, arguments)));
        self.add(name, Method::Call(Arc::new(call)));
    }

    /// Adds a method that waits for others.
    pub(crate) fn task<T, F>(&mut self, name: &'static str, method: fn(Arc<C>, Arguments) -> F)
    where
        T: Serialize + 'static,
        F: Future<Output = Reply<T>> + Send + 'static,
    {
        let forward = self.forward_of(name);
        let own = move |context: Arc<C>, arguments: Arguments| async move {
            match forward.and_then(|forward| forward(&context, name, &arguments)) {
                Some(answer) => answer.map(Given::Forwarded),
                None => method(context, arguments).await.map(Given::Own),
            }
        };
        let context = Arc::clone(&self.context);
        let call = move |arguments, answer: Answer| {
            let result = own(Arc::clone(&context), arguments);
            Step::Waits(Box::pin(async move { answer.with(result.await) }))
        };
        self.add(name, Method::Call(Arc::new(call)));
    }

    /// Adds a subscription, whose notifications are called `notification`, and the method that
    /// ends it.
    pub(crate) fn subscription<F, S>(
        &mut self,
        [name, notification, end]: [&'static str; 3],
        begin: impl Fn(Arc<C>, Arguments, Notifier) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Reply<S>> + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let context = Arc::clone(&self.context);
        let begin = move |arguments, notifier| -> Beginning {
            let begun = begin(Arc::clone(&context), arguments, notifier);
            Box::pin(async move { Ok(Box::pin(begun.await?) as Feed) })
        };
        self.add(name, Method::Subscribe(Subscribe { notification, end, begin: Arc::new(begin) }));
        self.add(end, Method::Unsubscribe);
    }

    /// Gives a method more names.
    pub(crate) fn aliases(&mut self, aliases: &[(&'static str, &'static str)]) {
        for (alias, name) in aliases {
            if let Some(method) = self.methods.get(name).cloned() {
                self.add(alias, method);
            }
        }
    }

    fn add(&mut self, name: &'static str, method: Method) {
        if self.methods.insert(name, method).is_some() {
            self.clash.get_or_insert(NameTaken(name));
        }
    }

    /// The methods, or the first name that was taken already.
    pub(crate) fn finish(self) -> Result<MethodTable, NameTaken> {
        self.clash.map_or_else(|| Ok(MethodTable(Arc::new(self.methods))), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_written_as_bytes_are() {
        for length in [0, 1, 31, HEX_CHUNK - 1, HEX_CHUNK, 3 * HEX_CHUNK + 7] {
            let bytes: Bytes = (0..length).map(|n| (n * 7) as u8).collect();
            let (answer, written) =
                Answer::new(b"x".to_vec(), 1 << 20).with(Ok(Some(Hex(bytes.clone()))));
            assert!(written.is_ok());
            let want = format!("x{}", serde_json::to_string(&bytes).unwrap());
            assert_eq!(String::from_utf8(answer.into_text()).unwrap(), want);
        }
        let (_, written) = Answer::new(Vec::new(), 10).with(Ok(Hex(vec![1; 5].into())));
        assert_eq!(written, Err(RpcError::too_long(10)));
    }
}
