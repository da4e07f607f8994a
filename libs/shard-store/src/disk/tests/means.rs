//! A process without memory or file descriptors: nothing is known of the medium then.

use std::{io::ErrorKind, path::Path};

use chunk_api::{Error, Purpose, conformance::Sample};

use super::{options, sim::SimDisk};
use crate::{DiskOptions, DiskStore, ShardStore};

/// A process may run out of file descriptors or memory, and have some again.
#[tokio::test]
async fn a_segment_that_cannot_be_read_for_want_of_means_is_rewritten_later() {
    let disk = SimDisk::new(1 << 30);
    let options = DiskOptions { segment_bytes: 128 << 10, ..options(Path::new("/disk")) };
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    let samples: Vec<_> = (0..8).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        assert_eq!(store.put(sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    }
    let gone: Vec<_> = [1, 2, 3, 4].map(|turn: usize| samples[turn].shard()).into();
    assert_eq!(store.delete(&gone).await, Ok(()));
    let dead_bytes = store.status().await.dead_bytes;
    disk.fail_reads(Some(ErrorKind::OutOfMemory));
    let rewritten = store.handle.rewrite_sparsest(false, false).await;
    assert!(matches!(rewritten, Err(Error::Unavailable { .. })), "{rewritten:?}");
    store.handle.rewrite_all_sparse().await;
    assert_eq!(store.status().await.dead_bytes, dead_bytes);

    disk.fail_reads(None);
    store.handle.rewrite_all_sparse().await;
    let now = store.status().await.dead_bytes;
    assert!(now < dead_bytes, "{now} bytes are dead, of {dead_bytes}");
    for (turn, sample) in samples.iter().enumerate() {
        let wanted = if (1..=4).contains(&turn) {
            Err(Error::ShardNotFound { shard: sample.shard() })
        } else {
            Ok(())
        };
        assert_eq!(store.verify(&[sample.shard()]).await, Ok(vec![wanted]));
    }
}
