//! Policies. What is read can be asked; a policy that is read is read the same again.

use policy::{Account, Context, Policy, Principal, Request, Resource, evaluate};

const PROVIDER: &str = "idp.example.com/realms/a";

fn ask(policy: &Policy) {
    let account = Account { number: "000000000001".to_owned(), canonical: "c".repeat(64) };
    let principals = [
        Principal::Anonymous,
        Principal::Root { account: account.clone() },
        Principal::User { account: account.clone(), name: "team/ann".to_owned() },
        Principal::Role { account: account.clone(), name: "reader".to_owned(), session: "one".to_owned() },
        Principal::WebIdentity {
            account,
            provider: PROVIDER.to_owned(),
            audience: "sts.amazonaws.com".to_owned(),
            subject: "ann".to_owned(),
        },
    ];
    let mut context = Context::default();
    for key in policy::keys() {
        // Those of tags end with a tag's key, and those of claims begin with a provider.
        let tag = if key.ends_with('/') { "team" } else { "" };
        let provider = if key.starts_with(':') { PROVIDER } else { "" };
        context.add(&format!("{provider}{key}{tag}"), "10.0.0.1");
    }
    let resources = [
        Resource::S3 { bucket: "bucket", key: Some("a/b") },
        Resource::S3 { bucket: "bucket", key: None },
        Resource::Other("arn:aws:iam::000000000001:user/ann"),
    ];
    for principal in &principals {
        for resource in resources {
            for action in [
                "GetObject",
                "PutObject",
                "ListBucket",
                "iam:CreateUser",
                "sts:AssumeRole",
                "sts:AssumeRoleWithWebIdentity",
            ] {
                let request = Request { principal, action, resource, context: &context };
                let _ = evaluate(&[policy], &request);
                let _ = (policy.can_allow(&request), policy.can_allow_some_key(&request));
            }
        }
    }
    let _ = policy.is_public();
    let _ = policy.grantees().count();
}

pub(crate) fn of_bucket(data: &[u8]) {
    if let Ok(policy) = Policy::parse(data, "bucket") {
        ask(&policy);
    }
}

pub(crate) fn of_identity(data: &[u8]) {
    for policy in [Policy::parse_identity(data), Policy::parse_trust(data)].into_iter().flatten() {
        ask(&policy);
    }
}
