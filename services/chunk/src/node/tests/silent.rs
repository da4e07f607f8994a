//! A folder whose file system does not answer, as one over a network may.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chunk_api::{ChunkService, Purpose, conformance::Sample};
use env::{
    DirectoryLock, Disk, Env, File, OpenMode, RealClock, RealDisk, RealNetwork, RealRandom, SpaceUsage,
};
use futures_util::future::join_all;
use metadata_api::{DiskRegistration, NodeRegistration};
use shard_store::DiskOptions;
use types::{DiskId, FailureDomain};

use super::{NODE, options};
use crate::ChunkNode;

/// The machine's disk; one folder of it does not say how much space it has while it is silent.
#[derive(Clone, Default)]
struct Silenced(Arc<State>);

#[derive(Default)]
struct State {
    silent: Mutex<Option<PathBuf>>,
    changed: Condvar,
    waiting: AtomicUsize,
    waiting_max: AtomicUsize,
}

impl Silenced {
    fn set(&self, folder: Option<PathBuf>) {
        *self.0.silent.lock().unwrap_or_else(PoisonError::into_inner) = folder;
        self.0.changed.notify_all();
    }
}

impl Disk for Silenced {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        RealDisk.open(path, mode)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_directory(path)
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }

    fn space(&self, path: &Path) -> io::Result<SpaceUsage> {
        let waiting = self.0.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        let silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent =
            |silent: &mut Option<PathBuf>| silent.as_ref().is_some_and(|folder| path.starts_with(folder));
        if silent.as_ref().is_some_and(|folder| path.starts_with(folder)) {
            self.0.waiting_max.fetch_max(waiting, Ordering::SeqCst);
        }
        drop(self.0.changed.wait_while(silent, is_silent).unwrap_or_else(PoisonError::into_inner));
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        RealDisk.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        RealDisk.lock(path)
    }
}

/// Ends the silence when the test ends, whichever way, so that its threads end.
struct Ends(Silenced);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

async fn registered(env: &Env, node: &ChunkNode) -> [DiskRegistration; 2] {
    let began = env.now();
    let domain: FailureDomain = "a/b/c/d".parse().unwrap();
    let NodeRegistration { disks, .. } = node.registration(NODE, "here:1", &domain).await;
    let took = env.now().since(began);
    assert!(took < Duration::from_secs(2), "a heartbeat took {took:?}");
    disks.try_into().unwrap()
}

#[tokio::test]
async fn a_folder_that_does_not_answer_holds_up_neither_the_node_nor_its_other_disks() {
    let disk = Silenced::default();
    let _ends = Ends(disk.clone());
    let env = Env::new(
        Arc::new(RealClock::new()),
        Arc::new(RealRandom),
        Arc::new(RealNetwork),
        Arc::new(disk.clone()),
    );
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("1");
    let disks = (1..=2).map(|n| DiskOptions {
        hung_after: Duration::from_millis(1500),
        ..options(&home.path().join(n.to_string()), n)
    });
    let node = Arc::new(ChunkNode::open(&env, disks.collect()).await);
    for disk in registered(&env, &node).await {
        assert!(disk.writable && disk.capacity_bytes > 0, "{disk:?}");
    }

    disk.set(Some(folder));
    let began = env.now();
    loop {
        let [silent, other] = registered(&env, &node).await;
        assert!(other.writable && !other.failed, "{other:?}");
        assert!(silent.capacity_bytes > 0, "its size is not forgotten: {silent:?}");
        // As gateways ask, many at a time.
        let asked = env.now();
        for disks in join_all((0..20).map(|_| ChunkService::disks(&*node))).await {
            assert_eq!(disks.unwrap().len(), 2);
        }
        assert!(env.now().since(asked) < Duration::from_secs(2));
        if !silent.writable {
            assert!(!silent.failed, "not before it has hung for much longer");
            break;
        }
        assert!(env.now().since(began) < Duration::from_secs(20), "it takes shards");
    }
    // One that asks for the status, and one each that writes and compacts.
    assert!(disk.0.waiting_max.load(Ordering::SeqCst) <= 3);
    let sample = Sample::single(1, 1, 100);
    let good = DiskId([2; 16]);
    assert_eq!(node.put_shard(good, sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
}
