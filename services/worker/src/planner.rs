//! Decides which shards of which placement groups move where, when disks come, go, fill up or are to be emptied.
//!
//! Where every group should be is `placement`'s business; this loop says which disks are lost, which are to be emptied
//! and which take more, begins a bounded number of the moves, the most urgent first, and sends moves elsewhere whose
//! target was lost or has no room for them. It also defines the storage classes of a cluster whose operator defined none.

mod classes;
mod disks;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use env::Instant;
use metadata_api::{
    ClusterMap, Error, MassLoss, NewMove, PlacementGroup, ShardMove, StorageClass, StorageClassDefinition,
};
use placement::{CurrentGroup, DiskState, Reason, Remap, RemapDisk, SlotMove, Urgency, is_blocked};
use types::{Coding, DiskId, GroupId, ShardIndex};

use self::{
    classes::Defaults,
    disks::{Condition, Watch},
};
use crate::{context::Context, jobs::Progress, mover};

/// Pause between looks.
const PERIOD: Duration = Duration::from_secs(3);

/// Pause before a look by a newer map.
const STALE_PAUSE: Duration = Duration::from_millis(200);

/// A move that has been pending for so long waits for something: it does not keep others from being begun.
const STALLED_AFTER: Duration = Duration::from_secs(600);

/// Most pending moves, those that wait included, as a multiple of how many are under way.
const PENDING_FACTOR: usize = 8;

/// Plans as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let mut planner = Planner {
        watch: Watch::new(context.options.down_after()),
        defaults: Defaults::default(),
        settled: None,
        pending: Pending::default(),
        under_way: UnderWay::default(),
        mass_loss: None,
    };
    loop {
        match planner.look(&context, &progress).await {
            // The map has changed meanwhile.
            Err(Error::StaleMap { .. }) => context.pause(STALE_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "moves were not planned");
                context.pause(PERIOD).await;
            }
            Ok(()) => context.pause(PERIOD).await,
        }
    }
}

struct Planner {
    watch: Watch,
    defaults: Defaults,
    /// What was planned for last, with nothing left to begin.
    settled: Option<(i64, BTreeMap<DiskId, Condition>)>,
    pending: Pending,
    under_way: UnderWay,
    /// Whether so many disks are silent that nothing of them is rebuilt.
    mass_loss: Option<MassLoss>,
}

impl Planner {
    async fn look(&mut self, context: &Context, progress: &Progress) -> Result<(), Error> {
        let map = context.map().await?;
        let conditions = self.watch.look(&map, context.env.now());
        let stalled = self.pending.look(&map, context.env.now());
        self.tell_mass_loss(map.mass_loss());
        progress.add(self.under_way.look(&map));
        // A restored map may not know where shards have moved since. An operator follows them first: a move that begins before, be it
        // of what seems lost, would stand in the way of that.
        if map.is_frozen {
            return Ok(());
        }
        for class in self.defaults.look(&map, context.env.now()) {
            define(context, class).await?;
        }
        if self.settled.as_ref().is_some_and(|(epoch, before)| *epoch == map.epoch && *before == conditions) {
            return Ok(());
        }
        let evictions = metadata_api::all_evictions(&*context.metadata).await?;
        let evicted =
            evictions.iter().map(|eviction| (eviction.disk, eviction.group, eviction.index)).collect();
        let disks = Disks { conditions: &conditions, evicted: &evicted, stalled: &stalled };
        let mut wishes = Vec::new();
        for class in map.classes.iter().filter(|class| !class.groups.is_empty()) {
            wishes.push(remap(context, class, &map, &disks).await?);
        }
        let homeless: usize = wishes.iter().map(|of_class| of_class.homeless).sum();
        let wishes = in_order(wishes.into_iter().map(|of_class| of_class.wishes).collect());
        let plan = Plan::new(&map, &disks, wishes, context.options.moves_pending);
        progress.set_left((plan.to_go + homeless) as u64);
        if plan.is_empty() {
            if plan.left == 0 {
                self.settled = Some((map.epoch, conditions));
            }
            return Ok(());
        }
        self.settled = None;
        for change in &plan.changes {
            change_target(context, change).await;
        }
        // Whoever changed a target has made the map newer; the rest is planned by that.
        if plan.changes.is_empty() {
            begin(context, map.epoch, &plan.begin).await?;
        }
        Ok(())
    }
}

impl Planner {
    fn tell_mass_loss(&mut self, now: Option<MassLoss>) {
        match (self.mass_loss, now) {
            (None, Some(MassLoss { silent, disks })) => tracing::warn!(
                silent,
                disks,
                "too many disks are silent at once: their shards are not rebuilt until some return, or are to be removed"
            ),
            (Some(_), None) => tracing::info!("what is silent is rebuilt elsewhere again"),
            _ => {}
        }
        self.mass_loss = now;
    }
}

/// Defines a storage class, unless somebody else just did.
async fn define(context: &Context, class: StorageClassDefinition) -> Result<(), Error> {
    let (name, coding) = (class.name.clone(), class.coding);
    match context.metadata.define_storage_class(class).await {
        Ok(()) if coding.parity() == 0 => {
            tracing::warn!(%name, %coding, "defined a storage class by the disks that are there: no disk may be lost");
        }
        Ok(()) => tracing::info!(%name, %coding, "defined a storage class by the disks that are there"),
        Err(Error::Malformed { reason }) => {
            tracing::info!(reason, "a storage class is kept as somebody else defined it");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Sends a move elsewhere whose target was lost or has filled up.
async fn change_target(context: &Context, change: &TargetChange) {
    let TargetChange { group, index, since, to, is_reversal, leaves_shards } = *change;
    if leaves_shards {
        match context.metadata.list_missing(Some(group), None, 1).await {
            Ok(missing) if missing.is_empty() => {}
            // The target may have what others lack.
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, group = group.0, index = index.0, "a move whose target is full was not changed");
                return;
            }
        }
    }
    let changed = if is_reversal {
        context.metadata.reverse_move(group, index, since).await
    } else {
        context.metadata.redirect_move(group, index, since, to).await
    };
    match changed {
        Ok(epoch) => {
            tracing::info!(group = group.0, index = index.0, %to, epoch, "a move whose target was lost or has filled up goes elsewhere");
        }
        // It was finished or changed meanwhile.
        Err(Error::MoveNotFound) => {}
        Err(error) => {
            tracing::warn!(%error, group = group.0, index = index.0, %to, "a move whose target was lost or has filled up was not changed");
        }
    }
}

/// Begins moves by the map of `epoch`, together if that is possible.
async fn begin(context: &Context, epoch: i64, moves: &[NewMove]) -> Result<(), Error> {
    match context.metadata.begin_moves(epoch, moves).await {
        Ok(epoch) => {
            tracing::info!(moves = moves.len(), epoch, "began to move shards");
            Ok(())
        }
        // One that cannot begin must not hold up the others.
        Err(Error::Malformed { .. }) if moves.len() > 1 => {
            let mut begun = 0;
            let mut by = epoch;
            for one in moves {
                match context.metadata.begin_moves(by, std::slice::from_ref(one)).await {
                    Ok(epoch) => (by, begun) = (epoch, begun + 1),
                    Err(error @ Error::Malformed { .. }) => {
                        tracing::warn!(%error, ?one, "a move could not begin")
                    }
                    Err(error) => return Err(error),
                }
            }
            tracing::info!(moves = begun, epoch = by, "began to move shards");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Since when moves have been pending, as far as this worker has seen.
#[derive(Debug, Default)]
struct Pending {
    since: BTreeMap<mover::Key, Instant>,
}

impl Pending {
    /// Takes the moves of a map in, and answers those that have been pending for long.
    fn look(&mut self, map: &ClusterMap, now: Instant) -> BTreeSet<mover::Key> {
        let groups = map.classes.iter().flat_map(|class| &class.groups);
        let keys = groups.flat_map(|group| group.moves.iter().map(|it| (group.id, it.index, it.since)));
        let before = std::mem::take(&mut self.since);
        self.since = keys.map(|key| (key, before.get(&key).copied().unwrap_or(now))).collect();
        let stalled = self.since.iter().filter(|(_, since)| now.since(**since) >= STALLED_AFTER);
        stalled.map(|(key, _)| *key).collect()
    }
}

/// The moves of the map of the last look, and where they go.
#[derive(Debug, Default)]
struct UnderWay(BTreeMap<(GroupId, ShardIndex), DiskId>);

impl UnderWay {
    /// Takes a map in, and answers how many moves have ended where they went. Those that an operator took back have not.
    fn look(&mut self, map: &ClusterMap) -> u64 {
        let before = std::mem::take(&mut self.0);
        let mut ended = 0;
        for group in map.classes.iter().flat_map(|class| &class.groups) {
            self.0.extend(group.moves.iter().map(|pending| ((group.id, pending.index), pending.to)));
            let of_group = before.range((group.id, ShardIndex(0))..=(group.id, ShardIndex(u8::MAX)));
            // One that was turned round has its former target for a disk, and goes on.
            let has_ended = |index: &ShardIndex| group.move_of(*index).is_none();
            let arrived = of_group.filter(|((_, index), to)| {
                group.disks.get(usize::from(index.0)) == Some(to) && has_ended(index)
            });
            ended += arrived.count() as u64;
        }
        ended
    }
}

/// A slot that should be elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    group: GroupId,
    index: ShardIndex,
    from: DiskId,
    to: DiskId,
    urgency: Urgency,
}

/// What is wanted of a class.
struct Wishes {
    /// The most urgent first.
    wishes: Vec<Wish>,
    /// Slots that should be elsewhere, for which there is no disk.
    homeless: usize,
}

/// Which slots of a class should be elsewhere.
async fn remap(
    context: &Context,
    class: &StorageClass,
    map: &ClusterMap,
    known: &Disks<'_>,
) -> Result<Wishes, Error> {
    let disks = disks::of_class(class, map, known.conditions);
    let current: Vec<CurrentGroup> =
        class.groups.iter().map(|group| known.current(group, class.definition.coding)).collect();
    let up: BTreeSet<DiskId> =
        known.conditions.iter().filter(|(_, condition)| condition.is_up).map(|(disk, _)| *disk).collect();
    let coding = class.definition.coding;
    // With thousands of groups it takes seconds.
    let computing = context.env.spawn_blocking(move || urgent_moves(&current, &disks, coding, &up));
    let failed = |reason: String| Error::Internal { reason };
    let found = computing.await.ok_or_else(|| failed("planning was broken off".to_owned()))?;
    let (remap, moves) = found.map_err(|error| failed(error.to_string()))?;
    if remap.homeless > 0 {
        tracing::warn!(
            class = class.definition.name.as_str(),
            shards = remap.homeless,
            "placement groups lack disks: add some"
        );
    }
    let wish = |(urgency, slot): (Urgency, SlotMove)| {
        let group = class.groups.get(slot.group)?.id;
        let index = ShardIndex(u8::try_from(slot.index).ok()?);
        Some(Wish { group, index, from: slot.from, to: slot.to, urgency })
    };
    let wishes = moves.into_iter().filter_map(wish).filter(|wish| is_worth_it(class, wish)).collect();
    Ok(Wishes { wishes, homeless: remap.homeless })
}

/// The wishes of all classes, the most urgent first; the order within each class stays.
fn in_order(classes: Vec<Vec<Wish>>) -> Vec<Wish> {
    let mut wishes = classes.concat();
    wishes.sort_by_key(|wish| wish.urgency);
    wishes
}

/// What is in the groups of a former coding is to be re-encoded: it is kept safe, and not moved for the sake of balance.
fn is_worth_it(class: &StorageClass, wish: &Wish) -> bool {
    !class.is_former || wish.urgency.reason != Reason::Balance
}

fn urgent_moves(
    current: &[CurrentGroup],
    disks: &[RemapDisk],
    coding: Coding,
    up: &BTreeSet<DiskId>,
) -> Result<(Remap, Vec<(Urgency, SlotMove)>), placement::RemapError> {
    // The same seed as when the groups were first mapped.
    let mut remap = placement::remap(current, disks, coding, 0)?;
    let moves = std::mem::take(&mut remap.moves);
    let moves = placement::most_urgent_first(moves, current, coding, |disk| up.contains(&disk));
    Ok((remap, moves))
}

/// A pending move whose target was lost or has filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TargetChange {
    group: GroupId,
    index: ShardIndex,
    since: i64,
    to: DiskId,
    /// Whether it goes back to the disk that it leaves.
    is_reversal: bool,
    /// Whether what was written to the target alone is left on it, though it could be read.
    leaves_shards: bool,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    changes: Vec<TargetChange>,
    begin: Vec<NewMove>,
    /// Moves that are wanted and not to be begun now, and those to be begun.
    left: usize,
    /// Slots that are under way or wanted elsewhere.
    to_go: usize,
}

/// What is known of disks and moves beside the map.
struct Disks<'a> {
    conditions: &'a BTreeMap<DiskId, Condition>,
    /// What disks are still to be cleared of.
    evicted: &'a BTreeSet<(DiskId, GroupId, ShardIndex)>,
    /// Moves that have been pending for long.
    stalled: &'a BTreeSet<mover::Key>,
}

impl Disks<'_> {
    fn is_lost(&self, disk: &DiskId) -> bool {
        self.conditions.get(disk).is_none_or(|it| it.state == DiskState::Lost)
    }

    fn is_up(&self, disk: DiskId) -> bool {
        self.conditions.get(&disk).is_some_and(|it| it.is_up)
    }

    fn takes(&self, disk: &DiskId) -> bool {
        self.conditions.get(disk).is_some_and(|it| it.takes)
    }

    fn is_out_of_room(&self, disk: &DiskId) -> bool {
        self.conditions.get(disk).is_some_and(|it| it.is_out_of_room)
    }

    /// Whether a move cannot end because its target has not a byte of room left, and may go elsewhere. What was written to that
    /// target meanwhile is left there then, and rebuilt from the group's other disks: all of them have to have all of it, as
    /// far as can be seen here.
    fn is_stuck(&self, group: &PlacementGroup, pending: &ShardMove, coding: Coding) -> bool {
        let mut others = (0..=u8::MAX).zip(&group.disks).filter(|(index, _)| *index != pending.index.0);
        self.stalled.contains(&(group.id, pending.index, pending.since))
            && self.is_out_of_room(&pending.to)
            && group.moves.len() == 1
            && coding.parity() > 0
            && others.all(|(_, disk)| self.is_up(*disk) && !self.is_out_of_room(disk))
    }

    /// A group as placement knows it.
    fn current(&self, group: &PlacementGroup, coding: Coding) -> CurrentGroup {
        let mut current = group.placed();
        for (known, pending) in current.moves.iter_mut().zip(&group.moves) {
            known.is_stuck = self.is_stuck(group, pending, coding);
        }
        current
    }
}

/// How many moves may begin.
struct Room {
    lost: usize,
    others: usize,
    /// Those of which nothing can be brought over now: they take nothing from the others, which may be all that keeps
    /// objects from being lost, and a few of them are begun so that they end if there is nothing to bring over.
    blocked: usize,
    all: usize,
}

impl Room {
    fn new(map: &ClusterMap, disks: &Disks<'_>, pending_max: u32) -> Self {
        let (mut of_lost, mut of_any, mut blocked, mut all) = (0, 0, 0, 0);
        for class in &map.classes {
            for group in class.groups.iter().filter(|group| !group.moves.is_empty()) {
                let current = group.placed();
                for pending in &group.moves {
                    all += 1;
                    let index = usize::from(pending.index.0);
                    if disks.stalled.contains(&(group.id, pending.index, pending.since)) {
                        continue;
                    }
                    if is_blocked(&current, index, class.definition.coding, |disk| disks.is_up(disk)) {
                        blocked += 1;
                        continue;
                    }
                    of_any += 1;
                    of_lost += usize::from(group.disks.get(index).is_none_or(|disk| disks.is_lost(disk)));
                }
            }
        }
        let pending_max = usize::try_from(pending_max).unwrap_or(usize::MAX);
        let half = pending_max.div_ceil(2);
        // Half is kept free for what is urgent, and what is not urgent never stands in its way.
        Self {
            lost: pending_max.saturating_sub(of_lost),
            others: half.saturating_sub(of_any),
            blocked: half.saturating_sub(blocked),
            all: pending_max.saturating_mul(PENDING_FACTOR).saturating_sub(all),
        }
    }

    /// Takes the place of a move. Whether there was one.
    fn take(&mut self, urgency: Urgency) -> bool {
        let kind = match urgency {
            Urgency { is_blocked: true, .. } => &mut self.blocked,
            Urgency { reason: Reason::Lost, .. } => &mut self.lost,
            _ => &mut self.others,
        };
        let (Some(kind_left), Some(all_left)) = (kind.checked_sub(1), self.all.checked_sub(1)) else {
            return false;
        };
        (*kind, self.all) = (kind_left, all_left);
        if !urgency.is_blocked && urgency.reason == Reason::Lost {
            self.others = self.others.saturating_sub(1);
        }
        true
    }
}

impl Plan {
    /// What to do about the wishes, which come in the order of their urgency.
    fn new<'a>(map: &'a ClusterMap, disks: &Disks<'_>, wishes: Vec<Wish>, pending_max: u32) -> Self {
        let of_class = |class: &'a StorageClass| {
            class.groups.iter().map(|group| (group.id, (group, class.definition.coding)))
        };
        let groups: BTreeMap<GroupId, (&PlacementGroup, Coding)> =
            map.classes.iter().flat_map(of_class).collect();
        let mut room = Room::new(map, disks, pending_max);
        let mut plan = Self::default();
        // Those that wait for room are wanted elsewhere once they have waited for long, without any change of the map.
        let pending = groups.values().flat_map(|(group, _)| &group.moves);
        plan.to_go += pending.clone().count();
        plan.left += pending.filter(|pending| disks.is_out_of_room(&pending.to)).count();
        for Wish { group: id, index, to, urgency, from } in wishes {
            let Some((group, coding)) = groups.get(&id) else { continue };
            plan.to_go += usize::from(group.move_of(index).is_none());
            if disks.evicted.contains(&(to, id, index)) {
                plan.left += 1;
                continue;
            }
            if let Some(pending) = group.move_of(index) {
                let is_reversal = group.disks.get(usize::from(index.0)) == Some(&to);
                // A target that is only to be emptied, or has filled up of late, is moved on from when the move is finished.
                let is_given_up = disks.is_lost(&pending.to) || disks.is_stuck(group, pending, *coding);
                if is_given_up && disks.takes(&to) && pending.to == from {
                    plan.changes.push(TargetChange {
                        group: id,
                        index,
                        since: pending.since,
                        to,
                        is_reversal,
                        leaves_shards: !is_reversal && !disks.is_lost(&pending.to),
                    });
                }
                plan.left += 1;
                continue;
            }
            plan.left += 1;
            if disks.takes(&to) && room.take(urgency) {
                plan.begin.push(NewMove { group: id, index, to });
            }
        }
        plan
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.begin.is_empty()
    }
}

#[cfg(test)]
mod tests;
