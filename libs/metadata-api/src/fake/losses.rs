//! What the cluster has seen of its disks.

use std::{collections::BTreeSet, time::Duration};

use types::{DiskId, Timestamp};

use super::cluster::{Cluster, disks_of};
use crate::{DiskHistory, DiskState, NewMove};

/// A time that shards were rebuilt elsewhere because their disk was lost.
#[derive(Debug)]
pub(super) struct Loss {
    disk: DiskId,
    lost: Timestamp,
    rebuilt: Option<Timestamp>,
}

impl Cluster {
    fn is_lost(&self, id: DiskId) -> bool {
        let disk = self.disk(id);
        disk.is_some_and(|disk| match self.state(disk) {
            DiskState::Down => true,
            DiskState::Up => disk.report.failed,
            DiskState::Gone => false,
        })
    }

    pub(super) fn begin_losses(&mut self, moves: &[NewMove]) {
        let from: BTreeSet<DiskId> = moves
            .iter()
            .filter_map(|new| self.group(new.group)?.disks.get(usize::from(new.index.0)).copied())
            .collect();
        for disk in from {
            let is_open = self.losses.iter().any(|loss| loss.disk == disk && loss.rebuilt.is_none());
            if self.is_lost(disk) && !is_open {
                self.losses.push(Loss { disk, lost: self.now, rebuilt: None });
            }
        }
    }

    pub(super) fn finish_losses(&mut self) {
        let named: BTreeSet<DiskId> = self.groups().flat_map(disks_of).collect();
        for loss in &mut self.losses {
            if loss.rebuilt.is_none() && !named.contains(&loss.disk) {
                loss.rebuilt = Some(self.now);
            }
        }
    }

    pub(super) fn forget_losses(&mut self) {
        let open: Vec<DiskId> =
            self.losses.iter().filter(|loss| loss.rebuilt.is_none()).map(|loss| loss.disk).collect();
        let back: BTreeSet<DiskId> = open.into_iter().filter(|disk| !self.is_lost(*disk)).collect();
        self.losses.retain(|loss| loss.rebuilt.is_some() || !back.contains(&loss.disk));
    }

    pub(super) fn disk_history(&self) -> DiskHistory {
        let mut history = DiskHistory { losses: self.losses.len() as u64, ..DiskHistory::default() };
        for loss in &self.losses {
            if let Some(rebuilt) = loss.rebuilt {
                let took = between(loss.lost, rebuilt);
                history.rebuilt += 1;
                history.rebuilding += took;
                history.longest_rebuild = history.longest_rebuild.max(took);
            }
        }
        for (id, disk) in self.all_disks() {
            let last = self.losses.iter().rev().find(|loss| loss.disk == id && self.is_lost(id));
            let end = [last.map(|loss| loss.lost), disk.gone_at].into_iter().flatten().min();
            history.disks += 1;
            history.observed += between(disk.first, end.unwrap_or(self.now));
        }
        history
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(to.0 - from.0).unwrap_or(0))
}
