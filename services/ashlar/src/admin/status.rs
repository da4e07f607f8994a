//! `ashlar admin status`: the cluster at a glance.

use std::time::Duration;

use admin_api::{Class, Disk, Job, MassLoss, Node, Resource, Status as Facts};
use clap::Args;
use env::Env;

use super::{
    connect::{Source, failed},
    pace::{in_words, rate_in_words, rest},
    table::{Table, bytes, short},
};
use crate::Exit;

/// Which cluster, and how to show it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin status --data ./data\n  ashlar admin status --metadata meta1:9300 --json\n  \
    ashlar admin status --endpoint https://s3.example.com"
)]
pub(crate) struct Status {
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

pub(crate) async fn run(env: &Env, status: &Status) -> Result<(), Exit> {
    let facts = match status.source.remote(env).await? {
        Some(remote) => remote.get(Resource::Status, &[]).await?,
        None => {
            let reached = status.source.reach(env).await?;
            Facts::read(&*reached.metadata, &reached.map().await?).await.map_err(failed)?
        }
    };
    super::print(&if status.json { super::as_json(&facts) } else { text(&facts) });
    Ok(())
}

fn text(facts: &Facts) -> String {
    let more = if facts.shards_to_repair_is_complete { "" } else { " and more" };
    let mut out = format!("map epoch {}\n\n", facts.epoch);
    out += &classes(&facts.classes);
    out += "\n";
    out += &nodes(&facts.nodes);
    out += "\n";
    out += &disks(&facts.disks);
    out += &format!(
        "\nshards to repair: {}{more}; evictions waiting: {}; leases: {} live, {} to be reaped\n",
        facts.shards_to_repair, facts.evictions, facts.leases.live, facts.leases.to_be_reaped
    );
    if facts.frozen {
        out += "\nNothing is freed: the metadata was restored and may be older than the disks.\nCompare them: ashlar admin \
                reconcile\nThen let what is deleted be freed again: ashlar admin reconcile --finish\n";
    }
    if let Some(MassLoss { silent, disks }) = facts.mass_loss {
        out += &format!(
            "\n{silent} of {disks} disks are silent, too many to be a failure of disks: nothing of them is rebuilt \
             elsewhere until some return.\nIf they are lost for good, say so: ashlar admin node remove NODE, or \
             ashlar admin disk remove DISK.\n"
        );
    }
    let jobs = jobs(&facts.jobs);
    if !jobs.is_empty() {
        out += "\n";
        out += &jobs;
    }
    out
}

/// A class's name, and whether the entry is one of a coding that it had before.
pub(crate) fn class_name(name: &str, is_former: bool) -> String {
    if is_former { format!("{name} (former)") } else { name.to_owned() }
}

pub(crate) fn classes(classes: &[Class]) -> String {
    let mut table = Table::new(["CLASS", "CODING", "MEDIUM", "GROUPS", "MOVES"]);
    for class in classes {
        table.line([
            class_name(&class.name, class.former),
            class.coding.clone(),
            class.medium.clone().unwrap_or_else(|| "any".to_owned()),
            class.groups.to_string(),
            class.moves.to_string(),
        ]);
    }
    let recoding = classes.iter().find_map(|class| class.recoding.as_ref()).map(recoding);
    table.text() + &recoding.unwrap_or_default()
}

/// How far everything is re-encoded that has a former coding.
fn recoding(job: &Job) -> String {
    if job.done >= job.total {
        return "re-encoding: nothing is left; the former coding goes when what had it is freed\n".to_owned();
    }
    format!("re-encoding: {}\n", job_in_words(job))
}

/// Such as `3.0 GiB of 4.0 GiB, 20.0 MiB/s, about 52 s left`.
pub(crate) fn job_in_words(job: &Job) -> String {
    let counted = |count| if job.unit == "bytes" { bytes(count) } else { count.to_string() };
    let unit = match job.unit.as_str() {
        "bytes" => String::new(),
        unit => format!(" {unit}"),
    };
    let of = format!("{} of {}{unit}", counted(job.done), counted(job.total));
    if job.done >= job.total {
        return of;
    }
    format!("{of}, {}", rest(job.per_second, &job.unit, job.seconds_left))
}

/// The column of what leaves.
fn time_left(leaves: bool, seconds: Option<u64>) -> String {
    match seconds {
        Some(seconds) => in_words(Duration::from_secs(seconds)),
        None if leaves => "unknown".to_owned(),
        None => "-".to_owned(),
    }
}

pub(crate) fn nodes(nodes: &[Node]) -> String {
    let mut table =
        Table::new(["NODE", "ADDRESS", "DOMAIN", "STATE", "INTENT", "DISKS", "GROUPS", "TIME LEFT"]);
    for node in nodes {
        let leaves = node.groups > 0 && (node.intent != "serve" || node.state == "down");
        table.line([
            short(&node.node),
            if node.address.is_empty() { "in process".to_owned() } else { node.address.clone() },
            node.domain.clone(),
            node.state.clone(),
            node.intent.clone(),
            node.disks.to_string(),
            node.groups.to_string(),
            time_left(leaves, node.seconds_left),
        ]);
    }
    table.text()
}

pub(crate) fn disks(disks: &[Disk]) -> String {
    let mut table = Table::new([
        "DISK",
        "NODE",
        "MEDIUM",
        "SIZE",
        "FREE",
        "STATE",
        "INTENT",
        "GROUPS",
        "ARRIVING",
        "LEAVING",
        "TIME LEFT",
    ]);
    for disk in disks {
        let state = match disk.state.as_str() {
            state @ ("down" | "gone") => state,
            _ if disk.failed => "failed",
            "up" if !disk.writable => "full",
            state => state,
        };
        table.line([
            short(&disk.disk),
            short(&disk.node),
            disk.medium.clone(),
            bytes(disk.capacity_bytes),
            bytes(disk.available_bytes),
            state.to_owned(),
            disk.intent.clone(),
            disk.groups.to_string(),
            disk.arriving.to_string(),
            disk.leaving.to_string(),
            time_left(
                disk.groups > 0 && (disk.intent != "serve" || disk.leaving == disk.groups),
                disk.seconds_left,
            ),
        ]);
    }
    table.text()
}

fn jobs(jobs: &[Job]) -> String {
    let mut table = Table::new(["JOB", "HOLDER", "DONE", "OF", "PACE", "TIME LEFT"]);
    for job in jobs {
        let counted = |count| match job.unit.as_str() {
            "bytes" => bytes(count),
            unit => format!("{count} {unit}"),
        };
        table.line([
            job.job.clone(),
            job.holder.clone(),
            counted(job.done),
            counted(job.total),
            job.per_second.map_or_else(|| "-".to_owned(), |rate| rate_in_words(rate, &job.unit)),
            time_left(job.done < job.total, job.seconds_left),
        ]);
    }
    table.text()
}
