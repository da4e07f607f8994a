//! Content that nothing names any more.

use std::collections::{BTreeMap, BTreeSet};

use types::{BucketId, BucketName, ChunkId, Content, Extent};

use super::State;
use crate::{GarbageId, GarbageItem};

#[derive(Debug, Default)]
pub(super) struct Garbage {
    items: BTreeMap<GarbageId, Item>,
    queued: i64,
}

#[derive(Debug)]
struct Item {
    due_ms: i64,
    /// What the row named that was removed, or once `taken` what is to be freed.
    extents: Vec<Extent>,
    taken: bool,
}

impl Garbage {
    pub(super) fn finish(&mut self, items: &[GarbageId]) -> usize {
        items.iter().filter(|id| self.items.remove(id).is_some()).count()
    }
}

impl State {
    /// Queues what a removed row named.
    pub(super) fn free(&mut self, bucket: BucketId, content: &Content) {
        let Content::Stored(manifest) = content else { return };
        let mut seen = BTreeSet::new();
        let extents = manifest.extents.iter().filter(|extent| seen.insert(extent.chunk)).copied().collect();
        let hold_ms = i64::try_from(self.options.garbage_hold.as_millis()).unwrap_or(i64::MAX);
        let due_ms = self.env.wall_clock_ms().saturating_add(hold_ms);
        self.garbage.queued += 1;
        let id = GarbageId { bucket, number: self.garbage.queued };
        self.garbage.items.insert(id, Item { due_ms, extents, taken: false });
    }

    pub(super) fn free_in(&mut self, bucket: &BucketName, content: &Content) {
        if let Some(id) = self.buckets.get(bucket).map(|bucket| bucket.id) {
            self.free(id, content);
        }
    }

    pub(super) fn take_garbage(&mut self, limit: usize) -> Vec<GarbageItem> {
        let now = self.env.wall_clock_ms();
        let due: Vec<GarbageId> = self
            .garbage
            .items
            .iter()
            .filter(|(_, item)| item.due_ms <= now)
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        due.into_iter().map(|id| self.take(id)).collect()
    }

    /// Decides, once, which chunks an item frees: those that no row names and no other item will free. Nothing can
    /// name them again, because a copy starts from a row.
    fn take(&mut self, id: GarbageId) -> GarbageItem {
        let undecided = self.garbage.items.get(&id).is_some_and(|item| !item.taken);
        let named = if undecided { self.named_beside(id) } else { BTreeSet::new() };
        let Some(item) = self.garbage.items.get_mut(&id) else {
            return GarbageItem { id, extents: Vec::new() };
        };
        item.taken = true;
        item.extents.retain(|extent| !named.contains(&extent.chunk));
        GarbageItem { id, extents: item.extents.clone() }
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
        let queued = others.flat_map(|(_, item)| item.extents.iter());
        stored.flatten().chain(queued).map(|extent| extent.chunk).collect()
    }
}
