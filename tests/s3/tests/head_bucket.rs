//! HeadBucket.

use harness::Server;
use http::Method;

#[test]
fn the_region_of_a_bucket_is_told() {
    let server = Server::start_with(1, |config| config.front.region = "eu-central-1".to_owned());
    let bucket = server.bucket();
    let head = bucket.request(Method::HEAD).ok();
    assert_eq!(head.get("x-amz-bucket-region"), "eu-central-1");
}

/// Clients find out a bucket's region by a HEAD that they do not sign.
#[test]
fn the_region_is_told_to_those_who_may_not_have_the_bucket() {
    let server = Server::start_with(1, |config| config.front.region = "eu-central-1".to_owned());
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let forger = bucket.through(&bucket.client().with_credentials(harness::ACCESS_KEY, "not the secret"));
    for method in [Method::HEAD, Method::GET] {
        let unsigned = bucket.request(method.clone()).anonymous().send().expect(403);
        assert_eq!(unsigned.get("x-amz-bucket-region"), "eu-central-1");
        let forged = forger.request(method.clone()).send().expect(403);
        assert_eq!(forged.get("x-amz-bucket-region"), "eu-central-1");
        let permitted = bucket.request(method).ok();
        assert_eq!(permitted.get("x-amz-bucket-region"), "eu-central-1");
    }
    assert_eq!(bucket.list().ok().get("x-amz-bucket-region"), "eu-central-1");
    // Of a bucket that is not there, and with an object, nothing is told.
    let missing = server.client().existing_bucket("missing");
    assert_eq!(missing.request(Method::HEAD).anonymous().send().header("x-amz-bucket-region"), None);
    let forger = missing.through(&missing.client().with_credentials(harness::ACCESS_KEY, "not the secret"));
    let forged = forger.request(Method::HEAD).send().expect(403);
    assert_eq!(forged.header("x-amz-bucket-region"), None);
    assert_eq!(bucket.get("key").ok().header("x-amz-bucket-region"), None);
}

#[test]
fn a_missing_bucket_is_404_without_a_body() {
    let server = Server::start();
    server.client().existing_bucket("missing").request(Method::HEAD).send().expect(404);
}

/// Clients find a bucket's region by signing for the one they guess.
#[test]
fn the_wrong_region_is_answered_with_the_right_one() {
    let server = Server::start_with(1, |config| config.front.region = "eu-central-1".to_owned());
    let bucket = server.bucket();
    let astray = bucket.through(&server.client().with_region("us-east-1"));
    let head = astray.request(Method::HEAD).send().expect(400);
    assert_eq!(head.get("x-amz-bucket-region"), "eu-central-1");
    let error = astray.request(Method::GET).send();
    assert_eq!(error.get("x-amz-bucket-region"), "eu-central-1");
    let error = error.expect_error(400, "AuthorizationHeaderMalformed");
    assert_eq!(error.get("Region"), "eu-central-1");
}

#[test]
fn another_owner_than_expected_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let owner = server.client().request(Method::GET, "/").ok().xml().get("Owner/ID").to_owned();
    bucket.request(Method::HEAD).header("x-amz-expected-bucket-owner", &owner).ok();
    let other = bucket.request(Method::HEAD).header("x-amz-expected-bucket-owner", "111122223333");
    other.send().expect(403);
}
