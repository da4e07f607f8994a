//! Carries out the lifecycle rules of buckets: what has expired is deleted, as a client would delete it, and what is to have
//! another storage class is moved to that, as a job of its own (`transition`).
//!
//! A pass walks every bucket that has rules, page by page, and holds one page in memory. It decides by what a listing
//! showed, and says so with each deletion: the metadata service deletes only what is still as it was listed, so that
//! whatever was written meanwhile stays. A pass that is broken off is begun anew.

mod clock;
mod due;
#[cfg(test)]
mod tests;
mod transition;

use std::time::Duration;

use bytes::Bytes;
use metadata_api::{
    AbortUpload, DeleteVersions, Error, GetVersion, ListUploads, PAGE_SIZE_MAX, Subresource, UploadEntry,
    UploadPosition, VersionState,
};
use s3_wire::{
    lifecycle::{LifecycleConfiguration, LifecycleRule},
    xml::parse_stored_lifecycle,
};
use types::{BucketName, KeyPrefix, ObjectKey, VersionId};

pub(crate) use self::transition::move_to_classes;
use self::{
    clock::Days,
    due::{Due, Expiry},
};
use crate::{context::Context, jobs::Progress, version_pages::VersionPages};

/// Longest pause between two passes.
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);

/// Shortest pause, when a day is made short for tests.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// Carries rules out as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let day = context.options.lifecycle.day();
    loop {
        if let Err(error) = pass(&context, &progress, Days::new(day, context.env.wall_clock_ms())).await {
            tracing::warn!(%error, "lifecycle rules were not all carried out");
        }
        progress.set_left(0);
        context.pause(pause(day)).await;
    }
}

/// How long to wait for the next pass.
fn pause(day: Duration) -> Duration {
    (day / 24).clamp(PERIOD_MIN, PERIOD_MAX)
}

async fn pass(context: &Context, progress: &Progress, days: Days) -> Result<(), Error> {
    let mut after = None;
    loop {
        let metadata = &context.metadata;
        let page = metadata.list_buckets_with(Subresource::Lifecycle, after.as_ref(), PAGE_SIZE_MAX).await?;
        for (bucket, left) in page.iter().zip((1..=page.len()).rev()) {
            progress.set_left(left as u64);
            match of_bucket(context, bucket, days).await {
                Ok(0) => {}
                Ok(expired) => tracing::info!(%bucket, expired, "deleted what had expired"),
                // It was deleted meanwhile.
                Err(Error::BucketNotFound { .. }) => {}
                Err(error) => tracing::warn!(%error, %bucket, "lifecycle rules were not carried out"),
            }
            progress.add(1);
        }
        if page.len() < PAGE_SIZE_MAX {
            return Ok(());
        }
        after = page.into_iter().next_back();
    }
}

/// Carries the rules of a bucket out, and answers how much had expired.
async fn of_bucket(context: &Context, bucket: &BucketName, days: Days) -> Result<usize, Error> {
    let Some(document) = context.metadata.get_subresource(bucket, Subresource::Lifecycle).await? else {
        return Ok(0);
    };
    let mut rules = configuration(&document)?.rules;
    rules.retain(|rule| rule.enabled);
    let mut expired = 0;
    if rules.iter().any(|rule| rule.expiration.is_some() || rule.noncurrent.is_some()) {
        expired += expire_versions(context, bucket, &rules, days).await?;
    }
    if rules.iter().any(|rule| rule.abort_uploads_after_days.is_some()) {
        expired += abort_uploads(context, bucket, &rules, days).await?;
    }
    Ok(expired)
}

/// What a bucket's rules are, of those that are not enabled too.
fn configuration(document: &Bytes) -> Result<LifecycleConfiguration, Error> {
    parse_stored_lifecycle(document).map_err(|error| Error::Internal { reason: error.to_string() })
}

/// What every rule's keys begin with, to spare what no rule is about.
fn common_prefix(rules: &[LifecycleRule]) -> KeyPrefix {
    let mut prefixes = rules.iter().map(|rule| rule.filter.prefix.as_deref().unwrap_or_default());
    let first = prefixes.next().unwrap_or_default();
    let common = prefixes.fold(first, |common, prefix| {
        let same = common.char_indices().zip(prefix.chars()).take_while(|((_, a), b)| a == b);
        let end = same.last().map_or(0, |((at, character), _)| at + character.len_utf8());
        &common[..end]
    });
    KeyPrefix::new(common.to_owned()).unwrap_or_default()
}

async fn expire_versions(
    context: &Context,
    bucket: &BucketName,
    rules: &[LifecycleRule],
    days: Days,
) -> Result<usize, Error> {
    let mut due = Due::new(rules, days);
    let mut pages = VersionPages::new(bucket.clone(), common_prefix(rules), PAGE_SIZE_MAX);
    let mut expired = 0;
    while let Some(page) = pages.next(&*context.metadata).await? {
        let mut expiries: Vec<Expiry> = Vec::new();
        for version in page.versions {
            expiries.extend(due.next(version));
        }
        if page.is_last {
            expiries.extend(due.end());
        }
        expired += delete(context, bucket, expiries).await?;
    }
    Ok(expired)
}

/// Deletes those that have the tags that their rules ask for and that are still as they were listed.
async fn delete(context: &Context, bucket: &BucketName, expiries: Vec<Expiry>) -> Result<usize, Error> {
    let mut entries = Vec::new();
    for Expiry { entry, version_id, wanted_tags } in expiries {
        if wanted_tags.is_empty() || has_tags(context, bucket, &entry.key, version_id, &wanted_tags).await? {
            entries.push(entry);
        }
    }
    let mut deleted = 0;
    // A page can make one more than its entries: what the page before it left undecided.
    for entries in entries.chunks(PAGE_SIZE_MAX) {
        let request =
            DeleteVersions { bucket: bucket.clone(), entries: entries.to_vec(), marker_owner: None };
        for outcome in context.metadata.delete_versions(request).await? {
            match outcome {
                Ok(_) => deleted += 1,
                // It was replaced or deleted meanwhile, or is kept by its lock.
                Err(Error::PreconditionFailed { .. } | Error::KeyNotFound | Error::VersionLocked) => {}
                Err(error) => tracing::warn!(%error, %bucket, "what had expired was not deleted"),
            }
        }
    }
    Ok(deleted)
}

/// Whether a version has all the tags of any of the rules.
async fn has_tags(
    context: &Context,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: VersionId,
    rules: &[Vec<(String, String)>],
) -> Result<bool, Error> {
    let (bucket, key) = (bucket.clone(), key.clone());
    let wanted = GetVersion { bucket, key, version_id: Some(version_id), with_content: false };
    match context.metadata.get_version(wanted).await {
        Ok(found) => Ok(match found.state {
            VersionState::Object(version) => {
                let tags = &version.attributes.tags;
                rules.iter().any(|wanted| wanted.iter().all(|tag| tags.contains(tag)))
            }
            VersionState::DeleteMarker => false,
        }),
        Err(Error::KeyNotFound | Error::VersionNotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn abort_uploads(
    context: &Context,
    bucket: &BucketName,
    rules: &[LifecycleRule],
    days: Days,
) -> Result<usize, Error> {
    let (mut position, mut aborted) = (UploadPosition::Start, 0);
    loop {
        let request = ListUploads {
            bucket: bucket.clone(),
            prefix: common_prefix(rules),
            delimiter: None,
            position,
            limit: PAGE_SIZE_MAX,
        };
        let page = context.metadata.list_uploads(request).await?;
        let mut last = None;
        for entry in page.entries {
            let UploadEntry::Upload(upload) = entry else { continue };
            last = Some((upload.key.clone(), upload.id));
            let is_due = |rule: &LifecycleRule| {
                rule.filter.fits_key(upload.key.as_str())
                    && rule
                        .abort_uploads_after_days
                        .is_some_and(|after| days.have_passed(after, upload.initiated))
            };
            if !rules.iter().any(is_due) {
                continue;
            }
            let request = AbortUpload { bucket: bucket.clone(), key: upload.key, upload: upload.id };
            match context.metadata.abort_upload(request).await {
                Ok(()) => aborted += 1,
                // It was completed or aborted meanwhile.
                Err(Error::UploadNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        match last {
            Some((key, upload)) if page.truncated => {
                let key = KeyPrefix::new(key.as_str().to_owned()).unwrap_or_default();
                position = UploadPosition::AfterUpload(key, upload);
            }
            _ => return Ok(aborted),
        }
    }
}
