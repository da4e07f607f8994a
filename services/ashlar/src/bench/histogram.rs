//! Latencies, counted in log-linear buckets: constant size, a known relative error, merged by addition.

use std::time::Duration;

/// Buckets per power of two: a value is known within 1/64, or 1.6 %.
const STEPS_LOG2: u32 = 6;
const STEPS: u64 = 1 << STEPS_LOG2;
/// Longer latencies count as this one, about 2.4 hours; the greatest value is kept exactly besides.
const NANOSECONDS_MAX: u64 = (1 << 43) - 1;
const BUCKETS: usize = ((43 - STEPS_LOG2 as usize) + 1) * STEPS as usize;

/// How often each latency was seen, with the greatest kept exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// Empty until the first value, so that what is never used costs nothing.
    buckets: Vec<u64>,
    count: u64,
    greatest: u64,
    sum: u128,
}

impl Histogram {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { buckets: Vec::new(), count: 0, greatest: 0, sum: 0 }
    }

    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanoseconds)) {
            *bucket += 1;
        }
        self.count += 1;
        self.greatest = self.greatest.max(nanoseconds);
        self.sum += u128::from(nanoseconds);
    }

    /// Adds what another histogram saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        }
        self.count += other.count;
        self.greatest = self.greatest.max(other.greatest);
        self.sum += other.sum;
    }

    /// How many were seen.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The greatest, exactly; zero when nothing was seen.
    pub(crate) fn greatest(&self) -> Duration {
        Duration::from_nanos(self.greatest)
    }

    /// The mean, exactly; zero when nothing was seen.
    pub(crate) fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The latency that a share of `per_mille` thousandths of all did not exceed: the one of rank
    /// ⌈count · share⌉, never understated and overstated by at most 1/64.
    pub(crate) fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return Duration::from_nanos(last_of(index).min(self.greatest));
            }
        }
        self.greatest()
    }
}

/// Values below [`STEPS`] have a bucket each; above, every power of two is cut into [`STEPS`] equal buckets.
fn bucket_of(nanoseconds: u64) -> usize {
    let value = nanoseconds.min(NANOSECONDS_MAX);
    let magnitude = value.max(1).ilog2().saturating_sub(STEPS_LOG2);
    let index = u64::from(magnitude) * STEPS + (value >> magnitude);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The greatest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let magnitude = (bucket / STEPS).saturating_sub(1);
    ((bucket - magnitude * STEPS + 1) << magnitude) - 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, Histogram, NANOSECONDS_MAX, bucket_of, last_of};
    use s3_client::mix;

    #[test]
    fn buckets_meet_without_gap_or_overlap() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(next), bucket, "the first value of bucket {bucket}");
            assert_eq!(bucket_of(last_of(bucket)), bucket, "the last value of bucket {bucket}");
            next = last_of(bucket) + 1;
        }
        assert_eq!(next, NANOSECONDS_MAX + 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_the_exact_ones_or_up_to_one_sixty_fourth_more() {
        // Uniform, heavy-tailed, constant, two-humped, and a single value.
        let distributions: [(&str, Vec<u64>); 5] = [
            ("uniform", (0..50_000).map(|i| mix(i) % 5_000_000).collect()),
            ("tail", (0..50_000).map(|i| 1_000_000_000_000 / (1 + mix(i) % 1_000_000)).collect()),
            ("constant", vec![123_456_789; 1000]),
            (
                "humps",
                (0..10_001)
                    .map(|i| if mix(i).is_multiple_of(10) { 40_000_000 } else { 150_000 + i })
                    .collect(),
            ),
            ("single", vec![7]),
        ];
        for (name, mut values) in distributions {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(Duration::from_nanos(*value)));
            values.sort_unstable();
            for per_mille in [0, 1, 500, 900, 990, 999, 1000] {
                let rank = (values.len() * usize::try_from(per_mille).unwrap()).div_ceil(1000).max(1);
                let exact = values[rank - 1];
                let told = u64::try_from(histogram.quantile(per_mille).as_nanos()).unwrap();
                assert!(
                    exact <= told && told <= exact + exact / 64,
                    "{name} {per_mille}: {told} for {exact}"
                );
            }
            assert_eq!(histogram.greatest().as_nanos(), u128::from(*values.last().unwrap()), "{name}");
            assert_eq!(histogram.count(), values.len() as u64);
        }
    }

    #[test]
    fn merging_gives_what_one_histogram_would_have_seen() {
        let mut whole = Histogram::new();
        let mut parts = vec![Histogram::new(); 4];
        for index in 0..10_000_u64 {
            let latency = Duration::from_nanos(mix(index) % 1_000_000_000);
            whole.record(latency);
            // The last part stays empty.
            parts[usize::try_from(index % 3).unwrap()].record(latency);
        }
        let mut merged = Histogram::new();
        parts.iter().for_each(|part| merged.merge(part));
        assert_eq!(merged, whole);
    }

    #[test]
    fn an_empty_histogram_tells_zero() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(500), Duration::ZERO);
        assert_eq!(histogram.mean(), Duration::ZERO);
        assert_eq!(histogram.greatest(), Duration::ZERO);
    }
}
