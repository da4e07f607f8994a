//! Moves of placement groups and the evictions that they leave.

use types::{DiskId, GroupId, ShardIndex};

use super::{
    cluster::{Cluster, disks_of},
    malformed,
};
use crate::{DiskState, Error, Eviction, FormerTarget, NewMove, PAGE_SIZE_MAX, PlacementGroup, ShardMove};

impl Cluster {
    pub(super) fn begin_moves(&mut self, expected_epoch: i64, moves: &[NewMove]) -> Result<i64, Error> {
        if moves.len() > PAGE_SIZE_MAX {
            return Err(malformed("too many moves"));
        }
        if self.epoch != expected_epoch {
            return Err(Error::StaleMap { epoch: self.epoch });
        }
        if moves.is_empty() {
            return Ok(self.epoch);
        }
        // All or none: what is refused half-way leaves the classes as they were.
        let before = (self.classes.clone(), self.former.clone());
        let since = self.epoch + 1;
        for new in moves {
            if let Err(error) = self.begin_move(new, since) {
                (self.classes, self.former) = before;
                return Err(error);
            }
        }
        self.begin_losses(moves);
        self.epoch = since;
        self.places_epoch = since;
        Ok(since)
    }

    fn begin_move(&mut self, new: &NewMove, since: i64) -> Result<(), Error> {
        let disk = self.disk(new.to).ok_or_else(|| malformed("the disk is not known"))?;
        if !self.is_used(disk) {
            return Err(malformed("the disk does not serve"));
        }
        if !self.is_medium_of(disk, new.group) {
            return Err(malformed("the disk is of another medium than the group's class"));
        }
        let evicted = |eviction: &Eviction| {
            (eviction.disk, eviction.group, eviction.index) == (new.to, new.group, new.index)
        };
        if self.evictions.iter().any(evicted) {
            return Err(malformed("the disk still has to evict these shards"));
        }
        let group = self.group(new.group).ok_or_else(|| malformed("the group is not known"))?;
        if usize::from(new.index.0) >= group.disks.len() {
            return Err(malformed("the group has no such index"));
        }
        if group.move_of(new.index).is_some() {
            return Err(malformed("the index is on its way already"));
        }
        if disks_of(group).any(|disk| disk == new.to) {
            return Err(malformed("the group would have two shards on a disk"));
        }
        group.moves.push(ShardMove { index: new.index, to: new.to, since, redirected: false });
        group.moves.sort_by_key(|pending| pending.index);
        group.changed_epoch = since;
        Ok(())
    }

    /// A pending move's group, the move's place in it, and the disk that the move leaves.
    fn pending(
        &mut self,
        group: GroupId,
        index: ShardIndex,
        since: i64,
    ) -> Result<(&mut PlacementGroup, usize, DiskId), Error> {
        let group = self.group(group).ok_or(Error::MoveNotFound)?;
        let same = |pending: &ShardMove| pending.index == index && pending.since == since;
        let place = group.moves.iter().position(same).ok_or(Error::MoveNotFound)?;
        let from = group.disks[usize::from(index.0)];
        Ok((group, place, from))
    }

    pub(super) fn finish_move(&mut self, id: GroupId, index: ShardIndex, since: i64) -> Result<(), Error> {
        let epoch = self.epoch + 1;
        let (group, place, from) = self.pending(id, index, since)?;
        let finished = group.moves.remove(place);
        group.disks[usize::from(index.0)] = finished.to;
        group.changed_epoch = epoch;
        self.epoch = epoch;
        self.evictions.insert(Eviction { disk: from, group: id, index, epoch });
        self.finish_losses();
        self.settle_removed();
        Ok(())
    }

    pub(super) fn reverse_move(&mut self, id: GroupId, index: ShardIndex, since: i64) -> Result<i64, Error> {
        let epoch = self.epoch + 1;
        let (group, place, from) = self.pending(id, index, since)?;
        group.disks[usize::from(index.0)] = group.moves[place].to;
        let redirected = group.moves[place].redirected;
        group.moves[place] = ShardMove { index, to: from, since: epoch, redirected };
        group.changed_epoch = epoch;
        self.epoch = epoch;
        self.places_epoch = epoch;
        Ok(epoch)
    }

    pub(super) fn redirect_move(
        &mut self,
        id: GroupId,
        index: ShardIndex,
        since: i64,
        to: DiskId,
    ) -> Result<i64, Error> {
        let epoch = self.epoch + 1;
        let (group, place, _) = self.pending(id, index, since)?;
        if group.moves[place].to == to {
            return Err(malformed("the index moves there already"));
        }
        let lost = group.moves.remove(place);
        if let Err(error) = self.begin_move(&NewMove { group: id, index, to }, epoch) {
            let group = self.group(id).ok_or(Error::MoveNotFound)?;
            group.moves.insert(place, lost);
            return Err(error);
        }
        let redirected = self.group(id).ok_or(Error::MoveNotFound)?;
        redirected.moves[place].redirected = true;
        self.epoch = epoch;
        self.places_epoch = epoch;
        self.evictions.insert(Eviction { disk: lost.to, group: id, index, epoch });
        self.begin_loss(lost.to);
        self.finish_losses();
        self.settle_removed();
        Ok(epoch)
    }

    pub(super) fn former_targets(
        &self,
        group: GroupId,
        index: ShardIndex,
    ) -> impl Iterator<Item = FormerTarget> {
        let of_index = move |eviction: &&Eviction| eviction.group == group && eviction.index == index;
        self.evictions.iter().filter(of_index).map(|it| FormerTarget { index: it.index, disk: it.disk })
    }

    /// A disk that is away or has failed keeps its evictions waiting, without holding up those of others.
    pub(super) fn list_evictions(&self, after: Option<Eviction>) -> Vec<Eviction> {
        let is_up = |eviction: &&Eviction| {
            self.disk(eviction.disk)
                .is_some_and(|disk| self.state(disk) == DiskState::Up && !disk.report.failed)
        };
        let is_behind = |eviction: &&Eviction| after.is_none_or(|after| eviction.key() > after.key());
        self.evictions.iter().filter(is_behind).filter(is_up).take(PAGE_SIZE_MAX).copied().collect()
    }
}
