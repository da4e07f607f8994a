//! Keeps the claim: renews it, and lets it go at the end.

use std::{sync::Arc, time::Duration};

use s3_client::{Failure, PutCondition};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::{
    claim::{self, Claim},
    shared::{Shared, Stop},
};

/// The claim that is being kept.
pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
    /// What was sent last. Its bytes are never sent again, so that a call that meets what an earlier one left does not take
    /// that for its own, whose time begins later.
    pub(crate) claim: Claim,
    /// ETag of what is there, as far as is known.
    pub(crate) etag: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    Yes,
    NotNow,
    Lost,
}

impl Keeper {
    /// Renews until it is told to stop, and lets go if that is wanted.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<Stop>) {
        let rhythm = self.shared.timings.claim / 4;
        let mut pause = rhythm;
        loop {
            if wait(&self.shared, pause, &mut stop).await {
                break;
            }
            pause = match self.renew().await {
                Renewed::Yes => rhythm,
                Renewed::NotNow => rhythm / 4,
                Renewed::Lost => return,
            };
        }
        if *stop.borrow() == Stop::Release {
            // From here on another process may list the bucket: a put that is still under way must not be acknowledged.
            *self.shared.held_until() = None;
            let released = self.claim.released(self.shared.is_settled());
            let (key, condition) = (self.shared.claim_key(), PutCondition::Matches(&self.etag));
            let put = self.shared.bucket.put(&key, released.encode(), condition);
            if let Err(failure) = put.await {
                warn!(disk = %self.shared.disk, %failure, "the remote bucket was not let go; its next user must wait");
            }
        }
    }

    pub(crate) async fn renew(&mut self) -> Renewed {
        let sent = self.shared.env.now();
        self.claim = self.claim.renewed();
        let condition = PutCondition::Matches(&self.etag);
        match self.shared.bucket.put(&self.shared.claim_key(), self.claim.encode(), condition).await {
            Ok(etag) => {
                self.etag = etag;
                self.shared.hold_from(sent);
                Renewed::Yes
            }
            Err(failure) if claim::is_collision(&failure) => self.look().await,
            Err(failure) => self.not_now(&failure),
        }
    }

    /// Somebody has put a claim: this process, late, or another one. It says nothing of how long it has been there, so that
    /// it does not make the claim hold.
    async fn look(&mut self) -> Renewed {
        match claim::read(&self.shared.bucket, &self.shared.claim_key()).await {
            Ok(Some((found, _, etag))) if found.is_of(&self.claim) => {
                self.etag = etag;
                Renewed::NotNow
            }
            Err(crate::OpenError::Remote(failure)) => self.not_now(&failure),
            _ => {
                error!(
                    disk = %self.shared.disk,
                    "another process has taken over the remote bucket; this one does not use it any more"
                );
                self.shared.lose();
                Renewed::Lost
            }
        }
    }

    fn not_now(&self, failure: &Failure) -> Renewed {
        warn!(disk = %self.shared.disk, %failure, "the claim on the remote bucket was not renewed");
        Renewed::NotNow
    }
}

/// Waits; whether the stop has come.
pub(crate) async fn wait(shared: &Shared, pause: Duration, stop: &mut watch::Receiver<Stop>) -> bool {
    let going = |stop: &Stop| *stop != Stop::No;
    tokio::select! {
        () = shared.env.sleep(pause) => false,
        _ = stop.wait_for(going) => true,
    }
}
