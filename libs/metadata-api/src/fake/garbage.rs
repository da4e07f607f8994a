//! Content that nothing names any more.

use std::collections::{BTreeMap, BTreeSet};

use types::{BucketId, BucketName, ChunkId, ChunkOwner, Content, DiskId, Extent, GroupId, ObjectKey};

use super::State;
use crate::{GarbageId, GarbageItem};

#[derive(Debug, Clone, Default)]
pub(super) struct Garbage {
    pub(super) items: BTreeMap<GarbageId, Item>,
    queued: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    due_ms: i64,
    /// The key of the version that was removed; none of a part.
    pub(super) key: Option<ObjectKey>,
    /// The bucket and the key of which the version or the part was; none of a holder.
    owner: Option<(BucketName, ObjectKey)>,
    /// Whether it holds its chunks by references of its own: they were replaced in a row that stays.
    pub(super) is_holder: bool,
    /// What the row named that was removed.
    pub(super) named: Vec<Extent>,
    /// What is to be freed, once that is decided.
    freed: Option<Vec<Extent>>,
}

impl Item {
    /// What nobody else may free.
    pub(super) fn extents(&self) -> &[Extent] {
        self.freed.as_ref().unwrap_or(&self.named)
    }
}

impl Garbage {
    /// Whether a version or a part that was removed names the chunk: one of this owner, until it is forgotten, or any version,
    /// until it is handed out.
    pub(super) fn names(&self, chunk: ChunkId, of: Option<&ChunkOwner>) -> bool {
        self.items.values().any(|item| {
            let counts = match of {
                Some(of) => {
                    item.owner.as_ref().is_some_and(|(bucket, key)| (bucket, key) == (&of.bucket, &of.key))
                }
                None => (item.key.is_some() || item.is_holder) && item.freed.is_none(),
            };
            counts && item.named.iter().any(|extent| extent.chunk == chunk)
        })
    }
}

impl State {
    /// Queues what a removed version of a key named.
    pub(super) fn free(&mut self, bucket: BucketId, key: &ObjectKey, content: &Content) {
        self.queue(bucket, Some(key), Some(key), content);
    }

    /// Queues what a removed part of a key's upload named.
    pub(super) fn free_part(&mut self, bucket: BucketId, key: &ObjectKey, content: &Content) {
        self.queue(bucket, None, Some(key), content);
    }

    /// Queues chunks that were replaced.
    pub(super) fn hold(&mut self, bucket: BucketId, content: &Content) {
        self.queue(bucket, None, None, content);
    }

    fn queue(
        &mut self,
        bucket: BucketId,
        key: Option<&ObjectKey>,
        owner: Option<&ObjectKey>,
        content: &Content,
    ) {
        let Content::Stored(manifest) = content else { return };
        let mut seen = BTreeSet::new();
        let named = manifest.extents.iter().filter(|extent| seen.insert(extent.chunk)).copied().collect();
        let hold_ms = i64::try_from(self.options.garbage_hold.as_millis()).unwrap_or(i64::MAX);
        let due_ms = self.env.wall_clock_ms().saturating_add(hold_ms);
        self.garbage.queued += 1;
        let id = GarbageId { bucket, number: self.garbage.queued };
        let name = self.buckets.values().find(|row| row.id == bucket).map(|row| row.name.clone());
        let is_holder = owner.is_none();
        let owner = name.zip(owner.cloned());
        let item = Item { due_ms, key: key.cloned(), owner, is_holder, named, freed: None };
        self.garbage.items.insert(id, item);
    }

    pub(super) fn free_in(&mut self, bucket: &BucketName, key: &ObjectKey, content: &Content) {
        if let Some(id) = self.buckets.get(bucket).map(|bucket| bucket.id) {
            self.free(id, key, content);
        }
    }

    pub(super) fn free_part_in(&mut self, bucket: &BucketName, key: &ObjectKey, content: &Content) {
        if let Some(id) = self.buckets.get(bucket).map(|bucket| bucket.id) {
            self.free_part(id, key, content);
        }
    }

    pub(super) fn take_garbage(&mut self, limit: usize) -> Vec<GarbageItem> {
        if self.cluster.is_frozen {
            return Vec::new();
        }
        let now = self.env.wall_clock_ms();
        let due: Vec<GarbageId> = self
            .garbage
            .items
            .iter()
            .filter(|(_, item)| item.due_ms <= now)
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        let items: Vec<GarbageItem> = due.into_iter().map(|id| self.take(id)).collect();
        let freed = items.iter().flat_map(|item| &item.extents).map(|extent| extent.chunk).collect();
        self.missing.forget(&freed);
        items
    }

    /// Decides, once, which chunks an item frees: those that no row names and no other item will free. Nothing can
    /// name them again, because a copy starts from a row.
    fn take(&mut self, id: GarbageId) -> GarbageItem {
        let undecided = self.garbage.items.get(&id).is_some_and(|item| item.freed.is_none());
        let named = if undecided { self.named_beside(id) } else { BTreeSet::new() };
        let Some(item) = self.garbage.items.get_mut(&id) else {
            return GarbageItem { id, extents: Vec::new() };
        };
        let extents = item.freed.get_or_insert_with(|| {
            item.named.iter().filter(|extent| !named.contains(&extent.chunk)).copied().collect()
        });
        GarbageItem { id, extents: extents.clone() }
    }

    /// Only items that were handed out are forgotten, and only those whose groups are as they were at `epoch`. The disks
    /// that were given up are marked, and those of the groups of what is forgotten that nobody waits for.
    pub(super) fn finish_garbage(&mut self, items: &[GarbageId], epoch: i64, given_up: &[DiskId]) -> usize {
        if !self.cluster.give_up(given_up) {
            return 0;
        }
        let is_finished = |id: &&GarbageId| {
            let freed = self.garbage.items.get(id).and_then(|item| item.freed.as_ref());
            freed.is_some_and(|extents| {
                extents.iter().all(|extent| self.cluster.is_unchanged(extent.group, epoch))
            })
        };
        let finished: BTreeSet<GarbageId> = items.iter().filter(is_finished).copied().collect();
        let items = self.garbage.items.iter().filter(|(id, _)| finished.contains(id));
        let extents = items.flat_map(|(_, item)| item.freed.iter().flatten());
        let (groups, freed): (BTreeSet<GroupId>, BTreeSet<ChunkId>) =
            extents.map(|extent| (extent.group, extent.chunk)).unzip();
        let lost = self.cluster.lost_of_groups(&groups);
        self.cluster.give_up(&lost);
        self.missing.forget(&freed);
        self.garbage.items.retain(|id, _| !finished.contains(id));
        finished.len()
    }

    fn named_beside(&self, id: GarbageId) -> BTreeSet<ChunkId> {
        let rows = self.buckets.values().flat_map(|bucket| {
            let versions = bucket.versions.values().flatten().filter_map(|row| row.content());
            let parts =
                bucket.uploads.values().flat_map(|upload| upload.parts.values().map(|part| &part.content));
            versions.chain(parts)
        });
        let stored = rows.filter_map(|content| match content {
            Content::Stored(manifest) => Some(manifest.extents.iter()),
            Content::Inline(_) => None,
        });
        let others = self.garbage.items.iter().filter(|(other, _)| **other != id);
        let queued = others.flat_map(|(_, item)| item.extents());
        stored.flatten().chain(queued).map(|extent| extent.chunk).collect()
    }
}
