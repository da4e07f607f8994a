//! What an object version carries beside its key.

use bytes::Bytes;

use crate::{
    Acl, ArchiveClass, ChecksumValue, ETag, Encryption, Manifest, StorageClassName, Timestamp, VersionLock,
    opened_length, opened_part_length,
};

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
    /// Tags: keys and values, in the order in which they were given, each key once. A version can change them, its lock, its
    /// access control list and its restore; nothing else.
    pub tags: Vec<(String, String)>,
    /// What keeps the version from being removed.
    pub lock: VersionLock,
    /// The request that gave the object its key, if one did and said how it is told from others.
    pub renamed: Option<RenameMark>,
    /// Who is granted what; `None` where the owner alone has every right.
    pub acl: Option<Acl>,
    /// The last restore of the version.
    pub restore: Option<Restore>,
    /// How the bytes are encrypted; `None` when they are not.
    pub encryption: Option<Encryption>,
}

impl Attributes {
    /// Bytes of an object of which this content is kept; `None` for content that no object can have.
    pub fn size_of(&self, content: &Content) -> Option<u64> {
        let kept = content.length();
        if self.encryption.is_some() { opened_length(kept) } else { Some(kept) }
    }

    /// The same for a part of an upload.
    pub fn size_of_part(&self, content: &Content) -> Option<u64> {
        let kept = content.length();
        if self.encryption.is_some() { opened_part_length(kept) } else { Some(kept) }
    }
}

/// What a RenameObject is known by when it comes again. Source: API Reference, "RenameObject", `x-amz-client-token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenameMark {
    /// The first half of the SHA-256 of the client's token.
    pub token: [u8; 16],
    /// The same of what the request asks for.
    pub parameters: [u8; 16],
}

/// For how long a version of an archive class can be read. Source: API Reference, "RestoreObject".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restore {
    /// The archive that it is from. It is none of a version that has another class by now.
    pub class: ArchiveClass,
    /// A random number that no other has, whose times may be the same.
    pub nonce: u64,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it is done; the time at which it was asked for when it is done at once.
    pub ready: Timestamp,
    /// When the version cannot be read any more.
    pub until: Timestamp,
}

/// What a restore is at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreState {
    /// Under way: the version cannot be read yet.
    Ongoing,
    /// Done: the version can be read until then.
    Restored(Timestamp),
    /// Over, or of another class: the version cannot be read any more.
    Over,
}

impl Restore {
    /// What it is of a version of a class at a time. One that is done at once is not under way even by a clock that is behind the
    /// one by which it was asked for.
    pub fn state(&self, class: &StorageClassName, now: Timestamp) -> RestoreState {
        if class.archive() != Some(self.class) {
            RestoreState::Over
        } else if self.ready > self.asked && now < self.ready {
            RestoreState::Ongoing
        } else if now < self.until {
            RestoreState::Restored(self.until)
        } else {
            RestoreState::Over
        }
    }
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
    /// Number of bytes that are kept.
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

#[cfg(test)]
mod tests {
    use super::{Restore, RestoreState};
    use crate::{ArchiveClass, StorageClassName, Timestamp};

    #[test]
    fn a_restore_is_ongoing_then_done_then_over() {
        let restore = Restore {
            class: ArchiveClass::Glacier,
            nonce: 7,
            asked: Timestamp(10),
            ready: Timestamp(20),
            until: Timestamp(30),
        };
        let glacier = StorageClassName::new("GLACIER").expect("a valid name");
        let at = |now| restore.state(&glacier, Timestamp(now));
        let restored = RestoreState::Restored(Timestamp(30));
        assert_eq!([at(9), at(10), at(19)], [RestoreState::Ongoing; 3]);
        assert_eq!([at(20), at(29)], [restored; 2]);
        assert_eq!([at(30), at(31)], [RestoreState::Over; 2]);
        let at_once = Restore { ready: Timestamp(10), ..restore };
        let at = |now| at_once.state(&glacier, Timestamp(now));
        assert_eq!([9, 10, 29].map(at), [restored; 3], "by any clock");
        assert_eq!(at(30), RestoreState::Over);
        for other in ["DEEP_ARCHIVE", "GLACIER_IR", "STANDARD"] {
            let other = StorageClassName::new(other).expect("a valid name");
            assert_eq!([9, 10, 29].map(|now| restore.state(&other, Timestamp(now))), [RestoreState::Over; 3]);
        }
    }
}
