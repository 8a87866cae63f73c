//! A chain in memory for one test.

use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::{TxKind, U256 as Number};
use genesis::{Container, DevOptions, Genesis};
use revm::context::{BlockEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::state::{AccountInfo, Bytecode};
use revm::{DatabaseCommit, DatabaseRef};
use tandem_kit::abi::{self, Returns};
use tandem_kit::{Address, Contract, U256, Word, keccak256_const};
use vm::{Engine, Execution, Outcome, Rules};

use crate::done::Done;
use crate::native::{Code, Natives};
use crate::stub::stub;
use crate::words::{from_address, from_number, to_address, to_number};

/// The folder of images that are deployed in place of native contracts.
const IMAGES: &str = "CONTRACT_IMAGES";
/// Gas of a transaction that says nothing else: the most that EIP-7825 lets one have.
const GAS: u64 = 16_777_216;
/// Accounts that have 10,000 ether.
const ACCOUNTS: u64 = 10;

/// A chain in memory. Its time and block number stay as they are set.
pub struct Chain {
    engine: Engine,
    db: CacheDB<EmptyDB>,
    codes: Vec<Code>,
    block: BlockEnv,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// A dev chain by the newest rules, with ten rich accounts.
    pub fn new() -> Self {
        let genesis = Genesis::dev(DevOptions::default());
        let block = BlockEnv {
            number: Number::from(1),
            timestamp: Number::from(1_800_000_000u64),
            gas_limit: 60_000_000,
            prevrandao: Some(Default::default()),
            ..BlockEnv::default()
        };
        let engine = Engine::new(Arc::new(genesis.spec));
        let mut chain = Self { engine, db: CacheDB::default(), codes: Vec::new(), block };
        for (address, account) in &genesis.alloc {
            let code = Bytecode::new_legacy(account.code.clone());
            let info = AccountInfo::new(account.balance, account.nonce, code.hash_slow(), code);
            chain.db.insert_account_info(*address, info);
        }
        for n in 0..ACCOUNTS {
            chain.set_balance(chain.account(n), U256::from(10_000 * 10u128.pow(18)));
        }
        chain
    }

    /// One of the rich accounts, 0 to 9. What says nothing else is sent from account 0.
    pub fn account(&self, n: u64) -> Address {
        assert!(n < ACCOUNTS, "there are {ACCOUNTS} accounts, no account {n}");
        Address::from_u64(0xacc0_0000 + n)
    }

    /// The block's time in seconds.
    pub fn time(&self) -> u64 {
        self.block.timestamp.saturating_to()
    }

    /// Sets the block's time in seconds.
    pub fn set_time(&mut self, time: u64) {
        self.block.timestamp = Number::from(time);
    }

    /// Lets time pass.
    pub fn skip(&mut self, seconds: u64) {
        self.set_time(self.time() + seconds);
    }

    /// Sets the block's number.
    pub fn set_block(&mut self, number: u64) {
        self.block.number = Number::from(number);
    }

    /// The wei of an account.
    pub fn balance(&self, of: Address) -> U256 {
        from_number(self.info(of).balance)
    }

    /// Sets the wei of an account.
    pub fn set_balance(&mut self, of: Address, wei: U256) {
        let info = AccountInfo { balance: to_number(wei), ..self.info(of) };
        self.db.insert_account_info(to_address(of), info);
    }

    /// The value in a slot of a contract.
    pub fn storage(&self, of: Address, slot: Word) -> Word {
        let slot = to_number(U256::from_be_word(&slot));
        let value = self.db.storage_ref(to_address(of), slot).expect("the state is in memory");
        from_number(value).to_word()
    }

    /// Sends what follows from another account.
    pub fn by(&mut self, sender: Address) -> By<'_> {
        By { chain: self, sender, value: U256::ZERO, gas: GAS }
    }

    fn first(&mut self) -> By<'_> {
        let sender = self.account(0);
        self.by(sender)
    }

    /// Deploys a contract, from account 0. Panics if it fails.
    #[track_caller]
    pub fn deploy<C: Contract>(&mut self, arguments: &impl Returns) -> Address {
        created(&self.first().deploy::<C>(arguments))
    }

    /// Deploys init code, EVM's or a container, with the constructor's arguments behind it. Panics
    /// if it fails.
    #[track_caller]
    pub fn deploy_code(&mut self, code: &[u8], arguments: &impl Returns) -> Address {
        created(&self.first().deploy_code(code, arguments))
    }

    /// Sends a transaction that calls a function, from account 0.
    pub fn send(&mut self, to: Address, signature: &str, arguments: &impl Returns) -> Done {
        self.first().send(to, signature, arguments)
    }

    /// What a function answers, from account 0; nothing is kept. Panics if it fails.
    #[track_caller]
    pub fn ask<T: Returns>(&mut self, to: Address, signature: &str, arguments: &impl Returns) -> T {
        self.first().call(to, signature, arguments).returned()
    }

    fn info(&self, of: Address) -> AccountInfo {
        let info = self.db.basic_ref(to_address(of)).expect("the state is in memory");
        info.unwrap_or_default()
    }

    /// The init code of a contract: its image if there is a folder of images, else its stub.
    fn init_code<C: Contract>(&mut self, arguments: &[u8]) -> Vec<u8> {
        let image = match std::env::var_os(IMAGES) {
            Some(folder) => {
                let path = PathBuf::from(folder).join(C::NAME).with_extension("elf");
                std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            }
            None => {
                let code = Code { name: C::NAME, run: C::run };
                self.codes.push(code);
                stub(self.codes.len() as u32 - 1)
            }
        };
        let container = Container { image: &image, tail: arguments };
        container.encode().expect("an image of less than 4 GiB")
    }

    fn run(&mut self, tx: &TxEnv, keep: bool) -> Done {
        let rules = Rules { check_nonce: false, check_base_fee: false, ..Rules::block() };
        let mut execution = Execution::new(&self.engine, self.block.clone(), rules, &self.db);
        let outcome: Outcome = execution
            .watch(tx, &mut Natives::new(&self.codes))
            .unwrap_or_else(|error| panic!("the transaction is not valid: {error}"));
        drop(execution);
        if keep {
            self.db.commit(outcome.state.clone());
        }
        let done = Done::new(&outcome);
        print(&done);
        done
    }
}

#[expect(clippy::print_stdout, reason = "what contracts print is for whoever reads the test")]
fn print(done: &Done) {
    for line in &done.printed {
        println!("{line}");
    }
}

#[track_caller]
fn created(done: &Done) -> Address {
    done.succeeded().created.expect("a creation gives an address")
}

/// A transaction to be sent: from whom, with how much wei, with how much gas.
pub struct By<'a> {
    chain: &'a mut Chain,
    sender: Address,
    value: U256,
    gas: u64,
}

impl By<'_> {
    /// With this much wei.
    pub fn value(self, value: U256) -> Self {
        Self { value, ..self }
    }

    /// With this much gas.
    pub fn gas(self, gas: u64) -> Self {
        Self { gas, ..self }
    }

    /// Deploys a contract.
    pub fn deploy<C: Contract>(self, arguments: &impl Returns) -> Done {
        let code = self.chain.init_code::<C>(&abi::encode(arguments));
        self.transact(TxKind::Create, code, true)
    }

    /// Deploys init code, with the constructor's arguments behind it.
    pub fn deploy_code(self, code: &[u8], arguments: &impl Returns) -> Done {
        let code = [code, &abi::encode(arguments)].concat();
        self.transact(TxKind::Create, code, true)
    }

    /// Sends a transaction that calls the function of this signature, `add(uint256)` say.
    pub fn send(self, to: Address, signature: &str, arguments: &impl Returns) -> Done {
        self.send_bytes(to, &calldata(signature, arguments))
    }

    /// Sends a transaction with any data.
    pub fn send_bytes(self, to: Address, data: &[u8]) -> Done {
        self.transact(TxKind::Call(to_address(to)), data.to_vec(), true)
    }

    /// As [`send`](Self::send), and keeps nothing of it.
    pub fn call(self, to: Address, signature: &str, arguments: &impl Returns) -> Done {
        self.transact(TxKind::Call(to_address(to)), calldata(signature, arguments), false)
    }

    fn transact(self, kind: TxKind, data: Vec<u8>, keep: bool) -> Done {
        let caller = to_address(self.sender);
        let tx = TxEnv {
            caller,
            kind,
            data: data.into(),
            value: to_number(self.value),
            gas_limit: self.gas,
            gas_price: 0,
            nonce: self.chain.info(from_address(caller)).nonce,
            chain_id: Some(self.chain.engine.chain_id()),
            ..TxEnv::default()
        };
        self.chain.run(&tx, keep)
    }
}

fn calldata(signature: &str, arguments: &impl Returns) -> Vec<u8> {
    let [a, b, c, d, ..] = keccak256_const(signature.as_bytes());
    [&[a, b, c, d][..], &abi::encode(arguments)].concat()
}
