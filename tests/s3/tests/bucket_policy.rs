//! GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus, and what a policy does to the owner's
//! requests. What it does to those of others is in `anonymous.rs`, every operation's action in `completeness.rs`.

use harness::{Bucket, Request, Server, md5_base64};
use http::Method;

use crate::{access_control::put_ownership, object_lock_configuration::locking_bucket};

pub(crate) fn policy(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("policy")
}

/// A document of these statements, in which `BUCKET` stands for the bucket's ARN.
pub(crate) fn document(bucket: &Bucket, statements: &[&str]) -> String {
    let statements = statements.join(", ").replace("BUCKET", &format!("arn:aws:s3:::{}", bucket.name));
    format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#)
}

#[track_caller]
pub(crate) fn set(bucket: &Bucket, statements: &[&str]) {
    policy(bucket, Method::PUT).body(document(bucket, statements)).send().expect(204);
}

/// A statement that lets everybody do this to every object.
pub(crate) fn allow(action: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Principal": "*", "Action": "{action}", "Resource": "BUCKET/*"}}"#)
}

/// A statement that denies this to everybody if `condition` holds.
fn deny_if(action: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect": "Deny", "Principal": "*", "Action": {action}, "Resource": ["BUCKET", "BUCKET/*"],
           "Condition": {condition}}}"#
    )
}

#[test]
fn a_policy_comes_back_byte_for_byte_and_is_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    policy(&bucket, Method::GET).refused(404, "NoSuchBucketPolicy");
    for statement in [allow("s3:GetObject"), allow("s3:Put*").replace(": ", " :\n\t")] {
        let document = document(&bucket, &[&statement]);
        let put = policy(&bucket, Method::PUT).body(&document).send().expect(204);
        assert!(put.body.is_empty());
        let found = policy(&bucket, Method::GET).ok();
        assert_eq!(found.get("content-type"), "application/json");
        assert_eq!(found.body, document.as_bytes());
    }
    for _ in 0..2 {
        policy(&bucket, Method::DELETE).send().expect(204);
        policy(&bucket, Method::GET).refused(404, "NoSuchBucketPolicy");
    }
    let missing = server.client().existing_bucket("missing");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        policy(&missing, method).refused(404, "NoSuchBucket");
    }
}

#[test]
fn the_status_tells_whether_a_policy_is_public() {
    let server = Server::start();
    let bucket = server.bucket();
    let status = |bucket: &Bucket| bucket.request(Method::GET).raw_query("policyStatus");
    status(&bucket).refused(404, "NoSuchBucketPolicy");
    let from = |range: &str| {
        allow("s3:GetObject").replace(
            r#""Resource""#,
            &format!(r#""Condition": {{"IpAddress": {{"aws:SourceIp": "{range}"}}}}, "Resource""#),
        )
    };
    let deny = deny_if(r#""s3:*""#, r#"{"Bool": {"aws:SecureTransport": "false"}}"#);
    for (statement, expected) in [
        (allow("s3:GetObject"), "true"),
        (from("192.0.2.0/24"), "false"),
        (from("0.0.0.0/0"), "true"),
        (deny, "false"),
    ] {
        set(&bucket, &[&statement]);
        // The last of them denies what is not over TLS, this too.
        if statement.contains("Deny") {
            status(&bucket).refused(403, "AccessDenied");
            let never = statement.replace(r#""false""#, r#""true""#);
            set(&bucket, &[&never]);
        }
        assert_eq!(status(&bucket).ok().xml().get("IsPublic"), expected, "{statement}");
    }
}

#[test]
fn documents_that_cannot_be_enforced_are_refused_and_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    let before = document(&bucket, &[&allow("s3:GetObject")]);
    policy(&bucket, Method::PUT).body(&before).send().expect(204);
    let statement = allow("s3:GetObject");
    for (bad, message) in [
        (String::new(), "Policies must be valid JSON and the first byte must be '{'"),
        ("{".to_owned(), "This policy contains invalid Json"),
        (document(&bucket, &[]), "Statement is empty!"),
        (document(&bucket, &[&statement.replace("GetObject", "Fly")]), "Policy has invalid action"),
        (
            document(&bucket, &[&statement.replace("BUCKET", "arn:aws:s3:::other")]),
            "Policy has invalid resource",
        ),
        (
            document(&bucket, &[&statement.replace(r#""*""#, r#"{"AWS": "111122223333"}"#)]),
            "Invalid principal in policy",
        ),
        (
            document(&bucket, &[&statement.replace(r#""*""#, r#"{"Service": "x.amazonaws.com"}"#)]),
            "Invalid principal in policy: the service x.amazonaws.com does nothing in buckets here",
        ),
        (
            document(&bucket, &[&deny_if(r#""s3:*""#, r#"{"StringEquals": {"aws:SourceVpc": "x"}}"#)]),
            "Policy has an invalid condition key: aws:SourceVpc",
        ),
        (
            document(&bucket, &[&deny_if(r#""s3:*""#, r#"{"StringEquals": {"s3:x-amz-grant-all": "x"}}"#)]),
            "Policy has an invalid condition key: s3:x-amz-grant-all",
        ),
        (
            document(&bucket, &[&statement])
                .replace("Statement", &format!("{}Statement", " ".repeat(20 << 10))),
            "Policy exceeds the maximum allowed document size.",
        ),
    ] {
        let error = policy(&bucket, Method::PUT).body(&bad).refused(400, "MalformedPolicy");
        assert_eq!(error.get("Message"), message, "{bad}");
    }
    for key in ["aws:SourceVpce", "aws:PrincipalOrgID", "aws:SourceOrgID", "aws:MultiFactorAuthAge"] {
        let bad = document(&bucket, &[&deny_if(r#""s3:*""#, &format!(r#"{{"Null": {{"{key}": "true"}}}}"#))]);
        let error = policy(&bucket, Method::PUT).body(&bad).refused(400, "MalformedPolicy");
        assert_eq!(error.get("Message"), format!("Policy has an invalid condition key: {key}"));
    }
    policy(&bucket, Method::PUT).body(vec![b'x'; 100 << 10]).refused(400, "MaxMessageLengthExceeded");
    let wrong = md5_base64(b"something else");
    policy(&bucket, Method::PUT).body(&before).header("content-md5", wrong).refused(400, "BadDigest");
    assert_eq!(policy(&bucket, Method::GET).ok().body, before.as_bytes());
}

#[test]
fn the_owner_is_named_by_his_id() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let owner = bucket.request(Method::GET).raw_query("acl").ok().xml().get("Owner/ID").to_owned();
    for principal in [
        format!(r#"{{"AWS": "{owner}"}}"#),
        format!(r#"{{"CanonicalUser": "{owner}"}}"#),
        format!(r#"{{"AWS": ["arn:aws:iam::{owner}:root"]}}"#),
    ] {
        let statement = allow("s3:GetObject").replace("Allow", "Deny").replace(r#""*""#, &principal);
        set(&bucket, &[&statement]);
        bucket.get("key").refused(403, "AccessDenied");
        policy(&bucket, Method::DELETE).send().expect(204);
    }
    let but_him = format!(r#""NotPrincipal": {{"AWS": "{owner}"}}"#);
    set(&bucket, &[&allow("s3:GetObject").replace("Allow", "Deny").replace(r#""Principal": "*""#, &but_him)]);
    bucket.get("key").ok();
}

/// A policy holds from the answer to its PutBucketPolicy on, and no longer than to that of the next.
#[test]
fn a_policy_holds_at_once() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let deny = allow("s3:GetObject").replace("Allow", "Deny");
    for _ in 0..20 {
        set(&bucket, &[&deny]);
        bucket.get("key").refused(403, "AccessDenied");
        policy(&bucket, Method::DELETE).send().expect(204);
        bucket.get("key").ok();
    }
}

#[test]
fn nobody_locks_himself_out() {
    let server = Server::start();
    let bucket = server.bucket();
    let deny =
        r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["BUCKET", "BUCKET/*"]}"#;
    set(&bucket, &[deny]);
    bucket.list().refused(403, "AccessDenied");
    bucket.put("key", "x").refused(403, "AccessDenied");
    bucket.request(Method::DELETE).refused(403, "AccessDenied");
    bucket.request(Method::GET).raw_query("policyStatus").refused(403, "AccessDenied");
    policy(&bucket, Method::GET).ok();
    set(&bucket, &[deny]);
    policy(&bucket, Method::DELETE).send().expect(204);
    bucket.put("key", "x").ok();
}

#[test]
fn a_policy_goes_with_its_bucket() {
    let server = Server::start();
    let bucket = server.bucket();
    set(&bucket, &[&allow("s3:GetObject")]);
    bucket.request(Method::DELETE).send().expect(204);
    bucket.request(Method::PUT).ok();
    policy(&bucket, Method::GET).refused(404, "NoSuchBucketPolicy");
}

#[test]
fn a_public_policy_is_kept_out_by_the_block_of_public_access() {
    let server = Server::start();
    let bucket = server.bucket();
    let document = "<PublicAccessBlockConfiguration><BlockPublicPolicy>true</BlockPublicPolicy>\
                    </PublicAccessBlockConfiguration>";
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(document).ok();
    let public = self::document(&bucket, &[&allow("s3:GetObject")]);
    policy(&bucket, Method::PUT).body(&public).refused(403, "AccessDenied");
    policy(&bucket, Method::GET).refused(404, "NoSuchBucketPolicy");
    set(&bucket, &[&deny_if(r#""s3:*""#, r#"{"Bool": {"aws:SecureTransport": "true"}}"#)]);
    bucket.request(Method::DELETE).raw_query("publicAccessBlock").send().expect(204);
    policy(&bucket, Method::PUT).body(&public).send().expect(204);
}

/// Conditions on what a request says, each with a request that is denied by it and one that is not.
#[test]
fn conditions_are_held_against_requests() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.put("tagged", "content").header("x-amz-tagging", "secret=yes&a=b").ok();
    let get = || bucket.get("key");
    let put = || bucket.put("new", "content");
    let list = |name: &str, value: &str| bucket.list().query(name, value);
    let copy = |source: &str| bucket.copy(&format!("{}/{source}", bucket.name), "copy");
    let tag = |document: &str| {
        let document = format!("<Tagging><TagSet>{document}</TagSet></Tagging>");
        bucket.object(Method::PUT, "key").raw_query("tagging").body(document)
    };
    const SECRET: &str = "<Tag><Key>secret</Key><Value>yes</Value></Tag>";
    const OPEN: &str = "<Tag><Key>open</Key><Value>yes</Value></Tag>";
    let cases: Vec<(&str, &str, Request, Request)> = vec![
        (
            r#""s3:GetObject""#,
            r#"{"StringLike": {"aws:UserAgent": "bad*"}}"#,
            get().header("user-agent", "bad/1"),
            get().header("user-agent", "good/1"),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"StringNotLike": {"aws:Referer": "http://a/*"}}"#,
            get(),
            get().header("referer", "http://a/b"),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}"#,
            get().presigned(60),
            get(),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"StringNotEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}"#,
            get().anonymous(),
            get(),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"NumericGreaterThan": {"s3:signatureAge": "60000"}}"#,
            get().presigned(600).signed_at(harness::now_seconds() - 120),
            get().presigned(600),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}"#,
            put().unsigned_payload(),
            put(),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}"#,
            put().header("x-amz-acl", "bucket-owner-full-control"),
            put(),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringLike": {"s3:x-amz-website-redirect-location": "http*"}}"#,
            put().header("x-amz-website-redirect-location", "https://elsewhere/"),
            put().header("x-amz-website-redirect-location", "/here"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"Null": {"s3:x-amz-storage-class": "true"}}"#,
            put(),
            put().header("x-amz-storage-class", "STANDARD"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringEquals": {"s3:RequestObjectTag/a": "1"}}"#,
            put().header("x-amz-tagging", "a=1"),
            put().header("x-amz-tagging", "a=2"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}}"#,
            put().header("x-amz-tagging", "a=1&c=1"),
            put().header("x-amz-tagging", "a=1&b=1"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}"#,
            put(),
            bucket.put("newer", "").header("if-none-match", "*"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"Bool": {"s3:ObjectCreationOperation": "false"}}"#,
            bucket.create_upload("new"),
            put(),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringLike": {"s3:x-amz-copy-source": "*/tagged"}}"#,
            copy("%74agged"),
            copy("key"),
        ),
        (
            r#""s3:PutObject""#,
            r#"{"StringEquals": {"s3:x-amz-metadata-directive": "REPLACE"}}"#,
            copy("key").header("x-amz-metadata-directive", "REPLACE"),
            copy("key"),
        ),
        (
            r#""s3:ListBucket""#,
            r#"{"StringNotEquals": {"s3:prefix": "a/"}}"#,
            bucket.list(),
            list("prefix", "a/"),
        ),
        (
            r#""s3:ListBucket""#,
            r#"{"StringEquals": {"s3:delimiter": "/"}}"#,
            list("delimiter", "/"),
            list("delimiter", "-"),
        ),
        (
            r#""s3:ListBucket""#,
            r#"{"NumericGreaterThan": {"s3:max-keys": "10"}}"#,
            list("max-keys", "11"),
            list("max-keys", "10"),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#,
            bucket.get("tagged"),
            get(),
        ),
        (
            r#""s3:GetObject""#,
            r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#,
            copy("tagged"),
            copy("key"),
        ),
        (
            r#""s3:DeleteObject""#,
            r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#,
            bucket.delete("tagged"),
            bucket.delete("nothing"),
        ),
        (
            r#""s3:PutObjectTagging""#,
            r#"{"StringEquals": {"s3:RequestObjectTag/secret": "yes"}}"#,
            tag(SECRET),
            tag(OPEN),
        ),
        (
            r#""s3:PutObjectTagging""#,
            r#"{"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": "secret"}}"#,
            tag(SECRET).header("x-amz-tagging", "open=1"),
            tag(OPEN),
        ),
    ];
    for (action, condition, denied, allowed) in cases {
        set(&bucket, &[&deny_if(action, condition)]);
        denied.refused(403, "AccessDenied");
        let answer = allowed.send();
        assert!(answer.status < 300, "{condition}: {answer:?}");
    }
    // And what is so of every request of this test.
    let id = bucket.request(Method::GET).raw_query("acl").ok().xml().get("Owner/ID").to_owned();
    let by_canonical_id = |operator: &str, key: &str, [before, after]: [&str; 2]| {
        format!(r#"{{"{operator}": {{"{key}": "{before}{id}{after}"}}}}"#)
    };
    let (alone, arn) = (["", ""], ["arn:aws:iam::", ":root"]);
    for (condition, holds) in [
        (r#"{"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}"#, true),
        (r#"{"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}"#, false),
        (r#"{"Bool": {"aws:SecureTransport": "false"}}"#, true),
        (r#"{"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}"#, true),
        (r#"{"NumericLessThan": {"aws:EpochTime": "1600000000"}}"#, false),
        (r#"{"StringEquals": {"aws:PrincipalType": "Account"}}"#, true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}}"#, true),
        (r#"{"Null": {"aws:username": "false"}}"#, false),
        (r#"{"Bool": {"aws:ViaAWSService": "false"}}"#, true),
        (r#"{"Bool": {"aws:PrincipalIsAWSService": "false"}}"#, true),
        (r#"{"Null": {"aws:PrincipalServiceName": "true"}}"#, true),
        (r#"{"Null": {"aws:SourceAccount": "true", "aws:SourceArn": "true"}}"#, true),
        // As on AWS: keys that last have no word of it.
        (r#"{"Null": {"aws:MultiFactorAuthPresent": "true"}}"#, true),
        (r#"{"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}"#, true),
        (r#"{"Null": {"s3:TlsVersion": "true"}}"#, true),
        (r#"{"NumericLessThan": {"s3:TlsVersion": "1.2"}}"#, false),
        (
            r#"{"StringEquals": {"aws:userid": "${aws:PrincipalAccount}", "s3:ResourceAccount": "${aws:userid}"}}"#,
            true,
        ),
        // The account is known by its canonical id too, as when it had no other.
        (&by_canonical_id("StringEquals", "aws:PrincipalAccount", alone), true),
        (&by_canonical_id("StringNotEquals", "aws:PrincipalAccount", alone), false),
        (&by_canonical_id("ForAnyValue:StringNotEquals", "aws:PrincipalAccount", alone), false),
        (&by_canonical_id("StringNotEquals", "aws:userid", alone), false),
        (&by_canonical_id("StringNotEquals", "s3:ResourceAccount", alone), false),
        (&by_canonical_id("StringNotLike", "aws:PrincipalArn", arn), false),
        (&by_canonical_id("StringEquals", "aws:PrincipalType", alone), false),
    ] {
        set(&bucket, &[&deny_if(r#""s3:GetObject""#, condition)]);
        assert_eq!(get().send().status == 403, holds, "{condition}");
    }
}

#[test]
fn versions_have_rights_of_their_own() {
    let server = Server::start();
    let bucket = server.bucket();
    put_ownership(&bucket, "ObjectWriter").ok();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "old");
    bucket.put_version("key", "new");
    let deny = |action: &str| {
        format!(r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:{action}", "Resource": "BUCKET/*"}}"#)
    };
    let sub = |method: Method, name: &str| bucket.object(method, "key").raw_query(name);
    const TAGS: &str = "<Tagging><TagSet/></Tagging>";
    for (of_current, of_version, request) in [
        ("GetObject", "GetObjectVersion", bucket.get("key")),
        ("GetObjectTagging", "GetObjectVersionTagging", sub(Method::GET, "tagging")),
        ("PutObjectTagging", "PutObjectVersionTagging", sub(Method::PUT, "tagging").body(TAGS)),
        ("GetObjectAcl", "GetObjectVersionAcl", sub(Method::GET, "acl")),
        ("PutObjectAcl", "PutObjectVersionAcl", sub(Method::PUT, "acl").header("x-amz-acl", "private")),
        ("DeleteObjectTagging", "DeleteObjectVersionTagging", sub(Method::DELETE, "tagging")),
        ("DeleteObject", "DeleteObjectVersion", bucket.delete("key")),
    ] {
        let by_version = || request.clone().query("versionId", &version);
        set(&bucket, &[&deny(of_version)]);
        by_version().refused(403, "AccessDenied");
        assert!(request.clone().send().status < 300, "{of_version}");
        set(&bucket, &[&deny(of_current)]);
        request.clone().refused(403, "AccessDenied");
        assert!(by_version().send().status < 300, "{of_current}");
    }
    let other = bucket.put_version("key", "other");
    let id = format!(r#"{{"StringEquals": {{"s3:VersionId": "{other}"}}}}"#);
    set(&bucket, &[&deny_if(r#""s3:GetObjectVersion""#, &id)]);
    bucket.get("key").query("versionId", &other).refused(403, "AccessDenied");
    let another = bucket.put_version("key", "another");
    bucket.get("key").query("versionId", &another).ok();
}

#[test]
fn what_a_write_does_beside_takes_rights_too() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let until = "2099-01-01T00:00:00Z";
    let put = || bucket.put("new", "x").header("content-md5", md5_base64(b"x"));
    let source = format!("{}/tagged", bucket.name);
    bucket.put("tagged", "content").header("x-amz-tagging", "a=b").ok();
    for (action, request) in [
        ("PutObjectTagging", put().header("x-amz-tagging", "a=b")),
        ("PutObjectTagging", bucket.create_upload("new").header("x-amz-tagging", "a=b")),
        ("PutObjectTagging", bucket.copy(&source, "copy")),
        ("GetObjectTagging", bucket.copy(&source, "copy")),
        ("GetObject", bucket.copy(&source, "copy")),
        ("GetObject", bucket.put("key", "x").header("if-match", &etag)),
        ("PutObjectAcl", put().header("x-amz-acl", "bucket-owner-full-control")),
        ("PutObjectLegalHold", put().header("x-amz-object-lock-legal-hold", "ON")),
        (
            "PutObjectRetention",
            put()
                .header("x-amz-object-lock-mode", "GOVERNANCE")
                .header("x-amz-object-lock-retain-until-date", until),
        ),
        (
            "BypassGovernanceRetention",
            bucket.delete("key").header("x-amz-bypass-governance-retention", "true"),
        ),
    ] {
        set(&bucket, &[&allow(&format!("s3:{action}")).replace("Allow", "Deny")]);
        request.clone().refused(403, "AccessDenied");
        policy(&bucket, Method::DELETE).send().expect(204);
        let answer = request.send();
        assert!(answer.status < 300 || answer.status == 412, "{action}: {answer:?}");
    }
}

/// Days that have begun count, and the body of PutObjectRetention says as much as the headers of PutObject.
#[test]
fn retentions_are_limited() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("key", "content").ok();
    set(
        &bucket,
        &[&deny_if(
            r#"["s3:PutObject", "s3:PutObjectRetention"]"#,
            r#"{"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}"#,
        )],
    );
    let in_days = |days: i64| {
        let time = types::Timestamp((harness::now_seconds() + days * 86_400) * 1000);
        s3_wire::date::xml_date(time).to_string()
    };
    let retain = |days| {
        let document = format!(
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
            in_days(days)
        );
        bucket.object(Method::PUT, "key").raw_query("retention").body(document)
    };
    let put = |days| {
        let put = bucket.put("other", "x").header("content-md5", md5_base64(b"x"));
        let put = put.header("x-amz-object-lock-mode", "GOVERNANCE");
        put.header("x-amz-object-lock-retain-until-date", in_days(days))
    };
    retain(12).refused(403, "AccessDenied");
    put(12).refused(403, "AccessDenied");
    retain(9).ok();
    put(9).ok();
    let hold = |status: &str| {
        let document = format!("<LegalHold><Status>{status}</Status></LegalHold>");
        bucket.object(Method::PUT, "key").raw_query("legal-hold").body(document)
    };
    let condition = r#"{"StringEquals": {"s3:object-lock-legal-hold": "OFF"}}"#;
    set(&bucket, &[&deny_if(r#""s3:PutObjectLegalHold""#, condition)]);
    hold("ON").ok();
    hold("OFF").refused(403, "AccessDenied");
}

/// Each object of a DeleteObjects is decided on for itself.
#[test]
fn a_batch_of_deletes_is_denied_key_by_key() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["free", "kept/a", "kept/b", "tagged"] {
        bucket.put(key, "content").header("x-amz-tagging", format!("of={}", key.replace('/', "-"))).ok();
    }
    set(
        &bucket,
        &[
            r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "BUCKET/kept/*"}"#,
            &deny_if(r#""s3:DeleteObject""#, r#"{"StringEquals": {"s3:ExistingObjectTag/of": "tagged"}}"#),
        ],
    );
    let object = |key: &str| format!("<Object><Key>{key}</Key></Object>");
    let objects: String = ["free", "kept/a", "tagged", "nothing"].map(object).concat();
    let answer = bucket.delete_objects(&format!("<Delete>{objects}</Delete>")).ok().xml();
    assert_eq!(answer.all("Deleted/Key"), ["free", "nothing"]);
    assert_eq!(answer.all("Error/Key"), ["kept/a", "tagged"]);
    assert_eq!(answer.all("Error/Code"), ["AccessDenied", "AccessDenied"]);
    assert_eq!(bucket.keys(), ["kept/a", "kept/b", "tagged"]);
}

/// A rename reads its source and takes it away.
#[test]
fn a_rename_takes_rights_on_both_keys() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("from", "content").header("x-amz-tagging", "secret=yes").ok();
    let rename = |from: &str| {
        let request = bucket.object(Method::PUT, "to").raw_query("renameObject");
        request.header("x-amz-rename-source", from)
    };
    let deny = |action: &str, key: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:{action}", "Resource": "BUCKET/{key}"}}"#
        )
    };
    let tagged = r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#;
    for statement in [
        deny("GetObject", "from"),
        deny("DeleteObject", "from"),
        deny("PutObject", "to"),
        deny_if(r#""s3:GetObject""#, tagged),
    ] {
        set(&bucket, &[&statement]);
        rename("from").refused(403, "AccessDenied");
        assert_eq!(bucket.keys(), ["from"], "{statement}");
    }
    set(
        &bucket,
        &[r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": "BUCKET"}"#],
    );
    rename("missing").refused(403, "AccessDenied");
    set(&bucket, &[&deny("GetObject", "to")]);
    rename("missing").refused(404, "NoSuchKey");
    rename("from").ok();
    assert_eq!(bucket.keys(), ["to"]);
}

/// Each object of a prefix is decided on, and what is under both prefixes is learnt.
#[test]
fn a_renamed_prefix_takes_rights_on_all_of_its_keys() {
    let server = Server::start();
    let bucket = server.bucket();
    for number in 0..40 {
        bucket.put(&format!("from/{number:02}"), "content").ok();
    }
    bucket.put("from/33", "content").header("x-amz-tagging", "secret=yes").ok();
    let keys = bucket.keys();
    let rename =
        || bucket.object(Method::PUT, "to/").raw_query("renameObject").header("x-amz-rename-source", "from/");
    let deny = |action: &str, key: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:{action}", "Resource": "BUCKET/{key}"}}"#
        )
    };
    let deny_listing = |prefix: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": "BUCKET",
                "Condition": {{"StringEquals": {{"s3:prefix": "{prefix}"}}}}}}"#
        )
    };
    let tagged = r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#;
    for statement in [
        deny("GetObject", "from/33"),
        deny("DeleteObject", "from/33"),
        deny("GetObjectTagging", "from/33"),
        deny("PutObject", "to/33"),
        deny("PutObject", "to/"),
        deny("PutObjectTagging", "to/33"),
        deny_if(r#""s3:GetObject""#, tagged),
        deny_if(r#""s3:DeleteObject""#, tagged),
        deny_listing("from/"),
        deny_listing("to/"),
    ] {
        set(&bucket, &[&statement]);
        rename().refused(403, "AccessDenied");
        policy(&bucket, Method::DELETE).send().expect(204);
        assert_eq!(bucket.keys(), keys, "{statement}");
    }
    set(&bucket, &[&deny("PutObjectTagging", "to/34"), &deny("DeleteObject", "to/*"), &deny_listing("")]);
    rename().ok();
    policy(&bucket, Method::DELETE).send().expect(204);
    assert_eq!(bucket.keys().len(), 40);
    bucket.get("to/33").ok();
}

#[test]
fn a_copy_is_decided_on_by_both_buckets() {
    let server = Server::start();
    let (from, to) = (server.bucket(), server.bucket());
    from.put("key", "content").ok();
    let source = format!("{}/key", from.name);
    set(&from, &[&allow("s3:GetObject").replace("Allow", "Deny")]);
    to.copy(&source, "copy").refused(403, "AccessDenied");
    let upload = to.upload("parts");
    upload.copy(1, &source).refused(403, "AccessDenied");
    set(&from, &[&allow("s3:PutObject").replace("Allow", "Deny")]);
    to.copy(&source, "copy").ok();
    upload.copy(1, &source).ok();
    set(&to, &[&allow("s3:PutObject").replace("Allow", "Deny")]);
    to.copy(&source, "copy").refused(403, "AccessDenied");
    upload.copy(1, &source).refused(403, "AccessDenied");
    // Whoever may not list the source's bucket does not learn what is not in it.
    policy(&to, Method::DELETE).send().expect(204);
    let missing = format!("{}/missing", from.name);
    to.copy(&missing, "copy").refused(404, "NoSuchKey");
    set(&from, &[r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": "BUCKET"}"#]);
    to.copy(&missing, "copy").refused(403, "AccessDenied");
    to.copy(&source, "copy").ok();
}

/// However a body comes unsigned, a policy that wants it signed denies it: without a header that says so too.
#[test]
fn bodies_that_are_not_signed_can_be_denied() {
    let server = Server::start();
    let bucket = server.bucket();
    let unsigned = r#"{"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}"#;
    set(&bucket, &[&allow("s3:PutObject"), &deny_if(r#""s3:PutObject""#, unsigned)]);
    bucket.put("key", "x").ok();
    bucket.put("key", "x").unsigned_payload().refused(403, "AccessDenied");
    bucket.put("key", "x").presigned(60).refused(403, "AccessDenied");
    bucket.put("key", "x").anonymous().refused(403, "AccessDenied");
    bucket.form().field("key", "key").signed("x").refused(403, "AccessDenied");
    let pretended = bucket.form().field("key", "key").field("x-amz-content-sha256", "signed");
    assert_ne!(pretended.signed("x").send().status, 204);
    assert_eq!(bucket.get("key").ok().body, b"x");
}

/// A form is told from others by who sends it, not by what its fields say of that.
#[test]
fn forms_are_from_where_their_request_is_from() {
    let server = Server::start();
    let bucket = server.bucket();
    set(&bucket, &[&deny_if(r#""s3:PutObject""#, r#"{"StringLike": {"aws:UserAgent": "bad*"}}"#)]);
    let form = || bucket.form().field("key", "key").signed("x");
    form().unsigned_header("user-agent", "bad browser").refused(403, "AccessDenied");
    form().unsigned_header("user-agent", "good browser").send().expect(204);
}

/// How many tags an object has, and what locks it, is told to those who may ask for it.
#[test]
fn what_has_rights_of_its_own_is_not_told_beside_an_object() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let put = bucket.put("key", "content").header("x-amz-tagging", "a=b");
    put.header("x-amz-object-lock-legal-hold", "ON").ok();
    set(&bucket, &[&allow("s3:GetObject")]);
    for request in [bucket.get("key"), bucket.head("key")] {
        let answer = request.anonymous().ok();
        assert_eq!(answer.header("x-amz-tagging-count"), None);
        assert_eq!(answer.header("x-amz-object-lock-legal-hold"), None);
    }
    set(&bucket, &[&allow("s3:GetObject"), &allow("s3:GetObjectTagging"), &allow("s3:GetObjectLegalHold")]);
    let answer = bucket.get("key").anonymous().ok();
    assert_eq!(answer.get("x-amz-tagging-count"), "1");
    assert_eq!(answer.get("x-amz-object-lock-legal-hold"), "ON");
    assert_eq!(bucket.head("key").ok().get("x-amz-tagging-count"), "1");
}

/// Whoever no statement can allow it learns nothing by a bad body either.
#[test]
fn a_bad_body_does_not_tell_what_is_there() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    set(
        &bucket,
        &[&deny_if(r#""s3:PutObjectTagging""#, r#"{"Null": {"s3:RequestObjectTag/team": "true"}}"#)],
    );
    for key in ["key", "missing"] {
        let request = bucket.object(Method::PUT, key).raw_query("tagging").body("<nonsense>").anonymous();
        request.refused(403, "AccessDenied");
    }
}

/// Patterns are compared with what strangers send: nothing is cut off, as what denies might then not match.
#[test]
fn what_is_too_long_to_be_compared_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let long = "a".repeat(2049);
    for name in ["user-agent", "referer"] {
        bucket.get("key").header(name, &long).ok();
    }
    let pattern = format!(r#"{{"StringLike": {{"aws:UserAgent": "*{}b"}}}}"#, "a".repeat(2000));
    set(&bucket, &[&allow("s3:GetObject"), &deny_if(r#""s3:*""#, &pattern)]);
    for get in [|bucket: &Bucket| bucket.get("key"), |bucket: &Bucket| bucket.get("key").anonymous()] {
        for name in ["user-agent", "referer"] {
            get(&bucket).unsigned_header(name, &long).refused(400, "InvalidRequest");
        }
        get(&bucket).unsigned_header("user-agent", &long[..2048]).ok();
        get(&bucket)
            .unsigned_header("user-agent", format!("{}b", &long[..2047]))
            .refused(403, "AccessDenied");
    }
}

/// The keys of grants are the headers as they were sent.
#[test]
fn a_policy_asks_for_a_grant_to_the_bucket_owner() {
    let server = Server::start();
    let bucket = server.bucket();
    let acl = bucket.request(Method::GET).raw_query("acl").ok().xml();
    let (right, other) = (format!("id={}", acl.get("Owner/ID")), format!("id=\"{}\"", acl.get("Owner/ID")));
    let wanted = format!(r#"{{"StringNotEquals": {{"s3:x-amz-grant-full-control": "{right}"}}}}"#);
    set(&bucket, &[&deny_if(r#""s3:PutObject""#, &wanted)]);
    let put = |grant: &str| bucket.put("key", "content").header("x-amz-grant-full-control", grant);
    bucket.put("key", "content").refused(403, "AccessDenied");
    put(&other).refused(403, "AccessDenied");
    bucket.get("key").refused(404, "NoSuchKey");
    put(&right).ok();
    for name in ["read", "read-acp", "write", "write-acp"] {
        let condition = format!(r#"{{"Null": {{"s3:x-amz-grant-{name}": "true"}}}}"#);
        set(&bucket, &[&deny_if(r#""s3:PutObject""#, &condition)]);
        bucket.put("key", "content").refused(403, "AccessDenied");
    }
    let elsewhere = r#"{"StringEquals": {"s3:x-amz-grant-read": "id=1"}}"#;
    let document = document(&bucket, &[&deny_if(r#""s3:GetObject""#, elsewhere)]);
    policy(&bucket, Method::PUT).body(document).refused(400, "MalformedPolicy");
}
