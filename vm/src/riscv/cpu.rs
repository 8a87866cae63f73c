//! The interpreter loop.

use super::{
    bitmanip, fuse::plain, image::Image, instruction::Operation, memory::View, op::Op,
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
/// Gas is taken when a block is entered: at the start, and by every jump and branch. What the loop
/// needs all the time is in few locals, so that they stay in the host's registers: `rest` starts
/// with the next op.
#[expect(clippy::too_many_lines, reason = "dispatch table: one arm per operation")]
#[expect(clippy::cognitive_complexity, reason = "dispatch table: one arm per operation")]
#[expect(clippy::redundant_closure_call, reason = "an operation reads best as a function")]
#[expect(unused_assignments, reason = "a fused jump leaves at once the op that it advanced to")]
pub(super) fn execute<const STEP: bool>(cpu: Cpu<'_>, cursor: &mut Cursor) -> Exit {
    let Cpu { image, registers: x, mut view } = cpu;
    let mut left = cursor.left;
    let mut rest: &[Op] = image.ops().get(cursor.place..).unwrap_or_default();

    /// Goes to a place and pays for the block there.
    macro_rules! enter {
        ($place:expr) => {{
            rest = image.ops().get($place..).unwrap_or_default();
            enter!();
        }};
        () => {{
            let Some(op) = rest.first() else { break Exit::Undefined };
            match left.checked_sub(op.cost.into()) {
                Some(units) => left = units,
                None => break Exit::OutOfGas,
            }
        }};
    }

    /// Goes on with the op behind this one.
    macro_rules! advance {
        () => {
            rest = rest.get(1..).unwrap_or_default()
        };
    }

    /// `rd = f(rs1, rs2)`.
    macro_rules! registers {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> u64 = $f;
            x[usize::from($op.rd)] = f(x[usize::from($op.rs1)], x[usize::from($op.rs2)]);
            advance!();
        }};
    }

    /// `rd = f(rs1, immediate)`.
    macro_rules! immediate {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> u64 = $f;
            x[usize::from($op.rd)] = f(x[usize::from($op.rs1)], $op.immediate());
            advance!();
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
            advance!();
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
            advance!();
        }};
    }

    /// Goes to the target if f(rs1, rs2) holds, else on; both enter a block.
    macro_rules! branch {
        ($op:ident, $f:expr) => {{
            let f: fn(u64, u64) -> bool = $f;
            if f(x[usize::from($op.rs1)], x[usize::from($op.rs2)]) {
                enter!($op.target());
            } else {
                advance!();
                enter!();
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
            advance!();
        }};
    }

    /// Loads and remembers the address.
    macro_rules! load_reserved {
        ($op:ident, $len:literal, $f:expr) => {{
            cursor.reservation = Some(x[usize::from($op.rs1)]);
            load!($op, $len, $f)
        }};
    }

    /// Stores if the address is the remembered one; `rd` gets 0 then, else 1.
    macro_rules! store_conditional {
        ($op:ident, $len:literal, $kind:ty) => {{
            let address = x[usize::from($op.rs1)];
            let holds = cursor.reservation == Some(address);
            if holds {
                let bytes = (x[usize::from($op.rs2)] as $kind).to_le_bytes();
                if view.store::<$len>(address, bytes).is_none() {
                    break Exit::Touch { address, len: $len, store: true };
                }
            }
            cursor.reservation = None;
            x[usize::from($op.rd)] = u64::from(!holds);
            advance!();
        }};
    }

    /// What one of the operations does that fused ops consist of.
    macro_rules! execute {
        (Addi, $op:ident) => {
            immediate!($op, |a, b| a.wrapping_add(b))
        };
        (Add, $op:ident) => {
            registers!($op, |a, b| a.wrapping_add(b))
        };
        (Xor, $op:ident) => {
            registers!($op, |a, b| a ^ b)
        };
        (And, $op:ident) => {
            registers!($op, |a, b| a & b)
        };
        (Or, $op:ident) => {
            registers!($op, |a, b| a | b)
        };
        (Slli, $op:ident) => {
            immediate!($op, |a, b| a << (b & 63))
        };
        (Srli, $op:ident) => {
            immediate!($op, |a, b| a >> (b & 63))
        };
        (Andi, $op:ident) => {
            immediate!($op, |a, b| a & b)
        };
        (Lui, $op:ident) => {{
            x[usize::from($op.rd)] = $op.value();
            advance!();
        }};
        (Addiw, $op:ident) => {
            immediate!($op, |a, b| (a as i32).wrapping_add(b as i32) as u64)
        };
        (Addw, $op:ident) => {
            registers!($op, |a, b| (a as i32).wrapping_add(b as i32) as u64)
        };
        (Mul, $op:ident) => {
            registers!($op, |a, b| a.wrapping_mul(b))
        };
        (Sltu, $op:ident) => {
            registers!($op, |a, b| (a < b).into())
        };
        (Ld, $op:ident) => {
            load!($op, 8, |bytes| u64::from_le_bytes(bytes))
        };
        (Lw, $op:ident) => {
            load!($op, 4, |bytes| i32::from_le_bytes(bytes) as u64)
        };
        (Lbu, $op:ident) => {
            load!($op, 1, |bytes| u8::from_le_bytes(bytes).into())
        };
        (Sd, $op:ident) => {
            store!($op, 8, u64)
        };
        (Sb, $op:ident) => {
            store!($op, 1, u8)
        };
        (Bne, $op:ident) => {
            branch!($op, |a, b| a != b)
        };
        (Beq, $op:ident) => {
            branch!($op, |a, b| a == b)
        };
        (Bltu, $op:ident) => {
            branch!($op, |a, b| a < b)
        };
        (Bgeu, $op:ident) => {
            branch!($op, |a, b| a >= b)
        };
        (Jal, $op:ident) => {{
            x[usize::from($op.rd)] = $op.aux.into();
            enter!($op.target());
        }};
        (Jalr, $op:ident) => {{
            let target = x[usize::from($op.rs1)].wrapping_add($op.immediate()) & !1;
            x[usize::from($op.rd)] = $op.aux.into();
            let Some(to) = image.find(target) else {
                break Exit::Leave { target };
            };
            enter!(to);
        }};
        (Auipc, $op:ident) => {
            execute!(Lui, $op)
        };
        (Srliw, $op:ident) => {
            immediate!($op, |a, b| (a as u32 >> (b & 31)) as i32 as u64)
        };
        (Slliw, $op:ident) => {
            immediate!($op, |a, b| ((a as i32) << (b & 31)) as u64)
        };
    }

    /// Two or three ops in one step. A stop in between leaves `rest` at the op that stopped.
    macro_rules! fused {
        ($first:ident, $second:ident) => {{
            let [first, second, ..] = rest else { break Exit::Undefined };
            execute!($first, first);
            execute!($second, second);
        }};
        ($first:ident, $second:ident, $third:ident) => {{
            let [first, second, third, ..] = rest else { break Exit::Undefined };
            execute!($first, first);
            execute!($second, second);
            execute!($third, third);
        }};
    }

    if cursor.unpaid {
        let cost = rest.first().map_or(0, |op| op.cost);
        match left.checked_sub(cost.into()) {
            Some(units) => left = units,
            None => return Exit::OutOfGas,
        }
        cursor.unpaid = false;
    }
    let exit = loop {
        let Some(op) = rest.first() else { break Exit::Undefined };
        let operation = if STEP { plain(op.operation) } else { op.operation };
        use Operation::*;
        match operation {
            Lui | Auipc => execute!(Lui, op),
            Jump => enter!(op.target()),
            Jal => execute!(Jal, op),
            Jalr => execute!(Jalr, op),
            Beq => execute!(Beq, op),
            Bne => execute!(Bne, op),
            Blt => branch!(op, |a, b| (a as i64) < b as i64),
            Bge => branch!(op, |a, b| a as i64 >= b as i64),
            Bltu => execute!(Bltu, op),
            Bgeu => execute!(Bgeu, op),
            Lb => load!(op, 1, |bytes| i8::from_le_bytes(bytes) as u64),
            Lh => load!(op, 2, |bytes| i16::from_le_bytes(bytes) as u64),
            Lw => execute!(Lw, op),
            Ld => execute!(Ld, op),
            Lbu => execute!(Lbu, op),
            Lhu => load!(op, 2, |bytes| u16::from_le_bytes(bytes).into()),
            Lwu => load!(op, 4, |bytes| u32::from_le_bytes(bytes).into()),
            Sb => execute!(Sb, op),
            Sh => store!(op, 2, u16),
            Sw => store!(op, 4, u32),
            Sd => execute!(Sd, op),
            Addi => execute!(Addi, op),
            Slti => immediate!(op, |a, b| ((a as i64) < b as i64).into()),
            Sltiu => immediate!(op, |a, b| (a < b).into()),
            Xori => immediate!(op, |a, b| a ^ b),
            Ori => immediate!(op, |a, b| a | b),
            Andi => execute!(Andi, op),
            Slli => execute!(Slli, op),
            Srli => execute!(Srli, op),
            Srai => immediate!(op, |a, b| (a as i64 >> (b & 63)) as u64),
            Addiw => execute!(Addiw, op),
            Slliw => execute!(Slliw, op),
            Srliw => execute!(Srliw, op),
            Sraiw => immediate!(op, |a, b| (a as i32 >> (b & 31)) as u64),
            Add => execute!(Add, op),
            Sub => registers!(op, |a, b| a.wrapping_sub(b)),
            Sll => registers!(op, |a, b| a << (b & 63)),
            Slt => registers!(op, |a, b| ((a as i64) < b as i64).into()),
            Sltu => execute!(Sltu, op),
            Xor => execute!(Xor, op),
            Srl => registers!(op, |a, b| a >> (b & 63)),
            Sra => registers!(op, |a, b| (a as i64 >> (b & 63)) as u64),
            Or => execute!(Or, op),
            And => execute!(And, op),
            Addw => execute!(Addw, op),
            Subw => registers!(op, |a, b| (a as i32).wrapping_sub(b as i32) as u64),
            Sllw => registers!(op, |a, b| ((a as i32) << (b & 31)) as u64),
            Srlw => registers!(op, |a, b| (a as u32 >> (b & 31)) as i32 as u64),
            Sraw => registers!(op, |a, b| (a as i32 >> (b & 31)) as u64),
            Mul => execute!(Mul, op),
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
            Sh1add => registers!(op, |a, b| (a << 1).wrapping_add(b)),
            Sh2add => registers!(op, |a, b| (a << 2).wrapping_add(b)),
            Sh3add => registers!(op, |a, b| (a << 3).wrapping_add(b)),
            AddUw => registers!(op, |a, b| u64::from(a as u32).wrapping_add(b)),
            Sh1addUw => registers!(op, |a, b| (u64::from(a as u32) << 1).wrapping_add(b)),
            Sh2addUw => registers!(op, |a, b| (u64::from(a as u32) << 2).wrapping_add(b)),
            Sh3addUw => registers!(op, |a, b| (u64::from(a as u32) << 3).wrapping_add(b)),
            SlliUw => immediate!(op, |a, b| u64::from(a as u32) << (b & 63)),
            Andn => registers!(op, |a, b| a & !b),
            Orn => registers!(op, |a, b| a | !b),
            Xnor => registers!(op, |a, b| !(a ^ b)),
            Clz => immediate!(op, |a, _| a.leading_zeros().into()),
            Ctz => immediate!(op, |a, _| a.trailing_zeros().into()),
            Cpop => immediate!(op, |a, _| a.count_ones().into()),
            Clzw => immediate!(op, |a, _| (a as u32).leading_zeros().into()),
            Ctzw => immediate!(op, |a, _| (a as u32).trailing_zeros().into()),
            Cpopw => immediate!(op, |a, _| (a as u32).count_ones().into()),
            Max => registers!(op, |a, b| (a as i64).max(b as i64) as u64),
            Maxu => registers!(op, |a, b| a.max(b)),
            Min => registers!(op, |a, b| (a as i64).min(b as i64) as u64),
            Minu => registers!(op, |a, b| a.min(b)),
            SextB => immediate!(op, |a, _| a as i8 as u64),
            SextH => immediate!(op, |a, _| a as i16 as u64),
            ZextH => immediate!(op, |a, _| (a as u16).into()),
            Rol => registers!(op, |a, b| a.rotate_left(b as u32 & 63)),
            Ror => registers!(op, |a, b| a.rotate_right(b as u32 & 63)),
            Rori => immediate!(op, |a, b| a.rotate_right(b as u32 & 63)),
            Rolw => registers!(op, |a, b| (a as u32).rotate_left(b as u32 & 31) as i32 as u64),
            Rorw => registers!(op, |a, b| (a as u32).rotate_right(b as u32 & 31) as i32 as u64),
            Roriw => immediate!(op, |a, b| (a as u32).rotate_right(b as u32 & 31) as i32 as u64),
            OrcB => immediate!(op, |a, _| bitmanip::orc_b(a)),
            Rev8 => immediate!(op, |a, _| a.swap_bytes()),
            Clmul => registers!(op, bitmanip::clmul),
            Clmulh => registers!(op, bitmanip::clmulh),
            Clmulr => registers!(op, bitmanip::clmulr),
            Bclr => registers!(op, |a, b| a & !(1 << (b & 63))),
            Bclri => immediate!(op, |a, b| a & !(1 << (b & 63))),
            Bext => registers!(op, |a, b| a >> (b & 63) & 1),
            Bexti => immediate!(op, |a, b| a >> (b & 63) & 1),
            Binv => registers!(op, |a, b| a ^ 1 << (b & 63)),
            Binvi => immediate!(op, |a, b| a ^ 1 << (b & 63)),
            Bset => registers!(op, |a, b| a | 1 << (b & 63)),
            Bseti => immediate!(op, |a, b| a | 1 << (b & 63)),
            Fence | FenceI => advance!(),
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
            AddiAddi => fused!(Addi, Addi),
            AddiAdd => fused!(Addi, Add),
            AddAddi => fused!(Add, Addi),
            AddAdd => fused!(Add, Add),
            AddXor => fused!(Add, Xor),
            XorAdd => fused!(Xor, Add),
            XorXor => fused!(Xor, Xor),
            XorAnd => fused!(Xor, And),
            AndXor => fused!(And, Xor),
            AndOr => fused!(And, Or),
            OrXor => fused!(Or, Xor),
            XorSlli => fused!(Xor, Slli),
            XorSrli => fused!(Xor, Srli),
            SlliXor => fused!(Slli, Xor),
            SrliXor => fused!(Srli, Xor),
            SlliAdd => fused!(Slli, Add),
            SlliSrli => fused!(Slli, Srli),
            SlliOr => fused!(Slli, Or),
            SrliOr => fused!(Srli, Or),
            SrliAndi => fused!(Srli, Andi),
            AndiAdd => fused!(Andi, Add),
            LuiAddi => fused!(Lui, Addi),
            LuiAddiw => fused!(Lui, Addiw),
            AddwAddw => fused!(Addw, Addw),
            AddwXor => fused!(Addw, Xor),
            XorAddw => fused!(Xor, Addw),
            MulAdd => fused!(Mul, Add),
            MulAddi => fused!(Mul, Addi),
            AddSltu => fused!(Add, Sltu),
            SltuAdd => fused!(Sltu, Add),
            LdLd => fused!(Ld, Ld),
            LdAddi => fused!(Ld, Addi),
            LdAdd => fused!(Ld, Add),
            AddiLd => fused!(Addi, Ld),
            AddLd => fused!(Add, Ld),
            LwAddw => fused!(Lw, Addw),
            LwAdd => fused!(Lw, Add),
            AddiLbu => fused!(Addi, Lbu),
            LbuAddi => fused!(Lbu, Addi),
            SdSd => fused!(Sd, Sd),
            AddiSd => fused!(Addi, Sd),
            SdAddi => fused!(Sd, Addi),
            SbAddi => fused!(Sb, Addi),
            AddiBne => fused!(Addi, Bne),
            AddiBeq => fused!(Addi, Beq),
            AddiBltu => fused!(Addi, Bltu),
            AddiBgeu => fused!(Addi, Bgeu),
            AndiBne => fused!(Andi, Bne),
            AndiBeq => fused!(Andi, Beq),
            LbuBne => fused!(Lbu, Bne),
            AddiJal => fused!(Addi, Jal),
            AddiJalr => fused!(Addi, Jalr),
            LdJalr => fused!(Ld, Jalr),
            AuipcJalr => fused!(Auipc, Jalr),
            SrliwSlliwOr => fused!(Srliw, Slliw, Or),
            SlliwSrliwOr => fused!(Slliw, Srliw, Or),
            SrliSlliOr => fused!(Srli, Slli, Or),
            SlliSrliOr => fused!(Slli, Srli, Or),
            Goto => {
                // Belongs to the same straight run: paid for, and no instruction.
                rest = image.ops().get(op.target()..).unwrap_or_default();
                continue;
            }
            Undefined => break Exit::Undefined,
            Leave => match image.find(op.value()) {
                // The next segment follows at once: its first block is one of its own.
                Some(place) => {
                    enter!(place);
                    continue;
                }
                None => break Exit::Leave { target: op.value() },
            },
        }
        if STEP {
            break Exit::Step;
        }
    };
    cursor.left = left;
    cursor.place = image.ops().len() - rest.len();
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
