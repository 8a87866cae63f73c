//! Any text as a genesis file: refused with the place and the reason, or written back as read.
#![no_main]

use genesis::Genesis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Genesis::from_json(text) {
        Ok(genesis) => {
            let again = Genesis::from_json(&genesis.to_json()).expect("what was written is read");
            assert_eq!(again.to_json(), genesis.to_json());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
