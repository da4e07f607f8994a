//! Reads that cannot be answered.

use harness::{Request, Server};
use http::Method;

use crate::support::assert_content;

#[test]
fn reads_that_cannot_be_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "0123456789").ok();
    for (query, header, status, code) in [
        ("", ("range", "bytes=10-"), 416, "InvalidRange"),
        ("", ("range", "bytes=10-20"), 416, "InvalidRange"),
        ("", ("range", "bytes=-0"), 416, "InvalidRange"),
        ("partNumber=1", ("range", "bytes=0-1"), 400, "InvalidRequest"),
        ("partNumber=0", ("accept", "*/*"), 400, "InvalidArgument"),
        ("partNumber=10001", ("accept", "*/*"), 400, "InvalidArgument"),
        ("partNumber=one", ("accept", "*/*"), 400, "InvalidArgument"),
        ("partNumber=2", ("accept", "*/*"), 416, "InvalidPartNumber"),
        ("versionId=nonsense", ("accept", "*/*"), 400, "InvalidArgument"),
        ("versionId=0000000000000009000000000000000a", ("accept", "*/*"), 404, "NoSuchVersion"),
        ("acl&tagging", ("accept", "*/*"), 400, "InvalidArgument"),
        ("acl=%zz", ("accept", "*/*"), 400, "InvalidURI"),
        ("", ("x-amz-server-side-encryption-customer-algorithm", "AES256"), 400, "InvalidArgument"),
        ("", ("x-amz-expected-bucket-owner", "111122223333"), 403, "AccessDenied"),
        ("", ("x-amz-expected-bucket-owner", "1"), 400, "InvalidBucketOwnerAWSAccountID"),
        ("", ("x-amz-expected-bucket-owner", "1111222233334"), 400, "InvalidBucketOwnerAWSAccountID"),
        ("", ("x-amz-expected-bucket-owner", "11112222333x"), 400, "InvalidBucketOwnerAWSAccountID"),
        ("", ("x-amz-expected-bucket-owner", ""), 400, "InvalidBucketOwnerAWSAccountID"),
        ("", ("x-amz-copy-source", "bucket/key"), 400, "InvalidArgument"),
        ("uploads", ("accept", "*/*"), 400, "InvalidRequest"),
        ("", ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\""), 412, "PreconditionFailed"),
    ] {
        let get = if query.is_empty() { bucket.get("key") } else { bucket.get("key").raw_query(query) };
        get.header(header.0, header.1).refused(status, code);
    }
    assert_content(&bucket, "key", b"0123456789");
}

/// Only what copies has a source: whoever names one elsewhere has taken the wrong method.
#[test]
fn a_source_is_for_copies() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "0123456789").ok();
    let upload = bucket.upload("key");
    let source = format!("{}/key", bucket.name);
    let with = |request: Request| request.header("x-amz-copy-source", &source);
    for request in [
        bucket.get("key"),
        bucket.delete("key"),
        bucket.request(Method::GET),
        bucket.request(Method::DELETE),
        upload.complete_with("<CompleteMultipartUpload/>"),
    ] {
        let error = with(request).refused(400, "InvalidArgument");
        assert_eq!(error.get("ArgumentName"), "x-amz-copy-source");
    }
    with(bucket.head("key")).send().expect(400);
    let delete = "<Delete><Object><Key>key</Key></Object></Delete>";
    for request in
        [bucket.create_upload("key"), bucket.request(Method::POST).raw_query("delete").body(delete)]
    {
        with(request).refused(405, "MethodNotAllowed");
    }
    assert_content(&bucket, "key", b"0123456789");
}
