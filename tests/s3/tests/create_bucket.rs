//! CreateBucket.

use harness::Server;
use http::Method;

use crate::{
    iam_users::{iam, user},
    support::{assert_content, count, race},
};

fn constraint(region: &str) -> String {
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    )
}

#[test]
fn a_bucket_is_made_empty() {
    let server = Server::start();
    let bucket = server.client().existing_bucket("new-bucket");
    bucket.request(Method::HEAD).send().expect(404);
    let made = bucket.request(Method::PUT).ok();
    assert_eq!(made.get("location"), "/new-bucket");
    assert!(made.body.is_empty());
    bucket.request(Method::HEAD).ok();
    assert!(bucket.keys().is_empty());
}

/// In us-east-1 S3 answers 200, for the sake of old clients; the bucket stays as it is.
#[test]
fn making_ones_own_bucket_again_keeps_it() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    bucket.put("key", "content").ok();
    bucket.request(Method::PUT).ok();
    assert_content(&bucket, "key", b"content");
    let state = bucket.request(Method::GET).raw_query("versioning").ok().xml();
    assert_eq!(state.find("Status"), Some("Enabled"));
}

#[test]
fn making_ones_own_bucket_again_is_an_error_in_other_regions() {
    let server = Server::start_with(1, |config| config.front.region = "eu-west-1".to_owned());
    let bucket = server.client().existing_bucket("mine");
    bucket.request(Method::PUT).body(constraint("eu-west-1")).ok();
    bucket.put("key", "content").ok();
    let error =
        bucket.request(Method::PUT).body(constraint("eu-west-1")).refused(409, "BucketAlreadyOwnedByYou");
    assert_eq!(error.get("BucketName"), "mine");
    assert_content(&bucket, "key", b"content");
}

#[test]
fn one_of_many_racers_makes_the_bucket() {
    let server = Server::start_with(1, |config| config.front.region = "eu-west-1".to_owned());
    let bucket = server.client().existing_bucket("raced-for");
    let answers = race(8, |_| bucket.request(Method::PUT).send());
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 7), "{answers:?}");
    bucket.put("key", "content").ok();
}

#[test]
fn the_location_must_be_the_servers() {
    let server = Server::start();
    let bucket = server.client().existing_bucket("far-away");
    for region in ["eu-west-1", "us-gov-west-1", "EU"] {
        let illegal = bucket.request(Method::PUT).body(constraint(region));
        let error = illegal.refused(400, "IllegalLocationConstraintException");
        assert!(error.get("Message").contains(region), "{error:?}");
    }
    for region in ["nowhere", "us-east-1b", "US-EAST-1", "-a-1"] {
        let invalid = bucket.request(Method::PUT).body(constraint(region));
        assert_eq!(invalid.refused(400, "InvalidLocationConstraint").get("LocationConstraint"), region);
    }
    bucket.request(Method::HEAD).send().expect(404);
    bucket.request(Method::PUT).body(constraint("us-east-1")).ok();
}

/// Where S3 would refuse it: clients are told a server's region for their signatures, and say nothing more.
#[test]
fn a_bucket_without_a_location_is_made_in_every_region() {
    let server = Server::start_with(1, |config| config.front.region = "eu-west-1".to_owned());
    for (name, document) in [("no-document", ""), ("no-constraint", "<CreateBucketConfiguration/>")] {
        let bucket = server.client().existing_bucket(name);
        bucket.request(Method::PUT).body(document).ok();
        assert_eq!(bucket.request(Method::GET).raw_query("location").ok().xml().text, "eu-west-1");
    }
    // By its old name too.
    server.client().existing_bucket("ireland").request(Method::PUT).body(constraint("EU")).ok();
    let elsewhere = server.client().existing_bucket("elsewhere").request(Method::PUT);
    elsewhere.body(constraint("us-east-1")).refused(400, "IllegalLocationConstraintException");
}

/// The SDKs send an empty document, or none, where the region is us-east-1.
#[test]
fn the_document_may_be_empty() {
    let server = Server::start();
    for (name, document) in [("no-document", ""), ("no-constraint", "<CreateBucketConfiguration/>")] {
        server.client().existing_bucket(name).request(Method::PUT).body(document).ok();
    }
    let without_length =
        server.client().existing_bucket("no-length").request(Method::PUT).no_content_length();
    without_length.ok();
}

#[test]
fn what_is_not_built_is_refused_and_makes_no_bucket() {
    let server = Server::start();
    let bucket = server.client().existing_bucket("refused");
    let (name, value) = ("x-amz-bucket-namespace", "account-regional");
    let error = bucket.request(Method::PUT).header(name, value).refused(501, "NotImplemented");
    assert_eq!(error.get("Header"), name);
    let directory =
        "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>";
    bucket.request(Method::PUT).body(directory).refused(501, "NotImplemented");
    bucket.request(Method::HEAD).send().expect(404);

    bucket
        .request(Method::PUT)
        .header("x-amz-acl", "private")
        .header("x-amz-bucket-object-lock-enabled", "false")
        .header("x-amz-object-ownership", "BucketOwnerEnforced")
        .ok();
}

/// A bucket has its tags from its making; bad ones make none, and making it again changes nothing.
#[test]
fn a_bucket_can_be_made_with_tags() {
    let server = Server::start();
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let body =
        |tags: &str| format!("<CreateBucketConfiguration><Tags>{tags}</Tags></CreateBucketConfiguration>");
    let bucket = server.client().existing_bucket("with-tags");
    for (tags, code) in [
        (tag("aws:reserved", "v"), "InvalidTag"),
        (tag("twice", "v").repeat(2), "InvalidTag"),
        (tag(&"k".repeat(129), "v"), "InvalidTag"),
        ("<Tag><Key>k</Key></Tag>".to_owned(), "MalformedXML"),
    ] {
        bucket.request(Method::PUT).body(body(&tags)).refused(400, code);
    }
    bucket.request(Method::HEAD).send().expect(404);

    bucket.request(Method::PUT).body(body(&(tag("a", "1") + &tag("b", "")))).ok();
    let tags = || bucket.request(Method::GET).raw_query("tagging").ok().body;
    let made = tags();
    let text = String::from_utf8(made.clone()).expect("XML");
    assert!(text.contains(&tag("a", "1")) && text.contains("<Key>b</Key>"), "{text}");
    bucket.request(Method::PUT).body(body(&tag("other", "2"))).ok();
    assert_eq!(tags(), made);
    let plain = server.client().existing_bucket("without-tags");
    plain.request(Method::PUT).body(body("")).ok();
    plain.request(Method::GET).raw_query("tagging").refused(404, "NoSuchTagSet");
}

/// A label that ends with a hyphen is no part of a host's name.
#[test]
fn no_label_of_a_name_ends_with_a_hyphen() {
    let server = Server::start();
    for name in ["foo-.bar", "a-.-b", "a.b-.c"] {
        let bucket = server.client().existing_bucket(name);
        let error = bucket.request(Method::PUT).refused(400, "InvalidBucketName");
        assert_eq!(error.get("BucketName"), name);
        bucket.request(Method::HEAD).send().expect(404);
    }
    for name in ["a-b.c--d.e", "foo.-bar"] {
        server.client().existing_bucket(name).request(Method::PUT).ok();
    }
}

/// Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket", the section on its condition key.
#[test]
fn a_policy_can_ask_for_the_ownership_of_new_buckets() {
    let server = Server::start();
    let ann = user(server.client(), "ann");
    let condition = r#"{"StringEquals": {"s3:x-amz-object-ownership": "BucketOwnerEnforced"}}"#;
    // Whoever names an ownership needs the right to set one.
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "s3:PutBucketOwnershipControls", "Resource": "*"}},
           {{"Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*", "Condition": {condition}}}]}}"#
    );
    let parameters = [("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", policy.as_str())];
    iam(server.client(), "PutUserPolicy", &parameters);
    let make = || ann.existing_bucket("hers").request(Method::PUT);
    make().refused(403, "AccessDenied");
    make().header("x-amz-object-ownership", "ObjectWriter").refused(403, "AccessDenied");
    make().header("x-amz-object-ownership", "BucketOwnerEnforced").ok();
}
