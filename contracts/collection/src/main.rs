//! An ERC-721 collection with metadata, minting by its owner, and ERC-6093's errors.
//!
//! `Collection.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::prelude::*;

#[storage]
pub struct Collection {
    name: Text,
    symbol: Text,
    base: Text,
    owner: Address,
    total_supply: U256,
    owners: Map<U256, Address>,
    balances: Map<Address, U256>,
    approvals: Map<U256, Address>,
    operators: Map<Address, Map<Address, bool>>,
}

event! {
    /// A token changes hands; from the zero address when it is minted.
    Transfer(#[indexed] from: Address, #[indexed] to: Address, #[indexed] id: U256);
    /// An owner lets another account move one token.
    Approval(#[indexed] owner: Address, #[indexed] approved: Address, #[indexed] id: U256);
    /// An owner lets another account move all tokens, or no longer.
    ApprovalForAll(#[indexed] owner: Address, #[indexed] operator: Address, approved: bool);
}

error! {
    ERC721InvalidOwner(owner: Address);
    ERC721NonexistentToken(id: U256);
    ERC721IncorrectOwner(sender: Address, id: U256, owner: Address);
    ERC721InvalidReceiver(receiver: Address);
    ERC721InsufficientApproval(operator: Address, id: U256);
    ERC721InvalidApprover(approver: Address);
    ERC721InvalidOperator(operator: Address);
    OwnableUnauthorizedAccount(account: Address);
}

interface! {
    Receiver {
        write onERC721Received(operator: Address, from: Address, id: U256, data: Bytes) -> FixedBytes<4>;
    }
}

/// The selector of `onERC721Received`, which a contract answers that takes a token.
const RECEIVED: FixedBytes<4> = FixedBytes([0x15, 0x0b, 0x7a, 0x02]);
/// ERC-165, ERC-721 and its metadata, by their interfaces' ids.
const INTERFACES: [[u8; 4]; 3] =
    [[0x01, 0xff, 0xc9, 0xa7], [0x80, 0xac, 0x58, 0xcd], [0x5b, 0x5e, 0x13, 0x9f]];

#[contract(
    events(Transfer, Approval, ApprovalForAll),
    errors(
        ERC721InvalidOwner,
        ERC721NonexistentToken,
        ERC721IncorrectOwner,
        ERC721InvalidReceiver,
        ERC721InsufficientApproval,
        ERC721InvalidApprover,
        ERC721InvalidOperator,
        OwnableUnauthorizedAccount
    )
)]
impl Collection {
    #[constructor]
    fn new(&mut self, name: Text, symbol: Text, base: Text) {
        self.name.set(&name);
        self.symbol.set(&symbol);
        self.base.set(&base);
        self.owner.set(env::caller());
    }

    pub fn supports_interface(id: FixedBytes<4>) -> bool {
        INTERFACES.contains(&id.0)
    }

    pub fn name(&self) -> Text {
        self.name.get()
    }

    pub fn symbol(&self) -> Text {
        self.symbol.get()
    }

    pub fn owner(&self) -> Address {
        self.owner.get()
    }

    pub fn total_supply(&self) -> U256 {
        self.total_supply.get()
    }

    pub fn balance_of(&self, account: Address) -> U256 {
        ensure!(!account.is_zero(), ERC721InvalidOwner { owner: account });
        self.balances.get(account)
    }

    pub fn owner_of(&self, id: U256) -> Address {
        let owner = self.owners.get(id);
        ensure!(!owner.is_zero(), ERC721NonexistentToken { id });
        owner
    }

    /// The base with the token's number in decimal digits after it.
    #[name("tokenURI")]
    pub fn token_uri(&self, id: U256) -> Text {
        self.owner_of(id);
        let mut text = self.base.get();
        append_digits(&mut text.0, id);
        text
    }

    pub fn get_approved(&self, id: U256) -> Address {
        self.owner_of(id);
        self.approvals.get(id)
    }

    pub fn is_approved_for_all(&self, owner: Address, operator: Address) -> bool {
        self.operators.at(owner).get(operator)
    }

    pub fn approve(&mut self, to: Address, id: U256) {
        let (owner, approver) = (self.owner_of(id), env::caller());
        let may = approver == owner || self.is_approved_for_all(owner, approver);
        ensure!(may, ERC721InvalidApprover { approver });
        self.approvals.set(id, to);
        self.emit(Approval { owner, approved: to, id });
    }

    pub fn set_approval_for_all(&mut self, operator: Address, approved: bool) {
        ensure!(!operator.is_zero(), ERC721InvalidOperator { operator });
        let owner = env::caller();
        self.operators.at_mut(owner).set(operator, approved);
        self.emit(ApprovalForAll { owner, operator, approved });
    }

    pub fn transfer_from(&mut self, from: Address, to: Address, id: U256) {
        ensure!(!to.is_zero(), ERC721InvalidReceiver { receiver: to });
        let (owner, operator) = (self.owner_of(id), env::caller());
        let may = operator == owner
            || self.is_approved_for_all(owner, operator)
            || self.approvals.get(id) == operator;
        ensure!(may, ERC721InsufficientApproval { operator, id });
        ensure!(owner == from, ERC721IncorrectOwner { sender: from, id, owner });
        self.approvals.set(id, Address::ZERO);
        self.balances.update(from, |balance| balance - U256::ONE);
        self.give(from, to, id);
    }

    pub fn safe_transfer_from(&mut self, from: Address, to: Address, id: U256) {
        self.transfer_from(from, to, id);
        self.check(from, to, id, Bytes::default());
    }

    #[name("safeTransferFrom")]
    pub fn safe_transfer_with_data(&mut self, from: Address, to: Address, id: U256, data: Bytes) {
        self.transfer_from(from, to, id);
        self.check(from, to, id, data);
    }

    /// Mints the next token, numbered from 1.
    pub fn mint(&mut self, to: Address) -> U256 {
        let account = env::caller();
        ensure!(account == self.owner.get(), OwnableUnauthorizedAccount { account });
        ensure!(!to.is_zero(), ERC721InvalidReceiver { receiver: to });
        let id = self.total_supply.get() + U256::ONE;
        self.total_supply.set(id);
        self.give(Address::ZERO, to, id);
        id
    }

    /// A contract that gets a token has to say that it knows what to do with it.
    fn check(&mut self, from: Address, to: Address, id: U256, data: Bytes) {
        if env::code_size(to) == 0 {
            return;
        }
        match Receiver::at(to).onERC721Received(self, env::caller(), from, id, data) {
            Ok(answer) if answer == RECEIVED => {}
            Err(failure) if !failure.data.is_empty() => failure.bubble(),
            _ => ERC721InvalidReceiver { receiver: to }.revert(),
        }
    }

    fn give(&mut self, from: Address, to: Address, id: U256) {
        self.balances.update(to, |balance| balance + U256::ONE);
        self.owners.set(id, to);
        self.emit(Transfer { from, to, id });
    }
}

fn append_digits(text: &mut Vec<u8>, number: U256) {
    let start = text.len();
    let ten = U256::from(10u8);
    let mut rest = number;
    while rest >= ten {
        text.push(b'0' + (rest % ten).limbs()[0] as u8);
        rest /= ten;
    }
    text.push(b'0' + rest.limbs()[0] as u8);
    text[start..].reverse();
}

entry!(Collection);
