//! The genesis of a dev chain.

use alloy_primitives::{Address, U256, address, keccak256};
use tandem_genesis::{
    BlobParams, CREATE2_DEPLOYER, DevOptions, Genesis, MULTICALL3, SpecId, fork_by_name,
};

const FORKS: [&str; 15] = [
    "frontier",
    "homestead",
    "tangerine",
    "spuriousDragon",
    "byzantium",
    "petersburg",
    "istanbul",
    "berlin",
    "london",
    "paris",
    "shanghai",
    "cancun",
    "prague",
    "osaka",
    "amsterdam",
];

#[test]
fn every_fork_can_be_chosen_and_reads_back() {
    for (index, name) in FORKS.into_iter().enumerate() {
        let fork = fork_by_name(name).unwrap();
        assert_eq!(fork as usize, index, "{name}");
        let accounts = vec![(Address::with_last_byte(9), U256::from(5))];
        let genesis = Genesis::dev(DevOptions { fork, accounts, ..DevOptions::default() });
        assert_eq!(genesis.fork(), fork, "{name}");
        let written = genesis.to_json();
        assert_eq!(Genesis::from_json(&written).unwrap(), genesis, "{written}");
    }
    assert_eq!(fork_by_name("latest"), Some(SpecId::OSAKA));
    assert_eq!(fork_by_name("petersberg"), None);
}

#[test]
fn the_default_is_osaka_with_mainnets_blobs() {
    let genesis = Genesis::dev(DevOptions::default());
    assert_eq!(genesis.spec.chain_id(), 31_337);
    assert_eq!(genesis.fork(), SpecId::OSAKA);
    assert_eq!(genesis.spec.blob_params(0), Some(BlobParams::bpo2()));
    assert_eq!((genesis.gas_limit, genesis.base_fee_per_gas), (30_000_000, Some(1_000_000_000)));
}

#[test]
fn the_contracts_that_tools_count_on_are_there() {
    let genesis = Genesis::dev(DevOptions::default());
    let sizes = [
        (CREATE2_DEPLOYER, 69),
        (MULTICALL3, 4_016),
        (address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02"), 97),
        (address!("0000F90827F1C53a10cb7A02335B175320002935"), 83),
        (address!("00000961Ef480Eb55e80D19ad83579A64c007002"), 504),
        (address!("0000BBdDc7CE488642fb579F8B00f3a590007251"), 414),
    ];
    assert_eq!(genesis.alloc.len(), sizes.len());
    for (address, size) in sizes {
        let account = &genesis.alloc[&address];
        assert_eq!((account.nonce, account.code.len()), (1, size), "{address}");
    }
    // The hash of the deployer's code on every chain that has it.
    assert_eq!(
        keccak256(&genesis.alloc[&CREATE2_DEPLOYER].code).to_string(),
        "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"
    );
    let count = |fork, create2_deployer| {
        Genesis::dev(DevOptions { fork, create2_deployer, ..DevOptions::default() }).alloc.len()
    };
    assert_eq!(count(SpecId::BYZANTIUM, true), 0);
    assert_eq!(count(SpecId::ISTANBUL, true), 1);
    assert_eq!(count(SpecId::LONDON, true), 2);
    assert_eq!(count(SpecId::CANCUN, true), 3);
    assert_eq!(count(SpecId::OSAKA, false), 5);
}

#[test]
fn a_funded_predeploy_keeps_its_code() {
    let accounts = vec![(MULTICALL3, U256::from(1))];
    let genesis = Genesis::dev(DevOptions { accounts, ..DevOptions::default() });
    let account = &genesis.alloc[&MULTICALL3];
    assert_eq!((account.balance, account.code.len()), (U256::from(1), 4_016));
}
