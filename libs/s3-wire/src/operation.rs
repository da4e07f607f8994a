//! The table of S3 operations: name, resource, and whether it is built.

mod action;
mod route;
#[cfg(test)]
mod tests;

pub use route::{ROUTES, Route, RouteInput, SUBRESOURCES_OF_OTHERS, Signal, recognise, route};

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
    /// Nothing can be configured, so it is answered as S3 answers where nothing is, and what is put must ask for this.
    Default,
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

    PostObject Bucket Supported,
    CreateSession Bucket Refused,
    GetBucketAcl Bucket Supported,
    PutBucketAcl Bucket Supported,
    GetBucketOwnershipControls Bucket Supported,
    PutBucketOwnershipControls Bucket Supported,
    DeleteBucketOwnershipControls Bucket Supported,
    GetPublicAccessBlock Bucket Supported,
    PutPublicAccessBlock Bucket Supported,
    DeletePublicAccessBlock Bucket Supported,
    GetBucketPolicy Bucket Supported,
    PutBucketPolicy Bucket Supported,
    DeleteBucketPolicy Bucket Supported,
    GetBucketPolicyStatus Bucket Supported,
    GetObjectLockConfiguration Bucket Supported,
    PutObjectLockConfiguration Bucket Supported,
    GetBucketLifecycleConfiguration Bucket Supported,
    PutBucketLifecycleConfiguration Bucket Supported,
    DeleteBucketLifecycle Bucket Supported,
    GetBucketReplication Bucket Default,
    PutBucketReplication Bucket Refused,
    DeleteBucketReplication Bucket Default,
    GetBucketEncryption Bucket Supported,
    PutBucketEncryption Bucket Supported,
    DeleteBucketEncryption Bucket Supported,
    GetBucketCors Bucket Supported,
    PutBucketCors Bucket Supported,
    DeleteBucketCors Bucket Supported,
    GetBucketWebsite Bucket Supported,
    PutBucketWebsite Bucket Supported,
    DeleteBucketWebsite Bucket Supported,
    GetBucketTagging Bucket Supported,
    PutBucketTagging Bucket Supported,
    DeleteBucketTagging Bucket Supported,
    GetBucketNotificationConfiguration Bucket Default,
    PutBucketNotificationConfiguration Bucket Default,
    GetBucketLogging Bucket Supported,
    PutBucketLogging Bucket Supported,
    GetBucketRequestPayment Bucket Default,
    PutBucketRequestPayment Bucket Default,
    GetBucketAccelerateConfiguration Bucket Default,
    PutBucketAccelerateConfiguration Bucket Default,
    GetBucketInventoryConfiguration Bucket Supported,
    PutBucketInventoryConfiguration Bucket Supported,
    DeleteBucketInventoryConfiguration Bucket Supported,
    ListBucketInventoryConfigurations Bucket Supported,
    GetBucketAnalyticsConfiguration Bucket Default,
    PutBucketAnalyticsConfiguration Bucket Refused,
    DeleteBucketAnalyticsConfiguration Bucket Default,
    ListBucketAnalyticsConfigurations Bucket Default,
    GetBucketMetricsConfiguration Bucket Default,
    PutBucketMetricsConfiguration Bucket Refused,
    DeleteBucketMetricsConfiguration Bucket Default,
    ListBucketMetricsConfigurations Bucket Default,
    GetBucketIntelligentTieringConfiguration Bucket Default,
    PutBucketIntelligentTieringConfiguration Bucket Refused,
    DeleteBucketIntelligentTieringConfiguration Bucket Default,
    ListBucketIntelligentTieringConfigurations Bucket Default,
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

    GetObjectAttributes Object Supported,
    GetObjectAcl Object Supported,
    PutObjectAcl Object Supported,
    GetObjectTagging Object Supported,
    PutObjectTagging Object Supported,
    DeleteObjectTagging Object Supported,
    GetObjectRetention Object Supported,
    PutObjectRetention Object Supported,
    GetObjectLegalHold Object Supported,
    PutObjectLegalHold Object Supported,
    GetObjectTorrent Object Refused,
    RenameObject Object Supported,
    RestoreObject Object Supported,
    SelectObjectContent Object Refused,
    UpdateObjectEncryption Object Supported,
    PutObjectAnnotation Object Refused,
    GetObjectAnnotation Object Refused,
    ListObjectAnnotations Object Refused,
    DeleteObjectAnnotation Object Refused,
}
