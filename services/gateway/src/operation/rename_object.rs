//! RenameObject: an object gets another key of its bucket, in one commit and without its bytes being touched. S3 API
//! Reference, "RenameObject", which has it for directory buckets; here every bucket has it, and prefixes are renamed too.

use checksum::{AlgorithmSet, ObjectHasher, Wanted};
use http::StatusCode;
use metadata_api::{
    Error as MetadataError, FoundVersion, GetVersion, RenameObject, Version, VersionState, WriteCondition,
};
use s3_wire::{
    ErrorCode, S3Error,
    header::{Outcome, ReadConditions, check_none_match, client_token, rename_source},
};
use types::{ChecksumAlgorithm, ObjectKey, RenameMark, VersionId, Versioning};

use super::rename_prefix::{Prefixes, rename_prefix};
use crate::{
    Gateway,
    auth::Permit,
    output::{empty, set_new_version_id},
    request::{Request, Response},
};

/// Times that a rename is begun of which one end changes each time between being looked at and being renamed.
pub(super) const ATTEMPTS_MAX: u32 = 4;

/// The conditions of both ends, which are parameters as the source is.
pub(super) const CONDITIONS: [&str; 8] = [
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-rename-source-if-match",
    "x-amz-rename-source-if-none-match",
    "x-amz-rename-source-if-modified-since",
    "x-amz-rename-source-if-unmodified-since",
];

/// A request that comes again, with its token and otherwise the same, after it was carried out is answered as it was
/// the first time, for as long as the object has the key that it was given.
pub(super) async fn rename_object(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
) -> Result<Response, S3Error> {
    // Parse.
    let (source, key) = (rename_source(&request.headers)?, request.key()?);
    // What is no one entity tag or `*` is refused here.
    check_none_match(&request.headers)?;
    let prefixes = Prefixes::of(request, &source, key)?;
    if source == *key {
        return Err(S3Error::invalid_request("The object has the key already that it is to be given."));
    }
    let parameters = prefixes.as_ref().map_or_else(|| source.as_bytes().to_vec(), Prefixes::parameters);
    let mark = client_token(&request.headers)?.map(|token| mark(request, parameters, token)).transpose()?;
    if request.headers.contains_key("x-amz-expected-bucket-owner") {
        request.existing_bucket(gateway).await?;
    }
    if let Some(prefixes) = prefixes {
        rename_prefix(gateway, request, permit, prefixes, mark).await?;
        return Ok(empty(StatusCode::OK));
    }

    let mut attempt = 1;
    let committed = loop {
        // Both ends as they are now. The destination second: if the same request has just taken the source away, its mark
        // is there.
        let found = find(gateway, request, &source).await?;
        let replaced = find(gateway, request, key).await?;
        if let (Some((replaced, version)), Some(mark)) = (&replaced, &mark)
            && let Some(made) = version.attributes.renamed.filter(|made| made.token == mark.token)
        {
            return if made == *mark {
                Ok(repeated(replaced.version_id))
            } else {
                Err(S3Error::new(ErrorCode::IdempotencyParameterMismatch))
            };
        }
        let attributes = found.as_ref().map(|(_, version)| &version.attributes);
        permit.check_moved(request, &source, attributes, key)?;
        let (found, version) = found.ok_or_else(|| S3Error::no_such_key(source.as_str()))?;
        let conditions = ReadConditions::for_rename_source(&request.headers);
        check(conditions.evaluate(&version.etag, found.last_modified, gateway.now()))?;
        let condition = destination_condition(gateway, request, replaced.as_ref())?;

        // Act.
        let rename = RenameObject {
            bucket: request.bucket()?.clone(),
            source_key: source.clone(),
            source_version_id: found.version_id,
            source_etag: version.etag,
            key: key.clone(),
            mark,
            condition,
        };
        match gateway.metadata.rename_object(rename).await {
            Ok(committed) => break committed,
            // Looking again tells what has changed meanwhile, and whether it matters.
            Err(
                MetadataError::PreconditionFailed { .. }
                | MetadataError::VersionNotFound
                | MetadataError::KeyNotFound,
            ) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(
                MetadataError::PreconditionFailed { .. }
                | MetadataError::VersionNotFound
                | MetadataError::KeyNotFound,
            ) => return Err(S3Error::new(ErrorCode::ConditionalRequestConflict)),
            Err(error) => return Err(request.metadata_error(error)),
        }
    };

    // Respond.
    Ok(renamed(committed.versioning, committed.version_id))
}

/// What a rename was answered with that made this version: its id tells whether versions had ids of their own then, which may
/// have changed since.
fn repeated(version_id: VersionId) -> Response {
    let versioning = match version_id {
        VersionId::Null => Versioning::Suspended,
        VersionId::Numbered { .. } => Versioning::Enabled,
    };
    renamed(versioning, version_id)
}

fn renamed(versioning: Versioning, version_id: VersionId) -> Response {
    let mut response = empty(StatusCode::OK);
    set_new_version_id(response.headers_mut(), versioning, version_id);
    response
}

/// The current object of a key, if it has one.
pub(super) async fn find(
    gateway: &Gateway,
    request: &Request,
    key: &ObjectKey,
) -> Result<Option<(FoundVersion, Box<Version>)>, S3Error> {
    let bucket = request.bucket()?.clone();
    let wanted = GetVersion { bucket, key: key.clone(), version_id: None, with_content: false };
    match gateway.metadata.get_version(wanted).await {
        Ok(mut found) => match std::mem::replace(&mut found.state, VersionState::DeleteMarker) {
            VersionState::Object(version) => Ok(Some((found, version))),
            VersionState::DeleteMarker => Ok(None),
        },
        Err(MetadataError::KeyNotFound) => Ok(None),
        Err(error) => Err(request.metadata_error(error)),
    }
}

/// Holds the conditions of the destination against what is there, and has the commit make sure that an object with the same
/// entity tag still is, or still none.
fn destination_condition(
    gateway: &Gateway,
    request: &Request,
    replaced: Option<&(FoundVersion, Box<Version>)>,
) -> Result<WriteCondition, S3Error> {
    let conditions = ReadConditions::for_rename_destination(&request.headers);
    if conditions.is_empty() {
        return Ok(WriteCondition::None);
    }
    match replaced {
        Some((found, version)) => {
            check(conditions.evaluate(&version.etag, found.last_modified, gateway.now()))?;
            Ok(WriteCondition::IfMatch(version.etag))
        }
        None => {
            check(conditions.evaluate_absent())?;
            Ok(WriteCondition::IfAbsent)
        }
    }
}

fn check(outcome: Outcome) -> Result<(), S3Error> {
    match outcome {
        Outcome::Proceed => Ok(()),
        failed @ (Outcome::NotModified | Outcome::PreconditionFailed(_)) => {
            Err(failed.error().unwrap_or_else(|| S3Error::new(ErrorCode::PreconditionFailed)))
        }
    }
}

/// What the request is known by when it comes again.
fn mark(request: &Request, mut parameters: Vec<u8>, token: &str) -> Result<RenameMark, S3Error> {
    for name in CONDITIONS {
        let value = request.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        // No header has a zero byte, so whatever is in the key, the last eight are these.
        parameters.push(0);
        parameters.extend_from_slice(value);
    }
    Ok(RenameMark { token: half_sha256(token.as_bytes())?, parameters: half_sha256(&parameters)? })
}

fn half_sha256(bytes: &[u8]) -> Result<[u8; 16], S3Error> {
    let checksums = AlgorithmSet::from(ChecksumAlgorithm::Sha256);
    let mut hasher = ObjectHasher::new(Wanted { checksums, ..Wanted::default() });
    hasher.update(bytes);
    let digest = hasher.finish().checksum(ChecksumAlgorithm::Sha256);
    let half = digest.as_ref().and_then(|digest| digest.as_bytes().first_chunk().copied());
    half.ok_or_else(|| S3Error::new(ErrorCode::InternalError))
}
