//! What was counted, as OpenTelemetry's protocol has it: the metrics of `/metrics` by the same names, with their units.
//!
//! Source: OpenTelemetry, "Metrics Data Model"; units are those of UCUM, as the semantic conventions want them.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use telemetry::{Family, Kind, Number, Samples, Series, Value};

use crate::Origin;

/// When counting began and when it was read, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Since when counters count.
    pub(crate) from: u64,
    /// As of when they are told.
    pub(crate) to: u64,
    /// As of when they were told before: what was observed until then is no exemplar any more.
    pub(crate) told: u64,
}

/// Everything that was counted, as one request to a collector.
pub(crate) fn request(samples: &Samples, origin: &Origin, times: Times) -> ExportMetricsServiceRequest {
    let attributes =
        origin.attributes().into_iter().map(|pair| pair_of(pair.key.as_str(), &pair.value.as_str()));
    let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
    let scope = InstrumentationScope {
        name: "ashlar".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics = samples.families().iter().map(|family| metric(family, times)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let of_resource =
        ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
}

fn metric(family: &Family, times: Times) -> Metric {
    let told = family.metric;
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let numbers = || family.series.iter().filter_map(|series| number_point(told, series, times)).collect();
    let data = match told.kind {
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true })
        }
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => {
            let points = family.series.iter().filter_map(|series| histogram_point(told, series, times));
            Data::Histogram(Histogram { data_points: points.collect(), aggregation_temporality })
        }
    };
    Metric {
        name: told.name.to_owned(),
        description: told.help.to_owned(),
        unit: unit(told).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// UCUM's name of the unit; nothing where numbers of things are told.
fn unit(metric: &telemetry::Metric) -> &'static str {
    match metric.unit() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        Some("ratio") => "1",
        _ => "",
    }
}

fn number_point(metric: &telemetry::Metric, series: &Series, times: Times) -> Option<NumberDataPoint> {
    let Value::Number(number) = series.value else { return None };
    let whole = match number {
        Number::Whole(number) => i64::try_from(number).ok(),
        Number::Signed(number) => Some(number),
        Number::Fraction(_) => None,
    };
    let value = match whole {
        Some(number) => number_data_point::Value::AsInt(number),
        None => number_data_point::Value::AsDouble(number.as_f64()),
    };
    Some(NumberDataPoint {
        attributes: attributes(metric, series),
        start_time_unix_nano: if metric.kind == Kind::Counter { times.from } else { 0 },
        time_unix_nano: times.to,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram_point(metric: &telemetry::Metric, series: &Series, times: Times) -> Option<HistogramDataPoint> {
    let Value::Histogram(reading) = &series.value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(metric, series),
        start_time_unix_nano: times.from,
        time_unix_nano: times.to,
        count: reading.count(),
        sum: Some(reading.sum),
        bucket_counts: reading.counts.clone(),
        explicit_bounds: reading.bounds.clone(),
        exemplars: reading.exemplars.iter().filter_map(|exemplar| exemplar_of(exemplar, times)).collect(),
        ..HistogramDataPoint::default()
    })
}

fn exemplar_of(exemplar: &telemetry::Exemplar, times: Times) -> Option<Exemplar> {
    let telemetry::Exemplar { value, within, at_ms, .. } = exemplar;
    let at = u64::try_from(*at_ms).unwrap_or(0).saturating_mul(1_000_000);
    (at >= times.told).then(|| Exemplar {
        time_unix_nano: at,
        trace_id: within.trace.to_bytes().to_vec(),
        span_id: within.span.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(*value)),
        ..Exemplar::default()
    })
}

fn attributes(metric: &telemetry::Metric, series: &Series) -> Vec<KeyValue> {
    metric.labels.iter().zip(&series.labels).map(|(name, value)| pair_of(name, value)).collect()
}

fn pair_of(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Env;
    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric::Data, number_data_point::Value};
    use telemetry::{Counter, Histogram, Metric, Samples, trace::Recorded};

    use super::{Times, request};
    use crate::Origin;

    static CALLS: Metric = Metric::counter("calls_total", &["method"], "Calls.");
    static FREE: Metric = Metric::gauge("free_bytes", &[], "Free.");
    static SPENT: Metric = Metric::counter("spent_seconds_total", &[], "Spent.");
    static USED: Metric = Metric::gauge("used_ratio", &[], "Used.");
    static TOOK: Metric = Metric::histogram("took_seconds", &[], "Took.");

    const TIMES: Times = Times { from: 5, to: 9, told: 0 };

    #[test]
    fn exemplars_are_told_once() {
        let histogram = Histogram::seconds();
        let within = Recorded { trace: TraceId::from(7), span: SpanId::from(3) };
        histogram.took_within(Duration::from_millis(1), Some(within), || 4);
        histogram.took_within(Duration::from_secs(1), Some(within), || 6);
        let mut samples = Samples::default();
        samples.add_histogram(&TOOK, &[], &histogram);
        let told = |told| {
            let times = Times { told, ..TIMES };
            let request = request(&samples, &Origin::new(&Env::real(), "chunk"), times);
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            let Some(Data::Histogram(took)) = &metric.data else { unreachable!("a histogram is one") };
            took.data_points[0].exemplars.clone()
        };
        assert_eq!((told(4_000_000).len(), told(6_000_001).len()), (2, 0));
        let [last] = &told(5_000_000)[..] else { unreachable!("one was not told") };
        assert_eq!((last.time_unix_nano, &last.value), (6_000_000, &Some(exemplar::Value::AsDouble(1.0))));
        assert_eq!(
            (last.trace_id.len(), last.trace_id[15], last.span_id.len(), last.span_id[7]),
            (16, 7, 8, 3)
        );
    }

    #[test]
    fn metrics_keep_names_units_and_values() {
        let (counter, histogram) = (Counter::default(), Histogram::seconds());
        counter.add(3);
        histogram.took(Duration::from_millis(1));
        let mut samples = Samples::default();
        samples.add(&CALLS, &["get"], &counter);
        samples.add(&FREE, &[], -7_i64);
        samples.add(&SPENT, &[], 0.5);
        samples.add(&USED, &[], u64::MAX);
        samples.add_histogram(&TOOK, &[], &histogram);
        let request = request(&samples, &Origin::new(&Env::real(), "chunk"), TIMES);
        let [of_resource] = &request.resource_metrics[..] else { unreachable!("one resource") };
        let metrics = &of_resource.scope_metrics[0].metrics;
        let units: Vec<_> =
            metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
        let expected = [
            ("calls_total", ""),
            ("free_bytes", "By"),
            ("spent_seconds_total", "s"),
            ("used_ratio", "1"),
            ("took_seconds", "s"),
        ];
        assert_eq!(units, expected);
        let Some(Data::Sum(calls)) = &metrics[0].data else { unreachable!("a counter is a sum") };
        assert!(calls.is_monotonic && calls.aggregation_temporality == 2);
        let point = &calls.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!((point.attributes[0].key.as_str(), &point.value), ("method", &Some(Value::AsInt(3))));
        let Some(Data::Gauge(free)) = &metrics[1].data else { unreachable!("a gauge is one") };
        assert_eq!(free.data_points[0].value, Some(Value::AsInt(-7)));
        // What is too large for whole numbers there is told as nearly as can be.
        let Some(Data::Gauge(used)) = &metrics[3].data else { unreachable!("a gauge is one") };
        assert_eq!(used.data_points[0].value, Some(Value::AsDouble(u64::MAX as f64)));
        let Some(Data::Histogram(took)) = &metrics[4].data else { unreachable!("a histogram is one") };
        let point = &took.data_points[0];
        assert_eq!((point.count, point.sum, point.bucket_counts[1]), (1, Some(0.001), 1));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }
}
