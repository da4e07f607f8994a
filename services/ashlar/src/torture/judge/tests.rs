//! The checkers can see: each fault is put into a history and must be reported as what it is; and a store that does
//! everything right is never blamed, however its answers were delayed or lost.

mod moving;
mod renames;
mod simulated;
mod versions;

use self::simulated::simulate;
use super::judge;
use crate::torture::{
    chance::Chance,
    findings::Kind,
    history::{Condition, Delete, Entry, Outcome, Page, Read, Records, Seen, Span, Write},
    keys::{Bucket, Key, Use},
    values::ValueId,
};

const PLAIN: Key = Key { bucket: Bucket::Plain, purpose: Use::Register, number: 3 };
const VERSIONED: Key = Key { bucket: Bucket::Versioned, ..PLAIN };

/// Makes a history, one operation after the other; each takes a moment.
#[derive(Default)]
struct Story {
    records: Records,
    now: u64,
}

impl Story {
    fn span(&mut self) -> Span {
        self.now += 10;
        Span { start: self.now, finish: self.now + 5 }
    }

    fn write_if(&mut self, key: Key, value: u64, outcome: Outcome, condition: Condition) -> &mut Self {
        let span = self.span();
        let etag = (outcome == Outcome::Acknowledged).then(|| format!("etag{value}"));
        self.records.keys.entry(key).or_default().writes.push(Write {
            value: ValueId(value),
            size: value * 100,
            span,
            outcome,
            condition,
            etag,
            version: None,
        });
        self
    }

    fn write(&mut self, key: Key, value: u64) -> &mut Self {
        self.write_if(key, value, Outcome::Acknowledged, Condition::None)
    }

    fn delete_as(&mut self, key: Key, outcome: Outcome, marker: Option<&str>) -> &mut Self {
        let (span, marker) = (self.span(), marker.map(str::to_owned));
        self.records.keys.entry(key).or_default().deletes.push(Delete { span, outcome, marker, taken: None });
        self
    }

    fn delete(&mut self, key: Key, marker: Option<&str>) -> &mut Self {
        self.delete_as(key, Outcome::Acknowledged, marker)
    }

    fn read(&mut self, key: Key, seen: Seen) -> &mut Self {
        let span = self.span();
        self.records.keys.entry(key).or_default().reads.push(Read { span, seen });
        self
    }

    fn list(&mut self, key: Key, listed: &[u64]) -> &mut Self {
        let span = self.span();
        let entry = |value: &u64| Entry { key, size: value * 100, etag: format!("etag{value}") };
        let entries = listed.iter().map(entry).collect();
        self.records.pages.push(Page { span, folder: key.folder(), after: None, until: None, entries });
        self
    }

    fn found_present(&mut self, key: Key) -> &mut Self {
        let span = self.span();
        self.records.keys.entry(key).or_default().found_present.push(span);
        self
    }

    fn kinds(&self) -> Vec<Kind> {
        judge(self.records.clone()).into_iter().map(|finding| finding.kind).collect()
    }
}

fn value(number: u64) -> Seen {
    Seen::Value(ValueId(number))
}

fn marker(text: &str) -> Seen {
    Seen::Marker(text.to_owned())
}

#[test]
fn a_lost_write_is_reported() {
    for key in [PLAIN, VERSIONED] {
        assert_eq!(Story::default().write(key, 1).read(key, Seen::Absent).kinds(), [Kind::Lost], "{key}");
        assert_eq!(Story::default().write(key, 1).list(key, &[]).kinds(), [Kind::Lost], "{key}");
    }
    let overwritten = |seen| Story::default().write(PLAIN, 1).write(PLAIN, 2).read(PLAIN, seen).kinds();
    assert_eq!(overwritten(value(1)), [Kind::Stale]);
    assert_eq!(overwritten(value(2)), []);
    // The delete is there, but the write after it is not.
    let mut after = Story::default();
    after.write(VERSIONED, 1).delete(VERSIONED, Some("m")).write(VERSIONED, 2).read(VERSIONED, marker("m"));
    assert_eq!(after.kinds(), [Kind::Lost]);
    let mut after = Story::default();
    after.write(PLAIN, 1).delete(PLAIN, None).write(PLAIN, 2).read(PLAIN, Seen::Absent);
    assert_eq!(after.kinds(), [Kind::Lost]);
}

#[test]
fn a_stale_read_is_reported() {
    let mut story = Story::default();
    story.write(PLAIN, 1).write(PLAIN, 2).read(PLAIN, value(2)).read(PLAIN, value(1)).read(PLAIN, value(2));
    assert_eq!(story.kinds(), [Kind::Stale]);
    let mut story = Story::default();
    assert_eq!(story.write(PLAIN, 1).write(PLAIN, 2).list(PLAIN, &[1]).kinds(), [Kind::Stale]);
}

#[test]
fn a_resurrected_delete_is_reported() {
    for (key, id) in [(PLAIN, None), (VERSIONED, Some("m"))] {
        let mut story = Story::default();
        assert_eq!(story.write(key, 1).delete(key, id).read(key, value(1)).kinds(), [Kind::Resurrected]);
        let mut story = Story::default();
        assert_eq!(story.write(key, 1).delete(key, id).list(key, &[1]).kinds(), [Kind::Resurrected]);
    }
    // Both states come and go.
    let mut story = Story::default();
    story.write(VERSIONED, 1).delete(VERSIONED, Some("m")).read(VERSIONED, marker("m"));
    assert_eq!(story.kinds(), []);
    story.read(VERSIONED, value(1)).read(VERSIONED, marker("m"));
    assert_eq!(story.kinds(), [Kind::Resurrected]);
}

#[test]
fn what_was_refused_or_never_written_must_not_appear() {
    let mut story = Story::default();
    story.write_if(PLAIN, 1, Outcome::Refused, Condition::None).read(PLAIN, value(1));
    assert_eq!(story.kinds(), [Kind::Resurrected]);
    assert_eq!(Story::default().write(PLAIN, 1).read(PLAIN, value(9)).kinds()[0], Kind::Wrong);
    assert_eq!(Story::default().write(PLAIN, 1).list(PLAIN, &[9]).kinds(), [Kind::Wrong]);
    assert_eq!(Story::default().list(PLAIN, &[9]).kinds(), [Kind::Wrong]);
    assert_eq!(Story::default().write(VERSIONED, 1).read(VERSIONED, marker("m")).kinds(), [Kind::Wrong]);
    let mut story = Story::default();
    story.write(VERSIONED, 1).delete_as(VERSIONED, Outcome::Unknown, None).read(VERSIONED, marker("m"));
    assert_eq!(story.kinds(), []);
    story.write(VERSIONED, 2).read(VERSIONED, marker("n"));
    assert!(story.kinds().contains(&Kind::Wrong), "{:?}", story.kinds());
}

#[test]
fn two_winners_are_reported() {
    let race = Key { purpose: Use::Race, ..PLAIN };
    let create = |story: &mut Story, value| {
        story.write_if(race, value, Outcome::Acknowledged, Condition::Absent);
    };
    let mut story = Story::default();
    create(&mut story, 1);
    assert_eq!(story.kinds(), []);
    create(&mut story, 2);
    assert_eq!(story.kinds(), [Kind::Wrong, Kind::Wrong]);
    // Even when both were in flight at the same time.
    let mut story = Story::default();
    create(&mut story, 1);
    story.now -= 10;
    create(&mut story, 2);
    assert_eq!(story.kinds(), [Kind::Wrong]);
    let mut story = Story::default();
    let replace = Condition::Value(ValueId(1));
    story.write(PLAIN, 1).write_if(PLAIN, 2, Outcome::Acknowledged, replace);
    assert_eq!(story.kinds(), []);
    story.now -= 10;
    story.write_if(PLAIN, 3, Outcome::Acknowledged, replace);
    assert!(story.kinds().contains(&Kind::Wrong), "{:?}", story.kinds());
    assert_eq!(Story::default().found_present(PLAIN).kinds(), [Kind::Wrong]);
    assert_eq!(Story::default().write(PLAIN, 1).found_present(PLAIN).kinds(), []);
}

#[test]
fn pages_out_of_order_or_out_of_range_are_reported() {
    let page = |keys: &[u32], until: Option<u32>| {
        let mut story = Story::default();
        (1..=4).for_each(|number| _ = story.write(Key { number, ..PLAIN }, u64::from(number)));
        let mut page = story.list(PLAIN, &[]).records.pages.pop().unwrap();
        page.after = Some(Key { number: 1, ..PLAIN });
        page.until = until.map(|number| Key { number, ..PLAIN });
        page.entries = keys
            .iter()
            .map(|number| Entry {
                key: Key { number: *number, ..PLAIN },
                size: u64::from(*number) * 100,
                etag: format!("etag{number}"),
            })
            .collect();
        story.records.pages.push(page);
        story.kinds()
    };
    assert_eq!(page(&[2, 3, 4], None), []);
    assert_eq!(page(&[2, 3], Some(3)), []);
    assert_eq!(page(&[2, 3], None), [Kind::Lost]);
    assert_eq!(page(&[1, 2, 3, 4], None), [Kind::Wrong]);
    assert_eq!(page(&[3, 2, 4], None), [Kind::Wrong]);
}

#[test]
fn a_store_that_does_everything_right_is_never_blamed() {
    for seed in 0..400 {
        for key in [PLAIN, VERSIONED] {
            let records = simulate(&mut Chance::new(seed, &[]), key, 120);
            let findings = judge(records.clone());
            assert!(findings.is_empty(), "seed {seed}: {findings:#?}\n{records:#?}");
        }
    }
}

#[test]
fn one_old_answer_among_many_good_ones_is_noticed() {
    // A read that begins after everything else and answers a state that two acknowledged changes have replaced.
    let mut noticed = 0;
    for seed in 0..400 {
        let mut records = simulate(&mut Chance::new(seed, &[]), PLAIN, 120);
        let history = records.keys.entry(PLAIN).or_default();
        let mut acked: Vec<&Write> =
            history.writes.iter().filter(|write| write.outcome == Outcome::Acknowledged).collect();
        acked.sort_by_key(|write| write.span.finish);
        let old = acked[0].value;
        let span = Span { start: 1_000_000, finish: 1_000_010 };
        history.reads.push(Read { span, seen: Seen::Value(old) });
        noticed += u32::from(!judge(records.clone()).is_empty());
    }
    assert_eq!(noticed, 400);
}
