//! Pays out wei to those who prove that it is theirs: by a Merkle proof (OpenZeppelin's tree of
//! keccak-256 hashes, each pair sorted), or by a voucher that the issuer has signed (EIP-712).
//!
//! `Claims.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::{S_MAX, ecrecover};
use tandem_kit::prelude::*;
use tandem_kit::{keccak256_const, typed_data_hash};

#[storage]
pub struct Claims {
    /// A bit for each leaf of the tree, 256 in a slot.
    claimed: Map<U256, U256>,
    is_used: Map<Word, bool>,
}

event! { Claimed(#[indexed] account: Address, amount: U256); }

error! {
    AlreadyClaimed();
    InvalidProof();
    InvalidSignature();
}

const DOMAIN: Word =
    Word::new(keccak256_const(b"EIP712Domain(uint256 chainId,address verifyingContract)"));
const VOUCHER: Word =
    Word::new(keccak256_const(b"Voucher(address account,uint256 amount,uint256 number)"));

#[contract(events(Claimed), errors(AlreadyClaimed, InvalidProof, InvalidSignature))]
impl Claims {
    /// Keeps both as immutable values.
    #[constructor]
    #[payable]
    fn new(&mut self, root: Word, issuer: Address) -> (Word, Address) {
        (root, issuer)
    }

    pub fn root(&self) -> Word {
        immutables().0
    }

    pub fn issuer(&self) -> Address {
        immutables().1
    }

    pub fn is_used(&self, hash: Word) -> bool {
        self.is_used.get(hash)
    }

    pub fn is_claimed(&self, index: U256) -> bool {
        let (slot, bit) = place(index);
        self.claimed.get(slot).bit(bit)
    }

    /// Whether the tree has the leaf.
    pub fn verify(&self, index: U256, account: Address, amount: U256, proof: Vec<Word>) -> bool {
        let leaf = keccak256_words(&[index.to_word(), *account.word(), amount.to_word()]);
        // Hashed twice, so that no inner node passes for a leaf.
        let leaf = keccak256_words(&[leaf]);
        let climb = |hash: Word, other: &Word| {
            let in_order = hash.bytes() < other.bytes();
            keccak256_words(&if in_order { [hash, *other] } else { [*other, hash] })
        };
        proof.iter().fold(leaf, climb) == immutables().0
    }

    pub fn claim(&mut self, index: U256, account: Address, amount: U256, proof: Vec<Word>) {
        ensure!(!self.is_claimed(index), AlreadyClaimed {});
        ensure!(self.verify(index, account, amount, proof), InvalidProof {});
        let (slot, bit) = place(index);
        self.claimed.update(slot, |bits| bits | U256::ONE << bit);
        self.pay(account, amount);
    }

    /// What the issuer signs.
    pub fn voucher_hash(&self, account: Address, amount: U256, number: U256) -> Word {
        let content =
            keccak256_words(&[VOUCHER, *account.word(), amount.to_word(), number.to_word()]);
        let chain_id = Word::from_u64(env::chain_id());
        let domain = keccak256_words(&[DOMAIN, chain_id, *env::this().word()]);
        typed_data_hash(domain, content)
    }

    pub fn redeem(
        &mut self,
        account: Address,
        amount: U256,
        number: U256,
        v: u8,
        r: Word,
        s: Word,
    ) {
        let hash = self.voucher_hash(account, amount, number);
        ensure!(!self.is_used.get(hash), AlreadyClaimed {});
        let is_low = U256::from_be_word(&s) <= S_MAX;
        let signer = ecrecover(hash, v, r, s);
        ensure!(is_low && signer == Some(immutables().1), InvalidSignature {});
        self.is_used.set(hash, true);
        self.pay(account, amount);
    }

    fn pay(&mut self, account: Address, amount: U256) {
        self.emit(Claimed { account, amount });
        if let Err(failure) = Call::to(account).value(amount).send(self, &[]) {
            failure.bubble();
        }
    }
}

fn immutables() -> (Word, Address) {
    env::immutables()
}

/// Where a leaf's bit is: the slot's number in the mapping, and the bit's in the slot.
fn place(index: U256) -> (U256, u32) {
    (index >> 8, index.limbs()[0] as u32 % 256)
}

entry!(Claims);
