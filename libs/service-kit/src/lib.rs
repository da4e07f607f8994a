//! What every service needs and none should write twice: secrets, logs, export of traces and metrics, TLS, an HTTP serving loop, health
//! and metrics endpoints and an orderly stop.
//!
//! Knows nothing of objects, chunks or metadata.

mod collector;
mod health;
mod http;
mod logs;
mod metrics;
mod metrics_export;
mod otlp;
mod panics;
mod process;
mod secret;
mod shutdown;
mod tls;
mod traces;

pub use collector::{CollectorUrl, CollectorUrlError, Origin};
pub use health::{Readiness, answer_health, health_response, may_ask, serve_health};
pub use http::{AnswerToRefused, HttpLimits, HttpServer};
pub use logs::{LogFormat, start_logs, start_logs_and_traces};
pub use metrics::{METRICS, Metrics};
pub use metrics_export::{Exporting, MetricsExport};
pub use panics::log_panics;
pub use secret::{ClusterSecret, Secret, SecretError};
pub use shutdown::{Shutdown, ShutdownTrigger, shutdown_channel, shutdown_on_signals};
pub use tls::{
    ClusterTls, ClusterTlsConfig, ListenerTls, METRICS as TLS_METRICS, ServerTls, TlsError, TlsSession, watch,
};
pub use traces::{Traces, TracesError};
