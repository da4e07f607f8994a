//! Headers that say something to other operations than the one that is asked for. A header that were passed over would leave a client
//! to believe that it has an effect.

use http::HeaderMap;

use crate::{
    error::S3Error,
    operation::Operation::{
        self, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, PutObject, UploadPart,
        UploadPartCopy,
    },
};

/// The operations that are held to this: those which write an object or a part of one.
const WRITES: [Operation; 6] =
    [PutObject, CopyObject, CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload];

/// What begins an object.
const BEGIN: &[Operation] = &[PutObject, CopyObject, CreateMultipartUpload];
/// What reads another object.
const COPY: &[Operation] = &[CopyObject, UploadPartCopy];
/// What writes an object in one go.
const WHOLE: &[Operation] = &[PutObject, CopyObject];
/// No write of an object or a part.
const ELSEWHERE: &[Operation] = &[];

/// Every header of S3's own that says something of a request, with the writes that it says it to; with `*` at its end, the beginning of
/// the names. Those of encryption (`refuse_misplaced_encryption`), of checksums, and those that any request may have are not among them.
/// Source: API Reference, the headers of each operation; that no other is missing, `tests/s3/tests/model.rs` finds out by AWS's model.
const PLACES: &[(&str, &[Operation])] = &[
    ("x-amz-acl", BEGIN),
    ("x-amz-bucket-namespace", BEGIN),
    ("x-amz-bucket-object-lock-enabled", ELSEWHERE),
    ("x-amz-bucket-object-lock-token", ELSEWHERE),
    ("x-amz-bypass-governance-retention", ELSEWHERE),
    ("x-amz-client-token", ELSEWHERE),
    ("x-amz-confirm-remove-self-bucket-access", ELSEWHERE),
    ("x-amz-copy-source", COPY),
    ("x-amz-copy-source-if-match", COPY),
    ("x-amz-copy-source-if-modified-since", COPY),
    ("x-amz-copy-source-if-none-match", COPY),
    ("x-amz-copy-source-if-unmodified-since", COPY),
    // Where an object is written in one go it is not built.
    ("x-amz-copy-source-range", &[PutObject, CopyObject, UploadPartCopy]),
    ("x-amz-grant-full-control", BEGIN),
    ("x-amz-grant-read", BEGIN),
    ("x-amz-grant-read-acp", BEGIN),
    ("x-amz-grant-write-acp", BEGIN),
    ("x-amz-if-match-initiated-time", ELSEWHERE),
    ("x-amz-if-match-last-modified-time", ELSEWHERE),
    ("x-amz-if-match-size", ELSEWHERE),
    ("x-amz-max-parts", ELSEWHERE),
    ("x-amz-meta-*", BEGIN),
    ("x-amz-metadata-directive", &[CopyObject]),
    ("x-amz-mp-object-size", &[CompleteMultipartUpload]),
    ("x-amz-object-annotation-directive", BEGIN),
    ("x-amz-object-attributes", ELSEWHERE),
    ("x-amz-object-lock-event-hold", BEGIN),
    ("x-amz-object-lock-event-hold-duration-days", BEGIN),
    ("x-amz-object-lock-event-hold-duration-years", BEGIN),
    ("x-amz-object-lock-legal-hold", BEGIN),
    ("x-amz-object-lock-mode", BEGIN),
    ("x-amz-object-lock-retain-until-date", BEGIN),
    ("x-amz-object-ownership", ELSEWHERE),
    ("x-amz-optional-object-attributes", ELSEWHERE),
    ("x-amz-part-number-marker", ELSEWHERE),
    ("x-amz-rename-source", ELSEWHERE),
    ("x-amz-rename-source-if-match", ELSEWHERE),
    ("x-amz-rename-source-if-modified-since", ELSEWHERE),
    ("x-amz-rename-source-if-none-match", ELSEWHERE),
    ("x-amz-rename-source-if-unmodified-since", ELSEWHERE),
    ("x-amz-skip-destination-validation", ELSEWHERE),
    ("x-amz-source-expected-bucket-owner", COPY),
    ("x-amz-storage-class", BEGIN),
    ("x-amz-tagging", BEGIN),
    ("x-amz-tagging-directive", &[CopyObject]),
    ("x-amz-transition-default-minimum-object-size", ELSEWHERE),
    ("x-amz-website-redirect-location", BEGIN),
    ("x-amz-write-offset-bytes", WHOLE),
];

/// How the names of all of them begin.
const PREFIX: &str = "x-amz-";

/// Refuses a write with a header that has no meaning for it: `InvalidArgument`, with the words of Amazon S3 (boto/boto3#2675,
/// aws/aws-cli#1674; durch/rust-s3#352 for user metadata).
pub(super) fn refuse_misplaced(operation: Operation, headers: &HeaderMap) -> Result<(), S3Error> {
    if !WRITES.contains(&operation) {
        return Ok(());
    }
    for (name, value) in headers {
        let name = name.as_str();
        // As all of them begin: a request has more headers of other kinds.
        if !name.starts_with(PREFIX) {
            continue;
        }
        let place = PLACES.iter().find(|(known, _)| super::unsupported::matches(known, name));
        // So s3fs-fuse begins a copy in parts (as of version 1.90). The metadata is that of the request anyway.
        let is_so = operation == CreateMultipartUpload
            && name == "x-amz-metadata-directive"
            && value.as_bytes().eq_ignore_ascii_case(b"REPLACE");
        if !is_so && place.is_some_and(|(_, operations)| !operations.contains(&operation)) {
            let message = match name.starts_with("x-amz-meta-") {
                true => "Metadata cannot be specified in this context.",
                false => "The specified header is not valid in this context",
            };
            let value = String::from_utf8_lossy(value.as_bytes());
            return Err(S3Error::invalid_argument(message, name, &value));
        }
    }
    Ok(())
}
