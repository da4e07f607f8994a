//! ListObjectVersions: every version and delete marker. S3 API Reference, "ListObjectVersions".

use metadata_api::{ListVersions, VersionEntry, VersionPage, VersionPosition, VersionSummary};
use s3_wire::{
    S3Error,
    query::Query,
    xml::{self, DeleteMarkerRow, Owner, VersionRow},
};
use types::{ObjectKey, Timestamp, VersionId};

use super::{
    list_objects::{KeyListing, key_prefix, restore_status, restores_at},
    object_read::version_id,
    owners::Owners,
};
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

pub(super) async fn list_object_versions(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let listing = KeyListing::parse(&query, "max-keys")?;
    let restores_at = restores_at(gateway, request)?;
    let position = position(&query)?;
    let bucket = request.existing_bucket(gateway).await?;
    let page = if listing.limit == 0 {
        VersionPage { entries: Vec::new(), truncated: false, last_commit: None, owner: bucket.owner.clone() }
    } else {
        let wanted = ListVersions {
            bucket: bucket.name.clone(),
            prefix: listing.prefix.clone(),
            delimiter: listing.delimiter.clone(),
            position,
            limit: listing.limit,
        };
        gateway.metadata.list_versions(wanted).await.map_err(|e| request.metadata_error(e))?
    };

    let next = page.next();
    let (next_key, next_version) = place(next.as_ref());
    let answer = xml::ListObjectVersions {
        name: request.bucket()?.as_str(),
        prefix: listing.prefix.as_str(),
        key_marker: query.get("key-marker").unwrap_or(""),
        version_id_marker: query.get("version-id-marker").unwrap_or(""),
        next_key_marker: next_key,
        next_version_id_marker: next_version,
        max_keys: listing.limit_asked,
        delimiter: listing.delimiter_text(),
        url: listing.url,
        is_truncated: page.truncated,
    };
    let versions = page.entries.iter().filter_map(|entry| match entry {
        VersionEntry::Version(version) => Some(version),
        VersionEntry::CommonPrefix(_) => None,
    });
    let others = versions.clone().filter_map(owner).collect();
    let owners = Owners::of(gateway, request, &bucket, others).await?;
    let rows = versions.map(|version| row(version, owners.owner(owner(version)), restores_at));
    let prefixes = page.entries.iter().filter_map(|entry| match entry {
        VersionEntry::Version(_) => None,
        VersionEntry::CommonPrefix(prefix) => Some(prefix.as_str()),
    });
    Ok(output::xml(xml::list_object_versions(&answer, rows, prefixes)))
}

fn position(query: &Query<'_>) -> Result<VersionPosition, S3Error> {
    let marker = query.get_nonempty("version-id-marker");
    match (query.get_nonempty("key-marker"), marker) {
        (None, None) => Ok(VersionPosition::Start),
        (None, Some(marker)) => Err(S3Error::invalid_argument(
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            marker,
        )),
        (Some(key), None) => Ok(VersionPosition::AfterKey(key_prefix("key-marker", key)?)),
        (Some(key), Some(marker)) => {
            let Some(id) = version_id(Some(marker))? else { return Ok(VersionPosition::Start) };
            let key = ObjectKey::new(key.to_owned())
                .map_err(|error| S3Error::invalid_argument(error.to_string(), "key-marker", key))?;
            Ok(VersionPosition::AfterVersion(key, id))
        }
    }
}

/// The markers of a position. That of a version is not always its id: a client only hands it back.
fn place(position: Option<&VersionPosition>) -> (Option<&str>, Option<VersionId>) {
    match position {
        None | Some(VersionPosition::Start) => (None, None),
        Some(VersionPosition::AfterKey(prefix)) => (Some(prefix.as_str()), None),
        Some(VersionPosition::AfterVersion(key, id)) => (Some(key.as_str()), Some(*id)),
    }
}

/// Whose a version or a delete marker is, where that is another account than the bucket's.
fn owner(version: &VersionSummary) -> Option<&str> {
    version.owner().map(|owner| owner.0.as_str())
}

fn row<'a>(
    version: &'a VersionSummary,
    owner: Owner<'a>,
    restores_at: Option<Timestamp>,
) -> xml::VersionEntry<'a> {
    let (key, version_id, is_latest) = (version.key.as_str(), version.version_id, version.is_latest);
    let last_modified = version.last_modified;
    match &version.object {
        None => xml::VersionEntry::DeleteMarker(DeleteMarkerRow {
            key,
            version_id,
            is_latest,
            last_modified,
            owner,
        }),
        Some(object) => xml::VersionEntry::Version(VersionRow {
            key,
            version_id,
            is_latest,
            last_modified,
            etag: object.etag,
            checksum: object.checksum,
            size: object.size,
            storage_class: object.storage_class.as_str(),
            restore: restore_status(object, restores_at),
            owner,
        }),
    }
}
