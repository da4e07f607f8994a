//! `ashlar admin node` and `ashlar admin disk`: who belongs to the cluster, and who is to leave.

use std::time::Duration;

use admin_api::Resource;
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{ClusterMap, DiskState, Intent, MapDisk};
use types::{DiskId, StorageClassName};

use super::{
    connect::{Connect, Reached, Source, failed},
    pace::Pace,
    status,
};
use crate::Exit;

/// How often a drain's progress is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Nodes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin node drain 3f9a --wait --metadata meta1:9300")]
pub(crate) struct Node {
    #[command(subcommand)]
    action: Action,
}

/// Disks.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin disk remove 07c1 --wait --data ./data")]
pub(crate) struct Disk {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them.
    #[command(after_help = "Examples:\n  ashlar admin disk list --data ./data\n  \
        ashlar admin node list --metadata meta1:9300")]
    List(List),
    /// Moves all shards elsewhere; reads are served meanwhile.
    #[command(after_help = "Examples:\n  ashlar admin disk drain 07c1 --wait --data ./data\n  \
        ashlar admin node drain 3f9a --wait --metadata meta1:9300")]
    Drain(Change),
    /// Takes a drain or a removal back.
    #[command(after_help = "Examples:\n  ashlar admin disk serve 07c1 --data ./data\n  \
        ashlar admin node serve 3f9a --metadata meta1:9300")]
    Serve(Change),
    /// Moves all shards elsewhere, rebuilding those of lost disks, and then forgets the disks for good.
    #[command(after_help = "Examples:\n  ashlar admin disk remove 07c1 --wait --data ./data\n  \
        ashlar admin node remove 3f9a --wait --metadata meta1:9300")]
    Remove(Change),
}

#[derive(Debug, Args)]
struct List {
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Change {
    /// Its id, or as many of its first digits as tell it from the others.
    id: String,
    /// Waits until no shard is left on it, showing how far it is.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) async fn run_node(env: &Env, node: &Node) -> Result<(), Exit> {
    let (change, intent) = match &node.action {
        Action::List(list) => {
            let nodes = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Nodes, &[]).await?,
                None => admin_api::nodes(&list.source.reach(env).await?.map().await?),
            };
            super::print(&if list.json { super::as_json(&nodes) } else { status::nodes(&nodes) });
            return Ok(());
        }
        Action::Drain(change) => (change, Intent::Drain),
        Action::Serve(change) => (change, Intent::Serve),
        Action::Remove(change) => (change, Intent::Remove),
    };
    let reached = change.connect.reach(env).await?;
    let id = reached.node(&change.id).await?;
    reached.metadata.set_node_intent(id, intent).await.map_err(failed)?;
    let of_node = |map: &ClusterMap| {
        map.disks
            .iter()
            .filter(|disk| disk.node == id && disk.state != DiskState::Gone)
            .map(|disk| disk.disk)
            .collect()
    };
    finish(env, &reached, change, intent, of_node).await
}

pub(crate) async fn run_disk(env: &Env, disk: &Disk) -> Result<(), Exit> {
    let (change, intent) = match &disk.action {
        Action::List(list) => {
            let disks = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Disks, &[]).await?,
                None => admin_api::disks(&list.source.reach(env).await?.map().await?),
            };
            super::print(&if list.json { super::as_json(&disks) } else { status::disks(&disks) });
            return Ok(());
        }
        Action::Drain(change) => (change, Intent::Drain),
        Action::Serve(change) => (change, Intent::Serve),
        Action::Remove(change) => (change, Intent::Remove),
    };
    let reached = change.connect.reach(env).await?;
    let id = reached.disk(&change.id).await?;
    reached.metadata.set_disk_intent(id, intent).await.map_err(failed)?;
    finish(env, &reached, change, intent, |_| vec![id]).await
}

/// Says what was done and, when asked to, waits until it is complete.
async fn finish(
    env: &Env,
    reached: &Reached,
    change: &Change,
    intent: Intent,
    disks_of: impl Fn(&ClusterMap) -> Vec<DiskId>,
) -> Result<(), Exit> {
    if intent == Intent::Serve {
        super::print("it serves\n");
        return Ok(());
    }
    let map = reached.map().await?;
    for (class, needed, left) in short_of_disks(&map, &disks_of(&map)) {
        eprintln!(
            "storage class {class} needs {needed} disks and {left} are left to it: what it keeps there stays until disks are added; \
            `serve` in the place of this word takes it back"
        );
    }
    if !change.wait {
        super::print(
            "noted; workers move its shards from now on (`ashlar admin status` shows how far they are)\n",
        );
        return Ok(());
    }
    let mut pace = Pace::new(env.now());
    loop {
        let map = reached.map().await?;
        let disks = disks_of(&map);
        let left = slots_on(&map, &disks);
        pace.look(left as u64);
        eprint!("\r\x1b[K{}", pace.text("group slots moved", env.now()));
        if left == 0 {
            eprintln!();
            super::print("no shard is left on it\n");
            return Ok(());
        }
        env.sleep(LOOK).await;
    }
}

/// The classes with groups on these disks that have too few other disks to move to, with how many they need and how many are left.
fn short_of_disks(map: &ClusterMap, leaving: &[DiskId]) -> Vec<(StorageClassName, usize, usize)> {
    let serves = |disk: &&MapDisk| {
        let node_serves = map.nodes.iter().any(|node| node.node == disk.node && node.intent == Intent::Serve);
        let is_there = disk.state != DiskState::Gone && !disk.failed && node_serves;
        is_there && disk.intent == Intent::Serve && !leaving.contains(&disk.disk)
    };
    let classes = map.classes.iter().filter(|class| !class.is_former);
    let short = classes.filter_map(|class| {
        let used = class.groups.iter().flat_map(|group| &group.disks).find(|disk| leaving.contains(disk))?;
        let medium = &map.disks.iter().find(|disk| disk.disk == *used)?.medium;
        let left = map.disks.iter().filter(serves).filter(|disk| disk.medium == *medium).count();
        let needed = class.definition.coding.total();
        (left < needed).then(|| (class.definition.name.clone(), needed, left))
    });
    short.collect()
}

/// How many shard indexes of groups these disks still hold or receive.
fn slots_on(map: &ClusterMap, disks: &[DiskId]) -> usize {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    groups
        .map(|group| {
            let held = group.disks.iter().filter(|disk| disks.contains(disk)).count();
            held + group.moves.iter().filter(|pending| disks.contains(&pending.to)).count()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use metadata_api::{
        ClusterMap, DiskState, Intent, MapDisk, MapNode, NodeState, PlacementGroup, StorageClass,
        StorageClassDefinition,
    };
    use types::{DiskId, GroupId, NodeId, StorageClassName};

    use super::short_of_disks;

    /// Six nodes of a disk each, and a group of 2+2 on the first four.
    fn map() -> ClusterMap {
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: "2+2".parse().unwrap(),
            inline_limit_bytes: 0,
            whole_limit_bytes: 0,
            groups: 1,
            medium: None,
        };
        let group = PlacementGroup {
            id: GroupId(1),
            disks: (0..4).map(|number| DiskId([number; 16])).collect(),
            moves: Vec::new(),
            changed_epoch: 1,
        };
        let node = |number: u8| MapNode {
            node: NodeId([number; 16]),
            address: String::new(),
            domain: format!("r/z/k/h{number}").parse().unwrap(),
            state: NodeState::Up,
            intent: Intent::Serve,
            heartbeats: 1,
        };
        let disk = |number: u8| MapDisk {
            disk: DiskId([number; 16]),
            node: NodeId([number; 16]),
            medium: "hdd".to_owned(),
            capacity_bytes: 100,
            available_bytes: 50,
            writable: true,
            failed: false,
            state: DiskState::Up,
            intent: Intent::Serve,
        };
        ClusterMap {
            epoch: 1,
            nodes: (0..6).map(node).collect(),
            disks: (0..6).map(disk).collect(),
            classes: vec![StorageClass { groups: vec![group], ..StorageClass::new(definition) }],
            is_frozen: false,
        }
    }

    fn disks(numbers: impl IntoIterator<Item = u8>) -> Vec<DiskId> {
        numbers.into_iter().map(|number| DiskId([number; 16])).collect()
    }

    #[test]
    fn a_class_without_disks_to_move_to_is_named() {
        let mut map = map();
        assert_eq!(short_of_disks(&map, &disks([0, 5])), []);
        assert_eq!(short_of_disks(&map, &disks([0, 4, 5])), [(StorageClassName::standard(), 4, 3)]);
        // Nothing of the class is on these.
        assert_eq!(short_of_disks(&map, &disks([4, 5])), []);
        map.nodes[4].intent = Intent::Drain;
        map.disks[5].failed = true;
        assert_eq!(short_of_disks(&map, &disks([0])), [(StorageClassName::standard(), 4, 3)]);
        map.disks[5].failed = false;
        map.disks[5].medium = "tape".to_owned();
        assert_eq!(short_of_disks(&map, &disks([0])), [(StorageClassName::standard(), 4, 3)]);
        map.disks[5].medium = "hdd".to_owned();
        assert_eq!(short_of_disks(&map, &disks([0])), []);
    }
}
