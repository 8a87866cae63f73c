//! Requests to the consensus layer (EIP-7685): deposits, withdrawals, consolidations.

use alloc::vec::Vec;

use alloy_eips::eip6110::DEPOSIT_REQUEST_TYPE;
use alloy_eips::eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE};
use alloy_eips::eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, Bytes, b256};
use genesis::TxReceipt;
use revm::DatabaseRef;
use vm::Execution;

use super::ExecutorError;

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: B256 =
    b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Size of the event's data (EIP-6110).
const DEPOSIT_SIZE: usize = 576;
/// Where each of its five byte strings lies, and its size.
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Collects the requests of a block after its last transaction.
pub(super) fn collect<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    deposit_contract: Option<Address>,
    receipts: &[TxReceipt],
) -> Result<Requests, ExecutorError<DB::Error>>
where
    DB::Error: core::error::Error + Send + Sync + 'static,
{
    let mut requests = Requests::default();
    if let Some(contract) = deposit_contract {
        requests.push_request_with_type(DEPOSIT_REQUEST_TYPE, deposits(contract, receipts)?);
    }
    let queues = [
        (WITHDRAWAL_REQUEST_TYPE, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        (CONSOLIDATION_REQUEST_TYPE, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ];
    for (ty, address) in queues {
        let result = execution.system_call(address, Bytes::new())?;
        if !result.is_success() {
            return Err(ExecutorError::SystemCall { address });
        }
        requests.push_request_with_type(ty, result.into_output().unwrap_or_default());
    }
    Ok(requests)
}

fn deposits<E>(contract: Address, receipts: &[TxReceipt]) -> Result<Vec<u8>, ExecutorError<E>> {
    let mut deposits = Vec::new();
    for log in receipts.iter().flat_map(|receipt| &receipt.receipt.logs) {
        if log.address != contract || log.topics().first() != Some(&DEPOSIT_EVENT) {
            continue;
        }
        let data = &log.data.data;
        // The contract writes one layout only: five offsets, then each length before its bytes.
        let well_formed = data.len() == DEPOSIT_SIZE
            && DEPOSIT_FIELDS.iter().enumerate().all(|(index, (at, size))| {
                word(data, index * 32) == *at && word(data, *at) == *size
            });
        if !well_formed {
            return Err(ExecutorError::Deposit { size: data.len() });
        }
        for (at, size) in DEPOSIT_FIELDS {
            deposits.extend_from_slice(&data[at + 32..at + 32 + size]);
        }
    }
    Ok(deposits)
}

/// The word at `at` as a number; one that is too large for any offset becomes the largest.
fn word(data: &[u8], at: usize) -> usize {
    let word: [u8; 32] = data[at..at + 32].try_into().unwrap_or([0xff; 32]);
    usize::try_from(alloy_primitives::U256::from_be_bytes(word)).unwrap_or(usize::MAX)
}
