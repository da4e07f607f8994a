//! The audit log: a line of JSON for each decision on what somebody may.
//!
//! Lines wait in memory, within bounds, and are written by one task, in their order. Nothing that answers a request waits for it:
//! what does not fit is dropped, counted, and warned of. An orderly stop writes what waits, as far as that goes in a short time;
//! a process that is killed loses it.
//!
//! Invariant: no line has a secret, a signature, a header or a body of a request in it.

mod sink;
mod target;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use env::{Env, Task};
use s3_wire::date::xml_date;
use serde::Serialize;
use telemetry::Counter;
use tokio::sync::Notify;

use crate::decisions::{Asker, Issued};

pub(crate) use sink::Sink;
pub use sink::SinkError;
pub use target::{AuditTarget, AuditTargetError};

/// Lines that wait at most, and their bytes.
const WAITING_LINES_MAX: usize = 50_000;
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Most bytes of lines that are written at once, but for one line that is longer.
const BATCH_BYTES_MAX: usize = 512 << 10;

/// Most bytes of a text in a line.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// Pauses between attempts to write what could not be written.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pauses between attempts when the stop has begun.
const STOP_PAUSE: Duration = Duration::from_millis(250);

/// Longest time that the stop waits for the last lines to be written.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A decision as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) asker: &'a Asker,
    /// With its service.
    pub(crate) action: &'a str,
    /// By its ARN.
    pub(crate) resource: &'a str,
    /// `allowed`, `denied`, or `refused` of what was refused for another reason than that it may not be.
    pub(crate) verdict: &'static str,
    /// The kind of policy that decided, or the code of the error of what was refused.
    pub(crate) kind: &'a str,
    /// The session that was made by it, if one was.
    pub(crate) issued: Option<Issued<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    time: &'a str,
    request_id: String,
    identity: &'a str,
    access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
    source_ip: Option<String>,
    action: &'a str,
    resource: &'a str,
    verdict: &'static str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_source_identity: Option<&'a str>,
}

/// A text within the bound.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

impl Line<'_> {
    fn write(&self) -> Option<Vec<u8>> {
        let asker = self.asker;
        let time = xml_date(asker.time);
        let written = Written {
            time: time.as_str(),
            request_id: asker.id.to_string(),
            identity: cut(asker.arn.as_deref().unwrap_or("anonymous")),
            access_key_id: asker.access_key_id.as_deref().map(cut),
            source_identity: asker.source_identity.as_deref(),
            source_ip: asker.peer.map(|peer| peer.to_string()),
            action: cut(self.action),
            resource: cut(self.resource),
            verdict: self.verdict,
            kind: self.kind,
            issued_access_key_id: self.issued.map(|issued| issued.access_key_id),
            issued_source_identity: self.issued.and_then(|issued| issued.source_identity),
        };
        let mut line = serde_json::to_vec(&written).ok()?;
        line.push(b'\n');
        Some(line)
    }
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    /// Whether it was warned of dropped lines since lines could be written last.
    is_dropping: AtomicBool,
    pub(crate) written: Counter,
    pub(crate) dropped: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that are being written.
    in_hand: u64,
    /// Whether no more come.
    is_closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, or drops it when too much waits.
    pub(crate) fn add(&self, line: &Line<'_>) {
        let Some(line) = line.write() else { return };
        let mut waiting = self.waiting();
        let fits = waiting.lines.len() < WAITING_LINES_MAX && waiting.bytes + line.len() <= WAITING_BYTES_MAX;
        if fits && !waiting.is_closed {
            waiting.bytes += line.len();
            waiting.lines.push_back(line);
            drop(waiting);
            self.changed.notify_one();
            return;
        }
        drop(waiting);
        self.drop_lines(1, "too many wait to be written");
    }

    fn drop_lines(&self, count: u64, reason: &str) {
        self.dropped.add(count);
        if !self.is_dropping.swap(true, Relaxed) {
            tracing::warn!(reason, "lines of the audit log are dropped");
        }
    }

    /// The next lines, or `None` when no more come.
    async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut waiting = self.waiting();
                let Waiting { lines, bytes, in_hand, is_closed } = &mut *waiting;
                let mut batch = BytesMut::new();
                while let Some(line) = lines.front()
                    && (*in_hand == 0 || batch.len() + line.len() <= BATCH_BYTES_MAX)
                {
                    batch.extend_from_slice(line);
                    *bytes -= line.len();
                    lines.pop_front();
                    *in_hand += 1;
                }
                if *in_hand > 0 {
                    return Some(batch.freeze());
                }
                if *is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Lets what was taken go: it is written, or lost for this reason.
    fn settle(&self, lost: Option<&str>) {
        let count = std::mem::take(&mut self.waiting().in_hand);
        match lost {
            None => {
                self.written.add(count);
                if self.is_dropping.swap(false, Relaxed) {
                    let dropped = self.dropped.get();
                    tracing::info!(
                        dropped,
                        "lines of the audit log are written again; so many were dropped in all"
                    );
                }
            }
            Some(reason) => self.drop_lines(count, reason),
        }
    }

    fn close(&self) {
        self.waiting().is_closed = true;
        self.changed.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.waiting().is_closed
    }

    /// Waits until no more come. For the task that writes, which alone waits for changes.
    async fn closed(&self) {
        while !self.is_closed() {
            self.changed.notified().await;
        }
    }

    /// Takes what is left, of which nothing is written any more.
    fn give_up(&self) {
        let mut waiting = self.waiting();
        let left = waiting.in_hand + u64::try_from(waiting.lines.len()).unwrap_or(u64::MAX);
        *waiting = Waiting { is_closed: true, ..Waiting::default() };
        drop(waiting);
        if left > 0 {
            self.dropped.add(left);
            tracing::warn!(left, "lines of the audit log were not written before the stop");
        }
    }
}

/// What became of lines that were to be written.
#[derive(Debug)]
pub(crate) enum Problem {
    /// They were not taken, and would not be if they came again.
    Refused(String),
    /// They may be taken later.
    Failed(String),
}

/// The task that writes lines. Dropping it ends it at once.
pub(crate) struct Writer {
    env: Env,
    queue: Arc<Queue>,
    task: Task<()>,
}

impl Writer {
    /// Writes what waits, and what comes, to a sink.
    pub(crate) fn start(env: &Env, queue: Arc<Queue>, sink: Sink) -> Self {
        let task = env.spawn(run(env.clone(), queue.clone(), sink));
        Self { env: env.clone(), queue, task }
    }

    /// Writes what waits, as far as that goes in a short time. Nothing may come any more.
    pub(crate) async fn stop(mut self) {
        self.queue.close();
        let env = self.env.clone();
        if env.timeout(STOP_WAIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
        self.queue.give_up();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(env: Env, queue: Arc<Queue>, mut sink: Sink) {
    while let Some(batch) = queue.next().await {
        let mut pause = PAUSE_MIN;
        loop {
            match sink.write(batch.clone()).await {
                Ok(()) => queue.settle(None),
                Err(Problem::Refused(reason)) => queue.settle(Some(&reason)),
                Err(Problem::Failed(reason)) => {
                    tracing::warn!(reason, "the audit log cannot be written; it is tried again");
                    // The stop waits for a short time, so it ends a long pause.
                    if queue.is_closed() {
                        env.sleep(STOP_PAUSE).await;
                    } else if env.timeout(pause, queue.closed()).await.is_err() {
                        pause = (pause * 2).min(PAUSE_MAX);
                    }
                    continue;
                }
            }
            break;
        }
    }
}

#[cfg(test)]
mod tests;
