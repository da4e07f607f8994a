//! What failed is used again soon after it has come back, so that the next failure finds nothing missing.

use std::time::Duration;

use super::harness::{Cluster, Fault, bytes};
use crate::WriteError;

const SECOND: Duration = Duration::from_secs(1);

/// Shards that a write of a chunk could not make stable.
async fn missing(cluster: &Cluster) -> usize {
    cluster.write(&bytes(300_000)).await.unwrap().missing.len()
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_for_long_is_used_two_seconds_after_its_return() {
    for fault in [Fault::Refuse, Fault::Hang] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        cluster.set_fault(1, fault.clone());
        for _ in 0..60 {
            assert_eq!(missing(&cluster).await, 1, "{fault:?}");
            cluster.env.sleep(SECOND).await;
        }
        cluster.set_fault(1, Fault::None);
        cluster.env.sleep(2 * SECOND).await;
        // Without it there would be no quorum now.
        cluster.set_fault(4, Fault::Refuse);
        assert_eq!(missing(&cluster).await, 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_is_written_to_when_there_is_no_quorum_without_it() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(3, Fault::NeverStable);
    for _ in 0..60 {
        assert_eq!(missing(&cluster).await, 1);
        cluster.env.sleep(SECOND).await;
    }
    // It can keep up again, which nobody has found out, since it is waited for now and then only.
    cluster.set_fault(3, Fault::None);
    cluster.set_fault(4, Fault::Refuse);
    // The first write meets the other's failure, the second knows of it.
    assert_eq!(missing(&cluster).await, 1);
    assert_eq!(missing(&cluster).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_whose_service_does_not_answer_is_no_last_resort() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(3, Fault::Hang);
    for _ in 0..60 {
        assert_eq!(missing(&cluster).await, 1);
        cluster.env.sleep(SECOND).await;
    }
    // Once it is known that the other one is away too, a write is refused at once.
    cluster.set_fault(4, Fault::Refuse);
    cluster.write(&bytes(300_000)).await.unwrap_err();
    cluster.env.sleep(SECOND / 10).await;
    let began = cluster.env.now();
    let refused = cluster.write(&bytes(300_000)).await.unwrap_err();
    assert_eq!(refused, WriteError::NotEnoughShards { reachable: 4, needed: 5 });
    assert_eq!(cluster.env.now().since(began), Duration::ZERO);
}
