//! Logs to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use telemetry::trace::{REQUEST, TRACE};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::Traces;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, in colours only on a terminal and where `NO_COLOR` is not set. `filter` is in the syntax of `tracing`'s `EnvFilter`, such as `info` or `gateway=debug`; one that
/// does not parse counts as `info`. A second call in one process does nothing.
pub fn start_logs(format: LogFormat, filter: &str) {
    start_logs_and_traces(format, filter, None);
}

/// The same, and has spans recorded for traces. Without them the spans of traces are made nowhere.
pub fn start_logs_and_traces(format: LogFormat, filter: &str, traces: Option<&Traces>) {
    let mut layers = vec![log_layer(format, filter)];
    if let Some(traces) = traces {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        let is_traced = filter_fn(|of| of.is_span() && [TRACE, REQUEST].contains(&of.target()));
        layers.push(layer.with_filter(is_traced).boxed());
    }
    match tracing_subscriber::registry().with(layers).try_init() {
        Ok(()) if traces.is_some() => telemetry::trace::turn_on(),
        Ok(()) => {}
        Err(_) => tracing::debug!("logging was started before"),
    }
}

fn log_layer(format: LogFormat, filter: &str) -> Box<dyn Layer<Registry> + Send + Sync> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // Lines name the request that they are about whatever is logged.
    // With the levels that each lets through, what no level lets through is passed over by one comparison.
    let of_requests = filter_fn(|of| of.target() == REQUEST).with_max_level_hint(LevelFilter::ERROR);
    let but_traces = filter_fn(|of| of.target() != TRACE).with_max_level_hint(LevelFilter::TRACE);
    let filter = filter.or(of_requests).and(but_traces);
    let mut layer = fmt::layer().with_writer(std::io::stderr);
    if !std::io::stderr().is_terminal() {
        layer = layer.with_ansi(false);
    }
    match format {
        LogFormat::Text => layer.with_target(false).with_filter(filter).boxed(),
        // The span that a line is written in is the request that it belongs to.
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer, filter::LevelFilter};

    use super::{LogFormat, log_layer, start_logs};

    #[test]
    fn what_no_level_lets_through_is_known_beforehand() {
        let levels = |filter| log_layer(LogFormat::Text, filter).max_level_hint();
        assert_eq!(levels("info"), Some(LevelFilter::INFO));
        assert_eq!(levels("warn,gateway=debug"), Some(LevelFilter::DEBUG));
        // Requests are named whatever is logged.
        assert_eq!(levels("off"), Some(LevelFilter::ERROR));
    }

    #[test]
    fn spans_of_traces_are_made_nowhere_while_none_are_exported() {
        start_logs(LogFormat::Json, "trace");
        assert!(!tracing::trace_span!(target: "any", "call").is_disabled());
        assert!(!telemetry::trace::is_on());
        let span = tracing::error_span!(target: telemetry::TRACE, "call");
        assert!(span.is_disabled());
        telemetry::trace::carry(&span, |name, value| unreachable!("{name}: {value}"));
        assert_eq!(telemetry::trace::recorded(&span), None);
    }
}
