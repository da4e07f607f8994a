//! One client: goes through its plan and logs what it is told.

mod reads;
mod uploads;
mod writes;

use std::time::Duration;

use crate::torture::{
    chance::Chance,
    findings::{Finding, Kind},
    history::{Condition, Outcome, Span, Write},
    keys::Key,
    plan::{Plan, Step},
    requests::{Place, Requests, Written},
    stage::{Stage, outcome_of},
    values::ValueId,
    zones::Time,
};
use s3_client::Failure;

/// Pause after a first failure, doubled after each further one in a row.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// A step that could not be taken as planned; it was logged and the next one may be taken after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// A client with a connection to each endpoint.
pub(crate) struct Player<'a> {
    pub(super) stage: &'a Stage,
    connections: Vec<Requests<'a>>,
    chance: Chance,
    failures_in_a_row: u32,
}

impl<'a> Player<'a> {
    /// Client `number` of a run.
    pub(crate) fn new(stage: &'a Stage, seed: u64, number: u32) -> Self {
        Self {
            stage,
            connections: stage.accesses.iter().map(Requests::new).collect(),
            chance: Chance::new(seed, &[u64::from(number), u64::MAX]),
            failures_in_a_row: 0,
        }
    }

    /// Takes the steps of its plan from the first one until the run stops.
    pub(crate) async fn play(&mut self, plan: &Plan, client: u32) {
        for number in 0..u32::MAX {
            if self.stage.has_stopped() {
                return;
            }
            let (step, id) = plan.step(client, number);
            let taken = self.take(step, id).await;
            self.pause_after(taken).await;
        }
    }

    /// Waits a little after a failure, longer after several.
    pub(super) async fn pause_after<T>(&mut self, taken: Result<T, Failed>) {
        if taken.is_ok() {
            self.failures_in_a_row = 0;
            return;
        }
        let pause = PAUSE.saturating_mul(1 << self.failures_in_a_row.min(10)).min(PAUSE_MAX);
        self.failures_in_a_row += 1;
        self.stage.env.sleep(pause).await;
    }

    /// Takes one step; `id` is what it writes, if it writes.
    pub(crate) async fn take(&mut self, step: Step, id: ValueId) -> Result<(), Failed> {
        match step {
            Step::Put { key, size } => self.put(key, id, size).await,
            Step::Create { key, size } => self.create(key, id, size).await,
            Step::Replace { key, size } => self.replace(key, id, size).await,
            Step::Get { key } => self.get(key).await,
            Step::Range { key, place } => self.range(key, place).await,
            Step::Head { key } => self.head(key).await.map(drop),
            Step::Delete { key } => self.delete(key).await,
            Step::Copy { from, to } => self.copy(from, to, id).await,
            Step::Rename { from, to } => self.rename(from, to, id).await,
            Step::Multipart { key, upload } => self.multipart(key, id, &upload).await,
            Step::List { folder, limit } => self.list(folder, limit).await,
            Step::Versions { folder, after, limit } => {
                self.list_versions(folder, after, limit, reads::PAGES_MAX).await
            }
        }
    }

    /// A connection to one of the endpoints. What fails before there is one was never sent.
    pub(super) async fn connected(&mut self) -> Result<&mut Requests<'a>, Failed> {
        let index = usize::try_from(self.chance.below(self.connections.len() as u64)).unwrap_or_default();
        let stage = self.stage;
        let requests = self.connections.get_mut(index).ok_or(Failed)?;
        if requests.connect().await.is_err() {
            stage.not_sent();
            return Err(Failed);
        }
        Ok(requests)
    }

    /// Logs how a write ended, and reports an answer that it should not have had. `expected` are the refusals that
    /// it may have.
    pub(super) fn log_write(
        &self,
        key: Key,
        attempt: Attempt,
        answer: &Result<Written, Failure>,
        expected: &[&str],
    ) -> Result<(), Failed> {
        let outcome = answer.as_ref().map_or_else(outcome_of, |_| Outcome::Acknowledged);
        self.record_write(key, attempt, outcome, answer.as_ref().ok().cloned());
        match answer {
            Ok(_) => {
                self.stage.acknowledge();
                Ok(())
            }
            Err(failure) => self.complain(key, "a write", failure, expected),
        }
    }

    /// Logs how a write ended.
    pub(super) fn record_write(
        &self,
        key: Key,
        attempt: Attempt,
        outcome: Outcome,
        written: Option<Written>,
    ) {
        let (etag, version) = written.map_or((None, None), |written| (Some(written.etag), written.version));
        let Attempt { value, size, condition, start } = attempt;
        let span = self.span(start);
        self.stage.log.write(key, Write { value, size, span, outcome, condition, etag, version });
    }

    /// Counts a failure. What no good server answers is reported, and the step is over; so it is with an `expected`
    /// refusal. What may pass fails.
    pub(super) fn complain(
        &self,
        key: Key,
        what: &str,
        failure: &Failure,
        expected: &[&str],
    ) -> Result<(), Failed> {
        self.stage.failed(failure);
        match failure {
            Failure::Status { code, .. } if expected.contains(&code.as_str()) => {
                self.stage.answered();
                return Ok(());
            }
            Failure::Status { status, .. } if !status.is_client_error() => {}
            // A server may give up on a request that was held up, or ask for fewer.
            Failure::Status { status, code, .. } if status.as_u16() == 429 || code == "RequestTimeout" => {}
            Failure::Unreachable(_) | Failure::Connection(_) | Failure::TimedOut | Failure::Withheld => {}
            Failure::Status { .. } | Failure::Corrupt(_) | Failure::Unexpected(_) => {
                self.stage.find(Finding::new(Kind::Wrong, format!("{key}: {what}: {failure}")));
                return Ok(());
            }
        }
        Err(Failed)
    }

    /// From `start` to now.
    pub(super) fn span(&self, start: Time) -> Span {
        Span { start, finish: self.stage.now() }
    }

    /// A key's names.
    pub(super) fn place<'b>(&self, key: Key, name: &'b str) -> Place<'b>
    where
        'a: 'b,
    {
        Place { bucket: self.stage.bucket(key.bucket), key: name }
    }
}

/// A write that was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) value: ValueId,
    pub(crate) size: u64,
    pub(crate) condition: Condition,
    pub(crate) start: Time,
}
