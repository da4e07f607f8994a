//! GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock.

use harness::{Bucket, Request, Server};
use http::Method;

fn block(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("publicAccessBlock")
}

#[test]
fn a_block_is_kept_and_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    block(&bucket, Method::GET).refused(404, "NoSuchPublicAccessBlockConfiguration");
    let document = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
                    <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    block(&bucket, Method::PUT).body(document).ok();
    let found = block(&bucket, Method::GET).ok().xml();
    for (name, value) in [
        ("BlockPublicAcls", "true"),
        ("IgnorePublicAcls", "false"),
        ("BlockPublicPolicy", "false"),
        ("RestrictPublicBuckets", "true"),
    ] {
        assert_eq!(found.get(name), value, "{name}");
    }
    for _ in 0..2 {
        block(&bucket, Method::DELETE).send().expect(204);
        block(&bucket, Method::GET).refused(404, "NoSuchPublicAccessBlockConfiguration");
    }
}

#[test]
fn other_documents_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    for bad in [
        "<Other/>",
        "<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>",
        "<PublicAccessBlockConfiguration><Block>true</Block></PublicAccessBlockConfiguration>",
    ] {
        block(&bucket, Method::PUT).body(bad).refused(400, "MalformedXML");
    }
    block(&bucket, Method::GET).refused(404, "NoSuchPublicAccessBlockConfiguration");
    block(&server.client().existing_bucket("missing"), Method::GET).refused(404, "NoSuchBucket");
}
