//! Buckets: the directory of names and the rows that commits advance.

use bytes::Bytes;
use metadata_api::{
    AccountId, BUCKET_NAME_HOLD, Bucket, BucketPage, BucketQuota, BucketUsage, CreateBucket, Error,
    ListBuckets, SUBRESOURCE_LENGTH_MAX, Subresource,
};
use types::{
    BucketId, BucketName, DefaultRetention, ObjectKey, ObjectLockConfiguration, RetentionMode,
    RetentionPeriod, Sequence, Timestamp, UploadId, Versioning,
};

use super::{
    MetadataStore,
    accounts::check_open,
    counters::next_number,
    engine::{DatabaseError, Failure, NOW_MS, Row, Tx},
    garbage::queue_parts,
};

/// Columns of a bucket, for [`read_bucket`]. 6 is the number of its policy among its sub-resources, 4 that of its lifecycle
/// rules, 10 that of its ownership controls, 11 that of its encryption configuration.
pub(crate) const BUCKET: &str = "b.bucket_id, b.name, b.owner, b.created_ms, b.versioning, b.commit_seq, b.object_count, \
     b.object_bytes, b.version_count, b.version_bytes, b.object_lock, b.default_retention_mode, \
     b.default_retention_days, b.default_retention_years, b.quota_bytes, b.quota_objects, \
     (SELECT COUNT(*) FROM bucket_subresources AS p WHERE p.bucket_id = b.bucket_id AND p.kind = 6), \
     (SELECT COUNT(*) FROM bucket_subresources AS l WHERE l.bucket_id = b.bucket_id AND l.kind = 4), \
     (SELECT c.document FROM bucket_subresources AS c WHERE c.bucket_id = b.bucket_id AND c.kind = 10), \
     (SELECT e.document FROM bucket_subresources AS e WHERE e.bucket_id = b.bucket_id AND e.kind = 11)";

/// Names of the buckets that have a sub-resource of a kind, in their order. Walks `bucket_subresources_by_kind`, so that it costs
/// as much as there are of that kind, however many buckets there are.
pub(super) const BUCKETS_WITH: &str = "SELECT b.name FROM bucket_subresources AS s JOIN buckets AS b ON b.bucket_id = s.bucket_id \
     WHERE s.kind = $1 AND b.name > $2 ORDER BY b.name LIMIT $3";

/// [`BUCKET_NAME_HOLD`] in milliseconds.
const BUCKET_NAME_HOLD_MS: i64 = 1000 * BUCKET_NAME_HOLD.as_secs().cast_signed();

/// Most buckets whose numbers a process remembers. Past it the memory begins anew.
const REMEMBERED_MAX: usize = 10_000;

pub(crate) fn read_bucket(row: &mut Row) -> Result<Bucket, DatabaseError> {
    Ok(Bucket {
        id: BucketId(row.i64()?),
        name: read_name(row)?,
        owner: AccountId(row.text()?),
        created: Timestamp(row.i64()?),
        versioning: Versioning::from_number(row.number()?)
            .ok_or_else(|| DatabaseError::corrupt("an unknown versioning state"))?,
        commit_sequence: Sequence(row.i64()?),
        usage: BucketUsage {
            objects: row.number()?,
            object_bytes: row.number()?,
            versions: row.number()?,
            version_bytes: row.number()?,
        },
        object_lock: read_object_lock(row)?,
        quota: BucketQuota { bytes: read_bound(row)?, objects: read_bound(row)? },
        has_policy: row.i64()? > 0,
        has_lifecycle: row.i64()? > 0,
        ownership_controls: row.optional_bytes()?,
        encryption: row.optional_bytes()?,
    })
}

fn read_bound(row: &mut Row) -> Result<Option<u64>, DatabaseError> {
    let bound = row.optional_i64()?.map(u64::try_from).transpose();
    bound.map_err(|_| DatabaseError::corrupt("a quota below zero"))
}

fn read_object_lock(row: &mut Row) -> Result<Option<ObjectLockConfiguration>, DatabaseError> {
    let (locks, mode) = (row.optional_i64()?, row.optional_i64()?);
    let (days, years) = (row.optional_i64()?, row.optional_i64()?);
    if locks.is_none_or(|locks| locks == 0) {
        return Ok(None);
    }
    let Some(mode) = mode else { return Ok(Some(ObjectLockConfiguration::default())) };
    let narrow = |number: i64| u32::try_from(number).ok();
    let mode = u64::try_from(mode).ok().and_then(RetentionMode::from_number);
    let period = match (days, years) {
        (Some(days), None) => narrow(days).and_then(RetentionPeriod::from_days),
        (None, Some(years)) => narrow(years).and_then(RetentionPeriod::from_years),
        _ => None,
    };
    let default_retention = mode.zip(period).map(|(mode, period)| DefaultRetention { mode, period });
    let default_retention =
        default_retention.ok_or_else(|| DatabaseError::corrupt("an unknown retention"))?;
    Ok(Some(ObjectLockConfiguration { default_retention: Some(default_retention) }))
}

/// Reads a bucket's name.
pub(crate) fn read_name(row: &mut Row) -> Result<BucketName, DatabaseError> {
    let name = row.bytes()?;
    let name = std::str::from_utf8(&name).ok().and_then(|name| BucketName::new(name).ok());
    name.ok_or_else(|| DatabaseError::corrupt("an invalid bucket name"))
}

/// How strongly a bucket's row is locked. Only matters on Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketLock {
    /// The bucket may not go away meanwhile; commits go on.
    Stay,
    /// Nobody else commits meanwhile.
    Commit,
    /// Nobody else uses the bucket at all.
    Delete,
}

/// A bucket whose row is locked.
pub(crate) struct LockedBucket {
    pub(crate) bucket: Bucket,
    /// The database's clock, see [`Tx::now_ms`].
    pub(crate) now_ms: i64,
}

/// Locks a bucket's row and reads it as it is then. `None` when there is no such bucket (any more).
pub(crate) async fn lock_bucket(
    tx: &mut Tx,
    id: BucketId,
    lock: BucketLock,
) -> Result<Option<LockedBucket>, DatabaseError> {
    let clause = match lock {
        BucketLock::Stay => "[FOR KEY SHARE]",
        BucketLock::Commit => "[FOR NO KEY UPDATE]",
        BucketLock::Delete => "[FOR UPDATE]",
    };
    let sql = format!("SELECT {BUCKET}, {NOW_MS} FROM buckets AS b WHERE b.bucket_id = $1 {clause}");
    let Some(mut row) = tx.fetch_optional(&sql, vec![id.0.into()]).await? else { return Ok(None) };
    let bucket = read_bucket(&mut row)?;
    let now_ms = row.optional_i64()?.unwrap_or_else(|| tx.env().wall_clock_ms());
    Ok(Some(LockedBucket { bucket, now_ms }))
}

/// As [`lock_bucket`], by name.
pub(crate) async fn lock_bucket_named(
    tx: &mut Tx,
    name: &BucketName,
    lock: BucketLock,
) -> Result<LockedBucket, Failure> {
    let sql = "SELECT n.bucket_id FROM bucket_names AS n WHERE n.name = $1";
    let Some(mut row) = tx.fetch_optional(sql, vec![name.as_str().as_bytes().into()]).await? else {
        return Err(not_found(name).into());
    };
    // Between the two statements the bucket may go; its number never comes back.
    lock_bucket(tx, BucketId(row.i64()?), lock).await?.ok_or_else(|| not_found(name).into())
}

pub(crate) fn not_found(name: &BucketName) -> Error {
    Error::BucketNotFound { bucket: name.clone() }
}

impl MetadataStore {
    /// Locks the counter, then writes both rows; the name's primary key decides between two creators.
    pub(super) async fn create_bucket_in(
        &self,
        tx: &mut Tx,
        request: &CreateBucket,
    ) -> Result<Bucket, Failure> {
        let name = request.name.as_str().as_bytes();
        // The lock makes a second creator wait here, so that it reads what the first one wrote.
        let id = next_number(tx, "bucket", 1).await?;
        let sql = "SELECT n.owner FROM bucket_names AS n WHERE n.name = $1";
        if let Some(mut row) = tx.fetch_optional(sql, vec![name.into()]).await? {
            return Err(
                Error::BucketExists { bucket: request.name.clone(), owner: AccountId(row.text()?) }.into()
            );
        }
        let sql = "SELECT r.owner, r.released_ms FROM released_bucket_names AS r WHERE r.name = $1";
        if let Some(mut row) = tx.fetch_optional(sql, vec![name.into()]).await? {
            let (owner, released_ms) = (AccountId(row.text()?), row.i64()?);
            if owner != request.owner && released_ms > tx.now_ms().await? - BUCKET_NAME_HOLD_MS {
                return Err(Error::BucketExists { bucket: request.name.clone(), owner }.into());
            }
        }
        check_open(tx, &request.owner).await?;
        let created = Timestamp(self.env.wall_clock_ms());
        let versioning = if request.object_lock { Versioning::Enabled } else { Versioning::Unversioned };
        tx.execute(
            "INSERT INTO bucket_names (name, bucket_id, owner) VALUES ($1, $2, $3)",
            vec![name.into(), id.into(), request.owner.0.as_str().into()],
        )
        .await?;
        tx.execute(
            "INSERT INTO buckets (bucket_id, name, owner, created_ms, versioning, commit_seq, object_count, object_bytes, \
             version_count, version_bytes, object_lock) VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, $6)",
            vec![
                id.into(),
                name.into(),
                request.owner.0.as_str().into(),
                created.0.into(),
                (versioning as i64).into(),
                request.object_lock.then_some(1_i64).into(),
            ],
        )
        .await?;
        for (subresource, document) in &request.subresources {
            put_subresource(tx, BucketId(id), *subresource, document).await?;
        }
        Ok(Bucket {
            id: BucketId(id),
            name: request.name.clone(),
            owner: request.owner.clone(),
            created,
            versioning,
            commit_sequence: Sequence(0),
            usage: BucketUsage::default(),
            object_lock: request.object_lock.then(ObjectLockConfiguration::default),
            quota: BucketQuota::default(),
            has_policy: request.subresources.contains_key(&Subresource::Policy),
            has_lifecycle: request.subresources.contains_key(&Subresource::Lifecycle),
            ownership_controls: request.subresources.get(&Subresource::OwnershipControls).cloned(),
            encryption: request.subresources.get(&Subresource::Encryption).cloned(),
        })
    }

    pub(super) async fn find_bucket(&self, name: &BucketName) -> Result<Bucket, Failure> {
        let recent = self.engine.recent();
        if let Some(bucket) = recent.bucket(name) {
            return Ok(bucket);
        }
        let ticket = recent.ticket();
        let sql = format!(
            "SELECT {BUCKET} FROM bucket_names AS n JOIN buckets AS b ON b.bucket_id = n.bucket_id WHERE n.name = $1"
        );
        let row = self.engine.fetch_optional(&sql, vec![name.as_str().as_bytes().into()]).await?;
        let bucket = read_bucket(&mut row.ok_or_else(|| not_found(name))?)?;
        recent.keep_bucket(ticket, &bucket);
        Ok(bucket)
    }

    /// Locks the bucket's row against everybody, so that no commit and no new upload can race with the emptiness that
    /// it has checked. Closed version rows stay until their garbage is due: garbage outlives its bucket.
    pub(super) async fn delete_bucket_in(&self, tx: &mut Tx, name: &BucketName) -> Result<(), Failure> {
        let LockedBucket { bucket, now_ms } = lock_bucket_named(tx, name, BucketLock::Delete).await?;
        if bucket.usage.versions > 0 {
            return Err(Error::BucketNotEmpty { bucket: name.clone() }.into());
        }
        let due_ms = now_ms.saturating_add(self.settings.garbage_hold_ms());
        // Parts may still be on their way into its uploads; these locks wait for them.
        let sql = "SELECT u.upload_id, u.key FROM uploads AS u WHERE u.bucket_id = $1 [FOR UPDATE]";
        for mut row in tx.fetch_all(sql, vec![bucket.id.0.into()]).await? {
            let upload = UploadId(row.array()?);
            let key = ObjectKey::new(row.bytes()?).map_err(|_| DatabaseError::corrupt("an invalid key"))?;
            queue_parts(tx, &self.env, bucket.id, &key, upload, due_ms).await?;
        }
        for sql in [
            "DELETE FROM parts WHERE bucket_id = $1",
            "DELETE FROM uploads WHERE bucket_id = $1",
            "DELETE FROM completed_uploads WHERE bucket_id = $1",
            "DELETE FROM bucket_subresources WHERE bucket_id = $1",
            "DELETE FROM bucket_inventories WHERE bucket_id = $1",
            "DELETE FROM buckets WHERE bucket_id = $1",
        ] {
            tx.execute(sql, vec![bucket.id.0.into()]).await?;
        }
        for sql in [
            // A bucket of which nothing waits as garbage has nothing left that a chunk could be named by.
            "INSERT INTO former_buckets (bucket_id, name) SELECT n.bucket_id, n.name FROM bucket_names AS n \
             WHERE n.name = $1 AND EXISTS (SELECT 1 FROM garbage AS g WHERE g.bucket_id = n.bucket_id)",
            "DELETE FROM bucket_names WHERE name = $1",
        ] {
            tx.execute(sql, vec![name.as_str().as_bytes().into()]).await?;
        }
        let sql = "DELETE FROM released_bucket_names WHERE released_ms < $1";
        tx.execute(sql, vec![(now_ms - BUCKET_NAME_HOLD_MS).into()]).await?;
        let sql = "INSERT INTO released_bucket_names (name, owner, released_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, released_ms = excluded.released_ms";
        let owner = bucket.owner.0.as_str();
        tx.execute(sql, vec![name.as_str().as_bytes().into(), owner.into(), now_ms.into()]).await?;
        Ok(())
    }

    /// Walks the index by owner and name.
    pub(super) async fn list_buckets_page(&self, request: &ListBuckets) -> Result<BucketPage, Failure> {
        let sql = format!(
            "SELECT {BUCKET} FROM bucket_names AS n JOIN buckets AS b ON b.bucket_id = n.bucket_id \
             WHERE n.owner = $1 AND n.name >= $2 AND n.name < $3 ORDER BY n.owner, n.name LIMIT $4"
        );
        let prefix = request.prefix.as_bytes();
        let after = request.after.as_ref().map(|after| [after.as_bytes(), &[0]].concat()).unwrap_or_default();
        let start = if after.as_slice() > prefix { after } else { prefix.to_vec() };
        // Names are ASCII, so that no name with the prefix is past this.
        let end = [prefix, &[0xff]].concat();
        let limit = i64::try_from(request.limit + 1).unwrap_or(i64::MAX);
        let values = vec![request.owner.0.as_str().into(), start.into(), end.into(), limit.into()];
        let mut rows = self.engine.fetch_all(&sql, values).await?;
        let truncated = rows.len() > request.limit;
        rows.truncate(request.limit);
        let buckets = rows.iter_mut().map(read_bucket).collect::<Result<Vec<_>, _>>()?;
        self.engine.recent().tell_buckets(&buckets);
        Ok(BucketPage { buckets, truncated })
    }

    /// Locks the bucket's row as a commit does, so that every commit sees one state. It is no commit itself: nothing
    /// that the bucket holds changes.
    pub(super) async fn set_versioning_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        versioning: Versioning,
    ) -> Result<(), Failure> {
        let bucket = lock_bucket_named(tx, name, BucketLock::Commit).await?.bucket;
        if versioning == Versioning::Unversioned {
            return Err(Error::Malformed { reason: "versioning cannot be taken back".to_owned() }.into());
        }
        if versioning == Versioning::Suspended && bucket.object_lock.is_some() {
            return Err(Error::InvalidBucketState { reason: "it has an object lock".to_owned() }.into());
        }
        let sql = "UPDATE buckets SET versioning = $2 WHERE bucket_id = $1";
        tx.execute(sql, vec![bucket.id.0.into(), (versioning as i64).into()]).await?;
        Ok(())
    }

    /// Locks the bucket's row as a commit does, so that no commit goes by the former quota afterwards.
    pub(super) async fn set_quota_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        quota: BucketQuota,
    ) -> Result<(), Failure> {
        let bound = |bound: Option<u64>| bound.map(i64::try_from).transpose();
        let (Ok(bytes), Ok(objects)) = (bound(quota.bytes), bound(quota.objects)) else {
            return Err(Error::Malformed { reason: "a quota is more than can be counted".to_owned() }.into());
        };
        let bucket = lock_bucket_named(tx, name, BucketLock::Commit).await?.bucket;
        let sql = "UPDATE buckets SET quota_bytes = $2, quota_objects = $3 WHERE bucket_id = $1";
        tx.execute(sql, vec![bucket.id.0.into(), bytes.into(), objects.into()]).await?;
        Ok(())
    }

    /// Locks the bucket's row as a commit does, so that every commit sees one default retention.
    pub(super) async fn set_object_lock_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Failure> {
        let bucket = lock_bucket_named(tx, name, BucketLock::Commit).await?.bucket;
        if bucket.versioning != Versioning::Enabled {
            return Err(
                Error::InvalidBucketState { reason: "its versioning is not enabled".to_owned() }.into()
            );
        }
        let default = configuration.default_retention;
        let (days, years) = match default.map(|default| default.period) {
            None => (None, None),
            Some(RetentionPeriod::Days(days)) => (Some(i64::from(days)), None),
            Some(RetentionPeriod::Years(years)) => (None, Some(i64::from(years))),
        };
        let sql = "UPDATE buckets SET object_lock = 1, default_retention_mode = $2, default_retention_days = $3, \
                   default_retention_years = $4 WHERE bucket_id = $1";
        let mode = default.map(|default| default.mode as i64);
        tx.execute(sql, vec![bucket.id.0.into(), mode.into(), days.into(), years.into()]).await?;
        Ok(())
    }

    /// Keeps the bucket from going meanwhile. It is no commit: nothing that the bucket holds changes.
    pub(super) async fn set_subresource_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        subresource: Subresource,
        document: Option<&Bytes>,
    ) -> Result<(), Failure> {
        let bucket = lock_bucket_named(tx, name, BucketLock::Stay).await?.bucket;
        match document {
            Some(document) => put_subresource(tx, bucket.id, subresource, document).await,
            None => {
                let sql = "DELETE FROM bucket_subresources WHERE bucket_id = $1 AND kind = $2";
                tx.execute(sql, vec![bucket.id.0.into(), (subresource as i64).into()]).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn find_subresource(
        &self,
        name: &BucketName,
        subresource: Subresource,
    ) -> Result<Option<Bytes>, Failure> {
        let sql = "SELECT s.document FROM bucket_names AS n LEFT JOIN bucket_subresources AS s \
                   ON s.bucket_id = n.bucket_id AND s.kind = $2 WHERE n.name = $1";
        let values = vec![name.as_str().as_bytes().into(), (subresource as i64).into()];
        match self.engine.fetch_optional(sql, values).await? {
            Some(mut row) => Ok(row.optional_bytes()?),
            None => Err(not_found(name).into()),
        }
    }

    pub(super) async fn buckets_with(
        &self,
        subresource: Subresource,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Failure> {
        let after = after.map(|after| after.as_str().as_bytes()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = vec![(subresource as i64).into(), after.into(), limit.into()];
        let rows = self.engine.fetch_all(BUCKETS_WITH, values).await?;
        rows.into_iter().map(|mut row| Ok(read_name(&mut row)?)).collect()
    }

    /// The number of a bucket, which may be of one that is gone: whoever uses it finds no row then, and asks again
    /// after [`Self::forget_bucket`].
    pub(super) async fn bucket_id(&self, name: &BucketName) -> Result<BucketId, Failure> {
        if let Some(id) = self.remembered().get(name) {
            return Ok(*id);
        }
        let sql = "SELECT n.bucket_id FROM bucket_names AS n WHERE n.name = $1";
        let row = self.engine.fetch_optional(sql, vec![name.as_str().as_bytes().into()]).await?;
        let id = BucketId(row.ok_or_else(|| not_found(name))?.i64()?);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(name.clone(), id);
        Ok(id)
    }

    pub(super) fn forget_bucket(&self, name: &BucketName) {
        self.remembered().remove(name);
    }
}

async fn put_subresource(
    tx: &mut Tx,
    bucket: BucketId,
    subresource: Subresource,
    document: &Bytes,
) -> Result<(), Failure> {
    if document.len() > SUBRESOURCE_LENGTH_MAX {
        return Err(Error::Malformed { reason: "a sub-resource is too long".to_owned() }.into());
    }
    let sql = "INSERT INTO bucket_subresources (bucket_id, kind, document) VALUES ($1, $2, $3) \
               ON CONFLICT (bucket_id, kind) DO UPDATE SET document = excluded.document";
    tx.execute(sql, vec![bucket.0.into(), (subresource as i64).into(), document.clone().into()]).await?;
    Ok(())
}
