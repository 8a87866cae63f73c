//! Any bytes as a container: refused, or its parts make the same bytes again.
#![no_main]

use genesis::Container;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(container) = Container::parse(bytes) {
        assert_eq!(container.encode().as_deref(), Ok(bytes));
    }
});
