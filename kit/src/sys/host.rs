//! The node's part in builds for the machine at hand: a small world in memory, one a thread.
//!
//! A node in earnest takes its place for who [`attach`]es one: `tandem-kit-test` runs contracts so
//! over the engine.
//!
//! [`run`] runs a contract's code as a frame and says how it ended. What it reads (caller, value,
//! calldata, storage, time) and what it leaves (storage, logs, calls, text) is the [`World`], seen
//! through [`with`]. Calls to other contracts get the answers that the test has put there.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::{Address, Word};

/// How a frame ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By RETURN, or by STOP without data.
    Returned(Vec<u8>),
    /// By REVERT.
    Reverted(Vec<u8>),
    /// By DEPLOY, with this tail.
    Deployed(Vec<u8>),
    /// By INVALID.
    Halted,
    /// By SELFDESTRUCT, with this heir.
    Destroyed(Address),
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The topics.
    pub topics: Vec<Word>,
    /// The data.
    pub data: Vec<u8>,
}

/// A call or a creation that the contract made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The number of the system call: 0xf1 for CALL, and so on.
    pub number: u64,
    /// The callee; zero for a creation.
    pub to: Address,
    /// The wei sent with it.
    pub value: Word,
    /// Calldata or init code.
    pub input: Vec<u8>,
}

/// What a frame sees and changes.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Calldata.
    pub calldata: Vec<u8>,
    /// The constructor's arguments, or the immutable values.
    pub tail: Vec<u8>,
    /// Results of calls that take nothing, by number: 0x33 is CALLER. Zero unless set.
    pub words: BTreeMap<u64, Word>,
    /// Numbers that calls give that take nothing: 0x42 is TIMESTAMP. Zero unless set.
    pub numbers: BTreeMap<u64, u64>,
    /// Storage.
    pub storage: BTreeMap<[u8; 32], Word>,
    /// Transient storage.
    pub transient: BTreeMap<[u8; 32], Word>,
    /// The running code.
    pub code: Vec<u8>,
    /// The code of other accounts.
    pub codes: BTreeMap<[u8; 32], Vec<u8>>,
    /// Logs, in order.
    pub logs: Vec<Log>,
    /// Calls and creations made, in order.
    pub sent: Vec<Sent>,
    /// The answers to the next of them: whether it works, and the return data (of a creation: the
    /// address in 32 bytes). Without an answer a call fails.
    pub answers: VecDeque<(bool, Vec<u8>)>,
    /// What the last call returned.
    pub return_data: Vec<u8>,
    /// What was printed.
    pub printed: Vec<String>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::default());
    static NODE: RefCell<Option<Box<dyn Node>>> = const { RefCell::new(None) };
}

/// An argument of a system call, as it stands in its register.
#[derive(Debug)]
pub enum Arg<'a> {
    /// A number.
    Number(u64),
    /// A pointer to bytes that the node reads.
    In(&'a [u8]),
    /// A pointer to bytes that the node writes.
    Out(&'a mut [u8]),
}

/// What serves a contract's system calls.
pub trait Node {
    /// Serves the system call of this number, and answers what stands in `a0` after it. A call that
    /// ends the frame does not come back: it ends in a panic with [`Ended`] or with the node's own.
    fn serve(&mut self, number: u64, args: &mut [Arg<'_>]) -> u64;
}

/// From now on `node` serves this thread's system calls.
pub fn attach(node: Box<dyn Node>) {
    NODE.with(|place| *place.borrow_mut() = Some(node));
}

/// What the attached node answers; `None` without one.
fn ask(number: u64, args: &mut [Arg<'_>]) -> Option<u64> {
    NODE.with(|node| node.borrow_mut().as_mut().map(|node| node.serve(number, args)))
}

/// The word that the attached node writes to the last argument; `None` without a node.
fn ask_word(number: u64, arg: Option<Arg<'_>>) -> Option<Word> {
    let mut word = Word::ZERO;
    let out = Arg::Out(word.bytes_mut());
    match arg {
        Some(arg) => ask(number, &mut [arg, out])?,
        None => ask(number, &mut [out])?,
    };
    Some(word)
}

/// Looks at this thread's world, or changes it.
pub fn with<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with(|world| look(&mut world.borrow_mut()))
}

/// Runs `contract` as a frame. If it reverts or halts, storage and logs are as before.
pub fn run(contract: impl FnOnce()) -> Ended {
    let before = with(|world| world.clone());
    let ended = match catch_unwind(AssertUnwindSafe(contract)) {
        Ok(()) => Ended::Returned(Vec::new()),
        Err(payload) => match payload.downcast::<Ended>() {
            Ok(ended) => *ended,
            // A panic: the test's.
            Err(payload) => resume_unwind(payload),
        },
    };
    if matches!(ended, Ended::Reverted(_) | Ended::Halted) {
        with(|world| {
            world.storage = before.storage;
            world.transient = before.transient;
            world.logs = before.logs;
        });
    }
    ended
}

/// The functions that `guest` has too.
pub(crate) mod calls {
    use super::{Arg, Ended, Log, Sent, ask, ask_word, with};
    use crate::sys::{Message, number as id};
    use crate::{Address, Word};

    pub(crate) fn word(number: u64) -> Word {
        if let Some(word) = ask_word(number, None) {
            return word;
        }
        with(|world| world.words.get(&number).copied().unwrap_or_default())
    }

    pub(crate) fn number(number: u64) -> u64 {
        if let Some(result) = ask(number, &mut []) {
            return result;
        }
        with(|world| {
            let len = match number {
                id::CALLDATASIZE => world.calldata.len(),
                id::TAIL_SIZE => world.tail.len(),
                id::CODESIZE => world.code.len(),
                id::RETURNDATASIZE => world.return_data.len(),
                _ => return world.numbers.get(&number).copied().unwrap_or_default(),
            };
            len as u64
        })
    }

    pub(crate) fn word_of(number: u64, key: &Word) -> Word {
        if let Some(word) = ask_word(number, Some(Arg::In(key.bytes()))) {
            return word;
        }
        with(|world| match number {
            id::SLOAD => world.storage.get(key.bytes()).copied(),
            id::TLOAD => world.transient.get(key.bytes()).copied(),
            id::EXTCODEHASH => world.codes.get(key.bytes()).map(|code| keccak256(code)),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub(crate) fn word_at(number: u64, at: u64) -> Word {
        if let Some(word) = ask_word(number, Some(Arg::Number(at))) {
            return word;
        }
        let mut word = Word::ZERO;
        if number == id::CALLDATALOAD {
            copy(id::CALLDATACOPY, word.bytes_mut(), at);
        }
        word
    }

    pub(crate) fn number_of(number: u64, key: &Word) -> u64 {
        if let Some(result) = ask(number, &mut [Arg::In(key.bytes())]) {
            return result;
        }
        with(|world| world.codes.get(key.bytes()).map_or(0, Vec::len) as u64)
    }

    /// Computed here: a test's thread need not wait for the node for it.
    pub(crate) fn arithmetic<const N: usize>(number: u64, of: [&Word; N]) -> Word {
        let of = of.map(|word| ruint::aliases::U256::from_be_bytes(*word.bytes()));
        let result = match (number, &of[..]) {
            (id::DIV, &[a, b]) => a / b,
            (id::MOD, &[a, b]) => a % b,
            (id::ADDMOD, &[a, b, modulus]) => a.add_mod(b, modulus),
            (id::MULMOD, &[a, b, modulus]) => a.mul_mod(b, modulus),
            _ => unreachable!("no arithmetic has the number {number:#x}"),
        };
        Word::new(result.to_be_bytes())
    }

    pub(crate) fn store(number: u64, key: &Word, value: &Word) {
        if ask(number, &mut [Arg::In(key.bytes()), Arg::In(value.bytes())]).is_some() {
            return;
        }
        with(|world| {
            let map = if number == id::SSTORE { &mut world.storage } else { &mut world.transient };
            if value.is_zero() {
                map.remove(key.bytes());
            } else {
                map.insert(*key.bytes(), *value);
            }
        });
    }

    fn fill(to: &mut [u8], from: &[u8], offset: u64) {
        let from = from.get(offset as usize..).unwrap_or_default();
        for (i, byte) in to.iter_mut().enumerate() {
            *byte = from.get(i).copied().unwrap_or_default();
        }
    }

    pub(crate) fn copy(number: u64, to: &mut [u8], offset: u64) {
        let len = Arg::Number(to.len() as u64);
        if ask(number, &mut [Arg::Out(&mut *to), Arg::Number(offset), len]).is_some() {
            return;
        }
        with(|world| match number {
            id::CALLDATACOPY => fill(to, &world.calldata, offset),
            id::TAIL_COPY => fill(to, &world.tail, offset),
            id::CODECOPY => fill(to, &world.code, offset),
            _ => fill(to, &world.return_data, offset),
        });
    }

    pub(crate) fn copy_code(address: &Word, to: &mut [u8], offset: u64) {
        let len = Arg::Number(to.len() as u64);
        let mut args = [Arg::In(address.bytes()), Arg::Out(&mut *to), Arg::Number(offset), len];
        if ask(id::EXTCODECOPY, &mut args).is_some() {
            return;
        }
        with(|world| {
            fill(to, world.codes.get(address.bytes()).map_or(&[][..], Vec::as_slice), offset);
        });
    }

    pub(crate) fn keccak256(data: &[u8]) -> Word {
        if let Some(word) = served_keccak(data) {
            return word;
        }
        Word::new(crate::keccak256_const(data))
    }

    fn served_keccak(data: &[u8]) -> Option<Word> {
        let mut word = Word::ZERO;
        let len = Arg::Number(data.len() as u64);
        ask(id::KECCAK256, &mut [Arg::In(data), len, Arg::Out(word.bytes_mut())])?;
        Some(word)
    }

    pub(crate) fn log<const N: usize>(topics: &[Word; N], data: &[u8]) {
        let len = Arg::Number(data.len() as u64);
        let mut args = [Arg::In(data), len, Arg::In(crate::sys::flatten(topics))];
        if ask(id::LOG0 + N as u64, &mut args).is_some() {
            return;
        }
        with(|world| world.logs.push(Log { topics: topics.to_vec(), data: data.to_vec() }));
    }

    fn answer(sent: Sent) -> bool {
        with(|world| {
            world.sent.push(sent);
            let (flag, data) = world.answers.pop_front().unwrap_or_default();
            world.return_data = data;
            flag
        })
    }

    fn served_call(number: u64, message: &Message<'_>) -> Option<bool> {
        let (gas, to) = (Arg::Number(message.gas), Arg::In(message.to.bytes()));
        let (input, len) = (Arg::In(message.input), Arg::Number(message.input.len() as u64));
        let (out, out_len) = (Arg::Number(0), Arg::Number(0));
        let flag = if number == id::CALL {
            let value = Arg::In(message.value.bytes());
            ask(number, &mut [gas, to, value, input, len, out, out_len])
        } else {
            ask(number, &mut [gas, to, input, len, out, out_len])
        };
        flag.map(|flag| flag != 0)
    }

    pub(crate) fn call(number: u64, message: &Message<'_>) -> bool {
        if let Some(flag) = served_call(number, message) {
            return flag;
        }
        let value = if number == id::CALL { *message.value } else { Word::ZERO };
        let to = Address::trusted(*message.to);
        answer(Sent { number, to, value, input: message.input.to_vec() })
    }

    fn served_create(value: &Word, code: &[u8], salt: Option<&Word>) -> Option<Option<Word>> {
        let mut address = Word::ZERO;
        let (value, len) = (Arg::In(value.bytes()), Arg::Number(code.len() as u64));
        let (code, out) = (Arg::In(code), Arg::Out(address.bytes_mut()));
        let flag = match salt {
            None => ask(id::CREATE, &mut [value, code, len, out]),
            Some(salt) => ask(id::CREATE2, &mut [value, code, len, Arg::In(salt.bytes()), out]),
        }?;
        Some((flag != 0).then_some(address))
    }

    pub(crate) fn create(value: &Word, code: &[u8], salt: Option<&Word>) -> Option<Word> {
        if let Some(created) = served_create(value, code, salt) {
            return created;
        }
        let number = if salt.is_some() { id::CREATE2 } else { id::CREATE };
        let sent = Sent { number, to: Address::ZERO, value: *value, input: code.to_vec() };
        answer(sent).then(|| {
            let mut address = Word::ZERO;
            with(|world| fill(address.bytes_mut(), &core::mem::take(&mut world.return_data), 0));
            address
        })
    }

    fn end(ended: Ended) -> ! {
        // No panic hook runs: this is how frames end, not a failure of the test.
        super::resume_unwind(Box::new(ended))
    }

    pub(crate) fn exit(number: u64, data: &[u8]) -> ! {
        ask(number, &mut [Arg::In(data), Arg::Number(data.len() as u64)]);
        let data = data.to_vec();
        end(match number {
            id::RETURN | id::STOP => Ended::Returned(data),
            id::DEPLOY => Ended::Deployed(data),
            id::REVERT => Ended::Reverted(data),
            _ => Ended::Halted,
        })
    }

    pub(crate) fn selfdestruct(heir: &Word) -> ! {
        ask(id::SELFDESTRUCT, &mut [Arg::In(heir.bytes())]);
        end(Ended::Destroyed(Address::trusted(*heir)))
    }

    #[cfg(feature = "heap")]
    pub(crate) fn zeros<T: crate::sys::Zero>(len: usize) -> Vec<T> {
        vec![T::default(); len]
    }

    pub(crate) fn print(text: &str) {
        let len = Arg::Number(text.len() as u64);
        if ask(id::PRINT, &mut [Arg::In(text.as_bytes()), len]).is_some() {
            return;
        }
        with(|world| world.printed.push(text.into()));
    }
}
