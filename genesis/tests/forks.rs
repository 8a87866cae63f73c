//! Fork schedules: order, activation, blob limits, header fields.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256, address};
use tandem_genesis::{Genesis, SpecId};

fn read(config: &str) -> Result<Genesis, String> {
    let text = format!(r#"{{"config":{{"chainId":7{config}}},"gasLimit":1,"alloc":{{}}}}"#);
    Genesis::from_json(&text).map_err(|error| error.to_string())
}

/// Every fork by block one block after the other, those by time ten seconds apart from 1,000.
const STAGGERED: &str = r#","homesteadBlock":1,"daoForkBlock":1,"eip150Block":2,"eip155Block":3,
    "eip158Block":3,"byzantiumBlock":4,"constantinopleBlock":5,"petersburgBlock":5,
    "istanbulBlock":6,"muirGlacierBlock":6,"berlinBlock":7,"londonBlock":8,"arrowGlacierBlock":8,
    "grayGlacierBlock":8,"mergeNetsplitBlock":9,"terminalTotalDifficulty":100,"shanghaiTime":1000,
    "cancunTime":1010,"pragueTime":1020,"osakaTime":1030,"bpo1Time":1040,"bpo2Time":1050,
    "bpo3Time":1060,"amsterdamTime":1070"#;

#[test]
fn each_fork_starts_at_its_block_or_time() {
    let spec = read(STAGGERED).unwrap().spec;
    let check = |number, timestamp, fork| {
        assert_eq!(spec.fork(number, timestamp), fork, "block {number} at {timestamp}");
    };
    for (number, fork) in [
        SpecId::FRONTIER,
        SpecId::HOMESTEAD,
        SpecId::TANGERINE,
        SpecId::SPURIOUS_DRAGON,
        SpecId::BYZANTIUM,
        SpecId::PETERSBURG,
        SpecId::ISTANBUL,
        SpecId::BERLIN,
        SpecId::LONDON,
        SpecId::MERGE,
    ]
    .into_iter()
    .enumerate()
    {
        check(number as u64, 0, fork);
    }
    check(8, 2_000, SpecId::LONDON);
    check(9, 999, SpecId::MERGE);
    check(9, 1_000, SpecId::SHANGHAI);
    check(100, 1_010, SpecId::CANCUN);
    check(100, 1_029, SpecId::PRAGUE);
    check(100, 1_030, SpecId::OSAKA);
    check(100, 1_069, SpecId::OSAKA);
    check(u64::MAX, u64::MAX, SpecId::AMSTERDAM);
}

#[test]
fn the_dao_fork_is_at_its_block_alone() {
    let config = |more: &str| STAGGERED.replace(r#""daoForkBlock":1"#, more);
    let spec = read(&config(r#""daoForkBlock":1,"daoForkSupport":true"#)).unwrap().spec;
    let accounts: BTreeSet<_> = spec.dao_accounts(1).collect();
    assert_eq!(accounts.len(), 116);
    assert!(accounts.contains(&address!("0xbb9bc244d798123fde783fcc1c72d3bb8c189413")));
    assert_eq!((spec.dao_accounts(0).count(), spec.dao_accounts(2).count()), (0, 0));
    // The ten blocks end with the merge.
    let marks: Vec<_> = (0..12).map(|number| spec.dao_extra_data(number)).collect();
    assert_eq!(marks[0], None);
    assert_eq!(marks[1..9], [Some(true); 8]);
    assert_eq!(marks[9..], [None; 3]);
    let spec = read(STAGGERED).unwrap().spec;
    assert_eq!((spec.dao_accounts(1).count(), spec.dao_extra_data(1)), (0, Some(false)));
    let spec = read(
        &config(r#""daoForkBlock":0,"daoForkSupport":true"#)
            .replace("\"homesteadBlock\":1", "\"homesteadBlock\":0"),
    );
    assert_eq!(spec.unwrap().spec.dao_extra_data(0), None);
}

#[test]
fn net_metering_is_between_the_two_forks() {
    let staggered = STAGGERED.replace(r#""constantinopleBlock":5"#, r#""constantinopleBlock":4"#);
    let spec = read(&staggered).unwrap().spec;
    let metered: Vec<_> = (0..8).filter(|number| spec.has_net_metering(*number)).collect();
    assert_eq!(metered, [4]);
    assert!((0..8).all(|number| !read(STAGGERED).unwrap().spec.has_net_metering(number)));
}

#[test]
fn blob_limits_follow_schedule_and_mainnet() {
    let config = format!(
        r#"{STAGGERED},"blobSchedule":{{"prague":{{"target":1,"max":2,"baseFeeUpdateFraction":3}},
        "bpo3":{{"target":30,"max":40,"baseFeeUpdateFraction":50}}}}"#
    );
    let spec = read(&config).unwrap().spec;
    let check = |timestamp, expected: Option<(u64, u64, u128, u64, bool)>| {
        let params = spec.blob_params(timestamp).map(|blob| {
            let reserve = blob.blob_base_cost > 0;
            (
                blob.target_blob_count,
                blob.max_blob_count,
                blob.update_fraction,
                blob.max_blobs_per_tx,
                reserve,
            )
        });
        assert_eq!(params, expected, "at {timestamp}");
    };
    check(1_009, None);
    check(1_010, Some((3, 6, 3_338_477, 6, false)));
    check(1_020, Some((1, 2, 3, 2, false)));
    check(1_030, Some((6, 9, 5_007_716, 6, true)));
    check(1_040, Some((10, 15, 8_346_193, 6, true)));
    check(1_050, Some((14, 21, 11_684_671, 6, true)));
    check(1_060, Some((30, 40, 50, 6, true)));
    check(1_070, Some((30, 40, 50, 6, true)));
}

#[test]
fn the_merge_is_where_the_file_says() {
    let london = STAGGERED.split(r#","mergeNetsplitBlock""#).next().unwrap();
    let check = |rest: &str, merge| {
        assert_eq!(read(&format!("{london}{rest}")).unwrap().spec.merge_block(), merge, "{rest}");
    };
    check("", None);
    check(r#","terminalTotalDifficulty":5"#, None);
    check(r#","terminalTotalDifficulty":0"#, Some(8));
    check(r#","terminalTotalDifficulty":5,"terminalTotalDifficultyPassed":true"#, Some(8));
    check(r#","shanghaiTime":1"#, Some(8));
    check(r#","terminalTotalDifficulty":0,"mergeNetsplitBlock":12"#, Some(12));
}

#[test]
fn a_schedule_out_of_order_is_refused() {
    let check = |config: &str, expected: &str| {
        assert_eq!(read(config).unwrap_err(), expected, "{config}");
    };
    let change = |from: &str, to: &str| {
        assert!(STAGGERED.contains(from), "{from}");
        STAGGERED.replace(from, to)
    };
    check(r#","londonBlock":0"#, "config.londonBlock: is set, but homesteadBlock is not");
    check(
        &change(r#""berlinBlock":7"#, r#""berlinBlock":5"#),
        "config.berlinBlock: 5 comes before muirGlacierBlock = 6",
    );
    check(&change(r#""cancunTime":1010,"#, ""), "config.pragueTime: is set, but cancunTime is not");
    check(
        &change(r#""bpo1Time":1040"#, r#""bpo1Time":1020"#),
        "config.bpo1Time: 1020 comes before osakaTime = 1030",
    );
    check(r#","shanghaiTime":0"#, "config.shanghaiTime: is set, but londonBlock is not");
    check(
        &change(r#","mergeNetsplitBlock":9"#, ""),
        "config.mergeNetsplitBlock: is needed: the chain has forks by time, and \
         terminalTotalDifficulty = 100 does not say at which block the merge is",
    );
    check(r#","pragueTIme":1,"verkleTime":7"#, "config.verkleTime: no fork of this name is known");
    check(
        &(STAGGERED.to_owned() + r#","bogotaTime":2000"#),
        "config.bogotaTime: this fork is not supported, Amsterdam is the newest that is",
    );
    let blobs = |entry: &str| format!(r#"{STAGGERED},"blobSchedule":{{{entry}}}"#);
    check(
        &blobs(r#""bpo9":{"target":1,"max":2,"baseFeeUpdateFraction":3}"#),
        "config.blobSchedule.bpo9: no fork of this name is known",
    );
    check(
        &blobs(r#""osaka":{"target":3,"max":2,"baseFeeUpdateFraction":3}"#),
        "config.blobSchedule.osaka.target: target 3 is above max 2",
    );
    check(
        &blobs(r#""osaka":{"target":1,"max":2,"baseFeeUpdateFraction":0}"#),
        "config.blobSchedule.osaka.baseFeeUpdateFraction: must be at least 1",
    );
    check(
        &blobs(r#""osaka":{"target":0,"max":0,"baseFeeUpdateFraction":1}"#),
        "config.blobSchedule.osaka.max: must be at least 1",
    );
}

#[test]
fn the_header_has_the_fields_of_its_fork() {
    let mut genesis = read(STAGGERED).unwrap();
    let mut fields = |number, timestamp| {
        (genesis.number, genesis.timestamp) = (number, timestamp);
        let header = genesis.header(B256::repeat_byte(1));
        assert_eq!(header.state_root, B256::repeat_byte(1));
        assert_eq!((header.number, header.timestamp), (number, timestamp));
        [
            header.base_fee_per_gas == Some(1_000_000_000),
            header.withdrawals_root.is_some(),
            header.blob_gas_used == Some(0) && header.excess_blob_gas == Some(0),
            header.parent_beacon_block_root == Some(B256::ZERO),
            header.requests_hash.is_some(),
            header.block_access_list_hash.is_some() && header.slot_number == Some(0),
        ]
    };
    assert_eq!(fields(7, 0), [false; 6]);
    assert_eq!(fields(8, 0), [true, false, false, false, false, false]);
    assert_eq!(fields(9, 0), [true, false, false, false, false, false]);
    assert_eq!(fields(9, 1_000), [true, true, false, false, false, false]);
    assert_eq!(fields(9, 1_010), [true, true, true, true, false, false]);
    assert_eq!(fields(9, 1_020), [true, true, true, true, true, false]);
    assert_eq!(fields(9, 1_050), [true, true, true, true, true, false]);
    assert_eq!(fields(9, 1_070), [true; 6]);
    genesis.base_fee_per_gas = Some(7);
    genesis.difficulty = U256::from(3);
    let header = genesis.header(B256::ZERO);
    assert_eq!((header.base_fee_per_gas, header.difficulty), (Some(7), U256::from(3)));
}
