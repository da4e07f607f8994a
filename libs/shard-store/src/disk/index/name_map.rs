//! A sorted map from shards' names to a few bytes each, packed: what a disk remembers of millions of shards.
//!
//! Entries lie in leaves, each a sorted array of one lease's names without the lease. A leaf that overflows at its end,
//! as counters ascend, is left full; one that overflows elsewhere is halved; a sparse one joins the one before it.

use std::{collections::BTreeMap, ops::Bound};

use types::{ChunkId, LeaseId, ShardId, ShardIndex};

/// Bytes of an entry's name: counter and index.
pub(super) const KEY_LENGTH: usize = 9;

/// Most entries of a leaf.
const LEAF_MAX: usize = 256;

/// Entries by which a leaf's memory grows.
const LEAF_STEP: usize = 32;

type Key = [u8; KEY_LENGTH];

/// Entries of `W` bytes, of which the first [`KEY_LENGTH`] are the name.
#[derive(Debug, Default)]
pub(super) struct NameMap<const W: usize> {
    /// By lease and least name. A lease's first leaf begins at zero.
    leaves: BTreeMap<(LeaseId, Key), Vec<[u8; W]>>,
    length: usize,
}

/// An entry for this name, with zeros for its value.
pub(super) fn entry<const W: usize>(shard: ShardId) -> [u8; W] {
    let mut entry = [0; W];
    entry[..KEY_LENGTH].copy_from_slice(&key(shard));
    entry
}

fn key(shard: ShardId) -> Key {
    let mut key = [0; KEY_LENGTH];
    key[..8].copy_from_slice(&shard.chunk.counter.to_be_bytes());
    key[8] = shard.index.0;
    key
}

fn key_of<const W: usize>(entry: &[u8; W]) -> &[u8] {
    &entry[..KEY_LENGTH]
}

fn name<const W: usize>(lease: LeaseId, entry: &[u8; W]) -> ShardId {
    let mut counter = [0; 8];
    counter.copy_from_slice(&entry[..8]);
    let chunk = ChunkId { lease, counter: u64::from_be_bytes(counter) };
    ShardId { chunk, index: ShardIndex(entry[8]) }
}

impl<const W: usize> NameMap<W> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, shard: ShardId) -> Option<&[u8; W]> {
        let leaf = self.leaves.get(&self.leaf_of(shard)?)?;
        let at = leaf.binary_search_by(|entry| key_of(entry).cmp(&key(shard))).ok()?;
        leaf.get(at)
    }

    /// Sets the entry of a name. The one that was there before.
    pub(super) fn insert(&mut self, shard: ShardId, entry: [u8; W]) -> Option<[u8; W]> {
        let lease = shard.chunk.lease;
        let first = self.leaf_of(shard).unwrap_or((lease, [0; KEY_LENGTH]));
        let leaf = self.leaves.entry(first).or_default();
        let at = match leaf.binary_search_by(|entry| key_of(entry).cmp(&key(shard))) {
            Ok(at) => return leaf.get_mut(at).map(|old| std::mem::replace(old, entry)),
            Err(at) => at,
        };
        self.length += 1;
        if leaf.len() < LEAF_MAX {
            insert_at(leaf, at, entry);
            return None;
        }
        if at == leaf.len() {
            self.leaves.insert((lease, key(shard)), vec![entry]);
            return None;
        }
        let mut right = leaf.split_off(LEAF_MAX / 2);
        leaf.shrink_to(LEAF_MAX / 2 + LEAF_STEP);
        if at <= LEAF_MAX / 2 {
            insert_at(leaf, at, entry);
        } else {
            insert_at(&mut right, at - LEAF_MAX / 2, entry);
        }
        let mut least = [0; KEY_LENGTH];
        least.copy_from_slice(key_of(&right[0]));
        self.leaves.insert((lease, least), right);
        None
    }

    pub(super) fn remove(&mut self, shard: ShardId) -> Option<[u8; W]> {
        let first = self.leaf_of(shard)?;
        let leaf = self.leaves.get_mut(&first)?;
        let at = leaf.binary_search_by(|entry| key_of(entry).cmp(&key(shard))).ok()?;
        let removed = leaf.remove(at);
        self.length -= 1;
        if leaf.is_empty() {
            self.leaves.remove(&first);
            return Some(removed);
        }
        if leaf.capacity() > leaf.len() + LEAF_STEP {
            leaf.shrink_to(leaf.len() + LEAF_STEP / 2);
        }
        let sparse = leaf.len() < LEAF_MAX / 4;
        if sparse {
            self.join(first);
        }
        Some(removed)
    }

    /// Appends a sparse leaf to the one before it, when both together are no more than half a leaf.
    fn join(&mut self, first: (LeaseId, Key)) {
        let Some((&before, left)) = self.leaves.range(..first).next_back() else { return };
        let length = self.leaves.get(&first).map_or(0, Vec::len);
        if before.0 != first.0 || left.len() + length > LEAF_MAX / 2 {
            return;
        }
        if let Some(right) = self.leaves.remove(&first)
            && let Some(left) = self.leaves.get_mut(&before)
        {
            left.reserve_exact(right.len());
            left.extend(right);
        }
    }

    /// The entries behind a name, in the order of names.
    pub(super) fn after(&self, after: Option<ShardId>) -> impl Iterator<Item = (ShardId, &[u8; W])> {
        let start = match after {
            None => Bound::Unbounded,
            Some(shard) => {
                Bound::Included(self.leaf_of(shard).unwrap_or((shard.chunk.lease, [0; KEY_LENGTH])))
            }
        };
        self.leaves.range((start, Bound::Unbounded)).flat_map(move |((lease, _), leaf)| {
            let from = match after {
                Some(shard) if shard.chunk.lease == *lease => {
                    leaf.partition_point(|entry| key_of(entry) <= &key(shard)[..])
                }
                _ => 0,
            };
            leaf[from..].iter().map(|entry| (name(*lease, entry), entry))
        })
    }

    /// The leaf in which a name is or would be, if its lease has one that begins at or before it.
    fn leaf_of(&self, shard: ShardId) -> Option<(LeaseId, Key)> {
        let lease = shard.chunk.lease;
        let (first, _) = self.leaves.range((lease, [0; KEY_LENGTH])..=(lease, key(shard))).next_back()?;
        Some(*first)
    }
}

fn insert_at<const W: usize>(leaf: &mut Vec<[u8; W]>, at: usize, entry: [u8; W]) {
    if leaf.len() == leaf.capacity() {
        leaf.reserve_exact(LEAF_STEP);
    }
    leaf.insert(at, entry);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use types::{ChunkId, LeaseId, ShardId, ShardIndex};

    use super::{KEY_LENGTH, NameMap, entry};

    /// Bytes of a tree's node for each leaf: key, vector, and half as much again for nodes that are not full.
    const LEAF_OVERHEAD: usize = 80;

    fn shard(lease: i64, counter: u64, index: u8) -> ShardId {
        ShardId { chunk: ChunkId { lease: LeaseId(lease), counter }, index: ShardIndex(index) }
    }

    fn bytes<const W: usize>(map: &NameMap<W>) -> usize {
        map.leaves.values().map(|leaf| leaf.capacity() * W + LEAF_OVERHEAD).sum()
    }

    fn scattered(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
    }

    #[test]
    fn a_shard_takes_at_most_48_bytes_whatever_the_order() {
        const COUNT: u64 = 200_000;
        for (order, most) in [("ascending", 30), ("two leases in turn", 30), ("scattered", 48)] {
            let mut map = NameMap::<27>::default();
            for number in 0..COUNT {
                let name = match order {
                    "ascending" => shard(1, number, 3),
                    "two leases in turn" => shard(i64::try_from(number % 2).unwrap(), number, 3),
                    _ => shard(1, scattered(number), 3),
                };
                map.insert(name, entry(name));
            }
            assert_eq!(map.len() as u64, COUNT);
            let each = bytes(&map).div_ceil(map.len());
            assert!(each <= most, "{order}: {each} bytes a shard");
        }
    }

    #[test]
    fn memory_is_given_back_as_names_go() {
        let mut map = NameMap::<27>::default();
        let names: Vec<_> = (0..50_000).map(|number| shard(1, scattered(number), 0)).collect();
        for name in &names {
            map.insert(*name, entry(*name));
        }
        for name in names.iter().skip(1000) {
            assert!(map.remove(*name).is_some());
            let each = bytes(&map).div_ceil(map.len());
            assert!(map.len() % 1000 != 0 || each <= 48, "{each} bytes a shard of {}", map.len());
        }
        assert_eq!(map.len(), 1000);
    }

    #[derive(Debug, Clone)]
    enum Call {
        Insert(i64, u64, u8),
        Remove(i64, u64, u8),
        After(Option<(i64, u64, u8)>),
    }

    fn call() -> impl Strategy<Value = Call> {
        let name = || (0..3i64, prop_oneof![0..600u64, Just(u64::MAX)], 0..2u8);
        prop_oneof![
            6 => name().prop_map(|(lease, counter, index)| Call::Insert(lease, counter, index)),
            3 => name().prop_map(|(lease, counter, index)| Call::Remove(lease, counter, index)),
            1 => prop::option::of(name()).prop_map(Call::After),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn it_behaves_as_a_tree(calls in prop::collection::vec(call(), 1..4000)) {
            let mut map = NameMap::<{ KEY_LENGTH + 2 }>::default();
            let mut model = BTreeMap::new();
            for (turn, call) in calls.into_iter().enumerate() {
                match call {
                    Call::Insert(lease, counter, index) => {
                        let name = shard(lease, counter, index);
                        let mut entry = entry(name);
                        entry[KEY_LENGTH..].copy_from_slice(&u16::try_from(turn).unwrap().to_be_bytes());
                        prop_assert_eq!(map.insert(name, entry), model.insert(name, entry));
                    }
                    Call::Remove(lease, counter, index) => {
                        let name = shard(lease, counter, index);
                        prop_assert_eq!(map.get(name), model.get(&name));
                        prop_assert_eq!(map.remove(name), model.remove(&name));
                    }
                    Call::After(after) => {
                        let after = after.map(|(lease, counter, index)| shard(lease, counter, index));
                        let behind = model.iter().filter(|(name, _)| after.is_none_or(|after| **name > after));
                        let wanted: Vec<_> = behind.map(|(name, entry)| (*name, entry)).collect();
                        prop_assert_eq!(map.after(after).collect::<Vec<_>>(), wanted);
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
        }
    }
}
