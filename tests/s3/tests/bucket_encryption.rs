//! GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption: what new objects get that name no encryption.

use harness::{Bucket, Request, Server, content};
use http::Method;

use crate::{
    customer_keys::keyed,
    support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same},
};

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
        (document("aws:kms:dsse"), 501, "NotImplemented"),
        (document("AES128"), 400, "MalformedXML"),
        ("<ServerSideEncryptionConfiguration/>".to_owned(), 400, "MalformedXML"),
        ("nonsense".to_owned(), 400, "MalformedXML"),
    ] {
        encryption(&bucket, Method::PUT).body(bad).refused(status, code);
    }
    assert_eq!(encryption(&bucket, Method::GET).ok().xml(), found, "what is refused changes nothing");
    // Bucket keys are of SSE-KMS; that they are wanted is kept and has no effect, as on S3.
    assert_eq!(found.get("Rule/BucketKeyEnabled"), "false");
    let wanted = document("AES256").replace("</Rule>", "<BucketKeyEnabled>true</BucketKeyEnabled></Rule>");
    encryption(&bucket, Method::PUT).body(wanted).ok();
    assert_eq!(encryption(&bucket, Method::GET).ok().xml().get("Rule/BucketKeyEnabled"), "true");
    assert_eq!(bucket.put("key", "content").ok().get(HEADER), "AES256");
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

/// An upload is encrypted as it was begun, whatever the bucket's configuration has become.
#[test]
fn an_upload_keeps_the_default_that_it_began_with() {
    let server = Server::start();
    let bucket = server.bucket();
    let plain = bucket.upload("plain");
    encryption(&bucket, Method::PUT).body(document("AES256")).ok();
    let encrypted = bucket.upload("encrypted");
    for (upload, expected, after) in [(plain, None, Method::DELETE), (encrypted, Some("AES256"), Method::PUT)]
    {
        let first = upload.part(1, content(PART_SIZE_MIN, 1)).unsigned_payload().ok();
        assert_eq!(first.header(HEADER), expected);
        let change = encryption(&bucket, after.clone());
        if after == Method::PUT {
            change.body(document("AES256")).ok()
        } else {
            change.send().expect(204)
        };
        let second = upload.part(2, "content").ok();
        assert_eq!(second.header(HEADER), expected);
        let completed = upload.complete(&[(1, first.etag()), (2, second.etag())]).ok();
        assert_eq!(completed.header(HEADER), expected);
    }
    for (key, expected) in [("plain", None), ("encrypted", Some("AES256"))] {
        let read = bucket.get(key).ok();
        assert_eq!(read.header(HEADER), expected);
        assert_same(&read.body, &[content(PART_SIZE_MIN, 1), b"content".to_vec()].concat());
    }
}

fn set_policy(bucket: &Bucket, condition: &str) {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:PutObject",
        "Resource":"arn:aws:s3:::{}/*","Condition":{{{condition}}}}}]}}"#,
        bucket.name
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
}

/// A policy can demand that what is written is encrypted. Parts and the end of an upload are what the upload was begun as.
#[test]
fn a_policy_can_demand_encryption() {
    let server = Server::start();
    let bucket = server.bucket();
    let (before, copied) = (bucket.upload("before"), bucket.upload("before"));
    let part = before.part(1, "content").ok();
    bucket.put("source", "content").ok();
    set_policy(&bucket, r#""StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}"#);
    bucket.put("key", "content").refused(403, "AccessDenied");
    bucket.create_upload("key").refused(403, "AccessDenied");
    bucket.put("key", "content").header(HEADER, "AES256").ok();
    assert_content(&bucket, "key", b"content");

    before.part(2, "content").refused(403, "AccessDenied");
    copied.copy(1, &format!("{}/source", bucket.name)).refused(403, "AccessDenied");
    before.complete(&[(1, part.etag())]).refused(403, "AccessDenied");
    assert_absent(&bucket, "before");
    let upload = bucket.upload_with("upload", bucket.create_upload("upload").header(HEADER, "AES256"));
    let first = upload.part(1, content(PART_SIZE_MIN, 1)).unsigned_payload().ok();
    let second = upload.copy(2, &format!("{}/source", bucket.name)).ok().xml();
    let parts = [(1, first.etag()), (2, second.get("ETag"))];
    let completed = upload.complete(&parts).ok();
    assert_eq!(completed.get(HEADER), "AES256");
    assert_same(&bucket.get("upload").ok().body, &[content(PART_SIZE_MIN, 1), b"content".to_vec()].concat());
    // Who did not get the answer asks again.
    assert_eq!(upload.complete(&parts).ok().xml().get("ETag"), completed.xml().get("ETag"));
}

/// The same for keys of the clients', and a policy that forbids them.
#[test]
fn a_policy_can_demand_or_forbid_keys_of_the_clients() {
    let server = Server::start_with(1, |config| config.front.customer_keys_over_http = true);
    let bucket = server.bucket();
    let algorithm = "s3:x-amz-server-side-encryption-customer-algorithm";
    let (stored, own) = (
        bucket.upload_with("stored", bucket.create_upload("stored").header(HEADER, "AES256")),
        bucket.upload_with("own", keyed(bucket.create_upload("own"), 1)),
    );
    set_policy(&bucket, &format!(r#""Null":{{"{algorithm}":"true"}}"#));
    stored.part(1, "content").refused(403, "AccessDenied");
    let part = keyed(own.part(1, "content"), 1).ok();
    // The end of an upload brings no key.
    set_policy(&bucket, &format!(r#""Null":{{"{algorithm}":"false"}}"#));
    own.complete(&[(1, part.etag())]).refused(403, "AccessDenied");
    let other = stored.part(1, "content").ok();
    stored.complete(&[(1, other.etag())]).ok();
    set_policy(&bucket, &format!(r#""Null":{{"{algorithm}":"true"}}"#));
    own.complete(&[(1, part.etag())]).ok();
    assert_eq!(keyed(bucket.get("own"), 1).ok().body, b"content");
}
