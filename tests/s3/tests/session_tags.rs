//! What sessions of roles are given beside rights, tags and source identities: who may pass them, what policies ask of them, and which of
//! them go on to other roles.

use harness::{Client, Element, Server};
use http::Method;
use serde_json::{Value, json};

use crate::{
    explain::described,
    iam_users::{iam, user},
};

const ACCOUNT: &str = "750814517293";

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn statement(principal: &Value, action: &Value, condition: &Value) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition })
}

/// A role that this document says who may assume, and which may do this.
#[track_caller]
fn role(root: &Client, name: &str, trust: &[Value], may: &Value) {
    let trust = json!({ "Version": "2012-10-17", "Statement": trust }).to_string();
    iam(root, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]);
    let document = json!({ "Version": "2012-10-17", "Statement": may }).to_string();
    iam(root, "PutRolePolicy", &[("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

#[track_caller]
fn set_trust(root: &Client, name: &str, trust: &[Value]) {
    let trust = json!({ "Version": "2012-10-17", "Statement": trust }).to_string();
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", name), ("PolicyDocument", &trust)]);
}

#[track_caller]
fn put_user(root: &Client, name: &str, statements: &Value) {
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

/// Asks for a role with tags, `key=value` each, of which those that begin with `!` are transitive.
fn asking(client: &Client, role: &str, tags: &[&str], more: &[(&str, &str)]) -> harness::Request {
    let mut parameters =
        vec![("RoleArn".to_owned(), role_arn(role)), ("RoleSessionName".to_owned(), "s1".to_owned())];
    let mut transitive = 0;
    for (at, tag) in tags.iter().enumerate() {
        let (key, value) = tag.trim_start_matches('!').split_once('=').expect("a tag");
        parameters.push((format!("Tags.member.{}.Key", at + 1), key.to_owned()));
        parameters.push((format!("Tags.member.{}.Value", at + 1), value.to_owned()));
        if tag.starts_with('!') {
            transitive += 1;
            parameters.push((format!("TransitiveTagKeys.member.{transitive}"), key.to_owned()));
        }
    }
    parameters.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.call("sts", "AssumeRole", &parameters)
}

#[track_caller]
fn assume(client: &Client, role: &str, tags: &[&str]) -> Client {
    let answer = Element::parse(&asking(client, role, tags, &[]).ok().body);
    let field = |name: &str| {
        answer.find(&format!("AssumeRoleResult/Credentials/{name}")).expect("credentials").to_owned()
    };
    client
        .with_credentials(&field("AccessKeyId"), &field("SecretAccessKey"))
        .with_session_token(&field("SessionToken"))
}

fn may(request: harness::Request) -> bool {
    let answer = request.send();
    assert!([200, 403].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

#[test]
fn a_session_has_the_tags_that_are_passed_in_the_place_of_those_of_its_role() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    for key in ["red/k", "blue/k", "2/k"] {
        bucket.object(Method::PUT, key).body("x").ok();
    }
    let ann = user(root, "ann");
    let both = json!(["sts:AssumeRole", "sts:TagSession"]);
    let her = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:user/ann") });
    let of_tag = |tag: &str| format!("arn:aws:s3:::{}/${{aws:PrincipalTag/{tag}}}/*", bucket.name);
    let reads = json!({ "Effect": "Allow", "Action": "s3:GetObject",
        "Resource": [of_tag("team"), of_tag("floor")] });
    role(root, "r", &[statement(&her, &both, &json!({}))], &reads);
    iam(
        root,
        "TagRole",
        &[
            ("RoleName", "r"),
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "blue"),
            ("Tags.member.2.Key", "floor"),
            ("Tags.member.2.Value", "2"),
        ],
    );
    let reads = |client: &Client| {
        let own = client.existing_bucket(&bucket.name);
        ["red/k", "blue/k", "2/k"].map(|key| may(own.object(Method::GET, key)))
    };
    assert_eq!(reads(&assume(&ann, "r", &[])), [false, true, true]);
    assert_eq!(reads(&assume(&ann, "r", &["team=red"])), [true, false, true], "whatever case its key has");
    assert_eq!(reads(&assume(&ann, "r", &["other=red"])), [false, true, true]);
    let answer = Element::parse(&asking(&ann, "r", &["team=red"], &[]).ok().body);
    let size = answer.find("AssumeRoleResult/PackedPolicySize").expect("a size").to_owned();
    assert!((1..=100).contains(&size.parse::<u32>().expect("a number")), "{size}");

    // What they may be.
    let long = |length: usize| format!("{}=v", "k".repeat(length));
    let value = |length: usize| format!("k={}", "v".repeat(length));
    asking(&ann, "r", &[&long(128), "!other=", "k2=a b_.:/=+-@"], &[]).ok();
    asking(&ann, "r", &[&value(256)], &[]).ok();
    let many: Vec<String> = (1..=51).map(|at| format!("k{at}=v")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    asking(&ann, "r", &many[..50], &[]).ok();
    let broad: Vec<String> = (1..=50).map(|at| format!("k{at}={}", "v".repeat(200))).collect();
    let broad: Vec<&str> = broad.iter().map(String::as_str).collect();
    for (tags, more, code) in [
        (&many[..], &[][..], "ValidationError"),
        (&[&*long(129)], &[], "ValidationError"),
        (&["=v"], &[], "ValidationError"),
        (&[&*value(257)], &[], "ValidationError"),
        (&["k=*"], &[], "ValidationError"),
        (&["aws:k=v"], &[], "InvalidParameterValue"),
        (&["AWS:k=v"], &[], "InvalidParameterValue"),
        (&["k=v", "K=v"], &[], "InvalidParameterValue"),
        (&["k=v"], &[("TransitiveTagKeys.member.1", "other")], "InvalidParameterValue"),
        (&[], &[("TransitiveTagKeys.member.1", "other")], "InvalidParameterValue"),
        (&[], &[("Tags.member.1.Key", "k")], "ValidationError"),
        (&["k=v"], &[("TransitiveTagKeys", "k")], "ValidationError"),
        (&[], &[("Tags", "k")], "ValidationError"),
        (&broad, &[], "PackedPolicyTooLarge"),
    ] {
        asking(&ann, "r", tags, more).refused_call(400, code);
    }
}

/// To pass tags takes a right of its own, by the same policies as to assume the role, which can ask for the tags.
#[test]
fn tags_are_passed_by_whom_the_role_lets() {
    let server = Server::start();
    let root = server.client();
    let (ann, bob) = (user(root, "ann"), user(root, "bob"));
    let [by_ann, by_account] = [format!("arn:aws:iam::{ACCOUNT}:user/ann"), ACCOUNT.to_owned()]
        .map(|principal| json!({ "AWS": principal }));
    let all = json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" });
    let assuming = |principal: &Value| statement(principal, &json!("sts:AssumeRole"), &json!({}));
    let tagging =
        |principal: &Value, condition: Value| statement(principal, &json!("sts:TagSession"), &condition);
    role(root, "r", &[assuming(&by_ann)], &all);
    asking(&ann, "r", &[], &[]).ok();
    let error = String::from_utf8(asking(&ann, "r", &["team=red"], &[]).send().body.to_vec()).expect("text");
    let told = "is not authorized to perform: sts:TagSession on resource: ";
    assert!(error.contains("<Code>AccessDenied</Code>") && error.contains(told), "{error}");
    set_trust(root, "r", &[assuming(&by_ann), tagging(&by_ann, json!({}))]);
    asking(&ann, "r", &["team=red"], &[]).ok();
    asking(&bob, "r", &["team=red"], &[]).refused_call(403, "AccessDenied");
    put_user(root, "ann", &json!({ "Effect": "Deny", "Action": "sts:TagSession", "Resource": "*" }));
    asking(&ann, "r", &["team=red"], &[]).refused_call(403, "AccessDenied");
    asking(&ann, "r", &[], &[]).ok();

    // Whom its account names is let by policies of its own.
    set_trust(root, "r", &[assuming(&by_account), tagging(&by_account, json!({}))]);
    let own = |actions: &Value| json!({ "Effect": "Allow", "Action": actions, "Resource": role_arn("r") });
    put_user(root, "bob", &own(&json!("sts:AssumeRole")));
    asking(&bob, "r", &[], &[]).ok();
    asking(&bob, "r", &["team=red"], &[]).refused_call(403, "AccessDenied");
    put_user(root, "bob", &own(&json!(["sts:AssumeRole", "sts:TagSession"])));
    asking(&bob, "r", &["team=red"], &[]).ok();

    // What conditions ask for, of both actions.
    put_user(root, "ann", &json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }));
    let asked = json!({
        "StringEquals": { "aws:RequestTag/team": ["red", "blue"], "sts:RoleSessionName": "s1" },
        "ForAllValues:StringEquals": { "aws:TagKeys": ["team", "floor"], "sts:TransitiveTagKeys": ["team"] },
    });
    set_trust(root, "r", &[assuming(&by_ann), tagging(&by_ann, asked)]);
    for (tags, expected) in [
        (&["team=red"][..], true),
        (&["!team=blue", "floor=2"], true),
        (&["team=green"], false),
        (&["floor=2"], false),
        (&["team=red", "other=2"], false),
        (&["team=red", "!floor=2"], false),
        (&[], true),
    ] {
        assert_eq!(may(asking(&ann, "r", tags, &[])), expected, "{tags:?}");
    }
    let demanding = json!({ "StringLike": { "aws:RequestTag/team": "*" } });
    let both = json!(["sts:AssumeRole", "sts:TagSession"]);
    set_trust(root, "r", &[statement(&by_ann, &both, &demanding)]);
    assert_eq!(
        [&[][..], &["floor=2"], &["team=x"]].map(|tags| may(asking(&ann, "r", tags, &[]))),
        [false, false, true]
    );
}

/// What is transitive goes from role to role, and nobody on the way changes it.
#[test]
fn transitive_tags_go_on_to_the_next_roles() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    for key in ["red/k", "2/k"] {
        bucket.object(Method::PUT, key).body("x").ok();
    }
    let ann = user(root, "ann");
    let by = |principal: &str| json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:{principal}") });
    let both = json!(["sts:AssumeRole", "sts:TagSession"]);
    let of_tag = |tag: &str| format!("arn:aws:s3:::{}/${{aws:PrincipalTag/{tag}}}/*", bucket.name);
    let reads = json!({ "Effect": "Allow", "Action": "s3:GetObject",
        "Resource": [of_tag("team"), of_tag("floor")] });
    role(root, "first", &[statement(&by("user/ann"), &both, &json!({}))], &reads);
    role(root, "second", &[statement(&by("role/first"), &both, &json!({}))], &reads);
    role(root, "third", &[statement(&by("role/second"), &both, &json!({}))], &reads);
    iam(
        root,
        "TagRole",
        &[("RoleName", "third"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "blue")],
    );
    let reads = |client: &Client| {
        let own = client.existing_bucket(&bucket.name);
        ["red/k", "2/k"].map(|key| may(own.object(Method::GET, key)))
    };
    let first = assume(&ann, "first", &["!Team=red", "floor=2"]);
    assert_eq!(reads(&first), [true, true]);
    let second = assume(&first, "second", &[]);
    assert_eq!(reads(&second), [true, false], "what is not transitive ends with its session");
    let third = assume(&second, "third", &["floor=2"]);
    assert_eq!(reads(&third), [true, true], "and a tag of the role is not in its place");
    for tags in [&["team=blue"][..], &["!TEAM=red"], &["floor=2", "Team=red"]] {
        for (client, role) in [(&first, "second"), (&second, "third")] {
            asking(client, role, tags, &[]).refused_call(400, "InvalidParameterValue");
        }
    }
    // What goes on counts with what is passed.
    let many = |from: usize, number: usize| -> Vec<String> {
        (from..from + number).map(|tag| format!("!t{tag}=x")).collect()
    };
    let texts =
        |tags: &[String]| asking(&first, "second", &tags.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    texts(&many(0, 49)).ok();
    texts(&many(0, 50)).refused_call(400, "PackedPolicyTooLarge");
    // What goes on takes the right to pass tags, too.
    set_trust(root, "second", &[statement(&by("role/first"), &json!("sts:AssumeRole"), &json!({}))]);
    asking(&first, "second", &[], &[]).refused_call(403, "AccessDenied");
    asking(&assume(&ann, "first", &["floor=2"]), "second", &[], &[]).ok();
    // Who assumes the next is asked by what it has.
    let red = json!({ "StringEquals": { "aws:PrincipalTag/team": "red" } });
    set_trust(root, "second", &[statement(&by("role/first"), &both, &red)]);
    asking(&first, "second", &[], &[]).ok();
    asking(&assume(&ann, "first", &["!team=blue"]), "second", &[], &[]).refused_call(403, "AccessDenied");
}

const SAYS_ANN: (&str, &str) = ("SourceIdentity", "ann");

fn source_of(answer: harness::Request) -> Option<String> {
    Element::parse(&answer.ok().body).find("AssumeRoleResult/SourceIdentity").map(str::to_owned)
}

#[track_caller]
fn assume_as(client: &Client, role: &str, more: &[(&str, &str)]) -> Client {
    let answer = Element::parse(&asking(client, role, &[], more).ok().body);
    let field = |name: &str| {
        answer.find(&format!("AssumeRoleResult/Credentials/{name}")).expect("credentials").to_owned()
    };
    client
        .with_credentials(&field("AccessKeyId"), &field("SecretAccessKey"))
        .with_session_token(&field("SessionToken"))
}

/// To say who is behind a session takes a right of its own, which can ask for who it is.
#[test]
fn a_source_identity_is_said_by_whom_the_role_lets() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "ann/k").body("x").ok();
    let (ann, bob) = (user(root, "ann"), user(root, "bob"));
    let arns = ["ann", "bob"].map(|name| format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
    let both_users = json!({ "AWS": arns });
    let reads = json!({ "Effect": "Allow", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{}/${{aws:SourceIdentity}}/*", bucket.name) });
    let assuming = statement(&both_users, &json!("sts:AssumeRole"), &json!({}));
    role(root, "r", std::slice::from_ref(&assuming), &reads);
    assert_eq!(source_of(asking(&ann, "r", &[], &[])), None);
    let error = String::from_utf8(asking(&ann, "r", &[], &[SAYS_ANN]).send().body.to_vec()).expect("text");
    let told = "is not authorized to perform: sts:SetSourceIdentity on resource: ";
    assert!(error.contains("<Code>AccessDenied</Code>") && error.contains(told), "{error}");
    let own = json!({ "StringEquals": { "sts:SourceIdentity": "${aws:username}" } });
    set_trust(root, "r", &[assuming.clone(), statement(&both_users, &json!("sts:SetSourceIdentity"), &own)]);
    assert_eq!(source_of(asking(&ann, "r", &[], &[SAYS_ANN])).as_deref(), Some("ann"));
    asking(&bob, "r", &[], &[SAYS_ANN]).refused_call(403, "AccessDenied");
    asking(&bob, "r", &[], &[("SourceIdentity", "bob")]).ok();
    // Demanded of everybody.
    let both = json!(["sts:AssumeRole", "sts:SetSourceIdentity"]);
    set_trust(root, "r", &[statement(&both_users, &both, &own)]);
    asking(&ann, "r", &[], &[]).refused_call(403, "AccessDenied");
    let session = assume_as(&ann, "r", &[SAYS_ANN]);
    let get = |client: &Client| client.existing_bucket(&bucket.name).object(Method::GET, "ann/k");
    get(&session).ok();
    get(&assume_as(&bob, "r", &[("SourceIdentity", "bob")])).refused(403, "AccessDenied");
    set_trust(root, "r", &[statement(&both_users, &both, &json!({}))]);
    get(&assume_as(&ann, "r", &[])).refused(403, "AccessDenied");
    let (longest, too_long) = ("a".repeat(64), "a".repeat(65));
    for good in ["an", "A_+=,.@-9", &longest] {
        asking(&ann, "r", &[], &[("SourceIdentity", good)]).ok();
    }
    for bad in ["", "a", "aws:ann", "a b", "a/b", "a*", "\u{e9}\u{e9}", &too_long] {
        asking(&ann, "r", &[], &[("SourceIdentity", bad)]).refused_call(400, "ValidationError");
    }
}

/// It goes on to other roles whatever their sessions say, where both sides let it.
#[test]
fn a_source_identity_goes_on_and_nobody_changes_it() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let by = |principal: &str| json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:{principal}") });
    let both = json!(["sts:AssumeRole", "sts:SetSourceIdentity"]);
    let sets = json!({ "Effect": "Allow", "Action": "sts:SetSourceIdentity", "Resource": "*" });
    let lists = json!({ "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*",
        "Condition": { "StringEquals": { "aws:SourceIdentity": "ann" } } });
    role(root, "first", &[statement(&by("user/ann"), &both, &json!({}))], &sets);
    role(root, "second", &[statement(&by("role/first"), &both, &json!({}))], &sets);
    role(root, "third", &[statement(&by("role/second"), &both, &json!({}))], &lists);
    let first = assume_as(&ann, "first", &[SAYS_ANN]);
    assert_eq!(source_of(asking(&first, "second", &[], &[])).as_deref(), Some("ann"));
    let second = assume_as(&first, "second", &[SAYS_ANN]);
    let third = assume_as(&second, "third", &[]);
    third.request(Method::GET, "/").ok();
    for (client, role) in [(&first, "second"), (&second, "third")] {
        asking(client, role, &[], &[("SourceIdentity", "bob")]).refused_call(400, "ValidationError");
    }
    let unnamed = assume_as(&assume_as(&assume_as(&ann, "first", &[]), "second", &[]), "third", &[]);
    unnamed.request(Method::GET, "/").refused(403, "AccessDenied");
    // Either side alone does not let it go on.
    set_trust(root, "second", &[statement(&by("role/first"), &json!("sts:AssumeRole"), &json!({}))]);
    asking(&first, "second", &[], &[]).refused_call(403, "AccessDenied");
    asking(&assume_as(&ann, "first", &[]), "second", &[], &[]).ok();
    set_trust(root, "second", &[statement(&by("role/first"), &both, &json!({}))]);
    iam(root, "DeleteRolePolicy", &[("RoleName", "first"), ("PolicyName", "p")]);
    asking(&first, "second", &[], &[]).refused_call(403, "AccessDenied");
    asking(&assume_as(&ann, "first", &[]), "second", &[], &[]).ok();
}

/// What operators are told of who may say who is behind a session is what is done, whichever side lets it.
#[test]
fn what_is_told_of_a_source_identity_is_what_is_done() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let by = |principal: &str| json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:{principal}") });
    let both = json!(["sts:AssumeRole", "sts:SetSourceIdentity"]);
    let sets = json!({ "Effect": "Allow", "Action": "sts:SetSourceIdentity", "Resource": "*" });
    let else_ = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
    role(root, "first", &[statement(&by("user/ann"), &both, &json!({}))], &else_);
    role(root, "second", &[statement(&by("user/ann"), &both, &json!({}))], &else_);
    let first = assume_as(&ann, "first", &[SAYS_ANN]);
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/first/s1");
    let (mut allowed, mut refused) = (0, 0);
    for trusts in [json!("sts:AssumeRole"), both] {
        for may in [&else_, &sets] {
            put_user(root, "ann", may);
            let document = json!({ "Version": "2012-10-17", "Statement": may }).to_string();
            let policy = [("RoleName", "first"), ("PolicyName", "p"), ("PolicyDocument", &document)];
            iam(root, "PutRolePolicy", &policy);
            for (client, who, principal) in
                [(&ann, "ann", "user/ann"), (&first, session.as_str(), "role/first")]
            {
                set_trust(root, "second", &[statement(&by(principal), &trusts, &json!({}))]);
                let done = self::may(asking(client, "second", &[], &[SAYS_ANN]));
                let resource = role_arn("second");
                let told = described(&server, who, "sts:SetSourceIdentity", Some(&resource), json!({}));
                assert_eq!(told["allowed"], done, "{trusts} {may} {who}: {told}");
                *if done { &mut allowed } else { &mut refused } += 1;
            }
        }
    }
    assert_eq!((allowed, refused), (3, 5));
}
