//! A small assembler for guests: straight-line programs of system calls, with labels.

use alloy_primitives::{Address, Bytes, U256};
use genesis::Container;

/// Where a program's code is loaded.
pub(crate) const CODE: u64 = 0x1_0000;
/// Where its data is loaded.
pub(crate) const DATA: u64 = 0x10_0000;

/// Register numbers.
pub(crate) const T0: u32 = 5;
pub(crate) const A0: u32 = 10;
pub(crate) const A7: u32 = 17;
pub(crate) const S2: u32 = 18;

/// A guest in the making.
#[derive(Clone, Default)]
pub(crate) struct Program {
    code: Vec<u8>,
    data: Vec<u8>,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Puts bytes into the data segment and answers their address.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = DATA + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        at
    }

    pub(crate) fn word(&mut self, word: impl TryInto<U256, Error: std::fmt::Debug>) -> u64 {
        let word: U256 = word.try_into().unwrap();
        self.bytes(&word.to_be_bytes::<32>())
    }

    pub(crate) fn address(&mut self, address: Address) -> u64 {
        self.bytes(address.into_word().as_slice())
    }

    pub(crate) fn space(&mut self, len: usize) -> u64 {
        self.bytes(&vec![0; len])
    }

    pub(crate) fn raw(&mut self, instruction: u32) -> &mut Self {
        self.code.extend_from_slice(&instruction.to_le_bytes());
        self
    }

    /// Loads a constant.
    pub(crate) fn li(&mut self, rd: u32, value: u64) -> &mut Self {
        if value < 0x7fff_f000 {
            let high = (value as u32).wrapping_add(0x800) >> 12;
            let low = (value as u32) & 0xfff;
            if high != 0 {
                self.raw(high << 12 | rd << 7 | 0x37);
            }
            let base = if high == 0 { 0 } else { rd };
            return self.raw(low << 20 | base << 15 | rd << 7 | 0x13);
        }
        let at = self.bytes(&value.to_le_bytes());
        self.li(rd, at);
        self.raw(rd << 15 | 3 << 12 | rd << 7 | 3)
    }

    /// `sd register, 0(at)`.
    pub(crate) fn store(&mut self, register: u32, at: u64) -> &mut Self {
        self.li(T0, at);
        self.raw(register << 20 | T0 << 15 | 3 << 12 | 0x23)
    }

    pub(crate) fn mv(&mut self, rd: u32, rs: u32) -> &mut Self {
        self.raw(rs << 15 | rd << 7 | 0x13)
    }

    /// `beqz register, +skip` over that many instructions of 4 bytes.
    pub(crate) fn beqz(&mut self, register: u32, skip: u32) -> &mut Self {
        let offset = 4 * (skip + 1);
        let bits = (offset >> 11 & 1) << 7 | (offset >> 1 & 0xf) << 8 | (offset >> 5 & 0x3f) << 25;
        self.raw(bits | register << 15 | 0x63)
    }

    /// A jump to itself.
    pub(crate) fn spin(&mut self) -> &mut Self {
        self.raw(0x6f)
    }

    pub(crate) fn call(&mut self, number: u64, args: &[u64]) -> &mut Self {
        for (n, arg) in args.iter().enumerate() {
            self.li(A0 + n as u32, *arg);
        }
        self.li(A7, number).raw(0x73)
    }

    /// CALL with all gas, no value and no data; the flag is in a0.
    pub(crate) fn call_address(&mut self, to: Address) -> &mut Self {
        let (to, zero) = (self.address(to), self.word(0));
        self.call(0xf1, &[u64::MAX, to, zero, 0, 0, 0, 0])
    }

    /// DELEGATECALL or STATICCALL with all gas and no data; the flag is in a0.
    pub(crate) fn call_without_value(&mut self, number: u64, to: Address) -> &mut Self {
        let to = self.address(to);
        self.call(number, &[u64::MAX, to, 0, 0, 0, 0])
    }

    /// SSTORE of two numbers.
    pub(crate) fn sstore(&mut self, key: u64, value: u64) -> &mut Self {
        let (key, value) = (self.word(key), self.word(value));
        self.call(0x55, &[key, value])
    }

    /// Returns what the last call returned, up to 256 bytes.
    pub(crate) fn ret_data(&mut self) -> &mut Self {
        let at = self.space(256);
        self.call(0x3d, &[]).mv(S2, A0);
        self.li(A0, at).li(A0 + 1, 0).mv(A0 + 2, S2).li(A7, 0x3e).raw(0x73);
        self.li(A0, at).mv(A0 + 1, S2).li(A7, 0xf3).raw(0x73)
    }

    /// RETURN of a range.
    pub(crate) fn ret(&mut self, ptr: u64, len: u64) -> &mut Self {
        self.call(0xf3, &[ptr, len])
    }

    /// Returns a0 as 8 bytes, little endian.
    pub(crate) fn ret_a0(&mut self) -> &mut Self {
        let at = self.space(8);
        self.store(A0, at);
        self.ret(at, 8)
    }

    pub(crate) fn elf(&self) -> Vec<u8> {
        self.elf_of(self.code.len() as u64)
    }

    /// An ELF whose code segment is filled with zeros up to `size` bytes of file.
    pub(crate) fn padded_elf(&self, size: usize) -> Vec<u8> {
        let mut padded = self.clone();
        let now = self.elf().len();
        padded.code.resize(self.code.len() + size - now, 0);
        padded.elf()
    }

    fn elf_of(&self, code_size: u64) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        let u16s = |file: &mut Vec<u8>, values: &[u16]| {
            values.iter().for_each(|v| file.extend_from_slice(&v.to_le_bytes()));
        };
        let u64s = |file: &mut Vec<u8>, values: &[u64]| {
            values.iter().for_each(|v| file.extend_from_slice(&v.to_le_bytes()));
        };
        u16s(&mut file, &[2, 243, 1, 0]);
        u64s(&mut file, &[CODE, 64, 0]);
        u16s(&mut file, &[0, 0, 64, 56, 2, 0, 0, 0]);
        let data_size = self.data.len() as u64;
        u16s(&mut file, &[1, 0, 5, 0]);
        u64s(&mut file, &[176, CODE, CODE, code_size, code_size, 4096]);
        u16s(&mut file, &[1, 0, 6, 0]);
        u64s(&mut file, &[176 + code_size, DATA, DATA, data_size, data_size, 4096]);
        file.extend_from_slice(&self.code);
        file.extend_from_slice(&self.data);
        file
    }

    pub(crate) fn container(&self) -> Bytes {
        self.container_with(&[])
    }

    pub(crate) fn container_with(&self, tail: &[u8]) -> Bytes {
        container(&self.elf(), tail)
    }
}

pub(crate) fn container(image: &[u8], tail: &[u8]) -> Bytes {
    Container { image, tail }.encode().unwrap().into()
}

/// A constructor that returns `code`.
pub(crate) fn constructor_returning(code: &[u8]) -> Bytes {
    let mut program = Program::new();
    let at = program.bytes(code);
    program.ret(at, code.len() as u64);
    program.container()
}

/// A program that deploys itself with `tail` as a constructor, and does what `body` says when
/// called.
pub(crate) fn self_deploying(tail: &[u8], body: impl FnOnce(&mut Program)) -> Program {
    let mut deploy = Program::new();
    let at = deploy.bytes(tail);
    deploy.call(0x1002, &[at, tail.len() as u64]);
    let mut program = Program { code: Vec::new(), data: deploy.data };
    // a0 is 1 in a constructor: skip DEPLOY otherwise.
    program.beqz(A0, deploy.code.len() as u32 / 4);
    program.code.extend_from_slice(&deploy.code);
    body(&mut program);
    program
}
