//! Why requests are refused, as operators are told it: what was decided, and what would be.

use harness::{Client, Connection, Server};
use http::Method;
use serde_json::{Value, json};
use service_kit::ClusterSecret;

use crate::{
    bucket_policy,
    iam_roles::trust,
    iam_users::{iam, user},
};

const ACCOUNT: &str = "750814517293";

/// Where the gateway of a server answers its operator, and the token.
fn operators(server: &Server) -> (String, String) {
    let file = std::fs::read(server.folder().join("0/admin.json")).expect("a running server has the file");
    let file: Value = serde_json::from_slice(&file).expect("it is JSON");
    let text = |name: &str| file[name].as_str().expect(name).to_owned();
    let secret: ClusterSecret = text("secret").parse().expect("a secret");
    (text("gateway"), secret.token("explain"))
}

fn post(address: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Vec<u8>) {
    let mut connection = Connection::open(address.parse().expect("an address"));
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{token}content-length: {length}\r\n\r\n{body}");
    connection.send(request.as_bytes());
    let response = connection.receive(&Method::POST);
    (response.status, response.body.to_vec())
}

#[track_caller]
fn ask(server: &Server, question: &Value) -> Vec<Value> {
    let (address, token) = operators(server);
    let (status, body) = post(&address, "/explain", Some(&token), &question.to_string());
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    answer["decisions"].as_array().expect("decisions").clone()
}

/// What would be decided on a request.
#[track_caller]
pub(crate) fn described(
    server: &Server,
    who: &str,
    action: &str,
    resource: Option<&str>,
    conditions: Value,
) -> Value {
    let mut question = json!({"principal": who, "action": action, "conditions": conditions});
    if let Some(resource) = resource {
        question["resource"] = resource.into();
    }
    ask(server, &json!({ "described": question })).remove(0)
}

fn put_user(root: &Client, name: &str, statements: &str) {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

/// The statements of an explanation: policy, number, whether it matches.
fn statements(told: &Value) -> Vec<(String, u64, bool)> {
    let all = told["statements"].as_array().expect("statements");
    let one = |seen: &Value| {
        let policy = seen["policy"].as_str().expect("a name").to_owned();
        (policy, seen["number"].as_u64().expect("a number"), seen["matches"].as_bool().expect("a flag"))
    };
    all.iter().map(one).collect()
}

/// A refusal is told by the id that its answer had, with each statement and what of it did not match.
#[test]
fn a_refusal_is_explained_by_its_request() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let own = r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": {"aws:UserAgent": "good"}}},
        {"Sid": "writes", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}"#;
    put_user(root, "ann", own);
    bucket_policy::set(
        &bucket,
        &[r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "BUCKET/*"}"#],
    );
    let hers = ann.existing_bucket(&bucket.name);
    let refused = |request: harness::Request| {
        let response = request.send();
        assert_eq!(response.status, 403, "{response:?}");
        let id = response.get("x-amz-request-id").to_owned();
        let mut told = ask(&server, &json!({ "request_id": id }));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["request_id"], id.as_str());
        told.remove(0)
    };
    let told = refused(hers.object(Method::GET, "k").header("user-agent", "bad"));
    assert_eq!((&told["allowed"], &told["kind"]), (&json!(false), &json!("identity-based policy")));
    assert_eq!(told["principal"], format!("arn:aws:iam::{ACCOUNT}:user/ann"));
    assert_eq!((&told["action"], &told["source_ip"]), (&json!("s3:GetObject"), &json!("127.0.0.1")));
    assert_eq!(told["resource"], format!("arn:aws:s3:::{}/k", bucket.name));
    assert!(told["access_key_id"].as_str().expect("a key").starts_with("AKIA"));
    assert_eq!(told["context"]["aws:username"], json!(["ann"]));
    let of_bucket = format!("of bucket {}", bucket.name);
    let p = "p of user ann".to_owned();
    assert_eq!(
        statements(&told),
        [(p.clone(), 1, false), (p.clone(), 2, false), (of_bucket.clone(), 1, false)]
    );
    let condition = &told["statements"][0]["conditions"][0];
    assert_eq!(
        (&condition["wanted"], &condition["found"], &condition["holds"]),
        (&json!(["good"]), &json!(["bad"]), &json!(false))
    );
    assert_eq!(
        (&told["statements"][1]["action"], &told["statements"][1]["sid"]),
        (&json!(false), &json!("writes"))
    );

    let told = refused(hers.object(Method::PUT, "k").body("y"));
    assert_eq!(told["kind"], "resource-based policy");
    assert_eq!(told["reason"], "with an explicit deny in a resource-based policy");
    assert_eq!(statements(&told), [(p.clone(), 1, false), (p, 2, true), (of_bucket, 1, true)]);

    // Calls of IAM and STS, what is done to no bucket, and strangers.
    let told = refused(ann.call("iam", "ListUsers", &[]));
    assert_eq!((&told["action"], &told["kind"]), (&json!("iam:ListUsers"), &json!("identity-based policy")));
    assert_eq!(told["context"]["aws:ResourceAccount"], json!([ACCOUNT]));
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/none");
    let told = refused(ann.call("sts", "AssumeRole", &[("RoleArn", &arn), ("RoleSessionName", "s1")]));
    assert_eq!((&told["action"], &told["kind"]), (&json!("sts:AssumeRole"), &json!("role trust policy")));
    let told = refused(ann.request(Method::GET, "/"));
    assert_eq!(
        (&told["action"], &told["resource"]),
        (&json!("s3:ListAllMyBuckets"), &json!("arn:aws:s3:::*"))
    );
    let told = refused(bucket.object(Method::GET, "k").anonymous());
    assert_eq!((&told["principal"], &told["action"]), (&json!("anonymous"), &json!("s3:GetObject")));

    let last = ask(&server, &json!("last"));
    assert_eq!(last.len(), 6);
    assert_eq!(last[0], told, "the newest first");
    assert!(ask(&server, &json!({"request_id": "0000000000000000"})).is_empty());
    assert!(server.admin(&["explain", "--last"]) && server.admin(&["explain", "--last", "--json"]));
    assert!(server.admin(&["explain", told["request_id"].as_str().expect("an id")]));
    assert!(!server.admin(&["explain", "0000000000000000"]) && !server.admin(&["explain"]));
}

/// What is compared is what was sent; what is kept and told of it is nothing that could be used.
#[test]
fn what_is_secret_is_compared_and_not_told() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let signature = "0123456789abcdef".repeat(4);
    let page =
        |signature: &str| format!("https://s3.example.com/b/k?X-Amz-Date=1&X-Amz-Signature={signature}");
    let wanted = page(&signature);
    let own = format!(
        r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {{"StringEquals": {{"aws:Referer": "{wanted}"}}}}}}"#
    );
    put_user(root, "ann", &own);
    let hers = ann.existing_bucket(&bucket.name);
    hers.object(Method::GET, "k").header("referer", &wanted).ok();
    let other = page(&"f".repeat(64));
    hers.object(Method::GET, "k").header("referer", &other).refused(403, "AccessDenied");
    let told = ask(&server, &json!("last")).remove(0);
    let redacted = json!([page("REDACTED")]);
    assert_eq!(told["context"]["aws:Referer"], redacted);
    assert_eq!(told["statements"][0]["conditions"][0]["found"], redacted);
    assert!(!told.to_string().contains(&"f".repeat(64)), "{told}");

    let to_ann = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/ann")])
        .replace(r#""Effect""#, r#""Condition": {"StringEquals": {"sts:ExternalId": "expected"}}, "Effect""#);
    iam(root, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &to_ann)]);
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let assume = |external: &str| {
        let parameters = [("RoleArn", arn.as_str()), ("RoleSessionName", "s1"), ("ExternalId", external)];
        ann.call("sts", "AssumeRole", &parameters)
    };
    assume("expected").ok();
    assume("another-secret").refused_call(403, "AccessDenied");
    let told = ask(&server, &json!("last")).remove(0);
    assert_eq!(told["context"]["sts:ExternalId"], json!(["REDACTED"]));
    assert_eq!(told["statements"][1]["conditions"][0]["found"], json!(["REDACTED"]), "{told}");
    assert!(!told.to_string().contains("another-secret"), "{told}");
}

/// What is told of a request that is described is what is decided on it when it is sent.
#[test]
fn what_is_described_is_decided_as_what_is_sent() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    let arn = |key: &str| format!("arn:aws:s3:::{}/{key}", bucket.name);
    bucket.object(Method::PUT, "k").body("x").header("x-amz-tagging", "stage=open").ok();
    bucket.object(Method::PUT, "shut").body("x").ok();
    let ann = user(root, "ann");
    put_user(
        root,
        "ann",
        &format!(
            r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {{"StringEquals": {{"s3:ExistingObjectTag/stage": "open", "aws:ResourceAccount": "{ACCOUNT}"}}}}}},
               {{"Effect": "Allow", "Action": ["s3:ListBucket", "iam:GetUser", "iam:TagUser"], "Resource": "*"}},
               {{"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*", "Condition": {{"StringLike": {{"s3:prefix": "secret*"}}}}}}"#
        ),
    );
    let hers = ann.existing_bucket(&bucket.name);
    let sent = |request: harness::Request| request.send().status == 200;
    let none = || json!({});
    let told = |who: &str, action: &str, resource: Option<&str>, conditions: Value| {
        let told = described(&server, who, action, resource, conditions);
        (told["allowed"].as_bool().expect("a verdict"), told["kind"].as_str().expect("a kind").to_owned())
    };
    let own = || "identity-based policy".to_owned();
    let whole = format!("arn:aws:s3:::{}", bucket.name);
    for (found, expected, sent) in [
        (
            told("ann", "s3:GetObject", Some(&arn("k")), none()),
            (true, own()),
            sent(hers.object(Method::GET, "k")),
        ),
        (
            told("ann", "s3:GetObject", Some(&arn("shut")), none()),
            (false, own()),
            sent(hers.object(Method::GET, "shut")),
        ),
        (told("ann", "s3:ListBucket", Some(&whole), none()), (true, own()), sent(hers.request(Method::GET))),
        (
            told("ann", "s3:ListBucket", Some(&whole), json!({"s3:prefix": ["secret/"]})),
            (false, own()),
            sent(hers.request(Method::GET).raw_query("prefix=secret/")),
        ),
        (
            told("ann", "s3:ListAllMyBuckets", None, none()),
            (false, own()),
            sent(ann.request(Method::GET, "/")),
        ),
        (told("ann", "iam:GetUser", None, none()), (true, own()), sent(ann.call("iam", "GetUser", &[]))),
        (told("ann", "iam:ListUsers", None, none()), (false, own()), sent(ann.call("iam", "ListUsers", &[]))),
        (
            told("root", "s3:GetObject", Some(&arn("k")), none()),
            (true, "root user".to_owned()),
            sent(bucket.object(Method::GET, "k")),
        ),
        (
            told("root", "iam:ListUsers", None, none()),
            (true, "root user".to_owned()),
            sent(root.call("iam", "ListUsers", &[])),
        ),
        (
            told("anonymous", "s3:GetObject", Some(&arn("k")), none()),
            (false, own()),
            sent(bucket.object(Method::GET, "k").anonymous()),
        ),
        (
            told("ann", "sts:GetCallerIdentity", None, none()),
            (true, "everybody".to_owned()),
            sent(ann.call("sts", "GetCallerIdentity", &[])),
        ),
    ] {
        assert_eq!(found, expected);
        assert_eq!(found.0, sent, "{found:?}");
    }
    let given =
        told("ann", "s3:GetObject", Some(&arn("shut")), json!({"s3:ExistingObjectTag/stage": ["open"]}));
    assert!(given.0, "values that are given stand for those that are there");

    // Roles: who may assume one, and what its sessions may within its boundary.
    let read_only = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let to_ann = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/ann")]);
    iam(
        root,
        "CreateRole",
        &[("RoleName", "r"), ("AssumeRolePolicyDocument", &to_ann), ("PermissionsBoundary", read_only)],
    );
    let all =
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    iam(root, "PutRolePolicy", &[("RoleName", "r"), ("PolicyName", "all"), ("PolicyDocument", all)]);
    let trusted = "role trust policy".to_owned();
    assert_eq!(told("ann", "sts:AssumeRole", Some(&role), none()), (true, trusted.clone()));
    user(root, "bob");
    assert_eq!(told("bob", "sts:AssumeRole", Some(&role), none()), (false, trusted.clone()));
    assert_eq!(told("root", "sts:AssumeRole", Some(&role), none()), (false, trusted));
    assert_eq!(told(&role, "s3:GetObject", Some(&arn("k")), none()), (true, own()));
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s");
    let bounded = (false, "permissions boundary".to_owned());
    assert_eq!(told(&session, "s3:PutObject", Some(&arn("k")), none()), bounded);
    assert!(server.admin(&[
        "explain",
        "--principal",
        &session,
        "--action",
        "s3:PutObject",
        "--resource",
        &arn("k")
    ]));
    assert!(server.admin(&[
        "explain",
        "--principal",
        "ann",
        "--action",
        "iam:ListUsers",
        "--condition",
        "aws:SourceIp=10.0.0.1"
    ]));
}

/// Of what is asked of another account's bucket or role both sides are told, and what is told is what is done.
#[test]
fn what_several_accounts_may_is_told_as_it_is_done() {
    let server = Server::start();
    let (one, other) = (server.account("one"), server.account("other"));
    let bucket = one.root.existing_bucket("ones");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    bucket.put("own", "x").ok();
    bucket.put("listed", "x").header("x-amz-grant-read", format!("id={}", other.id.0)).ok();
    let ann = user(&other.root, "ann");
    let root_arn = format!("arn:aws:iam::{}:root", other.number);
    let ann_arn = format!("arn:aws:iam::{}:user/ann", other.number);
    let role = format!("arn:aws:iam::{}:role/r", one.number);
    let owners = format!("arn:aws:iam::{}:root", one.number);
    iam(&one.root, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust(&[&ann_arn]))]);
    let read = |account: &str| {
        let policy = r#"{"Effect": "Allow", "Principal": {"AWS": "ACCOUNT"}, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "BUCKET/*"}"#;
        policy.replace("ACCOUNT", account)
    };
    let own = r#"{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "sts:AssumeRole"], "Resource": "*"}"#;
    let denied = r#"{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}"#;
    let mut seen = [0, 0];
    for of_bucket in [None, Some(read(&other.number)), Some(read(&ann_arn))] {
        match &of_bucket {
            Some(statement) => bucket_policy::set(&bucket, &[statement]),
            None => drop(bucket.request(Method::DELETE).raw_query("policy").send()),
        }
        for statements in [None, Some(own.to_owned()), Some(format!("{own}, {denied}"))] {
            match &statements {
                Some(statements) => put_user(&other.root, "ann", statements),
                None => drop(
                    other
                        .root
                        .call("iam", "DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "p")])
                        .send(),
                ),
            }
            for (arn, client) in [(&root_arn, &other.root), (&ann_arn, &ann), (&owners, &one.root)] {
                for key in bucket.keys() {
                    let resource = format!("arn:aws:s3:::ones/{key}");
                    let told = |action: &str| described(&server, arn, action, Some(&resource), json!({}));
                    let requests = [
                        ("s3:GetObject", bucket.through(client).get(&key)),
                        (
                            "s3:GetObjectAcl",
                            bucket.through(client).object(Method::GET, &key).raw_query("acl"),
                        ),
                    ];
                    for (action, request) in requests {
                        let is_allowed = request.send().status == 200;
                        let case = format!("{arn} {action} {key} {of_bucket:?} {statements:?}");
                        assert_eq!(told(action)["allowed"], is_allowed, "{case}");
                        seen[usize::from(is_allowed)] += 1;
                    }
                }
            }
            let assumed =
                ann.call("sts", "AssumeRole", &[("RoleArn", &role), ("RoleSessionName", "session")]).send();
            let told = described(&server, &ann_arn, "sts:AssumeRole", Some(&role), json!({}));
            assert_eq!(told["allowed"], assumed.status == 200, "{statements:?}");
        }
        // From then on it is another account's.
        if of_bucket.is_some() {
            bucket.through(&ann).put("theirs", "x").send();
            bucket.through(&other.root).put("theirs", "x").send();
        }
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

/// Only who knows the token is told anything, on no listener for clients, and of what is not described as it should be nothing.
#[test]
fn explanations_are_for_operators_alone() {
    let server = Server::start();
    let (address, token) = operators(&server);
    let question = json!("last").to_string();
    for wrong in [None, Some(""), Some("wrong"), Some(&token[1..])] {
        let (status, body) = post(&address, "/explain", wrong, &question);
        assert_eq!((status, body.len()), (401, 0), "{wrong:?}");
    }
    assert_eq!(post(&address, "/explain", Some(&token), &question).0, 200);
    assert_eq!(post(&address, "/other", Some(&token), &question).0, 404);
    let clients = server.client().host();
    let (status, body) = post(&clients, "/explain", Some(&token), &question);
    assert!(status >= 400 && !String::from_utf8_lossy(&body).contains("decisions"), "{status}");
    let long = format!("{{\"request_id\": \"{}\"}}", "x".repeat(300_000));
    let described = |who: &str, action: &str, resource: Option<&str>| {
        json!({"described": {"principal": who, "action": action, "resource": resource}}).to_string()
    };
    let name = "arn:aws:s3:::no-such-bucket";
    for (question, expected) in [
        ("", 400),
        ("{}", 400),
        (r#"{"described": {}}"#, 400),
        (r#"{"described": {"principal": "root", "action": "s3:GetObject", "surprise": 1}}"#, 400),
        (&long, 413),
        (&described("nobody", "s3:ListAllMyBuckets", None), 400),
        (&described("root", "ListAllMyBuckets", None), 400),
        (&described("root", "s3:iam:ListUsers", None), 400),
        (&described("root", "ec2:RunInstances", None), 400),
        (&described("root", "s3:GetObject", None), 400),
        (&described("root", "s3:GetObject", Some("arn:aws:s3:::bucket")), 400),
        (&described("root", "s3:ListBucket", Some("arn:aws:s3:::bucket/k")), 400),
        (&described("root", "s3:ListBucket", Some(name)), 400),
        (&described("root", "s3:CreateBucket", Some(name)), 200),
        (&described("root", "sts:AssumeRole", None), 400),
        (
            r#"{"described": {"principal": "root", "action": "iam:GetUser", "conditions": {"aws:SourceVpc": ["v"]}}}"#,
            400,
        ),
    ] {
        assert_eq!(post(&address, "/explain", Some(&token), question).0, expected, "{question:.100}");
    }
}
