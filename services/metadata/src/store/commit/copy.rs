//! Copies: a new version that names the source version's chunks.
//!
//! A copy starts only from a row that is there, under the lock of the row's bucket, and writes the references of both
//! owners in the same transaction. A row that is closed stays closed, so nothing can begin to share the chunks of a
//! row that waits to be freed.

use std::collections::BTreeSet;

use metadata_api::{Committed, CopyVersion, Error};
use types::{BucketId, ChunkId, ObjectKey, StorageClassName, VersionId};

use super::{
    batch::{Batch, NewBody},
    keys::check_write,
};
use crate::store::{
    codec::{decode_attributes, decode_manifest},
    engine::{DatabaseError, Failure, Tx},
    version_row::{Body, BodyContent, Head, Paged},
};

/// A version to copy from.
pub(crate) struct Source {
    pub(crate) bucket: BucketId,
    pub(crate) key: ObjectKey,
    pub(crate) head: Head,
    pub(crate) body: Body,
    /// As [`super::keys::Known::made`].
    pub(crate) made: Option<usize>,
}

impl Batch<'_> {
    /// Copies within the bucket.
    pub(crate) async fn copy_within(
        &mut self,
        tx: &mut Tx,
        request: &CopyVersion,
    ) -> Result<Committed, Failure> {
        let source = self.find_source(&request.source_key, request.source_version_id)?;
        self.copy_from(tx, request, source).await
    }

    /// The object whose body was loaded, or is made by the batch.
    pub(super) fn find_source(&self, source_key: &ObjectKey, id: VersionId) -> Result<Source, Failure> {
        let key = self.keys.get(source_key);
        let row = key.and_then(|key| key.find(id)).ok_or(Error::VersionNotFound)?;
        if row.head.is_delete_marker {
            return Err(Error::VersionNotFound.into());
        }
        let body = match row.made {
            Some(made) => self.changes.inserts[made].body.clone(),
            None => self.bodies.get(&(source_key.clone(), row.head.version_seq)).cloned(),
        };
        Ok(Source {
            bucket: self.bucket.id,
            key: source_key.clone(),
            head: row.head.clone(),
            body: body.ok_or_else(|| DatabaseError::corrupt("the source of a copy was not loaded"))?,
            made: row.made,
        })
    }

    /// Copies from a version whose bucket is locked too.
    pub(crate) async fn copy_from(
        &mut self,
        tx: &mut Tx,
        request: &CopyVersion,
        source: Source,
    ) -> Result<Committed, Failure> {
        let etag = source.head.object().ok_or(Error::VersionNotFound)?;
        let is_other = |class: &StorageClassName| *class != source.body.storage_class;
        if etag != request.source_etag || request.source_class.as_ref().is_some_and(is_other) {
            return Err(Error::PreconditionFailed { current: Some(etag) }.into());
        }
        let current = self.current_object(tx, &request.key).await?;
        check_write(request.condition, current)?;

        let size = source.head.size;
        self.check_quota(&request.key, size, 0, false)?;
        let mut body = source.body.clone();
        body.checksum = request.checksum.or(body.checksum);
        let of_source = decode_attributes(body.attributes).map_err(DatabaseError::from)?;
        let attributes = request.attributes_of(of_source);
        let attributes = attributes.ok_or(Error::PreconditionFailed { current: Some(etag) })?;
        body.attributes = self.encode_attributes(&attributes)?;
        body.shared = self.share(source)?;
        Ok(self.put(&request.key, NewBody { body, size, etag }))
    }

    /// Writes who names the source's chunks: the source, unless that is written already, and the copy that the next
    /// commit makes. Answers whether there are chunks.
    pub(super) fn share(&mut self, source: Source) -> Result<bool, DatabaseError> {
        let chunks = chunks_of(&source.body)?;
        if chunks.is_empty() {
            return Ok(false);
        }
        if !source.body.shared {
            let version = (source.key, source.head.version_seq);
            self.changes.refer(source.bucket, version.1, &chunks);
            match source.made {
                Some(made) => {
                    if let Some(body) = &mut self.changes.inserts[made].body {
                        body.shared = true;
                    }
                }
                None => {
                    let name = (source.bucket, version.0.clone(), version.1, source.head.seq_from);
                    self.changes.shared.insert(name);
                    if source.bucket == self.bucket.id
                        && let Some(body) = self.bodies.get_mut(&version)
                    {
                        body.shared = true;
                    }
                }
            }
        }
        let copy = self.next_sequence();
        self.changes.refer(self.bucket.id, copy, &chunks);
        Ok(true)
    }
}

/// The distinct chunks of a body whose pages are in place.
pub(crate) fn chunks_of(body: &Body) -> Result<BTreeSet<ChunkId>, DatabaseError> {
    match &body.content {
        BodyContent::Absent | BodyContent::Inline(_) => Ok(BTreeSet::new()),
        BodyContent::Manifest(Paged::Here(manifest)) => {
            Ok(decode_manifest(manifest.clone())?.extents.iter().map(|extent| extent.chunk).collect())
        }
        BodyContent::Manifest(Paged::None | Paged::InPages) => {
            Err(DatabaseError::corrupt("a manifest was not loaded"))
        }
    }
}
