//! What sources tell when they are asked, and its text form.

use std::fmt::Write;

use crate::{Counter, Exemplar, Gauge, Histogram, Kind, Metric, Reading};

/// A number as it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// One that is not negative.
    Whole(u64),
    /// One that may be.
    Signed(i64),
    /// One with a fraction.
    Fraction(f64),
}

impl Number {
    /// As a fraction.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Signed(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Signed(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Fraction(number)
    }
}

impl From<bool> for Number {
    fn from(is: bool) -> Self {
        Self::Whole(is.into())
    }
}

impl From<&Counter> for Number {
    fn from(counter: &Counter) -> Self {
        Self::Whole(counter.get())
    }
}

impl From<&Gauge> for Number {
    fn from(gauge: &Gauge) -> Self {
        Self::Signed(gauge.get())
    }
}

/// What a series is at.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or gauge.
    Number(Number),
    /// Of a histogram.
    Histogram(Reading),
}

/// A metric with one value for each of its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels' values, in the order of their names.
    pub labels: Vec<String>,
    /// What it is at.
    pub value: Value,
}

/// The series of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric.
    pub metric: &'static Metric,
    /// In the order in which they were told.
    pub series: Vec<Series>,
}

/// What sources have told.
#[derive(Debug, Default)]
pub struct Samples {
    families: Vec<Family>,
}

impl Samples {
    /// Tells of a series of a counter or gauge. There is one value for each label.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], number: impl Into<Number>) {
        self.push(metric, labels, Value::Number(number.into()));
    }

    /// Tells of a counter's series if it has counted something.
    pub fn add_counted(&mut self, metric: &'static Metric, labels: &[&str], counter: &Counter) {
        let count = counter.get();
        if count > 0 {
            self.add(metric, labels, count);
        }
    }

    /// Tells of a histogram's series.
    pub fn add_histogram(&mut self, metric: &'static Metric, labels: &[&str], histogram: &Histogram) {
        self.push(metric, labels, Value::Histogram(histogram.read()));
    }

    /// Tells of a histogram's series if it has observed something.
    pub fn add_observed(&mut self, metric: &'static Metric, labels: &[&str], histogram: &Histogram) {
        let reading = histogram.read();
        if reading.count() > 0 {
            self.push(metric, labels, Value::Histogram(reading));
        }
    }

    fn push(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        let series = Series { labels: labels.iter().map(|&label| label.to_owned()).collect(), value };
        // Sources tell of one metric after the other, so that the last is mostly the one.
        match self.families.iter_mut().rev().find(|family| family.metric == metric) {
            Some(family) => family.series.push(series),
            None => self.families.push(Family { metric, series: vec![series] }),
        }
    }

    /// What was told of each metric.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The text form for Prometheus. Source: Prometheus, "Exposition formats", the section "Text-based format", version 0.0.4.
    pub fn text(&self) -> String {
        self.write(Form::Plain)
    }

    /// The text form of OpenMetrics, which has exemplars. Source: OpenMetrics, version 1.0.0, the section "Text Format".
    pub fn open_metrics(&self) -> String {
        self.write(Form::OpenMetrics)
    }

    fn write(&self, form: Form) -> String {
        let mut out = String::with_capacity(16 << 10);
        for Family { metric, series } in &self.families {
            form.write_head(&mut out, metric);
            for one in series {
                let pairs = Pairs(metric.labels, &one.labels);
                match &one.value {
                    Value::Number(number) => {
                        out.push_str(metric.name);
                        pairs.write(&mut out, None);
                        // A string takes whatever is written to it.
                        let _ = writeln!(out, " {}", text_of(*number));
                    }
                    Value::Histogram(reading) => form.write_histogram(&mut out, metric.name, &pairs, reading),
                }
            }
            debug_assert!(
                metric.kind != Kind::Histogram || series.iter().all(Series::is_histogram),
                "{}",
                metric.name
            );
        }
        if form == Form::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

/// A text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    OpenMetrics,
}

impl Form {
    /// Writes what a metric is.
    fn write_head(self, out: &mut String, metric: &Metric) {
        let Metric { name, kind, help, .. } = metric;
        let (kind, help) = (kind.name(), help.replace('\\', "\\\\").replace('\n', "\\n"));
        match self {
            Self::Plain => {
                let _ = writeln!(out, "# HELP {name} {help}");
                let _ = writeln!(out, "# TYPE {name} {kind}");
            }
            // A counter is called there as its series are, without their ending.
            Self::OpenMetrics => {
                let name = name.strip_suffix("_total").unwrap_or(name);
                let _ = writeln!(out, "# TYPE {name} {kind}");
                if let Some(unit) = metric.unit() {
                    let _ = writeln!(out, "# UNIT {name} {unit}");
                }
                let _ = writeln!(out, "# HELP {name} {}", help.replace('"', "\\\""));
            }
        }
    }

    fn write_histogram(self, out: &mut String, name: &str, pairs: &Pairs<'_>, reading: &Reading) {
        let mut count = 0;
        let bounds = reading.bounds.iter().map(|bound| self.bound(*bound)).chain(["+Inf".to_owned()]);
        for (bucket, (bound, more)) in bounds.zip(&reading.counts).enumerate() {
            count += more;
            let _ = write!(out, "{name}_bucket");
            pairs.write(out, Some(&bound));
            let _ = write!(out, " {count}");
            let exemplar = reading.exemplars.iter().find(|exemplar| exemplar.bucket == bucket);
            if let (Self::OpenMetrics, Some(exemplar)) = (self, exemplar) {
                let Exemplar { value, within, at_ms, .. } = exemplar;
                let (trace, span) = (within.trace, within.span);
                let at = *at_ms as f64 / 1e3;
                let _ = write!(out, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {at:.3}");
            }
            out.push('\n');
        }
        let _ = write!(out, "{name}_sum");
        pairs.write(out, None);
        let _ = writeln!(out, " {}", reading.sum);
        let _ = write!(out, "{name}_count");
        pairs.write(out, None);
        let _ = writeln!(out, " {count}");
    }

    /// The bound of a bucket. OpenMetrics wants numbers that are whole to be seen to be of those that need not be.
    fn bound(self, bound: f64) -> String {
        let text = bound.to_string();
        if self == Self::Plain || text.contains('.') { text } else { text + ".0" }
    }
}

impl Series {
    fn is_histogram(&self) -> bool {
        matches!(self.value, Value::Histogram(_))
    }
}

fn text_of(number: Number) -> String {
    match number {
        Number::Whole(number) => number.to_string(),
        Number::Signed(number) => number.to_string(),
        Number::Fraction(number) => number.to_string(),
    }
}

/// Names of labels, and their values.
struct Pairs<'a>(&'a [&'a str], &'a [String]);

impl Pairs<'_> {
    /// Writes them, and a histogram's bound.
    fn write(&self, out: &mut String, bound: Option<&str>) {
        let pairs = self.0.iter().copied().zip(self.1.iter().map(String::as_str));
        let mut before = '{';
        for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(out, "{before}{name}=\"{value}\"");
            before = ',';
        }
        if before == ',' {
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceId};

    use super::Samples;
    use crate::{Counter, Histogram, Metric, trace::Recorded};

    static CALLS: Metric =
        Metric::counter("calls_total", &["method", "code"], "Calls \\ by method\nand code.");
    static FREE: Metric = Metric::gauge("free_bytes", &[], "Free.");
    static SIZES: Metric = Metric::histogram("sizes", &["of"], "Sizes.");
    static TOOK: Metric = Metric::histogram("took_seconds", &["of"], "What \"took\" how long.");

    #[test]
    fn series_of_one_metric_stand_together_whoever_told_of_them() {
        let mut samples = Samples::default();
        samples.add(&CALLS, &["get", "OK"], 3_u64);
        samples.add(&FREE, &[], -1_i64);
        samples.add(&CALLS, &["put", "a\"b\\c\nd"], 1_u64);
        let expected = "\
# HELP calls_total Calls \\\\ by method\\nand code.
# TYPE calls_total counter
calls_total{method=\"get\",code=\"OK\"} 3
calls_total{method=\"put\",code=\"a\\\"b\\\\c\\nd\"} 1
# HELP free_bytes Free.
# TYPE free_bytes gauge
free_bytes -1
";
        assert_eq!(samples.text(), expected);
    }

    #[test]
    fn buckets_of_a_histogram_count_what_is_in_smaller_ones_too() {
        let histogram = Histogram::counts();
        [1, 2, 2, 1000].into_iter().for_each(|value| histogram.observe(value));
        let mut samples = Samples::default();
        samples.add_observed(&SIZES, &["x"], &histogram);
        let text = samples.text();
        for line in [
            "sizes_bucket{of=\"x\",le=\"1\"} 1",
            "sizes_bucket{of=\"x\",le=\"2\"} 3",
            "sizes_bucket{of=\"x\",le=\"256\"} 3",
            "sizes_bucket{of=\"x\",le=\"+Inf\"} 4",
            "sizes_sum{of=\"x\"} 1005",
            "sizes_count{of=\"x\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn openmetrics_has_names_units_exemplars_and_an_end() {
        let histogram = Histogram::seconds();
        let within = Recorded {
            trace: TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
            span: SpanId::from(0xf0),
        };
        histogram.took_within(Duration::from_millis(1500), Some(within), || 1_700_000_000_007);
        histogram.took(Duration::from_micros(100));
        let mut samples = Samples::default();
        samples.add(&CALLS, &["get", "OK"], 3_u64);
        samples.add_observed(&TOOK, &["x"], &histogram);
        let text = samples.open_metrics();
        let beginning = "\
# TYPE calls counter
# HELP calls Calls \\\\ by method\\nand code.
calls_total{method=\"get\",code=\"OK\"} 3
# TYPE took_seconds histogram
# UNIT took_seconds seconds
# HELP took_seconds What \\\"took\\\" how long.
took_seconds_bucket{of=\"x\",le=\"0.0005\"} 1
";
        assert!(text.starts_with(beginning), "{text}");
        for line in [
            "took_seconds_bucket{of=\"x\",le=\"1.0\"} 1",
            "took_seconds_bucket{of=\"x\",le=\"2.5\"} 2 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",\
             span_id=\"00000000000000f0\"} 1.5 1700000000.007",
            "took_seconds_bucket{of=\"x\",le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.ends_with("took_seconds_count{of=\"x\"} 2\n# EOF\n"), "{text}");
        let plain = samples.text();
        assert!(
            !plain.contains("trace_id") && !plain.contains("EOF"),
            "no other form has exemplars: {plain}"
        );
    }

    #[test]
    fn series_that_counted_nothing_can_be_left_out() {
        let mut samples = Samples::default();
        samples.add_counted(&CALLS, &["get", "OK"], &Counter::default());
        samples.add_observed(&SIZES, &["x"], &Histogram::counts());
        assert_eq!(samples.text(), "");
    }

    #[test]
    fn units_are_what_names_end_in() {
        assert_eq!(FREE.unit(), Some("bytes"));
        assert_eq!(CALLS.unit(), None);
        assert_eq!(Metric::counter("cpu_seconds_total", &[], "").unit(), Some("seconds"));
    }
}
