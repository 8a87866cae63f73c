//! The readable part of revert data: Solidity's `Error(string)` and `Panic(uint256)`.

use alloy_primitives::U256;

const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// geth's message for a revert with `data`.
pub(crate) fn message(data: &[u8]) -> String {
    match reason(data) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

/// The reason in `data`, if it has a form that says one.
pub(crate) fn reason(data: &[u8]) -> Option<String> {
    let (selector, body) = data.split_first_chunk::<4>()?;
    match *selector {
        ERROR => string(body),
        PANIC => Some(panic_text(U256::from_be_slice(body.get(..32)?))),
        _ => None,
    }
}

/// The ABI encoding of one string.
fn string(body: &[u8]) -> Option<String> {
    let word = |at: usize| -> Option<usize> {
        usize::try_from(U256::from_be_slice(body.get(at..at.checked_add(32)?)?)).ok()
    };
    let at = word(0)?;
    let length = word(at)?;
    let start = at.checked_add(32)?;
    let text = body.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// geth's words for Solidity's panic codes.
fn panic_text(code: U256) -> String {
    let text = match code.try_into().unwrap_or(u64::MAX) {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn reads_strings_and_panics() {
        let text = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000005"
            "68656c6c6f000000000000000000000000000000000000000000000000000000"
        );
        assert_eq!(reason(&text).as_deref(), Some("hello"));
        let panic = hex!(
            "4e487b71"
            "0000000000000000000000000000000000000000000000000000000000000011"
        );
        assert_eq!(reason(&panic).as_deref(), Some("arithmetic underflow or overflow"));
        let mut odd = panic;
        odd[35] = 0x99;
        assert_eq!(reason(&odd).as_deref(), Some("unknown panic code: 0x99"));
    }

    #[test]
    fn leaves_other_data_alone() {
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&hex!("08c379a0")), None);
        assert_eq!(reason(&hex!("11223344")), None);
        // A length that reaches past the end.
        let mut bad = vec![0x08, 0xc3, 0x79, 0xa0];
        bad.extend([0xff; 64]);
        assert_eq!(reason(&bad), None);
    }
}
