//! Why a run could not be made or did not go well, and what to do about it.

use std::io;

use s3_client::{ConnectError, Failure};

/// A run that could not be made, or in which requests failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Settings that do not go together or are out of bounds; the message says which and what is allowed.
    #[error("{0}")]
    Settings(String),
    /// Nobody can be spoken to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server does not answer.
    #[error("cannot reach {endpoint}: {reason}; {advice}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What happened.
        reason: Failure,
        /// What to look at.
        advice: &'static str,
    },
    /// The server refused the keys.
    #[error(
        "the server refused the credentials: {reason}; check --access-key, --secret-key, --region and this machine's clock"
    )]
    Refused {
        /// What the server said.
        reason: Failure,
    },
    /// The bucket could not be looked up, created or used.
    #[error("cannot {action} bucket {bucket}: {reason}; name another one with --bucket")]
    Bucket {
        /// What was tried.
        action: &'static str,
        /// Its name.
        bucket: String,
        /// What the server said.
        reason: Failure,
    },
    /// `--prepared` names a bucket that is not there.
    #[error(
        "there is no bucket {bucket}: store the objects first, by a run with --keep and without --prepared"
    )]
    NotPrepared {
        /// Its name.
        bucket: String,
    },
    /// Objects to read could not be stored, or are not there.
    #[error("cannot prepare objects: {reason}")]
    Prepare {
        /// What the server said.
        reason: String,
    },
    /// Some of what the run stored is still there.
    #[error("could not clean up: {reason}; what is left is under {place}")]
    Cleanup {
        /// What the server said.
        reason: Failure,
        /// Bucket and prefix.
        place: String,
    },
    /// The run ended, but requests failed; the table says which.
    #[error("{failed} of {all} requests failed; the table above says how, and the server's log may say why")]
    RequestsFailed {
        /// How many failed.
        failed: u64,
        /// How many were made.
        all: u64,
    },
    /// An object did not hold what was stored.
    #[error(
        "{count} answers held other bytes than were stored: this is data corruption, report it with the server's log"
    )]
    Corrupt {
        /// How many.
        count: u64,
    },
    /// The run ended before a single request was done.
    #[error("interrupted before any request was done")]
    Interrupted,
    /// A watched process cannot be read.
    #[error(
        "cannot read process {pid} in /proc; --server-pid takes the id of a process that runs on this machine all the while"
    )]
    Process {
        /// Its id.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// Signals cannot be caught.
    #[error("cannot catch Ctrl-C")]
    Signals(#[source] io::Error),
    /// The report could not be written.
    #[error("cannot write the report")]
    Output(#[source] io::Error),
}
