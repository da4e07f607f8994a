mod conditions;
mod decisions;
mod documents;
mod examples;
mod explanations;
mod identities;
mod patterns;
mod properties;
mod public;
mod roles;
mod services;
mod web_identities;

use crate::{Account, Context, Malformed, Policy, Principal, Request, Resource, Verdict, evaluate};

const BUCKET: &str = "amzn-s3-demo-bucket";

fn parse(document: &str) -> Result<Policy, Malformed> {
    Policy::parse(document.as_bytes(), BUCKET)
}

#[track_caller]
fn policy(document: &str) -> Policy {
    parse(document).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// A policy of one statement, in which `rest` follows Principal, Action and Resource.
#[track_caller]
fn one(effect: &str, action: &str, rest: &str) -> Policy {
    policy(&format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "{effect}", "Principal": "*", "Action": "{action}",
           "Resource": ["arn:aws:s3:::{BUCKET}", "arn:aws:s3:::{BUCKET}/*"] {rest}}}}}"#
    ))
}

fn user(account: &str, name: &str) -> Principal {
    Principal::User { account: self::account(account), name: name.to_owned() }
}

fn root(account: &str) -> Principal {
    Principal::Root { account: self::account(account) }
}

/// One whose canonical id is its number five times and four zeros.
fn account(number: &str) -> Account {
    Account { number: number.to_owned(), canonical: format!("{}0000", number.repeat(5)) }
}

fn context(pairs: &[(&str, &str)]) -> Context {
    let mut context = Context::default();
    for (key, value) in pairs {
        context.add(key, *value);
    }
    context
}

fn ask<'a>(
    policy: &'a Policy,
    principal: &Principal,
    action: &str,
    key: Option<&str>,
    pairs: &[(&str, &str)],
) -> Verdict<'a> {
    let context = context(pairs);
    evaluate(
        &[policy],
        &Request { principal, action, resource: Resource::S3 { bucket: BUCKET, key }, context: &context },
    )
}

fn allows(
    policy: &Policy,
    principal: &Principal,
    action: &str,
    key: Option<&str>,
    pairs: &[(&str, &str)],
) -> bool {
    matches!(ask(policy, principal, action, key, pairs), Verdict::Allowed(_))
}

fn denies(
    policy: &Policy,
    principal: &Principal,
    action: &str,
    key: Option<&str>,
    pairs: &[(&str, &str)],
) -> bool {
    matches!(ask(policy, principal, action, key, pairs), Verdict::Denied(_))
}
