//! AssumeRoleWithWebIdentity: whose tokens assume which roles, and what the sessions may do. The calls that make providers are in
//! `iam_providers.rs`.

mod provider;

use std::time::{Duration, Instant};

use harness::{Bucket, Client, Element, Logs, Server, now_seconds};
use http::Method;
use serde_json::{Value, json};

use crate::iam_users::{iam, user};

use provider::{Answer, Host, Key, encode};

const ACCOUNT: &str = "750814517293";
const CALL: &str = "AssumeRoleWithWebIdentity";
const CLIENT: &str = "sts.amazonaws.com";

/// What is logged of a provider that does not tell its keys.
const UNREAD: &str = "the keys of an OpenID Connect provider cannot be read";

pub(crate) fn provider_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{name}")
}

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// A server that may speak to this host, and believes its certificate.
fn start(host: &Host) -> Server {
    Server::start_with(1, |config| {
        config.front.oidc_private_hosts = vec!["127.0.0.1".to_owned()];
        config.front.oidc_ca = Some(host.certificate.chain());
    })
}

/// A policy that lets tokens of a provider assume a role, under these conditions.
pub(crate) fn trust(provider: &str, conditions: &Value) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow", "Principal": { "Federated": provider_arn(provider) },
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": conditions,
        },
    })
    .to_string()
}

#[track_caller]
fn make_provider(root: &Client, url: &str) {
    iam(root, "CreateOpenIDConnectProvider", &[("Url", url), ("ClientIDList.member.1", CLIENT)]);
}

/// A role with a policy that allows this of everything.
#[track_caller]
fn make_role(root: &Client, name: &str, trust: &str, action: &str) {
    iam(root, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]);
    put_role(root, name, &allow(action, "*"));
}

fn allow(action: &str, resource: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": action, "Resource": resource } })
        .to_string()
}

#[track_caller]
fn put_role(root: &Client, name: &str, document: &str) {
    iam(root, "PutRolePolicy", &[("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", document)]);
}

/// A provider at a path, and a role that its tokens assume.
fn provider_and_role(host: &Host, root: &Client, path: &str, role: &str, keys: &[&Key]) {
    host.set_keys(path, keys);
    make_provider(root, &host.issuer(path));
    make_role(root, role, &trust(&host.name(path), &json!({})), "s3:*");
}

fn asking(client: &Client, role: &str, token: &str, more: &[(&str, &str)]) -> harness::Request {
    let arn = role_arn(role);
    let mut parameters = vec![("RoleArn", arn.as_str()), ("WebIdentityToken", token)];
    let is_named = more.iter().any(|(name, _)| *name == "RoleSessionName");
    parameters.extend((!is_named).then_some(("RoleSessionName", "session")));
    parameters.extend(more);
    client.call("sts", CALL, &parameters).anonymous()
}

fn field(answer: &Element, name: &str) -> String {
    answer.find(&format!("{CALL}Result/{name}")).expect(name).to_owned()
}

/// A client in the session that a token begins.
#[track_caller]
fn assume(client: &Client, role: &str, token: &str, more: &[(&str, &str)]) -> Client {
    let answer = Element::parse(&asking(client, role, token, more).ok().body);
    let of = |name: &str| field(&answer, &format!("Credentials/{name}"));
    client
        .with_credentials(&of("AccessKeyId"), &of("SecretAccessKey"))
        .with_session_token(&of("SessionToken"))
}

fn get(client: &Client, bucket: &Bucket, key: &str) -> harness::Request {
    client.existing_bucket(&bucket.name).object(Method::GET, key)
}

/// Whoever has a token of a provider needs nothing else, and the provider is asked once for all.
#[test]
fn a_token_assumes_the_role_that_trusts_its_provider() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let keys = ["RS256", "RS384", "RS512", "ES256", "ES384"].map(|algorithm| Key::new(algorithm, algorithm));
    provider_and_role(&host, root, "", "reader", &keys.each_ref());
    for key in &keys {
        let token = key.sign(&host.claims("", json!({})));
        let named = [("RoleSessionName", "hers"), ("DurationSeconds", "900")];
        let answer = Element::parse(&asking(root, "reader", &token, &named).ok().body);
        assert_eq!(field(&answer, "SubjectFromWebIdentityToken"), "system:serviceaccount:apps:ann");
        assert_eq!(field(&answer, "Audience"), CLIENT);
        assert_eq!(field(&answer, "Provider"), host.issuer(""));
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/reader/hers");
        assert_eq!(field(&answer, "AssumedRoleUser/Arn"), arn);
        assert!(field(&answer, "AssumedRoleUser/AssumedRoleId").ends_with(":hers"));
        let session = assume(root, "reader", &token, &named);
        get(&session, &bucket, "k").ok();
        let who = Element::parse(&session.call("sts", "GetCallerIdentity", &[]).ok().body);
        assert_eq!(who.find("GetCallerIdentityResult/Arn"), Some(arn.as_str()));
    }
    assert_eq!((host.asked("/.well-known/openid-configuration"), host.asked("/keys")), (1, 1));
    // What the role may is as it is, and whose token it was goes with neither the provider nor its keys.
    let session = assume(root, "reader", &keys[0].sign(&host.claims("", json!({}))), &[]);
    let arn = provider_arn(&host.name(""));
    iam(root, "DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]);
    get(&session, &bucket, "k").ok();
    asking(root, "reader", &keys[0].sign(&host.claims("", json!({}))), &[])
        .refused_call(400, "InvalidIdentityToken");
    put_role(root, "reader", &allow("s3:PutObject", "*"));
    get(&session, &bucket, "k").refused(403, "AccessDenied");
}

#[test]
fn tokens_that_are_not_right_begin_no_session() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let (key, ec) = (Key::new("r", "RS256"), Key::new("e", "ES256"));
    provider_and_role(&host, root, "", "r", &[&key, &ec]);
    // What the provider is asked for and does not have, it has not signed.
    for (path, header) in
        [("/x", json!({ "alg": "RS256", "kid": "x" })), ("/y", json!({ "alg": "RS512", "kid": "r" }))]
    {
        host.set_keys(path, &[&key, &ec]);
        make_provider(root, &host.issuer(path));
        let token = key.sign_as(&header, &host.claims(path, json!({})));
        asking(root, "r", &token, &[]).refused_call(400, "InvalidIdentityToken");
        assert_eq!(host.asked(&format!("{path}/keys")), 1);
    }
    let claims = |other: Value| host.claims("", other);
    let good = key.sign(&claims(json!({})));
    asking(root, "r", &good, &[]).ok();
    let now = now_seconds();
    let parts: Vec<&str> = good.split('.').collect();
    let forged = Key::new("e", "ES256");
    let unsigned = |header: Value, signature: &[u8]| {
        format!("{}.{}.{}", encode(header.to_string()), parts[1], encode(signature))
    };
    let by_hmac = {
        let header = encode(json!({ "alg": "HS256", "kid": "r" }).to_string());
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.modulus());
        let tag = aws_lc_rs::hmac::sign(&secret, format!("{header}.{}", parts[1]).as_bytes());
        format!("{header}.{}.{}", parts[1], encode(tag.as_ref()))
    };
    let sign = |other: Value| key.sign(&claims(other));
    let other_subject = encode(claims(json!({ "sub": "root" })).to_string());
    for (token, status, code) in [
        // Who signed it.
        (unsigned(json!({ "alg": "none" }), b""), 400, "InvalidIdentityToken"),
        (unsigned(json!({ "alg": "none", "kid": "r" }), b""), 400, "InvalidIdentityToken"),
        (by_hmac, 400, "InvalidIdentityToken"),
        (unsigned(json!({ "alg": "RS256", "kid": "r" }), b""), 400, "InvalidIdentityToken"),
        (format!("{}.{}.{}", parts[0], other_subject, parts[2]), 400, "InvalidIdentityToken"),
        (forged.sign(&claims(json!({}))), 400, "InvalidIdentityToken"),
        (
            key.sign_as(&json!({ "alg": "ES256", "kid": "e" }), &claims(json!({}))),
            400,
            "InvalidIdentityToken",
        ),
        (
            key.sign_as(&json!({ "alg": "RS256", "kid": "r", "crit": ["x"], "x": 1 }), &claims(json!({}))),
            400,
            "InvalidIdentityToken",
        ),
        // What it is signed for.
        (
            key.sign_as(&json!({ "alg": "RS256", "kid": "r", "typ": "at+jwt" }), &claims(json!({}))),
            400,
            "InvalidIdentityToken",
        ),
        (
            key.sign_as(&json!({ "alg": "RS256", "kid": "r", "typ": "logout+jwt" }), &claims(json!({}))),
            400,
            "InvalidIdentityToken",
        ),
        (sign(json!({ "events": { "x": {} } })), 400, "InvalidIdentityToken"),
        // Who issued it.
        (sign(json!({ "iss": "https://idp.example.com" })), 400, "InvalidIdentityToken"),
        (sign(json!({ "iss": host.name("") })), 400, "InvalidIdentityToken"),
        (sign(json!({ "iss": host.issuer("/") })), 400, "InvalidIdentityToken"),
        // For whom it is.
        (sign(json!({ "aud": "other" })), 400, "InvalidIdentityToken"),
        (sign(json!({ "aud": ["other", "more"] })), 400, "InvalidIdentityToken"),
        (sign(json!({ "azp": "other" })), 400, "InvalidIdentityToken"),
        // When it holds.
        (sign(json!({ "exp": now - 61 })), 400, "ExpiredTokenException"),
        (sign(json!({ "nbf": now + 120 })), 403, "IDPRejectedClaim"),
        (sign(json!({ "iat": now + 120 })), 403, "IDPRejectedClaim"),
        (sign(json!({ "exp": "tomorrow" })), 400, "InvalidIdentityToken"),
        // What it would mean elsewhere, and does not here.
        (sign(json!({ "https://aws.amazon.com/tags": { "others": {} } })), 400, "InvalidIdentityToken"),
        (sign(json!({ "https://aws.amazon.com/other": {} })), 403, "IDPRejectedClaim"),
        (sign(json!({ "https://aws.amazon.com/source_identity": ["ann"] })), 400, "InvalidIdentityToken"),
        (sign(json!({ "https://aws.amazon.com/source_identity": "aws:a" })), 400, "ValidationError"),
        (sign(json!({ "https://aws.amazon.com/source_identity": "ann" })), 403, "AccessDenied"),
        // What is no token.
        ("none".to_owned(), 400, "InvalidIdentityToken"),
        ("abc".to_owned(), 400, "ValidationError"),
        (format!("{good}.x"), 400, "InvalidIdentityToken"),
        (format!("{good}{}", "A".repeat(20_000)), 400, "ValidationError"),
    ] {
        let answer = asking(root, "r", &token, &[]).send();
        let found = Element::parse(&answer.body).find("Error/Code").map(str::to_owned);
        assert_eq!((answer.status, found.as_deref()), (status, Some(code)), "{token}");
    }
    for claim in ["iss", "sub", "aud", "exp", "iat"] {
        asking(root, "r", &sign(json!({ claim: null })), &[]).refused_call(400, "InvalidIdentityToken");
    }
    asking(root, "r", "", &[]).refused_call(400, "ValidationError");
    // What it says is quoted within a bound.
    for claims in [
        json!({ "iss": format!("https://{}", "x".repeat(10_000)) }),
        json!({ format!("https://aws.amazon.com/{}", "x".repeat(10_000)): 1 }),
    ] {
        let answer = asking(root, "r", &sign(claims), &[]).send();
        assert!(answer.status / 100 == 4 && answer.body.len() < 1000, "{answer:?}");
    }
    // Without a type, as those of Kubernetes are, and in another case.
    for header in [json!({ "alg": "RS256", "kid": "r" }), json!({ "alg": "RS256", "kid": "r", "typ": "jwt" })]
    {
        asking(root, "r", &key.sign_as(&header, &claims(json!({}))), &[]).ok();
    }
    // As long as may be, and for several of whom one is known.
    asking(root, "r", &sign(json!({ "aud": ["other", CLIENT], "more": "x".repeat(13_000) })), &[]).ok();
    asking(root, "r", &sign(json!({ "aud": ["other"], "azp": CLIENT })), &[]).ok();
    asking(root, "r", &sign(json!({ "exp": now - 30 })), &[]).ok();
    asking(root, "r", &sign(json!({ "nbf": now + 30, "iat": now + 30 })), &[]).ok();
    assert_eq!(host.asked("/keys"), 1);
}

#[test]
fn a_role_is_assumed_by_what_its_policy_says_of_claims() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let bucket = server.bucket();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "/realms/a", "r", &[&key]);
    provider_and_role(&host, root, "/realms/b", "other", &[&key]);
    let name = host.name("/realms/a");
    let sign = |other: Value| key.sign(&host.claims("/realms/a", other));
    let may = |token: &str| match asking(root, "r", token, &[]).send().status {
        200 => true,
        403 => false,
        status => panic!("{status}"),
    };
    let set = |document: &str| {
        iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", document)]);
    };
    assert!(may(&sign(json!({}))));
    asking(root, "other", &sign(json!({})), &[]).refused_call(403, "AccessDenied");
    asking(root, "r", &key.sign(&host.claims("/realms/b", json!({}))), &[]).refused_call(403, "AccessDenied");
    asking(root, "nobody", &sign(json!({})), &[]).refused_call(403, "AccessDenied");
    let [aud, sub, amr, oaud, email] =
        ["aud", "sub", "amr", "oaud", "email"].map(|claim| format!("{name}:{claim}"));
    set(&trust(
        &name,
        &json!({
            "StringEquals": { aud: CLIENT },
            "StringLike": { sub.as_str(): "system:serviceaccount:apps:*" },
            "ForAnyValue:StringEquals": { amr: ["mfa"] },
        }),
    ));
    assert!(may(&sign(json!({ "amr": ["pwd", "mfa"] }))) && may(&sign(json!({ "amr": "mfa" }))));
    assert!(!may(&sign(json!({ "amr": ["pwd"] }))) && !may(&sign(json!({}))));
    assert!(!may(&sign(json!({ "amr": ["mfa"], "sub": "system:serviceaccount:other:ann" }))));
    assert!(!may(&sign(json!({ "amr": ["mfa"], "Sub": "system:serviceaccount:apps:a", "sub": "x" }))));
    set(&trust(&name, &json!({ "StringEquals": { oaud.as_str(): "api", email: "a@example.com" } })));
    assert!(may(&sign(json!({ "aud": "api", "azp": CLIENT, "email": "a@example.com" }))));
    assert!(!may(&sign(json!({ "email": "a@example.com" }))));
    for (verified, expected) in [(json!(true), true), (json!("true"), true), (json!(false), false)] {
        let said =
            json!({ "aud": "api", "azp": CLIENT, "email": "a@example.com", "email_verified": verified });
        assert_eq!(may(&sign(said)), expected, "{verified}");
    }
    // Whom else a token is for is there to be asked, whoever has asked for the token.
    set(&trust(&name, &json!({ "ForAllValues:StringEquals": { oaud.as_str(): CLIENT } })));
    assert!(may(&sign(json!({}))) && may(&sign(json!({ "aud": [CLIENT], "azp": CLIENT }))));
    assert!(!may(&sign(json!({ "aud": ["other", CLIENT] }))));
    assert!(!may(&sign(json!({ "aud": "api", "azp": CLIENT }))));
    set(&trust(&name, &json!({ "StringEquals": { "sts:RoleSessionName": "session" } })));
    assert!(may(&sign(json!({}))));
    set(&trust(&name, &json!({ "ArnEquals": { "aws:FederatedProvider": provider_arn(&name) } })));
    assert!(may(&sign(json!({}))));
    // Everybody is whoever has credentials, and whoever has some assumes it by AssumeRole.
    let both = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"] } });
    set(&both.to_string());
    assert!(!may(&sign(json!({}))));
    let ann = user(root, "ann");
    let asked = [("RoleArn", role_arn("r")), ("RoleSessionName", "session".to_owned())];
    let asked = asked.each_ref().map(|(name, value)| (*name, value.as_str()));
    ann.call("sts", "AssumeRole", &asked).ok();
    set(&trust(&name, &json!({})));
    ann.call("sts", "AssumeRole", &asked).refused_call(403, "AccessDenied");

    // In the session: what the token says is asked for, and stands for a part of a name.
    put_role(root, "r", &allow("s3:*", &format!("arn:aws:s3:::{}/${{{sub}}}/*", bucket.name)));
    let session = assume(root, "r", &sign(json!({ "sub": "ann" })), &[]);
    let put =
        |client: &Client, key: &str| client.existing_bucket(&bucket.name).object(Method::PUT, key).body("x");
    put(&session, "ann/k").ok();
    put(&session, "bob/k").refused(403, "AccessDenied");
    let statement = |condition: Value| {
        json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition } })
            .to_string()
    };
    for (condition, expected) in [
        (json!({ "StringEquals": { sub.as_str(): "ann" } }), true),
        (json!({ "StringEquals": { sub.as_str(): "bob" } }), false),
        (json!({ "ArnEquals": { "aws:FederatedProvider": provider_arn(&name) } }), true),
        (json!({ "ArnEquals": { "aws:FederatedProvider": provider_arn("idp.example.com") } }), false),
        (json!({ "StringEquals": { format!("{}:sub", host.name("/realms/b")): "ann" } }), false),
        (json!({ "Null": { "aws:FederatedProvider": "true" } }), false),
    ] {
        put_role(root, "r", &statement(condition.clone()));
        assert_eq!(put(&session, "ann/k").send().status == 200, expected, "{condition}");
    }
}

#[test]
fn a_session_by_a_token_has_the_bounds_of_others() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    let token = key.sign(&host.claims("", json!({})));
    let reading = allow("s3:GetObject", "*");
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    for limit in [("Policy", reading.as_str()), ("PolicyArns.member.1.arn", read)] {
        let answer = Element::parse(&asking(root, "r", &token, &[limit]).ok().body);
        assert!(field(&answer, "PackedPolicySize").parse::<u32>().expect("a number") > 0);
        let limited = assume(root, "r", &token, &[limit]);
        get(&limited, &bucket, "k").ok();
        bucket_put(&limited, &bucket).refused(403, "AccessDenied");
    }
    let session = assume(root, "r", &token, &[]);
    bucket_put(&session, &bucket).ok();
    let long = " ".repeat(2049);
    for (more, code) in [
        (&[("DurationSeconds", "899")][..], "ValidationError"),
        (&[("DurationSeconds", "43201")], "ValidationError"),
        (&[("DurationSeconds", "3601")], "ValidationError"),
        (&[("RoleSessionName", "x")], "ValidationError"),
        (&[("RoleSessionName", "a b")], "ValidationError"),
        (&[("Policy", "{}")], "MalformedPolicyDocument"),
        (&[("Policy", &long)], "ValidationError"),
        (&[("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/Nothing")], "MalformedPolicyDocument"),
        (&[("ProviderId", "www.amazon.com")], "ValidationError"),
        (&[("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")], "ValidationError"),
        (&[("SourceIdentity", "ann")], "ValidationError"),
    ] {
        asking(root, "r", &token, more).refused_call(400, code);
    }
    iam(root, "UpdateRole", &[("RoleName", "r"), ("MaxSessionDuration", "43200")]);
    asking(root, "r", &token, &[("DurationSeconds", "43200")]).ok();
    for missing in ["RoleArn", "WebIdentityToken", "RoleSessionName"] {
        let arn = role_arn("r");
        let all = [("RoleArn", arn.as_str()), ("WebIdentityToken", &token), ("RoleSessionName", "session")];
        let rest: Vec<_> = all.into_iter().filter(|(name, _)| *name != missing).collect();
        root.call("sts", CALL, &rest).anonymous().refused_call(400, "ValidationError");
    }
    // Signed or not, the token alone says who asks.
    let arn = role_arn("r");
    let all = [("RoleArn", arn.as_str()), ("WebIdentityToken", &token), ("RoleSessionName", "session")];
    root.with_credentials("AKIANOBODY", "none").call("sts", CALL, &all).ok();
    root.call("iam", CALL, &all).anonymous().refused_call(403, "MissingAuthenticationToken");
}

/// What a token says of tags is as if they were passed.
#[test]
fn a_token_passes_tags_where_the_role_lets_it() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "red/k").body("x").ok();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    put_role(
        root,
        "r",
        &allow("s3:*", &format!("arn:aws:s3:::{}/${{aws:PrincipalTag/team}}/*", bucket.name)),
    );
    let sign = |other: Value| key.sign(&host.claims("", other));
    let tagged = |team: &str| {
        json!({ "https://aws.amazon.com/tags": {
            "principal_tags": { "team": [team] }, "transitive_tag_keys": ["team"] } })
    };
    asking(root, "r", &sign(json!({})), &[]).ok();
    asking(root, "r", &sign(tagged("red")), &[]).refused_call(403, "AccessDenied");
    let statement = |action: &str, condition: Value| {
        json!({ "Effect": "Allow", "Principal": { "Federated": provider_arn(&host.name("")) },
            "Action": action, "Condition": condition })
    };
    let document = json!({ "Version": "2012-10-17", "Statement": [
        statement("sts:AssumeRoleWithWebIdentity", json!({})),
        statement("sts:TagSession", json!({ "StringEquals": { "aws:RequestTag/team": "red",
            "sts:TransitiveTagKeys": "team" } })),
    ]})
    .to_string();
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
    asking(root, "r", &sign(tagged("blue")), &[]).refused_call(403, "AccessDenied");
    let flat = json!({ "https://aws.amazon.com/tags/principal_tags/team": "red",
        "https://aws.amazon.com/tags/transitive_tag_keys": ["team"] });
    for claims in [tagged("red"), flat] {
        let answer = Element::parse(&asking(root, "r", &sign(claims.clone()), &[]).ok().body);
        assert!(field(&answer, "PackedPolicySize").parse::<u32>().expect("a number") > 0);
        let session = assume(root, "r", &sign(claims), &[]);
        get(&session, &bucket, "red/k").ok();
        get(&session, &bucket, "blue/k").refused(403, "AccessDenied");
    }
    let without = assume(root, "r", &sign(json!({})), &[]);
    get(&without, &bucket, "red/k").refused(403, "AccessDenied");
    for (claims, code) in [
        (
            json!({ "https://aws.amazon.com/tags": { "principal_tags": { "aws:k": "v" } } }),
            "InvalidParameterValue",
        ),
        (json!({ "https://aws.amazon.com/tags": { "transitive_tag_keys": ["k"] } }), "InvalidParameterValue"),
        (
            json!({ "https://aws.amazon.com/tags": { "principal_tags": { "k": ["v", "w"] } } }),
            "InvalidIdentityToken",
        ),
    ] {
        asking(root, "r", &sign(claims), &[]).refused_call(400, code);
    }
}

#[test]
fn a_token_says_who_is_behind_its_session() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "ann/k").body("x").ok();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    put_role(root, "r", &allow("s3:*", &format!("arn:aws:s3:::{}/${{aws:SourceIdentity}}/*", bucket.name)));
    let sign =
        |who: &str| key.sign(&host.claims("", json!({ "https://aws.amazon.com/source_identity": who })));
    let document = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Federated": provider_arn(&host.name("")) },
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"],
        "Condition": { "StringLike": { "sts:SourceIdentity": "a*" } } } })
    .to_string();
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
    let answer = Element::parse(&asking(root, "r", &sign("ann"), &[]).ok().body);
    assert_eq!(field(&answer, "SourceIdentity"), "ann");
    let session = assume(root, "r", &sign("ann"), &[]);
    get(&session, &bucket, "ann/k").ok();
    get(&assume(root, "r", &sign("al"), &[]), &bucket, "ann/k").refused(403, "AccessDenied");
    asking(root, "r", &sign("bob"), &[]).refused_call(403, "AccessDenied");
    asking(root, "r", &key.sign(&host.claims("", json!({}))), &[]).refused_call(403, "AccessDenied");
}

fn bucket_put(client: &Client, bucket: &Bucket) -> harness::Request {
    client.existing_bucket(&bucket.name).object(Method::PUT, "k").body("y")
}

/// A provider that changes its keys is asked when a token names one of the new, and not by every token that names one.
#[test]
fn new_keys_of_a_provider_are_found_without_asking_for_each_token() {
    let host = Host::start();
    let server = start(&host);
    let root = server.client();
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "ES256"));
    provider_and_role(&host, root, "", "r", &[&old]);
    let [by_old, by_new] = [&old, &new].map(|key| key.sign(&host.claims("", json!({}))));
    asking(root, "r", &by_old, &[]).ok();
    host.set_keys("", &[&new]);
    let deadline = Instant::now() + Duration::from_secs(25);
    let mut refused = 0;
    // Until it may be asked again nobody knows, and who asks is told to come back.
    loop {
        let answer = asking(root, "r", &by_new, &[]).send();
        if answer.status == 200 {
            break;
        }
        let code = Element::parse(&answer.body).find("Error/Code").map(str::to_owned);
        assert_eq!(code.as_deref(), Some("IDPCommunicationError"));
        refused += 1;
        assert!(Instant::now() < deadline, "the new key is found within a little more than ten seconds");
        assert_eq!(host.asked("/keys"), 1, "it was asked a moment ago");
    }
    assert!(refused > 0 && host.asked("/keys") == 2, "{refused}");
    asking(root, "r", &by_old, &[]).refused_call(400, "IDPCommunicationError");
    for number in 0..20 {
        let header = json!({ "alg": "ES256", "kid": format!("none{number}") });
        let token = new.sign_as(&header, &host.claims("", json!({})));
        asking(root, "r", &token, &[]).refused_call(400, "IDPCommunicationError");
    }
    assert_eq!(host.asked("/keys"), 2);
    // While it is away, what it said is good for a while.
    host.stop();
    asking(root, "r", &by_new, &[]).ok();
}

/// Nothing is followed, waited for or read without end, and who asks is told that it cannot be found out.
#[test]
fn a_provider_that_does_not_tell_its_keys_lets_nobody_in() {
    let host = Host::start();
    // The second is an address that no setting opens.
    let server = Server::start_with(1, |config| {
        config.front.oidc_private_hosts = vec!["127.0.0.1".to_owned(), "169.254.169.254".to_owned()];
        config.front.oidc_ca = Some(host.certificate.chain());
    });
    let root = server.client();
    let key = Key::new("k", "ES256");
    let jwks = |path: &str| format!("{}/keys", host.issuer(path));
    let huge = json!({ "keys": [], "more": "x".repeat(256 << 10) });
    let many = json!({ "keys": vec![json!({ "kty": "oct" }); 65] });
    let description = "/.well-known/openid-configuration";
    let redirect = |to: &str| Answer::Raw(format!("302 Found\r\nlocation: {to}"), Vec::new());
    host.set_keys("/good", &[&key]);
    let paths = [
        ("/none", "it answers 404 Not Found"),
        ("/redirect", "it answers 302 Found"),
        ("/moved", "it answers 302 Found"),
        ("/other", "is the description of another provider"),
        ("/boast", "is the description of another provider"),
        ("/huge", "its answer is longer than 262144 bytes"),
        ("/long", "its answer is longer than 65536 bytes"),
        ("/many", "it has more than 64 keys"),
        ("/text", "it is no JWK set"),
        ("/plain", "it is not HTTPS"),
        ("/local", "it has no address that may be asked"),
        ("/else", "file:///etc/passwd"),
        ("/unlisted", "it has no address that may be asked"),
        ("/slow", "it does not answer in time"),
        ("/error", "it answers 500 Internal Server Error"),
    ];
    for (path, _) in paths {
        make_provider(root, &host.issuer(path));
        make_role(root, &path[1..], &trust(&host.name(path), &json!({})), "s3:*");
        if path != "/none" {
            host.set_keys(path, &[&key]);
        }
    }
    host.answer(&format!("/redirect{description}"), redirect(&host.issuer(&format!("/good{description}"))));
    host.answer("/moved/keys", redirect(&jwks("/good")));
    host.answer(
        &format!("/other{description}"),
        Answer::Json(json!({ "issuer": host.issuer("/good"), "jwks_uri": jwks("/good") })),
    );
    host.answer(
        &format!("/boast{description}"),
        Answer::Json(json!({ "issuer": "x".repeat(10_000), "jwks_uri": jwks("/good") })),
    );
    host.answer("/huge/keys", Answer::Json(huge));
    host.answer(&format!("/long{description}"), Answer::Raw("200 OK".to_owned(), vec![b' '; 65 << 10]));
    host.answer("/many/keys", Answer::Json(many));
    host.answer("/text/keys", Answer::Raw("200 OK".to_owned(), b"keys".to_vec()));
    host.describe("/plain", &jwks("/good").replace("https", "http"));
    host.describe("/local", "https://169.254.169.254/latest/meta-data");
    host.describe("/else", "file:///etc/passwd");
    host.describe("/unlisted", &jwks("/good").replace("127.0.0.1", "localhost"));
    host.answer("/slow/keys", Answer::Silence);
    host.answer("/error/keys", Answer::Raw("500 Internal Server Error".to_owned(), Vec::new()));
    for (path, reason) in paths {
        let token = key.sign(&host.claims(path, json!({})));
        let began = Instant::now();
        asking(root, &path[1..], &token, &[]).refused_call(400, "IDPCommunicationError");
        assert!(began.elapsed() < Duration::from_secs(8), "{path}");
        let asked = host.asked_in_all();
        asking(root, &path[1..], &token, &[]).refused_call(400, "IDPCommunicationError");
        assert_eq!(host.asked_in_all(), asked, "{path}: it was asked a moment ago");
        let told = Logs.take(UNREAD);
        assert!(
            told.len() == 1 && told[0].contains(&host.name(path)) && told[0].contains(reason),
            "{told:?}"
        );
        assert!(told[0].len() < 1000, "{}", told[0]);
    }
    assert_eq!(host.asked("/good/keys") + host.asked(&format!("/good{description}")), 0);
}

/// An address of a private net is spoken to where the operator says so, and by nobody's record alone.
#[test]
fn private_addresses_are_the_operators_to_allow() {
    let host = Host::start();
    let server = Server::start();
    let root = server.client();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    asking(root, "r", &key.sign(&host.claims("", json!({}))), &[]).refused_call(400, "IDPCommunicationError");
    assert_eq!(host.asked_in_all(), 0);
    let told = Logs.take(UNREAD);
    assert!(told.len() == 1 && told[0].contains("--oidc-private-hosts"), "{told:?}");
}

/// Without an authority that is trusted, a certificate is believed by its thumbprint alone.
#[test]
fn a_thumbprint_lets_a_certificate_be_believed() {
    let host = Host::start();
    let server = Server::start_with(1, |config| {
        config.front.oidc_private_hosts = vec!["127.0.0.1".to_owned()];
    });
    let root = server.client();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    let ask = || asking(root, "r", &key.sign(&host.claims("", json!({}))), &[]);
    ask().refused_call(400, "IDPCommunicationError");
    let arn = provider_arn(&host.name(""));
    let set = |thumbprint: &str| {
        let parameters =
            [("OpenIDConnectProviderArn", arn.as_str()), ("ThumbprintList.member.1", thumbprint)];
        iam(root, "UpdateOpenIDConnectProviderThumbprint", &parameters);
    };
    set(&"0".repeat(40));
    ask().refused_call(400, "IDPCommunicationError");
    set(&host.thumbprint());
    ask().ok();
    set(&"1".repeat(40));
    ask().refused_call(400, "IDPCommunicationError");
    let told = Logs.take(UNREAD);
    assert!(told.len() == 3 && told.iter().all(|line| line.contains("UnknownIssuer")), "{told:?}");
}

/// The audit log has who it was by the token, once that is proved, and never the token.
#[test]
fn the_audit_log_has_who_assumed_a_role_by_a_token() {
    let host = Host::start();
    let mut path = std::path::PathBuf::new();
    let mut server = Server::start_with(1, |config| {
        config.front.oidc_private_hosts = vec!["127.0.0.1".to_owned()];
        config.front.oidc_ca = Some(host.certificate.chain());
        path = config.data[0].parent().expect("it is in a folder").join("audit.log");
        config.front.audit_log = Some(path.display().to_string().parse().expect("a file"));
    });
    let root = server.client();
    let key = Key::new("k", "ES256");
    provider_and_role(&host, root, "", "r", &[&key]);
    let token = key.sign(&host.claims("", json!({ "sub": "ann" })));
    let answer = Element::parse(&asking(root, "r", &token, &[]).ok().body);
    let issued = field(&answer, "Credentials/AccessKeyId");
    asking(root, "other", &token, &[]).refused_call(403, "AccessDenied");
    asking(root, "r", &key.sign(&host.claims("", json!({ "aud": "x" }))), &[])
        .refused_call(400, "InvalidIdentityToken");
    server.stop();
    let text = std::fs::read_to_string(&path).expect("the log is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let lines: Vec<Value> = lines.filter(|line| line["action"] == "sts:AssumeRoleWithWebIdentity").collect();
    let who = format!("{}:{CLIENT}:ann", provider_arn(&host.name("")));
    let found = lines.iter().map(|line| {
        ["verdict", "kind", "identity", "resource"].map(|name| line[name].as_str().expect("text").to_owned())
    });
    let expected = [
        ["allowed", "role trust policy", &who, &role_arn("r")],
        ["denied", "role trust policy", &who, &role_arn("other")],
        ["refused", "InvalidIdentityToken", "anonymous", &role_arn("r")],
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(lines[0]["issued_access_key_id"], issued.as_str());
    assert!(!text.contains(&token) && !text.contains(token.rsplit('.').next().expect("a signature")));
}
