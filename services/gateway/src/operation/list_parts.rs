//! ListParts: the parts of an open upload. S3 API Reference, "ListParts".

use metadata_api::{ListParts, PAGE_SIZE_MAX, PartPage};
use s3_wire::{
    S3Error,
    query::Query,
    xml::{self, PartRow},
};
use types::PartNumber;

use super::{list_multipart_uploads::accounts, owners::Owners, upload_part::upload_id};
use crate::{
    Gateway,
    auth::Permit,
    encryption,
    lifecycle::set_abort,
    output,
    request::{Request, Response},
};

pub(super) async fn list_parts(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let max_parts = query.number("max-parts")?.unwrap_or(PAGE_SIZE_MAX as u32);
    let marker = query.number("part-number-marker")?.unwrap_or(0);
    let bucket = request.existing_bucket(gateway).await?;
    let page = page(gateway, request, &query, max_parts, marker).await?;
    let upload = &page.upload;
    encryption::check_upload(gateway, request, upload).await?;
    let named = upload.checksum_named;
    let (owner, initiator) = accounts(upload);
    let owners = Owners::of(gateway, request, &bucket, owner.into_iter().chain(initiator).collect()).await?;
    let answer = xml::ListParts {
        bucket: request.bucket()?.as_str(),
        key: request.key()?.as_str(),
        upload_id: upload.id,
        initiator: owners.initiator(upload.initiator.as_ref()),
        owner: owners.owner(owner),
        storage_class: upload.storage_class.as_str(),
        part_number_marker: marker,
        next_part_number_marker: page.parts.last().map(|part| part.number),
        max_parts,
        is_truncated: page.truncated,
        checksum: named.then_some((upload.checksum.algorithm, upload.checksum.kind)),
    };
    let rows = page.parts.iter().map(|part| PartRow {
        number: part.number,
        last_modified: part.last_modified,
        etag: part.etag,
        size: part.size,
        checksum: named.then_some(part.checksum),
    });
    let mut response = output::xml(xml::list_parts(&answer, rows));
    set_abort(gateway, &bucket, answer.key, upload.initiated, response.headers_mut()).await;
    Ok(response)
}

/// A page of parts. A limit of 0 shows none; a marker beyond the highest part number leaves none to show.
async fn page(
    gateway: &Gateway,
    request: &Request,
    query: &Query<'_>,
    max_parts: u32,
    marker: u32,
) -> Result<PartPage, S3Error> {
    let upload = upload_id(query)?;
    let after = u16::try_from(marker).ok().and_then(|marker| PartNumber::new(marker).ok());
    let (bucket, key) = (request.bucket()?, request.key()?);
    if max_parts == 0 || (marker > 0 && after.is_none()) {
        let found = gateway.metadata.get_upload(bucket, key, upload).await;
        let upload = found.map_err(|e| request.metadata_error(e))?;
        return Ok(PartPage { upload, parts: Vec::new(), truncated: false });
    }
    let limit = (max_parts as usize).min(PAGE_SIZE_MAX);
    let wanted = ListParts { bucket: bucket.clone(), key: key.clone(), upload, after, limit };
    gateway.metadata.list_parts(wanted).await.map_err(|e| request.metadata_error(e))
}
