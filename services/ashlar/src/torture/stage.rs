//! What all clients of a run share.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use env::{Env, Instant};
use tokio::sync::watch;

use crate::torture::{
    findings::Finding,
    history::{Log, Outcome},
    keys::Bucket,
    values::Values,
    zones::Time,
};
use s3_client::{Access, Failure};

/// Findings that are kept; more are only counted by those that are.
const FINDINGS_MAX: usize = 10_000;

/// The endpoints, the log, and how far the run is.
pub(crate) struct Stage {
    pub(crate) env: Env,
    begun: Instant,
    /// One for each endpoint.
    pub(crate) accesses: Vec<Access>,
    pub(crate) plain: String,
    pub(crate) versioned: String,
    pub(crate) values: Values,
    pub(crate) log: Log,
    /// Changes that were acknowledged.
    acknowledged: watch::Sender<u64>,
    pub(crate) reads: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unknown: AtomicU64,
    /// Faults so far.
    pub(crate) struck: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
    findings: Mutex<Vec<Finding>>,
    silence: Mutex<Silence>,
    stopped: AtomicBool,
}

/// Times without a good answer.
#[derive(Debug, Clone, Copy, Default)]
struct Silence {
    since: Time,
    longest: Time,
    measured: bool,
}

impl Stage {
    /// A run that begins now, in two buckets named after it.
    pub(crate) fn new(env: &Env, accesses: Vec<Access>, run: &str) -> Self {
        Self {
            env: env.clone(),
            begun: env.now(),
            accesses,
            plain: format!("torture-{run}-plain"),
            versioned: format!("torture-{run}-versioned"),
            values: Values::new(run.to_owned()),
            log: Log::default(),
            acknowledged: watch::channel(0).0,
            reads: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            struck: AtomicU64::new(0),
            failures: Mutex::default(),
            findings: Mutex::default(),
            silence: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// A bucket's name.
    pub(crate) fn bucket(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Plain => &self.plain,
            Bucket::Versioned => &self.versioned,
        }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Time {
        // Every moment of the run comes after the initial state, which is at 0.
        1 + u64::try_from(self.env.now().since(self.begun).as_nanos()).unwrap_or(Time::MAX - 2)
    }

    /// Counts a change that was acknowledged.
    pub(crate) fn acknowledge(&self) {
        self.acknowledged.send_modify(|count| *count += 1);
        self.answered();
    }

    /// Changes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Tells the clients to begin no further step.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the clients are to stop.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits until so many changes were acknowledged.
    pub(crate) async fn reached(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        // The sender lives as long as `self`.
        let _ = acknowledged.wait_for(|now| *now >= count).await;
    }

    /// Counts a read that was answered.
    pub(crate) fn has_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.answered();
    }

    /// Counts a request that could not be sent: nothing happened.
    pub(crate) fn not_sent(&self) {
        *lock(&self.failures).entry("NotSent".to_owned()).or_default() += 1;
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that failed.
    pub(crate) fn failed(&self, failure: &Failure) {
        let code = match failure {
            Failure::Status { status, code, .. } => format!("{} {code}", status.as_u16()),
            other => other.code().to_owned(),
        };
        *lock(&self.failures).entry(code).or_default() += 1;
        match outcome_of(failure) {
            Outcome::Refused => &self.refused,
            Outcome::Unknown | Outcome::Acknowledged => &self.unknown,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// How often each failure was answered.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        lock(&self.failures).clone()
    }

    /// Reports something wrong.
    pub(crate) fn find(&self, finding: Finding) {
        let mut findings = lock(&self.findings);
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    }

    /// What was reported.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        lock(&self.findings).clone()
    }

    /// Begins or ends the measuring of times without a good answer.
    pub(crate) fn measure_silence(&self, measured: bool) {
        self.answered();
        let now = self.now();
        let mut silence = lock(&self.silence);
        (silence.since, silence.measured) = (now, measured);
    }

    /// Something was answered as it should be.
    pub(crate) fn answered(&self) {
        let now = self.now();
        let mut silence = lock(&self.silence);
        if silence.measured {
            silence.longest = silence.longest.max(now.saturating_sub(silence.since));
        }
        silence.since = silence.since.max(now);
    }

    /// Time since the last good answer.
    pub(crate) fn silent_for(&self) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(lock(&self.silence).since))
    }

    /// The longest time without a good answer.
    pub(crate) fn longest_silence(&self) -> Duration {
        Duration::from_nanos(lock(&self.silence).longest)
    }
}

/// What a failure says of the change that was asked for. A 4xx, and the code `SlowDown`, promise that nothing happened. The
/// code `ServiceUnavailable` does not: what was to make the change may have died after it had.
pub(crate) fn outcome_of(failure: &Failure) -> Outcome {
    match failure {
        Failure::Status { status, code, .. } => match (status.as_u16(), code.as_str()) {
            (_, "SlowDown") | (400..=499 | 501, _) => Outcome::Refused,
            // An error in a 200's body goes by its code.
            (200..=299, code) if code != "InternalError" && code != "ServiceUnavailable" => Outcome::Refused,
            _ => Outcome::Unknown,
        },
        Failure::Unreachable(_)
        | Failure::Connection(_)
        | Failure::TimedOut
        | Failure::Corrupt(_)
        | Failure::Unexpected(_) => Outcome::Unknown,
        Failure::Withheld => Outcome::Refused,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Failure, Outcome, outcome_of};

    #[test]
    fn only_an_answer_that_promises_it_counts_as_nothing_done() {
        for (status, code, outcome) in [
            (404, "NoSuchKey", Outcome::Refused),
            (412, "PreconditionFailed", Outcome::Refused),
            (501, "NotImplemented", Outcome::Refused),
            (503, "SlowDown", Outcome::Refused),
            (200, "EntityTooSmall", Outcome::Refused),
            (500, "InternalError", Outcome::Unknown),
            (503, "ServiceUnavailable", Outcome::Unknown),
            (200, "InternalError", Outcome::Unknown),
            (200, "ServiceUnavailable", Outcome::Unknown),
            (504, "", Outcome::Unknown),
        ] {
            let failure = Failure::Status {
                status: StatusCode::from_u16(status).unwrap(),
                headers: Box::default(),
                code: code.to_owned(),
                message: String::new(),
            };
            assert_eq!(outcome_of(&failure), outcome, "{status} {code}");
        }
        assert_eq!(outcome_of(&Failure::TimedOut), Outcome::Unknown);
    }
}
