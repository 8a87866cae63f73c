//! The interpreter: a chain of steps, each of which ends by calling the next one.
//!
//! What the steps need all the time goes from one to the next as arguments, so that it stays in the
//! host's registers: the guest's registers, the ops from the next one on, the units left, and the
//! value that the last step computed. The compiler turns the calls into jumps when it optimises.
//! Nothing depends on that: a chain has at most `WINDOW` steps, then `execute` begins another one,
//! so that the host's stack stays bounded without it too.

use super::{
    image::Image,
    instruction::Operation,
    lower,
    memory::View,
    op::{Op, WINDOW},
    pool::Registers,
    steps::plain,
};

/// Why the loop stopped.
#[derive(Debug)]
pub(super) enum Exit {
    /// `ecall`; the place is still that of the `ecall`.
    Syscall,
    /// The block that was to be entered costs more than is left.
    OutOfGas,
    /// An access to a page that is not there (yet), or not for storing. Nothing was done.
    Touch { address: u64, len: u64, store: bool },
    /// Control went to an address where nothing was decoded.
    Leave { target: u64 },
    /// An undefined encoding.
    Undefined,
    /// `ebreak`.
    Breakpoint,
    /// One instruction was executed, as asked.
    Step,
}

/// Does what one or more ops say and calls the step behind.
///
/// The arguments: registers; the ops from this one on; units left; what the last step computed.
pub(super) type Step = for<'a> fn(&mut Registers, &'a [Op], u64, u64, &mut Cpu<'a>);

/// What the steps work on, besides their arguments.
pub(super) struct Cpu<'a> {
    image: &'a Image,
    ops: &'a [Op],
    /// Address of the first halfword around the entry, and the places of those from there.
    base: u64,
    index: &'a [u32],
    pub(super) view: View<'a>,
    /// Address of the last `lr`, until an `sc` comes.
    pub(super) reservation: Option<u64>,
    /// The last calls: where they return to. Only a hint, which each return compares.
    calls: [(u64, &'a [Op]); CALLS],
    /// Calls so far, less the returns that were found there.
    depth: usize,
    /// Why the loop is to end; `None` when a chain ended only for its length.
    pub(super) exit: Option<Exit>,
    /// Where the chain stopped.
    place: usize,
    /// Units left when it stopped.
    left: u64,
}

/// Where the loop is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Place of the next op.
    pub(super) place: usize,
    /// Units left.
    pub(super) left: u64,
    /// Address of the last `lr`, until an `sc` comes.
    pub(super) reservation: Option<u64>,
    /// Whether the block at `place` has yet to be paid.
    pub(super) unpaid: bool,
}

/// Runs from the cursor until something stops the loop; with `SINGLE`, one instruction at most.
///
/// Gas is taken when a block is entered: at the start, and by every jump and branch.
pub(super) fn execute<const SINGLE: bool>(
    image: &Image,
    x: &mut Registers,
    view: View<'_>,
    cursor: &mut Cursor,
) -> Exit {
    if cursor.unpaid {
        let cost = image.ops().get(cursor.place).map_or(0, |op| op.cost);
        match cursor.left.checked_sub(cost.into()) {
            Some(units) => cursor.left = units,
            None => return Exit::OutOfGas,
        }
        cursor.unpaid = false;
    }
    let mut cpu = Cpu {
        image,
        ops: image.ops(),
        base: image.main().base,
        index: &image.main().index,
        view,
        reservation: cursor.reservation,
        calls: [(u64::MAX, &[]); CALLS],
        depth: 0,
        exit: None,
        place: cursor.place,
        left: cursor.left,
    };
    let exit = loop {
        let exit = if SINGLE { cpu.run_one(x) } else { cpu.run_chain(x) };
        if let Some(exit) = exit {
            break exit;
        }
    };
    cursor.place = cpu.place;
    cursor.left = cpu.left;
    cursor.reservation = cpu.reservation;
    exit
}

/// Calls that are remembered.
const CALLS: usize = 4;

impl<'a> Cpu<'a> {
    fn run_chain(&mut self, x: &mut Registers) -> Option<Exit> {
        visit(x, (self.place, WINDOW), self.left, self);
        self.exit.take()
    }

    /// Runs one instruction alone. Behind it, or where it jumps to, the chain has one op before it,
    /// and a step looks at two at least.
    fn run_one(&mut self, x: &mut Registers) -> Option<Exit> {
        let Some(ops @ [op, _]) = window(self.place, 2, self) else { return Some(Exit::Undefined) };
        plain(op.operation, false)(x, ops, self.left, 0, self);
        let no_instruction = matches!(op.operation, Operation::Goto | Operation::Leave);
        self.exit.take().or((!no_instruction).then_some(Exit::Step))
    }

    /// Remembers a call by its return address and the ops there.
    #[inline(always)]
    pub(super) fn call(&mut self, to: u64, rest: &'a [Op]) {
        self.depth = self.depth.wrapping_add(1);
        self.calls[self.depth % CALLS] = (to, rest);
    }

    /// The `len` ops at an address, if that is where the last call returns to.
    #[inline(always)]
    pub(super) fn returns(&mut self, target: u64, len: usize) -> Option<&'a [Op]> {
        let (to, rest) = self.calls[self.depth % CALLS];
        let ops = if to == target { rest.get(..len)? } else { return None };
        self.depth = self.depth.wrapping_sub(1);
        Some(ops)
    }

    /// The place of an address that control goes to, if the code around the entry has it.
    #[inline(always)]
    pub(super) fn find(&self, target: u64) -> Option<usize> {
        lower::place(self.base, self.index, target).map(|place| place as usize)
    }

    /// `N` bytes that may lie in two pages.
    pub(super) fn load_across<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        self.view.load_across(address).or_else(|| self.touch(address, N, false))
    }

    /// As `load_across`, of what is to be stored to next.
    pub(super) fn load_for_store<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        self.view.load_for_store(address).or_else(|| self.touch(address, N, true))
    }

    /// Stores `N` bytes that may lie in two pages.
    pub(super) fn store_across<const N: usize>(
        &mut self,
        address: u64,
        bytes: [u8; N],
    ) -> Option<()> {
        self.view.store_across(address, bytes).or_else(|| self.touch(address, N, true))
    }

    /// Ends the loop, for the page of an access is to be looked at.
    #[cold]
    fn touch<T>(&mut self, address: u64, len: usize, store: bool) -> Option<T> {
        self.exit = Some(Exit::Touch { address, len: len as u64, store });
        None
    }
}

/// Calls the step of the next op.
#[inline(always)]
pub(super) fn next<'a>(x: &mut Registers, rest: &'a [Op], left: u64, acc: u64, cpu: &mut Cpu<'a>) {
    match rest.first() {
        Some(op) => (op.step)(x, rest, left, acc, cpu),
        None => pause(rest, left, cpu),
    }
}

/// Enters the block at a place by a jump, and pays for it; `len` ops come before the chain's end.
#[inline(always)]
pub(super) fn enter(x: &mut Registers, (place, len): (usize, usize), left: u64, cpu: &mut Cpu<'_>) {
    match window(place, len, cpu) {
        Some(ops) => arrive(x, ops, left, cpu),
        None => lost(left, cpu),
    }
}

/// Enters the block that starts with `rest`, and pays for it.
#[inline(always)]
pub(super) fn arrive<'a>(x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
    let Some(op) = rest.first() else { return lost(left, cpu) };
    match left.checked_sub(op.cost.into()) {
        Some(left) => next(x, rest, left, x[usize::from(op.rs1)], cpu),
        None => broke(rest, left, cpu),
    }
}

/// Goes to a place in a block that was paid for.
#[inline(always)]
pub(super) fn visit(x: &mut Registers, (place, len): (usize, usize), left: u64, cpu: &mut Cpu<'_>) {
    let Some(ops @ [op, ..]) = window(place, len, cpu) else { return lost(left, cpu) };
    next(x, ops, left, x[usize::from(op.rs1)], cpu)
}

/// As `enter`, for an address outside of the code around the entry.
#[cold]
#[inline(never)]
pub(super) fn go_far<'a>(
    x: &mut Registers,
    rest: &'a [Op],
    left: u64,
    target: u64,
    cpu: &mut Cpu<'a>,
) {
    match cpu.image.find(target) {
        Some(place) => enter(x, (place, rest.len() - 1), left, cpu),
        None => {
            cpu.exit = Some(Exit::Leave { target });
            pause(rest, left, cpu)
        }
    }
}

/// Enters the block that follows on a branch not taken, and pays for it.
#[inline(always)]
pub(super) fn go_on<'a>(x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
    let Some(op) = rest.first() else { return pause(rest, left, cpu) };
    match left.checked_sub(op.cost.into()) {
        Some(left) => next(x, rest, left, 0, cpu),
        None => broke(rest, left, cpu),
    }
}

/// The `len` ops from a place on.
#[inline(always)]
fn window<'a>(place: usize, len: usize, cpu: &Cpu<'a>) -> Option<&'a [Op]> {
    cpu.ops.get(place..)?.get(..len)
}

/// Ends the chain before the op that `rest` starts with, which is one of the image's.
pub(super) fn pause<'a>(rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
    let bytes = rest.as_ptr().addr() - cpu.ops.as_ptr().addr();
    cpu.place = bytes / size_of::<Op>();
    cpu.left = left;
}

/// Ends the loop, for the block at hand can't be paid.
#[cold]
#[inline(never)]
fn broke<'a>(rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
    cpu.exit = Some(Exit::OutOfGas);
    pause(rest, left, cpu);
}

/// Ends the loop at a place that no op has: images are padded, so that none is met.
#[cold]
#[inline(never)]
fn lost(left: u64, cpu: &mut Cpu<'_>) {
    cpu.exit = Some(Exit::Undefined);
    pause(&cpu.ops[cpu.ops.len()..], left, cpu);
}
