//! Every system call of the table in `docs/spec/riscv-abi.md` against its EVM twin: the same gas
//! and the same result.

use alloy_primitives::{Bytes, U256, keccak256};
use genesis::SpecId;
use revm::{
    context::{
        TxEnv,
        transaction::{AccessList, AccessListItem},
    },
    context_interface::result::HaltReason,
    primitives::B256,
};
use vm::{CONSOLE, PrintKind};

use crate::{
    program::{Program, container},
    world::{A, B, C, Evm, GUEST, SENDER, World, call, gas, halted, logs, output, register, slot},
};

/// An argument as the guest passes it.
#[derive(Clone, Copy)]
enum Arg {
    Word(U256),
    Register(u64),
}

use Arg::{Register, Word};

/// Where the guest finds the result.
#[derive(Clone, Copy, PartialEq)]
enum Out {
    Nothing,
    Register,
    Word,
}

fn number(value: u64) -> Arg {
    Word(U256::from(value))
}

fn account(address: alloy_primitives::Address) -> Arg {
    Word(address.into_word().into())
}

/// A call with data, and with an access list that lifts its gas above the floor of EIP-7623.
fn tx() -> TxEnv {
    let item = AccessListItem { address: CONSOLE, storage_keys: Vec::new() };
    TxEnv {
        tx_type: 1,
        data: (1..=40).collect::<Vec<u8>>().into(),
        value: U256::from(3),
        access_list: AccessList(vec![item; 20]),
        ..call(A)
    }
}

fn twin(opcode: u8, args: &[Arg], out: Out) -> (Evm, u64) {
    let words: Vec<U256> = args
        .iter()
        .map(|arg| match arg {
            Word(word) => *word,
            Register(value) => U256::from(*value),
        })
        .collect();
    let code = Evm::new().run(opcode, &words);
    // Beside the opcode: a push for each argument, and what returns the result.
    let pushes = 3 * args.len() as u64;
    match out {
        Out::Nothing => (code, pushes),
        _ => (code.ret_top(), pushes + 3 + 6 + 6),
    }
}

fn guest(opcode: u8, args: &[Arg], out: Out) -> Program {
    let mut guest = Program::new();
    let mut passed: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Word(word) => guest.word(*word),
            Register(value) => *value,
        })
        .collect();
    match out {
        Out::Nothing => {
            guest.call(opcode.into(), &passed).call(0, &[]);
        }
        Out::Register => {
            guest.call(opcode.into(), &passed).ret_a0();
        }
        Out::Word => {
            let at = guest.space(32);
            passed.push(at);
            guest.call(opcode.into(), &passed).ret(at, 32);
        }
    }
    guest
}

#[track_caller]
fn check(fork: SpecId, opcode: u8, args: &[Arg], out: Out) {
    let (evm, overhead) = twin(opcode, args, out);
    // The callee's own code differs between the twins, so it is looked at elsewhere.
    let mut world = World::cheap_on(fork).put(B, Evm::new().op(1).op(2)).put(A, evm).fund(A, 77);
    world.db.insert_account_storage(A, U256::from(5), U256::from(55)).unwrap();
    let of_evm = world.run(&tx());
    let code = guest(opcode, args, out).container();
    let mut world = World::cheap_on(fork).put(B, Evm::new().op(1).op(2)).put(A, code).fund(A, 77);
    world.db.insert_account_storage(A, U256::from(5), U256::from(55)).unwrap();
    let of_guest = world.run(&tx());
    assert!(of_evm.result.is_success(), "{opcode:#x} {:?}", of_evm.result);
    let expected = output(&of_evm);
    match out {
        Out::Nothing => {}
        Out::Word => assert_eq!(output(&of_guest), expected, "{opcode:#x}"),
        Out::Register => {
            let value: u64 = U256::from_be_slice(&expected).to();
            let base = gas(&of_evm) - overhead;
            let is_gas = opcode == 0x5a;
            // GAS differs by what was paid before it, which the next check holds to account.
            if !is_gas {
                assert_eq!(output(&of_guest), register(value), "{opcode:#x} {base}");
            }
        }
    }
    assert_eq!(gas(&of_guest) - GUEST, gas(&of_evm) - overhead, "gas of {opcode:#x} on {fork:?}");
}

#[test]
fn opcodes_without_memory_are_the_evms() {
    for fork in [SpecId::OSAKA, SpecId::AMSTERDAM] {
        for opcode in [0x30, 0x32, 0x33, 0x34, 0x3a, 0x41, 0x44, 0x47, 0x48, 0x4a] {
            check(fork, opcode, &[], Out::Word);
        }
        for opcode in [0x36, 0x3d, 0x42, 0x43, 0x45, 0x46, 0x5a] {
            check(fork, opcode, &[], Out::Register);
        }
        for who in [account(A), account(B), account(C), account(SENDER)] {
            check(fork, 0x31, &[who], Out::Word);
            check(fork, 0x3f, &[account(B)], Out::Word);
            check(fork, 0x3b, &[account(B)], Out::Register);
        }
        for offset in [0, 1, 31, 39, 40, u64::MAX] {
            check(fork, 0x35, &[Register(offset)], Out::Word);
        }
        for block in [0, 743, 744, 999, 1000, 1001, u64::MAX] {
            check(fork, 0x40, &[Register(block)], Out::Word);
        }
        check(fork, 0x49, &[Register(0)], Out::Word);
        check(fork, 0x54, &[number(5)], Out::Word);
        check(fork, 0x54, &[Word(U256::MAX)], Out::Word);
        check(fork, 0x55, &[number(5), number(0)], Out::Nothing);
        check(fork, 0x55, &[number(5), number(55)], Out::Nothing);
        check(fork, 0x55, &[number(6), Word(U256::MAX)], Out::Nothing);
        check(fork, 0x5c, &[number(5)], Out::Word);
        check(fork, 0x5d, &[number(5), number(1)], Out::Nothing);
        check(fork, 0x00, &[], Out::Nothing);
        check(fork, 0xff, &[account(B)], Out::Nothing);
        check(fork, 0xff, &[account(C)], Out::Nothing);
    }
    check(SpecId::AMSTERDAM, 0x4b, &[], Out::Register);
    check(SpecId::LONDON, 0x44, &[], Out::Word);
}

#[test]
fn an_opcode_that_the_fork_lacks_halts() {
    let rows: [(SpecId, u64, &[u64]); 6] = [
        (SpecId::LONDON, 0x5c, &[0x10_0000, 0x10_0000]),
        (SpecId::SHANGHAI, 0x5d, &[0x10_0000, 0x10_0000]),
        (SpecId::SHANGHAI, 0x49, &[0, 0x10_0000]),
        (SpecId::LONDON, 0x4a, &[0x10_0000]),
        (SpecId::OSAKA, 0x4b, &[]),
        (SpecId::OSAKA, 0xfe, &[]),
    ];
    for (fork, opcode, args) in rows {
        let mut guest = Program::new();
        guest.space(64);
        guest.call(opcode, args).call(0, &[]);
        let outcome = World::on(fork).put(A, guest.container()).call(A);
        assert!(halted(&outcome), "{opcode:#x} on {fork:?}: {:?}", outcome.result);
        assert_eq!(gas(&outcome), 10_000_000);
        assert!(outcome.trap.is_none(), "the EVM's halt, not a trap: {:?}", outcome.trap);
    }
}

#[test]
fn gas_is_what_is_left_after_its_own_cost() {
    let mut guest = Program::new();
    guest.call(0x5a, &[]).ret_a0();
    let outcome = World::cheap().put(A, guest.container()).call(A);
    // One for the frame's start, one for the guest's instructions so far, two for GAS.
    assert_eq!(output(&outcome), register(10_000_000 - 21_000 - 2 - 2));
}

#[test]
fn copies_pad_with_zeros_and_cost_the_evms_words() {
    let data: Vec<u8> = (1..=40).collect();
    let rows = [(0, 40), (0, 0), (5, 10), (30, 64), (40, 8), (u64::MAX, 8), (1 << 40, 8)];
    for (offset, len) in rows {
        let mut guest = Program::new();
        let out = guest.bytes(&[0xee; 96]);
        guest.call(0x37, &[out, offset, len]).ret(out, 96);
        let outcome = World::cheap().put(A, guest.container()).run(&tx());
        let mut expected = [0xee; 96];
        for (n, byte) in expected[..len as usize].iter_mut().enumerate() {
            let at = usize::try_from(offset).unwrap().saturating_add(n);
            *byte = data.get(at).copied().unwrap_or(0);
        }
        assert_eq!(output(&outcome), expected, "{offset} {len}");
        let calldata = 40 * 16 + 20 * 2_400;
        assert_eq!(gas(&outcome), 21_000 + calldata + GUEST + 3 + 3 * len.div_ceil(32));
    }
}

#[test]
fn the_guests_code_is_its_container() {
    let mut guest = Program::new();
    let out = guest.space(4096);
    guest.call(0x38, &[]).store(10, out);
    guest.call(0x39, &[out + 8, 0, 2000]);
    guest.call(0x1000, &[]).store(10, out + 2008);
    guest.call(0x1001, &[out + 2016, 1, 6]);
    guest.ret(out, 2022);
    let code = container(&guest.elf(), b"tail!");
    let outcome = World::new().put(A, code.clone()).call(A);
    let seen = output(&outcome);
    assert_eq!(seen[..8], (code.len() as u64).to_le_bytes());
    assert_eq!(seen[8..2008], code[..2000]);
    assert_eq!(seen[2008..2016], 5u64.to_le_bytes());
    assert_eq!(seen[2016..], *b"ail!\0\0");
    // Another account sees the same through EXTCODECOPY, EXTCODESIZE and EXTCODEHASH.
    let mut other = Program::new();
    let (who, out) = (other.address(A), other.space(512));
    other.call(0x3c, &[who, out, 3, 300]);
    other.call(0x3f, &[who, out + 304]).ret(out, 336);
    let world = World::cheap().put(A, code.clone()).put(B, other.container());
    let outcome = world.call(B);
    let seen = output(&outcome);
    assert_eq!(seen[..300], code[3..303]);
    assert_eq!(seen[304..], keccak256(&code)[..]);
    assert_eq!(gas(&outcome), 21_000 + GUEST + 2_600 + 3 * 10 + 100);
}

#[test]
fn keccak_has_its_own_price() {
    let message = Bytes::from(vec![7; 300]);
    let mut guest = Program::new();
    let (at, out) = (guest.bytes(&message), guest.space(32));
    guest.call(0x20, &[at, 300, out]).ret(out, 32);
    let mut nothing = Program::new();
    let (at, out) = (nothing.bytes(&message), nothing.space(32));
    nothing.call(0x20, &[at, 0, out]).ret(out, 32);
    let world = World::new().put(A, guest.container()).put(B, nothing.container());
    let three_blocks = world.call(A);
    assert_eq!(output(&three_blocks), keccak256(&message)[..]);
    let one_block = world.call(B);
    assert_eq!(output(&one_block), keccak256([])[..]);
    // Two blocks and a copy of 38 words of 8 bytes lie between them.
    let units = 2 * 2_270_000 + 38 * 2_400;
    let (more, less) = (gas(&three_blocks), gas(&one_block));
    assert!((more - less).abs_diff(units / 20_000) <= 1, "{more} {less}");
}

#[test]
fn logs_carry_topics_and_data() {
    for count in 0..=4u64 {
        let mut guest = Program::new();
        let data = guest.bytes(b"hello");
        let words: Vec<u8> = (1..=count).flat_map(|n| B256::from(U256::from(n))).collect();
        let topics = guest.bytes(&words);
        guest.call(0xa0 + count, &[data, 5, topics]).call(0, &[]);
        let outcome = World::cheap().put(A, guest.container()).call(A);
        let logs = logs(&outcome);
        assert_eq!(logs[0].data.data[..], *b"hello");
        let expected: Vec<B256> = (1..=count).map(|n| U256::from(n).into()).collect();
        assert_eq!(logs[0].topics(), expected);
        assert_eq!(gas(&outcome), 21_000 + GUEST + 375 * (1 + count) + 8 * 5);
    }
}

#[test]
fn transient_storage_lives_for_the_transaction() {
    let mut writer = Program::new();
    let (key, value, out) = (writer.word(1), writer.word(2), writer.space(32));
    writer.call(0x5c, &[key, out]).call(0x5d, &[key, value]).ret(out, 32);
    let mut caller = Program::new();
    caller.call_address(B).call_address(B);
    caller.ret_data();
    let world = World::new().put(A, caller.container()).put(B, writer.container());
    let mut execution = world.execution();
    for nonce in 0..2 {
        let outcome = execution.transact(&TxEnv { nonce, ..call(A) }).unwrap();
        assert_eq!(output(&outcome), U256::from(2).to_be_bytes_vec());
    }
}

#[test]
fn prints_come_out_even_of_reverted_frames() {
    let mut guest = Program::new();
    let text = guest.bytes("grüß dich".as_bytes());
    guest.call(0x1003, &[text, 11]);
    let (to, zero) = (guest.address(CONSOLE), guest.word(0));
    guest.call(0xf1, &[u64::MAX, to, zero, text, 4, 0, 0]);
    guest.call(0xfd, &[0, 0]);
    let evm = Evm::new().push(U256::MAX).push(0).op(0x52).push(0).push(0).push(8).push(0);
    let evm = evm.push_address(CONSOLE).op(0x5a).op(0xfa).call(B);
    let world = World::new().put(A, evm).put(B, guest.container());
    let outcome = world.call(A);
    let seen: Vec<_> =
        outcome.prints.iter().map(|p| (p.address, p.kind, p.data.to_vec())).collect();
    let expected = [
        (A, PrintKind::Console, vec![0xff; 8]),
        (B, PrintKind::Text, "grüß dich".as_bytes().to_vec()),
        (B, PrintKind::Console, "grü".as_bytes().to_vec()),
    ];
    assert_eq!(seen, expected);
}

/// Empty prints too: a transaction can pay for millions of them.
#[test]
fn what_is_kept_of_prints_is_bounded() {
    let mut guest = Program::new();
    // `j -20`, to the first of the call's five instructions.
    guest.call(0x1003, &[0, 0]).raw(0xfedf_f06f);
    let world = World::new().put(A, guest.container());
    let outcome = world.execution().call(&TxEnv { gas_limit: 1_000_000, ..call(A) }).unwrap();
    assert!(halted(&outcome));
    let kept = outcome.prints.len();
    assert!((1_000..1 << 20).contains(&(kept * size_of::<vm::Print>())), "{kept} prints");
}

#[test]
fn unknown_numbers_trap() {
    for number in [0x01, 0x50, 0x51, 0x56, 0x58, 0x59, 0x5f, 0x60, 0x80, 0x90, 0xef, 0x100] {
        check_unknown(number);
    }
    check_unknown(0xfff);
    check_unknown(0x1004);
    check_unknown(0x1_0000_0054);
    check_unknown(u64::MAX);
}

#[track_caller]
fn check_unknown(number: u64) {
    let mut guest = Program::new();
    guest.sstore(1, 1);
    guest.call(number, &[]);
    let outcome = World::new().put(A, guest.container()).call(A);
    assert!(matches!(
        outcome.result,
        revm::context::result::ExecutionResult::Halt { reason: HaltReason::OpcodeNotFound, .. }
    ));
    let trap = outcome.trap.as_ref().unwrap();
    assert_eq!(trap.reason, format!("unknown system call {number:#x} at pc {:#x}", trap.pc));
    assert_eq!((trap.address, trap.depth), (A, 0));
    assert_eq!(slot(&outcome, A, 1).unwrap_or_default(), U256::ZERO);
    assert_eq!(gas(&outcome), 10_000_000);
}
