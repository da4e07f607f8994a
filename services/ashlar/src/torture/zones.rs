//! Whether a register was linearizable: the check of Gibbons and Korach for histories in which every written value is
//! written once ("Testing Shared Memories", SIAM Journal on Computing 26(4), 1997, section 4).
//!
//! Such a history needs no search. A value's write and its reads make up its *cluster*, with f, the earliest finish in
//! it, and s, the latest start. If f < s, the register held the value at least from f to s: a *forward* zone. Else the
//! write and all reads overlap in [s, f] and one moment in there is enough: a *backward* zone. The history is
//! linearizable exactly when no read ends before its write starts, no two forward zones overlap, and no backward zone
//! lies inside a forward one.
//!
//! A write whose outcome is unknown finishes never: it may take effect at any time after its start. When nobody read
//! its value it may never have, and is left out.

#[cfg(test)]
mod tests;

/// A moment: nanoseconds since the run began.
pub(crate) type Time = u64;

/// The finish of a write of which it is unknown whether it happened.
pub(crate) const NEVER: Time = Time::MAX;

/// One value with its write and its reads. `start <= finish` holds for each.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) start: Time,
    pub(crate) finish: Time,
    reads: Option<Reads>,
}

/// What matters of all reads of one value.
#[derive(Debug, Clone, Copy)]
struct Reads {
    finish_min: Time,
    start_max: Time,
}

/// Clusters, by their place in the list given, that no order of operations explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anomaly {
    /// A read ended before its value's write started.
    ReadBeforeWrite(usize),
    /// The register held both values at the same time.
    Overlap(usize, usize),
    /// The first value's whole life lies within the second one's.
    Inside(usize, usize),
}

impl Cluster {
    /// A write that nobody has read yet.
    pub(crate) fn new(start: Time, finish: Time) -> Self {
        Self { start, finish, reads: None }
    }

    /// Adds a read of the value.
    pub(crate) fn read(&mut self, start: Time, finish: Time) {
        let reads = self.reads.get_or_insert(Reads { finish_min: finish, start_max: start });
        reads.finish_min = reads.finish_min.min(finish);
        reads.start_max = reads.start_max.max(start);
    }

    /// Earliest finish and latest start; `None` when it need not have happened.
    fn zone(&self) -> Option<(Time, Time)> {
        match self.reads {
            Some(reads) => Some((self.finish.min(reads.finish_min), self.start.max(reads.start_max))),
            None => (self.finish != NEVER).then_some((self.finish, self.start)),
        }
    }
}

/// Every cluster that does not fit, once for what it does not fit with first.
pub(crate) fn check(clusters: &[Cluster]) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let mut forward = Vec::new();
    let mut backward = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        if cluster.reads.is_some_and(|reads| reads.finish_min < cluster.start) {
            anomalies.push(Anomaly::ReadBeforeWrite(index));
            continue;
        }
        match cluster.zone() {
            Some((first, last)) if first < last => forward.push((first, last, index)),
            Some((first, last)) => backward.push((last, first, index)),
            None => {}
        }
    }
    forward.sort_unstable();
    // The zone that reaches furthest of those that begin before the present one.
    let mut furthest: Option<(Time, usize)> = None;
    let mut reach = Vec::with_capacity(forward.len());
    for &(first, last, index) in &forward {
        if let Some((reached, other)) = furthest
            && first < reached
        {
            anomalies.push(Anomaly::Overlap(other, index));
        }
        if furthest.is_none_or(|(reached, _)| last > reached) {
            furthest = Some((last, index));
        }
        reach.extend(furthest);
    }
    for (low, high, index) in backward {
        let before = forward.partition_point(|(first, ..)| *first < low);
        if let Some((reached, other)) = before.checked_sub(1).and_then(|place| reach.get(place))
            && high < *reached
        {
            anomalies.push(Anomaly::Inside(index, *other));
        }
    }
    anomalies
}
