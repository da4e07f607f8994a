//! `ashlar admin repair`: shards that wait to be rebuilt, and why.

mod heal;
#[cfg(test)]
mod tests;
mod waiting;

pub(super) use waiting::read;

use std::time::Duration;

use admin_api::{Homes, Resource};
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{DiskState, PAGE_SIZE_MAX};
use serde::Serialize;
use serde_json::json;

use self::heal::{End, Healing};
use super::{
    connect::{Connect, Source, failed},
    table::{Table, bytes, short},
};
use crate::Exit;

/// Repairs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin repair status --wait --metadata meta1:9300\n  ashlar admin repair list --data ./data\n\n\
    Workers rebuild by themselves what is missing, the chunks with the fewest shards left first. `ashlar admin audit` \
    finds what nobody has missed yet, and names objects that cannot be rebuilt."
)]
pub(crate) struct Repair {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Counts what waits: single shards, and those of disks that are being replaced, and says what holds it up.
    #[command(after_help = "Examples:\n  ashlar admin repair status --data ./data\n  \
        ashlar admin repair status --wait --timeout 3600 --metadata meta1:9300\n\n\
        With --wait the exit status is 0 only when nothing waits any more and an audit has read and verified every shard where \
        it belongs; 7 when something still waited when the time was over; 8 when an operator has to do something first, or \
        data is lost; 1 when the cluster cannot be asked. Without --wait it is 0 when the cluster could be asked.")]
    Status(Status),
    /// Shows shards that wait one by one, and the disk that each belongs on.
    #[command(after_help = "Example:\n  ashlar admin repair list --limit 20 --metadata meta1:9300")]
    List(List),
}

#[derive(Debug, Args)]
struct Status {
    /// Waits until nothing is left to be done, showing how far it is and what it waits for, and then reads and verifies every
    /// shard. What that finds is queued to be rebuilt and waited for.
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most, the reading included.
    #[arg(
        long,
        default_value_t = 86_400,
        value_name = "SECONDS",
        requires = "wait",
        value_parser = clap::value_parser!(u64).range(1..=31_536_000)
    )]
    timeout: u64,
    /// Compares shards by their names in the end, and reads none: quick on a large cluster, and proves less.
    #[arg(long, requires = "wait")]
    names_only: bool,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct List {
    /// Most shards to show.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) async fn run(env: &Env, repair: &Repair) -> Result<(), Exit> {
    match &repair.action {
        Action::Status(status) => show_status(env, status).await,
        Action::List(list) => show_list(env, list).await,
    }
}

async fn show_status(env: &Env, status: &Status) -> Result<(), Exit> {
    let tell = |waiting: &admin_api::Repair| {
        super::print(&if status.json { super::as_json(waiting) } else { waiting::text(waiting) });
    };
    if let Some(remote) = status.source.remote(env).await?.filter(|_| !status.wait) {
        tell(&remote.get(Resource::Repair, &[]).await?);
        return Ok(());
    }
    let reached = status.source.reach(env).await?;
    let (pool, _follower) = reached.pool().await?;
    let waiting = waiting::read(&reached, &pool).await?;
    if !status.wait {
        tell(&waiting);
        return Ok(());
    }
    let time = Duration::from_secs(status.timeout);
    let healing = Healing::new(env, &reached, &pool, !status.names_only, time);
    let (waiting, end) = healing.wait(waiting).await;
    let mut as_json = json!(waiting);
    as_json["healed"] = matches!(end, End::Healed(_)).into();
    if let End::Healed(report) = &end {
        as_json["audit"] = super::audit_as_json(report);
    }
    let how = if status.names_only { "found by its name" } else { "read and verified" };
    super::print(&match &end {
        _ if status.json => format!("{as_json:#}\n"),
        End::Healed(report) => format!(
            "healed: each of {} shards ({}) was {how} where it belongs\n",
            report.shards,
            bytes(report.bytes)
        ),
        _ => waiting::text(&waiting),
    });
    match end {
        End::Healed(_) => Ok(()),
        End::TimedOut(reason) => Err(Exit::new(
            Exit::WAITS,
            format!("not healed within {} s: {}", status.timeout, reason.trim_end()),
        )),
        End::Blocked(reason) => Err(Exit::new(Exit::BLOCKED, format!("not healed: {reason}"))),
    }
}

/// A shard that waits.
#[derive(Debug, Serialize)]
struct Waiting {
    shard: String,
    group: i32,
    coding: String,
    chunk_bytes: u64,
    /// The disk that it belongs on; none when its place is on no disk.
    disk: Option<String>,
    /// What is to happen first: `to be rebuilt`, `waits for the disk` or `waits for a move`.
    state: &'static str,
}

async fn show_list(env: &Env, list: &List) -> Result<(), Exit> {
    let reached = list.connect.reach(env).await?;
    let map = reached.map().await?;
    let homes = Homes::new(&map);
    let mut shards = Vec::new();
    let (mut after, mut left) = (None, list.limit);
    while left > 0 {
        let limit = left.min(PAGE_SIZE_MAX);
        let page = reached.metadata.list_missing(None, after, limit).await.map_err(failed)?;
        for missing in &page {
            let home = homes.of(missing);
            shards.push(Waiting {
                shard: missing.shard.to_string(),
                group: missing.group.0,
                coding: missing.coding.to_string(),
                chunk_bytes: missing.chunk_length,
                disk: home.map(|(disk, _)| disk.to_string()),
                state: match home {
                    Some((_, DiskState::Up)) => "to be rebuilt",
                    Some((_, DiskState::Down)) => "waits for the disk",
                    Some((_, DiskState::Gone)) | None => "waits for a move",
                },
            });
        }
        left -= page.len();
        after = page.last().map(|missing| missing.shard);
        if page.len() < limit {
            break;
        }
    }
    super::print(&if list.json { super::as_json(&shards) } else { as_table(shards) });
    Ok(())
}

fn as_table(shards: Vec<Waiting>) -> String {
    let mut table = Table::new(["SHARD", "GROUP", "CODING", "CHUNK BYTES", "DISK", "STATE"]);
    for Waiting { shard, group, coding, chunk_bytes, disk, state } in shards {
        let disk = disk.map_or_else(|| "none".to_owned(), short);
        table.line([shard, group.to_string(), coding, chunk_bytes.to_string(), disk, state.to_owned()]);
    }
    let text = table.text();
    if text.is_empty() { "no shard waits to be rebuilt\n".to_owned() } else { text }
}
