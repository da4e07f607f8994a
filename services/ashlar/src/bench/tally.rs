//! What a run did: requests, bytes and latencies by kind, failures by code.

use std::collections::BTreeMap;

use crate::bench::{histogram::Histogram, s3::Done};
use s3_client::Failure;

/// Codes come from the server; more different ones than this are counted together.
const CODES_MAX: usize = 50;
/// The code under which the rest is counted.
const OTHER: &str = "Other";

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Put,
    Get,
    Head,
    List,
    Delete,
    Copy,
    Range,
    Multipart,
}

impl Kind {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Range => "range",
            Self::Multipart => "multipart",
        }
    }
}

/// What became of the requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KindTally {
    /// Of those that succeeded.
    pub(crate) latency: Histogram,
    /// Bytes of objects moved, or of listings.
    pub(crate) bytes: u64,
    /// How many failed.
    pub(crate) failed: u64,
}

/// How often a code was told, and what it said the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailureTally {
    pub(crate) count: u64,
    pub(crate) example: String,
}

/// What became of all requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) kinds: BTreeMap<Kind, KindTally>,
    pub(crate) failures: BTreeMap<String, FailureTally>,
    /// How many answers held other bytes than were stored.
    pub(crate) corrupt: u64,
}

impl KindTally {
    fn new() -> Self {
        Self { latency: Histogram::new(), bytes: 0, failed: 0 }
    }

    /// How many succeeded.
    pub(crate) fn succeeded(&self) -> u64 {
        self.latency.count()
    }
}

impl Tally {
    /// Counts one request.
    pub(crate) fn record(&mut self, kind: Kind, result: &Result<Done, Failure>) {
        let of_kind = self.kinds.entry(kind).or_insert_with(KindTally::new);
        match result {
            Ok(done) => {
                of_kind.latency.record(done.latency);
                of_kind.bytes += done.bytes;
            }
            Err(failure) => {
                of_kind.failed += 1;
                self.corrupt += u64::from(matches!(failure, Failure::Corrupt(_)));
                self.add_failures(failure.code(), 1, || failure.to_string());
            }
        }
    }

    /// Adds what another worker did.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, theirs) in &other.kinds {
            let mine = self.kinds.entry(*kind).or_insert_with(KindTally::new);
            mine.latency.merge(&theirs.latency);
            mine.bytes += theirs.bytes;
            mine.failed += theirs.failed;
        }
        for (code, theirs) in &other.failures {
            self.add_failures(code, theirs.count, || theirs.example.clone());
        }
        self.corrupt += other.corrupt;
    }

    fn add_failures(&mut self, code: &str, count: u64, example: impl FnOnce() -> String) {
        let room = self.failures.len() < CODES_MAX || self.failures.contains_key(code);
        let code = if room { code } else { OTHER };
        match self.failures.get_mut(code) {
            Some(known) => known.count += count,
            None => {
                self.failures.insert(code.to_owned(), FailureTally { count, example: example() });
            }
        }
    }

    /// All kinds together.
    pub(crate) fn total(&self) -> KindTally {
        let mut total = KindTally::new();
        for tally in self.kinds.values() {
            total.latency.merge(&tally.latency);
            total.bytes += tally.bytes;
            total.failed += tally.failed;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CODES_MAX, Kind, Tally};
    use crate::bench::s3::Done;
    use s3_client::Failure;

    #[test]
    fn failures_are_counted_by_code_and_codes_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..CODES_MAX + 7 {
            let failure = Failure::Status {
                headers: Box::default(),
                status: http::StatusCode::BAD_REQUEST,
                code: format!("Code{number}"),
                message: String::new(),
            };
            tally.record(Kind::Put, &Err(failure.clone()));
            tally.record(Kind::Put, &Err(failure));
        }
        tally.record(Kind::Get, &Err(Failure::Corrupt("a byte".to_owned())));
        assert_eq!(tally.failures.len(), CODES_MAX + 1);
        assert_eq!(tally.failures["Code0"].count, 2);
        assert_eq!(tally.corrupt, 1);
        let total = tally.total();
        assert_eq!(total.failed, 2 * (CODES_MAX as u64 + 7) + 1);
        assert_eq!(tally.failures.values().map(|failure| failure.count).sum::<u64>(), total.failed);
    }

    #[test]
    fn merging_adds_kinds_up() {
        let done = Ok(Done { latency: Duration::from_millis(3), bytes: 10 });
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.record(Kind::Put, &done);
        other.record(Kind::Put, &done);
        other.record(Kind::Get, &done);
        one.merge(&other);
        assert_eq!(one.kinds[&Kind::Put].succeeded(), 2);
        assert_eq!(one.total().succeeded(), 3);
        assert_eq!(one.total().bytes, 30);
    }
}
