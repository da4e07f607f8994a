//! Answers that are broken off, on a cluster in memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chunk_api::{ChunkService, fake::FakeChunkService};
use data_pool::{ClusterView, Follower, LeaseHolder, Pool};
use env::Env;
use futures_util::{StreamExt, TryStreamExt, stream};
use metadata_api::{
    CommitVersion, CreateBucket, DeleteCondition, DeleteVersion, DeleteVersions, DiskRegistration,
    GetVersion, Metadata, NewVersion, NodeRegistration, StorageClassDefinition, VersionState, WriteCondition,
    fake::Fake,
};
use telemetry::{Samples, Source};
use types::{
    Attributes, BucketName, ByteRange, Content, DiskId, ETag, NodeId, ObjectKey, ShardId, ShardIndex,
    StorageClassName,
};

use super::{ReadVersion, Rest};
use crate::root_account;

/// A bucket with one object, whose bytes are whole copies on two disks.
struct Stage {
    env: Env,
    metadata: Arc<Fake>,
    pool: Pool,
    disks: Vec<(DiskId, Arc<FakeChunkService>)>,
    _follower: Follower,
    wanted: GetVersion,
}

impl Stage {
    async fn new() -> Self {
        let env = Env::real();
        let metadata = Arc::new(Fake::new(env.clone()));
        let (mut services, mut disks) = (HashMap::new(), Vec::new());
        for number in [1, 2] {
            let (node, disk) = (NodeId([number; 16]), DiskId([number; 16]));
            let service = Arc::new(FakeChunkService::new([disk]));
            services.insert(node, Arc::clone(&service) as Arc<dyn ChunkService>);
            disks.push((disk, service));
            let reported = DiskRegistration {
                disk,
                medium: "memory".to_owned(),
                capacity_bytes: 1 << 40,
                available_bytes: 1 << 40,
                writable: true,
                failed: false,
            };
            let domain = format!("r/z/k/h{number}").parse().unwrap();
            let node = NodeRegistration { node, address: String::new(), domain, disks: vec![reported] };
            metadata.register_node(node).await.unwrap();
        }
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: "1+1".parse().unwrap(),
            inline_limit_bytes: 0,
            whole_limit_bytes: 0,
            groups: 1,
            medium: None,
        };
        metadata.define_storage_class(definition).await.unwrap();
        let view = Arc::new(ClusterView::in_process(services));
        view.refresh(&*metadata).await.unwrap();
        let shared = Arc::clone(&metadata) as Arc<dyn Metadata>;
        let leases = Arc::new(LeaseHolder::start(&env, Arc::clone(&shared), &view, "test"));
        leases.held().await;
        let follower = Follower::start(&env, shared, Arc::clone(&view));
        let pool = Pool::new(&env, view, leases, Arc::new(|_| ()));
        let bucket = BucketName::new("bucket").unwrap();
        let key = ObjectKey::new(b"key".to_vec()).unwrap();
        metadata.create_bucket(CreateBucket::new(bucket.clone(), root_account())).await.unwrap();
        let wanted = GetVersion { bucket, key, version_id: None, with_content: true };
        let stage = Self { env, metadata, pool, disks, _follower: follower, wanted };
        stage.write().await;
        stage
    }

    async fn write(&self) {
        let (class, body) = (StorageClassName::standard(), Bytes::from(vec![7; 1000]));
        let body = stream::iter([Ok::<_, ()>(body)]);
        let mut stored = self.pool.write(&class, Bytes::new(), 1000, body).await.unwrap();
        let commit = CommitVersion {
            bucket: self.wanted.bucket.clone(),
            key: self.wanted.key.clone(),
            lease: stored.lease,
            version: NewVersion {
                content: stored.content,
                etag: ETag { digest: [0; 16], parts: None },
                checksum: None,
                attributes: Attributes::default(),
                storage_class: class,
            },
            condition: WriteCondition::None,
            missing: stored.missing,
        };
        self.metadata.commit_version(commit).await.unwrap();
        std::mem::take(&mut stored.claim).named();
    }

    /// An answer that has begun, and what it reads.
    async fn answer(&self) -> (Rest, Content) {
        let found = self.metadata.get_version(self.wanted.clone()).await.unwrap();
        let VersionState::Object(version) = found.state else { panic!("an object") };
        let wanted = GetVersion { version_id: Some(found.version_id), ..self.wanted.clone() };
        let (etag, size) = (version.etag, version.size);
        let version_read = ReadVersion { wanted, sequence: found.sequence, etag, size };
        let pool = self.pool.leaving_losses();
        let range = ByteRange::new(0, size).unwrap();
        let rest = Rest {
            metadata: Arc::clone(&self.metadata) as Arc<dyn Metadata>,
            stream: pool.read(&version.content, range),
            pool,
            version: version_read,
            content: version.content.clone(),
            opening: None,
            next: 0,
            end: size,
            attempts: 0,
        };
        (rest, version.content)
    }

    async fn delete_shards(&self, content: &Content) {
        let Content::Stored(manifest) = content else { panic!("not inline") };
        for (disk, service) in &self.disks {
            let shards: Vec<ShardId> = manifest
                .extents
                .iter()
                .flat_map(|extent| {
                    [0, 1].map(|index| ShardId { chunk: extent.chunk, index: ShardIndex(index) })
                })
                .collect();
            service.delete_shards(*disk, &shards).await.unwrap();
        }
    }

    async fn remove(&self) {
        let entry = DeleteVersion {
            key: self.wanted.key.clone(),
            version_id: None,
            condition: DeleteCondition::default(),
            bypasses_governance: false,
        };
        let delete =
            DeleteVersions { bucket: self.wanted.bucket.clone(), entries: vec![entry], marker_owner: None };
        self.metadata.delete_versions(delete).await.unwrap();
    }

    /// Reads that failed because a chunk was lost.
    async fn lost(&self) -> u64 {
        let mut samples = Samples::default();
        self.pool.collect(&mut samples).await;
        let text = samples.text();
        let mut lines =
            text.lines().filter_map(|line| line.strip_prefix("ashlar_pool_lost_chunk_reads_total "));
        lines.next().unwrap().parse().unwrap()
    }

    /// Waits until it is known which map is the latest: nothing is lost before.
    async fn follows(&self) {
        self.env.sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_chunk_that_was_freed_while_its_version_was_read_is_not_lost() {
    let stage = Stage::new().await;
    stage.follows().await;
    let (rest, content) = stage.answer().await;
    stage.remove().await;
    stage.delete_shards(&content).await;
    let answer: Result<Vec<Bytes>, _> = rest.into_stream().try_collect().await;
    assert!(matches!(answer, Err(data_pool::ReadError::Lost { .. })), "{answer:?}");
    assert_eq!(stage.lost().await, 0);

    // Nor is one whose version was replaced by another.
    stage.write().await;
    let (rest, content) = stage.answer().await;
    stage.write().await;
    stage.delete_shards(&content).await;
    assert!(rest.into_stream().boxed().try_collect::<Vec<_>>().await.is_err());
    assert_eq!(stage.lost().await, 0);
}

#[tokio::test]
async fn a_chunk_that_a_version_names_still_is_lost() {
    let stage = Stage::new().await;
    stage.follows().await;
    let (rest, content) = stage.answer().await;
    stage.delete_shards(&content).await;
    assert!(rest.into_stream().boxed().try_collect::<Vec<_>>().await.is_err());
    assert_eq!(stage.lost().await, 1);
}
