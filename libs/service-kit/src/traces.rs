//! Traces, exported by OTLP over HTTP to a collector.
//!
//! Spans wait in a queue of bounded length and are sent in batches by a thread of their own. What the collector does not
//! take in time is lost, and what comes faster than it is sent too: nothing else waits for it.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use env::Env;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, Uri,
    client::conn::http1::handshake,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tokio::runtime::Handle;

/// Most spans that wait to be sent; more are dropped.
const QUEUE_SPANS_MAX: usize = 4096;

/// Most spans that are sent at once.
const BATCH_SPANS_MAX: usize = 512;

/// Longest time that spans wait for others.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// Longest time that the collector may take for a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that the stop waits for the last spans to be sent.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Most bytes of the collector's answer, which says how much it took.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where a collector takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl {
    /// Host and port.
    authority: String,
    /// What comes before the path of the protocol.
    path: String,
}

/// A URL is not one of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a collector's URL is like http://collector:4318; plain HTTP alone is spoken")]
pub struct CollectorUrlError;

impl FromStr for CollectorUrl {
    type Err = CollectorUrlError;

    fn from_str(text: &str) -> Result<Self, CollectorUrlError> {
        let uri: Uri = text.parse().map_err(|_| CollectorUrlError)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some("http"), Some(authority), None) = (uri.scheme_str(), authority, uri.query()) else {
            return Err(CollectorUrlError);
        };
        if authority.host().is_empty() {
            return Err(CollectorUrlError);
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

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
    /// Exports traces of this service to a collector. Of traces that begin here so many are recorded, from 0 to 1; those that
    /// clients began are recorded if the clients say so. Call it within the runtime.
    pub fn start(
        env: &Env,
        collector: &CollectorUrl,
        ratio: f64,
        service: &str,
    ) -> Result<Self, TracesError> {
        let client = Collector {
            env: env.clone(),
            runtime: Handle::current(),
            url: collector.clone(),
            is_reached: AtomicBool::new(true),
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
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", format!("ashlar-{service}")),
                KeyValue::new("service.namespace", "ashlar"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", format!("{:016x}", env.random_u64())),
            ])
            .build();
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

/// The way to the collector: one connection for each batch.
struct Collector {
    env: Env,
    runtime: Handle,
    url: CollectorUrl,
    is_reached: AtomicBool,
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
        let (env, authority) = (self.env.clone(), self.url.authority.clone());
        let sending = {
            let _inside = self.runtime.enter();
            self.env.spawn(async move { env.timeout(EXPORT_TIMEOUT, send(&env, &authority, request)).await })
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
        let problem = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered with status {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_reached = self.is_reached.swap(problem.is_none(), Ordering::Relaxed);
        match problem {
            Some(reason) if was_reached => {
                tracing::warn!(collector = %self.url, reason, "the collector takes no spans; they are dropped");
            }
            None if !was_reached => tracing::info!(collector = %self.url, "the collector takes spans again"),
            _ => {}
        }
    }
}

async fn send(env: &Env, authority: &str, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let connection = env.connect(authority).await?;
    let (mut sender, connection) = handshake(TokioIo::new(connection)).await?;
    let serving = env.spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.path().parse()?;
    parts.headers.insert(HOST, HeaderValue::from_str(authority)?);
    let (parts, body) = sender.send_request(Request::from_parts(parts, Full::new(body))).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    serving.abort();
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::CollectorUrl;

    #[test]
    fn a_collector_is_named_by_a_plain_url() {
        let url = |text: &str| text.parse::<CollectorUrl>().map(|url| url.to_string()).ok();
        assert_eq!(url("http://collector:4318").as_deref(), Some("http://collector:4318"));
        assert_eq!(url("http://collector/").as_deref(), Some("http://collector:80"));
        assert_eq!(url("http://[::1]:4318/base/").as_deref(), Some("http://[::1]:4318/base"));
        for bad in
            ["", "collector:4318", "https://collector:4318", "http://", "http://a@b:1", "http://b:1/?x=1"]
        {
            assert_eq!(url(bad), None, "{bad}");
        }
    }
}
