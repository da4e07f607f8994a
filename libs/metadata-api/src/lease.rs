//! Gateway leases: the fence that keeps what a dead gateway wrote from ever being named.

use std::time::Duration;

use types::{Content, LeaseId};

use crate::Error;

/// A lease that was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number, which is also the range of chunk ids that its holder may mint.
    pub id: LeaseId,
    /// A holder that could not renew for this long, by its own monotonic clock, must stop using the lease; nobody
    /// revokes it sooner.
    pub time_to_live: Duration,
}

/// What is known of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Its number.
    pub id: LeaseId,
    /// Who holds it.
    pub holder: String,
    /// How often it was renewed. Whoever sees no change for longer than the time to live, by its own monotonic
    /// clock, may revoke it: no two machines' clocks are compared.
    pub renewals: i64,
    /// Epoch of the oldest cluster map that its holder may still write by, as of the last renewal.
    pub oldest_epoch: i64,
    /// Whether it is revoked; what was written under it and is named by nothing waits to be reaped.
    pub revoked: bool,
}

/// Refuses content that cannot be written under a lease: chunks are named under the lease by whose numbers they are called, since
/// its revocation fences those off and no others. Errors: `Malformed`.
pub fn check_chunks_of_lease(lease: Option<LeaseId>, content: &Content) -> Result<(), Error> {
    let Content::Stored(manifest) = content else { return Ok(()) };
    let mut others = manifest.extents.iter().filter(|extent| Some(extent.chunk.lease) != lease);
    match (others.next(), lease) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Error::Malformed { reason: "stored content without a lease".to_owned() }),
        (Some(other), Some(lease)) => Err(Error::Malformed {
            reason: format!(
                "chunk {} is not of lease {}, under which it is to be named",
                other.chunk, lease.0
            ),
        }),
    }
}

/// What the holder of a lease is called that was adopted, whoever it was.
pub const ADOPTED: &str = "adopted";
