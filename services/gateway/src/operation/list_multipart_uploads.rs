//! ListMultipartUploads: the open uploads of a bucket. S3 API Reference, "ListMultipartUploads".

use metadata_api::{ListUploads, Upload, UploadEntry, UploadPage, UploadPosition};
use s3_wire::{
    S3Error,
    query::Query,
    xml::{self, UploadRow},
};
use types::UploadId;

use super::{
    list_objects::{KeyListing, key_prefix},
    owners::Owners,
};
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

pub(super) async fn list_multipart_uploads(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let listing = KeyListing::parse(&query, "max-uploads")?;
    let position = position(&query)?;
    let bucket = request.existing_bucket(gateway).await?;
    let page = if listing.limit == 0 {
        UploadPage { entries: Vec::new(), truncated: false, owner: bucket.owner.clone() }
    } else {
        let wanted = ListUploads {
            bucket: bucket.name.clone(),
            prefix: listing.prefix.clone(),
            delimiter: listing.delimiter.clone(),
            position,
            limit: listing.limit,
        };
        gateway.metadata.list_uploads(wanted).await.map_err(|e| request.metadata_error(e))?
    };

    let (next_key, next_upload) = next_place(&page);
    let answer = xml::ListMultipartUploads {
        bucket: request.bucket()?.as_str(),
        key_marker: query.get("key-marker").unwrap_or(""),
        upload_id_marker: query.get("upload-id-marker").unwrap_or(""),
        next_key_marker: next_key,
        next_upload_id_marker: next_upload,
        prefix: listing.prefix.as_str(),
        delimiter: listing.delimiter_text(),
        max_uploads: listing.limit_asked,
        url: listing.url,
        is_truncated: page.truncated,
    };
    let uploads = page.entries.iter().filter_map(|entry| match entry {
        UploadEntry::Upload(upload) => Some(&**upload),
        UploadEntry::CommonPrefix(_) => None,
    });
    let others = uploads.clone().flat_map(|upload| {
        let (owner, initiator) = accounts(upload);
        owner.into_iter().chain(initiator)
    });
    let owners = Owners::of(gateway, request, &bucket, others.collect()).await?;
    let rows = uploads.map(|upload| row(upload, &owners));
    let prefixes = page.entries.iter().filter_map(|entry| match entry {
        UploadEntry::Upload(_) => None,
        UploadEntry::CommonPrefix(prefix) => Some(prefix.as_str()),
    });
    Ok(output::xml(xml::list_multipart_uploads(&answer, rows, prefixes)))
}

/// An upload id marker without a key marker is ignored, as AWS documents.
fn position(query: &Query<'_>) -> Result<UploadPosition, S3Error> {
    let Some(key) = query.get_nonempty("key-marker") else { return Ok(UploadPosition::Start) };
    let prefix = key_prefix("key-marker", key)?;
    match query.get_nonempty("upload-id-marker") {
        None => Ok(UploadPosition::AfterKey(prefix)),
        Some(text) => {
            let id: UploadId = text.parse().map_err(|_| {
                S3Error::invalid_argument("Invalid uploadId marker", "upload-id-marker", text)
            })?;
            Ok(UploadPosition::AfterUpload(prefix, id))
        }
    }
}

fn next_place(page: &UploadPage) -> (Option<&str>, Option<UploadId>) {
    match page.entries.last().filter(|_| page.truncated) {
        None => (None, None),
        Some(UploadEntry::Upload(upload)) => (Some(upload.key.as_str()), Some(upload.id)),
        Some(UploadEntry::CommonPrefix(prefix)) => (Some(prefix.as_str()), None),
    }
}

/// Whose the object will be, and who opened the upload, where these are not the owner of the bucket.
pub(super) fn accounts(upload: &Upload) -> (Option<&str>, Option<&str>) {
    let owner = upload.attributes.acl.as_ref().and_then(|acl| acl.owner.as_deref());
    (owner, upload.initiator.as_ref().map(|initiator| initiator.0.as_str()))
}

fn row<'a>(upload: &'a Upload, owners: &'a Owners) -> UploadRow<'a> {
    UploadRow {
        key: upload.key.as_str(),
        upload_id: upload.id,
        initiator: owners.initiator(upload.initiator.as_ref()),
        owner: owners.owner(accounts(upload).0),
        storage_class: upload.storage_class.as_str(),
        initiated: upload.initiated,
        checksum: upload.checksum_named.then_some((upload.checksum.algorithm, upload.checksum.kind)),
    }
}
