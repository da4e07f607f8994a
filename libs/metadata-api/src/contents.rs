//! Every row that names chunks, for audits and for what re-encodes, and the putting of other chunks in their place.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    BucketId, BucketName, ChunkId, Extent, LeaseId, MissingShard, ObjectKey, PartNumber, Sequence,
    StorageClassName, UploadId,
};

use crate::{Error, PAGE_SIZE_MAX};

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
    /// Which of the key's versions or parts it is; none of garbage.
    pub owner: Option<ContentOwner>,
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

/// Names a version that is there or a part of an open upload, together with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentOwner {
    /// The version that this commit made.
    Version(Sequence),
    /// A part.
    Part {
        /// Its upload.
        upload: UploadId,
        /// Its number.
        number: PartNumber,
    },
}

/// Puts other chunks with the same bytes in the place of chunks that a version or a part names, and may give the version
/// another storage class with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceChunks {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which of the key's versions or parts.
    pub owner: ContentOwner,
    /// The lease under which the new chunks were written; none without chunks.
    pub lease: Option<LeaseId>,
    /// What is replaced, each chunk once, up to [`PAGE_SIZE_MAX`]. Without any, the class changes alone.
    pub chunks: Vec<Replacement>,
    /// Shards of the new chunks that are not known to be stable.
    pub missing: Vec<MissingShard>,
    /// The storage class that the version, which is none of a part's, has from then on.
    pub class: Option<ClassChange>,
}

/// A version's change from one storage class to another. It is made when every chunk that the version names then is in a
/// placement group of the other class, by its present coding or a former one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassChange {
    /// The class that the version must have.
    pub from: StorageClassName,
    /// The class that it gets, which must be defined.
    pub to: StorageClassName,
}

/// A chunk and what comes in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// The chunk that is named.
    pub chunk: ChunkId,
    /// The whole of the new chunk: as many bytes, with the same checksum.
    pub by: Extent,
}

/// Content with other chunks in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// What is named from now on.
    pub extents: Vec<Extent>,
    /// What is not named any more: one extent of each chunk, in the order of the chunks.
    pub given_up: Vec<Extent>,
}

/// Most versions and parts of which chunks are replaced in one transaction, under the lock that commits to the bucket wait for.
pub const REPLACED_ROWS_MAX: usize = 64;

impl ReplaceChunks {
    /// Refuses what can never be right together. Errors: `Malformed`.
    pub fn check_all(requests: &[Self]) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        requests.iter().try_for_each(Self::check)?;
        let Some(first) = requests.first() else { return malformed("nothing to replace") };
        let chunks: usize = requests.iter().map(|request| request.chunks.len()).sum();
        if requests.len() > REPLACED_ROWS_MAX || chunks > PAGE_SIZE_MAX {
            return malformed("too many chunks, versions or parts at once");
        }
        if requests.iter().any(|request| request.bucket != first.bucket || request.lease != first.lease) {
            return malformed("not all of one bucket and one lease");
        }
        let rows = requests.iter().map(|request| (&request.key, request.owner));
        let new = requests.iter().flat_map(|request| &request.chunks).map(|replacement| replacement.by.chunk);
        if rows.collect::<BTreeSet<_>>().len() != requests.len()
            || new.collect::<BTreeSet<_>>().len() != chunks
        {
            return malformed("a version or part, or a new chunk, is there twice");
        }
        Ok(())
    }

    /// Refuses what can never be right. Errors: `Malformed`.
    pub fn check(&self) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        let replaced: BTreeSet<ChunkId> = self.chunks.iter().map(|replacement| replacement.chunk).collect();
        let new: BTreeSet<ChunkId> = self.chunks.iter().map(|replacement| replacement.by.chunk).collect();
        let count = self.chunks.len();
        if count > PAGE_SIZE_MAX || replaced.len() != count || new.len() != count {
            return malformed("too many chunks to replace, or one of them twice");
        }
        if count == 0 && (self.class.is_none() || self.lease.is_some() || !self.missing.is_empty()) {
            return malformed("no chunks to replace");
        }
        if self.class.is_some() && matches!(self.owner, ContentOwner::Part { .. }) {
            return malformed("a part has the storage class of its upload");
        }
        let is_whole = |by: &Extent| by.offset == 0 && by.length == by.chunk_length;
        let is_of_lease = |by: &Extent| Some(by.chunk.lease) == self.lease;
        if self.chunks.iter().any(|Replacement { by, .. }| !is_of_lease(by) || !is_whole(by)) {
            return malformed("a new chunk is not whole, or not of the lease");
        }
        Ok(())
    }

    /// The same content with the new chunks in it; `None` unless all of the replaced chunks are in it and have as many
    /// bytes, with the same checksum, as what comes in their place.
    pub fn apply(&self, extents: &[Extent]) -> Option<Replaced> {
        let by: BTreeMap<ChunkId, Extent> =
            self.chunks.iter().map(|replacement| (replacement.chunk, replacement.by)).collect();
        let (mut given_up, mut extents) = (BTreeMap::new(), extents.to_vec());
        for extent in &mut extents {
            let Some(by) = by.get(&extent.chunk) else { continue };
            if (by.chunk_length, by.checksum) != (extent.chunk_length, extent.checksum) {
                return None;
            }
            given_up.insert(extent.chunk, *extent);
            *extent = Extent { offset: extent.offset, length: extent.length, ..*by };
        }
        let is_complete = given_up.len() == by.len();
        is_complete.then(|| Replaced { extents, given_up: given_up.into_values().collect() })
    }
}
