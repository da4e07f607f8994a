//! What a service tells of itself on `/metrics`: its own counters, and what the process uses.

use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use telemetry::{Samples, Source, metrics};

use crate::{panics, process::Usage};

/// What the answer is in.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What it is in for whoever would rather have that.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

metrics! {
    BUILD: gauge("ashlar_build_info", ["service", "version"], "Always 1: which service this is, and its version.");
    PANICS: counter("ashlar_panics_total", [], "Panics, which are defects of the program. A request whose handling panics is answered with 500; other tasks that do so end.");
    CPU: counter("process_cpu_seconds_total", [], "Processor time used, in user and in kernel mode.");
    RESIDENT: gauge("process_resident_memory_bytes", [], "Resident memory.");
    VIRTUAL: gauge("process_virtual_memory_bytes", [], "Virtual memory.");
    FILES: gauge("process_open_fds", [], "Open file descriptors.");
    FILES_MAX: gauge("process_max_fds", [], "Most file descriptors that may be open.");
    STARTED: gauge("process_start_time_seconds", [], "When the process started, since the Unix epoch.");
    THREADS: gauge("process_threads", [], "Threads.");
}

/// Everything that a service counts. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    env: Env,
    service: &'static str,
    sources: Arc<[Arc<dyn Source>]>,
}

impl Metrics {
    /// What these count, told by the service of this name.
    pub fn new(env: &Env, service: &'static str, sources: impl Into<Arc<[Arc<dyn Source>]>>) -> Self {
        Self { env: env.clone(), service, sources: sources.into() }
    }

    /// The same, and what this counts.
    #[must_use]
    pub fn with(self, source: Arc<dyn Source>) -> Self {
        Self { sources: self.sources.iter().cloned().chain([source]).collect(), ..self }
    }

    /// What is counted now.
    pub async fn read(&self) -> Samples {
        let mut samples = Samples::default();
        samples.add(&BUILD, &[self.service, env!("CARGO_PKG_VERSION")], 1_u64);
        samples.add(&PANICS, &[], panics::count());
        // Where there is no /proc, there is nothing to tell.
        if let Some(Ok(usage)) = self.env.spawn_blocking(Usage::read).await {
            tell(&usage, &mut samples);
        }
        for source in self.sources.iter() {
            source.collect(&mut samples).await;
        }
        samples
    }

    /// The answer to a request with these headers for `/metrics`, or `None` for any other path.
    pub async fn response(&self, path: &str, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
        if path != "/metrics" {
            return None;
        }
        let samples = self.read().await;
        let (text, format) = match takes_open_metrics(headers) {
            true => (samples.open_metrics(), OPEN_METRICS),
            false => (samples.text(), TEXT_FORMAT),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format));
        Some(response)
    }
}

/// Whether whoever asks would rather have OpenMetrics, in the version that there is, than plain text. Wildcards ask for no more than
/// they always got. Source: RFC 9110, the section "Accept".
fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut open_metrics, mut plain) = (0.0, 0.0);
    for range in ranges.flat_map(|ranges| ranges.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let (mut weight, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                // What is no number asks for nothing.
                "q" => weight = value.trim().parse::<f32>().unwrap_or(0.0),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        if kind.eq_ignore_ascii_case("text/plain") {
            plain = weight.max(plain);
        } else if kind.eq_ignore_ascii_case("application/openmetrics-text")
            && version.is_none_or(|version| version == "1.0.0")
        {
            open_metrics = weight.max(open_metrics);
        }
    }
    open_metrics > 0.0 && open_metrics >= plain
}

fn tell(usage: &Usage, samples: &mut Samples) {
    samples.add(&CPU, &[], usage.cpu_seconds);
    samples.add(&RESIDENT, &[], usage.resident_bytes);
    samples.add(&VIRTUAL, &[], usage.virtual_bytes);
    samples.add(&STARTED, &[], usage.started_seconds);
    samples.add(&THREADS, &[], usage.threads);
    if let Some(open) = usage.files_open {
        samples.add(&FILES, &[], open);
    }
    if let Some(most) = usage.files_max {
        samples.add(&FILES_MAX, &[], most);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{
        HeaderMap,
        header::{ACCEPT, HeaderValue},
    };

    use super::takes_open_metrics;

    #[test]
    fn openmetrics_is_for_whoever_would_rather_have_it() {
        let takes = |accept: &[&'static str]| {
            let values = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
            takes_open_metrics(&values.collect::<HeaderMap>())
        };
        for asked in [
            // Prometheus 2, and 3.
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
               text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ][..],
            &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
               application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.1"],
            &["application/openmetrics-text"],
            &["text/html", "Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.2"],
        ] {
            assert!(takes(asked), "{asked:?}");
        }
        for asked in [
            &[][..],
            &["*/*"],
            &["application/*"],
            &["text/plain"],
            &["application/openmetrics-text;version=0.0.1"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;q=much"],
            &["application/openmetrics-text;q=0.4,text/plain;q=0.5"],
            &["application/openmetrics-text;q=NaN"],
        ] {
            assert!(!takes(asked), "{asked:?}");
        }
    }
}
