//! GetBucketVersioning.

use harness::{Bucket, Server};
use http::Method;

fn status(bucket: &Bucket) -> Option<String> {
    let state = bucket.request(Method::GET).raw_query("versioning").ok().xml();
    assert_eq!(state.name, "VersioningConfiguration");
    assert_eq!(state.find("MfaDelete"), None);
    state.find("Status").map(str::to_owned)
}

#[test]
fn the_state_is_told() {
    let server = Server::start();
    let bucket = server.bucket();
    assert_eq!(status(&bucket), None);
    for state in ["Enabled", "Suspended", "Enabled"] {
        bucket.set_versioning(state);
        assert_eq!(status(&bucket).as_deref(), Some(state));
    }
}

#[test]
fn a_missing_bucket_has_no_state() {
    let server = Server::start();
    let missing = server.client().existing_bucket("missing");
    missing.request(Method::GET).raw_query("versioning").refused(404, "NoSuchBucket");
}
