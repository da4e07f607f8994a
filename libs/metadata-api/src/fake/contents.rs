//! Every row that names chunks.

use types::{Content, ObjectKey};

use super::{State, buckets::BucketRow, check_limit, malformed};
use crate::{
    CONTENT_EXTENTS_MAX, ContentKind, ContentPage, ContentPosition, ContentRow, Error, PAGE_SIZE_MAX,
};

impl State {
    /// The position is the number of rows before it, which is exact while nothing changes.
    pub(super) fn list_contents(
        &self,
        after: Option<&ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let skipped = match after {
            None => 0,
            Some(ContentPosition(bytes)) => {
                let bytes = bytes.as_slice().try_into();
                u64::from_be_bytes(bytes.map_err(|_| malformed("not a position of this listing"))?)
            }
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let mut rest = self.contents().into_iter().skip(skipped);
        let (mut rows, mut extents) = (Vec::new(), 0);
        while rows.len() < limit && extents < CONTENT_EXTENTS_MAX {
            let Some(row) = rest.next() else { break };
            extents += row.extents.len();
            rows.push(row);
        }
        let truncated = rest.next().is_some();
        let next = (skipped.saturating_add(rows.len()) as u64).to_be_bytes();
        Ok(ContentPage { rows, next: truncated.then(|| ContentPosition(next.to_vec())) })
    }

    fn contents(&self) -> Vec<ContentRow> {
        let stored = |kind, bucket: &BucketRow, key: &ObjectKey, content: &Content| match content {
            Content::Stored(manifest) if !manifest.extents.is_empty() => Some(ContentRow {
                kind,
                bucket: bucket.id,
                bucket_name: Some(bucket.name.clone()),
                key: Some(key.clone()),
                extents: manifest.extents.clone(),
            }),
            _ => None,
        };
        let mut all = Vec::new();
        for bucket in self.buckets.values() {
            for (key, rows) in &bucket.versions {
                let contents = rows.iter().filter_map(|row| row.content());
                all.extend(contents.filter_map(|content| stored(ContentKind::Version, bucket, key, content)));
            }
            for ((key, _), upload) in &bucket.uploads {
                let contents = upload.parts.values().map(|part| &part.content);
                all.extend(contents.filter_map(|content| stored(ContentKind::Part, bucket, key, content)));
            }
        }
        for (id, item) in self.garbage.items.iter().filter(|(_, item)| !item.named.is_empty()) {
            let (kind, key, extents) = (ContentKind::Garbage, item.key.clone(), item.named.clone());
            let bucket_name = self.buckets.values().find(|bucket| bucket.id == id.bucket);
            let bucket_name = bucket_name.map(|bucket| bucket.name.clone());
            all.push(ContentRow { kind, bucket: id.bucket, bucket_name, key, extents });
        }
        all
    }
}
