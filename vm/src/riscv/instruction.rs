//! One decoded instruction, compressed forms expanded.

/// What an instruction does. Compressed instructions have the name of what they expand to.
///
/// The last group never comes out of an encoding: the interpreter's ops have it besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    Lui,
    Auipc,
    Jal,
    Jalr,
    Beq,
    Bne,
    Blt,
    Bge,
    Bltu,
    Bgeu,
    Lb,
    Lh,
    Lw,
    Ld,
    Lbu,
    Lhu,
    Lwu,
    Sb,
    Sh,
    Sw,
    Sd,
    Addi,
    Slti,
    Sltiu,
    Xori,
    Ori,
    Andi,
    Slli,
    Srli,
    Srai,
    Addiw,
    Slliw,
    Srliw,
    Sraiw,
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
    Addw,
    Subw,
    Sllw,
    Srlw,
    Sraw,
    Mul,
    Mulh,
    Mulhsu,
    Mulhu,
    Div,
    Divu,
    Rem,
    Remu,
    Mulw,
    Divw,
    Divuw,
    Remw,
    Remuw,
    Fence,
    FenceI,
    Ecall,
    Ebreak,
    LrW,
    ScW,
    AmoswapW,
    AmoaddW,
    AmoxorW,
    AmoandW,
    AmoorW,
    AmominW,
    AmomaxW,
    AmominuW,
    AmomaxuW,
    LrD,
    ScD,
    AmoswapD,
    AmoaddD,
    AmoxorD,
    AmoandD,
    AmoorD,
    AmominD,
    AmomaxD,
    AmominuD,
    AmomaxuD,
    Sh1add,
    Sh2add,
    Sh3add,
    AddUw,
    Sh1addUw,
    Sh2addUw,
    Sh3addUw,
    SlliUw,
    Andn,
    Orn,
    Xnor,
    Clz,
    Ctz,
    Cpop,
    Clzw,
    Ctzw,
    Cpopw,
    Max,
    Maxu,
    Min,
    Minu,
    SextB,
    SextH,
    ZextH,
    Rol,
    Ror,
    Rori,
    Rolw,
    Rorw,
    Roriw,
    OrcB,
    Rev8,
    Clmul,
    Clmulh,
    Clmulr,
    Bclr,
    Bclri,
    Bext,
    Bexti,
    Binv,
    Binvi,
    Bset,
    Bseti,
    /// `jal` that keeps no return address.
    Jump,
    /// `jalr` that keeps none.
    JumpRegister,
    /// An undefined encoding.
    Undefined,
    /// Control goes to an address where no instruction was decoded; the op carries it.
    Leave,
    /// The straight run goes on at another op; costs nothing.
    Goto,
}

/// An instruction with its operands. Fields that its format lacks are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub operation: Operation,
    /// Destination register.
    pub rd: u8,
    /// First source register.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// Immediate, sign-extended; `lui` and `auipc` hold it shifted into place.
    pub imm: i32,
    /// Bytes of the encoding: 2 or 4.
    pub length: u8,
}

impl Operation {
    /// Whether the straight run of instructions ends with this one.
    pub(super) fn ends_block(self) -> bool {
        use Operation::*;
        matches!(
            self,
            Jal | Jalr
                | Beq
                | Bne
                | Blt
                | Bge
                | Bltu
                | Bgeu
                | Ecall
                | Ebreak
                | Jump
                | JumpRegister
                | Undefined
        )
    }
}

/// Length of the instruction that starts with the halfword `low`.
///
/// Encodings of 48 bits and more do not exist here; they count as four undefined bytes.
pub(super) fn length(low: u16) -> usize {
    if low & 3 == 3 { 4 } else { 2 }
}
