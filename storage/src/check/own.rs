//! What is the store's own: the folds against the root of the state that they are of, and rows
//! that nothing else tells, each against its check.

use super::{Fault, Rules, ensure_root, ensure_row, row_fault};
use crate::{
    DataDir,
    codec::{self, ChangeRow},
    tables::meta,
};
use state::StateTree;

impl DataDir {
    pub(super) fn verify_own(&self, rules: &Rules<'_>) -> Result<(), Fault> {
        let table = self.tables.meta;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, _)) = row {
            ensure_row(meta::ALL.contains(&&*key), (table, &key), "a value of an unknown name")?;
            row = rows.next()?;
        }
        let (number, hash) = self.genesis;
        let value = [&codec::number_key(number)[..], hash.as_slice()].concat();
        let checked = codec::checked(&self.tables.first_rows(&self.tx, self.first())?, &value);
        let at = (table, meta::GENESIS);
        let stored = self.tx.value(at.0, at.1)?;
        ensure_row(stored.as_deref() == Some(&*checked), at, "not the check of the first block")?;
        let table = self.tables.notes;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let holds = codec::read_checked(&key, &value).is_some();
            ensure_row(holds, (table, &key), "not the check of the note")?;
            row = rows.next()?;
        }
        self.verify_folds(rules)
    }

    fn verify_folds(&self, rules: &Rules<'_>) -> Result<(), Fault> {
        let (table, at) = (self.tables.folds, (self.tables.meta, meta::FOLDS));
        let mut folds = Vec::new();
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let fold = codec::read_fold(&key, &value);
            folds.push(fold.ok_or_else(|| row_fault(table, &key, "no fold"))?);
            row = rows.next()?;
        }
        // Without a place the rows are not read.
        let Some(row) = self.tx.value(at.0, at.1)? else { return Ok(()) };
        let place = codec::read_checked(at.1, &row).and_then(codec::read_pair);
        let (number, part) = place.ok_or_else(|| row_fault(at.0, at.1, "no place"))?;
        let tree = StateTree::of_folds(state::tree_hash(rules.spec().tree_hash), folds);
        let tree = tree.ok_or_else(|| row_fault(at.0, at.1, "the folds are of no tree"))?;
        // The change that they go with may have been let go of: then nobody reads them.
        let change = self.tx.value(self.tables.changes, &codec::pair_key(number, part))?;
        if let Some(change) = change.as_deref().and_then(ChangeRow::decode) {
            ensure_root("the folds as of block", number, (change.root, tree.root()))?;
        }
        Ok(())
    }
}
