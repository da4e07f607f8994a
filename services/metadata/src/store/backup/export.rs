//! Reads all rows of a database at one snapshot, a page at a time.

use crate::store::{
    engine::{DatabaseError, Engine, Tx, Value},
    migrate::{MIGRATIONS, applied_in},
};

use super::{
    BackupError, Header, schema_checksum,
    tables::{Column, TABLES, Table, columns, page_sql},
};

/// Rows that are in memory at a time: with manifests of 16 KiB at most, 8 MiB.
const BATCH: usize = 512;

/// What a backup consists of after its header, in this order: for each table its columns and then its rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Table { name: String, columns: Vec<Column> },
    Rows(Vec<Vec<Value>>),
}

/// A snapshot that is being read.
pub(super) struct Export {
    tx: Tx,
    left: std::slice::Iter<'static, Table>,
    current: Option<Reading>,
}

struct Reading {
    table: &'static Table,
    columns: Vec<Column>,
    /// Where the columns of the key are among the columns.
    key: Vec<usize>,
    after: Option<Vec<Value>>,
}

impl Export {
    /// Takes the snapshot of a database that is no source of a migration.
    pub(super) async fn begin(engine: &Engine) -> Result<(Self, Header), BackupError> {
        match Self::begin_any(engine).await? {
            (_, _, Some(_)) => Err(BackupError::Migrated),
            (export, header, None) => Ok((export, header)),
        }
    }

    /// Takes the snapshot of a database that is marked as being migrated.
    pub(super) async fn begin_migrating(engine: &Engine) -> Result<(Self, Header), BackupError> {
        let (export, header, _) = Self::begin_any(engine).await?;
        Ok((export, header))
    }

    async fn begin_any(engine: &Engine) -> Result<(Self, Header, Option<i64>), BackupError> {
        let mut tx = engine.snapshot().await?;
        let schema = applied_in(&mut tx).await?;
        // Of another schema there are tables and columns that nobody here knows to copy.
        let newer = BackupError::NewerDatabase {
            found: schema.version,
            known: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
        };
        let version = usize::try_from(schema.version).unwrap_or(usize::MAX);
        let migrations = MIGRATIONS.get(..version).ok_or(newer)?;
        if schema_checksum(migrations) != schema.checksum {
            return Err(BackupError::OtherDatabase);
        }
        // Columns that databases of earlier releases do not have.
        let has = |columns: &[Column], name| columns.iter().any(|column| column.name == name);
        let known = columns(&mut tx, "cluster").await?;
        let later = if has(&known, "migrated_ms") { "c.cluster_id, c.migrated_ms" } else { "NULL, NULL" };
        let sql = format!("SELECT c.epoch, {later} FROM cluster AS c WHERE c.singleton = 1");
        let row = tx.fetch_optional(&sql, Vec::new()).await?;
        let mut row = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?;
        let (epoch, cluster) = (row.i64()?, row.optional_bytes()?.unwrap_or_default());
        let migrated_ms = row.optional_i64()?;
        let taken_ms = tx.now_ms().await?;
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { schema, cluster: cluster.to_vec(), epoch, taken_ms, program };
        Ok((Self { tx, left: TABLES.iter(), current: None }, header, migrated_ms))
    }

    /// The next piece; none at the end, when the snapshot is let go.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        loop {
            let Some(reading) = &mut self.current else {
                let Some(table) = self.left.next() else { return Ok(None) };
                let columns = columns(&mut self.tx, table.name).await?;
                if columns.is_empty() {
                    // A database of an earlier release has no such table.
                    continue;
                }
                let place = |name: &&str| columns.iter().position(|column| column.name == **name);
                let key: Option<Vec<usize>> = table.key.iter().map(place).collect();
                let key =
                    key.ok_or_else(|| DatabaseError::Internal(format!("{} has another key", table.name)))?;
                let piece = Piece::Table { name: table.name.to_owned(), columns: columns.clone() };
                self.current = Some(Reading { table, columns, key, after: None });
                return Ok(Some(piece));
            };
            let rows = reading.page(&mut self.tx).await?;
            if rows.len() < BATCH {
                self.current = None;
            }
            if !rows.is_empty() {
                return Ok(Some(Piece::Rows(rows)));
            }
        }
    }

    pub(super) async fn end(self) {
        self.tx.roll_back().await;
    }
}

impl Reading {
    async fn page(&mut self, tx: &mut Tx) -> Result<Vec<Vec<Value>>, DatabaseError> {
        let sql = page_sql(self.table, &self.columns, self.after.is_none());
        let mut values = self.after.take().unwrap_or_default();
        values.push(i64::try_from(BATCH).unwrap_or(i64::MAX).into());
        let mut rows = Vec::with_capacity(BATCH);
        for row in tx.fetch_all(&sql, values).await? {
            let typed = row.into_values().into_iter().zip(&self.columns).map(|(value, column)| {
                column.kind.take(value).ok_or_else(|| {
                    DatabaseError::Internal(format!(
                        "a value of {}.{} is no {}",
                        self.table.name, column.name, column.kind
                    ))
                })
            });
            rows.push(typed.collect::<Result<Vec<Value>, _>>()?);
        }
        self.after = rows.last().map(|row| self.key.iter().filter_map(|at| row.get(*at).cloned()).collect());
        Ok(rows)
    }
}
