//! The names of shards that were deleted, which are never forgotten.

use std::{collections::BTreeMap, ops::Bound};

use roaring::RoaringTreemap;
use types::{ChunkId, LeaseId, ShardId, ShardIndex};

/// A set of names. Those of a lease have ascending counters, so that they are kept as sets of numbers, of 65,536 each: two bytes for a
/// name where a hundredth of the lease's were deleted here, less the closer they lie, down to a bit, and more where they are few.
#[derive(Debug, Default)]
pub(in super::super) struct DeletedNames {
    counters: BTreeMap<(LeaseId, ShardIndex), RoaringTreemap>,
    length: usize,
}

impl DeletedNames {
    pub(in super::super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn contains(&self, shard: ShardId) -> bool {
        let counters = self.counters.get(&(shard.chunk.lease, shard.index));
        counters.is_some_and(|counters| counters.contains(shard.chunk.counter))
    }

    /// Adds a name, unless it is there.
    pub(in super::super) fn insert(&mut self, shard: ShardId) {
        let counters = self.counters.entry((shard.chunk.lease, shard.index)).or_default();
        self.length += usize::from(counters.insert(shard.chunk.counter));
    }

    /// Takes a name out, if it is there.
    pub(in super::super) fn remove(&mut self, shard: ShardId) {
        let key = (shard.chunk.lease, shard.index);
        let Some(counters) = self.counters.get_mut(&key) else { return };
        self.length -= usize::from(counters.remove(shard.chunk.counter));
        if counters.is_empty() {
            self.counters.remove(&key);
        }
    }

    /// At most `limit` names behind one, in an order of their own.
    pub(in super::super) fn after(&self, after: Option<ShardId>, limit: usize) -> Vec<ShardId> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included((after.chunk.lease, after.index)));
        let names = self.counters.range((from, Bound::Unbounded)).flat_map(|((lease, index), counters)| {
            let seen = after.filter(|after| (after.chunk.lease, after.index) == (*lease, *index));
            let seen = seen.map(|after| after.chunk.counter);
            let mut numbers = counters.iter();
            if let Some(seen) = seen {
                numbers.advance_to(seen);
            }
            let behind = numbers.skip_while(move |number| seen == Some(*number));
            behind.map(|counter| ShardId { chunk: ChunkId { lease: *lease, counter }, index: *index })
        });
        names.take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use types::{ChunkId, LeaseId, ShardId, ShardIndex};

    use super::DeletedNames;

    fn shard(lease: i64, counter: u64, index: u8) -> ShardId {
        ShardId { chunk: ChunkId { lease: LeaseId(lease), counter }, index: ShardIndex(index) }
    }

    /// Bytes of the sets of numbers, as they are written and about as they are in memory.
    fn bytes(names: &DeletedNames) -> usize {
        names.counters.values().map(roaring::RoaringTreemap::serialized_size).sum()
    }

    #[test]
    fn a_name_takes_two_bytes_and_less_where_many_were_deleted() {
        const COUNT: u64 = 200_000;
        // How far the counters of what is deleted here lie apart, and hundredths of a byte for each.
        for (apart, most) in [(1, 15), (6, 80), (100, 210)] {
            let mut names = DeletedNames::default();
            (0..COUNT).for_each(|number| names.insert(shard(1, number * apart, 3)));
            assert_eq!(names.len() as u64, COUNT);
            let each = bytes(&names) * 100 / names.len();
            assert!(each <= most, "{apart}: {each} hundredths of a byte a name");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn it_behaves_as_a_set(
            inserted in prop::collection::vec((0..3i64, prop_oneof![0..600u64, Just(u64::MAX)], 0..2u8), 0..2000),
        ) {
            let (mut names, mut model) = (DeletedNames::default(), BTreeSet::new());
            for (lease, counter, index) in inserted {
                let name = shard(lease, counter, index);
                prop_assert_eq!(names.contains(name), model.contains(&name));
                names.insert(name);
                model.insert(name);
                prop_assert_eq!(names.len(), model.len());
            }
            for counter in (0..601).chain([u64::MAX]) {
                let name = shard(1, counter, 1);
                prop_assert_eq!(names.contains(name), model.contains(&name));
            }
        }

        #[test]
        fn pages_have_every_name_once_and_names_can_be_taken_out(
            inserted in prop::collection::vec((0..3i64, prop_oneof![0..600u64, any::<u64>(), Just(u64::MAX)], 0..2u8), 0..600),
            limit in 1..90usize,
        ) {
            let names_of = |all: &[(i64, u64, u8)]| {
                all.iter().map(|(lease, counter, index)| shard(*lease, *counter, *index)).collect::<Vec<_>>()
            };
            let (mut names, all) = (DeletedNames::default(), names_of(&inserted));
            all.iter().for_each(|name| names.insert(*name));
            let mut model: BTreeSet<_> = all.iter().copied().collect();
            for name in all.iter().step_by(3) {
                model.remove(name);
                names.remove(*name);
                names.remove(*name);
            }
            prop_assert_eq!(names.len(), model.len());
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = names.after(after, limit);
                prop_assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(*last);
                paged.extend(page);
            }
            prop_assert_eq!(paged.len(), model.len());
            prop_assert_eq!(paged.into_iter().collect::<BTreeSet<_>>(), model);
        }
    }
}
