//! Every row that names chunks, for audits.

use types::{BucketId, BucketName, Extent, ObjectKey};

/// A page of contents ends with the row that brings its extents to this many, whatever its limit.
pub const CONTENT_EXTENTS_MAX: usize = 50_000;

/// What kind of row names chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// A version that is there.
    Version,
    /// A part of an open upload.
    Part,
    /// A version or part that was removed and whose chunks wait to be freed.
    Garbage,
}

/// A row that names chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// Its kind.
    pub kind: ContentKind,
    /// The bucket.
    pub bucket: BucketId,
    /// The bucket's name, while it is there.
    pub bucket_name: Option<BucketName>,
    /// The key, where the row has one.
    pub key: Option<ObjectKey>,
    /// What it names; inline content is left out.
    pub extents: Vec<Extent>,
}

/// Where the next page of rows begins: opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPosition(pub Vec<u8>);

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPage {
    /// The rows.
    pub rows: Vec<ContentRow>,
    /// Where the next page begins; `None` after the last. A page may be empty and not be the last.
    pub next: Option<ContentPosition>,
}
