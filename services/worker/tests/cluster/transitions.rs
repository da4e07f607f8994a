//! Lifecycle rules move objects to other storage classes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::stream;
use metadata_api::{
    CopyAttributes, CopyVersion, GetVersion, ListVersions, Metadata, PAGE_SIZE_MAX, StorageClassDefinition,
    Subresource, Version, VersionEntry, VersionPosition, VersionState, WriteCondition,
};
use s3_wire::{
    lifecycle::{DefaultMinimumSize, LifecycleConfiguration},
    xml::{parse_lifecycle, stored_lifecycle},
};
use types::{
    ChunkOwner, Coding, Content, ETag, KeyPrefix, ShardId, ShardIndex, StorageClassName, VersionId,
    Versioning,
};
use worker::{LifecycleOptions, Options};

use crate::{
    audits::told,
    gateway::{Gateway, bucket, content, key},
    harness::{Cluster, INLINE, RunningWorker, WHOLE},
};

/// Every object, however small, at once.
const AT_ONCE: &str = "<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>\
     <Transition><Days>0</Days><StorageClass>COLD</StorageClass></Transition>";

fn class(name: &str) -> StorageClassName {
    StorageClassName::new(name).unwrap()
}

impl Cluster {
    /// A cluster with a second class of another coding.
    async fn with_cold(coding: &str) -> Self {
        let cluster = Self::new(7, "2+1", 4).await;
        cluster.define("COLD", coding).await;
        cluster
    }

    async fn define(&self, name: &str, coding: &str) {
        let definition = StorageClassDefinition {
            name: class(name),
            coding: coding.parse().unwrap(),
            inline_limit_bytes: INLINE as u64,
            whole_limit_bytes: WHOLE as u64,
            groups: 4,
            medium: None,
        };
        self.metadata.define_storage_class(definition).await.unwrap();
    }

    async fn set_rules(&self, rules: &[&str]) {
        let rules: String =
            rules.iter().map(|rule| format!("<Rule><Status>Enabled</Status>{rule}</Rule>")).collect();
        let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        let rules = parse_lifecycle(document.as_bytes(), |place| place.to_string()).unwrap();
        let minimum_size = DefaultMinimumSize::default();
        let stored = stored_lifecycle(&LifecycleConfiguration { rules, minimum_size });
        self.metadata.set_subresource(&bucket(), Subresource::Lifecycle, Some(stored)).await.unwrap();
    }

    /// A worker for which a day is a second, as fast as it can.
    fn fast_worker(&self, rate: u64) -> RunningWorker {
        let lifecycle = LifecycleOptions { lifecycle_day_seconds: 1 };
        self.worker_with(Options { lifecycle, recode_rate_bytes: rate, ..Options::default() })
    }

    /// The class of every version and how often each is there.
    async fn classes(&self) -> BTreeMap<String, usize> {
        let mut classes = BTreeMap::new();
        let request = ListVersions {
            bucket: bucket(),
            prefix: KeyPrefix::default(),
            delimiter: None,
            position: VersionPosition::Start,
            limit: PAGE_SIZE_MAX,
        };
        let page = self.metadata.list_versions(request).await.unwrap();
        assert!(!page.truncated);
        for entry in page.entries {
            let VersionEntry::Version(version) = entry else { panic!("there is no delimiter") };
            if let Some(object) = version.object {
                *classes.entry(object.storage_class.to_string()).or_default() += 1;
            }
        }
        classes
    }

    async fn until_all_are(&self, name: &str) {
        let are = async || self.classes().await.keys().all(|class| class == name);
        self.until(&format!("all are {name}"), are).await;
    }
}

impl Gateway {
    async fn version(&self, name: &str) -> Version {
        let wanted = GetVersion { bucket: bucket(), key: key(name), version_id: None, with_content: true };
        match self.metadata().get_version(wanted).await.unwrap().state {
            VersionState::Object(version) => *version,
            VersionState::DeleteMarker => panic!("{name} is deleted"),
        }
    }

    async fn store_part(&self, name: &str, bytes: bytes::Bytes) -> data_pool::Stored {
        let owner = ChunkOwner { bucket: bucket(), key: key(name) }.to_bytes();
        let (class, length) = (StorageClassName::standard(), bytes.len() as u64);
        let body = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        self.pool.write_part(&class, owner.into(), length, body).await.unwrap()
    }

    async fn copy_null(&self, from: &str, to: &str) {
        let request = CopyVersion {
            source_bucket: bucket(),
            source_key: key(from),
            source_version_id: VersionId::Null,
            source_etag: ETag { digest: [0; 16], parts: None },
            source_class: None,
            rewraps: None,
            bucket: bucket(),
            key: key(to),
            attributes: CopyAttributes::Keep,
            checksum: None,
            condition: WriteCondition::None,
        };
        self.metadata().copy_version(request).await.unwrap();
    }

    /// Reads as a gateway does, which looks at the version again when it finds too little of what that named.
    async fn read(&self, name: &str) -> bytes::Bytes {
        for _ in 0..5 {
            if let Ok(read) = self.get(name).await {
                return read;
            }
        }
        panic!("{name} cannot be read")
    }
}

fn codings(texts: &[&str]) -> Vec<Coding> {
    let mut codings: Vec<Coding> = texts.iter().map(|text| text.parse().unwrap()).collect();
    codings.sort_unstable();
    codings
}

#[tokio::test(start_paused = true)]
async fn objects_move_while_clients_read_write_copy_and_delete() {
    let cluster = Cluster::with_cold("4+2").await;
    let gateway = Arc::new(cluster.gateway().await);
    let filled = cluster.fill(&gateway, 36).await;
    for (name, _) in &filled[..12] {
        gateway.copy_null(name, &format!("copy-of-{name}")).await;
    }
    let usage = cluster.metadata.get_bucket(&bucket()).await.unwrap().usage;
    let before = gateway.version("object-5").await;
    cluster.set_rules(&[AT_ONCE]).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let client = cluster.env.spawn({
        let (env, gateway, filled, stopped) =
            (cluster.env.clone(), gateway.clone(), filled.clone(), stopped.clone());
        async move {
            let (mut reads, mut round) = (0_usize, 0_usize);
            while !stopped.load(Ordering::SeqCst) {
                let (name, length) = &filled[round * 7 % filled.len()];
                assert!(gateway.read(name).await == content(name, *length), "{name}");
                reads += 1;
                let temporary = format!("temporary-{}", round % 5);
                assert!(gateway.put(&temporary, 150 + round * 997 % 90_000).await);
                if round % 3 == 0 {
                    gateway.copy_null(name, &temporary).await;
                }
                if round % 4 == 0 {
                    gateway.delete(&temporary).await;
                }
                round += 1;
                env.sleep(Duration::from_millis(20)).await;
            }
            for number in 0..5 {
                gateway.delete(&format!("temporary-{number}")).await;
            }
            reads
        }
    });
    let _workers = [cluster.fast_worker(2 << 20), cluster.fast_worker(2 << 20)];
    let moved = async || cluster.classes().await.get("COLD").is_some_and(|count| *count >= 48);
    cluster.until("what was there has moved", moved).await;
    stopped.store(true, Ordering::SeqCst);
    let reads = client.await.unwrap();
    assert!(reads > 20, "it was read meanwhile: {reads}");
    cluster.until_all_are("COLD").await;
    let audit = cluster.until_clean().await;
    assert!(audit.shards > 50, "{audit:?}");
    assert_eq!(cluster.codings().await.into_keys().collect::<Vec<_>>(), codings(&["4+2", "1+2"]));
    assert_eq!(cluster.metadata.get_bucket(&bucket()).await.unwrap().usage, usage);
    cluster.check(&gateway, &filled).await;
    for (name, length) in &filled[..12] {
        assert!(gateway.read(&format!("copy-of-{name}")).await == content(name, *length), "{name}");
    }
    let after = gateway.version("object-5").await;
    assert_eq!((after.etag, after.size, &after.attributes), (before.etag, before.size, &before.attributes));
    assert!(matches!(gateway.version("object-0").await.content, Content::Inline(_)), "rows stay rows");

    // Nothing is moved twice.
    let named = async || cluster.metadata.list_contents(None, PAGE_SIZE_MAX).await.unwrap().rows;
    let settled = named().await;
    cluster.env.sleep(Duration::from_secs(120)).await;
    assert_eq!(named().await, settled);
}

#[tokio::test(start_paused = true)]
async fn another_worker_goes_on_moving_where_one_was_killed() {
    let cluster = Cluster::with_cold("3+2").await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 120).await;
    cluster.set_rules(&[AT_ONCE]).await;
    for round in 0..3 {
        let worker = cluster.fast_worker(8 << 20);
        let cold = async || cluster.classes().await.get("COLD").copied().unwrap_or_default();
        let enough = 20 * (round + 1);
        for _ in 0..100_000 {
            if cold().await >= enough {
                break;
            }
            cluster.env.sleep(Duration::from_millis(1)).await;
        }
        assert!(cold().await >= enough && cold().await < 120, "it is killed half-way: {}", cold().await);
        worker.kill();
        cluster.check(&gateway, &objects).await;
    }
    let _worker = cluster.fast_worker(0);
    cluster.until_all_are("COLD").await;
    cluster.until_clean().await;
    assert_eq!(cluster.codings().await.into_keys().collect::<Vec<_>>(), codings(&["3+2", "1+2"]));
    cluster.check(&gateway, &objects).await;
}

/// A version with more chunks than go in one transaction has its old class until all of it has moved, and is readable
/// throughout; what was moved of it before the worker died is not moved again.
#[tokio::test(start_paused = true)]
async fn a_long_version_has_its_class_when_all_of_it_has_moved() {
    let cluster = Cluster::with_cold("2+2").await;
    let gateway = cluster.gateway().await;
    let length = 150 * 1000;
    // Chunks of a thousand bytes: a version that names more than a batch has.
    let whole = content("long", length);
    let (mut long, mut claims): (Option<data_pool::Stored>, Vec<_>) = (None, Vec::new());
    for piece in whole.chunks(1000) {
        let stored = gateway.store_part("long", bytes::Bytes::copy_from_slice(piece)).await;
        let Content::Stored(more) = stored.content.clone() else { panic!("a part is never inline") };
        match &mut long {
            None => long = Some(stored),
            Some(long) => {
                let Content::Stored(manifest) = &mut long.content else { panic!("a part is never inline") };
                manifest.extents.extend(more.extents);
                claims.push(stored.claim);
            }
        }
    }
    assert!(gateway.commit("long", long.unwrap()).await);
    claims.into_iter().for_each(data_pool::Claim::named);
    cluster.set_rules(&[AT_ONCE]).await;
    let worker = cluster.fast_worker(8 << 20);
    let cold = async || {
        let Content::Stored(manifest) = gateway.version("long").await.content else { panic!("it is stored") };
        manifest.extents.iter().filter(|extent| extent.coding == "1+2".parse().unwrap()).count()
    };
    cluster.until("some of it has moved", async || cold().await > 0).await;
    let part = cold().await;
    assert!(part < 150, "{part}");
    assert_eq!(gateway.version("long").await.storage_class, StorageClassName::standard());
    assert!(gateway.read("long").await == whole);
    worker.kill();
    let Content::Stored(half) = gateway.version("long").await.content else { panic!("it is stored") };
    let _worker = cluster.fast_worker(0);
    cluster.until_all_are("COLD").await;
    let Content::Stored(all) = gateway.version("long").await.content else { panic!("it is stored") };
    let kept = half.extents.iter().zip(&all.extents).filter(|(half, all)| half == all).count();
    assert_eq!(kept, part, "what had moved stayed");
    assert!(gateway.read("long").await == whole);
    cluster.until_clean().await;
}

#[tokio::test(start_paused = true)]
async fn rules_say_which_versions_move_where() {
    let cluster = Cluster::with_cold("2+2").await;
    cluster.define("GLACIER", "3+2").await;
    cluster.metadata.set_versioning(&bucket(), Versioning::Enabled).await.unwrap();
    let gateway = cluster.gateway().await;
    for name in ["logs/large", "logs/small", "kept/large", "both/large"] {
        let length = if name.ends_with("small") { 131_071 } else { 131_072 };
        assert!(gateway.put(name, length).await);
        assert!(gateway.put(name, length).await);
    }
    let older = "<NoncurrentVersionTransition><NoncurrentDays>0</NoncurrentDays>\
         <StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>";
    let to_cold = "<Transition><Days>0</Days><StorageClass>COLD</StorageClass></Transition>";
    let to_glacier = "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>";
    cluster
        .set_rules(&[
            &format!("<Filter><Prefix>logs/</Prefix></Filter>{to_cold}{older}"),
            &format!("<Filter><Prefix>both/</Prefix></Filter>{to_cold}{to_glacier}"),
            "<Filter><Prefix>kept/</Prefix></Filter>\
             <Transition><Date>2999-01-01T00:00:00Z</Date><StorageClass>COLD</StorageClass></Transition>",
        ])
        .await;
    let _worker = cluster.fast_worker(0);
    let of = async |name: &str| {
        let request = ListVersions {
            bucket: bucket(),
            prefix: KeyPrefix::new(name.to_owned()).unwrap(),
            delimiter: None,
            position: VersionPosition::Start,
            limit: PAGE_SIZE_MAX,
        };
        let page = cluster.metadata.list_versions(request).await.unwrap();
        let classes = page.entries.into_iter().filter_map(|entry| match entry {
            VersionEntry::Version(version) => Some(version.object?.storage_class.to_string()),
            VersionEntry::CommonPrefix(_) => None,
        });
        classes.collect::<Vec<_>>()
    };
    cluster.until("it has moved", async || of("logs/large").await == ["COLD", "GLACIER"]).await;
    cluster.env.sleep(Duration::from_secs(60)).await;
    assert_eq!(of("logs/large").await, ["COLD", "GLACIER"]);
    assert_eq!(of("logs/small").await, ["STANDARD", "STANDARD"], "smaller than 128 KiB");
    assert_eq!(of("kept/large").await, ["STANDARD", "STANDARD"], "the date has not come");
    // The clock stands still here: the second of the days never ends.
    assert_eq!(of("both/large").await, ["COLD", "STANDARD"]);
    cluster.until_clean().await;
}

/// A chunk that cannot be read keeps its version where it is; others move.
#[tokio::test(start_paused = true)]
async fn a_version_that_cannot_be_read_stays_as_it_is() {
    let cluster = Cluster::with_cold("2+2").await;
    let gateway = cluster.gateway().await;
    assert!(gateway.put("stuck", 50_000).await);
    let page = cluster.metadata.list_contents(None, PAGE_SIZE_MAX).await.unwrap();
    let stuck = page.rows[0].extents[0];
    let groups = cluster.groups().await;
    let group = groups.iter().find(|group| group.id == stuck.group).unwrap();
    for (index, disk) in (0..).zip(&group.disks).take(2) {
        let node = cluster.nodes.iter().find(|node| node.disk == *disk).unwrap();
        let shard = types::ShardId { chunk: stuck.chunk, index: types::ShardIndex(index) };
        node.kept.lose_shard(*disk, shard);
    }
    let objects = cluster.fill(&gateway, 12).await;
    cluster.set_rules(&[AT_ONCE]).await;
    let _worker = cluster.fast_worker(0);
    let moved = async || cluster.classes().await.get("COLD") == Some(&12);
    cluster.until("the others have moved", moved).await;
    cluster.env.sleep(Duration::from_secs(60)).await;
    let left = gateway.version("stuck").await;
    assert_eq!(left.storage_class, StorageClassName::standard());
    assert_eq!(left.content, Content::Stored(types::Manifest { extents: page.rows[0].extents.clone() }));
    gateway.delete("stuck").await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}

/// What was deleted and freed while a worker read it is not lost; what a version names still is.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_cannot_be_copied_counts_as_lost_while_something_names_it() {
    let cluster = Cluster::with_cold("4+2").await;
    let gateway = cluster.gateway().await;
    cluster.set_rules(&[AT_ONCE]).await;
    let options =
        || Options { lifecycle: LifecycleOptions { lifecycle_day_seconds: 1 }, ..Options::default() };
    let reads = || cluster.nodes.iter().map(|node| node.reads.load(Ordering::SeqCst)).sum::<u64>();
    for (is_deleted, expected) in [(false, true), (true, false)] {
        assert!(gateway.put("object", 300_000).await);
        let page = cluster.metadata.list_contents(None, PAGE_SIZE_MAX).await.unwrap();
        let groups = cluster.groups().await;
        for extent in page.rows.iter().flat_map(|row| &row.extents) {
            let group = groups.iter().find(|group| group.id == extent.group).unwrap();
            for (index, disk) in (0..).zip(&group.disks[..2]) {
                let node = cluster.nodes.iter().find(|node| node.disk == *disk).unwrap();
                node.kept.lose_shard(*disk, ShardId { chunk: extent.chunk, index: ShardIndex(index) });
            }
        }
        let before = reads();
        let (worker, counts) = cluster.reading_worker(options()).await;
        while reads() == before {
            cluster.env.sleep(Duration::from_millis(1)).await;
        }
        if is_deleted {
            gateway.delete("object").await;
            let garbage = cluster.metadata.take_garbage(10).await.unwrap();
            let items: Vec<_> = garbage.iter().map(|item| item.id).collect();
            assert_eq!(cluster.metadata.finish_garbage(&items, i64::MAX, &[]).await.unwrap(), 1);
        }
        cluster.env.sleep(Duration::from_secs(5)).await;
        let lost = told(&counts, "ashlar_pool_lost_chunk_reads_total", "").await;
        assert_eq!(lost > 0.0, expected, "{lost}");
        worker.stop().await;
        gateway.delete("object").await;
    }
}
