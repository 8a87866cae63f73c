//! Tells the linker where `contract.ld` is, for contracts that ask for it by name.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-search={folder}");
    println!("cargo:rerun-if-changed=contract.ld");
}
