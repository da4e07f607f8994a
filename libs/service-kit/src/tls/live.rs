//! What is made from files, and is made anew when they change.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use env::Env;
use sha2::{Digest, Sha256};
use telemetry::{Counter, Samples, Source};
use tokio::signal::unix::{SignalKind, signal};

use super::{METRIC_END, METRIC_RELOADS, TlsError};
use crate::Shutdown;

/// How often the files are read.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(10);

/// How long files must have been the same before they are used: whoever replaces a certificate and its key one after the other
/// has written both by then.
const SETTLED: Duration = Duration::from_secs(1);

/// Certificates and keys larger than this are not what they claim to be.
const PEM_LENGTH_MAX: usize = 1 << 20;

/// A file and what is in it.
pub(super) struct Contents {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// What came of files.
pub(super) struct Made<T> {
    pub(super) value: T,
    /// The certificates that are used by it, by what they are for, and when they end, in seconds since the Unix epoch.
    pub(super) ends: Vec<(&'static str, i64)>,
}

type Make<T> = Box<dyn Fn(&[Contents]) -> Result<Made<T>, TlsError> + Send + Sync>;

/// What was made from files last.
///
/// Files are compared by what is in them, so that it does not matter how they are replaced: written over, renamed, or swapped by a
/// symbolic link above them, as Kubernetes does it.
pub(super) struct Live<T> {
    /// What it is for, in logs and metrics.
    usage: &'static str,
    files: Vec<PathBuf>,
    make: Make<T>,
    state: Mutex<State<T>>,
    used: Counter,
    refused: Counter,
}

struct State<T> {
    value: Arc<T>,
    ends: Vec<(&'static str, i64)>,
    /// What was read last, be it usable or not.
    seen: Seen,
}

/// Tells one state of the files from another.
type Seen = [u8; 32];

impl<T: Send + Sync + 'static> Live<T> {
    /// Reads the files and makes it.
    pub(super) async fn load(
        env: &Env,
        usage: &'static str,
        files: Vec<PathBuf>,
        make: impl Fn(&[Contents]) -> Result<Made<T>, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let contents = read(env, &files).await;
        let seen = fingerprint(&contents);
        let Made { value, ends } = make(&contents?)?;
        for (usage, _) in ends.iter().filter(|(_, end)| *end <= now(env)) {
            tracing::warn!(
                usage,
                "the certificate has ended, or this machine's clock is wrong: clients will refuse it"
            );
        }
        let state = Mutex::new(State { value: Arc::new(value), ends, seen });
        let (used, refused) = (Counter::default(), Counter::default());
        Ok(Self { usage, files, make: Box::new(make), state, used, refused })
    }

    /// What is to be used now.
    pub(super) fn current(&self) -> Arc<T> {
        self.state().value.clone()
    }

    /// Looks at the files again and again, and at once on SIGHUP, until the stop begins.
    pub(super) async fn watch(&self, env: &Env, shutdown: &Shutdown) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = asked => tracing::info!(usage = self.usage, "looking for a new certificate"),
                () = env.sleep(CHECK_EVERY) => {}
                () = shutdown.begun() => return,
            }
            self.look(env).await;
        }
    }

    /// Uses what is in the files if it is new, whole and usable.
    pub(super) async fn look(&self, env: &Env) {
        let first = fingerprint(&read(env, &self.files).await);
        if first == self.state().seen {
            return;
        }
        env.sleep(SETTLED).await;
        let contents = read(env, &self.files).await;
        if fingerprint(&contents) != first {
            // Somebody is at work; the next look is at what he leaves.
            return;
        }
        let made =
            contents.and_then(|contents| (self.make)(&contents)).and_then(|made| still_valid(env, made));
        let mut state = self.state();
        state.seen = first;
        match made {
            Ok(Made { value, ends }) => {
                (state.value, state.ends) = (Arc::new(value), ends);
                drop(state);
                self.used.increment();
                tracing::info!(usage = self.usage, "a new certificate is in use");
            }
            Err(error) => {
                drop(state);
                self.refused.increment();
                tracing::warn!(
                    usage = self.usage,
                    error = told(&error),
                    "the new certificate cannot be used and the old one stays in use: put a certificate and the key that belongs to it into the files; nothing has to be restarted"
                );
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> Source for Live<T> {
    async fn collect(&self, samples: &mut Samples) {
        let ends = self.state().ends.clone();
        for (usage, end) in ends {
            #[expect(clippy::cast_precision_loss, reason = "exact until long after the last certificate")]
            samples.add(&METRIC_END, &[usage], end as f64);
        }
        samples.add(&METRIC_RELOADS, &[self.usage, "used"], &self.used);
        samples.add(&METRIC_RELOADS, &[self.usage, "refused"], &self.refused);
    }
}

fn now(env: &Env) -> i64 {
    env.wall_clock_ms().div_euclid(1000)
}

fn still_valid<T>(env: &Env, made: Made<T>) -> Result<Made<T>, TlsError> {
    if made.ends.iter().any(|(_, end)| *end <= now(env)) { Err(TlsError::Ended) } else { Ok(made) }
}

/// An error with its causes.
fn told(error: &TlsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn read(env: &Env, files: &[PathBuf]) -> Result<Vec<Contents>, TlsError> {
    let (own_env, files) = (env.clone(), files.to_vec());
    let reading = env.spawn_blocking(move || {
        let read = |path: PathBuf| match own_env.disk().read_small(&path, PEM_LENGTH_MAX) {
            Ok(bytes) => Ok(Contents { path, bytes }),
            Err(source) => Err(TlsError::Read { path, source }),
        };
        files.into_iter().map(read).collect()
    });
    reading.await.unwrap_or(Err(TlsError::Stopping))
}

fn fingerprint(contents: &Result<Vec<Contents>, TlsError>) -> Seen {
    let mut digest = Sha256::new();
    match contents {
        Ok(files) => {
            for file in files {
                digest.update(file.bytes.len().to_le_bytes());
                digest.update(&file.bytes);
            }
        }
        Err(error) => digest.update(told(error)),
    }
    digest.finalize().into()
}
