//! What becomes of each header, query parameter and element of a request. The page of compatibility is made from it too.

use s3_wire::Operation::{self, *};

/// What becomes of a field.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// It is enforced: with this value the answer is another.
    Told(&'static str),
    /// It is enforced: this value is shown with the object that is written.
    Kept(&'static str),
    /// It is enforced: with this value the answer, or what is read of the bucket or object by this sub-resource then, has this text, and
    /// without it has not.
    Shown {
        /// The value.
        value: &'static str,
        /// The sub-resource; none for the answer.
        by: &'static str,
        /// The text.
        text: &'static str,
    },
    /// It is enforced: a value that is as it should be, but of other bytes, is refused as their digest.
    Digest,
    /// With this value the request is refused with the field's name.
    Refused(&'static str),
    /// It asks for what is so anyway, so that this value makes no difference.
    Moot {
        /// The value.
        value: &'static str,
        /// Why there is nothing to do.
        why: &'static str,
    },
    /// Without it there is no such request.
    Part,
    /// It is enforced, as this file's tests show that have its name in them.
    In(&'static str),
}

use Fate::{Digest, In, Kept, Moot, Part, Refused, Shown, Told};

/// The operations, or none for all others, a field, and what becomes of it there.
pub(super) type Entry = (&'static [Operation], &'static str, Fate);

const DATE: &str = "Tue, 01 Jan 2019 00:00:00 GMT";
const NOBODY: &str = "111122223333";

/// Everybody, as headers name a grantee.
const EVERYBODY: &str = "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"";

/// What is granted to everybody, as a list shows it.
const fn granted(text: &'static str) -> Fate {
    Shown { value: EVERYBODY, by: "acl", text }
}

const NOBODY_PAYS: Fate = Moot { value: "requester", why: "nobody pays" };
const NO_MFA: Fate = Moot { value: "serial 123456", why: "no bucket has MFA delete" };
const EMPTY: Fate = Moot { value: "1", why: "a list without entries has no next page" };

/// The first entry that fits counts.
pub(super) const FIELDS: &[Entry] = &[
    (&[], "cache-control", Kept("no-cache")),
    (&[], "content-disposition", Kept("attachment")),
    (&[], "content-encoding", Kept("gzip")),
    (&[], "content-language", Kept("la")),
    (&[], "content-type", Kept("text/x-test")),
    (&[], "expires", Kept(DATE)),
    (&[], "x-amz-meta-*", Kept("value")),
    (&[], "content-length", Part),
    (&[], "content-md5", Digest),
    (&[], "if-match", Told("\"x\"")),
    (&[], "if-none-match", Told("*")),
    (&[], "if-modified-since", Told("NOW")),
    (&[], "if-unmodified-since", Told(DATE)),
    (&[], "range", Told("bytes=0-0")),
    (&[], "x-amz-acl", Shown { value: "public-read", by: "acl", text: "AllUsers" }),
    (&[], "x-amz-bucket-namespace", Refused("account-regional")),
    (
        &[],
        "x-amz-bucket-object-lock-enabled",
        Shown { value: "true", by: "object-lock", text: "<ObjectLockEnabled>Enabled" },
    ),
    (
        &[],
        "x-amz-bucket-object-lock-token",
        Moot { value: "token", why: "object lock is set up without one, as at S3 by now" },
    ),
    (&[DeleteObject], "x-amz-bypass-governance-retention", In("delete_object")),
    (&[DeleteObjects], "x-amz-bypass-governance-retention", In("object_retention")),
    (&[], "x-amz-bypass-governance-retention", In("object_retention")),
    (&[CopyObject], "x-amz-checksum-algorithm", Shown { value: "SHA1", by: "", text: "<ChecksumSHA1>" }),
    (
        &[],
        "x-amz-checksum-algorithm",
        Shown { value: "SHA1", by: "", text: "x-amz-checksum-algorithm: SHA1" },
    ),
    (&[], "x-amz-checksum-crc32", Digest),
    (&[], "x-amz-checksum-crc32c", Digest),
    (&[], "x-amz-checksum-crc64nvme", Digest),
    (&[], "x-amz-checksum-md5", Digest),
    (&[], "x-amz-checksum-sha1", Digest),
    (&[], "x-amz-checksum-sha256", Digest),
    (&[], "x-amz-checksum-sha512", Digest),
    (&[], "x-amz-checksum-xxhash128", Digest),
    (&[], "x-amz-checksum-xxhash3", Digest),
    (&[], "x-amz-checksum-xxhash64", Digest),
    (&[], "x-amz-checksum-mode", Told("ENABLED")),
    (&[CompleteMultipartUpload], "x-amz-checksum-type", In("complete_multipart_upload")),
    (&[CreateMultipartUpload], "x-amz-checksum-type", In("create_multipart_upload")),
    (&[], "x-amz-client-token", In("rename_object")),
    (
        &[],
        "x-amz-confirm-remove-self-bucket-access",
        Moot { value: "true", why: "the root user can always change a policy" },
    ),
    (&[], "x-amz-copy-source", Part),
    (&[], "x-amz-copy-source-if-match", Told("\"x\"")),
    (&[], "x-amz-copy-source-if-modified-since", Told("NOW")),
    (&[], "x-amz-copy-source-if-none-match", Told("*")),
    (&[], "x-amz-copy-source-if-unmodified-since", Told(DATE)),
    // The MD5 of the first three bytes.
    (
        &[],
        "x-amz-copy-source-range",
        Shown { value: "bytes=0-2", by: "", text: "7ed201fa20d25d22b291dc85ae9e5ced" },
    ),
    (&[], "x-amz-copy-source-server-side-encryption-customer-algorithm", Told("AES256")),
    (&[], "x-amz-copy-source-server-side-encryption-customer-key", Told("AAAA")),
    (&[], "x-amz-copy-source-server-side-encryption-customer-key-md5", Told("AAAA")),
    (&[], "x-amz-expected-bucket-owner", Told(NOBODY)),
    (&[], "x-amz-grant-full-control", granted("<URI>")),
    (&[], "x-amz-grant-read", granted("<Permission>READ</Permission>")),
    (&[], "x-amz-grant-read-acp", granted("<Permission>READ_ACP</Permission>")),
    // Of an object this permission means nothing, as at S3.
    (&[PutObjectAcl], "x-amz-grant-write", Told("nonsense")),
    (&[], "x-amz-grant-write", granted("<Permission>WRITE</Permission>")),
    (&[], "x-amz-grant-write-acp", granted("<Permission>WRITE_ACP</Permission>")),
    (&[], "x-amz-if-match-initiated-time", Told(DATE)),
    (&[], "x-amz-if-match-last-modified-time", Told(DATE)),
    (&[], "x-amz-if-match-size", Told("99")),
    (&[], "x-amz-max-parts", In("get_object_attributes")),
    (&[], "x-amz-metadata-directive", In("copy_object")),
    (&[], "x-amz-mfa", NO_MFA),
    (&[], "x-amz-mp-object-size", Told("99")),
    (&[], "x-amz-object-annotation-directive", Refused("bogus")),
    (&[], "x-amz-object-attributes", Part),
    (&[], "x-amz-object-lock-event-hold", Refused("ON")),
    (&[], "x-amz-object-lock-event-hold-duration-days", Refused("1")),
    (&[], "x-amz-object-lock-event-hold-duration-years", Refused("1")),
    (&[], "x-amz-object-lock-legal-hold", Kept("ON")),
    (&[], "x-amz-object-lock-mode", In("object_retention")),
    (&[], "x-amz-object-lock-retain-until-date", In("object_retention")),
    (
        &[],
        "x-amz-object-ownership",
        Shown { value: "BucketOwnerPreferred", by: "ownershipControls", text: "BucketOwnerPreferred" },
    ),
    (&[], "x-amz-optional-object-attributes", In("restore_object")),
    (&[], "x-amz-part-number-marker", In("get_object_attributes")),
    (&[], "x-amz-rename-source", Part),
    (&[], "x-amz-rename-source-if-match", Told("\"x\"")),
    (&[], "x-amz-rename-source-if-modified-since", Told("NOW")),
    (&[], "x-amz-rename-source-if-none-match", Told("*")),
    (&[], "x-amz-rename-source-if-unmodified-since", Told(DATE)),
    (&[], "x-amz-request-payer", NOBODY_PAYS),
    (&[Operation::UpdateObjectEncryption], "x-amz-sdk-checksum-algorithm", In("payload_forms")),
    (&[], "x-amz-sdk-checksum-algorithm", Told("SHA256")),
    // The scheme of an upload may be said again at its end.
    (&[], "x-amz-server-side-encryption", Kept("AES256")),
    (&[], "x-amz-server-side-encryption-aws-kms-key-id", In("key_management")),
    (&[], "x-amz-server-side-encryption-bucket-key-enabled", In("key_management")),
    (&[], "x-amz-server-side-encryption-context", In("key_management")),
    (&[], "x-amz-server-side-encryption-customer-algorithm", Told("AES256")),
    (&[], "x-amz-server-side-encryption-customer-key", Told("AAAA")),
    (&[], "x-amz-server-side-encryption-customer-key-md5", Told("AAAA")),
    (
        &[],
        "x-amz-skip-destination-validation",
        Moot { value: "true", why: "no destination can be configured" },
    ),
    (&[], "x-amz-source-expected-bucket-owner", Told(NOBODY)),
    (&[], "x-amz-storage-class", Kept("REDUCED_REDUNDANCY")),
    // A copy that keeps its source's tags has no use for others.
    (&[CopyObject], "x-amz-tagging", In("copy_object")),
    (&[], "x-amz-tagging", Shown { value: "new=tag", by: "tagging", text: "<Key>new</Key>" }),
    (&[], "x-amz-tagging-directive", In("copy_object")),
    (&[], "x-amz-transition-default-minimum-object-size", In("transitions")),
    (&[], "x-amz-website-redirect-location", Kept("/elsewhere")),
    (&[], "x-amz-write-offset-bytes", Refused("0")),
    (&[], "bucket-region", Told("eu-west-1")),
    (
        &[
            ListBucketAnalyticsConfigurations,
            ListBucketIntelligentTieringConfigurations,
            ListBucketMetricsConfigurations,
        ],
        "continuation-token",
        EMPTY,
    ),
    (&[ListBuckets], "continuation-token", In("list_buckets")),
    (&[ListBucketInventoryConfigurations], "continuation-token", In("bucket_inventory")),
    (&[], "continuation-token", In("list_objects_v2")),
    (&[], "delimiter", Told("e")),
    (&[], "encoding-type", Shown { value: "url", by: "", text: "<EncodingType>url" }),
    (&[], "fetch-owner", Told("true")),
    (&[], "id", Part),
    (&[], "key-marker", Told("z")),
    (&[], "marker", Told("z")),
    (&[], "max-buckets", Told("1")),
    (&[], "max-keys", Told("1")),
    (&[], "max-parts", Told("1")),
    (&[], "max-uploads", Told("1")),
    (&[], "part-number-marker", Told("1")),
    (&[UploadPart, UploadPartCopy], "partNumber", Part),
    (&[], "partNumber", Told("2")),
    (&[], "prefix", Told("z")),
    (&[], "response-cache-control", Told("no-cache")),
    (&[], "response-content-disposition", Told("attachment")),
    (&[], "response-content-encoding", Told("gzip")),
    (&[], "response-content-language", Told("la")),
    (&[], "response-content-type", Told("text/x-test")),
    (&[], "response-expires", Told(DATE)),
    (&[], "start-after", Told("z")),
    (&[], "upload-id-marker", In("list_multipart_uploads")),
    (&[], "uploadId", Part),
    (&[], "version-id-marker", In("list_object_versions")),
    (&[DeleteObject], "versionId", In("delete_object")),
    // There is no null version.
    (&[], "versionId", Told("null")),
];

/// Elements of bodies that are refused, with all that is in them. All others are understood.
pub(super) const REFUSED_ELEMENTS: &[(Operation, &str)] = &[
    (CreateBucket, "Bucket"),
    (CreateBucket, "Location"),
    (PutBucketEncryption, "BlockedEncryptionTypes"),
    (PutBucketInventoryConfiguration, "Encryption"),
    (PutBucketNotificationConfiguration, "CloudFunctionConfiguration"),
    (PutBucketNotificationConfiguration, "EventBridgeConfiguration"),
    (PutBucketNotificationConfiguration, "QueueConfiguration"),
    (PutBucketNotificationConfiguration, "TopicConfiguration"),
    (PutObjectLockConfiguration, "DefaultEventHold"),
    (PutObjectRetention, "EventHold"),
    (PutObjectRetention, "EventHoldDuration"),
    (RestoreObject, "OutputLocation"),
    (RestoreObject, "SelectParameters"),
    (RestoreObject, "Type"),
];

/// What becomes of a field of an operation, and the place of that in the table.
pub(super) fn fate(operation: Operation, name: &str) -> Option<(usize, Fate)> {
    let is_it = |entry: &Entry| entry.1 == name && (entry.0.is_empty() || entry.0.contains(&operation));
    let at = FIELDS.iter().position(is_it)?;
    Some((at, FIELDS[at].2))
}

/// Whether the element at this path is refused, or is in one that is.
pub(super) fn is_refused(operation: Operation, path: &str) -> bool {
    path.split('/').any(|name| REFUSED_ELEMENTS.contains(&(operation, name)))
}
