//! Cursors over the rows of a transaction: at each step the nearest row of the layers and of the
//! file is the next one, unless it is gone.

use super::{TransactionKind, Txn, Writing, layer::split};
use crate::mdbx::{ReadCursor, Result, Row, Rows, Table};
use alloy_primitives::Bytes;
use std::{borrow::Cow, cmp::Ordering, ops::Bound};

/// A position in a table.
pub(crate) struct Cursor<'tx, K: TransactionKind> {
    tx: &'tx Txn<K>,
    table: Table,
    base: ReadCursor<'tx>,
    /// The row of the file that comes next on the way.
    ahead: Option<(Way, Option<Row<'tx>>)>,
    /// The row of the layers that comes next on the way, and whether the file's rows are gone; kept
    /// where no row is written on the way.
    over: Option<(Way, Option<Over>, bool)>,
    /// Where it is: a key, with the value where a key has many.
    at: Option<Vec<u8>>,
}

/// The way of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}

impl Way {
    /// How two keys follow each other on this way.
    const fn order(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Forth => ordering,
            Self::Back => ordering.reverse(),
        }
    }
}

impl<'tx, K: TransactionKind> Cursor<'tx, K> {
    pub(super) const fn new(tx: &'tx Txn<K>, table: Table, base: ReadCursor<'tx>) -> Self {
        Self { tx, table, base, ahead: None, over: None, at: None }
    }

    /// Whether there is a row of this key; where keys have many values, of this key and value.
    pub(super) fn is_at(&mut self, key: &[u8]) -> Result<bool> {
        let found = self.step(Way::Forth, Bound::Included(key.to_vec()))?;
        Ok(found.is_some() && self.at.as_deref() == Some(key))
    }

    /// Goes to the first row whose key is `key` or after it.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<Option<Row<'tx>>> {
        self.forget_ahead();
        self.step(Way::Forth, Bound::Included(key.to_vec()))
    }

    /// Goes to the first row.
    pub(crate) fn first(&mut self) -> Result<Option<Row<'tx>>> {
        self.forget_ahead();
        self.step(Way::Forth, Bound::Unbounded)
    }

    /// Goes to the next row, or to the first one.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'tx>>> {
        let from = self.at.take().map_or(Bound::Unbounded, Bound::Excluded);
        self.step(Way::Forth, from)
    }

    /// Goes to the row before.
    pub(crate) fn previous(&mut self) -> Result<Option<Row<'tx>>> {
        let from = self.at.take().map_or(Bound::Unbounded, Bound::Excluded);
        self.step(Way::Back, from)
    }

    /// Goes to the last row.
    pub(crate) fn last(&mut self) -> Result<Option<Row<'tx>>> {
        self.forget_ahead();
        self.step(Way::Back, Bound::Unbounded)
    }

    /// Goes to the first of the key's values that is `value` or after it.
    pub(crate) fn seek_value(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Cow<'tx, [u8]>>> {
        let row = self.seek(&[key, value].concat())?;
        Ok(row.filter(|(found, _)| **found == *key).map(|(_, value)| value))
    }

    /// Goes to the nearest row on the way from a place.
    fn step(&mut self, way: Way, mut from: Bound<Vec<u8>>) -> Result<Option<Row<'tx>>> {
        loop {
            let (over, is_cleared) = self.over(way, &from);
            let below = if is_cleared { None } else { self.below(way, &from)? };
            let order = match (&over, &below) {
                (None, None) => {
                    if let Bound::Included(at) | Bound::Excluded(at) = from {
                        self.at = Some(at);
                    }
                    return Ok(None);
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some(below)) => {
                    way.order(compare(self.table, below, key).reverse())
                }
            };
            let mut at = match from {
                Bound::Included(buffer) | Bound::Excluded(buffer) => buffer,
                Bound::Unbounded => Vec::new(),
            };
            at.clear();
            match (over, below) {
                (Some((key, value)), _) if order.is_le() => {
                    at.extend_from_slice(&key);
                    let Some(value) = value else {
                        from = Bound::Excluded(at);
                        continue;
                    };
                    self.at = Some(at);
                    let (own, rest) = split(self.table, &key);
                    let value = if self.table.rows() == Rows::Unique { &value } else { rest };
                    return Ok(Some((Cow::Owned(own.to_vec()), Cow::Owned(value.to_vec()))));
                }
                (over, Some(row)) => {
                    self.over = Some((way, over, is_cleared));
                    at.extend_from_slice(&row.0);
                    if self.table.rows() != Rows::Unique {
                        at.extend_from_slice(&row.1);
                    }
                    self.at = Some(at);
                    return Ok(Some(row));
                }
                (_, None) => return Ok(None),
            }
        }
    }

    /// Leaves the way, for another place.
    fn forget_ahead(&mut self) {
        (self.ahead, self.over) = (None, None);
    }

    /// The layers' nearest row on the way from a place, and whether the file's rows are gone.
    fn over(&mut self, way: Way, from: &Bound<Vec<u8>>) -> (Option<Over>, bool) {
        if let Some((ahead, over, is_cleared)) = self.over.take()
            && ahead == way
            && self.tx.kind.staged().is_none()
            && over.as_ref().is_none_or(|(key, _)| match from {
                Bound::Unbounded => false,
                Bound::Included(at) => way.order(key[..].cmp(at)).is_ge(),
                Bound::Excluded(at) => way.order(key[..].cmp(at)).is_gt(),
            })
        {
            return (over, is_cleared);
        }
        self.tx.nearest(self.table, way, from.as_ref().map(|key| &**key))
    }

    /// The file's nearest row on the way from a place.
    fn below(&mut self, way: Way, from: &Bound<Vec<u8>>) -> Result<Option<Row<'tx>>> {
        let mut row = match self.ahead.take() {
            Some((ahead, row)) if ahead == way => row,
            _ => match from {
                Bound::Unbounded if way == Way::Back => self.base.last()?,
                Bound::Unbounded => self.base.first()?,
                Bound::Included(key) | Bound::Excluded(key) => self.seek_below(way, key)?,
            },
        };
        while let Some(found) = &row {
            let is_ahead = match from {
                Bound::Unbounded => true,
                Bound::Included(key) => way.order(compare(self.table, found, key)).is_ge(),
                Bound::Excluded(key) => way.order(compare(self.table, found, key)).is_gt(),
            };
            if is_ahead {
                break;
            }
            row = match way {
                Way::Forth => self.base.next()?,
                Way::Back => self.base.previous()?,
            };
        }
        self.ahead = Some((way, row.clone()));
        Ok(row)
    }

    /// Goes, in the file, to the first row at a key or after it; on the way back, if there is none,
    /// to the last one.
    fn seek_below(&mut self, way: Way, key: &[u8]) -> Result<Option<Row<'tx>>> {
        let (own, rest) = split(self.table, key);
        let row = if rest.is_empty() {
            self.base.seek(own)?
        } else {
            match self.base.seek_value(own, rest)? {
                Some(value) => Some((Cow::Owned(own.to_vec()), value)),
                // No key has more bytes.
                None => self.base.seek(&[own, &[0]].concat())?,
            }
        };
        if row.is_none() && way == Way::Back { self.base.last() } else { Ok(row) }
    }
}

impl Cursor<'_, Writing> {
    /// Removes the row at hand.
    pub(crate) fn remove(&mut self) {
        if let Some(at) = &self.at {
            self.tx.remove_at(self.table, at);
        }
    }
}

impl<K: TransactionKind> Txn<K> {
    /// The row of the layers that comes next, and whether the file's rows are gone.
    fn nearest(&self, table: Table, way: Way, from: Bound<&[u8]>) -> (Option<Over>, bool) {
        let mut nearest = None;
        let staged = self.kind.staged();
        for layer in staged.as_deref().into_iter().chain(self.layers.iter().map(|layer| &**layer)) {
            let Some(layer) = layer.table(table) else { continue };
            let found = match way {
                Way::Forth => layer.rows.range::<_, [u8]>((from, Bound::Unbounded)).next(),
                Way::Back => layer.rows.range::<_, [u8]>((Bound::Unbounded, from)).next_back(),
            };
            if let Some((key, value)) = found
                && nearest.as_ref().is_none_or(|(other, _)| way.order(key.cmp(other)).is_lt())
            {
                nearest = Some((key.clone(), value.clone()));
            }
            if layer.cleared {
                return (nearest, true);
            }
        }
        (nearest, false)
    }
}

/// A row of a layer.
type Over = (Bytes, Option<Bytes>);

/// How a row of the file compares with a key of a layer.
fn compare(table: Table, (key, value): &Row<'_>, other: &[u8]) -> Ordering {
    let (own, rest) = split(table, other);
    let values =
        || if table.rows() == Rows::Unique { Ordering::Equal } else { (**value).cmp(rest) };
    (**key).cmp(own).then_with(values)
}
