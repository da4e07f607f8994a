//! `ashlar admin status`: the cluster at a glance.

use admin_api::{Class, Disk, Job, MassLoss, Node, Resource, Status as Facts};
use clap::Args;
use env::Env;

use super::{
    connect::{Source, failed},
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
    table.text()
}

pub(crate) fn nodes(nodes: &[Node]) -> String {
    let mut table = Table::new(["NODE", "ADDRESS", "DOMAIN", "STATE", "INTENT", "DISKS"]);
    for node in nodes {
        table.line([
            short(&node.node),
            if node.address.is_empty() { "in process".to_owned() } else { node.address.clone() },
            node.domain.clone(),
            node.state.clone(),
            node.intent.clone(),
            node.disks.to_string(),
        ]);
    }
    table.text()
}

pub(crate) fn disks(disks: &[Disk]) -> String {
    let mut table = Table::new([
        "DISK", "NODE", "MEDIUM", "SIZE", "FREE", "STATE", "INTENT", "GROUPS", "ARRIVING", "LEAVING",
    ]);
    for disk in disks {
        let state = match disk.state.as_str() {
            "up" if disk.failed => "failed",
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
        ]);
    }
    table.text()
}

fn jobs(jobs: &[Job]) -> String {
    let mut table = Table::new(["JOB", "HOLDER", "DONE", "OF"]);
    for job in jobs {
        table.line([job.job.clone(), job.holder.clone(), job.done.to_string(), job.total.to_string()]);
    }
    table.text()
}
