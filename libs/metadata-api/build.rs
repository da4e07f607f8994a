//! Compiles the contract's `.proto` files. Pure Rust: no protoc needs to be installed.

use std::{error::Error, fmt::Write, path::PathBuf};

use tonic_prost_build::FileDescriptorSet;

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
    // Messages with secrets in them have a `Debug` that does not show them, in `wire/`.
    const SECRET: [&str; 5] = [
        "ChangeIdentitiesResponse.Done",
        "DeriveSigningKeyResponse",
        "MakeRootKeyResponse.Done",
        "SealedSession",
        "Session",
    ];
    println!("cargo:rerun-if-changed=proto");
    let files = NOUNS.map(|noun| format!("ashlar/metadata/v1/{noun}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    write_methods(&descriptors)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .skip_debug(SECRET.map(|message| format!(".ashlar.metadata.v1.{message}")))
        .compile_fds(descriptors)?;
    Ok(())
}

/// Writes the paths of all methods and their names, in the order of the paths, as a slice in Rust.
fn write_methods(descriptors: &FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let mut methods = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            let names = service.method.iter().map(|method| format!("{}/{}", service.name(), method.name()));
            methods.extend(names.map(|name| (format!("/{}.{name}", file.package()), name)));
        }
    }
    methods.sort();
    let mut list = String::from("&[");
    for method in methods {
        write!(list, "{method:?},")?;
    }
    list.push(']');
    let path = PathBuf::from(std::env::var("OUT_DIR")?).join("methods.rs");
    #[expect(clippy::disallowed_methods, reason = "a build script has no environment")]
    std::fs::write(path, list)?;
    Ok(())
}
