//! A chain in memory on which contracts of both kinds are deployed and used.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, Log, TxKind, U256, address};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use genesis::{DevOptions, Genesis, container::Container};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::state::AccountInfo;
use revm::{DatabaseCommit, DatabaseRef};
use vm::{Engine, Execution, Outcome, Rules};

pub(crate) const ALICE: Address = address!("00000000000000000000000000000000000a11ce");
pub(crate) const BOB: Address = address!("0000000000000000000000000000000000000b0b");
pub(crate) const CAROL: Address = address!("00000000000000000000000000000000000ca201");
pub(crate) const CHAIN_ID: u64 = 31_337;
pub(crate) const NOW: u64 = 1_800_000_000;
const GAS_LIMIT: u64 = 16_000_000;

/// Which machine a contract runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Evm,
    Riscv,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Evm, Kind::Riscv];

/// A contract as it is kept in `contracts/images`: the image, and its twin's artifact.
pub(crate) struct Source {
    pub(crate) image: &'static [u8],
    pub(crate) artifact: &'static str,
}

impl Source {
    /// Init code with constructor arguments, which follow it in both kinds.
    pub(crate) fn init_code(&self, kind: Kind, arguments: &[u8]) -> Vec<u8> {
        match kind {
            Kind::Evm => [self.bytecode(), arguments.to_vec()].concat(),
            Kind::Riscv => {
                let container = Container { image: self.image, tail: arguments };
                container.encode().expect("images are small")
            }
        }
    }

    /// The field `bytecode` of the artifact. There is no JSON parser here, and one field to read.
    fn bytecode(&self) -> Vec<u8> {
        let (_, rest) = self.artifact.split_once("\"bytecode\": \"").expect("an artifact");
        let (hex, _) = rest.split_once('"').expect("an artifact");
        hex.parse::<Bytes>().expect("bytecode is hex").to_vec()
    }
}

/// A state, and the engine over it. Every transaction is a block of its own.
pub(crate) struct Chain {
    pub(crate) db: CacheDB<EmptyDB>,
    engine: Engine,
    rules: Rules,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let mut db = CacheDB::default();
        for account in [ALICE, BOB, CAROL] {
            let balance = U256::from(10).pow(U256::from(21));
            db.insert_account_info(account, AccountInfo { balance, ..Default::default() });
        }
        let genesis = Genesis::dev(DevOptions::default());
        let rules = Rules { check_nonce: false, ..Rules::block() };
        Self { db, engine: Engine::new(Arc::new(genesis.spec)), rules }
    }

    fn transaction(&self, from: Address, kind: TxKind, data: Vec<u8>, value: u64) -> TxEnv {
        TxEnv {
            caller: from,
            kind,
            data: data.into(),
            value: U256::from(value),
            gas_limit: GAS_LIMIT,
            gas_price: 0,
            nonce: self.nonce(from),
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        }
    }

    fn nonce(&self, of: Address) -> u64 {
        self.db.basic_ref(of).expect("in memory").map_or(0, |info| info.nonce)
    }

    fn run(&mut self, tx: &TxEnv) -> Outcome {
        let block = BlockEnv {
            number: U256::from(100),
            timestamp: U256::from(NOW),
            gas_limit: 1_000_000_000,
            ..BlockEnv::default()
        };
        let mut execution = Execution::new(&self.engine, block, self.rules.clone(), &self.db);
        let outcome = execution.call(tx).expect("the transaction is valid");
        drop(execution);
        self.db.commit(outcome.state.clone());
        outcome
    }

    /// Deploys a contract, and says what it cost.
    pub(crate) fn deploy(&mut self, source: &Source, kind: Kind, arguments: &[u8]) -> Address {
        let code = source.init_code(kind, arguments);
        let outcome = self.run(&self.transaction(ALICE, TxKind::Create, code, 0));
        match &outcome.result {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => {
                println!("{kind:?} deployment: {} gas", outcome.result.tx_gas_used());
                *address
            }
            other => panic!("{kind:?}: {other:?}, trap {:?}", outcome.trap),
        }
    }

    /// Tries to deploy a contract; the revert data of the failure.
    pub(crate) fn refused(&mut self, source: &Source, kind: Kind, arguments: &[u8]) -> Bytes {
        let code = source.init_code(kind, arguments);
        let outcome = self.run(&self.transaction(ALICE, TxKind::Create, code, 0));
        Done { outcome }.reverted()
    }

    /// Calls a function in a transaction.
    pub(crate) fn send(&mut self, from: Address, to: Address, call: &impl SolCall) -> Done {
        self.send_wei(from, to, call, 0)
    }

    /// Calls a function in a transaction that carries wei.
    pub(crate) fn send_wei(
        &mut self,
        from: Address,
        to: Address,
        call: &impl SolCall,
        value: u64,
    ) -> Done {
        self.send_bytes(from, to, call.abi_encode(), value)
    }

    /// Sends a transaction with any data.
    pub(crate) fn send_bytes(
        &mut self,
        from: Address,
        to: Address,
        data: Vec<u8>,
        value: u64,
    ) -> Done {
        Done { outcome: self.run(&self.transaction(from, TxKind::Call(to), data, value)) }
    }

    /// What a function answers.
    pub(crate) fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        self.send(ALICE, to, call).answer::<C>()
    }

    pub(crate) fn balance(&self, of: Address) -> U256 {
        self.db.basic_ref(of).expect("in memory").map_or(U256::ZERO, |info| info.balance)
    }

    /// The slots of a contract that are not zero, in order.
    pub(crate) fn storage(&self, of: Address) -> Vec<(U256, U256)> {
        let account = self.db.cache.accounts.get(&of).expect("the contract is there");
        let mut slots: Vec<_> =
            account.storage.iter().map(|(slot, value)| (*slot, *value)).collect();
        slots.retain(|(_, value)| !value.is_zero());
        slots.sort();
        slots
    }
}

/// A transaction that has run.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
}

impl Done {
    pub(crate) fn gas(&self) -> u64 {
        self.outcome.result.tx_gas_used()
    }

    #[track_caller]
    pub(crate) fn answer<C: SolCall>(&self) -> C::Return {
        match &self.outcome.result {
            ExecutionResult::Success { output, .. } => {
                C::abi_decode_returns_validate(output.data()).expect("the answer decodes")
            }
            other => panic!("{}: {other:?}, trap {:?}", C::SIGNATURE, self.outcome.trap),
        }
    }

    #[track_caller]
    pub(crate) fn logs(&self) -> &[Log] {
        match &self.outcome.result {
            ExecutionResult::Success { logs, .. } => logs,
            other => panic!("{other:?}, trap {:?}", self.outcome.trap),
        }
    }

    /// The only event.
    #[track_caller]
    pub(crate) fn event<E: SolEvent>(&self) -> E {
        let [log] = self.logs() else { panic!("one event, not {:?}", self.logs()) };
        E::decode_log_validate(log).expect("the event decodes").data
    }

    #[track_caller]
    pub(crate) fn reverted(&self) -> Bytes {
        match &self.outcome.result {
            ExecutionResult::Revert { output, .. } => output.clone(),
            other => panic!("not reverted: {other:?}, trap {:?}", self.outcome.trap),
        }
    }

    #[track_caller]
    pub(crate) fn failed_with(&self, error: &impl SolError) {
        assert_eq!(self.reverted(), Bytes::from(error.abi_encode()));
    }
}
