//! A rename changes both of its keys or none, whatever its answer was.

use super::{
    PLAIN, Story, VERSIONED, marker,
    moving::{Fault, simulate},
    value,
};
use crate::torture::{
    chance::Chance,
    findings::Kind,
    history::{Outcome, Rename, Seen},
    judge::judge,
    keys::{Bucket, Key},
    values::ValueId,
};

const BUCKETS: [Key; 2] = [PLAIN, VERSIONED];

/// The key that is renamed from, and the one that it is renamed to.
fn ends(key: Key) -> (Key, Key) {
    (Key { number: 2, ..key }, Key { number: 5, ..key })
}

impl Story {
    /// Renames the value from the one end to the other.
    fn rename(&mut self, key: Key, number: u64, outcome: Outcome) -> &mut Self {
        let (span, (from, to)) = (self.span(), ends(key));
        let version = (outcome == Outcome::Acknowledged && key.bucket == Bucket::Versioned)
            .then(|| format!("renamed{number}"));
        let (value, size, etag) = (ValueId(number), number * 100, format!("etag{number}"));
        self.records.renames.push(Rename { value, size, etag, from, to, span, outcome, version });
        self
    }

    /// What a read finds where a rename took the object away.
    fn read_gone(&mut self, key: Key) -> &mut Self {
        let seen = match key.bucket {
            Bucket::Plain => Seen::Absent,
            Bucket::Versioned => marker("of the rename"),
        };
        self.read(key, seen)
    }
}

/// A value is written to the one end and renamed, with this outcome.
fn renamed(key: Key, outcome: Outcome) -> Story {
    let mut story = Story::default();
    story.write(ends(key).0, 1).rename(key, 1, outcome);
    story
}

#[test]
fn what_a_rename_may_leave_is_not_blamed() {
    for key in BUCKETS {
        let (from, to) = ends(key);
        let mut story = renamed(key, Outcome::Acknowledged);
        story.read_gone(from).read(to, value(1)).write(to, 2).read(to, value(2)).write(from, 3);
        assert_eq!(story.read(from, value(3)).kinds(), [], "{key}");
        // Without an answer: it happened, late or at once, or never.
        let unknown = || renamed(key, Outcome::Unknown);
        assert_eq!(unknown().read_gone(from).read(to, value(1)).kinds(), [], "{key}");
        assert_eq!(unknown().read(from, value(1)).read(to, Seen::Absent).kinds(), [], "{key}");
        let late = unknown().read(from, value(1)).read(to, Seen::Absent).read_gone(from).kinds();
        assert_eq!(late, [], "{key}");
        let refused = renamed(key, Outcome::Refused).read(from, value(1)).read(to, Seen::Absent).kinds();
        assert_eq!(refused, [], "{key}");
    }
}

#[test]
fn a_rename_that_leaves_its_source_is_reported() {
    for key in BUCKETS {
        let (from, to) = ends(key);
        let kept = renamed(key, Outcome::Acknowledged).read(from, value(1)).kinds();
        assert_eq!(kept, [Kind::Resurrected], "{key}");
        let listed = renamed(key, Outcome::Acknowledged).list(from, &[1]).kinds();
        assert!(listed.contains(&Kind::Resurrected), "{key}: {listed:?}");
        // Also when nobody was told that it happened: the other end shows it.
        let kept = renamed(key, Outcome::Unknown).read(to, value(1)).read(from, value(1)).kinds();
        assert_eq!(kept, [Kind::Resurrected], "{key}");
    }
}

#[test]
fn a_rename_that_loses_its_object_is_reported() {
    for key in BUCKETS {
        let (from, to) = ends(key);
        let lost = renamed(key, Outcome::Acknowledged).read(to, Seen::Absent).kinds();
        assert_eq!(lost, [Kind::Lost], "{key}");
        assert_eq!(renamed(key, Outcome::Acknowledged).list(to, &[]).kinds(), [Kind::Lost], "{key}");
        let lost = renamed(key, Outcome::Unknown).read_gone(from).read(to, Seen::Absent).kinds();
        assert_eq!(lost, [Kind::Lost], "{key}");
        // It may have been for another reason.
        let mut deleted = renamed(key, Outcome::Unknown);
        deleted.delete_as(from, Outcome::Unknown, None).read_gone(from).read(to, Seen::Absent);
        assert_eq!(deleted.kinds(), [], "{key}");
        // What was there before must not be seen again.
        let mut stale = Story::default();
        stale.write(to, 9).write(from, 1).rename(key, 1, Outcome::Unknown).read_gone(from).read(to, value(9));
        assert_eq!(stale.kinds(), [Kind::Stale], "{key}");
    }
}

#[test]
fn a_rename_that_was_refused_or_that_took_what_was_gone_is_reported() {
    for key in BUCKETS {
        let (from, to) = ends(key);
        let done = renamed(key, Outcome::Refused).read(to, value(1)).kinds();
        assert_eq!(done, [Kind::Resurrected], "{key}");
        let mut twice = renamed(key, Outcome::Acknowledged);
        assert!(twice.rename(key, 1, Outcome::Acknowledged).kinds().contains(&Kind::Wrong), "{key}");
        let mut replaced = Story::default();
        replaced.write(from, 1).write(from, 2).rename(key, 1, Outcome::Acknowledged);
        assert_eq!(replaced.kinds(), [Kind::Stale], "{key}");
    }
}

#[test]
fn one_page_with_both_keys_of_a_rename_is_reported() {
    for key in BUCKETS {
        let (from, to) = ends(key);
        let both = |outcome| {
            let mut story = Story::default();
            story.write(from, 1);
            let start = story.now;
            story.rename(key, 1, outcome);
            let mut page = story.list(from, &[1]).records.pages.pop().unwrap();
            // So long that each key by itself is explained.
            page.span.start = start;
            page.entries.push(crate::torture::history::Entry { key: to, ..page.entries[0].clone() });
            story.records.pages.push(page);
            story.kinds()
        };
        assert_eq!(both(Outcome::Acknowledged), [Kind::Wrong], "{key}");
        assert_eq!(both(Outcome::Unknown), [Kind::Wrong], "{key}");
    }
}

#[test]
fn a_store_that_renames_right_is_never_blamed() {
    for seed in 0..300 {
        for bucket in [Bucket::Plain, Bucket::Versioned] {
            let records = simulate(&mut Chance::new(seed, &[]), bucket, 160, Fault::None);
            let findings = judge(records.clone());
            assert!(findings.is_empty(), "seed {seed}: {findings:#?}\n{records:#?}");
        }
    }
}

/// In how many of a hundred worlds a fault is noticed.
pub(super) fn noticed(bucket: Bucket, fault: Fault) -> usize {
    let judged = |seed| judge(simulate(&mut Chance::new(seed, &[]), bucket, 160, fault));
    (0..100).filter(|seed| !judged(*seed).is_empty()).count()
}

#[test]
fn a_store_that_renames_wrong_is_noticed() {
    for bucket in [Bucket::Plain, Bucket::Versioned] {
        let left = noticed(bucket, Fault::LeftSource);
        println!("{bucket:?}: sources left, noticed {left} times of 100");
        assert!(left >= 95, "{bucket:?}: {left}");
    }
}
