//! Time, randomness, network, disk and task spawning behind one value.
//!
//! Every service is given an [`Env`] and reaches the machine only through it; `clippy.toml` forbids the direct ways
//! everywhere else. [`Env::real`] is the machine. A simulation supplies its own [`Clock`], [`Random`], [`Network`],
//! [`Disk`] and [`Spawner`] and so owns everything that is not a pure function of the inputs.

mod clock;
mod disk;
mod network;
mod open_files;
mod random;
mod spawn;

use std::{future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

pub use clock::{Clock, Elapsed, Instant, RealClock};
pub use disk::{DirectoryLock, Disk, File, OpenMode, RealDisk, SpaceUsage};
pub use network::{Connection, Listener, Network, RealNetwork};
pub use open_files::raise_open_files_limit;
pub use random::{Random, RealRandom};
pub use spawn::{Spawner, Task};

use spawn::Spawning;

/// A service's whole access to the machine. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    network: Arc<dyn Network>,
    disk: Arc<dyn Disk>,
    spawning: Spawning,
}

impl Env {
    /// The machine itself.
    pub fn real() -> Self {
        Self::new(Arc::new(RealClock::new()), Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(RealDisk))
    }

    /// An environment made of these parts.
    pub fn new(
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        network: Arc<dyn Network>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        Self { clock, random, network, disk, spawning: Spawning::Real }
    }

    /// The same environment with all work on the runtime's one thread, as `spawner` lets it: for simulations, whose
    /// runtime has a single thread.
    #[must_use]
    pub fn simulated(self, spawner: Arc<dyn Spawner>) -> Self {
        Self { spawning: Spawning::Simulated(spawner), ..self }
    }

    /// The same environment with another network.
    #[must_use]
    pub fn with_network(self, network: Arc<dyn Network>) -> Self {
        Self { network, ..self }
    }

    /// The network.
    pub fn network(&self) -> &Arc<dyn Network> {
        &self.network
    }

    /// Monotonic time. Comparable only within one process.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Milliseconds since the Unix epoch by this machine's wall clock. For showing and for signatures' skew; never
    /// for ordering.
    pub fn wall_clock_ms(&self) -> i64 {
        self.clock.wall_clock_ms()
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Waits for `future`, but no longer than `duration`.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        let sleep = self.clock.sleep(duration);
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = sleep => Err(Elapsed),
        }
    }

    /// `N` unpredictable bytes, fit for keys and identifiers.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.random.fill(&mut out);
        out
    }

    /// An unpredictable number.
    pub fn random_u64(&self) -> u64 {
        u64::from_le_bytes(self.random_bytes())
    }

    /// Runs a task in the background until it ends. Dropping the handle does not stop it.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawning.spawn(future)
    }

    /// Runs blocking work on a thread where blocking is allowed.
    pub fn spawn_blocking<F, T>(&self, work: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawning.spawn_blocking(work)
    }

    /// Runs a task on a thread where blocking is allowed: it may block between its awaits.
    pub fn spawn_waiting<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawning.spawn_waiting(work);
    }

    /// Starts a named thread of the service's own, for loops that block for as long as the service lives. The future
    /// has the thread to itself: it may block between its awaits.
    pub fn spawn_thread<F>(&self, name: &str, work: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawning.spawn_thread(name, work)
    }

    /// Listens for connections on `address`; port 0 chooses a free one.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.network.listen(address).await
    }

    /// Connects to `host:port`, resolving the name.
    pub async fn connect(&self, authority: &str) -> io::Result<Box<dyn Connection>> {
        self.network.connect(authority).await
    }

    /// The addresses of `host:port`, for whoever connects to some of them only.
    pub async fn resolve(&self, authority: &str) -> io::Result<Vec<SocketAddr>> {
        self.network.resolve(authority).await
    }

    /// The file systems. Its calls block.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Replaces a small file that a person named, in one durable step: a new file is written, synced and renamed over it. Where a
    /// link is, the file that it leads to is replaced. `InvalidInput` for what is there and is no file. Readable by the owner alone.
    /// Blocks.
    pub fn replace_named(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        disk::replace_named(&**self.disk(), path, contents, self.random_u64())
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}
