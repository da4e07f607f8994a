//! Disks that do not answer.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use chunk_api::{CellRange, Error, ListShards, Purpose, conformance::Sample};
use env::{
    DirectoryLock, Disk, Env, File, OpenMode, RealClock, RealDisk, RealNetwork, RealRandom, SpaceUsage,
};
use types::{GroupId, LeaseId, ShardIndex};

use super::options;
use crate::{DiskOptions, DiskStore, OpenError, ShardStore};

/// After what the disks of these tests are given up, and what is well above it.
const HUNG_AFTER: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(60);

/// What calls wait at.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Closed>, Condvar)>);

#[derive(Default)]
struct Closed {
    to_syncs: bool,
    to_reads: bool,
}

impl Gate {
    fn set(&self, to_syncs: bool, to_reads: bool) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Closed { to_syncs, to_reads };
        self.0.1.notify_all();
    }

    fn pass(&self, is_closed: impl Fn(&Closed) -> bool) {
        let closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.0.1.wait_while(closed, |closed| is_closed(closed));
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The machine's disk behind a gate.
struct Gated<T> {
    inner: T,
    gate: Gate,
}

impl Disk for Gated<RealDisk> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(Gated { inner, gate: self.gate.clone() }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.create_directory(path)
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn space(&self, path: &Path) -> io::Result<SpaceUsage> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        self.inner.lock(path)
    }
}

impl File for Gated<Arc<dyn File>> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.gate.pass(|closed| closed.to_reads);
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass(|closed| closed.to_syncs);
        self.inner.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.inner.set_length(length)
    }
}

/// A disk, what opens it, and its gate. What waits at the gate is let go at the end, so that the test's threads end.
struct Subject {
    env: Env,
    options: DiskOptions,
    gate: Gate,
    store: DiskStore,
    _directory: tempfile::TempDir,
}

impl Subject {
    async fn open() -> Self {
        let gate = Gate::default();
        let disk = Gated { inner: RealDisk, gate: gate.clone() };
        let clock = Arc::new(RealClock::new());
        let env = Env::new(clock, Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(disk));
        let directory = tempfile::tempdir().unwrap();
        let options = DiskOptions { hung_after: HUNG_AFTER, ..options(directory.path()) };
        let store = DiskStore::open(&env, options.clone()).await.unwrap();
        Self { env, options, gate, store, _directory: directory }
    }

    async fn put(&self, sample: &Sample) -> Result<(), Error> {
        self.store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
    }

    async fn read(&self, sample: &Sample) -> Result<(), Error> {
        let read = self.store.read_cells(sample.shard(), CellRange { first: 0, count: 1 }).await?;
        assert_eq!(read[0], sample.cells[0]);
        Ok(())
    }

    async fn in_time<T>(&self, call: impl Future<Output = T>) -> T {
        self.env.timeout(LONG, call).await.expect("a disk that hangs is not waited for")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.gate.set(false, false);
    }
}

fn is_failed<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::DiskFailed { .. })), "{result:?}");
}

#[tokio::test]
async fn a_disk_whose_sync_does_not_return_takes_nothing_until_it_does() {
    let subject = Subject::open().await;
    let store = &subject.store;
    let kept = Sample::single(1, 1, 3000);
    let (small, large) = (Sample::single(1, 2, 300), Sample::single(1, 3, 2 << 20));
    assert_eq!(subject.put(&kept).await, Ok(()));
    let kept_name = [kept.shard()];
    subject.gate.set(true, true);
    // Under way when the disk begins to hang.
    let all = async {
        tokio::join!(subject.put(&small), subject.put(&large), store.delete(&kept_name), subject.read(&kept))
    };
    let (small_put, large_put, deleted, read) = subject.in_time(all).await;
    assert_eq!((small_put, large_put), (Err(Error::TimedOut), Err(Error::TimedOut)));
    assert_eq!((deleted, read), (Err(Error::TimedOut), Err(Error::TimedOut)));
    let status = subject.in_time(store.status()).await;
    assert!(!status.writable && status.available_bytes > 0, "{status:?}");
    assert!(!status.failed, "not before it has hung for much longer");

    // And from then on, at once.
    let began = subject.env.now();
    is_failed(subject.in_time(subject.put(&Sample::single(1, 4, 300))).await);
    is_failed(subject.in_time(subject.read(&kept)).await);
    is_failed(subject.in_time(store.delete(&kept_name)).await);
    is_failed(subject.in_time(store.fence(&[LeaseId(7)])).await);
    is_failed(subject.in_time(store.evict_group(GroupId(1), ShardIndex(0), 1)).await);
    is_failed(subject.in_time(store.list(ListShards::all(None, 10))).await);
    is_failed(subject.in_time(store.verify(&kept_name)).await.unwrap().remove(0));
    assert!(subject.env.now().since(began) < HUNG_AFTER);

    // It answers again, and what waited for it came to an end: the delete was done, and a put to the end or not at all.
    subject.gate.set(false, false);
    while !store.status().await.writable {
        assert!(subject.env.now().since(began) < LONG, "it answers again");
        subject.env.sleep(HUNG_AFTER / 10).await;
    }
    let is_gone = async || {
        matches!(subject.read(&kept).await, Err(Error::ShardNotFound { .. } | Error::ShardDeleted { .. }))
    };
    while !is_gone().await {
        assert!(subject.env.now().since(began) < LONG, "the delete was done");
        subject.env.sleep(HUNG_AFTER / 10).await;
    }
    for sample in [&small, &large] {
        while let Err(error) = subject.put(sample).await {
            match error {
                Error::ShardExists { .. } => break,
                // What was broken off is still being cleared away.
                Error::Unavailable { .. } if subject.env.now().since(began) < LONG => {}
                error => panic!("{error}"),
            }
            subject.env.sleep(HUNG_AFTER / 10).await;
        }
        assert_eq!(subject.read(sample).await, Ok(()));
    }
    let last = Sample::single(1, 5, 300);
    assert_eq!(subject.put(&last).await, Ok(()));

    // So after a restart.
    subject.in_time(store.close()).await;
    let store = DiskStore::open(&subject.env, subject.options.clone()).await.unwrap();
    assert!(store.status().await.writable);
    let names = [small.shard(), large.shard(), last.shard()];
    assert_eq!(store.verify(&names).await, Ok(vec![Ok(()); 3]));
    assert!(matches!(
        store.verify(&kept_name).await.unwrap()[0],
        Err(Error::ShardNotFound { .. } | Error::ShardDeleted { .. })
    ));
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_the_stop_and_stays_locked() {
    let subject = Subject::open().await;
    subject.gate.set(true, false);
    let sample = Sample::single(1, 2, 2 << 20);
    // Nobody has noticed yet when the stop begins.
    let (put, ()) =
        subject.in_time(async { tokio::join!(subject.put(&sample), subject.store.close()) }).await;
    assert!(put.is_err(), "{put:?}");
    subject.in_time(subject.store.close()).await;
    let opened = DiskStore::open(&subject.env, subject.options.clone()).await;
    assert!(matches!(opened, Err(OpenError::Locked { .. })), "{opened:?}");
}

#[tokio::test]
async fn a_disk_whose_syncs_are_slow_is_not_given_up() {
    let subject = Subject::open().await;
    for name in 0..4 {
        subject.gate.set(true, false);
        let gate = subject.gate.clone();
        let env = subject.env.clone();
        let sample = Sample::single(1, name, 300);
        let open_again = async {
            env.sleep(HUNG_AFTER / 3).await;
            gate.set(false, false);
        };
        let (put, ()) = tokio::join!(subject.put(&sample), open_again);
        assert_eq!(put, Ok(()));
    }
    assert!(subject.store.status().await.writable);
    subject.store.close().await;
}
