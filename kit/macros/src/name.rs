//! Names as Solidity writes them.

use syn::Ident;

/// A Rust name in Solidity's manner: `total_supply` is `totalSupply`.
pub(crate) fn camel(ident: &Ident) -> String {
    let text = ident.to_string();
    let text = text.trim_start_matches("r#").trim_start_matches('_');
    let mut name = String::new();
    let mut raise = false;
    for letter in text.chars() {
        if letter == '_' {
            raise = true;
        } else if raise {
            name.extend(letter.to_uppercase());
            raise = false;
        } else {
            name.push(letter);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_solidity_ones() {
        for (rust, solidity) in [
            ("transfer", "transfer"),
            ("total_supply", "totalSupply"),
            ("balance_of_2", "balanceOf2"),
            ("_unused", "unused"),
            ("r#type", "type"),
        ] {
            let ident = syn::parse_str(rust).unwrap();
            assert_eq!(camel(&ident), solidity);
        }
    }
}
