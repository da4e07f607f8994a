//! Which rights a request takes: the action of its operation, and those of what it does beside it. API Reference, the
//! section "Permissions" of each operation.

use http::HeaderMap;
use s3_wire::{Operation, header::bypasses_governance};

/// The action for a version that a request names, where that is another than for the current one.
pub(crate) fn of_version(action: &'static str, by_version: bool) -> &'static str {
    match action {
        _ if !by_version => action,
        "GetObject" => "GetObjectVersion",
        "GetObjectAcl" => "GetObjectVersionAcl",
        "GetObjectAttributes" => "GetObjectVersionAttributes",
        "GetObjectTagging" => "GetObjectVersionTagging",
        "PutObjectAcl" => "PutObjectVersionAcl",
        "PutObjectTagging" => "PutObjectVersionTagging",
        "DeleteObject" => "DeleteObjectVersion",
        "DeleteObjectTagging" => "DeleteObjectVersionTagging",
        other => other,
    }
}

/// Whether the handler of an operation answers, or begins by reading, a version of its object.
pub(super) fn reads_version(operation: Operation) -> bool {
    use Operation::{
        DeleteObjectTagging, GetObject, GetObjectAcl, GetObjectAttributes, GetObjectLegalHold,
        GetObjectRetention, GetObjectTagging, HeadObject, PutObjectAcl, PutObjectLegalHold,
        PutObjectRetention, PutObjectTagging, RestoreObject, UpdateObjectEncryption,
    };
    matches!(
        operation,
        GetObject
            | HeadObject
            | GetObjectAcl
            | PutObjectAcl
            | GetObjectAttributes
            | GetObjectTagging
            | PutObjectTagging
            | DeleteObjectTagging
            | GetObjectRetention
            | PutObjectRetention
            | GetObjectLegalHold
            | PutObjectLegalHold
            | RestoreObject
            | UpdateObjectEncryption
    )
}

/// Whether a request makes an object or begins to, and says what list and which tags that has.
pub(super) fn makes_object(operation: Operation) -> bool {
    use Operation::{CopyObject, CreateMultipartUpload, PostObject, PutObject};
    matches!(operation, PutObject | PostObject | CopyObject | CreateMultipartUpload)
}

/// The condition keys that are in the body of an operation's request.
pub(super) fn keys_of_body(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::PutObjectTagging => &["s3:RequestObjectTag/", "s3:RequestObjectTagKeys"],
        Operation::PutObjectRetention => &[
            "s3:object-lock-mode",
            "s3:object-lock-retain-until-date",
            "s3:object-lock-remaining-retention-days",
        ],
        Operation::PutObjectLegalHold => &["s3:object-lock-legal-hold"],
        Operation::UpdateObjectEncryption => {
            &["s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"]
        }
        _ => &[],
    }
}

/// The rights that a request takes on what its address names. Those that DeleteObjects takes are of each of its objects.
pub(super) fn rights(
    operation: Operation,
    action: &'static str,
    headers: &HeaderMap,
    by_version: bool,
    has_tags: bool,
) -> Vec<&'static str> {
    use Operation::{
        CompleteMultipartUpload, CopyObject, CreateBucket, DeleteObject, DeleteObjects, GetObjectAttributes,
        PostObject, PutObject, PutObjectRetention, RenameObject,
    };
    if operation == DeleteObjects {
        return Vec::new();
    }
    let mut rights = vec![of_version(action, by_version)];
    if operation == GetObjectAttributes {
        rights.push(of_version("GetObject", by_version));
    }
    let has = |name: &str| headers.contains_key(name);
    let has_grants = || headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    if operation == CreateBucket {
        let locks = has("x-amz-bucket-object-lock-enabled");
        let asked = [
            (has("x-amz-acl") || has_grants(), "PutBucketAcl"),
            (has("x-amz-object-ownership"), "PutBucketOwnershipControls"),
            (locks, "PutBucketObjectLockConfiguration"),
            (locks, "PutBucketVersioning"),
        ];
        rights.extend(asked.iter().filter(|(asked, _)| *asked).map(|(_, action)| *action));
    }
    if makes_object(operation) {
        let asked = [
            (has_tags || has("x-amz-tagging"), "PutObjectTagging"),
            (has("x-amz-acl") || has_grants(), "PutObjectAcl"),
            (
                has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date"),
                "PutObjectRetention",
            ),
            (has("x-amz-object-lock-legal-hold"), "PutObjectLegalHold"),
        ];
        rights.extend(asked.iter().filter(|(asked, _)| *asked).map(|(_, action)| *action));
    }
    // Who asks whether an object is a certain one learns what it is. Amazon S3 User Guide, "Enforce conditional deletes on
    // Amazon S3 buckets".
    let asks_which = headers.get("if-match").is_some_and(|tag| tag.as_bytes().trim_ascii() != b"*");
    if asks_which
        && matches!(
            operation,
            PutObject | PostObject | CopyObject | RenameObject | CompleteMultipartUpload | DeleteObject
        )
    {
        rights.push("GetObject");
    }
    // What is no boolean is refused by the handler.
    let bypasses = || bypasses_governance(headers).map_or(true, |bypasses| bypasses == Some(true));
    if matches!(operation, DeleteObject | PutObjectRetention) && bypasses() {
        rights.push("BypassGovernanceRetention");
    }
    rights
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use policy::{Scope, scope};
    use s3_wire::{
        Operation,
        operation::{Kind, Resource},
    };

    use super::{keys_of_body, of_version, reads_version, rights};

    /// A policy that names what an operation takes can be written, and is about what the operation is about.
    #[test]
    fn every_right_is_an_action_that_policies_know() {
        for operation in Operation::ALL.iter().filter(|operation| operation.kind() != Kind::Refused) {
            let action = operation.action().expect("one that is not refused has an action");
            let of = |resource| match resource {
                Resource::Service => None,
                Resource::Bucket => Some(Scope::Bucket),
                Resource::Object => Some(Scope::Object),
            };
            let expected = match operation {
                // Their objects are in the body.
                Operation::DeleteObjects | Operation::PostObject => Some(Scope::Object),
                operation => of(operation.resource()),
            };
            for by_version in [false, true] {
                for right in rights(*operation, action, &HeaderMap::new(), by_version, true) {
                    assert_eq!(scope(right), expected, "{right} of {}", operation.name());
                }
            }
            assert!(!reads_version(*operation) || operation.resource() == Resource::Object);
            for key in keys_of_body(*operation) {
                assert!(policy::keys().any(|known| known == *key), "{key}");
            }
        }
    }

    #[test]
    fn headers_take_rights_of_their_own() {
        for (operation, headers, expected) in [
            (Operation::PutObject, &[][..], &["PutObject"][..]),
            (Operation::PutObject, &[("x-amz-tagging", "a=b")], &["PutObject", "PutObjectTagging"]),
            (Operation::CopyObject, &[("x-amz-acl", "private")], &["PutObject", "PutObjectAcl"]),
            (
                Operation::CreateMultipartUpload,
                &[("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-legal-hold", "ON")],
                &["PutObject", "PutObjectRetention", "PutObjectLegalHold"],
            ),
            (Operation::PutObject, &[("if-match", "*")], &["PutObject"]),
            (Operation::PutObject, &[("if-match", "\"x\"")], &["PutObject", "GetObject"]),
            (Operation::DeleteObject, &[("if-match", "\"x\"")], &["DeleteObject", "GetObject"]),
            (
                Operation::DeleteObject,
                &[("x-amz-bypass-governance-retention", "true")],
                &["DeleteObject", "BypassGovernanceRetention"],
            ),
            (Operation::CreateBucket, &[], &["CreateBucket"]),
            (Operation::CreateBucket, &[("x-amz-acl", "private")], &["CreateBucket", "PutBucketAcl"]),
            (
                Operation::CreateBucket,
                &[("x-amz-object-ownership", "ObjectWriter"), ("x-amz-bucket-object-lock-enabled", "true")],
                &[
                    "CreateBucket",
                    "PutBucketOwnershipControls",
                    "PutBucketObjectLockConfiguration",
                    "PutBucketVersioning",
                ],
            ),
            (Operation::GetObject, &[("if-match", "\"x\"")], &["GetObject"]),
            (Operation::DeleteObjects, &[("x-amz-bypass-governance-retention", "true")], &[]),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
                .collect();
            let action = operation.action().expect("an action");
            assert_eq!(
                rights(operation, action, &headers, false, false),
                expected,
                "{operation:?} {headers:?}"
            );
        }
        assert_eq!(of_version("GetObjectRetention", true), "GetObjectRetention");
    }
}
