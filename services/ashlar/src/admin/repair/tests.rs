//! What `repair status --wait` says of a real server in this process, and how it ends.

use std::path::PathBuf;

use clap::Parser;
use env::{Env, OpenMode};
use metadata_api::Intent;
use worker::{AuditOptions, AuditReport, audit};

use super::{Repair, run};
use crate::{
    Exit,
    admin::connect::Reached,
    torture::tests::{Server, torture},
};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    repair: Repair,
}

/// How `ashlar admin repair status --wait` ends.
async fn wait(server: &Server, words: &[&str]) -> Result<(), Exit> {
    let folder = server.path().join("1");
    let line = ["repair", "status", "--wait", "--data", folder.to_str().unwrap()];
    let line = Line::try_parse_from(line.into_iter().chain(words.iter().copied())).unwrap();
    run(&Env::real(), &line.repair).await
}

/// What a deep audit finds.
async fn audited(reached: &Reached) -> AuditReport {
    let (pool, _follower) = reached.pool().await.unwrap();
    let options = AuditOptions { deep: true, ..AuditOptions::default() };
    audit(&*reached.metadata, &pool, options, &mut |_| ()).await.unwrap()
}

/// Changes a byte of every cell that the second folder has, which nobody hears of.
fn rot(server: &Server) {
    let (env, folder) = (Env::real(), server.path().join("2/shards"));
    let disk = env.disk();
    for path in disk.list_directory(&folder).unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("shards-") && name.ends_with(".segment")) {
            continue;
        }
        let file = disk.open(&folder.join(&path), OpenMode::ReadWrite).unwrap();
        let mut byte = [0];
        for offset in (32 << 10..file.length().unwrap()).step_by(64 << 10) {
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 0x5a], offset).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healed_means_that_every_shard_was_read_after_nothing_waited() {
    let server = Server::start().await;
    let words = ["--operations", "60", "--keys", "8", "--clients", "4", "--size-max", "2MiB", "--keep"];
    torture(server.address, &words).await.1.unwrap();
    let reached = Reached::server(&Env::real(), &PathBuf::from(server.path()).join("1")).await.unwrap();
    wait(&server, &["--timeout", "120"]).await.unwrap();

    rot(&server);
    let report = audited(&reached).await;
    assert!(report.corrupt > 0 && report.missing == 0, "{report:?}");
    wait(&server, &["--timeout", "120", "--names-only"]).await.unwrap();
    assert!(audited(&reached).await.corrupt > 0, "names say nothing of bytes");
    wait(&server, &["--timeout", "120"]).await.unwrap();
    assert_eq!(audited(&reached).await.corrupt, 0);

    // There is no other disk to move to.
    let disk = reached.map().await.unwrap().disks[0].disk;
    reached.metadata.set_disk_intent(disk, Intent::Drain).await.unwrap();
    let exit = wait(&server, &["--timeout", "3"]).await.unwrap_err();
    assert_eq!(exit.code(), Exit::WAITS);
    assert!(exit.to_string().contains("not on their way yet"), "{exit}");
    reached.metadata.set_disk_intent(disk, Intent::Serve).await.unwrap();
    reached.metadata.set_frozen(true).await.unwrap();
    let exit = wait(&server, &["--timeout", "60"]).await.unwrap_err();
    assert_eq!(exit.code(), Exit::BLOCKED);
    assert!(exit.to_string().contains("reconcile"), "{exit}");
}
