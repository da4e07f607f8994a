//! What revoked leases left: which of their chunks nothing names.
//!
//! All is read at one snapshot. In it the lease is not active, so every commit under it has ended before, and a copy is
//! there together with its reference or not at all: what nothing names in the snapshot nothing names ever after.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metadata_api::Error;
use types::{BucketId, BucketName, ChunkId, ChunkOwner, LeaseId, ObjectKey};

use super::{
    MetadataStore,
    cluster::{lock_cluster, malformed},
    codec::decode_manifest,
    engine::{DatabaseError, Failure, Rows, Tx, find_each},
    version_row::Pages,
};

/// Rows of a history that are in memory at a time: with manifests of 16 KiB at most, 8 MiB.
const BATCH: i64 = 512;

/// A record in the log of Postgres, after which the commit waits for standbys as any other does.
const PROVE_CURRENT: &str = "SELECT 1 FROM pg_logical_emit_message(true, 'ashlar', '')";

/// Which chunks have references. However many a chunk has, one is looked at.
pub(crate) const REFERENCED: &str = "SELECT r.column1 FROM {rows} AS r \
     WHERE EXISTS (SELECT 1 FROM chunk_refs AS c WHERE c.chunk_id = r.column1)";

/// A batch of a key's rows, closed ones too, by the primary key.
pub(crate) const HISTORY: &str = "SELECT v.version_seq, v.seq_from, v.content_kind, v.manifest FROM versions AS v \
     WHERE v.bucket_id = $1 AND v.key = $2 AND (v.version_seq, v.seq_from) > ($3, $4) \
     ORDER BY v.version_seq, v.seq_from LIMIT $5";

/// A batch of a key's open uploads.
pub(crate) const UPLOADS: &str = "SELECT u.upload_id FROM uploads AS u WHERE u.bucket_id = $1 AND u.key = $2 \
     AND u.upload_id > $3 ORDER BY u.upload_id LIMIT $4";

/// A batch of a key's parts that went away and are not freed yet.
pub(crate) const HELD_PARTS: &str = "SELECT g.number, g.extents FROM garbage AS g WHERE g.bucket_id = $1 \
     AND g.part_key = $2 AND g.number > $3 ORDER BY g.number LIMIT $4";

/// A batch of an upload's parts.
pub(crate) const PARTS: &str = "SELECT p.part_number, p.manifest FROM parts AS p WHERE p.bucket_id = $1 \
     AND p.upload_id = $2 AND p.part_number > $3 ORDER BY p.part_number LIMIT $4";

impl MetadataStore {
    pub(super) async fn find_unnamed(
        &self,
        lease: LeaseId,
        chunks: &[(ChunkId, ChunkOwner)],
    ) -> Result<Vec<ChunkId>, Failure> {
        if chunks.iter().any(|(chunk, _)| chunk.lease != lease) {
            return Err(malformed("a chunk of another lease".to_owned()));
        }
        let mut tx = self.engine.snapshot().await?;
        let unnamed = find_unnamed_in(&mut tx, lease, chunks).await;
        end_current(tx, unnamed).await
    }

    pub(super) async fn find_named(&self, chunks: &[(ChunkId, ChunkOwner)]) -> Result<Vec<ChunkId>, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let unnamed = unnamed_of(&mut tx, chunks).await.map_err(Failure::from);
        let unnamed = end_current(tx, unnamed).await?;
        let asked: BTreeSet<ChunkId> = chunks.iter().map(|(chunk, _)| *chunk).collect();
        Ok(asked.difference(&unnamed).copied().collect())
    }

    /// Locks the cluster, so that no place is added meanwhile, then the lease.
    pub(super) async fn finish_lease_in(
        &self,
        tx: &mut Tx,
        lease: LeaseId,
        epoch: i64,
    ) -> Result<(), Failure> {
        let epochs = lock_cluster(tx).await?;
        let sql = "SELECT l.state FROM gateway_leases AS l WHERE l.lease_id = $1 [FOR UPDATE]";
        if let Some(mut row) = tx.fetch_optional(sql, vec![lease.0.into()]).await?
            && row.i64()? == 0
        {
            return Err(malformed("the lease is active".to_owned()));
        }
        if epochs.places > epoch {
            return Err(Error::StaleMap { epoch: epochs.now }.into());
        }
        tx.execute("DELETE FROM gateway_leases WHERE lease_id = $1", vec![lease.0.into()]).await?;
        Ok(())
    }
}

/// Ends the transaction, on Postgres with a note in the log. What nothing names is deleted, so a database that was replaced by another
/// and does not know it must not answer: when standbys confirm commits, as failover demands, none confirms this one.
pub(super) async fn end_current<T>(mut tx: Tx, answer: Result<T, Failure>) -> Result<T, Failure> {
    match answer {
        Ok(answer) if tx.is_postgres() => {
            tx.fetch_all(PROVE_CURRENT, Vec::new()).await?;
            tx.commit().await?;
            Ok(answer)
        }
        answer => {
            tx.roll_back().await;
            answer
        }
    }
}

async fn find_unnamed_in(
    tx: &mut Tx,
    lease: LeaseId,
    chunks: &[(ChunkId, ChunkOwner)],
) -> Result<Vec<ChunkId>, Failure> {
    let sql = "SELECT 1 FROM gateway_leases AS l WHERE l.lease_id = $1 AND l.state = 0";
    if tx.fetch_optional(sql, vec![lease.0.into()]).await?.is_some() {
        return Err(Error::LeaseActive { lease }.into());
    }
    Ok(unnamed_of(tx, chunks).await?.into_iter().collect())
}

async fn unnamed_of(
    tx: &mut Tx,
    chunks: &[(ChunkId, ChunkOwner)],
) -> Result<BTreeSet<ChunkId>, DatabaseError> {
    let mut rows = Rows::default();
    for chunk in chunks.iter().map(|(chunk, _)| chunk).collect::<BTreeSet<_>>() {
        rows.push([chunk.to_bytes().as_slice().into()]);
    }
    let mut named = BTreeSet::new();
    for mut row in tx.fetch_rows(REFERENCED, &[], &rows).await? {
        named.insert(ChunkId::from_bytes(row.array()?));
    }
    let mut owners: BTreeMap<&ChunkOwner, Sought> = BTreeMap::new();
    for (chunk, owner) in chunks.iter().filter(|(chunk, _)| !named.contains(chunk)) {
        owners.entry(owner).or_default().0.insert(*chunk);
    }
    let buckets = find_buckets(tx, owners.keys().map(|owner| &owner.bucket)).await?;
    let mut unnamed = BTreeSet::new();
    for (owner, mut sought) in owners {
        for bucket in buckets.get(&owner.bucket).into_iter().flatten() {
            look_through_versions(tx, *bucket, &owner.key, &mut sought).await?;
            look_through_parts(tx, *bucket, &owner.key, &mut sought).await?;
            look_through_list(tx, HELD_PARTS, (*bucket, owner.key.to_bytes()), &mut sought).await?;
        }
        unnamed.extend(sought.0);
    }
    Ok(unnamed)
}

/// The buckets that have or had these names: those that were deleted, as long as something of theirs is not freed yet.
async fn find_buckets(
    tx: &mut Tx,
    names: impl Iterator<Item = &BucketName>,
) -> Result<BTreeMap<BucketName, Vec<BucketId>>, DatabaseError> {
    let names: BTreeSet<&BucketName> = names.collect();
    let (mut rows, mut buckets) = (Rows::default(), BTreeMap::<BucketName, Vec<BucketId>>::new());
    for name in &names {
        rows.push([name.as_str().as_bytes().into()]);
    }
    for table in ["bucket_names", "former_buckets"] {
        let found = find_each(table, "t.name = r.column1", "");
        let sql = format!("SELECT t.name, t.bucket_id FROM {found}");
        for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
            let (bytes, id) = (row.bytes()?, BucketId(row.i64()?));
            if let Some(name) = names.iter().find(|name| name.as_str().as_bytes() == bytes) {
                buckets.entry((*name).clone()).or_default().push(id);
            }
        }
    }
    Ok(buckets)
}

/// Chunks of one owner that no row has named so far.
#[derive(Debug, Default)]
struct Sought(BTreeSet<ChunkId>);

impl Sought {
    fn strike(&mut self, manifest: Option<Bytes>) -> Result<(), DatabaseError> {
        let Some(manifest) = manifest else { return Ok(()) };
        for extent in decode_manifest(manifest)?.extents {
            self.0.remove(&extent.chunk);
        }
        Ok(())
    }
}

async fn look_through_versions(
    tx: &mut Tx,
    bucket: BucketId,
    key: &ObjectKey,
    sought: &mut Sought,
) -> Result<(), DatabaseError> {
    let mut after = (0, 0);
    while !sought.0.is_empty() {
        let key = key.to_bytes().into();
        let values = vec![bucket.0.into(), key, after.0.into(), after.1.into(), BATCH.into()];
        let rows = tx.fetch_all(HISTORY, values).await?;
        if rows.is_empty() {
            break;
        }
        for mut row in rows {
            after = (row.i64()?, row.i64()?);
            let mut manifest = match row.i64()? {
                2 => row.optional_bytes()?,
                3 => Pages::fetch_in(tx, bucket.0, after.0).await?.into_manifest(),
                _ => None,
            };
            sought.strike(manifest.take())?;
        }
    }
    Ok(())
}

async fn look_through_parts(
    tx: &mut Tx,
    bucket: BucketId,
    key: &ObjectKey,
    sought: &mut Sought,
) -> Result<(), DatabaseError> {
    let mut after = Bytes::new();
    while !sought.0.is_empty() {
        let values = vec![bucket.0.into(), key.to_bytes().into(), after.clone().into(), BATCH.into()];
        let uploads = tx.fetch_all(UPLOADS, values).await?;
        if uploads.is_empty() {
            break;
        }
        for mut row in uploads {
            after = row.bytes()?;
            look_through_list(tx, PARTS, (bucket, after.clone()), sought).await?;
        }
    }
    Ok(())
}

/// Looks through the manifests of one upload's parts ([`PARTS`]), or of one key's that wait to be freed ([`HELD_PARTS`]).
async fn look_through_list(
    tx: &mut Tx,
    sql: &str,
    (bucket, of): (BucketId, Bytes),
    sought: &mut Sought,
) -> Result<(), DatabaseError> {
    let mut after = -1;
    while !sought.0.is_empty() {
        let values = vec![bucket.0.into(), of.clone().into(), after.into(), BATCH.into()];
        let parts = tx.fetch_all(sql, values).await?;
        if parts.is_empty() {
            break;
        }
        for mut row in parts {
            after = row.i64()?;
            sought.strike(row.optional_bytes()?)?;
        }
    }
    Ok(())
}
