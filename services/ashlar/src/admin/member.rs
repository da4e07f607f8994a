//! `ashlar admin node` and `ashlar admin disk`: who belongs to the cluster, and who is to leave.

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{ClusterMap, DiskState, Intent, MapDisk, PlacementGroup};
use types::{BucketName, DiskId, GroupId};
use worker::{Losses, LostObject};

use super::{
    connect::{Connect, Reached, failed},
    pace::Pace,
    status,
};
use crate::Exit;

/// How often a drain's progress is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Nodes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin node drain 3f9a --wait --metadata meta1:9400")]
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
        ashlar admin node list --metadata meta1:9400")]
    List(List),
    /// Moves all shards elsewhere; reads are served meanwhile.
    #[command(after_help = "Examples:\n  ashlar admin disk drain 07c1 --wait --data ./data\n  \
        ashlar admin node drain 3f9a --wait --metadata meta1:9400")]
    Drain(Change),
    /// Takes a drain or a removal back.
    #[command(after_help = "Examples:\n  ashlar admin disk serve 07c1 --data ./data\n  \
        ashlar admin node serve 3f9a --metadata meta1:9400")]
    Serve(Change),
    /// Moves all shards elsewhere, rebuilding those of lost disks, and then forgets the disks for good. Of lost disks it says what
    /// cannot be rebuilt; unless that is accepted, the exit status is not 0 then.
    #[command(after_help = "Examples:\n  ashlar admin disk remove 07c1 --wait --data ./data\n  \
        ashlar admin node remove 3f9a --wait --metadata meta1:9400\n  \
        ashlar admin disk remove 07c1 --accept-loss --metadata meta1:9400")]
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    change: Change,
    /// Ends the removal also when it is lost and what cannot be rebuilt without it is given up. Objects that are lost so answer
    /// reads with an error from then on, until they are deleted or written anew.
    #[arg(long)]
    accept_loss: bool,
}

impl Remove {
    fn intent(&self) -> Intent {
        if self.accept_loss { Intent::RemoveAcceptingLoss } else { Intent::Remove }
    }
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    connect: Connect,
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
            super::print(&status::nodes(&list.connect.reach(env).await?.map().await?));
            return Ok(());
        }
        Action::Drain(change) => (change, Intent::Drain),
        Action::Serve(change) => (change, Intent::Serve),
        Action::Remove(remove) => (&remove.change, remove.intent()),
    };
    let reached = change.connect.reach(env).await?;
    let id = reached.node(&change.id).await?;
    reached.metadata.set_node_intent(id, intent).await.map_err(failed)?;
    let of_node = |map: &ClusterMap| -> Vec<DiskId> {
        map.disks
            .iter()
            .filter(|disk| disk.node == id && disk.state != DiskState::Gone)
            .map(|disk| disk.disk)
            .collect()
    };
    tell_losses(&reached, intent, &of_node(&reached.map().await?)).await?;
    finish(env, &reached, change, intent, of_node).await
}

pub(crate) async fn run_disk(env: &Env, disk: &Disk) -> Result<(), Exit> {
    let (change, intent) = match &disk.action {
        Action::List(list) => {
            super::print(&status::disks(&list.connect.reach(env).await?.map().await?));
            return Ok(());
        }
        Action::Drain(change) => (change, Intent::Drain),
        Action::Serve(change) => (change, Intent::Serve),
        Action::Remove(remove) => (&remove.change, remove.intent()),
    };
    let reached = change.connect.reach(env).await?;
    let id = reached.disk(&change.id).await?;
    reached.metadata.set_disk_intent(id, intent).await.map_err(failed)?;
    tell_losses(&reached, intent, &[id]).await?;
    finish(env, &reached, change, intent, |_| vec![id]).await
}

/// Most objects that are named because they are lost.
const NAMED_MAX: usize = 20;

/// Says what cannot be rebuilt without those of these disks that are lost, if they are to be removed. Fails when there is such and
/// nobody has accepted that.
async fn tell_losses(reached: &Reached, intent: Intent, disks: &[DiskId]) -> Result<(), Exit> {
    let map = reached.map().await?;
    let is_lost = |disk: &&MapDisk| disk.state == DiskState::Down && removes(&map, disk);
    let lost: BTreeSet<DiskId> = map.disks.iter().filter(is_lost).map(|disk| disk.disk).collect();
    if !intent.removes() || !disks.iter().any(|disk| lost.contains(disk)) {
        return Ok(());
    }
    // All rows are read for groups that may have lost something, and not otherwise.
    let mut groups = short_groups(&map, &lost, disks);
    for group in map.classes.iter().flat_map(|class| &class.groups) {
        if group.named_disks().any(|disk| disks.contains(&disk))
            && !reached.metadata.list_missing(Some(group.id), None, 1).await.map_err(failed)?.is_empty()
        {
            groups.insert(group.id);
        }
    }
    if groups.is_empty() {
        return Ok(());
    }
    let (pool, _follower) = reached.pool().await?;
    let is_given_up = |disk| lost.contains(&disk);
    let losses = worker::losses(&*reached.metadata, &pool, &groups, &is_given_up).await.map_err(failed)?;
    if losses.chunks.is_empty() {
        super::print("every chunk on record can be rebuilt without it\n");
        return Ok(());
    }
    let is_accepted = intent == Intent::RemoveAcceptingLoss;
    super::print(&losses_text(&losses, is_accepted));
    if is_accepted {
        return Ok(());
    }
    Err(Exit::new(
        Exit::FAILED,
        "its removal does not end while objects are on record that cannot be rebuilt: bring it back, delete them, or remove it \
         with --accept-loss",
    ))
}

/// The groups on one of these disks of which more shards were on lost disks than can be lost.
fn short_groups(map: &ClusterMap, lost: &BTreeSet<DiskId>, disks: &[DiskId]) -> BTreeSet<GroupId> {
    let mut short = BTreeSet::new();
    for class in &map.classes {
        let parity = class.definition.coding.parity();
        let is_short = |group: &&PlacementGroup| {
            let gone = group.disks.iter().filter(|disk| lost.contains(disk)).count();
            group.named_disks().any(|disk| disks.contains(&disk)) && gone > parity
        };
        short.extend(class.groups.iter().filter(is_short).map(|group| group.id));
    }
    short
}

fn removes(map: &ClusterMap, disk: &MapDisk) -> bool {
    let node = map.nodes.iter().find(|node| node.node == disk.node);
    disk.intent.removes() || node.is_some_and(|node| node.intent.removes())
}

fn losses_text(losses: &Losses, is_accepted: bool) -> String {
    let mut out = format!("{} chunks on record cannot be rebuilt without it", losses.chunks.len());
    out += if is_accepted { ", and are given up:\n" } else { ":\n" };
    for LostObject { chunk, bucket, key } in losses.contents.iter().take(NAMED_MAX) {
        let bucket = bucket.as_ref().map_or("", BucketName::as_str);
        let key = key.as_ref().map_or(String::new(), |key| key.as_bytes().escape_ascii().to_string());
        out += &format!("  {bucket}/{key} (chunk {chunk})\n");
    }
    if losses.chunks.len() > NAMED_MAX {
        out += &format!("  and {} more\n", losses.chunks.len() - NAMED_MAX);
    }
    out
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
    use std::collections::BTreeSet;

    use metadata_api::{ClusterMap, PlacementGroup, StorageClass, StorageClassDefinition};
    use types::{BucketName, ChunkId, DiskId, GroupId, LeaseId, ObjectKey, StorageClassName};
    use worker::{Losses, LostObject};

    use super::{NAMED_MAX, losses_text, short_groups};

    #[test]
    fn only_groups_that_lost_more_than_they_can_are_looked_through() {
        let disk = |number: u8| DiskId([number; 16]);
        let class = |coding: &str, first: i32, groups: &[&[u8]]| StorageClass {
            definition: StorageClassDefinition {
                name: StorageClassName::standard(),
                coding: coding.parse().unwrap(),
                inline_limit_bytes: 0,
                whole_limit_bytes: 0,
                groups: groups.len() as u32,
                medium: None,
            },
            is_former: false,
            groups: (first..)
                .zip(groups)
                .map(|(id, disks)| PlacementGroup {
                    id: GroupId(id),
                    disks: disks.iter().copied().map(disk).collect(),
                    moves: Vec::new(),
                    changed_epoch: 1,
                })
                .collect(),
        };
        let classes = vec![
            class("2+1", 1, &[&[0, 1, 2], &[0, 4, 5], &[4, 5, 6]]),
            class("1+0", 10, &[&[0], &[1], &[4]]),
        ];
        let map = ClusterMap { classes, ..ClusterMap::default() };
        let short = |lost: &[u8], of: u8| -> Vec<i32> {
            let lost: BTreeSet<DiskId> = lost.iter().copied().map(disk).collect();
            short_groups(&map, &lost, &[disk(of)]).into_iter().map(|group| group.0).collect()
        };
        assert_eq!(short(&[0], 0), [10]);
        assert_eq!(short(&[0, 1], 0), [1, 10]);
        assert_eq!(short(&[0, 1], 1), [1, 11]);
        assert_eq!(short(&[0, 1], 4), [0; 0]);
    }

    #[test]
    fn what_is_lost_is_counted_and_named_without_what_controls_a_terminal() {
        let chunk = |counter| ChunkId { lease: LeaseId(1), counter };
        let object = |counter| LostObject {
            chunk: chunk(counter),
            bucket: Some(BucketName::new("bucket").unwrap()),
            key: Some(ObjectKey::new(b"a\x1b[2J".to_vec()).unwrap()),
        };
        let count = NAMED_MAX as u64 + 3;
        let losses =
            Losses { chunks: (0..count).map(chunk).collect(), contents: (0..count).map(object).collect() };
        let text = losses_text(&losses, false);
        assert!(text.starts_with("23 chunks on record cannot be rebuilt without it:\n"), "{text}");
        assert!(text.contains("bucket/a\\x1b[2J") && !text.contains('\x1b'), "{text}");
        assert!(text.ends_with("and 3 more\n"), "{text}");
        assert!(losses_text(&losses, true).contains("and are given up"));
    }
}
