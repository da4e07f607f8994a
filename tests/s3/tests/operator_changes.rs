//! What operators change of a cluster over HTTP: who may, what is changed, and what is refused and changes nothing.

use std::path::PathBuf;

use admin_api::{CHANGES, Change, ChangeRoute, DOCUMENT_PATH, Intent, Node};
use harness::{Client, Logs, Request, Server};
use http::Method;
use serde_json::{Value, json};

use crate::{
    iam_users::{iam, user},
    operators::{assert_described, get, read, refused},
};

const STANDARD: &str = "STANDARD";

/// A server on three folders that takes changes.
fn start() -> Server {
    let server = Server::start_with(3, |config| config.front.operator_changes = true);
    assert!(server.admin(&["account", "create", "research"]));
    server
}

/// What a change of this route is done to on this server, and what is sent.
fn example(server: &Server, change: Change, bucket: &str) -> (String, Option<Value>) {
    let first = |what: &str, id: &str| {
        let all = read(get(server.client(), &format!("/_ashlar/v1/{what}")));
        all[0][id].as_str().expect("an id").to_owned()
    };
    match change {
        Change::Node(_) => (first("nodes", "node"), None),
        Change::Disk(_) => (first("disks", "disk"), None),
        Change::PutQuota => (bucket.to_owned(), Some(json!({"bytes": 1 << 30, "objects": 9}))),
        Change::RemoveQuota => (bucket.to_owned(), None),
        Change::PutLimit => ("user:ann".to_owned(), Some(json!({"requests_per_second": 1000}))),
        Change::RemoveLimit => ("user:ann".to_owned(), None),
        Change::DefineClass => ("COLD".to_owned(), Some(json!({"coding": "1+1"}))),
        Change::RecodeClass => (STANDARD.to_owned(), Some(json!({"coding": "1+2"}))),
        Change::SuspendAccount | Change::ResumeAccount => {
            let accounts = read(get(server.client(), "/_ashlar/v1/accounts"));
            (accounts[1]["id"].as_str().expect("an account beside the first").to_owned(), None)
        }
    }
}

fn change(client: &Client, route: &ChangeRoute, (name, body): &(String, Option<Value>)) -> Request {
    let method: Method = route.method.parse().expect("a method");
    let request = client.request(method, &route.full_path_of(name)).into_operators();
    match body {
        Some(body) => request.body(body.to_string()),
        None => request,
    }
}

fn route(change: Change) -> &'static ChangeRoute {
    ChangeRoute::of(change)
}

/// Every change, by every way to say who asks.
#[test]
fn every_change_is_made_by_who_may() {
    let server = start();
    let root = server.client();
    let bucket = server.bucket();
    let ann = user(root, "ann");
    let document = read(get(root, DOCUMENT_PATH).anonymous());
    let put = |statements: &str| {
        let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        let (name, text) = (("PolicyName", "p"), ("PolicyDocument", document.as_str()));
        iam(root, "PutUserPolicy", &[("UserName", "ann"), name, text]);
    };
    let statement = |effect: &str, action: &str, resource: &str| {
        format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "{resource}"}}"#)
    };
    for (number, route) in CHANGES.iter().enumerate() {
        let other = CHANGES[(number + 1) % CHANGES.len()].action;
        let asked = example(&server, route.change, &bucket.name);
        let (arn, action) = (route.arn(&asked.0), route.action);
        let send = |client: &Client| change(client, route, &asked);
        let denied = |request: Request| {
            let message = refused(request, 403, "AccessDenied");
            assert!(!message.contains("identity-based") || message.contains(&arn), "{message}");
        };
        denied(send(root).anonymous());
        refused(send(&root.with_credentials(harness::ACCESS_KEY, "wrong")), 403, "SignatureDoesNotMatch");
        refused(send(root).service("iam"), 400, "AuthorizationHeaderMalformed");
        for statements in [
            statement("Allow", "s3:*", "*"),
            statement("Allow", "ashlar:Get*", "*"),
            statement("Allow", other, "*"),
            statement("Allow", action, &route.arn("another")),
            format!("{}, {}", statement("Allow", "ashlar:*", "*"), statement("Deny", action, &arn)),
        ] {
            put(&statements);
            denied(send(&ann));
        }
        put(&statement("Allow", action, &arn));
        for client in [root, &ann] {
            let answer = read(send(client));
            assert_described(&document, &route.full_path(), (route.method, "200"), &answer);
        }
        let refusal = send(root).anonymous().send();
        let refusal: Value = serde_json::from_slice(&refusal.body).expect("JSON");
        assert_described(&document, &route.full_path(), (route.method, "403"), &refusal);

        // By no other method, and with no parameters: a presigned URL changes nothing.
        for method in [Method::GET, Method::PATCH, Method::HEAD] {
            let wrong = root.request(method, &route.full_path_of(&asked.0)).into_operators().send();
            assert_eq!((wrong.status, wrong.header("allow")), (405, Some(route.allow)), "{wrong:?}");
        }
        refused(send(root).query("wait", 1), 400, "InvalidRequest");
        assert_eq!(send(root).presigned(60).send().status, 400);
        refused(change(root, route, &("%ff".to_owned(), asked.1.clone())), 400, "InvalidURI");
        refused(
            change(root, route, &("No Such".replace(' ', "%20"), asked.1.clone())),
            400,
            "InvalidArgument",
        );
    }
    refused(
        root.request(Method::POST, "/_ashlar/v1/nodes/x/y/drain").into_operators(),
        404,
        "NoSuchConfiguration",
    );
    // Draining one of three nodes leaves classes short of disks, which a worker that looks meanwhile warns of.
    Logs.take("placement groups lack disks");
}

#[test]
fn a_gateway_makes_no_changes_unless_it_is_set_up_to() {
    let server = Server::start_with(3, |_| {});
    assert!(server.admin(&["account", "create", "research"]));
    let (root, bucket) = (server.client(), server.bucket());
    user(root, "ann");
    let configuration = read(get(root, "/_ashlar/v1/configuration"));
    assert_eq!(configuration["operator_changes"], false);
    let before = ["nodes", "disks", "buckets", "limits", "accounts"]
        .map(|what| read(get(root, &format!("/_ashlar/v1/{what}"))));
    for route in CHANGES {
        let asked = example(&server, route.change, &bucket.name);
        let message = refused(change(root, route, &asked), 403, "AccessDenied");
        assert!(message.contains("--operator-changes"), "{message}");
    }
    let after = ["nodes", "disks", "buckets", "limits", "accounts"]
        .map(|what| read(get(root, &format!("/_ashlar/v1/{what}"))));
    for (before, after) in before.iter().zip(&after) {
        let intents = |list: &Value| {
            let items = list.as_array().into_iter().flatten();
            items.map(|item| item["intent"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(intents(before), intents(after));
    }
    assert_eq!(before[2..], after[2..]);
}

#[test]
fn what_is_changed_is_read_as_it_is_then() {
    use Intent::{Drain, Remove, Serve};
    let server = start();
    let (root, bucket) = (server.client(), server.bucket());
    user(root, "ann");
    let v1 = |what: &str| read(get(root, &format!("/_ashlar/v1/{what}")));
    let make = |change_: Change| read(change(root, route(change_), &example(&server, change_, &bucket.name)));

    for intent in [Drain, Remove, Serve] {
        let answer = make(Change::Node(intent));
        let node: Node = serde_json::from_value(v1("nodes")[0].clone()).expect("a node");
        assert_eq!((&answer["id"], &answer["intent"]), (&json!(node.node), &json!(node.intent)));
        // A single machine has nowhere to move anything to, which is said.
        let short = answer["short_of_disks"].as_array().expect("a list").len();
        assert_eq!(short > 0, intent != Serve, "{answer}");
    }
    for intent in [Drain, Serve] {
        let answer = make(Change::Disk(intent));
        assert_eq!((&answer["id"], &answer["intent"]), (&v1("disks")[0]["disk"], &v1("disks")[0]["intent"]));
    }

    let answer = make(Change::PutQuota);
    assert_eq!((&answer, &answer["quota"]), (&v1("buckets")[0], &json!({"bytes": 1 << 30, "objects": 9})));
    assert_eq!(make(Change::RemoveQuota)["quota"], json!({"bytes": null, "objects": null}));
    make(Change::PutLimit);
    let limit = &v1("limits")["limits"][0];
    assert_eq!((&limit["name"], &limit["rates"]["requests_per_second"]), (&json!("ann"), &json!(1000)));
    assert_eq!(make(Change::RemoveLimit)["limits"], json!([]));
    let class = make(Change::DefineClass);
    assert_eq!((&class[0]["name"], &class[0]["coding"]), (&json!("COLD"), &json!("1+1")));
    assert_eq!(make(Change::DefineClass), class, "it may be said again");
    let recoded = read(change(
        root,
        route(Change::RecodeClass),
        &(STANDARD.to_owned(), Some(json!({"coding": "1+1"}))),
    ));
    let codings: Vec<_> = recoded
        .as_array()
        .expect("a list")
        .iter()
        .map(|class| (&class["coding"], &class["former"]))
        .collect();
    assert!(
        codings.contains(&(&json!("1+1"), &json!(false))) && codings.contains(&(&json!("1+2"), &json!(true))),
        "{recoded}"
    );
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = start();
    let (root, bucket) = (server.client(), server.bucket());
    user(root, "ann");
    let (name, nobody) = (bucket.name.as_str(), "0".repeat(32));
    let node = example(&server, Change::Node(Intent::Drain), name).0;
    let send = |of: Change, name: &str, body: &str| {
        let request = change(root, route(of), &(name.to_owned(), None));
        if body.is_empty() { request } else { request.body(body) }
    };
    let drain = Intent::Drain;
    for (of, name, body, status, code) in [
        (Change::Node(drain), nobody.as_str(), "", 404, "NoSuchConfiguration"),
        (Change::Disk(drain), &nobody, "", 404, "NoSuchConfiguration"),
        (Change::PutQuota, "no-such-bucket", r#"{"bytes": 1}"#, 404, "NoSuchBucket"),
        (Change::RemoveQuota, "no-such-bucket", "", 404, "NoSuchBucket"),
        (Change::PutQuota, name, "{}", 400, "InvalidRequest"),
        (Change::PutQuota, name, "", 400, "InvalidRequest"),
        (Change::PutQuota, name, r#"{"bytes": -1}"#, 400, "InvalidRequest"),
        (Change::PutQuota, name, r#"{"bytes": 1, "object": 2}"#, 400, "InvalidRequest"),
        (Change::PutQuota, name, r#"{"bytes": 9223372036854775808}"#, 400, "InvalidRequest"),
        (Change::PutQuota, name, r#"{"bytes": 1}{}"#, 400, "InvalidRequest"),
        (Change::PutQuota, name, " [1, 2]", 400, "InvalidRequest"),
        (Change::RemoveQuota, name, "{}", 400, "InvalidRequest"),
        (Change::Node(drain), &node, r#"{"wait": true}"#, 400, "InvalidRequest"),
        (Change::PutLimit, "user:nobody", r#"{"requests_per_second": 1}"#, 404, "NoSuchConfiguration"),
        (Change::PutLimit, "user:ann", "{}", 400, "InvalidRequest"),
        (Change::PutLimit, "user:ann", r#"{"sent_bytes_per_second": 1}"#, 400, "InvalidRequest"),
        (Change::PutLimit, "user:ann", r#"{"burst_seconds": 3601}"#, 400, "InvalidRequest"),
        (Change::DefineClass, "COLD", r#"{"coding": "0+1"}"#, 400, "InvalidRequest"),
        (Change::DefineClass, "COLD", r#"{"coding": "1+1", "groups": 3}"#, 400, "InvalidRequest"),
        (Change::DefineClass, "COLD", r#"{"coding": "1+1", "medium": ""}"#, 400, "InvalidRequest"),
        (Change::DefineClass, STANDARD, r#"{"coding": "1+1"}"#, 400, "InvalidRequest"),
        (Change::DefineClass, STANDARD, r#"{"coding": "1+2", "groups": 3}"#, 400, "InvalidRequest"),
        (Change::DefineClass, STANDARD, r#"{"coding": "1+2", "medium": "tape"}"#, 400, "InvalidRequest"),
        (Change::RecodeClass, "COLD", r#"{"coding": "1+1"}"#, 400, "InvalidRequest"),
        (Change::RecodeClass, STANDARD, r#"{"coding": "8+3"}"#, 400, "InvalidRequest"),
    ] {
        refused(send(of, name, body), status, code);
    }
    // A body of which the signature says nothing.
    let quota = r#"{"bytes": 1}"#;
    let unsigned = || send(Change::PutQuota, name, quota);
    refused(unsigned().unsigned_payload(), 400, "InvalidRequest");
    refused(unsigned().unsigned_trailer(1024, "x-amz-checksum-crc32c", ""), 400, "InvalidRequest");
    refused(send(Change::RemoveQuota, name, "").unsigned_payload(), 400, "InvalidRequest");
    // A body that is not what was signed, and one that is too long.
    let quota = send(Change::PutQuota, name, r#"{"bytes": 1}"#).prepare().replace_in_body(b"1", b"2").send();
    assert_eq!(quota.status, 400, "{quota:?}");
    refused(send(Change::PutQuota, name, &" ".repeat(17 << 10)), 400, "EntityTooLarge");
    let v1 = |what: &str| read(get(root, &format!("/_ashlar/v1/{what}")));
    assert_eq!(v1("buckets")[0]["quota"], json!({"bytes": null, "objects": null}));
    assert_eq!(v1("limits")["limits"], json!([]));
    assert!(v1("classes").as_array().expect("a list").iter().all(|class| class["name"] != "COLD"));
    assert!(v1("nodes").as_array().expect("a list").iter().all(|node| node["intent"] == "serve"));
}

#[test]
fn every_change_has_a_line_in_the_audit_log() {
    let mut log = PathBuf::new();
    let mut server = Server::start_with(3, |config| {
        log = config.data[0].parent().expect("it is in a folder").join("audit.log");
        config.front.operator_changes = true;
        config.front.audit_log = Some(log.display().to_string().parse().expect("a file"));
    });
    let (root, bucket) = (server.client(), server.bucket());
    let ann = user(root, "ann");
    let of = route(Change::PutQuota);
    let asked = example(&server, of.change, &bucket.name);
    read(change(root, of, &asked));
    refused(change(&ann, of, &asked), 403, "AccessDenied");
    // A gateway that makes no changes allows none.
    let quiet = Server::start_with(3, |config| {
        config.front.audit_log = Some(format!("{}.2", log.display()).parse().expect("a file"));
    });
    let other = quiet.bucket();
    refused(change(quiet.client(), of, &example(&quiet, of.change, &other.name)), 403, "AccessDenied");
    let mut quiet = quiet;
    quiet.stop();
    let text = std::fs::read_to_string(format!("{}.2", log.display())).expect("the log is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let told: Vec<_> = lines.filter(|line| line["action"] == of.action).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert_eq!((&told[0]["verdict"], &told[0]["resource"]), (&json!("refused"), &json!(of.arn(&other.name))));

    let arn = of.arn(&bucket.name);
    server.stop();
    let text = std::fs::read_to_string(&log).expect("the log is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let told: Vec<_> = lines.filter(|line| line["action"] == of.action).collect();
    let told: Vec<_> =
        told.iter().map(|line| (line["verdict"].as_str(), line["resource"].as_str())).collect();
    assert_eq!(told, [(Some("allowed"), Some(arn.as_str())), (Some("denied"), Some(arn.as_str()))], "{text}");
}
