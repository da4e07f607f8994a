//! Replacing chunks of versions and parts by others with the same bytes, and changing the storage class with that.
//!
//! Whoever has read a row before it changes goes on by the chunks that it named, for as long as the hold time. So these are
//! kept as those of removed versions are: an item of the queue of garbage holds them by a reference of its own, and frees
//! them when no other reference is left. That reference is the version's, passed on by a change of the row that whoever
//! releases the same chunk locks, or a new one where the version was the only owner and needed none.

use std::collections::BTreeSet;

use bytes::Bytes;
use metadata_api::{ClassChange, ContentOwner, Error, ReplaceChunks, Replaced};
use types::{Attributes, BucketId, Extent, GroupId, PartNumber, UploadId};

use super::{
    MetadataStore,
    buckets::{BucketLock, lock_bucket_named},
    codec::{decode_attributes, decode_manifest, encode_attributes, encode_manifest},
    commit::changes::{INSERT_GARBAGE, INSERT_MISSING, INSERT_REFERENCES, garbage_number, missing_values},
    engine::{DatabaseError, Failure, Rows, Tx, update_each},
    garbage::holder,
    leases::lock_active_leases,
    uploads::{UploadLock, lock_upload},
    version_row::{Pages, update_manifest},
};

/// What a version that is there says of its content, by the index of existing versions.
pub(crate) const CONTENT: &str = "SELECT v.content_kind, v.manifest, v.shared, v.storage_class, v.attributes FROM versions AS v \
     WHERE v.bucket_id = $1 AND v.key = $2 AND v.version_seq = $3 AND v.seq_to IS NULL";

/// The groups of a storage class by all of its codings, with one row at least when it is defined.
pub(crate) const GROUPS_OF_CLASS: &str = "SELECT g.group_id FROM storage_classes AS s LEFT JOIN placement_groups AS g \
     ON g.storage_class = s.name WHERE s.name = $1";

/// Passes owners' references on to other owners in the same bucket.
pub(crate) fn pass_on_sql() -> String {
    update_each(
        "chunk_refs",
        "version_seq = r.column3",
        "t.chunk_id = r.column1 AND t.bucket_id = $1 AND t.version_seq = r.column2",
    )
}

/// Who names chunks that were given up.
#[derive(Debug, Clone, Copy)]
enum Owners {
    /// This owner alone, which has no reference.
    One,
    /// Others perhaps: this version has a reference.
    Shared { version_seq: i64 },
}

impl MetadataStore {
    /// Locks the bucket as a commit does, so that no copy of a version is made meanwhile; then the lease; then, of uploads,
    /// their rows and the parts; then the references, in the order of their chunks. The requests are of one bucket and one
    /// lease, and each is done or refused by itself.
    pub(super) async fn replace_chunks_in(
        &self,
        tx: &mut Tx,
        requests: &[ReplaceChunks],
    ) -> Result<Vec<bool>, Failure> {
        let Some(first) = requests.first() else { return Ok(Vec::new()) };
        let locked = match lock_bucket_named(tx, &first.bucket, BucketLock::Commit).await {
            Err(Failure::Answer(Error::BucketNotFound { .. })) => return Ok(vec![false; requests.len()]),
            locked => locked?,
        };
        let bucket = locked.bucket.id;
        if let Some(lease) = first.lease
            && !lock_active_leases(tx, [lease]).await?.contains(&lease)
        {
            return Err(Error::LeaseRevoked.into());
        }
        let (mut done, mut given_up) = (Vec::new(), Vec::new());
        let (mut missing, now_ms) = (Rows::default(), self.env.wall_clock_ms());
        for request in requests {
            let replaced = match request.owner {
                ContentOwner::Version(sequence) => {
                    replace_in_version(tx, bucket, request, sequence.0).await?
                }
                ContentOwner::Part { upload, number } => {
                    replace_in_part(tx, bucket, request, upload, number).await?
                }
            };
            done.push(replaced.is_some());
            let Some((Replaced { given_up: extents, .. }, owners)) = replaced else { continue };
            if extents.is_empty() {
                continue;
            }
            given_up.push(GivenUp { number: garbage_number(&self.env), extents, owners });
            for shard in &request.missing {
                missing.push(missing_values(now_ms, shard));
            }
        }
        let due_ms = locked.now_ms.saturating_add(self.settings.garbage_hold_ms());
        hold(tx, bucket, due_ms, &given_up).await?;
        tx.execute_rows(INSERT_MISSING, &[], &missing).await?;
        Ok(done)
    }
}

/// What one version or part does not name any more.
struct GivenUp {
    /// The item of garbage that holds it.
    number: i64,
    /// One extent of each chunk.
    extents: Vec<Extent>,
    owners: Owners,
}

type Done = Option<(Replaced, Owners)>;

async fn replace_in_version(
    tx: &mut Tx,
    bucket: BucketId,
    request: &ReplaceChunks,
    version_seq: i64,
) -> Result<Done, DatabaseError> {
    let key = request.key.to_bytes();
    let values = vec![bucket.0.into(), key.clone().into(), version_seq.into()];
    let Some(mut row) = tx.fetch_optional(CONTENT, values).await? else { return Ok(None) };
    let (kind, mut manifest, is_shared) = (row.i64()?, row.optional_bytes()?, row.bool()?);
    let (class, attributes) = (row.optional_text()?, row.optional_bytes()?);
    if kind == 3 {
        manifest = Pages::fetch_in(tx, bucket.0, version_seq).await?.into_manifest();
    }
    let Some(replaced) = apply(request, manifest)? else { return Ok(None) };
    if let Some(change) = &request.class {
        if class.as_deref() != Some(change.from.as_str())
            || !are_in_class(tx, &replaced.extents, change).await?
        {
            return Ok(None);
        }
        let sql = "UPDATE versions SET storage_class = $4, attributes = $5 \
                   WHERE bucket_id = $1 AND key = $2 AND version_seq = $3 AND seq_to IS NULL";
        let attributes = attributes.map(without_restore).transpose()?;
        let (class, key) = (change.to.as_str().into(), key.clone().into());
        tx.execute(sql, vec![bucket.0.into(), key, version_seq.into(), class, attributes.into()]).await?;
    }
    if request.chunks.is_empty() {
        return Ok(Some((replaced, Owners::One)));
    }
    let manifest = encode_manifest(&replaced.extents);
    update_manifest(tx, (bucket.0, key, version_seq), kind == 3, manifest).await?;
    if !is_shared {
        return Ok(Some((replaced, Owners::One)));
    }
    // A shared version has a reference to each of its chunks.
    let mut references = Rows::default();
    for new in &request.chunks {
        let chunk = new.by.chunk.to_bytes();
        references.push([chunk.as_slice().into(), bucket.0.into(), version_seq.into()]);
    }
    tx.execute_rows(INSERT_REFERENCES, &[], &references).await?;
    Ok(Some((replaced, Owners::Shared { version_seq })))
}

/// A restore is of the class that the version had.
fn without_restore(attributes: Bytes) -> Result<Bytes, DatabaseError> {
    let attributes = decode_attributes(attributes)?;
    Ok(encode_attributes(&Attributes { restore: None, ..attributes }))
}

/// Whether all chunks are in groups of the class that a version is to get.
async fn are_in_class(tx: &mut Tx, extents: &[Extent], change: &ClassChange) -> Result<bool, DatabaseError> {
    let rows = tx.fetch_all(GROUPS_OF_CLASS, vec![change.to.as_str().into()]).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let mut groups = BTreeSet::new();
    for mut row in rows {
        if let Some(group) = row.optional_i64()?.and_then(|group| i32::try_from(group).ok()) {
            groups.insert(GroupId(group));
        }
    }
    Ok(extents.iter().all(|extent| groups.contains(&extent.group)))
}

async fn replace_in_part(
    tx: &mut Tx,
    bucket: BucketId,
    request: &ReplaceChunks,
    upload: UploadId,
    number: PartNumber,
) -> Result<Done, DatabaseError> {
    if lock_upload(tx, bucket, &request.key, upload, UploadLock::Add).await?.is_none() {
        return Ok(None);
    }
    let mut values = vec![bucket.0.into(), upload.0.as_slice().into(), i64::from(number.get()).into()];
    let sql = "SELECT p.manifest FROM parts AS p WHERE p.bucket_id = $1 AND p.upload_id = $2 AND p.part_number = $3 \
               [FOR UPDATE]";
    let Some(mut row) = tx.fetch_optional(sql, values.clone()).await? else { return Ok(None) };
    let Some(replaced) = apply(request, row.optional_bytes()?)? else { return Ok(None) };
    values.push(encode_manifest(&replaced.extents).into());
    let sql = "UPDATE parts SET manifest = $4 WHERE bucket_id = $1 AND upload_id = $2 AND part_number = $3";
    tx.execute(sql, values).await?;
    Ok(Some((replaced, Owners::One)))
}

fn apply(request: &ReplaceChunks, manifest: Option<Bytes>) -> Result<Option<Replaced>, DatabaseError> {
    let extents = match manifest {
        Some(manifest) => decode_manifest(manifest)?.extents,
        None => Vec::new(),
    };
    Ok(request.apply(&extents))
}

/// Queues what was given up, with the references that keep it.
async fn hold(tx: &mut Tx, bucket: BucketId, due_ms: i64, given_up: &[GivenUp]) -> Result<(), DatabaseError> {
    let mut garbage = Rows::default();
    let (mut new, mut passed_on) = (Vec::new(), Vec::new());
    for GivenUp { number, extents, owners } in given_up {
        garbage.push([
            (*number).into(),
            due_ms.into(),
            3_i64.into(),
            None::<Bytes>.into(),
            None::<i64>.into(),
            None::<i64>.into(),
            Some(encode_manifest(extents)).into(),
            None::<Bytes>.into(),
        ]);
        for chunk in extents.iter().map(|extent| extent.chunk) {
            match owners {
                Owners::One => new.push((chunk, holder(*number))),
                Owners::Shared { version_seq } => passed_on.push((chunk, *version_seq, holder(*number))),
            }
        }
    }
    tx.execute_rows(INSERT_GARBAGE, &[bucket.0.into()], &garbage).await?;
    // In the order of the chunks, as whoever releases references locks them.
    new.sort_unstable();
    passed_on.sort_unstable();
    let mut rows = Rows::default();
    for (chunk, holder) in new {
        rows.push([chunk.to_bytes().as_slice().into(), bucket.0.into(), holder.into()]);
    }
    tx.execute_rows(INSERT_REFERENCES, &[], &rows).await?;
    let mut rows = Rows::default();
    for (chunk, version_seq, holder) in passed_on {
        rows.push([chunk.to_bytes().as_slice().into(), version_seq.into(), holder.into()]);
    }
    tx.execute_rows(&pass_on_sql(), &[bucket.0.into()], &rows).await
}
