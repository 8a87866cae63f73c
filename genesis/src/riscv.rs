//! Prices and limits of RISC-V code: `config.riscv` of the genesis file.

use alloc::{borrow::ToOwned, format};

use serde::{Deserialize, Serialize};

use crate::error::{GenesisError, Problem};

/// Limits and prices of RISC-V contracts. Every field may be left out of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RiscvParams {
    /// Largest ELF image that may be deployed, in bytes.
    pub image_size_max: u32,
    /// Largest RISC-V init code (container with constructor arguments), in bytes.
    pub init_code_size_max: u32,
    /// Most pages of 4,096 bytes that all live frames of one transaction may touch.
    pub memory_pages_max: u32,
    /// Gas per byte of a deployed container, in place of the EVM's 200.
    pub deposit_gas_per_byte: u64,
    /// Gas per byte of an image that is validated and decoded, at deployment and as init code.
    pub decode_gas_per_byte: u64,
    /// What instructions, memory and system calls cost.
    pub gas: RiscvGas,
}

impl Default for RiscvParams {
    fn default() -> Self {
        Self {
            image_size_max: 524_288,
            init_code_size_max: 655_360,
            memory_pages_max: 16_384,
            deposit_gas_per_byte: 20,
            decode_gas_per_byte: 4,
            gas: RiscvGas::default(),
        }
    }
}

/// Prices in units; a unit is a thousandth of the proving cost of an addition.
///
/// Where the defaults come from is written in `docs/spec/riscv-gas.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RiscvGas {
    /// Units that one gas buys.
    pub units_per_gas: u64,
    /// Additions, subtractions and moves.
    pub add: u32,
    /// `lui`, `auipc`, jumps, fences.
    pub lui_jump: u32,
    /// Bitwise logic and set-less-than.
    pub logic: u32,
    /// Shifts.
    pub shift: u32,
    /// Multiplications.
    pub mul: u32,
    /// Divisions and remainders.
    pub div: u32,
    /// A load or store of 64 bits.
    pub access64: u32,
    /// A load or store of 8, 16 or 32 bits.
    pub access_narrow: u32,
    /// Conditional branches.
    pub branch: u32,
    /// `lr`, `sc` and the atomic read-modify-write instructions.
    pub atomic: u32,
    /// Every `ecall`, before what it does.
    pub syscall: u32,
    /// Each started 8 bytes that a system call copies between guest and host.
    pub copy_word: u32,
    /// The first touch of a page.
    pub page: u32,
    /// Each keccak-f permutation of the KECCAK256 system call.
    pub keccak_block: u32,
    /// Each SHA-256 compression.
    pub sha256_block: u32,
    /// Each RIPEMD-160 compression.
    pub ripemd160_block: u32,
    /// Each BLAKE3 compression.
    pub blake3_block: u32,
    /// Each round of BLAKE2's compression.
    pub blake2f_round: u32,
    /// A multiplication of 256 bits with an addition, modulo anything.
    pub mul_add256: u32,
    /// An addition on an elliptic curve over 256 bits.
    pub ec_add: u32,
    /// The start of a frame: a machine with its registers and page tables.
    pub call_base: u32,
}

impl Default for RiscvGas {
    fn default() -> Self {
        Self {
            units_per_gas: 20_000,
            add: 900,
            lui_jump: 1_000,
            logic: 1_500,
            shift: 2_400,
            mul: 2_700,
            div: 9_400,
            access64: 1_200,
            access_narrow: 1_500,
            branch: 1_600,
            atomic: 3_900,
            syscall: 2_500,
            copy_word: 2_400,
            page: 614_400,
            keccak_block: 2_270_000,
            sha256_block: 640_000,
            ripemd160_block: 3_120_000,
            blake3_block: 2_790_000,
            blake2f_round: 360_000,
            mul_add256: 13_500,
            ec_add: 50_000,
            call_base: 2_000_000,
        }
    }
}

impl RiscvParams {
    /// Refuses a schedule under which a loop would cost nothing or no image could be deployed.
    pub(crate) fn check(&self) -> Result<(), GenesisError> {
        let gas = &self.gas;
        let positive = [
            ("imageSizeMax", u64::from(self.image_size_max)),
            ("initCodeSizeMax", u64::from(self.init_code_size_max)),
            ("memoryPagesMax", u64::from(self.memory_pages_max)),
            ("gas.unitsPerGas", gas.units_per_gas),
            ("gas.add", u64::from(gas.add)),
            ("gas.luiJump", u64::from(gas.lui_jump)),
            ("gas.logic", u64::from(gas.logic)),
            ("gas.shift", u64::from(gas.shift)),
            ("gas.mul", u64::from(gas.mul)),
            ("gas.div", u64::from(gas.div)),
            ("gas.access64", u64::from(gas.access64)),
            ("gas.accessNarrow", u64::from(gas.access_narrow)),
            ("gas.branch", u64::from(gas.branch)),
            ("gas.atomic", u64::from(gas.atomic)),
            ("gas.syscall", u64::from(gas.syscall)),
            ("gas.copyWord", u64::from(gas.copy_word)),
            ("gas.page", u64::from(gas.page)),
            ("gas.keccakBlock", u64::from(gas.keccak_block)),
            ("gas.sha256Block", u64::from(gas.sha256_block)),
            ("gas.ripemd160Block", u64::from(gas.ripemd160_block)),
            ("gas.blake3Block", u64::from(gas.blake3_block)),
            ("gas.blake2fRound", u64::from(gas.blake2f_round)),
            ("gas.mulAdd256", u64::from(gas.mul_add256)),
            ("gas.ecAdd", u64::from(gas.ec_add)),
            ("gas.callBase", u64::from(gas.call_base)),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Problem::Zero.at(format!("config.riscv.{key}")));
        }
        if self.init_code_size_max < self.image_size_max {
            let problem = Problem::InitCodeBelowImage {
                init_code_size_max: self.init_code_size_max,
                image_size_max: self.image_size_max,
            };
            return Err(problem.at("config.riscv.initCodeSizeMax".to_owned()));
        }
        Ok(())
    }
}
