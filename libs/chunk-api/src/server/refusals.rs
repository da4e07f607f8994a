//! Counts calls that were refused before anything was done for them.

use async_trait::async_trait;
use telemetry::{Counter, Samples, Source, metrics};

metrics! {
    REFUSED: counter("ashlar_chunk_calls_refused_total", ["reason"], "Calls that were refused before anything was done for them: by whoever does not know the cluster's secret (token), or is a service that may not make the call (role).");
}

/// Calls that were refused, by the reason.
#[derive(Debug, Default)]
pub struct Refusals {
    pub(super) token: Counter,
    pub(super) role: Counter,
}

#[async_trait]
impl Source for Refusals {
    async fn collect(&self, samples: &mut Samples) {
        samples.add(&REFUSED, &["token"], &self.token);
        samples.add(&REFUSED, &["role"], &self.role);
    }
}
