//! Requests that must be refused: each with its exact S3 code and status, and nothing stored, replaced or removed.

mod authentication;
mod bodies;
mod checksums;
mod documents;
mod names;
mod reads;
mod tampering;

use harness::{Bucket, Element, Prepared, Request, Server, checksum_of};
use types::ChecksumAlgorithm;

use crate::support::{assert_absent, assert_content};

/// What the refused requests try to store. Unlike the rest of a request, so that it can be found in its body.
const DATA: &[u8] = b"<<the content that must not be stored>>";

/// Makes the request for a key of a bucket.
type Prepare = Box<dyn Fn(&Bucket, &str) -> Prepared>;

/// One way to go wrong with PutObject.
struct Case {
    name: String,
    status: u16,
    code: &'static str,
    /// The sender goes away before the end of what was announced.
    breaks_off: bool,
    prepare: Prepare,
}

fn case(
    name: impl Into<String>,
    status: u16,
    code: &'static str,
    prepare: impl Fn(&Bucket, &str) -> Prepared + 'static,
) -> Case {
    Case { name: name.into(), status, code, breaks_off: false, prepare: Box::new(prepare) }
}

impl Case {
    fn breaks_off(self) -> Self {
        Self { breaks_off: true, ..self }
    }
}

/// Every case is tried on a key that is not there and on one that is; both must be as they were.
fn check(cases: Vec<Case>) {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("kept", "kept").ok();
    for case in cases {
        for key in ["absent", "kept"] {
            let prepared = (case.prepare)(&bucket, key);
            let response = if case.breaks_off { prepared.send_short() } else { prepared.send() };
            assert!(response.status >= 300, "{}: {response:?}", case.name);
            let error = Element::parse(&response.body);
            let found = (response.status, error.find("Code"));
            assert_eq!(found, (case.status, Some(case.code)), "{}: {response:?}", case.name);
        }
        assert_absent(&bucket, "absent");
        assert_content(&bucket, "kept", b"kept");
    }
    assert_eq!(bucket.list_versions().ok().xml().all("Version/Key"), ["kept"]);
}

/// PutObject of [`DATA`].
fn put(bucket: &Bucket, key: &str) -> Request {
    bucket.put(key, DATA)
}

fn right(algorithm: ChecksumAlgorithm) -> String {
    checksum_of(algorithm, DATA)
}

fn wrong(algorithm: ChecksumAlgorithm) -> String {
    checksum_of(algorithm, b"other content")
}
