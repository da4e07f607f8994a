//! A store of one key that is right by construction: each request takes effect at one moment between its start and
//! its finish, one whose answer is lost perhaps long after, perhaps never.

use crate::torture::{
    chance::Chance,
    history::{Condition, Delete, Entry, Outcome, Page, Read, Records, Seen, Span, Write},
    keys::{Bucket, Key},
    values::ValueId,
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Initial,
    Object(ValueId),
    Deleted(String),
}

#[derive(Debug, Clone, Copy)]
enum Request {
    Write(Wish),
    Delete,
    Read,
    List,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Always,
    Absent,
    Present,
}

/// So many random requests, many at a time, and what a client would have seen of them.
pub(super) fn simulate(chance: &mut Chance, key: Key, requests: u64) -> Records {
    let mut planned = Vec::new();
    for number in 1..=requests {
        let start = chance.between(1, requests * 6);
        let answered = chance.percent(85);
        let point = start + chance.between(0, if answered { 15 } else { 300 });
        let kind = chance.weighted(&[
            (30, Request::Write(Wish::Always)),
            (8, Request::Write(Wish::Absent)),
            (8, Request::Write(Wish::Present)),
            (14, Request::Delete),
            (30, Request::Read),
            (10, Request::List),
        ]);
        let happens = answered || chance.percent(60);
        let finish = if answered { point + chance.between(0, 15) } else { start + chance.between(0, 30) };
        planned.push((point, number, kind.unwrap(), Span { start, finish }, answered, happens));
    }
    planned.sort_by_key(|(point, number, ..)| (*point, *number));

    let mut state = State::Initial;
    let mut records = Records::default();
    let history = records.keys.entry(key).or_default();
    for (_, number, request, span, answered, happens) in planned {
        let outcome = if answered { Outcome::Acknowledged } else { Outcome::Unknown };
        match request {
            Request::Write(wish) => {
                let condition = match (wish, &state) {
                    (Wish::Absent, _) => Condition::Absent,
                    (Wish::Present, State::Object(id)) => Condition::Value(*id),
                    (Wish::Always | Wish::Present, _) => Condition::None,
                };
                let granted = condition != Condition::Absent || !matches!(state, State::Object(_));
                if !granted && answered {
                    history.found_present.push(span);
                }
                let outcome = if granted || !answered { outcome } else { Outcome::Refused };
                if granted && happens {
                    state = State::Object(ValueId(number));
                }
                let etag = (outcome == Outcome::Acknowledged).then(|| number.to_string());
                let (value, size, version) = (ValueId(number), number * 7, None);
                history.writes.push(Write { value, size, span, outcome, condition, etag, version });
            }
            Request::Delete => {
                let marker = format!("m{number}");
                if happens {
                    state = State::Deleted(marker.clone());
                }
                let told = answered && key.bucket == Bucket::Versioned;
                history.deletes.push(Delete { span, outcome, marker: told.then_some(marker), taken: None });
            }
            Request::Read if answered => {
                let seen = match &state {
                    State::Object(id) => Seen::Value(*id),
                    State::Deleted(marker) if key.bucket == Bucket::Versioned => Seen::Marker(marker.clone()),
                    State::Initial | State::Deleted(_) => Seen::Absent,
                };
                history.reads.push(Read { span, seen });
            }
            Request::List if answered => {
                let entries = match &state {
                    State::Object(id) => vec![Entry { key, size: id.0 * 7, etag: id.0.to_string() }],
                    State::Initial | State::Deleted(_) => Vec::new(),
                };
                records.pages.push(Page { span, folder: key.folder(), after: None, until: None, entries });
            }
            Request::Read | Request::List => {}
        }
    }
    records
}
