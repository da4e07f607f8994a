//! What is on the disks against what the database names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use chunk_api::{CellRange, ChunkService, ListShards, READ_CELLS_MAX, SHARDS_PER_CALL_MAX};
use env::Env;
use metadata_api::{
    ClusterMap, GetVersion, ListObjects, ListPosition, Metadata, ObjectEntry, PAGE_SIZE_MAX, VersionState,
};
use types::{
    BucketName, ChunkId, Content, DiskId, Extent, GroupId, KeyPrefix, ObjectKey, ShardId, ShardIndex,
};

use crate::{client::BUCKET, role::chunk_client, site::Site};

/// Chunks that an object named at some time. Clones share it.
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

/// What an audit found. Only the first two may ever be other than zero while nothing goes on.
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
}

impl Findings {
    /// What must never be there once everything has been repaired and has come to rest.
    pub(crate) fn defects(&self, everything: bool) -> Vec<String> {
        let Self { good_shards: _, unclaimed, freed, misplaced, corrupt, endangered, incomplete, former } =
            self;
        let mut kinds = vec![
            ("freed and still there", freed),
            ("misplaced", misplaced),
            ("corrupt", corrupt),
            ("endangered", endangered),
            ("not re-encoded", former),
        ];
        if everything {
            kinds.extend([("unclaimed", unclaimed), ("incomplete", incomplete)]);
        }
        let found = kinds.into_iter().filter(|(_, found)| !found.is_empty());
        found.map(|(kind, found)| format!("{kind}: {}", found.join(", "))).collect()
    }
}

/// Compares every shard of every disk with every chunk that is named, and reads every cell of the named ones.
pub(crate) async fn audit(site: &Site, env: &Env, ever: &EverNamed) -> Result<Findings, String> {
    ever.look(site).await;
    let named = named(site).await;
    let map = site.database.cluster_map(None).await.map_err(|error| error.to_string())?;
    let map = map.ok_or("the database has no map")?;
    let places = places(&map);
    let former = map.classes.iter().filter(|class| class.is_former);
    let mut findings = Findings {
        former: former.map(|class| class.definition.coding.to_string()).collect(),
        ..Findings::default()
    };
    let mut good: BTreeMap<ChunkId, BTreeSet<ShardIndex>> = BTreeMap::new();
    for node in &map.nodes {
        let service = chunk_client(env, &node.address);
        for disk in service.disks().await.map_err(|error| format!("{}: {error}", node.address))? {
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

/// Every chunk that an object names.
async fn named(site: &Site) -> BTreeMap<ChunkId, Extent> {
    let bucket = BucketName::new(BUCKET).expect("a good name");
    let request = ListObjects {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit: PAGE_SIZE_MAX,
    };
    let Ok(page) = site.database.list_objects(request).await else { return BTreeMap::new() };
    let mut named = BTreeMap::new();
    for entry in page.entries {
        let ObjectEntry::Object(object) = entry else { continue };
        for extent in extents(site, &bucket, object.key).await {
            named.insert(extent.chunk, extent);
        }
    }
    named
}

async fn extents(site: &Site, bucket: &BucketName, key: ObjectKey) -> Vec<Extent> {
    let request = GetVersion { bucket: bucket.clone(), key, version_id: None, with_content: true };
    match site.database.get_version(request).await.map(|found| found.state) {
        Ok(VersionState::Object(version)) => match version.content {
            Content::Stored(manifest) => manifest.extents,
            Content::Inline(_) => Vec::new(),
        },
        _ => Vec::new(),
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

async fn shards(service: &dyn ChunkService, disk: DiskId) -> Result<Vec<ShardId>, String> {
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
