//! Notices when the medium does not answer: a write, a sync or another call but a read that has been under way for too
//! long, of which nobody knows whether it ever returns.
//!
//! Calls only note when they begin and end; one task looks at them from time to time. It counts no more of the time
//! between two looks than it meant to wait: a process that was stopped, or a machine that slept, must not take its own
//! absence for the medium's. Reads are not counted, for a disk may try long to read a bad sector.
//!
//! The disk takes nothing then until it answers. A storage network that fails over, or a disk that tries a bad sector for a
//! minute, has refused nothing, and what was written is in order as after any other wait; what waited for it was told that its
//! outcome is unknown. One that hangs for much longer counts as failed meanwhile, so that what is on it is rebuilt elsewhere.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chunk_api::Error;
use env::{DirectoryLock, Disk, File, OpenMode, SpaceUsage};
use tokio::sync::watch;
use tracing::{error, info};

use super::{Handle, Shared};

/// Looks in the time after which a medium is taken to hang.
const LOOKS: u32 = 10;

/// After how many times as long it counts as failed.
const FAILED_AFTER: u32 = 20;

/// The calls under way.
pub(super) struct Watch {
    /// How long a call may be under way.
    limit: Duration,
    /// Time that was watched, in milliseconds.
    watched_ms: AtomicU64,
    calls: Mutex<Calls>,
    /// Whether one has been under way for too long.
    hung: watch::Sender<bool>,
    /// Whether it has been so for much longer.
    failed: AtomicBool,
}

#[derive(Default)]
struct Calls {
    last: u64,
    /// By number, so that the oldest is the first: when they began, in time watched.
    under_way: BTreeMap<u64, u64>,
}

/// A call under way.
struct UnderWay<'a> {
    watch: &'a Watch,
    number: u64,
}

impl Watch {
    pub(super) fn new(limit: Duration) -> Self {
        let hung = watch::Sender::new(false);
        let (watched_ms, failed) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { limit, watched_ms, calls: Mutex::default(), hung, failed }
    }

    /// Whether the medium hangs now.
    pub(super) fn is_hung(&self) -> bool {
        *self.hung.borrow()
    }

    /// Whether it hangs for so long by now that it counts as failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn begin(&self) -> UnderWay<'_> {
        let began = self.watched_ms.load(Ordering::Relaxed);
        let mut calls = self.calls();
        calls.last += 1;
        let number = calls.last;
        calls.under_way.insert(number, began);
        UnderWay { watch: self, number }
    }

    /// Time between two looks.
    fn period(&self) -> Duration {
        self.limit / LOOKS
    }

    /// Looks, `passed` after the last time. Whether the medium hangs.
    fn look(&self, passed: Duration) -> bool {
        let counted = passed.min(self.period() * 2);
        let counted = u64::try_from(counted.as_millis()).unwrap_or(u64::MAX);
        let now = self.watched_ms.fetch_add(counted, Ordering::Relaxed) + counted;
        let oldest = self.calls().under_way.first_key_value().map(|(_, began)| *began);
        let is_older = |age: Duration| oldest.is_some_and(|began| u128::from(now - began) >= age.as_millis());
        let is_hung = is_older(self.limit);
        self.failed.store(is_older(self.limit * FAILED_AFTER), Ordering::Relaxed);
        self.hung.send_if_modified(|hung| std::mem::replace(hung, is_hung) != is_hung);
        is_hung
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.watch.calls().under_way.remove(&self.number);
    }
}

impl Shared {
    /// Fails while the medium hangs.
    pub(super) fn check_hung(&self) -> Result<(), Error> {
        if !self.watch.is_hung() {
            return Ok(());
        }
        let reason = format!("a write or sync was not answered within {:?}", self.watch.limit);
        Err(Error::DiskFailed { disk: self.disk, reason })
    }
}

impl Handle {
    /// Runs what waits for the medium, and gives it up with `TimedOut` when that hangs. While it hangs already, nothing is begun:
    /// `DiskFailed`.
    pub(super) async fn unless_hung<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.shared.check_hung()?;
        let mut hung = self.shared.watch.hung.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `shared`.
            _ = hung.wait_for(|hung| *hung) => Err(Error::TimedOut),
            result = work => result,
        }
    }
}

/// Looks until the disk was let go or is dropped.
pub(super) async fn run(shared: Arc<Shared>, mut ended: watch::Receiver<bool>) {
    let mut last = shared.env.now();
    let mut was_hung = false;
    loop {
        tokio::select! {
            () = shared.env.sleep(shared.watch.period()) => {}
            _ = ended.changed() => return,
        }
        let now = shared.env.now();
        let is_hung = shared.watch.look(now.since(last));
        last = now;
        match (was_hung, is_hung) {
            (false, true) => {
                let directory = shared.options.directory.display();
                error!(disk = %shared.disk, %directory, limit = ?shared.watch.limit, "the disk does not answer; it takes nothing until it does");
            }
            (true, false) => info!(disk = %shared.disk, "the disk answers again"),
            _ => {}
        }
        was_hung = is_hung;
    }
}

/// A disk whose calls are watched.
pub(super) struct WatchedDisk {
    disk: Arc<dyn Disk>,
    watch: Arc<Watch>,
}

impl WatchedDisk {
    pub(super) fn new(disk: Arc<dyn Disk>, watch: Arc<Watch>) -> Self {
        Self { disk, watch }
    }

    fn watched<T>(&self, call: impl FnOnce(&dyn Disk) -> T) -> T {
        let _under_way = self.watch.begin();
        call(self.disk.as_ref())
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = match mode {
            OpenMode::Read | OpenMode::ReadWrite | OpenMode::Direct => self.disk.open(path, mode),
            OpenMode::CreateNew => self.watched(|disk| disk.open(path, mode)),
        };
        Ok(Arc::new(WatchedFile { file: file?, watch: Arc::clone(&self.watch) }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.watched(|disk| disk.create_directory(path))
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.watched(|disk| disk.sync_directory(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.watched(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.watched(|disk| disk.remove(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn space(&self, path: &Path) -> io::Result<SpaceUsage> {
        self.watched(|disk| disk.space(path))
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        self.disk.lock(path)
    }

    fn read_small(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.disk.read_small(path, limit)
    }

    fn replace_small(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        self.watched(|disk| disk.replace_small(path, contents))
    }
}

struct WatchedFile {
    file: Arc<dyn File>,
    watch: Arc<Watch>,
}

impl WatchedFile {
    fn watched<T>(&self, call: impl FnOnce(&dyn File) -> T) -> T {
        let _under_way = self.watch.begin();
        call(self.file.as_ref())
    }
}

impl File for WatchedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn read_exact_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.file.read_exact_now(buffer, offset)
    }

    fn forget_cached(&self, offset: u64, length: u64) {
        self.file.forget_cached(offset, length);
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.watched(|file| file.write_all_at(buffer, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watched(|file| file.sync_data())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.watched(|file| file.set_length(length))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.watched(|file| file.allocate(length))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Watch;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_oldest_call_counts_until_it_is_answered() {
        let watch = Watch::new(30 * SECOND);
        let first = watch.begin();
        (0..5).for_each(|_| assert!(!watch.look(3 * SECOND)));
        let second = watch.begin();
        (0..4).for_each(|_| assert!(!watch.look(3 * SECOND)));
        assert!(watch.look(3 * SECOND) && watch.is_hung());
        drop(first);
        assert!(!watch.look(SECOND) && !watch.is_hung(), "the second is not that old");
        drop(second);
        (0..20).for_each(|_| assert!(!watch.look(3 * SECOND)));
    }

    #[test]
    fn a_medium_that_hangs_for_ten_minutes_has_failed_until_it_answers() {
        let watch = Watch::new(30 * SECOND);
        let call = watch.begin();
        for _ in 0..199 {
            watch.look(3 * SECOND);
        }
        assert!(watch.is_hung() && !watch.has_failed());
        watch.look(3 * SECOND);
        assert!(watch.has_failed());
        drop(call);
        watch.look(3 * SECOND);
        assert!(!watch.is_hung() && !watch.has_failed());
    }

    #[test]
    fn calls_that_are_answered_are_no_hang_however_many_there_are() {
        let watch = Watch::new(30 * SECOND);
        for _ in 0..100 {
            let call = watch.begin();
            (0..9).for_each(|_| assert!(!watch.look(3 * SECOND)));
            drop(call);
        }
    }

    /// As after SIGSTOP and SIGCONT: the look may come before the call's answer.
    #[test]
    fn time_in_which_nobody_looked_is_not_the_mediums() {
        let watch = Watch::new(30 * SECOND);
        let _call = watch.begin();
        (0..4).for_each(|_| assert!(!watch.look(3600 * SECOND)));
        assert!(watch.look(3600 * SECOND), "but it counts a little");
    }
}
