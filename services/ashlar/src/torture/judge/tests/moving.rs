//! A store of several keys that is right by construction, or wrong in one way: renames between them, and versions that
//! are listed page by page.

use std::collections::BTreeMap;

use crate::torture::{
    chance::Chance,
    history::{
        Condition, Delete, Entry, ListedVersion, Outcome, Page, Read, Records, Rename, Seen, Span, Versions,
        VersionsPage, Write,
    },
    keys::{Bucket, Key, Use},
    values::ValueId,
};

/// What the store does wrong, each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Renames leave their source.
    LeftSource,
    /// A page of versions that goes on within a key loses the first version that it should have.
    LostVersion,
    /// A page of versions begins with the one that the page before ended with.
    RepeatedVersion,
}

#[derive(Debug, Clone, Copy)]
enum Request {
    Write,
    Delete,
    Read,
    Rename,
    List,
    Versions,
}

/// The versions of a key, the oldest first: id, and value unless it is a delete marker.
type Stack = Vec<(String, Option<ValueId>)>;

struct World {
    bucket: Bucket,
    fault: Fault,
    stacks: BTreeMap<Key, Stack>,
    records: Records,
}

/// So many random requests, many at a time, and what a client would have seen of them.
pub(super) fn simulate(chance: &mut Chance, bucket: Bucket, requests: u64, fault: Fault) -> Records {
    let keys: Vec<Key> =
        [2, 4, 5, 7].map(|number| Key { bucket, purpose: Use::Register, number }).into_iter().collect();
    let mut planned = Vec::new();
    for number in 1..=requests {
        let start = chance.between(1, requests * 6);
        let answered = chance.percent(85);
        let point = start + chance.between(0, if answered { 15 } else { 300 });
        let kind = chance.weighted(&[
            (30, Request::Write),
            (8, Request::Delete),
            (30, Request::Read),
            (16, Request::Rename),
            (8, Request::List),
            (8, Request::Versions),
        ]);
        let happens = answered || chance.percent(60);
        let finish = if answered { point + chance.between(0, 15) } else { start + chance.between(0, 30) };
        let key = *chance.pick(&keys).unwrap();
        planned.push((point, number, kind.unwrap(), key, Span { start, finish }, answered, happens));
    }
    // Pages of one listing are asked for one after the other.
    let mut pages = Vec::new();
    for (listing, event) in planned.iter().filter(|event| matches!(event.2, Request::Versions)).enumerate() {
        let mut start = event.0;
        for _ in 0..8 {
            let point = start + chance.between(0, 4);
            let finish = point + chance.between(0, 4);
            pages.push((point, listing, Span { start, finish }, chance.between(1, 5)));
            start = finish + chance.between(1, 60);
        }
    }
    planned.retain(|event| !matches!(event.2, Request::Versions));
    planned.sort_by_key(|(point, number, ..)| (*point, *number));
    pages.sort_by_key(|(point, listing, ..)| (*point, *listing));
    let mut pages = pages.into_iter().peekable();

    let mut world = World { bucket, fault, stacks: BTreeMap::new(), records: Records::default() };
    let mut listings: BTreeMap<usize, Versions> = BTreeMap::new();
    for (point, number, request, key, span, answered, happens) in planned {
        while let Some((_, listing, span, limit)) = pages.next_if(|page| page.0 < point) {
            let empty = Versions { folder: key.folder(), after: None, pages: Vec::new(), is_whole: false };
            world.list_versions(listings.entry(listing).or_insert(empty), span, limit);
        }
        let outcome = if answered { Outcome::Acknowledged } else { Outcome::Unknown };
        match request {
            Request::Write => world.write(key, number, span, outcome, happens),
            Request::Delete => world.delete(key, number, span, outcome, happens),
            Request::Read if answered => world.read(key, span),
            Request::List if answered => world.list(key, span),
            Request::Rename => {
                let mut targets = keys.iter().filter(|to| to.number > key.number);
                let skipped = usize::try_from(chance.below(targets.clone().count() as u64)).unwrap();
                if let Some(to) = targets.nth(skipped).filter(|_| key == key.original()) {
                    world.rename(key, *to, number, span, outcome, happens);
                }
            }
            Request::Read | Request::List | Request::Versions => {}
        }
    }
    world.records.versions.extend(listings.into_values());
    world.records
}

fn etag(value: ValueId) -> String {
    value.0.to_string()
}

impl World {
    fn current(&self, key: Key) -> Option<&(String, Option<ValueId>)> {
        self.stacks.get(&key).and_then(|stack| stack.last())
    }

    fn push(&mut self, key: Key, id: String, value: Option<ValueId>) {
        let stack = self.stacks.entry(key).or_default();
        if self.bucket == Bucket::Plain {
            stack.clear();
        }
        if self.bucket == Bucket::Versioned {
            stack.push((id, value));
        } else if value.is_some() {
            stack.push(("null".to_owned(), value));
        }
    }

    /// What an acknowledgement tells of a version.
    fn told(&self, id: String, outcome: Outcome) -> Option<String> {
        (self.bucket == Bucket::Versioned && outcome == Outcome::Acknowledged).then_some(id)
    }

    fn write(&mut self, key: Key, number: u64, span: Span, outcome: Outcome, happens: bool) {
        let (value, id) = (ValueId(number), format!("v{number}"));
        if happens {
            self.push(key, id.clone(), Some(value));
        }
        let etag = (outcome == Outcome::Acknowledged).then(|| etag(value));
        let (size, condition, version) = (number * 7, Condition::None, self.told(id, outcome));
        let write = Write { value, size, span, outcome, condition, etag, version };
        self.records.keys.entry(key).or_default().writes.push(write);
    }

    fn delete(&mut self, key: Key, number: u64, span: Span, outcome: Outcome, happens: bool) {
        let id = format!("m{number}");
        if happens {
            self.push(key, id.clone(), None);
        }
        let marker = self.told(id, outcome);
        self.records.keys.entry(key).or_default().deletes.push(Delete { span, outcome, marker, taken: None });
    }

    fn rename(&mut self, from: Key, to: Key, number: u64, span: Span, outcome: Outcome, happens: bool) {
        let Some((_, Some(value))) = self.current(from).cloned() else { return };
        let id = format!("r{number}");
        if happens {
            self.push(to, id.clone(), Some(value));
        }
        if happens && self.fault != Fault::LeftSource {
            self.push(from, format!("rm{number}"), None);
        }
        let (size, etag, version) = (value.0 * 7, etag(value), self.told(id, outcome));
        let rename = Rename { value, size, etag, from, to, span, outcome, version };
        self.records.renames.push(rename);
    }

    fn read(&mut self, key: Key, span: Span) {
        let seen = match self.current(key).cloned() {
            Some((_, Some(value))) => Seen::Value(value),
            Some((marker, None)) => Seen::Marker(marker),
            None => Seen::Absent,
        };
        self.records.keys.entry(key).or_default().reads.push(Read { span, seen });
    }

    fn list(&mut self, key: Key, span: Span) {
        let entries = self.stacks.iter().filter_map(|(key, stack)| {
            let value = stack.last()?.1?;
            Some(Entry { key: *key, size: value.0 * 7, etag: etag(value) })
        });
        let entries = entries.collect();
        self.records.pages.push(Page { span, folder: key.folder(), after: None, until: None, entries });
    }

    fn list_versions(&self, listing: &mut Versions, span: Span, limit: u64) {
        if listing.is_whole {
            return;
        }
        let all: Vec<ListedVersion> = self
            .stacks
            .iter()
            .flat_map(|(key, stack)| {
                let version = |(place, (id, value)): (usize, &(String, Option<ValueId>))| ListedVersion {
                    key: *key,
                    version: id.clone(),
                    is_latest: place == 0,
                    object: value.map(|value| (value.0 * 7, etag(value))),
                };
                stack.iter().rev().enumerate().map(version)
            })
            .collect();
        let marker = listing.pages.last().and_then(|page| page.entries.last());
        let mut first = match marker {
            None => 0,
            Some(last) => {
                let same = |entry: &ListedVersion| (entry.key, &entry.version) == (last.key, &last.version);
                let here = all.iter().position(same).filter(|_| self.bucket == Bucket::Versioned);
                match here {
                    Some(here) => here + 1,
                    None => all.iter().position(|entry| entry.key > last.key).unwrap_or(all.len()),
                }
            }
        };
        let is_within = marker.is_some_and(|last| all.get(first).is_some_and(|next| next.key == last.key));
        match self.fault {
            Fault::LostVersion if is_within => first += 1,
            Fault::RepeatedVersion if is_within => first -= 1,
            _ => {}
        }
        let limit = usize::try_from(limit).unwrap();
        let entries = all.iter().skip(first).take(limit).cloned().collect();
        listing.is_whole = all.len() <= first + limit;
        listing.pages.push(VersionsPage { span, entries });
    }
}
