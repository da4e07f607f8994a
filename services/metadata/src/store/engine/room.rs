//! Room on the disk of a SQLite database, so that what makes room still finds some when nothing else does.
//!
//! SQLite writes to its log before it writes to the file, and needs room for both: also to delete, to renew a lease, to tell of
//! disks, to open. A database that took the last byte could do none of this, and nobody could make room any more. So what
//! clients add is refused while there still is a reserve, as large as the one that shards leave on the same disk.
//!
//! Pages of the file that nothing uses count as room: rows that were deleted leave them behind, and the file does not shrink. What is in
//! the log and was not written back takes room when it is: the file may grow by as much. The reserve has that of an ordinary log; of one
//! that somebody who reads for long keeps from being written back, as a backup does, what is more counts as taken.
//!
//! Invariant: what holds, frees or tells of something asks for no room: leases, jobs, heartbeats, garbage, moves and repairs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{Disk, Env, Instant, OpenMode, SpaceUsage};

use super::{DatabaseError, Engine, FULL, Pools, Purpose, sqlite};

/// What is kept free on the disk of a SQLite database: at least so many bytes, and at least [`RESERVE_PERCENT`] of the file system.
/// The same as shards leave free.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// See [`RESERVE_BYTES`].
pub const RESERVE_PERCENT: u64 = 2;

/// How long an answer of the file system counts.
const KNOWN_FOR: Duration = Duration::from_millis(100);

/// The same while there is less than the reserve, or not much more.
const KNOWN_FOR_WHEN_SHORT: Duration = Duration::from_millis(10);

/// Free bytes beyond the reserve above which it is not short for a while.
const PLENTY: u64 = 1 << 30;

/// How often the log is written back while room is short, so that what it will take of the file's growth is known.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(1);

/// Most bytes that changes leave: what holds, frees or tells of something finds enough in these, however large the disk is.
const CHANGES_LEAVE_MAX: u64 = 1 << 30;

/// Most bytes that deletions leave.
const DELETIONS_LEAVE_MAX: u64 = 256 << 20;

/// Who takes room, from the first that is refused to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// What clients add: objects, copies, parts, uploads, buckets and their documents. They leave the reserve alone.
    Content,
    /// What changes something that is there: tags, locks, names, uploads that are completed. They leave half of the reserve, and
    /// of a large one [`CHANGES_LEAVE_MAX`].
    Changes,
    /// What deletes. It takes room too, for a while, or for good where it leaves a marker, and leaves an eighth of the reserve, of a
    /// large one [`DELETIONS_LEAVE_MAX`].
    Deletions,
}

impl Share {
    /// What it leaves of a reserve.
    fn leaves(self, reserve: u64) -> u64 {
        match self {
            Self::Content => reserve,
            Self::Changes => (reserve / 2).min(CHANGES_LEAVE_MAX),
            Self::Deletions => (reserve / 8).min(DELETIONS_LEAVE_MAX),
        }
    }

    /// What of this must be free on the disk, and not only within the file: the log grows there.
    fn leaves_on_disk(self, reserve: u64) -> u64 {
        match self {
            Self::Content | Self::Changes => (reserve / 8).min(DELETIONS_LEAVE_MAX),
            Self::Deletions => 0,
        }
    }
}

/// What is known of the room of a database. Clones share it.
#[derive(Clone)]
pub(super) struct Room {
    directory: PathBuf,
    log: PathBuf,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    space: Option<SpaceUsage>,
    asked: Option<Instant>,
    /// Whether the file system has not answered yet: one thread waits for it at a time.
    is_asked: bool,
    checkpointed: Option<Instant>,
}

impl Room {
    /// The room of a database in this file.
    pub(super) fn new(file: &str) -> Self {
        let parent = Path::new(file).parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        Self { directory, log: format!("{file}-wal").into(), known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file system's answer, which is at most a moment old; none when it gives none.
    async fn space(&self, env: &Env, limit: Duration) -> Option<SpaceUsage> {
        let now = env.now();
        {
            let mut known = self.known();
            let is_short = known.space.is_none_or(|space| space.available_bytes < reserve(space) + PLENTY);
            let counts_for = if is_short { KNOWN_FOR_WHEN_SHORT } else { KNOWN_FOR };
            if known.is_asked || known.asked.is_some_and(|asked| now.since(asked) < counts_for) {
                return known.space;
            }
            // Others go by what was known before while this one asks.
            (known.asked, known.is_asked) = (Some(now), true);
        }
        let (disk, room) = (env.disk().clone(), self.clone());
        let asking = env.spawn_blocking(move || {
            let space = room.ask(disk.as_ref());
            let mut known = room.known();
            (known.space, known.is_asked) = (space, false);
            space
        });
        // A file system that does not answer keeps nobody waiting here: the statements that follow wait for it.
        env.timeout(limit, asking).await.ok().flatten().flatten()
    }

    /// What the file system says, less what the log will take of it.
    fn ask(&self, disk: &dyn Disk) -> Option<SpaceUsage> {
        // Some file systems in user space know nothing of their size.
        let space = disk.space(&self.directory).ok().filter(|space| space.total_bytes > 0)?;
        // There is none before the first write. No lock is on it that closing it would let go of.
        let log = disk.open(&self.log, OpenMode::Read).and_then(|log| log.length()).unwrap_or(0);
        let unusual = log.saturating_sub(sqlite::LOG_BYTES_MAX.into());
        let available_bytes = space.available_bytes.saturating_sub(unusual);
        Some(SpaceUsage { available_bytes, ..space })
    }

    /// Whether it is time to write the log back.
    fn is_checkpoint_due(&self, now: Instant) -> bool {
        let mut known = self.known();
        let is_due = known.checkpointed.is_none_or(|last| now.since(last) >= CHECKPOINT_PERIOD);
        if is_due {
            known.checkpointed = Some(now);
        }
        is_due
    }
}

/// The reserve on a file system.
fn reserve(space: SpaceUsage) -> u64 {
    (space.total_bytes / 100 * RESERVE_PERCENT).max(RESERVE_BYTES)
}

impl Engine {
    /// Fails when the database's disk has not the room that this share must leave. Postgres keeps its own.
    pub(crate) async fn check_room(&self, share: Share) -> Result<(), DatabaseError> {
        let Some(room) = self.room.as_ref().filter(|_| matches!(self.pools, Pools::Sqlite { .. })) else {
            return Ok(());
        };
        let Some(space) = room.space(&self.env, self.statement_timeout).await else { return Ok(()) };
        let (reserve, free) = (reserve(space), space.available_bytes);
        if free >= reserve {
            return Ok(());
        }
        if room.is_checkpoint_due(self.env.now()) {
            self.checkpoint().await?;
        }
        let unused = self.unused_bytes().await?;
        if free.saturating_add(unused) >= share.leaves(reserve) && free >= share.leaves_on_disk(reserve) {
            return Ok(());
        }
        Err(DatabaseError::Unavailable(format!(
            "{FULL}: {free} bytes are free on it and {unused} in the database, and {reserve} are kept for what makes room"
        )))
    }

    /// Bytes of the file that nothing uses.
    async fn unused_bytes(&self) -> Result<u64, DatabaseError> {
        let sql =
            "SELECT f.freelist_count * p.page_size FROM pragma_freelist_count AS f, pragma_page_size AS p";
        let row = self.fetch_optional(sql, Vec::new()).await?;
        Ok(row.map(|mut row| row.i64()).transpose()?.unwrap_or(0).cast_unsigned())
    }

    /// Writes the log back as far as nobody reads it, and waits for nobody. It is written over from its beginning then.
    async fn checkpoint(&self) -> Result<(), DatabaseError> {
        let mut tx = self.start(Purpose::Statements).await?;
        let done = tx.wait_for_sqlite(sqlite::checkpoint).await;
        tx.release();
        // What could not be written back stays in the log.
        if let Err(error) = done {
            tracing::warn!(%error, "the database's log was not written back");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use env::SpaceUsage;

    use super::{DELETIONS_LEAVE_MAX, RESERVE_BYTES, Share, reserve};

    #[test]
    fn whoever_makes_room_leaves_little_of_a_large_disk() {
        let of = |total_bytes| {
            let reserve = reserve(SpaceUsage { total_bytes, available_bytes: 0 });
            [Share::Content, Share::Changes, Share::Deletions].map(|share| share.leaves(reserve))
        };
        assert_eq!(of(1 << 30), [RESERVE_BYTES, RESERVE_BYTES / 2, RESERVE_BYTES / 8]);
        let [content, changes, deletions] = of(20_000_000_000_000);
        assert_eq!((content, changes, deletions), (400_000_000_000, 1 << 30, DELETIONS_LEAVE_MAX));
        assert_eq!(Share::Content.leaves_on_disk(content), DELETIONS_LEAVE_MAX);
        assert_eq!(Share::Deletions.leaves_on_disk(content), 0);
    }
}
