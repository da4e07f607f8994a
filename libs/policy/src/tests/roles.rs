//! Roles: who may assume them, and how policies name whoever did.

use super::{account, context, root, user};
use crate::{Malformed, Naming, Policy, Principal, Request, Resource, Verdict, evaluate};

const ME: &str = "111122223333";

fn in_role(name: &str, session: &str) -> Principal {
    Principal::Role { account: account(ME), name: name.to_owned(), session: session.to_owned() }
}

fn parse(statement: &str) -> Result<Policy, Malformed> {
    Policy::parse_trust(format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#).as_bytes())
}

fn naming(policy: &Policy, principal: &Principal, action: &str, pairs: &[(&str, &str)]) -> Option<Naming> {
    let resource = match action.contains(':') {
        true => Resource::Other("arn:aws:iam::111122223333:role/r"),
        false => Resource::S3 { bucket: "b", key: Some("k") },
    };
    let request = Request { principal, action, resource, context: &context(pairs) };
    match evaluate(&[policy], &request) {
        Verdict::Allowed(decider) => Some(decider.naming),
        Verdict::Denied(_) | Verdict::NotMentioned => None,
    }
}

#[test]
fn a_trust_policy_tells_who_may_assume_the_role() {
    let assumes = |principal: &str, who: &Principal, pairs: &[(&str, &str)]| {
        let policy = parse(&format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "sts:AssumeRole",
               "Condition": {{"StringEquals": {{"sts:ExternalId": "x"}}}}}}"#
        ));
        naming(&policy.expect("a policy"), who, "sts:AssumeRole", pairs)
    };
    let told = [("sts:ExternalId", "x")];
    let ann = user(ME, "ann");
    assert_eq!(assumes("arn:aws:iam::111122223333:user/ann", &ann, &told), Some(Naming::Own));
    assert_eq!(assumes("arn:aws:iam::111122223333:user/bob", &ann, &told), None);
    assert_eq!(assumes("111122223333", &ann, &told), Some(Naming::OfAccount));
    assert_eq!(assumes("*", &ann, &told), Some(Naming::Own));
    assert_eq!(assumes("*", &ann, &[]), None);
    assert_eq!(assumes("*", &ann, &[("sts:ExternalId", "y")]), None);
    let other = in_role("a/other", "s");
    assert_eq!(assumes("arn:aws:iam::111122223333:role/a/other", &other, &told), Some(Naming::Own));
    let session = "arn:aws:sts::111122223333:assumed-role/other/s";
    assert_eq!(assumes(session, &other, &told), Some(Naming::OfSession));
}

#[test]
fn what_is_no_trust_policy_is_refused() {
    let who = r#""Principal": {"AWS": "111122223333"}"#;
    parse(&format!(r#"{{"Effect": "Allow", {who}, "Action": "sts:AssumeRole"}}"#)).expect("a policy");
    for statement in [
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole"}"#.to_owned(),
        format!(r#"{{"Effect": "Allow", {who}}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": "sts:AssumeRole", "Resource": "*"}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": "sts:AssumeRole", "NotResource": "*"}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": "*"}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": "sts:*"}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": ["sts:AssumeRole", "s3:GetObject"]}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "Action": "sts:AssumeRoleWithSAML"}}"#),
        format!(r#"{{"Effect": "Allow", {who}, "NotAction": "s3:*"}}"#),
        format!(
            r#"{{"Effect": "Allow", {who}, "Action": "sts:AssumeRole", "Condition": {{"StringEquals": {{"s3:prefix": "a"}}}}}}"#
        ),
        r#"{"Effect": "Allow", "Principal": {"Service": "amazonaws.com"}, "Action": "sts:AssumeRole"}"#
            .to_owned(),
        r#"{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRoleWithWebIdentity"}"#
            .to_owned(),
        r#"{"Effect": "Allow", "Principal": {"Federated": "a"}, "Action": "sts:AssumeRole"}"#.to_owned(),
        r#"{"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}"#
            .to_owned(),
    ] {
        assert!(parse(&statement).is_err(), "{statement}");
    }
}

/// A service is named by what can be the name of one, and nobody is meant by it.
#[test]
fn a_trust_policy_names_services_that_are_nobody_here() {
    let of = |principal: &str| {
        parse(&format!(r#"{{"Effect": "Allow", "Principal": {principal}, "Action": "sts:AssumeRole"}}"#))
    };
    for service in [
        "ec2.amazonaws.com",
        "lambda.amazonaws.com",
        "pods.eks.amazonaws.com",
        "s3.eu-west-1.amazonaws.com",
        "ec2.amazonaws.com.cn",
        "logging.s3.amazonaws.com",
    ] {
        let policy = of(&format!(r#"{{"Service": "{service}"}}"#)).expect(service);
        for who in [user(ME, "ann"), in_role("r", "s"), root(ME), Principal::Anonymous] {
            assert_eq!(naming(&policy, &who, "sts:AssumeRole", &[]), None, "{service} {who:?}");
        }
        assert_eq!(policy.grantees().map(ToString::to_string).collect::<Vec<_>>(), [service]);
    }
    let both = of(r#"{"AWS": "111122223333", "Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}"#);
    let both = both.expect("a policy");
    assert_eq!(naming(&both, &user(ME, "ann"), "sts:AssumeRole", &[]), Some(Naming::OfAccount));
    for none in [
        "",
        "*",
        "ec2",
        "amazonaws.com",
        ".amazonaws.com",
        "*.amazonaws.com",
        "EC2.amazonaws.com",
        "ec2.amazonaws.com ",
        "ec2..amazonaws.com",
        "-ec2.amazonaws.com",
        "ec2.example.com",
        "ec2.amazonaws.com.example.com",
        "ec2.amazonaws.org.cn",
        "arn:aws:iam::111122223333:role/r",
        &format!("{}.amazonaws.com", "a".repeat(250)),
    ] {
        let refused = of(&format!(r#"{{"Service": "{none}"}}"#)).expect_err(none);
        assert!(refused.message.starts_with("Invalid principal in policy"), "{refused:?}");
    }
    assert!(of(r#"{"Service": []}"#).is_err() && of(r#"{"Service": {}}"#).is_err());
}

/// What a session is given beside is asked about by the same keys, in the same statement or in another.
#[test]
fn a_trust_policy_tells_who_may_pass_tags() {
    let who = r#""Principal": {"AWS": "111122223333"}"#;
    let asked = r#""Condition": {"StringEquals": {"aws:RequestTag/team": "red", "sts:ExternalId": "x", "sts:TransitiveTagKeys": "team", "iam:ResourceTag/team": "red"}}"#;
    let ann = user(ME, "ann");
    let told = [
        ("aws:RequestTag/Team", "red"),
        ("sts:ExternalId", "x"),
        ("sts:TransitiveTagKeys", "team"),
        ("iam:ResourceTag/team", "red"),
    ];
    for (actions, expected) in [
        (r#""sts:TagSession""#, [false, true]),
        (r#"["sts:AssumeRole", "sts:TagSession"]"#, [true, true]),
        (r#""sts:AssumeRole""#, [true, false]),
        (r#""sts:Tag*""#, [false, true]),
    ] {
        let policy = parse(&format!(r#"{{"Effect": "Allow", {who}, "Action": {actions}, {asked}}}"#));
        let policy = policy.expect(actions);
        let of = |action, pairs: &[(&str, &str)]| naming(&policy, &ann, action, pairs).is_some();
        assert_eq!(["sts:AssumeRole", "sts:TagSession"].map(|action| of(action, &told)), expected);
        assert_eq!(["sts:AssumeRole", "sts:TagSession"].map(|action| of(action, &told[1..])), [false; 2]);
    }
    let provider = r#""Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/idp.example.com"}"#;
    for (who, actions, is_one) in [
        (provider, r#""sts:TagSession""#, true),
        (provider, r#"["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]"#, true),
        (provider, r#"["sts:AssumeRole", "sts:TagSession"]"#, false),
        (who, r#"["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]"#, false),
        (who, r#"["sts:TagSession", "sts:GetCallerIdentity"]"#, false),
    ] {
        let statement = format!(r#"{{"Effect": "Allow", {who}, "Action": {actions}}}"#);
        assert_eq!(parse(&statement).is_ok(), is_one, "{statement}");
    }
}

/// A role is named with its path, a session without, and neither is another's.
#[test]
fn a_role_names_all_its_sessions_and_a_session_itself_alone() {
    let role = "arn:aws:iam::111122223333:role/a/r";
    let session = "arn:aws:sts::111122223333:assumed-role/r/s";
    let of = |element: &str, principals: &[&str], effect: &str| {
        let statement = format!(
            r#"{{"Statement": {{"Effect": "{effect}", "{element}": {{"AWS": {principals:?}}}, "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}}}"#
        );
        Policy::parse(statement.as_bytes(), "b").expect("a policy")
    };
    let (mine, other) = (in_role("a/r", "s"), in_role("a/r", "t"));
    for (principals, expected) in [
        (&[role][..], [Some(Naming::Own), Some(Naming::Own)]),
        (&[session], [Some(Naming::OfSession), None]),
        (&[role, session], [Some(Naming::OfSession), Some(Naming::Own)]),
        (&[ME, session], [Some(Naming::OfSession), Some(Naming::OfAccount)]),
        (&["arn:aws:iam::111122223333:role/r"], [None, None]),
        (&["arn:aws:iam::111122223333:user/a/r"], [None, None]),
        (&["arn:aws:sts::111122223333:assumed-role/q/s"], [None, None]),
    ] {
        let policy = of("Principal", principals, "Allow");
        let found = [&mine, &other].map(|who| naming(&policy, who, "GetObject", &[]));
        assert_eq!(found, expected, "{principals:?}");
        assert_eq!(
            naming(&policy, &user(ME, "a/r"), "GetObject", &[]).is_some(),
            principals.contains(&ME) || principals[0].contains("user")
        );
    }
    // Excepted from what is denied is who is named, and not whoever belongs to the account.
    for (principals, expected) in
        [(&[role][..], [false, false]), (&[session], [false, true]), (&[ME], [true, true])]
    {
        let policy = of("NotPrincipal", principals, "Deny");
        let denied = [&mine, &other].map(|principal| {
            let resource = Resource::S3 { bucket: "b", key: Some("k") };
            let request = Request { principal, action: "GetObject", resource, context: &context(&[]) };
            matches!(evaluate(&[&policy], &request), Verdict::Denied(_))
        });
        assert_eq!(denied, expected, "{principals:?}");
    }
    assert_eq!(mine.arn().as_deref(), Some(role));
    assert_eq!(naming(&of("Principal", &[role], "Allow"), &root(ME), "GetObject", &[]), None);
    for none in [
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:iam::111122223333:group/g",
        "arn:aws:sts::111122223333:assumed-role/r",
        "arn:aws:sts::111122223333:assumed-role/r/s/t",
        "arn:aws:sts::111122223333:assumed-role/r/",
        "arn:aws:sts::111122223333:root",
        "arn:aws:sts::111122223333:role/r",
    ] {
        let document = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "{none}"}}, "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}}}"#
        );
        assert!(Policy::parse(document.as_bytes(), "b").is_err(), "{none}");
    }
}
