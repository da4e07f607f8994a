//! Sessions: who may assume a role and what they may do then, and those of users. The calls that make roles are in `iam_roles.rs`.

use std::time::Duration;

use harness::{Bucket, Client, Element, Server, now_seconds};
use http::Method;

use crate::{
    bucket_policy,
    iam_roles::trust,
    iam_users::{access_key, iam, user},
};

const ACCOUNT: &str = "750814517293";

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "{resource}"}}"#)
}

fn document(statements: &[String]) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

/// A role that these principals may assume, with a policy of these statements.
#[track_caller]
pub(crate) fn role(root: &Client, name: &str, principals: &[&str], statements: &[String]) {
    iam(root, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust(principals))]);
    put_role(root, name, statements);
}

#[track_caller]
fn put_role(root: &Client, name: &str, statements: &[String]) {
    let document = document(statements);
    iam(root, "PutRolePolicy", &[("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

#[track_caller]
fn put_user(root: &Client, name: &str, statements: &[String]) {
    let document = document(statements);
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

fn asking(client: &Client, role: &str, more: &[(&str, &str)]) -> harness::Request {
    let arn = role_arn(role);
    let named = more.iter().any(|(name, _)| *name == "RoleSessionName");
    let mut parameters = vec![("RoleArn", arn.as_str())];
    parameters.extend((!named).then_some(("RoleSessionName", "session")));
    parameters.extend(more);
    client.call("sts", "AssumeRole", &parameters)
}

/// The credentials in an answer of STS: access key, secret and token.
fn credentials(answer: &Element, action: &str) -> [String; 3] {
    ["AccessKeyId", "SecretAccessKey", "SessionToken"]
        .map(|field| answer.find(&format!("{action}Result/Credentials/{field}")).expect(field).to_owned())
}

/// A client in a role that `client` assumes.
#[track_caller]
pub(crate) fn assume(client: &Client, role: &str, more: &[(&str, &str)]) -> Client {
    let answer = Element::parse(&asking(client, role, more).ok().body);
    let [id, secret, token] = credentials(&answer, "AssumeRole");
    assert!(id.len() == 20 && id.starts_with("ASIA") && secret.len() == 40, "{id}");
    client.with_credentials(&id, &secret).with_session_token(&token)
}

pub(crate) fn session_token(client: &Client) -> Client {
    let answer = Element::parse(&client.call("sts", "GetSessionToken", &[]).ok().body);
    let [id, secret, token] = credentials(&answer, "GetSessionToken");
    client.with_credentials(&id, &secret).with_session_token(&token)
}

fn who(client: &Client) -> [String; 2] {
    let answer = Element::parse(&client.call("sts", "GetCallerIdentity", &[]).ok().body);
    ["Arn", "UserId"]
        .map(|field| answer.find(&format!("GetCallerIdentityResult/{field}")).expect(field).to_owned())
}

fn of(client: &Client, bucket: &Bucket) -> Bucket {
    client.existing_bucket(&bucket.name)
}

fn get(client: &Client, bucket: &Bucket) -> harness::Request {
    of(client, bucket).object(Method::GET, "k")
}

fn put(client: &Client, bucket: &Bucket) -> harness::Request {
    of(client, bucket).object(Method::PUT, "k").body("y")
}

/// A bucket with an object `k`.
fn bucket_with_key(server: &Server) -> Bucket {
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    bucket
}

/// Whoever is in a role has what the role has when it asks, and nothing of its own.
#[test]
fn a_session_has_the_rights_of_its_role_as_they_are() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    put_user(
        root,
        "ann",
        &[statement("Allow", "s3:PutObject", "*"), statement("Allow", "iam:ListUsers", "*")],
    );
    role(root, "reader", &[&user_arn("ann")], &[statement("Allow", "s3:GetObject", "*")]);
    let session = assume(&ann, "reader", &[("RoleSessionName", "hers")]);
    let [arn, id] = who(&session);
    assert_eq!(arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/reader/hers"));
    assert!(id.starts_with("AROA") && id.ends_with(":hers"), "{id}");
    get(&session, &bucket).ok();
    put(&session, &bucket).refused(403, "AccessDenied");
    session.call("iam", "ListUsers", &[]).refused_call(403, "AccessDenied");
    put(&ann, &bucket).ok();
    get(&ann, &bucket).refused(403, "AccessDenied");

    // Each of these is so for the next request.
    put_role(
        root,
        "reader",
        &[statement("Allow", "s3:PutObject", "*"), statement("Allow", "iam:ListUsers", "*")],
    );
    get(&session, &bucket).refused(403, "AccessDenied");
    put(&session, &bucket).ok();
    session.call("iam", "ListUsers", &[]).ok();
    let read = [("RoleName", "reader"), ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")];
    iam(root, "AttachRolePolicy", &read);
    get(&session, &bucket).ok();
    session.request(Method::GET, "/").ok();
    iam(root, "DetachRolePolicy", &read);
    get(&session, &bucket).refused(403, "AccessDenied");
    // Who may assume it from now on is another matter than who did.
    let nobody = trust(&[&user_arn("ann")]).replace("Allow", "Deny");
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "reader"), ("PolicyDocument", &nobody)]);
    asking(&ann, "reader", &[]).refused_call(403, "AccessDenied");
    put(&session, &bucket).ok();
    // A role of the same name is another.
    iam(root, "DeleteRolePolicy", &[("RoleName", "reader"), ("PolicyName", "p")]);
    iam(root, "DeleteRole", &[("RoleName", "reader")]);
    put(&session, &bucket).refused(403, "InvalidAccessKeyId");
    session.call("sts", "GetCallerIdentity", &[]).refused_call(403, "InvalidClientTokenId");
    role(root, "reader", &["*"], &[statement("Allow", "s3:*", "*")]);
    put(&session, &bucket).refused(403, "InvalidAccessKeyId");
    put(&assume(&ann, "reader", &[]), &bucket).ok();
}

#[test]
fn whoever_the_role_names_may_assume_it_and_whoever_its_account_names_by_policies_of_their_own() {
    let server = Server::start();
    let root = server.client();
    let (ann, bob) = (user(root, "ann"), user(root, "bob"));
    let allow = statement("Allow", "sts:AssumeRole", &role_arn("r"));
    let deny = statement("Deny", "sts:*", "*");
    let other = statement("Allow", "s3:GetObject", "*");
    put_user(root, "bob", std::slice::from_ref(&other));
    role(root, "r", &[ACCOUNT], std::slice::from_ref(&other));
    let account_root = format!("arn:aws:iam::{ACCOUNT}:root");
    for (principal, own, expected) in [
        (user_arn("ann"), &other, true),
        (user_arn("ann"), &deny, false),
        (user_arn("bob"), &allow, false),
        ("*".to_owned(), &other, true),
        (ACCOUNT.to_owned(), &other, false),
        (ACCOUNT.to_owned(), &allow, true),
        (account_root.clone(), &allow, true),
        (account_root, &deny, false),
    ] {
        let document = trust(&[&principal]);
        iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
        put_user(root, "ann", std::slice::from_ref(own));
        let answer = asking(&ann, "r", &[]).send();
        assert_eq!(answer.status == 200, expected, "{principal} {own}: {answer:?}");
        let others = principal == "*" || principal.ends_with("bob");
        assert_eq!(asking(&bob, "r", &[]).send().status == 200, others, "{principal}");
        asking(root, "r", &[]).refused_call(403, "AccessDenied");
    }
    // What conditions ask for.
    let conditions =
        r#""Condition": {"StringEquals": {"sts:ExternalId": "x1", "sts:RoleSessionName": "hers"}}, "Effect""#;
    let document = trust(&["*"]).replace("\"Effect\"", conditions);
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
    let told = [("RoleSessionName", "hers"), ("ExternalId", "x1")];
    asking(&bob, "r", &told).ok();
    for more in [&told[..1], &told[1..], &[], &[("RoleSessionName", "hers"), ("ExternalId", "x2")]] {
        asking(&bob, "r", more).refused_call(403, "AccessDenied");
    }
    asking(&bob, "none", &[]).refused_call(403, "AccessDenied");
    asking(&bob, "R", &told).refused_call(403, "AccessDenied");
}

#[test]
fn a_session_may_assume_another_role_for_an_hour() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let long = [("RoleName", "second"), ("MaxSessionDuration", "43200")];
    role(root, "first", &[&user_arn("ann")], &[statement("Allow", "s3:GetObject", "*")]);
    role(root, "second", &[&role_arn("first")], &[statement("Allow", "s3:PutObject", "*")]);
    iam(root, "UpdateRole", &long);
    asking(&ann, "second", &[]).refused_call(403, "AccessDenied");
    let first = assume(&ann, "first", &[("RoleSessionName", "one")]);
    let second = assume(&first, "second", &[("RoleSessionName", "two")]);
    assert!(who(&second)[0].ends_with(":assumed-role/second/two"));
    asking(&first, "second", &[("DurationSeconds", "3601")]).refused_call(400, "ValidationError");
    first.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
    // One session alone, which nothing else limits.
    let nothing = document(&[statement("Allow", "s3:ListAllMyBuckets", "*")]);
    let limited = assume(&ann, "first", &[("RoleSessionName", "one"), ("Policy", &nothing)]);
    asking(&limited, "second", &[]).refused_call(403, "AccessDenied");
    let one = trust(&[&format!("arn:aws:sts::{ACCOUNT}:assumed-role/first/one")]);
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "second"), ("PolicyDocument", &one)]);
    asking(&limited, "second", &[]).ok();
    asking(&first, "second", &[]).ok();
    let other = assume(&ann, "first", &[("RoleSessionName", "other")]);
    asking(&other, "second", &[]).refused_call(403, "AccessDenied");
}

/// What limits a session does so whatever its role gets it, but not what the session gets by its own name.
#[test]
fn policies_of_a_session_limit_it() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    let [read, write, all] =
        ["s3:GetObject", "s3:PutObject", "s3:*"].map(|action| statement("Allow", action, "*"));
    role(root, "r", &[&user_arn("ann")], std::slice::from_ref(&all));
    let limited = |more: &[(&str, &str)]| assume(&ann, "r", more);
    let reading = document(std::slice::from_ref(&read));
    let reader = limited(&[("Policy", &reading)]);
    get(&reader, &bucket).ok();
    put(&reader, &bucket).refused(403, "AccessDenied");
    reader.request(Method::GET, "/").refused(403, "AccessDenied");
    let denied = document(&[all.clone(), statement("Deny", "s3:PutObject", "*")]);
    let denied = limited(&[("Policy", &denied)]);
    denied.request(Method::GET, "/").ok();
    put(&denied, &bucket).refused(403, "AccessDenied");
    // The message names the session, and what is in its way.
    let told = |client: &Client, way: &str| {
        let error = put(client, &bucket).refused(403, "AccessDenied");
        let expected = format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/r/session is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::{}/k\" {way}",
            bucket.name
        );
        assert_eq!(error.get("Message"), expected);
    };
    told(&reader, "because no session policy allows the s3:PutObject action");
    told(&denied, "with an explicit deny in a session policy");
    // It allows nothing that the role does not.
    put_role(root, "r", std::slice::from_ref(&write));
    get(&reader, &bucket).refused(403, "AccessDenied");

    // Others in common, as they are.
    let made = iam(root, "CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", &reading)]);
    let arn = made.find("CreatePolicyResult/Policy/Arn").expect("an ARN").to_owned();
    put_role(root, "r", std::slice::from_ref(&all));
    let full = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let shared = limited(&[("PolicyArns.member.1.arn", &arn), ("PolicyArns.member.2.arn", full)]);
    get(&shared, &bucket).ok();
    put(&shared, &bucket).refused(403, "AccessDenied");
    let everything = document(std::slice::from_ref(&all));
    let version = [("PolicyArn", arn.as_str()), ("PolicyDocument", &everything), ("SetAsDefault", "true")];
    iam(root, "CreatePolicyVersion", &version);
    put(&shared, &bucket).ok();
    iam(root, "DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]);
    iam(root, "DeletePolicy", &[("PolicyArn", &arn)]);
    get(&shared, &bucket).refused(403, "AccessDenied");

    // What the policy of a bucket grants the role, and the session.
    put_role(root, "r", &[statement("Allow", "s3:ListAllMyBuckets", "*")]);
    let grant = |principal: &str, effect: &str| {
        format!(
            r#"{{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}}, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "BUCKET/*"}}"#
        )
    };
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/session");
    let free = limited(&[]);
    let named = limited(&[("RoleSessionName", "other"), ("Policy", &reading)]);
    let expect = |statements: &[String], expected: [[bool; 2]; 3]| {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        bucket_policy::set(&bucket, &statements);
        let found = [&free, &reader, &named].map(|client| {
            [get(client, &bucket).send().status == 200, put(client, &bucket).send().status == 200]
        });
        assert_eq!(found, expected, "{statements:?}");
    };
    let role = role_arn("r");
    expect(&[grant(&role, "Allow")], [[true, true], [true, false], [true, false]]);
    expect(&[grant("*", "Allow")], [[true, true], [true, false], [true, false]]);
    expect(&[grant(ACCOUNT, "Allow")], [[false, false]; 3]);
    expect(&[grant(&user_arn("ann"), "Allow")], [[false, false]; 3]);
    expect(&[grant(&session, "Allow")], [[true, true], [true, true], [false, false]]);
    expect(
        &[grant(&role, "Allow"), grant(&session, "Deny")],
        [[false, false], [false, false], [true, false]],
    );
    expect(&[grant(&session, "Allow"), grant(&role, "Deny")], [[false, false]; 3]);
    expect(&[grant(&session, "Allow"), grant(ACCOUNT, "Deny")], [[false, false]; 3]);
    // What the session is denied by its own policy nothing allows it.
    let shut = document(&[all, statement("Deny", "s3:PutObject", "*")]);
    let shut = limited(&[("Policy", &shut)]);
    bucket_policy::set(&bucket, &[&grant(&session, "Allow")]);
    get(&shut, &bucket).ok();
    put(&shut, &bucket).refused(403, "AccessDenied");
}

#[test]
fn conditions_tell_sessions_apart() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    role(root, "r", &[&user_arn("ann")], &[statement("Allow", "s3:GetObject", "*")]);
    let session = assume(&ann, "r", &[("RoleSessionName", "hers")]);
    let [_, id] = who(&session);
    let when = |condition: &str| {
        let allow = statement("Allow", "s3:GetObject", "*");
        let allow = allow.replace("\"Effect\"", &format!("\"Condition\": {condition}, \"Effect\""));
        put_role(root, "r", &[allow]);
        get(&session, &bucket).send().status == 200
    };
    assert!(when(&format!(r#"{{"StringEquals": {{"aws:userid": "{id}"}}}}"#)));
    assert!(!when(r#"{"StringLike": {"aws:userid": "AROA*:others"}}"#));
    assert!(when(&format!(r#"{{"ArnEquals": {{"aws:PrincipalArn": "{}"}}}}"#, role_arn("r"))));
    assert!(!when(&format!(r#"{{"ArnLike": {{"aws:PrincipalArn": "{}"}}}}"#, who(&session)[0])));
    assert!(when(r#"{"StringEquals": {"aws:PrincipalType": "AssumedRole"}}"#));
    assert!(when(r#"{"Null": {"aws:username": "true"}}"#));
    // So are sessions ended that somebody has.
    assert!(when(r#"{"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}"#));
    assert!(!when(r#"{"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}"#));
    assert!(when(r#"{"DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}}"#));
    assert!(when(r#"{"Bool": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"}}"#));
    assert!(!when(r#"{"Bool": {"aws:MultiFactorAuthPresent": "true"}}"#));
    put_user(
        root,
        "ann",
        &[statement("Allow", "s3:GetObject", "*")
            .replace("\"Effect\"", r#""Condition": {"Null": {"aws:TokenIssueTime": "true"}}, "Effect""#)],
    );
    get(&ann, &bucket).ok();
    get(&session_token(&ann), &bucket).refused(403, "AccessDenied");
}

/// A token is good with its own key alone, as it was made, and nothing is good without one.
#[test]
fn tokens_that_are_not_right_are_refused() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let (ann, permanent) = {
        iam(root, "CreateUser", &[("UserName", "ann")]);
        access_key(root, "ann")
    };
    put_user(root, "ann", &[statement("Allow", "s3:*", "*")]);
    role(root, "r", &[&user_arn("ann")], &[statement("Allow", "s3:*", "*")]);
    let answers = [(); 2].map(|()| Element::parse(&asking(&ann, "r", &[]).ok().body));
    let [[id, secret, token], [_, other_secret, other_token]] =
        answers.each_ref().map(|answer| credentials(answer, "AssumeRole"));
    let client =
        |id: &str, secret: &str, token: &str| root.with_credentials(id, secret).with_session_token(token);
    get(&client(&id, &secret, &token), &bucket).ok();
    let changed = |at: usize| {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(changed).expect("ASCII")
    };
    let places = [0, 5, 20, token.len() / 2, token.len() - 2];
    let changed: Vec<String> = places.into_iter().map(changed).collect();
    let (longer, shorter, huge) = (format!("{token}AAAA"), &token[..token.len() - 4], "A".repeat(10_000));
    for bad in changed.iter().map(String::as_str).chain([&longer, shorter, &other_token, "t", "%", &huge]) {
        get(&client(&id, &secret, bad), &bucket).refused(400, "InvalidToken");
        get(&client(&id, &secret, bad), &bucket).presigned(60).refused(400, "InvalidToken");
        client(&id, &secret, bad)
            .call("sts", "GetCallerIdentity", &[])
            .refused_call(403, "InvalidClientTokenId");
    }
    get(&client("ASIAABCDEFGHIJKLMNOP", &secret, &token), &bucket).refused(400, "InvalidToken");
    get(&client(&id, &other_secret, &token), &bucket).refused(403, "SignatureDoesNotMatch");
    get(&root.with_credentials(&id, &secret), &bucket).refused(403, "InvalidAccessKeyId");
    // Whoever has a permanent key has no token.
    get(&ann.with_session_token(&token), &bucket).refused(400, "InvalidToken");
    get(&root.with_session_token(&token), &bucket).refused(400, "InvalidToken");
    get(&client(&permanent, &secret, &token), &bucket).refused(400, "InvalidToken");
    // A token that is not signed is none.
    let unsigned = get(&root.with_credentials(&id, &secret), &bucket);
    unsigned.unsigned_header("x-amz-security-token", &token).refused(403, "AccessDenied");
    // What was signed for something else.
    let session = client(&id, &secret, &token);
    get(&session, &bucket).service("sts").refused(400, "AuthorizationHeaderMalformed");
    get(&session.with_region("eu-west-9"), &bucket).refused(400, "AuthorizationHeaderMalformed");
    session.call("sts", "GetCallerIdentity", &[]).service("s3").refused_call(403, "SignatureDoesNotMatch");
    assert_eq!(bucket.object(Method::GET, "k").ok().body, b"x");
}

#[test]
fn sessions_sign_urls_forms_and_chunks() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    role(root, "r", &[&user_arn("ann")], &[statement("Allow", "s3:*", "*")]);
    let session = assume(&ann, "r", &[]);
    let its = of(&session, &bucket);
    assert_eq!(get(&session, &bucket).presigned(60).ok().body, b"x");
    its.object(Method::PUT, "k").body("url").presigned(60).ok();
    assert_eq!(bucket.object(Method::GET, "k").ok().body, b"url");
    its.form().field("key", "form").signed("form").send().expect(204);
    assert_eq!(bucket.object(Method::GET, "form").ok().body, b"form");
    its.object(Method::PUT, "chunks").body("in chunks").signed_chunks(8192).ok();
    assert_eq!(bucket.object(Method::GET, "chunks").ok().body, b"in chunks");
    // Each is decided by what the role may then.
    put_role(root, "r", &[statement("Allow", "s3:ListBucket", "*")]);
    get(&session, &bucket).presigned(60).refused(403, "AccessDenied");
    its.form().field("key", "form").signed("other").refused(403, "AccessDenied");
    let token = its.form().field("key", "form").free_field("x-amz-security-token", "t");
    token.condition(r#"{"x-amz-security-token": "t"}"#).signed("other").refused(400, "InvalidToken");
    assert_eq!(bucket.object(Method::GET, "form").ok().body, b"form");
}

#[test]
fn a_session_ends_when_it_was_said_to() {
    let mut server = Server::start();
    let bucket = bucket_with_key(&server);
    let ann = user(server.client(), "ann");
    role(server.client(), "r", &[&user_arn("ann")], &[statement("Allow", "s3:*", "*")]);
    let short = assume(&ann, "r", &[("DurationSeconds", "900")]);
    let longer = assume(&ann, "r", &[]);
    let answer = Element::parse(&asking(&ann, "r", &[("DurationSeconds", "900")]).ok().body);
    let end = answer.find("AssumeRoleResult/Credentials/Expiration").expect("an end");
    assert!(end.ends_with('Z'), "{end}");
    for (ahead, ends) in [(840, false), (1000, true)] {
        server.restart_ahead(Duration::from_secs(ahead));
        let now = now_seconds() + i64::try_from(ahead).expect("a small number");
        let client = server.client();
        let [short, longer] = [&short, &longer].map(|session| client.with_credentials_of(session));
        get(&longer, &bucket).signed_at(now).ok();
        let begun = || get(&short, &bucket).signed_at(now - 100).presigned(3600);
        if ends {
            get(&short, &bucket).signed_at(now).refused(400, "ExpiredToken");
            begun().refused(400, "ExpiredToken");
            its_form(&short, &bucket, now).refused(400, "ExpiredToken");
            let call = short.call("sts", "GetCallerIdentity", &[]).signed_at(now);
            call.refused_call(403, "ExpiredToken");
        } else {
            get(&short, &bucket).signed_at(now).ok();
            begun().ok();
            its_form(&short, &bucket, now).send().expect(204);
        }
    }
}

fn its_form(client: &Client, bucket: &Bucket, now: i64) -> harness::Request {
    of(client, bucket).form().field("key", "form").expires_at(now + 600).signed_at(now).signed("x")
}

/// A session of a user is the user, until the key that it was asked for with is of no use any more.
#[test]
fn a_session_of_a_user_ends_with_its_key() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    let (second, id) = access_key(root, "ann");
    put_user(root, "ann", &[statement("Allow", "s3:GetObject", "*"), statement("Allow", "iam:*", "*")]);
    let (session, of_second) = (session_token(&ann), session_token(&second));
    assert_eq!(who(&session), who(&ann));
    get(&session, &bucket).ok();
    put(&session, &bucket).refused(403, "AccessDenied");
    ann.call("iam", "ListUsers", &[]).ok();
    session.call("iam", "ListUsers", &[]).refused_call(403, "InvalidClientTokenId");
    session.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
    root.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
    role(root, "r", &[&user_arn("ann")], &[statement("Allow", "s3:PutObject", "*")]);
    put(&assume(&session, "r", &[]), &bucket).ok();
    put_user(root, "ann", &[statement("Allow", "s3:*", "*")]);
    put(&session, &bucket).ok();

    let parameters = |status| [("UserName", "ann"), ("AccessKeyId", id.as_str()), ("Status", status)];
    iam(root, "UpdateAccessKey", &parameters("Inactive"));
    get(&of_second, &bucket).refused(403, "InvalidAccessKeyId");
    get(&session, &bucket).ok();
    iam(root, "UpdateAccessKey", &parameters("Active"));
    get(&of_second, &bucket).ok();
    iam(root, "DeleteAccessKey", &parameters("Active")[..2]);
    get(&of_second, &bucket).refused(403, "InvalidAccessKeyId");
    iam(root, "UpdateUser", &[("UserName", "ann"), ("NewUserName", "anna")]);
    assert!(who(&session)[0].ends_with(":user/anna"));
    get(&session, &bucket).ok();
}

#[test]
fn calls_for_sessions_have_their_bounds() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    role(root, "r", &[&user_arn("ann")], &[statement("Allow", "s3:*", "*")]);
    let long_policy =
        document(&[statement("Allow", "s3:GetObject", &format!("arn:aws:s3:::{}", "b".repeat(900)))]);
    let too_long = format!("{long_policy}{}", " ".repeat(1200));
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    for (more, code) in [
        (&[("RoleSessionName", "a")][..], "ValidationError"),
        (&[("RoleSessionName", "a b")], "ValidationError"),
        (&[("RoleSessionName", "a/b")], "ValidationError"),
        (&[("RoleSessionName", &"a".repeat(65))], "ValidationError"),
        (&[("DurationSeconds", "899")], "ValidationError"),
        (&[("DurationSeconds", "3601")], "ValidationError"),
        (&[("DurationSeconds", "43201")], "ValidationError"),
        (&[("DurationSeconds", "x")], "ValidationError"),
        (&[("ExternalId", "x")], "ValidationError"),
        (&[("Policy", "{}")], "MalformedPolicyDocument"),
        (&[("Policy", &too_long)], "ValidationError"),
        (&[("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/Nothing")], "MalformedPolicyDocument"),
        (&[("PolicyArns.member.11.arn", read)], "ValidationError"),
        (&[("Tags.member.1.Key", "k")], "ValidationError"),
        (&[("SourceIdentity", "a")], "ValidationError"),
        (&[("SerialNumber", "arn:aws:iam::1:mfa/a"), ("TokenCode", "123456")], "ValidationError"),
    ] {
        asking(&ann, "r", more).refused_call(400, code);
    }
    let both: String = long_policy.clone() + &" ".repeat(2040 - long_policy.len());
    asking(&ann, "r", &[("Policy", &both), ("PolicyArns.member.1.arn", read)])
        .refused_call(400, "PackedPolicyTooLarge");
    let answer = asking(&ann, "r", &[("Policy", &both)]).ok();
    let answer = Element::parse(&answer.body);
    assert_eq!(answer.find("AssumeRoleResult/PackedPolicySize"), Some("100"));
    for arn in ["r", "arn:aws:iam::750814517293", "arn:aws:iam::750814517293:role/", "arn:aws:s3:::b:role/r"]
    {
        let parameters = [("RoleArn", arn), ("RoleSessionName", "session")];
        ann.call("sts", "AssumeRole", &parameters).refused_call(400, "ValidationError");
    }
    let call = |parameters: &[(&str, &str)]| ann.call("sts", "GetSessionToken", parameters);
    for seconds in ["899", "129601"] {
        call(&[("DurationSeconds", seconds)]).refused_call(400, "ValidationError");
    }
    call(&[("TokenCode", "123456")]).refused_call(400, "ValidationError");
    for seconds in ["900", "129600"] {
        call(&[("DurationSeconds", seconds)]).ok();
    }
    ann.call("sts", "AssumeRoleWithSAML", &[]).refused_call(400, "InvalidAction");
}

/// Nothing of a session is kept, so that it is as good after a start as before, through any gateway.
#[test]
fn sessions_outlive_the_server_while_it_has_its_key() {
    let mut server = Server::start();
    let bucket = bucket_with_key(&server);
    let ann = user(server.client(), "ann");
    role(server.client(), "r", &[&user_arn("ann")], &[statement("Allow", "s3:*", "*")]);
    let session = assume(&ann, "r", &[]);
    server.restart();
    get(&server.client().with_credentials_of(&session), &bucket).ok();
}
