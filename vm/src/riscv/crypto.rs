//! System calls that are pure computation: 256-bit arithmetic, hashes, signatures, and what the
//! fork's precompiles compute. `docs/spec/riscv-gas.md` derives their prices.

use alloy_primitives::{Address, Bytes, U256, U512};
use genesis::RiscvGas;
use revm::{
    bytecode::opcode as op,
    interpreter::instructions::i256::{i256_div, i256_mod},
    precompile::{Precompiles, u64_to_address},
};

use super::{
    Access, Machine, MemoryFault, Units,
    signature::{recover, verify},
    syscall::number,
};

/// Curve additions of a product of a point with a scalar of 256 bits: 256 doublings, 128 additions.
const PRODUCT: u64 = 384;
/// Those of a sum of two such products, done together: 256 doublings, 192 additions.
const PRODUCTS: u64 = 448;
/// Multiplications modulo a prime that a signature takes besides: a square root, two inverses.
const SIGNATURE: u64 = 600;
/// Those of a pairing's final power, and of one pair's loop.
const PAIRING: u64 = 8_000;
const PAIR: u64 = 7_000;
/// Those of a map from a field to a curve.
const MAP: u64 = 1_200;
/// Those of an inverse, which a sum of two points takes, and four more; in the quadratic extension,
/// where a product is three, the inverse is one of the field.
const SUM: u64 = 204;
const EXTENSION_SUM: u64 = 71;
/// Those that bring a modular power's numbers into the form in which they are multiplied, and back.
const FORM: u64 = 80;

/// The output of a precompile; `None` if it fails.
pub type Answer = Option<Bytes>;

/// Whether a system call is pure computation, with nothing that an opcode's own gas pays for.
pub(super) const fn is_pure(call: u64) -> bool {
    matches!(call, number::BLAKE3..=number::SECP256K1_VERIFY | number::PRECOMPILES..=number::LAST)
        || call < 0x100 && operands(call as u8).is_some()
}

/// How many words an arithmetic opcode takes.
pub(super) const fn operands(opcode: u8) -> Option<usize> {
    match opcode {
        op::MUL | op::DIV | op::SDIV | op::MOD | op::SMOD | op::EXP => Some(2),
        op::ADDMOD | op::MULMOD => Some(3),
        _ => None,
    }
}

/// What the precompile at address `n` computes at the newest fork; the outer `None` if there is
/// none.
pub fn latest_precompile(n: u64, input: &[u8]) -> Option<Answer> {
    run(Precompiles::latest(), u64_to_address(n), input)
}

/// Runs a precompile without regard to the EVM's gas.
pub(crate) fn run(precompiles: &Precompiles, at: Address, input: &[u8]) -> Option<Answer> {
    let precompile = precompiles.get(&at)?;
    let output = precompile.execute(input, u64::MAX, 0).ok();
    Some(output.filter(|output| output.is_success()).map(|output| output.bytes))
}

/// Serves a pure call: reads its input, charges it and writes its output. Answers what goes to
/// `a0`, or `None` if there is no such call.
///
/// `precompile` computes what the precompile with this address does: see [`latest_precompile`].
pub fn compute(
    machine: &mut Machine,
    units: &mut Units,
    precompile: &dyn Fn(u64, &[u8]) -> Option<Answer>,
) -> Result<Option<u64>, MemoryFault> {
    let call = machine.number();
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| machine.arg(n));
    match call {
        number::BLAKE3 => {
            let input = machine.read(a, b, units)?;
            machine.check(c, 32, Access::Store)?;
            units.charge_call(blake3_price(machine.image().gas(), b))?;
            machine.write(c, blake3::hash(&input).as_bytes(), units)?;
            Ok(Some(a))
        }
        number::SECP256K1_RECOVER => {
            let (hash, signature) = (machine.read_word(a, units)?, machine.read(b, 64, units)?);
            machine.check(d, 64, Access::Store)?;
            units.charge_call(signature_price(machine.image().gas()))?;
            let key = recover(&hash, &signature, c);
            if let Some(key) = &key {
                machine.write(d, key, units)?;
            }
            Ok(Some(key.is_some().into()))
        }
        number::SECP256K1_VERIFY => {
            let (hash, signature) = (machine.read_word(a, units)?, machine.read(b, 64, units)?);
            let key = machine.read(c, 64, units)?;
            units.charge_call(signature_price(machine.image().gas()))?;
            Ok(Some(verify(&hash, &signature, &key).unwrap_or_default().into()))
        }
        number::PRECOMPILES..=number::LAST => {
            let n = call - number::PRECOMPILES;
            if precompile_price(machine.image().gas(), n, &[]).is_none() {
                return Ok(None);
            }
            let input = machine.read(a, b, units)?;
            machine.check(c, d, Access::Store)?;
            units.charge_call(
                precompile_price(machine.image().gas(), n, &input).unwrap_or_default(),
            )?;
            let Some(answer) = precompile(n, &input) else { return Ok(None) };
            let Some(output) = answer else { return Ok(Some(u64::MAX)) };
            let len = output.len().min(usize::try_from(d).unwrap_or(usize::MAX));
            machine.write(c, &output[..len], units)?;
            Ok(Some(output.len() as u64))
        }
        _ => arithmetic(machine, units),
    }
}

/// MUL, DIV, SDIV, MOD, SMOD, ADDMOD, MULMOD and EXP, as the EVM has them.
fn arithmetic(machine: &mut Machine, units: &mut Units) -> Result<Option<u64>, MemoryFault> {
    let opcode = machine.number() as u8;
    let Some(count) = operands(opcode).filter(|_| machine.number() < 0x100) else {
        return Ok(None);
    };
    let mut words = [U256::ZERO; 3];
    for (n, word) in words.iter_mut().enumerate().take(count) {
        *word = U256::from_be_bytes(machine.read_word(machine.arg(n), units)?);
    }
    let out = machine.arg(count);
    machine.check(out, 32, Access::Store)?;
    let [a, b, c] = words;
    let products: u64 = match opcode {
        op::DIV | op::SDIV | op::MOD | op::SMOD => 2,
        op::EXP => 2 * b.bit_len().max(1) as u64,
        _ => 1,
    };
    units.charge_call(products * u64::from(machine.image().gas().mul_add256))?;
    let result = match opcode {
        op::MUL => a.wrapping_mul(b),
        op::DIV => a.checked_div(b).unwrap_or_default(),
        op::SDIV => i256_div(a, b),
        op::MOD => a.checked_rem(b).unwrap_or_default(),
        op::SMOD => i256_mod(a, b),
        op::ADDMOD => a.add_mod(b, c),
        op::MULMOD => a.mul_mod(b, c),
        _ => a.wrapping_pow(b),
    };
    machine.write(out, &result.to_be_bytes::<32>(), units)?;
    Ok(Some(machine.arg(0)))
}

/// One compression for each started block of 64 bytes, at least one, and one to join two chunks of
/// 1,024 bytes.
fn blake3_price(gas: &RiscvGas, len: u64) -> u64 {
    let blocks = len.div_ceil(64).max(1);
    let joins = len.div_ceil(1_024).max(1) - 1;
    (blocks + joins).saturating_mul(gas.blake3_block.into())
}

fn signature_price(gas: &RiscvGas) -> u64 {
    PRODUCTS * u64::from(gas.ec_add) + SIGNATURE * u64::from(gas.mul_add256)
}

/// The price of the precompile at address `n`, in units; `None` if it has none.
pub fn precompile_price(gas: &RiscvGas, n: u64, input: &[u8]) -> Option<u64> {
    let (add, mul) = (u64::from(gas.ec_add), u64::from(gas.mul_add256));
    let len = input.len() as u64;
    // Numbers of 381 bits have half as many limbs again, products of them 9/4 times the work.
    let wide = |price: u64| price.saturating_mul(9) / 4;
    // As SHA-256 pads, and RIPEMD-160: one byte, and eight of the length.
    let blocks = (len + 8) / 64 + 1;
    Some(match n {
        0x01 => signature_price(gas) + u64::from(gas.keccak_block),
        0x02 => blocks * u64::from(gas.sha256_block),
        0x03 => blocks * u64::from(gas.ripemd160_block),
        0x04 => mul,
        0x05 => modexp_products(input).saturating_add(FORM).saturating_mul(mul),
        0x06 => add + SUM * mul,
        0x07 => PRODUCT * add + 2 * mul,
        0x08 => (PAIRING + PAIR * (len / 192)) * mul,
        0x09 => {
            let rounds = input.first_chunk().map_or(0, |rounds| u32::from_be_bytes(*rounds));
            u64::from(rounds.max(1)).saturating_mul(gas.blake2f_round.into())
        }
        0x0a => wide((PAIRING + 2 * PAIR) * mul + 2 * PRODUCT * add),
        0x0b => wide(add + SUM * mul),
        0x0c => wide((len / 160).max(1) * PRODUCT * add),
        0x0d => 3 * wide(add + EXTENSION_SUM * mul),
        0x0e => 3 * wide((len / 288).max(1) * PRODUCT * add),
        0x0f => wide((PAIRING + PAIR * (len / 384)) * mul),
        0x10 => wide(MAP * mul),
        0x11 => 3 * wide(MAP * mul),
        // Twice, for the libraries have no shortcuts over this curve.
        0x100 => 2 * signature_price(gas),
        _ => return None,
    })
}

/// Products of 256 bits that a modular power takes: two of the modulus's (or base's) size for each
/// bit of the exponent, each as many as the square of its words.
fn modexp_products(input: &[u8]) -> u64 {
    let word = |n: usize| {
        let mut bytes = [0; 32];
        let there = input.get(32 * n..).unwrap_or_default();
        let len = there.len().min(32);
        bytes[..len].copy_from_slice(&there[..len]);
        U256::from_be_bytes(bytes).saturating_to::<u64>()
    };
    let [base, exponent, modulus] = [word(0), word(1), word(2)];
    let start = base.saturating_add(96).min(input.len() as u64) as usize;
    let end = (start as u64).saturating_add(exponent).min(input.len() as u64) as usize;
    // Leading zeros of the exponent cost nothing; what lies past the input's end is zeros too.
    let zeros = input[start..end].iter().take_while(|byte| **byte == 0).count() as u64;
    let significant = if zeros == (end - start) as u64 { 0 } else { exponent - zeros };
    let words = base.max(modulus).div_ceil(32).max(1);
    let products =
        U512::from(words).pow(U512::from(2)) * U512::from(16) * U512::from(significant.max(1));
    products.saturating_to()
}
