//! A storage class is given another coding, and everything in it is re-encoded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use metadata_api::{
    CommitPart, CompleteUpload, CompletedPart, ContentKind, CopyAttributes, CopyVersion, CreateUpload,
    Metadata, UploadChecksum, WriteCondition,
};
use types::{
    Attributes, ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, ChunkOwner, Coding, ETag, LeaseId,
    MissingShard, PartNumber, ShardId, ShardIndex, StorageClassName, UploadId, VersionId,
};
use worker::{AuditOptions, Options, audit};

use crate::{
    gateway::{Gateway, bucket, content, key},
    harness::Cluster,
};

const TAG: ETag = ETag { digest: [0; 16], parts: None };

fn coding(text: &str) -> Coding {
    text.parse().unwrap()
}

impl Cluster {
    async fn set_coding(&self, text: &str) {
        self.metadata.set_storage_class_coding(&StorageClassName::standard(), coding(text)).await.unwrap();
    }

    async fn has_former(&self) -> bool {
        self.map().await.classes.iter().any(|class| class.is_former)
    }

    /// How many extents have each coding, garbage apart.
    pub(crate) async fn codings(&self) -> BTreeMap<Coding, usize> {
        let (mut after, mut codings) = (None, BTreeMap::new());
        loop {
            let page = self.metadata.list_contents(after, 1000).await.unwrap();
            let live = page.rows.into_iter().filter(|row| row.kind != ContentKind::Garbage);
            for extent in live.flat_map(|row| row.extents) {
                *codings.entry(extent.coding).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                return codings;
            }
        }
    }

    /// The chunks that have one of these codings, garbage apart.
    async fn chunks_with(&self, codings: &[&str]) -> BTreeSet<ChunkId> {
        let page = self.metadata.list_contents(None, 1000).await.unwrap();
        assert!(page.next.is_none());
        let live = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
        let extents = live.flat_map(|row| &row.extents);
        let wanted: BTreeSet<Coding> = codings.iter().map(|text| coding(text)).collect();
        extents.filter(|extent| wanted.contains(&extent.coding)).map(|extent| extent.chunk).collect()
    }

    /// Waits until everything has one of these codings and the former ones are gone.
    async fn until_recoded(&self, codings: &[&str]) {
        self.until("the former coding is gone", async || !self.has_former().await).await;
        let wanted: BTreeSet<Coding> = codings.iter().map(|text| coding(text)).collect();
        let found = self.codings().await;
        assert!(found.keys().all(|coding| wanted.contains(coding)), "{found:?}");
    }
}

impl Gateway {
    async fn copy(&self, from: &str, to: &str) -> bool {
        let request = CopyVersion {
            source_bucket: bucket(),
            source_key: key(from),
            source_version_id: VersionId::Null,
            source_etag: TAG,
            source_class: None,
            rewraps: None,
            bucket: bucket(),
            key: key(to),
            attributes: CopyAttributes::Keep,
            checksum: None,
            condition: WriteCondition::None,
        };
        self.metadata().copy_version(request).await.is_ok()
    }

    /// Reads as a gateway does, which looks at the version again when it finds too little of what that named.
    async fn get_now(&self, name: &str) -> Bytes {
        for _ in 0..5 {
            if let Ok(read) = self.get(name).await {
                return read;
            }
        }
        panic!("{name} cannot be read")
    }

    /// Opens an upload and adds a part.
    async fn part(&self, name: &str, length: usize) -> UploadId {
        let checksum = UploadChecksum { algorithm: ChecksumAlgorithm::Crc32c, kind: ChecksumType::Composite };
        let request = CreateUpload {
            bucket: bucket(),
            key: key(name),
            attributes: Attributes::default(),
            storage_class: StorageClassName::standard(),
            checksum,
            checksum_named: false,
            initiator: None,
        };
        let upload = self.metadata().create_upload(request).await.unwrap().id;
        let owner = ChunkOwner { bucket: bucket(), key: key(name) }.to_bytes();
        let body = stream::iter([Ok::<_, std::convert::Infallible>(content(name, length))]);
        let class = StorageClassName::standard();
        let stored = self.pool.write_part(&class, owner.into(), length as u64, body).await.unwrap();
        let part = CommitPart {
            bucket: bucket(),
            key: key(name),
            upload,
            number: PartNumber::new(1).unwrap(),
            lease: stored.lease,
            content: stored.content,
            etag: TAG,
            checksum: ChecksumValue::new(ChecksumAlgorithm::Crc32c, &[0; 4]).unwrap(),
            missing: stored.missing,
        };
        self.metadata().commit_part(part).await.unwrap();
        stored.claim.named();
        upload
    }

    async fn complete(&self, name: &str, upload: UploadId) {
        let part = CompletedPart { number: PartNumber::new(1).unwrap(), etag: TAG, checksum: None };
        let request = CompleteUpload {
            bucket: bucket(),
            key: key(name),
            upload,
            parts: vec![part],
            object_size: None,
            checksum: None,
            checksum_type: None,
            condition: WriteCondition::None,
        };
        self.metadata().complete_upload(request).await.unwrap();
    }
}

/// What a client does meanwhile: writes, copies, overwrites, deletes and reads, until it is told to stop. Answers what must
/// be there at the end: the name that the bytes are made of and their length, by name.
async fn work(
    env: env::Env,
    gateway: Arc<Gateway>,
    filled: Vec<(String, usize)>,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> BTreeMap<String, (String, usize)> {
    let mut objects: BTreeMap<String, (String, usize)> =
        filled.into_iter().map(|(name, length)| (name.clone(), (name, length))).collect();
    for round in 0.. {
        if *stopped.borrow() {
            break;
        }
        let names: Vec<String> = objects.keys().cloned().collect();
        let pick = |step: usize| &names[(round * 7 + step) % names.len()];
        let (source, target) = (pick(0), format!("copy-{}", round % 20));
        assert!(gateway.copy(source, &target).await, "{source} was not copied");
        objects.insert(target, objects[source].clone());
        if round % 3 == 0 {
            let (name, length) = (format!("later-{}", round % 30), 150 + round * 997 % 90_000);
            assert!(gateway.put(&name, length).await, "{name} was not written");
            objects.insert(name.clone(), (name, length));
        }
        if round % 4 == 0 && names.len() > 20 {
            gateway.delete(pick(3)).await;
            objects.remove(pick(3));
        }
        let name = pick(5);
        if let Some((made_of, length)) = objects.get(name) {
            assert!(gateway.get_now(name).await == content(made_of, *length), "{name}");
        }
        env.sleep(Duration::from_millis(40)).await;
    }
    objects
}

async fn check(gateway: &Gateway, objects: &BTreeMap<String, (String, usize)>) {
    for (name, (made_of, length)) in objects {
        assert!(gateway.get_now(name).await == content(made_of, *length), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_re_encoded_while_clients_work() {
    let cluster = Cluster::new(7, "2+1", 8).await;
    let gateway = Arc::new(cluster.gateway().await);
    let filled = cluster.fill(&gateway, 36).await;
    let (open, done) = (gateway.part("open", 200_000).await, gateway.part("done", 70_000).await);
    let before = cluster.groups().await[0].id;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let client = cluster.env.spawn(work(cluster.env.clone(), gateway.clone(), filled, stopped));
    let _workers = [cluster.worker(), cluster.worker()];
    cluster.env.sleep(Duration::from_secs(1)).await;
    cluster.set_coding("4+2").await;
    gateway.complete("done", done).await;
    cluster.until_recoded(&["4+2", "1+2"]).await;
    stop.send_replace(true);
    let mut objects = client.await.expect("the client");
    gateway.complete("open", open).await;
    objects.insert("open".to_owned(), ("open".to_owned(), 200_000));
    objects.insert("done".to_owned(), ("done".to_owned(), 70_000));
    let audit = cluster.until_clean().await;
    assert!(audit.shards > 50, "{audit:?}");
    check(&gateway, &objects).await;
    // A reader that began long ago misses what is gone; there is nothing to repair.
    let old = MissingShard {
        shard: ShardId { chunk: ChunkId { lease: LeaseId(1), counter: 0 }, index: ShardIndex(0) },
        group: before,
        coding: coding("2+1"),
        chunk_length: 1,
    };
    cluster.metadata.report_missing(&[old]).await.unwrap();
    cluster.until_clean().await;
    assert!(cluster.codings().await.keys().all(|found| [coding("4+2"), coding("1+2")].contains(found)));

    // Any two of the disks may go, where it was one.
    for (first, second) in [(0, 1), (2, 5), (4, 6)] {
        [first, second].iter().for_each(|number: &usize| cluster.nodes[*number].set_away(true));
        check(&gateway, &objects).await;
        [first, second].iter().for_each(|number| cluster.nodes[*number].set_away(false));
    }
}

#[tokio::test(start_paused = true)]
async fn another_worker_goes_on_where_one_was_killed() {
    let cluster = Cluster::new(5, "1+0", 4).await;
    let gateway = cluster.gateway().await;
    let mut objects = cluster.fill(&gateway, 240).await;
    cluster.set_coding("2+1").await;
    let worker = cluster.worker();
    let has = async |text: &str| cluster.codings().await.contains_key(&coding(text));
    for _ in 0..100_000 {
        if has("2+1").await {
            break;
        }
        cluster.env.sleep(Duration::from_micros(500)).await;
    }
    assert!(has("2+1").await && has("1+0").await, "it is killed half-way: {:?}", cluster.codings().await);
    worker.kill();
    let _worker = cluster.worker();
    cluster.until_recoded(&["2+1", "1+1"]).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;

    // And back, while a disk is lost.
    objects.extend(cluster.fill(&gateway, 12).await);
    cluster.nodes[1].set_away(true);
    cluster.set_coding("1+2").await;
    cluster.until_recoded(&["1+2"]).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}

/// A gateway that has not heard of the change writes by the former coding: that stays as long as its lease may be used, and
/// what it wrote is re-encoded.
#[tokio::test(start_paused = true)]
async fn a_former_coding_stays_while_a_gateway_may_write_by_it() {
    let cluster = Cluster::new(5, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    let mut stale = cluster.gateway().await;
    let mut objects = cluster.fill(&gateway, 12).await;
    stale.stop_following();
    cluster.set_coding("2+2").await;
    let _worker = cluster.worker();
    let recoded = async || !cluster.codings().await.contains_key(&coding("2+1"));
    cluster.until("everything is re-encoded", recoded).await;
    cluster.env.sleep(Duration::from_secs(300)).await;
    assert!(cluster.has_former().await, "the gateway may still write by it");
    assert!(stale.put("late", 50_000).await);
    objects.push(("late".to_owned(), 50_000));
    assert!(cluster.codings().await.contains_key(&coding("2+1")), "it did");
    cluster.until("that is re-encoded too", recoded).await;
    stale.leases.close().await;
    cluster.until_recoded(&["2+2", "1+2"]).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}

/// An audit learns of the groups of a coding that came after it began, and takes nothing for lost that it does not know of.
#[tokio::test(start_paused = true)]
async fn an_audit_spans_a_change_of_coding() {
    let cluster = Cluster::new(5, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    let mut auditors = [cluster.gateway().await, cluster.gateway().await];
    let objects = cluster.fill(&gateway, 24).await;
    auditors.iter_mut().for_each(Gateway::stop_following);
    cluster.set_coding("2+2").await;
    let worker = cluster.worker();
    let recoded = async || !cluster.codings().await.contains_key(&coding("2+1"));
    cluster.until("everything is re-encoded", recoded).await;
    worker.stop().await;
    // A shard that a quorum could do without, and that waits to be repaired.
    let group = cluster.map().await.class(&StorageClassName::standard()).unwrap().groups[0].clone();
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let node = cluster.nodes.iter().find(|node| node.disk == group.disks[1]).unwrap();
    let mut lacking = 0;
    for extent in page.rows.iter().flat_map(|row| &row.extents).filter(|extent| extent.group == group.id) {
        node.kept.lose_shard(node.disk, ShardId { chunk: extent.chunk, index: ShardIndex(1) });
        lacking += 1;
    }
    assert!(lacking > 0);
    for (auditor, deep) in auditors.iter().zip([false, true]) {
        let options = AuditOptions { deep, ..AuditOptions::default() };
        let report = audit(&*cluster.metadata, &auditor.pool, options, &mut |_| ()).await.unwrap();
        assert_eq!((report.lost, report.unreadable, report.lost_contents.len()), (0, 0, 0), "{report:#?}");
        assert_eq!((report.missing, report.corrupt, report.unreached.len()), (lacking, 0, 0), "{report:#?}");
    }
    cluster.check(&gateway, &objects).await;
}

/// A change that is taken back half-way: what has its coding already stays as it is, also in the pass that is under way. A
/// small chunk takes as long as one of a mebibyte.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_taken_back_stops_at_once() {
    let cluster = Cluster::new(5, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 180).await;
    let all = cluster.chunks_with(&["2+1", "1+1"]).await;
    cluster.set_coding("2+2").await;
    let _worker = cluster.worker_with(Options { recode_rate_bytes: 1 << 20, ..Options::default() });
    let is_begun = async || cluster.chunks_with(&["2+2", "1+2"]).await.len() > 20;
    cluster.until("some are re-encoded", is_begun).await;
    cluster.set_coding("2+1").await;
    let left = cluster.chunks_with(&["2+1", "1+1"]).await;
    assert!(left.len() > all.len() / 2, "{} of {} are left", left.len(), all.len());
    cluster.until_recoded(&["2+1", "1+1"]).await;
    cluster.until_clean().await;
    let kept = cluster.chunks_with(&["2+1", "1+1"]).await.intersection(&left).count();
    // Those that were in hand are written once more.
    assert!(kept + 12 >= left.len(), "{kept} of {} were kept", left.len());
    cluster.check(&gateway, &objects).await;
}

#[tokio::test(start_paused = true)]
async fn re_encoding_waits_for_room() {
    let cluster = Cluster::new(6, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 120).await;
    cluster.set_coding("2+2").await;
    // Half of the disks: every group of four has one of them.
    cluster.nodes[..3].iter().for_each(|node| node.set_available_percent(4));
    cluster.env.sleep(Duration::from_secs(5)).await;
    let _worker = cluster.worker_with(Options { recode_rate_bytes: 1 << 20, ..Options::default() });
    cluster.env.sleep(Duration::from_secs(300)).await;
    assert_eq!(cluster.chunks_with(&["2+2", "1+2"]).await.len(), 0);
    assert!(gateway.put("meanwhile", 50_000).await, "clients write on");
    cluster.nodes[..3].iter().for_each(|node| node.set_available_percent(6));
    let is_begun = async || cluster.chunks_with(&["2+2", "1+2"]).await.len() > 10;
    cluster.until("it goes on", is_begun).await;
    // And in the middle of a pass.
    cluster.nodes[..3].iter().for_each(|node| node.set_available_percent(4));
    cluster.env.sleep(Duration::from_secs(20)).await;
    let stopped_at = cluster.chunks_with(&["2+2", "1+2"]).await;
    cluster.env.sleep(Duration::from_secs(300)).await;
    assert_eq!(cluster.chunks_with(&["2+2", "1+2"]).await, stopped_at);
    assert!(cluster.codings().await.contains_key(&coding("2+1")), "some are left");
    cluster.nodes[..3].iter().for_each(|node| node.set_available_percent(6));
    cluster.until_recoded(&["2+2", "1+2"]).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}

/// Without a rate the work is bounded all the same: a disk has no more to do at a time than it is given chunks.
#[tokio::test(start_paused = true)]
async fn without_a_rate_so_many_chunks_are_under_way_and_no_more() {
    let cluster = Cluster::new(4, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 120).await;
    for node in &cluster.nodes {
        node.slow_writes(Duration::from_millis(20));
        node.writes_at_once_max.store(0, Ordering::SeqCst);
    }
    cluster.set_coding("2+2").await;
    let _worker = cluster.worker_with(Options { recode_rate_bytes: 0, ..Options::default() });
    cluster.until_recoded(&["2+2", "1+2"]).await;
    cluster.until_clean().await;
    let at_once = cluster.nodes.iter().map(|node| node.writes_at_once_max.load(Ordering::SeqCst)).max();
    assert!((2..=8).contains(&at_once.unwrap()), "{at_once:?} chunks at a time");
    cluster.check(&gateway, &objects).await;
}

/// A chunk that cannot be read keeps its own coding, and no other.
#[tokio::test(start_paused = true)]
async fn former_codings_go_one_by_one() {
    let cluster = Cluster::new(7, "2+1", 4).await;
    let gateway = cluster.gateway().await;
    assert!(gateway.put("stuck", 50_000).await);
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let stuck = page.rows[0].extents[0];
    let groups = cluster.groups().await;
    let group = groups.iter().find(|group| group.id == stuck.group).unwrap();
    for (index, disk) in (0..).zip(&group.disks).take(2) {
        let node = cluster.nodes.iter().find(|node| node.disk == *disk).unwrap();
        node.kept.lose_shard(*disk, ShardId { chunk: stuck.chunk, index: ShardIndex(index) });
    }
    cluster.set_coding("2+2").await;
    let objects = cluster.fill(&gateway, 24).await;
    let _worker = cluster.worker();
    cluster.set_coding("3+2").await;
    let former = async || {
        let classes = cluster.map().await.classes.into_iter().filter(|class| class.is_former);
        classes.map(|class| class.definition.coding).collect::<Vec<_>>()
    };
    cluster.until("one of two is gone", async || former().await.len() == 1).await;
    assert_eq!(former().await, [coding("2+1")]);
    cluster.env.sleep(Duration::from_secs(600)).await;
    assert_eq!(former().await, [coding("2+1")], "what cannot be read stays as it is");
    gateway.delete("stuck").await;
    cluster.until_recoded(&["3+2", "1+2"]).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}
