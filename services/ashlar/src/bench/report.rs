//! What a run tells in the end: a table for people, or one JSON object for programs.

use std::{fmt::Write, time::Duration};

use serde_json::{Map, Value, json};

use crate::bench::{
    args::{Operation, Settings},
    meter::Used,
    phase::Outcome,
    tally::KindTally,
};
use s3_client::{show_count, show_seconds, show_size};

/// Quantiles that are told, in thousandths, with their names.
const QUANTILES: [(u64, &str); 4] = [(500, "p50"), (900, "p90"), (990, "p99"), (999, "p99.9")];

/// A run and what it cost.
pub(crate) struct Report<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) bucket: &'a str,
    pub(crate) outcome: &'a Outcome,
    /// The server's processes, where they were named.
    pub(crate) server: Option<Used>,
    /// The load generator itself.
    pub(crate) client: Option<Used>,
}

impl Report<'_> {
    /// Lines for people.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("{}\n\n", self.title());
        let heads =
            ["", "done", "failed", "per s", "MB/s", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned);
        let mut rows = vec![heads];
        let kinds = &self.outcome.tally.kinds;
        rows.extend(kinds.iter().map(|(kind, tally)| self.row(kind.name(), tally)));
        if kinds.len() != 1 {
            rows.push(self.row("all", &self.outcome.tally.total()));
        }
        rows.iter().for_each(|row| push_row(&mut out, row));
        out.push('\n');
        self.push_costs(&mut out);
        for (code, failure) in &self.outcome.tally.failures {
            let _ = writeln!(
                out,
                "failed   {} x {code}, such as: {}",
                show_count(failure.count),
                failure.example
            );
        }
        out
    }

    fn title(&self) -> String {
        let settings = self.settings;
        let what = match settings.operation {
            Operation::List => match settings.prefixes {
                Some(prefixes) => format!("list {prefixes} folders of {} keys", show_count(settings.objects)),
                None => format!("list pages of {} keys", show_count(settings.objects)),
            },
            Operation::Range => {
                format!("range {} of {}", show_size(settings.range_size), show_size(settings.size))
            }
            Operation::Multipart => {
                let parts = settings.size.div_ceil(settings.part_size);
                format!("multipart {} in {parts} parts", show_size(settings.size))
            }
            operation => format!("{} {}", operation.name(), show_size(settings.size)),
        };
        let payload = if settings.connect.signed_payload { ", signed payload" } else { "" };
        format!(
            "{what}, {} at a time{payload}, {:.1} s (ended by {}), {} bucket {}",
            settings.concurrency,
            self.outcome.elapsed.as_secs_f64(),
            self.outcome.ended.name(),
            settings.endpoint,
            self.bucket,
        )
    }

    fn row(&self, name: &str, tally: &KindTally) -> [String; 10] {
        let quantile = |index: usize| {
            QUANTILES.get(index).map_or(Duration::ZERO, |(per_mille, _)| tally.latency.quantile(*per_mille))
        };
        let time = |latency: Duration| {
            if tally.succeeded() == 0 { "-".to_owned() } else { show_seconds(latency.as_secs_f64()) }
        };
        [
            name.to_owned(),
            show_count(tally.succeeded()),
            show_count(tally.failed),
            show_rate(self.per_second(tally.succeeded() as f64)),
            show_rate(self.per_second(tally.bytes as f64 / 1e6)),
            time(quantile(0)),
            time(quantile(1)),
            time(quantile(2)),
            time(quantile(3)),
            time(tally.latency.greatest()),
        ]
    }

    fn push_costs(&self, out: &mut String) {
        let total = self.outcome.tally.total();
        for (name, used) in [("server", &self.server), ("client", &self.client)] {
            let Some(used) = used else { continue };
            let each = per(used.cpu_seconds, total.succeeded() as f64).map_or("-".to_owned(), show_seconds);
            let _ = write!(
                out,
                "{name}   {each} of CPU per operation ({} in all",
                show_seconds(used.cpu_seconds)
            );
            // Below this, what requests cost beside their bytes hides the figure.
            if total.bytes >= 1 << 30
                && let Some(per_gb) = per(used.cpu_seconds, total.bytes as f64 / 1e9)
            {
                let _ = write!(out, ", {} per GB", show_seconds(per_gb));
            }
            let _ = write!(out, "); peak memory {}", show_size(used.resident_peak_bytes));
            if name == "server" {
                let _ = write!(out, ", {} since it started", show_size(used.resident_highest_bytes));
                match used.written_bytes {
                    Some(written) => drop(write!(out, "; {} written", show_size(written))),
                    None => out.push_str("; bytes written are not ours to see"),
                }
            }
            out.push('\n');
        }
    }

    /// One object for programs. Times are in microseconds, sizes in bytes, unless the name says otherwise.
    pub(crate) fn json(&self) -> Value {
        let settings = self.settings;
        let total = self.outcome.tally.total();
        let kinds: Map<String, Value> = self
            .outcome
            .tally
            .kinds
            .iter()
            .map(|(kind, tally)| (kind.name().to_owned(), self.kind_json(tally)))
            .collect();
        let failures: Map<String, Value> = self
            .outcome
            .tally
            .failures
            .iter()
            .map(|(code, failure)| {
                (code.clone(), json!({"count": failure.count, "example": failure.example}))
            })
            .collect();
        let mut out = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "endpoint": settings.endpoint.to_string(),
            "bucket": self.bucket,
            "operation": settings.operation.name(),
            "size_bytes": settings.size,
            "concurrency": settings.concurrency,
            "signed_payload": settings.connect.signed_payload,
            "objects": settings.objects,
            "elapsed_seconds": self.outcome.elapsed.as_secs_f64(),
            "ended_by": self.outcome.ended.name(),
            "total": self.kind_json(&total),
            "kinds": kinds,
            "failures": failures,
            "corrupt": self.outcome.tally.corrupt,
            "server": self.server.map(|used| used_json(&used, &total)),
            "client": self.client.map(|used| used_json(&used, &total)),
        });
        if let Value::Object(fields) = &mut out {
            match settings.operation {
                Operation::Range => drop(fields.insert("range_bytes".to_owned(), settings.range_size.into())),
                Operation::Multipart => {
                    drop(fields.insert("part_bytes".to_owned(), settings.part_size.into()))
                }
                Operation::List => drop(fields.insert("prefixes".to_owned(), settings.prefixes.into())),
                _ => {}
            }
        }
        out
    }

    fn kind_json(&self, tally: &KindTally) -> Value {
        let mut latency: Map<String, Value> = QUANTILES
            .iter()
            .map(|(per_mille, name)| ((*name).to_owned(), microseconds(tally.latency.quantile(*per_mille))))
            .collect();
        latency.insert("mean".to_owned(), microseconds(tally.latency.mean()));
        latency.insert("max".to_owned(), microseconds(tally.latency.greatest()));
        json!({
            "succeeded": tally.succeeded(),
            "failed": tally.failed,
            "bytes": tally.bytes,
            "operations_per_second": self.per_second(tally.succeeded() as f64),
            "megabytes_per_second": self.per_second(tally.bytes as f64 / 1e6),
            "latency_us": latency,
        })
    }

    fn per_second(&self, count: f64) -> f64 {
        per(count, self.outcome.elapsed.as_secs_f64()).unwrap_or(0.0)
    }
}

fn used_json(used: &Used, total: &KindTally) -> Value {
    json!({
        "cpu_seconds": used.cpu_seconds,
        "cpu_us_per_operation": per(used.cpu_seconds * 1e6, total.succeeded() as f64),
        "cpu_seconds_per_gb": per(used.cpu_seconds, total.bytes as f64 / 1e9),
        "resident_peak_bytes": used.resident_peak_bytes,
        "resident_highest_bytes": used.resident_highest_bytes,
        "written_bytes": used.written_bytes,
        "written_per_byte": used.written_bytes.and_then(|written| per(written as f64, total.bytes as f64)),
    })
}

fn per(amount: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| amount / count)
}

fn microseconds(duration: Duration) -> Value {
    (duration.as_nanos() as f64 / 1e3).into()
}

fn show_rate(rate: f64) -> String {
    match rate {
        r if r >= 100.0 => show_count(r.round() as u64),
        r if r >= 10.0 => format!("{r:.1}"),
        r => format!("{r:.2}"),
    }
}

/// The first column to the left, the others to the right, wide enough for anything usual.
fn push_row(out: &mut String, row: &[String; 10]) {
    const WIDTHS: [usize; 10] = [9, 11, 8, 9, 8, 9, 9, 9, 9, 9];
    for (index, (cell, width)) in row.iter().zip(WIDTHS).enumerate() {
        let _ = if index == 0 { write!(out, "{cell:<width$}") } else { write!(out, "{cell:>width$}") };
    }
    out.push('\n');
}
