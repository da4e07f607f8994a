//! What the engine tells of its decisions: that it is what it decides, and that it can be read from what it tells.

use super::{BUCKET, account, context, root, user};
use crate::{
    Context, Decision, Grounds, Kind, Naming, Of, Otherwise, Policy, Principal, Request, Resource, Seen,
    decide, document::Statement, explain,
};

const ME: &str = "111122223333";
const SETS: u32 = 100_000;

/// Numbers that are the same each time: a linear congruential generator of 64 bits.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("it fits") % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Every statement that can be made of these, as of a bucket's policy.
fn statements() -> Vec<Statement> {
    let mut found = Vec::new();
    for effect in ["Allow", "Allow", "Deny"] {
        for principal in [
            r#""Principal": "*""#,
            r#""Principal": {"AWS": "111122223333"}"#,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/ann"}"#,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/r"}"#,
            r#""Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}"#,
            r#""Principal": {"AWS": "arn:aws:sts::111122223333:federated-user/f"}"#,
            r#""NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/ann"}"#,
        ] {
            for action in
                [r#""Action": "s3:*""#, r#""Action": "s3:GetObject""#, r#""NotAction": "s3:GetObject""#]
            {
                for resource in [
                    r#""Resource": ["arn:aws:s3:::amzn-s3-demo-bucket", "arn:aws:s3:::amzn-s3-demo-bucket/*"]"#,
                    r#""Resource": "arn:aws:s3:::amzn-s3-demo-bucket/${aws:username}*""#,
                    r#""NotResource": "arn:aws:s3:::amzn-s3-demo-bucket/${aws:username}*""#,
                ] {
                    for condition in [
                        "",
                        r#", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "x"}}"#,
                        r#", "Condition": {"StringNotLike": {"aws:Referer": "${aws:username}*"}, "Null": {"aws:UserAgent": "true"}}"#,
                    ] {
                        let statement = format!(
                            r#"{{"Effect": "{effect}", {principal}, {action}, {resource}{condition}}}"#
                        );
                        let document = format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#);
                        found.extend(super::policy(&document).statements);
                    }
                }
            }
        }
    }
    found
}

/// A policy of some of these, without principals if it is of an identity.
fn policy(numbers: &mut Numbers, pool: &[Statement], is_own: bool, name: &str) -> Policy {
    let statements = (0..=numbers.below(3)).map(|_| {
        let mut statement = numbers.pick(pool).clone();
        if is_own {
            statement.principals = None;
        }
        statement
    });
    Policy { name: name.to_owned(), statements: statements.collect() }
}

fn some(numbers: &mut Numbers, pool: &[Statement], name: &str) -> Option<Vec<Policy>> {
    (numbers.below(3) > 0).then(|| {
        let count = numbers.below(3);
        (0..count).map(|_| policy(numbers, pool, true, name)).collect()
    })
}

/// What is decided is told from the statements that are seen to match, and from nothing else of them.
fn read_off(seen: &[Seen], grounds: &Grounds<'_>, principal: &Principal) -> bool {
    let matching = |kind: Kind, allows: bool| {
        seen.iter().filter(move |seen| seen.kind == kind && seen.allows == allows && seen.matches)
    };
    let kinds = [Kind::Identity, Kind::Boundary, Kind::Session, Kind::Resource];
    if kinds.into_iter().any(|kind| matching(kind, false).next().is_some()) {
        return false;
    }
    let allows = |kind| matching(kind, true).next().is_some();
    let (owns, is_restricted, otherwise) = match grounds.of {
        Of::Bucket { policy: _, owns, is_restricted, otherwise } => (owns, is_restricted, otherwise),
        // Nothing but what is its own decides, and the root user has all of it.
        Of::Account | Of::Role { .. } => {
            (true, false, grounds.identity.is_none().then_some(Otherwise::Owner))
        }
    };
    let naming = matching(Kind::Resource, true).filter_map(|seen| seen.principal).max();
    let has_own = grounds.identity.is_some();
    let named = naming.filter(|naming| !(is_restricted || owns && has_own && *naming == Naming::OfAccount));
    let (by_bucket, by_own) = (named.is_some() || otherwise.is_some(), allows(Kind::Identity));
    let granted = match (has_own, owns) {
        (false, _) => by_bucket,
        (true, true) => by_bucket || by_own,
        (true, false) => by_bucket && (by_own || otherwise == Some(Otherwise::Initiator)),
    };
    let named = named.filter(|_| owns);
    let is_user = matches!(principal, Principal::User { .. });
    let is_free_of_session = named == Some(Naming::OfSession);
    let is_free_of_boundary = is_free_of_session || named.is_some() && is_user;
    granted
        && (grounds.boundary.is_none() || allows(Kind::Boundary) || is_free_of_boundary)
        && (grounds.session.is_none() || allows(Kind::Session) || is_free_of_session)
}

fn as_refs(policies: &Option<Vec<Policy>>) -> Option<Vec<&Policy>> {
    policies.as_ref().map(|policies| policies.iter().collect())
}

#[test]
fn what_is_told_is_what_is_decided() {
    let pool = statements();
    let mut numbers = Numbers(7);
    let role = Principal::Role { account: account(ME), name: "r".to_owned(), session: "s".to_owned() };
    let user_of = Some("ann".to_owned());
    let federated = Principal::Federated { account: account(ME), user: user_of, name: "f".to_owned() };
    let principals = [Principal::Anonymous, root(ME), user(ME, "ann"), user(ME, "bob"), role, federated];
    let contexts: Vec<Context> = [
        &[][..],
        &[("aws:username", "ann"), ("aws:PrincipalTag/team", "x")],
        &[("aws:username", "ann"), ("aws:Referer", "bob")],
        &[("aws:Referer", "annex"), ("aws:UserAgent", "u"), ("aws:username", "ann")],
    ]
    .iter()
    .map(|pairs| context(pairs))
    .collect();
    let mut counts = [0_u32; 4];
    for set in 0..SETS {
        let principal = numbers.pick(&principals);
        let has_own = !matches!(principal, Principal::Anonymous | Principal::Root { .. });
        let mut own = |name| some(&mut numbers, &pool, name).filter(|_| has_own);
        let (mut identity, boundary, session) = (own("identity"), own("boundary"), own("session"));
        if has_own {
            identity.get_or_insert_default();
        }
        let bucket = (numbers.below(3) > 0).then(|| policy(&mut numbers, &pool, false, "bucket"));
        let others = [Otherwise::List, Otherwise::Initiator, Otherwise::AccountOfInitiator];
        let otherwise = (numbers.below(4) == 0).then(|| *numbers.pick(&others));
        let of = match numbers.below(8) {
            0 => Of::Account,
            _ => Of::Bucket {
                policy: bucket.as_ref(),
                owns: numbers.below(3) > 0,
                is_restricted: numbers.below(4) == 0,
                otherwise,
            },
        };
        let [own, bounds, limits] = [&identity, &boundary, &session].map(as_refs);
        let grounds =
            Grounds { identity: own.as_deref(), boundary: bounds.as_deref(), session: limits.as_deref(), of };
        let (action, key) = *numbers.pick(&[
            ("GetObject", Some("ann/k")),
            ("GetObject", Some("k")),
            ("PutObject", Some("ann/k")),
            ("ListBucket", None),
        ]);
        let resource = Resource::S3 { bucket: BUCKET, key };
        let request = Request { principal, action, resource, context: numbers.pick(&contexts) };

        let enforced = decide(&grounds, &request);
        let (told, trace) = explain(&grounds, &request, usize::MAX);
        assert_eq!(told, enforced, "set {set}: {grounds:?} {request:?}");
        assert_eq!(trace.left_out, 0);
        let all: usize = grounds
            .identity
            .iter()
            .chain(&grounds.boundary)
            .chain(&grounds.session)
            .flat_map(|policies| policies.iter())
            .copied()
            .chain(match of {
                Of::Bucket { policy, .. } => policy,
                Of::Account | Of::Role { .. } => None,
            })
            .map(|policy| policy.statements.len())
            .sum();
        assert_eq!(trace.statements.len(), all, "set {set}: every statement is told of");
        for seen in &trace.statements {
            let parts = seen.principal.is_some() && seen.action && seen.resource && !seen.is_open;
            assert_eq!(seen.matches, parts && seen.conditions.iter().all(|seen| seen.holds), "{seen:?}");
        }
        assert_eq!(
            read_off(&trace.statements, &grounds, principal),
            enforced.is_allowed(),
            "set {set}: {enforced:?} {trace:?}"
        );
        if let Decision::Allowed(kind) | Decision::Denied(kind) = enforced {
            let allows = enforced.is_allowed();
            let is_decider = |seen: &&Seen| seen.kind == kind && seen.matches && seen.allows == allows;
            assert!(trace.statements.iter().any(|seen| is_decider(&seen)), "set {set}: {enforced:?}");
        }
        counts[match enforced {
            Decision::Allowed(_) => 0,
            Decision::AllowedOtherwise(_) => 1,
            Decision::Denied(_) => 2,
            Decision::NotAllowed(_) => 3,
        }] += 1;
    }
    assert!(counts.iter().all(|count| *count > SETS / 100), "each comes out: {counts:?}");
}

/// What is told has a bound, within which statements that match come first.
#[test]
fn what_is_told_has_a_bound() {
    let many: Vec<String> = (0..100)
        .map(|number| {
            format!(r#"{{"Sid": "s{number}", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}"#)
        })
        .chain([r#"{"Sid": "last", "Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}"#.to_owned()])
        .collect();
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, many.join(", "));
    let policy = Policy::parse_identity(document.as_bytes()).expect("a policy").named("p");
    let (ann, context) = (user(ME, "ann"), context(&[]));
    let resource = Resource::S3 { bucket: BUCKET, key: Some("k") };
    let request = Request { principal: &ann, action: "GetObject", resource, context: &context };
    let of = Of::Bucket { policy: None, owns: true, is_restricted: false, otherwise: None };
    let grounds = Grounds { identity: Some(&[&policy]), boundary: None, session: None, of };
    let (decision, trace) = explain(&grounds, &request, 2048);
    assert_eq!(decision, Decision::Denied(Kind::Identity));
    assert_eq!(trace.statements.len() + trace.left_out, 101);
    assert!(trace.statements.len() < 17, "{}", trace.statements.len());
    let last = trace.statements.last().expect("some are told");
    assert_eq!((last.sid.as_deref(), last.policy.as_str(), last.statement), (Some("last"), "p", 100));
    let (decision, trace) = explain(&grounds, &request, 0);
    assert_eq!((decision, trace.left_out), (Decision::Denied(Kind::Identity), 101));
}

/// Of a statement that does not match it is told which part does not, and of a condition what was compared.
#[test]
fn it_is_told_what_did_not_match() {
    let document = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
         "Condition": {"StringEquals": {"aws:Referer": ["a", "b"]}, "Null": {"aws:UserAgent": "false"}}}]}"#;
    let policy = Policy::parse_identity(document.as_bytes()).expect("a policy").named("p");
    let (ann, context) = (user(ME, "ann"), context(&[("aws:Referer", "c")]));
    let resource = Resource::S3 { bucket: BUCKET, key: Some("k") };
    let request = Request { principal: &ann, action: "GetObject", resource, context: &context };
    let grounds = Grounds { identity: Some(&[&policy]), boundary: None, session: None, of: Of::Account };
    let (decision, trace) = explain(&grounds, &request, 1 << 20);
    assert_eq!(decision, Decision::NotAllowed(Kind::Identity));
    let parts: Vec<_> =
        trace.statements.iter().map(|seen| (seen.action, seen.resource, seen.matches)).collect();
    assert_eq!(parts, [(false, true, false), (true, false, false), (true, true, false)]);
    let conditions = &trace.statements[2].conditions;
    let told: Vec<_> = conditions
        .iter()
        .map(|seen| {
            (
                seen.operator.as_str(),
                seen.key.as_str(),
                seen.wanted.join(" "),
                seen.found.join(" "),
                seen.holds,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("StringEquals", "aws:Referer", "a b".to_owned(), "c".to_owned(), false),
            ("Null", "aws:UserAgent", "false".to_owned(), String::new(), false)
        ]
    );
    let told = context.told("GetObject");
    assert_eq!(told, [("aws:Referer".to_owned(), vec!["c".to_owned()])]);
}
