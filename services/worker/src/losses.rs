//! What is on record of placement groups and cannot be rebuilt any more, once the disks that are silent are not waited for.

use std::collections::{BTreeMap, BTreeSet};

use data_pool::{ListedChunk, Look, Pool};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use metadata_api::{ContentKind, Error, Metadata, PAGE_SIZE_MAX};
use types::{BucketName, ChunkId, Coding, DiskId, Extent, GroupId, ObjectKey};

use crate::standing::owner;

/// Chunks that are looked for at a time.
const LOOKS_AT_ONCE: usize = 16;

/// Most lost chunks that are remembered; more are not counted.
const LOST_MAX: usize = 200_000;

/// Most lost chunks of which it is told what they are of.
const NAMED_MAX: usize = 100;

/// Chunks that are lost when nobody waits for some disks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses {
    /// Their names, up to 200,000 of them.
    pub chunks: BTreeSet<ChunkId>,
    /// What the first of them are of, with its bucket and key where these are known.
    pub contents: Vec<LostObject>,
}

/// An object that names a lost chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostObject {
    /// The chunk.
    pub chunk: ChunkId,
    /// The bucket, unless it is gone.
    pub bucket: Option<BucketName>,
    /// The key.
    pub key: Option<ObjectKey>,
}

impl Losses {
    /// Adds others, those that are in both once.
    pub(crate) fn add(&mut self, more: Self) {
        let room = NAMED_MAX.saturating_sub(self.contents.len());
        let new = more.contents.into_iter().filter(|object| !self.chunks.contains(&object.chunk));
        self.contents.extend(new.take(room));
        self.chunks.extend(more.chunks);
    }
}

/// Looks through all rows for chunks of these groups of which the disks that answer have fewer good shards than it takes to read them,
/// while no other disk may have any but those for which `is_given_up` holds. A chunk that another disk may have is not lost.
///
/// All rows are read twice, because one may be moved behind the reader. What is named later is not among them.
///
/// Errors: those of the metadata service.
pub async fn losses(
    metadata: &dyn Metadata,
    pool: &Pool,
    groups: &BTreeSet<GroupId>,
    is_given_up: &(dyn Fn(DiskId) -> bool + Sync),
) -> Result<Losses, Error> {
    let mut losses = Losses::default();
    for _ in 0..2 {
        let mut after = None;
        loop {
            let page = metadata.list_contents(after, PAGE_SIZE_MAX).await?;
            let mut named: BTreeMap<ChunkId, (Extent, LostObject)> = BTreeMap::new();
            // What waits to be freed is needed by nobody.
            for row in page.rows.iter().filter(|row| row.kind != ContentKind::Garbage) {
                for extent in row.extents.iter().filter(|extent| groups.contains(&extent.group)) {
                    let (bucket, key) = (row.bucket_name.clone(), row.key.clone());
                    let object = LostObject { chunk: extent.chunk, bucket, key };
                    named.entry(extent.chunk).or_insert((*extent, object));
                }
            }
            named.retain(|chunk, _| !losses.chunks.contains(chunk));
            let looks = named.into_values().map(|(extent, object)| async move {
                let name = (extent.group, extent.chunk);
                is_lost(pool, name, extent.coding, is_given_up).await.then_some(object)
            });
            let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
            while let Some(looked) = looks.next().await {
                if let Some(object) = looked.filter(|_| losses.chunks.len() < LOST_MAX) {
                    losses.chunks.insert(object.chunk);
                    if losses.contents.len() < NAMED_MAX {
                        losses.contents.push(object);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(losses)
}

/// The same of chunks of a group that are known from the shards that there are of them.
pub(crate) async fn losses_among(
    pool: &Pool,
    group: GroupId,
    chunks: impl Iterator<Item = &ListedChunk>,
    is_given_up: &(dyn Fn(DiskId) -> bool + Sync),
) -> Losses {
    let mut losses = Losses::default();
    let looks = chunks.filter_map(|listed| {
        let coding = listed.shards.first()?.header.coding;
        Some(async move { is_lost(pool, (group, listed.chunk), coding, is_given_up).await.then_some(listed) })
    });
    // Boxed, because the compiler does not see otherwise that a task which awaits this may be spawned.
    let looks: Vec<BoxFuture<'_, Option<&ListedChunk>>> = looks.map(FutureExt::boxed).collect();
    let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
    while let Some(looked) = looks.next().await {
        if let Some(listed) = looked {
            losses.chunks.insert(listed.chunk);
            if losses.contents.len() < NAMED_MAX {
                let (bucket, key) = owner(listed).map(|owner| (owner.bucket, owner.key)).unzip();
                losses.contents.push(LostObject { chunk: listed.chunk, bucket, key });
            }
        }
    }
    losses
}

async fn is_lost(
    pool: &Pool,
    (group, chunk): (GroupId, ChunkId),
    coding: Coding,
    is_given_up: &(dyn Fn(DiskId) -> bool + Sync),
) -> bool {
    let Some(look) = pool.look_for_chunk(group, chunk).await else { return false };
    look.unreached.iter().all(|unreached| is_given_up(unreached.disk)) && has_too_few(&look, coding)
}

fn has_too_few(look: &Look, coding: Coding) -> bool {
    let good = look.found.shards.iter().filter(|shard| !shard.is_damaged);
    let indexes: BTreeSet<_> = good.map(|shard| shard.header.shard.index).collect();
    indexes.len() < coding.data()
}
