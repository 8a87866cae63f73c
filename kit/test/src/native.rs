//! Native contracts in the place of RISC-V machines.
//!
//! Each frame of a native contract has a thread. Its system calls come here over a channel, are put
//! into the registers and the memory of the frame's machine, and are served by the engine from
//! there; what the engine wrote goes back. So the contract waits while its callees run, as a
//! machine does.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use genesis::RiscvGas;
use revm::{Inspector, interpreter::interpreter::EthInterpreter};
use tandem_kit::host::{self, Arg, Ended, Node};
use tandem_kit::{PanicCode, revert, revert_panic};
use vm::riscv::{Machine, Stop, Units};
use vm::watch::{StandIn, Watch};

use crate::stub;

/// A contract's code.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    pub(crate) run: fn(bool),
}

/// What stands in for the machines of one transaction.
pub(crate) struct Natives<'a> {
    codes: &'a [Code],
    frames: HashMap<usize, Guest>,
}

/// A frame's thread.
struct Guest {
    calls: Receiver<Call>,
    replies: Sender<Reply>,
    /// Where the engine writes the results of the call under way.
    outs: Vec<(u64, usize)>,
}

/// A system call on its way to the engine.
struct Call {
    number: u64,
    args: Vec<Sent>,
}

enum Sent {
    Number(u64),
    In(Vec<u8>),
    Out(usize),
}

/// `a0`, and the bytes that were written.
struct Reply {
    result: u64,
    outs: Vec<Vec<u8>>,
}

/// The frame is gone: it ended, or it was halted.
struct Gone;

/// Where arguments stand in the machine's memory: in its heap.
const SCRATCH: u64 = 0x0010_0000;
/// Number of the register `a0`.
const A0: usize = 10;
/// Calls after which a frame does not go on: STOP, RETURN, REVERT, INVALID, SELFDESTRUCT, DEPLOY.
const LAST: [u64; 6] = [0x00, 0xf3, 0xfd, 0xfe, 0xff, 0x1002];

impl<'a> Natives<'a> {
    pub(crate) fn new(codes: &'a [Code]) -> Self {
        Self { codes, frames: HashMap::new() }
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for Natives<'_> {}

impl<CTX> Watch<CTX> for Natives<'_> {
    fn stand_in(&mut self, guest: StandIn<'_>) -> Option<Stop> {
        let code = *self.codes.get(stub::number(guest.container)?)?;
        let StandIn { frame, constructor, machine, .. } = guest;
        let running = match self.frames.remove(&frame) {
            Some(mut running) => {
                running.reply(machine);
                running
            }
            None => Guest::start(code, constructor),
        };
        let mut running = running;
        // A thread that ends without a last call has returned: it stops.
        let call = running.calls.recv().unwrap_or(Call { number: 0, args: Vec::new() });
        running.outs = place(machine, &call);
        if !LAST.contains(&call.number) {
            self.frames.insert(frame, running);
        }
        Some(Stop::Syscall)
    }
}

impl Guest {
    fn start(code: Code, constructor: bool) -> Self {
        let (calls, from_guest) = channel();
        let (to_guest, replies) = channel();
        let node = ThreadNode { calls, replies };
        thread::Builder::new()
            .name(code.name.to_owned())
            .spawn(move || frame(code, constructor, node))
            .expect("a thread for a frame of a native contract");
        Self { calls: from_guest, replies: to_guest, outs: Vec::new() }
    }

    /// Gives the results of the last call to the contract.
    fn reply(&mut self, machine: &mut Machine) {
        let mut units = endless();
        let outs = self
            .outs
            .drain(..)
            .map(|(at, len)| machine.read(at, len as u64, &mut units).expect("the heap is mapped"));
        let outs = outs.collect();
        // A thread that has ended in the meantime needs none.
        let _ = self.replies.send(Reply { result: machine.registers()[A0], outs });
    }
}

/// Memory for what is put there on the contract's behalf, which the chain's rules do not charge.
fn endless() -> Units {
    let mut units = Units::new(&RiscvGas::default(), u32::MAX);
    units.refill(u64::MAX);
    units
}

/// Puts a call into the machine; where its results will stand.
fn place(machine: &mut Machine, call: &Call) -> Vec<(u64, usize)> {
    let mut units = endless();
    let mut registers = [0; 7];
    let mut outs = Vec::new();
    let mut free = SCRATCH;
    for (register, arg) in registers.iter_mut().zip(&call.args) {
        *register = match arg {
            Sent::Number(number) => *number,
            Sent::In(bytes) => {
                machine.write(free, bytes, &mut units).expect("the arguments fit in the heap");
                free
            }
            Sent::Out(len) => {
                outs.push((free, *len));
                free
            }
        };
        let len = match arg {
            Sent::Number(_) => 0,
            Sent::In(bytes) => bytes.len(),
            Sent::Out(len) => *len,
        };
        free += (len as u64).next_multiple_of(32);
    }
    machine.set_syscall(call.number, registers);
    outs
}

/// The node as a contract's thread sees it.
struct ThreadNode {
    calls: Sender<Call>,
    replies: Receiver<Reply>,
}

impl Node for ThreadNode {
    fn serve(&mut self, number: u64, args: &mut [Arg<'_>]) -> u64 {
        let sent = args.iter().map(|arg| match arg {
            Arg::Number(number) => Sent::Number(*number),
            Arg::In(bytes) => Sent::In(bytes.to_vec()),
            Arg::Out(bytes) => Sent::Out(bytes.len()),
        });
        let call = Call { number, args: sent.collect() };
        let reply = self.calls.send(call).ok().and_then(|()| self.replies.recv().ok());
        let Some(Reply { result, outs }) = reply else { resume_unwind(Box::new(Gone)) };
        let places = args.iter_mut().filter_map(|arg| match arg {
            Arg::Out(bytes) => Some(bytes),
            _ => None,
        });
        for (place, bytes) in places.zip(outs) {
            place.copy_from_slice(&bytes);
        }
        result
    }
}

/// A frame of a native contract, from its start to its end.
fn frame(code: Code, constructor: bool, node: ThreadNode) {
    host::attach(Box::new(node));
    let Err(payload) = catch_unwind(|| (code.run)(constructor)) else { return };
    if payload.is::<Gone>() || payload.is::<Ended>() {
        return;
    }
    // A panic: what the image's panic handler makes of it.
    let _ = catch_unwind(AssertUnwindSafe(|| explain(&*payload)));
}

fn explain(payload: &(dyn Any + Send)) {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => revert(text),
        (None, Some(text)) if tandem_kit::PANIC_MESSAGES => revert(text),
        _ => revert_panic(PanicCode::Assert),
    }
}
