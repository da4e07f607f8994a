//! Reads that cannot be answered.

use harness::Server;

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
        ("", ("x-amz-expected-bucket-owner", "1"), 403, "AccessDenied"),
        ("", ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\""), 412, "PreconditionFailed"),
    ] {
        let get = if query.is_empty() { bucket.get("key") } else { bucket.get("key").raw_query(query) };
        get.header(header.0, header.1).refused(status, code);
    }
    assert_content(&bucket, "key", b"0123456789");
}
