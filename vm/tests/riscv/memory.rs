//! Guest memory: what is mapped, what it holds, what it costs.

use std::sync::Arc;

use tandem_vm::riscv::{Access, Image, Machine, MemoryFault, PAGE_SIZE, Pool, Stop, Trap, Units};

use crate::{
    asm::*,
    guest::{PAGES_MAX, load, run, run_image, units},
};

const STACK: u64 = 0xfc_0000;
const STACK_TOP: u64 = 0x100_0000;
const HEAP_END: u64 = 0xf0_0000;

/// One load or store of eight bytes at an address.
fn access(address: u64, access: Access) -> Stop {
    let mut a = Assembler::new();
    a.li(A1, address as i64);
    let pc = TEXT + a_len(address);
    a.push(if access == Access::Load { ld(A0, A1, 0) } else { sd(A0, A1, 0) }).push(ECALL);
    let file = elf(
        TEXT,
        &[
            Load::text(TEXT, &a.finish()),
            Load::constants(0x2_0000, b"constants"),
            Load::data(0x4_0000, 0x1800, b"data"),
        ],
    );
    let stop = run_image(&file).stop;
    if let Stop::Trap(trap) = stop {
        assert_eq!(trap.pc(), pc);
    }
    stop
}

/// Bytes of the code that sets an address up.
fn a_len(address: u64) -> u64 {
    let mut a = Assembler::new();
    a.li(A1, address as i64);
    a.finish().len() as u64
}

#[test]
fn ranges_are_mapped_as_the_abi_says() {
    use Access::{Load, Store};
    let both = |address: u64, mapped: bool| {
        for kind in [Load, Store] {
            let stop = access(address, kind);
            let unmapped = matches!(stop, Stop::Trap(Trap::Unmapped { address: at, len: 8, .. }) if at == address);
            assert_eq!(unmapped, !mapped, "{kind} {address:#x}: {stop:?}");
            assert_eq!(stop == Stop::Syscall, mapped, "{kind} {address:#x}: {stop:?}");
        }
    };
    // Null and below the image; between segments; heap, guard and stack; above; wrapped around.
    for address in [0, 0xfff8, 0x1_1000, 0x2_1000, 0x3_fffc, HEAP_END, STACK - 8, STACK_TOP] {
        both(address, false);
    }
    for address in [HEAP_END - 4, STACK - 4, STACK_TOP - 4, u64::MAX - 3, u64::MAX - 7, 1 << 63] {
        both(address, false);
    }
    for address in [0x4_0000, 0x4_17fd, 0x4_1ffc, 0x4_2000, HEAP_END - 8, STACK, STACK_TOP - 8] {
        both(address, true);
    }
    for address in [TEXT, 0x2_0000, 0x2_0ff8] {
        assert_eq!(access(address, Load), Stop::Syscall);
        let stop = access(address, Store);
        assert!(matches!(stop, Stop::Trap(Trap::ReadOnly { len: 8, .. })), "{stop:?}");
    }
}

#[test]
fn a_store_across_into_read_only_memory_writes_nothing() {
    let file = elf(
        TEXT,
        &[
            Load::text(TEXT, &{
                let mut a = Assembler::new();
                a.li(A1, 0x2_0ffc).li(A0, -1).push(sd(A0, A1, 0)).push(ECALL);
                a.finish()
            }),
            Load::data(0x2_0000, 4096, &[]),
            Load::constants(0x2_1000, b"read only"),
        ],
    );
    let mut run = run_image(&file);
    assert!(matches!(run.stop, Stop::Trap(Trap::ReadOnly { address: 0x2_0ffc, .. })));
    assert_eq!(run.machine.read(0x2_0ff8, 8, &mut run.units).expect("mapped"), [0; 8]);
}

/// A frame that fills its memory and registers with noise leaves none of it to the next frame.
#[test]
fn memory_starts_as_zeros_after_another_frame() {
    let mut a = Assembler::new();
    // Store noise from the data segment on, and on the stack, until the count is out.
    a.li(A1, DATA as i64).li(A2, 0x5a5a_5a5a_5a5a_5a5a).li(T0, 4096).push(addi(A3, SP, -8));
    let top = a.here();
    a.push(sd(A2, A1, 0)).push(sd(A2, A3, 0)).push(addi(A1, A1, 8)).push(addi(A3, A3, -8));
    a.push(addi(T0, T0, -1)).bne(T0, ZERO, top);
    for register in 3..32 {
        a.push(addi(register, A2, 0));
    }
    a.push(ECALL);
    let noise = load(&image(&a.finish()));
    let quiet = load(&image(&ECALL.to_le_bytes()));
    let mut pool = Pool::new();
    for constructor in [false, true] {
        let mut first = Machine::new(noise.clone(), &mut pool, false);
        assert_eq!(first.run(&mut units()), Stop::Syscall);
        assert_eq!(first.release(&mut pool), 16);
        let mut second = Machine::new(quiet.clone(), &mut pool, constructor);
        let mut registers = [0; 32];
        (registers[2], registers[10]) = (STACK_TOP, constructor.into());
        assert_eq!(second.registers(), &registers);
        let mut units = units();
        for start in [DATA, STACK_TOP - 8 * 4096] {
            let bytes = second.read(start, 8 * 4096, &mut units).expect("mapped");
            assert!(bytes.iter().all(|&byte| byte == 0));
        }
        assert_eq!(second.release(&mut pool), 16);
    }
}

#[test]
fn segments_hold_the_bytes_of_the_file_then_zeros() {
    let data: Vec<u8> = (0..6000u32).map(|n| (n % 251 + 1) as u8).collect();
    let file =
        elf(TEXT, &[Load::text(TEXT, &ECALL.to_le_bytes()), Load::data(0x2_0100, 9000, &data)]);
    let mut machine = Machine::new(load(&file), &mut Pool::new(), false);
    let bytes = machine.read(0x2_0000, 0x3000, &mut units()).expect("mapped");
    assert!(bytes[..0x100].iter().all(|&byte| byte == 0));
    assert_eq!(bytes[0x100..0x100 + 6000], data);
    assert!(bytes[0x100 + 6000..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_page_cap_holds_over_frames() {
    let image = load(&image(&ECALL.to_le_bytes()));
    let mut pool = Pool::new();
    let mut units = units();
    units.pages_left = 3;
    let mut first = Machine::new(image.clone(), &mut pool, false);
    let mut second = Machine::new(image, &mut pool, false);
    first.write(DATA, &[1; 2 * PAGE_SIZE], &mut units).expect("two pages");
    second.write(DATA, &[1], &mut units).expect("one page");
    let fault = second.write(DATA + 4096, &[1], &mut units).expect_err("the cap");
    let pc = TEXT;
    let trap = Trap::PagesExhausted { pc, address: DATA + 4096, limit: PAGES_MAX };
    assert_eq!(fault, MemoryFault::Trap(trap));
    assert_eq!(
        fault.to_string(),
        "page of 0x201000 touched at pc 0x10000: all 1000 pages are in use"
    );
    // Pages of an ended frame are free again, once the engine says so.
    units.pages_left += first.release(&mut pool);
    second.write(DATA + 4096, &[1], &mut units).expect("freed");
}

#[test]
fn an_instruction_meets_the_page_cap() {
    let mut a = Assembler::new();
    a.li(A1, DATA as i64).li(T1, 4096);
    let top = a.here();
    a.push(sd(A1, A1, 0)).push(add(A1, A1, T1)).jal(ZERO, top);
    let image = load(&image(&a.finish()));
    let mut machine = Machine::new(image, &mut Pool::new(), false);
    let mut units = units();
    units.pages_left = 100;
    let stop = machine.run(&mut units);
    assert!(
        matches!(stop, Stop::Trap(Trap::PagesExhausted { address: 0x26_4000, .. })),
        "{stop:?}"
    );
    assert_eq!((units.pages_left, machine.pages()), (0, 100));
}

#[test]
fn host_access_is_checked() {
    let file = elf(
        TEXT,
        &[Load::text(TEXT, &ECALL.to_le_bytes()), Load::constants(0x2_0000, b"constants")],
    );
    let mut machine = Machine::new(load(&file), &mut Pool::new(), false);
    let mut units = units();
    let before = units.clone();
    for (ptr, len) in
        [(0, 1), (STACK_TOP - 1, 2), (u64::MAX, 1), (1, u64::MAX), (HEAP_END - 1, 2), (0x1_1000, 1)]
    {
        let unmapped = |access| Trap::Unmapped { pc: TEXT, address: ptr, len, access };
        assert_eq!(machine.check(ptr, len, Access::Load), Err(unmapped(Access::Load)));
        let read = machine.read(ptr, len, &mut units);
        assert_eq!(read, Err(MemoryFault::Trap(unmapped(Access::Load))));
        if len < 100 {
            let write = machine.write(ptr, &vec![1; len as usize], &mut units);
            assert_eq!(write, Err(MemoryFault::Trap(unmapped(Access::Store))));
        }
    }
    let read_only = Trap::ReadOnly { pc: TEXT, address: 0x2_0000, len: 2 };
    assert_eq!(machine.write(0x2_0000, b"no", &mut units), Err(MemoryFault::Trap(read_only)));
    // A range of length 0 is never looked at; what was refused cost nothing.
    assert_eq!(machine.read(u64::MAX, 0, &mut units), Ok(vec![]));
    assert_eq!(machine.write(0, &[], &mut units), Ok(()));
    assert_eq!(units, before);
    assert_eq!(machine.read(0x2_0000, 9, &mut units), Ok(b"constants".to_vec()));
}

#[test]
fn host_access_runs_out_of_gas_before_it_copies() {
    let mut machine = Machine::new(load(&image(&ECALL.to_le_bytes())), &mut Pool::new(), false);
    let mut units = Units::new(&Default::default(), PAGES_MAX);
    units.refill(1);
    assert_eq!(
        machine.read(DATA, 1 << 20, &mut units),
        Err(MemoryFault::OutOfGas(tandem_vm::riscv::OutOfGas))
    );
    assert_eq!((machine.pages(), units.left), (0, 20_000));
}

#[test]
fn a_machine_goes_on_after_a_system_call() {
    let mut a = Assembler::new();
    a.li(S0, 5).li(A7, 0x54).push(ECALL).push(add(S0, S0, A0)).li(A7, 0).push(ECALL);
    let mut run = run(&a.finish());
    assert_eq!((run.stop, run.machine.number()), (Stop::Syscall, 0x54));
    assert_eq!((run.machine.stopped_at(), run.machine.pc()), (TEXT + 8, TEXT + 12));
    run.machine.set_result(37);
    assert_eq!(run.machine.run(&mut run.units), Stop::Syscall);
    assert_eq!((run.register(S0), run.machine.number()), (42, 0));
}

#[test]
fn machines_move_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Machine>();
    check::<Arc<Image>>();
    check::<Pool>();
}
