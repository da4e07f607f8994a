use proptest::{collection::vec, prelude::*, sample::select};

use super::{BUCKET, context, root, user};
use crate::{Policy, Principal, Request, Verdict, document::Statement, evaluate};

fn statement() -> impl Strategy<Value = String> {
    (
        select(vec!["Allow", "Deny"]),
        select(vec![
            r#""Principal": "*""#,
            r#""Principal": {"AWS": "111122223333"}"#,
            r#""NotPrincipal": {"AWS": "111122223333"}"#,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/bob"}"#,
        ]),
        select(vec![
            r#""Action": "s3:*""#,
            r#""Action": ["s3:GetObject", "s3:PutObject"]"#,
            r#""NotAction": "s3:GetObject""#,
        ]),
        select(vec![
            r#""Resource": "*""#,
            r#""Resource": "arn:aws:s3:::amzn-s3-demo-bucket/a*""#,
            r#""NotResource": "arn:aws:s3:::amzn-s3-demo-bucket/a*""#,
        ]),
        select(vec![
            "",
            r#", "Condition": {"StringEquals": {"aws:Referer": "x"}}"#,
            r#", "Condition": {"StringNotEquals": {"aws:Referer": "x"}}"#,
            r#", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#,
            r#", "Condition": {"ForAllValues:StringLike": {"aws:Referer": "x*"}}"#,
        ]),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            format!(r#"{{"Effect": "{effect}", {principal}, {action}, {resource}{condition}}}"#)
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    vec(statement(), 1..5).prop_map(|statements| {
        super::policy(&format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", ")))
    })
}

/// Everything that the statements above can tell apart.
fn verdicts(policies: &[&Policy]) -> Vec<bool> {
    let mut found = Vec::new();
    for principal in [Principal::Anonymous, root("111122223333"), user("111122223333", "bob")] {
        for (action, key) in [
            ("GetObject", Some("a")),
            ("GetObject", Some("b")),
            ("PutObject", Some("a")),
            ("ListBucket", None),
        ] {
            for pairs in [
                vec![],
                vec![("aws:Referer", "x"), ("aws:SourceIp", "10.1.2.3")],
                vec![("aws:Referer", "xy"), ("aws:SourceIp", "11.1.2.3")],
            ] {
                let context = context(&pairs);
                let request = Request {
                    principal: &principal,
                    action,
                    resource: crate::Resource::S3 { bucket: BUCKET, key },
                    context: &context,
                };
                found.push(matches!(evaluate(policies, &request), Verdict::Allowed(_)));
            }
        }
    }
    found
}

/// Whether nothing is granted now that was not before.
fn grants_no_more(before: &[bool], now: &[bool]) -> bool {
    before.iter().zip(now).all(|(before, now)| *before || !now)
}

fn without(policy: &Policy, is_to_go: impl Fn(&Statement) -> bool) -> Policy {
    let mut policy = policy.clone();
    if let Some(at) = policy.statements.iter().position(is_to_go) {
        policy.statements.remove(at);
    }
    policy
}

proptest! {
    #[test]
    fn taking_an_allow_away_never_grants(policy in policy()) {
        let less = without(&policy, |statement| statement.allows);
        prop_assert!(grants_no_more(&verdicts(&[&policy]), &verdicts(&[&less])));
    }

    #[test]
    fn a_deny_more_never_grants(policy in policy()) {
        let less = without(&policy, |statement| !statement.allows);
        prop_assert!(grants_no_more(&verdicts(&[&less]), &verdicts(&[&policy])));
    }

    /// Nor does it matter in which of two policies a statement is, nor in which order they are.
    #[test]
    fn policies_are_evaluated_together(one in policy(), other in policy()) {
        let mut joined = one.clone();
        joined.statements.extend(other.statements.clone());
        let together = verdicts(&[&one, &other]);
        prop_assert_eq!(&together, &verdicts(&[&other, &one]));
        prop_assert_eq!(&together, &verdicts(&[&joined]));
    }

    #[test]
    fn whoever_is_nobody_gets_nothing_from_what_is_not_public(policy in policy()) {
        let nobody = verdicts(&[&policy]).into_iter().take(12).any(|allowed| allowed);
        let from_somewhere = policy.statements.iter().any(|statement| !statement.conditions.is_empty());
        prop_assert!(!nobody || policy.is_public() || from_somewhere);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Policy::parse(&bytes, BUCKET);
    }

    #[test]
    fn any_text_in_its_place_is_read_or_refused(
        text in "[*?${}:/a-zA-Z0-9.,'-]{0,40}",
        operator in select(vec!["StringLike", "DateLessThan", "NumericEquals", "IpAddress", "ArnLike", "BinaryEquals"]),
        value in "[*?${}:/a-zA-Z0-9.,'-]{0,40}",
    ) {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
               "Resource": "arn:aws:s3:::{BUCKET}/{text}", "Condition": {{"{operator}": {{"aws:UserAgent": "{value}"}}}}}}}}"#
        );
        if let Ok(policy) = Policy::parse(document.as_bytes(), BUCKET) {
            let _ = verdicts(&[&policy]);
        }
    }
}
