//! Tags of users, roles and policies, and the conditions that ask for them.

use harness::{Client, Element, Server};
use http::Method;

use crate::{
    iam_roles::trust,
    iam_users::{iam, user},
};

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

/// The tags in an answer, `key=value` each.
fn tags(answer: &Element, path: &str) -> String {
    let of = |field: &str| answer.all(&format!("{path}/Tags/member/{field}"));
    let pairs: Vec<String> =
        of("Key").iter().zip(of("Value")).map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(" ")
}

#[track_caller]
fn put_user(root: &Client, name: &str, action: &str, condition: &str) {
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "*", "Condition": {{{condition}}}}}}}"#
    );
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

#[test]
fn tags_are_given_answered_listed_and_taken() {
    let server = Server::start();
    let root = server.client();
    let good = trust(&["*"]);
    let policy = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}"#;
    let [with, none] = ["with", "no"].map(|name| format!("arn:aws:iam::750814517293:policy/{name}"));
    for (kind, new, named, nobody, more) in [
        ("User", ("UserName", "with"), ("UserName", "with"), ("UserName", "no"), &[][..]),
        (
            "Role",
            ("RoleName", "with"),
            ("RoleName", "with"),
            ("RoleName", "no"),
            &[("AssumeRolePolicyDocument", good.as_str())],
        ),
        (
            "Policy",
            ("PolicyName", "with"),
            ("PolicyArn", with.as_str()),
            ("PolicyArn", none.as_str()),
            &[("PolicyDocument", policy)],
        ),
    ] {
        let (create, get) = (format!("Create{kind}"), format!("Get{kind}"));
        let (tag, untag, list) = (format!("Tag{kind}"), format!("Untag{kind}"), format!("List{kind}Tags"));
        let two = [
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "a b"),
            ("Tags.member.2.Key", "stage"),
            ("Tags.member.2.Value", ""),
        ];
        let made = iam(root, &create, &[&[new][..], more, &two].concat());
        assert_eq!(tags(&made, &format!("{create}Result/{kind}")), "Team=a b stage=");
        let found = || tags(&iam(root, &get, &[named]), &format!("{get}Result/{kind}"));
        assert_eq!(found(), "Team=a b stage=");
        // Case does not tell keys apart, and is as it was given last.
        iam(root, &tag, &[named, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "c")]);
        assert_eq!(found(), "stage= team=c");
        let page = iam(root, &list, &[named, ("MaxItems", "1")]);
        assert_eq!(tags(&page, &format!("{list}Result")), "stage=");
        let marker = page.find(&format!("{list}Result/Marker")).expect("a marker");
        let page = iam(root, &list, &[named, ("MaxItems", "1"), ("Marker", marker)]);
        assert_eq!(tags(&page, &format!("{list}Result")), "team=c");
        assert_eq!(page.find(&format!("{list}Result/IsTruncated")), Some("false"));

        for bad in [
            &[("TagKeys", "team")][..],
            &[("TagKeys.1", "team")],
            &[("TagKeys.member.2", "team")],
            &[("TagKeys.member.1.Key", "team")],
            &[("TagKeys.member.1", "team"), ("TagKeys", "stage")],
            &[("TagKeys", "")],
            &[("Tags.member.1.Key", "team")],
            &[],
        ] {
            refused(root, &untag, &[&[named][..], bad].concat(), 400, "ValidationError");
        }
        for (bad, code) in [
            (&[("Tags", "a=b")][..], "ValidationError"),
            (&[("Tags", "")], "ValidationError"),
            (&[("Tags.1.Key", "a"), ("Tags.1.Value", "b")], "ValidationError"),
            (&[("Tags.member.1.Key", "a")], "ValidationError"),
            (&[("Tags.member.1.Value", "a")], "ValidationError"),
            (&[("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "*")], "ValidationError"),
            (&[("Tags.member.1.Key", "aws:a"), ("Tags.member.1.Value", "b")], "InvalidInput"),
            (
                &[
                    ("Tags.member.1.Key", "a"),
                    ("Tags.member.1.Value", "b"),
                    ("Tags.member.2.Key", "A"),
                    ("Tags.member.2.Value", "b"),
                ],
                "InvalidInput",
            ),
        ] {
            refused(root, &tag, &[&[named][..], bad].concat(), 400, code);
        }
        assert_eq!(found(), "stage= team=c", "nothing was changed");
        iam(root, &untag, &[named, ("TagKeys.member.1", "TEAM"), ("TagKeys.member.2", "none")]);
        assert_eq!(found(), "stage=");
        let many: Vec<(String, String)> = (1..=50)
            .flat_map(|number| {
                let field = |field: &str| format!("Tags.member.{number}.{field}");
                [(field("Key"), format!("k{number}")), (field("Value"), "v".to_owned())]
            })
            .collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        refused(root, &tag, &[&[named][..], &many].concat(), 409, "LimitExceeded");
        iam(root, &untag, &[named, ("TagKeys.member.1", "stage")]);
        iam(root, &tag, &[&[named][..], &many].concat());
        for action in [&tag, &untag, &list] {
            let more = if *action == untag { ("TagKeys.member.1", "a") } else { ("Tags.member.1.Key", "a") };
            let value = ("Tags.member.1.Value", "b");
            let sent: Vec<_> = match action {
                action if *action == tag => vec![nobody, more, value],
                action if *action == untag => vec![nobody, more],
                _ => vec![nobody],
            };
            refused(root, action, &sent, 404, "NoSuchEntity");
        }
    }
}

/// What a policy asks of the tags of who asks, of what is tagged, and of what a call gives.
#[test]
fn rights_depend_on_tags() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "red/k").body("x").ok();
    bucket.object(Method::PUT, "blue/k").body("x").ok();
    let ann = user(root, "ann");
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{}/${{aws:PrincipalTag/team}}/*"}}}}"#,
        bucket.name
    );
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &document)]);
    let hers = ann.existing_bucket(&bucket.name);
    hers.object(Method::GET, "red/k").refused(403, "AccessDenied");
    let of = |team: &'static str| [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", team)];
    iam(root, "TagUser", &[&[("UserName", "ann")][..], &of("red")].concat());
    hers.object(Method::GET, "red/k").ok();
    hers.object(Method::GET, "blue/k").refused(403, "AccessDenied");

    // Users of her own team, by the tags that they have or are given.
    for (name, team) in [("bob", "red"), ("carl", "blue")] {
        iam(root, "CreateUser", &[&[("UserName", name)][..], &of(team)].concat());
    }
    put_user(root, "ann", "iam:*", r#""StringEquals": {"iam:ResourceTag/team": "${aws:PrincipalTag/team}"}"#);
    iam(&ann, "GetUser", &[("UserName", "bob")]);
    iam(&ann, "UpdateUser", &[("UserName", "bob"), ("NewUserName", "rob")]);
    refused(&ann, "GetUser", &[("UserName", "carl")], 403, "AccessDenied");
    refused(&ann, "GetUser", &[("UserName", "nobody")], 403, "AccessDenied");
    refused(&ann, "CreateUser", &[&[("UserName", "eve")][..], &of("red")].concat(), 403, "AccessDenied");

    put_user(root, "ann", "iam:*", r#""StringEquals": {"aws:RequestTag/team": "red"}"#);
    refused(&ann, "CreateUser", &[("UserName", "eve")], 403, "AccessDenied");
    refused(&ann, "CreateUser", &[&[("UserName", "eve")][..], &of("blue")].concat(), 403, "AccessDenied");
    iam(&ann, "CreateUser", &[&[("UserName", "eve")][..], &of("red")].concat());
    // Tags are rights, so giving them takes one, also to whom one makes.
    put_user(root, "ann", "iam:CreateUser", r#""StringLike": {"aws:PrincipalTag/team": "red"}"#);
    refused(&ann, "CreateUser", &[&[("UserName", "fay")][..], &of("red")].concat(), 403, "AccessDenied");
    iam(&ann, "CreateUser", &[("UserName", "fay")]);
    put_user(root, "ann", "iam:*", r#""StringEquals": {"aws:RequestTag/team": "red"}"#);
    // A list that is written otherwise is no tag.
    refused(&ann, "CreateUser", &[("UserName", "gil"), ("Tags", "team=red")], 403, "AccessDenied");

    put_user(
        root,
        "ann",
        "iam:*",
        r#""ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}, "Null": {"aws:TagKeys": "false"}"#,
    );
    refused(&ann, "UntagUser", &[("UserName", "rob"), ("TagKeys.member.1", "Team")], 403, "AccessDenied");
    iam(&ann, "UntagUser", &[("UserName", "rob"), ("TagKeys.member.1", "stage")]);
    refused(&ann, "TagUser", &[&[("UserName", "rob")][..], &of("red")].concat(), 403, "AccessDenied");
}

/// Tags of a policy are asked for as those of users are, and what every account has cannot be tagged.
#[test]
fn rights_to_policies_depend_on_their_tags() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let document = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}"#;
    let of = |team: &'static str| [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", team)];
    let make = |client: &Client, name: &str, tags: &[(&str, &str)]| {
        let parameters = [&[("PolicyName", name), ("PolicyDocument", document)][..], tags].concat();
        client.call("iam", "CreatePolicy", &parameters)
    };
    for (name, team) in [("red", "red"), ("blue", "blue")] {
        make(root, name, &of(team)).ok();
    }
    let [red, blue] = ["red", "blue"].map(|name| format!("arn:aws:iam::750814517293:policy/{name}"));
    let named = |arn: &'static str| ("PolicyArn", arn);
    let (red, blue): (&'static str, &'static str) = (red.leak(), blue.leak());
    put_user(root, "ann", "iam:*", r#""StringEquals": {"iam:ResourceTag/team": "red"}"#);
    let version = [named(red), ("PolicyDocument", document), ("SetAsDefault", "true")];
    iam(&ann, "CreatePolicyVersion", &version);
    for action in ["GetPolicy", "ListPolicyTags", "ListPolicyVersions", "ListEntitiesForPolicy"] {
        iam(&ann, action, &[named(red)]);
        refused(&ann, action, &[named(blue)], 403, "AccessDenied");
    }
    refused(&ann, "DeletePolicy", &[named(blue)], 403, "AccessDenied");
    refused(&ann, "TagPolicy", &[&[named(blue)][..], &of("red")].concat(), 403, "AccessDenied");
    // A version and its setting in force leave tags alone.
    assert_eq!(tags(&iam(root, "GetPolicy", &[named(red)]), "GetPolicyResult/Policy"), "Team=red");
    let listed = iam(root, "ListPolicies", &[("Scope", "Local")]);
    assert!(listed.all("ListPoliciesResult/Policies/member/Tags/member/Key").is_empty());

    // To make one with tags takes the right to give them.
    put_user(root, "ann", "iam:CreatePolicy", r#""StringEquals": {"aws:RequestTag/team": "red"}"#);
    make(&ann, "new", &of("red")).refused_call(403, "AccessDenied");
    put_user(root, "ann", "iam:*Policy", r#""StringEquals": {"aws:RequestTag/team": "red"}"#);
    make(&ann, "new", &of("blue")).refused_call(403, "AccessDenied");
    make(&ann, "new", &of("red")).ok();
    put_user(root, "ann", "iam:UntagPolicy", r#""ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}"#);
    refused(&ann, "UntagPolicy", &[named(red), ("TagKeys.member.1", "Team")], 403, "AccessDenied");
    iam(&ann, "UntagPolicy", &[named(red), ("TagKeys.member.1", "stage")]);

    let everybodys = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    refused(root, "TagPolicy", &[&[named(everybodys)][..], &of("red")].concat(), 400, "ValidationError");
    assert_eq!(tags(&iam(root, "ListPolicyTags", &[named(everybodys)]), "ListPolicyTagsResult"), "");
    make(root, "bad", &[("Tags.member.1.Key", "aws:k"), ("Tags.member.1.Value", "v")])
        .refused_call(400, "InvalidInput");
    refused(root, "GetPolicy", &[("PolicyArn", "arn:aws:iam::750814517293:policy/bad")], 404, "NoSuchEntity");
}
