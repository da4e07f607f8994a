//! Gateway leases, and what those that were revoked left unnamed.

use std::collections::{BTreeMap, BTreeSet};

use types::{ChunkId, ChunkOwner, Content, LeaseId};

use super::{State, check_count, malformed};
use crate::{ADOPTED, Error, LeaseState};

#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Those that are not reaped.
    known: BTreeMap<LeaseId, LeaseState>,
    granted: i64,
}

impl Leases {
    /// Its holder may act by any map until its first renewal tells.
    pub(super) fn acquire(&mut self, holder: &str) -> LeaseId {
        self.granted += 1;
        let id = LeaseId(self.granted);
        let holder = holder.to_owned();
        self.known.insert(id, LeaseState { id, holder, renewals: 0, oldest_epoch: 0, revoked: false });
        id
    }

    fn active(&mut self, id: LeaseId) -> Option<&mut LeaseState> {
        self.known.get_mut(&id).filter(|lease| !lease.revoked)
    }

    fn is_active(&self, id: LeaseId) -> bool {
        self.known.get(&id).is_some_and(|lease| !lease.revoked)
    }

    pub(super) fn check(&self, id: LeaseId) -> Result<(), Error> {
        if self.is_active(id) { Ok(()) } else { Err(Error::LeaseRevoked) }
    }

    pub(super) fn renew(&mut self, id: LeaseId, oldest_epoch: i64) -> Result<(), Error> {
        let lease = self.active(id).ok_or(Error::LeaseRevoked)?;
        lease.renewals += 1;
        lease.oldest_epoch = oldest_epoch;
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<LeaseState> {
        self.known.values().cloned().collect()
    }

    pub(super) fn revoke(&mut self, id: LeaseId, observed_renewals: i64) -> bool {
        if let Some(lease) = self.active(id).filter(|lease| lease.renewals == observed_renewals) {
            lease.revoked = true;
        }
        !self.is_active(id)
    }

    pub(super) fn adopt(&mut self, leases: &[LeaseId]) -> usize {
        let before = self.known.len();
        for id in leases.iter().copied() {
            let holder = ADOPTED.to_owned();
            let lease = LeaseState { id, holder, renewals: 0, oldest_epoch: 0, revoked: true };
            self.known.entry(id).or_insert(lease);
        }
        self.known.len() - before
    }

    pub(super) fn release(&mut self, id: LeaseId) {
        if let Some(lease) = self.active(id) {
            lease.revoked = true;
        }
    }
}

impl State {
    pub(super) fn finish_lease(&mut self, id: LeaseId, epoch: i64) -> Result<(), Error> {
        if self.leases.is_active(id) {
            return Err(malformed("the lease is not revoked"));
        }
        if self.cluster.places_epoch > epoch {
            return Err(Error::StaleMap { epoch: self.cluster.epoch });
        }
        self.leases.known.remove(&id);
        Ok(())
    }

    pub(super) fn unnamed_chunks(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Error> {
        check_count(chunks.len())?;
        if self.leases.is_active(lease) {
            return Err(Error::LeaseActive { lease });
        }
        if chunks.iter().any(|(chunk, _)| chunk.lease != lease) {
            return Err(malformed("a chunk of another lease"));
        }
        let unnamed = chunks.iter().filter(|(chunk, owner)| !self.is_named(*chunk, owner));
        Ok(unnamed.map(|(chunk, _)| *chunk).collect::<BTreeSet<_>>().into_iter().collect())
    }

    pub(super) fn named_chunks(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Error> {
        check_count(chunks.len())?;
        let named = chunks.iter().filter(|(chunk, owner)| self.is_named(*chunk, owner));
        Ok(named.map(|(chunk, _)| *chunk).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Whether a version of the owner's key or a part of one of its uploads names the chunk; both count until they are
    /// freed. A chunk that was copied may be named by any version, until that is handed out to be freed.
    fn is_named(&self, chunk: ChunkId, owner: &ChunkOwner) -> bool {
        let names = |content: &Content| match content {
            Content::Stored(manifest) => manifest.extents.iter().any(|extent| extent.chunk == chunk),
            Content::Inline(_) => false,
        };
        let bucket = self.buckets.get(&owner.bucket);
        let versions = bucket.and_then(|bucket| bucket.versions.get(&owner.key)).into_iter().flatten();
        let uploads = bucket.into_iter().flat_map(|bucket| &bucket.uploads);
        let parts =
            uploads.filter(|((key, _), _)| *key == owner.key).flat_map(|(_, upload)| upload.parts.values());
        let removed = self.garbage.names(chunk, Some(owner));
        versions.filter_map(|row| row.content()).any(names)
            || parts.map(|part| &part.content).any(names)
            || removed
            || self.shared.contains(&chunk)
                && (self.garbage.names(chunk, None)
                    || self.buckets.values().any(|bucket| {
                        bucket.versions.values().flatten().filter_map(|row| row.content()).any(names)
                    }))
    }
}
