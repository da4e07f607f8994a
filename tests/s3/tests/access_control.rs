//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, GetBucketOwnershipControls, PutBucketOwnershipControls: lists
//! are off, as in every bucket that AWS makes now.

use harness::{Element, Server};
use http::Method;

fn assert_owners_alone(acl: &Element) {
    assert_eq!(acl.all("AccessControlList/Grant/Permission"), ["FULL_CONTROL"]);
    assert_eq!(acl.all("AccessControlList/Grant/Grantee/ID"), [acl.get("Owner/ID")]);
}

#[test]
fn everything_belongs_to_the_buckets_owner() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    assert_owners_alone(&bucket.request(Method::GET).raw_query("acl").ok().xml());
    assert_owners_alone(&bucket.object(Method::GET, "key").raw_query("acl").ok().xml());
    bucket.object(Method::GET, "missing").raw_query("acl").refused(404, "NoSuchKey");
    server
        .client()
        .existing_bucket("missing")
        .request(Method::GET)
        .raw_query("acl")
        .refused(404, "NoSuchBucket");
    let controls = bucket.request(Method::GET).raw_query("ownershipControls").ok().xml();
    assert_eq!(controls.all("Rule/ObjectOwnership"), ["BucketOwnerEnforced"]);
}

#[test]
fn lists_that_say_so_are_taken_and_others_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let of_bucket = || bucket.request(Method::PUT).raw_query("acl");
    let of_object = || bucket.object(Method::PUT, "key").raw_query("acl");
    of_bucket().header("x-amz-acl", "private").ok();
    of_object().header("x-amz-acl", "private").ok();
    of_object().header("x-amz-acl", "bucket-owner-full-control").ok();
    for request in [
        of_bucket().header("x-amz-acl", "public-read"),
        of_bucket().header("x-amz-acl", "private").header("x-amz-grant-read", "id=\"1\""),
        of_bucket().header("x-amz-grant-read", "id=\"1\""),
        of_bucket(),
        of_object().header("x-amz-acl", "authenticated-read"),
        of_object().header("x-amz-grant-full-control", "id=\"1\""),
    ] {
        request.refused(400, "AccessControlListNotSupported");
    }
    // Clients that keep the list of what they copy put back what they were given.
    let given = bucket.object(Method::GET, "key").raw_query("acl").ok().body;
    of_object().body(&given).ok();
    of_bucket().body(&given).ok();
    let other = String::from_utf8(given).expect("text").replace("FULL_CONTROL", "READ");
    of_object().body(&other).refused(400, "AccessControlListNotSupported");
    of_bucket().body("<AccessControlPolicy/>").refused(400, "MalformedACLError");
    bucket
        .object(Method::PUT, "missing")
        .raw_query("acl")
        .header("x-amz-acl", "private")
        .refused(404, "NoSuchKey");
}

#[test]
fn ownership_cannot_be_changed() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = |ownership: &str| {
        let document = format!(
            "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
        );
        bucket.request(Method::PUT).raw_query("ownershipControls").body(document)
    };
    put("BucketOwnerEnforced").ok();
    put("ObjectWriter").refused(501, "NotImplemented");
    put("BucketOwnerPreferred").refused(501, "NotImplemented");
    put("Everybody").refused(400, "MalformedXML");
}
