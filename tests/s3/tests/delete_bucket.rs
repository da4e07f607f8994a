//! DeleteBucket.

use harness::Server;
use http::Method;

use crate::support::assert_absent;

#[test]
fn an_empty_bucket_is_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    let gone = bucket.request(Method::DELETE).send().expect(204);
    assert!(gone.body.is_empty());
    bucket.request(Method::HEAD).send().expect(404);
    let error = bucket.request(Method::DELETE).refused(404, "NoSuchBucket");
    assert_eq!(error.get("BucketName"), bucket.name);
    assert!(server.client().request(Method::GET, "/").ok().xml().elements("Buckets/Bucket").is_empty());
}

#[test]
fn a_bucket_with_objects_versions_or_delete_markers_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.request(Method::DELETE).refused(409, "BucketNotEmpty");
    bucket.delete("key").send().expect(204);

    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    let marker = bucket.put_marker("key");
    assert!(bucket.keys().is_empty());
    bucket.request(Method::DELETE).refused(409, "BucketNotEmpty");
    bucket.delete("key").query("versionId", version).send().expect(204);
    bucket.request(Method::DELETE).refused(409, "BucketNotEmpty");
    bucket.delete("key").query("versionId", marker).send().expect(204);
    bucket.request(Method::DELETE).send().expect(204);
}

/// What was in the old bucket does not come back with a new one of the same name.
#[test]
fn a_bucket_made_again_is_a_new_one() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    bucket.delete("key").query("versionId", &version).send().expect(204);
    let upload = bucket.upload("uploaded");
    let etag = upload.put(1, "part");
    // Open uploads do not keep a bucket.
    bucket.request(Method::DELETE).send().expect(204);
    upload.complete(&[(1, &etag)]).refused(404, "NoSuchBucket");

    bucket.request(Method::PUT).ok();
    upload.complete(&[(1, &etag)]).refused(404, "NoSuchUpload");
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    assert_absent(&bucket, "key");
    bucket.get("key").query("versionId", version).refused(404, "NoSuchVersion");
    assert_eq!(bucket.request(Method::GET).raw_query("versioning").ok().xml().find("Status"), None);
}

#[test]
fn another_owner_than_expected_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket
        .request(Method::DELETE)
        .header("x-amz-expected-bucket-owner", "111122223333")
        .refused(403, "AccessDenied");
    bucket.request(Method::HEAD).ok();
}

/// A word that is nearly a sub-resource, or one of another store, is not taken for the bucket.
#[test]
fn an_unknown_subresource_is_not_the_bucket() {
    let server = Server::start();
    let bucket = server.bucket();
    for query in ["publicaccessblock", "lifecycles=", "events"] {
        let error = bucket.request(Method::DELETE).raw_query(query).refused(501, "NotImplemented");
        assert_eq!(error.get("Parameter"), query.trim_end_matches('='));
        bucket.request(Method::PUT).raw_query(query).refused(501, "NotImplemented");
    }
    let new = server.client().existing_bucket("not-made");
    new.request(Method::PUT).raw_query("events").send().expect(501);
    new.request(Method::HEAD).send().expect(404);
    for query in ["events", "replication-metrics", "Versions", "lambdaArn="] {
        bucket.request(Method::GET).raw_query(query).refused(501, "NotImplemented");
        bucket.request(Method::HEAD).raw_query(query).send().expect(501);
    }
    // Clients of MinIO send this with a listing, and some send parameters that they leave empty.
    bucket.request(Method::GET).raw_query("list-type=2&metadata=true&start-after=&word").ok();
    bucket.request(Method::DELETE).send().expect(204);
}
