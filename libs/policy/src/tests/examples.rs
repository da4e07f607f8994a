//! Policies as AWS publishes them, and what they come to. Amazon S3 User Guide, "Examples of Amazon S3 bucket policies" and
//! "Bucket policy examples using condition keys".

use super::{allows, ask, denies, policy, root, user};
use crate::{Decider, Naming, Principal, Verdict};

const NOBODY: Principal = Principal::Anonymous;

#[test]
fn read_only_permission_for_public_users() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [{"Sid": "AddPerm", "Effect": "Allow", "Principal": "*",
           "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket/*"]}]}"#,
    );
    let decider = Decider { policy: 0, statement: 0, sid: Some("AddPerm"), naming: Naming::Own };
    assert_eq!(ask(&policy, &NOBODY, "GetObject", Some("a/b"), &[]), Verdict::Allowed(decider));
    assert!(allows(&policy, &root("111122223333"), "GetObjectVersion", Some("x"), &[]));
    for (action, key) in [("PutObject", Some("a")), ("ListBucket", None), ("GetObjectAcl", Some("a"))] {
        assert_eq!(ask(&policy, &NOBODY, action, key, &[]), Verdict::NotMentioned, "{action}");
    }
    assert!(policy.is_public());
}

#[test]
fn restricting_access_to_requests_over_tls() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [{"Sid": "RestrictToTLSRequestsOnly", "Action": "s3:*", "Effect": "Deny",
           "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket", "arn:aws:s3:::amzn-s3-demo-bucket/*"],
           "Condition": {"Bool": {"aws:SecureTransport": "false"}}, "Principal": "*"}]}"#,
    );
    let over = |tls| [("aws:SecureTransport", tls)];
    for (action, key) in [("GetObject", Some("a")), ("ListBucket", None), ("PutBucketPolicy", None)] {
        assert!(denies(&policy, &root("111122223333"), action, key, &over("false")), "{action}");
        assert!(!denies(&policy, &root("111122223333"), action, key, &over("true")), "{action}");
    }
    assert!(!policy.is_public());
}

#[test]
fn limiting_access_to_addresses() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Id": "S3PolicyId1", "Statement": [
           {"Sid": "IPAllow", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket", "arn:aws:s3:::amzn-s3-demo-bucket/*"],
            "Condition": {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:DB8:1234:5678::/64"]}}}]}"#,
    );
    for (address, denied) in [
        ("192.0.2.7", false),
        ("::ffff:192.0.2.7", false),
        ("2001:db8:1234:5678::1", false),
        ("192.0.3.7", true),
        ("2001:db8:1234:5679::1", true),
    ] {
        let from = [("aws:SourceIp", address)];
        assert_eq!(
            denies(&policy, &user("111122223333", "a"), "GetObject", Some("k"), &from),
            denied,
            "{address}"
        );
    }
    assert!(denies(&policy, &NOBODY, "GetObject", Some("k"), &[]), "from nowhere is not from there");
}

#[test]
fn restricting_access_to_a_referer() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Id": "HTTP referer policy example", "Statement": [
           {"Sid": "Allow only requests originating from www.example.com and example.com.", "Effect": "Allow",
            "Principal": "*", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"StringLike": {"aws:Referer": ["http://www.example.com/*", "http://example.com/*"]}}}]}"#,
    );
    for (referer, allowed) in [
        ("http://www.example.com/a", true),
        ("http://example.com/", true),
        ("http://example.com", false),
        ("http://evil.example/http://example.com/", false),
    ] {
        assert_eq!(
            allows(&policy, &NOBODY, "GetObject", Some("a"), &[("aws:Referer", referer)]),
            allowed,
            "{referer}"
        );
    }
    assert!(!allows(&policy, &NOBODY, "GetObject", Some("a"), &[]));
}

#[test]
fn users_have_folders_of_their_own() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [
           {"Sid": "AllowListingOfUserFolder", "Action": ["s3:ListBucket"], "Effect": "Allow",
            "Principal": {"AWS": "111122223333"}, "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket"],
            "Condition": {"StringLike": {"s3:prefix": ["home/${aws:username}/*", "home/${aws:username}"]}}},
           {"Sid": "AllowAllS3ActionsInUserFolder", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
            "Action": ["s3:*"], "Resource": ["arn:aws:s3:::amzn-s3-demo-bucket/home/${aws:username}/*"]}]}"#,
    );
    let bob = user("111122223333", "bob");
    let name = ("aws:username", "bob");
    assert!(allows(&policy, &bob, "PutObject", Some("home/bob/a"), &[name]));
    assert!(!allows(&policy, &bob, "PutObject", Some("home/alice/a"), &[name]));
    assert!(!allows(&policy, &user("444455556666", "bob"), "PutObject", Some("home/bob/a"), &[name]));
    assert!(allows(&policy, &bob, "ListBucket", None, &[name, ("s3:prefix", "home/bob/x")]));
    assert!(!allows(&policy, &bob, "ListBucket", None, &[name, ("s3:prefix", "home/")]));
    // Whoever has no name has no folder, not even one that is called as the variable is, or by wildcards.
    assert!(!allows(&policy, &root("111122223333"), "GetObject", Some("home/${aws:username}/a"), &[]));
    let star = user("111122223333", "*");
    assert!(!allows(&policy, &star, "GetObject", Some("home/bob/a"), &[("aws:username", "*")]));
    assert!(!policy.is_public());
}

#[test]
fn objects_are_managed_by_their_tags() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [
           {"Principal": {"AWS": "arn:aws:iam::111122223333:user/JohnDoe"}, "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"StringEquals": {"s3:ExistingObjectTag/environment": "production"}}},
           {"Principal": {"AWS": "arn:aws:iam::111122223333:user/JohnDoe"}, "Effect": "Allow",
            "Action": "s3:PutObjectTagging", "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": ["Owner", "CreationDate"]}}}]}"#,
    );
    let john = user("111122223333", "JohnDoe");
    let tag = |value| [("s3:ExistingObjectTag/environment", value)];
    assert!(allows(&policy, &john, "GetObject", Some("k"), &tag("production")));
    assert!(!allows(&policy, &john, "GetObject", Some("k"), &tag("test")));
    assert!(!allows(&policy, &john, "GetObject", Some("k"), &[]));
    assert!(!allows(&policy, &root("111122223333"), "GetObject", Some("k"), &tag("production")));
    assert!(policy.asks_for("s3:ExistingObjectTag/") && !policy.asks_for("s3:RequestObjectTag/"));
    let keys = |keys: &[&'static str]| -> Vec<(&'static str, &'static str)> {
        keys.iter().map(|key| ("s3:RequestObjectTagKeys", *key)).collect()
    };
    for (sent, allowed) in [
        (keys(&["Owner"]), true),
        (keys(&["Owner", "CreationDate"]), true),
        (keys(&["Owner", "Cost"]), false),
        (keys(&[]), true),
    ] {
        assert_eq!(allows(&policy, &john, "PutObjectTagging", Some("k"), &sent), allowed, "{sent:?}");
    }
}

#[test]
fn writes_must_be_conditional() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [
           {"Sid": "AllowConditionalPut", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/Alice"},
            "Action": "s3:PutObject", "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"Null": {"s3:if-none-match": "false"}}},
           {"Sid": "AllowConditionalPutwithMPUs", "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:user/Alice"}, "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"Bool": {"s3:ObjectCreationOperation": "false"}}}]}"#,
    );
    let alice = user("111122223333", "Alice");
    let creates = ("s3:ObjectCreationOperation", "true");
    assert!(allows(&policy, &alice, "PutObject", Some("k"), &[creates, ("s3:if-none-match", "*")]));
    assert!(!allows(&policy, &alice, "PutObject", Some("k"), &[creates]));
    assert!(allows(&policy, &alice, "PutObject", Some("k"), &[("s3:ObjectCreationOperation", "false")]));
}

#[test]
fn retention_is_limited() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Id": "SetRetentionLimits", "Statement": [
           {"Sid": "SetRetentionPeriod", "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObjectRetention"],
            "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
            "Condition": {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}}]}"#,
    );
    let days = |days| [("s3:object-lock-remaining-retention-days", days)];
    assert!(denies(&policy, &NOBODY, "PutObjectRetention", Some("k"), &days("11")));
    assert!(!denies(&policy, &NOBODY, "PutObjectRetention", Some("k"), &days("10")));
    assert!(!denies(&policy, &NOBODY, "PutObjectRetention", Some("k"), &[]));
}

#[test]
fn everything_but() {
    let policy = policy(
        r#"{"Version": "2012-10-17", "Statement": [
           {"Effect": "Deny", "NotPrincipal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:user/Bob"]},
            "NotAction": "s3:Get*", "NotResource": "arn:aws:s3:::amzn-s3-demo-bucket/open/*"}]}"#,
    );
    let denied = |who: &Principal, action, key| denies(&policy, who, action, Some(key), &[]);
    assert!(denied(&NOBODY, "PutObject", "a"));
    assert!(denied(&root("444455556666"), "PutObject", "a"));
    assert!(!denied(&NOBODY, "GetObject", "a"));
    assert!(!denied(&NOBODY, "PutObject", "open/a"));
    assert!(!denied(&root("111122223333"), "PutObject", "a"));
    assert!(denied(&user("111122223333", "x"), "PutObject", "a"), "its users are named by themselves");
    assert!(!denied(&user("444455556666", "Bob"), "PutObject", "a"));
}
