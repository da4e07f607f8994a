//! Reading versions.

use std::slice;

use metadata_api::{Bucket, Error, FoundVersion, GetVersion, SetAcl, SetLock, SetRestore, SetTags, Tagged};
use types::{Attributes, Sequence, StorageClassName, Timestamp, VersionId};

use super::{
    MetadataStore,
    buckets::{BUCKET, BucketLock, LockedBucket, lock_bucket_named, not_found, read_bucket},
    codec::{decode_attributes, encode_attributes},
    engine::{DatabaseError, Failure, Row, Tx, Value},
    recent::Ticket,
    version_row::{BODY, BODY_WITHOUT_CONTENT, Body, HEAD, Head, Pages, version_state},
};

/// The newest row of a key: the first entry of the index of existing versions.
const NEWEST: &str = "(SELECT max(o.version_seq) FROM versions AS o \
     WHERE o.bucket_id = b.bucket_id AND o.key = $2 AND o.seq_to IS NULL)";

/// The null version that newer ones lie upon.
const BURIED_NULL: &str = "(SELECT o.version_seq FROM versions AS o \
     WHERE o.bucket_id = b.bucket_id AND o.key = $2 AND o.seq_to IS NULL AND o.is_null = 1 AND o.is_current = 0)";

/// The statement that finds a bucket and a version of it at one commit.
///
/// Without statistics Postgres takes next to no version to be one that exists, reads all that do, and compares their buckets afterwards. A
/// lateral subquery that it may not dissolve leaves it no choice, and finds the newest by one walk down the index.
pub(crate) fn find_version_sql(version_id: Option<VersionId>, with_content: bool) -> String {
    let which = match version_id {
        None => format!("v.version_seq = {NEWEST}"),
        Some(VersionId::Null) => {
            format!("v.version_seq = COALESCE({BURIED_NULL}, {NEWEST}) AND v.is_null = 1")
        }
        Some(VersionId::Numbered { .. }) => "v.version_seq = $3 AND v.is_null = 0".to_owned(),
    };
    let found = match version_id {
        None => "ORDER BY v.version_seq DESC".to_owned(),
        Some(_) => format!("AND {which}"),
    };
    let body = if with_content { BODY } else { BODY_WITHOUT_CONTENT };
    let existing = "v.bucket_id = b.bucket_id AND v.key = $2 AND v.seq_to IS NULL";
    format!(
        "SELECT {BUCKET}, v.bucket_id, {HEAD}, {body} \
         FROM bucket_names AS n JOIN buckets AS b ON b.bucket_id = n.bucket_id LEFT JOIN \
         [LATERAL (SELECT * FROM versions AS v WHERE {existing} {found} LIMIT 1) AS v ON TRUE|versions AS v ON {existing} AND {which}] \
         WHERE n.name = $1"
    )
}

pub(crate) fn find_version_values(request: &GetVersion) -> Vec<Value> {
    let mut values = vec![request.bucket.as_str().as_bytes().into(), request.key.to_bytes().into()];
    if let Some(VersionId::Numbered { sequence, .. }) = request.version_id {
        values.push(sequence.0.into());
    }
    values
}

impl MetadataStore {
    /// One statement, one more for content or parts that are in pages; none when it is remembered.
    pub(super) async fn find_version(&self, request: &GetVersion) -> Result<FoundVersion, Failure> {
        if request.version_id.is_some() {
            return self.look_up_version(request, None).await;
        }
        let recent = self.engine.recent();
        if let Some(found) = recent.version(&request.bucket, &request.key, request.with_content) {
            return Ok(found);
        }
        self.look_up_version(request, Some(recent.ticket())).await
    }

    /// What is found is remembered, if a ticket was taken.
    async fn look_up_version(
        &self,
        request: &GetVersion,
        ticket: Option<Ticket>,
    ) -> Result<FoundVersion, Failure> {
        let sql = find_version_sql(request.version_id, request.with_content);
        let row = self.engine.fetch_optional(&sql, find_version_values(request)).await?;
        let mut row = row.ok_or_else(|| not_found(&request.bucket))?;
        let bucket = read_bucket(&mut row)?;
        let recent = self.engine.recent();
        let found = match self.read_version(request, bucket, row).await? {
            Ok(found) => found,
            Err(bucket) => {
                recent.tell_buckets(&[bucket]);
                let is_named = request.version_id.is_some();
                return Err(if is_named { Error::VersionNotFound } else { Error::KeyNotFound }.into());
            }
        };
        match ticket {
            Some(ticket) => recent.keep_version(ticket, &request.key, request.with_content, &found),
            None => recent.tell_buckets(slice::from_ref(&found.bucket)),
        }
        Ok(found)
    }

    pub(super) async fn set_tags_in(&self, tx: &mut Tx, request: &SetTags) -> Result<Tagged, Failure> {
        let locked = lock_bucket_named(tx, &request.bucket, BucketLock::Commit).await?;
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let wanted = GetVersion { bucket, key, version_id: request.version_id, with_content: false };
        self.amend(tx, locked, wanted, |_, _, attributes| {
            attributes.tags.clone_from(&request.tags);
            Ok(())
        })
        .await
    }

    pub(super) async fn set_lock_in(&self, tx: &mut Tx, request: &SetLock) -> Result<Tagged, Failure> {
        let locked = lock_bucket_named(tx, &request.bucket, BucketLock::Commit).await?;
        if locked.bucket.object_lock.is_none() {
            return Err(Error::NoObjectLock.into());
        }
        let now = Timestamp(locked.now_ms);
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let wanted = GetVersion { bucket, key, version_id: request.version_id, with_content: false };
        self.amend(tx, locked, wanted, |_, _, attributes| {
            request.change.apply(&mut attributes.lock, now, request.bypasses_governance)
        })
        .await
    }

    pub(super) async fn set_acl_in(&self, tx: &mut Tx, request: &SetAcl) -> Result<Tagged, Failure> {
        let locked = lock_bucket_named(tx, &request.bucket, BucketLock::Commit).await?;
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let wanted = GetVersion { bucket, key, version_id: request.version_id, with_content: false };
        self.amend(tx, locked, wanted, |_, _, attributes| {
            attributes.acl.clone_from(&request.acl);
            Ok(())
        })
        .await
    }

    pub(super) async fn set_restore_in(&self, tx: &mut Tx, request: &SetRestore) -> Result<Tagged, Failure> {
        let locked = lock_bucket_named(tx, &request.bucket, BucketLock::Commit).await?;
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let version_id = Some(request.version_id);
        let wanted = GetVersion { bucket, key, version_id, with_content: false };
        self.amend(tx, locked, wanted, |head, class, attributes| {
            let etag = head.object().ok_or(Error::VersionNotFound)?;
            request.apply((Sequence(head.version_seq), etag), class, &mut attributes.restore)
        })
        .await
    }

    /// Changes the attributes of a version. The bucket's row is locked as by a commit, so that no commit copies or removes
    /// the version meanwhile.
    pub(super) async fn amend(
        &self,
        tx: &mut Tx,
        LockedBucket { bucket, .. }: LockedBucket,
        wanted: GetVersion,
        change: impl FnOnce(&Head, &StorageClassName, &mut Attributes) -> Result<(), Error>,
    ) -> Result<Tagged, Failure> {
        let row = tx
            .fetch_optional(&find_version_sql(wanted.version_id, false), find_version_values(&wanted))
            .await?;
        let mut row = row.ok_or_else(|| not_found(&wanted.bucket))?;
        read_bucket(&mut row)?;
        let missing = if wanted.version_id.is_some() { Error::VersionNotFound } else { Error::KeyNotFound };
        if row.optional_i64()?.is_none() {
            return Err(missing.into());
        }
        let head = Head::read(&mut row)?;
        let version_id = head.version_id();
        if head.is_delete_marker || wanted.version_id.is_some_and(|id| id != version_id) {
            return Err(missing.into());
        }
        let name = (bucket.id, &wanted.key, head.version_seq);
        let body = Body::read_of(&mut row, name)?;
        let mut attributes = decode_attributes(body.attributes).map_err(DatabaseError::from)?;
        change(&head, &body.storage_class, &mut attributes)?;
        let sql = "UPDATE versions SET attributes = $5 \
                   WHERE bucket_id = $1 AND key = $2 AND version_seq = $3 AND seq_from = $4";
        let values = vec![
            bucket.id.0.into(),
            wanted.key.to_bytes().into(),
            head.version_seq.into(),
            head.seq_from.into(),
            encode_attributes(&attributes).into(),
        ];
        tx.execute(sql, values).await?;
        Ok(Tagged { versioning: bucket.versioning, version_id })
    }

    /// The version in a row behind its bucket; the bucket alone when there is none.
    async fn read_version(
        &self,
        request: &GetVersion,
        bucket: Bucket,
        mut row: Row,
    ) -> Result<Result<FoundVersion, Bucket>, Failure> {
        if row.optional_i64()?.is_none() {
            return Ok(Err(bucket));
        }
        let head = Head::read(&mut row)?;
        if request.version_id.is_some_and(|id| id != head.version_id()) {
            return Ok(Err(bucket));
        }
        let mut body = None;
        if !head.is_delete_marker {
            let mut read = Body::read_of(&mut row, (bucket.id, &request.key, head.version_seq))?;
            if read.is_paged() {
                // Pages never change, and go only with their row, after the garbage's hold.
                read.fill(Pages::fetch(&self.engine, bucket.id.0, head.version_seq).await?)?;
            }
            body = Some(read);
        }
        Ok(Ok(FoundVersion {
            version_id: head.version_id(),
            sequence: Sequence(head.version_seq),
            is_current: head.is_current,
            last_modified: head.last_modified,
            state: version_state(&head, body)?,
            bucket,
        }))
    }
}
