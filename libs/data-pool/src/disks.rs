//! Disks by themselves: which there are, and calls that concern one of them or all.

use std::collections::{BTreeMap, BTreeSet};

use chunk_api::{DiskStatus, Error, QuarantinedRun, SHARDS_PER_CALL_MAX};
use futures_util::{StreamExt, stream};
use metadata_api::{DiskState, Eviction};
use types::{DiskId, GroupId, LeaseId, NodeId, ShardId, ShardIndex};

use crate::{
    Pool, UnreachedReason,
    health::Use,
    limits::{DELETE_DISKS_AT_ONCE, DELETE_TIMEOUT, EVICT_TIMEOUT, STATUS_TIMEOUT, VERIFY_TIMEOUT},
    snapshot::{Home, Place, Standing},
};

/// A disk of the cluster map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolDisk {
    /// The disk.
    pub disk: DiskId,
    /// The node that has it.
    pub node: NodeId,
    /// What the map says of it.
    pub state: DiskState,
    /// Whether the map says how to reach it. A disk that is gone is not reached any more.
    pub reachable: bool,
}

/// Where a shard is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardHome {
    /// The disk.
    pub disk: DiskId,
    /// Epoch of the cluster map that says so.
    pub epoch: i64,
}

/// A disk that did not do what was asked of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachedDisk {
    /// The disk.
    pub disk: DiskId,
    /// What stood in the way.
    pub reason: UnreachedReason,
}

/// What became of a fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Epoch of the cluster map whose disks were asked.
    pub epoch: i64,
    /// Disks that are not known to refuse the leases. Unless there are none, the fence does not count.
    pub unreached: Vec<UnreachedDisk>,
}

impl Pool {
    /// Epoch of the cluster map in use; 0 before the first.
    pub fn epoch(&self) -> i64 {
        self.shared().view.epoch()
    }

    /// Every disk of the cluster map in use, also those that are gone, in the order of their ids.
    pub fn disks(&self) -> Vec<PoolDisk> {
        let snapshot = self.shared().view.snapshot();
        let known = snapshot.homes().filter_map(|home| {
            let (state, node) = home.known?;
            Some(PoolDisk { disk: home.disk, node, state, reachable: home.place.is_some() })
        });
        known.collect()
    }

    /// What those of these disks say of themselves that answer. Those that are down by the map are not asked: each would keep
    /// the caller waiting for nothing.
    pub async fn statuses(&self, disks: &BTreeSet<DiskId>) -> BTreeMap<DiskId, DiskStatus> {
        let snapshot = self.shared().view.snapshot();
        let homes = snapshot.homes().filter(|home| disks.contains(&home.disk));
        // A node tells of all of its disks at once.
        let nodes = homes.filter_map(|home| Some((home.known?.1, home.place.clone()?)));
        let nodes: BTreeMap<NodeId, Place> =
            nodes.filter(|(_, place)| place.standing != Standing::Down).collect();
        let calls = nodes.into_values().map(|place| async move {
            let answer = self.shared().env.timeout(STATUS_TIMEOUT, place.service.disks()).await;
            answer.unwrap_or(Err(Error::TimedOut)).unwrap_or_default()
        });
        let mut calls = stream::iter(calls).buffer_unordered(DELETE_DISKS_AT_ONCE);
        let mut statuses = BTreeMap::new();
        while let Some(answer) = calls.next().await {
            let wanted = answer.into_iter().filter(|status| disks.contains(&status.disk));
            statuses.extend(wanted.map(|status| (status.disk, status)));
        }
        statuses
    }

    /// What is quarantined on a disk.
    ///
    /// Errors: those of [`chunk_api::ChunkService::list_quarantined`]; `Unavailable` when the cluster map does not say how to reach
    /// the disk.
    pub async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        let place = self.place(disk)?;
        let answer = self.shared().env.timeout(STATUS_TIMEOUT, place.service.list_quarantined(disk)).await;
        self.noted(&place, answer.unwrap_or(Err(Error::TimedOut)))
    }

    /// Forgets what is quarantined on a disk under these ids.
    ///
    /// Errors: as [`Pool::list_quarantined`].
    pub async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        let place = self.place(disk)?;
        let answer = place.service.release_quarantined(disk, ids);
        let answer = self.shared().env.timeout(VERIFY_TIMEOUT, answer).await;
        self.noted(&place, answer.unwrap_or(Err(Error::TimedOut)))
    }

    /// Where a shard of this group and index is to be written by the cluster map in use; `None` when the map has no
    /// such group or the group no such index.
    pub fn home(&self, group: GroupId, index: ShardIndex) -> Option<ShardHome> {
        let snapshot = self.shared().view.snapshot();
        let disk = snapshot.group(group)?.target(usize::from(index.0))?.disk;
        Some(ShardHome { disk, epoch: snapshot.epoch })
    }

    /// Reads every byte of a shard on a disk.
    ///
    /// Errors: `ShardNotFound`, `ShardCorrupt`, and as [`Pool::verify_shards`].
    pub async fn verify_shard(&self, disk: DiskId, shard: ShardId) -> Result<(), Error> {
        let answers = self.verify_shards(disk, &[shard]).await?;
        let nothing = || Error::Malformed { reason: "the answer says nothing of the shard".to_owned() };
        answers.into_iter().next().unwrap_or_else(|| Err(nothing()))
    }

    /// Reads every byte of these shards on a disk, at most [`SHARDS_PER_CALL_MAX`], and says of each whether it is whole.
    ///
    /// Errors: those of [`chunk_api::ChunkService::verify_shards`]; `Unavailable` when the cluster map does not say how
    /// to reach the disk.
    pub async fn verify_shards(
        &self,
        disk: DiskId,
        shards: &[ShardId],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let place = self.place(disk)?;
        let answer = place.service.verify_shards(disk, shards);
        let answers = self.shared().env.timeout(VERIFY_TIMEOUT, answer).await;
        let answers = self.noted(&place, answers.unwrap_or(Err(Error::TimedOut)))?;
        if answers.len() == shards.len() {
            Ok(answers)
        } else {
            Err(Error::Malformed {
                reason: "the answer is not of as many shards as were asked for".to_owned(),
            })
        }
    }

    /// Has every disk that is not gone refuse writes under these leases for ever. With an answer that lists no disk,
    /// each write under them has either been completed, and is listed, or fails.
    pub async fn fence(&self, leases: &[LeaseId]) -> Fence {
        let snapshot = self.shared().view.snapshot();
        let (places, mut unreached) = reachable(snapshot.homes());
        let calls = places.into_iter().map(|place| async move {
            let failed = self.fence_disk(&place, leases).await.err()?;
            Some(UnreachedDisk { disk: place.disk, reason: UnreachedReason::Failed(failed) })
        });
        let mut calls = stream::iter(calls).buffer_unordered(DELETE_DISKS_AT_ONCE);
        while let Some(failed) = calls.next().await {
            unreached.extend(failed);
        }
        Fence { epoch: snapshot.epoch, unreached }
    }

    async fn fence_disk(&self, place: &Place, leases: &[LeaseId]) -> Result<(), Error> {
        for page in leases.chunks(SHARDS_PER_CALL_MAX) {
            let answer = place.service.fence_leases(place.disk, page);
            let answer = self.shared().env.timeout(DELETE_TIMEOUT, answer).await;
            self.noted(place, answer.unwrap_or(Err(Error::TimedOut)))?;
        }
        Ok(())
    }

    /// Removes the shards that a finished move left on the disk that it came from, and has the disk refuse those that come
    /// too late for the move. Durable on return; may be repeated.
    ///
    /// Errors: those of [`chunk_api::ChunkService::evict_group`]; `Unavailable` when the cluster map does not say how to
    /// reach the disk.
    pub async fn evict(&self, eviction: &Eviction) -> Result<(), Error> {
        let Eviction { disk, group, index, epoch } = *eviction;
        let place = self.place(disk)?;
        let answer = place.service.evict_group(disk, group, index, epoch);
        let answer = self.shared().env.timeout(EVICT_TIMEOUT, answer).await;
        self.noted(&place, answer.unwrap_or(Err(Error::TimedOut)))
    }

    /// How a disk is reached.
    pub(crate) fn place(&self, disk: DiskId) -> Result<Place, Error> {
        let snapshot = self.shared().view.snapshot();
        let place = snapshot.home(disk).and_then(|home| home.place.clone());
        place
            .ok_or_else(|| Error::Unavailable { reason: "the cluster map does not have the disk".to_owned() })
    }

    /// Lets the disk's health know of an answer.
    pub(crate) fn noted<T>(&self, place: &Place, answer: Result<T, Error>) -> Result<T, Error> {
        match &answer {
            Ok(_) => self.shared().health.succeeded(place, Use::Read),
            Err(error) => self.shared().health.failed(place, error),
        }
        answer
    }
}

/// Sorts disks into those that can be asked and those that cannot; those that are gone are left out.
pub(crate) fn reachable<'a>(homes: impl Iterator<Item = &'a Home>) -> (Vec<Place>, Vec<UnreachedDisk>) {
    let (mut places, mut unreached) = (Vec::new(), Vec::new());
    for home in homes.filter(|home| !home.is_gone()) {
        match &home.place {
            Some(place) => places.push(place.clone()),
            None => unreached.push(UnreachedDisk { disk: home.disk, reason: UnreachedReason::NotInMap }),
        }
    }
    (places, unreached)
}
