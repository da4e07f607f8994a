//! Work that the worker leases.

use types::{BucketId, Extent};

/// Names an item of a bucket's garbage queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GarbageId {
    /// The bucket.
    pub bucket: BucketId,
    /// The item's number within it.
    pub number: i64,
}

/// Content that nothing names any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarbageItem {
    /// The item.
    pub id: GarbageId,
    /// One extent for each chunk to be freed; empty when all of them are still named elsewhere.
    pub extents: Vec<Extent>,
}
