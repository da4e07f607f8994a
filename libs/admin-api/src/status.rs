//! The cluster at a glance: its members, its classes, and the work under way.

use std::collections::HashMap;

use metadata_api::{
    ClusterMap, DiskState, Error, Intent, JobName, JobState, MapDisk, Metadata, NodeState, PAGE_SIZE_MAX,
    StorageClass,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::DiskId;

/// The cluster at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// How often membership or placement have changed.
    pub epoch: i64,
    /// Machines that keep shards.
    pub nodes: Vec<Node>,
    /// Their disks.
    pub disks: Vec<Disk>,
    /// Storage classes, and former codings of classes that something is still kept by.
    pub classes: Vec<Class>,
    /// What workers do now.
    pub jobs: Vec<Job>,
    /// Shards in the queue of repairs, counted up to 1,000.
    pub shards_to_repair: usize,
    /// Whether these are all.
    pub shards_to_repair_is_complete: bool,
    /// What moves have left behind on disks, which is to be evicted.
    pub evictions: usize,
    /// Whether nothing is freed, because the metadata was restored and may be older than the disks.
    pub frozen: bool,
    /// Whether so many disks are silent that nothing of them is rebuilt.
    pub rebuilding_is_held_back: bool,
    /// Then, how many those are.
    #[serde(default)]
    pub mass_loss: Option<MassLoss>,
    /// The leases by which gateways and workers write.
    pub leases: Leases,
}

/// More disks are silent than fail by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MassLoss {
    /// Disks that are silent though nobody said that they would be.
    pub silent: usize,
    /// All disks that are to serve.
    pub disks: usize,
}

/// How many leases there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leases {
    /// Of services that live.
    pub live: usize,
    /// Of services that are gone, which workers have yet to clean up after.
    pub to_be_reaped: usize,
}

/// A machine that keeps shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its id.
    pub node: String,
    /// Where its chunk service is reached; empty inside an all-in-one server.
    pub address: String,
    /// Region, zone, rack and host.
    pub domain: String,
    /// `up`, `suspect` or `down`.
    pub state: String,
    /// What the operator wants of it: `serve`, `drain` or `remove`.
    pub intent: String,
    /// Its disks that are not gone.
    #[serde(default)]
    pub disks: usize,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// Its id.
    pub disk: String,
    /// The node that it is in.
    pub node: String,
    /// What the operator calls this kind of medium.
    pub medium: String,
    /// Its size.
    pub capacity_bytes: u64,
    /// What new shards may still take.
    pub available_bytes: u64,
    /// Whether it takes shards; a failed or full one does not.
    pub writable: bool,
    /// Whether a write failed, after which nothing is written any more.
    pub failed: bool,
    /// `up`, `down` or `gone`.
    pub state: String,
    /// What the operator wants of it: `serve`, `drain` or `remove`.
    pub intent: String,
    /// Shard indexes of placement groups that are on it.
    #[serde(default)]
    pub groups: usize,
    /// Of groups that move, those that come to it.
    #[serde(default)]
    pub arriving: usize,
    /// And those that leave it.
    #[serde(default)]
    pub leaving: usize,
}

/// A storage class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Data and parity shards, such as `4+2`.
    pub coding: String,
    /// The medium of its disks; none when any will do.
    #[serde(default)]
    pub medium: Option<String>,
    /// Its placement groups.
    pub groups: usize,
    /// Shard indexes of these that are on their way to other disks.
    pub moves: usize,
    /// Whether this is a coding that the class had before, by which something is still kept.
    pub former: bool,
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// `plan`, `move`, `repair`, `reap`, `recode`, `lifecycle`, `transition`, `inventory` or `audit`.
    pub job: String,
    /// Who does it.
    pub holder: String,
    /// How far it is, in pieces of work.
    pub done: u64,
    /// Of how many, as far as that is known.
    pub total: u64,
}

impl Status {
    /// As it is now, by this map of the cluster.
    pub async fn read(metadata: &dyn Metadata, map: &ClusterMap) -> Result<Self, Error> {
        let leases = metadata.list_leases().await?;
        let to_be_reaped = leases.iter().filter(|lease| lease.revoked).count();
        let missing = metadata.list_missing(None, None, PAGE_SIZE_MAX).await?.len();
        let mass_loss = map.mass_loss();
        Ok(Self {
            epoch: map.epoch,
            nodes: nodes(map),
            disks: disks(map),
            classes: classes(map),
            jobs: jobs(&metadata.list_jobs().await?),
            shards_to_repair: missing,
            shards_to_repair_is_complete: missing < PAGE_SIZE_MAX,
            evictions: metadata_api::all_evictions(metadata).await?.len(),
            frozen: map.is_frozen,
            rebuilding_is_held_back: mass_loss.is_some(),
            mass_loss: mass_loss.map(|loss| MassLoss { silent: loss.silent, disks: loss.disks }),
            leases: Leases { live: leases.len() - to_be_reaped, to_be_reaped },
        })
    }
}

/// The nodes of a map.
pub fn nodes(map: &ClusterMap) -> Vec<Node> {
    let disks = |node: &metadata_api::MapNode| {
        map.disks.iter().filter(|disk| disk.node == node.node && disk.state != DiskState::Gone).count()
    };
    let nodes = map.nodes.iter().map(|node| Node {
        node: node.node.to_string(),
        address: node.address.clone(),
        domain: node.domain.to_string(),
        state: node_state(node.state).to_owned(),
        intent: intent(node.intent).to_owned(),
        disks: disks(node),
    });
    nodes.collect()
}

/// The disks of a map.
pub fn disks(map: &ClusterMap) -> Vec<Disk> {
    let mut slots: HashMap<DiskId, Slots> = HashMap::new();
    for group in map.classes.iter().flat_map(|class| &class.groups) {
        for disk in &group.disks {
            slots.entry(*disk).or_default().held += 1;
        }
        for pending in &group.moves {
            slots.entry(pending.to).or_default().arriving += 1;
            if let Some(from) = group.disks.get(usize::from(pending.index.0)) {
                slots.entry(*from).or_default().leaving += 1;
            }
        }
    }
    map.disks.iter().map(|disk| one_disk(disk, slots.get(&disk.disk).copied().unwrap_or_default())).collect()
}

/// Shard indexes of groups that are on a disk, come to it and leave it.
#[derive(Debug, Clone, Copy, Default)]
struct Slots {
    held: usize,
    arriving: usize,
    leaving: usize,
}

fn one_disk(disk: &MapDisk, slots: Slots) -> Disk {
    Disk {
        disk: disk.disk.to_string(),
        node: disk.node.to_string(),
        medium: disk.medium.clone(),
        capacity_bytes: disk.capacity_bytes,
        available_bytes: disk.available_bytes,
        writable: disk.writable,
        failed: disk.failed,
        state: disk_state(disk.state).to_owned(),
        intent: intent(disk.intent).to_owned(),
        groups: slots.held,
        arriving: slots.arriving,
        leaving: slots.leaving,
    }
}

/// The storage classes of a map.
pub fn classes(map: &ClusterMap) -> Vec<Class> {
    let moves = |class: &StorageClass| class.groups.iter().map(|group| group.moves.len()).sum();
    let classes = map.classes.iter().map(|class| Class {
        name: class.definition.name.to_string(),
        coding: class.definition.coding.to_string(),
        medium: class.definition.medium.clone(),
        groups: class.groups.len(),
        moves: moves(class),
        former: class.is_former,
    });
    classes.collect()
}

/// What workers do.
pub fn jobs(jobs: &[JobState]) -> Vec<Job> {
    let jobs = jobs.iter().map(|job| Job {
        job: job_name(job.job).to_owned(),
        holder: job.holder.clone(),
        done: job.progress.done,
        total: job.progress.total,
    });
    jobs.collect()
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
