//! Services of AWS in policies: who may be named, and what is denied to the store in their place. The policies are those of the
//! Amazon S3 User Guide, "Enabling Amazon S3 server access logging" and "Configuring Amazon S3 Inventory".

use super::{BUCKET, account, allows, denies, one, parse, policy, root, user};
use crate::{Context, Delivery, Grantee, Policy, Principal, Request, Resource, Service, Verdict, evaluate};

const LOGS: &str = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "S3ServerAccessLogsPolicy", "Effect": "Allow",
    "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/logs/*",
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::source"}, "StringEquals": {"aws:SourceAccount": "111122223333"}}}]}"#;

const LISTS: &str = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "InventoryAndAnalyticsExamplePolicy", "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"}, "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket/*"],
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::source"}, "StringEquals": {"aws:SourceAccount": "111122223333",
    "s3:x-amz-acl": "bucket-owner-full-control"}}}]}"#;

fn is_denied(policy: &Policy, service: Service, key: &str) -> bool {
    policy.denies_delivery(&Delivery {
        service,
        account: &account("111122223333"),
        source: "source",
        target: BUCKET,
        key,
        time: "2026-01-31T00:00:00.000Z",
        epoch_seconds: 1_769_817_600,
    })
}

#[test]
fn the_policies_of_the_guide_are_read_and_grant_nothing_to_requests() {
    for (document, service) in [(LOGS, Service::Logging), (LISTS, Service::S3)] {
        let policy = policy(document);
        assert_eq!(policy.grantees().collect::<Vec<_>>(), [&Grantee::Service(service)]);
        assert!(!policy.is_public());
        assert!(!is_denied(&policy, service, "logs/a"));
        // Nor to somebody who could say that he was a service.
        let told = [
            ("aws:SourceArn", "arn:aws:s3:::source"),
            ("aws:SourceAccount", "111122223333"),
            ("s3:x-amz-acl", "bucket-owner-full-control"),
        ];
        for who in [Principal::Anonymous, root("111122223333"), user("111122223333", "ann")] {
            assert!(!allows(&policy, &who, "PutObject", Some("logs/a"), &told), "{who:?}");
            let opposite = document.replace("\"Allow\"", "\"Deny\"");
            assert!(!denies(&self::policy(&opposite), &who, "PutObject", Some("logs/a"), &told), "{who:?}");
        }
    }
}

/// The same statements, denying: each part of them has to match.
#[test]
fn what_is_denied_to_a_service_is_denied_to_it_alone() {
    let deny = |document: &str| policy(&document.replace("\"Allow\"", "\"Deny\""));
    let (logs, lists) = (deny(LOGS), deny(LISTS));
    assert!(is_denied(&logs, Service::Logging, "logs/a") && is_denied(&lists, Service::S3, "a"));
    assert!(!is_denied(&logs, Service::S3, "logs/a") && !is_denied(&lists, Service::Logging, "a"));
    assert!(!is_denied(&logs, Service::Logging, "other/a"), "the key");
    for (from, to) in
        [("arn:aws:s3:::source", "arn:aws:s3:::another"), ("111122223333", "444455556666"), ("Put", "Get")]
    {
        assert!(!is_denied(&deny(&LOGS.replace(from, to)), Service::Logging, "logs/a"), "{to}");
    }
    let by_canonical_id = LOGS.replace("111122223333", &account("111122223333").canonical);
    assert!(is_denied(&deny(&by_canonical_id), Service::Logging, "logs/a"));
}

#[test]
fn what_is_denied_to_everybody_is_denied_to_services() {
    for (condition, expected) in [
        ("", true),
        // What policies commonly demand of everybody's connection, and what tells services from others.
        (r#"{"Bool": {"aws:SecureTransport": "false"}}"#, false),
        (r#"{"NumericLessThan": {"s3:TlsVersion": "1.2"}}"#, false),
        (r#"{"StringNotEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}"#, false),
        (r#"{"Bool": {"aws:PrincipalIsAWSService": "false"}}"#, false),
        (r#"{"Bool": {"aws:PrincipalIsAWSService": "true"}}"#, true),
        (r#"{"StringNotEquals": {"aws:PrincipalServiceName": "logging.s3.amazonaws.com"}}"#, false),
        (r#"{"StringNotEquals": {"aws:PrincipalServiceName": "s3.amazonaws.com"}}"#, true),
        // A service has no address and sends no header on encryption.
        (r#"{"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, false),
        (r#"{"Null": {"s3:x-amz-server-side-encryption": "true"}}"#, true),
        (r#"{"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}"#, true),
        (r#"{"NumericLessThan": {"aws:EpochTime": "1700000000"}}"#, false),
        (r#"{"StringNotEquals": {"aws:ResourceAccount": "111122223333"}}"#, false),
    ] {
        let rest =
            if condition.is_empty() { String::new() } else { format!(r#", "Condition": {condition}"#) };
        assert_eq!(is_denied(&one("Deny", "s3:PutObject", &rest), Service::Logging, "a"), expected, "{rest}");
    }
    let all_but = |but: &str| {
        policy(&format!(
            r#"{{"Statement": {{"Effect": "Deny", "NotPrincipal": {but}, "Action": "s3:PutObject", "Resource": "*"}}}}"#
        ))
    };
    assert!(is_denied(&all_but(r#"{"AWS": "111122223333"}"#), Service::S3, "a"));
    let but_one = all_but(r#"{"AWS": "111122223333", "Service": "s3.amazonaws.com"}"#);
    assert!(!is_denied(&but_one, Service::S3, "a") && is_denied(&but_one, Service::Logging, "a"));
    assert!(
        !is_denied(
            &policy(
                &LOGS
                    .replace("Allow", "Deny")
                    .replace(r#"{"Service": "logging.s3.amazonaws.com"}"#, r#"{"AWS": "111122223333"}"#)
            ),
            Service::Logging,
            "logs/a"
        ),
        "an account is no service"
    );
}

#[test]
fn other_services_are_refused_by_name_and_none_assumes_a_role() {
    for name in ["ec2.amazonaws.com", "delivery.logs.amazonaws.com", "S3.amazonaws.com", "*", ""] {
        let error = parse(&LOGS.replace("logging.s3.amazonaws.com", name)).unwrap_err();
        assert_eq!(
            error.message,
            format!("Invalid principal in policy: the service {name} does nothing in buckets here")
        );
        assert_eq!(error.detail.as_deref(), Some(name));
    }
    for value in ["[]", "{}"] {
        let error = parse(&LOGS.replace(r#""logging.s3.amazonaws.com""#, value)).unwrap_err();
        assert_eq!(
            (&*error.message, error.detail.as_deref()),
            ("Invalid principal in policy", Some("Service"))
        );
    }
    // Of who may assume a role another kind of policy tells, where the store itself is nobody either.
    let trust = r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}}"#;
    let trust = Policy::parse_trust(trust.as_bytes()).unwrap();
    let context = Context::default();
    for service in [Service::S3, Service::Logging] {
        let (principal, resource) = (Principal::Service(service), Resource::Other("arn:aws:iam::1:role/r"));
        let request =
            Request { principal: &principal, action: "sts:AssumeRole", resource, context: &context };
        assert_eq!(evaluate(&[&trust], &request), Verdict::NotMentioned, "{service}");
    }
}
