//! Calls between both machines: what comes back, what it costs, what is undone.

use alloy_primitives::U256;

use crate::{
    program::Program,
    world::{A, World, gas, output},
};

#[test]
fn a_guest_reads_and_writes_storage() {
    let mut guest = Program::new();
    let (key, value, out) = (guest.word(7), guest.word(9), guest.space(32));
    guest.call(0x55, &[key, value]);
    guest.call(0x54, &[key, out]);
    guest.ret(out, 32);
    let world = World::new().put(A, guest.container());
    let outcome = world.call(A);
    assert_eq!(output(&outcome), U256::from(9).to_be_bytes::<32>());
    assert_eq!(gas(&outcome), 21_000 + 22_100 + 100);
}
