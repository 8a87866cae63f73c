//! The documents against the code: every price and every system call that they list.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use genesis::{Container, RiscvGas, RiscvParams};
use vm::riscv::{Class, Image, crypto::precompile_price, disassemble, syscall};

use crate::program::{Program, container};

const GAS: &str = include_str!("../../../docs/spec/riscv-gas.md");
const ABI: &str = include_str!("../../../docs/spec/riscv-abi.md");

/// The cells of the rows of the table whose head starts with `head`.
fn table(document: &str, head: &str) -> Vec<Vec<String>> {
    let from = document.find(head).expect("the document has the table");
    let rows = document[from..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn prices() -> BTreeMap<String, u64> {
    let json = serde_json::to_value(RiscvGas::default()).unwrap();
    let prices = json.as_object().unwrap();
    prices.iter().map(|(key, value)| (key.clone(), value.as_u64().unwrap())).collect()
}

#[test]
fn the_price_table_is_the_default_schedule() {
    let rows = table(GAS, "| key | units | what |")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].replace(',', "").parse().unwrap()));
    assert_eq!(rows.collect::<BTreeMap<String, u64>>(), prices());
}

/// The class of every mnemonic that the disassembler knows, found by decoding one of everything.
fn classes() -> BTreeMap<String, Class> {
    let mut words: Vec<u32> = Vec::new();
    for opcode in [0x03, 0x0f, 0x13, 0x17, 0x1b, 0x23, 0x2f, 0x33, 0x37, 0x3b, 0x63, 0x67, 0x6f] {
        for funct3 in 0..8 {
            for funct7 in 0..128 {
                for rs2 in [0, 1, 2, 4, 5, 7, 24] {
                    // Registers that no pseudo-instruction stands for.
                    words.push(funct7 << 25 | rs2 << 20 | 9 << 15 | funct3 << 12 | 8 << 7 | opcode);
                }
            }
        }
    }
    words.extend([0x73, 0x10_0073]);
    let mut classes = BTreeMap::new();
    for words in words.chunks(8_000) {
        let mut program = Program::new();
        words.iter().for_each(|word| {
            program.raw(*word);
        });
        program.space(8);
        let image = Image::load(&program.elf(), &RiscvGas::default()).unwrap();
        for line in disassemble(&image) {
            if let Some(class) = Class::of_encoding(line.bits) {
                let mnemonic = line.text.split([' ', '\t']).next().unwrap();
                // Orders of memory accesses say nothing on one hart.
                let mnemonic = [".aqrl", ".aq", ".rl"]
                    .iter()
                    .find_map(|order| mnemonic.strip_suffix(order))
                    .unwrap_or(mnemonic)
                    .to_owned();
                assert_eq!(*classes.entry(mnemonic).or_insert(class), class, "{}", line.text);
            }
        }
    }
    classes
}

#[test]
fn every_instruction_stands_in_its_row() {
    let mut listed = BTreeMap::new();
    for row in table(GAS, "| key | units | what |") {
        let key = row[0].trim_matches('`');
        let Some(class) = Class::ALL.into_iter().find(|class| class.name() == key) else {
            continue;
        };
        for mnemonic in row[2].split('`').skip(1).step_by(2) {
            assert_eq!(listed.insert(mnemonic.to_owned(), class), None, "{mnemonic} stands twice");
        }
        assert_eq!(u64::from(class.price(&RiscvGas::default())), prices()[key], "{key}");
    }
    // Aliases of the disassembler are the instructions that they stand for.
    const ALIASES: [&str; 21] = [
        "li", "mv", "nop", "neg", "negw", "not", "seqz", "snez", "sltz", "sgtz", "sext.w",
        "zext.b", "zext.w", "j", "jr", "ret", "beqz", "bnez", "blez", "bgez", "bltz",
    ];
    let classes = classes();
    let known: BTreeMap<String, Class> =
        classes.into_iter().filter(|(mnemonic, _)| !ALIASES.contains(&mnemonic.as_str())).collect();
    assert_eq!(known, listed);
}

#[test]
fn the_defaults_follow_from_the_proving_costs() {
    let gas = RiscvGas::default();
    assert_eq!(gas.atomic, 2 * gas.access64 + gas.logic, "a load, a store and logic");
    assert_eq!(gas.copy_word, 2 * gas.access64, "a load and a store");
    assert_eq!(gas.page, 512 * gas.access64, "512 stores");
    assert_eq!(u64::from(gas.call_base), 100 * gas.units_per_gas, "100 gas");
    assert_eq!(gas.blake3_block, 1_860 * 1_500);
    assert_eq!(gas.ripemd160_block, 160 * 13 * 1_500);
    assert_eq!(gas.blake2f_round, 240 * 1_500);
    // The low end of 56 to 81 instructions an opcode, of 1.1 additions each, for 3 gas.
    assert_eq!(gas.units_per_gas, 56 * 1_100 / 3 / 1_000 * 1_000);
    assert_eq!((gas.add, gas.lui_jump, gas.logic, gas.shift), (900, 1_000, 1_500, 2_400));
    assert_eq!((gas.mul, gas.div, gas.access64, gas.access_narrow), (2_700, 9_400, 1_200, 1_500));
    assert_eq!((gas.branch, gas.syscall, gas.keccak_block), (1_600, 2_500, 2_270_000));
    assert_eq!((gas.sha256_block, gas.mul_add256, gas.ec_add), (640_000, 13_500, 50_000));
}

/// The value of a sum of prices such as `9/4 × 22000 mulAdd256 + 768 ecAdd`.
fn value(sum: &str) -> u64 {
    let (factor, sum) = sum.split_once(" × ").unwrap_or(("1/1", sum));
    let (by, of) = factor.split_once('/').unwrap();
    let terms = sum.split(" + ").filter(|term| !term.is_empty()).map(|term| {
        let (count, key) = term.split_once(' ').unwrap_or(("1", term));
        count.parse::<u64>().unwrap() * prices()[key]
    });
    terms.sum::<u64>() * by.parse::<u64>().unwrap() / of.parse::<u64>().unwrap()
}

#[test]
fn the_table_of_pure_calls_is_what_precompiles_cost() {
    let gas = RiscvGas::default();
    // Bytes of an input of no items, of one, and how many three more items take; 0 if there are none.
    let items = |n: u64| match n {
        2 | 3 => (0, 64),
        8 => (0, 192),
        0x0c => (0, 160),
        0x0e => (0, 288),
        0x0f => (0, 384),
        _ => (128, 0),
    };
    let mut rows = 0;
    for row in table(GAS, "| call | once | for each |") {
        let each = row[2].split(',').next().unwrap().to_owned();
        for name in row[0].split(", ") {
            let known = (0..=syscall::number::LAST).find(|call| syscall::name(*call) == Some(name));
            let call = known.unwrap_or_else(|| panic!("{name} is a call"));
            rows += 1;
            let Some(n) = call.checked_sub(syscall::number::PRECOMPILES) else { continue };
            let price = |input: &[u8]| precompile_price(&gas, n, input).unwrap();
            let (start, size) = items(n);
            match n {
                5 => {
                    // Two words of modulus, three bytes of exponent, the first of them zero.
                    let word = |value: u64| U256::from(value).to_be_bytes::<32>();
                    let input =
                        [&word(1)[..], &word(3), &word(64), &[3, 0, 1, 5], &[1; 64]].concat();
                    assert_eq!(price(&input), value(&row[1]) + 4 * 2 * value(&each));
                }
                9 => {
                    assert_eq!(price(&[&[0, 0, 0, 12][..], &[0; 209]].concat()), 12 * value(&each));
                    assert_eq!(price(&[0; 213]), value(&each));
                }
                _ => {
                    let at_least = u64::from(row[2].contains("at least") || size == 64);
                    assert_eq!(price(&vec![0; start]), value(&row[1]) + at_least * value(&each));
                    if size > 0 {
                        let count = 4 + u64::from(size == 64);
                        let expected = value(&row[1]) + count * value(&each);
                        assert_eq!(price(&vec![0; 4 * size]), expected, "{name}");
                    }
                }
            }
        }
    }
    assert_eq!(rows, 1 + 8 + 3 + 18, "every pure call has a row");
}

#[test]
fn the_table_of_system_calls_is_the_codes() {
    let mut listed = BTreeMap::new();
    for row in table(ABI, "| number | call | result |") {
        let number = u64::from_str_radix(row[0].trim_start_matches("0x"), 16).unwrap();
        let name = row[1].split('(').next().unwrap().to_owned();
        assert_eq!(listed.insert(number, name), None, "{number:#x} stands twice");
    }
    let known: BTreeMap<u64, String> = (0..0x2000)
        .filter_map(|number| Some((number, syscall::name(number)?.to_owned())))
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn a_call_that_is_not_listed_traps() {
    let listed: BTreeSet<u64> = (0..0x2000).filter(|n| syscall::name(*n).is_some()).collect();
    let unlisted = (0..0x1210).filter(|number| !listed.contains(number));
    for number in unlisted.chain([0x1_0000, 1 << 32, u64::MAX]) {
        let mut program = Program::new();
        let at = program.space(512);
        program.call(number, &[at; 7]).call(0, &[]);
        let world = crate::world::World::new().put(crate::world::A, program.container());
        assert!(world.call(crate::world::A).trap.is_some(), "{number:#x}");
    }
}

#[test]
fn the_memory_map_and_the_container_are_as_written() {
    use vm::riscv::{HEAP_END, IMAGE_START, PAGE_SIZE, SEGMENTS_MAX, STACK_END, STACK_START};
    let text = |address: u64| format!("0x{:04X}_{:04X}", address >> 16, address & 0xffff);
    for address in [IMAGE_START, HEAP_END, STACK_START, STACK_END] {
        assert!(ABI.contains(&text(address)), "{address:#x}");
    }
    assert!(ABI.contains(&format!("At most {SEGMENTS_MAX}.")));
    assert!(ABI.contains(&format!("{},{:03} bytes", PAGE_SIZE / 1000, PAGE_SIZE % 1000)));
    let code = container(b"image", b"tail");
    assert_eq!(code[..8], [0xef, 0x52, 0x56, 1, 0, 0, 0, 5]);
    let parsed = Container::parse(&code).unwrap();
    assert_eq!((parsed.image, parsed.tail), (&b"image"[..], &b"tail"[..]));
    let params = RiscvParams::default();
    assert!(params.image_size_max < params.init_code_size_max);
}
