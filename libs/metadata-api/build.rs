//! Compiles the contract's `.proto` files. Pure Rust: no protoc needs to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const NOUNS: [&str; 13] = [
        "common",
        "failure",
        "buckets",
        "versions",
        "listings",
        "uploads",
        "leases",
        "cluster",
        "moves",
        "repair",
        "jobs",
        "garbage",
        "identities",
    ];
    // Messages with secrets in them have a `Debug` that does not show them, in `wire/identities.rs`.
    const SECRET: [&str; 2] = ["ChangeIdentitiesResponse.Done", "DeriveSigningKeyResponse"];
    println!("cargo:rerun-if-changed=proto");
    let files = NOUNS.map(|noun| format!("ashlar/metadata/v1/{noun}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .skip_debug(SECRET.map(|message| format!(".ashlar.metadata.v1.{message}")))
        .compile_fds(descriptors)?;
    Ok(())
}
