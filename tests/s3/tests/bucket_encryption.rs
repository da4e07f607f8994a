//! GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption: what new objects get that name no encryption.

use harness::{Bucket, Request, Server};
use http::Method;

use crate::support::assert_content;

const HEADER: &str = "x-amz-server-side-encryption";

fn encryption(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("encryption")
}

fn document(algorithm: &str) -> String {
    format!(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
         <SSEAlgorithm>{algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
         </ServerSideEncryptionConfiguration>"
    )
}

#[test]
fn a_configuration_is_kept_and_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    let missing = "ServerSideEncryptionConfigurationNotFoundError";
    encryption(&bucket, Method::GET).refused(404, missing);
    encryption(&bucket, Method::PUT).body(document("AES256")).ok();
    let found = encryption(&bucket, Method::GET).ok().xml();
    assert_eq!(found.all("Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm"), ["AES256"]);
    for (bad, status, code) in [
        (document("aws:kms"), 501, "NotImplemented"),
        (document("AES128"), 400, "MalformedXML"),
        ("<ServerSideEncryptionConfiguration/>".to_owned(), 400, "MalformedXML"),
        ("nonsense".to_owned(), 400, "MalformedXML"),
    ] {
        encryption(&bucket, Method::PUT).body(bad).refused(status, code);
    }
    assert_eq!(encryption(&bucket, Method::GET).ok().xml(), found, "what is refused changes nothing");
    for _ in 0..2 {
        encryption(&bucket, Method::DELETE).send().expect(204);
        encryption(&bucket, Method::GET).refused(404, missing);
    }
    for method in [Method::GET, Method::DELETE] {
        encryption(&server.client().existing_bucket("missing"), method).refused(404, "NoSuchBucket");
    }
}

/// Whatever makes an object: puts, forms, copies, uploads. What is there already stays as it is.
#[test]
fn new_objects_get_the_default() {
    let server = Server::start();
    let (bucket, plain) = (server.bucket(), server.bucket());
    bucket.put("before", "content").ok();
    plain.put("source", "content").ok();
    encryption(&bucket, Method::PUT).body(document("AES256")).ok();
    assert_eq!(bucket.put("put", "content").ok().get(HEADER), "AES256");
    let form = bucket.form().field("key", "form").signed(b"content").send().expect(204);
    assert_eq!(form.get(HEADER), "AES256");
    assert_eq!(bucket.copy(&format!("{}/source", plain.name), "copy").ok().get(HEADER), "AES256");
    assert_eq!(bucket.copy(&format!("{}/before", bucket.name), "of before").ok().get(HEADER), "AES256");
    let upload = bucket.upload("upload");
    let part = upload.part(1, "content").ok();
    assert_eq!(part.get(HEADER), "AES256");
    assert_eq!(upload.complete(&[(1, part.etag())]).ok().get(HEADER), "AES256");
    for key in ["put", "form", "copy", "of before", "upload"] {
        assert_eq!(bucket.head(key).ok().get(HEADER), "AES256", "{key}");
        assert_content(&bucket, key, b"content");
    }
    assert_eq!(bucket.head("before").ok().header(HEADER), None);
    assert_content(&bucket, "before", b"content");

    encryption(&bucket, Method::DELETE).send().expect(204);
    assert_eq!(bucket.put("after", "content").ok().header(HEADER), None);
    assert_content(&bucket, "put", b"content");
    // Nothing becomes plain by being copied.
    assert_eq!(plain.copy(&format!("{}/put", bucket.name), "copy").ok().get(HEADER), "AES256");
    assert_content(&plain, "copy", b"content");
}

/// A policy can demand that what is written is encrypted.
#[test]
fn a_policy_can_demand_encryption() {
    let server = Server::start();
    let bucket = server.bucket();
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:PutObject",
        "Resource":"arn:aws:s3:::{}/*","Condition":{{"StringNotEquals":{{"s3:x-amz-server-side-encryption":"AES256"}}}}}}]}}"#,
        bucket.name
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    bucket.put("key", "content").refused(403, "AccessDenied");
    bucket.create_upload("key").refused(403, "AccessDenied");
    bucket.put("key", "content").header(HEADER, "AES256").ok();
    assert_content(&bucket, "key", b"content");
}
