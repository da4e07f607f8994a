//! The tests that `docs/security.md` names are there. It names them as `path/of/file.rs::name`.

use std::{collections::BTreeSet, path::Path};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(ROOT).join(path)).ok()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether a source has a test of this name, which is not ignored.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begins = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| begins(line)).any(|(at, _)| {
        let attributes: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with('#')).collect();
        let is = |start: &str| attributes.iter().any(|line| line.starts_with(start));
        (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
    })
}

#[test]
fn every_test_that_the_security_document_names_is_there() {
    let document = read("docs/security.md").expect("docs/security.md is there");
    let named: BTreeSet<(&str, &str)> =
        quoted(&document).filter_map(|text| text.split_once(".rs::")).collect();
    assert!(named.len() > 40, "it names {} tests", named.len());
    let missing: Vec<String> = named
        .into_iter()
        .map(|(path, name)| (format!("{path}.rs"), name))
        .filter(|(path, name)| !read(path).is_some_and(|source| has_test(&source, name)))
        .map(|(path, name)| format!("{path}::{name}"))
        .collect();
    assert_eq!(missing, [""; 0], "these tests are named and are not there");
}

#[test]
fn every_file_that_the_security_documents_name_is_there() {
    for document in ["SECURITY.md", "docs/security.md"] {
        let text = read(document).expect("the document is there");
        for path in quoted(&text).filter(|text| text.ends_with(".rs") && text.contains('/')) {
            assert!(read(path).is_some(), "{document} names {path}, which is not there");
        }
    }
}

#[test]
fn a_test_is_told_from_what_is_none() {
    let source = "#[test]\nfn one() {}\n#[tokio::test(x)]\n#[y]\nasync fn two() {}\n#[test]\n#[ignore]\nfn three() {}\n\nfn four() {}\n";
    let found = ["one", "two", "three", "four", "on"].map(|name| has_test(source, name));
    assert_eq!(found, [true, true, false, false, false]);
}
