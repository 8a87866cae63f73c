//! The ERC-20 tokens: every function, every error, and one storage layout.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolError, SolStruct, SolValue, eip712_domain, sol};
use k256::ecdsa::SigningKey;

use crate::chain::{ALICE, BOB, CAROL, CHAIN_ID, Chain, Done, KINDS, Kind, NOW, Source};

pub(crate) const TOKEN: Source = Source {
    image: include_bytes!("../../../contracts/images/erc20.elf"),
    artifact: include_str!("../../../contracts/images/Token.json"),
};

sol! {
    #[derive(Debug, PartialEq)]
    interface Token {
        function name() view returns (string);
        function symbol() view returns (string);
        function decimals() pure returns (uint8);
        function totalSupply() view returns (uint256);
        function owner() view returns (address);
        function balanceOf(address account) view returns (uint256);
        function allowance(address owner, address spender) view returns (uint256);
        function transfer(address to, uint256 value) returns (bool);
        function approve(address spender, uint256 value) returns (bool);
        function transferFrom(address from, address to, uint256 value) returns (bool);
        function mint(address to, uint256 value);
        function burn(uint256 value);
        function DOMAIN_SEPARATOR() view returns (bytes32);
        function nonces(address owner) view returns (uint256);
        function permit(
            address owner, address spender, uint256 value, uint256 deadline,
            uint8 v, bytes32 r, bytes32 s
        );

        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);

        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InvalidSender(address sender);
        error ERC20InvalidReceiver(address receiver);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error ERC20InvalidApprover(address approver);
        error ERC20InvalidSpender(address spender);
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
        error ERC2612ExpiredSignature(uint256 deadline);
        error ERC2612InvalidSigner(address signer, address owner);
        error ECDSAInvalidSignature();
        error ECDSAInvalidSignatureS(bytes32 s);
        error Panic(uint256 code);
    }

    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

use Token::*;

const NAME: &str = "A token whose name needs more than one word of storage";
const SUPPLY: u64 = 1_000_000;

fn n(number: u64) -> U256 {
    U256::from(number)
}

fn deploy(chain: &mut Chain, kind: Kind) -> Address {
    let arguments = (NAME, "TND", n(SUPPLY), ALICE).abi_encode_params();
    chain.deploy(&TOKEN, kind, &arguments)
}

/// A token of each kind, each on a chain of its own.
fn tokens() -> impl Iterator<Item = (Kind, Chain, Address)> {
    KINDS.into_iter().map(|kind| {
        let mut chain = Chain::new();
        let token = deploy(&mut chain, kind);
        (kind, chain, token)
    })
}

fn balance_of(chain: &mut Chain, token: Address, account: Address) -> U256 {
    chain.ask(token, &balanceOfCall { account })
}

#[test]
fn a_new_token_knows_what_it_is() {
    for (kind, mut chain, token) in tokens() {
        assert_eq!(chain.ask(token, &nameCall {}), NAME, "{kind:?}");
        assert_eq!(chain.ask(token, &symbolCall {}), "TND");
        assert_eq!(chain.ask(token, &decimalsCall {}), 18);
        assert_eq!(chain.ask(token, &totalSupplyCall {}), n(SUPPLY));
        assert_eq!(chain.ask(token, &ownerCall {}), ALICE);
        assert_eq!(balance_of(&mut chain, token, ALICE), n(SUPPLY));
        assert_eq!(balance_of(&mut chain, token, BOB), n(0));
    }
}

#[test]
fn a_token_needs_an_owner() {
    for kind in KINDS {
        let arguments = (NAME, "TND", n(SUPPLY), Address::ZERO).abi_encode_params();
        let data = Chain::new().refused(&TOKEN, kind, &arguments);
        assert_eq!(data, OwnableInvalidOwner { owner: Address::ZERO }.abi_encode());
        // Arguments that are cut off.
        assert!(Chain::new().refused(&TOKEN, kind, &arguments[..100]).is_empty());
    }
}

#[test]
fn transfers_move_tokens() {
    for (kind, mut chain, token) in tokens() {
        let done = chain.send(ALICE, token, &transferCall { to: BOB, value: n(300) });
        assert!(done.answer::<transferCall>(), "{kind:?}");
        assert_eq!(done.event::<Transfer>(), Transfer { from: ALICE, to: BOB, value: n(300) });
        // To oneself, and of nothing.
        chain.send(BOB, token, &transferCall { to: BOB, value: n(300) }).event::<Transfer>();
        chain.send(CAROL, token, &transferCall { to: BOB, value: n(0) }).event::<Transfer>();
        assert_eq!(balance_of(&mut chain, token, ALICE), n(SUPPLY - 300));
        assert_eq!(balance_of(&mut chain, token, BOB), n(300));

        let done = chain.send(BOB, token, &transferCall { to: CAROL, value: n(301) });
        done.failed_with(&ERC20InsufficientBalance {
            sender: BOB,
            balance: n(300),
            needed: n(301),
        });
        let done = chain.send(BOB, token, &transferCall { to: Address::ZERO, value: n(1) });
        done.failed_with(&ERC20InvalidReceiver { receiver: Address::ZERO });
        let done = chain.send(Address::ZERO, token, &transferCall { to: BOB, value: n(0) });
        done.failed_with(&ERC20InvalidSender { sender: Address::ZERO });
    }
}

#[test]
fn allowances_are_spent() {
    for (kind, mut chain, token) in tokens() {
        let done = chain.send(ALICE, token, &approveCall { spender: BOB, value: n(100) });
        let approval = Approval { owner: ALICE, spender: BOB, value: n(100) };
        assert_eq!(done.event::<Approval>(), approval, "{kind:?}");
        let spend = |chain: &mut Chain, value: u64| {
            let call = transferFromCall { from: ALICE, to: CAROL, value: n(value) };
            chain.send(BOB, token, &call)
        };
        let transfer = Transfer { from: ALICE, to: CAROL, value: n(60) };
        assert_eq!(spend(&mut chain, 60).event::<Transfer>(), transfer);
        let allowance = allowanceCall { owner: ALICE, spender: BOB };
        assert_eq!(chain.ask(token, &allowance), n(40));
        spend(&mut chain, 41).failed_with(&ERC20InsufficientAllowance {
            spender: BOB,
            allowance: n(40),
            needed: n(41),
        });
        // The largest allowance is without end.
        chain.send(ALICE, token, &approveCall { spender: BOB, value: U256::MAX });
        spend(&mut chain, 41).event::<Transfer>();
        assert_eq!(chain.ask(token, &allowance), U256::MAX);

        let call = approveCall { spender: Address::ZERO, value: n(1) };
        let done = chain.send(ALICE, token, &call);
        done.failed_with(&ERC20InvalidSpender { spender: Address::ZERO });
        let done = chain.send(Address::ZERO, token, &approveCall { spender: BOB, value: n(1) });
        done.failed_with(&ERC20InvalidApprover { approver: Address::ZERO });
    }
}

#[test]
fn the_owner_mints_and_holders_burn() {
    for (kind, mut chain, token) in tokens() {
        let done = chain.send(ALICE, token, &mintCall { to: BOB, value: n(50) });
        let transfer = Transfer { from: Address::ZERO, to: BOB, value: n(50) };
        assert_eq!(done.event::<Transfer>(), transfer, "{kind:?}");
        let done = chain.send(BOB, token, &burnCall { value: n(20) });
        let transfer = Transfer { from: BOB, to: Address::ZERO, value: n(20) };
        assert_eq!(done.event::<Transfer>(), transfer);
        assert_eq!(chain.ask(token, &totalSupplyCall {}), n(SUPPLY + 30));
        assert_eq!(balance_of(&mut chain, token, BOB), n(30));

        let done = chain.send(BOB, token, &mintCall { to: BOB, value: n(1) });
        done.failed_with(&OwnableUnauthorizedAccount { account: BOB });
        let done = chain.send(ALICE, token, &mintCall { to: Address::ZERO, value: n(1) });
        done.failed_with(&ERC20InvalidReceiver { receiver: Address::ZERO });
        let done = chain.send(BOB, token, &burnCall { value: n(31) });
        done.failed_with(&ERC20InsufficientBalance { sender: BOB, balance: n(30), needed: n(31) });
        // The supply is checked.
        let done = chain.send(ALICE, token, &mintCall { to: BOB, value: U256::MAX });
        done.failed_with(&Panic { code: n(0x11) });
    }
}

/// An account that signs.
struct Signer {
    key: SigningKey,
    address: Address,
}

impl Signer {
    fn new() -> Self {
        let key = SigningKey::from_slice(&[0x42; 32]).expect("a key");
        let address = Address::from_public_key(key.verifying_key());
        Self { key, address }
    }

    fn permit(&self, token: Address, permit: &Permit) -> permitCall {
        let domain = eip712_domain! {
            name: NAME,
            version: "1",
            chain_id: CHAIN_ID,
            verifying_contract: token,
        };
        let hash = permit.eip712_signing_hash(&domain);
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(hash.as_slice()).expect("it signs");
        let (r, s) = signature.split_bytes();
        permitCall {
            owner: permit.owner,
            spender: permit.spender,
            value: permit.value,
            deadline: permit.deadline,
            v: 27 + recovery.to_byte(),
            r: B256::from_slice(&r),
            s: B256::from_slice(&s),
        }
    }
}

#[test]
fn a_permit_approves_by_signature() {
    for (kind, mut chain, token) in tokens() {
        let signer = Signer::new();
        let permit = Permit {
            owner: signer.address,
            spender: BOB,
            value: n(77),
            nonce: n(0),
            deadline: n(NOW),
        };
        let call = signer.permit(token, &permit);
        let done = chain.send(CAROL, token, &call);
        let approval = Approval { owner: signer.address, spender: BOB, value: n(77) };
        assert_eq!(done.event::<Approval>(), approval, "{kind:?}");
        assert_eq!(chain.ask(token, &noncesCall { owner: signer.address }), n(1));
        let allowance = allowanceCall { owner: signer.address, spender: BOB };
        assert_eq!(chain.ask(token, &allowance), n(77));
        // The nonce is used up: whoever the signature seems to be from, it is not the owner.
        let replayed = chain.send(CAROL, token, &call).reverted();
        assert_eq!(replayed[..4], ERC2612InvalidSigner::SELECTOR);
        // The next one is good.
        let next = signer.permit(token, &Permit { nonce: n(1), ..permit });
        chain.send(CAROL, token, &next).event::<Approval>();
    }
}

#[test]
fn bad_permits_are_refused() {
    for (kind, mut chain, token) in tokens() {
        let signer = Signer::new();
        let owner = signer.address;
        let permit =
            Permit { owner, spender: BOB, value: n(77), nonce: n(0), deadline: n(NOW + 1) };
        let good = signer.permit(token, &permit);
        let send = |chain: &mut Chain, call: &permitCall| -> Done { chain.send(BOB, token, call) };

        let late = signer.permit(token, &Permit { deadline: n(NOW - 1), ..permit.clone() });
        let error = ERC2612ExpiredSignature { deadline: n(NOW - 1) };
        send(&mut chain, &late).failed_with(&error);

        let other = permitCall { owner: CAROL, ..good.clone() };
        let data = send(&mut chain, &other).reverted();
        assert_eq!(data[..4], ERC2612InvalidSigner::SELECTOR, "{kind:?}");

        let none = permitCall { v: 29, ..good.clone() };
        send(&mut chain, &none).failed_with(&ECDSAInvalidSignature {});

        // The signature's other form, which recovers to the same signer.
        let order = U256::from_str_radix(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
            16,
        );
        let s = B256::from(order.expect("a number") - U256::from_be_bytes(good.s.0));
        let twin = permitCall { s, v: 27 + 28 - good.v, ..good.clone() };
        send(&mut chain, &twin).failed_with(&ECDSAInvalidSignatureS { s });

        assert_eq!(chain.ask(token, &noncesCall { owner }), n(0));
        send(&mut chain, &good).event::<Approval>();
    }
}

#[test]
fn the_domain_separator_is_eip_712() {
    for (kind, mut chain, token) in tokens() {
        let domain = eip712_domain! {
            name: NAME,
            version: "1",
            chain_id: CHAIN_ID,
            verifying_contract: token,
        };
        assert_eq!(chain.ask(token, &DOMAIN_SEPARATORCall {}), domain.separator(), "{kind:?}");
    }
}

#[test]
fn malformed_calls_revert_without_data() {
    for (kind, mut chain, token) in tokens() {
        let good = transferCall { to: BOB, value: n(1) }.abi_encode();
        let mut dirty = good.clone();
        dirty[4] = 1;
        let unknown = keccak256("unknown()")[..4].to_vec();
        for data in [&good[..67], &good[..3], &dirty, &unknown, &[]] {
            let done = chain.send_bytes(ALICE, token, data.to_vec(), 0);
            assert_eq!(done.reverted(), Bytes::new(), "{kind:?}: {data:?}");
        }
        let done = chain.send_bytes(ALICE, token, good.clone(), 1);
        assert_eq!(done.reverted(), Bytes::new(), "{kind:?}: wei");
        // What stands after the arguments is ignored.
        let longer = [good, vec![0xff; 5]].concat();
        assert!(chain.send_bytes(ALICE, token, longer, 0).answer::<transferCall>());
    }
}

/// The same calls leave the same storage, and the gas of each is printed side by side.
#[test]
fn both_tokens_have_one_layout() {
    let mut used: Vec<Vec<(&str, u64)>> = Vec::new();
    let mut storages = Vec::new();
    for (_, mut chain, token) in tokens() {
        let mut gas = Vec::new();
        let signer = Signer::new();
        let mut note = |name, done: Done| {
            done.logs();
            gas.push((name, done.gas()));
        };
        let transfer = transferCall { to: BOB, value: n(1_000) };
        note("transfer, new holder", chain.send(ALICE, token, &transfer));
        note("transfer", chain.send(ALICE, token, &transfer));
        note("approve", chain.send(BOB, token, &approveCall { spender: CAROL, value: n(50) }));
        let call = transferFromCall { from: BOB, to: ALICE, value: n(20) };
        note("transferFrom", chain.send(CAROL, token, &call));
        note("mint", chain.send(ALICE, token, &mintCall { to: CAROL, value: n(9) }));
        note("burn", chain.send(BOB, token, &burnCall { value: n(8) }));
        note("balanceOf", chain.send(ALICE, token, &balanceOfCall { account: BOB }));
        note("name", chain.send(ALICE, token, &nameCall {}));
        // The contracts are at one address on their chains, so one signature is good for both.
        let (owner, spender) = (signer.address, CAROL);
        let permit = Permit { owner, spender, value: n(5), nonce: n(0), deadline: n(NOW) };
        note("permit", chain.send(BOB, token, &signer.permit(token, &permit)));
        used.push(gas);
        storages.push(chain.storage(token));
    }
    println!("{:24}{:>10}{:>10}", "gas", "EVM", "RISC-V");
    for ((name, evm), (_, riscv)) in used[0].iter().zip(&used[1]) {
        println!("{name:24}{evm:10}{riscv:10}");
    }
    assert_eq!(storages[0], storages[1]);
}
