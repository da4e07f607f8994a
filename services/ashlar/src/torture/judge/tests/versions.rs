//! Listings of versions: none is lost or repeated or out of place.

use super::{PLAIN, Story, VERSIONED, moving::Fault, renames::noticed};
use crate::torture::{
    findings::Kind,
    history::{Condition, ListedVersion, Outcome, Versions, VersionsPage},
    keys::{Bucket, Key},
};

const LOW: Key = Key { number: 2, ..VERSIONED };
const HIGH: Key = Key { number: 5, ..VERSIONED };

impl Story {
    /// Writes a value whose version id is told.
    fn version(&mut self, key: Key, value: u64) -> &mut Self {
        self.write(key, value);
        let written = self.records.keys.get_mut(&key).unwrap().writes.last_mut().unwrap();
        written.version = Some(format!("v{value}"));
        self
    }

    /// A listing of these pages, whole or not.
    fn versions(&mut self, pages: &[&[ListedVersion]], is_whole: bool) -> &mut Self {
        let page = |entries: &&[ListedVersion]| VersionsPage { span: self.span(), entries: entries.to_vec() };
        let pages = pages.iter().map(page).collect();
        self.records.versions.push(Versions { folder: VERSIONED.folder(), after: None, pages, is_whole });
        self
    }
}

fn object(key: Key, value: u64, is_latest: bool) -> ListedVersion {
    let object = Some((value * 100, format!("etag{value}")));
    ListedVersion { key, version: format!("v{value}"), is_latest, object }
}

fn deleted(key: Key, marker: &str, is_latest: bool) -> ListedVersion {
    ListedVersion { key, version: marker.to_owned(), is_latest, object: None }
}

/// Two versions and a delete marker of one key, and a version of another.
fn story() -> Story {
    let mut story = Story::default();
    story.version(LOW, 1).version(LOW, 2).delete(LOW, Some("m")).version(HIGH, 3);
    story
}

/// What [`story`] is listed as.
fn all() -> [ListedVersion; 4] {
    [deleted(LOW, "m", true), object(LOW, 2, false), object(LOW, 1, false), object(HIGH, 3, true)]
}

fn listed(pages: &[&[ListedVersion]], is_whole: bool) -> Vec<Kind> {
    story().versions(pages, is_whole).kinds()
}

#[test]
fn good_listings_of_versions_are_not_blamed_however_they_are_cut() {
    let all = all();
    assert_eq!(listed(&[&all], true), []);
    assert_eq!(listed(&[&all[..1], &all[1..2], &all[2..]], true), []);
    assert_eq!(listed(&[&all[..3], &all[3..], &[]], true), []);
    // It was not read to its end.
    assert_eq!(listed(&[&all[..2]], false), []);
    assert_eq!(listed(&[&all[..1], &all[1..3]], false), []);
    // It began after a key.
    let mut story = story();
    story.versions(&[&all[3..]], true).records.versions[0].after = Some(LOW);
    assert_eq!(story.kinds(), []);
    // A version that came on top while the listing went on need not be there.
    let mut story = self::story();
    story.versions(&[&all[..1], &all[1..]], true).version(LOW, 4).version(HIGH, 5);
    let pages = &mut story.records.versions[0].pages;
    (pages[1].span.start, pages[1].span.finish) = (story.now + 10, story.now + 15);
    assert_eq!(story.kinds(), [Kind::Stale, Kind::Lost]);
    // Of HIGH the second page tells the newest, so it had to have it.
    let pages = &mut story.records.versions[0].pages;
    pages[1].entries.pop();
    pages[1].entries.extend([object(HIGH, 5, true), object(HIGH, 3, false)]);
    assert_eq!(story.kinds(), []);
}

#[test]
fn a_page_that_loses_a_version_is_reported() {
    let all = all();
    assert_eq!(listed(&[&all[..1], &all[2..]], true), [Kind::Lost]);
    assert_eq!(listed(&[&all[..2], &all[3..]], true), [Kind::Lost]);
    assert_eq!(listed(&[&all[..2], &all[3..]], false), [Kind::Lost]);
    // The newest one, and all of a key.
    assert_eq!(listed(&[&[object(LOW, 2, true), object(LOW, 1, false)], &all[3..]], true).len(), 2);
    assert!(listed(&[&all[..3]], true).contains(&Kind::Lost));
    assert_eq!(listed(&[&all[..3]], false), []);
    // A delete marker below the newest.
    let mut story = story();
    story.version(LOW, 4).versions(&[&[object(LOW, 4, true)], &all[1..]], true);
    assert_eq!(story.kinds(), [Kind::Lost]);
}

#[test]
fn a_version_that_is_repeated_or_out_of_place_is_reported() {
    let all = all();
    assert_eq!(listed(&[&all[..2], &all[1..]], true), [Kind::Wrong]);
    let swapped = [all[0].clone(), all[2].clone(), all[1].clone(), all[3].clone()];
    assert_eq!(listed(&[&swapped], true), [Kind::Wrong]);
    let keys = [all[3].clone(), all[0].clone(), all[1].clone(), all[2].clone()];
    assert!(listed(&[&keys], true).contains(&Kind::Wrong));
    let mut story = story();
    story.versions(&[&all], true).records.versions[0].after = Some(LOW);
    assert!(story.kinds().contains(&Kind::Wrong));
}

#[test]
fn a_wrong_latest_version_is_reported() {
    let with = |place: usize, is_latest| {
        let mut all = all();
        all[place].is_latest = is_latest;
        listed(&[&all[..1], &all[1..]], true)
    };
    assert_eq!(with(0, false), [Kind::Wrong]);
    assert_eq!(with(1, true), [Kind::Wrong]);
    assert_eq!(with(2, true), [Kind::Wrong]);
    assert_eq!(with(3, false), [Kind::Wrong]);
}

#[test]
fn versions_that_are_not_what_was_made_are_reported() {
    let with = |change: fn(&mut [ListedVersion])| {
        let mut all = all();
        change(&mut all);
        listed(&[&all], true)
    };
    assert_eq!(with(|all| all[1].object = Some((200, "etag1".to_owned()))), [Kind::Wrong]);
    assert_eq!(with(|all| all[1].object = Some((201, "etag2".to_owned()))), [Kind::Wrong]);
    assert_eq!(with(|all| all[1].object = None), [Kind::Wrong]);
    // Nobody made these.
    assert!(with(|all| all[2].version = "other".to_owned()).contains(&Kind::Wrong));
    let mut story = story();
    let extra = deleted(LOW, "other", false);
    let all = all();
    story.versions(&[&[all[0].clone(), extra, all[1].clone(), all[2].clone(), all[3].clone()]], true);
    assert_eq!(story.kinds(), [Kind::Wrong]);
    // Unless there was a request without an answer.
    let mut unknown = Story::default();
    unknown.write_if(LOW, 1, Outcome::Unknown, Condition::None).versions(&[&[object(LOW, 1, true)]], true);
    assert_eq!(unknown.kinds(), []);
    // Listed before it was written.
    let mut early = Story::default();
    early.versions(&[&[object(LOW, 1, true)]], true).version(LOW, 1);
    assert!(early.kinds().contains(&Kind::Wrong));
}

#[test]
fn the_newest_version_of_a_page_is_a_read() {
    let mut stale = Story::default();
    stale.version(LOW, 1).version(LOW, 2).read(LOW, super::value(2));
    stale.versions(&[&[object(LOW, 1, true)]], true);
    let kinds = stale.kinds();
    assert!(kinds.contains(&Kind::Stale) && kinds.contains(&Kind::Lost), "{kinds:?}");
    assert_eq!(Story::default().version(LOW, 1).versions(&[&[]], true).kinds(), [Kind::Lost, Kind::Lost]);
}

#[test]
fn what_lies_on_a_version_that_was_renamed_is_its_marker() {
    let with = |above: ListedVersion| {
        let mut story = Story::default();
        story.version(LOW, 1).version(LOW, 2);
        story.delete_as(LOW, Outcome::Acknowledged, None);
        let rename = story.records.keys.get_mut(&LOW).unwrap().deletes.pop().unwrap();
        story.records.renames.push(crate::torture::history::Rename {
            value: crate::torture::values::ValueId(2),
            size: 200,
            etag: "etag2".to_owned(),
            from: LOW,
            to: HIGH,
            span: rename.span,
            outcome: Outcome::Acknowledged,
            version: Some("v2 renamed".to_owned()),
        });
        let renamed = ListedVersion { version: "v2 renamed".to_owned(), ..object(HIGH, 2, true) };
        let low = [above, object(LOW, 2, false), object(LOW, 1, false)];
        story.version(LOW, 4).delete(LOW, Some("m"));
        let top = [deleted(LOW, "m", true), object(LOW, 4, false)];
        let listed: Vec<ListedVersion> = top.into_iter().chain(low).chain([renamed]).collect();
        story.versions(&[&listed], true).kinds()
    };
    assert_eq!(with(deleted(LOW, "of the rename", false)), []);
    assert!(with(object(LOW, 9, false)).contains(&Kind::Wrong));
}

#[test]
fn without_versioning_a_listing_of_versions_is_one_of_objects() {
    let with = |listed: &[ListedVersion]| {
        let mut story = Story::default();
        story.write(PLAIN, 1).write(PLAIN, 2).versions(&[listed], true);
        story.records.versions[0].folder = PLAIN.folder();
        story.kinds()
    };
    let null = |value| ListedVersion { version: "null".to_owned(), ..object(PLAIN, value, true) };
    assert_eq!(with(&[null(2)]), []);
    assert_eq!(with(&[null(1)]), [Kind::Stale]);
    assert_eq!(with(&[]), [Kind::Lost]);
    assert_eq!(with(&[object(PLAIN, 2, true)]), [Kind::Wrong]);
    assert!(
        with(&[ListedVersion { is_latest: true, ..deleted(PLAIN, "null", true) }]).contains(&Kind::Wrong)
    );
}

#[test]
fn a_store_whose_pages_lose_or_repeat_versions_is_noticed() {
    for fault in [Fault::LostVersion, Fault::RepeatedVersion] {
        let noticed = noticed(Bucket::Versioned, fault);
        println!("{fault:?}: noticed {noticed} times of 100");
        assert!(noticed >= 90, "{fault:?}: {noticed}");
    }
}
