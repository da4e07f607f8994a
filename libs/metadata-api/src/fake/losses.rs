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
    held_bytes: u64,
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
            self.begin_loss(disk);
        }
    }

    /// Writes down that the shards of a disk begin to be rebuilt, if it is lost.
    pub(super) fn begin_loss(&mut self, disk: DiskId) {
        let is_open = self.losses.iter().any(|loss| loss.disk == disk && loss.rebuilt.is_none());
        if self.is_lost(disk) && !is_open {
            let now = self.now;
            let report = self.disk(disk).map(|disk| &disk.report);
            let held_bytes =
                report.map_or(0, |report| report.capacity_bytes.saturating_sub(report.available_bytes));
            self.losses.push(Loss { disk, lost: now, rebuilt: None, held_bytes });
            if let Some(disk) = self.disk_mut(disk) {
                disk.stop_observing(now);
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
                history.measured_bytes += loss.held_bytes;
                history.measured_rebuilding += took;
            }
        }
        for disk in self.all_disks() {
            history.disks += 1;
            history.observed += disk.was_there;
            history.observed += disk.there_since.map_or(Duration::ZERO, |since| between(since, self.now));
        }
        history
    }
}

/// The time from one moment to a later one.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(to.0 - from.0).unwrap_or(0))
}
