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

/// Sub-resource, a document that asks for what is so, one that asks for what is not built, and the field that is named then.
const PUTS: &[(&str, &str, &str, &str)] = &[
    (
        "notification",
        "<NotificationConfiguration/>",
        "<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:0:q</Queue></QueueConfiguration></NotificationConfiguration>",
        "QueueConfiguration",
    ),
    (
        "requestPayment",
        "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
        "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
        "Payer",
    ),
    (
        "accelerate",
        "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
        "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
        "Status",
    ),
];

/// As Terraform's destroy does. Whatever else is asked for is refused by the name of the field.
#[test]
fn what_is_so_already_can_be_put() {
    let server = Server::start();
    let bucket = server.bucket();
    let missing = server.client().existing_bucket("missing");
    for (query, is_so, not_built, field) in PUTS {
        let put = |document: &str| bucket.request(Method::PUT).raw_query(query).body(document);
        let before = bucket.request(Method::GET).raw_query(query).ok().body;
        assert!(put(is_so).ok().body.is_empty());
        assert_eq!(put(not_built).refused(501, "NotImplemented").get("Field"), *field);
        let root = is_so.split(['<', '>', '/']).find(|name| !name.is_empty()).expect("a root");
        put("").refused(400, "MissingRequestBodyError");
        for malformed in ["<Other/>", &format!("<{root}><Other/></{root}>")] {
            put(malformed).refused(400, "MalformedXML");
        }
        put(is_so).anonymous().refused(403, "AccessDenied");
        missing.request(Method::PUT).raw_query(query).body(is_so).refused(404, "NoSuchBucket");
        assert_eq!(bucket.request(Method::GET).raw_query(query).ok().body, before);
    }
}

/// PutBucketNotification and GetBucketNotification, as old clients know them, are the same requests with older documents.
#[test]
fn the_older_form_of_notifications_is_answered_as_the_newer_one() {
    let server = Server::start();
    let bucket = server.bucket();
    let notification = |method| bucket.request(method).raw_query("notification");
    for (name, target) in [("TopicConfiguration", "Topic"), ("CloudFunctionConfiguration", "CloudFunction")] {
        let old = format!(
            "<NotificationConfiguration><{name}><Id>1</Id><Event>s3:ReducedRedundancyLostObject</Event>\
             <{target}>arn:aws:sns:us-east-1:0:t</{target}></{name}></NotificationConfiguration>"
        );
        let error = notification(Method::PUT).body(old).refused(501, "NotImplemented");
        assert_eq!(error.get("Field"), name);
        assert!(notification(Method::GET).ok().xml().children.is_empty());
    }
}

/// As that of an inventory, which can be configured.
#[test]
fn a_configuration_has_an_id() {
    let server = Server::start();
    let bucket = server.bucket();
    for name in ["inventory", "analytics", "metrics", "intelligent-tiering"] {
        for (method, query) in [
            (Method::DELETE, name.to_owned()),
            (Method::DELETE, format!("{name}&id=")),
            (Method::GET, format!("{name}&id=")),
            (Method::GET, format!("{name}&id=a/b")),
        ] {
            let error = bucket.request(method).raw_query(&query).refused(400, "InvalidArgument");
            assert_eq!(error.get("ArgumentName"), "id", "{query}");
        }
    }
}

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
    assert_eq!(by_default.count(), ANSWERS.len() + PUTS.len(), "every such operation is asked for");
}
