//! The table of S3 error codes.

use http::StatusCode;

macro_rules! error_codes {
    ($($code:ident $(as $name:literal)? $status:literal $message:literal,)*) => {
        /// An S3 error code. Source: API Reference, "Error Responses", and the pages of the single operations.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", stringify!($code), "`, ", stringify!($status), ".")] $code,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The text in the `Code` element, which is the variant's name unless another is given.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => error_codes!(@name $code $($name)?),)*
                }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self {
                    $(Self::$code => $status,)*
                };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The message when nothing more exact is known.
            pub fn default_message(self) -> &'static str {
                match self {
                    $(Self::$code => $message,)*
                }
            }
        }
    };
    (@name $code:ident) => { stringify!($code) };
    (@name $code:ident $name:literal) => { $name };
}

error_codes! {
    AccessControlListNotSupported 400 "The bucket does not allow ACLs",
    AccessDenied 403 "Access Denied",
    AccessForbidden 403 "The request is forbidden.",
    AuthorizationHeaderMalformed 400 "The authorization header that you provided is not valid.",
    AuthorizationQueryParametersError 400 "The authorization query parameters that you provided are not valid.",
    BadDigest 400 "The digest or checksum that you specified did not match what we received.",
    BadRequest 400 "The request is not valid.",
    BucketAlreadyExists 409 "The requested bucket name is not available. Select a different name and try again.",
    BucketAlreadyOwnedByYou 409 "The bucket that you tried to create already exists, and you own it.",
    BucketNotEmpty 409 "The bucket that you tried to delete is not empty.",
    ConditionalRequestConflict 409 "A conflicting operation occurred during this request. Retry it.",
    CredentialsNotSupported 400 "This request does not support credentials.",
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed size.",
    EntityTooSmall 400 "Your proposed upload is smaller than the minimum allowed size.",
    ExpiredToken 400 "The provided token has expired.",
    IdMismatch 400 "Document ID does not match the specified configuration ID.",
    IdempotencyParameterMismatch 400 "Parameters on this idempotent request are inconsistent with parameters used in previous request(s).",
    IllegalLocationConstraintException 400 "The location constraint does not fit the region that this request was sent to.",
    IllegalVersioningConfigurationException 400 "The versioning configuration specified in the request is invalid.",
    IncompleteBody 400 "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    InternalError 500 "We encountered an internal error. Please try again.",
    InvalidAccessKeyId 403 "The access key ID that you provided does not exist in our records.",
    InvalidArgument 400 "Invalid Argument",
    InvalidBucketAclWithObjectOwnership 400 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    InvalidBucketName 400 "The specified bucket is not valid.",
    InvalidBucketOwnerAWSAccountID 400 "The value of the expected bucket owner parameter must be an AWS account ID.",
    InvalidBucketState 409 "The request is not valid for the current state of the bucket.",
    InvalidChunkSizeError 403 "The size of a chunk of the body is not valid.",
    InvalidDigest 400 "The Content-MD5 or checksum value that you specified is not valid.",
    InvalidEncryptionAlgorithmError 400 "The encryption request that you specified is not valid.",
    InvalidLocationConstraint 400 "The specified location constraint is not valid.",
    InvalidObjectState 403 "The operation is not valid for the current state of the object.",
    InvalidPart 400 "One or more of the specified parts could not be found. The part may not have been uploaded, or its entity tag may not match.",
    InvalidPartNumber 416 "The requested partnumber is not satisfiable",
    InvalidPartOrder 400 "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
    InvalidPolicyDocument 400 "The content of the form does not meet the conditions specified in the policy document.",
    InvalidRange 416 "The requested range is not satisfiable",
    InvalidRedirectLocation 400 "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    InvalidRequest 400 "Invalid Request",
    InvalidS3DestinationBucket 400 "The destination bucket is not valid.",
    InvalidSecurity 403 "The provided security credentials are not valid.",
    InvalidStorageClass 400 "The storage class you specified is not valid",
    InvalidTag 400 "The tag provided was not a valid tag.",
    InvalidTargetBucketForLogging 400 "The target bucket for logging does not exist",
    InvalidToken 400 "The provided token is malformed or otherwise not valid.",
    InvalidURI 400 "Couldn't parse the specified URI.",
    KeyTooLongError 400 "Your key is too long",
    KmsDisabledException as "KMS.DisabledException" 400 "The key is disabled.",
    KmsNotFoundException as "KMS.NotFoundException" 400 "The key does not exist.",
    MalformedACLError 400 "The ACL that you provided was not well formed or did not validate against our published schema.",
    MalformedPOSTRequest 400 "The body of your POST request is not well-formed multipart/form-data.",
    MalformedPolicy 400 "The policy is not well formed.",
    MalformedTrailerError 400 "The trailing headers of the body are not well formed.",
    MalformedXML 400 "The XML you provided was not well-formed or did not validate against our published schema",
    MaxMessageLengthExceeded 400 "Your request was too big.",
    MaxPostPreDataLengthExceeded 400 "Your POST request fields preceding the upload file were too large.",
    MetadataTooLarge 400 "Your metadata headers exceed the maximum allowed metadata size",
    MethodNotAllowed 405 "The specified method is not allowed against this resource.",
    MissingContentLength 411 "You must provide the Content-Length HTTP header.",
    MissingRequestBodyError 400 "Request Body is empty",
    MissingSecurityHeader 400 "Your request is missing a required header",
    NoSuchBucket 404 "The specified bucket does not exist",
    NoSuchConfiguration 404 "The specified configuration does not exist.",
    NoSuchBucketPolicy 404 "The bucket policy does not exist",
    NoSuchCORSConfiguration 404 "The CORS configuration does not exist",
    NoSuchKey 404 "The specified key does not exist.",
    NoSuchLifecycleConfiguration 404 "The lifecycle configuration does not exist",
    NoSuchObjectLockConfiguration 404 "The specified object does not have an ObjectLock configuration",
    NoSuchPublicAccessBlockConfiguration 404 "The public access block configuration was not found",
    NoSuchTagSet 404 "The TagSet does not exist",
    NoSuchUpload 404 "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    NoSuchVersion 404 "The specified version does not exist.",
    NoSuchWebsiteConfiguration 404 "The specified bucket does not have a website configuration",
    NotImplemented 501 "A header you provided implies functionality that is not implemented",
    ObjectLockConfigurationNotFoundError 404 "Object Lock configuration does not exist for this bucket",
    OperationAborted 409 "A conflicting conditional operation is currently in progress against this resource. Try again.",
    OwnershipControlsNotFoundError 404 "The bucket ownership controls were not found",
    PermanentRedirect 301 "The bucket you are attempting to access must be addressed using the specified endpoint.",
    PreconditionFailed 412 "At least one of the pre-conditions you specified did not hold",
    QuotaExceeded 403 "The bucket's quota does not allow it to hold more.",
    ReplicationConfigurationNotFoundError 404 "The replication configuration was not found",
    RequestHeaderSectionTooLarge 400 "Your request header section exceeds the maximum allowed size.",
    RequestTimeTooSkewed 403 "The difference between the request time and the current time is too large.",
    RequestTimeout 400 "Your socket connection to the server was not read from or written to within the timeout period.",
    RestoreAlreadyInProgress 409 "Object restore is already in progress",
    ServerSideEncryptionConfigurationNotFoundError 404 "The server side encryption configuration was not found",
    ServiceUnavailable 503 "Service is unable to handle request.",
    SignatureDoesNotMatch 403 "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    SlowDown 503 "Please reduce your request rate.",
    TooManyBuckets 400 "You have attempted to create more buckets than allowed",
    TooManyConfigurations 400 "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.",
    TooManyParts 400 "You have attempted to upload more parts than allowed.",
    UnexpectedContent 400 "This request does not support content.",
    UnresolvableGrantByEmailAddress 400 "The email address that you provided does not match any account on record.",
    UnsupportedSignature 400 "The provided request is signed with an unsupported signature version.",
    UserKeyMustBeSpecified 400 "The bucket POST must contain the specified field name.",
    XAmzContentSHA256Mismatch 400 "The provided 'x-amz-content-sha256' header does not match what was computed.",
}
