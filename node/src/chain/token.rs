//! Balances and allowances of tokens, set as a dev user wants them.
//!
//! Where a token keeps a number is found by asking it: of the slots that its answer depends on, one
//! must make it answer whatever stands there. That holds for contracts of both machines.

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::Chain;
use crate::call::{AccountOverride, Call, Overrides};
use crate::error::{CallError, DevError, QueryError};

/// A number that a token keeps for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenValue {
    /// `balanceOf(owner)`.
    Balance {
        /// The owner.
        owner: Address,
    },
    /// `allowance(owner, spender)`.
    Allowance {
        /// The owner.
        owner: Address,
        /// Who may spend.
        spender: Address,
    },
}

impl TokenValue {
    /// What it is called.
    fn name(self) -> &'static str {
        match self {
            Self::Balance { .. } => "balance",
            Self::Allowance { .. } => "allowance",
        }
    }

    /// The call data that asks for it.
    fn input(self) -> Bytes {
        let (signature, addresses) = match self {
            Self::Balance { owner } => ("balanceOf(address)", vec![owner]),
            Self::Allowance { owner, spender } => {
                ("allowance(address,address)", vec![owner, spender])
            }
        };
        let mut input = keccak256(signature)[..4].to_vec();
        for address in addresses {
            input.extend_from_slice(address.into_word().as_slice());
        }
        input.into()
    }
}

impl Chain {
    /// Makes `token` answer `amount` for `value`.
    pub async fn set_token_value(
        &self,
        token: Address,
        value: TokenValue,
        amount: U256,
    ) -> Result<(), DevError> {
        let call = Call { to: Some(token), input: value.input(), ..Call::default() };
        let slot = self.find_slot(&call, amount).await?;
        let (address, slot) = slot.ok_or(DevError::NoTokenSlot { what: value.name() })?;
        self.set_storage(address, slot, amount).await
    }

    /// The slot that `call` answers from, if it can hold `amount`.
    async fn find_slot(
        &self,
        call: &Call,
        amount: U256,
    ) -> Result<Option<(Address, U256)>, DevError> {
        let latest = BlockId::latest();
        let list = self.create_access_list(call.clone(), latest, Overrides::default()).await;
        for item in failure(list)?.map(|list| list.access_list.0).unwrap_or_default() {
            for slot in item.storage_keys {
                let place = (item.address, slot);
                // A slot of another meaning may give one number by chance, but not its neighbour.
                if self.answers(call, place, amount).await?
                    && self.answers(call, place, amount ^ U256::ONE).await?
                {
                    return Ok(Some((item.address, slot.into())));
                }
            }
        }
        Ok(None)
    }

    /// Whether `call` answers `amount` when the slot holds it.
    async fn answers(
        &self,
        call: &Call,
        (address, slot): (Address, B256),
        amount: U256,
    ) -> Result<bool, DevError> {
        let state_diff = Some([(slot, amount.into())].into());
        let account = AccountOverride { state_diff, ..AccountOverride::default() };
        let overrides = Overrides { state: [(address, account)].into(), ..Overrides::default() };
        let outcome = self.call(call.clone(), BlockId::latest(), overrides).await;
        let output = failure(outcome)?.map(|outcome| outcome.output);
        let word = output.as_ref().and_then(|output| output.get(..32));
        Ok(word.is_some_and(|word| U256::from_be_slice(word) == amount))
    }
}

/// A call that fails is an answer; a node that fails is not.
fn failure<T>(outcome: Result<T, CallError>) -> Result<Option<T>, DevError> {
    match outcome {
        Ok(outcome) => Ok(Some(outcome)),
        Err(CallError::Query(QueryError::Failure(failure))) => Err(failure.into()),
        Err(_) => Ok(None),
    }
}
