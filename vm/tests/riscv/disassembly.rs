//! Text of instructions, as the GNU tools write them.

use tandem_vm::riscv::{disassemble, disassemble_at};

use crate::{asm::*, guest::load};

#[test]
fn instructions_have_their_usual_text() {
    let table: &[(u32, &str)] = &[
        (addi(A0, SP, -16), "addi a0,sp,-16"),
        (addi(A0, ZERO, 5), "li a0,5"),
        (addi(A0, A1, 0), "mv a0,a1"),
        (addi(ZERO, ZERO, 0), "nop"),
        (lui(A0, 0xf_ffff), "lui a0,0xfffff"),
        (auipc(RA, 1), "auipc ra,0x1"),
        (jal(ZERO, 16), "j 0x1003c"),
        (jal(RA, -8), "jal 0x10024"),
        (jalr(ZERO, RA, 0), "ret"),
        (jalr(RA, A0, 4), "jalr 4(a0)"),
        (jalr(T0, A0, 4), "jalr t0,4(a0)"),
        (b(1, A0, ZERO, 8), "bnez a0,0x10034"),
        (b(6, A0, A1, -4), "bltu a0,a1,0x10028"),
        (ld(A0, SP, 8), "ld a0,8(sp)"),
        (sb(A0, SP, -1), "sb a0,-1(sp)"),
        (slli(A0, A0, 32), "slli a0,a0,0x20"),
        (i(0x1b, 0, A0, A1, 0), "sext.w a0,a1"),
        (i(0x13, 4, A0, A1, -1), "not a0,a1"),
        (mul(A0, A1, A2), "mul a0,a1,a2"),
        (r(0x33, 3, 0, [A0, ZERO, A2]), "snez a0,a2"),
        (r(0x2f, 3, 0x02 << 2, [A0, A1, ZERO]), "lr.d a0,(a1)"),
        (r(0x2f, 2, 0x03 << 2 | 1, [A0, A1, A2]), "sc.w.rl a0,a2,(a1)"),
        (r(0x2f, 2, 3, [A0, A1, A2]), "amoadd.w.aqrl a0,a2,(a1)"),
        (r(0x33, 2, 0x10, [A0, A1, A2]), "sh1add a0,a1,a2"),
        (r(0x3b, 6, 0x10, [A0, A1, A2]), "sh3add.uw a0,a1,a2"),
        (r(0x3b, 0, 0x04, [A0, A1, ZERO]), "zext.w a0,a1"),
        (r(0x3b, 4, 0x04, [A0, A1, ZERO]), "zext.h a0,a1"),
        (i(0x13, 5, A0, A1, 0x6b8), "rev8 a0,a1"),
        (i(0x13, 5, A0, A1, 0x287), "orc.b a0,a1"),
        (i(0x1b, 5, A0, A1, 0x600 | 7), "roriw a0,a1,0x7"),
        (i(0x13, 1, A0, A1, 0x280 | 33), "bseti a0,a1,0x21"),
        (r(0x33, 2, 0x05, [A0, A1, A2]), "clmulr a0,a1,a2"),
        (0x0ff0_000f, "fence"),
        (0x0000_100f, "fence.i"),
        (ECALL, "ecall"),
        (EBREAK, "ebreak"),
        (0x3400_1073, ".word 0x34001073"),
        (0x0000_852e, "mv a0,a1"),
        (0x0000_8082, "ret"),
        (0x0000_9002, "ebreak"),
        (0x0000_0000, ".short 0x0000"),
    ];
    for &(bits, text) in table {
        let place = 11 * 4;
        let mut code = addi(ZERO, ZERO, 0).to_le_bytes().repeat(11);
        code.extend(bits.to_le_bytes());
        let image = load(&image(&code));
        let line = disassemble_at(&image, TEXT + place).expect("inside");
        let length = if bits & 3 == 3 { 4 } else { 2 };
        assert_eq!((line.text.as_str(), line.length), (text, length));
    }
}

#[test]
fn an_image_is_walked_from_its_start() {
    let mut a = Assembler::new();
    a.push_half(0x0001).push(addi(A0, A0, 1)).push_half(0).push(ECALL);
    let image = load(&image(&a.finish()));
    let lines: Vec<_> = disassemble(&image).map(|line| (line.pc - TEXT, line.text)).collect();
    let expected = [(0, "nop"), (2, "addi a0,a0,1"), (6, ".short 0x0000"), (8, "ecall")];
    assert_eq!(lines, expected.map(|(pc, text)| (pc, text.to_string())));
    assert_eq!(disassemble_at(&image, TEXT + 1), None);
    assert_eq!(disassemble_at(&image, TEXT + 12), None);
}
