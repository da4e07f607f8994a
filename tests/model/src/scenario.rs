//! What is checked: which actors there are and what may happen.

use crate::{
    sabotage::Sabotage,
    state::{CHUNKS, DISKS, GATEWAYS},
};

/// What a client asks its gateway for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Stores a chunk and names it by a key.
    Put { key: u8, chunk: u8 },
    /// Names by one key what another names.
    Copy { from: u8, to: u8 },
    /// Removes a key.
    Delete { key: u8 },
    /// Reads a key.
    Get { key: u8 },
    /// Stores a chunk as a part of the upload.
    Part { part: u8, chunk: u8 },
    /// Makes an object of the parts.
    Complete { key: u8 },
    /// Drops the upload.
    Abort,
    /// A worker's: if a key names a chunk, stores the same bytes as another one and names that in its place.
    Recode { key: u8, from: u8, to: u8 },
}

/// What is checked.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// What each gateway's client asks for, in this order.
    pub(crate) programs: [&'static [Request]; GATEWAYS],
    /// Which lease each chunk is minted under, which is the number of a gateway.
    pub(crate) minted_by: [u8; CHUNKS],
    /// Whether gateways have their leases already.
    pub(crate) has_leases: bool,
    /// Stable shards that a commit needs.
    pub(crate) quorum: u8,
    /// Whether leases may be revoked and reaped, at any instant.
    pub(crate) reaps: bool,
    /// Whether the reaper may have learnt its map before the lease was revoked.
    pub(crate) reaps_by_old_maps: bool,
    /// In which order the reaper lists the disks.
    pub(crate) listing: [u8; DISKS],
    /// Whether the reaper fences disk by disk. Otherwise that is one step: nothing between can tell the difference.
    pub(crate) fences_one_by_one: bool,
    /// Whether a gateway may give up a write.
    pub(crate) abandons: bool,
    /// Whether a gateway may stop waiting for the answer to a commit, which is carried out later, or never.
    pub(crate) gives_commits_up: bool,
    /// Moves that are begun in this order: which shard, and to which disk.
    pub(crate) moves: &'static [(u8, u8)],
    /// How often a move may be reversed.
    pub(crate) reversals: u8,
    /// How often a disk may go away and come back.
    pub(crate) outages: u8,
    /// Whether the operator may want a disk removed that is away, so that garbage does not wait for it.
    pub(crate) gives_up: bool,
    /// How many disks may be lost for good.
    pub(crate) losses: u8,
    /// How many shards may rot.
    pub(crate) rot: u8,
    /// How many workers free garbage.
    pub(crate) collectors: u8,
    /// How many workers move.
    pub(crate) movers: u8,
    /// Whether the spare disk joins later.
    pub(crate) spare_joins: bool,
    /// Whether the repairer may have learnt its map long before it asks what is missing.
    pub(crate) repairs_by_old_maps: bool,
    /// Whether what a crashed worker has sent may arrive later.
    pub(crate) late_workers: bool,
    /// The rule that is left out.
    pub(crate) sabotage: Option<Sabotage>,
}

impl Scenario {
    /// Nothing happens in it; a start for others.
    pub(crate) fn quiet() -> Self {
        Self {
            programs: [&[]; GATEWAYS],
            minted_by: [0; CHUNKS],
            has_leases: true,
            quorum: 1,
            reaps: false,
            reaps_by_old_maps: false,
            listing: [2, 1, 0],
            fences_one_by_one: false,
            abandons: false,
            gives_commits_up: false,
            moves: &[],
            reversals: 0,
            outages: 0,
            gives_up: false,
            losses: 0,
            rot: 0,
            collectors: 0,
            movers: 1,
            spare_joins: false,
            repairs_by_old_maps: false,
            late_workers: false,
            sabotage: None,
        }
    }

    /// Whether the protocol is broken in this way.
    pub(crate) fn is(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}

/// Whether a client's requests store chunks, for which its gateway needs a lease.
pub(crate) fn needs_lease(program: &[Request]) -> bool {
    let stores = |request: &Request| {
        matches!(request, Request::Put { .. } | Request::Part { .. } | Request::Recode { .. })
    };
    program.iter().any(stores)
}
