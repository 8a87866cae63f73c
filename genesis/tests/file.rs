//! Genesis files, good and bad.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, address, bytes};
use tandem_genesis::{Container, Genesis, RiscvParams, SpecId, TreeHash};

/// A small genesis file with the given members of `config` and entries of `alloc`.
fn file(config: &str, alloc: &str) -> String {
    format!(r#"{{"config":{{"chainId":7{config}}},"gasLimit":"0x1c9c380","alloc":{{{alloc}}}}}"#)
}

const LONDON: &str = r#","homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
    "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,
    "berlinBlock":0,"londonBlock":0"#;

fn refused(text: &str, expected: &str) {
    let error = Genesis::from_json(text).expect_err(expected).to_string();
    assert_eq!(error, expected, "\n{text}");
}

#[test]
fn the_state_tree_has_the_hash_that_is_named() {
    let read = |config: &str| Genesis::from_json(&file(config, "")).expect("a genesis");
    assert_eq!(read("").spec.tree_hash, TreeHash::Blake3);
    for (name, hash) in [
        ("blake3", TreeHash::Blake3),
        ("keccak256", TreeHash::Keccak256),
        ("poseidon2", TreeHash::Poseidon2),
    ] {
        let genesis = read(&format!(r#","treeHash":"{name}""#));
        assert_eq!(genesis.spec.tree_hash, hash);
        assert_eq!(Genesis::from_json(&genesis.to_json()).expect("a genesis"), genesis);
    }
    refused(
        &file(r#","treeHash":"sha256""#, ""),
        "config.treeHash: unknown variant `sha256`, expected one of `blake3`, `keccak256`, \
         `poseidon2`",
    );
}

#[test]
fn balances_that_the_tree_cannot_hold_are_refused() {
    let a = "0x00000000000000000000000000000000000000aa";
    let with = |balance: U256| file("", &format!(r#""{a}":{{"balance":"{balance:#x}"}}"#));
    let limit = U256::from(1) << 128;
    assert!(Genesis::from_json(&with(limit - U256::from(1))).is_ok());
    refused(
        &with(limit),
        &format!("alloc.{a}.balance: {limit} is 2^128 or more: the state tree cannot hold it"),
    );
}

#[test]
fn errors_name_the_field() {
    let a = "0x00000000000000000000000000000000000000aa";
    let alloc = |entry: &str| file(LONDON, &format!(r#""{a}":{entry}"#));
    refused("{", "genesis file: EOF while parsing an object at line 1 column 1");
    refused(
        "[]",
        "genesis file: invalid length 0, expected the object of a genesis file at line 1 column 2",
    );
    refused(&(file("", "") + "x"), "genesis file: trailing characters at line 1 column 59");
    refused(
        r#"{"config":{},"alloc":{}}"#,
        "genesis file: missing field `gasLimit` at line 1 column 24",
    );
    refused(r#"{"config":{},"gasLimit":0,"alloc":{}}"#, "gasLimit: must be at least 1");
    refused(
        r#"{"config":{"chainId":"x"},"gasLimit":1,"alloc":{}}"#,
        r#"config.chainId: invalid type: string "x", expected u64 at line 1 column 24"#,
    );
    refused(
        &file(r#","londonBlock":"soon""#, ""),
        r#"config.londonBlock: invalid value: string "soon", expected a 8 byte hex string at line 1 column 43"#,
    );
    for (entry, expected) in [
        (
            r#"{"balance":"1x"}"#,
            "balance: invalid value: string \"1x\", expected a 32 byte hex string at line 3 column 129",
        ),
        (
            r#"{"balence":"0x1"}"#,
            "balence: unknown field `balence`, expected one of `balance`, `nonce`, `code`, `riscv`, `riscvTail`, `storage`, `secretKey` at line 3 column 124",
        ),
        (
            r#"{"code":"0x6"}"#,
            "code: invalid value: string \"0x6\", expected a valid hex string at line 3 column 127",
        ),
        (
            r#"{"code":"0xef"}"#,
            "code: code starts with 0xef but is no RISC-V container: code does not start with the RISC-V magic 0xef5256",
        ),
        (
            r#"{"code":"0xef525601"}"#,
            "code: code starts with 0xef but is no RISC-V container: container of 4 bytes is shorter than its header of 8 bytes",
        ),
        (
            r#"{"code":"0xef52560100000002ff"}"#,
            "code: code starts with 0xef but is no RISC-V container: container promises an image of 2 bytes but holds 1",
        ),
        (r#"{"code":"0x","riscv":"0x00"}"#, "riscv: an account has `code` or `riscv`, not both"),
        (r#"{"riscvTail":"0x00"}"#, "riscvTail: `riscvTail` needs `riscv`"),
        (r#"{"code":"0x00","riscvTail":"0x00"}"#, "riscvTail: `riscvTail` needs `riscv`"),
    ] {
        refused(&alloc(entry), &format!("alloc.{a}.{expected}"));
    }
    refused(
        &file("", &format!(r#""{a}":{{"riscv":"0x7f"}}"#)),
        &format!(
            "alloc.{a}.riscv: RISC-V code needs London or a later fork, but the chain starts at Frontier"
        ),
    );
    refused(
        &file("", &format!(r#""{a}":{{}},"{}":{{}}"#, &a[2..])),
        &format!("alloc.{a}: the account is given twice"),
    );
    refused(&file("", r#""0xaa":{}"#), "alloc.0xaa: invalid string length at line 1 column 62");
}

#[test]
fn errors_name_the_riscv_rule() {
    let check = |riscv: &str, expected: &str| {
        refused(&file(&format!(r#","riscv":{riscv}"#), ""), &format!("config.riscv{expected}"));
    };
    check(r#"{"imageSizeMax":"big"}"#, ".imageSizeMax: invalid type: string \"big\", expected u32");
    check(r#"{"gas":{"add":-1}}"#, ".gas.add: invalid value: integer `-1`, expected u32");
    check(r#"{"gas":{"branch":0}}"#, ".gas.branch: must be at least 1");
    check(r#"{"gas":{"unitsPerGas":0}}"#, ".gas.unitsPerGas: must be at least 1");
    check(r#"{"initCodeSizeMax":5}"#, ".initCodeSizeMax: 5 is below imageSizeMax = 524288");
    check(
        r#"{"imageSize":1}"#,
        ".imageSize: unknown field `imageSize`, expected one of `imageSizeMax`, `initCodeSizeMax`, `memoryPagesMax`, `depositGasPerByte`, `decodeGasPerByte`, `gas`",
    );
    check("5", ": invalid type: integer `5`, expected struct RiscvParams");
}

#[test]
fn an_image_becomes_a_container() {
    let text = file(
        &format!(r#"{LONDON},"riscv":{{"imageSizeMax":3,"initCodeSizeMax":9}}"#),
        r#""00000000000000000000000000000000000000aa":{"balance":"12","riscv":"0x7f454c","riscvTail":"0x05","nonce":"1"}"#,
    );
    let genesis = Genesis::from_json(&text).unwrap();
    let account = &genesis.alloc[&address!("00000000000000000000000000000000000000aa")];
    assert_eq!(account.code, bytes!("ef525601000000037f454c05"));
    assert_eq!((account.balance, account.nonce), (U256::from(12), 1));
    let container = Container::parse(&account.code).unwrap();
    assert_eq!((container.image, container.tail), (&[0x7f, 0x45, 0x4c][..], &[5][..]));
    assert_eq!(genesis.spec.riscv.gas, RiscvParams::default().gas);
    refused(
        &text.replace("0x7f454c", "0x7f454c46"),
        "alloc.0x00000000000000000000000000000000000000aa.riscv: RISC-V image of 4 bytes is larger than config.riscv.imageSizeMax = 3",
    );
}

#[test]
fn the_forms_that_geth_takes_are_taken() {
    let text = r#"{"config":{"chainId":7,"eip150Hash":"0x00","clique":{"period":0,"epoch":8}},
        "nonce":"0x42","timestamp":"1438269973","gasLimit":5000,"difficulty":"0x400000000",
        "mixHash":"0x0000000000000000000000000000000000000000000000000000000000000001",
        "coinbase":"0x0000000000000000000000000000000000000002","extraData":"0x1234",
        "baseFeePerGas":null,"gasUsed":"0x0","number":"0x0",
        "alloc":{"00000000000000000000000000000000000000AA":
            {"balance":"1000000000000000000","nonce":3,"storage":{"0x1":"0x2","0x02":"0x00"},
             "secretKey":"0x1111"},
         "0x00000000000000000000000000000000000000bb":{"code":"0xef"}}}"#;
    let text = text.replace(r#""0x1":"0x2""#, r#""0x01":"0x02""#);
    let genesis = Genesis::from_json(&text).unwrap();
    let account = &genesis.alloc[&Address::with_last_byte(0xaa)];
    assert_eq!(account.balance, U256::from(10).pow(U256::from(18)));
    assert_eq!(account.nonce, 3);
    let slots = [(B256::with_last_byte(1), B256::with_last_byte(2))];
    assert_eq!(account.storage, BTreeMap::from(slots), "a slot with zero is absent");
    assert_eq!(genesis.alloc[&Address::with_last_byte(0xbb)].code, bytes!("ef"), "before London");
    let header = genesis.header(B256::ZERO);
    assert_eq!(header.nonce.0, [0, 0, 0, 0, 0, 0, 0, 0x42]);
    assert_eq!(header.timestamp, 1_438_269_973);
    assert_eq!((header.gas_limit, header.base_fee_per_gas), (5_000, None));
    assert_eq!(genesis.fork(), SpecId::FRONTIER);
}

/// The header's hash is the one that geth gives for mainnet's genesis file, given its state root.
#[test]
fn mainnet_header_has_mainnets_hash() {
    let text = r#"{"config":{"chainId":1},"nonce":"0x42","gasLimit":"0x1388","difficulty":"0x400000000",
        "extraData":"0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa","alloc":{}}"#;
    let root = "d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544";
    let header = Genesis::from_json(text).unwrap().header(root.parse().unwrap());
    assert_eq!(
        header.hash_slow().to_string(),
        "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
    );
}

#[test]
fn a_written_file_reads_back_the_same() {
    let files = [
        file("", ""),
        file(
            &format!(
                r#"{LONDON},"terminalTotalDifficulty":0,"shanghaiTime":5,"cancunTime":5,"pragueTime":9,
                "blobSchedule":{{"cancun":{{"target":3,"max":6,"baseFeeUpdateFraction":3338477}}}},
                "depositContractAddress":"0x00000000219ab540356cbb839cbe05303d7705fa","x":{{"y":1}},
                "riscv":{{"depositGasPerByte":200,"gas":{{"page":1}}}}"#
            ),
            r#""00000000000000000000000000000000000000aa":{"riscv":"0x7f","balance":"0x1"},
               "00000000000000000000000000000000000000ab":{"riscv":"0x7f","riscvTail":"0x1122"},
               "00000000000000000000000000000000000000ac":{"code":"0x00","nonce":"0x9",
                  "storage":{"0x01":"0x02"}},
               "00000000000000000000000000000000000000ad":{
                  "code":"0xef01000000000000000000000000000000000000000000"}"#,
        )
        .replace(
            r#""gasLimit""#,
            r#""number":"0x36","parentHash":"0x0000000000000000000000000000000000000000000000000000000000000007",
            "timestamp":"0x21c","baseFeePerGas":"0x1a21397","excessBlobGas":"0x20000","blobGasUsed":"0x0",
            "slotNumber":"0x4","extraData":"0x1122","coinbase":"0x0000000000000000000000000000000000000001",
            "gasLimit""#,
        ),
    ];
    for text in files {
        let genesis = Genesis::from_json(&text).unwrap();
        let written = genesis.to_json();
        assert_eq!(Genesis::from_json(&written).unwrap(), genesis, "{written}");
    }
}
