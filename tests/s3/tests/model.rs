//! Nothing that a request of S3 can say falls through: each header, query parameter and element of a body in AWS's model is enforced, or
//! asks for what is so anyway, or is refused by name. The list of them, `tests/s3/model/fields.txt`, is made from the model by the script
//! beside it; what becomes of each header and parameter is said in `registry.rs` and tried out here, and elements are what the documents of
//! `samples.rs` have, or are refused.

mod registry;
mod said;
mod samples;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use harness::{Bucket, Element, Request, Response, Server, Upload};
use http::Method;
use s3_wire::{
    Operation,
    date::http_date,
    operation::{ROUTES, Route},
};
use types::{ChecksumAlgorithm, Timestamp};

use self::{
    registry::{FIELDS, Fate, fate, is_refused},
    said::{answered, model},
};
use crate::{completeness, key_management};

#[test]
fn every_operation_of_the_model_is_known_and_no_other() {
    let mut known: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    assert!(known.remove("PostObject"), "the form upload is no operation of the model");
    assert_eq!(model().into_keys().collect::<BTreeSet<_>>(), known);
}

/// A bucket in which everything can be asked for, and an upload of its key.
struct Place {
    bucket: Bucket,
    upload: Upload,
    etag: String,
}

impl Place {
    fn new(server: &Server) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("locks-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let bucket = server.client().existing_bucket(&name);
        let made = bucket.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true");
        made.header("x-amz-object-ownership", "ObjectWriter").ok();
        for key in ["key", "other"] {
            bucket.put(key, "content").header("x-amz-tagging", "a=b").ok();
        }
        let upload = bucket.upload("key");
        let etag = upload.put(1, "content");
        Self { bucket, upload, etag }
    }

    /// The bucket that a CreateBucket makes.
    fn new_bucket(&self) -> Bucket {
        self.bucket.client().existing_bucket(&format!("{}-new", self.bucket.name))
    }

    /// Ends the upload that this answer to a CreateMultipartUpload tells of.
    fn end(&self, answer: &Response) {
        let id = answer.xml().get("UploadId").to_owned();
        let upload = Upload { id, ..self.upload.clone() };
        let etag = upload.put(1, "content");
        upload.complete(&[(1, &etag)]).ok();
    }

    fn source(&self) -> String {
        format!("{}/key", self.bucket.name)
    }

    /// A request of an operation that asks for nothing more, and that could be carried out.
    fn request(&self, operation: Operation) -> Request {
        let (bucket, upload) = (&self.bucket, &self.upload);
        match operation {
            Operation::CreateBucket => self.new_bucket().request(Method::PUT),
            Operation::PutObject => bucket.put("key", "content"),
            Operation::CopyObject => bucket.copy(&self.source(), "other"),
            Operation::UploadPart => upload.part(1, "content"),
            Operation::UploadPartCopy => upload.copy(1, &self.source()),
            Operation::CompleteMultipartUpload => upload.complete(&[(1, &self.etag)]),
            Operation::AbortMultipartUpload => upload.abort(),
            Operation::ListParts => upload.list(),
            Operation::RenameObject => bucket
                .object(Method::PUT, "other")
                .raw_query("renameObject")
                .header("x-amz-rename-source", "key"),
            Operation::GetObjectAttributes => {
                let attributes = bucket.get("key").raw_query("attributes");
                attributes.header("x-amz-object-attributes", "ObjectParts,ETag")
            }
            _ => {
                let request = completeness::request(bucket, route(operation));
                let has_id = matches!(
                    operation,
                    Operation::PutBucketInventoryConfiguration
                        | Operation::DeleteBucketInventoryConfiguration
                        | Operation::DeleteBucketAnalyticsConfiguration
                        | Operation::DeleteBucketMetricsConfiguration
                        | Operation::DeleteBucketIntelligentTieringConfiguration
                );
                let request = if has_id { request.query("id", 1) } else { request };
                match samples::of(operation, self).into_iter().next() {
                    Some((_, document)) => request.body(document),
                    None => request,
                }
            }
        }
    }
}

fn route(operation: Operation) -> &'static Route {
    ROUTES.iter().find(|route| route.operation == operation).expect("an operation with a route")
}

/// What an answer comes to, without what is another each time.
fn outcome(answer: &Response) -> (u16, String, String) {
    const VARIES: [&str; 5] =
        ["date", "x-amz-request-id", "x-amz-version-id", "last-modified", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !VARIES.contains(&name.as_str()));
    let headers: Vec<String> =
        headers.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect();
    let body = match answer.status {
        200..300 => String::from_utf8_lossy(&answer.body).into_owned(),
        _ if answer.body.is_empty() => String::new(),
        _ => Element::parse(&answer.body).get("Code").to_owned(),
    };
    (answer.status, headers.join("\n"), body)
}

/// A request that says this too.
fn saying(request: Request, (kind, name): (&str, &str), value: &str) -> Request {
    let now = http_date(Timestamp(harness::now_seconds() * 1000));
    let value = if value == "NOW" { now.as_str() } else { value };
    match kind {
        "header" => request.header(&name.replace('*', "a"), value),
        _ => request.query(name, value),
    }
}

/// Tries out the fields of one operation.
struct Trial<'a> {
    server: &'a Server,
    operation: Operation,
    /// What is answered to a request that says nothing more.
    plain: (u16, String, String),
    /// Where nothing was done yet.
    untouched: Option<Place>,
}

impl<'a> Trial<'a> {
    fn new(server: &'a Server, operation: Operation) -> Self {
        let place = Place::new(server);
        let plain = outcome(&place.request(operation).send());
        Self { server, operation, plain, untouched: is_read(operation).then_some(place) }
    }

    /// The answer to a request that says this too.
    fn ask(&mut self, field: (&str, &str), value: &str) -> Response {
        let place = self.untouched.take().unwrap_or_else(|| Place::new(self.server));
        let answer = saying(place.request(self.operation), field, value).send();
        self.untouched = Some(place).filter(|_| is_read(self.operation) || answer.status >= 300);
        answer
    }

    /// What becomes of a field is as the registry says; otherwise what is wrong.
    fn of(&mut self, field: (&str, &str), fate: Fate) -> Result<(), String> {
        let name = field.1;
        let (is_so, answer) = match fate {
            Fate::Told(value) => {
                let answer = self.ask(field, value);
                let found = outcome(&answer);
                let is_same = match is_read(self.operation) || found.0 >= 300 {
                    true => found == self.plain,
                    // Places have names of their own, which only what was carried out shows.
                    false => found.0 == self.plain.0,
                };
                (!is_same, answer)
            }
            Fate::Kept(value) => (self.keeps(field, value), self.ask(field, value)),
            Fate::Shown { value, by, text } => return self.shows(field, value, by, text),
            Fate::Digest => return self.is_held_to(field),
            Fate::Refused(value) => {
                let answer = self.ask(field, value);
                let is_named =
                    answer.status == 501 && Element::parse(&answer.body).find("Header") == Some(name);
                (is_named, answer)
            }
            Fate::Moot { value, why } => {
                assert!(!why.is_empty(), "{name}");
                let answer = self.ask(field, value);
                (answer.status == self.plain.0, answer)
            }
            Fate::Part => return Ok(()),
            Fate::In(file) => {
                let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
                let test = std::fs::read_to_string(&path).expect("a file of tests");
                return if test.contains(name) {
                    Ok(())
                } else {
                    Err(format!("{path} does not have {name}"))
                };
            }
        };
        if is_so { Ok(()) } else { Err(format!("{name}: {answer:?}")) }
    }

    /// Something is shown where this is said, and not where it is not.
    fn shows(&self, field: (&str, &str), value: &str, by: &str, text: &str) -> Result<(), String> {
        let shown = |value: Option<&str>| {
            let place = Place::new(self.server);
            let mut request = place.request(self.operation);
            if by == "acl" && self.operation == Operation::CreateBucket {
                request = request.header("x-amz-object-ownership", "ObjectWriter");
            }
            // What is said in a list's header is said in no document.
            if by == "acl" && matches!(self.operation, Operation::PutBucketAcl | Operation::PutObjectAcl) {
                request = request.body("");
                request = if value.is_some() { request } else { request.header("x-amz-acl", "private") };
            }
            let request = value.into_iter().fold(request, |request, value| saying(request, field, value));
            let answer = request.ok();
            if by.is_empty() {
                let (_, headers, body) = outcome(&answer);
                return format!("{headers}\n{body}");
            }
            if self.operation == Operation::CreateMultipartUpload {
                place.end(&answer);
            }
            let read = match self.operation {
                Operation::CreateBucket => place.new_bucket().request(Method::GET),
                Operation::PutBucketAcl => place.bucket.request(Method::GET),
                Operation::CopyObject => place.bucket.object(Method::GET, "other"),
                _ => place.bucket.object(Method::GET, "key"),
            };
            String::from_utf8_lossy(&read.raw_query(by).send().body).into_owned()
        };
        let (with, without) = (shown(Some(value)), shown(None));
        if with.contains(text) && !without.contains(text) {
            Ok(())
        } else {
            Err(format!("{}: {with:?}, and without it {without:?}", field.1))
        }
    }

    /// What is sent is held to this digest of it.
    fn is_held_to(&mut self, field: (&str, &str)) -> Result<(), String> {
        let name = field.1;
        let algorithm = ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.header_name() == name);
        let wrong = match algorithm {
            Some(algorithm) => harness::checksum_of(algorithm, b"other"),
            None => harness::md5_base64(b"other"),
        };
        let answer = match algorithm.filter(|_| self.operation == Operation::CompleteMultipartUpload) {
            Some(algorithm) => self.complete_with(algorithm, &wrong),
            None => self.ask(field, &wrong),
        };
        let is_refused =
            answer.status == 400 && Element::parse(&answer.body).find("Code") == Some("BadDigest");
        if is_refused { Ok(()) } else { Err(format!("{name}: {answer:?}")) }
    }

    /// The answer to the end of an upload by this algorithm with that checksum of the object.
    fn complete_with(&self, algorithm: ChecksumAlgorithm, checksum: &str) -> Response {
        let Place { bucket, .. } = Place::new(self.server);
        let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with("key", create);
        let right = harness::checksum_of(algorithm, b"content");
        let part = upload.part(1, "content").unsigned_payload().header(algorithm.header_name(), &right).ok();
        let (etag, element) = (part.etag().replace('"', ""), format!("Checksum{}", algorithm.name()));
        let document = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><{element}>{right}</{element}></Part></CompleteMultipartUpload>"
        );
        // By this one alone it is the object's bytes by default that count.
        let count = if algorithm == ChecksumAlgorithm::Crc64nvme { "" } else { "-1" };
        upload.complete_with(&document).header(algorithm.header_name(), format!("{checksum}{count}")).send()
    }

    /// Whether an object that is written with a header is shown with it.
    fn keeps(&self, field: (&str, &str), value: &str) -> bool {
        let place = Place::new(self.server);
        let mut request = saying(place.request(self.operation), field, value);
        if self.operation == Operation::CopyObject {
            request = request.header("x-amz-metadata-directive", "REPLACE");
        }
        let answer = request.ok();
        if self.operation == Operation::CreateMultipartUpload {
            place.end(&answer);
        }
        let key = if self.operation == Operation::CopyObject { "other" } else { "key" };
        place.bucket.head(key).ok().header(&field.1.replace('*', "a")) == Some(value)
    }
}

fn is_read(operation: Operation) -> bool {
    matches!(route(operation).method, Method::GET | Method::HEAD)
}

#[test]
fn every_header_and_parameter_has_the_fate_that_the_registry_says() {
    let server = key_management::start();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (operation, said) in answered() {
        let mut trial = Trial::new(&server, operation);
        for field in said.fields {
            let Some((at, fate)) = fate(operation, field.1) else {
                wrong.push(format!(
                    "{}: nobody has said what becomes of the {} {}",
                    operation.name(),
                    field.0,
                    field.1
                ));
                continue;
            };
            used.insert(at);
            if let Err(problem) = trial.of(field, fate) {
                wrong.push(format!("{}: {problem}", operation.name()));
            }
        }
    }
    for at in (0..FIELDS.len()).filter(|at| !used.contains(at)) {
        wrong.push(format!("no operation has {} any more", FIELDS[at].1));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Headers that a write may have though the model does not tell it of them, and those whose rules `header/encryption.rs` has.
fn is_for_any(name: &str) -> bool {
    const ANY: [&str; 5] = [
        "x-amz-expected-bucket-owner",
        "x-amz-mfa",
        "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-grant-write",
    ];
    ANY.contains(&name) || name.starts_with("x-amz-checksum-")
}

#[test]
fn a_write_with_a_header_of_another_operation_is_refused_by_name() {
    let server = key_management::start();
    let place = Place::new(&server);
    let headers: BTreeSet<&str> = answered()
        .flat_map(|(_, said)| said.fields)
        .filter(|(kind, name)| *kind == "header" && name.starts_with("x-amz-") && !is_for_any(name))
        .map(|(_, name)| name)
        .collect();
    let mut wrong = Vec::new();
    for (operation, said) in answered() {
        let is_write = matches!(
            operation,
            Operation::PutObject
                | Operation::CopyObject
                | Operation::CreateMultipartUpload
                | Operation::UploadPart
                | Operation::UploadPartCopy
                | Operation::CompleteMultipartUpload
        );
        for name in headers.iter().filter(|name| is_write && !said.fields.contains(&("header", **name))) {
            // With a source it is the copy that is asked for, and the scheme of an upload may be repeated at its end.
            let is_other = match *name {
                "x-amz-copy-source" => matches!(operation, Operation::PutObject | Operation::UploadPart),
                "x-amz-server-side-encryption" => operation == Operation::CompleteMultipartUpload,
                _ => false,
            };
            if is_other {
                continue;
            }
            let name = name.replace('*', "a");
            let answer = place.request(operation).header(&name, "x").send();
            let error = Element::parse(&answer.body);
            let is_named = match answer.status {
                400 => {
                    error.find("Code") == Some("InvalidArgument") && error.find("ArgumentName") == Some(&name)
                }
                501 => error.find("Header") == Some(&name),
                // A POST that ends no upload copies nothing.
                405 => operation == Operation::CreateMultipartUpload && name == "x-amz-copy-source",
                _ => false,
            };
            if !is_named {
                wrong.push(format!("{}: {name}: {answer:?}", operation.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The paths of a document's elements.
fn paths(element: &Element, above: &str, found: &mut BTreeSet<String>) {
    for child in &element.children {
        let path = format!("{above}/{}", child.name);
        paths(child, &path, found);
        found.insert(path);
    }
}

/// A document with nothing but an element at this path.
fn only(path: &str) -> String {
    let names: Vec<&str> = path.split('/').collect();
    let open: String = names.iter().map(|name| format!("<{name}>")).collect();
    let close: String = names.iter().rev().map(|name| format!("</{name}>")).collect();
    format!("{open}{close}")
}

#[test]
fn every_element_is_understood_or_refused_by_name() {
    let server = key_management::start();
    let mut wrong = Vec::new();
    for (operation, said) in answered().filter(|(_, said)| !said.elements.is_empty()) {
        let place = Place::new(&server);
        let mut understood = BTreeSet::new();
        for (code, document) in samples::of(operation, &place) {
            let answer = Place::new(&server).request(operation).body(&document).send();
            let found = (answer.status >= 300).then(|| Element::parse(&answer.body).get("Code").to_owned());
            if found.as_deref().unwrap_or_default() != code {
                wrong.push(format!("{}: {document}: {answer:?}", operation.name()));
            }
            let root = Element::parse(document.as_bytes());
            paths(&root, &root.name, &mut understood);
        }
        for path in &said.elements {
            if understood.contains(*path) == is_refused(operation, path) {
                wrong.push(format!("{}: {path} is not as the registry says", operation.name()));
            }
        }
        for path in said.elements.iter().filter(|path| !understood.contains(**path)) {
            let answer = place.request(operation).body(only(path)).send();
            let is_refused = answer.status == 501
                && path.split('/').any(|name| Element::parse(&answer.body).find("Field") == Some(name));
            if !is_refused {
                wrong.push(format!("{}: {path} falls through: {answer:?}", operation.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
