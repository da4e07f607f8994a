//! Listings of parts and of uploads. Source: API Reference, "ListParts" and "ListMultipartUploads".

use bytes::Bytes;
use types::{ChecksumAlgorithm, ChecksumType, ChecksumValue, ETag, PartNumber, Timestamp, UploadId};

use super::{
    Document, Owner,
    listing::{capacity, write_common_prefixes, write_end_of_head},
    rows::{write_checksum, write_checksum_kind},
};

/// What a ListParts answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListParts<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The upload.
    pub upload_id: UploadId,
    /// Who opened the upload.
    pub initiator: Owner<'a>,
    /// Who will own the object.
    pub owner: Owner<'a>,
    /// The storage class of the object.
    pub storage_class: &'a str,
    /// The marker that was asked for; 0 for none.
    pub part_number_marker: u32,
    /// The number of the last part of this answer.
    pub next_part_number_marker: Option<PartNumber>,
    /// The limit that was asked for.
    pub max_parts: u32,
    /// Whether there are more.
    pub is_truncated: bool,
    /// The checksum that the client named when it opened the upload.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// A part of the list.
#[derive(Debug, Clone, Copy)]
pub struct PartRow {
    /// Its number.
    pub number: PartNumber,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Its entity tag.
    pub etag: ETag,
    /// Its size in bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Option<ChecksumValue>,
}

/// The body of ListParts.
pub fn list_parts(answer: &ListParts<'_>, parts: impl IntoIterator<Item = PartRow>) -> Bytes {
    let parts = parts.into_iter();
    let mut document = Document::new("ListPartsResult", capacity(parts.size_hint().1));
    document.element("Bucket", answer.bucket);
    document.element("Key", answer.key);
    document.plain("UploadId", answer.upload_id);
    answer.initiator.write("Initiator", &mut document);
    answer.owner.write("Owner", &mut document);
    document.element("StorageClass", answer.storage_class);
    document.plain("PartNumberMarker", answer.part_number_marker);
    let next = answer.next_part_number_marker.map_or(0, PartNumber::get);
    document.plain("NextPartNumberMarker", next);
    document.plain("MaxParts", answer.max_parts);
    document.boolean("IsTruncated", answer.is_truncated);
    write_checksum_kind(answer.checksum, &mut document);
    for part in parts {
        document.open("Part");
        document.plain("PartNumber", part.number);
        document.date("LastModified", part.last_modified);
        document.etag(&part.etag);
        document.plain("Size", part.size);
        if let Some(value) = part.checksum {
            write_checksum(&value, None, &mut document);
        }
        document.close("Part");
    }
    document.finish("ListPartsResult")
}

/// What a ListMultipartUploads answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListMultipartUploads<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key marker that was asked for.
    pub key_marker: &'a str,
    /// The upload id marker that was asked for.
    pub upload_id_marker: &'a str,
    /// The last key or common prefix of a truncated answer.
    pub next_key_marker: Option<&'a str>,
    /// The last upload of a truncated answer, unless it ends with a common prefix.
    pub next_upload_id_marker: Option<UploadId>,
    /// The prefix that was asked for.
    pub prefix: &'a str,
    /// The delimiter that was asked for, unless it was empty.
    pub delimiter: Option<&'a str>,
    /// The limit that was asked for.
    pub max_uploads: u32,
    /// Whether keys are encoded: `encoding-type=url`.
    pub url: bool,
    /// Whether there are more.
    pub is_truncated: bool,
}

/// An upload of the list.
#[derive(Debug, Clone, Copy)]
pub struct UploadRow<'a> {
    /// The key.
    pub key: &'a str,
    /// Its id.
    pub upload_id: UploadId,
    /// Who opened it.
    pub initiator: Owner<'a>,
    /// Who will own the object.
    pub owner: Owner<'a>,
    /// The storage class of the object.
    pub storage_class: &'a str,
    /// When it was opened.
    pub initiated: Timestamp,
    /// The checksum that the client named when it opened the upload.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// The body of ListMultipartUploads.
pub fn list_multipart_uploads<'a, 'b>(
    answer: &ListMultipartUploads<'_>,
    uploads: impl IntoIterator<Item = UploadRow<'a>>,
    common_prefixes: impl IntoIterator<Item = &'b str>,
) -> Bytes {
    let uploads = uploads.into_iter();
    let mut document = Document::new("ListMultipartUploadsResult", capacity(uploads.size_hint().1));
    document.element("Bucket", answer.bucket);
    document.key("KeyMarker", answer.key_marker, answer.url);
    document.element("UploadIdMarker", answer.upload_id_marker);
    if let Some(marker) = answer.next_key_marker {
        document.key("NextKeyMarker", marker, answer.url);
    }
    if let Some(marker) = answer.next_upload_id_marker {
        document.plain("NextUploadIdMarker", marker);
    }
    document.key("Prefix", answer.prefix, answer.url);
    document.plain("MaxUploads", answer.max_uploads);
    write_end_of_head(answer.delimiter, answer.url, answer.is_truncated, &mut document);
    for upload in uploads {
        document.open("Upload");
        document.key("Key", upload.key, answer.url);
        document.plain("UploadId", upload.upload_id);
        upload.initiator.write("Initiator", &mut document);
        upload.owner.write("Owner", &mut document);
        document.element("StorageClass", upload.storage_class);
        document.date("Initiated", upload.initiated);
        write_checksum_kind(upload.checksum, &mut document);
        document.close("Upload");
    }
    write_common_prefixes(common_prefixes, answer.url, &mut document);
    document.finish("ListMultipartUploadsResult")
}
