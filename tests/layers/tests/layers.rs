//! Who may depend on whom, checked against `cargo metadata`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Every crate of ours and its layer. A crate may use crates of lower layers only, and those named beside it.
const LAYERS: &[(&str, u8)] = &[
    ("types", 0),
    ("checksum", 1),
    ("encryption", 1),
    ("env", 1),
    ("erasure", 1),
    ("multi-md5", 1),
    ("placement", 1),
    ("policy", 1),
    ("s3-wire", 1),
    ("sigv4", 1),
    ("telemetry", 1),
    ("web-identity", 1),
    ("chunk-api", 2),
    ("metadata-api", 2),
    ("s3-client", 2),
    ("service-kit", 2),
    ("admin-api", 3),
    ("data-pool", 3),
    ("kms", 3),
    ("shard-store", 3),
    ("shard-store-s3", 3),
    ("chunk", 4),
    ("gateway", 4),
    ("metadata", 4),
    ("worker", 4),
    ("ashlar", 5),
    ("harness", 6),
    ("layers", 6),
    ("metadata-conformance", 6),
    ("micro", 6),
    ("model", 6),
    ("transport", 6),
];

/// Edges within a layer: a medium that needs more than its trait's crate may is a crate of its own.
const BESIDE: &[(&str, &str)] = &[("shard-store-s3", "shard-store")];

/// External crates that only some of ours may name, as a normal dependency.
const RESTRICTED: &[(&str, &[&str])] = &[
    ("sqlx", &["metadata"]),
    ("rusqlite", &["metadata"]),
    ("tonic", &["metadata-api", "metadata"]),
    ("axum", &["gateway"]),
    (
        "hyper",
        &["chunk-api", "metadata-api", "s3-client", "service-kit", "kms", "chunk", "gateway", "ashlar"],
    ),
    (
        "http",
        &[
            "sigv4",
            "s3-wire",
            "s3-client",
            "chunk-api",
            "metadata-api",
            "service-kit",
            "kms",
            "chunk",
            "gateway",
            "ashlar",
        ],
    ),
    ("rustls", &["s3-client", "service-kit"]),
    ("tokio-rustls", &["s3-client", "service-kit"]),
    ("reed-solomon-erasure", &["erasure"]),
    ("aws-lc-rs", &["encryption", "metadata", "web-identity"]),
    ("aws-sigv4", &["sigv4"]),
    ("getrandom", &["env"]),
    ("rustix", &["env"]),
];

/// Crates that do no I/O and know no runtime.
const PURE: &[&str] = &[
    "types",
    "checksum",
    "encryption",
    "erasure",
    "multi-md5",
    "placement",
    "policy",
    "s3-wire",
    "sigv4",
    "web-identity",
];

/// Normal dependencies of each workspace crate, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let edges = package["dependencies"].as_array().expect("dependencies");
            let normal = edges.iter().filter(|edge| edge["kind"].is_null());
            let names = normal.filter_map(|edge| edge["name"].as_str()).map(str::to_owned).collect();
            (package["name"].as_str().expect("a name").to_owned(), names)
        })
        .collect()
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, layer)| *layer)
}

#[test]
fn every_edge_between_our_crates_goes_down() {
    for (name, edges) in dependencies() {
        let Some(own) = layer(&name).or_else(|| name.starts_with("test-").then_some(6)) else {
            panic!("give {name} a layer in this test and a line in ARCHITECTURE.md");
        };
        for edge in &edges {
            if let Some(below) = layer(edge) {
                let beside = BESIDE.contains(&(name.as_str(), edge.as_str()));
                assert!(
                    below < own || own == 6 || beside,
                    "{name} (layer {own}) must not use {edge} (layer {below})"
                );
            }
        }
    }
}

#[test]
fn some_external_crates_have_only_the_users_they_should() {
    for (name, edges) in dependencies() {
        if layer(&name) == Some(6) || name.starts_with("test-") {
            continue;
        }
        for (external, users) in RESTRICTED {
            assert!(
                !edges.contains(*external) || users.contains(&name.as_str()),
                "{name} must not use {external}"
            );
        }
    }
}

#[test]
fn pure_crates_have_no_runtime() {
    let all = dependencies();
    for name in PURE {
        let edges = &all[*name];
        for runtime in ["tokio", "env", "hyper", "sqlx", "futures-util"] {
            assert!(!edges.contains(runtime), "{name} is pure and must not use {runtime}");
        }
    }
}
