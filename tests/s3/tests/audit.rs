//! The audit log: a line for each decision, and nothing secret in it.

use std::path::PathBuf;

use harness::{Client, Server};
use http::Method;
use serde_json::Value;

use crate::{
    federation::federate,
    iam_roles::trust,
    iam_users::{iam, user},
    roles::{assume, session_token},
};

const ACCOUNT: &str = "750814517293";

/// A server with an audit log beside its folder, which is kept for the test.
fn start() -> (Server, PathBuf) {
    let mut path = PathBuf::new();
    let server = Server::start_with(1, |config| {
        path = config.data[0].parent().expect("it is in a folder").join("audit.log");
        config.front.audit_log = Some(path.display().to_string().parse().expect("a file"));
    });
    (server, path)
}

/// What was written until the server was stopped: verdict, action and kind of each line.
fn lines(server: &mut Server, path: &PathBuf) -> (String, Vec<Value>) {
    server.stop();
    let text = std::fs::read_to_string(path).expect("the log is there");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    (text, lines)
}

fn of<'a>(lines: &'a [Value], action: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let text = |line: &'a Value, name: &str| line[name].as_str().expect("text");
    let is_it = |line: &&Value| line["action"] == action;
    lines
        .iter()
        .filter(is_it)
        .map(|line| (text(line, "verdict"), text(line, "kind"), text(line, "identity")))
        .collect()
}

fn role(root: &Client, name: &str) -> String {
    let to_ann = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/ann")]);
    iam(root, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &to_ann)]);
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

#[test]
fn every_decision_has_a_line() {
    let (mut server, path) = start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let allow = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", allow)]);
    let hers = ann.existing_bucket(&bucket.name);
    let got = hers.object(Method::GET, "k").ok();
    let id = got.get("x-amz-request-id").to_owned();
    hers.object(Method::DELETE, "k").refused(403, "AccessDenied");
    bucket.object(Method::GET, "k").anonymous().refused(403, "AccessDenied");
    bucket.object(Method::POST, "k").raw_query("uploads").anonymous().refused(403, "AccessDenied");
    ann.call("iam", "ListUsers", &[]).refused_call(403, "AccessDenied");
    ann.call("sts", "GetCallerIdentity", &[]).ok();
    bucket.request(Method::GET).raw_query("policy").refused(404, "NoSuchBucketPolicy");
    root.request(Method::GET, "/").ok();

    let (text, lines) = lines(&mut server, &path);
    let ann = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    let own = "identity-based policy";
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let by_root = ("allowed", "root user", root.as_str());
    assert_eq!(
        of(&lines, "s3:GetObject"),
        [("allowed", own, ann.as_str()), ("denied", own, "anonymous")],
        "{text}"
    );
    assert_eq!(of(&lines, "s3:DeleteObject"), [("denied", own, ann.as_str())]);
    assert_eq!(of(&lines, "iam:ListUsers"), [("denied", own, ann.as_str())]);
    assert_eq!(of(&lines, "sts:GetCallerIdentity"), [("allowed", "everybody", ann.as_str())]);
    assert_eq!(of(&lines, "s3:PutObject"), [by_root, ("denied", own, "anonymous")]);
    for action in [
        "s3:CreateBucket",
        "iam:CreateUser",
        "iam:CreateAccessKey",
        "s3:GetBucketPolicy",
        "s3:ListAllMyBuckets",
    ] {
        assert_eq!(of(&lines, action), [by_root], "{action}");
    }
    let line = lines.iter().find(|line| line["request_id"] == id.as_str()).expect("it is told by its id");
    assert_eq!(line["resource"], format!("arn:aws:s3:::{}/k", bucket.name));
    assert_eq!(line["source_ip"], "127.0.0.1");
    assert!(line["access_key_id"].as_str().expect("a key").starts_with("AKIA"));
    let signed = ["AWS4-HMAC", "Signature", "Authorization", "Statement", "secretkey"];
    assert!(signed.iter().all(|secret| !text.contains(secret)), "nothing secret is told: {text}");
}

/// What operators read has a line too, whoever asked, and what was no question has none.
#[test]
fn what_operators_read_has_a_line() {
    let (mut server, path) = start();
    let root = server.client();
    let ann = user(root, "ann");
    let status =
        |client: &Client, method: Method| client.request(method, "/_ashlar/v1/status").into_operators();
    status(root, Method::GET).ok();
    status(&ann, Method::GET).send().expect(403);
    status(root, Method::GET).anonymous().send().expect(403);
    status(root, Method::PUT).send().expect(405);
    status(root, Method::GET).query("unknown", 1).send().expect(400);
    let (text, lines) = lines(&mut server, &path);
    let own = "identity-based policy";
    let (root, ann) = (format!("arn:aws:iam::{ACCOUNT}:root"), format!("arn:aws:iam::{ACCOUNT}:user/ann"));
    assert_eq!(
        of(&lines, "ashlar:GetStatus"),
        [
            ("allowed", "root user", root.as_str()),
            ("denied", own, ann.as_str()),
            ("denied", own, "anonymous")
        ],
        "{text}"
    );
}

/// A call that others get ahead of is decided on anew, and told of once.
#[test]
fn a_call_that_is_decided_on_anew_has_one_line() {
    const CALLERS: usize = 8;
    const CALLS: usize = 6;
    let (mut server, path) = start();
    let root = server.client();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || {
                for call in 0..CALLS {
                    let name = format!("u{caller}-{call}");
                    let status = root.call("iam", "CreateUser", &[("UserName", &name)]).send().status;
                    assert!([200, 409].contains(&status), "made, or too many others were ahead: {status}");
                }
            });
        }
    });
    let (text, lines) = lines(&mut server, &path);
    assert_eq!(of(&lines, "iam:CreateUser").len(), CALLERS * CALLS, "{text}");
}

/// What made no session is not told as allowed, whatever it was refused for.
#[test]
fn a_role_that_was_not_assumed_is_not_told_as_allowed() {
    let (mut server, path) = start();
    let root = server.client();
    let (ann, bob) = (user(root, "ann"), user(root, "bob"));
    let arn = role(root, "r");
    let asking = |client: &Client, arn: &str, more: &[(&str, &str)]| {
        let parameters = [&[("RoleArn", arn), ("RoleSessionName", "s1")][..], more].concat();
        client.call("sts", "AssumeRole", &parameters)
    };
    asking(&ann, &arn, &[("DurationSeconds", "43200")]).refused_call(400, "ValidationError");
    asking(&ann, &arn, &[("Policy", "{")]).refused_call(400, "MalformedPolicyDocument");
    asking(&ann, &arn, &[("PolicyArns", "x")]).refused_call(400, "ValidationError");
    asking(&bob, &arn, &[]).refused_call(403, "AccessDenied");
    asking(root, &arn, &[]).refused_call(403, "AccessDenied");
    root.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
    asking(&ann, &arn, &[]).ok();
    let (text, lines) = lines(&mut server, &path);
    let found = of(&lines, "sts:AssumeRole");
    let verdicts: Vec<_> = found.iter().map(|(verdict, kind, _)| (*verdict, *kind)).collect();
    let trusted = "role trust policy";
    assert_eq!(
        verdicts,
        [
            ("refused", "ValidationError"),
            ("refused", "MalformedPolicyDocument"),
            ("refused", "ValidationError"),
            ("denied", trusted),
            ("refused", "AccessDenied"),
            ("allowed", trusted),
        ],
        "{text}"
    );
    assert_eq!(of(&lines, "sts:GetSessionToken")[0].0, "refused");
    let resources: Vec<_> = lines
        .iter()
        .filter(|line| line["action"] == "sts:AssumeRole")
        .map(|line| &line["resource"])
        .collect();
    assert!(resources.iter().all(|resource| **resource == arn.as_str()), "{resources:?}");
    assert!(!text.contains("SessionToken\"") || !text.contains("SecretAccessKey"), "{text}");
}

/// The access key of a session is in the line of the call that made it, and in those of what was done with it.
#[test]
fn sessions_are_told_apart_by_their_access_keys() {
    let (mut server, path) = start();
    let root = server.client();
    let bucket = root.bucket();
    let ann = user(root, "ann");
    let allow = r#"{"Statement": {"Effect": "Allow", "Action": ["sts:*", "s3:*"], "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", allow)]);
    let arn = role(root, "r");
    iam(root, "PutRolePolicy", &[("RoleName", "r"), ("PolicyName", "p"), ("PolicyDocument", allow)]);
    let sessions = [
        assume(&ann, "r", &[]),
        assume(&ann, "r", &[]),
        session_token(&ann),
        federate(&ann, "hers", &[("Policy", allow)]),
        federate(&ann, "hers", &[("Policy", allow), TEAM[0], TEAM[1]]),
    ];
    for (number, session) in sessions.iter().enumerate() {
        session.existing_bucket(&bucket.name).put(&format!("{number}"), "x").ok();
    }
    let (text, lines) = lines(&mut server, &path);
    let issued = |action: &str| -> Vec<&str> {
        let of = lines.iter().filter(|line| line["action"] == action && line["verdict"] == "allowed");
        of.map(|line| line["issued_access_key_id"].as_str().expect("a key")).collect()
    };
    let by = |number: usize| {
        let resource = format!("arn:aws:s3:::{}/{number}", bucket.name);
        let of = |line: &&Value| line["action"] == "s3:PutObject" && line["resource"] == resource.as_str();
        let line = lines.iter().find(of).expect("it has a line");
        assert!(line.get("issued_access_key_id").is_none(), "{line}");
        line["access_key_id"].as_str().expect("a key")
    };
    assert_eq!(issued("sts:AssumeRole"), [by(0), by(1)], "{text}");
    assert_eq!(issued("sts:GetSessionToken"), [by(2)]);
    assert_eq!(issued("sts:GetFederationToken"), [by(3), by(4)]);
    assert_eq!(issued("sts:TagSession"), [by(4)], "what has tags has a line for them");
    let own = |action: &str| of(&lines, action).iter().map(|(verdict, ..)| *verdict).collect::<Vec<_>>();
    assert_eq!(own("sts:TagSession"), ["allowed"]);
    let keys: std::collections::BTreeSet<_> = (0..5).map(by).collect();
    assert!(keys.len() == 5 && keys.iter().all(|key| key.starts_with("ASIA")), "{keys:?}");
    assert!(lines.iter().any(|line| line["resource"] == arn.as_str()));
}

const TEAM: [(&str, &str); 2] = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "red")];

#[test]
fn federated_users_are_told_by_their_own_name() {
    let (mut server, path) = start();
    let root = server.client();
    let bucket = root.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    ann.call("sts", "GetFederationToken", &[("Name", "hers")]).refused_call(403, "AccessDenied");
    ann.call("sts", "GetFederationToken", &[("Name", "x")]).refused_call(400, "ValidationError");
    let allow = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}"#;
    let federated = federate(root, "his", &[("Policy", allow)]);
    let his = federated.existing_bucket(&bucket.name);
    his.object(Method::GET, "k").ok();
    his.object(Method::DELETE, "k").refused(403, "AccessDenied");
    federated.call("sts", "GetSessionToken", &[]).refused_call(403, "AccessDenied");
    let (text, lines) = lines(&mut server, &path);
    let (ann, root) = (format!("arn:aws:iam::{ACCOUNT}:user/ann"), format!("arn:aws:iam::{ACCOUNT}:root"));
    let his = format!("arn:aws:sts::{ACCOUNT}:federated-user/his");
    let own = "identity-based policy";
    let made: Vec<_> = of(&lines, "sts:GetFederationToken");
    let expected = [
        ("denied", own, ann.as_str()),
        ("refused", "ValidationError", &ann),
        ("allowed", "root user", &root),
    ];
    assert_eq!(made, expected, "{text}");
    let resource = |at: usize| {
        let of = lines.iter().filter(|line| line["action"] == "sts:GetFederationToken");
        of.map(|line| line["resource"].as_str()).nth(at).flatten()
    };
    assert_eq!(resource(2), Some(his.as_str()));
    // It is his session that lets him, within what the root user may.
    assert_eq!(of(&lines, "s3:GetObject"), [("allowed", "session policy", his.as_str())]);
    assert_eq!(of(&lines, "s3:DeleteObject"), [("denied", "session policy", his.as_str())]);
    assert_eq!(of(&lines, "sts:GetSessionToken"), [("refused", "AccessDenied", his.as_str())]);
}

/// What is refused because of its tags is refused by the right to give them.
#[test]
fn session_tags_are_told_by_their_own_action() {
    let (mut server, path) = start();
    let root = server.client();
    let ann = user(root, "ann");
    let allow = r#"{"Statement": {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", allow)]);
    let tagged = [("Name", "hers"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "red")];
    ann.call("sts", "GetFederationToken", &tagged).refused_call(403, "AccessDenied");
    let (text, lines) = lines(&mut server, &path);
    let ann = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    assert_eq!(of(&lines, "sts:TagSession"), [("denied", "identity-based policy", ann.as_str())], "{text}");
    assert_eq!(of(&lines, "sts:GetFederationToken"), [], "{text}");
}

/// The same where a role is assumed: the line for the tags is beside that for the role, or alone where they are refused.
#[test]
fn tags_of_a_role_that_is_assumed_are_told_by_their_own_action() {
    let (mut server, path) = start();
    let root = server.client();
    let ann = user(root, "ann");
    let arn = role(root, "r");
    let asked = [&[("RoleArn", arn.as_str()), ("RoleSessionName", "s1")][..], &TEAM].concat();
    ann.call("sts", "AssumeRole", &asked).refused_call(403, "AccessDenied");
    let document = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/ann")])
        .replace("\"sts:AssumeRole\"", "[\"sts:AssumeRole\", \"sts:TagSession\"]");
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
    ann.call("sts", "AssumeRole", &asked).ok();
    let (text, lines) = lines(&mut server, &path);
    let ann = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    let trusted = "role trust policy";
    assert_eq!(
        of(&lines, "sts:TagSession"),
        [("denied", trusted, ann.as_str()), ("allowed", trusted, &ann)],
        "{text}"
    );
    assert_eq!(of(&lines, "sts:AssumeRole"), [("allowed", trusted, ann.as_str())]);
    let issued = |action: &str| {
        let of = |line: &&Value| line["action"] == action && line["verdict"] == "allowed";
        lines.iter().find(of).expect("it has a line")["issued_access_key_id"].clone()
    };
    assert!(issued("sts:TagSession").is_string());
    assert_eq!(issued("sts:TagSession"), issued("sts:AssumeRole"));
}

/// The lines of what made a session, and of what was done in it, say who is behind it.
#[test]
fn who_is_behind_a_session_is_in_its_lines() {
    let (mut server, path) = start();
    let root = server.client();
    let ann = user(root, "ann");
    let arn = role(root, "r");
    let document = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/ann")])
        .replace("\"sts:AssumeRole\"", "[\"sts:AssumeRole\", \"sts:SetSourceIdentity\"]");
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &document)]);
    let session = assume(&ann, "r", &[("SourceIdentity", "ann-of-apps")]);
    session.request(Method::GET, "/").refused(403, "AccessDenied");
    assume(&ann, "r", &[]).call("sts", "GetCallerIdentity", &[]).ok();
    let (text, lines) = lines(&mut server, &path);
    let said: Vec<_> = lines
        .iter()
        .filter(|line| line.get("source_identity").is_some() || line.get("issued_source_identity").is_some())
        .map(|line| {
            let action = line["action"].as_str().expect("text");
            (action, line["source_identity"].as_str(), line["issued_source_identity"].as_str())
        })
        .collect();
    let behind = Some("ann-of-apps");
    assert_eq!(
        said,
        [
            ("sts:AssumeRole", None, behind),
            ("sts:SetSourceIdentity", None, behind),
            ("s3:ListAllMyBuckets", behind, None),
        ],
        "{text}"
    );
    assert!(lines.iter().any(|line| line["resource"] == arn.as_str()));
}
