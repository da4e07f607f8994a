//! `ashlar admin quarantine`: bytes that no name can be told of, and which of them are needed no more.

use std::collections::{BTreeMap, BTreeSet};

use chunk_api::QuarantinedRun;
use clap::{Args, Subcommand};
use data_pool::{Pool, PoolDisk};
use env::Env;
use metadata_api::DiskState;
use serde_json::json;
use types::DiskId;

use super::{
    connect::{Connect, Reached},
    table::{Table, bytes, short},
};
use crate::Exit;

/// What a disk has quarantined: how many records, and in which runs of bytes.
type Quarantined = (DiskId, u64, Vec<QuarantinedRun>);

/// What is quarantined.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin quarantine list --metadata meta1:9300\n  \
    ashlar admin quarantine release 07c1 --all --metadata meta1:9300\n\n\
    A disk keeps bytes that were stable once and whose shards it cannot name any more, because their header rotted or was lost. \
    `ashlar admin audit` says which shards are missing, and `ashlar admin audit --repair` has them rebuilt.")]
pub(crate) struct Quarantine {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows what disks have quarantined, run by run.
    #[command(after_help = "Examples:\n  ashlar admin quarantine list --data ./data\n  \
        ashlar admin quarantine list 07c1 --json --metadata meta1:9300\n\n\
        Disks that do not answer are named, and it ends with status 1 when there are any.")]
    List(List),
    /// Deletes what a disk has quarantined: the disk counts as whole again, and uses the room.
    #[command(
        after_help = "Examples:\n  ashlar admin quarantine release 07c1 --all --metadata meta1:9300\n  \
        ashlar admin quarantine release 07c1 shards-00000003-0123456789abcdef.segment:8192+512 --data ./data\n\n\
        Do it when an audit has found nothing missing, or what was missing is rebuilt: bytes that are released cannot be looked at \
        any more. A disk that loses names again and again is to be replaced instead."
    )]
    Release(Release),
}

#[derive(Debug, Args)]
struct List {
    /// The id of one disk, or as many of its first digits as tell it from the others; all disks when left out.
    disk: Option<String>,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct Release {
    /// The disk's id, or as many of its first digits as tell it from the others.
    disk: String,
    #[command(flatten)]
    which: Which,
    /// Shows what is left as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Which of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Runs of bytes, as the list calls them.
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Everything that is quarantined on the disk now.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(env: &Env, quarantine: &Quarantine) -> Result<(), Exit> {
    match &quarantine.action {
        Action::List(list) => {
            let reached = list.connect.reach(env).await?;
            let one = match &list.disk {
                Some(disk) => Some(reached.disk(disk).await?),
                None => None,
            };
            show(&reached, one, list.json).await
        }
        Action::Release(release) => run_release(env, release).await,
    }
}

async fn show(reached: &Reached, one: Option<DiskId>, as_json: bool) -> Result<(), Exit> {
    let (pool, _follower) = reached.pool().await?;
    let asked: BTreeSet<DiskId> = match one {
        Some(disk) => [disk].into(),
        None => there(pool.disks()),
    };
    let statuses = pool.statuses(&asked).await;
    let mut told = BTreeMap::new();
    for (disk, status) in statuses {
        let count = status.quarantined_records;
        told.insert(disk, (count, if count > 0 { runs(&pool, disk).await } else { Ok(Vec::new()) }));
    }
    let (found, silent) = sort_out(asked, told);
    super::print(&if as_json {
        let told = |(disk, count, runs): &Quarantined| json!({ "disk": disk.to_string(), "quarantined": count, "runs": runs });
        let disks: Vec<_> = found.iter().map(told).collect();
        let silent: Vec<_> = silent.iter().map(ToString::to_string).collect();
        format!("{:#}\n", json!({ "disks": disks, "disks_silent": silent }))
    } else {
        text(&found, &silent)
    });
    ending(&silent)
}

/// What is asked when all are: also disks that are down, which do not tell.
fn there(disks: Vec<PoolDisk>) -> BTreeSet<DiskId> {
    disks.into_iter().filter(|disk| disk.state != DiskState::Gone).map(|disk| disk.disk).collect()
}

fn ending(silent: &[DiskId]) -> Result<(), Exit> {
    if silent.is_empty() {
        return Ok(());
    }
    let silent: Vec<String> = silent.iter().map(ToString::to_string).collect();
    Err(Exit::new(
        Exit::FAILED,
        format!("no answer from {} of the disks: {}", silent.len(), silent.join(", ")),
    ))
}

/// What is quarantined on those of these disks that have something, how many records and in which runs, and which disks do not tell.
fn sort_out(
    asked: BTreeSet<DiskId>,
    mut told: BTreeMap<DiskId, (u64, Result<Vec<QuarantinedRun>, Exit>)>,
) -> (Vec<Quarantined>, Vec<DiskId>) {
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for disk in asked {
        match told.remove(&disk) {
            Some((0, _)) => {}
            Some((count, Ok(runs))) => found.push((disk, count, runs)),
            Some((_, Err(error))) => {
                eprintln!("disk {}: {error}", short(disk));
                silent.push(disk);
            }
            None => silent.push(disk),
        }
    }
    (found, silent)
}

fn text(found: &[Quarantined], silent: &[DiskId]) -> String {
    let mut table = Table::new(["DISK", "RUN", "SIZE", "REASON"]);
    let mut out = String::new();
    for (disk, count, runs) in found {
        for run in runs {
            let size = if run.bytes > 0 { bytes(run.bytes) } else { "unknown".to_owned() };
            table.line([short(disk), run.id.clone(), size, run.reason.clone()]);
        }
        if *count > runs.len() as u64 {
            out += &format!("{} more on disk {}\n", count - runs.len() as u64, short(disk));
        }
    }
    for disk in silent {
        out += &format!("no answer from disk {}\n", short(disk));
    }
    let text = table.text() + &out;
    if text.is_empty() { "nothing is quarantined\n".to_owned() } else { text }
}

async fn run_release(env: &Env, release: &Release) -> Result<(), Exit> {
    let reached = release.connect.reach(env).await?;
    let (disk, Which { runs: named, all }) = (reached.disk(&release.disk).await?, &release.which);
    let (pool, _follower) = reached.pool().await?;
    loop {
        let known: Vec<String> = runs(&pool, disk).await?.into_iter().map(|run| run.id).collect();
        if let Some(unknown) = named.iter().find(|run| !known.contains(run)) {
            return Err(Exit::new(Exit::FAILED, format!("the disk has no {unknown:?} quarantined")));
        }
        let ids = if *all { &known } else { named };
        if !ids.is_empty() {
            pool.release_quarantined(disk, ids).await.map_err(|error| Exit::because(Exit::FAILED, &error))?;
            eprintln!("released {} runs of bytes", ids.len());
        }
        // A disk tells of so many at a time.
        if !*all || known.len() < chunk_api::QUARANTINED_MAX {
            break;
        }
    }
    show(&reached, Some(disk), release.json).await
}

async fn runs(pool: &Pool, disk: DiskId) -> Result<Vec<QuarantinedRun>, Exit> {
    pool.list_quarantined(disk).await.map_err(|error| Exit::because(Exit::FAILED, &error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use env::{Env, OpenMode};

    use chunk_api::QuarantinedRun;
    use data_pool::PoolDisk;
    use metadata_api::DiskState;
    use types::{DiskId, NodeId};

    use super::{Quarantine, ending, run, sort_out, there};
    use crate::{
        Exit,
        admin::connect::Reached,
        torture::tests::{Server, torture},
    };

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        quarantine: Quarantine,
    }

    async fn admin(server: &Server, words: &[&str]) -> Result<(), crate::Exit> {
        let folder = server.path().join("1");
        let line = ["quarantine"].into_iter().chain(words.iter().copied());
        let line = line.chain(["--data", folder.to_str().unwrap()]);
        run(&Env::real(), &Line::try_parse_from(line).unwrap().quarantine).await
    }

    /// Overwrites the header of the first record of the second folder, as rot does.
    fn rot_a_name(folder: &Path) {
        let (env, folder) = (Env::real(), folder.join("2/shards"));
        let disk = env.disk();
        let names = disk.list_directory(&folder).unwrap();
        let is_segment = |name: &str| name.starts_with("shards-") && name.ends_with(".segment");
        let name =
            names.iter().find(|name| is_segment(&name.file_name().unwrap().to_string_lossy())).unwrap();
        let file = disk.open(&folder.join(name), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[0x5a; 80], 4096).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_quarantined_is_shown_and_released() {
        let server = Server::start().await;
        let words = ["--operations", "30", "--keys", "4", "--clients", "2", "--size-max", "64KiB", "--keep"];
        torture(server.address, &words).await.1.unwrap();
        let server = server.restarted(rot_a_name).await;
        let folder = server.path().join("1");
        let reached = Reached::server(&Env::real(), &folder).await.unwrap();
        let (pool, _follower) = reached.pool().await.unwrap();
        let disks = pool.disks().into_iter().map(|disk| disk.disk).collect();
        let quarantined = async || {
            let statuses = pool.statuses(&disks).await;
            let mut with = statuses.into_values().filter(|status| status.quarantined_records > 0);
            with.next().map(|status| status.disk.to_string())
        };
        let disk = quarantined().await.expect("a disk");
        admin(&server, &["list"]).await.unwrap();
        let unknown = admin(&server, &["release", &disk, "none:1"]).await.unwrap_err();
        assert!(unknown.to_string().contains("none:1"), "{unknown}");
        assert!(quarantined().await.is_some());
        admin(&server, &["release", &disk, "--all", "--json"]).await.unwrap();
        assert_eq!(quarantined().await, None);
        assert!(Line::try_parse_from(["quarantine", "release", &disk]).is_err(), "all is said");
    }

    #[test]
    fn a_disk_that_does_not_answer_keeps_no_other_from_being_shown() {
        let disk = |number| DiskId([number; 16]);
        let known = |number, state| PoolDisk {
            disk: disk(number),
            node: NodeId([9; 16]),
            state,
            reachable: state == DiskState::Up,
        };
        let run = QuarantinedRun { id: "a:1".to_owned(), bytes: 1, reason: "rot".to_owned() };
        let asked = there(vec![
            known(1, DiskState::Up),
            known(2, DiskState::Up),
            known(3, DiskState::Down),
            known(4, DiskState::Up),
            known(5, DiskState::Gone),
        ]);
        let failed = || Err(Exit::new(Exit::FAILED, "timed out"));
        let told =
            [(disk(1), (3, failed())), (disk(2), (0, Ok(Vec::new()))), (disk(4), (1, Ok(vec![run.clone()])))];
        let (found, silent) = sort_out(asked, told.into());
        assert_eq!(silent, [disk(1), disk(3)]);
        assert_eq!(found, [(disk(4), 1, vec![run])]);
        let ended = ending(&silent).unwrap_err();
        assert_eq!(ended.code(), Exit::FAILED);
        assert!(silent.iter().all(|disk| ended.to_string().contains(&disk.to_string())), "{ended}");
        ending(&[]).unwrap();
    }
}
