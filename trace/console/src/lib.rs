//! What contracts print: `console.log` of Solidity libraries, and the RISC-V kit's own text.

use std::collections::HashMap;
use std::sync::OnceLock;

use alloy_primitives::{B256, Bytes, I256, U256, hex, keccak256};
use vm::{Print, PrintKind};

/// Kinds of `log` arguments whose overloads exist in every combination up to four.
const COMMON: [&str; 4] = ["uint256", "string", "bool", "address"];
/// The same of libraries before Hardhat 2.13, which wrote `uint` for `uint256`.
const OLD_COMMON: [&str; 4] = ["uint", "string", "bool", "address"];
/// Most characters of one line.
const LINE_MAX: usize = 4_096;

/// The text of something printed.
pub fn text(print: &Print) -> String {
    let text = match print.kind {
        PrintKind::Text => String::from_utf8_lossy(&print.data).into_owned(),
        PrintKind::Console => console_log(&print.data),
    };
    match text.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// The line that a call to the console makes.
pub fn console_log(call_data: &[u8]) -> String {
    let decoded = call_data.split_first_chunk::<4>().and_then(|(selector, arguments)| {
        let kinds = find_signature(*selector)?;
        kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| Value::decode(kind, arguments, index))
            .collect::<Option<Vec<_>>>()
    });
    match decoded {
        Some(values) => format_values(&values),
        None => format!("console call {}", hex::encode_prefixed(call_data)),
    }
}

/// Argument types of the console function with this selector.
fn find_signature(selector: [u8; 4]) -> Option<Vec<String>> {
    static SIGNATURES: OnceLock<HashMap<[u8; 4], Vec<String>>> = OnceLock::new();
    SIGNATURES.get_or_init(signatures).get(&selector).cloned()
}

fn signatures() -> HashMap<[u8; 4], Vec<String>> {
    let mut all = HashMap::new();
    let mut add = |name: &str, kinds: Vec<String>| {
        let hash = keccak256(format!("{name}({})", kinds.join(",")));
        all.insert([hash[0], hash[1], hash[2], hash[3]], kinds);
    };
    for common in [COMMON, OLD_COMMON] {
        let mut level: Vec<Vec<String>> = vec![Vec::new()];
        for _ in 0..=4 {
            let mut longer = Vec::new();
            for kinds in level {
                for kind in common {
                    let mut next = kinds.clone();
                    next.push(kind.to_owned());
                    longer.push(next);
                }
                add("log", kinds);
            }
            level = longer;
        }
    }
    let fixed = (1..=32).map(|size| format!("bytes{size}"));
    let singles = ["int256", "int", "bytes"].map(str::to_owned).into_iter();
    for kind in singles.chain(fixed).chain(COMMON.map(str::to_owned)) {
        let (head, tail) = kind.split_at(1);
        let name = format!("log{}{tail}", head.to_uppercase());
        add("log", vec![kind.clone()]);
        add(&name.replace("256", ""), vec![kind.clone()]);
        add(&name, vec![kind]);
    }
    for kind in ["int256", "int"] {
        add("log", vec!["string".to_owned(), kind.to_owned()]);
    }
    all
}

/// A decoded argument.
enum Value {
    Number(String),
    Text(String),
    Other(String),
}

impl Value {
    fn decode(kind: &str, arguments: &[u8], index: usize) -> Option<Self> {
        let word: [u8; 32] = arguments.get(index * 32..index * 32 + 32)?.try_into().ok()?;
        let tail = || {
            let offset = usize::try_from(U256::from_be_bytes(word)).ok()?;
            let end = offset.checked_add(32)?;
            let size: [u8; 32] = arguments.get(offset..end)?.try_into().ok()?;
            let size = usize::try_from(U256::from_be_bytes(size)).ok()?;
            arguments.get(end..end.checked_add(size)?)
        };
        Some(match kind {
            "uint256" | "uint" => Self::Number(U256::from_be_bytes(word).to_string()),
            "int256" | "int" => Self::Number(I256::from_be_bytes(word).to_string()),
            "bool" => Self::Other((!B256::from(word).is_zero()).to_string()),
            "address" => {
                let address = alloy_primitives::Address::from_word(B256::from(word));
                Self::Other(address.to_checksum(None))
            }
            "string" => Self::Text(String::from_utf8_lossy(tail()?).into_owned()),
            "bytes" => Self::Other(Bytes::copy_from_slice(tail()?).to_string()),
            fixed => {
                let size: usize = fixed.strip_prefix("bytes")?.parse().ok()?;
                Self::Other(hex::encode_prefixed(word.get(..size)?))
            }
        })
    }

    fn text(&self) -> &str {
        let (Self::Number(text) | Self::Text(text) | Self::Other(text)) = self;
        text
    }
}

/// Joins values with spaces; a first text with `%` directives is a format, as in Node's console.
fn format_values(values: &[Value]) -> String {
    let mut rest = values.iter();
    let mut line = String::new();
    if let Some(Value::Text(format)) = values.first() {
        rest.next();
        let mut parts = format.split('%');
        line.push_str(parts.next().unwrap_or_default());
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let mut chars = part.chars();
            match chars.next() {
                Some('s' | 'd' | 'i' | 'o' | 'O' | 'x') if rest.len() > 0 => {
                    line.push_str(rest.next().map_or("", Value::text));
                    line.push_str(chars.as_str());
                }
                // `%%` is a single `%`: the empty part between the two.
                None if parts.peek().is_some() => {
                    line.push('%');
                    line.push_str(parts.next().unwrap_or_default());
                }
                _ => {
                    line.push('%');
                    line.push_str(part);
                }
            }
        }
    }
    for value in rest {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(value.text());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(signature: &str, words: &[U256], tails: &[&str]) -> Vec<u8> {
        let mut data = keccak256(signature)[..4].to_vec();
        let mut offset = (words.len() + tails.len()) * 32;
        for tail in tails {
            data.extend(U256::from(offset).to_be_bytes::<32>());
            offset += 32 + tail.len().div_ceil(32) * 32;
        }
        words.iter().for_each(|word| data.extend(word.to_be_bytes::<32>()));
        for tail in tails {
            data.extend(U256::from(tail.len()).to_be_bytes::<32>());
            let mut bytes = tail.as_bytes().to_vec();
            bytes.resize(tail.len().div_ceil(32) * 32, 0);
            data.extend(bytes);
        }
        data
    }

    fn check(call_data: &[u8], want: &str) {
        assert_eq!(console_log(call_data), want);
    }

    #[test]
    fn overloads_are_decoded() {
        let two = U256::from(2);
        check(&call("log(string)", &[], &["hello"]), "hello");
        check(&call("log(string,uint256)", &[two], &["x is"]), "x is 2");
        check(&call("log(string,uint)", &[two], &["x is"]), "x is 2");
        check(&call("log(string,uint256)", &[two], &["x = %d, 5%%"]), "x = 2, 5%");
        check(&call("log(bool,bool)", &[U256::ONE, U256::ZERO], &[]), "true false");
        check(&call("logInt(int256)", &[U256::MAX], &[]), "-1");
        check(&call("logUint(uint256)", &[two], &[]), "2");
        check(&call("log()", &[], &[]), "");
        check(&call("logBytes2(bytes2)", &[U256::from(0xabcd) << 240], &[]), "0xabcd");
        check(
            &call("log(address)", &[U256::ONE], &[]),
            "0x0000000000000000000000000000000000000001",
        );
    }

    #[test]
    fn what_is_not_a_console_call_is_shown_raw() {
        check(&[1, 2, 3], "console call 0x010203");
        let mut cut = call("log(string)", &[], &["hello"]);
        cut.truncate(40);
        assert!(console_log(&cut).starts_with("console call 0x"));
    }
}
