//! The loader refuses with a reason, the figure it saw, and the limit.

use std::sync::Arc;

use tandem_vm::riscv::{Image, ImageError, Stop};

use crate::{asm::*, guest::run_loaded};

fn valid() -> Vec<Load> {
    vec![
        Load::text(TEXT, &ECALL.to_le_bytes()),
        Load::constants(0x1_2000, b"constant"),
        Load::data(DATA, 0x3000, b"data"),
    ]
}

/// The error for a valid file changed by `change`, as text.
fn refusal(loads: &[Load], change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut file = elf(TEXT, loads);
    change(&mut file);
    match Image::load(&file, &Default::default()) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

/// Refused after one byte of the file header is changed.
fn check_byte(offset: usize, value: u8, expected: &str) {
    let actual = refusal(&valid(), |file| file[offset] = value);
    assert_eq!(actual, expected, "byte {offset} = {value}");
}

/// Refused with another segment added to valid ones.
fn check_load(load: Load, expected: &str) {
    let mut loads = valid();
    loads.push(load);
    assert_eq!(refusal(&loads, |_| ()), expected);
}

#[test]
fn a_static_image_loads() {
    let image = Image::load(&elf(TEXT, &valid()), &Default::default()).expect("valid");
    assert_eq!(image.entry(), TEXT);
    let segments: Vec<_> =
        image.segments().iter().map(|s| (s.start, s.size, s.writable, s.executable)).collect();
    assert_eq!(
        segments,
        [(TEXT, 4, false, true), (0x1_2000, 8, false, false), (DATA, 0x3000, true, false)]
    );
}

#[test]
fn header_fields_are_fixed() {
    check_byte(0, 0x7e, "ELF magic is 0x7e454c46, needed 0x7f454c46");
    check_byte(4, 1, "ELF class is 0x1, needed 0x2");
    check_byte(5, 2, "ELF data encoding is 0x2, needed 0x1");
    check_byte(6, 0, "ELF identification version is 0x0, needed 0x1");
    check_byte(16, 3, "ELF type is 0x3, needed 0x2");
    check_byte(18, 62, "ELF machine is 0x3e, needed 0xf3");
    check_byte(20, 2, "ELF version is 0x2, needed 0x1");
    check_byte(54, 32, "ELF program header size is 0x20, needed 0x38");
}

#[test]
fn flags_allow_rvc_and_tso() {
    let flags = |value: u8| refusal(&valid(), |file| file[48] = value);
    for value in [0x00, 0x01, 0x10, 0x11] {
        assert_eq!(flags(value), "accepted", "flags {value:#x}");
    }
    for value in [0x02, 0x04, 0x06, 0x08, 0x20] {
        let expected =
            format!("ELF flags are {value:#x}, allowed 0x11 (soft float, RVC, TSO; no F, D, E)");
        assert_eq!(flags(value), expected);
    }
}

#[test]
fn short_files_are_refused() {
    let file = elf(TEXT, &valid());
    for length in 0..64 + 3 * 56 {
        let error = Image::load(&file[..length], &Default::default()).expect_err("too short");
        assert!(matches!(error, ImageError::TooShort { .. }), "{length}: {error}");
    }
    assert_eq!(
        Image::load(&[], &Default::default()).expect_err("empty").to_string(),
        "ELF file too short: file header needs 64 bytes, file has 0"
    );
    let cut = refusal(&valid(), |file| file.truncate(file.len() - 1));
    assert!(cut.contains("pass the file's"), "{cut}");
    let far = refusal(&valid(), |file| file[32..40].fill(0xff));
    assert!(far.contains("program header table needs 18446744073709551615 bytes"), "{far}");
}

#[test]
fn dynamic_segments_are_refused() {
    for (kind, name) in [(2, "PT_DYNAMIC"), (3, "PT_INTERP"), (7, "PT_TLS")] {
        let load = Load { kind, ..Load::constants(0x2_0000, b"12345") };
        check_load(
            load.clone(),
            &format!("{name} segment of 5 bytes, allowed 0: link statically, without threads"),
        );
        check_load(Load { memory_size: 0, data: vec![], ..load }, "accepted");
    }
}

#[test]
fn other_headers_are_ignored_but_an_executable_stack_is_not() {
    for kind in [0, 4, 6, 0x6474_e551, 0x6474_e552, 0x7000_0003] {
        let load = Load { kind, flags: 6, address: 0, memory_size: 0, data: vec![] };
        check_load(load, "accepted");
    }
    let stack = Load { kind: 0x6474_e551, flags: 7, address: 0, memory_size: 0, data: vec![] };
    check_load(stack, "PT_GNU_STACK has flags 0x7: an executable stack is refused");
}

#[test]
fn segments_stay_in_their_range() {
    let range = "lies outside of 0x10000 to 0xf00000";
    check_load(Load::data(0xf000, 16, &[]), &format!("segment 0xf000 to 0xf010 {range}"));
    check_load(Load::data(0xef_ffff, 2, &[]), &format!("segment 0xefffff to 0xf00001 {range}"));
    let end = u64::MAX;
    check_load(
        Load::data(end - 1, 9, &[]),
        &format!("segment 0x{:x} to {end:#x} {range}", end - 1),
    );
    check_load(Load::data(0xef_ffff, 1, &[]), "accepted");
}

#[test]
fn segments_do_not_share_pages() {
    check_load(
        Load::data(0x1_0004, 1, &[]),
        "segments at 0x10000 and 0x10004 share the page 0x10000",
    );
    check_load(
        Load::data(DATA + 0x2fff, 1, &[]),
        "segments at 0x200000 and 0x202fff share the page 0x202000",
    );
    check_load(Load::data(DATA + 0x3000, 1, &[]), "accepted");
}

#[test]
fn code_is_readable_and_not_writable() {
    let text = Load::text(0x3_0000, &[0; 4]);
    check_load(Load { flags: 7, ..text.clone() }, "segment at 0x30000 is writable and executable");
    check_load(
        Load { flags: 1, ..text },
        "segment at 0x30000 is executable but not readable (flags 0x1)",
    );
}

/// What a bare file stores where its code is, it loads again; what runs is the file's code.
#[test]
fn a_bare_file_may_store_where_its_code_is() {
    let mut a = Assembler::new();
    a.push(auipc(A0, 0)).li(A1, i64::from(addi(A2, ZERO, 7)));
    let at = a.len() as i32 + 8;
    a.push(sw(A1, A0, at)).push(lw(A3, A0, at)).push(addi(A2, ZERO, 5)).exit();
    let file = elf(TEXT, &[Load { flags: 7, ..Load::text(TEXT, &a.finish()) }]);
    let image = Image::load_bare(&file, &Default::default()).expect("a bare file is valid");
    let run = run_loaded(Arc::new(image));
    assert_eq!(run.stop, Stop::Syscall);
    assert_eq!((run.register(A2), run.register(A3)), (5, addi(A2, ZERO, 7).into()));
}

#[test]
fn sizes_agree() {
    let larger = Load { memory_size: 3, ..Load::constants(0x3_0000, b"1234") };
    check_load(larger, "segment at 0x30000: 4 bytes in the file, 3 in memory");
    let many = |count: u64| {
        let page = |n| Load::data(0x10_0000 + n * 4096, 1, &[]);
        let mut loads = vec![Load::text(TEXT, &ECALL.to_le_bytes())];
        loads.extend((1..count).map(page));
        refusal(&loads, |_| ())
    };
    assert_eq!(many(16), "accepted");
    assert_eq!(many(17), "17 load segments, limit 16");
}

/// Sixteen segments over the same bytes of the file would decode it sixteen times.
#[test]
fn segments_do_not_take_the_file_twice() {
    let loads: Vec<_> = (0..4).map(|n| Load::text(TEXT + n * 0x1_0000, &[0x13; 4096])).collect();
    let file_size = elf(TEXT, &loads).len();
    let error = refusal(&loads, |file| {
        let first_offset = file[64 + 8..64 + 16].to_vec();
        for n in 1..4 {
            file[64 + 56 * n + 8..][..8].copy_from_slice(&first_offset);
        }
        file.truncate(2 * 4096);
    });
    assert!(file_size > 4 * 4096);
    assert_eq!(error, "segments take 16384 bytes of the file, limit 8192 (its length)");
}

#[test]
fn the_entry_is_even_and_in_code() {
    for entry in [0, TEXT - 2, TEXT + 1, TEXT + 4, DATA] {
        let error = Image::load(&elf(entry, &valid()), &Default::default()).expect_err("no code");
        assert_eq!(error, ImageError::Entry { entry });
    }
}

/// Files at odd places of a buffer load as well: a container puts eight bytes before the image.
#[test]
fn alignment_of_the_buffer_does_not_matter() {
    let file = elf(TEXT, &valid());
    for shift in 0..8 {
        let buffer = [vec![0; shift], file.clone()].concat();
        assert!(Image::load(&buffer[shift..], &Default::default()).is_ok(), "shift {shift}");
    }
}

/// What a decoded image holds is bounded by the bytes of its code.
#[test]
fn a_decoded_image_is_bounded() {
    for word in [0x0000_0013_u32, 0xffff_ffff, 0, 0x0013_0013, 0x0001_0001, 0x0000_a06f] {
        let code: Vec<u8> = word.to_le_bytes().repeat(50_000);
        let file = elf(TEXT, &[Load::text(TEXT, &code)]);
        let image = Image::load(&file, &Default::default()).expect("valid");
        let ratio = image.heap_size() as f64 / file.len() as f64;
        assert!(ratio < 46.0, "{word:#x}: {ratio} bytes per byte");
    }
}
