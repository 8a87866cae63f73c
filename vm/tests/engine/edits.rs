//! Changes from outside of transactions: overrides, dev edits, withdrawals, system calls.

use alloy_primitives::{Bytes, U256, address, hex, keccak256};
use genesis::SpecId;
use revm::{Database, context::TxEnv};
use vm::AccountEdit;

use crate::{
    program::Program,
    world::{A, B, Evm, SENDER, World, call, output, register, word},
};

/// Answers the slot 1.
fn reader() -> Evm {
    Evm::new().push(1).op(0x54).ret_top()
}

#[test]
fn code_may_be_of_either_machine_or_a_delegation() {
    let mut guest = Program::new();
    guest.li(10, 5).ret_a0();
    let world = World::new();
    let mut execution = world.execution();
    let mut set = |code: Bytes, expected: Vec<u8>| {
        let edit = AccountEdit { address: A, code: Some(code), ..AccountEdit::default() };
        execution.change(&edit).unwrap();
        assert_eq!(output(&execution.call(&call(A)).unwrap()), expected);
    };
    set(guest.container(), register(5));
    set(Evm::new().push(6).ret_top().into(), word(6));
    set(Bytes::new(), vec![]);
    // A delegation to an account without code.
    set([&hex!("ef0100")[..], B.as_slice()].concat().into(), vec![]);
}

#[test]
fn storage_is_changed_slot_by_slot_or_as_a_whole() {
    let mut world = World::new().put(A, reader());
    world.db.insert_account_storage(A, U256::from(1), U256::from(11)).unwrap();
    world.db.insert_account_storage(A, U256::from(2), U256::from(22)).unwrap();
    let one_slot = |clear_storage, storage| AccountEdit {
        address: A,
        storage,
        clear_storage,
        ..AccountEdit::default()
    };
    let mut execution = world.execution();
    execution.change(&one_slot(false, vec![(U256::from(2), U256::from(23))])).unwrap();
    assert_eq!(output(&execution.call(&call(A)).unwrap()), word(11));
    assert_eq!(execution.state().storage(A, U256::from(2)).unwrap(), U256::from(23));
    execution.change(&one_slot(true, vec![(U256::from(3), U256::from(33))])).unwrap();
    assert_eq!(output(&execution.call(&call(A)).unwrap()), word(0), "code stays, slots go");
    assert_eq!(execution.state().storage(A, U256::from(3)).unwrap(), U256::from(33));
    let changes = execution.into_changes();
    let account = &changes.state[&A];
    assert!(account.was_destroyed(), "the change set says that older slots are gone");
    assert_eq!(account.storage[&U256::from(3)].present_value, U256::from(33));
    assert!(account.info.as_ref().unwrap().code_hash == keccak256(&reader().0));
}

#[test]
fn balances_and_nonces_are_changed_and_make_accounts() {
    let world = World::new();
    let mut execution = world.execution();
    let edit = AccountEdit {
        address: B,
        balance: Some(U256::from(5)),
        nonce: Some(3),
        ..AccountEdit::default()
    };
    execution.change(&edit).unwrap();
    execution.add_balances([(B, U256::from(2)), (A, U256::from(1))]).unwrap();
    let changes = execution.into_changes();
    let of = |address| changes.state[&address].info.clone().unwrap();
    assert_eq!((of(B).balance, of(B).nonce), (U256::from(7), 3));
    assert_eq!((of(A).balance, of(A).nonce), (U256::from(1), 0));
    assert!(!changes.state.contains_key(&SENDER));
}

#[test]
fn precompiles_can_be_moved_and_their_place_taken() {
    let identity = address!("0000000000000000000000000000000000000004");
    let world = World::new().put(A, reader());
    let mut execution = world.execution();
    assert!(execution.move_precompile(identity, B));
    assert!(!execution.move_precompile(identity, B), "it is no longer there");
    let data = Bytes::from_static(b"echo");
    let echo = |to| TxEnv { data: data.clone(), ..call(to) };
    assert_eq!(output(&execution.call(&echo(B)).unwrap()), b"echo");
    assert!(output(&execution.call(&echo(identity)).unwrap()).is_empty());
    let code = Some(Evm::new().push(1).ret_top().into());
    let edit = AccountEdit { address: identity, code, ..AccountEdit::default() };
    execution.change(&edit).unwrap();
    assert_eq!(output(&execution.call(&echo(identity)).unwrap()), word(1));
}

#[test]
fn transactions_build_on_one_another_and_calls_leave_nothing() {
    // Adds one to slot 0 and answers it.
    let counter = Evm::new().push(0).op(0x54).push(1).op(0x01).op(0x80).push(0).op(0x55).ret_top();
    let world = World::new().put(A, counter);
    let mut execution = world.execution();
    assert_eq!(output(&execution.call(&call(A)).unwrap()), word(1));
    for nonce in 0..3 {
        let outcome = execution.transact(&TxEnv { nonce, ..call(A) }).unwrap();
        assert_eq!(output(&outcome), word(nonce + 1));
        assert!(outcome.state.is_empty());
    }
    let changes = execution.into_changes();
    assert_eq!(changes.state[&A].storage[&U256::ZERO].present_value, U256::from(3));
    assert_eq!(changes.state[&SENDER].info.as_ref().unwrap().nonce, 3);
}

#[test]
fn system_calls_pay_nothing_and_reach_either_machine() {
    let mut guest = Program::new();
    let (caller, key) = (guest.space(32), guest.word(1));
    guest.call(0x33, &[caller]).call(0x55, &[key, caller]).call(0, &[]);
    for code in [Bytes::from(Evm::new().op(0x33).push(1).op(0x55)), guest.container()] {
        let world = World::on(SpecId::OSAKA).put(A, code);
        let mut execution = world.execution();
        let result = execution.system_call(A, Bytes::from_static(&[1])).unwrap();
        assert!(result.is_success());
        let system =
            U256::from_be_bytes(address!("fffffffffffffffffffffffffffffffffffffffe").into_word().0);
        assert_eq!(execution.state().storage(A, U256::from(1)).unwrap(), system);
        let changes = execution.into_changes();
        assert_eq!(changes.state.len(), 1, "neither the system's account nor the coinbase");
    }
}
