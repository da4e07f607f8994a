//! GetBucketTagging, PutBucketTagging, DeleteBucketTagging.

use harness::{Bucket, Request, Server};
use http::Method;

use crate::support::tagging_document;

fn tagging(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("tagging")
}

#[test]
fn tags_are_kept_replaced_and_deleted() {
    let server = Server::start();
    let (bucket, other) = (server.bucket(), server.bucket());
    tagging(&bucket, Method::GET).refused(404, "NoSuchTagSet");
    tagging(&bucket, Method::PUT)
        .body(tagging_document(&[("team", "a b"), ("stage", "")]))
        .send()
        .expect(204);
    let found = tagging(&bucket, Method::GET).ok().xml();
    assert_eq!(found.all("TagSet/Tag/Key"), ["team", "stage"]);
    assert_eq!(found.all("TagSet/Tag/Value"), ["a b", ""]);
    tagging(&other, Method::GET).refused(404, "NoSuchTagSet");

    tagging(&bucket, Method::PUT).body(tagging_document(&[("only", "é")])).send().expect(204);
    assert_eq!(tagging(&bucket, Method::GET).ok().xml().all("TagSet/Tag/Value"), ["é"]);
    for _ in 0..2 {
        tagging(&bucket, Method::DELETE).send().expect(204);
        tagging(&bucket, Method::GET).refused(404, "NoSuchTagSet");
    }
}

#[test]
fn what_is_no_tag_set_changes_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    tagging(&bucket, Method::PUT).body(tagging_document(&[("kept", "yes")])).send().expect(204);
    let names: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    for (body, code) in [
        (String::new(), "MissingRequestBodyError"),
        ("<Tagging/>".to_owned(), "MalformedXML"),
        (tagging_document(&[("aws:a", "b")]), "InvalidTag"),
        (tagging_document(&[("a", "b"), ("a", "c")]), "InvalidTag"),
        (tagging_document(&many), "BadRequest"),
    ] {
        tagging(&bucket, Method::PUT).body(&body).refused(400, code);
    }
    assert_eq!(tagging(&bucket, Method::GET).ok().xml().all("TagSet/Tag/Key"), ["kept"]);
    let owned = |owner| tagging(&bucket, Method::GET).header("x-amz-expected-bucket-owner", owner);
    owned("111122223333").refused(403, "AccessDenied");
    owned("1").refused(400, "InvalidBucketOwnerAWSAccountID");
    assert!(tagging(&server.bucket(), Method::GET).refused(404, "NoSuchTagSet").get("BucketName").len() > 2);
    let missing = server.client().existing_bucket("missing");
    tagging(&missing, Method::GET).refused(404, "NoSuchBucket");
    tagging(&missing, Method::PUT).body(tagging_document(&[])).refused(404, "NoSuchBucket");
    tagging(&missing, Method::DELETE).refused(404, "NoSuchBucket");
}
