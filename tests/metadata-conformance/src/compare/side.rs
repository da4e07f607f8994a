//! One of the two stores that are compared, and what its ids are called: names that both stores share.

use bytes::Bytes;
use types::{BucketId, BucketName, Content, LeaseId, ObjectKey, Sequence, Timestamp, UploadId, VersionId};

use super::{
    super::support::{Minter, Store, account, bucket_name},
    operation::{BUCKETS, VersionName},
};
use metadata_api::{
    Bucket, Committed, CreateBucket, DeletedVersion, Error, FoundVersion, Upload, UploadEntry, VersionEntry,
    VersionState,
};

pub(super) fn shared_name() -> BucketName {
    BucketName::new("shared").expect("a valid name")
}

/// One store, and what its ids are called.
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) minter: Minter,
    pub(super) buckets: Vec<BucketName>,
    /// Commits that a bucket counted for a change of its versioning state, which it may or may not.
    pub(super) skipped: [i64; BUCKETS],
    versions: Vec<(usize, ObjectKey, VersionId)>,
    pub(super) uploads: Vec<(usize, ObjectKey, UploadId)>,
    bucket_ids: Vec<BucketId>,
}

impl Side {
    pub(super) async fn new(store: Store) -> Self {
        let minter = Minter::acquire(&store).await;
        let mut side = Self {
            store,
            minter,
            buckets: (0..BUCKETS).map(|_| bucket_name()).collect(),
            skipped: [0; BUCKETS],
            versions: Vec::new(),
            uploads: Vec::new(),
            bucket_ids: Vec::new(),
        };
        for bucket in 0..BUCKETS {
            side.create_bucket(bucket).await.expect("a new bucket");
        }
        side
    }

    /// Numbered versions in the order in which they were first seen.
    pub(super) fn versions(&self) -> &[(usize, ObjectKey, VersionId)] {
        &self.versions
    }

    pub(super) async fn create_bucket(&mut self, bucket: usize) -> Result<Bucket, Error> {
        self.skipped[bucket] = 0;
        self.store.create_bucket(CreateBucket::new(self.name(bucket), account())).await
    }

    pub(super) fn name(&self, bucket: usize) -> BucketName {
        self.buckets[bucket].clone()
    }

    /// This store's id of a version.
    pub(super) fn id(&self, version: VersionName) -> VersionId {
        match version {
            VersionName::Null => VersionId::Null,
            VersionName::Number(number) => self.versions[number].2,
        }
    }

    /// The shared name of this store's id: numbered versions by the order in which they were first seen.
    pub(super) fn named(&mut self, bucket: usize, key: &ObjectKey, id: VersionId) -> VersionId {
        if id == VersionId::Null {
            return id;
        }
        let known = |(b, k, other): &(usize, ObjectKey, VersionId)| (*b, k, *other) == (bucket, key, id);
        let number = self.versions.iter().position(known).unwrap_or_else(|| {
            self.versions.push((bucket, key.clone(), id));
            self.versions.len() - 1
        });
        VersionId::Numbered { sequence: Sequence(i64::try_from(number).expect("small")), nonce: 0 }
    }

    pub(super) fn committed(&mut self, bucket: usize, key: &ObjectKey, made: Committed) -> Committed {
        Committed {
            version_id: self.named(bucket, key, made.version_id),
            sequence: Sequence(made.sequence.0 - self.skipped[bucket]),
            last_modified: Timestamp(0),
            ..made
        }
    }

    pub(super) fn deleted(
        &mut self,
        bucket: usize,
        key: &ObjectKey,
        deleted: DeletedVersion,
    ) -> DeletedVersion {
        DeletedVersion { version_id: deleted.version_id.map(|id| self.named(bucket, key, id)), ..deleted }
    }

    pub(super) fn found(&mut self, bucket: usize, key: &ObjectKey, found: FoundVersion) -> FoundVersion {
        let mut state = found.state;
        if let VersionState::Object(object) = &mut state {
            object.content = plain_content(&object.content);
        }
        FoundVersion {
            bucket: self.bucket(bucket, found.bucket),
            version_id: self.named(bucket, key, found.version_id),
            sequence: Sequence(0),
            last_modified: Timestamp(0),
            state,
            ..found
        }
    }

    pub(super) fn bucket(&mut self, bucket: usize, found: Bucket) -> Bucket {
        let number = self.bucket_ids.iter().position(|id| *id == found.id).unwrap_or_else(|| {
            self.bucket_ids.push(found.id);
            self.bucket_ids.len() - 1
        });
        Bucket {
            id: BucketId(i64::try_from(number).expect("small")),
            name: shared_name(),
            created: Timestamp(0),
            commit_sequence: Sequence(found.commit_sequence.0 - self.skipped[bucket]),
            ..found
        }
    }

    pub(super) fn upload(&self, upload: Upload) -> Upload {
        let number = self.uploads.iter().position(|(.., id)| *id == upload.id).unwrap_or(usize::MAX);
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(number as u64).to_be_bytes());
        Upload { id: UploadId(id), initiated: Timestamp(0), ..upload }
    }

    pub(super) fn upload_entry(&self, entry: UploadEntry) -> String {
        match entry {
            UploadEntry::CommonPrefix(prefix) => format!("{prefix:?}"),
            UploadEntry::Upload(upload) => format!("{:?} {:?}", upload.key.clone(), self.upload(*upload)),
        }
    }

    pub(super) fn version_entry(&mut self, bucket: usize, entry: VersionEntry) -> VersionEntry {
        let VersionEntry::Version(mut version) = entry else { return entry };
        version.version_id = self.named(bucket, &version.key, version.version_id);
        version.last_modified = Timestamp(0);
        if let Some(object) = &mut version.object {
            object.last_modified = Timestamp(0);
        }
        VersionEntry::Version(version)
    }
}

/// Content whose chunks are of no lease in particular. No content at all is inline.
fn plain_content(content: &Content) -> Content {
    match content {
        Content::Stored(manifest) if !manifest.extents.is_empty() => {
            let mut manifest = manifest.clone();
            manifest.extents.iter_mut().for_each(|extent| extent.chunk.lease = LeaseId(0));
            Content::Stored(manifest)
        }
        Content::Stored(_) => Content::Inline(Bytes::new()),
        Content::Inline(bytes) => Content::Inline(bytes.clone()),
    }
}
