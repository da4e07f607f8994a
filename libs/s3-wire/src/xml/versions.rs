//! Listings of versions. Source: API Reference, "ListObjectVersions".

use bytes::Bytes;
use types::{ChecksumAlgorithm, ChecksumType, ETag, RestoreState, Timestamp, VersionId};

use super::{
    Document, Owner,
    listing::{capacity, write_common_prefixes, write_end_of_head},
    rows::{write_checksum_kind, write_restore_status},
};

/// What a ListObjectVersions answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListObjectVersions<'a> {
    /// The bucket.
    pub name: &'a str,
    /// The prefix that was asked for.
    pub prefix: &'a str,
    /// The key marker that was asked for.
    pub key_marker: &'a str,
    /// The version id marker that was asked for.
    pub version_id_marker: &'a str,
    /// The last key or common prefix of a truncated answer.
    pub next_key_marker: Option<&'a str>,
    /// The last version id of a truncated answer, unless it ends with a common prefix.
    pub next_version_id_marker: Option<VersionId>,
    /// The limit that was asked for.
    pub max_keys: u32,
    /// The delimiter that was asked for, unless it was empty.
    pub delimiter: Option<&'a str>,
    /// Whether keys are encoded: `encoding-type=url`.
    pub url: bool,
    /// Whether there are more.
    pub is_truncated: bool,
}

/// An entry of the list: keys in order, the versions of a key from the newest to the oldest.
#[derive(Debug, Clone, Copy)]
pub enum VersionEntry<'a> {
    /// An object.
    Version(VersionRow<'a>),
    /// A delete marker.
    DeleteMarker(DeleteMarkerRow<'a>),
}

/// An object version of the list.
#[derive(Debug, Clone, Copy)]
pub struct VersionRow<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its id.
    pub version_id: VersionId,
    /// Whether it is the key's current version.
    pub is_latest: bool,
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
    /// Its owner.
    pub owner: Owner<'a>,
}

/// A delete marker of the list.
#[derive(Debug, Clone, Copy)]
pub struct DeleteMarkerRow<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its id.
    pub version_id: VersionId,
    /// Whether it is the key's current version.
    pub is_latest: bool,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Its owner.
    pub owner: Owner<'a>,
}

/// The body of ListObjectVersions. Versions and delete markers stay in the order of `entries`, which clients rely on.
pub fn list_object_versions<'a, 'b>(
    answer: &ListObjectVersions<'_>,
    entries: impl IntoIterator<Item = VersionEntry<'a>>,
    common_prefixes: impl IntoIterator<Item = &'b str>,
) -> Bytes {
    let entries = entries.into_iter();
    let mut document = Document::new("ListVersionsResult", capacity(entries.size_hint().1));
    document.element("Name", answer.name);
    document.key("Prefix", answer.prefix, answer.url);
    document.key("KeyMarker", answer.key_marker, answer.url);
    document.element("VersionIdMarker", answer.version_id_marker);
    if let Some(marker) = answer.next_key_marker {
        document.key("NextKeyMarker", marker, answer.url);
    }
    if let Some(marker) = answer.next_version_id_marker {
        document.plain("NextVersionIdMarker", marker);
    }
    document.plain("MaxKeys", answer.max_keys);
    write_end_of_head(answer.delimiter, answer.url, answer.is_truncated, &mut document);
    for entry in entries {
        match entry {
            VersionEntry::Version(version) => write_version(&version, answer.url, &mut document),
            VersionEntry::DeleteMarker(marker) => write_delete_marker(&marker, answer.url, &mut document),
        }
    }
    write_common_prefixes(common_prefixes, answer.url, &mut document);
    document.finish("ListVersionsResult")
}

fn write_version(version: &VersionRow<'_>, url: bool, document: &mut Document) {
    document.open("Version");
    document.key("Key", version.key, url);
    document.plain("VersionId", version.version_id);
    document.boolean("IsLatest", version.is_latest);
    document.date("LastModified", version.last_modified);
    document.etag(&version.etag);
    write_checksum_kind(version.checksum, document);
    document.plain("Size", version.size);
    version.owner.write("Owner", document);
    document.element("StorageClass", version.storage_class);
    write_restore_status(version.restore, document);
    document.close("Version");
}

fn write_delete_marker(marker: &DeleteMarkerRow<'_>, url: bool, document: &mut Document) {
    document.open("DeleteMarker");
    document.key("Key", marker.key, url);
    document.plain("VersionId", marker.version_id);
    document.boolean("IsLatest", marker.is_latest);
    document.date("LastModified", marker.last_modified);
    marker.owner.write("Owner", document);
    document.close("DeleteMarker");
}
