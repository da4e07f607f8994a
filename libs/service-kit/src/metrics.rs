//! What a service tells of itself on `/metrics`: its own counters, and what the process uses.

use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use http_body_util::Full;
use hyper::{
    Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use telemetry::{Samples, Source, metrics};

use crate::process::Usage;

/// What the answer is in.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

metrics! {
    BUILD: gauge("ashlar_build_info", ["service", "version"], "Always 1: which service this is, and its version.");
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
        // Where there is no /proc, there is nothing to tell.
        if let Some(Ok(usage)) = self.env.spawn_blocking(Usage::read).await {
            tell(&usage, &mut samples);
        }
        for source in self.sources.iter() {
            source.collect(&mut samples).await;
        }
        samples
    }

    /// The answer to `/metrics`, or `None` for any other path.
    pub async fn response(&self, path: &str) -> Option<Response<Full<Bytes>>> {
        if path != "/metrics" {
            return None;
        }
        let mut response = Response::new(Full::new(Bytes::from(self.read().await.text())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
        Some(response)
    }
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
