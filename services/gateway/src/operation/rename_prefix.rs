//! RenameObject of a prefix: every object under it gets a key under another one, in one transaction, so that nobody sees some
//! of them without the others. S3 API Reference, "RenameObject", has it for objects alone.
//!
//! Each object is decided on as if it were renamed by itself.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use metadata_api::{
    Error as MetadataError, FoundVersion, ListObjects, ListPosition, ObjectEntry, ObjectPage, PAGE_SIZE_MAX,
    RenamePrefix, RenamedObject, Version,
};
use s3_wire::{ErrorCode, S3Error, address::key_too_long};
use types::{KeyPrefix, ObjectKey, RenameMark};

use super::rename_object::{ATTEMPTS_MAX, CONDITIONS, find};
use crate::{Gateway, auth::Permit, request::Request, turns::Turns};

/// Objects that are looked at together.
const READS_MAX: usize = 16;

/// The condition that the destination always has to meet, and so may be asked for.
const IF_NONE_MATCH: &str = "if-none-match";

/// Both ends.
pub(super) struct Prefixes {
    source: KeyPrefix,
    destination: KeyPrefix,
}

impl Prefixes {
    /// The ends of a rename, if they are prefixes.
    pub(super) fn of(
        request: &Request,
        source: &ObjectKey,
        key: &ObjectKey,
    ) -> Result<Option<Self>, S3Error> {
        let ends = [source, key].map(|key| key.as_str().ends_with('/'));
        if ends == [false, false] {
            return Ok(None);
        }
        if ends != [true, true] {
            let message = "A prefix, which ends in a slash, is renamed to another prefix, and an object to a key without a slash at its end.";
            return Err(S3Error::invalid_request(message));
        }
        if source.as_bytes().starts_with(key.as_bytes()) || key.as_bytes().starts_with(source.as_bytes()) {
            let message =
                "A prefix cannot be renamed to itself, nor to one that lies in it or that it lies in.";
            return Err(S3Error::invalid_request(message));
        }
        let of_one = |name: &&&str| **name != IF_NONE_MATCH && request.headers.contains_key(**name);
        if let Some(name) = CONDITIONS.iter().find(of_one) {
            let message = format!("{name} is a condition on one object, and a prefix may have many.");
            return Err(S3Error::with_message(ErrorCode::NotImplemented, message).field("Header", *name));
        }
        let prefix =
            |key: &ObjectKey| KeyPrefix::new(key.to_bytes()).map_err(|_| key_too_long(key.as_bytes().len()));
        Ok(Some(Self { source: prefix(source)?, destination: prefix(key)? }))
    }

    /// What tells one such rename from another.
    pub(super) fn parameters(&self) -> Vec<u8> {
        [self.source.as_bytes(), &[0], self.destination.as_bytes()].concat()
    }
}

/// A request that comes again, with its token and otherwise the same, after it was carried out is answered as it was the first
/// time, for as long as the first object under the destination is one that was renamed so.
pub(super) async fn rename_prefix(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    prefixes: Prefixes,
    mark: Option<RenameMark>,
) -> Result<(), S3Error> {
    let Prefixes { source, destination } = prefixes;
    // Whether there is anything under them is learnt from the answer.
    permit.check_listing(&source)?;
    permit.check_listing(&destination)?;
    for _ in 0..ATTEMPTS_MAX {
        // The destination second, as of an object.
        let page = list(gateway, request, &source, PAGE_SIZE_MAX).await?;
        let taken = list(gateway, request, &destination, 1).await?;
        if let Some(first) = keys(taken).next() {
            return refuse_taken(gateway, request, &first, mark).await;
        }
        if page.truncated {
            let message =
                format!("At most {PAGE_SIZE_MAX} objects are renamed with their prefix; rename parts of it.");
            return Err(S3Error::invalid_request(message));
        }
        let Some(found) = find_all(gateway, request, page).await? else { continue };
        if found.is_empty() {
            return Err(S3Error::no_such_key(source.as_str()));
        }
        let bucket = request.bucket()?.clone();
        let objects = found.iter().map(|(key, found, version)| RenamedObject {
            key: key.clone(),
            version_id: found.version_id,
            etag: version.etag,
        });
        let objects = objects.collect();
        let (source, destination) = (source.clone(), destination.clone());
        let rename = RenamePrefix { bucket, source, destination, objects, mark };
        let mut turns = Turns::new(&gateway.env);
        for (key, _, version) in &found {
            // A thousand decisions take long where policies are long.
            turns.give().await;
            let too_long = || {
                let grown = rename.destination.as_bytes().len() + key.as_bytes().len();
                key_too_long(grown - rename.source.as_bytes().len())
            };
            let to = rename.key_of(key).ok_or_else(too_long)?;
            permit.check("PutObject", &to)?;
            permit.check_moved(request, key, Some(&version.attributes), &to)?;
        }
        match gateway.metadata.rename_prefix(rename).await {
            Ok(()) => return Ok(()),
            // Looking again tells what has changed meanwhile, and whether it matters.
            Err(MetadataError::PreconditionFailed { .. }) => {}
            Err(error) => return Err(request.metadata_error(error)),
        }
    }
    Err(S3Error::new(ErrorCode::ConditionalRequestConflict))
}

/// What is under the destination already is replaced by nothing, and neither mixed with the other objects.
async fn refuse_taken(
    gateway: &Gateway,
    request: &Request,
    first: &ObjectKey,
    mark: Option<RenameMark>,
) -> Result<(), S3Error> {
    if let Some(mark) = mark
        && let Some((_, version)) = find(gateway, request, first).await?
        && let Some(made) = version.attributes.renamed.filter(|made| made.token == mark.token)
    {
        let is_same = made == mark;
        return is_same.then_some(()).ok_or_else(|| S3Error::new(ErrorCode::IdempotencyParameterMismatch));
    }
    let message = "There are objects already under the prefix that is to be given.";
    Err(S3Error::with_message(ErrorCode::PreconditionFailed, message).field("Condition", "If-None-Match"))
}

async fn list(
    gateway: &Gateway,
    request: &Request,
    prefix: &KeyPrefix,
    limit: usize,
) -> Result<ObjectPage, S3Error> {
    let wanted = ListObjects {
        bucket: request.bucket()?.clone(),
        prefix: prefix.clone(),
        delimiter: None,
        position: ListPosition::Start,
        limit,
    };
    gateway.metadata.list_objects(wanted).await.map_err(|error| request.metadata_error(error))
}

fn keys(page: ObjectPage) -> impl Iterator<Item = ObjectKey> {
    page.entries.into_iter().filter_map(|entry| match entry {
        ObjectEntry::Object(object) => Some(object.key),
        ObjectEntry::CommonPrefix(_) => None,
    })
}

/// The objects of a page as they are now; `None` when one has gone.
async fn find_all(
    gateway: &Gateway,
    request: &Request,
    page: ObjectPage,
) -> Result<Option<Vec<(ObjectKey, FoundVersion, Box<Version>)>>, S3Error> {
    let reads = keys(page).map(|key| async move {
        let found = find(gateway, request, &key).await?;
        Ok::<_, S3Error>(found.map(|(found, mut version)| {
            // Nothing is decided by the parts, of which there may be 10,000 each.
            version.parts = Vec::new();
            (key, found, version)
        }))
    });
    let found: Vec<_> = stream::iter(reads).buffered(READS_MAX).try_collect().await?;
    Ok(found.into_iter().collect())
}
