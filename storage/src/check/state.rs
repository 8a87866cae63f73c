//! The newest state against the head's root, and each older one against its block's: history is
//! undone change by change, and every root that is recorded has to come out of the leaves.

use super::{Fault, Rules, Verified, ensure_root, ensure_row, row_fault};
use crate::{
    DataDir, Merkle,
    codec::{self, BLOCK_PART, ChangeRow, HistoryKey},
    database::{Cursor, Reading},
    mdbx::{Row, Table},
    tables::meta,
};
use alloy_primitives::{Address, B256, keccak256};
use state::{StateTree, is_empty_code};
use std::collections::{BTreeMap, HashMap, HashSet};
use tree::{BasicData, HashFunction, Key, Stem, Update, sub};

/// Leaves that are fed to the tree at a time.
const BATCH: usize = 1 << 14;

/// What was learned of the codes.
#[derive(Default)]
struct Codes {
    sizes: HashMap<B256, u32>,
    holders: BTreeMap<B256, u64>,
    /// Leaves of code that there are.
    chunks: u64,
}

impl DataDir {
    pub(super) fn verify_state(
        &self,
        rules: &Rules<'_>,
        verified: &mut Verified,
    ) -> Result<(), Fault> {
        let hash = state::tree_hash(rules.spec().tree_hash);
        let mut codes = Codes { sizes: self.verify_codes()?, ..Codes::default() };
        verified.codes = codes.sizes.len() as u64;
        self.verify_preimages(hash)?;
        let tree = self.verify_leaves(rules, &mut codes, verified)?;
        self.verify_holders(hash, &codes)?;
        let number = self.head.number;
        let header = self.header_root(number)?;
        // Edits are in no header yet, and the first block of a forked chain has another one's.
        let is_other = rules.forked && number == self.first() || self.is_loaded(number);
        let has_root = self.head.edits == 0 && !is_other;
        if has_root {
            let rebuilt = match rules.spec().is_ethereum() {
                true => self.merkle()?.root(),
                false => tree.root(),
            };
            ensure_root("head", number, (header, rebuilt))?;
        }
        self.verify_history(rules, (tree, &codes), verified)
    }

    /// Checks every code, and gives its size.
    fn verify_codes(&self) -> Result<HashMap<B256, u32>, Fault> {
        let table = self.tables.code;
        let mut sizes = HashMap::new();
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, code)) = row {
            let hash = keccak256(&code);
            ensure_row(*hash == *key, (table, &key), "not the code of this hash")?;
            sizes.insert(hash, code.len() as u32);
            row = rows.next()?;
        }
        Ok(sizes)
    }

    fn verify_preimages(&self, hash: HashFunction) -> Result<(), Fault> {
        let table = self.tables.addresses;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let stem = Address::try_from(&*value).ok().map(|address| Stem::of(hash, address));
            let holds = stem.is_some_and(|stem| *stem.0 == *key);
            ensure_row(holds, (table, &key), "not the address of this stem")?;
            row = rows.next()?;
        }
        let table = self.tables.slot_groups;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let group = codec::read_slot_group(&value);
            let hash = group.and_then(|(address, group)| {
                // Slots below 64 lie in the header; the others of group 0 do not.
                state::slot_key(hash, address, (group << 8) | alloy_primitives::U256::from(255))
                    .slot_group()
            });
            let holds = hash.is_some_and(|hash| *hash == *key);
            ensure_row(holds, (table, &key), "not the slots of this hash")?;
            row = rows.next()?;
        }
        Ok(())
    }

    /// Checks every leaf of the newest state, and gives the tree.
    fn verify_leaves(
        &self,
        rules: &Rules<'_>,
        codes: &mut Codes,
        verified: &mut Verified,
    ) -> Result<StateTree, Fault> {
        let table = self.tables.leaves;
        let mut tree = StateTree::new(state::tree_hash(rules.spec().tree_hash));
        let mut batch = Vec::with_capacity(BATCH);
        let mut basic: Option<(Key, BasicData)> = None;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((bytes, value)) = row {
            let key = Key::parse(&bytes).filter(|key| key.as_slice() == &*bytes);
            let value = codec::read_word(&value);
            let leaf = key.zip(value).filter(|(_, value)| rules.forked || !value.is_zero());
            let (key, value) = leaf.ok_or_else(|| row_fault(table, &bytes, "no leaf"))?;
            self.verify_owner(&key)?;
            match key.zone() {
                tree::CODE_ZONE => codes.chunks += 1,
                tree::HEADER_ZONE if key.sub() == sub::BASIC_DATA => {
                    let data = BasicData::decode(&value);
                    let data = data.map_err(|_| row_fault(table, &bytes, "no account"))?;
                    basic = Some((key, data));
                }
                tree::HEADER_ZONE if key.sub() == sub::CODE_HASH => {
                    let data =
                        basic.filter(|(at, _)| at.stem() == key.stem()).map(|(_, data)| data);
                    let size = data.map_or(0, |data| data.code_size);
                    let known =
                        if is_empty_code(value) { Some(&0) } else { codes.sizes.get(&value) };
                    ensure_row(known == Some(&size), (table, &bytes), "no code of this size")?;
                    if !is_empty_code(value) {
                        *codes.holders.entry(value).or_default() += 1;
                    }
                }
                _ => {}
            }
            batch.push(Update { key, value: Some(value) });
            if batch.len() == BATCH {
                tree.apply(&batch);
                batch.clear();
            }
            verified.leaves += 1;
            row = rows.next()?;
        }
        tree.apply(&batch);
        verified.roots += 1;
        ensure_root("the newest state, at block", self.head.number, (self.head.root, tree.root()))?;
        Ok(tree)
    }

    /// Checks that the address and the slot of a leaf can be told.
    fn verify_owner(&self, key: &Key) -> Result<(), Fault> {
        let lacks = |table: Table, at: B256| -> Result<(), Fault> {
            let known = self.tx.value(table, at.as_slice())?.is_some();
            ensure_row(known, (table, at.as_slice()), "missing, but there are leaves of it")
        };
        if let Some(stem) = key.stem() {
            lacks(self.tables.addresses, stem.0)?;
        }
        if let Some(group) = key.slot_group() {
            lacks(self.tables.slot_groups, group)?;
        }
        Ok(())
    }

    fn verify_holders(&self, hash: HashFunction, codes: &Codes) -> Result<(), Fault> {
        let (table, mut chunks) = (self.tables.code_holders, 0);
        for (code_hash, count) in &codes.holders {
            let at = (table, code_hash.as_slice());
            let row = self.tx.value(at.0, at.1)?;
            let stored = row.as_deref().and_then(codec::read_number);
            ensure_row(stored == Some(*count), at, "not the number of the code's holders")?;
            let code = self.tx.value(self.tables.code, code_hash.as_slice())?.unwrap_or_default();
            for (key, chunk) in state::code_leaves(hash, *code_hash, &code) {
                let leaf = self.tx.value(self.tables.leaves, key.as_slice())?;
                let at = (self.tables.leaves, key.as_slice());
                ensure_row(leaf.as_deref() == Some(&*chunk), at, "not the code's chunk")?;
                chunks += 1;
            }
        }
        self.ensure_rows(table, codes.holders.len() as u64)?;
        match codes.chunks == chunks {
            true => Ok(()),
            false => Err(Fault::Rows {
                table: "leaves, zone of code",
                rows: codes.chunks,
                expected: chunks,
            }),
        }
    }

    /// The state as a Merkle trie.
    pub(crate) fn merkle(&self) -> Result<Merkle, Fault> {
        Ok(Merkle::of_accounts(self.accounts()?))
    }

    fn header_root(&self, number: u64) -> Result<B256, Fault> {
        let key = codec::number_key(number);
        let row = self.tx.value(self.tables.headers, &key)?;
        let header = row.as_deref().and_then(codec::read_header);
        let (_, header) =
            header.ok_or_else(|| row_fault(self.tables.headers, &key, "no header"))?;
        Ok(header.state_root)
    }

    /// Undoes every change that is kept, newest first.
    fn verify_history(
        &self,
        rules: &Rules<'_>,
        (tree, codes): (StateTree, &Codes),
        verified: &mut Verified,
    ) -> Result<(), Fault> {
        let table = self.tables.changes;
        let is_ethereum = rules.spec().is_ethereum();
        let mut walk = Undo { data: self, codes, forked: rules.forked, tree, old_values: 0 };
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.last()?;
        let first = self.first();
        let oldest = self.pruned.kept.max(first);
        let mut number = self.head.number + 1;
        if oldest > self.head.number {
            let at = (self.tables.meta, meta::PRUNED);
            return ensure_row(false, at, "the state of no block is kept");
        }
        if self.head.edits > 0 {
            let mut parts = Vec::new();
            for part in (0..self.head.edits).rev() {
                parts.push(read_change(table, row, (number, part))?);
                row = rows.previous()?;
            }
            walk.undo(number, parts, verified)?;
        }
        while number > oldest {
            number -= 1;
            let is_other = is_ethereum || self.is_loaded(number);
            if number == first && !is_other {
                break;
            }
            let mut parts = vec![read_change(table, row, (number, BLOCK_PART))?];
            row = rows.previous()?;
            if is_other {
                // The header has the root of another tree.
                ensure_root("block", number, (parts[0].root, walk.tree.root()))?;
            } else {
                ensure_root("block", number, (self.header_root(number)?, parts[0].root))?;
            }
            while let Some((key, _)) =
                row.as_ref().filter(|(key, _)| key.starts_with(&codec::number_key(number)))
            {
                let (_, part) =
                    codec::read_pair(key).ok_or_else(|| row_fault(table, key, "no key"))?;
                parts.push(read_change(table, row.take(), (number, part))?);
                row = rows.previous()?;
            }
            if number > first {
                walk.undo(number, parts, verified)?;
            }
        }
        verified.states = (number, self.head.number);
        verified.old_values = walk.old_values;
        let has_root = !(is_ethereum || rules.forked && oldest == first);
        if has_root {
            // What is undone by now is the oldest block itself, if there is history before it.
            let before = oldest.saturating_sub(u64::from(oldest > first));
            let is_other = rules.forked && before == first || self.is_loaded(before);
            let recorded = if is_other { walk.tree.root() } else { self.header_root(before)? };
            ensure_root("block", before, (recorded, walk.tree.root()))?;
        }
        let left = self.verify_pruned(&mut walk, (rows, row))?;
        self.ensure_rows(self.tables.history, walk.old_values + left)
    }

    /// Undoes the changes that are to go and have not gone yet; counts their older values.
    fn verify_pruned<'a>(
        &'a self,
        walk: &mut Undo<'_>,
        (mut rows, mut row): (Cursor<'a, Reading>, Option<Row<'a>>),
    ) -> Result<u64, Fault> {
        let (table, mut left, mut newer) = (self.tables.changes, 0, (self.pruned.kept, 0));
        while let Some((key, value)) = row.take() {
            let follows = |(number, part): &(u64, u32)| match newer {
                (newer, 0) => (number.checked_add(1), *part) == (Some(newer), BLOCK_PART),
                (newer, BLOCK_PART) if *part == BLOCK_PART => number.checked_add(1) == Some(newer),
                (newer, BLOCK_PART) => *number == newer,
                (newer, later) => (*number, *part) == (newer, later - 1),
            };
            let place = codec::read_pair(&key).filter(follows);
            let place = place.ok_or_else(|| row_fault(table, &key, "a change of no block"))?;
            newer = place;
            let change = read_change(table, Some((key, value)), place)?;
            row = rows.previous()?;
            // Only the oldest row is gone in part.
            let done = if row.is_none() { self.pruned.done as usize } else { 0 };
            let kept = change.leaves.iter().skip(done);
            for leaf in kept.filter(|leaf| leaf.first) {
                walk.verify_first(leaf, place.0)?;
                left += 1;
            }
            walk.undo_part(place.0, &change)?;
        }
        Ok(left)
    }
}

fn read_change(
    table: Table,
    row: Option<Row<'_>>,
    (number, part): (u64, u32),
) -> Result<ChangeRow, Fault> {
    let expected = codec::pair_key(number, part);
    let fault = |what| row_fault(table, &expected, what);
    let (key, value) = row.ok_or_else(|| fault("the change is missing"))?;
    if *key != expected {
        return Err(fault("the change is missing, or there is one too many"));
    }
    let change = ChangeRow::decode(&value).ok_or_else(|| fault("no change"))?;
    let ascend = change.leaves.is_sorted_by(|one, next| one.key < next.key);
    if change.encode() != *value || !ascend {
        return Err(fault("no canonical change"));
    }
    Ok(change)
}

/// The state on its way back.
struct Undo<'a> {
    data: &'a DataDir,
    codes: &'a Codes,
    forked: bool,
    tree: StateTree,
    old_values: u64,
}

impl Undo<'_> {
    /// Undoes the parts of a block's changes, newest first.
    fn undo(
        &mut self,
        number: u64,
        parts: Vec<ChangeRow>,
        verified: &mut Verified,
    ) -> Result<(), Fault> {
        let mut seen = HashSet::new();
        for change in parts.iter().rev() {
            for leaf in &change.leaves {
                let key = HistoryKey::new(&leaf.key, number);
                let at = (self.data.tables.history, key.as_slice());
                let is_first = seen.insert(leaf.key);
                ensure_row(leaf.first == is_first, at, "a change says wrongly who was first")?;
                if is_first {
                    self.verify_first(leaf, number)?;
                    self.old_values += 1;
                }
                self.verify_old_leaf(leaf)?;
            }
        }
        verified.roots += parts.len() as u64;
        parts.iter().try_for_each(|change| self.undo_part(number, change))
    }

    fn undo_part(&mut self, number: u64, change: &ChangeRow) -> Result<(), Fault> {
        ensure_root("after a change of block", number, (change.root, self.tree.root()))?;
        let back = |leaf: &codec::ChangedLeaf| Update { key: leaf.key, value: leaf.old };
        let updates: Vec<_> = change.leaves.iter().map(back).collect();
        self.tree.apply(&updates);
        let rebuilt = self.tree.root();
        ensure_root("before a change of block", number, (change.root_before, rebuilt))
    }

    /// Checks that the history has the value of a leaf before a block.
    fn verify_first(&self, leaf: &codec::ChangedLeaf, number: u64) -> Result<(), Fault> {
        let key = HistoryKey::new(&leaf.key, number);
        let at = (self.data.tables.history, key.as_slice());
        let row = self.data.tx.value(at.0, at.1)?;
        let old = row.as_deref().and_then(codec::read_old_value);
        ensure_row(old == Some(leaf.old), at, "not the value before the block")
    }

    /// Checks that an older value can be told the owner of, and that its code is there.
    fn verify_old_leaf(&self, leaf: &codec::ChangedLeaf) -> Result<(), Fault> {
        let Some(old) = leaf.old else { return Ok(()) };
        self.data.verify_owner(&leaf.key)?;
        let is_code = leaf.key.zone() == tree::HEADER_ZONE && leaf.key.sub() == sub::CODE_HASH;
        // A forked chain reads in the other one's state what it never wrote itself.
        if !is_code || is_empty_code(old) || self.forked {
            return Ok(());
        }
        let at = (self.data.tables.code, old.as_slice());
        ensure_row(self.codes.sizes.contains_key(&old), at, "the code of an older state is missing")
    }
}
