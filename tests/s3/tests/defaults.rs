//! Sub-resources that cannot be configured answer as S3 does where nothing is: SDKs and Terraform ask for all of them.

use harness::Server;
use http::Method;
use s3_wire::{Operation, operation::Kind};

/// Sub-resource, method, status, and the code of the error or the root's content.
const ANSWERS: &[(&str, Method, u16, &str)] = &[
    ("replication", Method::GET, 404, "ReplicationConfigurationNotFoundError"),
    ("replication", Method::DELETE, 204, ""),
    ("notification", Method::GET, 200, "<NotificationConfiguration"),
    ("accelerate", Method::GET, 200, "<AccelerateConfiguration"),
    ("requestPayment", Method::GET, 200, "<Payer>BucketOwner</Payer>"),
    ("analytics", Method::GET, 200, "<IsTruncated>false</IsTruncated>"),
    ("analytics&id=1", Method::GET, 404, "NoSuchConfiguration"),
    ("analytics&id=1", Method::DELETE, 404, "NoSuchConfiguration"),
    ("metrics", Method::GET, 200, "<IsTruncated>false</IsTruncated>"),
    ("metrics&id=1", Method::GET, 404, "NoSuchConfiguration"),
    ("metrics&id=1", Method::DELETE, 404, "NoSuchConfiguration"),
    ("intelligent-tiering", Method::GET, 200, "<IsTruncated>false</IsTruncated>"),
    ("intelligent-tiering&id=1", Method::GET, 404, "NoSuchConfiguration"),
    ("intelligent-tiering&id=1", Method::DELETE, 404, "NoSuchConfiguration"),
];

#[test]
fn what_is_not_configured_is_answered_as_s3_does() {
    let server = Server::start();
    let bucket = server.bucket();
    let missing = server.client().existing_bucket("missing");
    for (query, method, status, content) in ANSWERS {
        let answer = bucket.request(method.clone()).raw_query(query).send();
        assert_eq!(answer.status, *status, "{method} {query}: {answer:?}");
        assert!(String::from_utf8_lossy(&answer.body).contains(content), "{method} {query}: {answer:?}");
        missing.request(method.clone()).raw_query(query).refused(404, "NoSuchBucket");
    }
    let by_default = Operation::ALL.iter().filter(|operation| operation.kind() == Kind::Default);
    assert_eq!(by_default.count(), ANSWERS.len(), "every such operation is asked for");
}
