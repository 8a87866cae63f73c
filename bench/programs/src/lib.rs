//! What the programs share: the entry, a heap that only grows, Linux's `write` and `exit`.
//!
//! A program writes what it found to standard output and ends with status 0. The calls are those of
//! Linux, so that it runs as it is under a user-mode emulator too.
#![no_std]

extern crate alloc;

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::{asm, global_asm},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

global_asm!(
    ".section .text.start, \"ax\"",
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la sp, {stack} + {size}",
    ".option pop",
    "call {main}",
    stack = sym STACK,
    size = const STACK_SIZE,
    main = sym start,
);

const STACK_SIZE: usize = 128 * 1024;
const HEAP_SIZE: usize = 1024 * 1024;

#[repr(align(4096))]
struct Area<const N: usize>(core::cell::UnsafeCell<[u8; N]>);

// There is one hart, and the area is given out piece by piece.
unsafe impl<const N: usize> Sync for Area<N> {}

static STACK: Area<STACK_SIZE> = Area(core::cell::UnsafeCell::new([0; STACK_SIZE]));
static HEAP: Area<HEAP_SIZE> = Area(core::cell::UnsafeCell::new([0; HEAP_SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// Gives out memory from its start on; only the newest piece can grow or be given back.
struct Bump;

unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = USED.load(Relaxed).next_multiple_of(layout.align());
        if start + layout.size() > HEAP_SIZE {
            return core::ptr::null_mut();
        }
        USED.store(start + layout.size(), Relaxed);
        unsafe { HEAP.0.get().cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let start = ptr as usize - HEAP.0.get() as usize;
        if start + layout.size() == USED.load(Relaxed) {
            USED.store(start, Relaxed);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Bump = Bump;

unsafe extern "Rust" {
    safe fn program_main();
}

extern "C" fn start() -> ! {
    program_main();
    exit(0)
}

/// Makes a function what the program runs.
#[macro_export]
macro_rules! program {
    ($main:ident) => {
        #[unsafe(no_mangle)]
        fn program_main() {
            $main();
        }
    };
}

/// Writes to standard output.
pub fn write(bytes: &[u8]) {
    unsafe {
        asm!("ecall", in("a7") 64, inout("a0") 1usize => _, in("a1") bytes.as_ptr(), in("a2") bytes.len());
    }
}

/// Writes a number as text.
pub fn write_number(number: u64) {
    write(alloc::format!("{number}\n").as_bytes());
}

/// Ends the program.
pub fn exit(status: u64) -> ! {
    unsafe { asm!("ecall", in("a7") 93, in("a0") status, options(noreturn)) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// Forgets everything that was allocated: what is done over and over again starts with this.
///
/// Nothing that was allocated before may be used any more.
pub fn reset_heap() {
    USED.store(0, Relaxed);
}

/// Numbers that look random (xorshift64*), the same ones each time.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
