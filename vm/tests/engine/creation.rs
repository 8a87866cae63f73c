//! What may become code, from either machine, at which price.

use alloy_primitives::{Bytes, U256, keccak256};
use genesis::{RiscvParams, SpecId};
use revm::{
    DatabaseRef,
    context::TxEnv,
    context_interface::result::{ExecutionResult, HaltReason},
};
use vm::{EngineError, Outcome, Rules, TxError};

use crate::{
    program::{Program, constructor_returning, container, self_deploying},
    world::{A, B, C, Evm, World, call, created, creation, gas, halted, output, register, word},
};

/// A container whose constructor deploys itself with a tail, and which then answers that tail.
fn sample() -> Program {
    self_deploying(&[0x77; 32], |guest| {
        let out = guest.space(32);
        guest.call(0x1001, &[out, 0, 32]);
        guest.ret(out, 32);
    })
}

/// The code that an account got, and what a call to it answers.
#[track_caller]
fn check_deployed(world: &World, tx: &TxEnv, expected: &[u8]) {
    let mut execution = world.execution();
    let outcome = execution.transact(tx).unwrap();
    let made = match outcome.result.output() {
        Some(word) if word.len() == 32 => alloy_primitives::Address::from_slice(&word[12..]),
        _ => created(&outcome),
    };
    let answer = execution.call(&TxEnv { nonce: 1, ..call(made) }).unwrap();
    assert_eq!(output(&answer), expected);
}

#[test]
fn a_guest_is_deployed_by_transaction_and_by_either_factory() {
    let code = sample().container();
    let expected = [0x77; 32];
    check_deployed(&World::new(), &creation(code.clone()), &expected);
    let world = World::new().put(A, Evm::factory());
    check_deployed(&world, &TxEnv { data: code.clone(), ..call(A) }, &expected);
    for opcode in [0xf0, 0xf5] {
        let world = World::new().put(A, guest_factory(&code, opcode).container());
        check_deployed(&world, &call(A), &expected);
    }
}

/// A guest that creates `code` and answers the address.
fn guest_factory(code: &[u8], opcode: u64) -> Program {
    let mut factory = Program::new();
    let (at, zero, salt, out) =
        (factory.bytes(code), factory.word(0), factory.word(99), factory.space(32));
    let len = code.len() as u64;
    if opcode == 0xf0 {
        factory.call(opcode, &[zero, at, len, out]);
    } else {
        factory.call(opcode, &[zero, at, len, salt, out]);
    }
    factory.ret(out, 32);
    factory
}

#[test]
fn create2_addresses_are_the_evms() {
    let code = sample().container();
    let world = World::new().put(A, guest_factory(&code, 0xf5).container());
    let salt = U256::from(99).to_be_bytes::<32>();
    let expected = A.create2(salt, keccak256(&code));
    assert_eq!(output(&world.call(A))[12..], expected[..]);
    // A second creation at the same place fails with 0 and a zero address.
    let mut execution = world.execution();
    execution.transact(&call(A)).unwrap();
    let again = execution.transact(&TxEnv { nonce: 1, ..call(A) }).unwrap();
    assert_eq!(output(&again), [0; 32]);
}

#[test]
fn a_constructor_takes_value_and_arguments_and_may_call_out() {
    let mut guest = Program::new();
    let (value, tail) = (guest.space(32), guest.space(32));
    guest.call_address(B);
    guest.call(0x34, &[value]);
    guest.call(0x1001, &[tail, 0, 32]);
    guest.sstore(1, 1);
    guest.call(0x1002, &[value, 64]);
    let code = container(&guest.elf(), &[9; 32]);
    let world = World::new().put(B, Evm::new().push(1).push(0).op(0x55));
    let outcome = world.run(&TxEnv { value: U256::from(5), ..creation(code) });
    let made = created(&outcome);
    let account = &outcome.state[&made];
    let deployed = account.info.code.as_ref().unwrap().original_bytes();
    let expected = [U256::from(5).to_be_bytes::<32>(), [9; 32]].concat();
    assert_eq!(deployed, container(&guest.elf(), &expected));
    assert_eq!(account.info.code_hash, keccak256(&deployed));
    assert_eq!(account.info.balance, U256::from(5));
    assert!(outcome.state[&B].storage.contains_key(&U256::ZERO));
}

#[test]
fn guest_init_code_may_deploy_evm_code_or_nothing_or_another_container() {
    let evm = Evm::new().push(5).ret_top().0;
    check_deployed(&World::new(), &creation(constructor_returning(&evm)), &word(5));
    let outcome = World::new().run(&creation(constructor_returning(&[])));
    assert!(outcome.state[&created(&outcome)].info.is_empty_code_hash());
    let mut other = Program::new();
    other.li(10, 3).ret_a0();
    let code = constructor_returning(&other.container());
    check_deployed(&World::new(), &creation(code), &register(3));
}

#[track_caller]
fn check_refused(world: &World, code: Bytes, halt: HaltReason, reason: Option<&str>) -> Outcome {
    let outcome = world.run(&creation(code));
    match &outcome.result {
        ExecutionResult::Halt { reason, .. } => assert_eq!(*reason, halt),
        other => panic!("{other:?}"),
    }
    let said = outcome.trap.as_ref().map(|trap| trap.reason.as_str());
    match (said, reason) {
        (Some(said), Some(start)) => assert!(said.starts_with(start), "{said}"),
        (said, reason) => assert_eq!(said, reason),
    }
    outcome
}

#[test]
fn what_starts_with_ef_and_is_no_container_is_refused() {
    let ef = HaltReason::CreateContractStartingWithEF;
    let world = World::new();
    // EVM init code can't deploy a container.
    let code = sample().container();
    check_refused(&world, Evm::deploying(&code), ef.clone(), None);
    check_refused(&world, Evm::deploying(&[0xef]), ef.clone(), None);
    // A guest may, but not what only looks like one.
    check_refused(&world, constructor_returning(&[0xef, 0]), ef.clone(), None);
    let long = constructor_returning(&[0xef, 0x52, 0x56, 1, 0, 0, 0, 9, 1]);
    check_refused(&world, long, ef.clone(), Some("malformed RISC-V code: container promises"));
    let version = constructor_returning(&[0xef, 0x52, 0x56, 2, 0, 0, 0, 0]);
    check_refused(&world, version, ef.clone(), Some("malformed RISC-V code: container version 2"));
    let no_elf = constructor_returning(&container(b"no elf", &[]));
    check_refused(&world, no_elf, ef.clone(), Some("malformed RISC-V image: ELF file too short"));
    // As init code, the same.
    let bare = container(b"no elf", &[]);
    check_refused(&world, bare, ef.clone(), Some("malformed RISC-V image: ELF file too short"));
    let short = Bytes::from_static(&[0xef, 0x52, 0x56, 1]);
    check_refused(&world, short, ef, Some("malformed RISC-V code: container of 4 bytes"));
}

#[test]
fn a_refused_creation_gives_zero_to_its_creator() {
    let container_by_evm = Evm::deploying(&sample().container());
    let not_ef = constructor_returning(&[0xef, 0]);
    for code in [container_by_evm, not_ef] {
        let world = World::new().put(A, guest_factory(&code, 0xf0).container());
        assert_eq!(output(&world.call(A)), [0; 32]);
        let world = World::new().put(A, Evm::factory());
        let outcome = world.run(&TxEnv { data: code, ..call(A) });
        assert_eq!(output(&outcome), [0; 32]);
    }
}

#[test]
fn a_200_kilobyte_image_deploys_in_one_ordinary_transaction() {
    let image = sample().padded_elf(200 << 10);
    assert_eq!(image.len(), 204_800);
    // Not zeros, which would be cheap as call data.
    let mut image = image;
    image[4096..200_000].fill(0x13);
    let code = container(&image, &[1; 64]);
    let outcome = World::new().run(&creation(code.clone()));
    created(&outcome);
    let used = gas(&outcome);
    println!("200 KiB image: {used} gas");
    assert!(used < 16_777_216, "{used}");
    // And through factories of both kinds, where the init code comes as call data.
    let world = World::new().put(A, Evm::factory());
    let outcome = world.run(&TxEnv { data: code, gas_limit: 16_777_216, ..call(A) });
    assert_ne!(output(&outcome), [0; 32]);
    println!("through an EVM factory: {} gas", gas(&outcome));
}

#[test]
fn deployment_is_priced_by_genesis() {
    let deploy = |params: RiscvParams| {
        let world = World::with(SpecId::OSAKA, params);
        let code = sample().container();
        (gas(&world.run(&creation(code.clone()))), code.len() as u64)
    };
    let base = RiscvParams::default();
    let (gas_base, size) = deploy(base.clone());
    let dear = RiscvParams { deposit_gas_per_byte: 21, ..base.clone() };
    // The deployed container has a tail of 32 bytes where the init code has none.
    assert_eq!(deploy(dear).0 - gas_base, size + 32);
    let dear = RiscvParams { decode_gas_per_byte: 5, ..base };
    // Decoded as init code and as code.
    assert_eq!(deploy(dear).0 - gas_base, 2 * (size - 8));
}

#[test]
fn limits_of_genesis_name_themselves() {
    let size = sample().elf().len();
    let params = RiscvParams { image_size_max: size as u32 - 1, ..RiscvParams::default() };
    let world = World::with(SpecId::OSAKA, params);
    let limit = HaltReason::CreateContractSizeLimit;
    let reason = format!("RISC-V image of {size} bytes is larger than imageSizeMax, {}", size - 1);
    check_refused(&world, sample().container(), limit, Some(&reason));
    // Init code that is too large is no transaction at all.
    let code = container(&sample().elf(), &vec![1; 700_000]);
    let rules = Rules { tx_gas_limit_cap: Some(u64::MAX), ..Rules::block() };
    let world = World { rules, ..World::new() };
    let tx = TxEnv { gas_limit: 100_000_000, ..creation(code.clone()) };
    let error = world.execution().call(&tx).unwrap_err();
    let said = format!("max initcode size exceeded: code size {} limit 655360", code.len());
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_deployment_that_is_not_paid_for_says_what_it_costs() {
    let code = sample().container();
    let size = code.len() + 32;
    let world = World::new();
    let used = gas(&world.run(&creation(code.clone())));
    let outcome = world.run(&TxEnv { gas_limit: used - 1, ..creation(code) });
    assert!(halted(&outcome));
    let reason = outcome.trap.unwrap().reason;
    assert!(reason.starts_with(&format!("RISC-V code of {size} bytes costs ")), "{reason}");
}

/// EVM init code of this size that deploys nothing.
fn evm_init_code(size: usize) -> Bytes {
    vec![0; size].into()
}

#[test]
fn evm_code_keeps_the_evms_limits() {
    let world = World::new();
    assert!(world.run(&creation(evm_init_code(49_152))).result.is_success());
    let error = world.execution().call(&creation(evm_init_code(49_153))).unwrap_err();
    assert!(matches!(
        error,
        EngineError::Invalid(TxError::InitCodeSize { size: 49_153, limit: 49_152 })
    ));
    // Through CREATE and CREATE2 of either machine.
    let world = World::new().put(A, Evm::factory());
    let fits = world.run(&TxEnv { data: evm_init_code(49_152), ..call(A) });
    assert_ne!(output(&fits), [0; 32]);
    let too_large = world.run(&TxEnv { data: evm_init_code(49_153), ..call(A) });
    assert!(halted(&too_large));
    for opcode in [0xf0, 0xf5] {
        let world = World::new().put(A, guest_factory(&evm_init_code(49_152), opcode).container());
        assert_ne!(output(&world.call(A)), [0; 32]);
        let world = world.put(A, guest_factory(&evm_init_code(49_153), opcode).container());
        assert!(halted(&world.call(A)));
    }
    // Deployed EVM code: 24,576 bytes at most, also from a guest.
    let evm = |size| Evm::deploying(&vec![0; size]);
    let guest = |size: usize| constructor_returning(&vec![0; size]);
    assert!(World::new().run(&creation(evm(24_576))).result.is_success());
    assert!(World::new().run(&creation(guest(24_576))).result.is_success());
    for code in [evm(24_577), guest(24_577)] {
        check_refused(&World::new(), code, HaltReason::CreateContractSizeLimit, None);
    }
    // A chain that raises the EVM's limit raises both.
    let rules = Rules { code_size_max: Some(30_000), ..Rules::block() };
    let world = World { rules, ..World::new() };
    assert!(world.run(&creation(evm(30_000))).result.is_success());
    assert!(world.run(&creation(evm_init_code(60_000))).result.is_success());
    assert!(world.execution().call(&creation(evm_init_code(60_001))).is_err());
}

#[test]
fn a_halted_or_reverted_constructor_leaves_nothing() {
    let mut guest = Program::new();
    guest.sstore(1, 1);
    let why = guest.bytes(b"why");
    guest.call(0xfd, &[why, 3]);
    let outcome = World::new().run(&creation(guest.container()));
    assert!(!outcome.result.is_success() && !halted(&outcome));
    assert_eq!(outcome.result.output().unwrap()[..], *b"why");
    let mut guest = Program::new();
    guest.sstore(1, 1).spin();
    let tx = TxEnv { gas_limit: 500_000, ..creation(guest.container()) };
    let outcome = World::new().run(&tx);
    assert!(halted(&outcome));
    assert_eq!(gas(&outcome), 500_000);
}

#[test]
fn deploy_outside_of_a_constructor_traps() {
    let mut guest = Program::new();
    guest.call(0x1002, &[0, 0]);
    let outcome = World::new().put(A, guest.container()).call(A);
    assert!(halted(&outcome));
    assert!(outcome.trap.unwrap().reason.starts_with("DEPLOY outside of a constructor"));
}

#[test]
fn what_was_deployed_is_in_the_change_of_the_state() {
    let world = World::new();
    let mut execution = world.execution();
    let made = created(&execution.transact(&creation(sample().container())).unwrap());
    let changes = execution.into_changes();
    let hash = changes.state[&made].info.as_ref().unwrap().code_hash;
    assert_eq!(keccak256(changes.contracts[&hash].original_byte_slice()), hash);
    assert!(world.db.basic_ref(made).unwrap().is_none());
}

#[test]
fn amsterdam_deploys_guests_too() {
    for fork in [SpecId::LONDON, SpecId::SHANGHAI, SpecId::PRAGUE, SpecId::AMSTERDAM] {
        let world = World::on(fork);
        check_deployed(&world, &creation(sample().container()), &[0x77; 32]);
        let world = World::on(fork).put(A, guest_factory(&sample().container(), 0xf0).container());
        check_deployed(&world, &call(A), &[0x77; 32]);
        let world = World::on(fork).put(A, Evm::factory()).put(C, Evm::new());
        let tx = TxEnv { data: sample().container(), ..call(A) };
        check_deployed(&world, &tx, &[0x77; 32]);
    }
}
