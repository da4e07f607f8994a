//! What is listed against what is named. What does not fit is suspect, and is looked at again later.

use std::collections::HashMap;

use data_pool::ListedChunk;
use types::{ChunkId, ShardId, ShardIndex};

use super::{
    AuditReport, Finding, Layout, bytes_of, missing_shard,
    names::Named,
    recheck::{Lone, Stray, Suspects},
};

/// The comparison of one part.
pub(super) struct Compare<'a> {
    pub(super) names: HashMap<ChunkId, Named>,
    pub(super) report: &'a mut AuditReport,
    pub(super) suspects: &'a mut Suspects,
}

impl Compare<'_> {
    /// Takes a listed chunk in. Answers what rows say of it, when its bytes should be whole.
    pub(super) fn chunk(&mut self, layout: &Layout, chunk: &ListedChunk) -> Option<Named> {
        let Some(named) = self.names.remove(&chunk.chunk) else {
            let owner = chunk.shards.iter().map(|shard| &shard.header.owner).find(|owner| !owner.is_empty());
            self.suspects.unnamed(Lone {
                chunk: chunk.chunk,
                owner: owner.cloned().unwrap_or_default(),
                shards: chunk.shards.len(),
                bytes: bytes_of(chunk),
            });
            return None;
        };
        if named.is_garbage {
            self.report.awaiting_deletion += 1;
            return None;
        }
        self.report.chunks += 1;
        let is_there = |index: ShardIndex| {
            layout.places(named.group, index.0).iter().any(|disk| chunk.on(index, *disk).is_some())
        };
        let is_lost = is_lost(layout, named, is_there);
        for index in indexes(named) {
            let places = layout.places(named.group, index.0);
            match places.iter().find_map(|disk| chunk.on(index, *disk)) {
                Some(shard) => {
                    self.report.shards += 1;
                    self.report.bytes += shard.header.length();
                    if shard.is_damaged {
                        self.report.found(Finding::Corrupt { shard: shard.header.shard, disk: shard.disk });
                        self.report.can_repair(missing_shard(&shard.header));
                    }
                }
                None => self.absent(layout, chunk.chunk, named, index, is_lost),
            }
        }
        for shard in &chunk.shards {
            let index = shard.header.shard.index;
            if layout.places(named.group, index.0).contains(&shard.disk) {
                continue;
            }
            if layout.is_leaving(shard.disk, &shard.header) {
                self.report.awaiting_eviction += 1;
            } else {
                self.suspects.misplaced(Stray {
                    shard: shard.header.shard,
                    disk: shard.disk,
                    group: named.group,
                    epoch: shard.header.epoch,
                });
            }
        }
        Some(named)
    }

    /// The chunks that are named and were not listed at all.
    pub(super) fn rest(&mut self, layout: &Layout) {
        for (chunk, named) in std::mem::take(&mut self.names) {
            if named.is_garbage {
                continue;
            }
            self.report.chunks += 1;
            let is_lost = is_lost(layout, named, |_| false);
            for index in indexes(named) {
                self.absent(layout, chunk, named, index, is_lost);
            }
        }
    }

    /// What was on a disk that was given up is on its way to another, and unseen until it is there, unless its chunk is lost.
    fn absent(&mut self, layout: &Layout, chunk: ChunkId, named: Named, index: ShardIndex, is_lost: bool) {
        let places = layout.places(named.group, index.0);
        let is_unseen = if is_lost { layout.may_come_back(&places) } else { layout.may_be_unseen(&places) };
        if is_unseen {
            self.report.unseen += 1;
        } else {
            self.suspects.missing(ShardId { chunk, index }, named);
        }
    }
}

fn indexes(named: Named) -> impl Iterator<Item = ShardIndex> {
    (0..=u8::MAX).take(named.coding.total()).map(ShardIndex)
}

/// Whether a chunk cannot be read any more, whatever disks come back that may.
fn is_lost(layout: &Layout, named: Named, is_there: impl Fn(ShardIndex) -> bool) -> bool {
    let may_be = |index: &ShardIndex| {
        is_there(*index) || layout.may_come_back(&layout.all_places(named.group, index.0))
    };
    indexes(named).filter(may_be).count() < named.coding.data()
}
