//! Bodies about buckets: creation, location, versioning, the list of buckets.

use bytes::Bytes;
use types::{Timestamp, Versioning};

use super::{
    Document, Owner,
    read::{XmlReader, set},
    tagging::read_tags,
};
use crate::{
    error::{ErrorCode, S3Error},
    tags::{Tagged, check_tags},
};

/// Largest body of CreateBucket in bytes.
pub const CREATE_BUCKET_BODY_MAX: usize = 64 << 10;
/// Largest body of PutBucketVersioning in bytes.
pub const VERSIONING_BODY_MAX: usize = 64 << 10;

/// What a CreateBucket asks for in its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewBucket {
    /// `LocationConstraint`; an absent and an empty one are both `None`.
    pub location: Option<String>,
    /// `Tags`.
    pub tags: Vec<(String, String)>,
}

/// Reads a body of CreateBucket, which may be empty.
///
/// `MalformedXML` for anything that is no `CreateBucketConfiguration`, `NotImplemented` for its fields `Location` and
/// `Bucket` (directory buckets), and for tags the errors of [`check_tags`]. Source: API Reference, "CreateBucket".
pub fn parse_create_bucket(body: &[u8]) -> Result<NewBucket, S3Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(NewBucket::default());
    }
    let mut reader = XmlReader::open(body, CREATE_BUCKET_BODY_MAX, "CreateBucketConfiguration")?;
    let (mut location, mut tags) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "LocationConstraint" => set(&mut location, reader.word()?)?,
            "Tags" => set(&mut tags, read_tags(&mut reader)?)?,
            "Location" | "Bucket" => return Err(S3Error::field_not_implemented(&name)),
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    let (location, tags) =
        (location.filter(|location: &String| !location.is_empty()), tags.unwrap_or_default());
    check_tags(&tags, Tagged::Bucket)?;
    Ok(NewBucket { location, tags })
}

/// Reads a body of PutBucketVersioning: `Enabled` or `Suspended`.
///
/// `IllegalVersioningConfigurationException` without a status, `MalformedXML` for an unknown one, `NotImplemented` for
/// MFA delete. Source: API Reference, "PutBucketVersioning".
pub fn parse_versioning(body: &[u8]) -> Result<Versioning, S3Error> {
    let mut reader = XmlReader::open(body, VERSIONING_BODY_MAX, "VersioningConfiguration")?;
    let (mut status, mut mfa_delete) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Status" => set(&mut status, reader.word()?)?,
            "MfaDelete" | "MFADelete" => set(&mut mfa_delete, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    // An element without a text counts as none, as at Amazon S3.
    match mfa_delete.as_deref() {
        None | Some("" | "Disabled") => {}
        Some("Enabled") => return Err(S3Error::field_not_implemented("MfaDelete")),
        Some(_) => return Err(S3Error::malformed_xml()),
    }
    match status.as_deref() {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        Some(text) if !text.is_empty() => Err(S3Error::malformed_xml()),
        _ => Err(S3Error::with_message(
            ErrorCode::IllegalVersioningConfigurationException,
            "The Versioning element must be specified",
        )),
    }
}

/// The body of GetBucketVersioning; empty for a bucket that never was versioned.
pub fn versioning(state: Versioning) -> Bytes {
    let mut document = Document::new("VersioningConfiguration", 192);
    match state {
        Versioning::Unversioned => {}
        Versioning::Enabled => document.element("Status", "Enabled"),
        Versioning::Suspended => document.element("Status", "Suspended"),
    }
    document.finish("VersioningConfiguration")
}

/// The body of GetBucketLocation: empty for `us-east-1`, as AWS has it.
pub fn location_constraint(region: &str) -> Bytes {
    let mut document = Document::new("LocationConstraint", 192);
    if region != "us-east-1" {
        document.text(region);
    }
    document.finish("LocationConstraint")
}

/// What a ListBuckets answers beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct ListBuckets<'a> {
    /// The caller.
    pub owner: Owner<'a>,
    /// The prefix that was asked for.
    pub prefix: Option<&'a str>,
    /// The token of the next page.
    pub continuation_token: Option<&'a str>,
}

/// A bucket of the list.
#[derive(Debug, Clone, Copy)]
pub struct BucketRow<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was created.
    pub created: Timestamp,
    /// Its region, which S3 shows in paged answers only.
    pub region: Option<&'a str>,
}

/// The body of ListBuckets.
pub fn list_buckets<'a>(answer: &ListBuckets<'_>, buckets: impl IntoIterator<Item = BucketRow<'a>>) -> Bytes {
    let buckets = buckets.into_iter();
    let mut document = Document::new("ListAllMyBucketsResult", 512 + 160 * buckets.size_hint().0.min(10_000));
    answer.owner.write("Owner", &mut document);
    document.open("Buckets");
    for bucket in buckets {
        document.open("Bucket");
        document.element("Name", bucket.name);
        document.date("CreationDate", bucket.created);
        document.optional("BucketRegion", bucket.region);
        document.close("Bucket");
    }
    document.close("Buckets");
    document.optional("ContinuationToken", answer.continuation_token);
    document.optional("Prefix", answer.prefix);
    document.finish("ListAllMyBucketsResult")
}
