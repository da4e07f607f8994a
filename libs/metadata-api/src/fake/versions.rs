//! Commits, reads, deletes and copies of versions.

use types::{
    Acl, Attributes, BucketName, Content, ETag, ObjectKey, Sequence, StorageClassName, VersionId, Versioning,
};

use super::{
    State,
    buckets::{BucketRow, VersionRow},
    check_limit,
    contents::{position, rows_before},
    malformed,
};
use crate::{
    AccountId, BucketQuota, CommitVersion, Committed, ContentPosition, CopyVersion, DeleteCondition,
    DeleteVersion, DeleteVersions, DeletedVersion, ETagCondition, EncryptedOwner, EncryptedPage,
    EncryptedRow, Error, FoundVersion, GetVersion, PAGE_SIZE_MAX, RenameObject, Rewrap, SetAcl, SetLock,
    SetRestore, SetTags, Tagged, Version, VersionState, WriteCondition, check_chunks_of_lease, size_of,
};

impl BucketRow {
    /// The version that a read or a delete is about: the named one, else the current one.
    fn find(&self, key: &ObjectKey, id: Option<VersionId>) -> Option<&VersionRow> {
        let rows = self.versions.get(key)?;
        match id {
            None => rows.last(),
            Some(id) => rows.iter().find(|row| row.id == id),
        }
    }

    /// The object that a condition is about; a delete marker counts as absent.
    fn find_object(&self, key: &ObjectKey, id: Option<VersionId>) -> Option<(&VersionRow, &Version)> {
        let row = self.find(key, id)?;
        match &row.state {
            VersionState::Object(version) => Some((row, version)),
            VersionState::DeleteMarker => None,
        }
    }

    pub(super) fn check(&self, key: &ObjectKey, condition: WriteCondition) -> Result<(), Error> {
        let current: Option<ETag> = self.find_object(key, None).map(|(_, version)| version.etag);
        let holds = match condition {
            WriteCondition::None => true,
            WriteCondition::IfAbsent => current.is_none(),
            WriteCondition::IfMatch(etag) => current.ok_or(Error::KeyNotFound)? == etag,
            WriteCondition::IfPresent => current.map(|_| true).ok_or(Error::KeyNotFound)?,
        };
        if holds { Ok(()) } else { Err(Error::PreconditionFailed { current }) }
    }

    /// Whether a version of this size may be made of a key. It takes bytes away: `removed` of another key, and those of the null
    /// version that it replaces. A rename makes no more objects than there were.
    pub(super) fn check_quota(
        &self,
        key: &ObjectKey,
        size: u64,
        removed: u64,
        is_rename: bool,
    ) -> Result<(), Error> {
        // What the bucket holds is counted anew each time that it is asked for.
        if self.quota == BucketQuota::default() {
            return Ok(());
        }
        let null =
            self.find_object(key, Some(VersionId::Null)).filter(|_| self.versioning != Versioning::Enabled);
        let removed = removed + null.map_or(0, |(_, version)| version.size);
        let (usage, quota) = (self.bucket().usage, self.quota);
        let bytes = usage.version_bytes.saturating_sub(removed).saturating_add(size);
        let is_new = !is_rename && self.find_object(key, None).is_none();
        let full = |most: Option<u64>, now: u64| most.is_some_and(|most| now > most);
        if size > removed && full(quota.bytes, bytes) || is_new && full(quota.objects, usage.objects + 1) {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    fn next_sequence(&self) -> Sequence {
        Sequence(self.commit_sequence.0 + 1)
    }

    /// Takes one version out of view for good.
    fn remove(&mut self, key: &ObjectKey, id: VersionId) -> Option<VersionRow> {
        let rows = self.versions.get_mut(key)?;
        let index = rows.iter().position(|row| row.id == id)?;
        let removed = rows.remove(index);
        if rows.is_empty() {
            self.versions.remove(key);
        }
        Some(removed)
    }
}

/// What one entry of a delete did.
enum Change {
    Nothing,
    /// A row was made or removed; this content may have nobody to name it any more.
    Made(Option<Content>),
}

impl State {
    pub(super) fn commit_version(&mut self, request: CommitVersion) -> Result<Committed, Error> {
        self.bucket(&request.bucket)?;
        self.check_lease(request.lease, &request.version.content)?;
        self.bucket(&request.bucket)?.check(&request.key, request.condition)?;
        self.bucket(&request.bucket)?.check_lock(&request.version.attributes.lock)?;
        let size = size_of(&request.version)?;
        self.bucket(&request.bucket)?.check_quota(&request.key, size, 0, false)?;
        let version = Version {
            size,
            content: request.version.content,
            etag: request.version.etag,
            checksum: request.version.checksum,
            attributes: request.version.attributes,
            storage_class: request.version.storage_class,
            parts: Vec::new(),
        };
        self.missing.add(&request.missing);
        self.commit(&request.bucket, request.key, version)
    }

    /// Makes a version the key's newest, in a commit of its own.
    pub(super) fn commit(
        &mut self,
        bucket: &BucketName,
        key: ObjectKey,
        mut version: Version,
    ) -> Result<Committed, Error> {
        let default = self.bucket(bucket)?.object_lock.and_then(|lock| lock.default_retention);
        if let (None, Some(default)) = (version.attributes.lock.retention, default) {
            version.attributes.lock.retention = Some(default.of(self.now()));
        }
        let (size, etag, checksum) = (version.size, version.etag, version.checksum);
        let sequence = self.bucket(bucket)?.next_sequence();
        let state = VersionState::Object(Box::new(version));
        let row = self.insert(bucket, key, (state, None), sequence)?;
        let bucket = self.bucket_mut(bucket)?;
        bucket.commit_sequence = sequence;
        Ok(Committed {
            versioning: bucket.versioning,
            version_id: row.id,
            sequence,
            last_modified: row.last_modified,
            size,
            etag,
            checksum,
        })
    }

    /// Puts a row on top of the key's versions; it replaces the null version unless versioning is enabled.
    fn insert(
        &mut self,
        bucket: &BucketName,
        key: ObjectKey,
        (state, marker_owner): (VersionState, Option<AccountId>),
        sequence: Sequence,
    ) -> Result<VersionRow, Error> {
        let (last_modified, nonce) = (self.now(), self.env.random_u64());
        let bucket = self.bucket_mut(bucket)?;
        let (id, replaced) = match bucket.versioning {
            Versioning::Enabled => (VersionId::Numbered { sequence, nonce }, None),
            Versioning::Unversioned | Versioning::Suspended => {
                (VersionId::Null, bucket.remove(&key, VersionId::Null))
            }
        };
        let row = VersionRow { id, sequence, last_modified, state, marker_owner };
        bucket.versions.entry(key.clone()).or_default().push(row.clone());
        let bucket = bucket.id;
        if let Some(content) = replaced.as_ref().and_then(VersionRow::content) {
            self.free(bucket, &key, content);
        }
        Ok(row)
    }

    pub(super) fn set_tags(&mut self, request: SetTags) -> Result<Tagged, Error> {
        let SetTags { bucket, key, version_id, tags } = request;
        self.amend(&bucket, &key, version_id, |_, version| {
            version.attributes.tags = tags;
            Ok(())
        })
    }

    pub(super) fn set_lock(&mut self, request: &SetLock) -> Result<Tagged, Error> {
        if self.bucket(&request.bucket)?.object_lock.is_none() {
            return Err(Error::NoObjectLock);
        }
        let now = self.now();
        self.amend(&request.bucket, &request.key, request.version_id, |_, version| {
            request.change.apply(&mut version.attributes.lock, now, request.bypasses_governance)
        })
    }

    pub(super) fn set_acl(&mut self, request: SetAcl) -> Result<Tagged, Error> {
        let SetAcl { bucket, key, version_id, acl } = request;
        if acl.as_ref().is_some_and(|acl| acl.grants.len() > Acl::GRANTS_MAX) {
            return Err(malformed("too many grants"));
        }
        self.amend(&bucket, &key, version_id, |_, version| {
            version.attributes.acl = acl;
            Ok(())
        })
    }

    pub(super) fn set_restore(&mut self, request: &SetRestore) -> Result<Tagged, Error> {
        self.amend(&request.bucket, &request.key, Some(request.version_id), |sequence, version| {
            let Version { etag, storage_class, attributes, .. } = version;
            request.apply((sequence, *etag), storage_class, &mut attributes.restore)
        })
    }

    pub(super) fn rewrap(&mut self, request: &Rewrap) -> Result<(), Error> {
        let (bucket, key) = (&request.bucket, &request.key);
        match request.owner {
            EncryptedOwner::Version { version_id, sequence } => {
                let amended = self.amend(bucket, key, Some(version_id), |made_by, version| {
                    let current = Some(version.etag);
                    if made_by != sequence {
                        return Err(Error::PreconditionFailed { current });
                    }
                    request.apply(current, &mut version.attributes.encryption)
                });
                amended.map(|_| ())
            }
            EncryptedOwner::Upload(upload) => {
                let row = self.bucket_mut(bucket)?.uploads.get_mut(&(key.clone(), upload));
                let row = row.ok_or(Error::UploadNotFound)?;
                request.apply(None, &mut row.upload.attributes.encryption)
            }
        }
    }

    /// Positions are how many rows came before.
    pub(super) fn list_encrypted(
        &self,
        after: Option<&ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let skipped = rows_before(after)?;
        let all = self.encrypted();
        let rows: Vec<EncryptedRow> = all.iter().skip(skipped).take(limit).cloned().collect();
        let seen = skipped.saturating_add(rows.len());
        let next = (seen < all.len()).then(|| position(seen));
        Ok(EncryptedPage { rows, next })
    }

    fn encrypted(&self) -> Vec<EncryptedRow> {
        let mut rows = Vec::new();
        for bucket in self.buckets.values() {
            let row = |key: &ObjectKey, owner, attributes: &Attributes| {
                let (bucket, key) = (bucket.name.clone(), key.clone());
                let encryption = attributes.encryption.clone()?;
                Some(EncryptedRow { bucket, key, owner, encryption })
            };
            for (key, version) in
                bucket.versions.iter().flat_map(|(key, rows)| rows.iter().map(move |row| (key, row)))
            {
                let owner = EncryptedOwner::Version { version_id: version.id, sequence: version.sequence };
                if let VersionState::Object(object) = &version.state {
                    rows.extend(row(key, owner, &object.attributes));
                }
            }
            for ((key, id), upload) in &bucket.uploads {
                rows.extend(row(key, EncryptedOwner::Upload(*id), &upload.upload.attributes));
            }
        }
        rows
    }

    /// Changes the attributes of a version.
    fn amend(
        &mut self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<VersionId>,
        change: impl FnOnce(Sequence, &mut Version) -> Result<(), Error>,
    ) -> Result<Tagged, Error> {
        let bucket = self.bucket_mut(bucket)?;
        let missing = if version_id.is_some() { Error::VersionNotFound } else { Error::KeyNotFound };
        let Some((id, sequence)) = bucket.find(key, version_id).map(|row| (row.id, row.sequence)) else {
            return Err(missing);
        };
        let rows = bucket.versions.get_mut(key);
        match rows.into_iter().flatten().find(|row| row.id == id).map(|row| &mut row.state) {
            Some(VersionState::Object(version)) => change(sequence, version)?,
            Some(VersionState::DeleteMarker) | None => return Err(missing),
        }
        Ok(Tagged { versioning: bucket.versioning, version_id: id })
    }

    pub(super) fn get_version(&self, request: &GetVersion) -> Result<FoundVersion, Error> {
        let bucket = self.bucket(&request.bucket)?;
        let missing = if request.version_id.is_some() { Error::VersionNotFound } else { Error::KeyNotFound };
        let row = bucket.find(&request.key, request.version_id).ok_or(missing)?;
        let mut state = row.state.clone();
        if let VersionState::Object(version) = &mut state
            && !request.with_content
        {
            version.content = Content::Inline(bytes::Bytes::new());
        }
        Ok(FoundVersion {
            bucket: bucket.bucket(),
            version_id: row.id,
            sequence: row.sequence,
            is_current: bucket.find(&request.key, None).is_some_and(|current| current.id == row.id),
            last_modified: row.last_modified,
            state,
        })
    }

    pub(super) fn delete_versions(
        &mut self,
        request: &DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        let sequence = self.bucket(&request.bucket)?.next_sequence();
        let mut answers = Vec::with_capacity(request.entries.len());
        for entry in &request.entries {
            let answer = self.delete_version(request, entry, sequence).map(|(deleted, change)| {
                if let Change::Made(content) = change {
                    if let Some(bucket) = self.buckets.get_mut(&request.bucket) {
                        bucket.commit_sequence = sequence;
                    }
                    content.inspect(|content| self.free_in(&request.bucket, &entry.key, content));
                }
                deleted
            });
            answers.push(answer);
        }
        Ok(answers)
    }

    fn delete_version(
        &mut self,
        DeleteVersions { bucket: name, marker_owner, .. }: &DeleteVersions,
        entry: &DeleteVersion,
        sequence: Sequence,
    ) -> Result<(DeletedVersion, Change), Error> {
        let now = self.now();
        let bucket = self.bucket_mut(name)?;
        check_delete(bucket, entry)?;
        if entry.version_id.is_some()
            && let Some((_, version)) = bucket.find_object(&entry.key, entry.version_id)
            && version.attributes.lock.protects(now, entry.bypasses_governance)
        {
            return Err(Error::VersionLocked);
        }
        let versioning = bucket.versioning;
        let deleted = |version_id, delete_marker| DeletedVersion { versioning, version_id, delete_marker };
        if let Some(id) = entry.version_id {
            let Some(removed) = bucket.remove(&entry.key, id) else {
                return Ok((deleted(Some(id), false), Change::Nothing));
            };
            let answer = deleted(Some(id), removed.content().is_none());
            return Ok((answer, Change::Made(removed.content().cloned())));
        }
        if versioning == Versioning::Unversioned {
            let removed = bucket.remove(&entry.key, VersionId::Null);
            let change = removed.map_or(Change::Nothing, |row| Change::Made(row.content().cloned()));
            return Ok((deleted(None, false), change));
        }
        // One commit makes at most one delete marker of a key: a second entry finds the first one's.
        if let Some(made) = bucket.find(&entry.key, None).filter(|row| row.sequence == sequence) {
            return Ok((deleted(Some(made.id), true), Change::Nothing));
        }
        let marker = (VersionState::DeleteMarker, marker_owner.clone());
        let row = self.insert(name, entry.key.clone(), marker, sequence)?;
        Ok((deleted(Some(row.id), true), Change::Made(None)))
    }

    pub(super) fn copy_version(&mut self, request: CopyVersion) -> Result<Committed, Error> {
        let source = self.bucket(&request.source_bucket)?;
        let destination = self.bucket(&request.bucket)?;
        let (_, version) = source
            .find_object(&request.source_key, Some(request.source_version_id))
            .ok_or(Error::VersionNotFound)?;
        let is_other = |class: &StorageClassName| *class != version.storage_class;
        if version.etag != request.source_etag || request.source_class.as_ref().is_some_and(is_other) {
            return Err(Error::PreconditionFailed { current: Some(version.etag) });
        }
        destination.check(&request.key, request.condition)?;
        let mut version = version.clone();
        version.attributes = request
            .attributes_of(version.attributes)
            .ok_or(Error::PreconditionFailed { current: Some(version.etag) })?;
        destination.check_lock(&version.attributes.lock)?;
        destination.check_quota(&request.key, version.size, 0, false)?;
        version.checksum = request.checksum.or(version.checksum);
        if let Content::Stored(manifest) = &version.content {
            self.shared.extend(manifest.extents.iter().map(|extent| extent.chunk));
        }
        self.commit(&request.bucket, request.key, version)
    }

    pub(super) fn rename_object(&mut self, request: RenameObject) -> Result<Committed, Error> {
        let RenameObject { bucket, source_key, source_version_id, source_etag, key, mark, condition } =
            request;
        let found = self.bucket(&bucket)?;
        if source_key == key {
            return Err(malformed("a rename to the same key"));
        }
        let (row, version) = found
            .find_object(&source_key, None)
            .filter(|(row, _)| row.id == source_version_id)
            .ok_or(Error::VersionNotFound)?;
        if version.etag != source_etag {
            return Err(Error::PreconditionFailed { current: Some(version.etag) });
        }
        found.check(&key, condition)?;
        let (versioning, last_modified) = (found.versioning, row.last_modified);
        let is_replaced = versioning != Versioning::Enabled && row.id == VersionId::Null;
        found.check_quota(&key, version.size, if is_replaced { version.size } else { 0 }, true)?;
        let mut version = version.clone();
        version.attributes.renamed = mark;
        if let Content::Stored(manifest) = &version.content {
            self.shared.extend(manifest.extents.iter().map(|extent| extent.chunk));
        }
        let mut committed = self.commit(&bucket, key.clone(), version)?;
        if versioning != Versioning::Unversioned {
            self.insert(&bucket, source_key, (VersionState::DeleteMarker, None), committed.sequence)?;
            return Ok(committed);
        }
        let found = self.bucket_mut(&bucket)?;
        if let Some(row) = found.versions.get_mut(&key).and_then(|rows| rows.last_mut()) {
            row.last_modified = last_modified;
        }
        committed.last_modified = last_modified;
        let removed = found.remove(&source_key, VersionId::Null);
        if let Some(content) = removed.as_ref().and_then(VersionRow::content) {
            self.free_in(&bucket, &source_key, content);
        }
        Ok(committed)
    }

    /// The fence: stored content is named only under a live lease.
    pub(super) fn check_lease(&self, lease: Option<types::LeaseId>, content: &Content) -> Result<(), Error> {
        check_chunks_of_lease(lease, content)?;
        lease.map_or(Ok(()), |lease| self.leases.check(lease))
    }
}

fn check_delete(bucket: &BucketRow, entry: &DeleteVersion) -> Result<(), Error> {
    let condition = entry.condition;
    if condition == DeleteCondition::default() {
        return Ok(());
    }
    if condition.marker {
        let row = bucket.find(&entry.key, entry.version_id);
        let is_marker = row.is_some_and(|row| matches!(row.state, VersionState::DeleteMarker));
        return if is_marker { Ok(()) } else { Err(Error::KeyNotFound) };
    }
    let row = bucket.find(&entry.key, entry.version_id).ok_or(Error::KeyNotFound)?;
    let VersionState::Object(version) = &row.state else {
        return Err(Error::PreconditionFailed { current: None });
    };
    let etag = match condition.etag {
        None | Some(ETagCondition::Any) => true,
        Some(ETagCondition::Is(etag)) => etag == version.etag,
    };
    let size = condition.size.is_none_or(|size| size == version.size);
    let time = condition.last_modified.is_none_or(|time| time.seconds() == row.last_modified.seconds());
    if etag && size && time { Ok(()) } else { Err(Error::PreconditionFailed { current: Some(version.etag) }) }
}
