//! How many shards of a chunk one failure domain of each level may hold.

use crate::tree::{LEVELS, Tree};

/// The caps for groups of `size` shards of which `parity` may be lost, for region, zone, rack and host; the group fits
/// the tree under them.
///
/// First come the losses that a group can survive: a cap of m at the host, then the rack, the zone and the region,
/// each when the domains suffice for it along with those before, because hosts fail more often than racks and racks
/// more often than zones. Then each cap is lowered, in the same order, as far as the domains allow, so that shards
/// are spread as evenly as possible.
pub(crate) fn choose(tree: &Tree, size: usize, parity: usize) -> [usize; LEVELS] {
    let mut caps = [size; LEVELS];
    for level in (0..LEVELS).rev() {
        let survivable = with_cap(caps, level, parity.max(1));
        if tree.group_size_max(&survivable) >= size {
            caps = survivable;
        }
    }
    for level in (0..LEVELS).rev() {
        let mut lower = (1..caps[level]).map(|cap| with_cap(caps, level, cap));
        if let Some(lowest) = lower.find(|caps| tree.group_size_max(caps) >= size) {
            caps = lowest;
        }
    }
    caps
}

fn with_cap(mut caps: [usize; LEVELS], level: usize, cap: usize) -> [usize; LEVELS] {
    caps[level] = cap;
    caps
}
