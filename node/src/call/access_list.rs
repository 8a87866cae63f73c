//! Access lists: what a call reads, found by running it until the list stays the same.

use alloy_eips::BlockId;

use super::{AccessListOutcome, Call, Overrides, Session, named};
use crate::chain::Chain;
use crate::error::CallError;
use crate::gate::Deadline;

/// Runs after which a list that still changes is taken as it is.
const RUNS_MAX: usize = 16;

impl Chain {
    /// The accounts and slots that `call` reads on the state at `id`.
    pub async fn create_access_list(
        &self,
        call: Call,
        id: BlockId,
        overrides: Overrides,
    ) -> Result<AccessListOutcome, CallError> {
        let session = self.session(id).await?;
        self.execute(move |deadline| find(session, &call, (&overrides, deadline))).await
    }
}

fn find(
    session: Session,
    call: &Call,
    (overrides, deadline): (&Overrides, Deadline),
) -> Result<AccessListOutcome, CallError> {
    let (mut execution, mut tx) = session.prepare(call, overrides)?;
    deadline.watch(&mut execution);
    // A list needs a type of transaction that has one.
    tx.tx_type = tx.tx_type.max(1);
    let mut result = AccessListOutcome::default();
    for _ in 0..RUNS_MAX {
        deadline.check()?;
        let (ran, access_list) = trace::access_list(&mut execution, &tx)?;
        let settled = access_list == tx.access_list;
        result.gas_used = ran.result.tx_gas_used();
        result.error = named(&mut execution, &tx, ran).err().map(|error| error.to_string());
        result.access_list = access_list.clone();
        if settled {
            break;
        }
        tx.access_list = access_list;
    }
    Ok(result)
}
