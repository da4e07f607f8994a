//! One transaction's worth of mutations of one bucket: decided one after the other in memory, each on top of the ones
//! before, then applied together.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use env::Env;
use metadata_api::{AccountId, Bucket, CommitVersion, Committed, Error, check_chunks_of_lease, size_of};
use types::{
    Acl, Attributes, Content, LeaseId, ObjectKey, ObjectLockConfiguration, Sequence, Timestamp, VersionId,
    VersionLock, Versioning,
};

use super::{
    changes::{Changes, NewRow, Retired},
    keys::{Current, Key, Keys, Known, check_write, move_listed},
    load::{Wanted, load_bodies, load_keys, load_older},
};
use crate::store::{
    Settings,
    buckets::LockedBucket,
    codec::{encode_attributes, encode_manifest},
    engine::{DatabaseError, Failure, Tx},
    leases::lock_active_leases,
    version_row::{Body, BodyContent, Head, Paged},
};

/// A batch whose bucket is locked.
pub(crate) struct Batch<'a> {
    pub(crate) env: &'a Env,
    pub(crate) settings: &'a Settings,
    /// The bucket as of the mutations so far.
    pub(crate) bucket: Bucket,
    pub(crate) now: Timestamp,
    /// The same by the database's clock, which all metadata services share.
    pub(crate) database_now: Timestamp,
    /// When garbage that is made now may be freed, by the database's clock.
    pub(crate) due_ms: i64,
    pub(crate) keys: Keys,
    /// Bodies of the versions that are copied.
    pub(crate) bodies: BTreeMap<(ObjectKey, i64), Body>,
    pub(crate) changes: Changes,
    active_leases: HashSet<LeaseId>,
}

/// A version about to be made.
pub(crate) struct NewBody {
    pub(crate) body: Body,
    pub(crate) size: u64,
    pub(crate) etag: types::ETag,
}

impl<'a> Batch<'a> {
    /// Locks the leases and loads the rows. The caller has locked the bucket. Locks, in this order: bucket, leases,
    /// uploads.
    pub(crate) async fn load(
        tx: &mut Tx,
        env: &'a Env,
        settings: &'a Settings,
        locked: LockedBucket,
        leases: BTreeSet<LeaseId>,
        wanted: &Wanted,
    ) -> Result<Self, DatabaseError> {
        let LockedBucket { bucket, now_ms } = locked;
        let active_leases = lock_active_leases(tx, leases).await?;
        let keys = load_keys(tx, &bucket, wanted).await?;
        let (now, database_now) = (Timestamp(env.wall_clock_ms()), Timestamp(now_ms));
        let due_ms = now_ms.saturating_add(settings.garbage_hold_ms());
        let (bodies, changes) = (BTreeMap::new(), Changes::default());
        Ok(Self { env, settings, bucket, now, database_now, due_ms, keys, bodies, changes, active_leases })
    }

    /// Loads the bodies of versions that will be copied within the bucket.
    pub(crate) async fn load_bodies(
        &mut self,
        tx: &mut Tx,
        sources: &[(&ObjectKey, VersionId)],
    ) -> Result<(), DatabaseError> {
        let found = sources.iter().filter_map(|(key, id)| {
            let row = self.keys.get(*key)?.find(*id).filter(|row| !row.head.is_delete_marker)?;
            Some(((*key).clone(), row.head.version_seq))
        });
        let versions: BTreeSet<(ObjectKey, i64)> = found.collect();
        self.bodies = load_bodies(tx, self.bucket.id, &versions).await?;
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &ObjectKey) -> &mut Key {
        self.keys.entry(key.clone()).or_default()
    }

    pub(crate) fn next_sequence(&self) -> i64 {
        self.bucket.commit_sequence.0 + 1
    }

    pub(crate) async fn commit_version(
        &mut self,
        tx: &mut Tx,
        request: &CommitVersion,
    ) -> Result<Committed, Failure> {
        self.check_lease(request.lease, &request.version.content)?;
        let current = self.current_object(tx, &request.key).await?;
        check_write(request.condition, current)?;

        let version = &request.version;
        let size = size_of(version)?;
        self.check_quota(&request.key, size, 0, false)?;
        let body = Body {
            checksum: version.checksum,
            storage_class: version.storage_class.clone(),
            attributes: self.encode_attributes(&version.attributes)?,
            content: encode_content(&version.content),
            parts: Paged::None,
            shared: false,
        };
        self.changes.miss(self.now.0, &request.missing);
        Ok(self.put(&request.key, NewBody { body, size, etag: version.etag }))
    }

    /// The attributes of a version that is made now, with the bucket's default retention if they name none.
    pub(crate) fn encode_attributes(&self, attributes: &Attributes) -> Result<Bytes, Error> {
        match self.bucket.object_lock {
            None if attributes.lock != VersionLock::default() => Err(Error::NoObjectLock),
            Some(ObjectLockConfiguration { default_retention: Some(default) })
                if attributes.lock.retention.is_none() =>
            {
                let mut attributes = attributes.clone();
                attributes.lock.retention = Some(default.of(self.database_now));
                Ok(encode_attributes(&attributes))
            }
            None | Some(_) => Ok(encode_attributes(attributes)),
        }
    }

    /// The fence: content in chunks is named only under a live lease.
    fn check_lease(&self, lease: Option<LeaseId>, content: &Content) -> Result<(), Error> {
        check_lease(lease, content, |lease| self.active_leases.contains(&lease))
    }

    /// The entity tag of the key's current object, looked up if an earlier mutation removed the one above it.
    pub(crate) async fn current_object(
        &mut self,
        tx: &mut Tx,
        key: &ObjectKey,
    ) -> Result<Option<types::ETag>, DatabaseError> {
        self.find_current(tx, key).await?;
        Ok(self.key(key).current().and_then(|row| row.head.object()))
    }

    /// Makes the key's current row known.
    pub(crate) async fn find_current(&mut self, tx: &mut Tx, key: &ObjectKey) -> Result<(), DatabaseError> {
        let bucket = self.bucket.id;
        let entry = self.key(key);
        let Current::OlderThan(removed) = entry.current else { return Ok(()) };
        // Rows that the batch made are newer than those of the database.
        let made = entry.rows.range(..removed).next_back().filter(|(_, row)| row.made.is_some());
        let newest = match made {
            Some((_, row)) => Some(row.head.clone()),
            None => load_older(tx, bucket, key, removed, &entry.closed).await?,
        };
        let before = entry.listed();
        entry.current = Current::Known(newest.as_ref().map(|head| head.version_seq));
        if let Some(head) = newest {
            entry.rows.entry(head.version_seq).or_insert(Known { head, made: None });
        }
        let after = entry.listed();
        move_listed(&mut self.bucket.usage, before, after);
        Ok(())
    }

    /// Whether a version of this size may be made of a key whose current version is known. It takes bytes away: `removed` of
    /// another key, and those of the null version that it replaces. A rename makes no more objects than there were.
    pub(crate) fn check_quota(
        &mut self,
        key: &ObjectKey,
        size: u64,
        removed: u64,
        is_rename: bool,
    ) -> Result<(), Error> {
        let (usage, quota, versioning) = (self.bucket.usage, self.bucket.quota, self.bucket.versioning);
        let entry = self.key(key);
        let is_new = !is_rename && entry.listed().0 == 0;
        let null = entry.null.filter(|_| versioning != Versioning::Enabled);
        let null = null.and_then(|null| entry.rows.get(&null)).map_or(0, |row| row.head.size);
        let removed = removed.saturating_add(null);
        let bytes = usage.version_bytes.saturating_sub(removed).saturating_add(size);
        let full = |most: Option<u64>, now: u64| most.is_some_and(|most| now > most);
        if size > removed && full(quota.bytes, bytes) || is_new && full(quota.objects, usage.objects + 1) {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    /// Makes a version with content the key's current one, in a commit of its own.
    pub(crate) fn put(&mut self, key: &ObjectKey, new: NewBody) -> Committed {
        self.put_as_of(key, new, self.now)
    }

    /// The same with another time of its last change.
    pub(crate) fn put_as_of(&mut self, key: &ObjectKey, new: NewBody, last_modified: Timestamp) -> Committed {
        let sequence = self.next_sequence();
        let (size, etag, checksum) = (new.size, new.etag, new.body.checksum);
        let head = Head { last_modified, ..self.new_head(sequence, size, Some(etag)) };
        let version_id = head.version_id();
        self.insert(key, head, Some(new.body));
        self.bucket.commit_sequence = Sequence(sequence);
        Committed {
            versioning: self.bucket.versioning,
            version_id,
            sequence: Sequence(sequence),
            last_modified,
            size,
            etag,
            checksum,
        }
    }

    /// Makes a delete marker the key's current version, in commit `sequence`. Its attributes say whose it is, where that is another account
    /// than the bucket's.
    pub(crate) fn put_marker(
        &mut self,
        key: &ObjectKey,
        sequence: i64,
        owner: Option<&AccountId>,
    ) -> VersionId {
        let head = self.new_head(sequence, 0, None);
        let id = head.version_id();
        self.insert(key, head, None);
        if let (Some(owner), Some(row)) = (owner, self.changes.inserts.last_mut()) {
            let acl = Some(Acl { owner: Some(owner.0.clone()), grants: Vec::new() });
            row.marker = Some(encode_attributes(&Attributes { acl, ..Attributes::default() }));
        }
        id
    }

    fn new_head(&self, sequence: i64, size: u64, etag: Option<types::ETag>) -> Head {
        Head {
            version_seq: sequence,
            seq_from: sequence,
            nonce: self.env.random_u64().cast_signed(),
            is_null: self.bucket.versioning != Versioning::Enabled,
            is_current: true,
            is_delete_marker: etag.is_none(),
            last_modified: self.now,
            size,
            etag,
            is_whole: true,
        }
    }

    /// Puts a row on top of the key's versions; it replaces the null version unless versioning is enabled.
    fn insert(&mut self, key: &ObjectKey, mut head: Head, body: Option<Body>) {
        head.is_whole = body.as_ref().is_none_or(Body::is_whole);
        if head.is_null
            && let Some(null) = self.key(key).null
        {
            self.remove(key, null, head.version_seq);
        }
        let made = self.changes.inserts.len();
        self.changes.inserts.push(NewRow {
            key: key.clone(),
            head: head.clone(),
            body,
            marker: None,
            seq_to: None,
            is_void: false,
        });

        let entry = self.keys.entry(key.clone()).or_default();
        let before = entry.listed();
        let buried = entry.current().cloned();
        entry.current = Current::Known(Some(head.version_seq));
        if head.is_null {
            entry.null = Some(head.version_seq);
        }
        self.bucket.usage.versions += 1;
        self.bucket.usage.version_bytes += head.size;
        entry.rows.insert(head.version_seq, Known { head, made: Some(made) });
        move_listed(&mut self.bucket.usage, before, entry.listed());
        match buried {
            Some(Known { made: Some(made), .. }) => self.changes.inserts[made].head.is_current = false,
            Some(Known { head, made: None }) => {
                self.changes
                    .retired
                    .entry((key.clone(), head.version_seq, head.seq_from))
                    .or_insert(Retired::Buried);
            }
            None => {}
        }
    }

    /// Takes a row out of view for good, in commit `sequence`. One that is all there is of its version goes at once: nobody looks for
    /// it again. Others are closed, and wait as garbage until nobody reads their chunks or pages any more.
    pub(crate) fn remove(&mut self, key: &ObjectKey, version_seq: i64, sequence: i64) {
        let entry = self.keys.entry(key.clone()).or_default();
        let before = entry.listed();
        let Some(Known { head, made }) = entry.rows.remove(&version_seq) else { return };
        if entry.null == Some(version_seq) {
            entry.null = None;
        }
        if entry.current == Current::Known(Some(version_seq)) {
            // A bucket that was never versioned has at most one version of a key.
            let only = self.bucket.versioning == Versioning::Unversioned;
            entry.current = if only { Current::Known(None) } else { Current::OlderThan(version_seq) };
        }
        if made.is_none() {
            entry.closed.push(version_seq);
        }
        move_listed(&mut self.bucket.usage, before, entry.listed());
        let usage = &mut self.bucket.usage;
        usage.versions = usage.versions.saturating_sub(1);
        usage.version_bytes = usage.version_bytes.saturating_sub(head.size);

        match made {
            None => {
                let retired = if head.is_whole { Retired::Gone } else { Retired::Closed(sequence) };
                self.changes.retired.insert((key.clone(), head.version_seq, head.seq_from), retired);
            }
            Some(made) => {
                let row = &mut self.changes.inserts[made];
                row.head.is_current = false;
                row.seq_to = Some(sequence);
                row.is_void = head.is_whole || head.seq_from == sequence;
                if row.is_void {
                    return;
                }
            }
        }
        if head.is_whole {
            return;
        }
        let number = self.settings.garbage_numbers.next();
        self.changes.discard_version(number, self.due_ms, key, &head);
    }

    /// Writes the changes and advances the bucket's row. Answers the bucket as it is then, and the keys whose versions changed.
    pub(crate) async fn apply(mut self, tx: &mut Tx) -> Result<(Bucket, BTreeSet<ObjectKey>), DatabaseError> {
        for (key, entry) in &self.keys {
            let retired = |head: &Head| {
                self.changes.retired.contains_key(&(key.clone(), head.version_seq, head.seq_from))
            };
            let unmarked = |row: &Known| row.made.is_none() && (!row.head.is_current || retired(&row.head));
            if entry.current().is_some_and(unmarked) || matches!(entry.current, Current::OlderThan(_)) {
                self.changes.promoted.insert(key.clone());
            }
        }
        let changed = self.changes.keys();
        let mut bucket = self.bucket;
        for (key, size, is_delete_marker) in self.changes.apply(tx, bucket.id).await? {
            let looked_up = self.keys.get(&key).is_some_and(|entry| entry.current().is_some());
            if !looked_up && !is_delete_marker {
                move_listed(&mut bucket.usage, (0, 0), (1, size));
            }
        }
        advance_bucket(tx, &bucket).await?;
        Ok((bucket, changed))
    }
}

/// Writes what commits change of a bucket's row.
async fn advance_bucket(tx: &mut Tx, bucket: &Bucket) -> Result<(), DatabaseError> {
    let sql = "UPDATE buckets SET commit_seq = $2, object_count = $3, object_bytes = $4, version_count = $5, \
               version_bytes = $6 WHERE bucket_id = $1";
    let usage = bucket.usage;
    let values = vec![
        bucket.id.0.into(),
        bucket.commit_sequence.0.into(),
        usage.objects.cast_signed().into(),
        usage.object_bytes.cast_signed().into(),
        usage.versions.cast_signed().into(),
        usage.version_bytes.cast_signed().into(),
    ];
    match tx.execute(sql, values).await? {
        1 => Ok(()),
        _ => Err(DatabaseError::corrupt("a locked bucket is gone")),
    }
}

/// Refuses content whose lengths cannot be, before anything adds them up.
pub(crate) fn check_content(content: &Content) -> Result<(), Error> {
    let Content::Stored(manifest) = content else { return Ok(()) };
    let total = manifest.extents.iter().try_fold(0_u64, |total, extent| total.checked_add(extent.length));
    if total.is_some_and(|total| i64::try_from(total).is_ok()) {
        Ok(())
    } else {
        Err(Error::Malformed { reason: "the content is longer than can be counted".to_owned() })
    }
}

/// Content in chunks needs a lease that is active; a lease that is named must be active in any case.
pub(crate) fn check_lease(
    lease: Option<LeaseId>,
    content: &Content,
    is_active: impl Fn(LeaseId) -> bool,
) -> Result<(), Error> {
    check_chunks_of_lease(lease, content)?;
    match lease {
        Some(lease) if !is_active(lease) => Err(Error::LeaseRevoked),
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn encode_content(content: &Content) -> BodyContent {
    match content {
        Content::Inline(bytes) => BodyContent::Inline(bytes.clone()),
        Content::Stored(manifest) => BodyContent::Manifest(Paged::Here(encode_manifest(&manifest.extents))),
    }
}
