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

/// Everything that was done and seen. It grows with the number of operations, which the command line bounds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    inner: Mutex<Records>,
}

/// The contents of a [`Log`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) keys: BTreeMap<Key, History>,
    pub(crate) pages: Vec<Page>,
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

    pub(crate) fn page(&self, page: Page) {
        self.with(|records| records.pages.push(page));
    }

    /// All of it, as it is now.
    pub(crate) fn records(&self) -> Records {
        self.with(|records| records.clone())
    }
}
