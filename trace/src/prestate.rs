//! `prestateTracer`: what a transaction looks at, as it was before, or what it changes.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use genesis::SpecId;
use revm::{
    DatabaseRef, Inspector,
    bytecode::opcode as op,
    context::{Block, BlockEnv, Cfg, ContextTr, JournalTr, TxEnv, transaction::AuthorizationTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
    state::{AccountInfo, EvmState},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What the caller wants to see.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PrestateConfig {
    diff_mode: bool,
    disable_code: bool,
    disable_storage: bool,
    include_empty: bool,
}

impl PrestateConfig {
    /// Whether it asks for what excludes each other.
    pub(super) const fn contradicts(&self) -> bool {
        self.diff_mode && self.include_empty
    }
}

/// Collects accounts and slots.
pub(super) struct Prestate {
    config: PrestateConfig,
    accounts: BTreeSet<Address>,
    slots: BTreeMap<Address, BTreeSet<U256>>,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
    /// What the step that runs looks at, if it comes to that.
    step: Option<Look>,
}

enum Look {
    Slot(Address, U256),
    Account(Address),
    Destroy(Address, Address),
}

/// An account at some time.
#[derive(Default)]
struct Account {
    balance: U256,
    nonce: u64,
    code: Bytes,
    code_hash: Option<B256>,
}

impl Account {
    fn load<DB: DatabaseRef>(db: &DB, info: Option<&AccountInfo>) -> Result<Self, DB::Error> {
        let Some(info) = info else { return Ok(Self::default()) };
        let code_hash =
            (!info.is_empty_code_hash() && !info.code_hash.is_zero()).then_some(info.code_hash);
        let code = match (&info.code, code_hash) {
            (_, None) => Bytes::new(),
            (Some(code), _) => code.original_bytes(),
            (None, Some(hash)) => db.code_by_hash_ref(hash)?.original_bytes(),
        };
        Ok(Self { balance: info.balance, nonce: info.nonce, code, code_hash })
    }

    fn is_empty(&self) -> bool {
        self.balance.is_zero() && self.nonce == 0 && self.code.is_empty()
    }

    fn delegate(&self) -> Option<Address> {
        let bytes = self.code.strip_prefix(&[0xef, 0x01, 0x00])?;
        (bytes.len() == 20).then(|| Address::from_slice(bytes))
    }
}

impl Prestate {
    pub(super) fn new(config: PrestateConfig) -> Self {
        Self {
            config,
            accounts: BTreeSet::new(),
            slots: BTreeMap::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            step: None,
        }
    }

    /// Reads what was seen: before the transaction from `db`, after it from `state`.
    pub(super) fn into_trace<DB: DatabaseRef>(
        mut self,
        (tx, block): (&TxEnv, &BlockEnv),
        (db, state): (&DB, &EvmState),
        fork: SpecId,
    ) -> Result<Value, DB::Error> {
        self.look_at_transaction(tx, block, (db, fork))?;
        let (mut pre, mut post) = (Map::new(), Map::new());
        for address in &self.accounts {
            let before = Account::load(db, db.basic_ref(*address)?.as_ref())?;
            let mut slots = BTreeMap::new();
            for slot in self.slots.get(address).into_iter().flatten() {
                slots.insert(B256::from(*slot), B256::from(db.storage_ref(*address, *slot)?));
            }
            if self.config.diff_mode && !self.deleted.contains(address) {
                let Some(changed) = self.changes(*address, (&before, &mut slots), (db, state))?
                else {
                    continue;
                };
                post.insert(key(address), changed);
            }
            if !before.is_empty() || self.config.include_empty {
                pre.insert(key(address), self.show(&before, &slots));
            }
        }
        Ok(if self.config.diff_mode {
            json!({ "pre": pre, "post": post })
        } else {
            Value::Object(pre)
        })
    }

    /// What every transaction looks at before its first step.
    fn look_at_transaction<DB: DatabaseRef>(
        &mut self,
        tx: &TxEnv,
        block: &BlockEnv,
        (db, fork): (&DB, SpecId),
    ) -> Result<(), DB::Error> {
        let from = Account::load(db, db.basic_ref(tx.caller)?.as_ref())?;
        let to = match tx.kind {
            TxKind::Call(to) => to,
            TxKind::Create => tx.caller.create(from.nonce),
        };
        if fork.is_enabled_in(SpecId::PRAGUE) {
            let callee = Account::load(db, db.basic_ref(to)?.as_ref())?;
            self.accounts.extend(callee.delegate());
        }
        self.accounts.extend([tx.caller, to, block.beneficiary()]);
        let authorities = tx.authorization_list.iter();
        self.accounts.extend(authorities.filter_map(AuthorizationTr::authority));
        Ok(())
    }

    /// What became of an account; nothing if it is as it was. Of `slots` those stay that changed.
    fn changes<DB: DatabaseRef>(
        &self,
        address: Address,
        (before, slots): (&Account, &mut BTreeMap<B256, B256>),
        (db, state): (&DB, &EvmState),
    ) -> Result<Option<Value>, DB::Error> {
        let touched = state.get(&address);
        let after = match touched {
            Some(account) => Account::load(db, Some(&account.info))?,
            None => Account::load(db, db.basic_ref(address)?.as_ref())?,
        };
        let mut changed = Map::new();
        let mut modified = false;
        if after.balance != before.balance {
            modified = true;
            changed.insert("balance".to_string(), json!(after.balance));
        }
        if after.nonce != before.nonce {
            modified = true;
            insert_nonce(&mut changed, after.nonce);
        }
        if after.code_hash != before.code_hash {
            modified = true;
            changed.insert("codeHash".to_string(), json!(after.code_hash.unwrap_or_default()));
            if !self.config.disable_code {
                insert_code(&mut changed, &after.code);
            }
        }
        let mut new = BTreeMap::new();
        slots.retain(|slot, old| {
            let known =
                touched.and_then(|account| account.storage.get(&U256::from_be_bytes(slot.0)));
            let value = known.map_or(*old, |known| known.present_value().into());
            if value != *old {
                modified = true;
                if !value.is_zero() {
                    new.insert(*slot, value);
                }
            }
            value != *old && !old.is_zero()
        });
        if !new.is_empty() {
            changed.insert("storage".to_string(), json!(new));
        }
        Ok(modified.then_some(Value::Object(changed)))
    }

    fn show(&self, account: &Account, slots: &BTreeMap<B256, B256>) -> Value {
        let mut shown = Map::new();
        shown.insert("balance".to_string(), json!(account.balance));
        insert_nonce(&mut shown, account.nonce);
        if !self.config.disable_code {
            insert_code(&mut shown, &account.code);
        }
        if let Some(hash) = account.code_hash {
            shown.insert("codeHash".to_string(), json!(hash));
        }
        if !slots.is_empty() {
            shown.insert("storage".to_string(), json!(slots));
        }
        Value::Object(shown)
    }
}

fn insert_nonce(account: &mut Map<String, Value>, nonce: u64) {
    if nonce != 0 {
        account.insert("nonce".to_string(), json!(nonce));
    }
}

fn insert_code(account: &mut Map<String, Value>, code: &Bytes) {
    if !code.is_empty() {
        account.insert("code".to_string(), json!(code));
    }
}

/// An address as geth writes it as a key: without a checksum.
fn key(address: &Address) -> String {
    format!("{address:?}")
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Prestate {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let contract = interpreter.input.target_address();
        let Ok(top) = interpreter.stack.peek(0) else {
            self.step = None;
            return;
        };
        let address = Address::from_word(top.into());
        self.step = match interpreter.bytecode.opcode() {
            op::SLOAD | op::SSTORE => Some(Look::Slot(contract, top)),
            op::EXTCODECOPY | op::EXTCODEHASH | op::EXTCODESIZE | op::BALANCE => {
                Some(Look::Account(address))
            }
            op::SELFDESTRUCT => Some(Look::Destroy(contract, address)),
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                let callee = interpreter.stack.peek(1).ok();
                callee.map(|callee| Look::Account(Address::from_word(callee.into())))
            }
            _ => None,
        };
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        let Some(look) = self.step.take() else { return };
        let result = interpreter.bytecode.instruction_result();
        if result.is_some_and(|result| !result.is_ok()) {
            return;
        }
        match look {
            Look::Slot(..) if self.config.disable_storage => {}
            Look::Slot(contract, slot) => {
                self.slots.entry(contract).or_default().insert(slot);
            }
            Look::Account(address) => {
                self.accounts.insert(address);
            }
            Look::Destroy(contract, heir) => {
                self.accounts.insert(heir);
                let fork: SpecId = context.cfg().spec().into();
                if !fork.is_enabled_in(SpecId::CANCUN) || self.created.contains(&contract) {
                    self.deleted.insert(contract);
                }
            }
        }
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let journal = context.journal_ref();
        if journal.depth() == 0 {
            return None;
        }
        let code = journal.evm_state().get(&inputs.bytecode_address);
        let code = code.and_then(|account| account.info.code.as_ref());
        self.accounts.extend(code.and_then(|code| code.eip7702_address()));
        None
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let creator = context.journal_ref().evm_state().get(&inputs.caller());
        let address = inputs.created_address(creator.map_or(0, |creator| creator.info.nonce));
        self.accounts.insert(address);
        self.created.insert(address);
        None
    }
}
