//! The cluster at a glance: its members, its classes, and the work under way.

use std::collections::{HashMap, HashSet};

use metadata_api::{
    ClusterMap, DiskState, Error, Intent, JobName, JobState, MapDisk, MapNode, Metadata, NodeState,
    PAGE_SIZE_MAX, StorageClass,
};
use placement::is_blocked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{DiskId, NodeId};

use crate::{Job, jobs, repair::disks_down};

/// The cluster at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// `suspect` or `down` when it is silent. Else `joining` while as many groups come to its disks as they have, or more;
    /// `draining` while it is to leave, `drained` once no group is on its disks, `removed` once it is to be removed and nothing
    /// is left of it; otherwise `up`.
    pub state: String,
    /// What the operator wants of it: `serve`, `drain` or `remove`.
    pub intent: String,
    /// Its disks that are not gone.
    #[serde(default)]
    pub disks: usize,
    /// Shard indexes of placement groups that are on its disks.
    #[serde(default)]
    pub groups: usize,
    /// Where these are to leave: seconds until none is left, at the pace of the last minutes and at most, as everything else
    /// that is to move may come first. None while nothing moves, or some of it cannot.
    #[serde(default)]
    pub seconds_left: Option<u64>,
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
    /// `down` when it does not answer, `gone` once nothing of it is waited for. Else `joining` while as many groups come to it as
    /// it has, or more; `draining` while it or its node is to leave, `drained` once no group is on it; otherwise `up`.
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
    /// Where all are to leave: seconds until none is left, at the pace of the last minutes and at most, as everything else that
    /// is to move may come first. None while nothing moves, or some of it cannot.
    #[serde(default)]
    pub seconds_left: Option<u64>,
}

/// A storage class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Of such a coding: how far everything is re-encoded that has one, while a worker does it.
    #[serde(default)]
    pub recoding: Option<Job>,
}

impl Status {
    /// As it is now, by this map of the cluster.
    pub async fn read(metadata: &dyn Metadata, map: &ClusterMap) -> Result<Self, Error> {
        let leases = metadata.list_leases().await?;
        let to_be_reaped = leases.iter().filter(|lease| lease.revoked).count();
        let missing = metadata.list_missing(None, None, PAGE_SIZE_MAX).await?.len();
        let mass_loss = map.mass_loss();
        let states = metadata.list_jobs().await?;
        Ok(Self {
            epoch: map.epoch,
            nodes: nodes(map, &states),
            disks: disks(map, &states),
            classes: classes(map, &states),
            jobs: jobs(&states),
            shards_to_repair: missing,
            shards_to_repair_is_complete: missing < PAGE_SIZE_MAX,
            evictions: metadata_api::count_evictions(metadata).await?,
            frozen: map.is_frozen,
            rebuilding_is_held_back: mass_loss.is_some(),
            mass_loss: mass_loss.map(|loss| MassLoss { silent: loss.silent, disks: loss.disks }),
            leases: Leases { live: leases.len() - to_be_reaped, to_be_reaped },
        })
    }
}

/// The nodes of a map, and how fast these jobs empty those that are to leave.
pub fn nodes(map: &ClusterMap, jobs: &[JobState]) -> Vec<Node> {
    let disks = disks(map, jobs);
    let nodes = map.nodes.iter().map(|node| {
        let known = map.disks.iter().filter(|disk| disk.node == node.node);
        let there = known.filter(|disk| disk.state != DiskState::Gone).count();
        let id = node.node.to_string();
        let own = || disks.iter().filter(|disk| disk.node == id);
        let used = || own().filter(|disk| disk.groups > 0);
        let leaves = node.intent != Intent::Serve || node.state == NodeState::Down;
        // The last of them is what is waited for.
        let seconds_left = used()
            .map(|disk| disk.seconds_left)
            .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)));
        let held: usize = used().map(|disk| disk.groups).sum();
        let state = match node.state {
            _ if node.intent == Intent::Remove && there == 0 => "removed",
            NodeState::Up => stage(node.intent, held, own().map(|disk| disk.arriving).sum()),
            NodeState::Suspect => "suspect",
            NodeState::Down => "down",
        };
        Node {
            node: id.clone(),
            address: node.address.clone(),
            domain: node.domain.to_string(),
            state: state.to_owned(),
            intent: intent(node.intent).to_owned(),
            disks: there,
            groups: held,
            seconds_left: seconds_left.flatten().filter(|_| leaves),
        }
    });
    nodes.collect()
}

/// The disks of a map, and how fast these jobs empty those that are to leave.
pub fn disks(map: &ClusterMap, jobs: &[JobState]) -> Vec<Disk> {
    let (slots, seconds_left) = (slots(map), seconds_of_moves(jobs));
    let nodes: HashMap<NodeId, &MapNode> = map.nodes.iter().map(|node| (node.node, node)).collect();
    let disks = map.disks.iter().map(|disk| {
        let slots = slots.get(&disk.disk).copied().unwrap_or_default();
        let node = nodes.get(&disk.node);
        let answers = disk.state == DiskState::Up && node.is_some_and(|node| node.state != NodeState::Down);
        let intent = match node {
            Some(node) if disk.intent == Intent::Serve => node.intent,
            _ => disk.intent,
        };
        let stays = intent == Intent::Serve && answers && !disk.failed && node.is_some();
        // What a dead disk had is not on its way before it is given up, and some of it may be lost.
        let moves = slots.blocked == 0 && (answers || slots.leaving > 0);
        let state = match disk.state {
            DiskState::Up => stage(intent, slots.held, slots.arriving),
            DiskState::Down => "down",
            DiskState::Gone => "gone",
        };
        one_disk(disk, state, slots, seconds_left.filter(|_| !stays && slots.held > 0 && moves))
    });
    disks.collect()
}

/// How long it takes until everything is where it should be.
fn seconds_of_moves(states: &[JobState]) -> Option<u64> {
    let plan = states.iter().find(|state| state.job == JobName::Plan)?;
    Job::from(plan).seconds_left
}

fn slots(map: &ClusterMap) -> HashMap<DiskId, Slots> {
    let mut slots: HashMap<DiskId, Slots> = HashMap::new();
    let down = disks_down(map);
    let known: HashSet<DiskId> = map.disks.iter().map(|disk| disk.disk).collect();
    let answers = |disk| known.contains(&disk) && !down.contains(&disk);
    let groups = map
        .classes
        .iter()
        .flat_map(|class| class.groups.iter().map(|group| (class.definition.coding, group)));
    for (coding, group) in groups {
        let current = group.placed();
        for (index, disk) in group.disks.iter().enumerate() {
            let slots = slots.entry(*disk).or_default();
            slots.held += 1;
            slots.blocked += usize::from(is_blocked(&current, index, coding, answers));
        }
        for pending in &group.moves {
            slots.entry(pending.to).or_default().arriving += 1;
            if let Some(from) = group.disks.get(usize::from(pending.index.0)) {
                slots.entry(*from).or_default().leaving += 1;
            }
        }
    }
    slots
}

/// Shard indexes of groups that are on a disk, come to it and leave it.
#[derive(Debug, Clone, Copy, Default)]
struct Slots {
    held: usize,
    arriving: usize,
    leaving: usize,
    /// Of those on it, how many can be neither copied nor rebuilt now.
    blocked: usize,
}

fn one_disk(disk: &MapDisk, state: &str, slots: Slots, seconds_left: Option<u64>) -> Disk {
    Disk {
        disk: disk.disk.to_string(),
        node: disk.node.to_string(),
        medium: disk.medium.clone(),
        capacity_bytes: disk.capacity_bytes,
        available_bytes: disk.available_bytes,
        writable: disk.writable,
        failed: disk.failed,
        state: state.to_owned(),
        intent: intent(disk.intent).to_owned(),
        groups: slots.held,
        arriving: slots.arriving,
        leaving: slots.leaving,
        seconds_left,
    }
}

/// The storage classes of a map, and how far these jobs have re-encoded them.
pub fn classes(map: &ClusterMap, jobs: &[JobState]) -> Vec<Class> {
    let recode = jobs.iter().find(|state| state.job == JobName::Recode);
    let moves = |class: &StorageClass| class.groups.iter().map(|group| group.moves.len()).sum();
    let classes = map.classes.iter().map(|class| Class {
        name: class.definition.name.to_string(),
        coding: class.definition.coding.to_string(),
        medium: class.definition.medium.clone(),
        groups: class.groups.len(),
        moves: moves(class),
        former: class.is_former,
        recoding: recode.filter(|_| class.is_former).map(Job::from),
    });
    classes.collect()
}

/// Where a node or disk that answers stands between its first group and its last, of those that it holds and that come to it.
fn stage(intent: Intent, held: usize, arriving: usize) -> &'static str {
    match intent {
        Intent::Serve if arriving > 0 && arriving >= held => "joining",
        Intent::Serve => "up",
        Intent::Drain | Intent::Remove if held > 0 => "draining",
        Intent::Drain | Intent::Remove => "drained",
    }
}

pub(crate) fn intent(intent: Intent) -> &'static str {
    match intent {
        Intent::Serve => "serve",
        Intent::Drain => "drain",
        Intent::Remove => "remove",
    }
}

#[cfg(test)]
mod tests {
    use metadata_api::{
        DiskState, Intent, JobName, JobProgress, JobState, NodeState, ShardMove, StorageClass,
    };
    use types::{DiskId, ShardIndex};

    use super::{classes, disks, nodes};
    use crate::fixture::map;

    fn job(job: JobName) -> JobState {
        let progress = JobProgress { done: 6, total: 10, per_hour: 240 };
        JobState { job, holder: "w".to_owned(), renewals: 1, progress }
    }

    #[test]
    fn what_is_to_leave_tells_how_long_that_takes() {
        let jobs = [job(JobName::Plan), job(JobName::Recode)];
        let mut map = map();
        assert!(disks(&map, &jobs).iter().all(|disk| disk.seconds_left.is_none()), "nothing is to leave");
        // One by itself, one with its node, one that failed, one that is away, and one that nothing is on.
        map.disks[0].intent = Intent::Drain;
        map.nodes[1].intent = Intent::Remove;
        map.disks[2].failed = true;
        map.nodes[3].state = NodeState::Down;
        map.disks[4].intent = Intent::Drain;
        let to = |number| DiskId([number; 16]);
        map.classes[0].groups[0].moves =
            vec![ShardMove { index: ShardIndex(3), to: to(5), since: 1, redirected: false }];
        let left = |told: Vec<Option<u64>>| told.iter().map(Option::is_some).collect::<Vec<_>>();
        let told: Vec<_> = disks(&map, &jobs).iter().map(|disk| disk.seconds_left).collect();
        assert_eq!(told[0], Some(60));
        assert_eq!(left(told), [true, true, true, true, false, false]);
        let told = nodes(&map, &jobs);
        assert_eq!(told.iter().map(|node| node.groups).collect::<Vec<_>>(), [1, 1, 1, 1, 0, 0]);
        let told = told.iter().map(|node| node.seconds_left).collect();
        assert_eq!(left(told), [false, true, false, true, false, false]);
        // What it had is on its way no more, or not yet: it waits for the disk.
        map.classes[0].groups[0].moves.clear();
        let told = disks(&map, &jobs).iter().map(|disk| disk.seconds_left).collect();
        assert_eq!(left(told), [true, true, true, false, false, false]);
        assert_eq!(nodes(&map, &jobs)[3].seconds_left, None);
        // Nor does it come to an end when nobody can rebuild it, though others move.
        map.classes[0].groups[0].moves = [0, 2, 3]
            .map(|index| ShardMove { index: ShardIndex(index), to: to(5), since: 1, redirected: false })
            .to_vec();
        map.disks[0].state = DiskState::Down;
        map.disks[1].state = DiskState::Down;
        let told = disks(&map, &jobs).iter().map(|disk| disk.seconds_left).collect();
        assert_eq!(left(told), [false, false, true, false, false, false]);
        assert!(disks(&map, &jobs[1..]).iter().all(|disk| disk.seconds_left.is_none()), "nobody moves it");
    }

    #[test]
    fn members_that_answer_are_joining_up_draining_or_drained() {
        let mut map = map();
        let states = |map: &_| {
            let nodes = nodes(map, &[]).into_iter().map(|node| node.state);
            let both = nodes.zip(disks(map, &[]).into_iter().map(|disk| disk.state));
            both.map(|(node, disk)| format!("{node} {disk}")).collect::<Vec<_>>()
        };
        assert_eq!(states(&map), ["up up"; 6], "two of them have no group, and none comes");
        map.nodes[0].intent = Intent::Drain;
        map.disks[1].intent = Intent::Drain;
        map.nodes[2].state = NodeState::Suspect;
        map.disks[3].state = DiskState::Down;
        map.nodes[4].intent = Intent::Remove;
        let to = DiskId([5; 16]);
        map.classes[0].groups[0].moves =
            vec![ShardMove { index: ShardIndex(0), to, since: 1, redirected: false }];
        let expected = [
            "draining draining",
            "up draining",
            "suspect up",
            "up down",
            "drained drained",
            "joining joining",
        ];
        assert_eq!(states(&map), expected);
        // It has as many as it waits for, and then more.
        let mut other = map.classes[0].groups[0].clone();
        other.moves.clear();
        other.disks[0] = to;
        map.classes[0].groups.push(other.clone());
        assert_eq!(states(&map)[5], "joining joining");
        map.classes[0].groups.push(other);
        assert_eq!(states(&map)[5], "up up");
        // What does not answer is that, whatever is wanted of it.
        map.nodes[0].state = NodeState::Down;
        map.disks[0].state = DiskState::Gone;
        assert_eq!(states(&map)[0], "down gone");
    }

    #[test]
    fn a_node_of_which_nothing_is_left_is_removed() {
        let mut map = map();
        map.nodes[5].intent = Intent::Remove;
        map.nodes[5].state = NodeState::Down;
        assert_eq!(nodes(&map, &[])[5].state, "down");
        map.disks[5].state = DiskState::Gone;
        let told = nodes(&map, &[]);
        assert_eq!((told[5].state.as_str(), told[5].disks, told[4].state.as_str()), ("removed", 0, "up"));
    }

    #[test]
    fn a_former_coding_tells_how_far_everything_is_re_encoded() {
        let mut map = map();
        map.classes.push(StorageClass { is_former: true, ..map.classes[0].clone() });
        let told = classes(&map, &[job(JobName::Recode)]);
        assert_eq!(told[0].recoding, None);
        assert_eq!(told[1].recoding.as_ref().map(|job| (job.done, job.total)), Some((6, 10)));
        assert!(classes(&map, &[]).iter().all(|class| class.recoding.is_none()));
    }
}
