//! The two databases behind one interface: the only file that knows what differs between them.
//!
//! Postgres: READ COMMITTED with explicit row locks, `synchronous_commit` as the server has it, a bounded pool,
//! statement and lock timeouts, plans pinned to index walks. SQLite: WAL, `synchronous=FULL`, one writer behind a
//! fair queue, a small pool of readers.
//!
//! Invariant: a connection is given back for others only between transactions and between statements; any other is closed,
//! so nobody inherits half a conversation.

mod failure;
mod kept;
mod statement;
mod value;

use std::{str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use env::{Env, Instant};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Executor as _, Postgres, Row as _, Sqlite,
    TypeInfo as _, ValueRef as _,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use telemetry::{Samples, TRACE, trace};
use tracing::{Instrument, Span, info_span};

pub(crate) use self::{
    failure::{Attempts, DatabaseError, Failure},
    statement::{Rows, delete_each, find_each, update_each},
    value::{Row, Value},
};
use self::{
    kept::{Borrowed, Kept},
    statement::text_for,
};
use super::counts::DatabaseCounts;

/// Distinct statement texts that a connection keeps prepared: all of ours, with every size of a list.
const STATEMENTS_KEPT: usize = 400;

/// Connections that read a SQLite database beside its one writer.
const SQLITE_READERS: u32 = 4;

/// The database's clock as a column; NULL on SQLite, which has no clock but this process's.
pub(crate) const NOW_MS: &str = "[(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT|NULL]";

/// How an engine is reached.
#[derive(Debug, Clone)]
pub(crate) struct EngineOptions {
    /// `postgres://...` or `sqlite:PATH`.
    pub(crate) url: String,
    /// Most connections to Postgres.
    pub(crate) connections: u32,
    /// Longest wait for a free connection.
    pub(crate) acquire_timeout: Duration,
    /// Longest wait for the answer to one statement.
    pub(crate) statement_timeout: Duration,
}

#[derive(Clone)]
enum Pools {
    Postgres(Kept<Postgres>),
    Sqlite { writer: Kept<Sqlite>, readers: Kept<Sqlite> },
}

/// A database.
#[derive(Clone)]
pub(crate) struct Engine {
    pools: Pools,
    env: Env,
    statement_timeout: Duration,
    counts: Arc<DatabaseCounts>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// One statement, or statements that stand alone.
    Statements,
    /// Reads at one snapshot.
    Snapshot,
    /// Changes, with row locks.
    Changes,
}

impl Engine {
    /// Opens the database; a SQLite file is made if it is not there.
    pub(crate) async fn open(env: Env, options: &EngineOptions) -> Result<Self, DatabaseError> {
        let pools = match options.url.strip_prefix("sqlite:") {
            Some(path) => open_sqlite(path, options).await?,
            None => open_postgres(options).await?,
        };
        Ok(Self { pools, env, statement_timeout: options.statement_timeout, counts: Arc::default() })
    }

    #[cfg(test)]
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Tells what is counted.
    pub(crate) fn collect(&self, samples: &mut Samples) {
        match &self.pools {
            Pools::Postgres(pool) => pool.used("postgres").collect(samples),
            Pools::Sqlite { writer, readers } => {
                writer.used("writer").collect(samples);
                readers.used("readers").collect(samples);
            }
        }
        self.counts.collect(samples);
    }

    /// Closes every connection; calls that follow are `Unavailable`.
    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Begins a transaction that changes rows. On SQLite this waits for the writer.
    pub(crate) async fn begin(&self) -> Result<Tx, DatabaseError> {
        self.start(Purpose::Changes).await
    }

    /// Begins a transaction that reads at one snapshot.
    pub(crate) async fn snapshot(&self) -> Result<Tx, DatabaseError> {
        self.start(Purpose::Snapshot).await
    }

    /// Reads with one statement. Reading again is harmless, so a broken connection costs an attempt, no more.
    pub(crate) async fn fetch_all(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let mut attempts = self.attempts();
        loop {
            let mut tx = self.start(Purpose::Statements).await?;
            match tx.fetch_all(sql, values.clone()).await {
                Err(DatabaseError::Broken(_)) if attempts > 0 => attempts -= 1,
                result => {
                    tx.release();
                    return result;
                }
            }
        }
    }

    /// Broken connections that may be met before a good one: all of them, when the server was restarted.
    fn attempts(&self) -> u32 {
        match &self.pools {
            Pools::Postgres(pool) => pool.size(),
            Pools::Sqlite { .. } => 1,
        }
    }

    /// Reads at most one row with one statement.
    pub(crate) async fn fetch_optional(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    async fn start(&self, purpose: Purpose) -> Result<Tx, DatabaseError> {
        let begin = match (&self.pools, purpose) {
            (_, Purpose::Statements) => return Ok(self.tx(self.lend(purpose).await?, purpose)),
            (Pools::Postgres(_), Purpose::Changes) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            (Pools::Postgres(_), Purpose::Snapshot) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Pools::Sqlite { .. }, Purpose::Changes) => "BEGIN IMMEDIATE",
            (Pools::Sqlite { .. }, Purpose::Snapshot) => "BEGIN DEFERRED",
        };
        // Nothing has happened yet, so a broken connection costs an attempt, no more.
        let mut attempts = self.attempts();
        loop {
            let mut tx = self.tx(self.lend(purpose).await?, purpose);
            match tx.control(begin).await {
                Ok(()) => return Ok(tx),
                Err(DatabaseError::Broken(_)) if attempts > 0 => attempts -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn tx(&self, lent: Lent, purpose: Purpose) -> Tx {
        Tx {
            lent: Some(lent),
            env: self.env.clone(),
            counts: self.counts.clone(),
            limit: self.statement_timeout,
            purpose,
            in_doubt: false,
        }
    }

    async fn lend(&self, purpose: Purpose) -> Result<Lent, DatabaseError> {
        let began = self.env.now();
        let lent = match &self.pools {
            Pools::Postgres(pool) => Lent::Postgres(pool.lend(&self.env).await?),
            Pools::Sqlite { writer, .. } if purpose == Purpose::Changes => {
                Lent::Sqlite(writer.lend(&self.env).await?)
            }
            Pools::Sqlite { readers, .. } => Lent::Sqlite(readers.lend(&self.env).await?),
        };
        self.counts.connection_wait.took(self.env.now().since(began));
        Ok(lent)
    }
}

async fn open_postgres(options: &EngineOptions) -> Result<Pools, DatabaseError> {
    let statement_timeout_ms = options.statement_timeout.as_millis().to_string();
    // Every statement walks an index by design. With these settings a plan that was made while a table was small, or
    // before its statistics were gathered, is the same walk; just-in-time compilation would be set off by the
    // prohibitive costs that the settings work with.
    let settings = [
        ("statement_timeout", statement_timeout_ms.as_str()),
        ("idle_in_transaction_session_timeout", "60000"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ];
    let connect = PgConnectOptions::from_str(&options.url)
        .map_err(|error| DatabaseError::Unavailable(format!("the database's address: {error}")))?
        .application_name("ashlar-metadata")
        .statement_cache_capacity(STATEMENTS_KEPT)
        .options(settings)
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            // A commit that the server has not flushed is not durable, whatever the server's default is. Settings
            // that wait for more than the flush are left alone.
            let sql = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') = 'off'";
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(sql)).await?;
                // A standby would answer reads, with what was true before. A primary that becomes one ends its
                // connections.
                let is_standby: bool =
                    sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?;
                let problem = "the database is a standby; the address must lead to the primary";
                if is_standby { Err(sqlx::Error::Configuration(problem.into())) } else { Ok(()) }
            })
        })
        .connect_with(connect)
        .await
        .map_err(classify)?;
    Ok(Pools::Postgres(Kept::new(pool, options.connections, options.acquire_timeout)))
}

async fn open_sqlite(path: &str, options: &EngineOptions) -> Result<Pools, DatabaseError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.acquire_timeout)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .pragma("cache_size", "-32768")
        .pragma("temp_store", "memory")
        .disable_statement_logging();
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writer = pool(1).connect_with(connect.clone()).await.map_err(classify)?;
    let readers = pool(SQLITE_READERS)
        .connect_with(connect.create_if_missing(false).pragma("query_only", "1").row_buffer_size(256))
        .await
        .map_err(classify)?;
    let kept = |pool, connections| Kept::new(pool, connections, options.acquire_timeout);
    Ok(Pools::Sqlite { writer: kept(writer, 1), readers: kept(readers, SQLITE_READERS) })
}

/// A connection that is in somebody's hands.
enum Lent {
    Postgres(Borrowed<Postgres>),
    Sqlite(Borrowed<Sqlite>),
}

/// A transaction. Dropped without [`Tx::commit`] or [`Tx::roll_back`] its connection is closed, which rolls it back.
pub(crate) struct Tx {
    lent: Option<Lent>,
    env: Env,
    counts: Arc<DatabaseCounts>,
    limit: Duration,
    purpose: Purpose,
    /// A statement was sent and its answer has not been read to the end.
    in_doubt: bool,
}

impl Tx {
    fn is_postgres(&self) -> bool {
        matches!(self.lent, Some(Lent::Postgres(_)))
    }

    /// The number of rows that a statement changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, DatabaseError> {
        self.run(sql, values, true).await.map(|(_, changed)| changed)
    }

    /// The rows that a statement answers.
    pub(crate) async fn fetch_all(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        self.run(sql, values, false).await.map(|(rows, _)| rows)
    }

    /// The first row that a statement answers.
    pub(crate) async fn fetch_optional(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// Runs a statement over a list of rows, see [`Rows`].
    pub(crate) async fn execute_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
    ) -> Result<(), DatabaseError> {
        for (text, values) in rows.pieces(sql, fixed, self.is_postgres()) {
            self.execute(&text, values).await?;
        }
        Ok(())
    }

    /// As [`Tx::execute_rows`], and answers how many rows were changed.
    pub(crate) async fn count_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
    ) -> Result<u64, DatabaseError> {
        let mut changed = 0;
        for (text, values) in rows.pieces(sql, fixed, self.is_postgres()) {
            changed += self.execute(&text, values).await?;
        }
        Ok(changed)
    }

    /// The rows that a statement answers over a list of rows.
    pub(crate) async fn fetch_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
    ) -> Result<Vec<Row>, DatabaseError> {
        let mut found = Vec::new();
        for (text, values) in rows.pieces(sql, fixed, self.is_postgres()) {
            found.extend(self.fetch_all(&text, values).await?);
        }
        Ok(found)
    }

    /// Runs several statements without parameters, as a migration has them.
    pub(crate) async fn execute_script(&mut self, script: &str) -> Result<(), DatabaseError> {
        let text = text_for(script, self.is_postgres());
        self.control(&text).await
    }

    /// Waits until no other process holds this lock, and keeps it until the transaction ends. On SQLite the
    /// transaction itself is that lock.
    pub(crate) async fn lock_exclusively(&mut self, lock: i64) -> Result<(), DatabaseError> {
        if self.is_postgres() {
            self.fetch_all("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS held", vec![lock.into()])
                .await?;
        }
        Ok(())
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The database's clock: one clock for all the processes that use it, so that what one process wrote may be
    /// compared with what another reads.
    pub(crate) async fn now_ms(&mut self) -> Result<i64, DatabaseError> {
        let row = self.fetch_optional(&format!("SELECT {NOW_MS}"), Vec::new()).await?;
        let now_ms = row.ok_or_else(|| DatabaseError::corrupt("no clock"))?.optional_i64()?;
        Ok(now_ms.unwrap_or_else(|| self.env.wall_clock_ms()))
    }

    /// Makes the changes durable.
    pub(crate) async fn commit(mut self) -> Result<(), DatabaseError> {
        let result = self.control("COMMIT").await;
        match result {
            Ok(()) => {
                self.release();
                Ok(())
            }
            // These are the server's word that the transaction is rolled back.
            Err(error @ (DatabaseError::Conflict(_) | DatabaseError::Refused(_))) => Err(error),
            Err(error) if is_full(&error) => Err(error),
            Err(error) => Err(DatabaseError::Unknown(error.to_string())),
        }
    }

    /// Takes the changes back. When that cannot be said to the database, the connection is closed, which does it.
    pub(crate) async fn roll_back(mut self) {
        if !self.in_doubt && self.purpose != Purpose::Statements && self.control("ROLLBACK").await.is_ok() {
            self.release();
        }
    }

    /// Lets others use the connection.
    fn release(&mut self) {
        if self.in_doubt {
            return;
        }
        match self.lent.take() {
            Some(Lent::Postgres(borrowed)) => borrowed.give_back(),
            Some(Lent::Sqlite(borrowed)) => borrowed.give_back(),
            None => {}
        }
    }

    async fn run(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        execute: bool,
    ) -> Result<(Vec<Row>, u64), DatabaseError> {
        let span = self.span(sql);
        self.answer(sql, values, execute).instrument(span).await
    }

    async fn answer(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        execute: bool,
    ) -> Result<(Vec<Row>, u64), DatabaseError> {
        if self.in_doubt {
            return Err(DatabaseError::Broken("the connection failed before".to_owned()));
        }
        let Some(lent) = self.lent.as_mut() else {
            return Err(DatabaseError::Internal("the transaction has ended".to_owned()));
        };
        self.in_doubt = true;
        let began = self.env.now();
        let answer = match lent {
            Lent::Postgres(borrowed) => {
                let connection = borrowed.connection()?;
                let text = AssertSqlSafe(text_for(sql, true));
                let query = sqlx::query_with(text, postgres_arguments(values)?);
                let work = async {
                    if execute {
                        let done = query.execute(connection).await.map_err(classify)?;
                        return Ok((Vec::new(), done.rows_affected()));
                    }
                    let rows = query.fetch_all(connection).await.map_err(classify)?;
                    let rows: Result<Vec<Row>, DatabaseError> = rows.iter().map(postgres_row).collect();
                    rows.map(|rows| (rows, 0))
                };
                self.env.timeout(self.limit, work).await
            }
            Lent::Sqlite(borrowed) => {
                let connection = borrowed.connection()?;
                let text = AssertSqlSafe(text_for(sql, false));
                let query = sqlx::query_with(text, sqlite_arguments(values)?);
                let work = async {
                    if execute {
                        let done = query.execute(connection).await.map_err(classify)?;
                        return Ok((Vec::new(), done.rows_affected()));
                    }
                    let rows = query.fetch_all(connection).await.map_err(classify)?;
                    let rows: Result<Vec<Row>, DatabaseError> = rows.iter().map(sqlite_row).collect();
                    rows.map(|rows| (rows, 0))
                };
                self.env.timeout(self.limit, work).await
            }
        };
        self.settle(answer, began)
    }

    /// The span of a statement, by OpenTelemetry's semantic conventions for databases. A statement's text has none of its values.
    fn span(&self, sql: &str) -> Span {
        if !trace::is_on() {
            return Span::none();
        }
        let system = if self.is_postgres() { "postgresql" } else { "sqlite" };
        let text = text_for(sql, self.is_postgres());
        let operation = text.split_whitespace().next().unwrap_or_default();
        info_span!(
            target: TRACE,
            "statement",
            otel.name = operation,
            otel.kind = "client",
            db.system.name = system,
            db.operation.name = operation,
            db.query.text = text,
        )
    }

    /// Begins or ends a transaction, or runs a script.
    async fn control(&mut self, text: &str) -> Result<(), DatabaseError> {
        let span = self.span(text);
        self.answer_control(text).instrument(span).await
    }

    async fn answer_control(&mut self, text: &str) -> Result<(), DatabaseError> {
        let Some(lent) = self.lent.as_mut() else {
            return Err(DatabaseError::Internal("the transaction has ended".to_owned()));
        };
        self.in_doubt = true;
        let began = self.env.now();
        let work = async {
            match lent {
                Lent::Postgres(borrowed) => {
                    borrowed.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop)
                }
                Lent::Sqlite(borrowed) => {
                    borrowed.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop)
                }
            }
            .map_err(classify)
        };
        let answer = self.env.timeout(self.limit, work).await;
        self.settle(answer, began)
    }

    /// After an answer of any kind but a failed connection the conversation can go on.
    fn settle<T>(
        &mut self,
        answer: Result<Result<T, DatabaseError>, env::Elapsed>,
        began: Instant,
    ) -> Result<T, DatabaseError> {
        self.counts.statement.took(self.env.now().since(began));
        let result = answer
            .unwrap_or_else(|_| Err(DatabaseError::Unavailable("the database does not answer".to_owned())));
        self.in_doubt = match &result {
            Err(error @ DatabaseError::Unavailable(_)) => !is_full(error),
            Err(DatabaseError::Broken(_)) => true,
            _ => false,
        };
        if result.is_ok() {
            self.counts.answered.increment()
        } else {
            self.counts.failed.increment()
        }
        result
    }
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, DatabaseError> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Number(number) => arguments.add(number),
            Value::Bytes(bytes) => arguments.add(bytes.as_deref()),
            Value::Text(text) => arguments.add(text),
            Value::Numbers(numbers) => arguments.add(numbers),
            Value::ByteStrings(list) => {
                let list: Vec<Option<&[u8]>> = list.iter().map(Option::as_deref).collect();
                arguments.add(list)
            }
            Value::Texts(texts) => arguments.add(texts),
        }
        .map_err(|error| DatabaseError::Internal(error.to_string()))?;
    }
    Ok(arguments)
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments, DatabaseError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Number(number) => arguments.add(number),
            Value::Bytes(bytes) => arguments.add(bytes.map(Vec::from)),
            Value::Text(text) => arguments.add(text),
            Value::Numbers(_) | Value::ByteStrings(_) | Value::Texts(_) => Err("SQLite has no arrays".into()),
        }
        .map_err(|error| DatabaseError::Internal(error.to_string()))?;
    }
    Ok(arguments)
}

fn postgres_row(row: &PgRow) -> Result<Row, DatabaseError> {
    let value = |index: usize| -> Result<Value, DatabaseError> {
        let raw = row.try_get_raw(index).map_err(classify)?;
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INT2" => Value::Number(row.try_get::<Option<i16>, _>(index).map_err(classify)?.map(i64::from)),
            "INT4" => Value::Number(row.try_get::<Option<i32>, _>(index).map_err(classify)?.map(i64::from)),
            "INT8" => Value::Number(row.try_get(index).map_err(classify)?),
            "BYTEA" => {
                Value::Bytes(row.try_get::<Option<Vec<u8>>, _>(index).map_err(classify)?.map(Bytes::from))
            }
            _ => Value::Text(row.try_get(index).map_err(classify)?),
        })
    };
    let values: Result<Vec<Value>, DatabaseError> = (0..row.len()).map(value).collect();
    values.map(Row::new)
}

fn sqlite_row(row: &SqliteRow) -> Result<Row, DatabaseError> {
    let value = |index: usize| -> Result<Value, DatabaseError> {
        let raw = row.try_get_raw(index).map_err(classify)?;
        if raw.is_null() {
            return Ok(Value::Number(None));
        }
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" => Value::Number(row.try_get_unchecked(index).map_err(classify)?),
            "BLOB" => Value::Bytes(
                row.try_get_unchecked::<Option<Vec<u8>>, _>(index).map_err(classify)?.map(Bytes::from),
            ),
            _ => Value::Text(row.try_get_unchecked(index).map_err(classify)?),
        })
    };
    let values: Result<Vec<Value>, DatabaseError> = (0..row.len()).map(value).collect();
    values.map(Row::new)
}

/// Marks a full disk, which both engines report before anything is durable and after which they can go on.
const FULL: &str = "the database's disk is full";

fn is_full(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Unavailable(reason) if reason.starts_with(FULL))
}

/// Sorts a driver's error. Whether it struck a COMMIT is for [`Tx::commit`] to consider.
fn classify(error: sqlx::Error) -> DatabaseError {
    let reason = error.to_string();
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                DatabaseError::Broken(reason)
            }
            sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                DatabaseError::Unavailable(reason)
            }
            _ => DatabaseError::Internal(reason),
        };
    };
    let code = database.code().unwrap_or_default().into_owned();
    match code.parse::<u32>() {
        // SQLite's codes are numbers with the primary code in the low byte. Postgres's have five characters, and
        // those that are digits only are above 255.
        Ok(number) if code.len() < 5 => classify_sqlite(number & 0xff, reason),
        _ => classify_postgres(&code, reason),
    }
}

/// Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
fn classify_postgres(code: &str, reason: String) -> DatabaseError {
    match code {
        // Serialisation failure, deadlock, lock not available; a plan or a statement that is not valid any more.
        "40001" | "40P01" | "55P03" | "0A000" | "26000" => DatabaseError::Conflict(reason),
        "53100" => DatabaseError::Unavailable(format!("{FULL}: {reason}")),
        // The server shuts down or crashed, or closed a session that was idle for too long.
        "57P01" | "57P02" | "57P03" | "25P03" | "57P05" => DatabaseError::Broken(reason),
        // Cancelled by a timeout; read-only, as a standby is; no such database.
        "57014" | "25006" | "3D000" => DatabaseError::Unavailable(reason),
        _ => match &code[..2] {
            "08" | "53" | "57" | "58" | "28" => DatabaseError::Unavailable(reason),
            "22" | "23" | "54" => DatabaseError::Refused(reason),
            _ => DatabaseError::Internal(reason),
        },
    }
}

/// Source: SQLite documentation, "Result and Error Codes".
fn classify_sqlite(code: u32, reason: String) -> DatabaseError {
    match code {
        // BUSY, LOCKED, SCHEMA.
        5 | 6 | 17 => DatabaseError::Conflict(reason),
        // FULL.
        13 => DatabaseError::Unavailable(format!("{FULL}: {reason}")),
        // PERM, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, CANTOPEN, PROTOCOL, NOTADB.
        3 | 7 | 8 | 9 | 10 | 11 | 14 | 15 | 26 => DatabaseError::Unavailable(reason),
        // TOOBIG, CONSTRAINT, MISMATCH.
        18..=20 => DatabaseError::Refused(reason),
        _ => DatabaseError::Internal(reason),
    }
}
