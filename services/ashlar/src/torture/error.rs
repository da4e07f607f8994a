//! Why a run could not be made or did not go well.

use std::{io, time::Duration};

use crate::torture::local::LocalError;
use s3_client::{ConnectError, Failure};

/// A run that could not be made, or that found something wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TortureError {
    /// Settings that do not go together or are out of bounds.
    #[error("{0}")]
    Settings(String),
    /// The endpoint or the credentials are missing or wrong.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No endpoint was given.
    #[error("no endpoint: give --endpoint http://HOST:PORT, more of them separated by commas")]
    NoEndpoint,
    /// A bucket could not be made.
    #[error("cannot make the bucket {bucket}: {reason}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// What the server said.
        reason: Failure,
    },
    /// A command failed.
    #[error("the command \"{command}\" failed: {reason}")]
    Command {
        /// The command.
        command: String,
        /// How.
        reason: String,
    },
    /// Our own cluster does not do as it is told.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Nothing was answered.
    #[error("nothing was answered for {} s; --silence-max allows for more", .0.as_secs())]
    Silence(Duration),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; what was seen until then is told above")]
    Interrupted,
    /// Signals cannot be caught.
    #[error("cannot catch Ctrl-C")]
    Signals(#[source] io::Error),
    /// The audit came to no result.
    #[error("no audit in the end: {0}")]
    Audit(String),
    /// The report could not be written.
    #[error("cannot write the report")]
    Output(#[source] io::Error),
    /// What the run stored is still there.
    #[error("cannot remove what the run stored in {bucket}: {reason}")]
    Cleanup {
        /// The bucket.
        bucket: String,
        /// What the server said.
        reason: Failure,
    },
    /// Something is wrong.
    #[error("{count} findings; seed {seed} makes the same run again")]
    Found {
        /// How many.
        count: usize,
        /// The run's seed.
        seed: u64,
    },
}
