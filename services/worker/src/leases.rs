//! Revokes the leases of gateways that are gone.
//!
//! A lease whose count of renewals has not moved for well over its time to live, by this worker's own monotonic clock, is
//! revoked: from then on nothing that its holder wrote can be named. No two machines' clocks are compared.

use std::{collections::HashMap, time::Duration};

use env::Instant;
use metadata_api::{LeaseState, Metadata};
use types::LeaseId;

use crate::context::Context;

/// Pause between looks.
const PERIOD: Duration = Duration::from_secs(5);

/// How long a lease must stand still before it is revoked: a holder stops using it long before.
const SILENCE: Duration = Duration::from_secs(60);

/// Watches leases until the stop begins.
pub(crate) async fn run(context: Context) {
    let mut seen = Seen::default();
    while !context.shutdown.has_begun() {
        match context.metadata.list_leases().await {
            Ok(leases) => {
                for lease in seen.silent(&leases, context.env.now()) {
                    revoke(&*context.metadata, &lease).await;
                }
            }
            Err(error) => tracing::warn!(%error, "leases were not looked at"),
        }
        context.pause(PERIOD).await;
    }
}

async fn revoke(metadata: &dyn Metadata, lease: &LeaseState) {
    match metadata.revoke_lease(lease.id, lease.renewals).await {
        Ok(true) => {
            tracing::info!(lease = lease.id.0, holder = lease.holder, "revoked a silent gateway's lease")
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, lease = lease.id.0, "a silent gateway's lease was not revoked"),
    }
}

/// When each active lease's count of renewals last moved.
#[derive(Debug, Default)]
struct Seen {
    moved: HashMap<LeaseId, (i64, Instant)>,
}

impl Seen {
    /// Takes a look in and answers the leases that have stood still for too long.
    fn silent(&mut self, leases: &[LeaseState], now: Instant) -> Vec<LeaseState> {
        let active = || leases.iter().filter(|lease| !lease.revoked);
        self.moved.retain(|id, _| active().any(|lease| lease.id == *id));
        let mut silent = Vec::new();
        for lease in active() {
            let entry = self.moved.entry(lease.id).or_insert((lease.renewals, now));
            if entry.0 != lease.renewals {
                *entry = (lease.renewals, now);
            } else if now.since(entry.1) > SILENCE {
                silent.push(lease.clone());
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;
    use metadata_api::LeaseState;
    use types::LeaseId;

    use super::Seen;

    fn lease(renewals: i64) -> [LeaseState; 1] {
        [LeaseState { id: LeaseId(1), holder: "g".to_owned(), renewals, oldest_epoch: 0, revoked: false }]
    }

    #[test]
    fn only_a_lease_that_stands_still_for_over_a_minute_is_silent() {
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let mut seen = Seen::default();
        assert!(seen.silent(&lease(1), at(0)).is_empty());
        assert!(seen.silent(&lease(1), at(60)).is_empty());
        assert_eq!(seen.silent(&lease(1), at(61)).len(), 1);
        assert!(seen.silent(&lease(2), at(62)).is_empty());
        assert!(seen.silent(&lease(2), at(122)).is_empty());
        assert_eq!(seen.silent(&lease(2), at(123)).len(), 1);
    }

    #[test]
    fn leases_that_are_gone_or_revoked_are_forgotten() {
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let mut seen = Seen::default();
        seen.silent(&lease(1), at(0));
        seen.silent(&[], at(1));
        assert!(seen.moved.is_empty());

        let revoked = lease(1).map(|lease| LeaseState { revoked: true, ..lease });
        seen.silent(&lease(1), at(2));
        assert!(seen.silent(&revoked, at(100)).is_empty());
        assert!(seen.moved.is_empty());
    }
}
