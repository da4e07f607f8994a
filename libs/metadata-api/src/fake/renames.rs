//! Renames of prefixes.

use types::{Content, KeyPrefix, ObjectKey};

use super::{State, buckets::BucketRow};
use crate::{Error, RENAME_BYTES_MAX, RenamePrefix, RenamedObject, Version, VersionState};

impl BucketRow {
    /// The current objects under a prefix.
    fn under<'a>(
        &'a self,
        prefix: &'a KeyPrefix,
    ) -> impl Iterator<Item = (&'a ObjectKey, RenamedObject, &'a Version)> {
        let current = self.versions.iter().filter_map(|(key, rows)| Some((key, rows.last()?)));
        current.filter(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes())).filter_map(|(key, row)| {
            let VersionState::Object(version) = &row.state else { return None };
            Some((
                key,
                RenamedObject { key: key.clone(), version_id: row.id, etag: version.etag },
                &**version,
            ))
        })
    }
}

impl State {
    pub(super) fn rename_prefix(&mut self, request: &RenamePrefix) -> Result<(), Error> {
        let bucket = self.bucket(&request.bucket)?;
        let is_taken = bucket.under(&request.destination).next().is_some();
        let found = bucket.under(&request.source);
        if is_taken || !found.map(|(_, object, _)| object).eq(request.objects.iter().cloned()) {
            return Err(Error::PreconditionFailed { current: None });
        }
        if bucket.under(&request.source).map(|(_, _, version)| kept(version)).sum::<u64>() > RENAME_BYTES_MAX
        {
            return Err(Error::RenameTooLarge);
        }

        let before = (bucket.versions.clone(), bucket.commit_sequence);
        let (garbage, shared) = (self.garbage.clone(), self.shared.clone());
        let renamed = request.objects.iter().try_for_each(|object| {
            self.rename_object(request.of_one(object).ok_or(Error::KeyNotFound)?).map(drop)
        });
        if renamed.is_err() {
            (self.garbage, self.shared) = (garbage, shared);
            let bucket = self.bucket_mut(&request.bucket)?;
            (bucket.versions, bucket.commit_sequence) = before;
        }
        renamed
    }
}

/// About what a store keeps of a version.
fn kept(version: &Version) -> u64 {
    let content = match &version.content {
        Content::Inline(bytes) => bytes.len(),
        Content::Stored(manifest) => 40 * manifest.extents.len(),
    };
    (content + 40 * version.parts.len()) as u64
}
