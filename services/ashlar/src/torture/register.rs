//! One key as a register: every read must have seen a state that was current at some moment of the read.

use std::collections::BTreeMap;

use crate::torture::{
    findings::{Finding, Kind},
    history::{Condition, History, Outcome, Seen, Span},
    keys::{Bucket, Key},
    timeline::{Timeline, What},
    values::ValueId,
    zones::{self, Anomaly, Cluster, NEVER},
};

/// What a cluster's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Label {
    Initial,
    Value(ValueId),
    Deleted(Option<String>),
}

impl Label {
    fn is_object(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    fn text(&self) -> String {
        match self {
            Self::Initial => "nothing yet".to_owned(),
            Self::Value(id) => format!("value {:x}", id.0),
            Self::Deleted(None) => "a delete".to_owned(),
            Self::Deleted(Some(marker)) => format!("the delete marker {marker}"),
        }
    }
}

/// Everything that is wrong with a key's past, listings aside.
pub(crate) fn check(key: Key, history: &History, timeline: &Timeline) -> Vec<Finding> {
    let mut register = Register::new(key, history);
    register.read(history, timeline);
    register.conditions(history, timeline);
    register.zones();
    register.findings
}

struct Register {
    key: Key,
    clusters: Vec<Cluster>,
    labels: Vec<Label>,
    values: BTreeMap<ValueId, usize>,
    markers: BTreeMap<String, usize>,
    findings: Vec<Finding>,
}

impl Register {
    fn new(key: Key, history: &History) -> Self {
        let mut new = Self {
            key,
            clusters: vec![Cluster::new(0, 0)],
            labels: vec![Label::Initial],
            values: BTreeMap::new(),
            markers: BTreeMap::new(),
            findings: Vec::new(),
        };
        for write in &history.writes {
            if let Some(index) = new.add(write.span, write.outcome, Label::Value(write.value)) {
                new.values.insert(write.value, index);
            }
        }
        for delete in &history.deletes {
            let index = new.add(delete.span, delete.outcome, Label::Deleted(delete.marker.clone()));
            if let (Some(index), Some(marker)) = (index, &delete.marker) {
                new.markers.insert(marker.clone(), index);
            }
        }
        new
    }

    fn add(&mut self, span: Span, outcome: Outcome, label: Label) -> Option<usize> {
        let finish = match outcome {
            Outcome::Acknowledged => span.finish,
            Outcome::Unknown => NEVER,
            Outcome::Refused => return None,
        };
        self.clusters.push(Cluster::new(span.start, finish));
        self.labels.push(label);
        Some(self.clusters.len() - 1)
    }

    fn read(&mut self, history: &History, timeline: &Timeline) {
        for read in &history.reads {
            match &read.seen {
                Seen::Value(id) => self.read_value(history, *id, read.span),
                Seen::Marker(marker) => self.read_marker(history, marker, read.span),
                Seen::Absent => self.read_absent(timeline, read.span),
            }
        }
    }

    fn read_value(&mut self, history: &History, id: ValueId, span: Span) {
        if let Some(cluster) = self.values.get(&id).and_then(|index| self.clusters.get_mut(*index)) {
            cluster.read(span.start, span.finish);
        } else if history.writes.iter().any(|write| write.value == id) {
            self.find(Kind::Resurrected, format!("value {:x} is there, but its write was refused", id.0));
        } else {
            self.find(Kind::Wrong, format!("value {:x} is there, which was never written to it", id.0));
        }
    }

    fn read_marker(&mut self, history: &History, marker: &str, span: Span) {
        let index = match self.markers.get(marker) {
            Some(index) => *index,
            None => {
                // The marker of a delete that was not answered, or of a rename. Which one of several it was cannot be
                // told; it began no earlier than the first.
                let unanswered = history.deletes.iter().filter(|delete| delete.may_have_unnamed_marker());
                let known = history.deletes.iter().filter_map(|delete| delete.marker.as_ref());
                let taken = self.markers.len().saturating_sub(known.count());
                let Some(first) = unanswered.clone().map(|delete| delete.span.start).min() else {
                    self.find(Kind::Wrong, format!("nobody made the delete marker {marker}"));
                    return;
                };
                if taken >= unanswered.count() {
                    self.find(Kind::Wrong, "there are more delete markers than there were deletes");
                }
                self.clusters.push(Cluster::new(first, NEVER));
                self.labels.push(Label::Deleted(Some(marker.to_owned())));
                self.markers.insert(marker.to_owned(), self.clusters.len() - 1);
                self.clusters.len() - 1
            }
        };
        if let Some(cluster) = self.clusters.get_mut(index) {
            cluster.read(span.start, span.finish);
        }
    }

    fn read_absent(&mut self, timeline: &Timeline, span: Span) {
        // With versioning the 404 after a delete tells its marker.
        let versioned = self.key.bucket == Bucket::Versioned;
        let absent = |what: &What| match what {
            What::Initial => true,
            What::Deleted { .. } => !versioned,
            What::Value { .. } => false,
        };
        if !timeline.may_meet(span, absent) {
            self.find(
                Kind::Lost,
                format!("an object was acknowledged, and a read found nothing at {span:?}"),
            );
        }
    }

    /// What writes with a condition say of the state that they replaced.
    fn conditions(&mut self, history: &History, timeline: &Timeline) {
        let mut replaced: BTreeMap<ValueId, u32> = BTreeMap::new();
        let mut created = 0;
        for write in history.writes.iter().filter(|write| write.outcome == Outcome::Acknowledged) {
            match write.condition {
                Condition::None => {}
                Condition::Absent => {
                    created += 1;
                    if !timeline.may_meet(write.span, |what| !matches!(what, What::Value { .. })) {
                        self.find(Kind::Wrong, "If-None-Match: * was granted while there was an object");
                    }
                }
                Condition::Value(id) => {
                    *replaced.entry(id).or_default() += 1;
                    self.read_value(history, id, write.span);
                }
            }
        }
        let deletes = history.deletes.iter().filter(|delete| delete.outcome != Outcome::Refused).count();
        if created > deletes + 1 {
            self.find(
                Kind::Wrong,
                format!("{created} writes won If-None-Match: *, and there were {deletes} deletes between"),
            );
        }
        for (id, winners) in replaced.into_iter().filter(|(_, winners)| *winners > 1) {
            self.find(Kind::Wrong, format!("{winners} writes won If-Match with value {:x}", id.0));
        }
        for span in &history.found_present {
            if !timeline.may_meet(*span, |what| matches!(what, What::Value { .. })) {
                self.find(Kind::Wrong, "If-None-Match: * was refused while there was no object");
            }
        }
    }

    fn zones(&mut self) {
        for anomaly in zones::check(&self.clusters) {
            let (older, newer) = match anomaly {
                Anomaly::ReadBeforeWrite(index) => {
                    let text = self.label(index).text();
                    self.find(Kind::Wrong, format!("{text} was read before its write began"));
                    continue;
                }
                Anomaly::Overlap(one, other) => {
                    let started = |index: usize| self.clusters.get(index).map(|cluster| cluster.start);
                    if started(one) <= started(other) { (one, other) } else { (other, one) }
                }
                Anomaly::Inside(inner, outer) => (outer, inner),
            };
            let (older, newer) = (self.label(older), self.label(newer));
            let kind = match (older.is_object(), newer.is_object()) {
                (true, false) => Kind::Resurrected,
                (false, true) => Kind::Lost,
                (true, true) | (false, false) => Kind::Stale,
            };
            self.find(kind, format!("{} was seen after {} had replaced it", older.text(), newer.text()));
        }
    }

    fn label(&self, index: usize) -> Label {
        self.labels.get(index).cloned().unwrap_or(Label::Initial)
    }

    fn find(&mut self, kind: Kind, text: impl Into<String>) {
        self.findings.push(Finding::new(kind, format!("{}: {}", self.key, text.into())));
    }
}
