//! The body of GetObjectAttributes.

use bytes::Bytes;
use types::{Checksum, ETag, ObjectPart};

use super::{Document, rows::write_checksum};

/// What GetObjectAttributes answers: that which was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectAttributes<'a> {
    /// Its entity tag.
    pub etag: Option<&'a ETag>,
    /// Its checksum. Unlike elsewhere, the number of parts that a composite one was made of is not shown.
    pub checksum: Option<&'a Checksum>,
    /// Its parts.
    pub parts: Option<AttributeParts<'a>>,
    /// Its storage class.
    pub storage_class: Option<&'a str>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// An object's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeParts<'a> {
    /// How many parts there are.
    pub count: usize,
    /// Some of them. Of an object whose checksum is not composed of theirs S3 tells no more than how many there are
    /// (versity/versitygw#1001; localstack/localstack, the answers recorded for `test_get_object_attributes`).
    pub page: Option<AttributePage<'a>>,
}

/// A page of an object's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributePage<'a> {
    /// After which number the page begins.
    pub marker: u32,
    /// How many parts it may have.
    pub limit: u32,
    /// Whether there are more.
    pub truncated: bool,
    /// The number of the page's first part.
    pub first: usize,
    /// The parts.
    pub parts: &'a [ObjectPart],
    /// The number of the page's last part.
    pub last: usize,
}

/// The body of GetObjectAttributes. Source: API Reference, "GetObjectAttributes".
pub fn object_attributes(answer: &ObjectAttributes<'_>) -> Bytes {
    let parts = answer.parts.and_then(|parts| parts.page).map_or(0, |page| page.parts.len());
    let mut document = Document::new("GetObjectAttributesResponse", 512 + 160 * parts);
    if let Some(etag) = answer.etag {
        document.plain("ETag", etag);
    }
    if let Some(checksum) = answer.checksum {
        document.open("Checksum");
        write_checksum(&checksum.value, None, &mut document);
        document.element("ChecksumType", checksum.kind.name());
        document.close("Checksum");
    }
    if let Some(parts) = answer.parts {
        write_parts(&parts, &mut document);
    }
    document.optional("StorageClass", answer.storage_class);
    if let Some(size) = answer.size {
        document.plain("ObjectSize", size);
    }
    document.finish("GetObjectAttributesResponse")
}

fn write_parts(parts: &AttributeParts<'_>, document: &mut Document) {
    document.open("ObjectParts");
    document.plain("PartsCount", parts.count);
    if let Some(page) = &parts.page {
        write_page(page, document);
    }
    document.close("ObjectParts");
}

fn write_page(page: &AttributePage<'_>, document: &mut Document) {
    document.plain("PartNumberMarker", page.marker);
    document.plain("NextPartNumberMarker", page.last);
    document.plain("MaxParts", page.limit);
    document.boolean("IsTruncated", page.truncated);
    for (number, part) in (page.first..).zip(page.parts) {
        document.open("Part");
        document.plain("PartNumber", number);
        document.plain("Size", part.size);
        if let Some(checksum) = &part.checksum {
            write_checksum(checksum, None, document);
        }
        document.close("Part");
    }
}
