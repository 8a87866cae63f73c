//! A chain in memory for tests.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, Log, TxKind, U256, address};
use genesis::{DevOptions, Genesis, RiscvGas, RiscvParams, SpecId};
use revm::{
    bytecode::Bytecode,
    context::{
        BlockEnv, TxEnv,
        result::{ExecutionResult, Output},
    },
    context_interface::block::BlobExcessGasAndPrice,
    database::{CacheDB, EmptyDB},
    primitives::B256,
    state::AccountInfo,
};
use vm::{Engine, Execution, Outcome, Rules};

pub(crate) const SENDER: Address = address!("00000000000000000000000000000000000a11ce");
pub(crate) const A: Address = address!("00000000000000000000000000000000000000aa");
pub(crate) const B: Address = address!("00000000000000000000000000000000000000bb");
pub(crate) const C: Address = address!("00000000000000000000000000000000000000cc");

pub(crate) type Db = CacheDB<EmptyDB>;

/// Gas of a whole guest frame in a cheap world: one for its start, one for all its instructions.
pub(crate) const GUEST: u64 = 2;

/// A state, and the engine over it.
pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) engine: Engine,
    pub(crate) rules: Rules,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(SpecId::OSAKA)
    }

    pub(crate) fn on(fork: SpecId) -> Self {
        Self::with(fork, RiscvParams::default())
    }

    pub(crate) fn with(fork: SpecId, riscv: RiscvParams) -> Self {
        let genesis = Genesis::dev(DevOptions { fork, riscv, ..DevOptions::default() });
        let mut db = Db::default();
        let rich =
            AccountInfo { balance: U256::from(10).pow(U256::from(21)), ..Default::default() };
        db.insert_account_info(SENDER, rich);
        Self { db, engine: Engine::new(Arc::new(genesis.spec)), rules: Rules::block() }
    }

    /// A chain on which a guest's own work costs next to nothing: [`GUEST`] gas a frame.
    pub(crate) fn cheap_on(fork: SpecId) -> Self {
        let gas = RiscvGas {
            units_per_gas: 1 << 40,
            add: 1,
            lui_jump: 1,
            logic: 1,
            shift: 1,
            mul: 1,
            div: 1,
            access64: 1,
            access_narrow: 1,
            branch: 1,
            atomic: 1,
            syscall: 1,
            copy_word: 1,
            page: 1,
            keccak_block: 1,
            sha256_block: 1,
            ripemd160_block: 1,
            blake3_block: 1,
            blake2f_round: 1,
            mul_add256: 1,
            ec_add: 1,
            call_base: 1,
        };
        Self::with(fork, RiscvParams { gas, ..RiscvParams::default() })
    }

    pub(crate) fn cheap() -> Self {
        Self::cheap_on(SpecId::OSAKA)
    }

    /// Puts code at an address.
    pub(crate) fn put(mut self, address: Address, code: impl Into<Bytes>) -> Self {
        self.set(address, code);
        self
    }

    pub(crate) fn set(&mut self, address: Address, code: impl Into<Bytes>) {
        let info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into()));
        self.db.insert_account_info(address, info);
    }

    pub(crate) fn fund(mut self, address: Address, wei: u64) -> Self {
        let mut info = self.db.load_account(address).unwrap().info.clone();
        info.balance = U256::from(wei);
        self.db.insert_account_info(address, info);
        self
    }

    pub(crate) fn block(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(1000),
            timestamp: U256::from(1_700_000_000u64),
            gas_limit: 1_000_000_000_000,
            prevrandao: Some(B256::repeat_byte(0x77)),
            difficulty: U256::from(5),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, 5_007_716)),
            beneficiary: address!("000000000000000000000000000000000000c01b"),
            slot_num: 99,
            ..BlockEnv::default()
        }
    }

    pub(crate) fn execution(&self) -> Execution<&Db> {
        Execution::new(&self.engine, self.block(), self.rules.clone(), &self.db)
    }

    /// Runs one transaction and forgets its changes.
    pub(crate) fn run(&self, tx: &TxEnv) -> Outcome {
        self.execution().call(tx).unwrap()
    }

    /// Calls an address with no data.
    pub(crate) fn call(&self, to: Address) -> Outcome {
        self.run(&call(to))
    }
}

pub(crate) fn call(to: Address) -> TxEnv {
    TxEnv {
        caller: SENDER,
        kind: TxKind::Call(to),
        gas_limit: 10_000_000,
        gas_price: 0,
        chain_id: Some(31_337),
        ..TxEnv::default()
    }
}

pub(crate) fn creation(code: Bytes) -> TxEnv {
    TxEnv { kind: TxKind::Create, data: code, gas_limit: 16_777_216, ..call(A) }
}

/// The output of a success.
#[track_caller]
pub(crate) fn output(outcome: &Outcome) -> Vec<u8> {
    match &outcome.result {
        ExecutionResult::Success { output, .. } => output.data().to_vec(),
        other => panic!("{other:?}, trap {:?}", outcome.trap),
    }
}

/// The address that a creation made.
#[track_caller]
pub(crate) fn created(outcome: &Outcome) -> Address {
    match &outcome.result {
        ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => *address,
        other => panic!("{other:?}, trap {:?}", outcome.trap),
    }
}

/// The logs of a success.
pub(crate) fn logs(outcome: &Outcome) -> Vec<Log> {
    outcome.result.logs().to_vec()
}

/// A slot after the outcome, if it was touched.
pub(crate) fn slot(outcome: &Outcome, address: Address, slot: u64) -> Option<U256> {
    let account = outcome.state.get(&address)?;
    account.storage.get(&U256::from(slot)).map(|slot| slot.present_value)
}

/// A word as output.
pub(crate) fn word(value: u64) -> Vec<u8> {
    U256::from(value).to_be_bytes_vec()
}

/// A guest's register as output.
pub(crate) fn register(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(crate) fn gas(outcome: &Outcome) -> u64 {
    outcome.result.tx_gas_used()
}

pub(crate) fn halted(outcome: &Outcome) -> bool {
    outcome.result.is_halt()
}

/// EVM code out of opcodes and constants.
#[derive(Clone, Default)]
pub(crate) struct Evm(pub(crate) Vec<u8>);

impl Evm {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn op(mut self, opcode: u8) -> Self {
        self.0.push(opcode);
        self
    }

    /// PUSH32.
    pub(crate) fn push(mut self, word: impl TryInto<U256, Error: std::fmt::Debug>) -> Self {
        let word: U256 = word.try_into().unwrap();
        self.0.push(0x7f);
        self.0.extend_from_slice(&word.to_be_bytes::<32>());
        self
    }

    pub(crate) fn push_address(self, address: Address) -> Self {
        self.push(U256::from_be_bytes(address.into_word().0))
    }

    /// Pushes arguments so that the first ends on top, then runs the opcode.
    pub(crate) fn run(mut self, opcode: u8, args: &[U256]) -> Self {
        for arg in args.iter().rev() {
            self = self.push(*arg);
        }
        self.op(opcode)
    }

    /// Returns the word on top.
    pub(crate) fn ret_top(self) -> Self {
        self.push(0).op(0x52).push(32).push(0).op(0xf3)
    }

    /// A CALL with all gas, no value, no data; leaves the flag.
    pub(crate) fn call(self, to: Address) -> Self {
        self.push(0).push(0).push(0).push(0).push(0).push_address(to).op(0x5a).op(0xf1)
    }

    /// The same as DELEGATECALL or STATICCALL.
    pub(crate) fn call_without_value(self, opcode: u8, to: Address) -> Self {
        self.push(0).push(0).push(0).push(0).push_address(to).op(0x5a).op(opcode)
    }

    /// Returns what the last call returned.
    pub(crate) fn ret_data(self) -> Self {
        let copied = self.op(0x3d).push(0).push(0).op(0x3e);
        copied.op(0x3d).push(0).op(0xf3)
    }

    /// CREATE of the call data; returns the address.
    pub(crate) fn factory() -> Self {
        let copied = Self::new().op(0x36).push(0).push(0).op(0x37);
        copied.op(0x36).push(0).push(0).op(0xf0).ret_top()
    }

    /// Init code that deploys `code`.
    pub(crate) fn deploying(code: &[u8]) -> Bytes {
        // Five constants of 33 bytes and two opcodes stand before the code.
        let start = 5 * 33 + 2;
        let head = Self::new().push(code.len()).push(start).push(0).op(0x39);
        let head = head.push(code.len()).push(0).op(0xf3);
        [head.0, code.to_vec()].concat().into()
    }
}

impl From<Evm> for Bytes {
    fn from(code: Evm) -> Self {
        code.0.into()
    }
}
