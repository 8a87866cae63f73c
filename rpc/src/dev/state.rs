//! Accounts as a dev user wants them.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request::Slot;
use alloy_primitives::{Address, Bytes};
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_setBalance", set_balance);
    table.task("anvil_addBalance", add_balance);
    table.task("anvil_setNonce", set_nonce);
    table.task("anvil_setCode", set_code);
    table.task("anvil_setStorageAt", set_storage_at);
    table.quick("anvil_impersonateAccount", impersonate);
    table.quick("anvil_stopImpersonatingAccount", stop_impersonating);
    table.quick("anvil_autoImpersonateAccount", auto_impersonate);
    table.quick("anvil_impersonateSignature", impersonate_signature);
    table.quick("evm_addAccount", add_account);
    table.quick("evm_removeAccount", remove_account);
    table.task("anvil_dumpState", dump_state);
    table.task("anvil_loadState", load_state);
}

async fn set_balance(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let address = arguments.required("address")?;
    Ok(api.chain.set_balance(address, arguments.required("balance")?).await?)
}

async fn add_balance(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let address = arguments.required("address")?;
    Ok(api.chain.add_balance(address, arguments.required("amount")?).await?)
}

async fn set_nonce(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let address = arguments.required("address")?;
    Ok(api.chain.set_nonce(address, arguments.number("nonce")?).await?)
}

/// The third argument, `"riscv"`, says that the code is an ELF file; a container needs none.
async fn set_code(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let address = arguments.required("address")?;
    let code: Bytes = arguments.required("code")?;
    let riscv = match arguments.optional::<String>("kind")?.as_deref() {
        None | Some("evm") => false,
        Some("riscv") => true,
        Some(other) => {
            let text = format!("invalid argument 2 (kind): {other:?} is neither evm nor riscv");
            return Err(RpcError::invalid_params(text));
        }
    };
    Ok(api.chain.set_code(address, code, riscv).await?)
}

async fn set_storage_at(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let address: Address = arguments.required("address")?;
    let Slot(slot) = arguments.required("slot")?;
    api.chain.set_storage(address, slot, arguments.required("value")?).await?;
    Ok(true)
}

fn impersonate(api: &Api, mut arguments: Arguments) -> Reply<()> {
    api.chain.impersonate(arguments.required("address")?);
    Ok(())
}

fn stop_impersonating(api: &Api, mut arguments: Arguments) -> Reply<()> {
    api.chain.stop_impersonating(arguments.required("address")?);
    Ok(())
}

fn auto_impersonate(api: &Api, mut arguments: Arguments) -> Reply<()> {
    api.chain.impersonate_every(arguments.required("enabled")?);
    Ok(())
}

/// The signature is r, s and v, as the ecrecover precompile takes it.
fn impersonate_signature(api: &Api, mut arguments: Arguments) -> Reply<()> {
    let signature: Bytes = arguments.required("signature")?;
    let signer = arguments.required("address")?;
    let signature = signature.as_ref().try_into().map_err(|_| {
        RpcError::invalid_params(format!(
            "invalid argument 0 (signature): {} bytes, not 65",
            signature.len()
        ))
    })?;
    api.chain.set_signer(signature, signer);
    Ok(())
}

/// ganache's: the passphrase, its second argument, unlocks nothing here, for nothing is locked.
fn add_account(api: &Api, mut arguments: Arguments) -> Reply<bool> {
    Ok(api.chain.add_account(arguments.required("address")?))
}

fn remove_account(api: &Api, mut arguments: Arguments) -> Reply<bool> {
    Ok(api.chain.remove_account(arguments.required("address")?))
}

async fn dump_state(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let historical: Option<bool> = arguments.optional("preserve_historical_states")?;
    Ok(api.chain.dump_state_packed(historical.unwrap_or(false)).await?.into())
}

async fn load_state(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let dump: Bytes = arguments.required("state")?;
    api.chain.load_state(dump.into()).await?;
    Ok(true)
}
