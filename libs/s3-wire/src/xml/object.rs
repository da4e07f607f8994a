//! Answers of single writes: copies, uploads, batches of deletes.

use bytes::Bytes;
use types::{Checksum, ChecksumType, ETag, Timestamp, UploadId, VersionId};

use super::{Document, rows::write_checksum};
use crate::error::S3Error;

/// What a copy made.
#[derive(Debug, Clone, Copy)]
pub struct CopyResult {
    /// The entity tag of the object or part.
    pub etag: ETag,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Its checksum. For a composite one the entity tag tells the number of parts.
    pub checksum: Option<Checksum>,
}

/// The body of CopyObject. Source: API Reference, "CopyObject".
pub fn copy_object(result: &CopyResult) -> Bytes {
    write_copy("CopyObjectResult", result)
}

/// The body of UploadPartCopy. Source: API Reference, "UploadPartCopy".
pub fn copy_part(result: &CopyResult) -> Bytes {
    write_copy("CopyPartResult", result)
}

fn write_copy(root: &str, result: &CopyResult) -> Bytes {
    let mut document = Document::new(root, 512);
    document.etag(&result.etag);
    document.date("LastModified", result.last_modified);
    let is_object = root == "CopyObjectResult";
    write_object_checksum(result.checksum, &result.etag, is_object, &mut document);
    document.finish(root)
}

fn write_object_checksum(checksum: Option<Checksum>, etag: &ETag, with_type: bool, document: &mut Document) {
    let Some(Checksum { value, kind }) = checksum else { return };
    if with_type {
        document.element("ChecksumType", kind.name());
    }
    let parts = if kind == ChecksumType::Composite { etag.parts } else { None };
    write_checksum(&value, parts, document);
}

/// The body of CreateMultipartUpload. Source: API Reference, "CreateMultipartUpload".
pub fn initiate_multipart_upload(bucket: &str, key: &str, upload_id: UploadId) -> Bytes {
    let mut document = Document::new("InitiateMultipartUploadResult", 512 + key.len());
    document.element("Bucket", bucket);
    document.element("Key", key);
    document.plain("UploadId", upload_id);
    document.finish("InitiateMultipartUploadResult")
}

/// What a CompleteMultipartUpload made.
#[derive(Debug, Clone, Copy)]
pub struct CompleteMultipartUpload<'a> {
    /// The object's URL.
    pub location: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The object's entity tag.
    pub etag: ETag,
    /// The object's checksum.
    pub checksum: Option<Checksum>,
}

/// The body of CompleteMultipartUpload. Source: API Reference, "CompleteMultipartUpload".
pub fn complete_multipart_upload(result: &CompleteMultipartUpload<'_>) -> Bytes {
    let mut document = Document::new("CompleteMultipartUploadResult", 768 + result.key.len());
    document.element("Location", result.location);
    document.element("Bucket", result.bucket);
    document.element("Key", result.key);
    document.etag(&result.etag);
    write_object_checksum(result.checksum, &result.etag, true, &mut document);
    document.finish("CompleteMultipartUploadResult")
}

/// The body of a form upload's answer with status 201. Source: API Reference, "POST Object".
pub fn post_response(location: &str, bucket: &str, key: &str, etag: &ETag) -> Bytes {
    let mut document = Document::without_namespace("PostResponse", 512 + key.len());
    document.element("Location", location);
    document.element("Bucket", bucket);
    document.element("Key", key);
    document.etag(etag);
    document.finish("PostResponse")
}

/// The outcome for one object of a DeleteObjects.
#[derive(Debug, Clone, Copy)]
pub enum DeleteRow<'a> {
    /// It is gone, or was not there; a quiet request does not show it.
    Deleted {
        /// The key.
        key: &'a str,
        /// The version id that was asked for.
        version_id: Option<&'a str>,
        /// The delete marker that was made, or that was deleted by its version id.
        delete_marker: Option<VersionId>,
    },
    /// It could not be deleted.
    Error {
        /// The key.
        key: &'a str,
        /// The version id that was asked for.
        version_id: Option<&'a str>,
        /// Why.
        error: &'a S3Error,
    },
}

/// The body of DeleteObjects. The caller leaves `Deleted` rows out when the request was quiet.
/// Source: API Reference, "DeleteObjects".
pub fn delete_result<'a>(rows: impl IntoIterator<Item = DeleteRow<'a>>) -> Bytes {
    let rows = rows.into_iter();
    let mut document = Document::new("DeleteResult", 256 + 128 * rows.size_hint().0.min(1000));
    for row in rows {
        match row {
            DeleteRow::Deleted { key, version_id, delete_marker } => {
                document.open("Deleted");
                document.key("Key", key, false);
                document.optional("VersionId", version_id);
                if let Some(marker) = delete_marker {
                    document.boolean("DeleteMarker", true);
                    document.plain("DeleteMarkerVersionId", marker);
                }
                document.close("Deleted");
            }
            DeleteRow::Error { key, version_id, error } => {
                document.open("Error");
                document.key("Key", key, false);
                document.optional("VersionId", version_id);
                document.element("Code", error.code.as_str());
                document.element("Message", &error.message);
                document.close("Error");
            }
        }
    }
    document.finish("DeleteResult")
}
