//! How long a start takes and what it reads: figures for `docs/performance.md`, not a check.
//!
//! `SHARD_STORE_MEASURE=/some/folder cargo nextest run --workspace --run-ignored only --no-capture -E 'test(measure)'`
//! fills a new folder with shards, lets index files be made and measures a start. Of a folder that is filled it measures
//! a start and makes no index file, so that they may be removed and the system's cache be emptied in between.

use std::path::PathBuf;

use chunk_api::{Purpose, conformance::Sample};
use env::Env;
use futures_util::future::join_all;

use super::{DiskOptions, DiskStore};
use crate::ShardStore;

const SHARDS: u64 = 1_000_000;
const SHARD_LENGTH: u64 = 1024;
/// As many as fill a group of the writer.
const AT_ONCE: u64 = 1000;

/// Bytes that this process has read of files so far, from the medium or from memory, and from the medium.
#[expect(
    clippy::disallowed_methods,
    reason = "it is no file of a disk, and its length is not known before it is read"
)]
fn read_bytes() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let of = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap();
    (of("rchar:"), of("read_bytes:"))
}

async fn fill(store: &DiskStore) {
    for first in (0..SHARDS).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let samples: Vec<_> =
            (first..first + AT_ONCE).map(|name| Sample::single(1, name, SHARD_LENGTH)).collect();
        let puts =
            samples.iter().map(|sample| store.put(sample.header.clone(), sample.whole(), Purpose::Write));
        assert!(join_all(puts).await.iter().all(Result::is_ok));
    }
    store.handle.write_index_files(false).await.unwrap();
}

#[tokio::test]
#[ignore = "takes a folder, gigabytes and minutes"]
async fn measure_a_start() {
    let directory = PathBuf::from(std::env::var("SHARD_STORE_MEASURE").unwrap());
    let env = Env::real();
    let open = async || DiskStore::open(&env, DiskOptions::new(&directory)).await.unwrap();
    if !directory.join("disk.json").exists() {
        let store = open().await;
        fill(&store).await;
        store.close().await;
    }
    let (before, began) = (read_bytes(), env.now());
    let store = open().await;
    let (took, after) = (env.now().since(began), read_bytes());
    let index_files = store.handle.shared.index().index_files();
    let shards = store.status().await.shards;
    println!(
        "{shards} shards, {index_files} index files: {took:?}, {} bytes read, {} from the medium",
        after.0 - before.0,
        after.1 - before.1
    );
    store.close().await;
}
