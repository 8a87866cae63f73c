//! The example in C, `kit/c/counter.c`, compiled where there is a compiler, deployed and called.

use std::{path::Path, process::Command};

use alloy_primitives::{B256, U256, keccak256};
use k256::ecdsa::SigningKey;

use crate::{
    program::container,
    world::{A, SENDER, World, call, created, creation, logs, output},
};

/// The image, built by the command that the example's head gives; `None` without a compiler.
fn build() -> Option<Vec<u8>> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/c");
    let file = std::env::temp_dir().join(format!("tandem-counter-{}.elf", std::process::id()));
    let compiler = "riscv64-unknown-elf-gcc";
    Command::new(compiler).arg("--version").output().ok()?;
    let output = Command::new(compiler)
        .current_dir(&sources)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-march=rv64imac", "-mabi=lp64"])
        .args(["-mcmodel=medany", "--specs=picolibc.specs", "-nostartfiles", "-static", "-s"])
        .args(["-T", "contract.ld", "-o"])
        .arg(&file)
        .args(["start.S", "counter.c"])
        .output()
        .expect("the compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image = std::fs::read(&file).expect("it was written");
    let _ = std::fs::remove_file(&file);
    Some(image)
}

fn data(signature: &str, args: &[B256]) -> Vec<u8> {
    [&keccak256(signature)[..4], &args.concat()].concat()
}

#[test]
fn the_example_in_c_runs() {
    let Some(image) = build() else {
        eprintln!("left out: no riscv64-unknown-elf-gcc with picolibc");
        return;
    };
    let number = |value: u64| B256::from(U256::from(value));
    let world = World::new();
    let mut execution = world.execution();
    let code = container(&image, number(40).as_slice());
    let outcome = execution.transact(&creation(code)).unwrap();
    let at = created(&outcome);
    let mut ask = |signature: &str, args: &[B256]| {
        let mut tx = call(at);
        tx.data = data(signature, args).into();
        tx.nonce =
            execution.state().load_cache_account(SENDER).unwrap().account_info().unwrap().nonce;
        execution.transact(&tx).unwrap()
    };
    assert_eq!(output(&ask("value()", &[])), number(40).to_vec());
    let added = ask("add(uint256)", &[number(2)]);
    let log = logs(&added).remove(0);
    assert_eq!(log.address, at);
    assert_eq!(log.topics(), [keccak256("Added(address,uint256)"), SENDER.into_word()]);
    assert_eq!(log.data.data, number(42).to_vec());
    assert_eq!(output(&ask("value()", &[])), number(42).to_vec());
    assert!(!ask("add(uint256)", &[B256::from(U256::MAX)]).result.is_success());
    assert!(!ask("unknown()", &[]).result.is_success());

    let word = keccak256("word");
    let digests = output(&ask("digest(bytes32)", &[word]));
    let sha256 = vm::riscv::crypto::latest_precompile(2, word.as_slice()).unwrap().unwrap();
    let blake3 = blake3::hash(word.as_slice());
    let expected = [&sha256[..], keccak256(word).as_slice(), blake3.as_bytes()].concat();
    assert_eq!(digests, expected);
    let product =
        output(&ask("product(uint256,uint256,uint256)", &[word, word, number(1_000_003)]));
    let word_number = U256::from_be_bytes(word.0);
    assert_eq!(product, word_number.mul_mod(word_number, U256::from(1_000_003)).to_be_bytes_vec());
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let (signature, recovery) = key.sign_prehash_recoverable(word.as_slice()).unwrap();
    let bytes = signature.to_bytes();
    let [r, s] = [B256::from_slice(&bytes[..32]), B256::from_slice(&bytes[32..])];
    let args = [word, r, s, number(recovery.to_byte().into())];
    let x = output(&ask("signer(bytes32,bytes32,bytes32,uint8)", &args));
    assert_eq!(x, key.verifying_key().to_encoded_point(false).as_bytes()[1..33]);
    assert_ne!(at, A);
}
