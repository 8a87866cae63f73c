//! Official and independently computed vectors, from where `TANDEM_SUITES` points.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::PathBuf};
use tandem_tree::{BasicData, Blake3, Chunking, Key, Stem, Tree, Update, chunks, sub};

fn vectors() -> Option<Json> {
    let Some(suites) = std::env::var_os("TANDEM_SUITES") else {
        let required = std::env::var("TANDEM_REQUIRE_SUITES").is_ok_and(|value| value == "1");
        assert!(!required, "TANDEM_SUITES is not set and TANDEM_REQUIRE_SUITES=1");
        println!("left out: the tree's vectors, TANDEM_SUITES is not set");
        return None;
    };
    let path = PathBuf::from(suites).join("../vectors/bintree.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let json: Json = serde_json::from_str(&text).expect("the vectors are JSON");
    Some(json["eip8297"].clone())
}

fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().expect("a string")).expect("hex")
}

fn word(json: &Json) -> B256 {
    B256::from_slice(&bytes(json))
}

fn root_of(leaves: BTreeMap<Key, B256>) -> B256 {
    let updates: Vec<_> =
        leaves.into_iter().map(|(key, value)| Update { key, value: Some(value) }).collect();
    Tree::new(Blake3).apply(&updates)
}

#[test]
fn roots_of_raw_trees() {
    let Some(all) = vectors() else { return };
    let mut seen = 0;
    for case in
        all["trie_roots"].as_array().unwrap().iter().chain(all["random"].as_array().unwrap())
    {
        let Some(entries) = case["entries"].as_array() else { continue };
        let leaves = entries
            .iter()
            .map(|entry| (Key::raw(&bytes(&entry["key"])).unwrap(), word(&entry["value"])));
        assert_eq!(root_of(leaves.collect()), word(&case["root"]), "{}", case["name"]);
        seen += 1;
    }
    assert!(seen >= 12, "{seen} cases");
}

#[test]
fn root_of_a_thousand_mixed_keys() {
    let Some(all) = vectors() else { return };
    let case = all["random"].as_array().unwrap().iter().find(|c| c["name"] == "mixed_1000");
    let b3 = |text: String| *blake3::hash(text.as_bytes()).as_bytes();
    let leaves = (0..1000u32).map(|i| {
        let key = match i % 4 {
            0 | 1 => [&[0][..], &b3(format!("r1000s{}", i / 2)), &[(i * 67 % 256) as u8]].concat(),
            2 => [&[1][..], &b3(format!("r1000c{}", i / 8)), &[(i % 256) as u8]].concat(),
            _ => {
                let account = b3(format!("r1000a{}", i % 16));
                let group = b3(format!("r1000g{}", i / 32));
                [&[255][..], &account, &group, &[(i % 256) as u8]].concat()
            }
        };
        (Key::raw(&key).unwrap(), B256::new(b3(format!("rv1000-{i}"))))
    });
    let leaves: BTreeMap<_, _> = leaves.collect();
    assert_eq!(leaves.len(), 1000);
    assert_eq!(root_of(leaves), word(&case.unwrap()["root"]));
}

#[test]
fn keys_of_accounts_slots_and_chunks() {
    let Some(all) = vectors() else { return };
    let embedding = &all["embedding"];
    let address = Address::from_slice(&bytes(&embedding["address20"]));
    let stem = Stem::of(Blake3, address);
    for (name, field) in [
        ("basic_data_key", sub::BASIC_DATA),
        ("code_hash_key", sub::CODE_HASH),
        ("delegation_key", sub::DELEGATION),
    ] {
        assert_eq!(stem.header(field).as_slice(), bytes(&embedding[name]), "{name}");
    }
    for (slot, key) in embedding["storage_slot_keys"].as_object().unwrap() {
        let number: U256 = slot.parse().unwrap();
        assert_eq!(stem.slot(Blake3, address, number).as_slice(), bytes(key), "slot {slot}");
    }
    let code_hash = word(&embedding["code_hash"]);
    for (index, key) in embedding["code_chunk_keys"].as_object().unwrap() {
        let number: u32 = index.parse().unwrap();
        assert_eq!(Key::chunk(Blake3, code_hash, number).as_slice(), bytes(key), "{index}");
    }
}

#[test]
fn code_is_cut_and_basic_data_is_packed() {
    let Some(all) = vectors() else { return };
    for case in all["chunkify_code"].as_array().unwrap() {
        let expected: Vec<_> = case["chunks"].as_array().unwrap().iter().map(word).collect();
        assert_eq!(chunks(&bytes(&case["code"]), Chunking::Evm), expected, "{}", case["name"]);
    }
    for case in all["encode_basic_data"].as_array().unwrap() {
        let basic = BasicData {
            code_size: case["code_size"].as_u64().unwrap() as u32,
            nonce: case["nonce"].as_u64().unwrap(),
            balance: case["balance"].as_str().unwrap().parse::<U256>().unwrap().to(),
        };
        assert_eq!(basic.encode(), word(&case["encoded"]));
        assert_eq!(BasicData::decode(&basic.encode()), Ok(basic));
    }
}

#[test]
fn roots_of_whole_states() {
    let Some(all) = vectors() else { return };
    for case in all["states"].as_array().unwrap() {
        let mut leaves = BTreeMap::new();
        for (address, account) in case["accounts"].as_object().unwrap() {
            leaves_of_account(address.parse().unwrap(), account, &mut leaves);
        }
        leaves.retain(|_, value| !value.is_zero());
        assert_eq!(leaves.len() as u64, case["leaves"].as_u64().unwrap(), "{}", case["name"]);
        assert_eq!(root_of(leaves), word(&case["root"]), "{}", case["name"]);
    }
}

fn leaves_of_account(address: Address, account: &Json, leaves: &mut BTreeMap<Key, B256>) {
    let stem = Stem::of(Blake3, address);
    let code = Bytes::from(bytes(&account["code"]));
    let code_hash = keccak256(&code);
    let basic = BasicData {
        code_size: code.len() as u32,
        nonce: account["nonce"].as_u64().unwrap(),
        balance: account["balance"].as_str().unwrap().parse::<U256>().unwrap().to(),
    };
    leaves.insert(stem.header(sub::BASIC_DATA), basic.encode());
    if let Some(target) = tandem_tree::delegation_target(&code) {
        leaves.insert(stem.header(sub::DELEGATION), tandem_tree::delegation(target));
    } else {
        leaves.insert(stem.header(sub::CODE_HASH), code_hash);
        for (index, chunk) in chunks(&code, Chunking::Evm).into_iter().enumerate() {
            leaves.insert(Key::chunk(Blake3, code_hash, index as u32), chunk);
        }
    }
    for (slot, value) in account["storage"].as_object().unwrap() {
        let key = stem.slot(Blake3, address, slot.parse().unwrap());
        leaves.insert(key, word(value));
    }
}
