use proptest::{collection::vec, prelude::*, sample::select};

use super::{BUCKET, context, root, user};
use crate::{
    Grounds, Of, Policy, Principal, Request, Resource, Verdict, decide, document::Statement, evaluate,
};

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

/// The same policy for whoever has it, as that of an identity.
fn own(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    for statement in &mut policy.statements {
        statement.principals = None;
    }
    policy
}

/// What is allowed by policies of these kinds, for everything that the statements above can tell apart and everyone whom they
/// can name.
fn decisions(
    identity: &Policy,
    limits: [Option<&Policy>; 2],
    bucket: Option<&Policy>,
    owns: bool,
) -> Vec<bool> {
    let session = Principal::Role {
        account: super::account("111122223333"),
        name: "r".to_owned(),
        session: "s".to_owned(),
    };
    let mut found = Vec::new();
    let federated = Principal::Federated {
        account: super::account("111122223333"),
        user: Some("ann".to_owned()),
        name: "f".to_owned(),
    };
    for principal in [user("111122223333", "bob"), user("111122223333", "ann"), session, federated] {
        for (action, key) in [("GetObject", Some("a")), ("PutObject", Some("b")), ("ListBucket", None)] {
            for referer in ["x", "xy"] {
                let context = context(&[("aws:Referer", referer)]);
                let resource = Resource::S3 { bucket: BUCKET, key };
                let request = Request { principal: &principal, action, resource, context: &context };
                let [boundary, session] = limits.map(|limit| limit.map(|limit| vec![limit]));
                let of = Of::Bucket { policy: bucket, owns, is_restricted: false, otherwise: None };
                let grounds = Grounds {
                    identity: Some(&[identity]),
                    boundary: boundary.as_deref(),
                    session: session.as_deref(),
                    of,
                };
                found.push(decide(&grounds, &request).is_allowed());
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

    /// Whatever a boundary or the policy of a session says, nothing is allowed by it that is not without it.
    #[test]
    fn a_boundary_never_grants(identity in policy(), limit in policy(), bucket in policy(), owns in any::<bool>()) {
        let (identity, limit) = (own(&identity), own(&limit));
        for bucket in [None, Some(&bucket)] {
            let without = decisions(&identity, [None, None], bucket, owns);
            let bounded = decisions(&identity, [Some(&limit), None], bucket, owns);
            prop_assert!(grants_no_more(&without, &bounded));
            prop_assert!(grants_no_more(&without, &decisions(&identity, [None, Some(&limit)], bucket, owns)));
            prop_assert!(grants_no_more(&bounded, &decisions(&identity, [Some(&limit), Some(&limit)], bucket, owns)));
        }
    }

    /// What a boundary does not allow no policy of the identity gives.
    #[test]
    fn no_identity_policy_grants_beyond_the_boundary(identity in policy(), limit in policy()) {
        let (identity, limit) = (own(&identity), own(&limit));
        let both = decisions(&identity, [Some(&limit), None], None, true);
        let by_limit = decisions(&limit, [None, None], None, true);
        let by_own = decisions(&identity, [None, None], None, true);
        for ((both, by_limit), by_own) in both.into_iter().zip(by_limit).zip(by_own) {
            prop_assert_eq!(both, by_limit && by_own);
        }
    }

    /// Of another account's buckets somebody has what both its own policies and the bucket's allow, and nothing by one of them alone.
    #[test]
    fn in_another_accounts_bucket_both_have_to_allow(identity in policy(), bucket in policy()) {
        let own_policy = own(&identity);
        let across = decisions(&own_policy, [None, None], Some(&bucket), false);
        prop_assert!(!decisions(&own_policy, [None, None], None, false).contains(&true));
        prop_assert!(grants_no_more(&decisions(&own_policy, [None, None], None, true), &across));
        let everything = Policy::parse_identity(br#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#);
        let everything = everything.expect("a policy");
        prop_assert!(grants_no_more(&decisions(&everything, [None, None], Some(&bucket), false), &across));
        for is_to_go in [true, false] {
            let fewer_own = without(&own_policy, |statement| statement.allows == is_to_go);
            let fewer_of_bucket = without(&bucket, |statement| statement.allows == is_to_go);
            for less in [
                decisions(&fewer_own, [None, None], Some(&bucket), false),
                decisions(&own_policy, [None, None], Some(&fewer_of_bucket), false),
            ] {
                let (before, now) = if is_to_go { (&across, &less) } else { (&less, &across) };
                prop_assert!(grants_no_more(before, now), "an Allow that goes, or a Deny that comes, grants");
            }
        }
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
