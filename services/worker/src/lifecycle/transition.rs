//! Moves objects to the storage classes that the rules of their bucket say.
//!
//! The chunks of a version are written anew in the other class and verified; then the version names them and has that class,
//! if it is still as it was (`crate::rewrite`). What it named before is freed as any garbage is. Nothing else of the version
//! changes, and reads go on. A long version moves batch by batch, and has the other class with the last of them; when that
//! is broken off, the next pass goes on with the chunks that are not there yet. Copies are moved each by itself, and have
//! chunks of their own afterwards.

mod target;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use metadata_api::{
    ClassChange, ClusterMap, ContentKind, ContentOwner, ContentRow, Error, FoundVersion, GetVersion,
    PAGE_SIZE_MAX, Subresource, Version, VersionState,
};
use s3_wire::lifecycle::{LifecycleRule, may_transition};
use types::{BucketName, ChunkId, Content, Extent, GroupId, StorageClassName};

use self::target::{Candidate, Targets};
use super::{clock::Days, common_prefix, configuration, pause};
use crate::{
    context::Context,
    jobs::Progress,
    rewrite::{Purpose, Rewriter},
    version_pages::VersionPages,
};

/// Versions that are decided on at once.
const PAGE: usize = 250;

/// Versions that are moved at a time, each chunk by chunk, whatever the rate.
const AT_ONCE: usize = 8;

/// Moves objects as long as this worker has the job.
pub(crate) async fn move_to_classes(context: Context, progress: Progress) {
    let day = context.options.lifecycle.day();
    loop {
        let mover = Mover {
            context: &context,
            rewriter: Rewriter::new(&context, Purpose::Transition, progress.clone()),
        };
        if let Err(error) = mover.pass(Days::new(day, context.env.wall_clock_ms())).await {
            tracing::warn!(%error, "objects were not all moved to the storage classes that lifecycle rules say");
        }
        progress.set_left(0);
        context.pause(pause(day)).await;
    }
}

struct Mover<'a> {
    context: &'a Context,
    rewriter: Rewriter<'a>,
}

impl Mover<'_> {
    async fn pass(&self, days: Days) -> Result<(), Error> {
        let mut after = None;
        loop {
            let metadata = &self.context.metadata;
            let page =
                metadata.list_buckets_with(Subresource::Lifecycle, after.as_ref(), PAGE_SIZE_MAX).await?;
            for bucket in &page {
                match self.of_bucket(bucket, days).await {
                    Ok(0) => {}
                    Ok(bytes) => tracing::info!(%bucket, bytes, "moved objects to other storage classes"),
                    // It was deleted meanwhile.
                    Err(Error::BucketNotFound { .. }) => {}
                    Err(error) => {
                        tracing::warn!(%error, %bucket, "objects were not moved to other storage classes")
                    }
                }
            }
            if page.len() < PAGE_SIZE_MAX {
                return Ok(());
            }
            after = page.into_iter().next_back();
        }
    }

    /// Moves what is due in a bucket, and answers how many bytes were written anew.
    async fn of_bucket(&self, bucket: &BucketName, days: Days) -> Result<u64, Error> {
        let document = self.context.metadata.get_subresource(bucket, Subresource::Lifecycle).await?;
        let Some(mut configuration) = document.as_ref().map(configuration).transpose()? else { return Ok(0) };
        configuration.rules.retain(|rule| rule.enabled);
        let moves =
            |rule: &&LifecycleRule| !rule.transitions.is_empty() || !rule.noncurrent_transitions.is_empty();
        let moving: Vec<LifecycleRule> = configuration.rules.iter().filter(moves).cloned().collect();
        if moving.is_empty() {
            return Ok(0);
        }
        let mut targets = Targets::new(&configuration, days);
        let mut pages = VersionPages::new(bucket.clone(), common_prefix(&moving), PAGE);
        let mut bytes = 0;
        while let Some(page) = pages.next(&*self.context.metadata).await? {
            let candidates: Vec<Candidate> =
                page.versions.into_iter().filter_map(|version| targets.next(version)).collect();
            bytes += self.candidates(bucket, candidates).await?;
            if !page.is_last {
                // A page of large objects takes long; who changed the rules meanwhile is heeded.
                let now = self.context.metadata.get_subresource(bucket, Subresource::Lifecycle).await?;
                if now != document {
                    break;
                }
            }
        }
        Ok(bytes)
    }

    async fn candidates(&self, bucket: &BucketName, candidates: Vec<Candidate>) -> Result<u64, Error> {
        if candidates.is_empty() {
            return Ok(0);
        }
        self.rewriter.progress.set_left(candidates.iter().map(|candidate| candidate.object.size).sum());
        let map = self.context.map().await?;
        let map = &*map;
        let versions = candidates
            .into_iter()
            .map(|candidate| async move { self.version(bucket, &candidate, map).await });
        let mut versions = stream::iter(versions).buffer_unordered(AT_ONCE);
        let mut bytes = 0;
        while let Some(moved) = versions.next().await {
            match moved {
                Ok(moved) => bytes += moved,
                Err(error) => {
                    tracing::info!(%error, %bucket, "a version was not moved to another storage class; it is tried again")
                }
            }
        }
        drop(versions);
        Ok(bytes + self.rewriter.finish().await)
    }

    /// Moves a version if it is still as it was listed, and answers how many bytes need not be written anew any more.
    async fn version(
        &self,
        bucket: &BucketName,
        candidate: &Candidate,
        map: &ClusterMap,
    ) -> Result<u64, Error> {
        let (key, version_id) = (candidate.object.key.clone(), Some(candidate.version_id));
        let wanted = GetVersion { bucket: bucket.clone(), key, version_id, with_content: true };
        let found = match self.context.metadata.get_version(wanted).await {
            Err(Error::KeyNotFound | Error::VersionNotFound) => return Ok(0),
            found => found?,
        };
        let VersionState::Object(version) = &found.state else { return Ok(0) };
        let listed = &candidate.object;
        let is_as_listed = (found.last_modified, version.etag) == (listed.last_modified, listed.etag);
        if !is_as_listed || found.is_current != candidate.is_current {
            return Ok(0);
        }
        let Some(to) = candidate.target(&version.attributes.tags) else { return Ok(0) };
        if !may_transition(&version.storage_class, to) {
            return Ok(0);
        }
        if map.class(to).is_none() {
            tracing::info!(%bucket, class = %to, "objects cannot be moved to a storage class that is not there");
            return Ok(0);
        }
        let row = row(bucket, candidate, &found, version);
        let chunks = elsewhere(&row.extents, map, to);
        let change = ClassChange { from: version.storage_class.clone(), to: to.clone() };
        Ok(self.rewriter.row(&row, &chunks, Some(change)).await)
    }
}

/// The row of a version, as a listing of contents shows it.
fn row(bucket: &BucketName, candidate: &Candidate, found: &FoundVersion, version: &Version) -> ContentRow {
    ContentRow {
        kind: ContentKind::Version,
        bucket: found.bucket.id,
        bucket_name: Some(bucket.clone()),
        key: Some(candidate.object.key.clone()),
        owner: Some(ContentOwner::Version(found.sequence)),
        extents: match &version.content {
            Content::Stored(manifest) => manifest.extents.clone(),
            Content::Inline(_) => Vec::new(),
        },
    }
}

/// One extent of each chunk that is in no group of a class, with the class.
fn elsewhere<'a>(
    extents: &[Extent],
    map: &ClusterMap,
    class: &'a StorageClassName,
) -> Vec<(&'a StorageClassName, Extent)> {
    let of_class = map.classes.iter().filter(|entry| entry.definition.name == *class);
    let groups: BTreeSet<GroupId> = of_class.flat_map(|entry| &entry.groups).map(|group| group.id).collect();
    let mut chunks: BTreeMap<ChunkId, Extent> = BTreeMap::new();
    for extent in extents.iter().filter(|extent| !groups.contains(&extent.group)) {
        chunks.entry(extent.chunk).or_insert(*extent);
    }
    chunks.into_values().map(|extent| (class, extent)).collect()
}
