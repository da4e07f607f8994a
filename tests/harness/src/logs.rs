//! What servers log while tests run: a warning that no test expects fails the run.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Condvar, Mutex, MutexGuard, Once, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, prelude::*};

/// Crates whose warnings count; those of libraries are printed and no more.
const OURS: [&str; 12] = [
    "ashlar",
    "chunk",
    "chunk_api",
    "data_pool",
    "gateway",
    "kms",
    "metadata",
    "metadata_api",
    "service_kit",
    "shard_store",
    "shard_store_s3",
    "worker",
];

/// Lines are kept until a test looks at them; no test has a use for more.
const KEPT_MAX: usize = 1000;

static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What servers tell of their work, the last lines.
static TOLD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static MORE_TOLD: Condvar = Condvar::new();

/// What is not told by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// The warnings and errors of this process's servers. Tests that share a process share them too.
#[derive(Debug, Clone, Copy)]
pub struct Logs;

impl Logs {
    /// Begins to keep and to print logs. `RUST_LOG` says what is printed; warnings if it is not set. A second call does
    /// nothing.
    pub fn start() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
            let printed = tracing_subscriber::fmt::layer().with_test_writer().with_filter(filter);
            let started = tracing_subscriber::registry().with(printed).with(Keep).try_init();
            started.expect("nobody else has started logs in this process");
        });
        Self
    }

    /// Takes out the kept lines that hold `text`.
    pub fn take(self, text: &str) -> Vec<String> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left) = kept.drain(..).partition(|line| line.contains(text));
        *kept = left;
        taken
    }

    /// Forgets what servers have told, so that what they tell next can be waited for.
    pub fn forget_told(self) {
        told().clear();
    }

    /// Waits until servers have told so many lines more that hold `text`, which are no warnings, and gives them back.
    #[track_caller]
    pub fn wait_until_told(self, text: &str, lines: usize) -> Vec<String> {
        self.forget_told();
        self.wait_until_told_since(text, lines)
    }

    /// The same with lines that were told since others were forgotten.
    #[track_caller]
    pub fn wait_until_told_since(self, text: &str, lines: usize) -> Vec<String> {
        let begun = Instant::now();
        let mut told = told();
        loop {
            let found: Vec<String> = told.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= lines {
                return found;
            }
            let left = PATIENCE.checked_sub(begun.elapsed());
            let left = left.unwrap_or_else(|| panic!("nobody tells {text:?}, but {told:?}"));
            told = MORE_TOLD.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn told() -> MutexGuard<'static, VecDeque<String>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails when a server of this process has warned of something that no test took out with [`Logs::take`].
pub fn assert_no_complaints() {
    let complaints = Logs.take("");
    assert!(complaints.is_empty(), "unexpected in the logs:\n{}", complaints.join("\n"));
}

struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let origin = metadata.target().split("::").next().unwrap_or_default();
        if *metadata.level() > Level::INFO || !OURS.contains(&origin) {
            return;
        }
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        if *metadata.level() == Level::INFO {
            let mut told = told();
            if told.len() == KEPT_MAX {
                told.pop_front();
            }
            told.push_back(line.0);
            MORE_TOLD.notify_all();
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(line.0);
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // A string takes every character.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
