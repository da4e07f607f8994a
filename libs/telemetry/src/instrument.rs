//! What is counted with: atomics.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::trace::Recorded;

/// Upper bounds of buckets of durations, in nanoseconds: from half a millisecond to a minute.
const DURATIONS: &[u64] = &[
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// Upper bounds of buckets of durations of what mostly takes less than a millisecond, in nanoseconds: from 50 microseconds to half a
/// minute.
const SHORT_DURATIONS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// Upper bounds of buckets of counts.
const COUNTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

/// One more than the most bounds.
const BUCKETS_MAX: usize = 17;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// What was counted.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// It is this now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// This much more, or less.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// One more for as long as what is answered lives.
    pub fn enter(&self) -> Under<'_> {
        self.add(1);
        Under(self)
    }

    /// What it is.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Something that is under way, counted by a gauge until it is dropped.
#[derive(Debug)]
pub struct Under<'a>(&'a Gauge);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// How often values were how large.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// What one of the unit that is shown is in values.
    scale: f64,
    buckets: [AtomicU64; BUCKETS_MAX],
    sum: AtomicU64,
    /// Of each bucket, what was observed last in a recorded trace. There are none before the first.
    kept: OnceLock<Box<[Mutex<Option<Kept>>; BUCKETS_MAX]>>,
}

/// A value that was observed in a recorded trace.
#[derive(Debug, Clone, Copy)]
struct Kept {
    value: u64,
    within: Recorded,
    at_ms: i64,
}

impl Histogram {
    /// A histogram of durations.
    pub fn seconds() -> Self {
        Self::new(DURATIONS, 1e9)
    }

    /// A histogram of durations of what mostly takes less than a millisecond: statements, reads from memory.
    pub fn short_seconds() -> Self {
        Self::new(SHORT_DURATIONS, 1e9)
    }

    /// A histogram of numbers of things.
    pub fn counts() -> Self {
        Self::new(COUNTS, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        Self { bounds, scale, buckets: Default::default(), sum: AtomicU64::new(0), kept: OnceLock::new() }
    }

    /// Something took so long.
    pub fn took(&self, duration: Duration) {
        self.observe(nanoseconds(duration));
    }

    /// Something took so long, which is kept as an exemplar if it is part of a recorded trace: until something else of such a
    /// trace is in the same bucket. Only then the wall clock is asked for the milliseconds since the Unix epoch.
    pub fn took_within(
        &self,
        duration: Duration,
        within: Option<Recorded>,
        wall_clock_ms: impl FnOnce() -> i64,
    ) {
        let value = nanoseconds(duration);
        self.observe(value);
        let Some(within) = within else { return };
        let kept = self.kept.get_or_init(Box::default);
        // Nobody waits: whoever has it keeps one as good, or reads.
        if let Ok(mut kept) = kept[self.bucket_of(value)].try_lock() {
            *kept = Some(Kept { value, within, at_ms: wall_clock_ms() });
        }
    }

    /// There were so many of something.
    pub fn observe(&self, value: u64) {
        self.buckets[self.bucket_of(value)].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    fn bucket_of(&self, value: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    /// What was observed.
    pub fn read(&self) -> Reading {
        // Before the buckets, so that none has an exemplar and no value.
        let exemplars = self.exemplars();
        let counts: Vec<u64> =
            self.buckets[..=self.bounds.len()].iter().map(|bucket| bucket.load(Relaxed)).collect();
        Reading {
            bounds: self.bounds.iter().map(|bound| *bound as f64 / self.scale).collect(),
            counts,
            sum: self.sum.load(Relaxed) as f64 / self.scale,
            exemplars,
        }
    }

    fn exemplars(&self) -> Vec<Exemplar> {
        let kept = self.kept.get().into_iter().flat_map(|kept| kept.iter().enumerate());
        kept.filter_map(|(bucket, kept)| {
            let Kept { value, within, at_ms } = (*kept.lock().unwrap_or_else(PoisonError::into_inner))?;
            Some(Exemplar { bucket, value: value as f64 / self.scale, within, at_ms })
        })
        .collect()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a histogram has observed, in the unit that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Upper bounds of the buckets but the last, which has none.
    pub bounds: Vec<f64>,
    /// Values in each bucket, those of the buckets before not included.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
    /// Of each bucket at most one, in their order.
    pub exemplars: Vec<Exemplar>,
}

/// A value that was observed in a recorded trace, which shows where the time went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// The bucket that it is in.
    pub bucket: usize,
    /// In the unit that is shown.
    pub value: f64,
    /// The trace and the span.
    pub within: Recorded,
    /// When it was observed, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Reading {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceId};

    use super::{
        BUCKETS_MAX, COUNTS, Counter, DURATIONS, Exemplar, Gauge, Histogram, Recorded, SHORT_DURATIONS,
    };

    #[test]
    fn a_value_is_in_the_bucket_of_the_least_bound_that_is_not_below_it() {
        let histogram = Histogram::counts();
        [0, 1, 2, 3, 256, 257, 1 << 40].into_iter().for_each(|value| histogram.observe(value));
        let reading = histogram.read();
        assert_eq!(reading.bounds, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]);
        assert_eq!(reading.counts, [2, 1, 1, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((reading.count(), reading.sum), (7, (519 + (1_u64 << 40)) as f64));
    }

    #[test]
    fn durations_are_shown_in_seconds() {
        let histogram = Histogram::seconds();
        histogram.took(Duration::from_millis(1));
        histogram.took(Duration::from_secs(90));
        let reading = histogram.read();
        assert_eq!(reading.bounds.first(), Some(&0.0005));
        assert_eq!(reading.bounds.last(), Some(&60.0));
        assert_eq!((reading.counts[1], reading.counts.last(), reading.sum), (1, Some(&1), 90.001));
    }

    #[test]
    fn the_last_value_of_a_recorded_trace_is_kept_of_each_bucket() {
        let histogram = Histogram::seconds();
        let of = |trace, span| Recorded { trace: TraceId::from(trace), span: SpanId::from(span) };
        let took = |ms, within, at| histogram.took_within(Duration::from_millis(ms), within, || at);
        took(3, None, 1);
        assert_eq!((histogram.read().exemplars, histogram.kept.get().is_none()), (vec![], true));
        took(3, Some(of(7, 1)), 2);
        took(4, Some(of(8, 2)), 3);
        took(90_000, Some(of(9, 3)), 4);
        took(4, None, 5);
        let reading = histogram.read();
        let expected = [
            Exemplar { bucket: 3, value: 0.004, within: of(8, 2), at_ms: 3 },
            Exemplar { bucket: DURATIONS.len(), value: 90.0, within: of(9, 3), at_ms: 4 },
        ];
        assert_eq!(reading.exemplars, expected);
        assert_eq!((reading.counts[3], reading.count()), (4, 5));
    }

    #[test]
    fn no_value_waits_to_be_kept() {
        let histogram = Histogram::seconds();
        let within = Recorded { trace: TraceId::from(7), span: SpanId::from(1) };
        let took = |at| histogram.took_within(Duration::from_millis(3), Some(within), || at);
        took(1);
        let reader = histogram.kept.get().expect("one is kept")[3].lock();
        took(2);
        drop(reader);
        let reading = histogram.read();
        assert_eq!((reading.count(), reading.exemplars[0].at_ms), (2, 1));
    }

    #[test]
    fn every_bound_has_a_bucket_and_is_above_the_one_before() {
        for bounds in [DURATIONS, SHORT_DURATIONS, COUNTS] {
            assert!(bounds.len() < BUCKETS_MAX && bounds.is_sorted());
        }
    }

    #[test]
    fn what_is_under_way_is_counted_until_it_is_dropped() {
        let (gauge, counter) = (Gauge::default(), Counter::default());
        {
            let _first = gauge.enter();
            let _second = gauge.enter();
            counter.add(3);
            assert_eq!(gauge.get(), 2);
        }
        counter.increment();
        assert_eq!((gauge.get(), counter.get()), (0, 4));
    }
}
