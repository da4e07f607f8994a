//! What bodies have to keep to while they come: how fast they are, and how much memory there is for documents.

use std::{sync::Arc, time::Duration};

use s3_wire::{ErrorCode, S3Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::BodyError;

/// How long is waited for a body before its pace is looked at.
const PACE_WINDOW: Duration = Duration::from_secs(60);

/// Most bytes of documents that all requests together have in memory while they come.
const DOCUMENTS_MAX: usize = 256 << 20;

/// What requests have to share, and each has to keep to, while its body comes.
#[derive(Debug)]
pub(crate) struct BodyLimits {
    /// Fewest bytes a second.
    pub(crate) rate_min: u64,
    /// The memory for documents.
    pub(crate) documents: Documents,
}

impl BodyLimits {
    /// Nothing has come yet.
    pub(crate) fn new(rate_min: u64) -> Self {
        Self { rate_min, documents: Documents(Arc::new(Semaphore::new(DOCUMENTS_MAX))) }
    }
}

/// The memory that is left for documents, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Documents(Arc<Semaphore>);

impl Documents {
    /// Takes room until what is returned is dropped; `SlowDown` when there is none.
    pub(super) fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, S3Error> {
        let room =
            u32::try_from(bytes).ok().and_then(|bytes| self.0.clone().try_acquire_many_owned(bytes).ok());
        room.ok_or_else(|| S3Error::new(ErrorCode::SlowDown))
    }
}

/// How fast a body comes. Only time that is spent waiting for it counts: a store that takes long to keep what came is not its
/// sender's fault.
#[derive(Debug)]
pub(super) struct Pace {
    rate_min: u64,
    waited: Duration,
    received: u64,
}

impl Pace {
    pub(super) fn new(rate_min: u64) -> Self {
        Self { rate_min, waited: Duration::ZERO, received: 0 }
    }

    /// Takes into account that so many bytes were waited for. `Idle` when they have been too few for too long.
    pub(super) fn note(&mut self, waited: Duration, received: usize) -> Result<(), BodyError> {
        self.waited += waited;
        self.received += received as u64;
        if self.waited < PACE_WINDOW {
            return Ok(());
        }
        let demanded = self.rate_min.saturating_mul(self.waited.as_secs());
        if self.received < demanded {
            return Err(BodyError::Idle);
        }
        *self = Self::new(self.rate_min);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BodyLimits, DOCUMENTS_MAX, Pace};

    #[test]
    fn documents_share_what_memory_there_is_for_them() {
        let (one, other) = (BodyLimits::new(0), BodyLimits::new(0));
        let shared = one.documents.clone();
        let room = one.documents.room_for(DOCUMENTS_MAX).expect("nothing came yet");
        assert_eq!(shared.room_for(1).expect_err("it is full").code, s3_wire::ErrorCode::SlowDown);
        drop(other.documents.room_for(1).expect("it is another gateway"));
        drop(room);
        drop(shared.room_for(DOCUMENTS_MAX).expect("it was given back"));
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_body_must_keep_its_pace_while_it_is_waited_for() {
        // A burst is good for the minute that it is in, and for no other.
        let mut pace = Pace::new(1024);
        assert!(pace.note(Duration::ZERO, 1 << 20).is_ok());
        assert!((0..119).all(|_| pace.note(SECOND, 1).is_ok()));
        assert!(pace.note(SECOND, 1).is_err());
        // What is waited for no longer than this is never cut.
        let mut pace = Pace::new(1024);
        assert!((0..600).all(|_| pace.note(SECOND, 1024).is_ok()));
        assert!((0..100_000).all(|_| pace.note(Duration::ZERO, 1).is_ok()));
        let mut pace = Pace::new(0);
        assert!((0..600).all(|_| pace.note(SECOND, 1).is_ok()));
    }
}
