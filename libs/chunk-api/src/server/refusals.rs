//! Counts calls that were refused before anything was done for them.

use async_trait::async_trait;
use telemetry::{Counter, Samples, Source, metrics};

metrics! {
    REFUSED: counter("ashlar_chunk_calls_refused_total", ["reason"], "Calls that were refused before anything was done for them: by whoever shows no token, or none of this cluster (token), is a service that may not make the call (role), or shows a token for another call (method), disk, chunk or names (range) or epoch of the cluster map, or one that has ended or ends too late (ended).");
    CLUSTER_TOKEN: counter("ashlar_chunk_calls_with_cluster_token_total", [], "Calls that showed the token of the releases before, which is good for any call and does not end. Refused where --demand-capabilities is set.");
}

/// Calls that were refused, by the reason.
#[derive(Debug, Default)]
pub struct Refusals {
    pub(crate) token: Counter,
    pub(crate) role: Counter,
    pub(crate) method: Counter,
    pub(crate) disk: Counter,
    pub(crate) range: Counter,
    pub(crate) epoch: Counter,
    pub(crate) ended: Counter,
    pub(crate) cluster_token: Counter,
}

#[async_trait]
impl Source for Refusals {
    async fn collect(&self, samples: &mut Samples) {
        samples.add(&REFUSED, &["token"], &self.token);
        samples.add(&REFUSED, &["role"], &self.role);
        samples.add(&REFUSED, &["method"], &self.method);
        samples.add(&REFUSED, &["disk"], &self.disk);
        samples.add(&REFUSED, &["range"], &self.range);
        samples.add(&REFUSED, &["epoch"], &self.epoch);
        samples.add(&REFUSED, &["ended"], &self.ended);
        samples.add(&CLUSTER_TOKEN, &[], &self.cluster_token);
    }
}
