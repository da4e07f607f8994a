//! Listings: everything is rolled up, then cut.

use types::{KeyPrefix, ObjectKey, UploadId, VersionId};

use super::{
    State,
    buckets::{BucketRow, VersionRow},
    check_limit, malformed,
};
use crate::{
    AccountId, Error, ListObjects, ListPosition, ListUploads, ListVersions, ObjectEntry, ObjectPage,
    ObjectSummary, PAGE_SIZE_MAX, UploadEntry, UploadPage, UploadPosition, Version, VersionEntry,
    VersionPage, VersionPosition, VersionState, VersionSummary,
};

/// What all listings have in common.
struct Shape<'a> {
    prefix: &'a KeyPrefix,
    delimiter: Option<&'a KeyPrefix>,
    limit: usize,
}

enum Entry<T> {
    Row(T),
    CommonPrefix(KeyPrefix),
}

impl Shape<'_> {
    fn check(&self) -> Result<(), Error> {
        if self.delimiter.is_some_and(KeyPrefix::is_empty) {
            return Err(malformed("the delimiter is empty"));
        }
        check_limit(self.limit, PAGE_SIZE_MAX)
    }

    /// The common prefix that hides this key, if one does.
    fn common_prefix(&self, key: &ObjectKey) -> Option<KeyPrefix> {
        let delimiter = self.delimiter?.as_bytes();
        let rest = &key.as_bytes()[self.prefix.as_bytes().len()..];
        let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
        let end = self.prefix.as_bytes().len() + at + delimiter.len();
        Some(KeyPrefix::new(key.to_bytes().slice(..end)).expect("a part of a key that ends with UTF-8 text"))
    }

    /// A page of `rows`, which come in order. An entry is shown when its text (key or common prefix) is past
    /// `after`, or when it is a row of exactly that key and `also` says so.
    fn page<'r, T>(
        &self,
        rows: impl Iterator<Item = (&'r ObjectKey, T)>,
        after: Option<&[u8]>,
        also: impl Fn(&T) -> bool,
    ) -> (Vec<Entry<T>>, bool) {
        let mut entries = Vec::new();
        let mut shown: Option<KeyPrefix> = None;
        for (key, row) in rows.filter(|(key, _)| key.as_bytes().starts_with(self.prefix.as_bytes())) {
            let Some(common) = self.common_prefix(key) else {
                if after.is_none_or(|after| key.as_bytes() > after || (key.as_bytes() == after && also(&row)))
                {
                    entries.push(Entry::Row(row));
                }
                continue;
            };
            if after.is_none_or(|after| common.as_bytes() > after) && shown.as_ref() != Some(&common) {
                entries.push(Entry::CommonPrefix(common.clone()));
                shown = Some(common);
            }
        }
        let truncated = entries.len() > self.limit;
        entries.truncate(self.limit);
        (entries, truncated)
    }
}

impl State {
    pub(super) fn list_objects(&self, request: &ListObjects) -> Result<ObjectPage, Error> {
        let shape =
            Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
        shape.check()?;
        let bucket = self.bucket(&request.bucket)?;
        let after = match &request.position {
            ListPosition::Start => None,
            ListPosition::After(text) => Some(text.as_bytes()),
        };
        let current = bucket.versions.iter().filter_map(|(key, rows)| {
            let row = rows.last()?;
            summary(key, row).map(|summary| (key, summary))
        });
        let (entries, truncated) = shape.page(current, after, |_| false);
        let entry = |entry| match entry {
            Entry::Row(summary) => ObjectEntry::Object(summary),
            Entry::CommonPrefix(prefix) => ObjectEntry::CommonPrefix(prefix),
        };
        Ok(ObjectPage {
            entries: entries.into_iter().map(entry).collect(),
            truncated,
            owner: bucket.owner.clone(),
        })
    }

    pub(super) fn list_versions(&self, request: &ListVersions) -> Result<VersionPage, Error> {
        let shape =
            Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
        shape.check()?;
        let bucket = self.bucket(&request.bucket)?;
        let (after, version) = match &request.position {
            VersionPosition::Start => (None, None),
            VersionPosition::AfterKey(text) => (Some(text.as_bytes()), None),
            VersionPosition::AfterVersion(key, id) => (Some(key.as_bytes()), older_than(bucket, key, *id)),
        };
        let rows = bucket.versions.iter().flat_map(|(key, rows)| {
            let latest = rows.len() - 1;
            rows.iter().enumerate().rev().map(move |(index, row)| (key, (key, row, index == latest)))
        });
        let is_older =
            |(_, row, _): &(&ObjectKey, &VersionRow, bool)| version.is_some_and(|seq| row.sequence.0 < seq);
        let (entries, truncated) = shape.page(rows, after, is_older);
        let last_commit = match entries.last() {
            Some(Entry::Row((_, row, _))) => Some(row.sequence),
            _ => None,
        };
        let entry = |entry| match entry {
            Entry::Row((key, row, is_latest)) => VersionEntry::Version(version_summary(key, row, is_latest)),
            Entry::CommonPrefix(prefix) => VersionEntry::CommonPrefix(prefix),
        };
        Ok(VersionPage {
            entries: entries.into_iter().map(entry).collect(),
            truncated,
            last_commit,
            owner: bucket.owner.clone(),
        })
    }

    pub(super) fn list_uploads(&self, request: &ListUploads) -> Result<UploadPage, Error> {
        let shape =
            Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
        shape.check()?;
        let bucket = self.bucket(&request.bucket)?;
        let (after, upload): (Option<&[u8]>, Option<UploadId>) = match &request.position {
            UploadPosition::Start => (None, None),
            UploadPosition::AfterKey(text) => (Some(text.as_bytes()), None),
            UploadPosition::AfterUpload(text, id) => (Some(text.as_bytes()), Some(*id)),
        };
        let rows = bucket.uploads.iter().map(|((key, _), row)| (key, &row.upload));
        let (entries, truncated) = shape.page(rows, after, |row| upload.is_some_and(|id| row.id > id));
        let entry = |entry| match entry {
            Entry::Row(upload) => UploadEntry::Upload(Box::new(crate::Upload::clone(upload))),
            Entry::CommonPrefix(prefix) => UploadEntry::CommonPrefix(prefix),
        };
        Ok(UploadPage {
            entries: entries.into_iter().map(entry).collect(),
            truncated,
            owner: bucket.owner.clone(),
        })
    }
}

/// The commit before which versions are older than `id`, if that can be told.
fn older_than(bucket: &BucketRow, key: &ObjectKey, id: VersionId) -> Option<i64> {
    match id {
        VersionId::Numbered { sequence, .. } => Some(sequence.0),
        VersionId::Null => {
            let row = bucket.versions.get(key)?.iter().find(|row| row.id == VersionId::Null)?;
            Some(row.sequence.0)
        }
    }
}

fn summary(key: &ObjectKey, row: &VersionRow) -> Option<ObjectSummary> {
    let VersionState::Object(version) = &row.state else { return None };
    let Version { etag, size, storage_class, checksum, attributes, .. } = &**version;
    Some(ObjectSummary {
        key: key.clone(),
        last_modified: row.last_modified,
        etag: *etag,
        size: *size,
        storage_class: storage_class.clone(),
        checksum: checksum.map(|checksum| (checksum.value.algorithm(), checksum.kind)),
        restore: attributes.restore.filter(|_| storage_class.archive().is_some()),
        owner: attributes
            .acl
            .as_ref()
            .and_then(|acl| acl.owner.clone())
            .map(|owner| Box::new(AccountId(owner))),
    })
}

fn version_summary(key: &ObjectKey, row: &VersionRow, is_latest: bool) -> VersionSummary {
    VersionSummary {
        key: key.clone(),
        version_id: row.id,
        is_latest,
        last_modified: row.last_modified,
        object: summary(key, row),
        marker_owner: row.marker_owner.clone().map(Box::new),
    }
}
