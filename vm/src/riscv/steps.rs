//! What each instruction does, as a step of the interpreter.
//!
//! An instruction is a type that has no values, so that a fused step is made of several of them and
//! compiles to what they do together: see `fuse.rs`. In a step the last instruction [`Finish`]es and
//! those before it [`Compute`]. All of them are in one file of some 600 lines, for its last part is
//! a list to look instructions up in, and the macros above say what its rows mean.

use super::{
    PAGE_SIZE, bitmanip,
    cpu::{Cpu, Exit, Step, arrive, enter, go_far, go_on, next, pause, visit},
    instruction::Operation,
    memory::Page,
    op::Op,
    pool::Registers,
};

/// An instruction by the name of its operation.
pub(super) trait Named {
    const OPERATION: Operation;
}

/// An instruction after which the next one follows.
pub(super) trait Compute: Named {
    /// Whether it writes `rd`.
    const WRITES: bool = true;

    /// Gives the value for `rd`, out of the value of `rs1`; `None` if `compute_slowly` has to.
    #[inline(always)]
    fn compute(_: u64, _: &Op, _: &Registers, _: &mut Cpu<'_>) -> Option<u64> {
        None
    }

    /// As `compute`, for whatever it leaves undone; `None` if memory refuses.
    fn compute_slowly(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
        Self::compute(a, op, x, cpu)
    }
}

/// An instruction that computes with two registers.
pub(super) trait Join: Compute {
    /// Gives the value for `rd` out of those of `rs1` and `rs2`.
    fn join(a: u64, b: u64) -> u64;
}

/// An instruction that loads or stores inside of one page, but for rare cases.
pub(super) trait Access: Compute {
    /// What is at an offset in the page, for `rd`; or stores there. `None` if it does not fit.
    fn at(page: &mut Page, offset: usize, op: &Op, x: &Registers) -> Option<u64>;
}

/// What a step may end with.
pub(super) trait Finish {
    /// Instructions that it does.
    const OPS: usize;

    /// Does it, with the value of `rs1`, and goes on where it says; `rest` starts at it.
    fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>);
}

/// What a step may begin with.
pub(super) trait Begin {
    /// Instructions that it does.
    const OPS: usize;

    /// Does it out of the value of the first `rs1` and gives what the last instruction computes;
    /// `None` if the chain went on elsewhere.
    fn begin<'a>(
        a: u64,
        x: &mut Registers,
        rest: &'a [Op],
        left: u64,
        cpu: &mut Cpu<'a>,
    ) -> Option<u64>;
}

impl<I: Compute> Begin for I {
    const OPS: usize = 1;

    #[inline(always)]
    fn begin<'a>(
        a: u64,
        x: &mut Registers,
        rest: &'a [Op],
        left: u64,
        cpu: &mut Cpu<'a>,
    ) -> Option<u64> {
        let value = rest.first().and_then(|op| run::<I>(a, op, x, cpu));
        if value.is_none() {
            slowly::<I>(x, rest, left, a, cpu);
        }
        value
    }
}

impl<P: Begin> Finish for P {
    const OPS: usize = P::OPS;

    #[inline(always)]
    fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
        if let Some(value) = P::begin(a, x, rest, left, cpu) {
            next(x, &rest[P::OPS..], left, value, cpu)
        }
    }
}

/// Makes the type of each instruction, and its steps.
macro_rules! instructions {
    ($($kind:ident { $($name:ident $args:tt)* })*) => {
        $($(
            pub(super) struct $name;
            $kind!($name $args);

            impl Named for $name {
                const OPERATION: Operation = Operation::$name;
            }
        )*)*

        /// The step that an operation has on its own. With `acc`, the value of its `rs1` is what
        /// the op before it has computed.
        pub(super) fn plain(operation: Operation, acc: bool) -> Step {
            match operation {
                $($(
                    Operation::$name if acc => one::<$name, true>,
                    Operation::$name => one::<$name, false>,
                )*)*
            }
        }
    };
}

/// `rd = f(rs1, rs2)`.
macro_rules! registers {
    ($name:ident ($f:expr)) => {
        impl Compute for $name {
            #[inline(always)]
            fn compute(a: u64, op: &Op, x: &Registers, _: &mut Cpu<'_>) -> Option<u64> {
                Some(Self::join(a, x[usize::from(op.rs2)]))
            }
        }

        impl Join for $name {
            #[inline(always)]
            fn join(a: u64, b: u64) -> u64 {
                let f: fn(u64, u64) -> u64 = $f;
                f(a, b)
            }
        }
    };
}

/// `rd = f(rs1, immediate)`.
macro_rules! immediate {
    ($name:ident ($f:expr)) => {
        impl Compute for $name {
            #[inline(always)]
            fn compute(a: u64, op: &Op, _: &Registers, _: &mut Cpu<'_>) -> Option<u64> {
                let f: fn(u64, u64) -> u64 = $f;
                Some(f(a, op.immediate()))
            }
        }
    };
}

/// `rd = constant`.
macro_rules! constant {
    ($name:ident ()) => {
        impl Compute for $name {
            #[inline(always)]
            fn compute(_: u64, op: &Op, _: &Registers, _: &mut Cpu<'_>) -> Option<u64> {
                Some(op.value())
            }
        }
    };
}

macro_rules! nothing {
    ($name:ident ()) => {
        impl Compute for $name {
            const WRITES: bool = false;

            #[inline(always)]
            fn compute(_: u64, _: &Op, _: &Registers, _: &mut Cpu<'_>) -> Option<u64> {
                Some(0)
            }
        }
    };
}

/// `rd = f(bytes at rs1 + immediate)`.
macro_rules! load {
    ($name:ident ($len:literal, $f:expr)) => {
        impl Compute for $name {
            #[inline(always)]
            fn compute(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                access::<Self>(a, op, x, cpu)
            }

            fn compute_slowly(a: u64, op: &Op, _: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                let f: fn([u8; $len]) -> u64 = $f;
                cpu.load_across::<$len>(a.wrapping_add(op.immediate())).map(f)
            }
        }

        impl Access for $name {
            #[inline(always)]
            fn at(page: &mut Page, offset: usize, _: &Op, _: &Registers) -> Option<u64> {
                let f: fn([u8; $len]) -> u64 = $f;
                page.get(offset..)?.first_chunk().copied().map(f)
            }
        }
    };
}

/// The low bytes of rs2 to rs1 + immediate.
macro_rules! store {
    ($name:ident ($len:literal, $kind:ty)) => {
        impl Compute for $name {
            const WRITES: bool = false;

            #[inline(always)]
            fn compute(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                access::<Self>(a, op, x, cpu)
            }

            fn compute_slowly(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                let address = a.wrapping_add(op.immediate());
                let bytes = (x[usize::from(op.rs2)] as $kind).to_le_bytes();
                cpu.store_across::<$len>(address, bytes).map(|()| 0)
            }
        }

        impl Access for $name {
            #[inline(always)]
            fn at(page: &mut Page, offset: usize, op: &Op, x: &Registers) -> Option<u64> {
                let bytes = (x[usize::from(op.rs2)] as $kind).to_le_bytes();
                *page.get_mut(offset..)?.first_chunk_mut()? = bytes;
                Some(0)
            }
        }
    };
}

/// Loads and remembers the address.
macro_rules! load_reserved {
    ($name:ident ($len:literal, $f:expr)) => {
        impl Compute for $name {
            fn compute_slowly(a: u64, _: &Op, _: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                let f: fn([u8; $len]) -> u64 = $f;
                cpu.reservation = Some(a);
                cpu.load_across::<$len>(a).map(f)
            }
        }
    };
}

/// Stores if the address is the remembered one; `rd` gets 0 then, else 1.
macro_rules! store_conditional {
    ($name:ident ($len:literal, $kind:ty)) => {
        impl Compute for $name {
            fn compute_slowly(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                let holds = cpu.reservation == Some(a);
                if holds {
                    let bytes = (x[usize::from(op.rs2)] as $kind).to_le_bytes();
                    cpu.store_across::<$len>(a, bytes)?;
                }
                cpu.reservation = None;
                Some(u64::from(!holds))
            }
        }
    };
}

/// `rd = old value at rs1; value at rs1 = f(old, rs2)`, both as `$kind`.
macro_rules! atomic {
    ($name:ident ($len:literal, $signed:ty, $kind:ty, $f:expr)) => {
        impl Compute for $name {
            fn compute_slowly(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
                let f: fn($kind, $kind) -> $kind = $f;
                let old = <$kind>::from_le_bytes(cpu.load_for_store::<$len>(a)?);
                let new = f(old, x[usize::from(op.rs2)] as $kind);
                // Cannot miss: the page was just found to be writable.
                let _ = cpu.view.store_across::<$len>(a, new.to_le_bytes());
                Some(old as $signed as u64)
            }
        }
    };
}

/// Goes to the target if f(rs1, rs2) holds, else on; both enter a block.
macro_rules! branch {
    ($name:ident ($f:expr)) => {
        impl Finish for $name {
            const OPS: usize = 1;

            #[inline(always)]
            fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
                let f: fn(u64, u64) -> bool = $f;
                let [op, _, ..] = rest else { return pause(rest, left, cpu) };
                if f(a, x[usize::from(op.rs2)]) {
                    enter(x, (op.target(), rest.len() - 1), left, cpu)
                } else {
                    go_on(x, &rest[1..], left, cpu)
                }
            }
        }
    };
}

/// A jump to a place, by `enter` or `visit`; it may link.
macro_rules! jump {
    ($name:ident ($links:literal, $go:ident)) => {
        impl Finish for $name {
            const OPS: usize = 1;

            #[inline(always)]
            fn finish<'a>(_: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
                let [op, _, ..] = rest else { return pause(rest, left, cpu) };
                if $links {
                    link(op, x, rest, cpu);
                }
                $go(x, (op.target(), rest.len() - 1), left, cpu)
            }
        }
    };
}

/// A jump to an address, which the function gives; it may link, or be a return.
macro_rules! jump_register {
    ($name:ident ($links:literal, $f:expr)) => {
        impl Finish for $name {
            const OPS: usize = 1;

            #[inline(always)]
            fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
                let f: fn(u64, &Op) -> u64 = $f;
                let [op, _, ..] = rest else { return pause(rest, left, cpu) };
                let target = f(a, op);
                if $links {
                    link(op, x, rest, cpu);
                } else if let Some(ops) = cpu.returns(target, rest.len() - 1) {
                    return arrive(x, ops, left, cpu);
                }
                match cpu.find(target) {
                    Some(place) => enter(x, (place, rest.len() - 1), left, cpu),
                    None => go_far(x, rest, left, target, cpu),
                }
            }
        }
    };
}

/// Leaves the loop.
macro_rules! end {
    ($name:ident ($exit:expr)) => {
        impl Finish for $name {
            const OPS: usize = 1;

            #[inline(always)]
            fn finish<'a>(_: u64, _: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
                cpu.exit = Some($exit);
                pause(rest, left, cpu)
            }
        }
    };
}

instructions! {
    constant {
        Lui()
        Auipc()
    }
    nothing {
        Fence()
        FenceI()
    }
    load {
        Lb(1, |bytes| i8::from_le_bytes(bytes) as u64)
        Lh(2, |bytes| i16::from_le_bytes(bytes) as u64)
        Lw(4, |bytes| i32::from_le_bytes(bytes) as u64)
        Ld(8, |bytes| u64::from_le_bytes(bytes))
        Lbu(1, |bytes| u8::from_le_bytes(bytes).into())
        Lhu(2, |bytes| u16::from_le_bytes(bytes).into())
        Lwu(4, |bytes| u32::from_le_bytes(bytes).into())
    }
    store {
        Sb(1, u8)
        Sh(2, u16)
        Sw(4, u32)
        Sd(8, u64)
    }
    immediate {
        Addi(|a, b| a.wrapping_add(b))
        Slti(|a, b| ((a as i64) < b as i64).into())
        Sltiu(|a, b| (a < b).into())
        Xori(|a, b| a ^ b)
        Ori(|a, b| a | b)
        Andi(|a, b| a & b)
        Slli(|a, b| a << (b & 63))
        Srli(|a, b| a >> (b & 63))
        Srai(|a, b| (a as i64 >> (b & 63)) as u64)
        Addiw(|a, b| (a as i32).wrapping_add(b as i32) as u64)
        Slliw(|a, b| ((a as i32) << (b & 31)) as u64)
        Srliw(|a, b| (a as u32 >> (b & 31)) as i32 as u64)
        Sraiw(|a, b| (a as i32 >> (b & 31)) as u64)
        SlliUw(|a, b| u64::from(a as u32) << (b & 63))
        Clz(|a, _| a.leading_zeros().into())
        Ctz(|a, _| a.trailing_zeros().into())
        Cpop(|a, _| a.count_ones().into())
        Clzw(|a, _| (a as u32).leading_zeros().into())
        Ctzw(|a, _| (a as u32).trailing_zeros().into())
        Cpopw(|a, _| (a as u32).count_ones().into())
        SextB(|a, _| a as i8 as u64)
        SextH(|a, _| a as i16 as u64)
        ZextH(|a, _| (a as u16).into())
        Rori(|a, b| a.rotate_right(b as u32 & 63))
        Roriw(|a, b| (a as u32).rotate_right(b as u32 & 31) as i32 as u64)
        OrcB(|a, _| bitmanip::orc_b(a))
        Rev8(|a, _| a.swap_bytes())
        Bclri(|a, b| a & !(1 << (b & 63)))
        Bexti(|a, b| a >> (b & 63) & 1)
        Binvi(|a, b| a ^ 1 << (b & 63))
        Bseti(|a, b| a | 1 << (b & 63))
    }
    registers {
        Add(|a, b| a.wrapping_add(b))
        Sub(|a, b| a.wrapping_sub(b))
        Sll(|a, b| a << (b & 63))
        Slt(|a, b| ((a as i64) < b as i64).into())
        Sltu(|a, b| (a < b).into())
        Xor(|a, b| a ^ b)
        Srl(|a, b| a >> (b & 63))
        Sra(|a, b| (a as i64 >> (b & 63)) as u64)
        Or(|a, b| a | b)
        And(|a, b| a & b)
        Addw(|a, b| (a as i32).wrapping_add(b as i32) as u64)
        Subw(|a, b| (a as i32).wrapping_sub(b as i32) as u64)
        Sllw(|a, b| ((a as i32) << (b & 31)) as u64)
        Srlw(|a, b| (a as u32 >> (b & 31)) as i32 as u64)
        Sraw(|a, b| (a as i32 >> (b & 31)) as u64)
        Mul(|a, b| a.wrapping_mul(b))
        Mulh(|a, b| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64)
        Mulhsu(|a, b| ((i128::from(a as i64) * i128::from(b)) >> 64) as u64)
        Mulhu(|a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64)
        Mulw(|a, b| (a as i32).wrapping_mul(b as i32) as u64)
        Div(|a, b| div(a as i64, b as i64) as u64)
        Divu(|a, b| a.checked_div(b).unwrap_or(u64::MAX))
        Rem(|a, b| rem(a as i64, b as i64) as u64)
        Remu(|a, b| a.checked_rem(b).unwrap_or(a))
        Divw(|a, b| div(a as i32 as i64, b as i32 as i64) as i32 as u64)
        Divuw(|a, b| (a as u32).checked_div(b as u32).unwrap_or(u32::MAX) as i32 as u64)
        Remw(|a, b| rem(a as i32 as i64, b as i32 as i64) as i32 as u64)
        Remuw(|a, b| (a as u32).checked_rem(b as u32).unwrap_or(a as u32) as i32 as u64)
        Sh1add(|a, b| (a << 1).wrapping_add(b))
        Sh2add(|a, b| (a << 2).wrapping_add(b))
        Sh3add(|a, b| (a << 3).wrapping_add(b))
        AddUw(|a, b| u64::from(a as u32).wrapping_add(b))
        Sh1addUw(|a, b| (u64::from(a as u32) << 1).wrapping_add(b))
        Sh2addUw(|a, b| (u64::from(a as u32) << 2).wrapping_add(b))
        Sh3addUw(|a, b| (u64::from(a as u32) << 3).wrapping_add(b))
        Andn(|a, b| a & !b)
        Orn(|a, b| a | !b)
        Xnor(|a, b| !(a ^ b))
        Max(|a, b| (a as i64).max(b as i64) as u64)
        Maxu(|a, b| a.max(b))
        Min(|a, b| (a as i64).min(b as i64) as u64)
        Minu(|a, b| a.min(b))
        Rol(|a, b| a.rotate_left(b as u32 & 63))
        Ror(|a, b| a.rotate_right(b as u32 & 63))
        Rolw(|a, b| (a as u32).rotate_left(b as u32 & 31) as i32 as u64)
        Rorw(|a, b| (a as u32).rotate_right(b as u32 & 31) as i32 as u64)
        Clmul(bitmanip::clmul)
        Clmulh(bitmanip::clmulh)
        Clmulr(bitmanip::clmulr)
        Bclr(|a, b| a & !(1 << (b & 63)))
        Bext(|a, b| a >> (b & 63) & 1)
        Binv(|a, b| a ^ 1 << (b & 63))
        Bset(|a, b| a | 1 << (b & 63))
    }
    load_reserved {
        LrW(4, |bytes| i32::from_le_bytes(bytes) as u64)
        LrD(8, |bytes| u64::from_le_bytes(bytes))
    }
    store_conditional {
        ScW(4, u32)
        ScD(8, u64)
    }
    atomic {
        AmoswapW(4, i32, u32, |_, b| b)
        AmoaddW(4, i32, u32, |a, b| a.wrapping_add(b))
        AmoxorW(4, i32, u32, |a, b| a ^ b)
        AmoandW(4, i32, u32, |a, b| a & b)
        AmoorW(4, i32, u32, |a, b| a | b)
        AmominW(4, i32, i32, |a, b| a.min(b))
        AmomaxW(4, i32, i32, |a, b| a.max(b))
        AmominuW(4, i32, u32, |a, b| a.min(b))
        AmomaxuW(4, i32, u32, |a, b| a.max(b))
        AmoswapD(8, i64, u64, |_, b| b)
        AmoaddD(8, i64, u64, |a, b| a.wrapping_add(b))
        AmoxorD(8, i64, u64, |a, b| a ^ b)
        AmoandD(8, i64, u64, |a, b| a & b)
        AmoorD(8, i64, u64, |a, b| a | b)
        AmominD(8, i64, i64, |a, b| a.min(b))
        AmomaxD(8, i64, i64, |a, b| a.max(b))
        AmominuD(8, i64, u64, |a, b| a.min(b))
        AmomaxuD(8, i64, u64, |a, b| a.max(b))
    }
    branch {
        Beq(|a, b| a == b)
        Bne(|a, b| a != b)
        Blt(|a, b| (a as i64) < b as i64)
        Bge(|a, b| a as i64 >= b as i64)
        Bltu(|a, b| a < b)
        Bgeu(|a, b| a >= b)
    }
    jump {
        Jump(false, enter)
        Jal(true, enter)
        // The target belongs to the same straight run: paid for.
        Goto(false, visit)
    }
    jump_register {
        Jalr(true, |a, op| a.wrapping_add(op.immediate()) & !1)
        JumpRegister(false, |a, op| a.wrapping_add(op.immediate()) & !1)
        // The next segment follows at once, or nothing does: its first block is one of its own.
        Leave(false, |_, op| op.value())
    }
    end {
        Ecall(Exit::Syscall)
        Ebreak(Exit::Breakpoint)
        Undefined(Exit::Undefined)
    }
}

/// Does one instruction, or what a sequence has. With `ACC`, `acc` is the value of the first `rs1`.
pub(super) fn one<'a, I: Finish, const ACC: bool>(
    x: &mut Registers,
    rest: &'a [Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'a>,
) {
    if rest.len() <= I::OPS {
        return pause(rest, left, cpu);
    }
    let a = if ACC { acc } else { x[usize::from(rest[0].rs1)] };
    I::finish(a, x, rest, left, cpu)
}

/// Loads or stores; `None` if the page is not there or the access leaves it.
#[inline(always)]
fn access<I: Access>(a: u64, op: &Op, x: &Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
    let address = a.wrapping_add(op.immediate());
    // What writes no register stores.
    let page = cpu.view.page(address, !I::WRITES)?;
    I::at(page, address as usize % PAGE_SIZE, op, x)
}

/// Keeps the address behind a call, for the guest and for the return.
#[inline(always)]
fn link<'a>(op: &Op, x: &mut Registers, rest: &'a [Op], cpu: &mut Cpu<'a>) {
    x[usize::from(op.rd)] = op.link();
    let behind = &rest[1..];
    // Nothing was decoded behind the last instruction of a segment.
    if behind[0].operation != Operation::Leave {
        cpu.call(op.link(), behind);
    }
}

/// Computes and writes `rd`, out of the value of `rs1`; `None` if `slowly` has to.
#[inline(always)]
fn run<I: Compute>(a: u64, op: &Op, x: &mut Registers, cpu: &mut Cpu<'_>) -> Option<u64> {
    let value = I::compute(a, op, x, cpu)?;
    if I::WRITES {
        x[usize::from(op.rd)] = value;
    }
    Some(value)
}

/// Does one instruction that could not be done fast; `a` is the value of its `rs1`.
#[cold]
#[inline(never)]
pub(super) fn slowly<'a, I: Compute>(
    x: &mut Registers,
    rest: &'a [Op],
    left: u64,
    a: u64,
    cpu: &mut Cpu<'a>,
) {
    let [op, _, ..] = rest else { return pause(rest, left, cpu) };
    let Some(value) = I::compute_slowly(a, op, x, cpu) else { return pause(rest, left, cpu) };
    if I::WRITES {
        x[usize::from(op.rd)] = value;
    }
    next(x, &rest[1..], left, value, cpu)
}

/// Signed division as the ISA has it: by zero it gives -1, and overflow wraps.
fn div(a: i64, b: i64) -> i64 {
    if b == 0 { -1 } else { a.wrapping_div(b) }
}

/// Signed remainder as the ISA has it: by zero it gives the dividend, and overflow gives 0.
fn rem(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { a.wrapping_rem(b) }
}
