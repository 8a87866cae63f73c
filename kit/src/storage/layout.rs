//! Which slots the fields of a struct have.

use super::Stored;

/// What the layout has to know of a field.
#[derive(Clone, Copy)]
pub struct Field {
    bytes: usize,
    packed: bool,
    slots: u64,
    transient: bool,
}

/// The field that is declared as `T`.
pub const fn field<T: Stored>() -> Field {
    Field { bytes: T::BYTES, packed: T::PACKED, slots: T::SLOTS, transient: T::TRANSIENT }
}

/// Where the fields of a struct are.
pub struct Layout<const N: usize> {
    /// Slot, counted from the struct's first, and offset in bytes from the slot's end.
    pub places: [(u64, usize); N],
    /// How many slots the struct takes.
    pub slots: u64,
}

/// The next free place.
#[derive(Clone, Copy)]
struct Cursor {
    slot: u64,
    used: usize,
}

impl Cursor {
    /// The next whole slot.
    const fn whole(self) -> u64 {
        if self.used > 0 { self.slot + 1 } else { self.slot }
    }

    const fn take(self, field: Field) -> ((u64, usize), Self) {
        if !field.packed {
            let slot = self.whole();
            return ((slot, 0), Self { slot: slot + field.slots, used: 0 });
        }
        let fits = self.used + field.bytes <= 32;
        let start = if fits { self } else { Self { slot: self.slot + 1, used: 0 } };
        ((start.slot, start.used), Self { slot: start.slot, used: start.used + field.bytes })
    }
}

/// Solidity's rules: values go into one slot, from its end, for as long as they fit; structs,
/// arrays and mappings start a slot, and so does what follows them.
pub const fn layout<const N: usize>(fields: [Field; N]) -> Layout<N> {
    let mut lasting = Cursor { slot: 0, used: 0 };
    let mut transient = lasting;
    let mut places = [(0, 0); N];
    let mut i = 0;
    while i < N {
        if fields[i].transient {
            (places[i], transient) = transient.take(fields[i]);
        } else {
            (places[i], lasting) = lasting.take(fields[i]);
        }
        i += 1;
    }
    // An empty struct takes a slot too.
    let slots = lasting.whole();
    Layout { places, slots: if slots == 0 { 1 } else { slots } }
}

#[cfg(test)]
mod tests {
    use super::super::{Map, Transient};
    use super::*;
    use crate::abi::{FixedBytes, Uint};
    use crate::{Address, U256};

    #[test]
    fn fields_are_packed_as_solidity_packs_them() {
        const LAYOUT: Layout<12> = layout([
            field::<bool>(),               // 0: 0
            field::<Address>(),            // 0: 1
            field::<u64>(),                // 0: 21
            field::<u32>(),                // 1: 0 (three bytes are left in slot 0)
            field::<Map<Address, U256>>(), // 2
            field::<Transient<bool>>(),    // transient 0: 0
            field::<u8>(),                 // 3: 0
            field::<Transient<Address>>(), // transient 0: 1
            field::<[Uint<112>; 3]>(),     // 4 and 5: two in a slot
            field::<FixedBytes<4>>(),      // 6: 0
            field::<U256>(),               // 7
            field::<i8>(),                 // 8: 0
        ]);
        let expected = [
            (0, 0),
            (0, 1),
            (0, 21),
            (1, 0),
            (2, 0),
            (0, 0),
            (3, 0),
            (0, 1),
            (4, 0),
            (6, 0),
            (7, 0),
            (8, 0),
        ];
        assert_eq!(LAYOUT.places, expected);
        assert_eq!(LAYOUT.slots, 9);
    }
}
