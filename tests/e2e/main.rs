//! End-to-end tests: each starts the real binary and drives it as its users do.
