//! The genesis of a dev chain: newest mainnet fork, funded accounts, and the contracts that tools
//! count on.

use alloc::{borrow::ToOwned, collections::BTreeMap, vec::Vec};

use alloy_eips::{
    eip1559::INITIAL_BASE_FEE,
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7840::BlobParams,
};
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, B256, Bytes, U256, address, hex};
use revm::primitives::hardfork::SpecId;

use crate::{ChainSpec, Genesis, GenesisAccount, Headers, RiscvParams, TreeHash};

/// The chain id of a dev chain, as in anvil and Hardhat.
pub const DEV_CHAIN_ID: u64 = 31_337;

/// The deterministic deployment proxy that Foundry and others create through with CREATE2.
pub const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// Its runtime code: CREATE2 of the call data after a salt of 32 bytes; answers the address.
pub const CREATE2_DEPLOYER_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe036016000816020823780358282"
    "34f58015156039578182fd5b8082525050506014600cf3"
);

/// Where tools expect Multicall3.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// Runtime code of `contracts/Multicall3.sol`; `contracts/build.js` makes it.
const MULTICALL3_CODE: &str = include_str!("../contracts/Multicall3.hex");

/// Bytes of the EIP-7251 contract on mainnet.
const CONSOLIDATION_CODE_SIZE: usize = 414;

/// The deposit contract of mainnet (EIP-6110).
const DEPOSIT_CONTRACT: Address = address!("00000000219ab540356cBB839Cbe05303d7705Fa");

/// What a dev chain can choose.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Chain id.
    pub chain_id: u64,
    /// The fork that holds from the genesis block on.
    pub fork: SpecId,
    /// Number of the genesis block.
    pub number: u64,
    /// Timestamp of the genesis block in seconds.
    pub timestamp: u64,
    /// Gas limit of the genesis block.
    pub gas_limit: u64,
    /// Base fee of the genesis block in wei.
    pub base_fee_wei: u64,
    /// Funded accounts with their balances in wei.
    pub accounts: Vec<(Address, U256)>,
    /// Whether the CREATE2 deployer is there.
    pub create2_deployer: bool,
    /// Limits and prices of RISC-V code.
    pub riscv: RiscvParams,
}

impl Default for DevOptions {
    fn default() -> Self {
        Self {
            chain_id: DEV_CHAIN_ID,
            fork: SpecId::OSAKA,
            number: 0,
            timestamp: 0,
            gas_limit: 30_000_000,
            base_fee_wei: INITIAL_BASE_FEE,
            accounts: Vec::new(),
            create2_deployer: true,
            riscv: RiscvParams::default(),
        }
    }
}

/// The fork of this name, in the spellings that anvil and geth use; `latest` is Osaka.
pub fn fork_by_name(name: &str) -> Option<SpecId> {
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "frontier" => SpecId::FRONTIER,
        "homestead" => SpecId::HOMESTEAD,
        "tangerine" | "eip150" => SpecId::TANGERINE,
        "spuriousdragon" | "spurious" | "eip158" => SpecId::SPURIOUS_DRAGON,
        "byzantium" => SpecId::BYZANTIUM,
        "constantinople" | "petersburg" => SpecId::PETERSBURG,
        "istanbul" | "muirglacier" => SpecId::ISTANBUL,
        "berlin" => SpecId::BERLIN,
        "london" | "arrowglacier" | "grayglacier" => SpecId::LONDON,
        "paris" | "merge" => SpecId::MERGE,
        "shanghai" => SpecId::SHANGHAI,
        "cancun" => SpecId::CANCUN,
        "prague" => SpecId::PRAGUE,
        "osaka" | "latest" => SpecId::OSAKA,
        "amsterdam" => SpecId::AMSTERDAM,
        _ => return None,
    })
}

impl Genesis {
    /// The genesis of a dev chain.
    pub fn dev(options: DevOptions) -> Self {
        let fork = options.fork;
        let mut alloc: BTreeMap<_, _> =
            predeploys(fork, options.create2_deployer).into_iter().collect();
        for (address, balance) in options.accounts {
            alloc.entry(address).or_insert_with(GenesisAccount::default).balance = balance;
        }
        let config = dev_config(options.chain_id, fork);
        Self {
            spec: ChainSpec {
                config,
                riscv: options.riscv,
                headers: Headers::Tandem,
                tree_hash: TreeHash::default(),
            },
            number: options.number,
            parent_hash: B256::ZERO,
            timestamp: options.timestamp,
            nonce: 0,
            extra_data: Bytes::new(),
            gas_limit: options.gas_limit,
            difficulty: U256::ZERO,
            mix_hash: B256::ZERO,
            coinbase: Address::ZERO,
            base_fee_per_gas: fork.is_enabled_in(SpecId::LONDON).then_some(options.base_fee_wei),
            excess_blob_gas: None,
            blob_gas_used: None,
            slot_number: None,
            alloc,
        }
    }
}

fn dev_config(chain_id: u64, fork: SpecId) -> ChainConfig {
    let from = |start: SpecId| fork.is_enabled_in(start).then_some(0);
    let mut config = ChainConfig {
        chain_id,
        homestead_block: from(SpecId::HOMESTEAD),
        eip150_block: from(SpecId::TANGERINE),
        eip155_block: from(SpecId::SPURIOUS_DRAGON),
        eip158_block: from(SpecId::SPURIOUS_DRAGON),
        byzantium_block: from(SpecId::BYZANTIUM),
        constantinople_block: from(SpecId::PETERSBURG),
        petersburg_block: from(SpecId::PETERSBURG),
        istanbul_block: from(SpecId::ISTANBUL),
        berlin_block: from(SpecId::BERLIN),
        london_block: from(SpecId::LONDON),
        merge_netsplit_block: from(SpecId::MERGE),
        terminal_total_difficulty: from(SpecId::MERGE).map(U256::from),
        shanghai_time: from(SpecId::SHANGHAI),
        cancun_time: from(SpecId::CANCUN),
        prague_time: from(SpecId::PRAGUE),
        osaka_time: from(SpecId::OSAKA),
        bpo1_time: from(SpecId::OSAKA),
        bpo2_time: from(SpecId::OSAKA),
        amsterdam_time: from(SpecId::AMSTERDAM),
        deposit_contract_address: from(SpecId::PRAGUE).map(|_| DEPOSIT_CONTRACT),
        ..ChainConfig::default()
    };
    config.blob_schedule = [
        ("cancun", config.cancun_time, BlobParams::cancun()),
        ("prague", config.prague_time, BlobParams::prague()),
        ("osaka", config.osaka_time, BlobParams::osaka()),
        ("bpo1", config.bpo1_time, BlobParams::bpo1()),
        ("bpo2", config.bpo2_time, BlobParams::bpo2()),
    ]
    .into_iter()
    .filter(|(_, at, _)| at.is_some())
    // What the file does not hold (the limit per transaction, the reserve price) follows from the
    // fork; here it has the values that reading the file back gives.
    .map(|(name, _, params)| {
        let params = params.with_max_blobs_per_tx(params.max_blob_count).with_blob_base_cost(0);
        (name.to_owned(), params)
    })
    .collect();
    config
}

/// Contracts of the fork, and those that tools count on.
fn predeploys(fork: SpecId, create2_deployer: bool) -> Vec<(Address, GenesisAccount)> {
    let multicall3 = hex::decode(MULTICALL3_CODE).expect("build.js writes hexadecimal digits");
    let contracts = [
        (SpecId::PETERSBURG, CREATE2_DEPLOYER, Bytes::from_static(&CREATE2_DEPLOYER_CODE)),
        (SpecId::LONDON, MULTICALL3, multicall3.into()),
        (SpecId::CANCUN, BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (SpecId::PRAGUE, HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (
            SpecId::PRAGUE,
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            SpecId::PRAGUE,
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            // The constant ends in two bytes that the deployed code does not have.
            CONSOLIDATION_REQUEST_PREDEPLOY_CODE.slice(..CONSOLIDATION_CODE_SIZE),
        ),
    ];
    contracts
        .into_iter()
        .filter(|(from, address, _)| {
            fork.is_enabled_in(*from) && (*address != CREATE2_DEPLOYER || create2_deployer)
        })
        .map(|(_, address, code)| {
            // A contract's nonce starts at 1 (EIP-161).
            (address, GenesisAccount { nonce: 1, code, ..GenesisAccount::default() })
        })
        .collect()
}
