//! Conditions of reads, of a copy's source, and of both ends of a rename.

use http::HeaderMap;
use types::{ETag, Timestamp};

use super::entity_tag::TagList;
use crate::{
    date::parse_http_date,
    error::{ErrorCode, S3Error},
};

/// The four conditions on an object that is there. A date that cannot be read is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadConditions {
    if_match: Option<TagList>,
    if_none_match: Option<TagList>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
    of: Subject,
}

/// What conditions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Subject {
    #[default]
    Read,
    CopySource,
    RenameSource,
    RenameDestination,
}

/// What the conditions of a read come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answer as if there were no conditions.
    Proceed,
    /// Answer 304 with `ETag` and `Last-Modified` and no body.
    NotModified,
    /// Answer `PreconditionFailed`; the condition that did not hold, by its header's name.
    PreconditionFailed(&'static str),
}

impl Outcome {
    /// The error of a condition that did not hold; a 304 has none.
    pub fn error(self) -> Option<S3Error> {
        match self {
            Self::Proceed | Self::NotModified => None,
            Self::PreconditionFailed(condition) => {
                Some(S3Error::new(ErrorCode::PreconditionFailed).field("Condition", condition))
            }
        }
    }
}

impl ReadConditions {
    /// `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since` of a GET or HEAD.
    pub fn for_read(headers: &HeaderMap) -> Self {
        Self::parse(
            headers,
            ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"],
            Subject::Read,
        )
    }

    /// The conditions of CopyObject and UploadPartCopy on their source: `x-amz-copy-source-if-...`.
    pub fn for_copy_source(headers: &HeaderMap) -> Self {
        let names = [
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        ];
        Self::parse(headers, names, Subject::CopySource)
    }

    /// The conditions of RenameObject on the object that gets another key: `x-amz-rename-source-if-...`.
    pub fn for_rename_source(headers: &HeaderMap) -> Self {
        let names = [
            "x-amz-rename-source-if-match",
            "x-amz-rename-source-if-none-match",
            "x-amz-rename-source-if-modified-since",
            "x-amz-rename-source-if-unmodified-since",
        ];
        Self::parse(headers, names, Subject::RenameSource)
    }

    /// The conditions of RenameObject on the object that it replaces.
    pub fn for_rename_destination(headers: &HeaderMap) -> Self {
        let names = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
        Self::parse(headers, names, Subject::RenameDestination)
    }

    fn parse(headers: &HeaderMap, names: [&str; 4], of: Subject) -> Self {
        let date = |name| headers.get(name).and_then(|value| value.to_str().ok()).and_then(parse_http_date);
        Self {
            if_match: TagList::parse(headers, names[0]),
            if_none_match: TagList::parse(headers, names[1]),
            if_modified_since: date(names[2]),
            if_unmodified_since: date(names[3]),
            of,
        }
    }

    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self { of: self.of, ..Self::default() }
    }

    /// Holds the conditions against what was found, in the order of RFC 9110, section 13.2.2: a tag condition decides
    /// alone where there is one, and a date condition counts only beside no tag condition of its kind.
    ///
    /// Only a read has a 304: elsewhere `PreconditionFailed` takes its place (API Reference, "CopyObject").
    ///
    /// An `If-Modified-Since` that is later than `now` is no condition, as at Amazon S3 (localstack/localstack, the answers recorded for
    /// `test_s3_get_object_preconditions` and `test_s3_copy_object_preconditions`) and in RFC 2616, section 14.25. RFC 9110, section
    /// 13.1.3, does not speak of it. The time of an object may be by another clock, which is ahead.
    pub fn evaluate(&self, etag: &ETag, last_modified: Timestamp, now: Timestamp) -> Outcome {
        let seconds = last_modified.seconds();
        let past = seconds..=seconds.max(now.seconds());
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches_strong(etag) => return self.failed("If-Match"),
            (None, Some(date)) if seconds > date.seconds() => return self.failed("If-Unmodified-Since"),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches_weak(etag) => self.not_modified("If-None-Match"),
            (None, Some(date)) if past.contains(&date.seconds()) => self.not_modified("If-Modified-Since"),
            _ => Outcome::Proceed,
        }
    }

    /// The same of a key that has no object: `PreconditionFailed` when a condition needs one.
    pub fn evaluate_absent(&self) -> Outcome {
        if self.if_match.is_some() {
            return self.failed("If-Match");
        }
        match (&self.if_none_match, self.if_modified_since) {
            (None, Some(_)) => self.not_modified("If-Modified-Since"),
            _ => Outcome::Proceed,
        }
    }

    fn failed(&self, condition: &'static str) -> Outcome {
        Outcome::PreconditionFailed(match self.of {
            Subject::Read | Subject::RenameDestination => condition,
            Subject::CopySource => copy_name(condition),
            Subject::RenameSource => rename_name(condition),
        })
    }

    fn not_modified(&self, condition: &'static str) -> Outcome {
        if self.of == Subject::Read { Outcome::NotModified } else { self.failed(condition) }
    }
}

/// Whether `Range` counts: true without `If-Range`, or when its entity tag (by strong comparison) or date is that of
/// what was found. Otherwise the whole object is the answer. Source: RFC 9110, section 13.1.5.
pub fn if_range(headers: &HeaderMap, etag: &ETag, last_modified: Timestamp) -> bool {
    let Some(value) = headers.get("if-range") else { return true };
    match value.to_str().ok().and_then(parse_http_date) {
        Some(date) => date.seconds() == last_modified.seconds(),
        None => {
            matches!(TagList::parse(headers, "if-range"), Some(tags @ TagList::Tags(_)) if tags.matches_strong(etag))
        }
    }
}

fn copy_name(condition: &'static str) -> &'static str {
    match condition {
        "If-Match" => "x-amz-copy-source-If-Match",
        "If-None-Match" => "x-amz-copy-source-If-None-Match",
        "If-Modified-Since" => "x-amz-copy-source-If-Modified-Since",
        _ => "x-amz-copy-source-If-Unmodified-Since",
    }
}

fn rename_name(condition: &'static str) -> &'static str {
    match condition {
        "If-Match" => "x-amz-rename-source-If-Match",
        "If-None-Match" => "x-amz-rename-source-If-None-Match",
        "If-Modified-Since" => "x-amz-rename-source-If-Modified-Since",
        _ => "x-amz-rename-source-If-Unmodified-Since",
    }
}
