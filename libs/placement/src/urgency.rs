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

/// Puts moves in the order in which they should be begun.
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
) -> Vec<SlotMove> {
    let spares: Vec<isize> = current.iter().map(|group| spare_shards(group, coding, &is_up)).collect();
    let mut rebuilt = vec![0_isize; current.len()];
    moves.sort_by_key(|slot| (slot.group, slot.index));
    let mut key = |slot: &SlotMove| {
        let spare = spares.get(slot.group).copied().unwrap_or(isize::MAX);
        let blocked = spare < 0 && !is_up(slot.from);
        let mut level = spare;
        if let Some(rebuilt) = rebuilt.get_mut(slot.group).filter(|_| slot.reason == Reason::Lost) {
            level += *rebuilt;
            *rebuilt += 1;
        }
        (blocked, slot.reason, level, slot.index, slot.group)
    };
    let mut keyed: Vec<_> = moves.into_iter().map(|slot| (key(&slot), slot)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, slot)| slot).collect()
}

#[cfg(test)]
mod tests {
    use types::{Coding, DiskId};

    use super::{most_urgent_first, spare_shards};
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
        group.moves = vec![PendingMove { index: 1, to: disk(9) }];
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
        let order: Vec<(usize, usize)> = sorted.iter().map(|slot| (slot.group, slot.index)).collect();
        // After its first slot the twofold loss is as safe as the single one, and further back.
        assert_eq!(order, [(2, 1), (1, 0), (2, 5), (1, 4), (3, 5), (0, 3), (2, 2), (0, 1), (3, 0)]);
        let mut reversed = moves;
        reversed.reverse();
        assert_eq!(most_urgent_first(reversed, &current, coding(), |id| id.0[0] < 90), sorted);
    }
}
