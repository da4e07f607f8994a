//! What policies of several kinds come to together. The rows are those of IAM User Guide, "Policy evaluation for requests within a
//! single account", as far as there are such principals here.

use super::{account, context, root, user};
use crate::{Decision, Grounds, Kind, Of, Otherwise, Policy, Principal, Request, Resource, decide};

const ME: &str = "111122223333";
const OTHER: &str = "444455556666";

fn role() -> Principal {
    Principal::Role { account: account(ME), name: "r".to_owned(), session: "s".to_owned() }
}

fn federated(user: Option<&str>) -> Principal {
    Principal::Federated { account: account(ME), user: user.map(str::to_owned), name: "f".to_owned() }
}

fn own(effect: &str, action: &str) -> Policy {
    let statement = format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#);
    Policy::parse_identity(format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#).as_bytes())
        .expect("a policy")
}

fn of_bucket(effect: &str, element: &str, principal: &str) -> Policy {
    let statement = format!(
        r#"{{"Effect": "{effect}", "{element}": {{"AWS": "{principal}"}}, "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}"#
    );
    Policy::parse(format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#).as_bytes(), "b")
        .expect("a policy")
}

/// A policy that allows it, one that denies it, one that says nothing of it, or none.
#[derive(Clone, Copy)]
enum Has {
    Allow,
    Deny,
    Silent,
    Nothing,
}

impl Has {
    fn policies(self) -> Option<Policy> {
        match self {
            Self::Allow => Some(own("Allow", "s3:GetObject")),
            Self::Deny => Some(own("Deny", "s3:GetObject")),
            Self::Silent => Some(own("Allow", "s3:PutObject")),
            Self::Nothing => None,
        }
    }
}

fn decided(
    principal: &Principal,
    [identity, boundary, session]: [Has; 3],
    policy: Option<&Policy>,
    owns: bool,
) -> Decision {
    let [identity, boundary, session] = [identity, boundary, session].map(Has::policies);
    let [identity, boundary, session] =
        [&identity, &boundary, &session].map(|policy| policy.as_ref().map(|policy| vec![policy]));
    let grounds = Grounds {
        identity: identity.as_deref(),
        boundary: boundary.as_deref(),
        session: session.as_deref(),
        of: Of::Bucket { policy, owns, is_restricted: false, otherwise: None },
    };
    let resource = Resource::S3 { bucket: "b", key: Some("k") };
    decide(&grounds, &Request { principal, action: "GetObject", resource, context: &context(&[]) })
}

#[test]
fn a_bucket_grants_by_name_what_nothing_else_does() {
    use Has::{Allow, Deny, Nothing, Silent};
    let (user, role) = (user(ME, "ann"), role());
    let user_arn = format!("arn:aws:iam::{ME}:user/ann");
    let role_arn = format!("arn:aws:iam::{ME}:role/r");
    let session_arn = format!("arn:aws:sts::{ME}:assumed-role/r/s");
    let by_bucket = Decision::Allowed(Kind::Resource);
    let by_own = Decision::Allowed(Kind::Identity);
    for (principal, names, own, expected) in [
        (&user, Some(user_arn.as_str()), [Silent, Silent, Nothing], by_bucket),
        (&user, Some(&user_arn), [Silent, Nothing, Nothing], by_bucket),
        (&user, Some(&user_arn), [Deny, Allow, Nothing], Decision::Denied(Kind::Identity)),
        (&user, Some(&user_arn), [Allow, Deny, Nothing], Decision::Denied(Kind::Boundary)),
        (&user, Some("*"), [Silent, Silent, Nothing], by_bucket),
        (&user, Some(ME), [Silent, Allow, Nothing], Decision::NotAllowed(Kind::Identity)),
        (&user, Some(ME), [Allow, Silent, Nothing], Decision::NotAllowed(Kind::Boundary)),
        (&user, None, [Allow, Silent, Nothing], Decision::NotAllowed(Kind::Boundary)),
        (&user, None, [Silent, Allow, Nothing], Decision::NotAllowed(Kind::Identity)),
        (&user, None, [Allow, Allow, Nothing], by_own),
        (&user, None, [Allow, Nothing, Nothing], by_own),
        (&role, Some(&role_arn), [Silent, Silent, Nothing], Decision::NotAllowed(Kind::Boundary)),
        (&role, Some(&role_arn), [Silent, Allow, Silent], Decision::NotAllowed(Kind::Session)),
        (&role, Some(&role_arn), [Silent, Allow, Allow], by_bucket),
        (&role, Some(&role_arn), [Silent, Nothing, Nothing], by_bucket),
        (&role, Some(&session_arn), [Silent, Silent, Silent], by_bucket),
        (&role, Some(&session_arn), [Silent, Deny, Silent], Decision::Denied(Kind::Boundary)),
        (&role, Some(&session_arn), [Silent, Allow, Deny], Decision::Denied(Kind::Session)),
        (&role, None, [Allow, Silent, Allow], Decision::NotAllowed(Kind::Boundary)),
        (&role, None, [Allow, Allow, Silent], Decision::NotAllowed(Kind::Session)),
        (&role, None, [Allow, Allow, Allow], by_own),
    ] {
        let policy = names.map(|names| of_bucket("Allow", "Principal", names));
        let found = decided(principal, own, policy.as_ref(), true);
        assert_eq!(found, expected, "{principal:?} by {names:?}");
    }
}

/// IAM User Guide, "Policy evaluation for requests within a single account": what is granted a federated user is so whatever limits
/// it, and what is granted its user, within that.
#[test]
fn a_federated_user_is_its_user_within_its_session() {
    use Has::{Allow, Deny, Nothing, Silent};
    let (hers, of_root) = (federated(Some("ann")), federated(None));
    let user_arn = format!("arn:aws:iam::{ME}:user/ann");
    let arn = format!("arn:aws:sts::{ME}:federated-user/f");
    let (by_bucket, by_own) = (Decision::Allowed(Kind::Resource), Decision::Allowed(Kind::Identity));
    let no = Decision::NotAllowed;
    for (principal, names, own, expected) in [
        (&hers, None, [Allow, Nothing, Allow], by_own),
        (&hers, None, [Allow, Nothing, Silent], no(Kind::Session)),
        (&hers, None, [Silent, Nothing, Allow], no(Kind::Identity)),
        (&hers, None, [Allow, Silent, Allow], no(Kind::Boundary)),
        (&hers, Some(arn.as_str()), [Silent, Silent, Silent], by_bucket),
        (&hers, Some(&arn), [Deny, Silent, Silent], Decision::Denied(Kind::Identity)),
        (&hers, Some(&arn), [Silent, Silent, Deny], Decision::Denied(Kind::Session)),
        (&hers, Some(&user_arn), [Silent, Nothing, Allow], by_bucket),
        (&hers, Some(&user_arn), [Silent, Nothing, Silent], no(Kind::Session)),
        (&hers, Some(&user_arn), [Silent, Silent, Allow], no(Kind::Boundary)),
        (&hers, Some("*"), [Silent, Nothing, Silent], no(Kind::Session)),
        (&hers, Some(ME), [Silent, Nothing, Allow], no(Kind::Identity)),
        (&of_root, None, [Nothing, Nothing, Silent], no(Kind::Identity)),
        (&of_root, Some(&user_arn), [Nothing, Nothing, Allow], no(Kind::Identity)),
        (&of_root, Some(&arn), [Nothing, Nothing, Silent], by_bucket),
        (&of_root, Some(ME), [Nothing, Nothing, Silent], no(Kind::Session)),
        (&of_root, Some(ME), [Nothing, Nothing, Allow], by_bucket),
    ] {
        let policy = names.map(|names| of_bucket("Allow", "Principal", names));
        let found = decided(principal, own, policy.as_ref(), true);
        assert_eq!(found, expected, "{principal:?} by {names:?}");
    }
    for (element, names, is_denied) in [
        ("Principal", &user_arn, true),
        ("Principal", &arn, true),
        ("Principal", &format!("arn:aws:sts::{ME}:federated-user/g"), false),
        ("Principal", &format!("arn:aws:sts::{OTHER}:federated-user/f"), false),
        ("NotPrincipal", &user_arn, true),
        ("NotPrincipal", &arn, false),
    ] {
        let policy = of_bucket("Deny", element, names);
        let found = decided(&hers, [Allow, Nothing, Allow], Some(&policy), true);
        assert_eq!(found == Decision::Denied(Kind::Resource), is_denied, "{element} {names}");
    }
    assert_eq!(hers.arn().as_deref(), Some(arn.as_str()));
    let user = decided(
        &user(ME, "ann"),
        [Allow, Nothing, Nothing],
        Some(&of_bucket("Deny", "Principal", &arn)),
        true,
    );
    assert_eq!(user, by_own, "its user is another");
}

/// In another account's bucket both have to allow it, whoever is named, and the boundary too.
#[test]
fn another_accounts_bucket_grants_nothing_beyond_the_boundary() {
    use Has::{Allow, Nothing, Silent};
    let user = user(ME, "ann");
    let policy = of_bucket("Allow", "Principal", &format!("arn:aws:iam::{ME}:user/ann"));
    let found = |own| decided(&user, own, Some(&policy), false);
    assert_eq!(found([Allow, Allow, Nothing]), Decision::Allowed(Kind::Resource));
    assert_eq!(found([Allow, Silent, Nothing]), Decision::NotAllowed(Kind::Boundary));
    assert_eq!(found([Silent, Allow, Nothing]), Decision::NotAllowed(Kind::Identity));
    assert_eq!(decided(&user, [Allow, Allow, Nothing], None, false), Decision::NotAllowed(Kind::Identity));
}

/// Whoever opened an upload needs no policy, in another account's bucket either; whose user that is is let in by the bucket, and decides
/// itself on who of its users may.
#[test]
fn who_opened_an_upload_may_what_is_not_denied() {
    let (allow, silent, deny) = (own("Allow", "*"), own("Allow", "s3:GetObject"), own("Deny", "*"));
    let against = of_bucket("Deny", "Principal", "*");
    let (user, root, context) = (user(ME, "ann"), root(ME), context(&[]));
    let resource = Resource::S3 { bucket: "b", key: Some("k") };
    let found = |principal: &Principal, identity, boundary, policy, owns, otherwise| {
        let of = Of::Bucket { policy, owns, is_restricted: false, otherwise: Some(otherwise) };
        let grounds = Grounds { identity, boundary, session: None, of };
        decide(&grounds, &Request { principal, action: "AbortMultipartUpload", resource, context: &context })
    };
    let (initiator, accounts) = (Otherwise::Initiator, Otherwise::AccountOfInitiator);
    let by = Decision::AllowedOtherwise;
    let (allows, says_nothing, denies) = (Some(&[&allow][..]), Some(&[&silent][..]), Some(&[&deny][..]));
    for owns in [true, false] {
        assert_eq!(found(&user, says_nothing, None, None, owns, initiator), by(initiator));
        assert_eq!(found(&user, denies, None, None, owns, initiator), Decision::Denied(Kind::Identity));
        let bounded = found(&user, allows, says_nothing, None, owns, initiator);
        assert_eq!(bounded, Decision::NotAllowed(Kind::Boundary));
        let denied = found(&user, says_nothing, None, Some(&against), owns, initiator);
        assert_eq!(denied, Decision::Denied(Kind::Resource));
    }
    assert_eq!(found(&root, None, None, None, false, initiator), by(initiator));
    assert_eq!(found(&root, None, None, None, false, accounts), by(accounts));
    assert_eq!(found(&user, allows, None, None, false, accounts), by(accounts));
    let nothing = found(&user, says_nothing, None, None, false, accounts);
    assert_eq!(nothing, Decision::NotAllowed(Kind::Identity));
}

/// IAM User Guide, "Permissions boundaries for IAM entities": it always denies whoever has one.
#[test]
fn who_has_a_boundary_is_excepted_from_nothing_that_is_denied() {
    use Has::{Allow, Nothing};
    let user = user(ME, "ann");
    let policy = of_bucket("Deny", "NotPrincipal", &format!("arn:aws:iam::{ME}:user/ann"));
    let found = |own| decided(&user, own, Some(&policy), true);
    assert_eq!(found([Allow, Nothing, Nothing]), Decision::Allowed(Kind::Identity));
    assert_eq!(found([Allow, Allow, Nothing]), Decision::Denied(Kind::Resource));
}

/// A boundary that cannot be found bounds everything.
#[test]
fn a_boundary_that_is_gone_leaves_nothing() {
    let (user, allow, context) = (user(ME, "ann"), own("Allow", "*"), context(&[]));
    let resource = Resource::Other("arn:aws:iam::111122223333:user/ann");
    let request = Request { principal: &user, action: "iam:GetUser", resource, context: &context };
    let found = |boundary| {
        let grounds = Grounds { identity: Some(&[&allow]), boundary, session: None, of: Of::Account };
        decide(&grounds, &request)
    };
    assert_eq!(found(None), Decision::Allowed(Kind::Identity));
    assert_eq!(found(Some(&[][..])), Decision::NotAllowed(Kind::Boundary));
    assert_eq!(found(Some(&[&allow][..])), Decision::Allowed(Kind::Identity));
}

#[test]
fn who_has_no_policies_is_decided_on_by_the_bucket_alone() {
    let policy = of_bucket("Allow", "Principal", "*");
    let (context, resource) = (context(&[]), Resource::S3 { bucket: "b", key: Some("k") });
    let found = |principal: &Principal, policy, owns, is_restricted, otherwise| {
        let of = Of::Bucket { policy, owns, is_restricted, otherwise };
        let grounds = Grounds { identity: None, boundary: None, session: None, of };
        decide(&grounds, &Request { principal, action: "GetObject", resource, context: &context })
    };
    let (root, nobody, other) = (root(ME), Principal::Anonymous, user(OTHER, "x"));
    let (by_bucket, refused) = (Decision::Allowed(Kind::Resource), Decision::NotAllowed(Kind::Identity));
    let otherwise = |why| (Some(why), Decision::AllowedOtherwise(why));
    let (owner, by_owner) = otherwise(Otherwise::Owner);
    let (list, by_list) = otherwise(Otherwise::List);
    assert_eq!(found(&root, None, true, false, owner), by_owner);
    assert_eq!(found(&nobody, Some(&policy), false, false, None), by_bucket);
    assert_eq!(found(&nobody, Some(&policy), false, true, None), refused);
    assert_eq!(found(&nobody, Some(&policy), false, true, list), by_list);
    assert_eq!(found(&other, None, false, false, None), refused);
    let deny = of_bucket("Deny", "Principal", "*");
    assert_eq!(found(&root, Some(&deny), true, false, owner), Decision::Denied(Kind::Resource));
}

/// Whoever is of another account has to be allowed it there, by whatever name the role's policy lets it in.
#[test]
fn a_role_of_another_account_is_assumed_by_who_both_let() {
    let other = "444455556666";
    let trust = |effect: &str, principal: &str| {
        let document = format!(
            r#"{{"Statement": {{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}}, "Action": "sts:AssumeRole"}}}}"#
        );
        Policy::parse_trust(document.as_bytes()).expect("a policy")
    };
    let (allow, silent, deny) = (own("Allow", "sts:*"), own("Allow", "s3:*"), own("Deny", "sts:*"));
    let (allows, says_nothing, denies) = ([&allow], [&silent], [&deny]);
    let context = context(&[]);
    let arn = Resource::Other("arn:aws:iam::444455556666:role/x");
    let by_name = trust("Allow", &format!("arn:aws:iam::{ME}:user/ann"));
    let by_account = trust("Allow", ME);
    let (of_others, against) = (trust("Allow", other), trust("Deny", ME));
    let principal = user(ME, "ann");
    for (trust, identity, boundary, expected) in [
        (&by_name, &allows, None, Decision::Allowed(Kind::Trust)),
        (&by_account, &allows, None, Decision::Allowed(Kind::Trust)),
        (&by_name, &says_nothing, None, Decision::NotAllowed(Kind::Identity)),
        (&by_account, &says_nothing, None, Decision::NotAllowed(Kind::Identity)),
        (&by_name, &denies, None, Decision::Denied(Kind::Identity)),
        (&by_name, &allows, Some(&says_nothing[..]), Decision::NotAllowed(Kind::Boundary)),
        (&of_others, &allows, None, Decision::NotAllowed(Kind::Trust)),
        (&against, &allows, None, Decision::Denied(Kind::Trust)),
    ] {
        let of = Of::Role { trust: Some(trust), owns: false };
        let grounds = Grounds { identity: Some(identity), boundary, session: None, of };
        let request =
            Request { principal: &principal, action: "sts:AssumeRole", resource: arn, context: &context };
        assert_eq!(decide(&grounds, &request), expected, "{trust:?}");
        let (told, _) = crate::explain(&grounds, &request, usize::MAX);
        assert_eq!(told, expected, "what is told is what is decided");
    }
}

/// Whom a trust policy names it lets in, but for what limits a role that assumes another.
#[test]
fn a_role_is_assumed_by_who_its_trust_policy_lets() {
    let trust = |principal: &str| {
        let document = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "sts:AssumeRole"}}}}"#
        );
        Policy::parse_trust(document.as_bytes()).expect("a policy")
    };
    let (allow, silent) = (own("Allow", "sts:*"), own("Allow", "s3:*"));
    let (user, role, context) = (user(ME, "ann"), role(), context(&[]));
    let arn = Resource::Other("arn:aws:iam::111122223333:role/x");
    let found = |principal: &Principal, trust: Option<&Policy>, identity, boundary| {
        let grounds =
            Grounds { identity: Some(identity), boundary, session: None, of: Of::Role { trust, owns: true } };
        decide(&grounds, &Request { principal, action: "sts:AssumeRole", resource: arn, context: &context })
    };
    let (allows, says_nothing) = ([&allow], [&silent]);
    let by_name = trust(&format!("arn:aws:iam::{ME}:user/ann"));
    let of_role = trust(&format!("arn:aws:iam::{ME}:role/r"));
    let by_account = trust(ME);
    let by_trust = Decision::Allowed(Kind::Trust);
    let by_own = Decision::Allowed(Kind::Identity);
    for (principal, trust, identity, boundary, expected) in [
        (&user, Some(&by_name), &says_nothing, None, by_trust),
        (&user, Some(&by_name), &says_nothing, Some(&says_nothing[..]), by_trust),
        (&user, Some(&by_account), &says_nothing, None, Decision::NotAllowed(Kind::Identity)),
        (&user, Some(&by_account), &allows, Some(&says_nothing), Decision::NotAllowed(Kind::Boundary)),
        (&user, Some(&by_account), &allows, Some(&allows), by_own),
        (&user, Some(&of_role), &allows, None, Decision::NotAllowed(Kind::Trust)),
        (&user, None, &allows, None, Decision::NotAllowed(Kind::Trust)),
        (&role, Some(&of_role), &says_nothing, Some(&says_nothing), Decision::NotAllowed(Kind::Boundary)),
        (&role, Some(&of_role), &says_nothing, Some(&allows), by_trust),
    ] {
        assert_eq!(found(principal, trust, identity, boundary), expected, "{principal:?}");
    }
}

/// Keys of tags of users and roles are the same in whatever case they are written.
#[test]
fn tags_of_principals_are_asked_for_in_any_case() {
    let asks = |key: &str| {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "iam:TagUser", "Resource": "*",
               "Condition": {{"StringEquals": {{"{key}": "x"}}}}}}}}"#
        );
        Policy::parse_identity(document.as_bytes()).expect("a policy")
    };
    let user = user(ME, "ann");
    let resource = Resource::Other("arn:aws:iam::111122223333:user/ann");
    let allows = |policy: &Policy, action: &str, pairs: &[(&str, &str)]| {
        let request = Request { principal: &user, action, resource, context: &context(pairs) };
        let grounds = Grounds { identity: Some(&[policy]), boundary: None, session: None, of: Of::Account };
        decide(&grounds, &request).is_allowed()
    };
    for start in ["aws:PrincipalTag/", "iam:ResourceTag/", "aws:RequestTag/"] {
        let policy = asks(&format!("{start}Team"));
        let upper = format!("{}TEAM", start.to_uppercase());
        assert!(allows(&policy, "iam:TagUser", &[(&upper, "x")]), "{start}");
        assert!(!allows(&policy, "iam:TagUser", &[(&upper, "X")]), "{start}");
        assert!(!allows(&policy, "iam:TagUser", &[(&format!("{start}Teams"), "x")]), "{start}");
    }
    assert!(allows(&asks("aws:TagKeys"), "iam:TagUser", &[("aws:TagKeys", "x"), ("aws:TagKeys", "y")]));
}
