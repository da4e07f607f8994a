//! Garbage: what nothing names any more waits here for its hold to pass, is handed to a worker, and is forgotten when
//! the worker has deleted it.
//!
//! What is to be freed is decided once, under the row's lock, in the transaction that marks the item as being deleted;
//! from then on it is final. That is safe because a copy starts only from a row that is there, under its bucket's
//! lock: nothing can begin to name the chunks of a closed row, and whatever named them before has written its own row
//! of `chunk_refs` by the time the closed row could be taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

use bytes::Bytes;
use env::Env;
use metadata_api::{GarbageId, GarbageItem};
use types::{BucketId, ChunkId, DiskId, Extent, GroupId, ObjectKey, UploadId};

use super::{
    MetadataStore,
    cluster::{disks_of_groups, is_frozen_in, lock_cluster},
    codec::{decode_manifest, encode_manifest},
    commit::complete::COMPLETED_KEPT_MS,
    engine::{DatabaseError, Failure, Row, Rows, Tx, delete_each, find_each, update_each},
    nodes::{give_up, unmarked_lost},
    version_row::Pages,
};

/// An item of the queue, by a list's first two columns.
const ITEM: &str = "t.bucket_id = r.column1 AND t.number = r.column2";

/// A row of a version, by a list's first four columns.
const VERSION: &str =
    "t.bucket_id = r.column1 AND t.key = r.column2 AND t.version_seq = r.column3 AND t.seq_from = r.column4";

/// Most items that are handed out at once.
const TAKEN_MAX: usize = 1000;

/// The statement that takes what is due.
pub(crate) const TAKE_DUE: &str = "SELECT g.bucket_id, g.number, g.kind, g.state, g.key, g.version_seq, g.seq_from, \
     g.extents FROM garbage AS g WHERE g.due_ms <= $1 ORDER BY g.due_ms LIMIT $2 [FOR UPDATE SKIP LOCKED]";

/// Forgets all deleted buckets of which nothing waits. It looks at each of them, so it runs when the queue was worked off: most are
/// forgotten by [`forget_former_sql`], but for those whose last items two transactions finished at once.
const FORGET_FORMER: &str = "DELETE FROM former_buckets WHERE NOT EXISTS \
     (SELECT 1 FROM garbage AS g WHERE g.bucket_id = former_buckets.bucket_id)";

/// Forgets deleted buckets of the list of which nothing waits any more. No item has a negative number.
fn forget_former_sql() -> String {
    delete_each(
        "former_buckets",
        "t.bucket_id = r.column1 AND NOT EXISTS (SELECT 1 FROM garbage AS g WHERE g.bucket_id = t.bucket_id \
         AND g.number >= 0)",
    )
}

/// The numbers of the closed versions that this process queues: one after the other from a random one on, so that queueing needs no
/// lock on a counter, those of other processes are as unlikely to be met as by random ones, and what is queued together lies together
/// in the index: of SQLite's log each page that a commit touches is as dear as many rows.
#[derive(Debug)]
pub(crate) struct GarbageNumbers(AtomicI64);

impl GarbageNumbers {
    pub(crate) fn new(env: &Env) -> Self {
        Self(AtomicI64::new((env.random_u64() >> 2).cast_signed()))
    }

    pub(crate) fn next(&self) -> i64 {
        self.0.fetch_add(1, Relaxed)
    }
}

/// Queues the chunks of an upload's parts. The caller has locked the upload and deletes the parts.
pub(crate) async fn queue_parts(
    tx: &mut Tx,
    env: &Env,
    bucket: BucketId,
    key: &ObjectKey,
    upload: UploadId,
    due_ms: i64,
) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO garbage (bucket_id, number, due_ms, kind, state, extents, part_key) \
               SELECT p.bucket_id, $3 + p.part_number, $4, 2, 0, p.manifest, $5 FROM parts AS p \
               WHERE p.bucket_id = $1 AND p.upload_id = $2 AND p.content_kind = 2";
    let first = (env.random_u64() >> 2).cast_signed();
    let upload = upload.0.as_slice().into();
    tx.execute(sql, vec![bucket.0.into(), upload, first.into(), due_ms.into(), key.to_bytes().into()])
        .await
        .map(drop)
}

/// A row of the queue.
struct Queued {
    id: GarbageId,
    /// Whether it has been handed out before; then `extents` is what to free.
    is_taken: bool,
    /// The closed version row: key, `version_seq`, `seq_from`.
    version: Option<(Bytes, i64, i64)>,
    /// Whether it owns references to its chunks, under the name that [`holder`] gives it.
    is_holder: bool,
    extents: Option<Bytes>,
}

/// What an item that holds chunks by references is called as their owner, where versions are called by their
/// `version_seq`: always negative, because an item's number never is.
pub(crate) fn holder(number: i64) -> i64 {
    !number
}

impl Queued {
    fn read(row: &mut Row) -> Result<Self, DatabaseError> {
        let id = GarbageId { bucket: BucketId(row.i64()?), number: row.i64()? };
        let (kind, is_taken) = (row.i64()?, row.bool()?);
        let (key, version_seq, seq_from) = (row.optional_bytes()?, row.optional_i64()?, row.optional_i64()?);
        let version = match (kind, key, version_seq, seq_from) {
            (1, Some(key), Some(version_seq), Some(seq_from)) => Some((key, version_seq, seq_from)),
            (2 | 3, ..) => None,
            _ => return Err(DatabaseError::corrupt("garbage of an unknown kind")),
        };
        Ok(Self { id, is_taken, version, is_holder: kind == 3, extents: row.optional_bytes()? })
    }
}

/// What a closed version row says of its chunks.
struct Closed {
    is_shared: bool,
    /// Another row of the same version is there, which names the same content.
    is_named_again: bool,
    manifest: Option<Bytes>,
}

impl MetadataStore {
    /// Locks the items; items that another transaction has locked are passed over. Takes the oldest first and puts
    /// what it takes at the end of the queue, so that items that cannot be finished do not hold up others.
    pub(super) async fn take_garbage_in(
        &self,
        tx: &mut Tx,
        limit: usize,
    ) -> Result<Vec<GarbageItem>, Failure> {
        if is_frozen_in(tx).await? {
            return Ok(Vec::new());
        }
        let now_ms = tx.now_ms().await?;
        forget_completions(tx, now_ms).await?;
        let limit = limit.min(TAKEN_MAX);
        let values = vec![now_ms.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
        let mut rows = tx.fetch_all(TAKE_DUE, values).await?;
        if rows.len() < limit {
            tx.execute(FORGET_FORMER, Vec::new()).await?;
        }
        let queued = rows.iter_mut().map(Queued::read).collect::<Result<Vec<_>, _>>()?;

        let closed = load_closed(tx, &queued).await?;
        let mut items = Vec::with_capacity(queued.len());
        let (mut again, mut taken) = (Rows::default(), Rows::default());
        for item in queued {
            let id = item.id;
            if item.is_taken {
                again.push([id.bucket.0.into(), id.number.into()]);
                let extents =
                    decode_manifest(item.extents.unwrap_or_default()).map_err(DatabaseError::from)?.extents;
                items.push(GarbageItem { id, extents });
                continue;
            }
            let extents = freed(tx, &item, closed.get(&id)).await?;
            taken.push([id.bucket.0.into(), id.number.into(), encode_manifest(&extents).into()]);
            items.push(GarbageItem { id, extents });
        }
        let sql = update_each("garbage", "due_ms = $1, state = 1, extents = r.column3", ITEM);
        tx.execute_rows(&sql, &[now_ms.into()], &taken).await?;
        let sql = update_each("garbage", "due_ms = $1", ITEM);
        tx.execute_rows(&sql, &[now_ms.into()], &again).await?;
        // Again each time, since whoever had begun to read before may still report what is missing.
        let chunks = items.iter().flat_map(|item| &item.extents).map(|extent| &extent.chunk);
        forget_missing(tx, chunks).await?;
        items.sort_unstable_by_key(|item| item.id);
        Ok(items)
    }

    /// Locks the items. Only those that were handed out are forgotten, and only those whose groups have not changed since
    /// `epoch`: one more place may have their shards by now. No lock on the groups is needed: a move that begins later
    /// reads the old places after the deletion. Disks that were given up are marked, under the cluster's lock. Answers how
    /// many were forgotten.
    pub(super) async fn finish_garbage_in(
        &self,
        tx: &mut Tx,
        items: &[GarbageId],
        epoch: i64,
        given_up: &[DiskId],
    ) -> Result<usize, Failure> {
        if !given_up.is_empty() && !give_up(tx, given_up).await? {
            return Ok(0);
        }
        // Whatever the caller says, so that one which knows of no mark forgets nothing without it. Under the cluster's lock,
        // which comes before those of the items.
        let mut lost = unmarked_lost(tx).await?;
        if !lost.is_empty() {
            lock_cluster(tx).await?;
            lost = unmarked_lost(tx).await?;
        }
        let mut asked = Rows::default();
        for id in items {
            asked.push([id.bucket.0.into(), id.number.into()]);
        }
        let found = find_each("garbage", &format!("{ITEM} AND t.state = 1"), "FOR UPDATE");
        let sql =
            format!("SELECT t.bucket_id, t.number, t.extents, t.key, t.version_seq, t.seq_from FROM {found}");
        let mut found = Vec::new();
        for mut row in tx.fetch_rows(&sql, &[], &asked).await? {
            let (bucket, number) = (row.i64()?, row.i64()?);
            let (groups, chunks) = freed_by(row.optional_bytes()?)?;
            found.push((bucket, number, groups, chunks, row));
        }
        let named = found.iter().flat_map(|(_, _, groups, ..)| groups).copied().collect();
        let changed = changed_groups(tx, named, epoch).await?;
        found.retain(|(_, _, groups, ..)| groups.is_disjoint(&changed));
        if !lost.is_empty() {
            let groups = found.iter().flat_map(|(_, _, groups, ..)| groups).copied().collect();
            let named = disks_of_groups(tx, groups).await?;
            lost.retain(|disk| named.contains(disk));
            give_up(tx, &lost.into_iter().collect::<Vec<_>>()).await?;
        }

        let count = found.len();
        forget_missing(tx, found.iter().flat_map(|(_, _, _, chunks, _)| chunks)).await?;
        let (mut finished, mut versions, mut concerned) = (Rows::default(), Rows::default(), Rows::default());
        for bucket in found.iter().map(|(bucket, ..)| *bucket).collect::<BTreeSet<i64>>() {
            concerned.push([bucket.into()]);
        }
        for (bucket, number, _, _, mut row) in found {
            finished.push([bucket.into(), number.into()]);
            if let Some(key) = row.optional_bytes()? {
                versions.push([bucket.into(), key.into(), row.i64()?.into(), row.i64()?.into()]);
            }
        }
        // A delete marker has no pages, but its number may be that of a version which has: a rename makes both.
        let mut owners = Rows::default();
        for mut row in tx.fetch_rows(&closed_owners_sql(), &[], &versions).await? {
            owners.push([row.i64()?.into(), row.bytes()?.into(), row.i64()?.into()]);
        }
        let closed = delete_each("versions", &format!("{VERSION} AND t.seq_to IS NOT NULL"));
        tx.execute_rows(&closed, &[], &versions).await?;
        let pages = delete_each(
            "content_pages",
            "t.bucket_id = r.column1 AND t.version_seq = r.column3 AND NOT EXISTS (SELECT 1 FROM versions AS v \
             WHERE v.bucket_id = r.column1 AND v.key = r.column2 AND v.version_seq = r.column3)",
        );
        tx.execute_rows(&pages, &[], &owners).await?;
        tx.execute_rows(&delete_each("garbage", ITEM), &[], &finished).await?;
        tx.execute_rows(&forget_former_sql(), &[], &concerned).await?;
        Ok(count)
    }
}

/// Those of closed rows that can have pages: bucket, key, `version_seq`.
pub(crate) fn closed_owners_sql() -> String {
    let found = format!("{VERSION} AND t.seq_to IS NOT NULL AND t.is_delete_marker = 0");
    format!("SELECT t.bucket_id, t.key, t.version_seq FROM {}", find_each("versions", &found, ""))
}

/// The groups and the chunks of what an item frees.
fn freed_by(extents: Option<Bytes>) -> Result<(BTreeSet<GroupId>, BTreeSet<ChunkId>), DatabaseError> {
    let Some(extents) = extents else { return Ok(Default::default()) };
    let extents = decode_manifest(extents)?.extents;
    let groups = extents.iter().map(|extent| extent.group).collect();
    Ok((groups, extents.iter().map(|extent| extent.chunk).collect()))
}

/// Takes what freed chunks lacked out of the repair queue.
async fn forget_missing(tx: &mut Tx, chunks: impl Iterator<Item = &ChunkId>) -> Result<(), DatabaseError> {
    let mut rows = Rows::default();
    for chunk in chunks.collect::<BTreeSet<_>>() {
        rows.push([chunk.to_bytes().as_slice().into()]);
    }
    tx.execute_rows(&delete_each("missing_shards", "t.chunk_id = r.column1"), &[], &rows).await
}

/// Which of the groups changed after `epoch`. One that is not in the map has never changed.
pub(super) async fn changed_groups(
    tx: &mut Tx,
    groups: BTreeSet<GroupId>,
    epoch: i64,
) -> Result<BTreeSet<GroupId>, DatabaseError> {
    let mut rows = Rows::default();
    for group in groups {
        rows.push([i64::from(group.0).into()]);
    }
    let found = find_each("placement_groups", "t.group_id = r.column1 AND t.changed_epoch > $1", "");
    let sql = format!("SELECT t.group_id FROM {found}");
    let mut changed = BTreeSet::new();
    for mut row in tx.fetch_rows(&sql, &[epoch.into()], &rows).await? {
        changed.insert(GroupId(row.number()?));
    }
    Ok(changed)
}

/// Answers to completions are kept for a day.
async fn forget_completions(tx: &mut Tx, now_ms: i64) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM completed_uploads WHERE completed_ms < $1";
    tx.execute(sql, vec![now_ms.saturating_sub(COMPLETED_KEPT_MS).into()]).await.map(drop)
}

async fn load_closed(tx: &mut Tx, queued: &[Queued]) -> Result<BTreeMap<GarbageId, Closed>, DatabaseError> {
    let mut rows = Rows::default();
    for item in queued.iter().filter(|item| !item.is_taken) {
        if let Some((key, version_seq, seq_from)) = &item.version {
            let GarbageId { bucket, number } = item.id;
            rows.push([
                bucket.0.into(),
                key.clone().into(),
                (*version_seq).into(),
                (*seq_from).into(),
                number.into(),
            ]);
        }
    }
    let sql = format!(
        "SELECT r.column1, r.column5, t.version_seq, t.shared, t.content_kind, t.manifest, \
         CASE WHEN EXISTS (SELECT 1 FROM versions AS o WHERE o.bucket_id = t.bucket_id AND o.key = t.key \
         AND o.version_seq = t.version_seq AND o.seq_from <> t.seq_from) THEN 1 ELSE 0 END FROM {}",
        find_each("versions", &format!("{VERSION} AND t.seq_to IS NOT NULL"), "")
    );
    let mut closed = BTreeMap::new();
    for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
        let id = GarbageId { bucket: BucketId(row.i64()?), number: row.i64()? };
        let (version_seq, is_shared, kind) = (row.i64()?, row.bool()?, row.i64()?);
        let mut manifest = row.optional_bytes()?;
        if kind == 3 {
            manifest = Pages::fetch_in(tx, id.bucket.0, version_seq).await?.into_manifest();
        }
        closed.insert(id, Closed { is_shared, is_named_again: row.bool()?, manifest });
    }
    Ok(closed)
}

/// What an item that was never handed out frees: one extent for each chunk.
async fn freed(tx: &mut Tx, item: &Queued, closed: Option<&Closed>) -> Result<Vec<Extent>, DatabaseError> {
    let Some((_, version_seq, _)) = &item.version else {
        let mut extents = distinct(item.extents.clone())?;
        if item.is_holder {
            let owner = holder(item.id.number);
            let named = release_references(tx, item.id.bucket, owner, &extents).await?;
            extents.retain(|extent| !named.contains(&extent.chunk));
        }
        return Ok(extents);
    };
    let Some(closed) = closed.filter(|closed| !closed.is_named_again) else { return Ok(Vec::new()) };
    let mut extents = distinct(closed.manifest.clone())?;
    if closed.is_shared && !extents.is_empty() {
        let named = release_references(tx, item.id.bucket, *version_seq, &extents).await?;
        extents.retain(|extent| !named.contains(&extent.chunk));
    }
    Ok(extents)
}

/// Takes an owner's references away and answers which of the chunks others still name. All references of the chunks
/// are locked first, so that of two owners that go at once the later one sees that the earlier one is gone.
async fn release_references(
    tx: &mut Tx,
    bucket: BucketId,
    version_seq: i64,
    extents: &[Extent],
) -> Result<BTreeSet<ChunkId>, DatabaseError> {
    // In one order, so that two that release the same chunks wait for each other instead of both.
    let chunks: BTreeSet<ChunkId> = extents.iter().map(|extent| extent.chunk).collect();
    let mut rows = Rows::default();
    for chunk in chunks {
        rows.push([chunk.to_bytes().as_slice().into()]);
    }
    let found = find_each("chunk_refs", "t.chunk_id = r.column1", "FOR UPDATE");
    let sql = format!("SELECT t.chunk_id, t.bucket_id, t.version_seq FROM {found}");
    let mut named = BTreeSet::new();
    for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
        let chunk = ChunkId::from_bytes(row.array()?);
        if (row.i64()?, row.i64()?) != (bucket.0, version_seq) {
            named.insert(chunk);
        }
    }
    let sql = delete_each("chunk_refs", "t.chunk_id = r.column1 AND t.bucket_id = $1 AND t.version_seq = $2");
    tx.execute_rows(&sql, &[bucket.0.into(), version_seq.into()], &rows).await?;
    Ok(named)
}

fn distinct(manifest: Option<Bytes>) -> Result<Vec<Extent>, DatabaseError> {
    let Some(manifest) = manifest else { return Ok(Vec::new()) };
    let mut seen = BTreeSet::new();
    let mut extents = decode_manifest(manifest)?.extents;
    extents.retain(|extent| seen.insert(extent.chunk));
    Ok(extents)
}
