//! `ashlar admin status`: the cluster at a glance.

use clap::Args;
use env::Env;
use metadata_api::{
    ClusterMap, DiskState, Intent, JobName, JobState, MassLoss, NodeState, PAGE_SIZE_MAX, StorageClass,
};
use serde_json::json;

use super::{
    connect::{Connect, Reached, failed},
    table::{Table, bytes, short},
};
use crate::Exit;

/// Which cluster, and how to show it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin status --data ./data\n  ashlar admin status --metadata meta1:9300 --json"
)]
pub(crate) struct Status {
    #[command(flatten)]
    connect: Connect,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(env: &Env, status: &Status) -> Result<(), Exit> {
    let reached = status.connect.reach(env).await?;
    let facts = Facts::read(&reached).await?;
    let text = if status.json { format!("{:#}\n", facts.json()) } else { facts.text() };
    super::print(&text);
    Ok(())
}

/// What the status is made of.
struct Facts {
    map: ClusterMap,
    jobs: Vec<JobState>,
    /// Shards in the repair queue, counted up to a page.
    missing: usize,
    evictions: usize,
    active_leases: usize,
    revoked_leases: usize,
}

impl Facts {
    async fn read(reached: &Reached) -> Result<Self, Exit> {
        let metadata = &reached.metadata;
        let leases = metadata.list_leases().await.map_err(failed)?;
        let revoked_leases = leases.iter().filter(|lease| lease.revoked).count();
        Ok(Self {
            map: reached.map().await?,
            jobs: metadata.list_jobs().await.map_err(failed)?,
            missing: metadata.list_missing(None, None, PAGE_SIZE_MAX).await.map_err(failed)?.len(),
            evictions: metadata_api::all_evictions(&**metadata).await.map_err(failed)?.len(),
            active_leases: leases.len() - revoked_leases,
            revoked_leases,
        })
    }

    fn missing_text(&self) -> String {
        if self.missing < PAGE_SIZE_MAX {
            self.missing.to_string()
        } else {
            format!("{} and more", self.missing)
        }
    }

    fn text(&self) -> String {
        let mut out = format!("map epoch {}\n\n", self.map.epoch);
        out += &classes(&self.map.classes);
        out += "\n";
        out += &nodes(&self.map);
        out += "\n";
        out += &disks(&self.map);
        out += &format!(
            "\nshards to repair: {}; evictions waiting: {}; leases: {} live, {} to be reaped\n",
            self.missing_text(),
            self.evictions,
            self.active_leases,
            self.revoked_leases
        );
        if self.map.is_frozen {
            out += "\nNothing is freed: the metadata was restored and may be older than the disks.\nCompare them: ashlar admin \
                    reconcile\nThen let what is deleted be freed again: ashlar admin reconcile --finish\n";
        }
        if let Some(MassLoss { silent, disks }) = self.map.mass_loss() {
            out += &format!(
                "\n{silent} of {disks} disks are silent, too many to be a failure of disks: nothing of them is rebuilt \
                 elsewhere until some return.\nIf they are lost for good, say so: ashlar admin node remove NODE, or \
                 ashlar admin disk remove DISK.\n"
            );
        }
        let jobs = jobs(&self.jobs);
        if !jobs.is_empty() {
            out += "\n";
            out += &jobs;
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        let nodes = self.map.nodes.iter().map(|node| {
            json!({ "node": node.node.to_string(), "address": node.address, "domain": node.domain.as_str(),
                    "state": node_state(node.state), "intent": intent(node.intent) })
        });
        let disks = self.map.disks.iter().map(|disk| {
            json!({ "disk": disk.disk.to_string(), "node": disk.node.to_string(), "medium": disk.medium,
                    "capacity_bytes": disk.capacity_bytes, "available_bytes": disk.available_bytes,
                    "writable": disk.writable, "failed": disk.failed, "state": disk_state(disk.state),
                    "intent": intent(disk.intent) })
        });
        let classes = self.map.classes.iter().map(|class| {
            json!({ "name": class.definition.name.as_str(), "coding": class.definition.coding.to_string(),
                    "groups": class.groups.len(), "moves": moves(class), "former": class.is_former })
        });
        let jobs = self.jobs.iter().map(|job| {
            json!({ "job": job_name(job.job), "holder": job.holder, "done": job.progress.done, "total": job.progress.total })
        });
        json!({
            "epoch": self.map.epoch,
            "nodes": nodes.collect::<Vec<_>>(),
            "disks": disks.collect::<Vec<_>>(),
            "classes": classes.collect::<Vec<_>>(),
            "jobs": jobs.collect::<Vec<_>>(),
            "shards_to_repair": self.missing,
            "shards_to_repair_is_complete": self.missing < PAGE_SIZE_MAX,
            "evictions": self.evictions,
            "frozen": self.map.is_frozen,
            "rebuilding_is_held_back": self.map.mass_loss().is_some(),
            "leases": { "live": self.active_leases, "to_be_reaped": self.revoked_leases },
        })
    }
}

fn moves(class: &StorageClass) -> usize {
    class.groups.iter().map(|group| group.moves.len()).sum()
}

/// A class's name, and whether the entry is one of a coding that it had before.
pub(crate) fn class_name(class: &StorageClass) -> String {
    let name = &class.definition.name;
    if class.is_former { format!("{name} (former)") } else { name.to_string() }
}

pub(crate) fn classes(classes: &[StorageClass]) -> String {
    let mut table = Table::new(["CLASS", "CODING", "MEDIUM", "GROUPS", "MOVES"]);
    for class in classes {
        table.line([
            class_name(class),
            class.definition.coding.to_string(),
            class.definition.medium.clone().unwrap_or_else(|| "any".to_owned()),
            class.groups.len().to_string(),
            moves(class).to_string(),
        ]);
    }
    table.text()
}

pub(crate) fn nodes(map: &ClusterMap) -> String {
    let mut table = Table::new(["NODE", "ADDRESS", "DOMAIN", "STATE", "INTENT", "DISKS"]);
    for node in &map.nodes {
        let disks = map.disks.iter().filter(|disk| disk.node == node.node && disk.state != DiskState::Gone);
        table.line([
            short(node.node),
            if node.address.is_empty() { "in process".to_owned() } else { node.address.clone() },
            node.domain.to_string(),
            node_state(node.state).to_owned(),
            intent(node.intent).to_owned(),
            disks.count().to_string(),
        ]);
    }
    table.text()
}

pub(crate) fn disks(map: &ClusterMap) -> String {
    let mut table = Table::new([
        "DISK", "NODE", "MEDIUM", "SIZE", "FREE", "STATE", "INTENT", "GROUPS", "ARRIVING", "LEAVING",
    ]);
    for disk in &map.disks {
        let groups = || map.classes.iter().flat_map(|class| &class.groups);
        let slots = groups().flat_map(|group| &group.disks).filter(|at| **at == disk.disk).count();
        let arriving =
            groups().flat_map(|group| &group.moves).filter(|pending| pending.to == disk.disk).count();
        let leaving = groups().flat_map(|group| group.moves.iter().map(move |pending| (group, pending)));
        let leaving = leaving
            .filter(|(group, pending)| group.disks.get(usize::from(pending.index.0)) == Some(&disk.disk))
            .count();
        let state = match disk.state {
            DiskState::Up if disk.failed => "failed",
            DiskState::Up if !disk.writable => "full",
            state => disk_state(state),
        };
        table.line([
            short(disk.disk),
            short(disk.node),
            disk.medium.clone(),
            bytes(disk.capacity_bytes),
            bytes(disk.available_bytes),
            state.to_owned(),
            intent(disk.intent).to_owned(),
            slots.to_string(),
            arriving.to_string(),
            leaving.to_string(),
        ]);
    }
    table.text()
}

pub(crate) fn jobs(jobs: &[JobState]) -> String {
    let mut table = Table::new(["JOB", "HOLDER", "DONE", "OF"]);
    for job in jobs {
        table.line([
            job_name(job.job).to_owned(),
            job.holder.clone(),
            job.progress.done.to_string(),
            job.progress.total.to_string(),
        ]);
    }
    table.text()
}

fn node_state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Suspect => "suspect",
        NodeState::Down => "down",
    }
}

fn disk_state(state: DiskState) -> &'static str {
    match state {
        DiskState::Up => "up",
        DiskState::Down => "down",
        DiskState::Gone => "gone",
    }
}

fn intent(intent: Intent) -> &'static str {
    match intent {
        Intent::Serve => "serve",
        Intent::Drain => "drain",
        Intent::Remove => "remove",
    }
}

fn job_name(job: JobName) -> &'static str {
    match job {
        JobName::Plan => "plan",
        JobName::Move => "move",
        JobName::Repair => "repair",
        JobName::Reap => "reap",
        JobName::Recode => "recode",
        JobName::Lifecycle => "lifecycle",
        JobName::Transition => "transition",
        JobName::Inventory => "inventory",
        JobName::Audit => "audit",
    }
}
