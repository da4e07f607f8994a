//! The states that a key went through, and which of them a request may have met.
//!
//! This is the part of the check for answers that do not say which state they saw: a 404 of a bucket without
//! versioning is the same after any delete, and a listing tells sizes and ETags. It never blames a good server: a
//! state is ruled out only when a change that was acknowledged lies, as a whole, between it and the request.

use crate::torture::{
    history::{History, Outcome, Span},
    values::ValueId,
    zones::{NEVER, Time},
};

/// What there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing yet.
    Initial,
    /// An object.
    Value { id: ValueId, size: u64, etag: Option<String> },
    /// Nothing any more; with the value that a rename took away, if it was one.
    Deleted { taken: Option<ValueId> },
}

/// One state, with the moments between which it began.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) start: Time,
    pub(crate) finish: Time,
    pub(crate) what: What,
}

/// All states of a key, but for changes that were refused.
#[derive(Debug)]
pub(crate) struct Timeline {
    states: Vec<State>,
    /// Of the changes that were acknowledged, by finish: the finish, and the latest start up to there.
    settled: Vec<(Time, Time)>,
}

impl Timeline {
    pub(crate) fn new(history: &History) -> Self {
        let mut states = vec![State { start: 0, finish: 0, what: What::Initial }];
        let mut add = |span: Span, outcome, what| {
            let finish = match outcome {
                Outcome::Acknowledged => span.finish,
                Outcome::Unknown => NEVER,
                Outcome::Refused => return,
            };
            states.push(State { start: span.start, finish, what });
        };
        for write in &history.writes {
            let what = What::Value { id: write.value, size: write.size, etag: write.etag.clone() };
            add(write.span, write.outcome, what);
        }
        for delete in &history.deletes {
            add(delete.span, delete.outcome, What::Deleted { taken: delete.taken });
        }
        let mut settled: Vec<(Time, Time)> =
            states.iter().filter(|s| s.finish != NEVER).map(|s| (s.finish, s.start)).collect();
        settled.sort_unstable();
        let mut latest = 0;
        for (_, start) in &mut settled {
            latest = latest.max(*start);
            *start = latest;
        }
        Self { states, settled }
    }

    /// The states that a request may have met.
    pub(crate) fn met(&self, span: Span) -> impl Iterator<Item = &State> {
        let before = self.settled.partition_point(|(finish, _)| *finish < span.start);
        let replaced_before =
            before.checked_sub(1).and_then(|place| self.settled.get(place)).map_or(0, |(_, start)| *start);
        self.states.iter().filter(move |state| state.start <= span.finish && state.finish >= replaced_before)
    }

    /// Whether a request may have met such a state.
    pub(crate) fn may_meet(&self, span: Span, wanted: impl Fn(&What) -> bool) -> bool {
        self.met(span).any(|state| wanted(&state.what))
    }

    /// Whether there was ever such a state.
    pub(crate) fn ever(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.states.iter().any(|state| wanted(&state.what))
    }
}
