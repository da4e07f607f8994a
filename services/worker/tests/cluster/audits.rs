//! The audit that workers make by themselves.

use std::{sync::Arc, time::Duration};

use chunk_api::{ChunkService, ListShards};
use metadata_api::Metadata;
use telemetry::{Samples, Source};
use types::ShardIndex;
use worker::{AuditSchedule, Options};

use crate::harness::Cluster;

const HOUR: Duration = Duration::from_secs(3600);
/// Short, as the time of tests passes only when nothing else happens.
const PERIOD: Duration = Duration::from_secs(4 * 3600);

/// A worker that has just started waits for an hour.
fn regular() -> Options {
    let audit = AuditSchedule { period_seconds: PERIOD.as_secs(), rate: 1000 };
    Options { audit, ..Options::default() }
}

/// What a metric is at, without its labels or with one of them.
pub(crate) async fn told(source: &Arc<dyn Source>, metric: &str, label: &str) -> f64 {
    let mut samples = Samples::default();
    source.collect(&mut samples).await;
    let text = samples.text();
    let line = text.lines().find(|line| line.starts_with(metric) && line.contains(label));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {metric} of {label}"))
}

/// Takes shard `index` of every chunk from its disk, behind everybody's back. Answers how many there were.
async fn lose(cluster: &Cluster, index: usize) -> usize {
    let groups = cluster.groups().await;
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let lost = page.rows.iter().flat_map(|row| &row.extents).filter(|extent| {
        let group = groups.iter().find(|group| group.id == extent.group).unwrap();
        let node = cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
        node.kept
            .lose_shard(node.disk, types::ShardId { chunk: extent.chunk, index: ShardIndex(index as u8) })
    });
    lost.count()
}

async fn shards(cluster: &Cluster) -> usize {
    let mut count = 0;
    for node in &cluster.nodes {
        count += node.kept.list_shards(node.disk, ListShards::all(None, 1000)).await.unwrap().len();
    }
    count
}

#[tokio::test(start_paused = true)]
async fn what_nobody_missed_is_found_and_rebuilt_and_what_is_in_flight_is_no_finding() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let (worker, counts) = cluster.counted_worker(regular()).await;
    let on_its_way = gateway.store("on-its-way", 50_000).await.unwrap();
    cluster.env.sleep(HOUR / 2).await;
    let whole = shards(&cluster).await;
    let lost = lose(&cluster, 1).await;
    assert!(lost > 5);
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 0.0);
    cluster.env.sleep(HOUR).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 1.0);
    assert_eq!(told(&counts, "ashlar_audit_findings", "missing").await, lost as f64);
    for none in ["lost", "moved", "orphaned", "misplaced"] {
        assert_eq!(told(&counts, "ashlar_audit_findings", &format!("\"{none}\"")).await, 0.0, "{none}");
    }
    assert_eq!(shards(&cluster).await, whole, "rebuilt, and nothing else was touched");
    assert!(gateway.commit("on-its-way", on_its_way).await);
    cluster.env.sleep(3 * HOUR).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 1.0, "once in its time");
    cluster.env.sleep(HOUR).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 2.0);
    assert_eq!(told(&counts, "ashlar_audit_findings", "missing").await, 0.0);
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
    assert_eq!(told(&counts, "ashlar_audit_period_seconds", "").await, 0.0, "it has the job no more");
}

#[tokio::test(start_paused = true)]
async fn shards_that_a_write_could_not_place_are_no_finding_while_they_wait_for_repair() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let _objects = cluster.fill(&gateway, 12).await;
    let lost = lose(&cluster, 0).await;
    let options = worker::AuditOptions { repair: true, ..Default::default() };
    for queued_before in [0, lost as u64] {
        let report = worker::audit(&*cluster.metadata, &gateway.pool, options, &mut |_| ()).await.unwrap();
        assert_eq!((report.missing, report.queued_before), (lost as u64, queued_before));
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_without_a_disk_says_so_and_is_made_again_soon() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let (worker, counts) = cluster.counted_worker(regular()).await;
    cluster.nodes[2].fail_listings(true);
    cluster.env.sleep(HOUR + HOUR / 2).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"incomplete\"").await, 1.0);
    assert_eq!(told(&counts, "ashlar_audit_unreached_disks", "").await, 1.0);
    assert!(told(&counts, "ashlar_audit_unseen_shards", "").await > 0.0);
    assert_eq!(told(&counts, "ashlar_audit_findings", "missing").await, 0.0, "nobody knows");
    assert!(cluster.metadata.list_missing(None, None, 1000).await.unwrap().is_empty());
    cluster.nodes[2].fail_listings(false);
    let lost = lose(&cluster, 2).await;
    cluster.env.sleep(HOUR).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 1.0);
    assert_eq!(told(&counts, "ashlar_audit_unreached_disks", "").await, 0.0);
    assert_eq!(told(&counts, "ashlar_audit_findings", "missing").await, lost as f64);
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn audits_keep_their_pace_and_are_not_made_when_nobody_wants_them() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let _objects = cluster.fill(&gateway, 36).await;
    let mut options = regular();
    // A row takes a second.
    options.audit.rate = 1;
    let (worker, counts) = cluster.counted_worker(options).await;
    cluster.env.sleep(HOUR + Duration::from_secs(20)).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 0.0, "it takes longer");
    cluster.env.sleep(HOUR).await;
    assert_eq!(told(&counts, "ashlar_audits_total", "\"complete\"").await, 1.0);
    worker.stop().await;

    let never = Options { audit: AuditSchedule { period_seconds: 0, rate: 0 }, ..Options::default() };
    let (worker, counts) = cluster.counted_worker(never).await;
    cluster.env.sleep(2 * HOUR).await;
    assert_eq!(told(&counts, "ashlar_worker_job_held", "audit").await, 0.0);
    worker.stop().await;
}
