//! SQLite, on the thread that asks.
//!
//! A statement by its index takes a few microseconds, which is less than waking a thread costs and then waiting for it. So
//! statements run where they are asked for, and only what waits for the disk or for another process goes to a thread where
//! that is allowed: commits, which flush, and the locks that they need when these are not free.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use env::{Disk, Env, OpenMode, RealDisk};
use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    DatabaseError, FULL, Row, STATEMENTS_KEPT, Value,
    kept::{Borrowed, Connector},
};

/// Pages of the log after which a commit writes them back into the database: 16 MiB. The log is written over from its
/// beginning then and does not grow, and a page that many commits change is written back once.
const CHECKPOINT_PAGES: u32 = 4096;

/// Bytes that the log keeps once it begins anew: it may have grown while somebody read for long.
pub(super) const LOG_BYTES_MAX: u32 = 32 << 20;

/// Makes connections to a database file.
pub(super) struct File {
    pub(super) path: PathBuf,
    /// Whether its connections write, and the file is made if it is not there.
    pub(super) writes: bool,
    /// Longest wait for a lock that another process holds.
    pub(super) lock_timeout: Duration,
}

impl Connector for File {
    type Connection = Connection;

    async fn connect(&self) -> Result<Connection, DatabaseError> {
        self.open().map_err(classify)
    }

    fn discard(connection: Connection) {
        drop(connection);
    }

    fn size(&self) -> u32 {
        1
    }

    /// The last one to be closed writes the log back.
    async fn close(&self, env: &Env, idle: Vec<Connection>) {
        env.spawn_blocking(move || drop(idle)).await;
    }
}

/// Makes the file for its owner alone, as SQLite makes its log and its index after it: it would let everybody read. What is wrong with the
/// path is told when it is opened.
fn make_private(path: &Path) {
    if let Ok(file) = RealDisk.open(path, OpenMode::CreateNew) {
        drop(file);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let _ = RealDisk.sync_directory(directory.unwrap_or(Path::new(".")));
    }
}

impl File {
    fn open(&self) -> Result<Connection, rusqlite::Error> {
        if self.writes {
            make_private(&self.path);
        }
        let creates = if self.writes { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | creates;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.lock_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        if !self.writes {
            connection.pragma_update(None, "query_only", 1)?;
        }
        Ok(connection)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Number(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Bytes(bytes) => bytes.as_deref().map_or(ValueRef::Null, ValueRef::Blob),
            Self::Text(text) => text.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
            Self::Numbers(_) | Self::ByteStrings(_) | Self::Texts(_) => {
                return Err(rusqlite::Error::ToSqlConversionFailure("SQLite has no arrays".into()));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Runs a statement: what it answers, or the number of rows that it changed.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    executes: bool,
) -> Result<(Vec<Row>, u64), DatabaseError> {
    run_each(connection, sql, values, &[], 0, executes)
}

/// Runs a statement once for each row of a list that has so many columns, or once when it has none.
pub(super) fn run_each(
    connection: &Connection,
    sql: &str,
    fixed: &[Value],
    list: &[Value],
    columns: usize,
    executes: bool,
) -> Result<(Vec<Row>, u64), DatabaseError> {
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    bind(&mut statement, 1, fixed)?;
    let (mut rows, mut changed) = (Vec::new(), 0);
    let mut step = |statement: &mut CachedStatement<'_>| {
        if executes {
            changed += statement.raw_execute().map_err(classify)? as u64;
            return Ok(());
        }
        read(statement, &mut rows)
    };
    if columns == 0 {
        step(&mut statement)?;
    }
    for row in list.chunks_exact(columns.max(1)) {
        bind(&mut statement, 1 + fixed.len(), row)?;
        step(&mut statement)?;
    }
    Ok((rows, changed))
}

fn bind(statement: &mut CachedStatement<'_>, first: usize, values: &[Value]) -> Result<(), DatabaseError> {
    for (index, value) in (first..).zip(values) {
        statement.raw_bind_parameter(index, value).map_err(classify)?;
    }
    Ok(())
}

fn read(statement: &mut CachedStatement<'_>, rows: &mut Vec<Row>) -> Result<(), DatabaseError> {
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    while let Some(row) = found.next().map_err(classify)? {
        let mut values = Vec::with_capacity(columns);
        for index in 0..columns {
            values.push(match row.get_ref(index).map_err(classify)? {
                ValueRef::Null => Value::Number(None),
                ValueRef::Integer(number) => Value::Number(Some(number)),
                ValueRef::Blob(bytes) => Value::Bytes(Some(Bytes::copy_from_slice(bytes))),
                ValueRef::Text(text) => {
                    let text = String::from_utf8(text.to_vec());
                    Value::Text(Some(text.map_err(|_| DatabaseError::corrupt("text is not UTF-8"))?))
                }
                ValueRef::Real(_) => return Err(DatabaseError::corrupt("a column is not a whole number")),
            });
        }
        rows.push(Row::new(values));
    }
    Ok(())
}

/// Begins a transaction that changes rows, without waiting for a lock. Tells whether that could be done.
pub(super) fn try_begin(connection: &Connection, lock_timeout: Duration) -> Result<bool, DatabaseError> {
    connection.busy_timeout(Duration::ZERO).map_err(classify)?;
    let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.raw_execute());
    connection.busy_timeout(lock_timeout).map_err(classify)?;
    match begun {
        Ok(_) => Ok(true),
        Err(rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::DatabaseBusy, .. }, _)) => Ok(false),
        Err(error) => Err(classify(error)),
    }
}

/// Begins or ends a transaction.
pub(super) fn control(connection: &Connection, text: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(text).and_then(|mut statement| statement.raw_execute()).map_err(classify)?;
    Ok(())
}

/// Writes the log back, as far as that goes without waiting for anybody.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), DatabaseError> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(classify)
}

/// Runs statements without parameters that answer nothing.
pub(super) fn run_script(connection: &Connection, text: &str) -> Result<(), DatabaseError> {
    connection.execute_batch(text).map_err(classify)
}

/// Does something with a connection on a thread that may wait, and gives it back. `None` when that thread broke off. Whoever
/// does not wait for the answer leaves the connection to that thread, which closes it.
pub(super) async fn waiting<T, F>(
    env: &Env,
    mut borrowed: Borrowed<File>,
    work: F,
) -> Option<(Borrowed<File>, Result<T, DatabaseError>)>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
{
    env.spawn_blocking(move || {
        let result = borrowed.connection().and_then(|connection| work(connection));
        (borrowed, result)
    })
    .await
}

/// Sorts an error of SQLite. Whether it struck a COMMIT is for [`super::Tx::commit`] to consider.
fn classify(error: rusqlite::Error) -> DatabaseError {
    let reason = error.to_string();
    match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            classify_code(error.extended_code & 0xff, reason)
        }
        _ => DatabaseError::Internal(reason),
    }
}

/// Source: SQLite documentation, "Result and Error Codes".
fn classify_code(code: i32, reason: String) -> DatabaseError {
    match code {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_SCHEMA => DatabaseError::Conflict(reason),
        ffi::SQLITE_FULL => DatabaseError::Unavailable(format!("{FULL}: {reason}")),
        ffi::SQLITE_PERM
        | ffi::SQLITE_NOMEM
        | ffi::SQLITE_READONLY
        | ffi::SQLITE_INTERRUPT
        | ffi::SQLITE_IOERR
        | ffi::SQLITE_CORRUPT
        | ffi::SQLITE_CANTOPEN
        | ffi::SQLITE_PROTOCOL
        | ffi::SQLITE_NOTADB => DatabaseError::Unavailable(reason),
        ffi::SQLITE_TOOBIG | ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => DatabaseError::Refused(reason),
        _ => DatabaseError::Internal(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use super::File;

    /// A log that anybody may read has small objects and policies of every account.
    #[test]
    fn the_database_its_log_and_its_index_are_the_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("metadata.db");
        let file = File { path: path.clone(), writes: true, lock_timeout: Duration::from_secs(1) };
        let connection = file.open().expect("a new database");
        connection.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").expect("a table");
        for end in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            let mode = std::fs::metadata(&name).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{end}");
        }
        file.open().expect("one that is there");
    }
}
