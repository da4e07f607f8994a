//! What an object version carries beside its key.

use bytes::Bytes;

use crate::{Acl, ChecksumValue, ETag, Manifest, VersionLock};

/// Headers and user metadata that a version keeps for its readers, byte for byte as they were sent.
///
/// Source: API Reference, "PutObject", request headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, as raw text.
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect_location: Option<String>,
    /// User metadata: name without `x-amz-meta-`, in lower case, and raw value bytes.
    pub user_metadata: Vec<(String, Bytes)>,
    /// Tags: keys and values, in the order in which they were given, each key once. A version can change them, its lock and its
    /// access control list; nothing else.
    pub tags: Vec<(String, String)>,
    /// What keeps the version from being removed.
    pub lock: VersionLock,
    /// The request that gave the object its key, if one did and said how it is told from others.
    pub renamed: Option<RenameMark>,
    /// Who is granted what; `None` where the owner alone has every right.
    pub acl: Option<Acl>,
}

/// What a RenameObject is known by when it comes again. Source: API Reference, "RenameObject", `x-amz-client-token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenameMark {
    /// The first half of the SHA-256 of the client's token.
    pub token: [u8; 16],
    /// The same of what the request asks for.
    pub parameters: [u8; 16],
}

/// Where a version's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the version's row: tiny objects.
    Inline(Bytes),
    /// In chunks.
    Stored(Manifest),
}

impl Content {
    /// Number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Stored(manifest) => manifest.length(),
        }
    }
}

/// One part of a completed multipart object, for `partNumber` reads and part listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPart {
    /// The part's number as it was uploaded.
    pub number: crate::PartNumber,
    /// Bytes in the part.
    pub size: u64,
    /// The part's entity tag.
    pub etag: ETag,
    /// The part's checksum, when the upload has an algorithm.
    pub checksum: Option<ChecksumValue>,
}
