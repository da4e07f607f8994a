//! Which moves come first.

use types::{Coding, DiskId};

use crate::{CurrentGroup, Reason, SlotMove};

/// Shards that a group can lose before it cannot be read: those on disks that are up, less k. Negative when it cannot
/// be read now. A slot that is being moved counts when both of its disks are up, since its shards are on either.
pub fn spare_shards(group: &CurrentGroup, coding: Coding, is_up: impl Fn(DiskId) -> bool) -> isize {
    let whole = |(index, disk): &(usize, &DiskId)| {
        let mut pending = group.moves.iter().filter(|pending| pending.index == *index);
        is_up(**disk) && pending.all(|pending| is_up(pending.to))
    };
    let up = group.disks.iter().enumerate().filter(whole).count();
    up.cast_signed() - coding.data().cast_signed()
}

/// Whether a slot of a group can be neither copied nor rebuilt now: its disk is not up, and the group cannot be read.
pub fn is_blocked(
    group: &CurrentGroup,
    index: usize,
    coding: Coding,
    is_up: impl Fn(DiskId) -> bool,
) -> bool {
    let from_is_up = group.disks.get(index).is_some_and(|disk| is_up(*disk));
    !from_is_up && spare_shards(group, coding, is_up) < 0
}

/// How urgent a move is, of whatever class: the least comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency {
    /// Nothing can be done about it now; see [`is_blocked`].
    pub is_blocked: bool,
    /// Why the slot is to be moved.
    pub reason: Reason,
    /// Spare shards of its group, and of lost slots those of it that come before.
    pub spare: isize,
}

/// Puts moves in the order in which they should be begun, each with its urgency.
///
/// Lost slots first, those of the groups with the fewest spare shards before others; each rebuilt slot counts as a
/// spare shard for the next one of its group, and of equals the slot nearer the front goes first, because the first
/// m + 1 hold the copies of small objects. Then slots that stand too close together, draining ones and balance, likewise
/// by spare shards. Last come slots whose disk is not up in groups that cannot be read now: they can be neither
/// copied nor rebuilt, and would hold up the others.
///
/// `current` are the groups that [`remap`](crate::remap) was given for the moves.
pub fn most_urgent_first(
    mut moves: Vec<SlotMove>,
    current: &[CurrentGroup],
    coding: Coding,
    is_up: impl Fn(DiskId) -> bool,
) -> Vec<(Urgency, SlotMove)> {
    let spares: Vec<isize> = current.iter().map(|group| spare_shards(group, coding, &is_up)).collect();
    let mut rebuilt = vec![0_isize; current.len()];
    moves.sort_by_key(|slot| (slot.group, slot.index));
    let mut key = |slot: &SlotMove| {
        let mut spare = spares.get(slot.group).copied().unwrap_or(isize::MAX);
        let is_blocked = spare < 0 && !is_up(slot.from);
        if let Some(rebuilt) = rebuilt.get_mut(slot.group).filter(|_| slot.reason == Reason::Lost) {
            spare += *rebuilt;
            *rebuilt += 1;
        }
        Urgency { is_blocked, reason: slot.reason, spare }
    };
    let mut keyed: Vec<_> = moves.into_iter().map(|slot| (key(&slot), slot)).collect();
    keyed.sort_by_key(|(urgency, slot)| (*urgency, slot.index, slot.group));
    keyed
}

#[cfg(test)]
mod tests {
    use types::{Coding, DiskId};

    use super::{Urgency, is_blocked, most_urgent_first, spare_shards};
    use crate::{CurrentGroup, PendingMove, Reason, SlotMove};

    fn disk(number: u8) -> DiskId {
        DiskId([number; 16])
    }

    fn group(disks: [u8; 6]) -> CurrentGroup {
        CurrentGroup { disks: disks.map(disk).to_vec(), moves: Vec::new() }
    }

    fn slot(group: usize, index: usize, from: u8, reason: Reason) -> SlotMove {
        SlotMove { group, index, from: disk(from), to: disk(200), reason }
    }

    fn coding() -> Coding {
        "4+2".parse().unwrap()
    }

    #[test]
    fn spare_shards_are_those_beyond_k_on_disks_that_are_up() {
        let down = |downs: &'static [u8]| move |id: DiskId| !downs.contains(&id.0[0]);
        let mut group = group([1, 2, 3, 4, 5, 6]);
        assert_eq!(spare_shards(&group, coding(), down(&[])), 2);
        assert_eq!(spare_shards(&group, coding(), down(&[2, 9])), 1);
        assert_eq!(spare_shards(&group, coding(), down(&[1, 2, 3])), -1);
        // Its shards are partly here, partly there.
        group.moves = vec![PendingMove { index: 1, to: disk(9), is_stuck: false }];
        assert_eq!(spare_shards(&group, coding(), down(&[])), 2);
        assert_eq!(spare_shards(&group, coding(), down(&[9])), 1);
        assert_eq!(spare_shards(&group, coding(), down(&[2])), 1);
    }

    #[test]
    fn the_most_endangered_group_is_rebuilt_first() {
        let current = [
            group([1, 2, 3, 4, 5, 6]),    // nothing lost
            group([90, 2, 3, 4, 5, 6]),   // one lost
            group([1, 91, 3, 4, 5, 90]),  // two lost
            group([92, 91, 90, 4, 5, 6]), // not to be read
        ];
        let moves = vec![
            slot(0, 1, 2, Reason::Balance),
            slot(0, 3, 4, Reason::Draining),
            slot(1, 0, 90, Reason::Lost),
            slot(1, 4, 5, Reason::Spread),
            slot(2, 1, 91, Reason::Lost),
            slot(2, 2, 3, Reason::Balance),
            slot(2, 5, 90, Reason::Lost),
            slot(3, 0, 92, Reason::Lost),
            slot(3, 5, 6, Reason::Draining),
        ];
        let sorted = most_urgent_first(moves.clone(), &current, coding(), |id| id.0[0] < 90);
        let order: Vec<(usize, usize)> = sorted.iter().map(|(_, slot)| (slot.group, slot.index)).collect();
        // After its first slot the twofold loss is as safe as the single one, and further back.
        assert_eq!(order, [(2, 1), (1, 0), (2, 5), (1, 4), (3, 5), (0, 3), (2, 2), (0, 1), (3, 0)]);
        assert_eq!(sorted[2].0, Urgency { is_blocked: false, reason: Reason::Lost, spare: 1 });
        assert_eq!(sorted[8].0, Urgency { is_blocked: true, reason: Reason::Lost, spare: -1 });
        let blocked = |slot: usize| is_blocked(&current[3], slot, coding(), |id| id.0[0] < 90);
        assert_eq!([0, 2, 3, 5].map(blocked), [true, true, false, false]);
        let mut reversed = moves;
        reversed.reverse();
        assert_eq!(most_urgent_first(reversed, &current, coding(), |id| id.0[0] < 90), sorted);
    }
}
