//! Chunks that nothing names, nor will, and that no lease waits to be reaped for.

use std::time::Duration;

use data_pool::Stored;
use metadata_api::Metadata;
use worker::{AuditOptions, AuditReport, FreedOrphans, audit, free_orphans};

use crate::{gateway::Gateway, harness::Cluster};

const HOUR: Duration = Duration::from_secs(3600);

/// Writes that were not committed, of a lease that is forgotten although nothing was reaped.
async fn orphan(cluster: &Cluster, count: usize) -> Vec<Stored> {
    let dying = cluster.gateway().await;
    let lease = dying.leases.lease().unwrap();
    let mut stored = Vec::new();
    for number in 0..count {
        stored.push(dying.store(&format!("orphan-{number}"), 50_000).await.unwrap());
    }
    drop(dying);
    let known = cluster.metadata.list_leases().await.unwrap().into_iter().find(|state| state.id == lease);
    assert!(cluster.metadata.revoke_lease(lease, known.unwrap().renewals).await.unwrap());
    cluster.metadata.finish_lease(lease, cluster.map().await.epoch).await.unwrap();
    stored
}

async fn audited(cluster: &Cluster, gateway: &Gateway) -> AuditReport {
    audit(&*cluster.metadata, &gateway.pool, AuditOptions::default(), &mut |_| ()).await.unwrap()
}

async fn freed(cluster: &Cluster, gateway: &Gateway) -> (AuditReport, FreedOrphans) {
    let (metadata, options) = (&*cluster.metadata, AuditOptions::default());
    free_orphans(&cluster.env, metadata, &gateway.pool, options, HOUR, &mut |_| ()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_two_audits_find_orphaned_is_freed_and_nothing_else() {
    let cluster = Cluster::new(4, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let _first = orphan(&cluster, 3).await;
    let on_its_way = gateway.store("on-its-way", 50_000).await.unwrap();
    assert_eq!(audited(&cluster, &gateway).await.orphaned, 3);

    // What is orphaned between the audits waits for others.
    let later = async {
        cluster.env.sleep(HOUR / 2).await;
        orphan(&cluster, 2).await
    };
    let start = cluster.env.now();
    let ((report, done), _later) = tokio::join!(freed(&cluster, &gateway), later);
    assert!(cluster.env.now().since(start) >= HOUR);
    assert_eq!((report.orphaned, done.found, done.freed), (5, 3, 3));
    assert!(done.freed_bytes >= 3 * 50_000);
    let report = audited(&cluster, &gateway).await;
    assert_eq!((report.orphaned, report.missing, report.in_flight), (2, 0, 1), "{report:#?}");
    assert!(gateway.commit("on-its-way", on_its_way).await);
    assert_eq!(freed(&cluster, &gateway).await.1.freed, 2);
    assert!(audited(&cluster, &gateway).await.is_quiet());
    cluster.check(&gateway, &objects).await;
    cluster.check(&gateway, &[("on-its-way".to_owned(), 50_000)]).await;
}

#[tokio::test(start_paused = true)]
async fn orphans_on_a_disk_that_is_away_are_freed_when_it_is_back() {
    let cluster = Cluster::new(4, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    let _stored = orphan(&cluster, 3).await;
    cluster.nodes[1].set_away(true);
    let (_, done) = freed(&cluster, &gateway).await;
    assert_eq!((done.found, done.freed), (3, 0));
    cluster.nodes[1].set_away(false);
    let (_, done) = freed(&cluster, &gateway).await;
    assert_eq!((done.found, done.freed), (3, 3));
    assert!(audited(&cluster, &gateway).await.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn an_audit_queues_more_repairs_than_it_shows() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let mut objects = Vec::new();
    for number in 0..600 {
        assert!(gateway.put(&format!("object-{number}"), 200).await);
        objects.push((format!("object-{number}"), 200));
    }
    let group = cluster.groups().await.swap_remove(0);
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    for extent in page.rows.iter().flat_map(|row| &row.extents) {
        for index in [0, 2] {
            let node = cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
            let shard = types::ShardId { chunk: extent.chunk, index: types::ShardIndex(index as u8) };
            node.kept.lose_shard(node.disk, shard);
        }
    }
    let options = AuditOptions { repair: true, ..AuditOptions::default() };
    let report = audit(&*cluster.metadata, &gateway.pool, options, &mut |_| ()).await.unwrap();
    assert_eq!((report.missing, report.queued, report.findings.len()), (1200, 1200, 1000));
    let worker = cluster.worker();
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}
