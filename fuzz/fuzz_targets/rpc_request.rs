#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::check("rpc_request", bytes));
