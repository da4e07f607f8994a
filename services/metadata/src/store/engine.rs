//! The two databases behind one interface: the only file that knows what differs between them.
//!
//! Postgres: READ COMMITTED with explicit row locks, `synchronous_commit` as the server has it, a bounded pool,
//! statement and lock timeouts, plans pinned to index walks. SQLite: WAL, `synchronous=FULL`, one writer behind a
//! fair queue, a small pool of readers, all on the threads that ask.
//!
//! Invariant: a connection is given back for others only between transactions and between statements; any other is closed,
//! so nobody inherits half a conversation.

mod failure;
mod kept;
mod postgres;
mod room;
mod sqlite;
mod statement;
mod value;

use std::{sync::Arc, time::Duration};

use env::{Env, Instant};
use metadata_api::Bucket;
use telemetry::{Samples, TRACE, trace};
use tracing::{Instrument, Span, info_span};

pub use self::room::{RESERVE_BYTES, RESERVE_PERCENT};
pub(crate) use self::{
    failure::{Attempts, DatabaseError, Failure},
    room::Share,
    statement::{Rows, delete_each, find_each, update_each},
    value::{Row, Value},
};
use self::{
    kept::{Borrowed, Kept},
    room::Room,
    statement::text_for,
};
use super::{
    counts::DatabaseCounts,
    recent::{Recent, Touches, may_be_remembered},
};

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
    /// Longest wait for the database to take a first connection.
    pub(crate) open_timeout: Duration,
    /// Longest wait for a free connection.
    pub(crate) acquire_timeout: Duration,
    /// Longest wait for the answer to one statement.
    pub(crate) statement_timeout: Duration,
    /// Whether no other process has the database.
    pub(crate) is_alone: bool,
}

#[derive(Clone)]
enum Pools {
    Postgres(Kept<postgres::Pool>),
    Sqlite { writer: Kept<sqlite::File>, readers: Kept<sqlite::File> },
}

/// A database.
#[derive(Clone)]
pub(crate) struct Engine {
    pools: Pools,
    env: Env,
    statement_timeout: Duration,
    lock_timeout: Duration,
    counts: Arc<DatabaseCounts>,
    recent: Recent,
    /// Of SQLite.
    room: Option<Room>,
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
        let path = options.url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        let pools = match path {
            Some(path) => open_sqlite(&env, path, options).await?,
            None => open_postgres(&env, options).await?,
        };
        let recent = Recent::new(options.is_alone && matches!(pools, Pools::Sqlite { .. }));
        Ok(Self {
            pools,
            env,
            statement_timeout: options.statement_timeout,
            lock_timeout: options.acquire_timeout,
            counts: Arc::default(),
            recent,
            room: path.map(Room::new),
        })
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// What was read last.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
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
            Pools::Postgres(pool) => pool.close(&self.env).await,
            Pools::Sqlite { writer, readers } => {
                readers.close(&self.env).await;
                writer.close(&self.env).await;
            }
        }
    }

    /// Begins a transaction that changes rows. On SQLite this waits for the writer.
    pub(crate) async fn begin(&self) -> Result<Tx, DatabaseError> {
        self.start(Purpose::Changes).await
    }

    /// The same on a thread where blocking is allowed.
    pub(crate) async fn begin_waiting(&self) -> Result<Tx, DatabaseError> {
        let mut tx = self.start(Purpose::Changes).await?;
        tx.may_wait = true;
        Ok(tx)
    }

    /// Begins a transaction that reads at one snapshot.
    pub(crate) async fn snapshot(&self) -> Result<Tx, DatabaseError> {
        self.start(Purpose::Snapshot).await
    }

    /// Reads with one statement. Reading again is harmless, so a broken connection costs an attempt, no more.
    pub(crate) async fn fetch_all(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        if let Pools::Sqlite { .. } = &self.pools {
            let mut tx = self.start(Purpose::Statements).await?;
            let result = tx.fetch_all(sql, values).await;
            tx.release();
            return result;
        }
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
            match tx.begin(begin).await {
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
            lock_timeout: self.lock_timeout,
            purpose,
            may_wait: false,
            recent: self.recent.clone(),
            touches: Touches::default(),
            changes_remembered: false,
            leaves: None,
            in_doubt: false,
        }
    }

    async fn lend(&self, purpose: Purpose) -> Result<Lent, DatabaseError> {
        let began = self.env.now();
        let lent = match &self.pools {
            Pools::Postgres(pool) => pool.lend(&self.env).await.map(Lent::Postgres),
            Pools::Sqlite { writer, .. } if purpose == Purpose::Changes => {
                writer.lend(&self.env).await.map(Lent::Sqlite)
            }
            Pools::Sqlite { readers, .. } => readers.lend(&self.env).await.map(Lent::Sqlite),
        };
        self.counts.connection_wait.took(self.env.now().since(began));
        if lent.is_err() {
            self.counts.connection_failures.increment();
        }
        lent
    }
}

async fn open_postgres(env: &Env, options: &EngineOptions) -> Result<Pools, DatabaseError> {
    let pool = postgres::Pool::open(env, options).await?;
    Ok(Pools::Postgres(Kept::new(pool, options.connections, options.acquire_timeout)))
}

async fn open_sqlite(env: &Env, path: &str, options: &EngineOptions) -> Result<Pools, DatabaseError> {
    let file = |writes| sqlite::File { path: path.into(), writes, lock_timeout: options.acquire_timeout };
    let kept = |file, connections| Kept::new(file, connections, options.acquire_timeout);
    let pools = Pools::Sqlite { writer: kept(file(true), 1), readers: kept(file(false), SQLITE_READERS) };
    // The file is made now, or it is told now that it cannot be.
    if let Pools::Sqlite { writer, .. } = &pools {
        writer.lend(env).await?.give_back();
    }
    Ok(pools)
}

/// Rows of an answer that took so long that others have their turn after it.
const ROWS_BEFORE_OTHERS: usize = 200;

/// SQLite answers at once, so that who asks again and again would keep the thread to himself.
async fn let_others_go_on(rows: usize) {
    if rows >= ROWS_BEFORE_OTHERS {
        tokio::task::yield_now().await;
    } else {
        tokio::task::consume_budget().await;
    }
}

/// A connection that is in somebody's hands.
enum Lent {
    Postgres(Borrowed<postgres::Pool>),
    Sqlite(Borrowed<sqlite::File>),
}

/// A transaction. Dropped without [`Tx::commit`] or [`Tx::roll_back`] its connection is closed, which rolls it back.
pub(crate) struct Tx {
    lent: Option<Lent>,
    env: Env,
    counts: Arc<DatabaseCounts>,
    limit: Duration,
    lock_timeout: Duration,
    purpose: Purpose,
    /// Whether this is a thread where blocking is allowed.
    may_wait: bool,
    recent: Recent,
    /// What it may change.
    touches: Touches,
    /// Whether it has changed something else than rows that are never remembered.
    changes_remembered: bool,
    /// The row of the bucket that it touches as it will be.
    leaves: Option<Bucket>,
    /// A statement was sent and its answer has not been read to the end.
    in_doubt: bool,
}

impl Tx {
    pub(crate) fn is_postgres(&self) -> bool {
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
        self.run_rows(sql, fixed, rows, true).await.map(drop)
    }

    /// As [`Tx::execute_rows`], and answers how many rows were changed.
    pub(crate) async fn count_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
    ) -> Result<u64, DatabaseError> {
        self.run_rows(sql, fixed, rows, true).await.map(|(_, changed)| changed)
    }

    /// The rows that a statement answers over a list of rows.
    pub(crate) async fn fetch_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
    ) -> Result<Vec<Row>, DatabaseError> {
        self.run_rows(sql, fixed, rows, false).await.map(|(found, _)| found)
    }

    async fn run_rows(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
        executes: bool,
    ) -> Result<(Vec<Row>, u64), DatabaseError> {
        if rows.is_empty() {
            return Ok((Vec::new(), 0));
        }
        if let Some(Lent::Sqlite(_)) = self.lent {
            let span = self.span(sql);
            return span.in_scope(|| self.answer_each(sql, fixed, rows, executes));
        }
        let (mut found, mut changed) = (Vec::new(), 0);
        for (text, values) in rows.pieces(sql, fixed) {
            let (more, of_piece) = self.run(&text, values, executes).await?;
            found.extend(more);
            changed += of_piece;
        }
        Ok((found, changed))
    }

    /// Runs several statements without parameters, as a migration has them.
    pub(crate) async fn execute_script(&mut self, script: &str) -> Result<(), DatabaseError> {
        let text = text_for(script, self.is_postgres()).into_owned();
        if let Some(Lent::Sqlite(_)) = self.lent {
            self.changes_remembered = true;
            return self.wait_for_sqlite(move |connection| sqlite::run_script(connection, &text)).await;
        }
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

    /// Says what the transaction changes at most, and how it leaves the bucket's row.
    pub(crate) fn touches(&mut self, touches: Touches, leaves: Bucket) {
        self.touches = touches;
        self.leaves = Some(leaves);
    }

    /// Makes the changes durable.
    pub(crate) async fn commit(mut self) -> Result<(), DatabaseError> {
        let result = match &self.lent {
            // It waits for the disk.
            Some(Lent::Sqlite(_)) => {
                let span = self.span("COMMIT");
                let touches = std::mem::take(&mut self.touches);
                let touches = if self.changes_remembered { touches } else { Touches::Nothing };
                let committing = self.recent.begin(touches);
                let commit = self.wait_for_sqlite(|connection| sqlite::control(connection, "COMMIT"));
                let result = commit.instrument(span).await;
                // Without the connection it is not known whether it goes on.
                if self.lent.is_some() {
                    committing.end(self.leaves.take().filter(|_| result.is_ok()));
                }
                result
            }
            Some(Lent::Postgres(_)) | None => self.control("COMMIT").await,
        };
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
        if self.in_doubt || self.purpose == Purpose::Statements {
            return;
        }
        if let Some(Lent::Sqlite(borrowed)) = &mut self.lent {
            let open = borrowed.connection().is_ok_and(|connection| !connection.is_autocommit());
            if !open {
                return self.release();
            }
        }
        if self.control("ROLLBACK").await.is_ok() {
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
            // A statement that fails may have ended its transaction, or not; what is still open ends with the connection.
            Some(Lent::Sqlite(mut borrowed)) => {
                let ended = borrowed.connection().is_ok_and(|connection| connection.is_autocommit());
                if ended {
                    borrowed.give_back();
                }
            }
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
        let answer = self.answer(sql, values, execute).instrument(span).await;
        if !self.is_postgres() && !self.may_wait {
            let_others_go_on(answer.as_ref().map_or(0, |(rows, _)| rows.len())).await;
        }
        answer
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
                let text = text_for(sql, true).into_owned();
                self.env.timeout(self.limit, postgres::run(connection, text, values, execute)).await
            }
            Lent::Sqlite(borrowed) => {
                let text = text_for(sql, false);
                self.changes_remembered = self.changes_remembered || may_be_remembered(&text);
                let connection = borrowed.connection()?;
                Ok(sqlite::run(connection, &text, &values, execute))
            }
        };
        self.settle(answer, began)
    }

    /// Runs a statement of SQLite once for each row of a list.
    fn answer_each(
        &mut self,
        sql: &str,
        fixed: &[Value],
        rows: &Rows,
        executes: bool,
    ) -> Result<(Vec<Row>, u64), DatabaseError> {
        if self.in_doubt {
            return Err(DatabaseError::Broken("the connection failed before".to_owned()));
        }
        let Some(Lent::Sqlite(borrowed)) = self.lent.as_mut() else {
            return Err(DatabaseError::Internal("the transaction has ended".to_owned()));
        };
        let connection = borrowed.connection()?;
        let began = self.env.now();
        let (text, list, columns) = rows.one_by_one(sql, fixed.len());
        self.changes_remembered = self.changes_remembered || may_be_remembered(&text);
        let answer = sqlite::run_each(connection, &text, fixed, list, columns, executes);
        self.settle(Ok(answer), began)
    }

    /// Does something with SQLite's connection that may take a while.
    async fn wait_for_sqlite(
        &mut self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<(), DatabaseError> + Send + 'static,
    ) -> Result<(), DatabaseError> {
        let Some(Lent::Sqlite(mut borrowed)) = self.lent.take() else {
            return Err(DatabaseError::Internal("the transaction has ended".to_owned()));
        };
        self.in_doubt = true;
        let began = self.env.now();
        if self.may_wait {
            let result = borrowed.connection().and_then(|connection| work(connection));
            self.lent = Some(Lent::Sqlite(borrowed));
            return self.settle(Ok(result), began);
        }
        let answer = self.env.timeout(self.limit, sqlite::waiting(&self.env, borrowed, work)).await;
        let answer = match answer {
            Ok(Some((borrowed, result))) => {
                self.lent = Some(Lent::Sqlite(borrowed));
                Ok(result)
            }
            Ok(None) => Ok(Err(DatabaseError::Broken("a thread of the database broke off".to_owned()))),
            Err(elapsed) => Err(elapsed),
        };
        self.settle(answer, began)
    }

    /// The span of a statement, by OpenTelemetry's semantic conventions for databases. A statement's text has none of its values.
    fn span(&self, sql: &str) -> Span {
        // Most requests are not recorded, and their statements are not described either.
        if !trace::is_on() || trace::is_left_out(&Span::current()) {
            return Span::none();
        }
        let system = if self.is_postgres() { "postgresql" } else { "sqlite" };
        let text = text_for(sql, self.is_postgres());
        let operation = text.split_whitespace().next().unwrap_or_default();
        let text = &*text;
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

    /// Begins the transaction. SQLite's writer waits, where it may, for other processes.
    async fn begin(&mut self, text: &'static str) -> Result<(), DatabaseError> {
        let begun = self.span(text);
        if let (Some(Lent::Sqlite(borrowed)), Purpose::Changes) = (&mut self.lent, self.purpose) {
            let lock_timeout = self.lock_timeout;
            let connection = borrowed.connection()?;
            if begun.in_scope(|| sqlite::try_begin(connection, lock_timeout))? {
                return Ok(());
            }
            let begin = self.wait_for_sqlite(move |connection| sqlite::control(connection, text));
            return begin.instrument(begun).await;
        }
        self.answer_control(text).instrument(begun).await
    }

    /// Begins or ends a transaction, or runs a script of Postgres.
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
        let answer = match lent {
            Lent::Postgres(borrowed) => {
                let work = postgres::run_script(borrowed.connection()?, text);
                self.env.timeout(self.limit, work).await
            }
            Lent::Sqlite(borrowed) => Ok(sqlite::control(borrowed.connection()?, text)),
        };
        self.settle(answer, began)
    }

    /// After an answer of any kind but a failed connection the conversation can go on.
    fn settle<T>(
        &mut self,
        answer: Result<Result<T, DatabaseError>, env::Elapsed>,
        began: Instant,
    ) -> Result<T, DatabaseError> {
        let took = self.env.now().since(began);
        self.counts.statement.took_within(took, trace::recorded_now(), || self.env.wall_clock_ms());
        let result = answer
            .unwrap_or_else(|_| Err(DatabaseError::Unavailable("the database does not answer".to_owned())));
        self.in_doubt = match &result {
            Err(error @ DatabaseError::Unavailable(_)) => !is_full(error),
            Err(DatabaseError::Broken(_)) => true,
            _ => false,
        };
        match &result {
            Ok(_) => self.counts.answered.increment(),
            Err(DatabaseError::Conflict(_)) => self.counts.conflicts.increment(),
            Err(_) => self.counts.failed.increment(),
        }
        result
    }
}

/// Marks a full disk, which both engines report before anything is durable and after which they can go on.
const FULL: &str = "the database's disk is full";

fn is_full(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Unavailable(reason) if reason.starts_with(FULL))
}
