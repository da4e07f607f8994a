//! Listings of current objects. Source: API Reference, "ListObjects" and "ListObjectsV2".

use bytes::Bytes;
use types::{ChecksumAlgorithm, ChecksumType, ETag, RestoreState, Timestamp};

use super::{
    Document, Owner,
    rows::{write_checksum_kind, write_restore_status},
};

/// What a ListObjects (version 1) answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListObjects<'a> {
    /// The bucket.
    pub name: &'a str,
    /// The prefix that was asked for.
    pub prefix: &'a str,
    /// The marker that was asked for.
    pub marker: &'a str,
    /// Where the next page begins; AWS shows it only beside a delimiter.
    pub next_marker: Option<&'a str>,
    /// The limit that was asked for.
    pub max_keys: u32,
    /// The delimiter that was asked for, unless it was empty.
    pub delimiter: Option<&'a str>,
    /// Whether keys are encoded: `encoding-type=url`.
    pub url: bool,
    /// Whether there are more.
    pub is_truncated: bool,
}

/// What a ListObjectsV2 answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListObjectsV2<'a> {
    /// The bucket.
    pub name: &'a str,
    /// The prefix that was asked for.
    pub prefix: &'a str,
    /// `start-after`, unless a token took its place.
    pub start_after: Option<&'a str>,
    /// The token that was sent.
    pub continuation_token: Option<&'a str>,
    /// The token of the next page; there is one whenever there are more.
    pub next_continuation_token: Option<&'a str>,
    /// Keys and common prefixes in this answer.
    pub key_count: usize,
    /// The limit that was asked for.
    pub max_keys: u32,
    /// The delimiter that was asked for, unless it was empty.
    pub delimiter: Option<&'a str>,
    /// Whether keys are encoded: `encoding-type=url`.
    pub url: bool,
    /// Whether there are more.
    pub is_truncated: bool,
}

/// An object of a listing.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRow<'a> {
    /// Its key.
    pub key: &'a str,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Its entity tag.
    pub etag: ETag,
    /// Which checksum it has.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// Its size in bytes.
    pub size: u64,
    /// Its storage class.
    pub storage_class: &'a str,
    /// What its restore is, where that is asked for and it has one.
    pub restore: Option<RestoreState>,
    /// Its owner: always in version 1, with `fetch-owner=true` in version 2.
    pub owner: Option<Owner<'a>>,
}

/// The body of ListObjects.
pub fn list_objects<'a, 'b>(
    answer: &ListObjects<'_>,
    objects: impl IntoIterator<Item = ObjectRow<'a>>,
    common_prefixes: impl IntoIterator<Item = &'b str>,
) -> Bytes {
    let objects = objects.into_iter();
    let mut document = Document::new("ListBucketResult", capacity(objects.size_hint().1));
    document.element("Name", answer.name);
    document.key("Prefix", answer.prefix, answer.url);
    document.key("Marker", answer.marker, answer.url);
    if let Some(marker) = answer.next_marker {
        document.key("NextMarker", marker, answer.url);
    }
    document.plain("MaxKeys", answer.max_keys);
    write_end_of_head(answer.delimiter, answer.url, answer.is_truncated, &mut document);
    objects.for_each(|object| write_object(&object, answer.url, &mut document));
    write_common_prefixes(common_prefixes, answer.url, &mut document);
    document.finish("ListBucketResult")
}

/// The body of ListObjectsV2.
pub fn list_objects_v2<'a, 'b>(
    answer: &ListObjectsV2<'_>,
    objects: impl IntoIterator<Item = ObjectRow<'a>>,
    common_prefixes: impl IntoIterator<Item = &'b str>,
) -> Bytes {
    let objects = objects.into_iter();
    let mut document = Document::new("ListBucketResult", capacity(objects.size_hint().1));
    document.element("Name", answer.name);
    document.key("Prefix", answer.prefix, answer.url);
    if let Some(key) = answer.start_after {
        document.key("StartAfter", key, answer.url);
    }
    document.optional("ContinuationToken", answer.continuation_token);
    document.optional("NextContinuationToken", answer.next_continuation_token);
    document.plain("KeyCount", answer.key_count);
    document.plain("MaxKeys", answer.max_keys);
    write_end_of_head(answer.delimiter, answer.url, answer.is_truncated, &mut document);
    objects.for_each(|object| write_object(&object, answer.url, &mut document));
    write_common_prefixes(common_prefixes, answer.url, &mut document);
    document.finish("ListBucketResult")
}

/// Room for a page: a row is some 350 bytes, a page has at most a thousand.
pub(super) fn capacity(rows: Option<usize>) -> usize {
    1024 + 384 * rows.unwrap_or(1000).min(1000)
}

/// The elements that every listing has before its rows.
pub(super) fn write_end_of_head(
    delimiter: Option<&str>,
    url: bool,
    is_truncated: bool,
    document: &mut Document,
) {
    if let Some(delimiter) = delimiter {
        document.key("Delimiter", delimiter, url);
    }
    if url {
        document.element("EncodingType", "url");
    }
    document.boolean("IsTruncated", is_truncated);
}

pub(super) fn write_common_prefixes<'b>(
    prefixes: impl IntoIterator<Item = &'b str>,
    url: bool,
    document: &mut Document,
) {
    for prefix in prefixes {
        document.open("CommonPrefixes");
        document.key("Prefix", prefix, url);
        document.close("CommonPrefixes");
    }
}

fn write_object(object: &ObjectRow<'_>, url: bool, document: &mut Document) {
    document.open("Contents");
    document.key("Key", object.key, url);
    document.date("LastModified", object.last_modified);
    document.etag(&object.etag);
    write_checksum_kind(object.checksum, document);
    document.plain("Size", object.size);
    if let Some(owner) = object.owner {
        owner.write("Owner", document);
    }
    document.element("StorageClass", object.storage_class);
    write_restore_status(object.restore, document);
    document.close("Contents");
}
