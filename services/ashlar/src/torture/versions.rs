//! Listings of versions: every version is listed once, at its place, from the moment that it is acknowledged.
//!
//! No version is removed while a run lasts, and new ones come on top of their key's others. So whatever a key had when
//! the page was asked for on which its newest version stands is listed there or on the pages after it, wherever they
//! end. That newest version is what a read of the key had answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::torture::{
    findings::{Finding, Kind},
    history::{Entry, History, ListedVersion, Outcome, Page, Read, Records, Seen, Span, Versions},
    keys::{Bucket, Key},
    values::ValueId,
    zones::Time,
};

/// The id of the only version that a key has in a bucket without versioning.
const NULL: &str = "null";

/// The versions of one key on the pages of a listing.
struct Stack<'a> {
    key: Key,
    /// When the first of these pages was asked for and answered.
    first: Span,
    /// When the last one was answered.
    finish: Time,
    /// The newest first.
    entries: Vec<&'a ListedVersion>,
    /// Whether the listing went on to another key or to its end.
    is_whole: bool,
}

impl Versions {
    /// Whether a page tells of the newest version of a key, or that there is none.
    fn begins(&self, page: usize, key: Key) -> bool {
        let before = match page.checked_sub(1) {
            None => self.after,
            Some(before) => self.last_key(before),
        };
        let is_after = before.is_none_or(|before| before < key);
        is_after && (self.is_end(page) || self.last_key(page).is_some_and(|last| key <= last))
    }

    fn is_end(&self, page: usize) -> bool {
        self.is_whole && page + 1 == self.pages.len()
    }

    fn last_key(&self, page: usize) -> Option<Key> {
        self.pages.get(page)?.entries.last().map(|entry| entry.key)
    }

    /// What it tells of each key of which it tells the newest version.
    fn stacks(&self) -> Vec<Stack<'_>> {
        let mut stacks = Vec::new();
        for (number, page) in self.pages.iter().enumerate() {
            for key in self.folder.keys().filter(|key| self.begins(number, *key)) {
                let pages = self.pages.iter().skip(number);
                let of_key = |entry: &&ListedVersion| entry.key == key;
                let touched = pages.clone().enumerate().take_while(|(after, page)| {
                    *after == 0 || page.entries.first().is_some_and(|entry| entry.key == key)
                });
                let finish = touched.map(|(_, page)| page.span.finish).last().unwrap_or(page.span.finish);
                stacks.push(Stack {
                    key,
                    first: page.span,
                    finish,
                    entries: pages.flat_map(|page| &page.entries).filter(of_key).collect(),
                    is_whole: self.is_whole
                        || self.last_key(self.pages.len() - 1).is_some_and(|last| last > key),
                });
            }
        }
        stacks
    }
}

/// Adds what listings of versions say of each key's current state: reads, and pages of listings where a key has one
/// version only.
pub(crate) fn add_reads(records: &mut Records) {
    let Records { keys, renames, pages, versions, .. } = records;
    let mut values: BTreeMap<(Key, &str), ValueId> = BTreeMap::new();
    for rename in renames.iter() {
        values.extend(rename.version.as_ref().map(|version| ((rename.to, &**version), rename.value)));
    }
    for (key, history) in keys.iter() {
        for write in &history.writes {
            values.extend(write.version.as_ref().map(|version| ((*key, &**version), write.value)));
        }
    }
    let mut reads: Vec<(Key, Read)> = Vec::new();
    for listing in versions.iter() {
        match listing.folder.bucket {
            Bucket::Plain => pages.extend(plain_pages(listing)),
            Bucket::Versioned => {
                for Stack { key, first: span, entries, .. } in listing.stacks() {
                    let seen = match entries.first() {
                        None => Some(Seen::Absent),
                        Some(ListedVersion { version, object: None, .. }) => {
                            Some(Seen::Marker(version.clone()))
                        }
                        // One whose write had no answer is not known by its id.
                        Some(entry) => values.get(&(key, &*entry.version)).copied().map(Seen::Value),
                    };
                    reads.extend(seen.map(|seen| (key, Read { span, seen })));
                }
            }
        }
    }
    for (key, read) in reads {
        keys.entry(key).or_default().reads.push(read);
    }
}

/// What a listing says of a bucket without versioning is what one of its objects says.
fn plain_pages(listing: &Versions) -> impl Iterator<Item = Page> {
    listing.pages.iter().enumerate().map(|(number, page)| {
        let entry = |entry: &ListedVersion| {
            let (size, etag) = entry.object.clone()?;
            Some(Entry { key: entry.key, size, etag })
        };
        Page {
            span: page.span,
            folder: listing.folder,
            after: number.checked_sub(1).map_or(listing.after, |before| listing.last_key(before)),
            until: listing.last_key(number).filter(|_| !listing.is_end(number)),
            entries: page.entries.iter().filter_map(entry).collect(),
        }
    })
}

/// Everything that is wrong with a listing of versions, beside what it says of current states.
pub(crate) fn check(listing: &Versions, keys: &BTreeMap<Key, History>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |kind, key: Key, text: String| {
        findings.push(Finding::new(kind, format!("{key}: {text}")));
    };
    let entries: Vec<&ListedVersion> = listing.pages.iter().flat_map(|page| &page.entries).collect();
    let mut seen = BTreeSet::new();
    for entry in &entries {
        if !seen.insert((entry.key, &entry.version)) {
            find(Kind::Wrong, entry.key, format!("version {} is listed twice", entry.version));
        }
        if listing.after.is_some_and(|after| entry.key <= after) {
            find(Kind::Wrong, entry.key, "its versions are listed before the beginning of a page".to_owned());
        }
        let is_null = entry.version == NULL && entry.object.is_some();
        if listing.folder.bucket == Bucket::Plain && !is_null {
            find(Kind::Wrong, entry.key, format!("version {} of a bucket without any", entry.version));
        }
    }
    for pair in entries.windows(2) {
        if let [one, next] = pair {
            if one.key > next.key {
                find(Kind::Wrong, next.key, "its versions are listed out of order".to_owned());
            }
            if one.key == next.key && next.is_latest {
                find(
                    Kind::Wrong,
                    next.key,
                    format!("version {}, not the newest, is the latest", next.version),
                );
            }
        }
    }
    for stack in listing.stacks() {
        if let Some(newest) = stack.entries.first().filter(|newest| !newest.is_latest) {
            find(
                Kind::Wrong,
                stack.key,
                format!("version {}, the newest, is not the latest", newest.version),
            );
        }
        if stack.key.bucket == Bucket::Versioned {
            let none = History::default();
            let history = keys.get(&stack.key).unwrap_or(&none);
            stack.check(history, &mut |kind, text| find(kind, stack.key, text));
        }
    }
    findings
}

/// What is known of a version.
struct Known<'a> {
    span: Span,
    /// Size and ETag; `None` for a delete marker.
    object: Option<(u64, Option<&'a String>)>,
}

/// The versions of a key that an answer named.
fn known(history: &History) -> BTreeMap<&str, Known<'_>> {
    let writes = history.writes.iter().filter_map(|write| {
        let object = Some((write.size, write.etag.as_ref()));
        Some((write.version.as_deref()?, Known { span: write.span, object }))
    });
    let markers = history
        .deletes
        .iter()
        .filter_map(|delete| Some((delete.marker.as_deref()?, Known { span: delete.span, object: None })));
    writes.chain(markers).collect()
}

impl Stack<'_> {
    fn check(&self, history: &History, find: &mut dyn FnMut(Kind, String)) {
        let known = known(history);
        let listed: BTreeSet<&str> = self.entries.iter().map(|entry| &*entry.version).collect();
        for (version, known) in known.iter().filter(|_| self.is_whole) {
            if known.span.finish < self.first.start && !listed.contains(version) {
                find(
                    Kind::Lost,
                    format!("version {version} was acknowledged, and a listing does not have it"),
                );
            }
        }
        let mut nameless = [0, 0];
        // The latest beginning of those that are older.
        let mut begun = 0;
        for entry in self.entries.iter().rev() {
            let version = &entry.version;
            let Some(known) = known.get(&**version) else {
                nameless[usize::from(entry.object.is_some())] += 1;
                continue;
            };
            let is_right = match (&entry.object, known.object) {
                (None, None) => true,
                (Some((size, etag)), Some((written, told))) => {
                    *size == written && told.is_none_or(|told| told == etag)
                }
                _ => false,
            };
            if !is_right {
                find(Kind::Wrong, format!("version {version} is listed as something that it never was"));
            }
            if known.span.start > self.finish {
                find(Kind::Wrong, format!("version {version} was listed before it was made"));
            }
            if known.span.finish < begun {
                find(
                    Kind::Wrong,
                    format!("version {version} is listed as newer than one that was made after it"),
                );
            }
            begun = begun.max(known.span.start);
        }
        self.check_nameless(history, nameless, find);
        self.check_renames(history, &known, find);
    }

    /// Versions that no answer named: no more than there are changes whose answers did not.
    fn check_nameless(&self, history: &History, listed: [usize; 2], find: &mut dyn FnMut(Kind, String)) {
        let deletes = history.deletes.iter().filter(|delete| delete.may_have_unnamed_marker());
        let writes = history
            .writes
            .iter()
            .filter(|write| write.outcome != Outcome::Refused && write.version.is_none());
        let [markers, objects] = listed;
        if markers > deletes.count() || objects > writes.count() {
            find(
                Kind::Wrong,
                format!("{objects} versions and {markers} delete markers are listed that nobody made"),
            );
        }
    }

    /// What lies on top of a version that a rename took away is the delete marker of that rename.
    fn check_renames(
        &self,
        history: &History,
        known: &BTreeMap<&str, Known<'_>>,
        find: &mut dyn FnMut(Kind, String),
    ) {
        let taken = history.deletes.iter().filter(|delete| delete.outcome == Outcome::Acknowledged);
        let taken: BTreeSet<ValueId> = taken.filter_map(|delete| delete.taken).collect();
        let versions = history.writes.iter().filter(|write| taken.contains(&write.value));
        let versions: BTreeSet<&str> = versions.filter_map(|write| write.version.as_deref()).collect();
        for pair in self.entries.windows(2) {
            if let [above, version] = pair
                && versions.contains(&*version.version)
                && (above.object.is_some() || known.contains_key(&*above.version))
            {
                let text = "was renamed away, and what lies on top of it is not the delete marker of that";
                find(Kind::Wrong, format!("version {} {text}", version.version));
            }
        }
    }
}
