//! Rows in memory over what is below, and how a record holds them.

use crate::mdbx::{self, Result, Rows, Table};
use alloy_primitives::Bytes;
use imbl::OrdMap;

/// Bytes for which a row counts as one more.
const ROW_BYTES: usize = 256;

/// Rows over what is below; no value stands for a row that is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    tables: Vec<LayerTable>,
    /// How many rows were put, long ones counting for more.
    pub(super) count: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct LayerTable {
    /// Whether nothing of what is below is there any more.
    pub(super) cleared: bool,
    /// By their keys; where a key has many values, by key and value.
    pub(super) rows: OrdMap<Bytes, Option<Bytes>>,
}

impl LayerTable {
    fn is_empty(&self) -> bool {
        !self.cleared && self.rows.is_empty()
    }
}

impl Layer {
    pub(super) fn table(&self, table: Table) -> Option<&LayerTable> {
        self.tables.get(table.place()).filter(|table| !table.is_empty())
    }

    fn table_mut(&mut self, place: usize) -> &mut LayerTable {
        if self.tables.len() <= place {
            self.tables.resize_with(place + 1, LayerTable::default);
        }
        &mut self.tables[place]
    }

    pub(super) fn put(&mut self, table: Table, key: Bytes, value: Option<Bytes>) {
        let len = key.len() + value.as_ref().map_or(0, |value| value.len());
        self.count += 1 + len / ROW_BYTES;
        self.table_mut(table.place()).rows.insert(key, value);
    }

    pub(super) fn clear(&mut self, table: Table) {
        self.count += 1;
        *self.table_mut(table.place()) = LayerTable { cleared: true, rows: OrdMap::new() };
    }

    /// For each table name ‖ whether it is cleared ‖ number of rows; for each row the key and the
    /// value, if it has one. Each is led by its length.
    pub(super) fn encode(&self, tables: &[Table], record: &mut Vec<u8>) {
        for table in tables {
            let Some(layer) = self.table(*table) else { continue };
            put_bytes(record, Some(table.name().as_bytes()));
            record.push(u8::from(layer.cleared));
            record.extend_from_slice(&(layer.rows.len() as u32).to_be_bytes());
            for (key, value) in &layer.rows {
                put_bytes(record, Some(key));
                put_bytes(record, value.as_ref().map(|value| &value[..]));
            }
        }
    }

    /// Puts newer rows over these.
    pub(super) fn put_all(&mut self, newer: Self) {
        self.count += newer.count;
        for (place, table) in newer.tables.into_iter().enumerate() {
            let own = self.table_mut(place);
            if table.cleared || own.rows.is_empty() {
                *own = LayerTable { cleared: table.cleared || own.cleared, rows: table.rows };
            } else {
                own.rows.extend(table.rows);
            }
        }
    }

    /// Adds what [`Layer::encode`] wrote.
    pub(super) fn add(&mut self, record: &Bytes, tables: &[Table]) -> Option<()> {
        let mut rest = record.clone();
        while !rest.is_empty() {
            let name = take_bytes(&mut rest)??;
            let table = *tables.iter().find(|table| table.name().as_bytes() == &name[..])?;
            if *rest.first()? != 0 {
                self.clear(table);
            }
            let count = u32::from_be_bytes(*rest.get(1..)?.first_chunk()?);
            rest = rest.slice(5..);
            for _ in 0..count {
                let key = take_bytes(&mut rest)??;
                self.put(table, key, take_bytes(&mut rest)?);
            }
        }
        Some(())
    }
}

/// Length plus one, 0 for nothing, and the bytes.
fn put_bytes(record: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let len = bytes.map_or(0, |bytes| bytes.len() as u32 + 1);
    record.extend_from_slice(&len.to_be_bytes());
    record.extend_from_slice(bytes.unwrap_or_default());
}

fn take_bytes(rest: &mut Bytes) -> Option<Option<Bytes>> {
    let len = u32::from_be_bytes(*rest.first_chunk()?) as usize;
    let end = 4 + len.saturating_sub(1);
    let bytes = (rest.len() >= end).then(|| rest.slice(4..end))?;
    *rest = rest.slice(end..);
    Some((len > 0).then_some(bytes))
}

impl LayerTable {
    pub(super) fn settle(&self, tx: &mdbx::Write, table: Table) -> Result<()> {
        if self.cleared {
            tx.clear(table)?;
        }
        let mut cursor = tx.cursor(table)?;
        for (key, value) in &self.rows {
            let (key, rest) = split(table, key);
            match (value, table.rows()) {
                (Some(value), Rows::Unique) => cursor.put(key, value)?,
                (Some(_), Rows::FixedDuplicates { .. }) => cursor.put(key, rest)?,
                (None, Rows::Unique) => {
                    tx.remove(table, key)?;
                }
                (None, Rows::FixedDuplicates { .. }) => {
                    tx.remove_value(table, key, rest)?;
                }
            }
        }
        Ok(())
    }
}

/// The key in the file, and the value where a key has many.
pub(super) fn split(table: Table, key: &[u8]) -> (&[u8], &[u8]) {
    match table.rows() {
        Rows::Unique => (key, &[]),
        Rows::FixedDuplicates { key_len } => key.split_at(key_len.min(key.len())),
    }
}
