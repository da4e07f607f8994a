//! Metrics, exported by OTLP over HTTP to a collector.
//!
//! What `/metrics` tells is sent at intervals, one batch at a time, each with everything that was counted since the process started. So
//! nothing waits in memory, and what a collector does not take in time is made good by what it takes next.

use std::time::Duration;

use bytes::Bytes;
use env::{Env, Task};
use hyper::{
    Method, Request, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use crate::{
    CollectorUrl, Metrics, Origin, Shutdown, ShutdownTrigger,
    collector::{EXPORT_TIMEOUT, Failure, Reached, problem},
    otlp::{Times, request},
    shutdown_channel,
};

/// Longest time that the stop waits for the last batch to be taken: leases are given back after it.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// Where a service exports metrics to, and how often.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    env: Env,
    collector: CollectorUrl,
    interval: Duration,
    origin: Origin,
    /// By the wall clock, in nanoseconds since the Unix epoch.
    started: u64,
}

/// An export under way. Dropping it ends it at once.
#[derive(Debug)]
pub struct Exporting {
    env: Env,
    stop: ShutdownTrigger,
    task: Task<()>,
}

impl MetricsExport {
    /// To this collector from now on, once an interval.
    pub fn new(env: &Env, collector: CollectorUrl, interval: Duration, origin: Origin) -> Self {
        Self { env: env.clone(), collector, interval, origin, started: now(env) }
    }

    /// Begins to export these.
    pub fn start(self, metrics: Metrics) -> Exporting {
        let env = self.env.clone();
        let (stop, stopped) = shutdown_channel();
        let task = env.spawn(self.run(metrics, stopped));
        Exporting { env, stop, task }
    }

    /// Sends at each interval, and once more when the stop begins.
    async fn run(self, metrics: Metrics, stopped: Shutdown) {
        let (reached, mut told) = (Reached::new(), 0);
        let mut due = self.env.now().after(self.interval);
        while !stopped.has_begun() {
            tokio::select! {
                () = self.env.sleep(due.since(self.env.now())) => {}
                () = stopped.begun() => break,
            }
            due = self.env.now().after(self.interval);
            tokio::select! {
                () = self.export(&metrics, &reached, &mut told) => {}
                () = stopped.begun() => break,
            }
        }
        self.export(&metrics, &reached, &mut told).await;
    }

    /// Sends what is counted now. `told` is as of when that was told last.
    async fn export(&self, metrics: &Metrics, reached: &Reached, told: &mut u64) {
        // Before anything is read, so that no exemplar falls between two batches.
        let reading = now(&self.env);
        let samples = metrics.read().await;
        let times = Times { from: self.started, to: now(&self.env).max(self.started), told: *told };
        let body = Bytes::from(request(&samples, &self.origin, times).encode_to_vec());
        drop(samples);
        let answer = match self.env.timeout(EXPORT_TIMEOUT, self.send(body)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(elapsed.to_string().into()),
        };
        let problem =
            problem(&answer).or_else(|| answer.ok().and_then(|answer| rejected(answer.into_body())));
        if problem.is_none() {
            *told = reading;
        }
        if reached.note(problem.is_none()) {
            let collector = &self.collector;
            match problem {
                Some(reason) => tracing::warn!(%collector, reason, "the collector takes no metrics"),
                None => tracing::info!(%collector, "the collector takes metrics again"),
            }
        }
    }

    async fn send(&self, body: Bytes) -> Result<Response<Bytes>, Failure> {
        let length = HeaderValue::from(body.len());
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{}/v1/metrics", self.collector).parse()?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        request.headers_mut().insert(CONTENT_LENGTH, length);
        self.collector.send(&self.env, request).await
    }
}

impl Exporting {
    /// Sends what was counted last, as far as that goes in a short time.
    pub async fn stop(mut self) {
        self.stop.begin();
        let _ = self.env.timeout(STOP_WAIT, &mut self.task).await;
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// By the wall clock, in nanoseconds since the Unix epoch.
fn now(env: &Env) -> u64 {
    u64::try_from(env.wall_clock_ms()).unwrap_or(0).saturating_mul(1_000_000)
}

/// What an answer says that the collector did not take. One that is not understood says nothing.
fn rejected(body: Bytes) -> Option<String> {
    let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
    let reason = || format!("it rejected {} points: {}", partial.rejected_data_points, partial.error_message);
    (partial.rejected_data_points > 0).then(reason)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use prost::Message;

    use super::rejected;

    #[test]
    fn what_a_collector_did_not_take_is_told() {
        let answer = |rejected_data_points| {
            let partial_success =
                Some(ExportMetricsPartialSuccess { rejected_data_points, error_message: "too old".into() });
            rejected(Bytes::from(ExportMetricsServiceResponse { partial_success }.encode_to_vec()))
        };
        assert_eq!(answer(3).as_deref(), Some("it rejected 3 points: too old"));
        assert_eq!(
            [answer(0), rejected(Bytes::new()), rejected(Bytes::from_static(b"\xff"))],
            [None, None, None]
        );
    }
}
