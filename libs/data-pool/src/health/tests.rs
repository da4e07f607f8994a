use std::{sync::Arc, time::Duration};

use chunk_api::{Error, fake::FakeChunkService};
use types::{DiskId, NodeId};

use super::{Health, Use};
use crate::{
    snapshot::{Place, Standing},
    tests::harness::paused_env,
};

fn place(node: u8, disk: u8) -> Place {
    let service = Arc::new(FakeChunkService::new([]));
    let (disk, node) = (DiskId([disk; 16]), NodeId([node; 16]));
    Place {
        disk,
        node,
        domains: [0; 4],
        standing: Standing::Up,
        writable: true,
        draining: false,
        full: false,
        service,
    }
}

fn unavailable() -> Error {
    Error::Unavailable { reason: "refused".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_failed_node_is_avoided_on_all_its_disks_until_one_attempt_succeeds() {
    let env = paused_env();
    let health = Health::new(env.clone());
    let (failed, sibling, other) = (place(1, 1), place(1, 2), place(2, 3));
    health.failed(&failed, &unavailable());
    assert!(health.avoids(&failed, Use::Read) && health.avoids(&sibling, Use::Write));
    assert!(!health.avoids(&other, Use::Read));

    env.sleep(Duration::from_millis(1001)).await;
    assert!(!health.avoids(&sibling, Use::Read), "the mark has run out");
    health.attempt(&sibling, Use::Read);
    assert!(health.avoids(&failed, Use::Read), "one attempt is enough");
    health.succeeded(&sibling, Use::Read);
    assert!(!health.avoids(&failed, Use::Read));
}

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_with_each_failed_attempt_up_to_a_bound() {
    let env = paused_env();
    let health = Health::new(env.clone());
    let disk = place(1, 1);
    health.failed(&disk, &Error::TimedOut);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        health.failed(&disk, &Error::TimedOut); // Under way since before: changes nothing.
        env.sleep(Duration::from_millis(seconds * 1000 - 1)).await;
        assert!(health.avoids(&disk, Use::Read), "{seconds}");
        env.sleep(Duration::from_millis(2)).await;
        assert!(!health.avoids(&disk, Use::Read), "{seconds}");
        health.attempt(&disk, Use::Read);
        health.failed(&disk, &Error::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_avoided_for_writes_alone_and_a_bad_shard_not_at_all() {
    let health = Health::new(paused_env());
    let disk = place(1, 1);
    for error in [Error::Interrupted, Error::Busy] {
        health.failed(&disk, &error);
        assert!(!health.avoids(&disk, Use::Write), "{error}");
    }
    health.failed(&disk, &Error::DiskFull { disk: disk.disk });
    assert!(health.avoids(&disk, Use::Write) && !health.avoids(&disk, Use::Read));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_late_a_few_times_in_a_row_is_avoided_and_tried_once_at_a_time() {
    let env = paused_env();
    let health = Health::new(env.clone());
    let disk = place(1, 1);
    for _ in 0..2 {
        health.late(&disk);
        assert!(health.is_sluggish(&disk) && !health.avoids(&disk, Use::Read));
    }
    health.late(&disk);
    assert!(health.avoids(&disk, Use::Read));
    env.sleep(Duration::from_millis(1001)).await;
    health.attempt(&disk, Use::Read);
    health.late(&disk);
    env.sleep(Duration::from_millis(1999)).await;
    assert!(health.avoids(&disk, Use::Read), "once more is enough, and it is avoided for longer");
    env.sleep(Duration::from_millis(2)).await;
    health.attempt(&disk, Use::Read);
    health.succeeded(&disk, Use::Read);
    assert!(!health.avoids(&disk, Use::Read) && !health.is_sluggish(&disk));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_late_now_and_then_is_not_avoided() {
    let health = Health::new(paused_env());
    let disk = place(1, 1);
    for _ in 0..100 {
        health.late(&disk);
        assert!(!health.avoids(&disk, Use::Read));
        (0..9).for_each(|_| health.succeeded(&disk, Use::Read));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_left_the_map_leaves_no_mark() {
    let health = Health::new(paused_env());
    let (gone, other) = (place(1, 1), place(2, 2));
    health.failed(&gone, &unavailable());
    health.failed(&other, &unavailable());
    health.node_gone(gone.node);
    assert!(!health.avoids(&gone, Use::Read) && health.avoids(&other, Use::Read));
    assert_eq!(Vec::from_iter(health.failed_nodes()), [other.node]);
}
