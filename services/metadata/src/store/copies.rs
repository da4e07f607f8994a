//! Copies between buckets: the one act that concerns two of them, in a transaction of its own.

use std::collections::BTreeSet;

use metadata_api::{Bucket, Committed, CopyVersion, Error};
use types::BucketId;

use super::{
    MetadataStore,
    buckets::{BucketLock, lock_bucket, not_found},
    commit::{
        batch::Batch,
        copy::Source,
        load::{Wanted, load_bodies, load_keys},
    },
    engine::{DatabaseError, Failure, Tx},
};

impl MetadataStore {
    /// Locks both buckets, the one with the lower number first, whichever is the source; the source's lock keeps its
    /// row from being closed before the reference to its chunks is written.
    pub(super) async fn copy_between_in(
        &self,
        tx: &mut Tx,
        request: &CopyVersion,
    ) -> Result<Committed, Failure> {
        let source = self.lookup_bucket(tx, &request.source_bucket).await?;
        let destination = self.lookup_bucket(tx, &request.bucket).await?;
        let mut locked = Vec::with_capacity(2);
        for id in [source.min(destination), source.max(destination)] {
            locked.push(lock_bucket(tx, id, BucketLock::Commit).await?);
        }
        if source > destination {
            locked.reverse();
        }
        let (destination, source) = (locked.pop().flatten(), locked.pop().flatten());
        let source = source.ok_or_else(|| not_found(&request.source_bucket))?;
        let destination = destination.ok_or_else(|| not_found(&request.bucket))?;

        let source = load_source(tx, &source.bucket, request).await?;
        let wanted = Wanted { keys: BTreeSet::from([request.key.clone()]), ..Wanted::default() };
        let (env, settings) = (&self.env, &self.settings);
        let mut batch = Batch::load(tx, env, settings, destination, BTreeSet::new(), &wanted).await?;
        let committed = batch.copy_from(tx, request, source).await?;
        batch.apply(tx).await?;
        Ok(committed)
    }

    async fn lookup_bucket(&self, tx: &mut Tx, name: &types::BucketName) -> Result<BucketId, Failure> {
        let sql = "SELECT n.bucket_id FROM bucket_names AS n WHERE n.name = $1";
        let row = tx.fetch_optional(sql, vec![name.as_str().as_bytes().into()]).await?;
        Ok(BucketId(row.ok_or_else(|| not_found(name))?.i64()?))
    }
}

async fn load_source(tx: &mut Tx, bucket: &Bucket, request: &CopyVersion) -> Result<Source, Failure> {
    let mut wanted = Wanted::default();
    wanted.version(&request.source_key, request.source_version_id);
    let keys = load_keys(tx, bucket, &wanted).await?;
    let row = keys.get(&request.source_key).and_then(|key| key.find(request.source_version_id));
    let head = row.filter(|row| !row.head.is_delete_marker).ok_or(Error::VersionNotFound)?.head.clone();
    let version = (request.source_key.clone(), head.version_seq);
    let mut bodies = load_bodies(tx, bucket.id, &BTreeSet::from([version.clone()])).await?;
    let body = bodies
        .remove(&version)
        .ok_or_else(|| DatabaseError::corrupt("the source of a copy was not loaded"))?;
    Ok(Source { bucket: bucket.id, key: version.0, head, body, made: None })
}
