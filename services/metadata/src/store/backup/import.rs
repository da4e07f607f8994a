//! Fills an empty database, all in one transaction: what does not come to its end was never there.

use std::collections::BTreeMap;

use crate::store::{
    engine::{DatabaseError, Engine, Rows, Tx, Value},
    migrate::{MIGRATIONS, MigrateError, migrate_in},
};

use super::{
    BackupError, Header,
    advance::{advance_in, settle_in},
    export::Piece,
    tables::{Column, TABLES, columns, find},
};

/// What becomes of the rows once they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are of an earlier moment than the disks.
    Restore,
    /// They are as they were when their services stopped.
    Migrate,
}

/// A database that is being filled.
pub(super) struct Import {
    tx: Tx,
    current: Option<Filling>,
    rows: BTreeMap<String, u64>,
}

struct Filling {
    name: String,
    columns: Vec<Column>,
    sql: String,
}

impl Import {
    /// Makes the schema that the backup has in a database without tables.
    pub(super) async fn begin(engine: &Engine, header: &Header) -> Result<Self, BackupError> {
        let schema = usize::try_from(header.schema.version).unwrap_or(usize::MAX);
        let Some(migrations) = MIGRATIONS.get(..schema) else {
            return Err(BackupError::NewerSchema {
                found: header.schema.version,
                known: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
            });
        };
        if schema == 0 || super::schema_checksum(migrations) != header.schema.checksum {
            return Err(BackupError::OtherSchema);
        }
        let mut tx = engine.begin().await?;
        match prepare(&mut tx, migrations).await {
            Ok(()) => Ok(Self { tx, current: None, rows: BTreeMap::new() }),
            Err(error) => {
                tx.roll_back().await;
                Err(error)
            }
        }
    }

    /// Takes a piece in.
    pub(super) async fn take(&mut self, piece: Piece) -> Result<(), BackupError> {
        match piece {
            Piece::Table { name, columns } => self.table(name, columns).await,
            Piece::Rows(rows) => self.rows(rows).await,
        }
    }

    /// Tables are filled one after the other, each once, and have the columns that this program gave them.
    async fn table(&mut self, name: String, given: Vec<Column>) -> Result<(), BackupError> {
        if find(&name).is_none() || self.rows.contains_key(&name) {
            return Err(BackupError::Table { table: name, problem: "is unknown or comes twice" });
        }
        let mut known = columns(&mut self.tx, &name).await?;
        let mut sorted = given.clone();
        known.sort_by(|one, other| one.name.cmp(&other.name));
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        if known.is_empty() || known != sorted {
            return Err(BackupError::Table { table: name, problem: "has other columns than its schema" });
        }
        // The names are those of the catalogue.
        let names: Vec<&str> = given.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<String> = (1..=given.len()).map(|number| format!("r.column{number}")).collect();
        let sql = format!(
            "INSERT INTO {name} ({}) SELECT {} FROM {{rows}} AS r WHERE r.column1 IS NOT NULL",
            names.join(", "),
            values.join(", ")
        );
        self.rows.insert(name.clone(), 0);
        self.current = Some(Filling { name, columns: given, sql });
        Ok(())
    }

    async fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), BackupError> {
        let Some(Filling { name, columns, sql }) = &self.current else {
            return Err(BackupError::Table { table: "none".to_owned(), problem: "has rows" });
        };
        let count = rows.len();
        let mut list = Rows::default();
        for row in rows {
            if row.len() != columns.len() || matches!(row.first(), Some(Value::Number(None))) {
                return Err(BackupError::Table {
                    table: name.clone(),
                    problem: "has a row that does not fit",
                });
            }
            let typed = row.into_iter().zip(columns).map(|(value, column)| column.kind.take(value));
            let typed: Option<Vec<Value>> = typed.collect();
            list.push_row(typed.ok_or_else(|| BackupError::Table {
                table: name.clone(),
                problem: "has a value that is not of its column's kind",
            })?);
        }
        self.tx.execute_rows(sql, &[], &list).await?;
        if let Some(sum) = self.rows.get_mut(name) {
            *sum += count as u64;
        }
        Ok(())
    }

    /// Brings the schema up to this program's and makes everything visible. Answers the rows of each table.
    pub(super) async fn finish(mut self, purpose: Purpose) -> Result<BTreeMap<String, u64>, BackupError> {
        match self.complete(purpose).await {
            Ok(()) => {
                self.tx.commit().await?;
                Ok(self.rows)
            }
            Err(error) => {
                self.tx.roll_back().await;
                Err(error)
            }
        }
    }

    async fn complete(&mut self, purpose: Purpose) -> Result<(), BackupError> {
        for table in TABLES {
            let is_there = !columns(&mut self.tx, table.name).await?.is_empty();
            if is_there && !self.rows.contains_key(table.name) {
                return Err(BackupError::Table { table: table.name.to_owned(), problem: "is missing" });
            }
        }
        let now_ms = self.tx.env().wall_clock_ms();
        migrate_in(&mut self.tx, MIGRATIONS, now_ms).await?;
        match purpose {
            Purpose::Restore => advance_in(&mut self.tx).await?,
            Purpose::Migrate => settle_in(&mut self.tx).await?,
        }
        Ok(())
    }

    pub(super) async fn give_up(self) {
        self.tx.roll_back().await;
    }
}

/// Refuses a database with tables, makes those of the schema and takes out the rows that they begin with.
async fn prepare(tx: &mut Tx, migrations: &[(&str, &str)]) -> Result<(), BackupError> {
    let sql = "[SELECT c.table_name::TEXT FROM information_schema.tables AS c WHERE c.table_schema = current_schema() \
               ORDER BY c.table_name LIMIT 1|SELECT m.name FROM sqlite_master AS m WHERE m.type = 'table' ORDER BY m.name LIMIT 1]";
    if let Some(mut row) = tx.fetch_optional(sql, Vec::new()).await? {
        return Err(BackupError::NotEmpty { table: row.text()? });
    }
    let now_ms = tx.env().wall_clock_ms();
    migrate_in(tx, migrations, now_ms).await?;
    for table in TABLES {
        if !columns(tx, table.name).await?.is_empty() {
            tx.execute(&format!("DELETE FROM {}", table.name), Vec::new()).await?;
        }
    }
    Ok(())
}

impl From<MigrateError> for BackupError {
    fn from(error: MigrateError) -> Self {
        Self::from(match error {
            MigrateError::Database(error) => error,
            MigrateError::Newer { .. } | MigrateError::Changed { .. } => {
                DatabaseError::Internal(error.to_string())
            }
        })
    }
}
