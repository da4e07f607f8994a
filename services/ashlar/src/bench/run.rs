//! A run from beginning to end.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use env::Env;
use service_kit::Shutdown;

use crate::bench::{
    BenchError,
    args::{Operation, Settings},
    meter::Meter,
    phase::{Counters, Ended, Outcome, Phase},
    place::Place,
    progress::Progress,
    report::Report,
    worker::Work,
};
use s3_client::{Access, Pattern};

/// Requests at a time while objects are prepared, where the run itself makes fewer.
const PREPARE_CONCURRENCY: u64 = 16;
/// Large objects are prepared by fewer, so that a server without much memory can be measured too.
const PREPARE_BYTES_IN_FLIGHT: u64 = 1 << 30;

/// Makes the run and writes its report to `out`.
pub(crate) async fn run(
    env: &Env,
    settings: Settings,
    shutdown: Shutdown,
    out: &mut (dyn Write + Send),
) -> Result<(), BenchError> {
    // Fails early when a process cannot be watched: nothing has been stored yet.
    drop(Meter::begin(env, settings.server_pids.clone()).await?);
    let access = Arc::new(settings.connect.access(env, settings.endpoint.clone()).await?);
    let place = Place::open(&access, &settings).await?;
    let next = Arc::new(AtomicU64::new(if settings.prepared { settings.objects } else { 0 }));
    let run = Run { env: env.clone(), settings, shutdown, access, place, pattern: Pattern::new(), next };
    let result = run.prepare_and_load(out).await;
    let cleaned = run.clean_up().await;
    result.and(cleaned)
}

struct Run {
    env: Env,
    settings: Settings,
    shutdown: Shutdown,
    access: Arc<Access>,
    place: Place,
    pattern: Pattern,
    /// The number of the next new object: those below may be there.
    next: Arc<AtomicU64>,
}

impl Run {
    async fn prepare_and_load(&self, out: &mut (dyn Write + Send)) -> Result<(), BenchError> {
        self.prepare().await?;
        let settings = &self.settings;
        let phase = Phase {
            work: Arc::new(self.work(settings.operation, settings.objects)),
            workers: settings.concurrency,
            duration: settings.duration,
            requests: settings.requests,
            ..self.phase()
        };
        let counters = phase.counters.clone();
        let ready = phase.connect().await;
        let server = Meter::begin(&self.env, settings.server_pids.clone()).await?;
        let client = Meter::begin(&self.env, vec![std::process::id()]).await?;
        let progress = self.progress(settings.operation.name(), counters, settings.requests);
        let outcome = ready.run().await;
        let (server, client) = (server.end().await, client.end().await);
        drop(progress);
        if outcome.ended == Ended::Interrupted && outcome.tally.kinds.is_empty() {
            return Err(BenchError::Interrupted);
        }
        let report = Report {
            settings,
            bucket: &self.place.bucket,
            outcome: &outcome,
            server: server.as_ref().ok().copied().filter(|_| !settings.server_pids.is_empty()),
            client: client.ok(),
        };
        let text = if settings.json { format!("{}\n", report.json()) } else { report.table() };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(BenchError::Output)?;
        verdict(&outcome).and(server.map(drop))
    }

    /// Stores the objects that the run needs to find. What is to be read is read once, so that the server has it in memory, as far as
    /// it keeps it there, whether it does so when it writes or not.
    async fn prepare(&self) -> Result<(), BenchError> {
        let settings = &self.settings;
        let made_by_the_run = matches!(settings.operation, Operation::Put | Operation::Multipart);
        if settings.prepared || made_by_the_run || settings.objects == 0 {
            return Ok(());
        }
        let fitting = PREPARE_BYTES_IN_FLIGHT / settings.size.max(1);
        let reads_back = matches!(settings.operation, Operation::Get | Operation::Range | Operation::Mixed);
        let phase = Phase {
            work: Arc::new(Work { reads_back, ..self.work(Operation::Put, 0) }),
            workers: settings.concurrency.max(PREPARE_CONCURRENCY).min(fitting.max(1)),
            requests: Some(settings.objects),
            ..self.phase()
        };
        let progress = self.progress("preparing", phase.counters.clone(), phase.requests);
        let outcome = phase.connect().await.run().await;
        drop(progress);
        if outcome.ended == Ended::Interrupted {
            return Err(BenchError::Interrupted);
        }
        match outcome.tally.failures.into_values().next() {
            Some(failure) => Err(BenchError::Prepare { reason: failure.example }),
            None => Ok(()),
        }
    }

    async fn clean_up(&self) -> Result<(), BenchError> {
        if self.settings.keep {
            return Ok(());
        }
        let next = self.next.load(Ordering::Relaxed);
        let in_turn = self.settings.operation == Operation::Put && self.settings.objects > 0;
        let objects = if in_turn { self.settings.objects } else { next };
        self.place.clear(&self.access, objects).await
    }

    fn work(&self, operation: Operation, objects: u64) -> Work {
        Work {
            operation,
            size: self.settings.size,
            range_size: self.settings.range_size,
            part_size: self.settings.part_size,
            mix: self.settings.mix,
            keys: self.place.keys.clone(),
            objects,
            next: self.next.clone(),
            next_deleted: AtomicU64::new(0),
            reads_back: false,
        }
    }

    /// A phase of this run, with nothing to do yet.
    fn phase(&self) -> Phase {
        Phase {
            access: self.access.clone(),
            bucket: self.place.bucket.clone(),
            pattern: self.pattern.clone(),
            work: Arc::new(self.work(self.settings.operation, 0)),
            workers: 1,
            duration: None,
            requests: None,
            shutdown: self.shutdown.clone(),
            counters: Arc::new(Counters::default()),
        }
    }

    fn progress(&self, title: &'static str, counters: Arc<Counters>, goal: Option<u64>) -> Progress {
        Progress::begin(&self.env, title, counters, goal, self.settings.progress)
    }
}

/// The worst first.
fn verdict(outcome: &Outcome) -> Result<(), BenchError> {
    let total = outcome.tally.total();
    if outcome.tally.corrupt > 0 {
        return Err(BenchError::Corrupt { count: outcome.tally.corrupt });
    }
    if total.failed > 0 {
        return Err(BenchError::RequestsFailed {
            failed: total.failed,
            all: total.failed + total.succeeded(),
        });
    }
    Ok(())
}
