//! The versions of a bucket, page by page.

use metadata_api::{
    AccountId, Error, ListVersions, Metadata, VersionEntry, VersionPage, VersionPosition, VersionSummary,
};
use types::{BucketName, KeyPrefix};

/// A walk over the versions and delete markers whose keys begin with a prefix, by key and from the newest.
///
/// The pages are not of one moment: what is written or deleted meanwhile is in them or is not.
pub(crate) struct VersionPages {
    next: Option<ListVersions>,
}

/// A page of a walk.
pub(crate) struct Versions {
    pub(crate) versions: Vec<VersionSummary>,
    /// Who owns them.
    pub(crate) owner: AccountId,
    /// Whether no page follows.
    pub(crate) is_last: bool,
}

impl VersionPages {
    /// From the first version on, at most `limit` at a time.
    pub(crate) fn new(bucket: BucketName, prefix: KeyPrefix, limit: usize) -> Self {
        Self {
            next: Some(ListVersions {
                bucket,
                prefix,
                delimiter: None,
                position: VersionPosition::Start,
                limit,
            }),
        }
    }

    /// What to ask for next; none after the last page.
    pub(crate) fn request(&self) -> Option<ListVersions> {
        self.next.clone()
    }

    /// Takes the answer to [`request`](Self::request) in.
    pub(crate) fn take(&mut self, page: VersionPage) -> Versions {
        let position = page.next();
        let VersionPage { entries, owner, .. } = page;
        let versions: Vec<VersionSummary> = entries
            .into_iter()
            .filter_map(|entry| match entry {
                VersionEntry::Version(version) => Some(version),
                VersionEntry::CommonPrefix(_) => None,
            })
            .collect();
        self.next =
            self.next.take().zip(position).map(|(request, position)| ListVersions { position, ..request });
        Versions { versions, owner, is_last: self.next.is_none() }
    }

    /// The next page, asked for once.
    pub(crate) async fn next(&mut self, metadata: &dyn Metadata) -> Result<Option<Versions>, Error> {
        let Some(request) = self.request() else { return Ok(None) };
        let page = metadata.list_versions(request).await?;
        Ok(Some(self.take(page)))
    }
}
