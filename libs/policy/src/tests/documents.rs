use super::{BUCKET, allows, parse, policy};
use crate::{DOCUMENT_LENGTH_MAX, Grantee, Policy, Principal, Scope, scope};

/// A statement that is fine but for the element that `change` puts into it.
fn with(element: &str, value: &str) -> String {
    let mut elements = vec![
        ("Effect", r#""Allow""#),
        ("Principal", r#""*""#),
        ("Action", r#""s3:GetObject""#),
        ("Resource", r#""arn:aws:s3:::amzn-s3-demo-bucket/*""#),
    ];
    elements.retain(|(name, _)| *name != element);
    if !value.is_empty() {
        elements.push((element, value));
    }
    let elements: Vec<String> =
        elements.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": [{{{}}}]}}"#, elements.join(", "))
}

#[test]
fn what_is_wrong_is_named() {
    const RESOURCE: &str = "Policy has invalid resource";
    const ACTION: &str = "Policy has invalid action";
    const PRINCIPAL: &str = "Invalid principal in policy";
    for (document, message, detail) in [
        (String::new(), "Policies must be valid JSON and the first byte must be '{'", None),
        ("[]".to_owned(), "Policies must be valid JSON and the first byte must be '{'", None),
        ("{".to_owned(), "This policy contains invalid Json", None),
        (r#"{"Version": "2012-10-17"}"#.to_owned(), "Missing required field Statement", Some("Statement")),
        (r#"{"Statement": []}"#.to_owned(), "Statement is empty!", None),
        (r#"{"Statement": 7}"#.to_owned(), "Invalid policy syntax.", None),
        (r#"{"Statement": ["x"]}"#.to_owned(), "Invalid policy syntax.", None),
        (r#"{"Version": "2012"}"#.to_owned(), "The policy must contain a valid version string", None),
        (r#"{"Statements": []}"#.to_owned(), "Unknown field Statements", Some("Statements")),
        (with("Effect", ""), "Missing required field Effect", Some("Effect")),
        (with("Effect", r#""allow""#), "Invalid effect: allow", Some("allow")),
        (with("Principal", ""), "Missing required field Principal", Some("Principal")),
        (with("Principal", r#""bob""#), PRINCIPAL, Some("bob")),
        (with("Principal", r#"{"AWS": []}"#), PRINCIPAL, Some("AWS")),
        (with("Principal", r#"{"AWS": "12345"}"#), PRINCIPAL, Some("12345")),
        (
            with("Principal", r#"{"AWS": "arn:aws:iam::111122223333:group/x"}"#),
            PRINCIPAL,
            Some("arn:aws:iam::111122223333:group/x"),
        ),
        (
            with("Principal", r#"{"AWS": "arn:aws:iam::111122223333:user/*"}"#),
            PRINCIPAL,
            Some("arn:aws:iam::111122223333:user/*"),
        ),
        (with("Principal", r#"{"CanonicalUser": "111122223333"}"#), PRINCIPAL, Some("111122223333")),
        (
            with("Principal", r#"{"Service": "ec2.amazonaws.com"}"#),
            "Invalid principal in policy: the service ec2.amazonaws.com does nothing in buckets here",
            Some("ec2.amazonaws.com"),
        ),
        (
            with("Principal", r#"{"AWS": "*", "Federated": "cognito"}"#),
            "Invalid principal in policy: there are no principals of the kind Federated here",
            Some("Federated"),
        ),
        (
            with("NotPrincipal", r#""*""#),
            "NotPrincipal cannot stand beside its opposite in a statement",
            Some("NotPrincipal"),
        ),
        (with("Action", ""), "Missing required field Action", Some("Action")),
        (with("Action", "[]"), ACTION, Some("")),
        (with("Action", r#""s3:GetObjects""#), ACTION, Some("s3:GetObjects")),
        (with("Action", r#"["s3:GetObject", "iam:*"]"#), ACTION, Some("iam:*")),
        (with("Action", r#""GetObject""#), ACTION, Some("GetObject")),
        (with("Action", r#""s3:ListAllMyBuckets""#), ACTION, Some("s3:ListAllMyBuckets")),
        (
            with("NotAction", r#""s3:*""#),
            "NotAction cannot stand beside its opposite in a statement",
            Some("NotAction"),
        ),
        (with("Resource", ""), "Missing required field Resource", Some("Resource")),
        (with("Resource", r#""amzn-s3-demo-bucket/*""#), RESOURCE, Some("amzn-s3-demo-bucket/*")),
        (with("Resource", r#""arn:aws:s3:::other/*""#), RESOURCE, Some("arn:aws:s3:::other/*")),
        (
            with("Resource", r#""arn:aws:s3:::amzn-s3-demo-bucket2/*""#),
            RESOURCE,
            Some("arn:aws:s3:::amzn-s3-demo-bucket2/*"),
        ),
        (
            with("Resource", r#""arn:aws:s3:::amzn-s3-demo-bucket""#),
            "Action does not apply to any resource(s) in statement",
            None,
        ),
        (
            with("Action", r#"["s3:GetObject", "s3:ListBucket"]"#),
            "Action does not apply to any resource(s) in statement",
            None,
        ),
        (with("Sids", r#""x""#), "Unknown field Sids", Some("Sids")),
        (with("Sid", "{}"), "Invalid policy syntax.", None),
        (
            with("Condition", r#"{"StringEqual": {"aws:Referer": "x"}}"#),
            "Invalid Condition type : StringEqual",
            Some("StringEqual"),
        ),
        (
            with("Condition", r#"{"NullIfExists": {"aws:Referer": "true"}}"#),
            "Invalid Condition type : NullIfExists",
            Some("NullIfExists"),
        ),
        (
            with("Condition", r#"{"ForEachValue:StringEquals": {"aws:Referer": "x"}}"#),
            "Invalid Condition type : ForEachValue:StringEquals",
            Some("ForEachValue:StringEquals"),
        ),
        (
            with("Condition", r#"{"StringEquals": {"aws:SourceVpc": "x"}}"#),
            "Policy has an invalid condition key: aws:SourceVpc",
            Some("aws:SourceVpc"),
        ),
        (
            with("Condition", r#"{"StringEquals": {"s3:prefix": "x"}}"#),
            "Conditions do not apply to combination of actions and resources in statement",
            Some("s3:prefix"),
        ),
        (
            with("Condition", r#"{"StringLike": {"aws:Referer": "x", "AWS:referer": "y"}}"#),
            "Policy has the same condition key twice",
            Some("AWS:referer"),
        ),
        (with("Condition", r#""x""#), "Invalid policy syntax.", None),
    ] {
        let error = parse(&document).expect_err(&document);
        assert_eq!((error.message.as_str(), error.detail.as_deref()), (message, detail), "{document}");
    }
}

#[test]
fn no_name_is_there_twice() {
    for document in [
        r#"{"Statement": [], "Statement": []}"#.to_owned(),
        with("Condition", r#"{"StringLike": {"aws:Referer": "x"}, "StringLike": {"aws:UserAgent": "y"}}"#),
    ] {
        assert_eq!(parse(&document).expect_err(&document).message, "This policy contains invalid Json");
    }
    let twice = r#"{"Sid": "a", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}"#;
    let error = parse(&format!(r#"{{"Statement": [{twice}, {twice}]}}"#)).expect_err("two of a name");
    assert_eq!(error.message, "Statement IDs (SID) in a single policy must be unique.");
    parse(&format!(r#"{{"Statement": {twice}}}"#)).expect("one statement needs no list");
}

#[test]
fn a_policy_has_at_most_20_kib() {
    let fill = |length: usize| {
        let document = with("Sid", r#""""#);
        document.replace(r#""Sid": """#, &format!(r#""Sid": "{}""#, "x".repeat(length - document.len())))
    };
    let longest = fill(DOCUMENT_LENGTH_MAX);
    assert_eq!(longest.len(), DOCUMENT_LENGTH_MAX);
    policy(&longest);
    let error = parse(&fill(DOCUMENT_LENGTH_MAX + 1)).expect_err("a byte too long");
    assert_eq!(error.message, "Policy exceeds the maximum allowed document size.");
    parse(&with("Resource", &format!(r#""arn:aws:s3:::{BUCKET}/{}""#, "x".repeat(2048))))
        .expect_err("no key is so long");
    parse(&"[".repeat(DOCUMENT_LENGTH_MAX)).expect_err("too deep");
    parse(&format!("{{\"Statement\": {}", "[".repeat(10_000))).expect_err("too deep");
}

#[test]
fn actions_are_named_without_regard_to_case_and_by_wildcards() {
    for (action, allowed) in [
        ("S3:getobject", true),
        ("s3:Get*", true),
        ("*", true),
        ("s3:*Object", true),
        ("s3:G?tObject", true),
        ("s3:Put*", false),
    ] {
        let policy = policy(&with("Action", &format!(r#""{action}""#)));
        assert_eq!(allows(&policy, &Principal::Anonymous, "GetObject", Some("k"), &[]), allowed, "{action}");
    }
    assert_eq!((scope("GetObject"), scope("ListBucket")), (Some(Scope::Object), Some(Scope::Bucket)));
    assert_eq!(scope("ListAllMyBuckets"), None);
}

#[test]
fn resources_are_of_the_bucket() {
    let b = BUCKET;
    for (resource, key, allowed) in [
        (format!("arn:aws:s3:::{b}/*"), "a/b", true),
        (format!("arn:aws:s3:::{b}/a/?"), "a/b", true),
        (format!("arn:aws:s3:::{b}/a"), "A", false),
        (format!("arn:aws:s3:::{b}*"), "a", true),
        ("arn:aws:s3:::*".to_owned(), "a", true),
        ("arn:aws:s3:::*/*".to_owned(), "a", true),
        ("*".to_owned(), "a", true),
        (format!("arn:aws:s3:::{b}/*/secret"), "a/b/secret", true),
        (format!("arn:aws:s3:::{b}/*/secret"), "secret", false),
        (format!("arn:aws:s3:::{b}/ü?"), "üö", true),
    ] {
        let policy = policy(&with("Resource", &format!(r#""{resource}""#)));
        let met = allows(&policy, &Principal::Anonymous, "GetObject", Some(key), &[]);
        assert_eq!(met, allowed, "{resource} {key}");
    }
    // A bucket is no key of it, and a key no bucket.
    let policy = policy(&with("Action", r#""*""#).replace("amzn-s3-demo-bucket/*", "amzn-s3-demo-bucket*"));
    assert!(allows(&policy, &Principal::Anonymous, "ListBucket", None, &[]));
    let policy =
        Policy::parse(with("Resource", r#""arn:aws:s3:::bu*/x""#).as_bytes(), "bu").expect("a policy");
    assert!(!allows(&policy, &Principal::Anonymous, "ListBucket", None, &[]));
}

#[test]
fn principals_are_told() {
    let canonical = "ab".repeat(32);
    let document = with(
        "Principal",
        &format!(
            r#"{{"AWS": ["111122223333", "arn:aws:iam::444455556666:root", "arn:aws:iam::777788889999:user/a/b"],
               "CanonicalUser": "{canonical}"}}"#
        ),
    );
    let policy = policy(&document);
    let grantees: Vec<String> = policy.grantees().map(Grantee::to_string).collect();
    assert_eq!(
        grantees,
        ["111122223333", "444455556666", "arn:aws:iam::777788889999:user/a/b", canonical.as_str()]
    );
    for (who, allowed) in [
        (Principal::Anonymous, false),
        (super::root("111122223333"), true),
        (super::user("444455556666", "x"), true),
        (super::root("777788889999"), false),
        (super::user("777788889999", "a/b"), true),
        (super::user("777788889999", "b"), false),
        (super::root(&canonical), true),
        (super::root("000000000000"), false),
    ] {
        assert_eq!(allows(&policy, &who, "GetObject", Some("k"), &[]), allowed, "{who:?}");
    }
}
