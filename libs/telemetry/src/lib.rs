//! What services show to operators of their work: counters, and their text form for Prometheus; and the context of the
//! trace that work belongs to.
//!
//! Whoever does something owns the counters of it, as fields beside its other state, and is a [`Source`]: it tells what
//! they count when it is asked. So nothing is registered anywhere, two services can live in one process, and counting is
//! an atomic addition or two, without a lock, a look-up or an allocation.
//!
//! `docs/decisions/0009-telemetry.md` has the reasons.

mod instrument;
mod metric;
mod samples;
pub mod trace;

use async_trait::async_trait;

pub use instrument::{Counter, Exemplar, Gauge, Histogram, Reading, Under};
pub use metric::{Kind, Metric};
pub use samples::{Family, Number, Samples, Series, Value};
pub use trace::TRACE;

/// Something that counts.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Adds what is counted now.
    async fn collect(&self, samples: &mut Samples);
}
