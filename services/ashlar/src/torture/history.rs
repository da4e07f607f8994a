//! The acknowledgement log: for each key what was tried, what was answered and what was seen, each with the moments
//! between which it happened.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::torture::{
    keys::{Folder, Key},
    values::ValueId,
    zones::Time,
};

/// When a request began and when its answer had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Time,
    pub(crate) finish: Time,
}

/// What is known of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server said that it happened.
    Acknowledged,
    /// The server said that it did not happen.
    Refused,
    /// No answer, or one that says neither.
    Unknown,
}

/// What a write asked of the state that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// `If-None-Match: *`: that there is no object.
    Absent,
    /// `If-Match`: that it is this value.
    Value(ValueId),
}

/// A write of a value.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) value: ValueId,
    pub(crate) size: u64,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
    pub(crate) condition: Condition,
    /// As the acknowledgement told it.
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
}

/// A delete.
#[derive(Debug, Clone)]
pub(crate) struct Delete {
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
    /// The version id of its delete marker, as the acknowledgement told it.
    pub(crate) marker: Option<String>,
    /// The value that a rename took away; of its delete marker no answer tells.
    pub(crate) taken: Option<ValueId>,
}

impl Delete {
    /// Whether it may have made a delete marker that no answer named.
    pub(crate) fn may_have_unnamed_marker(&self) -> bool {
        match self.outcome {
            Outcome::Acknowledged => self.taken.is_some(),
            Outcome::Unknown => true,
            Outcome::Refused => false,
        }
    }
}

/// A rename of what was the object of a key, under the condition that it still is: at both keys it is a change of the
/// same moment.
#[derive(Debug, Clone)]
pub(crate) struct Rename {
    pub(crate) value: ValueId,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) from: Key,
    pub(crate) to: Key,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
    /// As the acknowledgement told it.
    pub(crate) version: Option<String>,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Value(ValueId),
    /// Nothing, because of this delete marker.
    Marker(String),
    /// Nothing.
    Absent,
}

/// A read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) span: Span,
    pub(crate) seen: Seen,
}

/// One key's past.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) writes: Vec<Write>,
    pub(crate) deletes: Vec<Delete>,
    pub(crate) reads: Vec<Read>,
    /// Moments between which an `If-None-Match: *` was answered with 412: there was an object.
    pub(crate) found_present: Vec<Span>,
}

/// One page of a listing: it says of every key of the folder after `after` and up to `until` whether it is there.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) span: Span,
    pub(crate) folder: Folder,
    pub(crate) after: Option<Key>,
    /// `None`: to the end of the folder.
    pub(crate) until: Option<Key>,
    /// In order.
    pub(crate) entries: Vec<Entry>,
}

/// A key of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// A listing of the versions of a folder, page by page.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    pub(crate) folder: Folder,
    /// It began after all versions of this key; `None`: at the beginning of the folder.
    pub(crate) after: Option<Key>,
    /// In order: each goes on where the one before ended.
    pub(crate) pages: Vec<VersionsPage>,
    /// Whether the last page said that nothing follows.
    pub(crate) is_whole: bool,
}

/// One page of a listing of versions.
#[derive(Debug, Clone)]
pub(crate) struct VersionsPage {
    pub(crate) span: Span,
    /// In order.
    pub(crate) entries: Vec<ListedVersion>,
}

/// A version or a delete marker of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedVersion {
    pub(crate) key: Key,
    pub(crate) version: String,
    pub(crate) is_latest: bool,
    /// Size and ETag; `None` for a delete marker.
    pub(crate) object: Option<(u64, String)>,
}

/// Everything that was done and seen. It grows with the number of operations, which the command line bounds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    inner: Mutex<Records>,
}

/// The contents of a [`Log`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) keys: BTreeMap<Key, History>,
    pub(crate) renames: Vec<Rename>,
    pub(crate) pages: Vec<Page>,
    pub(crate) versions: Vec<Versions>,
}

impl Log {
    fn with<T>(&self, change: impl FnOnce(&mut Records) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn write(&self, key: Key, write: Write) {
        self.with(|records| records.keys.entry(key).or_default().writes.push(write));
    }

    pub(crate) fn delete(&self, key: Key, delete: Delete) {
        self.with(|records| records.keys.entry(key).or_default().deletes.push(delete));
    }

    pub(crate) fn read(&self, key: Key, read: Read) {
        self.with(|records| records.keys.entry(key).or_default().reads.push(read));
    }

    pub(crate) fn found_present(&self, key: Key, span: Span) {
        self.with(|records| records.keys.entry(key).or_default().found_present.push(span));
    }

    pub(crate) fn rename(&self, rename: Rename) {
        self.with(|records| records.renames.push(rename));
    }

    pub(crate) fn versions(&self, versions: Versions) {
        self.with(|records| records.versions.push(versions));
    }

    pub(crate) fn page(&self, page: Page) {
        self.with(|records| records.pages.push(page));
    }

    /// All of it, as it is now.
    pub(crate) fn records(&self) -> Records {
        self.with(|records| records.clone())
    }
}
