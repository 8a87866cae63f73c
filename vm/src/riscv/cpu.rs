//! The interpreter loop.

use super::{
    image::Image,
    instruction::Operation,
    memory::View,
    op::{Op, WINDOW},
    pool::Registers,
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

/// What the loop works on.
pub(super) struct Cpu<'a> {
    pub(super) image: &'a Image,
    pub(super) registers: &'a mut Registers,
    pub(super) view: View<'a>,
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

/// Runs from the cursor until something stops the loop; with `STEP`, one instruction at most.
///
/// Gas is taken when a block is entered: at the start, and by every jump and branch.
#[expect(clippy::too_many_lines, reason = "dispatch table: one arm per operation")]
#[expect(clippy::cognitive_complexity, reason = "dispatch table: one arm per operation")]
pub(super) fn execute<const STEP: bool>(cpu: Cpu<'_>, cursor: &mut Cursor) -> Exit {
    let Cpu { image, registers: x, mut view } = cpu;
    let ops = image.ops();
    let (code_base, code): (u64, &[u32]) =
        image.main_code().map_or((0, &[]), |code| (code.base, &code.index));
    let Cursor { mut place, mut left, mut reservation, mut unpaid } = *cursor;

    /// Goes to a place and pays for the block there.
    macro_rules! enter {
        ($place:expr) => {{
            place = $place;
            let Some(op) = ops.get(place) else { break Exit::Undefined };
            match left.checked_sub(op.cost.into()) {
                Some(rest) => left = rest,
                None => break Exit::OutOfGas,
            }
        }};
    }

    /// `rd = f(rs1, rs2)`.
    macro_rules! registers {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> u64 = $f;
            x[usize::from($op.rd)] = f(x[usize::from($op.rs1)], x[usize::from($op.rs2)]);
            place += 1;
        }};
    }

    /// `rd = f(rs1, immediate)`.
    macro_rules! immediate {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> u64 = $f;
            x[usize::from($op.rd)] = f(x[usize::from($op.rs1)], $op.immediate());
            place += 1;
        }};
    }

    /// `rd = f(bytes at rs1 + immediate)`.
    macro_rules! load {
        ($op:ident, $len:literal, $f:expr) => {{
            let f: fn([u8; $len]) -> u64 = $f;
            let address = x[usize::from($op.rs1)].wrapping_add($op.immediate());
            let Some(bytes) = view.load::<$len>(address) else {
                break Exit::Touch { address, len: $len, store: false };
            };
            x[usize::from($op.rd)] = f(bytes);
            place += 1;
        }};
    }

    /// The low bytes of rs2 to rs1 + immediate.
    macro_rules! store {
        ($op:ident, $len:literal, $kind:ty) => {{
            let address = x[usize::from($op.rs1)].wrapping_add($op.immediate());
            let bytes = (x[usize::from($op.rs2)] as $kind).to_le_bytes();
            if view.store::<$len>(address, bytes).is_none() {
                break Exit::Touch { address, len: $len, store: true };
            }
            place += 1;
        }};
    }

    /// Goes to the target if f(rs1, rs2) holds, else on; both enter a block.
    macro_rules! branch {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> bool = $f;
            if f(x[usize::from($op.rs1)], x[usize::from($op.rs2)]) {
                enter!($op.target());
            } else {
                enter!(place + 1);
            }
        }};
    }

    /// `rd = old value at rs1; value at rs1 = f(old, rs2)`, both as `$kind`.
    macro_rules! atomic {
        ($op:ident, $len:literal, $signed:ty, $kind:ty, $f:expr) => {{
            let f: fn($kind, $kind) -> $kind = $f;
            let address = x[usize::from($op.rs1)];
            let Some(bytes) = view.load_for_store::<$len>(address) else {
                break Exit::Touch { address, len: $len, store: true };
            };
            let old = <$kind>::from_le_bytes(bytes);
            let new = f(old, x[usize::from($op.rs2)] as $kind);
            // Cannot miss: the page was just found to be writable.
            let _ = view.store::<$len>(address, new.to_le_bytes());
            x[usize::from($op.rd)] = old as $signed as u64;
            place += 1;
        }};
    }

    /// Loads and remembers the address.
    macro_rules! load_reserved {
        ($op:ident, $len:literal, $f:expr) => {{
            reservation = Some(x[usize::from($op.rs1)]);
            load!($op, $len, $f)
        }};
    }

    /// Stores if the address is the remembered one; `rd` gets 0 then, else 1.
    macro_rules! store_conditional {
        ($op:ident, $len:literal, $kind:ty) => {{
            let address = x[usize::from($op.rs1)];
            let holds = reservation == Some(address);
            if holds {
                let bytes = (x[usize::from($op.rs2)] as $kind).to_le_bytes();
                if view.store::<$len>(address, bytes).is_none() {
                    break Exit::Touch { address, len: $len, store: true };
                }
            }
            reservation = None;
            x[usize::from($op.rd)] = u64::from(!holds);
            place += 1;
        }};
    }

    let exit = loop {
        if unpaid {
            unpaid = false;
            enter!(place);
        }
        let Some([op, ..]) = ops.get(place..).and_then(|ops| ops.first_chunk::<WINDOW>()) else {
            break Exit::Undefined;
        };
        let op: &Op = op;
        let operation = if STEP { image.plain_operation(place) } else { op.operation };
        use Operation::*;
        match operation {
            Lui | Auipc => {
                x[usize::from(op.rd)] = op.value();
                place += 1;
            }
            Jump => enter!(op.target()),
            Jal => {
                x[usize::from(op.rd)] = op.aux.into();
                enter!(op.target());
            }
            Jalr => {
                let target = x[usize::from(op.rs1)].wrapping_add(op.immediate()) & !1;
                x[usize::from(op.rd)] = op.aux.into();
                let halfword = (target.wrapping_sub(code_base) / 2) as usize;
                let Some(to) =
                    code.get(halfword).map(|&place| place as usize).or_else(|| image.find(target))
                else {
                    break Exit::Leave { target };
                };
                enter!(to);
            }
            Beq => branch!(op, |a, b| a == b),
            Bne => branch!(op, |a, b| a != b),
            Blt => branch!(op, |a, b| (a as i64) < b as i64),
            Bge => branch!(op, |a, b| a as i64 >= b as i64),
            Bltu => branch!(op, |a, b| a < b),
            Bgeu => branch!(op, |a, b| a >= b),
            Lb => load!(op, 1, |bytes| i8::from_le_bytes(bytes) as u64),
            Lh => load!(op, 2, |bytes| i16::from_le_bytes(bytes) as u64),
            Lw => load!(op, 4, |bytes| i32::from_le_bytes(bytes) as u64),
            Ld => load!(op, 8, |bytes| u64::from_le_bytes(bytes)),
            Lbu => load!(op, 1, |bytes| u8::from_le_bytes(bytes).into()),
            Lhu => load!(op, 2, |bytes| u16::from_le_bytes(bytes).into()),
            Lwu => load!(op, 4, |bytes| u32::from_le_bytes(bytes).into()),
            Sb => store!(op, 1, u8),
            Sh => store!(op, 2, u16),
            Sw => store!(op, 4, u32),
            Sd => store!(op, 8, u64),
            Addi => immediate!(op, |a, b| a.wrapping_add(b)),
            Slti => immediate!(op, |a, b| ((a as i64) < b as i64).into()),
            Sltiu => immediate!(op, |a, b| (a < b).into()),
            Xori => immediate!(op, |a, b| a ^ b),
            Ori => immediate!(op, |a, b| a | b),
            Andi => immediate!(op, |a, b| a & b),
            Slli => immediate!(op, |a, b| a << (b & 63)),
            Srli => immediate!(op, |a, b| a >> (b & 63)),
            Srai => immediate!(op, |a, b| (a as i64 >> (b & 63)) as u64),
            Addiw => immediate!(op, |a, b| (a as i32).wrapping_add(b as i32) as u64),
            Slliw => immediate!(op, |a, b| ((a as i32) << (b & 31)) as u64),
            Srliw => immediate!(op, |a, b| (a as u32 >> (b & 31)) as i32 as u64),
            Sraiw => immediate!(op, |a, b| (a as i32 >> (b & 31)) as u64),
            Add => registers!(op, |a, b| a.wrapping_add(b)),
            Sub => registers!(op, |a, b| a.wrapping_sub(b)),
            Sll => registers!(op, |a, b| a << (b & 63)),
            Slt => registers!(op, |a, b| ((a as i64) < b as i64).into()),
            Sltu => registers!(op, |a, b| (a < b).into()),
            Xor => registers!(op, |a, b| a ^ b),
            Srl => registers!(op, |a, b| a >> (b & 63)),
            Sra => registers!(op, |a, b| (a as i64 >> (b & 63)) as u64),
            Or => registers!(op, |a, b| a | b),
            And => registers!(op, |a, b| a & b),
            Addw => registers!(op, |a, b| (a as i32).wrapping_add(b as i32) as u64),
            Subw => registers!(op, |a, b| (a as i32).wrapping_sub(b as i32) as u64),
            Sllw => registers!(op, |a, b| ((a as i32) << (b & 31)) as u64),
            Srlw => registers!(op, |a, b| (a as u32 >> (b & 31)) as i32 as u64),
            Sraw => registers!(op, |a, b| (a as i32 >> (b & 31)) as u64),
            Mul => registers!(op, |a, b| a.wrapping_mul(b)),
            Mulh => registers!(op, |a, b| {
                ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64
            }),
            Mulhsu => registers!(op, |a, b| ((i128::from(a as i64) * i128::from(b)) >> 64) as u64),
            Mulhu => registers!(op, |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64),
            Mulw => registers!(op, |a, b| (a as i32).wrapping_mul(b as i32) as u64),
            Div => registers!(op, |a, b| div(a as i64, b as i64) as u64),
            Divu => registers!(op, |a, b| a.checked_div(b).unwrap_or(u64::MAX)),
            Rem => registers!(op, |a, b| rem(a as i64, b as i64) as u64),
            Remu => registers!(op, |a, b| a.checked_rem(b).unwrap_or(a)),
            Divw => registers!(op, |a, b| div(a as i32 as i64, b as i32 as i64) as i32 as u64),
            Divuw => registers!(op, |a, b| {
                (a as u32).checked_div(b as u32).unwrap_or(u32::MAX) as i32 as u64
            }),
            Remw => registers!(op, |a, b| rem(a as i32 as i64, b as i32 as i64) as i32 as u64),
            Remuw => registers!(op, |a, b| {
                (a as u32).checked_rem(b as u32).unwrap_or(a as u32) as i32 as u64
            }),
            Fence | FenceI => place += 1,
            Ecall => break Exit::Syscall,
            Ebreak => break Exit::Breakpoint,
            LrW => load_reserved!(op, 4, |bytes| i32::from_le_bytes(bytes) as u64),
            LrD => load_reserved!(op, 8, |bytes| u64::from_le_bytes(bytes)),
            ScW => store_conditional!(op, 4, u32),
            ScD => store_conditional!(op, 8, u64),
            AmoswapW => atomic!(op, 4, i32, u32, |_, b| b),
            AmoaddW => atomic!(op, 4, i32, u32, |a, b| a.wrapping_add(b)),
            AmoxorW => atomic!(op, 4, i32, u32, |a, b| a ^ b),
            AmoandW => atomic!(op, 4, i32, u32, |a, b| a & b),
            AmoorW => atomic!(op, 4, i32, u32, |a, b| a | b),
            AmominW => atomic!(op, 4, i32, i32, |a, b| a.min(b)),
            AmomaxW => atomic!(op, 4, i32, i32, |a, b| a.max(b)),
            AmominuW => atomic!(op, 4, i32, u32, |a, b| a.min(b)),
            AmomaxuW => atomic!(op, 4, i32, u32, |a, b| a.max(b)),
            AmoswapD => atomic!(op, 8, i64, u64, |_, b| b),
            AmoaddD => atomic!(op, 8, i64, u64, |a, b| a.wrapping_add(b)),
            AmoxorD => atomic!(op, 8, i64, u64, |a, b| a ^ b),
            AmoandD => atomic!(op, 8, i64, u64, |a, b| a & b),
            AmoorD => atomic!(op, 8, i64, u64, |a, b| a | b),
            AmominD => atomic!(op, 8, i64, i64, |a, b| a.min(b)),
            AmomaxD => atomic!(op, 8, i64, i64, |a, b| a.max(b)),
            AmominuD => atomic!(op, 8, i64, u64, |a, b| a.min(b)),
            AmomaxuD => atomic!(op, 8, i64, u64, |a, b| a.max(b)),
            Goto => {
                // Belongs to the same straight run: paid for, and no instruction.
                place = op.target();
                continue;
            }
            Undefined => break Exit::Undefined,
            Leave => break Exit::Leave { target: op.value() },
        }
        if STEP {
            break Exit::Step;
        }
    };
    *cursor = Cursor { place, left, reservation, unpaid };
    exit
}

/// Signed division as the ISA has it: by zero it gives -1, and overflow wraps.
fn div(a: i64, b: i64) -> i64 {
    if b == 0 { -1 } else { a.wrapping_div(b) }
}

/// Signed remainder as the ISA has it: by zero it gives the dividend, and overflow gives 0.
fn rem(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { a.wrapping_rem(b) }
}
