//! A database whose disk gets full: what is refused, and what makes room goes on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use env::{
    DirectoryLock, Disk, Env, File, OpenMode, RealClock, RealDisk, RealNetwork, RealRandom, SpaceUsage,
};
use metadata_api::{AbortUpload, CommitVersion, Error, Metadata, SetTags};
use metadata_conformance::support::{
    bucket, delete_entry, entry, get, inline, key, new_upload, new_version, put, write,
};

use super::support::{config, postgres};
use crate::{
    MetadataStore,
    store::engine::{RESERVE_BYTES, Share},
};

/// The machine's disk, with as much space as it is told to say.
struct Scarce {
    available: AtomicU64,
    total: AtomicU64,
    /// What is looked at in the place of the database's log.
    log: PathBuf,
}

impl Scarce {
    fn env(self: &Arc<Self>) -> Env {
        Env::new(Arc::new(RealClock::new()), Arc::new(RealRandom), Arc::new(RealNetwork), self.clone())
    }

    /// Sets what is free, and waits until nobody goes by what was before.
    async fn set(&self, available: u64) {
        self.available.store(available, SeqCst);
        Env::real().sleep(Duration::from_millis(120)).await;
    }
}

impl Disk for Scarce {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let is_log = path.to_string_lossy().ends_with("-wal");
        RealDisk.open(if is_log { &self.log } else { path }, mode)
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
        RealDisk.space(path)?;
        Ok(SpaceUsage { total_bytes: self.total.load(SeqCst), available_bytes: self.available.load(SeqCst) })
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        RealDisk.lock(path)
    }
}

/// A store on a disk of a gibibyte, and that disk.
async fn scarce(available: u64) -> (MetadataStore, Arc<Scarce>, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("log");
    let disk = Arc::new(Scarce { available: available.into(), total: (1_u64 << 30).into(), log });
    let url = format!("sqlite:{}", directory.path().join("metadata.db").display());
    let store = MetadataStore::open(disk.env(), config(url)).await.expect("a new database opens");
    (store, disk, directory)
}

fn is_refused<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unavailable { reason }) if reason.contains("disk is full"))
}

/// As while a backup reads: writing the log back will take room that is not there yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_back_counts_as_taken() {
    const LOG_BYTES_MAX: u64 = 32 << 20;
    let (opened, disk, _directory) = scarce(RESERVE_BYTES).await;
    let store: Arc<dyn Metadata> = Arc::new(opened);
    let name = bucket(&store).await;
    let log = RealDisk.open(&disk.log, OpenMode::CreateNew).expect("a file");
    for (length, available, refuses) in [
        (LOG_BYTES_MAX, RESERVE_BYTES, false),
        (LOG_BYTES_MAX + (200 << 20), RESERVE_BYTES + (199 << 20), true),
        (LOG_BYTES_MAX + (200 << 20), RESERVE_BYTES + (200 << 20), false),
    ] {
        log.set_length(length).expect("a length");
        disk.set(available).await;
        let answer = store.commit_version(write(&name, &key("k"), length)).await;
        assert_eq!(is_refused(&answer), refuses, "{length} {available}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_add_is_refused_before_what_changes_and_that_before_what_deletes() {
    let (opened, disk, _directory) = scarce(RESERVE_BYTES).await;
    let store: Arc<dyn Metadata> = Arc::new(opened);
    let name = bucket(&store).await;
    for number in 0..8_u64 {
        put(&store, &name, &key(&format!("k{number}")), number).await;
    }
    let upload = store.create_upload(new_upload(&name, &key("u"))).await.expect("an upload").id;
    let lease = store.acquire_lease("gateway").await.expect("a lease").id;
    let tag = || {
        let tags = vec![("a".to_owned(), "b".to_owned())];
        store.set_tags(SetTags { bucket: name.clone(), key: key("k0"), version_id: None, tags })
    };
    let delete = async |k: &str| delete_entry(&store, &name, entry(&key(k), None)).await;

    disk.set(RESERVE_BYTES - 1).await;
    assert!(is_refused(&store.commit_version(write(&name, &key("new"), 1)).await));
    assert!(is_refused(&store.create_upload(new_upload(&name, &key("new"))).await));
    tag().await.expect("tags are changed");
    delete("k1").await.expect("a deletion");

    disk.set(RESERVE_BYTES / 2 - (1 << 20)).await;
    assert!(is_refused(&tag().await));
    delete("k2").await.expect("a deletion");
    let abort = AbortUpload { bucket: name.clone(), key: key("u"), upload };
    store.abort_upload(abort).await.expect("an upload is given up");

    disk.set(0).await;
    let request = metadata_api::DeleteVersions {
        bucket: name.clone(),
        entries: vec![entry(&key("k3"), None)],
        marker_owner: None,
    };
    assert!(is_refused(&store.delete_versions(request).await));
    store.renew_lease(lease, 0).await.expect("a lease is kept");
    let garbage = store.take_garbage(100).await.expect("garbage is taken");
    let items: Vec<_> = garbage.iter().map(|item| item.id).collect();
    store.finish_garbage(&items, 0, &[]).await.expect("garbage is freed");
    get(&store, &name, &key("k3"), None).await.expect("reads go on");

    disk.set(RESERVE_BYTES).await;
    put(&store, &name, &key("after"), 1).await;
}

/// The file does not shrink when rows are deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_nothing_uses_are_room() {
    let (opened, disk, _directory) = scarce(RESERVE_BYTES).await;
    let store: Arc<dyn Metadata> = Arc::new(opened);
    let name = bucket(&store).await;
    let commit = async |number: u64| {
        let version = new_version(inline("x".repeat(4000)), number);
        let k = key(&format!("k{number:0>4}"));
        store.commit_version(CommitVersion { version, ..write(&name, &k, number) }).await
    };
    for number in 0..200 {
        commit(number).await.expect("a version");
    }
    disk.set(RESERVE_BYTES - (400 << 10)).await;
    assert!(is_refused(&commit(1000).await));
    for number in 0..200_u64 {
        delete_entry(&store, &name, entry(&key(&format!("k{number:0>4}")), None)).await.expect("a deletion");
    }
    loop {
        let garbage = store.take_garbage(1000).await.expect("garbage is taken");
        if garbage.is_empty() {
            break;
        }
        let items: Vec<_> = garbage.iter().map(|item| item.id).collect();
        store.finish_garbage(&items, 0, &[]).await.expect("garbage is freed");
    }
    commit(1000).await.expect("there is room again");
    // They do not stand for the room that the log takes.
    disk.set(RESERVE_BYTES / 8 - 1).await;
    assert!(is_refused(&commit(1001).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserve_is_a_share_of_a_large_disk() {
    let (store, disk, _directory) = scarce(10 << 30).await;
    store.engine.check_room(Share::Content).await.expect("there is plenty");
    disk.total.store(1 << 40, SeqCst);
    disk.set(20 << 30).await;
    assert!(store.engine.check_room(Share::Content).await.is_err());
    store.engine.check_room(Share::Changes).await.expect("half of it is left");
    disk.set(21 << 30).await;
    store.engine.check_room(Share::Content).await.expect("it is left alone");
}

/// Postgres has a disk of its own, on which nobody here knows what is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_its_own_room() {
    let test = postgres().await;
    test.store.engine.check_room(Share::Content).await.expect("it is not asked");
}
