//! Policies of users and groups.

use super::{account, context, root, user};
use crate::{Naming, Policy, Principal, Request, Resource, Verdict, evaluate};

const ME: &str = "111122223333";

#[track_caller]
fn policy(statement: &str) -> Policy {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#);
    Policy::parse_identity(document.as_bytes()).unwrap_or_else(|error| panic!("{error}: {document}"))
}

fn allows(policy: &Policy, action: &str, resource: Resource<'_>, pairs: &[(&str, &str)]) -> bool {
    let (principal, context) = (user(ME, "ann"), context(pairs));
    let request = Request { principal: &principal, action, resource, context: &context };
    matches!(evaluate(&[policy], &request), Verdict::Allowed(_))
}

fn object<'a>(bucket: &'a str, key: &'a str) -> Resource<'a> {
    Resource::S3 { bucket, key: Some(key) }
}

fn bucket(bucket: &str) -> Resource<'_> {
    Resource::S3 { bucket, key: None }
}

#[test]
fn it_is_about_whoever_has_it() {
    let policy = policy(r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#);
    assert!(allows(&policy, "GetObject", object("b", "k"), &[]));
    assert!(!allows(&policy, "GetObject", object("b2", "k"), &[]));
    assert!(!allows(&policy, "PutObject", object("b", "k"), &[]));
    assert!(!allows(&policy, "GetObject", Resource::Other("arn:aws:s3:::b"), &[]));
}

#[test]
fn resources_are_whole_names() {
    for (pattern, resource, expected) in [
        ("*", bucket("b"), true),
        ("*", Resource::Other("arn:aws:iam::111122223333:user/a"), true),
        ("arn:aws:s3:::*", bucket("*"), true),
        ("arn:aws:s3:::b", bucket("*"), false),
        ("arn:aws:s3:::b*", object("b", "x/y"), true),
        ("arn:*:s3:::b", bucket("b"), true),
        ("arn:aws:s3:*:*:b", bucket("b"), true),
        (
            "arn:aws:iam::111122223333:user/team/*",
            Resource::Other("arn:aws:iam::111122223333:user/team/a"),
            true,
        ),
        ("arn:aws:iam::111122223333:user/team/*", Resource::Other("arn:aws:iam::111122223333:user/a"), false),
        ("arn:aws:iam::111122223333:user/*", object("b", "user/a"), false),
    ] {
        let statement = format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "{pattern}"}}"#);
        let action = if matches!(resource, Resource::Other(_)) { "iam:GetUser" } else { "ListAllMyBuckets" };
        assert_eq!(allows(&policy(&statement), action, resource, &[]), expected, "{pattern} {resource:?}");
    }
}

#[test]
fn actions_of_other_services_have_no_effect_and_all_of_ours_can_be_named() {
    let of =
        |action: &str| policy(&format!(r#"{{"Effect": "Allow", "Action": ["{action}"], "Resource": "*"}}"#));
    for (pattern, action, expected) in [
        ("iam:*", "iam:CreateUser", true),
        ("iam:Get*", "iam:CreateUser", false),
        ("IAM:createuser", "iam:CreateUser", true),
        ("s3:*", "iam:CreateUser", false),
        ("s3:*", "ListAllMyBuckets", true),
        ("s3:List*", "ListBucket", true),
        ("ec2:RunInstances", "ListBucket", false),
        ("s3:NoSuchAction", "ListBucket", false),
        ("sts:GetCallerIdentity", "sts:GetCallerIdentity", true),
    ] {
        let resource = if action.contains(':') { Resource::Other("arn:aws:iam::1:x/y") } else { bucket("*") };
        assert_eq!(allows(&of(pattern), action, resource, &[]), expected, "{pattern} {action}");
    }
    let not = policy(r#"{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}"#);
    assert!(allows(&not, "GetObject", object("b", "k"), &[]));
    assert!(!allows(&not, "iam:GetUser", Resource::Other("arn:aws:iam::1:user/a"), &[]));
}

#[test]
fn variables_tell_users_apart() {
    let policy = policy(
        r#"[{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::home/${aws:username}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::home",
             "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}}]"#,
    );
    let ann = [("aws:username", "ann"), ("s3:prefix", "ann/x")];
    assert!(allows(&policy, "GetObject", object("home", "ann/x"), &ann));
    assert!(!allows(&policy, "GetObject", object("home", "bob/x"), &ann));
    assert!(!allows(&policy, "GetObject", object("home", "ann/x"), &[]), "without a name nothing is");
    assert!(allows(&policy, "ListBucket", bucket("home"), &ann));
    assert!(!allows(
        &policy,
        "ListBucket",
        bucket("home"),
        &[("aws:username", "bob"), ("s3:prefix", "ann/x")]
    ));
}

#[test]
fn what_is_denied_is_denied_by_any_of_them() {
    let allow = policy(r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#);
    let deny = policy(r#"{"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}"#);
    let (principal, context) = (user(ME, "ann"), context(&[]));
    let request =
        |action| Request { principal: &principal, action, resource: object("b", "k"), context: &context };
    for policies in [[&allow, &deny], [&deny, &allow]] {
        assert!(matches!(evaluate(&policies, &request("DeleteObject")), Verdict::Denied(_)));
        assert!(matches!(evaluate(&policies, &request("GetObject")), Verdict::Allowed(_)));
    }
    assert_eq!(evaluate(&[], &request("GetObject")), Verdict::NotMentioned);
}

#[test]
fn an_account_is_named_by_either_of_its_ids() {
    let id = account(ME);
    for text in [id.number.as_str(), id.canonical.as_str(), &format!("arn:aws:iam::{ME}:root")] {
        let document = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "{text}"}}, "Action": "s3:GetObject",
               "Resource": "arn:aws:s3:::b/*"}}}}"#
        );
        let policy = Policy::parse(document.as_bytes(), "b").expect("a policy");
        let context = context(&[]);
        let allowed = |principal: &Principal| {
            let request =
                Request { principal, action: "GetObject", resource: object("b", "k"), context: &context };
            match evaluate(&[&policy], &request) {
                Verdict::Allowed(decider) => Some(decider.naming == Naming::OfAccount),
                _ => None,
            }
        };
        assert_eq!((allowed(&root(ME)), allowed(&user(ME, "ann"))), (Some(false), Some(true)), "{text}");
        assert_eq!((allowed(&root("444455556666")), allowed(&Principal::Anonymous)), (None, None), "{text}");
    }
}

/// What an account is allowed is told apart from what its user is, wherever the statements stand.
#[test]
fn a_user_that_is_named_is_not_named_by_its_account_alone() {
    let of = |principal: &str| {
        format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}"#
        )
    };
    let (account, user_arn) = (of(ME), of(&format!("arn:aws:iam::{ME}:user/ann")));
    for statements in [[&account, &user_arn], [&user_arn, &account], [&account, &of("*")]] {
        let document = format!(r#"{{"Statement": [{}, {}]}}"#, statements[0], statements[1]);
        let policy = Policy::parse(document.as_bytes(), "b").expect("a policy");
        let (principal, context) = (user(ME, "ann"), context(&[]));
        let resource = object("b", "k");
        let request = Request { principal: &principal, action: "GetObject", resource, context: &context };
        let Verdict::Allowed(decider) = evaluate(&[&policy], &request) else {
            panic!("not allowed: {document}")
        };
        assert_eq!(decider.naming, Naming::Own, "{document}");
    }
}

/// Of those that are excepted, an account is its root user when something is denied, and all of it when something is allowed.
#[test]
fn whom_an_account_excepts() {
    for (effect, expected) in [("Deny", [false, true, false, true]), ("Allow", [false, false, false, true])] {
        let document = format!(
            r#"{{"Statement": {{"Effect": "{effect}", "NotPrincipal": {{"AWS": ["arn:aws:iam::{ME}:user/bob", "arn:aws:iam::{ME}:root"]}},
               "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}}}"#
        );
        let policy = Policy::parse(document.as_bytes(), "b").expect("a policy");
        let principals = [root(ME), user(ME, "alice"), user(ME, "bob"), root("444455556666")];
        for (principal, expected) in principals.iter().zip(expected) {
            let (context, resource) = (context(&[]), object("b", "k"));
            let request = Request { principal, action: "GetObject", resource, context: &context };
            let verdict = evaluate(&[&policy], &request);
            assert_eq!(verdict != Verdict::NotMentioned, expected, "{effect} {principal:?}");
        }
    }
}

#[test]
fn what_is_no_policy_of_an_identity_is_refused() {
    for statement in [
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "NotPrincipal": "*", "Action": "s3:*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "s3:*"}"#,
        r#"{"Effect": "Allow", "Resource": "*"}"#,
        r#"{"Effect": "Maybe", "Action": "s3:*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "GetObject", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "s3:", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "s3:Get Object", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "bucket"}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:b"}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": []}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"Likes": {"aws:username": "a"}}}"#,
        r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Surprise": 1}"#,
        "[]",
    ] {
        let document = format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#);
        assert!(Policy::parse_identity(document.as_bytes()).is_err(), "{document}");
    }
    for document in ["", "[]", "{}", r#"{"Version": "2013-01-01", "Statement": []}"#] {
        assert!(Policy::parse_identity(document.as_bytes()).is_err(), "{document}");
    }
}
