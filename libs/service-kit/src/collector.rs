//! The way to a collector of OpenTelemetry: OTLP over plain HTTP, one connection for each batch.

use std::{
    fmt,
    pin::pin,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, Uri,
    client::conn::http1::handshake,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use opentelemetry::KeyValue;

/// Longest time that the collector may take for a batch.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of the collector's answer, which says how much it took.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why a batch was not taken.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where a collector takes traces or metrics.
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

impl CollectorUrl {
    /// Sends a request to the collector and reads its answer. It takes as long as the collector does, and leaves no connection behind
    /// when it is dropped.
    pub(crate) async fn send(&self, env: &Env, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let connection = env.connect(&self.authority).await?;
        let (mut sender, connection) = handshake(TokioIo::new(connection)).await?;
        let (mut parts, body) = request.into_parts();
        parts.uri = parts.uri.path().parse()?;
        parts.headers.insert(HOST, HeaderValue::from_str(&self.authority)?);
        let request = Request::from_parts(parts, Full::new(body));
        let mut exchange = pin!(async move {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(parts, body))
        });
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // What was read before the connection ended may be the whole answer.
            _ = connection => exchange.await,
        }
    }
}

/// What tells of itself: one life of one service.
#[derive(Debug, Clone)]
pub struct Origin {
    service: &'static str,
    instance: u64,
}

impl Origin {
    /// That of the service of this name, which starts now.
    pub fn new(env: &Env, service: &'static str) -> Self {
        Self { service, instance: env.random_u64() }
    }

    /// As OpenTelemetry's semantic conventions for resources have it.
    pub(crate) fn attributes(&self) -> [KeyValue; 4] {
        [
            KeyValue::new("service.name", format!("ashlar-{}", self.service)),
            KeyValue::new("service.namespace", "ashlar"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{:016x}", self.instance)),
        ]
    }
}

/// Whether a collector is heard of, so that only changes of that are logged.
#[derive(Debug)]
pub(crate) struct Reached(AtomicBool);

impl Reached {
    /// As long as nothing is known it counts as reached.
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Notes whether it was reached, and tells whether that has changed.
    pub(crate) fn note(&self, is_reached: bool) -> bool {
        self.0.swap(is_reached, Ordering::Relaxed) != is_reached
    }
}

/// What is wrong with an answer, if something is.
pub(crate) fn problem(answer: &Result<Response<Bytes>, Failure>) -> Option<String> {
    match answer {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(format!("it answered with status {}", answer.status())),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{CollectorUrl, Reached};

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

    #[test]
    fn only_changes_are_told() {
        let reached = Reached::new();
        assert_eq!([true, false, false, true].map(|is| reached.note(is)), [false, true, false, true]);
    }
}
