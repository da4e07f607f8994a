//! `docs/compatibility.md` is made from the tables that requests are served by, and from what was kept of the last runs of clients. To make it anew:
//!
//! ```sh
//! ASHLAR_WRITE_DOCS=1 cargo test -p s3-wire --test compatibility
//! ```

mod fields;
mod runs;

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3_wire::{
    ErrorCode, Operation, S3Error, acl, control,
    header::{self, Scope, UNSUPPORTED_HEADERS},
    inventory::Field,
    operation::{Kind, ROUTES, Resource, Route, SUBRESOURCES_OF_OTHERS, Signal},
    xml,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");

const HEAD: &str = "\
# Compatibility

What Ashlar answers to each operation of the S3 API. Nothing is accepted that is not enforced: an operation is carried out, or answered as S3 does
where nothing is configured, or refused by name with `NotImplemented` (501). Made by a test from the tables by which requests are routed; do not
edit. Where an answer is meant to be another than Amazon S3's is told [below](#intended-differences). What [clients](#clients) and
[public suites](#public-suites) were run against it, and how that went, stands at the end.

## Operations
";

const CONTROL: &str = "
Of Amazon S3 Control there is the block of public access of the account, [for all its buckets](how-to/open-a-bucket.md#keep-every-bucket-closed). Its calls have the header
`x-amz-account-id`. With it and an `Authorization` header everything else under `/v20180820/` is refused with `NotImplemented`, unless the host names a bucket.

| operation | request | action |
|---|---|---|
";

const HEADERS: &str = "
## Request headers that are refused

A request with one of these headers is refused with `NotImplemented` and the header's name, unless its value asks for what happens anyway.
A write of an object or a part with a header of another operation, as UploadPart with `x-amz-acl`, is refused with
`InvalidArgument` and the header's name, as by Amazon S3; other operations pass over headers that they do not have.

| header | values that are let through | where |
|---|---|---|
";

const VALUES_HEAD: &str = "
Of these headers some values are refused in the same way, while others are enforced:

| header | values that are refused | where |
|---|---|---|
";

/// How a header is read.
type ReadHeader = fn(&HeaderMap) -> Option<S3Error>;

/// Headers of which some values are refused: which, where, what reads them, and a value that is refused.
const VALUES: &[(&str, &str, &str, ReadHeader, &str)] = &[
    (
        "x-amz-server-side-encryption",
        "`aws:kms:dsse`",
        "what creates an object or an upload",
        |headers| header::server_side_encryption(headers).err(),
        "aws:kms:dsse",
    ),
    (
        "if-none-match",
        "all but `*`, and any beside an `if-match`",
        "PutObject, CopyObject, CompleteMultipartUpload",
        |headers| header::write_condition(headers).err(),
        "\"d41d8cd98f00b204e9800998ecf8427e\"",
    ),
    (
        "if-match",
        "`*`",
        "PutObject, CopyObject, CompleteMultipartUpload",
        |headers| header::write_condition(headers).err(),
        "*",
    ),
    (
        "x-amz-acl",
        "`aws-exec-read`",
        "what has an access control list",
        |headers| acl::asked_acl(headers).err(),
        "aws-exec-read",
    ),
    ("if-none-match", "all", "DeleteObject", |headers| header::delete_condition(headers).err(), "*"),
    (
        "x-amz-copy-source",
        "ARNs, as of access points",
        "CopyObject, UploadPartCopy",
        |headers| header::copy_source(headers).err(),
        "arn:aws:s3:us-east-1:000000000000:accesspoint/a/object/key",
    ),
    (
        "x-amz-checksum-blake3",
        "all, as of every algorithm that S3 does not have",
        "what has a body",
        checksum,
        "AAAA",
    ),
];

fn checksum(headers: &HeaderMap) -> Option<S3Error> {
    header::request_checksum(headers).err()
}

const FIELDS_HEAD: &str = "
## Fields of bodies that are refused

A document with one of these fields is refused with `NotImplemented` and the field's name:

| operation | field | values |
|---|---|---|
";

const AFTER_FIELDS: &str = "
A policy is refused with `MalformedPolicy` if it has a condition key, an action or a kind of principal that is not known here, as the key
`aws:SourceVpc` is not. An algorithm of checksums that is not built is refused by CreateMultipartUpload with `InvalidRequest`.
";

/// How a body is read.
type ReadBody = fn(&[u8]) -> Option<S3Error>;

/// Fields that are refused: of which operation's document, with which values if not with all, what reads it, and such a document.
const FIELDS: &[(Operation, &str, &str, ReadBody, &str)] = &[
    (
        Operation::CreateBucket,
        "Location",
        "all",
        create_bucket,
        "<CreateBucketConfiguration><Location/></CreateBucketConfiguration>",
    ),
    (
        Operation::CreateBucket,
        "Bucket",
        "all",
        create_bucket,
        "<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>",
    ),
    (
        Operation::PutBucketVersioning,
        "MfaDelete",
        "`Enabled`",
        |body| xml::parse_versioning(body).err(),
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
    ),
    (
        Operation::PutObjectLockConfiguration,
        "DefaultEventHold",
        "all",
        |body| xml::parse_object_lock(body).err(),
        "<ObjectLockConfiguration><Rule><DefaultRetention><DefaultEventHold/></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    (Operation::PutObjectRetention, "EventHold", "all", retention, "<Retention><EventHold/></Retention>"),
    (
        Operation::PutObjectRetention,
        "EventHoldDuration",
        "all",
        retention,
        "<Retention><EventHoldDuration/></Retention>",
    ),
    (
        Operation::PutBucketEncryption,
        "SSEAlgorithm",
        "`aws:kms:dsse`",
        encryption,
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms:dsse</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    ),
    (
        Operation::PutBucketEncryption,
        "BlockedEncryptionTypes",
        "all",
        encryption,
        "<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes/></Rule></ServerSideEncryptionConfiguration>",
    ),
    (Operation::PutBucketInventoryConfiguration, "Format", "`ORC`", inventory, "<Format>ORC</Format>"),
    (Operation::PutBucketInventoryConfiguration, "Encryption", "all", inventory, "<Encryption/>"),
    (
        Operation::PutBucketNotificationConfiguration,
        "TopicConfiguration",
        "all",
        |body| xml::check_notification(body).err(),
        "<NotificationConfiguration><TopicConfiguration/></NotificationConfiguration>",
    ),
    (
        Operation::PutBucketNotificationConfiguration,
        "QueueConfiguration",
        "all",
        |body| xml::check_notification(body).err(),
        "<NotificationConfiguration><QueueConfiguration/></NotificationConfiguration>",
    ),
    (
        Operation::PutBucketNotificationConfiguration,
        "CloudFunctionConfiguration",
        "all",
        |body| xml::check_notification(body).err(),
        "<NotificationConfiguration><CloudFunctionConfiguration/></NotificationConfiguration>",
    ),
    (
        Operation::PutBucketNotificationConfiguration,
        "EventBridgeConfiguration",
        "all",
        |body| xml::check_notification(body).err(),
        "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>",
    ),
    (
        Operation::PutBucketRequestPayment,
        "Payer",
        "`Requester`",
        |body| xml::check_request_payment(body).err(),
        "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
    ),
    (
        Operation::PutBucketAccelerateConfiguration,
        "Status",
        "`Enabled`",
        |body| xml::check_accelerate(body).err(),
        "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
    ),
    (Operation::RestoreObject, "Type", "all", restore, "<RestoreRequest><Type/></RestoreRequest>"),
    (
        Operation::RestoreObject,
        "SelectParameters",
        "all",
        restore,
        "<RestoreRequest><SelectParameters/></RestoreRequest>",
    ),
    (
        Operation::RestoreObject,
        "OutputLocation",
        "all",
        restore,
        "<RestoreRequest><OutputLocation/></RestoreRequest>",
    ),
    (
        Operation::CompleteMultipartUpload,
        "ChecksumBLAKE3",
        "all, as of every algorithm that S3 does not have",
        |body| xml::parse_complete(body).err(),
        "<CompleteMultipartUpload><Part><ChecksumBLAKE3/></Part></CompleteMultipartUpload>",
    ),
];

fn create_bucket(body: &[u8]) -> Option<S3Error> {
    xml::parse_create_bucket(body).err()
}

fn retention(body: &[u8]) -> Option<S3Error> {
    xml::parse_retention(body).err()
}

fn encryption(body: &[u8]) -> Option<S3Error> {
    xml::parse_encryption(body).err()
}

/// A document of an inventory with this in its destination.
fn inventory(inner: &[u8]) -> Option<S3Error> {
    let inner = String::from_utf8_lossy(inner);
    let body = format!(
        "<InventoryConfiguration><Destination><S3BucketDestination>{inner}</S3BucketDestination></Destination></InventoryConfiguration>"
    );
    xml::parse_inventory(body.as_bytes()).err()
}

fn optional_field(name: &str) -> Option<S3Error> {
    let body = format!(
        "<InventoryConfiguration><OptionalFields><Field>{name}</Field></OptionalFields></InventoryConfiguration>"
    );
    xml::parse_inventory(body.as_bytes()).err()
}

fn restore(body: &[u8]) -> Option<S3Error> {
    xml::parse_restore(body).err()
}

const SUBRESOURCES: &str = "
## Sub-resources that are unknown

Amazon S3 passes over parameters that it does not know. Here a parameter without a value (`?word` or `?word=`) is refused with `NotImplemented` and its
name in a PUT, POST or DELETE, so that a word of another store or of a newer API is never taken for the bucket or the object itself. In a GET or HEAD
that is done with names of sub-resources in another case, and with those that others have. What has a value is ignored, as are names that begin with `x-`, and
all of a presigned URL.
";

const DIFFERENCES: &str = "
## Intended differences

- **One region.** There is no
  `PermanentRedirect`: a signature for another region is answered with `AuthorizationHeaderMalformed` and the region. A CreateBucket without a `LocationConstraint` makes the bucket in the server's region, where Amazon S3 outside of us-east-1
  answers `IllegalLocationConstraintException`: clients are told a server's region for their signatures, and many send a constraint only where they take themselves to be at Amazon S3. For the same reason `us-east-1` is
  taken for a constraint in us-east-1, where Amazon S3 answers `InvalidLocationConstraint`.
- **A new bucket has no block of public access**, while Amazon S3 sets all four of its settings since April 2023. It is as private: its policy is empty and lists are off.
- **Conditions of writes are decided in the commit.** Of writers that race one wins, and the others get `PreconditionFailed`. `ConditionalRequestConflict` is
  answered by RenameObject alone, when its source changes again and again meanwhile.
- **Long requests.** A CompleteMultipartUpload, a CopyObject or an UploadPartCopy that is not done 10 seconds after its body was read is answered with 200 and a space every
  10 seconds, as at Amazon S3, and what it came to is in the body, also when that is an error. Headers that tell of the result, as `x-amz-version-id`, are missing then; a copy whose bytes are
  written anew tells of its source's version and its encryption all the same. Everything else is answered at its end. A CompleteMultipartUpload and a CopyObject within a storage
  class are one transaction, whatever the size of the object. A copy into another class, or encrypted otherwise but from named key to named key, and an UploadPartCopy read and write up to 5 GiB first.
- **Sizes.** An object that is put, copied into another class or uploaded as a part has at most 5 GiB, and an upload has at most 10,000 parts, so that an object has
  at most 48.8 TiB. `tests/large/run` puts, reads and copies one of 5.1 GiB, and one with a part of 5 GiB; longer ones differ in the number of their chunks alone, of which one of 48.8 TiB has 800,000: `tests/s3/tests/largest_object.rs` makes it of rows without bytes.
- **A copy of a multipart object is one.** It keeps its parts, its ETag with `-N` and its checksum, where Amazon S3 makes an object of one piece.
- **Checksums of uploads.** A CompleteMultipartUpload may state the checksum of the full object without `x-amz-checksum-type`, for which Amazon S3 answers `BadDigest`. A type that is not the upload's is
  answered with `InvalidRequest`, as Amazon S3 does, whose reference says `BadDigest`. Where CreateMultipartUpload named no algorithm, a
  CRC-64/NVME of the object must be its own, and a checksum by another algorithm says nothing; Amazon S3 was seen to pass over a wrong CRC-64/NVME there, and to refuse SHA-512 and MD5 (`InvalidRequest`). `x-amz-checksum-type` with a PutObject is refused by name
  where it asks for what is not so; Amazon S3 was seen to pass over it.
- **An uploaded object is as new as its completion.** What is completed last is current, and `Last-Modified` is when that was. Amazon S3 dates and orders it by the beginning of its upload: what was put or
  deleted since is current there after the completion too. Dated so, a rule of the lifecycle could expire an object as soon as it is there, and what it replaced before anybody saw the change.
- **Uploads that ended.** A completion that is repeated within a day has the same answer, also when the object is gone by then, where Amazon S3 answers `NoSuchUpload`. An upload that was completed or aborted
  is `NoSuchUpload` to AbortMultipartUpload, as the reference says, while Amazon S3 was seen to answer 204.
- **Parts have places.** `partNumber` of GetObject and HeadObject, and GetObjectAttributes, count an object's parts from 1, also when they were uploaded by other numbers.
- **Storage classes** other than STANDARD are there once an operator has made them; until then they are refused with `InvalidStorageClass`.
- **A bucket encrypts nothing by default** until it is told to, while Amazon S3 encrypts everything. `BucketKeyEnabled` is kept and shown with SSE-S3 too, where it means nothing.
- **SSE-KMS** goes over plain HTTP too, binds no ARN of the object, and asks for no right of the key's own (`kms:Decrypt` and the like). The store's own key, `alias/aws/s3`, is the current master key, and its id changes with that. A copy from named key to named key
  keeps its source's entity tag, at any size.
- **RenameObject** is there for all buckets, not for directory buckets alone, and for prefixes too: a source that ends in a slash is renamed with every current object whose key begins with it, to a key that ends in a slash, all in one
  transaction or not at all. Under the other prefix there must be no current object (`PreconditionFailed`), neither prefix may lie in the other, and each object is renamed as it would be by itself, so that in a bucket with versioning every old key gets a delete marker; the
  answer has no `x-amz-version-id`. It takes the rights of every single rename and `s3:ListBucket` with each prefix for its `s3:prefix`. At most 1,000 objects are renamed so, of which the metadata service keeps at most 4 MiB (some 100,000 chunks or parts together, or 4 MiB of objects that are
  inline), and what is more is refused with `InvalidRequest`. Conditions but `If-None-Match: *` are of one object and are refused (`NotImplemented`). Uploads that are open stay under their keys. A request that comes again by its `x-amz-client-token` is known by the first object under the other prefix. A rename between a prefix and a key without a slash at its
  end is refused with `InvalidRequest`.
- **Access control lists.** Where they are off, PutBucketAcl and PutObjectAcl take a document that is the list that there is anyway, for the sake of s3cmd, whose `cp` Amazon S3 refuses there. Whoever may write to a bucket by a list may also replace objects in it; only the owner may delete them. A list that an upload began with is given to
  the object also when `BlockPublicAcls` was set meanwhile; it has no effect while `IgnorePublicAcls` is set.
- **AbortMultipartUpload** holds to `x-amz-if-match-initiated-time` in every bucket, not in directory buckets alone, and an upload that is not there is `NoSuchUpload` with it too.
- **Conditional deletes** hold to `x-amz-if-match-size` and `x-amz-if-match-last-modified-time` in every bucket, not in directory buckets alone. A key without an object is `NoSuchKey` with them, as with `If-Match`, where the reference
  has 204 for directory buckets.
- **Tokens of RenameObject** are known by what they made: one that comes again with another destination is another rename, and not `IdempotencyParameterMismatch`.
- **Signatures that do not match** are answered with `StringToSign` and `CanonicalRequest`, and without `StringToSignBytes` and `CanonicalRequestBytes`, which say the same in hexadecimal at three times the length.
- **User metadata** that is no UTF-8 is taken for Latin-1, and shown as UTF-8.
- **Listings** show the `MaxKeys`, `MaxUploads` or `MaxParts` that were asked for, and have a thousand entries at most. The `NextVersionIdMarker` of a page that ends with a null version is the number of a place, which no
  version has for its id: the next page has what was older, also when the null version was replaced or removed meanwhile.
- **HTTP.** Over TLS clients that offer nothing else are served by HTTP/2, which Amazon S3 does not speak. A head of HTTP/1.1 that is none, or has more than 64 KiB or 200 headers, is answered with `BadRequest` or
  `RequestHeaderSectionTooLarge`, and its connection is closed; one of HTTP/2 that is too large has the status 431 alone, and so has one of HTTP/1.1 that was sent before the answer to the request before it was sent. A head that does not come within 30 seconds ends the connection; a body that stops for 30 seconds, or that comes with less than
  `--body-rate-min` (1 KiB a second on average over a minute), is answered with `RequestTimeout`. A PUT or POST that has both `Content-Length` and `Transfer-Encoding` is read by the latter, and its connection is closed after the answer, as RFC 9112, section 6.3, has it.
  Of writes in transfer chunks those are taken whose body is `aws-chunked`, with `x-amz-decoded-content-length`; others are answered with `MissingContentLength`. Copies, which have no body, are taken with an empty one of any form.
";

/// A request of a route, as one line.
fn request(route: &Route) -> String {
    let path = match route.operation.resource() {
        Resource::Service => "/",
        Resource::Bucket => "/BUCKET",
        Resource::Object => "/BUCKET/KEY",
    };
    let parameter = match route.signal {
        Signal::Parameter(name) | Signal::ParameterAndCopySource(name) => Some(format!("{name}=")),
        Signal::Value(name, value) => Some(format!("{name}={value}")),
        Signal::None | Signal::CopySource | Signal::Form => None,
    };
    let query: Vec<String> = route.subresource.map(str::to_owned).into_iter().chain(parameter).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let more = match route.signal {
        Signal::CopySource | Signal::ParameterAndCopySource(_) => " with `x-amz-copy-source`",
        Signal::Form => " of a form",
        Signal::None | Signal::Parameter(_) | Signal::Value(..) => "",
    };
    format!("`{} {path}{query}`{more}", route.method)
}

fn describe(operation: Operation, out: &mut String) {
    let requests: Vec<String> =
        ROUTES.iter().filter(|route| route.operation == operation).map(request).collect();
    let requests =
        if requests.is_empty() { "`POST /WriteGetObjectResponse`".to_owned() } else { requests.join(", ") };
    let action = operation.action().map_or(String::new(), |action| format!("`s3:{action}`"));
    let answer = match operation.kind() {
        Kind::Supported => "carried out",
        Kind::Default => "as where nothing is configured",
        Kind::Refused => "refused",
    };
    writeln!(out, "| {} | {requests} | {action} | {answer} |", operation.name()).expect("a string takes it");
}

fn page() -> String {
    let mut text = HEAD.to_owned();
    for kind in [Kind::Supported, Kind::Default, Kind::Refused] {
        let operations: Vec<Operation> =
            Operation::ALL.iter().copied().filter(|operation| operation.kind() == kind).collect();
        let what = match kind {
            Kind::Supported => "are carried out",
            Kind::Default => "are answered as where nothing is configured",
            Kind::Refused => "are refused",
        };
        writeln!(text, "\n{} operations {what}:\n", operations.len()).expect("a string takes it");
        text.push_str("| operation | request | action | answer |\n|---|---|---|---|\n");
        operations.into_iter().for_each(|operation| describe(operation, &mut text));
    }
    text.push_str(CONTROL);
    for call in control::CALLS {
        let (name, method) = (call.operation.name(), &call.method);
        writeln!(text, "| {name} | `{method} {}` | `s3:{}` |", control::PATH, call.action)
            .expect("a string takes it");
    }
    text.push_str(&fields::section());
    text.push_str(HEADERS);
    for header in UNSUPPORTED_HEADERS {
        let harmless: Vec<String> = header.harmless.iter().map(|value| format!("`{value}`")).collect();
        let scope = match header.scope {
            Scope::Any => "every operation",
            Scope::Create => "what creates a bucket, an object or an upload",
            Scope::Write => "what writes an object in one go",
            Scope::Change => "what makes or deletes an object, and what opens an upload or writes a part",
            Scope::Parts => "what opens an upload or writes a part",
        };
        writeln!(text, "| `{}` | {} | {scope} |", header.name, harmless.join(", "))
            .expect("a string takes it");
    }
    text.push_str(VALUES_HEAD);
    for (name, refused, scope, ..) in VALUES {
        writeln!(text, "| `{name}` | {refused} | {scope} |").expect("a string takes it");
    }
    text.push_str(FIELDS_HEAD);
    for (operation, field, values, ..) in FIELDS {
        writeln!(text, "| {} | `{field}` | {values} |", operation.name()).expect("a string takes it");
    }
    for field in Field::UNKNOWN {
        let operation = Operation::PutBucketInventoryConfiguration.name();
        writeln!(text, "| {operation} | `Field` | `{field}` |").expect("a string takes it");
    }
    text.push_str(AFTER_FIELDS);
    text.push_str(SUBRESOURCES);
    let others: Vec<String> = SUBRESOURCES_OF_OTHERS.iter().map(|name| format!("`{name}`")).collect();
    writeln!(text, "\nThose are {}.", others.join(", ")).expect("a string takes it");
    text.push_str(DIFFERENCES);
    text.push_str(&runs::sections());
    text
}

#[test]
fn what_the_page_says_to_be_refused_is_refused_by_name() {
    for (name, _, _, read, value) in VALUES {
        let value = HeaderValue::from_static(value);
        let error = read(&HeaderMap::from_iter([(HeaderName::from_static(name), value)])).expect(name);
        assert_eq!(error.code, ErrorCode::NotImplemented, "{name}");
        let field = error.fields.first().expect("a header is named");
        assert!(field.0 == "Header" && field.1.eq_ignore_ascii_case(name), "{name}: {error}");
    }
    for (operation, field, _, read, document) in FIELDS {
        let error = read(document.as_bytes()).expect(field);
        assert_eq!(error.code, ErrorCode::NotImplemented, "{operation:?} {field}");
        assert_eq!(error.fields.first(), Some(&("Field", (*field).to_owned())), "{operation:?}");
    }
    for field in Field::UNKNOWN {
        assert_eq!(optional_field(field).expect(field).code, ErrorCode::NotImplemented, "{field}");
    }
}

/// What is refused whatever it says is told with that in both places.
#[test]
fn every_element_that_is_refused_is_on_the_page() {
    let of_all = |values: &str| values.starts_with("all");
    for (operation, element) in fields::refused_elements() {
        let is_it =
            |entry: &&(Operation, &str, &str, ReadBody, &str)| entry.0 == operation && entry.1 == element;
        let found = FIELDS.iter().find(is_it).expect(element);
        assert!(of_all(found.2), "{element}");
    }
}

/// Whoever refuses another field says so here.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the sources directly")]
fn every_field_that_is_refused_is_on_the_page() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/xml");
    let (mut places, mut paths) = (0, vec![std::path::PathBuf::from(folder)]);
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).expect("the sources are there");
            paths.extend(entries.map(|entry| entry.expect("a file").path()));
            continue;
        }
        let source = std::fs::read_to_string(path).expect("text");
        for (at, call) in source.match_indices("field_not_implemented(") {
            let argument = &source[at + call.len()..];
            places += 1;
            // Where it is no literal the names stand in the pattern before.
            let Some(literal) = argument.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            assert!(FIELDS.iter().any(|(_, field, ..)| *field == literal), "{literal} is not on the page");
        }
    }
    assert_eq!(
        places, 13,
        "a place was added or taken away: look whether the page has what is refused there"
    );
}

#[test]
fn the_compatibility_page_is_up_to_date() {
    let text = page();
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &text).expect("the page can be written");
    }
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    let found = std::fs::read_to_string(PATH).expect("the page is there");
    assert!(
        found == text,
        "docs/compatibility.md is not what the tables say; see this test's head for how to make it"
    );
}
