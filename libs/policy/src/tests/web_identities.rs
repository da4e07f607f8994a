//! Whoever shows a token of an OpenID Connect provider: which roles it may assume, and what policies can ask of it.

use super::{account, context, root, user};
use crate::{Decision, Grounds, Kind, Malformed, Of, Policy, Principal, Request, Resource, decide};

const ME: &str = "111122223333";
const PROVIDER: &str = "idp.example.com:8443/realms/a";
const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

fn arn(provider: &str) -> String {
    format!("arn:aws:iam::{ME}:oidc-provider/{provider}")
}

fn whoever(provider: &str) -> Principal {
    let (audience, subject) = ("c".to_owned(), "ann".to_owned());
    Principal::WebIdentity { account: account(ME), provider: provider.to_owned(), audience, subject }
}

fn parse(statements: &str) -> Result<Policy, Malformed> {
    Policy::parse_trust(format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#).as_bytes())
}

fn statement(effect: &str, principal: &str, action: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect": "{effect}", "Principal": {principal}, "Action": {action}, "Condition": {{{condition}}}}}"#
    )
}

fn federated(provider: &str) -> String {
    format!(r#"{{"Federated": "{}"}}"#, arn(provider))
}

fn may(trust: &Policy, principal: &Principal, action: &str, pairs: &[(&str, &str)]) -> Decision {
    let of = Of::Role { trust: Some(trust), owns: true };
    let grounds = Grounds { identity: None, boundary: None, session: None, of };
    let resource = Resource::Other("arn:aws:iam::111122223333:role/r");
    decide(&grounds, &Request { principal, action, resource, context: &context(pairs) })
}

#[test]
fn a_role_is_assumed_by_tokens_of_the_provider_that_it_names() {
    let action = format!(r#""{ACTION}""#);
    let conditions = format!(
        r#""StringEquals": {{"{PROVIDER}:aud": "c", "{PROVIDER}:sub": "ann"}}, "ForAnyValue:StringEquals": {{"{PROVIDER}:amr": "mfa"}}"#
    );
    let trust = parse(&statement("Allow", &federated(PROVIDER), &action, &conditions)).expect("a policy");
    let [aud, sub, amr] = ["aud", "sub", "amr"].map(|claim| format!("{PROVIDER}:{claim}"));
    let said = [(aud.as_str(), "c"), (sub.as_str(), "ann"), (amr.as_str(), "pwd"), (amr.as_str(), "mfa")];
    let allowed = Decision::Allowed(Kind::Trust);
    let not = Decision::NotAllowed(Kind::Trust);
    assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &said), allowed);
    assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &said[..3]), not);
    assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &said[1..]), not);
    assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &[(&aud, "c"), (&sub, "bob"), (&amr, "mfa")]), not);
    // Claims of another provider are other keys, and its tokens are named by its own ARN.
    let others = ["aud", "sub", "amr"].map(|claim| format!("idp.example.com/realms/b:{claim}"));
    let theirs = [(others[0].as_str(), "c"), (&others[1], "ann"), (&others[2], "mfa")];
    assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &theirs), not);
    for other in ["idp.example.com:8443/realms/b", "idp.example.com:8443/realms/A", "idp.example.com"] {
        assert_eq!(may(&trust, &whoever(other), ACTION, &said), not, "{other}");
    }
    assert_eq!(may(&trust, &user(ME, "ann"), ACTION, &said), not);
    assert_eq!(may(&trust, &whoever(PROVIDER), "sts:AssumeRole", &said), not);
}

/// Everybody and the account are whoever has credentials: no token is let in by them, and all are shut out.
#[test]
fn tokens_are_let_in_by_their_provider_alone_and_shut_out_with_everybody() {
    let both = format!(r#"["sts:AssumeRole", "{ACTION}"]"#);
    for principal in ["\"*\"".to_owned(), r#"{"AWS": "*"}"#.to_owned(), format!(r#"{{"AWS": "{ME}"}}"#)] {
        let trust = parse(&statement("Allow", &principal, &both, "")).expect("a policy");
        let found = may(&trust, &whoever(PROVIDER), ACTION, &[]);
        assert_eq!(found, Decision::NotAllowed(Kind::Trust), "{principal}");
        assert!(may(&trust, &user(ME, "ann"), "sts:AssumeRole", &[]).is_allowed() || principal.contains(ME));
    }
    let pattern =
        parse(&statement("Allow", "\"*\"", r#""sts:AssumeRole*""#, "")).expect("as it was read before");
    assert_eq!(may(&pattern, &whoever(PROVIDER), ACTION, &[]), Decision::NotAllowed(Kind::Trust));
    let allow = statement("Allow", &federated(PROVIDER), &both, "");
    for (principal, expected) in [
        ("\"*\"".to_owned(), Decision::Denied(Kind::Trust)),
        (federated(PROVIDER), Decision::Denied(Kind::Trust)),
        (federated("other.example.com"), Decision::Allowed(Kind::Trust)),
        (format!(r#"{{"AWS": "{ME}"}}"#), Decision::Allowed(Kind::Trust)),
    ] {
        let deny = statement("Deny", &principal, &both, "");
        let trust = parse(&format!("{allow}, {deny}")).expect("a policy");
        assert_eq!(may(&trust, &whoever(PROVIDER), ACTION, &[]), expected, "{principal}");
    }
    let except = |provider: &str| {
        let deny = statement("Deny", &federated(provider), &both, "").replace("Principal", "NotPrincipal");
        may(&parse(&format!("{allow}, {deny}")).expect("a policy"), &whoever(PROVIDER), ACTION, &[])
    };
    assert_eq!(except(PROVIDER), Decision::Allowed(Kind::Trust));
    assert_eq!(except("other.example.com"), Decision::Denied(Kind::Trust));
}

#[test]
fn what_no_provider_is_or_nobody_can_do_is_refused() {
    let action = format!(r#""{ACTION}""#);
    for (principal, action) in [
        (federated("idp"), action.as_str()),
        (federated("https://idp.example.com"), &action),
        (federated("idp.example.com/*"), &action),
        (federated(""), &action),
        (federated(PROVIDER), r#""sts:AssumeRole""#),
        (federated(PROVIDER), r#""sts:AssumeRoleWithSAML""#),
        (federated(PROVIDER), r#""sts:GetCallerIdentity""#),
        (r#"{"Federated": "*"}"#.to_owned(), &action),
        (r#"{"Federated": "accounts.google.com"}"#.to_owned(), &action),
        (r#"{"Federated": "cognito-identity.amazonaws.com"}"#.to_owned(), &action),
        (format!(r#"{{"Federated": "arn:aws:iam::{ME}:saml-provider/a"}}"#), &action),
        (format!(r#"{{"AWS": "{}"}}"#, arn(PROVIDER)), &action),
        (format!(r#"{{"AWS": "{ME}"}}"#), &action),
        ("\"*\"".to_owned(), &action),
    ] {
        assert!(parse(&statement("Allow", &principal, action, "")).is_err(), "{principal} {action}");
    }
    let bucket = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": {}, "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}}}"#,
        federated(PROVIDER)
    );
    assert!(
        Policy::parse(bucket.as_bytes(), "b").is_err(),
        "whoever shows a token asks for a role, and for nothing of a bucket"
    );
    assert_eq!(whoever(PROVIDER).arn(), None);
    assert_eq!(whoever(PROVIDER).own_arn(), Some(format!("{}:c:ann", arn(PROVIDER))));
    assert_eq!(whoever(PROVIDER).account(), None, "it does not belong to the account");
}

/// What the token said goes on to be asked for, in the session that was begun with it.
#[test]
fn claims_are_variables_of_policies() {
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${{{PROVIDER}:sub}}/*"}}}}"#
    );
    let policy = Policy::parse_identity(document.as_bytes()).expect("a policy");
    let session = Principal::Role { account: account(ME), name: "r".to_owned(), session: "s".to_owned() };
    let sub = format!("{PROVIDER}:sub");
    let reads = |key: &str, pairs: &[(&str, &str)]| {
        let of = Of::Bucket { policy: None, owns: true, is_restricted: false, otherwise: None };
        let grounds = Grounds { identity: Some(&[&policy]), boundary: None, session: None, of };
        let resource = Resource::S3 { bucket: "b", key: Some(key) };
        let request =
            Request { principal: &session, action: "GetObject", resource, context: &context(pairs) };
        decide(&grounds, &request).is_allowed()
    };
    assert!(reads("ann/k", &[(&sub, "ann")]) && !reads("bob/k", &[(&sub, "ann")]));
    assert!(!reads("ann/k", &[]) && !reads("ann/k", &[(&sub, "*")]));
    let several = document.replace(":sub", ":amr");
    assert!(Policy::parse_identity(several.as_bytes()).is_err(), "it may have several values");
    assert!(
        !may(
            &parse(&statement("Allow", &federated(PROVIDER), &format!(r#""{ACTION}""#), "")).expect("one"),
            &root(ME),
            ACTION,
            &[]
        )
        .is_allowed()
    );
}
