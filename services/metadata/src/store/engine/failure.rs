//! What goes wrong in a database, sorted by what may be done about it, and the one retry loop.

use std::time::Duration;

use env::Env;
use metadata_api::Error;

use super::Tx;

/// A failed statement or transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// It did not happen: no connection, a full disk, no answer before COMMIT was sent.
    #[error("{0}")]
    Unavailable(String),
    /// It did not happen, because the connection is broken; another one may be good.
    #[error("{0}")]
    Broken(String),
    /// COMMIT was sent and its answer is not known.
    #[error("the answer to a commit was lost: {0}")]
    Unknown(String),
    /// It did not happen because of another transaction; the same again may succeed.
    #[error("{0}")]
    Conflict(String),
    /// The database refuses these values.
    #[error("{0}")]
    Refused(String),
    /// A fault of ours: a wrong statement, or a row that cannot be decoded.
    #[error("{0}")]
    Internal(String),
}

impl DatabaseError {
    pub(crate) fn corrupt(reason: &str) -> Self {
        Self::Internal(reason.to_owned())
    }
}

/// Why a business act did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The contract's answer to the caller. The transaction is rolled back.
    Answer(Error),
    /// The database failed.
    Database(DatabaseError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    /// What the caller hears. Faults of ours are logged here, where they are turned into an answer.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Answer(error) => error,
            Self::Database(
                DatabaseError::Unavailable(reason)
                | DatabaseError::Broken(reason)
                | DatabaseError::Conflict(reason),
            ) => {
                tracing::debug!(operation, reason, "the database is unavailable");
                Error::Unavailable { reason }
            }
            Self::Database(DatabaseError::Unknown(reason)) => {
                tracing::warn!(operation, reason, "the outcome of a commit is unknown");
                Error::TimedOut
            }
            Self::Database(DatabaseError::Refused(reason) | DatabaseError::Internal(reason)) => {
                tracing::error!(operation, reason, "internal error");
                Error::Internal { reason }
            }
        }
    }
}

/// Times an act is tried in the face of conflicts with other transactions.
const ATTEMPTS_MAX: u32 = 6;

/// The attempts of one act: settles its transaction and says whether to try again.
///
/// ```text
/// let mut attempts = Attempts::new(&env, "abort_upload");
/// loop {
///     let mut tx = attempts.begin(&engine).await?;
///     let result = abort_upload(&mut tx, request).await;
///     if let Some(answer) = attempts.settle(tx, result).await { return answer; }
/// }
/// ```
pub(crate) struct Attempts<'a> {
    env: &'a Env,
    operation: &'static str,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(env: &'a Env, operation: &'static str) -> Self {
        Self { env, operation, made: 0 }
    }

    /// Begins a writing transaction.
    pub(crate) async fn begin(&self, engine: &super::Engine) -> Result<Tx, Error> {
        engine.begin().await.map_err(|error| Failure::from(error).into_error(self.operation))
    }

    /// Commits after success, rolls back after failure. The answer, or `None` when the act should be repeated.
    pub(crate) async fn settle<T>(&mut self, tx: Tx, result: Result<T, Failure>) -> Option<Result<T, Error>> {
        match self.try_settle(tx, result).await {
            Ok(value) => Some(Ok(value)),
            Err(failure) if self.again(&failure).await => None,
            Err(failure) => Some(Err(failure.into_error(self.operation))),
        }
    }

    /// As [`Self::settle`], without a verdict on failures.
    pub(crate) async fn try_settle<T>(&self, tx: Tx, result: Result<T, Failure>) -> Result<T, Failure> {
        match result {
            Ok(value) => tx.commit().await.map(|()| value).map_err(Failure::from),
            Err(failure) => {
                tx.roll_back().await;
                Err(failure)
            }
        }
    }

    /// Whether the failure is worth another attempt; waits a random moment before it says so.
    pub(crate) async fn again(&mut self, failure: &Failure) -> bool {
        let Failure::Database(DatabaseError::Conflict(reason)) = failure else { return false };
        self.made += 1;
        if self.made >= ATTEMPTS_MAX {
            return false;
        }
        tracing::debug!(operation = self.operation, attempt = self.made, reason, "a transaction is repeated");
        let limit_ms = 4_u64 << self.made;
        self.env.sleep(Duration::from_millis(self.env.random_u64() % limit_ms)).await;
        true
    }
}
