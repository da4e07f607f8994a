//! Renames: a copy within the bucket and the end of its source, in one commit.

use metadata_api::{Committed, Error, RenameObject};
use types::{Attributes, VersionId, Versioning};

use super::{
    batch::{Batch, NewBody},
    keys::check_write,
};
use crate::store::{
    codec::decode_attributes,
    engine::{DatabaseError, Failure, Tx},
};

impl Batch<'_> {
    /// Gives an object another key.
    pub(crate) async fn rename_object(
        &mut self,
        tx: &mut Tx,
        request: &RenameObject,
    ) -> Result<Committed, Failure> {
        self.find_current(tx, &request.source_key).await?;
        let current = self.key(&request.source_key).current().map(|row| row.head.version_id());
        if current != Some(request.source_version_id) {
            return Err(Error::VersionNotFound.into());
        }
        let source = self.find_source(&request.source_key, request.source_version_id)?;
        let etag = source.head.object().ok_or(Error::VersionNotFound)?;
        if etag != request.source_etag {
            return Err(Error::PreconditionFailed { current: Some(etag) }.into());
        }
        let replaced = self.current_object(tx, &request.key).await?;
        check_write(request.condition, replaced)?;

        let (size, version_seq) = (source.head.size, source.head.version_seq);
        let versioning = self.bucket.versioning;
        let is_replaced = source.head.is_null && versioning != Versioning::Enabled;
        self.check_quota(&request.key, size, if is_replaced { size } else { 0 }, true)?;
        let last_modified = match versioning {
            Versioning::Unversioned => source.head.last_modified,
            Versioning::Enabled | Versioning::Suspended => self.now,
        };
        let mut body = source.body.clone();
        let attributes = decode_attributes(body.attributes).map_err(DatabaseError::from)?;
        body.attributes = self.encode_attributes(&Attributes { renamed: request.mark, ..attributes })?;
        body.shared = self.share(source)?;
        let committed = self.put_as_of(&request.key, NewBody { body, size, etag }, last_modified);
        let sequence = committed.sequence.0;
        match versioning {
            Versioning::Unversioned => self.remove(&request.source_key, version_seq, sequence),
            Versioning::Enabled | Versioning::Suspended => {
                let _: VersionId = self.put_marker(&request.source_key, sequence, None);
            }
        }
        Ok(committed)
    }
}
