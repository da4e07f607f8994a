//! A gateway as far as a worker knows one: it writes, commits, reads and deletes.

use std::sync::Arc;

use bytes::Bytes;
use data_pool::{ClusterView, Follower, LeaseHolder, Pool, ReadError, Stored};
use env::Env;
use futures_util::{TryStreamExt, stream};
use metadata_api::{
    CommitVersion, DeleteCondition, DeleteVersion, DeleteVersions, GetVersion, Metadata, NewVersion,
    VersionState, WriteCondition,
};
use types::{Attributes, BucketName, ByteRange, ChunkOwner, ETag, ObjectKey, StorageClassName};

pub(crate) fn bucket() -> BucketName {
    BucketName::new("bucket").unwrap()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name.as_bytes().to_vec()).unwrap()
}

/// Bytes that tell objects apart, of a length of their own.
pub(crate) fn content(name: &str, length: usize) -> Bytes {
    let seed = name.bytes().fold(0x9e37_79b9_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let byte = |at: usize| (seed.wrapping_add(at as u64).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8;
    (0..length).map(byte).collect()
}

pub(crate) struct Gateway {
    metadata: Arc<dyn Metadata>,
    pub(crate) view: Arc<ClusterView>,
    pub(crate) pool: Pool,
    pub(crate) leases: Arc<LeaseHolder>,
    follower: Option<Follower>,
}

impl Gateway {
    pub(crate) async fn start(env: &Env, metadata: Arc<dyn Metadata>, view: Arc<ClusterView>) -> Self {
        view.refresh(&*metadata).await.unwrap();
        let follower = Some(Follower::start(env, metadata.clone(), view.clone()));
        let leases = Arc::new(LeaseHolder::start(env, metadata.clone(), &view, "gateway"));
        leases.held().await;
        let pool = Pool::new(env, view.clone(), leases.clone(), Arc::new(|_| ()));
        Self { metadata, view, pool, leases, follower }
    }

    pub(crate) fn metadata(&self) -> &dyn Metadata {
        &*self.metadata
    }

    /// Stops following the cluster map: its writes go by the one that it has.
    pub(crate) fn stop_following(&mut self) {
        self.follower = None;
    }

    /// Writes without committing, as a gateway that dies.
    pub(crate) async fn store(&self, name: &str, length: usize) -> Option<Stored> {
        let owner = ChunkOwner { bucket: bucket(), key: key(name) }.to_bytes();
        let body = stream::iter([Ok::<_, std::convert::Infallible>(content(name, length))]);
        self.pool.write(&StorageClassName::standard(), owner.into(), length as u64, body).await.ok()
    }

    /// Whether the object is visible now.
    pub(crate) async fn commit(&self, name: &str, stored: Stored) -> bool {
        let Stored { content, lease, missing, claim, .. } = stored;
        let version = NewVersion {
            content,
            etag: ETag { digest: [0; 16], parts: None },
            checksum: None,
            attributes: Attributes::default(),
            storage_class: StorageClassName::standard(),
        };
        let (bucket, key) = (bucket(), key(name));
        let condition = WriteCondition::None;
        let commit = CommitVersion { bucket, key, lease, version, condition, missing };
        match self.metadata.commit_version(commit).await {
            Ok(_) => {
                claim.named();
                true
            }
            Err(_) => {
                claim.refused();
                false
            }
        }
    }

    /// Whether the object was written.
    pub(crate) async fn put(&self, name: &str, length: usize) -> bool {
        match self.store(name, length).await {
            Some(stored) => self.commit(name, stored).await,
            None => false,
        }
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Bytes, ReadError> {
        let wanted = GetVersion { bucket: bucket(), key: key(name), version_id: None, with_content: true };
        let found = self.metadata.get_version(wanted).await.unwrap();
        let VersionState::Object(version) = found.state else { panic!("{name} is deleted") };
        let length = version.content.length();
        let runs: Vec<Bytes> =
            self.pool.read(&version.content, ByteRange::new(0, length).unwrap()).try_collect().await?;
        Ok(runs.concat().into())
    }

    pub(crate) async fn delete(&self, name: &str) {
        let entry = DeleteVersion {
            key: key(name),
            version_id: None,
            condition: DeleteCondition::default(),
            bypasses_governance: false,
        };
        let request = DeleteVersions { bucket: bucket(), entries: vec![entry], marker_owner: None };
        for deleted in self.metadata.delete_versions(request).await.unwrap() {
            deleted.unwrap();
        }
    }
}
