//! GetBucketLocation.

use harness::Server;
use http::Method;

#[test]
fn the_location_is_the_region_and_empty_for_us_east_1() {
    for (region, shown) in [("us-east-1", ""), ("eu-west-1", "eu-west-1")] {
        let server = Server::start_with(1, |config| config.front.region = region.to_owned());
        let location = server.bucket().request(Method::GET).raw_query("location").ok().xml();
        assert_eq!((location.name.as_str(), location.text.as_str()), ("LocationConstraint", shown));
    }
}

#[test]
fn a_missing_bucket_has_no_location() {
    let server = Server::start();
    let missing = server.client().existing_bucket("missing");
    missing.request(Method::GET).raw_query("location").refused(404, "NoSuchBucket");
}
