//! Buckets, and what one holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{
    BucketId, BucketName, Content, ObjectKey, ObjectLockConfiguration, Sequence, Timestamp, UploadId,
    VersionId, VersionLock, Versioning,
};

use super::{State, malformed, uploads::UploadRow};
use crate::{
    AccountId, AccountStatus, BUCKET_NAME_HOLD, Bucket, BucketPage, BucketQuota, BucketUsage, Committed,
    CompleteUpload, CreateBucket, Error, Inventory, ListBuckets, SUBRESOURCE_LENGTH_MAX, Subresource,
    VersionState,
};

#[derive(Debug)]
pub(super) struct BucketRow {
    pub(super) id: BucketId,
    pub(super) name: BucketName,
    pub(super) owner: AccountId,
    created: Timestamp,
    pub(super) versioning: Versioning,
    pub(super) object_lock: Option<ObjectLockConfiguration>,
    pub(super) quota: BucketQuota,
    pub(super) commit_sequence: Sequence,
    /// Each key's versions and delete markers, oldest first; the last one is current. Never an empty list.
    pub(super) versions: BTreeMap<ObjectKey, Vec<VersionRow>>,
    pub(super) uploads: BTreeMap<(ObjectKey, UploadId), UploadRow>,
    pub(super) subresources: BTreeMap<Subresource, Bytes>,
    pub(super) inventories: BTreeMap<String, Inventory>,
    /// Completions, their answers and when they were given.
    pub(super) completed: BTreeMap<UploadId, (CompleteUpload, Committed)>,
}

#[derive(Debug, Clone)]
pub(super) struct VersionRow {
    pub(super) id: VersionId,
    /// The commit that made it, also for a null version.
    pub(super) sequence: Sequence,
    pub(super) last_modified: Timestamp,
    pub(super) state: VersionState,
    /// Whose a delete marker is, where that is another account than the bucket's.
    pub(super) marker_owner: Option<AccountId>,
}

impl VersionRow {
    pub(super) fn content(&self) -> Option<&Content> {
        match &self.state {
            VersionState::Object(version) => Some(&version.content),
            VersionState::DeleteMarker => None,
        }
    }

    fn size(&self) -> u64 {
        match &self.state {
            VersionState::Object(version) => version.size,
            VersionState::DeleteMarker => 0,
        }
    }
}

impl BucketRow {
    /// Whether versions can be locked, when one is to be. Errors: `NoObjectLock`.
    pub(super) fn check_lock(&self, lock: &VersionLock) -> Result<(), Error> {
        if self.object_lock.is_none() && *lock != VersionLock::default() {
            return Err(Error::NoObjectLock);
        }
        Ok(())
    }

    pub(super) fn bucket(&self) -> Bucket {
        Bucket {
            id: self.id,
            name: self.name.clone(),
            owner: self.owner.clone(),
            created: self.created,
            versioning: self.versioning,
            commit_sequence: self.commit_sequence,
            usage: self.usage(),
            object_lock: self.object_lock,
            quota: self.quota,
            has_policy: self.subresources.contains_key(&Subresource::Policy),
            has_lifecycle: self.subresources.contains_key(&Subresource::Lifecycle),
            ownership_controls: self.subresources.get(&Subresource::OwnershipControls).cloned(),
            encryption: self.subresources.get(&Subresource::Encryption).cloned(),
        }
    }

    fn usage(&self) -> BucketUsage {
        let mut usage = BucketUsage::default();
        for rows in self.versions.values() {
            usage.versions += rows.len() as u64;
            usage.version_bytes += rows.iter().map(VersionRow::size).sum::<u64>();
            if let Some(current) = rows.last().filter(|row| row.content().is_some()) {
                usage.objects += 1;
                usage.object_bytes += current.size();
            }
        }
        usage
    }
}

impl State {
    pub(super) fn bucket(&self, name: &BucketName) -> Result<&BucketRow, Error> {
        self.buckets.get(name).ok_or_else(|| Error::BucketNotFound { bucket: name.clone() })
    }

    pub(super) fn bucket_mut(&mut self, name: &BucketName) -> Result<&mut BucketRow, Error> {
        self.buckets.get_mut(name).ok_or_else(|| Error::BucketNotFound { bucket: name.clone() })
    }

    pub(super) fn create_bucket(&mut self, request: CreateBucket) -> Result<Bucket, Error> {
        if let Some(row) = self.buckets.get(&request.name) {
            return Err(Error::BucketExists { bucket: request.name, owner: row.owner.clone() });
        }
        let hold_ms = i64::try_from(BUCKET_NAME_HOLD.as_millis()).unwrap_or(i64::MAX);
        if let Some((owner, released)) = self.released.get(&request.name)
            && *owner != request.owner
            && released.0 > self.now().0 - hold_ms
        {
            return Err(Error::BucketExists { bucket: request.name, owner: owner.clone() });
        }
        if request.subresources.values().any(|document| document.len() > SUBRESOURCE_LENGTH_MAX) {
            return Err(malformed("a sub-resource is too long"));
        }
        if self.accounts.status(&request.owner) == Some(AccountStatus::Closed) {
            return Err(malformed("the account is closed"));
        }
        self.buckets_created += 1;
        let row = BucketRow {
            id: BucketId(self.buckets_created),
            name: request.name.clone(),
            owner: request.owner,
            created: self.now(),
            versioning: if request.object_lock { Versioning::Enabled } else { Versioning::Unversioned },
            object_lock: request.object_lock.then(ObjectLockConfiguration::default),
            quota: BucketQuota::default(),
            commit_sequence: Sequence(0),
            versions: BTreeMap::new(),
            uploads: BTreeMap::new(),
            subresources: request.subresources,
            inventories: BTreeMap::new(),
            completed: BTreeMap::new(),
        };
        let bucket = row.bucket();
        self.buckets.insert(request.name, row);
        Ok(bucket)
    }

    pub(super) fn delete_bucket(&mut self, name: &BucketName) -> Result<(), Error> {
        let row = self.bucket(name)?;
        if !row.versions.is_empty() {
            return Err(Error::BucketNotEmpty { bucket: name.clone() });
        }
        let id = row.id;
        let parts: Vec<(ObjectKey, Content)> = row
            .uploads
            .iter()
            .flat_map(|((key, _), upload)| upload.parts.values().map(move |part| (key, &part.content)))
            .map(|(key, content)| (key.clone(), content.clone()))
            .collect();
        for (key, content) in &parts {
            self.free_part(id, key, content);
        }
        let now = self.now();
        if let Some(row) = self.buckets.remove(name) {
            self.released.insert(name.clone(), (row.owner, now));
        }
        Ok(())
    }

    pub(super) fn list_buckets(&self, request: &ListBuckets) -> BucketPage {
        let wanted = |row: &&BucketRow| {
            let name = row.name.as_str();
            row.owner == request.owner
                && name.starts_with(&request.prefix)
                && request.after.as_ref().is_none_or(|after| name > after.as_str())
        };
        let mut buckets: Vec<Bucket> = self.buckets.values().filter(wanted).map(BucketRow::bucket).collect();
        let truncated = buckets.len() > request.limit;
        buckets.truncate(request.limit);
        BucketPage { buckets, truncated }
    }

    pub(super) fn set_versioning(&mut self, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let bucket = self.bucket_mut(name)?;
        if versioning == Versioning::Unversioned {
            return Err(malformed("versioning cannot be taken back"));
        }
        if versioning == Versioning::Suspended && bucket.object_lock.is_some() {
            return Err(Error::InvalidBucketState { reason: "it has an object lock".to_owned() });
        }
        bucket.versioning = versioning;
        Ok(())
    }

    pub(super) fn set_quota(&mut self, name: &BucketName, quota: BucketQuota) -> Result<(), Error> {
        let countable = |most: Option<u64>| most.is_none_or(|most| i64::try_from(most).is_ok());
        if !countable(quota.bytes) || !countable(quota.objects) {
            return Err(malformed("a quota is more than can be counted"));
        }
        self.bucket_mut(name)?.quota = quota;
        Ok(())
    }

    pub(super) fn set_object_lock(
        &mut self,
        name: &BucketName,
        configuration: ObjectLockConfiguration,
    ) -> Result<(), Error> {
        let bucket = self.bucket_mut(name)?;
        if bucket.versioning != Versioning::Enabled {
            return Err(Error::InvalidBucketState { reason: "its versioning is not enabled".to_owned() });
        }
        bucket.object_lock = Some(configuration);
        Ok(())
    }

    pub(super) fn set_subresource(
        &mut self,
        name: &BucketName,
        subresource: Subresource,
        document: Option<Bytes>,
    ) -> Result<(), Error> {
        let bucket = self.bucket_mut(name)?;
        match document {
            Some(document) if document.len() > SUBRESOURCE_LENGTH_MAX => {
                return Err(malformed("a sub-resource is too long"));
            }
            Some(document) => bucket.subresources.insert(subresource, document),
            None => bucket.subresources.remove(&subresource),
        };
        Ok(())
    }
}
