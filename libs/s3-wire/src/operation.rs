//! The table of S3 operations: name, resource, and whether it is built.

mod route;
#[cfg(test)]
mod tests;

pub use route::{ROUTES, Route, RouteInput, Signal, recognise, route};

/// What an operation acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The service: no bucket in the address.
    Service,
    /// A bucket: no key in the address.
    Bucket,
    /// An object: a bucket and a key in the address.
    Object,
}

impl Resource {
    /// AWS's `ResourceType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Bucket => "BUCKET",
            Self::Object => "OBJECT",
        }
    }
}

/// Whether an operation is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// There is a handler.
    Supported,
    /// Recognised, answered with `NotImplemented`.
    Refused,
}

macro_rules! operations {
    ($($operation:ident $resource:ident $kind:ident,)*) => {
        /// An S3 operation, named as in the API Reference.
        ///
        /// The four deprecated operations that share method and address with their successors (GetBucketLifecycle,
        /// PutBucketLifecycle, GetBucketNotification, PutBucketNotification) cannot be told from them and are not
        /// listed. `PostObject` is the form upload, which is no operation of the service model.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($operation), "`.")] $operation,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$operation,)*];

            /// The operation's name in the API.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => stringify!($operation),)*
                }
            }

            /// What it acts on.
            pub fn resource(self) -> Resource {
                match self {
                    $(Self::$operation => Resource::$resource,)*
                }
            }

            /// Whether it is built.
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$operation => Kind::$kind,)*
                }
            }
        }
    };
}

operations! {
    ListBuckets Service Supported,
    ListDirectoryBuckets Service Refused,
    WriteGetObjectResponse Service Refused,

    CreateBucket Bucket Supported,
    HeadBucket Bucket Supported,
    DeleteBucket Bucket Supported,
    GetBucketLocation Bucket Supported,
    ListObjects Bucket Supported,
    ListObjectsV2 Bucket Supported,
    ListObjectVersions Bucket Supported,
    ListMultipartUploads Bucket Supported,
    DeleteObjects Bucket Supported,
    GetBucketVersioning Bucket Supported,
    PutBucketVersioning Bucket Supported,

    PutObject Object Supported,
    GetObject Object Supported,
    HeadObject Object Supported,
    DeleteObject Object Supported,
    CopyObject Object Supported,
    CreateMultipartUpload Object Supported,
    UploadPart Object Supported,
    UploadPartCopy Object Supported,
    CompleteMultipartUpload Object Supported,
    AbortMultipartUpload Object Supported,
    ListParts Object Supported,

    PostObject Bucket Refused,
    CreateSession Bucket Refused,
    GetBucketAcl Bucket Refused,
    PutBucketAcl Bucket Refused,
    GetBucketOwnershipControls Bucket Refused,
    PutBucketOwnershipControls Bucket Refused,
    DeleteBucketOwnershipControls Bucket Refused,
    GetPublicAccessBlock Bucket Refused,
    PutPublicAccessBlock Bucket Refused,
    DeletePublicAccessBlock Bucket Refused,
    GetBucketPolicy Bucket Refused,
    PutBucketPolicy Bucket Refused,
    DeleteBucketPolicy Bucket Refused,
    GetBucketPolicyStatus Bucket Refused,
    GetObjectLockConfiguration Bucket Refused,
    PutObjectLockConfiguration Bucket Refused,
    GetBucketLifecycleConfiguration Bucket Refused,
    PutBucketLifecycleConfiguration Bucket Refused,
    DeleteBucketLifecycle Bucket Refused,
    GetBucketReplication Bucket Refused,
    PutBucketReplication Bucket Refused,
    DeleteBucketReplication Bucket Refused,
    GetBucketEncryption Bucket Refused,
    PutBucketEncryption Bucket Refused,
    DeleteBucketEncryption Bucket Refused,
    GetBucketCors Bucket Refused,
    PutBucketCors Bucket Refused,
    DeleteBucketCors Bucket Refused,
    GetBucketWebsite Bucket Refused,
    PutBucketWebsite Bucket Refused,
    DeleteBucketWebsite Bucket Refused,
    GetBucketTagging Bucket Refused,
    PutBucketTagging Bucket Refused,
    DeleteBucketTagging Bucket Refused,
    GetBucketNotificationConfiguration Bucket Refused,
    PutBucketNotificationConfiguration Bucket Refused,
    GetBucketLogging Bucket Refused,
    PutBucketLogging Bucket Refused,
    GetBucketRequestPayment Bucket Refused,
    PutBucketRequestPayment Bucket Refused,
    GetBucketAccelerateConfiguration Bucket Refused,
    PutBucketAccelerateConfiguration Bucket Refused,
    GetBucketInventoryConfiguration Bucket Refused,
    PutBucketInventoryConfiguration Bucket Refused,
    DeleteBucketInventoryConfiguration Bucket Refused,
    ListBucketInventoryConfigurations Bucket Refused,
    GetBucketAnalyticsConfiguration Bucket Refused,
    PutBucketAnalyticsConfiguration Bucket Refused,
    DeleteBucketAnalyticsConfiguration Bucket Refused,
    ListBucketAnalyticsConfigurations Bucket Refused,
    GetBucketMetricsConfiguration Bucket Refused,
    PutBucketMetricsConfiguration Bucket Refused,
    DeleteBucketMetricsConfiguration Bucket Refused,
    ListBucketMetricsConfigurations Bucket Refused,
    GetBucketIntelligentTieringConfiguration Bucket Refused,
    PutBucketIntelligentTieringConfiguration Bucket Refused,
    DeleteBucketIntelligentTieringConfiguration Bucket Refused,
    ListBucketIntelligentTieringConfigurations Bucket Refused,
    CreateBucketMetadataConfiguration Bucket Refused,
    GetBucketMetadataConfiguration Bucket Refused,
    DeleteBucketMetadataConfiguration Bucket Refused,
    CreateBucketMetadataTableConfiguration Bucket Refused,
    GetBucketMetadataTableConfiguration Bucket Refused,
    DeleteBucketMetadataTableConfiguration Bucket Refused,
    UpdateBucketMetadataInventoryTableConfiguration Bucket Refused,
    UpdateBucketMetadataJournalTableConfiguration Bucket Refused,
    UpdateBucketMetadataAnnotationTableConfiguration Bucket Refused,
    GetBucketAbac Bucket Refused,
    PutBucketAbac Bucket Refused,

    GetObjectAttributes Object Refused,
    GetObjectAcl Object Refused,
    PutObjectAcl Object Refused,
    GetObjectTagging Object Refused,
    PutObjectTagging Object Refused,
    DeleteObjectTagging Object Refused,
    GetObjectRetention Object Refused,
    PutObjectRetention Object Refused,
    GetObjectLegalHold Object Refused,
    PutObjectLegalHold Object Refused,
    GetObjectTorrent Object Refused,
    RenameObject Object Refused,
    RestoreObject Object Refused,
    SelectObjectContent Object Refused,
    UpdateObjectEncryption Object Refused,
    PutObjectAnnotation Object Refused,
    GetObjectAnnotation Object Refused,
    ListObjectAnnotations Object Refused,
    DeleteObjectAnnotation Object Refused,
}
