//! Traces, exported by OTLP over HTTP to a collector.
//!
//! Spans wait in a queue of bounded length and are sent in batches by a thread of their own. What the collector does not
//! take in time is lost, and what comes faster than it is sent too: nothing else waits for it.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use env::Env;
use hyper::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tokio::runtime::Handle;

use crate::{
    CollectorUrl, Origin,
    collector::{EXPORT_TIMEOUT, Reached, problem},
};

/// Most spans that wait to be sent; more are dropped.
const QUEUE_SPANS_MAX: usize = 4096;

/// Most spans that are sent at once.
const BATCH_SPANS_MAX: usize = 512;

/// Longest time that spans wait for others.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// Longest time that the stop waits for the last spans to be sent.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// The export of traces.
pub struct Traces {
    env: Env,
    provider: SdkTracerProvider,
}

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported")]
pub struct TracesError(#[from] ExporterBuildError);

impl Traces {
    /// Exports traces of a service to a collector. Of traces that begin here so many are recorded, from 0 to 1; those that
    /// clients began are recorded if the clients say so. Call it within the runtime.
    pub fn start(
        env: &Env,
        collector: &CollectorUrl,
        ratio: f64,
        origin: &Origin,
    ) -> Result<Self, TracesError> {
        let client = Collector {
            env: env.clone(),
            runtime: Handle::current(),
            url: collector.clone(),
            reached: Reached::new(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{collector}/v1/traces"))
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(BATCH_WAIT)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty().with_attributes(origin.attributes()).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource)
            .build();
        Ok(Self { env: env.clone(), provider })
    }

    /// What makes spans.
    pub(crate) fn tracer(&self) -> opentelemetry_sdk::trace::Tracer {
        self.provider.tracer("ashlar")
    }

    /// Sends what waits, as far as that goes in a short time.
    pub async fn stop(self) {
        let Self { env, provider } = self;
        let stopping = env.spawn_blocking(move || provider.shutdown_with_timeout(STOP_WAIT));
        if let Some(Err(error)) = stopping.await {
            tracing::info!(%error, "not all spans were sent");
        }
    }
}

/// The way to the collector.
struct Collector {
    env: Env,
    runtime: Handle,
    url: CollectorUrl,
    reached: Reached,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({})", self.url)
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Is called by the thread that sends batches, which is outside the runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (env, url) = (self.env.clone(), self.url.clone());
        let sending = {
            let _inside = self.runtime.enter();
            self.env.spawn(async move { env.timeout(EXPORT_TIMEOUT, url.send(&env, request)).await })
        };
        let answer = match sending.await {
            Some(Ok(answer)) => answer,
            Some(Err(elapsed)) => Err(elapsed.to_string().into()),
            None => Err("the runtime has ended".into()),
        };
        self.tell(&answer);
        answer
    }
}

impl Collector {
    /// Logs when the collector cannot be reached, and when it is again.
    fn tell(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let problem = problem(answer);
        if self.reached.note(problem.is_none()) {
            match problem {
                Some(reason) => {
                    tracing::warn!(collector = %self.url, reason, "the collector takes no spans; they are dropped");
                }
                None => tracing::info!(collector = %self.url, "the collector takes spans again"),
            }
        }
    }
}
