use super::{allows, one, parse, policy, user};
use crate::{Context, Key, Principal, keys};

/// Whether a condition on `key` holds for these values of it.
#[track_caller]
fn holds(operator: &str, key: &str, operands: &str, values: &[&str]) -> bool {
    let policy =
        one("Allow", "s3:*", &format!(r#", "Condition": {{"{operator}": {{"{key}": {operands}}}}}"#));
    let pairs: Vec<(&str, &str)> = values.iter().map(|value| (key, *value)).collect();
    allows(&policy, &Principal::Anonymous, "PutObject", Some("k"), &pairs)
}

#[test]
fn every_operator_compares_as_it_says() {
    const AGENT: &str = "aws:UserAgent";
    let day = "2026-05-06T07:08:09Z";
    for (operator, operands, value, expected) in [
        ("StringEquals", r#""a""#, "a", true),
        ("StringEquals", r#"["b", "a"]"#, "a", true),
        ("StringEquals", r#""a*""#, "ab", false),
        ("StringEquals", r#""A""#, "a", false),
        ("stringequals", r#""a""#, "a", true),
        ("StringNotEquals", r#"["b", "a"]"#, "a", false),
        ("StringNotEquals", r#"["b", "c"]"#, "a", true),
        ("StringEqualsIgnoreCase", r#""ÄB""#, "äb", true),
        ("StringNotEqualsIgnoreCase", r#""AB""#, "ab", false),
        ("StringLike", r#""a*c?""#, "abbcd", true),
        ("StringLike", r#""a*c?""#, "abbc", false),
        ("StringLike", r#""${*}""#, "a", false),
        ("StringLike", r#""${*}${?}${$}""#, "*?$", true),
        ("StringEquals", r#""${aws:Referer, 'none'}""#, "none", true),
        ("StringNotLike", r#""a*""#, "b", true),
        ("StringNotLike", r#""a*""#, "ab", false),
        ("NumericEquals", "7", "7.0", true),
        ("NumericEquals", r#""7""#, "x", false),
        ("NumericNotEquals", "7", "8", true),
        ("NumericLessThan", "7", "6.9", true),
        ("NumericLessThan", "7", "7", false),
        ("NumericLessThanEquals", "7", "7", true),
        ("NumericGreaterThan", "7", "7", false),
        ("NumericGreaterThan", "-7", "-6", true),
        ("NumericGreaterThanEquals", "7", "7", true),
        ("DateEquals", r#""2026-05-06T09:08:09+02:00""#, day, true),
        ("DateEquals", "1778051289", day, true),
        ("DateNotEquals", r#""2026""#, "2026-01-01", false),
        ("DateLessThan", r#""2026-05-06T07:08:09.001Z""#, day, true),
        ("DateLessThanEquals", r#""2026-05-06T07:08:09Z""#, day, true),
        ("DateGreaterThan", r#""2026-05""#, day, true),
        ("DateGreaterThanEquals", r#""2026-05-07""#, day, false),
        ("Bool", "true", "true", true),
        ("Bool", r#""TRUE""#, "false", false),
        ("BinaryEquals", r#""aGVsbG8=""#, "hello", true),
        ("BinaryEquals", r#""aGVsbG8=""#, "aGVsbG8=", false),
        ("IpAddress", r#""10.0.0.0/8""#, "10.255.0.1", true),
        ("IpAddress", r#""10.0.0.0/8""#, "11.0.0.1", false),
        ("IpAddress", r#""10.0.0.1""#, "10.0.0.1", true),
        ("IpAddress", r#""0.0.0.0/0""#, "203.0.113.9", true),
        ("IpAddress", r#""0.0.0.0/0""#, "2001:db8::1", false),
        ("IpAddress", r#""::/0""#, "2001:db8::1", true),
        ("IpAddress", r#""::ffff:10.0.0.0/104""#, "10.9.9.9", true),
        ("IpAddress", r#""10.0.0.0/8""#, "nowhere", false),
        ("NotIpAddress", r#""10.0.0.0/8""#, "11.0.0.1", true),
        ("ArnEquals", r#""arn:aws:iam::1:user/*""#, "arn:aws:iam::1:user/a/b", true),
        ("ArnLike", r#""arn:*:*:1:user/a:*""#, "arn:aws:iam::1:user/a:b", false),
        ("ArnLike", r#""arn:aws:i?m::*:user/a:b""#, "arn:aws:iam::1:user/a:b", true),
        ("ArnLike", r#""*""#, "arn:aws:iam::1:root", true),
        ("ArnNotEquals", r#""arn:aws:iam::1:root""#, "arn:aws:iam::1:root", false),
        ("ArnNotLike", r#""arn:aws:iam::1:*""#, "arn:aws:iam::2:root", true),
    ] {
        let met = holds(operator, AGENT, operands, &[value]);
        assert_eq!(met, expected, "{operator} {operands} of {value}");
    }
}

/// What a request lacks is never equal to anything; so it is not equal to everything.
#[test]
fn what_is_absent_is_equal_to_nothing() {
    for (operator, operand, expected) in [
        ("StringEquals", r#""""#, false),
        ("StringLike", r#""*""#, false),
        ("StringNotEquals", r#""a""#, true),
        ("StringNotEqualsIgnoreCase", r#""a""#, true),
        ("StringNotLike", r#""*""#, true),
        ("NumericLessThan", "7", false),
        ("NumericNotEquals", "7", true),
        ("DateGreaterThan", r#""2026-01-01""#, false),
        ("DateNotEquals", r#""2026-01-01""#, true),
        ("Bool", "false", false),
        ("BinaryEquals", r#""aGVsbG8=""#, false),
        ("IpAddress", r#""0.0.0.0/0""#, false),
        ("NotIpAddress", r#""0.0.0.0/0""#, true),
        ("ArnLike", r#""*""#, false),
        ("ArnNotLike", r#""*""#, true),
        ("Null", "true", true),
        ("Null", "false", false),
        ("StringEqualsIfExists", r#""a""#, true),
        ("BoolIfExists", "true", true),
        ("NumericLessThanIfExists", "7", true),
        ("ForAllValues:StringEquals", r#""a""#, true),
        ("ForAllValues:StringNotEquals", r#""a""#, true),
        ("ForAnyValue:StringEquals", r#""a""#, false),
        ("ForAnyValue:StringNotEquals", r#""a""#, false),
        ("ForAnyValue:StringEqualsIfExists", r#""a""#, true),
    ] {
        assert_eq!(holds(operator, "aws:UserAgent", operand, &[]), expected, "{operator} {operand}");
    }
    assert!(holds("Null", "aws:UserAgent", "[true, false]", &[]));
    assert!(holds("Null", "aws:UserAgent", "false", &["a"]));
    assert!(!holds("StringEqualsIfExists", "aws:UserAgent", r#""a""#, &["b"]));
}

#[test]
fn several_values_are_asked_for_one_or_for_all() {
    const KEYS: &str = "s3:RequestObjectTagKeys";
    for (operator, values, expected) in [
        ("ForAnyValue:StringEquals", ["a", "z"], true),
        ("ForAnyValue:StringEquals", ["y", "z"], false),
        ("ForAllValues:StringEquals", ["a", "z"], false),
        ("ForAllValues:StringEquals", ["a", "b"], true),
        ("ForAnyValue:StringNotEquals", ["a", "z"], true),
        ("ForAnyValue:StringNotEquals", ["a", "b"], false),
        ("ForAllValues:StringNotEquals", ["a", "z"], false),
        ("ForAllValues:StringNotEquals", ["y", "z"], true),
    ] {
        assert_eq!(holds(operator, KEYS, r#"["a", "b"]"#, &values), expected, "{operator} {values:?}");
    }
}

/// A condition on what another request has does not let this one through.
#[test]
fn a_key_is_absent_from_requests_that_cannot_have_it() {
    let condition = r#", "Condition": {"StringEquals": {"s3:x-amz-acl": "private"}}"#;
    let policy = super::policy(&format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"],
           "Resource": "*"{condition}}}}}"#
    ));
    let sent = [("s3:x-amz-acl", "private")];
    assert!(allows(&policy, &Principal::Anonymous, "PutObject", Some("k"), &sent));
    assert!(!allows(&policy, &Principal::Anonymous, "GetObject", Some("k"), &sent));
}

#[test]
fn conditions_are_joined_by_and() {
    let policy = one(
        "Allow",
        "s3:ListBucket",
        r#", "Condition": {"StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"}, "NumericLessThanEquals": {"s3:max-keys": 10}}"#,
    );
    let asked = [("s3:prefix", "a"), ("s3:delimiter", "/"), ("s3:max-keys", "10")];
    assert!(allows(&policy, &Principal::Anonymous, "ListBucket", None, &asked));
    for left_out in 0..asked.len() {
        let mut some = asked.to_vec();
        some.remove(left_out);
        assert!(!allows(&policy, &Principal::Anonymous, "ListBucket", None, &some), "{some:?}");
    }
}

/// Case matters in the key of an object's tag, and nowhere else in a key's name.
#[test]
fn keys_are_found_by_their_names() {
    for name in keys() {
        let name = match name {
            tag if tag.ends_with('/') => format!("{tag}Tag"),
            claim if claim.starts_with(':') => format!("idp.example.com:8443/realms/a{claim}"),
            name => name.to_owned(),
        };
        let key = Key::parse(&name).unwrap_or_else(|| panic!("{name} is known"));
        let is_of_object = name.starts_with("s3:") && name.ends_with("Tag");
        let is_of_holder = !is_of_object && name.ends_with("Tag");
        assert_eq!(key.to_string(), if is_of_holder { name.replace("/Tag", "/tag") } else { name.clone() });
        if !is_of_object {
            assert_eq!(Key::parse(&name.to_uppercase()), Some(key));
        }
    }
    assert_eq!(Key::parse("S3:existingobjecttag/A"), Key::parse("s3:ExistingObjectTag/A"));
    assert_ne!(Key::parse("s3:ExistingObjectTag/a"), Key::parse("s3:ExistingObjectTag/A"));
    for none in
        ["s3:ExistingObjectTag/", "s3:ExistingObjectTag", "aws:", "", "aws:SourceVpc", "é:ExistingObje"]
    {
        assert_eq!(Key::parse(none), None, "{none}");
    }
    // A claim is one of a provider, and of one that is known.
    for none in [
        "aws:sub",
        "s3:aud",
        ":sub",
        "sub",
        "https://a.example.com:sub",
        "a.example.com:name",
        "a.example.com",
        "é.com:sub",
    ] {
        assert_eq!(Key::parse(none), None, "{none}");
    }
    assert_ne!(Key::parse("a.example.com/b:sub"), Key::parse("a.example.com:sub"));
}

#[test]
fn values_that_an_operator_cannot_take_are_refused() {
    for (operator, value) in [
        ("NumericEquals", "\"one\""),
        ("NumericEquals", "\"inf\""),
        ("DateEquals", "\"2026-02-30\""),
        ("DateEquals", "\"2026-13-01\""),
        ("DateEquals", "\"2026-01-01T00:00:00\""),
        ("DateEquals", "\"2026-01-01T24:00:00Z\""),
        ("DateEquals", "\"2026-01T00:00Z\""),
        ("DateEquals", "\"\""),
        ("Bool", "\"yes\""),
        ("Null", "\"maybe\""),
        ("BinaryEquals", "\"%\""),
        ("IpAddress", "\"10.0.0\""),
        ("IpAddress", "\"10.0.0.0/33\""),
        ("IpAddress", "\"10.0.0.0/+8\""),
        ("IpAddress", "\"::/129\""),
        ("ArnLike", "\"arn:aws:iam\""),
        ("StringEquals", "[]"),
        ("StringEquals", "{}"),
        ("StringEquals", "null"),
        ("StringLike", "\"${aws:nothing}\""),
        ("StringLike", "\"${aws:username\""),
        ("StringLike", "\"${s3:RequestObjectTagKeys}\""),
        ("StringLike", "\"${aws:username, none}\""),
    ] {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
               "Resource": "*", "Condition": {{"{operator}": {{"aws:UserAgent": {value}}}}}}}}}"#
        );
        assert!(parse(&document).is_err(), "{operator} {value}");
    }
}

#[test]
fn a_variable_is_text_in_policies_of_2008() {
    let policy = super::policy(
        r#"{"Version": "2008-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
           "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/${aws:username}"}}"#,
    );
    let named = [("aws:username", "bob")];
    assert!(!allows(&policy, &Principal::Anonymous, "GetObject", Some("bob"), &named));
    assert!(allows(&policy, &Principal::Anonymous, "GetObject", Some("${aws:username}"), &named));
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is no condition key")]
fn what_is_no_key_is_not_filled_in() {
    Context::default().add("aws:Nothing", "x");
}

/// An exception that cannot be known grants nothing: a policy for users gives nobody without a name what is not his.
#[test]
fn what_is_excepted_by_an_unknown_variable_is_not_allowed() {
    let others = policy(
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
           "NotResource": "arn:aws:s3:::amzn-s3-demo-bucket/home/${aws:username}/*"}}"#,
    );
    let bob = user("123456789012", "bob");
    let named = [("aws:username", "bob")];
    assert!(allows(&others, &bob, "GetObject", Some("home/alice/x"), &named));
    assert!(!allows(&others, &bob, "GetObject", Some("home/bob/x"), &named));
    assert!(!allows(&others, &Principal::Anonymous, "GetObject", Some("home/alice/x"), &[]));

    let unequal = policy(
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
           "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*",
           "Condition": {"StringNotEquals": {"aws:UserAgent": "${aws:username}"}}}}"#,
    );
    let agent = ("aws:UserAgent", "curl");
    assert!(allows(&unequal, &bob, "GetObject", Some("x"), &[named[0], agent]));
    assert!(!allows(&unequal, &Principal::Anonymous, "GetObject", Some("x"), &[agent]));
}
