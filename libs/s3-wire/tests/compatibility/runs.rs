//! What the page tells of clients and of public suites, from what was kept of their last runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/results.json");
const CATALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/catalog.py");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");

/// Public suites by their folders in `tests`.
const SUITES: &[&str] = &["s3tests", "s3s-e2e", "object-store"];

/// Kinds of servers, as the clients' runner and the page name them.
const SERVERS: &[(&str, &str)] =
    &[("embedded", "one process"), ("erasure", "six disks"), ("cluster", "cluster")];
const TRANSPORTS: &[&str] = &["HTTP", "HTTPS"];

const CLIENTS_HEAD: &str = "
## Clients

Programs that people use with S3, run by `tests/clients/run --record` against a server of its own: `one process` on one data path, `six disks` of one
process (4+2), and a `cluster` of services in processes of their own over Postgres. A cell tells how many cases passed, and of how many when some failed; where the
server did not stop when asked or logged an error, each client that it had served has failed once more. What is empty was not run. How they are run, and which could not be had, is in [tests/clients](../tests/clients/README.md).

";

const SUITES_HEAD: &str = "
## Public suites

Each by its own script, against one process over HTTP. A test that fails and is not on the list of exclusions fails the run, and so does one that is listed and passes; each
exclusion has its reason.

| suite | version | passed | failed | excluded | run |
|---|---|---|---|---|---|
";

#[expect(clippy::disallowed_methods, reason = "a test reads the documents directly")]
fn read(path: &str) -> String {
    std::fs::read_to_string(path).expect(path)
}

fn parse(path: &str) -> Value {
    serde_json::from_str(&read(path)).expect(path)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect(name)
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().expect(name)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// How a run went: `17`, or with failures `16 of 17`, and what was left out.
fn cell(run: &Value) -> String {
    let (passed, failed) = (number(run, "passed"), number(run, "failed"));
    let outcome =
        if failed == 0 { format!("{passed}") } else { format!("**{passed} of {}**", passed + failed) };
    match number(run, "not_run") {
        0 => outcome,
        left_out => format!("{outcome}, {left_out} not run"),
    }
}

/// The table of clients: a row for each version of one that was run.
fn clients(kept: &Value) -> String {
    let kinds: Vec<(&str, &str, &str)> = SERVERS
        .iter()
        .flat_map(|(server, shown)| TRANSPORTS.iter().map(move |over| (*server, *shown, *over)))
        .filter(|(server, _, over)| {
            list(kept).iter().any(|client| list(&client["runs"]).iter().any(|run| is_on(run, server, over)))
        })
        .collect();
    let mut out = CLIENTS_HEAD.to_owned();
    let (mut passed, mut failed, mut runs) = (0, 0, 0);
    let heads: String = kinds.iter().map(|(_, shown, over)| format!(" {shown}, {over} |")).collect();
    writeln!(out, "| client | version | what it does |{heads} last run |").expect("a string takes it");
    writeln!(out, "|---|---|---|{}---|", "---|".repeat(kinds.len())).expect("a string takes it");
    for client in list(kept) {
        let mut versions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for run in list(&client["runs"]) {
            versions.entry(text(run, "version")).or_default().push(run);
            passed += number(run, "passed");
            failed += number(run, "failed");
            runs += 1;
        }
        for (version, of_version) in versions {
            let cells: String = kinds
                .iter()
                .map(|(server, _, over)| of_version.iter().find(|run| is_on(run, server, over)))
                .map(|run| format!(" {} |", run.map_or(String::new(), |run| cell(run))))
                .collect();
            let last = of_version.iter().map(|run| text(run, "date")).max().unwrap_or_default();
            let (name, does) = (text(client, "client"), text(client, "does"));
            writeln!(out, "| {name} | {version} | {does} |{cells} {last} |").expect("a string takes it");
        }
    }
    let many = list(kept).len();
    writeln!(out, "\nTogether {many} clients in {runs} runs: {passed} cases passed, {failed} failed.")
        .expect("a string takes it");
    out
}

fn is_on(run: &Value, server: &str, over: &str) -> bool {
    text(run, "server") == server && text(run, "over") == over
}

/// The table of public suites.
fn suites() -> String {
    let mut out = SUITES_HEAD.to_owned();
    for folder in SUITES {
        let kept = parse(&format!("{TESTS}/{folder}/results.json"));
        writeln!(
            out,
            "| {}, `tests/{folder}/run` | {} | {} | {} | [{}](../tests/{folder}/excluded.txt) | {} |",
            text(&kept, "suite"),
            text(&kept, "version"),
            number(&kept, "passed"),
            number(&kept, "failed"),
            number(&kept, "excluded"),
            text(&kept, "date"),
        )
        .expect("a string takes it");
    }
    out
}

/// Both sections of the page.
pub(crate) fn sections() -> String {
    clients(&parse(CLIENTS)) + &suites()
}

#[test]
fn a_cell_hides_neither_what_failed_nor_what_was_left_out() {
    let run = |passed: u64, failed: u64, not_run: u64| {
        cell(&serde_json::json!({"passed": passed, "failed": failed, "not_run": not_run}))
    };
    assert_eq!(run(17, 0, 0), "17");
    assert_eq!(run(16, 1, 0), "**16 of 17**");
    assert_eq!(run(0, 3, 2), "**0 of 3**, 2 not run");
}

/// Each client meets one process and a cluster, over HTTPS and, unless it cannot, over HTTP.
#[test]
fn every_client_of_the_catalogue_was_run_on_one_process_and_on_a_cluster() {
    let kept = parse(CLIENTS);
    // A text that is longer than a line is written as several, one after the other.
    let catalogue = read(CATALOGUE).replace("\"\n        \"", "");
    let names: Vec<&str> = catalogue
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.split_once("\": Client(").map(|(name, _)| name))
        .collect();
    assert!(names.len() > 20, "the catalogue is not read: {names:?}");
    let known: Vec<&str> = list(&kept).iter().map(|client| text(client, "client")).collect();
    assert_eq!(
        known, names,
        "`tests/clients/run --record` was not run for what is in the one and not in the other"
    );
    for client in list(&kept) {
        let does = text(client, "does");
        assert!(
            catalogue.contains(&format!("{does:?}")),
            "the catalogue says otherwise what is done: {does}"
        );
        let was_run = |server, over| list(&client["runs"]).iter().any(|run| is_on(run, server, over));
        let name = text(client, "client");
        assert!(was_run("embedded", "HTTPS") && was_run("cluster", "HTTPS"), "{name} was not run over HTTPS");
        assert_eq!(was_run("embedded", "HTTP"), was_run("cluster", "HTTP"), "{name} was not run over HTTP");
    }
}

/// The list of exclusions is the one that the suite was last run with.
#[test]
fn a_suite_was_run_with_the_exclusions_that_are_listed() {
    for folder in SUITES {
        let kept = parse(&format!("{TESTS}/{folder}/results.json"));
        let listed = read(&format!("{TESTS}/{folder}/excluded.txt"));
        let listed = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(number(&kept, "excluded"), listed as u64, "{folder}");
    }
}
