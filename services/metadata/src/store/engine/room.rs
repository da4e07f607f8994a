//! Room on the disk of a SQLite database, so that what makes room still finds some when nothing else does.
//!
//! SQLite writes to its log before it writes to the file, and needs room for both: also to delete, to renew a lease, to tell of
//! disks, to open. A database that took the last byte could do none of this, and nobody could make room any more. So what
//! clients add is refused while there still is a reserve, as large as the one that shards leave on the same disk.
//!
//! Pages of the file that nothing uses count as room: rows that were deleted leave them behind, and the file does not shrink.
//!
//! Invariant: what holds, frees or tells of something asks for no room: leases, jobs, heartbeats, garbage, moves and repairs.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{Env, Instant, SpaceUsage};

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

/// Who takes room, from the first that is refused to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// What clients add: objects, copies, parts, uploads, buckets and their documents. They leave the reserve alone.
    Content,
    /// What changes something that is there: tags, locks, names, uploads that are completed. They leave half of the reserve.
    Changes,
    /// What deletes. It takes room too, for a while, or for good where it leaves a marker, and leaves an eighth of the reserve.
    Deletions,
}

impl Share {
    /// What it leaves of a reserve.
    fn leaves(self, reserve: u64) -> u64 {
        match self {
            Self::Content => reserve,
            Self::Changes => reserve / 2,
            Self::Deletions => reserve / 8,
        }
    }

    /// What of this must be free on the disk, and not only within the file: the log grows there.
    fn leaves_on_disk(self, reserve: u64) -> u64 {
        match self {
            Self::Content | Self::Changes => reserve / 8,
            Self::Deletions => 0,
        }
    }
}

/// What is known of the room of a database. Clones share it.
#[derive(Clone)]
pub(super) struct Room {
    directory: PathBuf,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    space: Option<SpaceUsage>,
    asked: Option<Instant>,
    checkpointed: Option<Instant>,
}

impl Room {
    /// The room of a database in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, known: Arc::default() }
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
            if known.asked.is_some_and(|asked| now.since(asked) < counts_for) {
                return known.space;
            }
            // Others go by what was known before while this one asks.
            known.asked = Some(now);
        }
        let (disk, directory) = (env.disk().clone(), self.directory.clone());
        // A file system that does not answer keeps nobody waiting here: the statements that follow wait for it.
        let asking = env.spawn_blocking(move || disk.space(&directory));
        let space = env.timeout(limit, asking).await.ok().flatten().and_then(Result::ok);
        self.known().space = space;
        space
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
