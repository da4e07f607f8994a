//! Every row that names chunks.

use types::{Content, ObjectKey};

use super::{State, buckets::BucketRow, check_limit, malformed};
use crate::{
    CONTENT_EXTENTS_MAX, ContentKind, ContentOwner, ContentPage, ContentPosition, ContentRow, Error,
    PAGE_SIZE_MAX,
};

/// How many rows a position is behind.
pub(super) fn rows_before(position: Option<&ContentPosition>) -> Result<usize, Error> {
    let Some(ContentPosition(bytes)) = position else { return Ok(0) };
    let bytes = bytes.as_slice().try_into().map_err(|_| malformed("not a position of this listing"))?;
    Ok(usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX))
}

/// The position behind so many rows.
pub(super) fn position(rows: usize) -> ContentPosition {
    ContentPosition((rows as u64).to_be_bytes().to_vec())
}

impl State {
    /// The position is the number of rows before it, which is exact while nothing changes.
    pub(super) fn list_contents(
        &self,
        after: Option<&ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let skipped = rows_before(after)?;
        let mut rest = self.contents().into_iter().skip(skipped);
        let (mut rows, mut extents) = (Vec::new(), 0);
        while rows.len() < limit && extents < CONTENT_EXTENTS_MAX {
            let Some(row) = rest.next() else { break };
            extents += row.extents.len();
            rows.push(row);
        }
        let truncated = rest.next().is_some();
        let next = truncated.then(|| position(skipped.saturating_add(rows.len())));
        Ok(ContentPage { rows, next })
    }

    fn contents(&self) -> Vec<ContentRow> {
        let stored = |kind, bucket: &BucketRow, key: &ObjectKey, owner, content: &Content| match content {
            Content::Stored(manifest) if !manifest.extents.is_empty() => Some(ContentRow {
                kind,
                bucket: bucket.id,
                bucket_name: Some(bucket.name.clone()),
                key: Some(key.clone()),
                owner: Some(owner),
                extents: manifest.extents.clone(),
            }),
            _ => None,
        };
        let mut all = Vec::new();
        for bucket in self.buckets.values() {
            for (key, row) in
                bucket.versions.iter().flat_map(|(key, rows)| rows.iter().map(move |row| (key, row)))
            {
                let owner = ContentOwner::Version(row.sequence);
                let content = row.content();
                all.extend(content.and_then(|it| stored(ContentKind::Version, bucket, key, owner, it)));
            }
            for ((key, upload), row) in &bucket.uploads {
                for (number, part) in &row.parts {
                    let owner = ContentOwner::Part { upload: *upload, number: *number };
                    all.extend(stored(ContentKind::Part, bucket, key, owner, &part.content));
                }
            }
        }
        for (id, item) in &self.garbage.items {
            let named = if item.is_holder { item.extents() } else { &item.named };
            if named.is_empty() {
                continue;
            }
            let (kind, key, extents) = (ContentKind::Garbage, item.key.clone(), named.to_vec());
            let bucket_name = self.buckets.values().find(|bucket| bucket.id == id.bucket);
            let bucket_name = bucket_name.map(|bucket| bucket.name.clone());
            all.push(ContentRow { kind, bucket: id.bucket, bucket_name, key, owner: None, extents });
        }
        all
    }
}
