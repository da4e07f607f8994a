//! What policies call the right to carry out an operation.

use super::Operation;

impl Operation {
    /// The action that a policy must allow for the operation itself, without the prefix `s3:`. More may be needed for what
    /// a request does beside it, such as reading a copy's source. `None` for operations that are refused, whose rights
    /// nobody can have. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
    pub fn action(self) -> Option<&'static str> {
        Some(match self {
            Self::ListBuckets => "ListAllMyBuckets",
            Self::CreateBucket => "CreateBucket",
            Self::DeleteBucket => "DeleteBucket",
            Self::HeadBucket | Self::ListObjects | Self::ListObjectsV2 => "ListBucket",
            Self::ListObjectVersions => "ListBucketVersions",
            Self::ListMultipartUploads => "ListBucketMultipartUploads",
            Self::ListParts => "ListMultipartUploadParts",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::GetObject | Self::HeadObject => "GetObject",
            Self::GetObjectAttributes => "GetObjectAttributes",
            Self::PutObject
            | Self::PostObject
            | Self::CopyObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::UploadPartCopy
            | Self::CompleteMultipartUpload
            | Self::RenameObject => "PutObject",
            Self::DeleteObject | Self::DeleteObjects => "DeleteObject",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketVersioning => "GetBucketVersioning",
            Self::PutBucketVersioning => "PutBucketVersioning",
            Self::GetBucketAcl => "GetBucketAcl",
            Self::PutBucketAcl => "PutBucketAcl",
            Self::GetObjectAcl => "GetObjectAcl",
            Self::PutObjectAcl => "PutObjectAcl",
            Self::GetBucketOwnershipControls => "GetBucketOwnershipControls",
            Self::PutBucketOwnershipControls | Self::DeleteBucketOwnershipControls => {
                "PutBucketOwnershipControls"
            }
            Self::GetPublicAccessBlock => "GetBucketPublicAccessBlock",
            Self::PutPublicAccessBlock | Self::DeletePublicAccessBlock => "PutBucketPublicAccessBlock",
            Self::GetBucketPolicy => "GetBucketPolicy",
            Self::PutBucketPolicy => "PutBucketPolicy",
            Self::DeleteBucketPolicy => "DeleteBucketPolicy",
            Self::GetBucketPolicyStatus => "GetBucketPolicyStatus",
            Self::GetObjectLockConfiguration => "GetBucketObjectLockConfiguration",
            Self::PutObjectLockConfiguration => "PutBucketObjectLockConfiguration",
            Self::RestoreObject => "RestoreObject",
            Self::UpdateObjectEncryption => "UpdateObjectEncryption",
            Self::GetObjectRetention => "GetObjectRetention",
            Self::PutObjectRetention => "PutObjectRetention",
            Self::GetObjectLegalHold => "GetObjectLegalHold",
            Self::PutObjectLegalHold => "PutObjectLegalHold",
            Self::GetBucketLifecycleConfiguration => "GetLifecycleConfiguration",
            Self::PutBucketLifecycleConfiguration | Self::DeleteBucketLifecycle => {
                "PutLifecycleConfiguration"
            }
            Self::GetBucketReplication => "GetReplicationConfiguration",
            Self::DeleteBucketReplication => "PutReplicationConfiguration",
            Self::GetBucketEncryption => "GetEncryptionConfiguration",
            Self::PutBucketEncryption | Self::DeleteBucketEncryption => "PutEncryptionConfiguration",
            Self::GetBucketCors => "GetBucketCORS",
            Self::PutBucketCors | Self::DeleteBucketCors => "PutBucketCORS",
            Self::GetBucketWebsite => "GetBucketWebsite",
            Self::PutBucketWebsite => "PutBucketWebsite",
            Self::DeleteBucketWebsite => "DeleteBucketWebsite",
            Self::GetBucketTagging => "GetBucketTagging",
            Self::PutBucketTagging | Self::DeleteBucketTagging => "PutBucketTagging",
            Self::GetObjectTagging => "GetObjectTagging",
            Self::PutObjectTagging => "PutObjectTagging",
            Self::DeleteObjectTagging => "DeleteObjectTagging",
            Self::GetBucketNotificationConfiguration => "GetBucketNotification",
            Self::PutBucketNotificationConfiguration => "PutBucketNotification",
            Self::GetBucketLogging => "GetBucketLogging",
            Self::PutBucketLogging => "PutBucketLogging",
            Self::GetBucketRequestPayment => "GetBucketRequestPayment",
            Self::PutBucketRequestPayment => "PutBucketRequestPayment",
            Self::GetBucketAccelerateConfiguration => "GetAccelerateConfiguration",
            Self::PutBucketAccelerateConfiguration => "PutAccelerateConfiguration",
            Self::GetBucketInventoryConfiguration | Self::ListBucketInventoryConfigurations => {
                "GetInventoryConfiguration"
            }
            Self::PutBucketInventoryConfiguration | Self::DeleteBucketInventoryConfiguration => {
                "PutInventoryConfiguration"
            }
            Self::GetBucketAnalyticsConfiguration | Self::ListBucketAnalyticsConfigurations => {
                "GetAnalyticsConfiguration"
            }
            Self::DeleteBucketAnalyticsConfiguration => "PutAnalyticsConfiguration",
            Self::GetBucketMetricsConfiguration | Self::ListBucketMetricsConfigurations => {
                "GetMetricsConfiguration"
            }
            Self::DeleteBucketMetricsConfiguration => "PutMetricsConfiguration",
            Self::GetBucketIntelligentTieringConfiguration
            | Self::ListBucketIntelligentTieringConfigurations => "GetIntelligentTieringConfiguration",
            Self::DeleteBucketIntelligentTieringConfiguration => "PutIntelligentTieringConfiguration",
            _ => return None,
        })
    }
}
