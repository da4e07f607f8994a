//! One phase of a run: so many workers, until time or requests are used up or somebody stops it.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use env::{Instant, Task};
use service_kit::Shutdown;
use tokio::sync::{mpsc, watch};

use crate::bench::{
    s3::S3,
    tally::Tally,
    worker::{Work, Worker},
};
use s3_client::{Access, Pattern, mix};

/// How long requests in flight may go on after Ctrl-C.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A worker that fails so often in a row gives up.
const FAILURES_IN_A_ROW_MAX: u32 = 20;
/// Pause after a first failure, doubled after each further one in a row.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    /// All requests were made.
    Requests,
    /// Time was up.
    Duration,
    /// There was nothing left to delete.
    Exhausted,
    /// Nothing but failures.
    GaveUp,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl Ended {
    /// One word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Duration => "duration",
            Self::Exhausted => "exhausted",
            Self::GaveUp => "gave-up",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What a phase has done so far, for the progress line.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// What there is to do, and for how long.
pub(crate) struct Phase {
    pub(crate) access: Arc<Access>,
    pub(crate) bucket: String,
    pub(crate) pattern: Pattern,
    pub(crate) work: Arc<Work>,
    pub(crate) workers: u64,
    pub(crate) duration: Option<Duration>,
    pub(crate) requests: Option<u64>,
    pub(crate) shutdown: Shutdown,
    pub(crate) counters: Arc<Counters>,
}

/// What a phase did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// From the start to the end of the last request.
    pub(crate) elapsed: Duration,
    pub(crate) ended: Ended,
}

/// A phase whose workers are connected and wait for the start.
pub(crate) struct Ready {
    shared: Arc<Shared>,
    go: watch::Sender<bool>,
    tasks: Vec<Task<WorkerEnd>>,
}

/// What the workers of a phase share.
struct Shared {
    phase: Phase,
    requests_left: Option<AtomicU64>,
    begun: OnceLock<Instant>,
}

struct WorkerEnd {
    tally: Tally,
    finished: Instant,
    ended: Ended,
}

impl Phase {
    /// Starts the workers and lets each of them connect.
    pub(crate) async fn connect(self) -> Ready {
        let env = self.access.env.clone();
        let workers = self.workers.min(self.requests.unwrap_or(u64::MAX));
        let requests_left = self.requests.map(AtomicU64::new);
        let shared = Arc::new(Shared { phase: self, requests_left, begun: OnceLock::new() });
        let (go, gate) = watch::channel(false);
        // Nothing is sent: the channel closes when the last worker has dropped its end.
        let (connected, mut all_connected) = mpsc::channel::<()>(1);
        let tasks = (0..workers)
            .map(|index| {
                env.spawn(run_worker(shared.clone(), index, workers, connected.clone(), gate.clone()))
            })
            .collect();
        drop(connected);
        let _ = all_connected.recv().await;
        Ready { shared, go, tasks }
    }
}

impl Ready {
    /// Lets the workers begin and waits for them.
    pub(crate) async fn run(self) -> Outcome {
        let env = &self.shared.phase.access.env;
        let begun = *self.shared.begun.get_or_init(|| env.now());
        self.go.send_replace(true);
        let mut outcome =
            Outcome { tally: Tally::default(), elapsed: Duration::ZERO, ended: Ended::Requests };
        for task in self.tasks {
            // A worker that panicked has nothing to tell; the panic itself is on standard error.
            let Some(end) = task.await else { continue };
            outcome.tally.merge(&end.tally);
            outcome.elapsed = outcome.elapsed.max(end.finished.since(begun));
            outcome.ended = outcome.ended.max(end.ended);
        }
        outcome
    }
}

impl Shared {
    /// Takes the right to one more request.
    fn take(&self) -> Result<(), Ended> {
        let phase = &self.phase;
        if phase.shutdown.has_begun() {
            return Err(Ended::Interrupted);
        }
        if let (Some(duration), Some(begun)) = (phase.duration, self.begun.get())
            && phase.access.env.now().since(*begun) >= duration
        {
            return Err(Ended::Duration);
        }
        let Some(left) = &self.requests_left else { return Ok(()) };
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| Ended::Requests)
    }
}

async fn run_worker(
    shared: Arc<Shared>,
    index: u64,
    workers: u64,
    connected: mpsc::Sender<()>,
    mut gate: watch::Receiver<bool>,
) -> WorkerEnd {
    let phase = &shared.phase;
    let env = &phase.access.env;
    let s3 = S3::new(&phase.access, &phase.bucket);
    let mut worker = Worker::new(&phase.work, &phase.pattern, s3, index, workers);
    worker.connect().await;
    drop(connected);
    // The gate cannot close before it opens: its other end is held until all workers have ended.
    let _ = gate.wait_for(|open| *open).await;

    let mut tally = Tally::default();
    let mut failures_in_a_row = 0;
    let mut finished = env.now();
    let mut cut = pin!(async {
        phase.shutdown.begun().await;
        env.sleep(STOP_GRACE).await;
    });
    let ended = loop {
        if let Err(ended) = shared.take() {
            break ended;
        }
        let step = tokio::select! {
            biased;
            step = worker.step() => step,
            () = &mut cut => break Ended::Interrupted,
        };
        let Some((kind, result)) = step else { break Ended::Exhausted };
        finished = env.now();
        tally.record(kind, &result);
        match result {
            Ok(done) => {
                failures_in_a_row = 0;
                phase.counters.succeeded.fetch_add(1, Ordering::Relaxed);
                phase.counters.bytes.fetch_add(done.bytes, Ordering::Relaxed);
            }
            Err(_) => {
                failures_in_a_row += 1;
                phase.counters.failed.fetch_add(1, Ordering::Relaxed);
                if failures_in_a_row >= FAILURES_IN_A_ROW_MAX {
                    break Ended::GaveUp;
                }
                env.sleep(pause(failures_in_a_row, index)).await;
            }
        }
    };
    WorkerEnd { tally, finished, ended }
}

/// Doubled each time, with jitter, so that workers which failed together do not return together.
fn pause(failures_in_a_row: u32, worker: u64) -> Duration {
    let longest = PAUSE.saturating_mul(1 << failures_in_a_row.saturating_sub(1).min(10)).min(PAUSE_MAX);
    let share = u32::try_from(mix(worker ^ (u64::from(failures_in_a_row) << 32)) % 50).unwrap_or(0);
    longest * (50 + share) / 100
}
