//! What an instruction costs, and how whole gas becomes units and back.

use genesis::RiscvGas;
use thiserror::Error;

use super::{decode::decode, instruction::Operation};

/// The units at hand do not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("out of gas")]
pub struct OutOfGas;

/// The account of one frame's machine, in units: thousandths of the proving cost of an addition.
///
/// Gas is whole and units are fine, so a frame keeps what it has paid for and not used: see
/// [`Units::refill`] and [`Units::settle`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// Units that the frame may still use.
    pub left: u64,
    /// Pages that the transaction may still touch.
    pub pages_left: u32,
    /// Pages that all live frames of a transaction may touch, for messages.
    pub pages_max: u32,
    /// Units that one gas buys.
    per_gas: u64,
    /// Units paid for with whole gas before `left` was last filled, and not used then.
    carried: u64,
    /// `left` when it was last filled.
    filled: u64,
    /// What was charged besides instructions.
    pub spent: Spent,
}

/// What a frame's machine has paid for besides its instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Units for ranges that crossed between guest and host.
    pub copies: u64,
    /// Units for pages that were touched first.
    pub pages: u64,
    /// Units for what pure calls computed.
    pub calls: u64,
    /// Whole gas that was settled, for instructions and for all of these.
    pub gas: u64,
}

impl Spent {
    /// All its units.
    pub const fn units(&self) -> u64 {
        self.copies.saturating_add(self.pages).saturating_add(self.calls)
    }
}

impl Units {
    /// An empty account.
    pub fn new(gas: &RiscvGas, pages_max: u32) -> Self {
        let per_gas = gas.units_per_gas.max(1);
        let spent = Spent::default();
        Self { left: 0, pages_left: pages_max, pages_max, per_gas, carried: 0, filled: 0, spent }
    }

    /// Makes all of `gas`, and what was paid before and not used, available as units.
    pub fn refill(&mut self, gas: u64) {
        self.left = gas.saturating_mul(self.per_gas).saturating_add(self.carried);
        self.filled = self.left;
    }

    /// The whole gas that pays for what was used since the last `refill`: never more than it gave.
    ///
    /// The unused rest of the last gas is carried to the next `refill`.
    pub fn settle(&mut self) -> u64 {
        let used = self.filled - self.left;
        let unpaid = used.saturating_sub(self.carried);
        let gas = unpaid.div_ceil(self.per_gas);
        // Either `unpaid` is zero and so is `gas`, or `carried` is used up.
        self.carried = self.carried.saturating_sub(used) + (gas * self.per_gas - unpaid);
        self.left = 0;
        self.filled = 0;
        self.spent.gas += gas;
        gas
    }

    /// Takes `units` for what a pure call computes, or leaves the account as it was.
    pub(crate) fn charge_call(&mut self, units: u64) -> Result<(), OutOfGas> {
        self.charge(units)?;
        self.spent.calls += units;
        Ok(())
    }

    /// Takes `units`, or leaves the account as it was.
    pub fn charge(&mut self, units: u64) -> Result<(), OutOfGas> {
        self.left = self.left.checked_sub(units).ok_or(OutOfGas)?;
        Ok(())
    }
}

/// A class of instructions: those that cost the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Additions, subtractions and moves.
    Add,
    /// `lui`, `auipc`, jumps, fences.
    LuiJump,
    /// Bitwise logic and comparisons.
    Logic,
    /// Shifts and rotates, single bits.
    Shift,
    /// Multiplications and counts of bits.
    Mul,
    /// Divisions, remainders, carry-less products.
    Div,
    /// A load or store of 64 bits.
    Access64,
    /// A load or store of 8, 16 or 32 bits.
    AccessNarrow,
    /// Conditional branches.
    Branch,
    /// `lr`, `sc` and the atomic read-modify-write instructions.
    Atomic,
    /// `ecall` and `ebreak`.
    Syscall,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 11] = [
        Self::Add,
        Self::LuiJump,
        Self::Logic,
        Self::Shift,
        Self::Mul,
        Self::Div,
        Self::Access64,
        Self::AccessNarrow,
        Self::Branch,
        Self::Atomic,
        Self::Syscall,
    ];

    /// The key of its price in the genesis file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::LuiJump => "luiJump",
            Self::Logic => "logic",
            Self::Shift => "shift",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Access64 => "access64",
            Self::AccessNarrow => "accessNarrow",
            Self::Branch => "branch",
            Self::Atomic => "atomic",
            Self::Syscall => "syscall",
        }
    }

    /// What an instruction of this class costs, in units.
    pub const fn price(self, gas: &RiscvGas) -> u32 {
        match self {
            Self::Add => gas.add,
            Self::LuiJump => gas.lui_jump,
            Self::Logic => gas.logic,
            Self::Shift => gas.shift,
            Self::Mul => gas.mul,
            Self::Div => gas.div,
            Self::Access64 => gas.access64,
            Self::AccessNarrow => gas.access_narrow,
            Self::Branch => gas.branch,
            Self::Atomic => gas.atomic,
            Self::Syscall => gas.syscall,
        }
    }

    /// The class of an encoding; `None` if it is undefined. The upper half of `bits` is ignored by
    /// compressed instructions.
    pub fn of_encoding(bits: u32) -> Option<Self> {
        decode(bits).and_then(|instruction| Self::of(instruction.operation))
    }

    /// The class of an operation; the interpreter's own ones have none.
    fn of(operation: Operation) -> Option<Self> {
        use Operation::*;
        Some(match operation {
            Addi | Addiw | Add | Sub | Addw | Subw | AddUw => Self::Add,
            Lui | Auipc | Fence | FenceI | Jal | Jalr | Jump | JumpRegister => Self::LuiJump,
            Slti | Sltiu | Xori | Ori | Andi | Slt | Sltu | Xor | Or | And | Andn | Orn | Xnor
            | Max | Maxu | Min | Minu | SextB | SextH | ZextH | OrcB | Rev8 => Self::Logic,
            Slli | Srli | Srai | Slliw | Srliw | Sraiw | Sll | Srl | Sra | Sllw | Srlw | Sraw
            | Sh1add | Sh2add | Sh3add | Sh1addUw | Sh2addUw | Sh3addUw | SlliUw | Rol | Ror
            | Rori | Rolw | Rorw | Roriw | Bclr | Bclri | Bext | Bexti | Binv | Binvi | Bset
            | Bseti => Self::Shift,
            Mul | Mulh | Mulhsu | Mulhu | Mulw | Clz | Ctz | Cpop | Clzw | Ctzw | Cpopw => {
                Self::Mul
            }
            Div | Divu | Rem | Remu | Divw | Divuw | Remw | Remuw | Clmul | Clmulh | Clmulr => {
                Self::Div
            }
            Ld | Sd => Self::Access64,
            Lb | Lh | Lw | Lbu | Lhu | Lwu | Sb | Sh | Sw => Self::AccessNarrow,
            Beq | Bne | Blt | Bge | Bltu | Bgeu => Self::Branch,
            Ecall | Ebreak => Self::Syscall,
            LrW | ScW | AmoswapW | AmoaddW | AmoxorW | AmoandW | AmoorW | AmominW | AmomaxW
            | AmominuW | AmomaxuW | LrD | ScD | AmoswapD | AmoaddD | AmoxorD | AmoandD | AmoorD
            | AmominD | AmomaxD | AmominuD | AmomaxuD => Self::Atomic,
            // Ops are fused after they were priced one by one.
            _ => return None,
        })
    }
}

/// The price of one instruction. A control transfer is never free, so that no loop is.
pub(super) fn price(gas: &RiscvGas, operation: Operation) -> u32 {
    let price = Class::of(operation).map_or(0, |class| class.price(gas));
    if operation.ends_block() && operation != Operation::Undefined { price.max(1) } else { price }
}

/// The price of `len` bytes that cross between guest and host.
pub(super) fn copy_price(gas: &RiscvGas, len: u64) -> u64 {
    len.div_ceil(8).saturating_mul(gas.copy_word.into())
}
