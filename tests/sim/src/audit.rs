//! What is on the disks against what the database names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use chunk_api::{CellRange, ChunkService, ListShards, READ_CELLS_MAX, SHARDS_PER_CALL_MAX};
use env::Env;
use metadata_api::{ClusterMap, ContentKind, DiskState, Error, Metadata, PAGE_SIZE_MAX};
use types::{ChunkId, DiskId, Extent, GroupId, NodeId, ShardId, ShardIndex};

use crate::{
    loss::{self, Losses},
    role::chunk_client,
    site::Site,
};

/// Chunks that a version or a part named at some time. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct EverNamed {
    chunks: Arc<Mutex<BTreeSet<ChunkId>>>,
}

impl EverNamed {
    /// Takes in what the database names now.
    pub(crate) async fn look(&self, site: &Site) {
        let named = named(site).await;
        self.chunks.lock().expect("nobody panics with it").extend(named.keys());
    }

    fn contains(&self, chunk: ChunkId) -> bool {
        self.chunks.lock().expect("nobody panics with it").contains(&chunk)
    }
}

/// What an audit found. Only the first may ever be other than zero while nothing goes on.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Shards of chunks that an object names.
    pub(crate) good_shards: u64,
    /// Shards that nothing ever named: left by writes that failed or whose outcome nobody knew.
    pub(crate) unclaimed: Vec<String>,
    /// Shards of chunks that were named and no longer are.
    pub(crate) freed: Vec<String>,
    /// Shards on a disk where their group has no place for them.
    pub(crate) misplaced: Vec<String>,
    /// Shards with a cell that is not as it was written.
    pub(crate) corrupt: Vec<String>,
    /// Chunks that an object names and that have fewer good shards than a write waits for.
    pub(crate) endangered: Vec<String>,
    /// Chunks that an object names and that have fewer shards than they should.
    pub(crate) incomplete: Vec<String>,
    /// Codings that a class had before and in whose groups something may still be.
    pub(crate) former: Vec<String>,
    /// Disks that were destroyed and that placement groups are still on.
    pub(crate) unreplaced: Vec<String>,
}

impl Findings {
    /// What must not be there once everything has been repaired and has come to rest.
    pub(crate) fn defects(&self) -> Vec<String> {
        let Self {
            good_shards: _,
            unclaimed,
            freed,
            misplaced,
            corrupt,
            endangered,
            incomplete,
            former,
            unreplaced,
        } = self;
        let kinds = [
            ("freed and still there", freed),
            ("misplaced", misplaced),
            ("corrupt", corrupt),
            ("endangered", endangered),
            ("not re-encoded", former),
            ("lost and not rebuilt", unreplaced),
            ("unclaimed", unclaimed),
            ("incomplete", incomplete),
        ];
        let found = kinds.into_iter().filter(|(_, found)| !found.is_empty());
        found.map(|(kind, found)| format!("{kind}: {}", found.join(", "))).collect()
    }
}

/// Compares every shard of every disk with every chunk that is named, and reads every cell of the named ones.
pub(crate) async fn audit(
    site: &Site,
    env: &Env,
    ever: &EverNamed,
    losses: &Losses,
) -> Result<Findings, String> {
    ever.look(site).await;
    let named = named(site).await;
    let map = site.database.cluster_map(None).await.map_err(|error| error.to_string())?;
    let map = map.ok_or("the database has no map")?;
    let places = places(&map);
    let former = map.classes.iter().filter(|class| class.is_former);
    let mut findings = Findings {
        former: former.map(|class| class.definition.coding.to_string()).collect(),
        unreplaced: loss::unreplaced(site, losses).await,
        ..Findings::default()
    };
    let mut good: BTreeMap<ChunkId, BTreeSet<ShardIndex>> = BTreeMap::new();
    // A node whose only disk was lost is there no more; another has its address.
    let gone = |node: NodeId| map.disks.iter().all(|disk| disk.node != node || disk.state == DiskState::Gone);
    for node in map.nodes.iter().filter(|node| !gone(node.node)) {
        let service = chunk_client(env, &node.address, types::Role::Worker);
        for disk in service.disks().await.map_err(|error| format!("{}: {error}", node.address))? {
            // What is gone is nobody's any more, wherever it is.
            if map.disks.iter().any(|known| known.disk == disk.disk && known.state == DiskState::Gone) {
                continue;
            }
            for shard in shards(&*service, disk.disk).await? {
                let there = format!("{shard} on {}", disk.disk);
                let Some(extent) = named.get(&shard.chunk) else {
                    let kind = if ever.contains(shard.chunk) {
                        &mut findings.freed
                    } else {
                        &mut findings.unclaimed
                    };
                    kind.push(there);
                    continue;
                };
                if places.get(&(extent.group, shard.index)) != Some(&disk.disk) {
                    findings.misplaced.push(there);
                } else if let Err(reason) = verify(&*service, disk.disk, shard, extent).await {
                    findings.corrupt.push(format!("{there}: {reason}"));
                } else {
                    findings.good_shards += 1;
                    good.entry(shard.chunk).or_default().insert(shard.index);
                }
            }
        }
    }
    for (chunk, extent) in &named {
        let found = good.get(chunk).map_or(0, BTreeSet::len);
        let wanted = extent.coding.total();
        let text = format!("{chunk} has {found} of {wanted}");
        if found < wanted {
            findings.incomplete.push(text.clone());
        }
        if found < extent.coding.write_quorum() {
            findings.endangered.push(text);
        }
    }
    Ok(findings)
}

/// What workers still have to do, by what the database says of it, in words. Holders are those who may have a lease.
pub(crate) async fn unrest(site: &Site, losses: &Losses, holders: usize) -> Result<Vec<String>, Error> {
    let database = &site.database;
    let map = database.cluster_map(None).await?.unwrap_or_default();
    let leases = database.list_leases().await?;
    let revoked = leases.iter().filter(|lease| lease.revoked).count();
    let rows = database.list_contents(None, PAGE_SIZE_MAX).await?.rows;
    let counts = [
        ("former codings", map.classes.iter().filter(|class| class.is_former).count()),
        ("moves", map.classes.iter().flat_map(|class| &class.groups).map(|group| group.moves.len()).sum()),
        ("lost disks", loss::unreplaced(site, losses).await.len()),
        ("evictions", metadata_api::all_evictions(&**database).await?.len()),
        ("missing shards", database.list_missing(None, None, PAGE_SIZE_MAX).await?.len()),
        ("items of garbage", rows.iter().filter(|row| row.kind == ContentKind::Garbage).count()),
        ("revoked leases", revoked),
        ("leases that nobody holds", (leases.len() - revoked).saturating_sub(holders)),
    ];
    let left = counts.into_iter().filter(|(_, count)| *count > 0);
    Ok(left.map(|(what, count)| format!("{count} {what}")).collect())
}

/// Every chunk that a version or a part of an open upload names.
pub(crate) async fn named(site: &Site) -> BTreeMap<ChunkId, Extent> {
    let mut named = BTreeMap::new();
    let mut after = None;
    loop {
        let Ok(page) = site.database.list_contents(after, PAGE_SIZE_MAX).await else { return named };
        let rows = page.rows.into_iter().filter(|row| row.kind != ContentKind::Garbage);
        named.extend(rows.flat_map(|row| row.extents).map(|extent| (extent.chunk, extent)));
        match page.next {
            None => return named,
            next => after = next,
        }
    }
}

/// The disk of each shard index of each group.
fn places(map: &ClusterMap) -> BTreeMap<(GroupId, ShardIndex), DiskId> {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let disks = groups.flat_map(|group| {
        (0..).map(ShardIndex).zip(&group.disks).map(|(index, disk)| ((group.id, index), *disk))
    });
    disks.collect()
}

/// Every shard on a disk.
pub(crate) async fn shards(service: &dyn ChunkService, disk: DiskId) -> Result<Vec<ShardId>, String> {
    let mut found: Vec<ShardId> = Vec::new();
    loop {
        let request = ListShards::all(found.last().copied(), SHARDS_PER_CALL_MAX);
        let page = service.list_shards(disk, request).await.map_err(|error| format!("{disk}: {error}"))?;
        found.extend(page.iter().map(|summary| summary.header.shard));
        if page.len() < SHARDS_PER_CALL_MAX {
            return Ok(found);
        }
    }
}

/// Reads every cell of a shard.
async fn verify(
    service: &dyn ChunkService,
    disk: DiskId,
    shard: ShardId,
    extent: &Extent,
) -> Result<(), String> {
    let cells = extent.coding.stripes(extent.chunk_length);
    let mut first = 0;
    while first < cells {
        let count = u32::try_from((cells - first).min(READ_CELLS_MAX.into())).expect("few");
        let range = CellRange { first, count };
        let read = service.read_cells(disk, shard, range).await.map_err(|error| error.to_string())?;
        for (number, cell) in (first..).zip(&read) {
            cell.verify(shard, number).map_err(|error| error.to_string())?;
        }
        first += u64::from(count);
    }
    Ok(())
}
