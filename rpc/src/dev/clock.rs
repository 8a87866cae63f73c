//! The time of blocks.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use crate::request::Quantity;
use serde::Deserialize;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_increaseTime", increase_time);
    table.task("anvil_setTime", set_time);
    table.task("anvil_setNextBlockTimestamp", set_next_block_timestamp);
    table.task("anvil_setBlockTimestampInterval", set_timestamp_interval);
    table.task("anvil_removeBlockTimestampInterval", remove_timestamp_interval);
    table.quick("anvil_getGenesisTime", genesis_time);
    table.quick("anvil_getLastBlockWallTime", last_block_wall_time);
}

/// Seconds, forward or back.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Forward(Quantity),
    Back(i64),
}

async fn increase_time(api: Arc<Api>, mut arguments: Arguments) -> Reply<i64> {
    let seconds = match arguments.required("seconds")? {
        Seconds::Forward(seconds) => i64::try_from(seconds.0).unwrap_or(i64::MAX),
        Seconds::Back(seconds) => seconds,
    };
    Ok(api.chain.increase_time(seconds).await?)
}

/// Answers by how many seconds that moved the clock forward: as in anvil none if it went back, for
/// Foundry's clients read a number without sign.
async fn set_time(api: Arc<Api>, mut arguments: Arguments) -> Reply<u64> {
    // ganache's clients give milliseconds, which no date of this age has in seconds.
    const LATEST: u64 = 100_000_000_000;
    let time = arguments.number("timestamp")?;
    let moved = api.chain.set_time(if time > LATEST { time / 1_000 } else { time }).await?;
    Ok(u64::try_from(moved).unwrap_or_default())
}

async fn set_next_block_timestamp(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_next_timestamp(arguments.number("timestamp")?).await?)
}

async fn set_timestamp_interval(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_timestamp_interval(arguments.number("seconds")?).await?)
}

async fn remove_timestamp_interval(api: Arc<Api>, _: Arguments) -> Reply<bool> {
    Ok(api.chain.remove_timestamp_interval().await?)
}

fn genesis_time(api: &Api, _: Arguments) -> Reply<u64> {
    Ok(api.chain.genesis().timestamp)
}

/// Seconds by the wall clock; of a block that was there at the start, its own timestamp.
fn last_block_wall_time(api: &Api, _: Arguments) -> Reply<u64> {
    Ok(api.chain.sealed_at().unwrap_or_else(|| api.chain.head().header.timestamp))
}
