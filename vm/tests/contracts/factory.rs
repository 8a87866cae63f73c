//! Factories of both kinds that create contracts of both kinds.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolError, SolValue, sol};
use revm::DatabaseRef;

use crate::chain::{ALICE, BOB, Chain, KINDS, Kind, Source};
use crate::token::{TOKEN, Token};

const FACTORY: Source = Source {
    image: include_bytes!("../../../contracts/images/factory.elf"),
    artifact: include_str!("../../../contracts/images/Factory.json"),
};

sol! {
    #[derive(Debug, PartialEq)]
    interface Factory {
        function create(bytes code) payable returns (address);
        function create2(bytes code, bytes32 salt) payable returns (address);
        function createLike(address template, bytes arguments) payable returns (address);
        function count() view returns (uint256);
        function children(uint256 index) view returns (address);

        event Created(address indexed child, address indexed by, bytes32 code_hash);

        error CreationFailed();
        error NotRiscv(address template);
    }
}

use Factory::*;

fn arguments(name: &str, owner: Address) -> Vec<u8> {
    (name, "KID", U256::from(5), owner).abi_encode_params()
}

fn check_child(chain: &mut Chain, child: Address, name: &str) {
    assert_eq!(chain.ask(child, &Token::nameCall {}), name);
    assert_eq!(chain.ask(child, &Token::balanceOfCall { account: BOB }), U256::from(5));
}

fn code_hash(chain: &Chain, of: Address) -> B256 {
    chain.db.basic_ref(of).expect("in memory").expect("there is code").code_hash
}

#[test]
fn factories_create_children_of_both_kinds() {
    for (factory_kind, child_kind) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut chain = Chain::new();
        let factory = chain.deploy(&FACTORY, factory_kind, &[]);
        let code = Bytes::from(TOKEN.init_code(child_kind, &arguments("first", BOB)));
        let done = chain.send(ALICE, factory, &createCall { code: code.clone() });
        println!("{factory_kind:?} factory, {child_kind:?} child: {} gas", done.gas());
        let child = done.answer::<createCall>();
        assert_eq!(child, factory.create(1), "{factory_kind:?}, {child_kind:?}");
        check_child(&mut chain, child, "first");
        let created = &done.logs()[1];
        let event = Created { child, by: ALICE, code_hash: code_hash(&chain, child) };
        assert_eq!(created.data, alloy_sol_types::SolEvent::encode_log_data(&event));

        let salt = B256::repeat_byte(0x5a);
        let done = chain.send(ALICE, factory, &create2Call { code: code.clone(), salt });
        let second = done.answer::<create2Call>();
        assert_eq!(second, factory.create2(salt, keccak256(&code)));
        check_child(&mut chain, second, "first");
        // The address is taken.
        let done = chain.send(ALICE, factory, &create2Call { code, salt });
        done.failed_with(&CreationFailed {});

        assert_eq!(chain.ask(factory, &countCall {}), U256::from(2));
        assert_eq!(chain.ask(factory, &childrenCall { index: U256::from(1) }), second);
    }
}

#[test]
fn a_contract_is_instantiated_again_from_its_code() {
    for kind in KINDS {
        let mut chain = Chain::new();
        let factory = chain.deploy(&FACTORY, kind, &[]);
        let template = chain.deploy(&TOKEN, Kind::Riscv, &arguments("template", ALICE));
        let again = arguments("again", BOB).into();
        let done = chain.send(ALICE, factory, &createLikeCall { template, arguments: again });
        let child = done.answer::<createLikeCall>();
        check_child(&mut chain, child, "again");
        let call = createLikeCall { template: ALICE, arguments: Bytes::new() };
        chain.send(ALICE, factory, &call).failed_with(&NotRiscv { template: ALICE });
    }
}

#[test]
fn a_constructors_error_reaches_the_caller() {
    for (factory_kind, child_kind) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
        let mut chain = Chain::new();
        let factory = chain.deploy(&FACTORY, factory_kind, &[]);
        let code = TOKEN.init_code(child_kind, &arguments("ownerless", Address::ZERO));
        let done = chain.send(ALICE, factory, &createCall { code: code.into() });
        let error = Token::OwnableInvalidOwner { owner: Address::ZERO };
        assert_eq!(done.reverted(), Bytes::from(error.abi_encode()));
        assert_eq!(chain.ask(factory, &countCall {}), U256::ZERO);
    }
}
