//! What becomes of what a write stored, and of its lease.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::stream;
use types::LeaseId;

use super::harness::{Cluster, Fault, bytes};
use crate::Stored;

const MIB: u64 = 1 << 20;

async fn write(cluster: &Cluster) -> Stored {
    cluster.write_unnamed(MIB, stream::iter([Ok(bytes(MIB))])).await.unwrap()
}

fn lease(cluster: &Cluster) -> LeaseId {
    cluster.pool.leases().lease().unwrap()
}

/// Long enough for a lease to be replaced, however recently one was.
async fn pass(cluster: &Cluster) {
    cluster.env.sleep(Duration::from_secs(15)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_gone_once_the_pool_has_settled_and_the_lease_stays() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    let before = lease(&cluster);
    for _ in 0..5 {
        write(&cluster).await.claim.refused();
    }
    cluster.pool.settle().await;
    assert_eq!(cluster.shard_count().await, 0);
    pass(&cluster).await;
    assert_eq!(lease(&cluster), before);
}

#[tokio::test(start_paused = true)]
async fn what_was_named_stays_and_so_does_the_lease() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    let before = lease(&cluster);
    write(&cluster).await.claim.named();
    pass(&cluster).await;
    assert_eq!((cluster.shard_count().await, lease(&cluster)), (6, before));
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_unknown_outcome_costs_the_lease_and_leaves_the_chunks() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    let stored = write(&cluster).await;
    assert_eq!((stored.claim.lease(), stored.lease), (Some(lease(&cluster)), Some(lease(&cluster))));
    drop(stored);
    pass(&cluster).await;
    assert!(lease(&cluster) > LeaseId(1));
    assert_eq!(cluster.shard_count().await, 6);
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_that_may_have_missed_a_shard_costs_the_lease() {
    for (fault, is_missed) in [(Fault::Refuse, true), (Fault::Hang, true), (Fault::None, false)] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        let before = lease(&cluster);
        let stored = write(&cluster).await;
        cluster.set_fault(2, fault);
        stored.claim.refused();
        pass(&cluster).await;
        assert_eq!(lease(&cluster) > before, is_missed);
    }
}

/// One disk that is down for long must not cost a lease for each client that goes away.
#[tokio::test(start_paused = true)]
async fn a_disk_that_a_write_never_tried_is_not_missed_unless_its_group_has_changed_since() {
    for changed in [false, true] {
        let cluster = Cluster::new(7, "4+2", 1).await;
        let before = lease(&cluster);
        cluster.set_fault(2, Fault::Refuse);
        // The first meets the fault.
        cluster.write(&bytes(MIB)).await.unwrap();
        let puts = cluster.nodes[2].puts.load(Ordering::Relaxed);
        let stored = write(&cluster).await;
        assert_eq!(stored.missing.len(), 1);
        assert_eq!(cluster.nodes[2].puts.load(Ordering::Relaxed), puts);
        if changed {
            cluster.change_map(|map| map.classes[0].groups[0].changed_epoch = i64::MAX).await;
        }
        stored.claim.refused();
        pass(&cluster).await;
        assert_eq!(lease(&cluster) > before, changed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_does_not_wait_for_disks_that_are_known_not_to_answer() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(2, Fault::Hang);
    let first = write(&cluster).await;
    let second = write(&cluster).await;
    // Until the puts to the disk have been given up.
    cluster.env.sleep(Duration::from_millis(10_500)).await;
    let began = cluster.env.now();
    first.claim.refused();
    second.claim.refused();
    cluster.pool.settle().await;
    assert!(cluster.env.now().since(began) < Duration::from_secs(1));
    assert_eq!(cluster.shard_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_once_the_pool_is_closed() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    write(&cluster).await.claim.refused();
    // The service may know nothing of leases that are given back; then they are not renewed any more.
    assert!(cluster.env.timeout(Duration::from_secs(60), cluster.pool.close()).await.is_ok());
    assert_eq!(cluster.shard_count().await, 0);
    assert!(cluster.write(&bytes(MIB)).await.is_err());
    assert!(
        cluster.env.timeout(Duration::from_secs(1), cluster.pool.close()).await.is_ok(),
        "may be repeated"
    );
}
