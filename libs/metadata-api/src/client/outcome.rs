//! What a failed attempt tells of what happened.

use std::error::Error as _;

use h2::Reason;
use tonic::{Code, Status};

use super::Kind;
use crate::{
    Error,
    wire::{WireError, failure_of},
};

/// A request got no answer from its connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The peer has not acted on the request and will not.
    #[error("the request was not begun")]
    NotBegun(#[source] hyper::Error),
    /// The connection was given for one request and has had it.
    #[error("the connection was for one request")]
    Spent,
    /// The peer may have acted on it.
    #[error("the connection was lost")]
    Lost(#[source] hyper::Error),
}

impl<T> From<hyper::client::conn::TrySendError<T>> for SendError {
    /// A request that comes back was never written. One that was written is not begun when the peer refuses its
    /// stream, or goes away having processed only earlier ones: RFC 9113, sections 6.8 and 8.7.
    fn from(mut error: hyper::client::conn::TrySendError<T>) -> Self {
        let given_back = error.take_message().is_some();
        let error = error.into_error();
        let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        let refused = cause.is_some_and(|h2| {
            h2.is_remote()
                && (h2.is_go_away() || h2.is_reset() && h2.reason() == Some(Reason::REFUSED_STREAM))
        });
        if given_back || refused { Self::NotBegun(error) } else { Self::Lost(error) }
    }
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// What to tell the caller if it is not repeated.
    pub(super) error: Error,
    /// Whether a repetition does no harm and may help.
    pub(super) repeatable: bool,
    /// Whether the replica is to blame, so that another may do better.
    pub(super) by_replica: bool,
}

impl Failed {
    /// What is left when there was no time for even one attempt.
    pub(super) fn nothing_tried() -> Self {
        Self::not_begun("no time was left")
    }

    /// The call did not begin.
    pub(super) fn not_begun(reason: impl Into<String>) -> Self {
        Self { error: Error::Unavailable { reason: reason.into() }, repeatable: true, by_replica: true }
    }

    /// There was no answer when the deadline came.
    pub(super) fn too_late() -> Self {
        Self { error: Error::TimedOut, repeatable: false, by_replica: true }
    }

    /// The call succeeded and its answer makes no sense: a fault of ours, or a later release's.
    pub(super) fn unreadable(kind: Kind, problem: WireError) -> Self {
        tracing::error!(%problem, "the metadata service's answer cannot be read");
        let reason = format!("unreadable answer: {problem}");
        Self {
            error: unless_it_may_have_happened(kind, Error::Internal { reason }),
            repeatable: false,
            by_replica: false,
        }
    }

    /// The call ended with this status.
    pub(super) fn with_status(kind: Kind, status: Status) -> Self {
        if let Some(failure) = failure_of(&status) {
            return Self::told(failure, &status);
        }
        let settled = |error| Self { error, repeatable: false, by_replica: false };
        match status.code() {
            // The service answers these two before it looks at the request.
            Code::Unauthenticated => return settled(Error::Unauthenticated),
            Code::Unimplemented => {
                return settled(Error::Internal { reason: "the peer does not know this call".to_owned() });
            }
            _ => {}
        }
        let source = status.source().and_then(|source| source.downcast_ref::<SendError>());
        match source {
            Some(SendError::NotBegun(error)) => return Self::not_begun(format!("not begun: {error}")),
            Some(SendError::Spent) => return Self::not_begun("not begun"),
            Some(SendError::Lost(_)) | None => {}
        }
        let lost = Error::Unavailable { reason: format!("no answer: {}", status.message()) };
        Self {
            error: unless_it_may_have_happened(kind, lost),
            repeatable: matches!(kind, Kind::Read | Kind::LongRead),
            by_replica: true,
        }
    }

    /// The service itself tells what happened.
    fn told(failure: Result<Error, WireError>, status: &Status) -> Self {
        let error = failure.unwrap_or_else(|problem| {
            // The contract promises that every failure but `timed_out` means that nothing has changed.
            let reason = format!("unreadable failure ({problem}): {}", status.message());
            Error::Internal { reason }
        });
        let unavailable = matches!(error, Error::Unavailable { .. });
        Self { error, repeatable: unavailable, by_replica: unavailable }
    }
}

/// `error`, which promises that nothing happened, for a read; for a mutation that may have happened, no promise.
fn unless_it_may_have_happened(kind: Kind, error: Error) -> Error {
    match kind {
        Kind::Read | Kind::LongRead => error,
        Kind::Mutation | Kind::LongMutation => Error::TimedOut,
    }
}
