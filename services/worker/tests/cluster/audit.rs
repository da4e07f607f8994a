//! Compares every shard on every disk with every manifest.

use std::collections::{BTreeMap, BTreeSet};

use chunk_api::{ChunkService, ListShards, SHARDS_PER_CALL_MAX, ShardHeader};
use metadata_api::{ContentKind, Metadata, PlacementGroup};
use types::{DiskId, GroupId, ShardId, ShardIndex};

use crate::{harness::Cluster, node::Node};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) shards: usize,
    missing: Vec<(DiskId, ShardId)>,
    corrupt: Vec<(DiskId, ShardId)>,
    orphaned: Vec<(DiskId, ShardId)>,
    misplaced: Vec<(DiskId, ShardId)>,
    /// What is on its way.
    moves: usize,
    evictions: usize,
    queued: usize,
    garbage: usize,
    revoked: usize,
}

impl Audit {
    pub(crate) fn is_clean(&self) -> bool {
        let bad = [&self.missing, &self.corrupt, &self.orphaned, &self.misplaced];
        bad.iter().all(|bad| bad.is_empty())
            && self.moves + self.evictions + self.queued + self.garbage + self.revoked == 0
    }
}

pub(crate) async fn audit(cluster: &Cluster) -> Audit {
    let mut audit = Audit::default();
    let groups: BTreeMap<GroupId, PlacementGroup> =
        cluster.groups().await.into_iter().map(|group| (group.id, group)).collect();
    audit.moves = groups.values().map(|group| group.moves.len()).sum();
    audit.evictions = metadata_api::all_evictions(&*cluster.metadata).await.unwrap().len();
    audit.queued = cluster.metadata.list_missing(None, None, 1000).await.unwrap().len();
    audit.revoked =
        cluster.metadata.list_leases().await.unwrap().iter().filter(|lease| lease.revoked).count();

    let wanted = wanted(cluster, &groups, &mut audit).await;
    audit.shards = wanted.len();
    let mut found: BTreeSet<(DiskId, ShardId)> = BTreeSet::new();
    let away = cluster.nodes.iter().filter(|node| node.is_away()).map(|node| node.disk);
    let away: BTreeSet<DiskId> = away.collect();
    for node in cluster.nodes.iter().filter(|node| !away.contains(&node.disk)) {
        for header in shards(node).await {
            let at = (node.disk, header.shard);
            match wanted.get(&header.shard) {
                None => audit.orphaned.push(at),
                Some(home) if *home != node.disk => audit.misplaced.push(at),
                Some(_) => drop(found.insert(at)),
            }
            let verified = node.kept.verify_shards(node.disk, &[header.shard]).await.unwrap();
            if verified[0].is_err() {
                audit.corrupt.push(at);
            }
        }
    }
    let homes = wanted.into_iter().map(|(shard, home)| (home, shard));
    audit.missing = homes.filter(|at| !found.contains(at)).collect();
    audit
}

/// Every shard of every manifest, with the disk where it should be.
async fn wanted(
    cluster: &Cluster,
    groups: &BTreeMap<GroupId, PlacementGroup>,
    audit: &mut Audit,
) -> BTreeMap<ShardId, DiskId> {
    let mut wanted = BTreeMap::new();
    let mut after = None;
    loop {
        let page = cluster.metadata.list_contents(after, 1000).await.unwrap();
        for row in page.rows {
            if row.kind == ContentKind::Garbage {
                audit.garbage += 1;
                continue;
            }
            for extent in row.extents {
                for index in 0..extent.coding.total() {
                    let shard = ShardId { chunk: extent.chunk, index: ShardIndex(index as u8) };
                    wanted.insert(shard, groups[&extent.group].disks[index]);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return wanted;
        }
    }
}

async fn shards(node: &Node) -> Vec<ShardHeader> {
    let mut headers: Vec<ShardHeader> = Vec::new();
    loop {
        let after = headers.last().map(|header| header.shard);
        let page =
            node.kept.list_shards(node.disk, ListShards::all(after, SHARDS_PER_CALL_MAX)).await.unwrap();
        let is_last = page.len() < SHARDS_PER_CALL_MAX;
        headers.extend(page.into_iter().map(|summary| summary.header));
        if is_last {
            return headers;
        }
    }
}
