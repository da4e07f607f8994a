//! What operators read of a cluster over HTTP: who may, what is answered, and the document that describes it.

use std::collections::BTreeSet;

use admin_api::{CHANGES, DOCUMENT_PATH, ROUTES, Route};
use harness::{Client, Request, SECRET_KEY, Server, now_seconds};
use http::Method;
use serde_json::{Value, json};

use crate::{
    federation::federate,
    iam_users::{iam, user},
    roles::{assume, role},
};

pub(crate) fn get(client: &Client, path: &str) -> Request {
    client.request(Method::GET, path).into_operators()
}

#[track_caller]
pub(crate) fn read(request: Request) -> Value {
    serde_json::from_slice(&request.ok().body).expect("JSON")
}

#[track_caller]
pub(crate) fn refused(request: Request, status: u16, code: &str) -> String {
    let response = request.send();
    let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!((response.status, &problem["code"]), (status, &json!(code)), "{response:?}");
    problem["message"].as_str().expect("a message").to_owned()
}

/// What a value has that its schema does not say, or lacks. Knows what the document uses of JSON Schema, and nothing else.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("within the document");
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return faults(document, target, value, place, found);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let fits = |option: &Value| {
            let mut own = Vec::new();
            faults(document, option, value, place, &mut own);
            own.is_empty()
        };
        if !options.iter().any(fits) {
            found.push(format!("{place}: {value} is none of {options:?}"));
        }
        return;
    }
    if let Some(options) = schema["oneOf"].as_array() {
        if !options.iter().any(|option| option["const"] == *value) {
            found.push(format!("{place}: {value} is none of {options:?}"));
        }
        return;
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{place}: this test knows no {other}"),
    };
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        other => panic!("{place}: no type but {other}"),
    };
    if !kinds.iter().any(|kind| is(kind)) {
        found.push(format!("{place}: {value} is no {kinds:?}"));
    }
    if schema["minimum"].as_i64().zip(value.as_i64()).is_some_and(|(least, value)| value < least) {
        found.push(format!("{place}: {value} is too small"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        faults(document, &schema["items"], item, &format!("{place}[{number}]"), found);
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().expect("a name")) {
                found.push(format!("{place}: there is no {name}"));
            }
        }
        for (name, field) in fields {
            let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
            match schema["properties"].get(name).or(rest) {
                Some(schema) => faults(document, schema, field, &format!("{place}.{name}"), found),
                None => found.push(format!("{place}: {name} is not in the schema")),
            }
        }
    }
}

#[track_caller]
pub(crate) fn assert_described(document: &Value, path: &str, (method, status): (&str, &str), answer: &Value) {
    let responses = &document["paths"][path][method.to_ascii_lowercase()]["responses"];
    let response = match responses[status]["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("it leads somewhere"),
        None => &responses[status],
    };
    let schema = &response["content"]["application/json"]["schema"];
    let mut found = Vec::new();
    faults(document, schema, answer, path, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

/// Every route's answer is as the document says, whoever reads the document.
#[test]
fn every_answer_is_as_the_document_says() {
    let server = Server::start_with(3, |_| {});
    let root = server.client();
    let bucket = server.bucket();
    bucket.put("key", vec![7; 300 << 10]).ok();
    assert!(server.admin(&["bucket", "quota", &bucket.name, "--bytes", "1GiB"]));
    let document = read(get(root, DOCUMENT_PATH).anonymous());
    assert_eq!(document, admin_api::document());
    assert_eq!(document["openapi"], "3.1.0");
    for route in ROUTES {
        let path = route.full_path();
        let answer = read(get(root, &path));
        assert_described(&document, &path, ("GET", "200"), &answer);
        let text = answer.to_string();
        assert!(!text.contains(SECRET_KEY) && !text.contains("secret"), "{path}: {text}");
        let refusal = get(root, &path).anonymous().send();
        assert_described(
            &document,
            &path,
            ("GET", "403"),
            &serde_json::from_slice(&refusal.body).expect("JSON"),
        );
    }
    // And a wrong one is not.
    let mut found = Vec::new();
    let schema = json!({"$ref": "#/components/schemas/BucketUsage"});
    faults(&document, &schema, &json!({"bucket": 1, "quota": {"bytes": "x"}, "more": 1}), "", &mut found);
    assert_eq!(found.len(), 7, "{found:#?}");
}

/// What is answered is what there is.
#[test]
fn what_is_answered_is_what_there_is() {
    let server = Server::start_with(3, |_| {});
    let root = server.client();
    let bucket = server.bucket();
    bucket.put("key", vec![7; 1000]).ok();
    bucket.put("other", vec![7; 24]).ok();
    assert!(server.admin(&["bucket", "quota", &bucket.name, "--bytes", "1GiB", "--objects", "9"]));
    let v1 = |path: &str| read(get(root, &format!("/_ashlar/v1/{path}")));
    let usage = json!([{
        "bucket": bucket.name, "objects": 2, "object_bytes": 1024, "versions": 2, "version_bytes": 1024,
        "quota": { "bytes": 1 << 30, "objects": 9 },
    }]);
    assert_eq!(v1("buckets"), usage);

    let status = v1("status");
    for part in ["nodes", "disks", "classes"] {
        assert_eq!(v1(part), status[part], "{part}");
    }
    let disks = status["disks"].as_array().expect("a list");
    assert_eq!((disks.len(), status["nodes"].as_array().map(Vec::len)), (3, Some(1)));
    assert!(disks.iter().all(|disk| disk["state"] == "up" && disk["groups"].as_u64() > Some(0)), "{status}");
    let classes = status["classes"].as_array().expect("a list");
    assert!(classes.iter().any(|class| class["name"] == "STANDARD" && class["coding"] == "1+2"), "{status}");
    assert_eq!((&status["frozen"], &status["shards_to_repair"]), (&json!(false), &json!(0)));
    assert!(v1("jobs").as_array().expect("a list").iter().all(|job| job["holder"].is_string()));
    let repair = v1("repair");
    assert_eq!((&repair["shards_due"], &repair["disks_silent"]), (&json!(0), &json!([])), "{repair}");
    let configuration = v1("configuration");
    assert_eq!((&configuration["region"], &configuration["scheme"]), (&json!("us-east-1"), &json!("http")));

    let reckoned =
        read(get(root, "/_ashlar/v1/durability").query("annual_failure_rate", 0.5).query("repair_hours", 2));
    assert_eq!(
        (&reckoned["annual_failure_rate"], &reckoned["repair_seconds"]),
        (&json!(0.5), &json!(7200.0))
    );
    assert_eq!(
        (&reckoned["held"], &reckoned["seen"]["disks"]),
        (&json!({"versions": 2, "bytes": 1024}), &json!(3))
    );
    assert!(v1("durability")["annual_failure_rate"].as_f64() < Some(0.1));
}

#[test]
fn buckets_are_answered_in_pages() {
    let server = Server::start();
    let root = server.client();
    for name in ["page-a", "page-b", "page-c", "quite-another"] {
        root.request(Method::PUT, &format!("/{name}")).ok();
    }
    let names = |query: &[(&str, &str)]| {
        let request = get(root, "/_ashlar/v1/buckets");
        let request = query.iter().fold(request, |request, (name, value)| request.query(name, value));
        let answer = read(request);
        let names = answer.as_array().expect("a list").iter();
        names.map(|it| it["bucket"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["page-a", "page-b", "page-c", "quite-another"]);
    assert_eq!(names(&[("prefix", "page-"), ("limit", "2")]), ["page-a", "page-b"]);
    assert_eq!(names(&[("prefix", "page-"), ("limit", "2"), ("after", "page-b")]), ["page-c"]);
    assert_eq!(names(&[("prefix", "none")]), Vec::<String>::new());
}

/// What the document that a gateway gives names is there, by the method that it names, and no other method is.
#[test]
fn the_document_and_what_is_answered_are_the_same() {
    let server = Server::start_with(3, |config| config.front.operator_changes = true);
    let root = server.client();
    let document = read(get(root, DOCUMENT_PATH).anonymous());
    let mut described = BTreeSet::new();
    for (template, operations) in document["paths"].as_object().expect("paths") {
        // Something that is not there, where it has a name of its own: what is refused then is the name, and not the path.
        let path: String = template
            .split('/')
            .map(|part| if part.starts_with('{') { "nothing" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let request = root.request(method.parse().expect("a method"), &path).into_operators();
            let response = request.send();
            let code = response.header("x-amzn-errortype").unwrap_or_default().to_owned();
            let is_there = response.status != 405 && code != "NoSuchConfiguration";
            let is_described = operations.get(method.to_ascii_lowercase()).is_some();
            assert_eq!(is_there, is_described, "{method} {path}: {response:?}");
            if is_described {
                described.insert((template.clone(), method));
            }
        }
    }
    let reads = ROUTES.iter().map(|route| (route.full_path(), "GET"));
    let changes = CHANGES.iter().map(|route| (route.full_path(), route.method));
    assert_eq!(described, reads.chain(changes).collect::<BTreeSet<_>>());
}

/// Why requests are refused, and what would be decided.
#[test]
fn decisions_are_explained_to_who_may_ask() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let bucket = server.bucket();
    let (path, arn) = ("/_ashlar/v1/explanations", format!("arn:aws:s3:::{}/key", bucket.name));
    assert_eq!(read(get(root, path)), json!([]));
    let response = ann.request(Method::GET, "/").send();
    let id = response.header("x-amz-request-id").expect("an id").to_owned();
    for told in [read(get(root, path)), read(get(root, path).query("request_id", &id))] {
        assert_eq!((&told[0]["request_id"], &told[0]["action"]), (&json!(id), &json!("s3:ListAllMyBuckets")));
        assert_eq!(told[0]["allowed"], false, "{told}");
    }
    assert_eq!(read(get(root, path).query("request_id", "0000")), json!([]));
    let ask = || get(root, path).query("principal", "ann").query("action", "s3:GetObject");
    let described = ask().query("resource", &arn).query("conditions", r#"{"aws:SourceIp": ["10.0.0.1"]}"#);
    let told = read(described);
    assert_eq!((told.as_array().map(Vec::len), &told[0]["resource"]), (Some(1), &json!(arn)));
    assert_eq!(told[0]["context"]["aws:SourceIp"], json!(["10.0.0.1"]), "{told}");
    refused(ask().query("request_id", &id), 400, "InvalidArgument");
    refused(ask().query("conditions", "[]"), 400, "InvalidArgument");
    refused(get(root, path).query("principal", "ann"), 400, "InvalidArgument");
    refused(
        get(root, path).query("principal", "nobody").query("action", "s3:GetObject"),
        400,
        "InvalidArgument",
    );
    // What lets somebody read the cluster lets nobody read what others were refused.
    let statement =
        r#"{"Statement": {"Effect": "Allow", "Action": ["ashlar:Get*", "ashlar:List*"], "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", statement)]);
    read(get(&ann, "/_ashlar/v1/accounts"));
    refused(get(&ann, path), 403, "AccessDenied");
}

/// Every route, by every way to say who asks.
#[test]
fn every_route_is_read_by_who_may() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let put = |statements: &str| {
        let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        iam(
            root,
            "PutUserPolicy",
            &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &document)],
        );
    };
    let statement = |effect: &str, action: &str| {
        format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#)
    };
    let all = statement("Allow", "ashlar:*");
    role(root, "r", &["*"], std::slice::from_ref(&all));
    for (number, route) in ROUTES.iter().enumerate() {
        let (path, action) = (route.full_path(), route.action);
        let other: &Route = &ROUTES[(number + 1) % ROUTES.len()];
        let send = |client: &Client| get(client, &path);
        let denied = |request: Request| {
            let message = refused(request, 403, "AccessDenied");
            assert!(!message.contains("identity-based") || message.contains(action), "{message}");
        };
        denied(send(root).anonymous());
        refused(send(&root.with_credentials("AKIAABCDEFGHIJKLMNOP", "x")), 403, "InvalidAccessKeyId");
        refused(send(&root.with_credentials("accesskey", "x")), 403, "InvalidAccessKeyId");
        refused(send(&root.with_credentials(harness::ACCESS_KEY, "wrong")), 403, "SignatureDoesNotMatch");
        refused(send(&root.with_region("eu-west-1")), 400, "AuthorizationHeaderMalformed");
        refused(send(root).service("iam"), 400, "AuthorizationHeaderMalformed");
        refused(send(root).signed_at(now_seconds() - 1200), 403, "RequestTimeTooSkewed");
        refused(send(&ann.with_session_token("t")), 400, "InvalidToken");
        // Nobody hands on what operators read.
        refused(send(root).presigned(60), 400, "InvalidArgument");

        for statements in [
            statement("Allow", "s3:*"),
            statement("Allow", other.action),
            format!("{all}, {}", statement("Deny", action)),
            statement("Allow", action).replace(r#""Resource": "*""#, r#""Resource": "arn:aws:s3:::*""#),
        ] {
            put(&statements);
            denied(send(&ann));
        }
        put(&format!("{}, {}", statement("Allow", "sts:*"), statement("Allow", action)));
        let limit = format!(r#"{{"Statement": {}}}"#, statement("Allow", other.action));
        denied(send(&assume(&ann, "r", &[("Policy", &limit)])));
        denied(send(&federate(&ann, "none", &[])));
        denied(send(&federate(root, "none", &[("Policy", &limit)])));
        let whole = format!(r#"{{"Statement": {all}}}"#);
        for client in [
            root.clone(),
            ann.clone(),
            assume(&ann, "r", &[]),
            federate(&ann, "some", &[("Policy", &whole)]),
            federate(root, "some", &[("Policy", &whole)]),
        ] {
            read(send(&client));
        }
        refused(get(&ann, &other.full_path()), 403, "AccessDenied");

        // Nothing but reading is there, not for the root user either.
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::HEAD] {
            let request = |client: &Client| client.request(method.clone(), &path).into_operators();
            assert_eq!(request(root).anonymous().send().status, 403);
            let response = request(root).send();
            assert_eq!((response.status, response.header("allow")), (405, Some("GET")), "{response:?}");
        }
        refused(send(root).query("unknown", 1), 400, "InvalidArgument");
        for parameter in route.parameters {
            refused(send(root).query(parameter.name, 1).query(parameter.name, 1), 400, "InvalidArgument");
        }
    }
    for (path, name, values) in [
        ("/_ashlar/v1/buckets", "limit", &["0", "1001", "-1", "x", ""][..]),
        ("/_ashlar/v1/durability", "annual_failure_rate", &["0", "2", "NaN", "x"]),
        ("/_ashlar/v1/durability", "repair_hours", &["0", "-1", "inf", "1e300"]),
        ("/_ashlar/v1/durability", "repair_mib_per_second", &["0", "1048577", "1.5"]),
    ] {
        for value in values {
            refused(get(root, path).query(name, value), 400, "InvalidArgument");
        }
    }
    put(&all);
    for path in
        ["/_ashlar", "/_ashlar/", "/_ashlar/v1", "/_ashlar/v1/", "/_ashlar/v1/none", "/_ashlar/v2/status"]
    {
        refused(get(root, path), 404, "NoSuchConfiguration");
        refused(get(&ann, path), 404, "NoSuchConfiguration");
        refused(get(root, path).anonymous(), 403, "AccessDenied");
    }
}

/// What would be decided on a request can be asked for.
#[test]
fn a_right_of_operators_is_one_like_others() {
    let server = Server::start();
    let root = server.client();
    user(root, "ann");
    let explain =
        |who: &str, action: &str| server.admin(&["explain", "--principal", who, "--action", action]);
    let actions: BTreeSet<&str> = ROUTES.iter().map(|route| route.action).collect();
    for action in actions {
        assert!(explain("ann", action) && explain("root", action), "{action} is one that can be asked about");
    }
    assert!(!explain("ann", "ashlar:GetNothing"));
}

/// A bucket that the host names may have such keys.
#[test]
fn keys_of_buckets_are_not_taken_for_it() {
    let server = Server::start_with(1, |config| config.front.domain = vec!["s3.example.com".to_owned()]);
    let bucket = server.bucket();
    bucket.put("_ashlar/v1/status", "an object").ok();
    let host = format!("{}.s3.example.com", bucket.name);
    let object = server.client().request(Method::GET, "/_ashlar/v1/status").host(&host).ok();
    assert_eq!(&object.body[..], b"an object");
    read(get(server.client(), "/_ashlar/v1/status").host("s3.example.com"));
    server.client().request(Method::PUT, "/_ashlar").into_operators().send().expect(404);
}
