//! An operator who drains disks and nodes, takes that back and removes disks, while clients work and things go wrong.
//!
//! A drain has ended when no group and no eviction names the disk. From then on, and until it serves again, the disk holds
//! nothing that a version or part names. A disk that was removed is pulled out as soon as it is gone, with all that may
//! still be on it, and an empty one takes its place; what only it had is missed by the audit in the end.
//!
//! A disk that falls silent while it is to be removed counts as lost, so no other is destroyed meanwhile.

use std::{collections::BTreeSet, sync::Arc};

use env::Env;
use metadata_api::{ClusterMap, DiskState, Eviction, Intent, Metadata, PAGE_SIZE_MAX};
use types::{DiskId, NodeId};

use crate::{
    audit::{named, shards},
    history::History,
    life::Standing,
    loss::{self, Losses},
    process::Process,
    rng::Rng,
    role::{Role, chunk_client},
    site::Site,
    time,
};

/// The operator.
pub(crate) struct DiskOperator {
    pub(crate) site: Arc<Site>,
    pub(crate) rng: Rng,
    pub(crate) env: Env,
    pub(crate) processes: Vec<Arc<Process>>,
    pub(crate) losses: Losses,
    pub(crate) history: History,
}

/// What is drained: a disk, or a node with all of its disks.
#[derive(Debug, Clone)]
struct Member {
    node: Option<NodeId>,
    disks: Vec<DiskId>,
}

impl DiskOperator {
    /// Drains or removes something, up to twice.
    pub(crate) async fn work(mut self) {
        for _ in 0..self.rng.below(3) {
            time::sleep_ms(self.rng.between(500, 12_000)).await;
            let Some(member) = self.choose().await else { continue };
            if self.rng.once_in(2) && self.may_remove(&member).await {
                self.remove(&member).await;
                self.losses.end_removal();
            } else {
                self.drain(&member).await;
            }
        }
    }

    fn note(&self, what: &'static str, member: &Member, numbers: [u64; 3]) {
        let name = match member.node {
            Some(node) => node.to_string(),
            None => member.disks.iter().map(DiskId::to_string).collect(),
        };
        self.site.trace.event(what, &name.into(), numbers);
    }

    async fn map(&self) -> Option<ClusterMap> {
        self.site.database.cluster_map(None).await.ok().flatten()
    }

    /// Some disk that is there, or its node.
    async fn choose(&mut self) -> Option<Member> {
        let map = self.map().await?;
        // What was destroyed is its replacer's business, and so is its node.
        let lost = self.losses.disks();
        let is_lost =
            |node: NodeId| map.disks.iter().any(|disk| disk.node == node && lost.contains(&disk.disk));
        let there: Vec<_> =
            map.disks.iter().filter(|disk| disk.state == DiskState::Up && !is_lost(disk.node)).collect();
        if there.is_empty() {
            return None;
        }
        let (disk, node) = {
            let chosen = self.rng.pick(&there);
            (chosen.disk, chosen.node)
        };
        if !self.rng.once_in(3) {
            return Some(Member { node: None, disks: vec![disk] });
        }
        let of_node = map.disks.iter().filter(|disk| disk.node == node && disk.state != DiskState::Gone);
        Some(Member { node: Some(node), disks: of_node.map(|disk| disk.disk).collect() })
    }

    /// Whether the cluster bears the loss of the member, and nothing else is destroyed until that is over.
    async fn may_remove(&self, member: &Member) -> bool {
        let missing = self.site.database.list_missing(None, None, PAGE_SIZE_MAX).await;
        member.disks.len() == 1
            && missing.is_ok_and(|missing| missing.is_empty())
            && loss::unreplaced(&self.site, &self.losses).await.is_empty()
            && self.losses.begin_removal()
    }

    /// Says what is to become of the member. Whether that is taken.
    async fn say(&self, member: &Member, intent: Intent) -> bool {
        let database = &self.site.database;
        let said = match member.node {
            Some(node) => database.set_node_intent(node, intent).await,
            None => database.set_disk_intent(member.disks[0], intent).await,
        };
        self.note("intent", member, [intent as u64, u64::from(said.is_ok()), 0]);
        said.is_ok()
    }

    async fn drain(&mut self, member: &Member) {
        if !self.say(member, Intent::Drain).await {
            return;
        }
        let until = time::now() + std::time::Duration::from_millis(self.rng.between(1000, 30_000));
        while time::now() < until {
            if self.is_empty(member).await {
                self.history.count(|counts| counts.drained += 1);
                self.note("drained", member, [0; 3]);
                break;
            }
            time::sleep_ms(500).await;
        }
        // What was destroyed meanwhile is to be removed by now, which is not taken back.
        while !self.is_lost(member) {
            if self.say(member, Intent::Serve).await {
                return self.history.count(|counts| counts.taken_back += 1);
            }
            let lost = self.losses.disks();
            let is_hit = member.disks.iter().any(|disk| lost.contains(disk));
            assert!(is_hit, "a drain cannot be taken back");
            // Its node has another disk that was destroyed, and that has to be gone before.
            time::sleep_ms(2000).await;
        }
    }

    /// Whether all that the member has was destroyed.
    fn is_lost(&self, member: &Member) -> bool {
        let lost = self.losses.disks();
        member.disks.iter().all(|disk| lost.contains(disk))
    }

    /// Whether the member's drain has ended, and nothing is on it then; false while its services do not answer.
    async fn is_empty(&self, member: &Member) -> bool {
        let Ok((map, evictions)) = self.site.database.progress().await else { return false };
        if !member.disks.iter().all(|disk| has_left(&map, &evictions, *disk)) {
            return false;
        }
        for disk in &member.disks {
            let node = map.disks.iter().find(|known| known.disk == *disk).map(|known| known.node);
            let Some(node) = map.nodes.iter().find(|known| Some(known.node) == node) else { return false };
            let Ok(held) = shards(&*chunk_client(&self.env, &node.address, types::Role::Worker), *disk).await
            else {
                return false;
            };
            let named = named(&self.site).await;
            let held: Vec<String> = held
                .iter()
                .filter(|shard| named.contains_key(&shard.chunk))
                .map(ToString::to_string)
                .collect();
            assert!(held.is_empty(), "{disk} was drained and holds what is named: {}", held.join(", "));
        }
        true
    }

    async fn remove(&mut self, member: &Member) {
        if !self.say(member, Intent::Remove).await {
            return;
        }
        let until = time::now() + std::time::Duration::from_millis(self.rng.between(1000, 30_000));
        while !self.is_gone(member).await {
            if time::now() > until {
                // Where nothing can be moved to, the operator thinks better of it or pulls the disk all the same. One that
                // was silent may have what is forgotten, and cannot serve any more.
                let thinks_better = self.site.calm || self.rng.once_in(2);
                if thinks_better && self.say(member, Intent::Serve).await {
                    return self.history.count(|counts| counts.taken_back += 1);
                }
                break;
            }
            time::sleep_ms(300).await;
        }
        self.history.count(|counts| counts.disks_removed += 1);
        let is_gone = self.is_gone(member).await;
        self.note("removed", member, [u64::from(is_gone), 0, 0]);
        if !is_gone {
            self.losses.add(member.disks[0]);
        }
        if !self.site.calm {
            self.pull(member.disks[0]).await;
        }
    }

    async fn is_gone(&self, member: &Member) -> bool {
        let Some(map) = self.map().await else { return false };
        let gone = |disk: &DiskId| {
            map.disks.iter().any(|known| known.disk == *disk && known.state == DiskState::Gone)
        };
        member.disks.iter().all(gone)
    }

    /// Takes a disk out of its machine and puts an empty one in its place.
    async fn pull(&mut self, disk: DiskId) {
        let services = self.processes.iter().filter(|process| process.role == Role::Chunk);
        let mut places =
            services.flat_map(|process| process.folders.iter().map(move |folder| (process, folder)));
        let place = places.find(|(process, folder)| loss::identity(process, folder) == Some(disk));
        // It was destroyed in the meantime, and another is there.
        let Some((process, folder)) = place.map(|(process, folder)| (process.clone(), folder.clone())) else {
            return;
        };
        process.disk.destroy(&folder);
        process.kill(Standing::PowerLost);
        time::sleep_ms(self.rng.between(500, 1500)).await;
        process.disk.replace(&folder);
        // If another has started it since: a service that misses a disk makes no new one; the next start of it does.
        process.kill(Standing::Killed);
        time::sleep_ms(self.rng.between(10, 1000)).await;
        process.want();
    }
}

/// Whether nothing of the disk is left to be moved away or evicted, while it answers: what one has that does not is not told.
fn has_left(map: &ClusterMap, evictions: &[Eviction], disk: DiskId) -> bool {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let named: BTreeSet<DiskId> = groups.flat_map(|group| group.named_disks()).collect();
    let answers = |known: &&metadata_api::MapDisk| known.state == DiskState::Up && !known.failed;
    map.disks.iter().filter(answers).any(|known| known.disk == disk)
        && !named.contains(&disk)
        && evictions.iter().all(|eviction| eviction.disk != disk)
}
