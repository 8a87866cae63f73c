//! The guest's side: `ecall`, the entry point, the panic handler and the heap.
#![allow(unsafe_code, reason = "system calls, the entry point and the heap need it; see each use")]

use core::arch::asm;
use core::mem::MaybeUninit;

use super::{Message, number as id};
use crate::Word;

/// A system call of up to seven arguments.
///
/// # Safety
/// Each argument that the call takes for a pointer to memory that it writes must be valid for
/// writes of the length that goes with it. (What it reads, the node checks.)
#[inline(always)]
unsafe fn ecall<const N: usize>(number: u64, args: [u64; N]) -> u64 {
    const { assert!(N <= 7, "a0 to a6 are all the registers there are") };
    let arg = |n: usize| if n < N { args[n] } else { 0 };
    let result;
    // SAFETY: the ABI keeps all registers but a0. Memory is written only where the caller of this
    // function says so, which the asm block does not hide from the compiler (no `nomem`).
    unsafe {
        match N {
            0 => asm!("ecall", in("a7") number, lateout("a0") result),
            1 => asm!("ecall", in("a7") number, inlateout("a0") arg(0) => result),
            2 => asm!("ecall", in("a7") number, inlateout("a0") arg(0) => result,
                in("a1") arg(1)),
            3 => asm!("ecall", in("a7") number, inlateout("a0") arg(0) => result,
                in("a1") arg(1), in("a2") arg(2)),
            4 => asm!("ecall", in("a7") number, inlateout("a0") arg(0) => result,
                in("a1") arg(1), in("a2") arg(2), in("a3") arg(3)),
            _ => asm!("ecall", in("a7") number, inlateout("a0") arg(0) => result,
                in("a1") arg(1), in("a2") arg(2), in("a3") arg(3), in("a4") arg(4),
                in("a5") arg(5), in("a6") arg(6)),
        }
    }
    result
}

#[inline(always)]
fn input<T>(value: &T) -> u64 {
    core::ptr::from_ref(value).expose_provenance() as u64
}

/// The word that `call` writes to the pointer that it gets.
///
/// # Safety
/// `call` writes all 32 bytes.
#[inline(always)]
unsafe fn written(call: impl FnOnce(u64) -> u64) -> Word {
    let mut out = MaybeUninit::<Word>::uninit();
    call(out.as_mut_ptr().expose_provenance() as u64);
    // SAFETY: the caller says that it has been written.
    unsafe { out.assume_init() }
}

#[inline(always)]
fn start(bytes: &[u8]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

/// A word about the frame, the transaction or the block.
#[inline(always)]
pub(crate) fn word(number: u64) -> Word {
    // SAFETY: the call writes one word.
    unsafe { written(|out| ecall(number, [out])) }
}

/// A number about the frame, the transaction or the block.
#[inline(always)]
pub(crate) fn number(number: u64) -> u64 {
    // SAFETY: no pointers.
    unsafe { ecall(number, []) }
}

/// A word looked up by a word: a storage slot, a balance, a code hash.
#[inline(always)]
pub(crate) fn word_of(number: u64, key: &Word) -> Word {
    // SAFETY: the call writes one word.
    unsafe { written(|out| ecall(number, [input(key), out])) }
}

/// A word looked up by a number: calldata, a block's hash, a blob's hash.
#[inline(always)]
pub(crate) fn word_at(number: u64, at: u64) -> Word {
    // SAFETY: the call writes one word.
    unsafe { written(|out| ecall(number, [at, out])) }
}

/// DIV and MOD of two words, ADDMOD and MULMOD of three.
#[inline]
pub(crate) fn arithmetic<const N: usize>(number: u64, of: [&Word; N]) -> Word {
    // SAFETY: the call writes one word.
    unsafe {
        written(|out| match of[..] {
            [a, b] => ecall(number, [input(a), input(b), out]),
            [a, b, modulus] => ecall(number, [input(a), input(b), input(modulus), out]),
            _ => crate::revert_empty(),
        })
    }
}

/// A number looked up by a word: the size of an account's code.
#[inline(always)]
pub(crate) fn number_of(number: u64, key: &Word) -> u64 {
    // SAFETY: nothing is written.
    unsafe { ecall(number, [input(key)]) }
}

/// SSTORE and TSTORE.
#[inline(always)]
pub(crate) fn store(number: u64, key: &Word, value: &Word) {
    // SAFETY: nothing is written.
    unsafe { ecall(number, [input(key), input(value)]) };
}

/// CALLDATACOPY, CODECOPY, RETURNDATACOPY, TAIL_COPY.
#[inline(always)]
pub(crate) fn copy(number: u64, to: &mut [u8], offset: u64) {
    let at = to.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: `to` is writable for its length.
    unsafe { ecall(number, [at, offset, to.len() as u64]) };
}

/// EXTCODECOPY.
#[inline(always)]
pub(crate) fn copy_code(address: &Word, to: &mut [u8], offset: u64) {
    let at = to.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: `to` is writable for its length.
    unsafe { ecall(id::EXTCODECOPY, [input(address), at, offset, to.len() as u64]) };
}

/// KECCAK256.
#[inline(always)]
pub(crate) fn keccak256(data: &[u8]) -> Word {
    // SAFETY: the call writes one word.
    unsafe { written(|out| ecall(id::KECCAK256, [start(data), data.len() as u64, out])) }
}

/// LOG0 to LOG4, by the number of topics.
#[inline(always)]
pub(crate) fn log<const N: usize>(topics: &[Word; N], data: &[u8]) {
    let number = id::LOG0 + N as u64;
    // SAFETY: nothing is written.
    unsafe { ecall(number, [start(data), data.len() as u64, input(topics)]) };
}

/// CALL, DELEGATECALL or STATICCALL; the answer is fetched as return data.
#[inline(always)]
pub(crate) fn call(number: u64, message: &Message<'_>) -> bool {
    let (gas, to) = (message.gas, input(message.to));
    let (at, len) = (start(message.input), message.input.len() as u64);
    // SAFETY: the output range is empty.
    let flag = unsafe {
        if number == id::CALL {
            ecall(number, [gas, to, input(message.value), at, len, 0, 0])
        } else {
            ecall(number, [gas, to, at, len, 0, 0, 0])
        }
    };
    flag != 0
}

/// CREATE, or CREATE2 with a salt.
#[inline(always)]
pub(crate) fn create(value: &Word, code: &[u8], salt: Option<&Word>) -> Option<Word> {
    let (at, len) = (start(code), code.len() as u64);
    let mut flag = 0;
    // SAFETY: both calls write one word, the address or zeros.
    let address = unsafe {
        written(|out| {
            flag = match salt {
                None => ecall(id::CREATE, [input(value), at, len, out]),
                Some(salt) => ecall(id::CREATE2, [input(value), at, len, input(salt), out, 0, 0]),
            };
            flag
        })
    };
    (flag != 0).then_some(address)
}

/// RETURN, REVERT, DEPLOY and STOP: the frame ends.
#[inline(always)]
pub(crate) fn exit(number: u64, data: &[u8]) -> ! {
    // SAFETY: nothing is written, and the node does not come back from these calls.
    unsafe {
        asm!("ecall", in("a7") number, in("a0") start(data), in("a1") data.len(),
            options(noreturn))
    }
}

/// SELFDESTRUCT: the frame ends.
#[inline(always)]
pub(crate) fn selfdestruct(heir: &Word) -> ! {
    // SAFETY: nothing is written, and the node does not come back from this call.
    unsafe { asm!("ecall", in("a7") id::SELFDESTRUCT, in("a0") input(heir), options(noreturn)) }
}

/// PRINT.
#[inline(always)]
pub(crate) fn print(text: &str) {
    // SAFETY: nothing is written.
    unsafe { ecall(id::PRINT, [start(text.as_bytes()), text.len() as u64]) };
}

unsafe extern "Rust" {
    /// What `entry!` makes of a contract.
    safe fn tandem_contract(constructor: bool);
}

/// Where a frame starts: the node has set the stack pointer, and `a0` to 1 in a constructor.
// SAFETY: the linker looks for this name, and nothing else in a contract has it.
#[unsafe(no_mangle)]
extern "C" fn _start(constructor: u64) -> ! {
    tandem_contract(constructor != 0);
    exit(id::STOP, &[])
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.message().as_str() {
        Some(text) => crate::revert(text),
        None => explain(info),
    }
}

#[cfg(not(feature = "messages"))]
fn explain(_info: &core::panic::PanicInfo<'_>) -> ! {
    crate::revert_panic(crate::PanicCode::Assert)
}

/// The message as text, cut off where `Error(string)` is.
#[cfg(feature = "messages")]
fn explain(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write as _;

    struct Message {
        bytes: [u8; 256],
        len: usize,
    }

    impl core::fmt::Write for Message {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            for byte in text.bytes() {
                let place = self.bytes.get_mut(self.len).ok_or(core::fmt::Error)?;
                *place = byte;
                self.len += 1;
            }
            Ok(())
        }
    }

    let mut message = Message { bytes: [0; 256], len: 0 };
    // Cut off where it does not fit.
    let _ = write!(message, "{}", info.message());
    let written = message.bytes.get(..message.len).unwrap_or_default();
    let text = match core::str::from_utf8(written) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(written.get(..error.valid_up_to()).unwrap_or_default())
            .unwrap_or_default(),
    };
    crate::revert(text)
}

#[cfg(feature = "heap")]
pub(crate) use heap::zeros;

#[cfg(feature = "heap")]
mod heap {
    use alloc::alloc::alloc_zeroed;
    use alloc::vec::Vec;
    use core::alloc::{GlobalAlloc, Layout};
    use core::ptr;

    use crate::sys::Zero;

    /// The end of the mapped range, `docs/spec/riscv-abi.md` section 3.
    const END: usize = 0x00f0_0000;
    const PAGE: usize = 4096;

    /// Hands out memory from the heap's start upwards and takes none back: a frame is short.
    ///
    /// The heap's first 8 bytes hold the next free address (0: none taken yet), so that no
    /// writable segment, and thus no further page, is needed.
    struct Bump;

    unsafe extern "C" {
        /// The end of the image in memory: defined by the linker.
        static _end: u8;
    }

    fn base() -> usize {
        ptr::addr_of!(_end).addr().next_multiple_of(PAGE)
    }

    // SAFETY: blocks do not overlap (the next free address only grows, but for the last block's
    // own end), are aligned as asked, lie within the heap, and there is one thread.
    unsafe impl GlobalAlloc for Bump {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let next = ptr::with_exposed_provenance_mut::<usize>(base());
            // SAFETY: the heap's first word is mapped, aligned and used by nothing else.
            let free = unsafe { *next }.max(base() + size_of::<usize>());
            let start = free.next_multiple_of(layout.align());
            match start.checked_add(layout.size()) {
                Some(end) if end <= END => {
                    // SAFETY: as above.
                    unsafe { *next = end };
                    ptr::with_exposed_provenance_mut(start)
                }
                // Not null, for which `alloc` has text and its formatting in every image.
                _ => crate::revert_panic(crate::PanicCode::Memory),
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the same contract. Memory starts as zeros and is handed out once.
            unsafe { self.alloc(layout) }
        }

        unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
    }

    /// `len` zeros. In place of `vec!`, which has text for a failure and its formatting with it.
    pub(crate) fn zeros<T: Zero>(len: usize) -> Vec<T> {
        let Ok(layout) = Layout::array::<T>(len) else {
            crate::revert_panic(crate::PanicCode::Memory)
        };
        if layout.size() == 0 {
            return Vec::new();
        }
        // SAFETY: the block is not null, has the layout of `len` elements, was taken from the
        // global allocator, and zeros are values of `T`.
        unsafe { Vec::from_raw_parts(alloc_zeroed(layout).cast(), len, len) }
    }

    #[global_allocator]
    static HEAP: Bump = Bump;
}
