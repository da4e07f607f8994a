use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use chunk_api::{ChunkService, Purpose, ScrubStatus, conformance::Sample};
use env::{Env, OpenMode};
use service_kit::shutdown_channel;
use shard_store::{DiskOptions, Reserve};
use tokio::sync::mpsc;
use types::{DiskId, MissingShard};

use super::BadShards;
use crate::ChunkNode;

const DISK: DiskId = DiskId([1; 16]);

/// Hands reports on; the first is refused.
struct Reports {
    refuse: std::sync::atomic::AtomicBool,
    taken: mpsc::UnboundedSender<Vec<MissingShard>>,
}

#[async_trait]
impl BadShards for Reports {
    async fn report(&self, shards: Vec<MissingShard>) -> Result<(), metadata_api::Error> {
        if self.refuse.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Err(metadata_api::Error::TimedOut);
        }
        self.taken.send(shards).unwrap();
        Ok(())
    }
}

async fn node(env: &Env, directory: &Path) -> Arc<ChunkNode> {
    let options = DiskOptions {
        new_disk: Some(DISK),
        reserve: Reserve { bytes: 1 << 20, percent: 0 },
        ..DiskOptions::new(directory)
    };
    Arc::new(ChunkNode::open(env, vec![options]).await)
}

/// Changes a byte in the middle of the first shard's record.
fn damage(env: &Env, directory: &Path) {
    let names = env.disk().list_directory(directory).unwrap();
    let name = names.into_iter().find(|name| name.to_str().unwrap().starts_with("shards-")).unwrap();
    let file = env.disk().open(&directory.join(name), OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 4096 + 300).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 4096 + 300).unwrap();
}

#[tokio::test]
async fn damage_is_reported_until_the_report_is_taken_and_again_while_it_lasts() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let node = node(&env, home.path()).await;
    let bad = Sample::new(1, 1, 0, "4+2", 3000);
    let good = Sample::new(1, 2, 0, "4+2", 3000);
    let large = Sample::single(2, 1, 1 << 20);
    for sample in [&bad, &good, &large] {
        node.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    damage(&env, home.path());
    let (taken, mut reports) = mpsc::unbounded_channel();
    let receiver = Arc::new(Reports { refuse: true.into(), taken });
    let (trigger, shutdown) = shutdown_channel();
    let scrub = {
        let (node, own) = (node.clone(), env.clone());
        env.spawn(async move { node.scrub(&own, Duration::from_millis(1), receiver, shutdown).await })
    };
    let wanted = MissingShard {
        shard: bad.shard(),
        group: bad.header.group,
        coding: bad.header.coding,
        chunk_length: 3000,
    };
    for _ in 0..3 {
        let report = env.timeout(Duration::from_secs(30), reports.recv()).await.unwrap();
        assert_eq!(report, Some(vec![wanted]));
    }
    let status = node.disks().await.unwrap().remove(0).scrub;
    assert!(status.passes >= 1 && status.bad_shards >= 3, "{status:?}");
    assert!(status.verified_bytes >= 1 << 20 && (0.0..=1.0).contains(&status.progress), "{status:?}");

    // Once it is repaired, whole passes report nothing.
    let repaired = node.put_shard(DISK, bad.header.clone(), bad.whole(), Purpose::Repair).await;
    assert_eq!(repaired, Ok(()));
    wait_for_passes(&env, &node, 2).await;
    while reports.try_recv().is_ok() {}
    wait_for_passes(&env, &node, 3).await;
    assert!(reports.try_recv().is_err());
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), scrub).await.unwrap().is_some());
    node.close().await;
}

#[tokio::test]
async fn what_a_start_finds_damaged_is_reported_at_once() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let before = node(&env, home.path()).await;
    let bad = Sample::new(1, 1, 0, "4+2", 3000);
    before.put_shard(DISK, bad.header.clone(), bad.whole(), Purpose::Write).await.unwrap();
    before.close().await;
    let names = env.disk().list_directory(home.path()).unwrap();
    let name = names.into_iter().find(|name| name.to_str().unwrap().starts_with("shards-")).unwrap();
    let file = env.disk().open(&home.path().join(name), OpenMode::ReadWrite).unwrap();
    // All but the header.
    file.write_all_at(&[0; 3900], 4096 + 80).unwrap();
    let after = node(&env, home.path()).await;
    let (taken, mut reports) = mpsc::unbounded_channel();
    let receiver = Arc::new(Reports { refuse: false.into(), taken });
    let (trigger, shutdown) = shutdown_channel();
    let scrub = {
        let (node, own) = (after.clone(), env.clone());
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        env.spawn(async move { node.scrub(&own, month, receiver, shutdown).await })
    };
    let report = env.timeout(Duration::from_secs(30), reports.recv()).await.unwrap();
    let wanted = MissingShard {
        shard: bad.shard(),
        group: bad.header.group,
        coding: bad.header.coding,
        chunk_length: 3000,
    };
    assert_eq!(report, Some(vec![wanted]));
    let status = after.disks().await.unwrap().remove(0);
    assert_eq!((status.damaged_records, status.quarantined_records), (1, 0));
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), scrub).await.unwrap().is_some());
    after.close().await;
}

/// Waits until the scrub has begun and ended this many more passes.
async fn wait_for_passes(env: &Env, node: &ChunkNode, more: u64) {
    let passes = async || node.disks().await.unwrap().remove(0).scrub.passes;
    let before = passes().await;
    for _ in 0..3000 {
        if passes().await >= before + more {
            return;
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the scrub does not go on");
}

#[tokio::test]
async fn a_pass_takes_the_period_and_the_stop_does_not_wait_for_it() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let node = node(&env, home.path()).await;
    for counter in 0..8 {
        let sample = Sample::single(1, counter, 40_000);
        node.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    let (taken, _reports) = mpsc::unbounded_channel();
    let receiver = Arc::new(Reports { refuse: false.into(), taken });
    let (trigger, shutdown) = shutdown_channel();
    let began = env.now();
    let scrub = {
        let (node, own) = (node.clone(), env.clone());
        env.spawn(async move { node.scrub(&own, Duration::from_secs(2), receiver, shutdown).await })
    };
    wait_for_passes(&env, &node, 1).await;
    let took = env.now().since(began);
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), scrub).await.unwrap().is_some());
    node.close().await;
}

/// What a scrub of a month reports first.
async fn first_report(env: &Env, node: &Arc<ChunkNode>) -> MissingShard {
    let (taken, mut reports) = mpsc::unbounded_channel();
    let receiver = Arc::new(Reports { refuse: false.into(), taken });
    let (trigger, shutdown) = shutdown_channel();
    let scrub = {
        let (node, own) = (node.clone(), env.clone());
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        env.spawn(async move { node.scrub(&own, month, receiver, shutdown).await })
    };
    let report = env.timeout(Duration::from_secs(30), reports.recv()).await.unwrap();
    // It is in the pause after the shard now, or about to be.
    env.sleep(Duration::from_millis(100)).await;
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), scrub).await.unwrap().is_some());
    report.unwrap().remove(0)
}

#[tokio::test]
async fn a_pass_goes_on_after_a_restart_where_it_was() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let mut opened = node(&env, home.path()).await;
    let samples: Vec<_> = (1..=3).map(|name| Sample::single(1, name, 40_000)).collect();
    for sample in &samples {
        opened.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    // Each shard has a byte of its own that is wrong, which a start does not look for.
    opened.close().await;
    opened = node(&env, home.path()).await;
    let names = env.disk().list_directory(home.path()).unwrap();
    let is_segment = |name: &str| name.starts_with("shards-") && name.ends_with(".segment");
    let name = names.into_iter().find(|name| is_segment(name.to_str().unwrap())).unwrap();
    let file = env.disk().open(&home.path().join(name), OpenMode::ReadWrite).unwrap();
    for at in [20_000, 65_000, 110_000] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
    // A pass that began behind the first shard.
    let start = samples[0].shard();
    let note = format!("{start} {start} 1 0\n");
    env.disk().replace_small(&home.path().join("scrub"), note.as_bytes()).unwrap();
    let mut reported = Vec::new();
    for _ in 0..3 {
        reported.push(first_report(&env, &opened).await.shard);
        opened.close().await;
        opened = node(&env, home.path()).await;
    }
    assert_eq!(reported, [samples[1].shard(), samples[2].shard(), samples[0].shard()]);
    opened.close().await;
}

/// Changes a byte of the first record of the first file whose name begins so.
fn damage_file(env: &Env, directory: &Path, prefix: &str, at: u64) {
    let names = env.disk().list_directory(directory).unwrap();
    let name = names.into_iter().find(|name| name.to_str().unwrap().starts_with(prefix)).unwrap();
    let file = env.disk().open(&directory.join(name), OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// The scrub's own bytes are those of shards and of what is kept beside them, and what is damaged of that is mended.
#[tokio::test]
async fn a_pass_verifies_what_is_kept_beside_shards_and_has_it_mended() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let opened = node(&env, home.path()).await;
    let kept = Sample::single(1, 1, 3000);
    opened.put_shard(DISK, kept.header.clone(), kept.whole(), Purpose::Write).await.unwrap();
    let deleted = Sample::single(1, 2, 3000);
    opened.delete_shards(DISK, &[deleted.shard()]).await.unwrap();
    let scrub = |period| {
        let (taken, reports) = mpsc::unbounded_channel();
        let receiver = Arc::new(Reports { refuse: false.into(), taken });
        let (trigger, shutdown) = shutdown_channel();
        let (node, own) = (opened.clone(), env.clone());
        let running = env.spawn(async move { node.scrub(&own, period, receiver, shutdown).await });
        (running, trigger, reports)
    };
    let status = async || opened.disks().await.unwrap().remove(0).scrub;
    // A pass that has only what is beside the shards before it, and is told to take a month for it.
    let note = format!("{} - 3 7\n", kept.shard());
    env.disk().replace_small(&home.path().join("scrub"), note.as_bytes()).unwrap();
    let (running, trigger, _reports) = scrub(Duration::from_secs(30 * 24 * 60 * 60));
    for _ in 0..3000 {
        if status().await.verified_bytes > 0 {
            break;
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    // One block of marks.
    let ScrubStatus { verified_bytes, bad_files, progress, .. } = status().await;
    assert_eq!((verified_bytes, bad_files), (4096, 0));
    assert!((0.5..1.0).contains(&progress), "{progress}");
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), running).await.unwrap().is_some());
    let note = env.disk().read_small(&home.path().join("scrub"), 1024).unwrap();
    let note = String::from_utf8(note).unwrap();
    assert!(note.contains(" 3 4103\n") && !note.contains('-'), "{note}");

    damage_file(&env, home.path(), "marks-", 4096 + 80);
    let (running, trigger, mut reports) = scrub(Duration::from_millis(1));
    wait_for_passes(&env, &opened, 3).await;
    assert_eq!(status().await.bad_files, 1);
    assert!(reports.try_recv().is_err(), "no shard is damaged");
    trigger.begin();
    assert!(env.timeout(Duration::from_secs(10), running).await.unwrap().is_some());
    opened.close().await;
    let opened = node(&env, home.path()).await;
    assert_eq!(opened.disks().await.unwrap().remove(0).damaged_records, 0);
    let put = opened.put_shard(DISK, deleted.header.clone(), deleted.whole(), Purpose::Repair).await;
    assert_eq!(put, Err(chunk_api::Error::ShardDeleted { shard: deleted.shard() }));
    opened.close().await;
}
