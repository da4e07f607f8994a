//! Which operation a request asks for: method, address, query, and two headers.
//!
//! The routes are data. A request that names a sub-resource matches only routes of that sub-resource, so an
//! unbuilt or misplaced one can never fall through to a listing, a read or a write of the object itself.
//! Query parameters that are in no route (`x-id`, signatures, `prefix`, ...) do not take part.

use http::{HeaderMap, Method, header};

use super::{Kind, Operation, Resource};
use crate::{
    error::{ErrorCode, S3Error},
    query::Query,
};

/// What routing looks at.
#[derive(Debug, Clone, Copy)]
pub struct RouteInput<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// Whether the address has a bucket.
    pub has_bucket: bool,
    /// Whether the address has a key.
    pub has_key: bool,
    /// The decoded query.
    pub query: &'a Query<'a>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
}

/// One way to ask for an operation. All conditions must hold; the first route that holds is taken.
#[derive(Debug)]
pub struct Route {
    /// The operation.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The query parameter that makes this a request for a sub-resource.
    pub subresource: Option<&'static str>,
    /// What else must be there.
    pub signal: Signal,
}

/// A condition of a route beside method, resource and sub-resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Nothing.
    None,
    /// A query parameter.
    Parameter(&'static str),
    /// A query parameter with this value.
    Value(&'static str, &'static str),
    /// The header `x-amz-copy-source`.
    CopySource,
    /// A query parameter and the header `x-amz-copy-source`.
    ParameterAndCopySource(&'static str),
    /// A body that is a form.
    Form,
}

use Signal::{CopySource, Form, Parameter, ParameterAndCopySource, Value};

const fn plain(operation: Operation, method: Method, signal: Signal) -> Route {
    Route { operation, method, subresource: None, signal }
}

const fn sub(operation: Operation, method: Method, subresource: &'static str) -> Route {
    Route { operation, method, subresource: Some(subresource), signal: Signal::None }
}

const fn sub_if(operation: Operation, method: Method, subresource: &'static str, signal: Signal) -> Route {
    Route { operation, method, subresource: Some(subresource), signal }
}

/// Every route. Source: API Reference, "Request Syntax" of each operation.
pub static ROUTES: &[Route] = &[
    plain(Operation::ListDirectoryBuckets, Method::GET, Parameter("max-directory-buckets")),
    plain(Operation::ListDirectoryBuckets, Method::GET, Value("x-id", "ListDirectoryBuckets")),
    plain(Operation::ListBuckets, Method::GET, Signal::None),
    sub(Operation::CreateSession, Method::GET, "session"),
    sub(Operation::GetBucketLocation, Method::GET, "location"),
    sub(Operation::ListObjectVersions, Method::GET, "versions"),
    sub(Operation::ListMultipartUploads, Method::GET, "uploads"),
    plain(Operation::ListObjectsV2, Method::GET, Value("list-type", "2")),
    plain(Operation::ListObjects, Method::GET, Signal::None),
    plain(Operation::CreateBucket, Method::PUT, Signal::None),
    plain(Operation::HeadBucket, Method::HEAD, Signal::None),
    plain(Operation::DeleteBucket, Method::DELETE, Signal::None),
    sub(Operation::DeleteObjects, Method::POST, "delete"),
    plain(Operation::PostObject, Method::POST, Form),
    sub(Operation::GetBucketVersioning, Method::GET, "versioning"),
    sub(Operation::PutBucketVersioning, Method::PUT, "versioning"),
    sub(Operation::GetBucketAcl, Method::GET, "acl"),
    sub(Operation::PutBucketAcl, Method::PUT, "acl"),
    sub(Operation::GetBucketOwnershipControls, Method::GET, "ownershipControls"),
    sub(Operation::PutBucketOwnershipControls, Method::PUT, "ownershipControls"),
    sub(Operation::DeleteBucketOwnershipControls, Method::DELETE, "ownershipControls"),
    sub(Operation::GetPublicAccessBlock, Method::GET, "publicAccessBlock"),
    sub(Operation::PutPublicAccessBlock, Method::PUT, "publicAccessBlock"),
    sub(Operation::DeletePublicAccessBlock, Method::DELETE, "publicAccessBlock"),
    sub(Operation::GetBucketPolicy, Method::GET, "policy"),
    sub(Operation::PutBucketPolicy, Method::PUT, "policy"),
    sub(Operation::DeleteBucketPolicy, Method::DELETE, "policy"),
    sub(Operation::GetBucketPolicyStatus, Method::GET, "policyStatus"),
    sub(Operation::GetObjectLockConfiguration, Method::GET, "object-lock"),
    sub(Operation::PutObjectLockConfiguration, Method::PUT, "object-lock"),
    sub(Operation::GetBucketLifecycleConfiguration, Method::GET, "lifecycle"),
    sub(Operation::PutBucketLifecycleConfiguration, Method::PUT, "lifecycle"),
    sub(Operation::DeleteBucketLifecycle, Method::DELETE, "lifecycle"),
    sub(Operation::GetBucketReplication, Method::GET, "replication"),
    sub(Operation::PutBucketReplication, Method::PUT, "replication"),
    sub(Operation::DeleteBucketReplication, Method::DELETE, "replication"),
    sub(Operation::GetBucketEncryption, Method::GET, "encryption"),
    sub(Operation::PutBucketEncryption, Method::PUT, "encryption"),
    sub(Operation::DeleteBucketEncryption, Method::DELETE, "encryption"),
    sub(Operation::GetBucketCors, Method::GET, "cors"),
    sub(Operation::PutBucketCors, Method::PUT, "cors"),
    sub(Operation::DeleteBucketCors, Method::DELETE, "cors"),
    sub(Operation::GetBucketWebsite, Method::GET, "website"),
    sub(Operation::PutBucketWebsite, Method::PUT, "website"),
    sub(Operation::DeleteBucketWebsite, Method::DELETE, "website"),
    sub(Operation::GetBucketTagging, Method::GET, "tagging"),
    sub(Operation::PutBucketTagging, Method::PUT, "tagging"),
    sub(Operation::DeleteBucketTagging, Method::DELETE, "tagging"),
    sub(Operation::GetBucketNotificationConfiguration, Method::GET, "notification"),
    sub(Operation::PutBucketNotificationConfiguration, Method::PUT, "notification"),
    sub(Operation::GetBucketLogging, Method::GET, "logging"),
    sub(Operation::PutBucketLogging, Method::PUT, "logging"),
    sub(Operation::GetBucketRequestPayment, Method::GET, "requestPayment"),
    sub(Operation::PutBucketRequestPayment, Method::PUT, "requestPayment"),
    sub(Operation::GetBucketAccelerateConfiguration, Method::GET, "accelerate"),
    sub(Operation::PutBucketAccelerateConfiguration, Method::PUT, "accelerate"),
    sub_if(Operation::GetBucketInventoryConfiguration, Method::GET, "inventory", Parameter("id")),
    sub(Operation::ListBucketInventoryConfigurations, Method::GET, "inventory"),
    sub(Operation::PutBucketInventoryConfiguration, Method::PUT, "inventory"),
    sub(Operation::DeleteBucketInventoryConfiguration, Method::DELETE, "inventory"),
    sub_if(Operation::GetBucketAnalyticsConfiguration, Method::GET, "analytics", Parameter("id")),
    sub(Operation::ListBucketAnalyticsConfigurations, Method::GET, "analytics"),
    sub(Operation::PutBucketAnalyticsConfiguration, Method::PUT, "analytics"),
    sub(Operation::DeleteBucketAnalyticsConfiguration, Method::DELETE, "analytics"),
    sub_if(Operation::GetBucketMetricsConfiguration, Method::GET, "metrics", Parameter("id")),
    sub(Operation::ListBucketMetricsConfigurations, Method::GET, "metrics"),
    sub(Operation::PutBucketMetricsConfiguration, Method::PUT, "metrics"),
    sub(Operation::DeleteBucketMetricsConfiguration, Method::DELETE, "metrics"),
    sub_if(
        Operation::GetBucketIntelligentTieringConfiguration,
        Method::GET,
        "intelligent-tiering",
        Parameter("id"),
    ),
    sub(Operation::ListBucketIntelligentTieringConfigurations, Method::GET, "intelligent-tiering"),
    sub(Operation::PutBucketIntelligentTieringConfiguration, Method::PUT, "intelligent-tiering"),
    sub(Operation::DeleteBucketIntelligentTieringConfiguration, Method::DELETE, "intelligent-tiering"),
    sub(Operation::CreateBucketMetadataConfiguration, Method::POST, "metadataConfiguration"),
    sub(Operation::GetBucketMetadataConfiguration, Method::GET, "metadataConfiguration"),
    sub(Operation::DeleteBucketMetadataConfiguration, Method::DELETE, "metadataConfiguration"),
    sub(Operation::CreateBucketMetadataTableConfiguration, Method::POST, "metadataTable"),
    sub(Operation::GetBucketMetadataTableConfiguration, Method::GET, "metadataTable"),
    sub(Operation::DeleteBucketMetadataTableConfiguration, Method::DELETE, "metadataTable"),
    sub(Operation::UpdateBucketMetadataInventoryTableConfiguration, Method::PUT, "metadataInventoryTable"),
    sub(Operation::UpdateBucketMetadataJournalTableConfiguration, Method::PUT, "metadataJournalTable"),
    sub(Operation::UpdateBucketMetadataAnnotationTableConfiguration, Method::PUT, "metadataAnnotationTable"),
    sub(Operation::GetBucketAbac, Method::GET, "abac"),
    sub(Operation::PutBucketAbac, Method::PUT, "abac"),
    sub_if(Operation::UploadPartCopy, Method::PUT, "uploadId", ParameterAndCopySource("partNumber")),
    sub_if(Operation::UploadPart, Method::PUT, "uploadId", Parameter("partNumber")),
    sub(Operation::ListParts, Method::GET, "uploadId"),
    sub(Operation::AbortMultipartUpload, Method::DELETE, "uploadId"),
    sub(Operation::CompleteMultipartUpload, Method::POST, "uploadId"),
    sub(Operation::CreateMultipartUpload, Method::POST, "uploads"),
    plain(Operation::CopyObject, Method::PUT, CopySource),
    plain(Operation::PutObject, Method::PUT, Signal::None),
    plain(Operation::GetObject, Method::GET, Signal::None),
    plain(Operation::HeadObject, Method::HEAD, Signal::None),
    plain(Operation::DeleteObject, Method::DELETE, Signal::None),
    sub(Operation::GetObjectAttributes, Method::GET, "attributes"),
    sub(Operation::GetObjectAcl, Method::GET, "acl"),
    sub(Operation::PutObjectAcl, Method::PUT, "acl"),
    sub(Operation::GetObjectTagging, Method::GET, "tagging"),
    sub(Operation::PutObjectTagging, Method::PUT, "tagging"),
    sub(Operation::DeleteObjectTagging, Method::DELETE, "tagging"),
    sub(Operation::GetObjectRetention, Method::GET, "retention"),
    sub(Operation::PutObjectRetention, Method::PUT, "retention"),
    sub(Operation::GetObjectLegalHold, Method::GET, "legal-hold"),
    sub(Operation::PutObjectLegalHold, Method::PUT, "legal-hold"),
    sub(Operation::GetObjectTorrent, Method::GET, "torrent"),
    sub(Operation::RenameObject, Method::PUT, "renameObject"),
    sub(Operation::RestoreObject, Method::POST, "restore"),
    sub(Operation::SelectObjectContent, Method::POST, "select"),
    sub(Operation::UpdateObjectEncryption, Method::PUT, "encryption"),
    sub(Operation::PutObjectAnnotation, Method::PUT, "annotation"),
    sub_if(Operation::GetObjectAnnotation, Method::GET, "annotation", Parameter("annotationName")),
    sub(Operation::ListObjectAnnotations, Method::GET, "annotation"),
    sub(Operation::ListObjectAnnotations, Method::GET, "annotations"),
    sub(Operation::DeleteObjectAnnotation, Method::DELETE, "annotation"),
];

/// Sub-resources of other stores and of their older and newer APIs. Sources: the XML API of Google Cloud Storage, the routes of MinIO.
pub const SUBRESOURCES_OF_OTHERS: &[&str] = &[
    "billing",
    "encryptionConfig",
    "events",
    "lambda",
    "lambdaArn",
    "metadata",
    "object-lambda",
    "replication-check",
    "replication-metrics",
    "replication-reset",
    "replication-reset-status",
    "storageClass",
    "tiering",
];

/// Parameters of S3 that are no sub-resources and that a write may have. Where they need a value, that is for the operation to say.
const PARAMETERS_OF_WRITES: [&str; 5] = ["annotationName", "id", "partNumber", "select-type", "versionId"];

/// The operation of a request, if it is built; `NotImplemented` naming it if it is not, or naming a sub-resource that S3 does not have.
///
/// Other errors: `MethodNotAllowed`; `InvalidArgument` for two sub-resources at once, for one that its resource does
/// not have, for half of `partNumber` and `uploadId`, and for a `versionId` of what writes a new version; `AccessForbidden` for a CORS preflight, which is no operation;
/// `PreconditionFailed` for a POST to a bucket that is no form.
pub fn route(input: &RouteInput<'_>) -> Result<Operation, S3Error> {
    let operation = recognise(input)?;
    refuse_unknown_subresources(input)?;
    refuse_copy_source(operation, input)?;
    match operation.kind() {
        Kind::Refused => Err(S3Error::operation_not_implemented(operation)),
        // An append that were taken for a PutObject would replace the object.
        Kind::Supported
            if operation == Operation::PutObject
                && input.headers.contains_key("x-amz-write-offset-bytes") =>
        {
            Err(S3Error::header_not_implemented("x-amz-write-offset-bytes"))
        }
        Kind::Supported | Kind::Default => Ok(operation),
    }
}

/// What copies is a PUT, and no other request has a source. As Amazon S3 answers (versity/versitygw#1642).
fn refuse_copy_source(operation: Operation, input: &RouteInput<'_>) -> Result<(), S3Error> {
    const HEADER: &str = "x-amz-copy-source";
    let Some(source) = input.headers.get(HEADER).filter(|_| *input.method != Method::PUT) else {
        return Ok(());
    };
    match operation.resource() {
        Resource::Service => Ok(()),
        resource if *input.method == Method::POST && !input.query.has("uploadId") => {
            let allowed = allowed_methods(resource, subresource(input.query)?);
            Err(S3Error::method_not_allowed(input.method, resource.name(), allowed))
        }
        Resource::Bucket | Resource::Object => {
            let message = "The specified header is not valid in this context";
            let source = String::from_utf8_lossy(source.as_bytes());
            Err(S3Error::invalid_argument(message, HEADER, &source))
        }
    }
}

/// Whoever asks for a sub-resource that is unknown must not get the bucket or the object itself, least of all have it replaced or
/// deleted. A parameter without a value is taken for one in a write, and in a read when it is known of others or is one of S3's but for
/// its case. Those that begin with `x-` are ignored, and those that a presigned URL has, which may be anybody's. Source: Amazon S3 User
/// Guide, "Amazon S3 server access log format", the section "Custom access log information".
fn refuse_unknown_subresources(input: &RouteInput<'_>) -> Result<(), S3Error> {
    let presigned = |name: &str| name.eq_ignore_ascii_case("x-amz-signature") || name == "Signature";
    if !input.has_bucket || input.query.iter().any(|(name, _)| presigned(name)) {
        return Ok(());
    }
    let writes = matches!(*input.method, Method::PUT | Method::POST | Method::DELETE);
    for (name, _) in input.query.iter().filter(|(name, value)| !name.is_empty() && value.is_empty()) {
        let of_s3 = |known: &str| ROUTES.iter().any(|route| route.subresource == Some(known));
        let for_logs = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        if for_logs || of_s3(name) || PARAMETERS_OF_WRITES.contains(&name) {
            continue;
        }
        let nearly = |route: &Route| route.subresource.is_some_and(|known| known.eq_ignore_ascii_case(name));
        if writes || SUBRESOURCES_OF_OTHERS.contains(&name) || ROUTES.iter().any(nearly) {
            return Err(S3Error::parameter_not_implemented(name));
        }
    }
    Ok(())
}

/// The operation of a request, built or not. Errors as [`route`], without the refusals.
pub fn recognise(input: &RouteInput<'_>) -> Result<Operation, S3Error> {
    let resource = match (input.has_bucket, input.has_key) {
        (false, _) => Resource::Service,
        (true, false) => Resource::Bucket,
        (true, true) => Resource::Object,
    };
    let subresource = if resource == Resource::Service { None } else { subresource(input.query)? };
    if input.method == Method::OPTIONS && resource != Resource::Service {
        return Err(S3Error::with_message(
            ErrorCode::AccessForbidden,
            "CORSResponse: CORS is not enabled for this bucket.",
        ));
    }
    let mut routes =
        ROUTES.iter().filter(|r| r.operation.resource() == resource && r.subresource == subresource);
    match routes.find(|route| route.method == *input.method && holds(route.signal, input)) {
        Some(route) => {
            if resource == Resource::Object && subresource.is_none() {
                check_upload_parameters(route.operation, input.query)?;
            }
            refuse_version_id(route.operation, input.query)?;
            Ok(route.operation)
        }
        None => Err(no_route(resource, subresource, input)),
    }
}

fn holds(signal: Signal, input: &RouteInput<'_>) -> bool {
    let copy = || input.headers.contains_key("x-amz-copy-source");
    match signal {
        Signal::None => true,
        Parameter(name) => input.query.has(name),
        Value(name, value) => input.query.get(name) == Some(value),
        CopySource => copy(),
        ParameterAndCopySource(name) => input.query.has(name) && copy(),
        Form => is_form(input.headers),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    const FORM: &str = "multipart/form-data";
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.get(..FORM.len())).is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// The one sub-resource that the query names.
fn subresource(query: &Query<'_>) -> Result<Option<&'static str>, S3Error> {
    let mut found = None;
    for (name, _) in query.iter() {
        let Some(known) = ROUTES.iter().find_map(|route| route.subresource.filter(|known| *known == name))
        else {
            continue;
        };
        match found {
            Some(earlier) if earlier != known => {
                let message = format!("Conflicting query string parameters: {earlier}, {known}");
                return Err(S3Error::invalid_argument(message, "ResourceType", known));
            }
            _ => found = Some(known),
        }
    }
    Ok(found)
}

/// What writes a new version is not about one that there is, and whoever names one must not believe that it is replaced.
fn refuse_version_id(operation: Operation, query: &Query<'_>) -> Result<(), S3Error> {
    use Operation::{CopyObject, CreateMultipartUpload, PutObject, UploadPart, UploadPartCopy};
    match query.get("versionId") {
        Some(version_id)
            if matches!(
                operation,
                PutObject | CopyObject | CreateMultipartUpload | UploadPart | UploadPartCopy
            ) =>
        {
            let message = "This operation does not accept a version-id.";
            Err(S3Error::invalid_argument(message, "versionId", version_id))
        }
        _ => Ok(()),
    }
}

/// A write or a delete with `partNumber` and no `uploadId` is about a part, not about the object.
fn check_upload_parameters(operation: Operation, query: &Query<'_>) -> Result<(), S3Error> {
    match query.get("partNumber") {
        Some(number)
            if matches!(
                operation,
                Operation::PutObject | Operation::CopyObject | Operation::DeleteObject
            ) =>
        {
            Err(S3Error::invalid_argument(
                "This operation does not accept partNumber without uploadId",
                "partNumber",
                number,
            ))
        }
        _ => Ok(()),
    }
}

fn no_route(resource: Resource, subresource: Option<&'static str>, input: &RouteInput<'_>) -> S3Error {
    let method = input.method;
    let belongs = ROUTES.iter().any(|r| r.operation.resource() == resource && r.subresource == subresource);
    match subresource {
        // The errors of Amazon S3 as OpenStack Swift's `s3api` has them.
        Some("uploads") if resource == Resource::Object && method == Method::GET => {
            S3Error::invalid_request("Key is not expected for the GET method ?uploads subresource")
        }
        Some(name) if !belongs => {
            let place = if resource == Resource::Object { "key" } else { "bucket" };
            let message = format!("There is no such thing as the ?{name} sub-resource for a {place}");
            S3Error::invalid_argument(message, "ResourceType", name)
        }
        Some("uploadId") if method == Method::PUT => S3Error::invalid_argument(
            "This operation does not accept uploadId without partNumber",
            "partNumber",
            "",
        ),
        None if resource == Resource::Bucket && method == Method::POST => {
            S3Error::precondition_failed("Bucket POST must be of the enclosure-type multipart/form-data")
        }
        _ => S3Error::method_not_allowed(method, resource.name(), allowed_methods(resource, subresource)),
    }
}

/// The value of `Allow` for a resource or sub-resource.
fn allowed_methods(resource: Resource, subresource: Option<&'static str>) -> &'static str {
    let allows = |method: Method| {
        ROUTES
            .iter()
            .any(|r| r.operation.resource() == resource && r.subresource == subresource && r.method == method)
    };
    match (
        allows(Method::GET),
        allows(Method::PUT),
        allows(Method::POST),
        allows(Method::DELETE),
        allows(Method::HEAD),
    ) {
        (true, true, true, true, true) => "GET, HEAD, PUT, POST, DELETE",
        (true, true, false, true, true) => "GET, HEAD, PUT, DELETE",
        (true, true, true, true, false) => "GET, PUT, POST, DELETE",
        (true, true, false, true, false) => "GET, PUT, DELETE",
        (true, true, false, false, _) => "GET, PUT",
        (true, false, true, true, _) => "GET, POST, DELETE",
        (true, false, true, false, _) => "GET, POST",
        (false, true, ..) => "PUT",
        (false, false, true, ..) => "POST",
        _ => "GET",
    }
}
