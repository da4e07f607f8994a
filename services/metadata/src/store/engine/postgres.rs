//! Postgres, through a driver that waits for the server's answers.

use std::{io, str::FromStr, time::Duration};

use bytes::Bytes;
use env::Env;
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    Postgres, Row as _, TypeInfo as _, ValueRef as _,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{DatabaseError, EngineOptions, FULL, Row, STATEMENTS_KEPT, Value, kept::Connector};

/// How a database's address begins. The driver asks whatever it is given.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Pause before a server is asked again that takes no connection yet.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a server says that starts, or that has all connections it may. Source: PostgreSQL documentation, appendix A.
const NOT_NOW: [&str; 2] = ["57P03", "53300"];

/// The driver's pool.
pub(super) struct Pool(sqlx::Pool<Postgres>);

impl Connector for Pool {
    type Connection = PoolConnection<Postgres>;

    async fn connect(&self) -> Result<Self::Connection, DatabaseError> {
        self.0.acquire().await.map_err(classify)
    }

    fn discard(connection: Self::Connection) {
        drop(connection.detach());
    }

    /// All of them, when the server was restarted.
    fn size(&self) -> u32 {
        self.0.size()
    }

    async fn close(&self, _env: &Env, idle: Vec<Self::Connection>) {
        drop(idle);
        self.0.close().await;
    }
}

impl Pool {
    pub(super) async fn open(env: &Env, options: &EngineOptions) -> Result<Self, DatabaseError> {
        if !SCHEMES.iter().any(|scheme| options.url.starts_with(scheme)) {
            let problem = "the database's address begins with none of postgres://, postgresql:// and sqlite:";
            return Err(DatabaseError::Unavailable(problem.to_owned()));
        }
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
        reach(env, &connect, options.open_timeout).await?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(prepare(connection)))
            .connect_with(connect)
            .await
            .map_err(classify)?;
        Ok(Self(pool))
    }
}

/// Waits until the server takes a connection. The pool waits too, but says in the end only that it has waited: what the server or
/// the network said last is what helps.
async fn reach(env: &Env, options: &PgConnectOptions, patience: Duration) -> Result<(), DatabaseError> {
    // By another name, so that a connection whose end the server has not noticed yet is taken for no service's.
    let options = options.clone().application_name("ashlar-reach");
    let until = env.now().after(patience);
    let mut last = "it does not answer".to_owned();
    loop {
        let left = until.since(env.now());
        let attempt = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            prepare(&mut connection).await?;
            connection.close().await
        };
        let waited = match env.timeout(left, attempt).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !may_pass(&error) => return Err(classify(error)),
            // An attempt that fails at once fails so without any time left, too.
            Ok(Err(error)) => {
                last = error.to_string();
                left.is_zero()
            }
            Err(_) => true,
        };
        if waited {
            return Err(DatabaseError::Unavailable(format!("no connection within {patience:?}: {last}")));
        }
        env.sleep(ASK_AGAIN.min(until.since(env.now()))).await;
    }
}

/// Whether the same may succeed in a moment, as it does while a server starts or takes another's place.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        sqlx::Error::Configuration(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| NOT_NOW.contains(&code.as_ref())),
        _ => false,
    }
}

/// Makes a connection one that can be worked with.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A commit that the server has not flushed is not durable, whatever the server's default is, nor is one that its synchronous
    // standbys may lack, if it has any. Settings that wait for these are left alone.
    let sql = "SELECT set_config('synchronous_commit', 'on', false) \
               WHERE current_setting('synchronous_commit') IN ('off', 'local')";
    connection.execute(sqlx::raw_sql(sql)).await?;
    // A standby would answer reads, with what was true before. A primary that becomes one ends its connections.
    let is_standby: bool =
        sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?;
    let problem = "the database is a standby; the address must lead to the primary";
    if is_standby { Err(sqlx::Error::Configuration(problem.into())) } else { Ok(()) }
}

/// Runs a statement: what it answers, or the number of rows that it changed.
pub(super) async fn run(
    connection: &mut PgConnection,
    text: String,
    values: Vec<Value>,
    executes: bool,
) -> Result<(Vec<Row>, u64), DatabaseError> {
    let query = sqlx::query_with(AssertSqlSafe(text), arguments_of(values)?);
    if executes {
        let done = query.execute(connection).await.map_err(classify)?;
        return Ok((Vec::new(), done.rows_affected()));
    }
    let rows = query.fetch_all(connection).await.map_err(classify)?;
    let rows: Result<Vec<Row>, DatabaseError> = rows.iter().map(read_row).collect();
    rows.map(|rows| (rows, 0))
}

/// Runs statements without parameters.
pub(super) async fn run_script(connection: &mut PgConnection, text: &str) -> Result<(), DatabaseError> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop).map_err(classify)
}

fn arguments_of(values: Vec<Value>) -> Result<PgArguments, DatabaseError> {
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

fn read_row(row: &PgRow) -> Result<Row, DatabaseError> {
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

/// Sorts an error of the driver. Whether it struck a COMMIT is for [`super::Tx::commit`] to consider.
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
    classify_code(&code, reason)
}

/// Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
fn classify_code(code: &str, reason: String) -> DatabaseError {
    match code {
        // Serialisation failure, deadlock, lock not available; a plan or a statement that is not valid any more.
        "40001" | "40P01" | "55P03" | "0A000" | "26000" => DatabaseError::Conflict(reason),
        "53100" => DatabaseError::Unavailable(format!("{FULL}: {reason}")),
        // The server shuts down or crashed, or closed a session that was idle for too long.
        "57P01" | "57P02" | "57P03" | "25P03" | "57P05" => DatabaseError::Broken(reason),
        // Cancelled by a timeout; read-only, as a standby is; no such database.
        "57014" | "25006" | "3D000" => DatabaseError::Unavailable(reason),
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" | "57" | "58" | "28" => DatabaseError::Unavailable(reason),
            "22" | "23" | "54" => DatabaseError::Refused(reason),
            _ => DatabaseError::Internal(reason),
        },
    }
}
