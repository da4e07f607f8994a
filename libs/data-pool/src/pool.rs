//! The pool itself: what its writes, reads and deletes share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use env::Env;
use erasure::Codecs;
use metadata_api::ClusterMap;
use types::StorageClassName;

use crate::{
    BadShard, ClusterView, LeaseHolder, ReadError, Reporter,
    cleanup::{self, Cleanup},
    counts::Counts,
    health::{Health, probe},
    write::kept::KeptBytes,
};

/// Writes and reads object bytes across chunk services. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    leases: Arc<LeaseHolder>,
    cleanup: Cleanup,
    /// Whether reads that fail because a chunk is lost are counted by whoever reads.
    leaves_losses: bool,
}

/// What background tasks of the pool use too.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) view: Arc<ClusterView>,
    pub(crate) health: Health,
    pub(crate) codecs: Codecs,
    pub(crate) counts: Counts,
    /// What writes keep of their streamed chunks.
    pub(crate) kept: KeptBytes,
    /// Whether the last read that began had to wait for its first bytes.
    pub(crate) reads_wait: AtomicBool,
    reporter: Reporter,
    turn: AtomicUsize,
}

impl Pool {
    /// A pool over the cluster of `view`, naming chunks under `leases`. `reporter` is called for each bad shard that
    /// a read meets, by the map that this process has; it is logged in any case. Call it within the runtime.
    pub fn new(env: &Env, view: Arc<ClusterView>, leases: Arc<LeaseHolder>, reporter: Reporter) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let turn = AtomicUsize::new(env.random_u64() as usize);
        let health = Health::new(env.clone());
        let shared = Arc::new(Shared {
            env: env.clone(),
            view,
            health,
            codecs: Codecs::default(),
            counts: Counts::default(),
            kept: KeptBytes::default(),
            reads_wait: AtomicBool::new(false),
            reporter,
            turn,
        });
        probe::start(&shared);
        let (cleanup, queue) = cleanup::channel();
        env.spawn(cleanup::run(Arc::clone(&shared), queue));
        Self { shared, leases, cleanup, leaves_losses: false }
    }

    /// The same pool, but that its reads count no chunk as lost: for those who can look up whether what they read is still named, as
    /// what was freed meanwhile is not, and then call [`Pool::count_lost`].
    pub fn leaving_losses(&self) -> Self {
        Self { leaves_losses: true, ..self.clone() }
    }

    /// Counts a read that failed because a chunk is lost, if that is what it failed of. See [`Pool::leaving_losses`].
    pub fn count_lost(&self, error: &ReadError) {
        self.shared.counts.count_lost(error);
    }

    pub(crate) fn counts_losses(&self) -> bool {
        !self.leaves_losses
    }

    /// Waits until what refused commits and given up writes left has been deleted as far as possible: before the disks
    /// are closed in an orderly stop. Slow disks make it slow; give it a limit.
    pub async fn settle(&self) {
        self.cleanup.settle().await;
    }

    /// Ends writing, for an orderly stop: deletes what is left as [`Pool::settle`] does, and then gives the lease back, so
    /// that what could not be deleted is found at once. Give it a limit: it waits for writes that are not over.
    pub async fn close(&self) {
        self.settle().await;
        self.leases.close().await;
    }

    /// Whether the cluster has this storage class.
    pub fn has_class(&self, class: &StorageClassName) -> bool {
        self.shared.view.snapshot().class(class).is_some()
    }

    /// Whether objects of this storage class can be written now: it has placement groups, and a lease is held.
    pub fn takes_writes(&self, class: &StorageClassName) -> bool {
        let mapped = self.shared.view.snapshot().class(class).is_some_and(|class| !class.groups.is_empty());
        mapped && self.leases.lease().is_some()
    }

    /// Takes a cluster map in: from now on the pool acts by this one, or a later one.
    pub fn take_in(&self, map: &ClusterMap) {
        self.shared.view.update(map);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn leases(&self) -> &LeaseHolder {
        &self.leases
    }

    pub(crate) fn cleanup(&self) -> Cleanup {
        self.cleanup.clone()
    }
}

impl Shared {
    /// The next number of a round robin that begins anywhere.
    pub(crate) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells of a bad shard.
    pub(crate) fn report(&self, bad: BadShard) {
        tracing::warn!(shard = %bad.shard, disk = %bad.disk, reason = ?bad.reason, "bad shard");
        self.counts.bad(bad.reason);
        (self.reporter)(bad);
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({:?})", self.shared.view)
    }
}
