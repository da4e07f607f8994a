//! Federated users: who may make them, and what they may do then.

use std::time::Duration;

use harness::{Bucket, Client, Element, Server, now_seconds};
use http::Method;

use crate::{
    bucket_policy,
    iam_users::{access_key, iam, user},
};

const ACCOUNT: &str = "750814517293";

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:federated-user/{name}")
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

fn allow(action: &str) -> String {
    document(&[statement("Allow", action, "*")])
}

#[track_caller]
fn put_user(root: &Client, name: &str, statements: &[String]) {
    let document = document(statements);
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

fn asking(client: &Client, name: &str, more: &[(&str, &str)]) -> harness::Request {
    let parameters = [&[("Name", name)][..], more].concat();
    client.call("sts", "GetFederationToken", &parameters)
}

/// A client that is the federated user of this name, which `client` makes.
#[track_caller]
pub(crate) fn federate(client: &Client, name: &str, more: &[(&str, &str)]) -> Client {
    let answer = Element::parse(&asking(client, name, more).ok().body);
    let field =
        |field: &str| answer.find(&format!("GetFederationTokenResult/{field}")).expect(field).to_owned();
    assert_eq!(field("FederatedUser/Arn"), arn(name));
    assert_eq!(field("FederatedUser/FederatedUserId"), format!("{ACCOUNT}:{name}"));
    let [id, secret, token] =
        ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| field(&format!("Credentials/{name}")));
    assert!(id.len() == 20 && id.starts_with("ASIA") && secret.len() == 40, "{id}");
    client.with_credentials(&id, &secret).with_session_token(&token)
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

fn bucket_with_key(server: &Server) -> Bucket {
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    bucket
}

/// Which of both it may: to read, and to write.
fn may(client: &Client, bucket: &Bucket) -> [bool; 2] {
    [get(client, bucket), put(client, bucket)].map(|request| {
        let answer = request.send();
        assert!([200, 403].contains(&answer.status), "{answer:?}");
        answer.status == 200
    })
}

#[test]
fn a_federated_user_has_what_its_user_has_within_its_own_policies() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    let federating = statement("Allow", "sts:GetFederationToken", "*");
    put_user(root, "ann", &[federating.clone(), statement("Allow", "s3:GetObject", "*")]);
    let all = allow("s3:*");
    let [none, reader, writer] = [
        federate(&ann, "nothing", &[]),
        federate(&ann, "reader", &[("Policy", &allow("s3:GetObject"))]),
        federate(&ann, "writer", &[("Policy", &allow("s3:PutObject"))]),
    ];
    let both = federate(&ann, "both", &[("Policy", &all)]);
    let read_only = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let shared = federate(&ann, "shared", &[("PolicyArns.member.1.arn", read_only)]);
    let found = || [&none, &reader, &writer, &both, &shared].map(|client| may(client, &bucket));
    let nothing = [false, false];
    assert_eq!(found(), [nothing, [true, false], nothing, [true, false], [true, false]]);
    let who = Element::parse(&reader.call("sts", "GetCallerIdentity", &[]).ok().body);
    assert_eq!(who.find("GetCallerIdentityResult/Arn"), Some(arn("reader").as_str()));
    assert_eq!(who.find("GetCallerIdentityResult/UserId"), Some(format!("{ACCOUNT}:reader").as_str()));
    let error = put(&reader, &bucket).refused(403, "AccessDenied");
    let told = "is not authorized to perform: s3:PutObject on resource";
    assert!(error.get("Message").starts_with(&format!("User: {} {told}", arn("reader"))), "{error:?}");

    // What its user has is as it is at each request, the boundary too.
    put_user(root, "ann", &[federating.clone(), statement("Allow", "s3:*", "*")]);
    assert_eq!(found(), [nothing, [true, false], [false, true], [true, true], [true, false]]);
    let boundary = [("UserName", "ann"), ("PermissionsBoundary", read_only)];
    iam(root, "PutUserPermissionsBoundary", &boundary);
    assert_eq!(found(), [nothing, [true, false], nothing, [true, false], [true, false]]);
    iam(root, "DeleteUserPermissionsBoundary", &boundary[..1]);
    put_user(root, "ann", &[statement("Allow", "s3:*", "*"), statement("Deny", "s3:GetObject", "*")]);
    assert_eq!(found(), [nothing, nothing, [false, true], [false, true], nothing]);

    // What it may not be is gone with its user's key.
    asking(&ann, "reader", &[]).refused_call(403, "AccessDenied");
    let (second, id) = access_key(root, "ann");
    put_user(root, "ann", &[federating, statement("Allow", "s3:*", "*")]);
    let of_second = federate(&second, "second", &[("Policy", &all)]);
    assert_eq!(may(&of_second, &bucket), [true, true]);
    let parameters = |status| [("UserName", "ann"), ("AccessKeyId", id.as_str()), ("Status", status)];
    iam(root, "UpdateAccessKey", &parameters("Inactive"));
    get(&of_second, &bucket).refused(403, "InvalidAccessKeyId");
    assert_eq!(may(&both, &bucket), [true, true]);
}

/// By its own name whatever limits it, by its user's within that, and by the account nothing.
#[test]
fn policies_of_buckets_name_federated_users() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    put_user(root, "ann", &[statement("Allow", "sts:GetFederationToken", "*")]);
    let none = federate(&ann, "none", &[]);
    let reader = federate(&ann, "reader", &[("Policy", &allow("s3:GetObject"))]);
    let shut = document(&[statement("Allow", "s3:*", "*"), statement("Deny", "s3:PutObject", "*")]);
    let shut = federate(&ann, "shut", &[("Policy", &shut)]);
    let grant = |element: &str, principals: &[String], effect: &str| {
        format!(
            r#"{{"Effect": "{effect}", "{element}": {{"AWS": {principals:?}}}, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "BUCKET/*"}}"#
        )
    };
    let allowed = |principals: &[String]| grant("Principal", principals, "Allow");
    let expect = |statements: &[String], expected: [[bool; 2]; 3]| {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        bucket_policy::set(&bucket, &statements);
        let found = [&none, &reader, &shut].map(|client| may(client, &bucket));
        assert_eq!(found, expected, "{statements:?}");
    };
    let (neither, reads, both) = ([false, false], [true, false], [true, true]);
    let all = ["none", "reader", "shut"].map(arn);
    expect(&[allowed(&all[..1])], [both, neither, neither]);
    expect(&[allowed(&all)], [both, both, reads]);
    expect(&[allowed(&[user_arn("ann")])], [neither, reads, reads]);
    expect(&[allowed(&["*".to_owned()])], [neither, reads, reads]);
    expect(&[allowed(&[ACCOUNT.to_owned()])], [neither; 3]);
    // What is denied to its user is denied to it, and what is denied to all but its user is too.
    let denied = |element: &str, principals: &[String]| grant(element, principals, "Deny");
    expect(&[allowed(&all), denied("Principal", &[user_arn("ann")])], [neither; 3]);
    expect(&[allowed(&all), denied("Principal", &all[1..2])], [both, neither, reads]);
    expect(&[allowed(&all), denied("NotPrincipal", &[user_arn("ann")])], [neither; 3]);
    expect(&[allowed(&all), denied("NotPrincipal", &all[..1])], [both, neither, neither]);
    // None of another account, and none that are many.
    for none in ["arn:aws:sts::111122223333:federated-user/none", &arn("*"), &arn("a/b"), &arn("")] {
        let document = document(&[allowed(&[none.to_owned()])])
            .replace("BUCKET", &format!("arn:aws:s3:::{}", bucket.name));
        bucket.request(Method::PUT).raw_query("policy").body(document).refused(400, "MalformedPolicy");
    }
}

/// It calls neither IAM nor STS, but to ask who it is.
#[test]
fn federated_users_make_no_calls() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    put_user(root, "ann", &[statement("Allow", "*", "*")]);
    crate::roles::role(root, "r", &["*", &arn("any")], &[statement("Allow", "s3:*", "*")]);
    let everything = allow("*");
    let everything = [("Policy", everything.as_str())];
    for client in [federate(&ann, "any", &everything), federate(root, "any", &everything)] {
        client.request(Method::GET, "/").ok();
        client.call("sts", "GetCallerIdentity", &[]).ok();
        client.call("iam", "ListUsers", &[]).refused_call(403, "InvalidClientTokenId");
        client.call("iam", "CreateUser", &[("UserName", "bob")]).refused_call(403, "InvalidClientTokenId");
        client.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
        asking(&client, "other", &[]).refused_call(403, "AccessDenied");
        let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
        let parameters = [("RoleArn", role.as_str()), ("RoleSessionName", "s1")];
        client.call("sts", "AssumeRole", &parameters).refused_call(403, "AccessDenied");
    }
    // Nor does a session make any.
    asking(&crate::roles::assume(&ann, "r", &[]), "other", &[]).refused_call(403, "AccessDenied");
    asking(&crate::roles::session_token(&ann), "other", &[]).refused_call(403, "AccessDenied");
}

/// One of the root user has what its policies allow, is denied what they deny, and ends with the root user's secret.
#[test]
fn a_federated_user_of_the_root_user_is_limited_too() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let none = federate(root, "none", &[]);
    let reader = federate(root, "reader", &[("Policy", &allow("s3:Get*"))]);
    let all = federate(root, "all", &[("Policy", &allow("s3:*"))]);
    assert_eq!(
        [&none, &reader, &all].map(|client| may(client, &bucket)),
        [[false; 2], [true, false], [true; 2]]
    );
    none.request(Method::GET, "/").refused(403, "AccessDenied");
    all.request(Method::GET, "/").ok();
    let policy = |client: &Client, method| of(client, &bucket).request(method).raw_query("policy");
    // What is always the root user's is not theirs.
    policy(&none, Method::GET).refused(403, "AccessDenied");
    policy(&none, Method::DELETE).refused(403, "AccessDenied");
    policy(&reader, Method::DELETE).refused(403, "AccessDenied");
    policy(&reader, Method::GET).refused(404, "NoSuchBucketPolicy");
    let deny = |principal: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:GetObject", "Resource": "BUCKET/*"}}"#
        )
    };
    bucket_policy::set(&bucket, &[&deny(&arn("all"))]);
    assert_eq!([&reader, &all].map(|client| may(client, &bucket)), [[true, false], [false, true]]);
    bucket_policy::set(&bucket, &[&deny(ACCOUNT)]);
    assert_eq!([&reader, &all].map(|client| may(client, &bucket)), [[false; 2], [false, true]]);
    // An hour at most, whatever is asked for.
    let answer = Element::parse(&asking(root, "long", &[("DurationSeconds", "129600")]).ok().body);
    let end = answer.find("GetFederationTokenResult/Credentials/Expiration").expect("an end").to_owned();
    let latest = types::Timestamp((now_seconds() + 3601) * 1000);
    assert!(end.as_str() <= s3_wire::date::xml_date(latest).as_str(), "{end}");
}

#[test]
fn a_federated_user_of_the_root_user_ends_with_its_secret() {
    let mut server = Server::start();
    let bucket = bucket_with_key(&server);
    let all = federate(server.client(), "all", &[("Policy", &allow("s3:*"))]);
    server.restart();
    get(&server.client().with_credentials_of(&all), &bucket).ok();
    server.restart_with(|config| {
        let another = service_kit::Secret::new("another-password");
        config.root = config.root.take().map(|(user, _)| (user, another));
    });
    get(&server.client().with_credentials_of(&all), &bucket).refused(403, "InvalidAccessKeyId");
}

#[test]
fn a_federated_user_ends_when_it_was_said_to() {
    let mut server = Server::start();
    let bucket = bucket_with_key(&server);
    let ann = user(server.client(), "ann");
    put_user(server.client(), "ann", &[statement("Allow", "*", "*")]);
    let all = allow("*");
    let short = federate(&ann, "short", &[("DurationSeconds", "900"), ("Policy", &all)]);
    let long = federate(&ann, "long", &[("Policy", &all)]);
    for (ahead, ends) in [(840, false), (1000, true), (43_100, true)] {
        server.restart_ahead(Duration::from_secs(ahead));
        let now = now_seconds() + i64::try_from(ahead).expect("a small number");
        let client = server.client();
        let [short, long] = [&short, &long].map(|session| client.with_credentials_of(session));
        get(&long, &bucket).signed_at(now).ok();
        let answer = get(&short, &bucket).signed_at(now).send();
        if ends {
            answer.expect_error(400, "ExpiredToken");
        } else {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

#[test]
fn conditions_tell_federated_users_apart() {
    let server = Server::start();
    let root = server.client();
    let bucket = bucket_with_key(&server);
    let ann = user(root, "ann");
    let tags = |pairs: &[(&str, &str)]| {
        let parameters = pairs.iter().enumerate().flat_map(|(at, (key, value))| {
            let name = |field: &str| format!("Tags.member.{}.{field}", at + 1);
            [(name("Key"), (*key).to_owned()), (name("Value"), (*value).to_owned())]
        });
        parameters.collect::<Vec<_>>()
    };
    let given = tags(&[("team", "blue"), ("Town", "ulm")]);
    let given: Vec<(&str, &str)> =
        given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let federating = statement("Allow", "sts:GetFederationToken", &arn("h*"));
    let tagging = statement("Allow", "sts:TagSession", "*");
    let blue = tagging.replace("\"Effect\"", r#""Condition": {"StringEquals": {"aws:RequestTag/team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "Town"]}}, "Effect""#);
    // Tags take a right of their own, and names can be the resource.
    put_user(root, "ann", std::slice::from_ref(&federating));
    asking(&ann, "his", &[]).ok();
    asking(&ann, "other", &[]).refused_call(403, "AccessDenied");
    asking(&ann, "his", &given).refused_call(403, "AccessDenied");
    put_user(root, "ann", &[federating.clone(), blue.clone()]);
    let red = tags(&[("team", "red")]);
    let red: Vec<(&str, &str)> = red.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    asking(&ann, "his", &red).refused_call(403, "AccessDenied");
    let answer = Element::parse(&asking(&ann, "his", &given).ok().body);
    let size = answer.find("GetFederationTokenResult/PackedPolicySize").expect("a size").to_owned();
    assert!((1..=100).contains(&size.parse::<u32>().expect("a number")), "{size}");

    iam(
        root,
        "TagUser",
        &[
            ("UserName", "ann"),
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "green"),
            ("Tags.member.2.Key", "floor"),
            ("Tags.member.2.Value", "2"),
        ],
    );
    let all = allow("s3:*");
    let tagged = [&given[..], &[("Policy", all.as_str())]].concat();
    let his = federate(&ann, "his", &tagged);
    let when = |condition: &str| {
        let allow = statement("Allow", "s3:GetObject", "*");
        let allow = allow.replace("\"Effect\"", &format!("\"Condition\": {condition}, \"Effect\""));
        put_user(root, "ann", &[federating.clone(), blue.clone(), allow]);
        get(&his, &bucket).send().status == 200
    };
    let equals = |key: &str, value: &str| format!(r#"{{"StringEquals": {{"{key}": "{value}"}}}}"#);
    assert!(when(&equals("aws:userid", &format!("{ACCOUNT}:his"))));
    assert!(!when(&equals("aws:userid", &format!("{ACCOUNT}:hers"))));
    assert!(when(&equals("aws:PrincipalType", "FederatedUser")));
    assert!(when(&equals("aws:PrincipalArn", &arn("his"))));
    assert!(!when(&equals("aws:PrincipalArn", &user_arn("ann"))));
    assert!(when(r#"{"Null": {"aws:username": "true"}}"#));
    assert!(when(&equals("aws:PrincipalTag/team", "blue")));
    assert!(!when(&equals("aws:PrincipalTag/team", "green")), "its own is in the place of its user's");
    assert!(when(&equals("aws:PrincipalTag/town", "ulm")));
    assert!(when(&equals("aws:PrincipalTag/floor", "2")), "its user's");
    assert!(when(r#"{"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}"#));
    assert!(when(r#"{"Bool": {"aws:MultiFactorAuthPresent": "false"}}"#));
}

#[test]
fn calls_for_federated_users_have_their_bounds() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    put_user(root, "ann", &[statement("Allow", "sts:*", "*")]);
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let long_policy =
        document(&[statement("Allow", "s3:GetObject", &format!("arn:aws:s3:::{}", "b".repeat(900)))]);
    let too_long = format!("{long_policy}{}", " ".repeat(1200));
    for name in ["a", "a b", "a/b", "a*", &"a".repeat(33), ""] {
        asking(&ann, name, &[]).refused_call(400, "ValidationError");
    }
    ann.call("sts", "GetFederationToken", &[]).refused_call(400, "ValidationError");
    for (more, code) in [
        (&[("DurationSeconds", "899")][..], "ValidationError"),
        (&[("DurationSeconds", "129601")], "ValidationError"),
        (&[("DurationSeconds", "x")], "ValidationError"),
        (&[("Policy", "{}")], "MalformedPolicyDocument"),
        (&[("Policy", &too_long)], "ValidationError"),
        (&[("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/Nothing")], "MalformedPolicyDocument"),
        (&[("PolicyArns.member.11.arn", read)], "ValidationError"),
        (&[("Tags.member.1.Key", "aws:k"), ("Tags.member.1.Value", "v")], "InvalidParameterValue"),
        (&[("TransitiveTagKeys.member.1", "k")], "ValidationError"),
        (&[("Tags.member.1.Key", "k")], "ValidationError"),
        (&[("SerialNumber", "x")], "ValidationError"),
    ] {
        for client in [&ann, root] {
            asking(client, "name", more).refused_call(400, code);
        }
    }
    let many: Vec<(String, String)> = (1..=51)
        .flat_map(|at| {
            [
                (format!("Tags.member.{at}.Key"), format!("k{at}")),
                (format!("Tags.member.{at}.Value"), "v".repeat(200)),
            ]
        })
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    asking(&ann, "name", &many).refused_call(400, "ValidationError");
    asking(&ann, "name", &many[..100]).refused_call(400, "PackedPolicyTooLarge");
    asking(&ann, "name", &many[..20]).ok();
    for seconds in ["900", "129600"] {
        asking(&ann, &"=,.@-_+a".repeat(4), &[("DurationSeconds", seconds)]).ok();
    }
    // It takes a right.
    let bob = user(root, "bob");
    asking(&bob, "name", &[]).refused_call(403, "AccessDenied");
    put_user(
        root,
        "bob",
        &[statement("Allow", "sts:*", "*"), statement("Deny", "sts:GetFederationToken", "*")],
    );
    asking(&bob, "name", &[]).refused_call(403, "AccessDenied");
}
