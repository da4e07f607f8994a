//! The shards of a disk and their places, 27 bytes each.
//!
//! What many shards have in common, coding, group and epoch, is kept once.

use std::collections::HashMap;

use types::{Coding, GroupId, ShardId};

use super::{
    Place,
    name_map::{KEY_LENGTH, NameMap, entry},
};
use crate::disk::format::ShardRecord;

/// Segment 4, block 4, length of the chunk 4, length of the owner 2, class 4.
const ENTRY_LENGTH: usize = KEY_LENGTH + 18;

/// What shards have in common that went to one group by one map.
type Class = (Coding, GroupId, i64);

#[derive(Debug, Default)]
pub(super) struct Shards {
    places: NameMap<ENTRY_LENGTH>,
    classes: Classes,
}

impl Shards {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, shard: ShardId) -> Option<Place> {
        self.decode(shard, self.places.get(shard)?)
    }

    pub(super) fn insert(&mut self, place: Place) {
        let record = &place.record;
        let class = self.classes.take((record.coding, record.group, record.epoch));
        let mut entry = entry::<ENTRY_LENGTH>(record.shard);
        entry[9..13].copy_from_slice(&place.segment.to_be_bytes());
        entry[13..17].copy_from_slice(&place.block.to_be_bytes());
        // Chunks end at 64 MiB and owners at 2 KiB.
        let chunk_length = u32::try_from(record.chunk_length).unwrap_or(u32::MAX);
        entry[17..21].copy_from_slice(&chunk_length.to_be_bytes());
        let owner_length = u16::try_from(record.owner_length).unwrap_or(u16::MAX);
        entry[21..23].copy_from_slice(&owner_length.to_be_bytes());
        entry[23..].copy_from_slice(&class.to_be_bytes());
        if let Some(old) = self.places.insert(record.shard, entry) {
            self.classes.give_back(class_of(&old));
        }
    }

    pub(super) fn remove(&mut self, shard: ShardId) -> Option<Place> {
        let entry = self.places.remove(shard)?;
        let place = self.decode(shard, &entry);
        self.classes.give_back(class_of(&entry));
        place
    }

    /// The shards behind a name, in order.
    pub(super) fn after(&self, after: Option<ShardId>) -> impl Iterator<Item = Place> {
        self.places.after(after).filter_map(|(shard, entry)| self.decode(shard, entry))
    }

    fn decode(&self, shard: ShardId, entry: &[u8; ENTRY_LENGTH]) -> Option<Place> {
        let (coding, group, epoch) = self.classes.get(class_of(entry))?;
        let record = ShardRecord {
            shard,
            coding,
            chunk_length: number(entry, 17).into(),
            group,
            epoch,
            owner_length: usize::from(u16::from_be_bytes([entry[21], entry[22]])),
        };
        Some(Place { segment: number(entry, 9), block: number(entry, 13), record })
    }
}

fn class_of(entry: &[u8; ENTRY_LENGTH]) -> u32 {
    number(entry, 23)
}

fn number(entry: &[u8; ENTRY_LENGTH], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&entry[at..at + 4]);
    u32::from_be_bytes(bytes)
}

/// Classes in use, by number. A class goes with the last of its shards.
#[derive(Debug, Default)]
struct Classes {
    numbers: HashMap<Class, u32>,
    /// Each class and how many shards it has.
    rows: Vec<Option<(Class, u32)>>,
    free: Vec<u32>,
}

impl Classes {
    fn take(&mut self, class: Class) -> u32 {
        if let Some(number) = self.numbers.get(&class).copied() {
            if let Some(Some((_, count))) = self.rows.get_mut(number as usize) {
                *count += 1;
            }
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            // No more classes than shards, of which a segment's positions allow fewer.
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(row) = self.rows.get_mut(number as usize) {
            *row = Some((class, 1));
        }
        self.numbers.insert(class, number);
        number
    }

    fn give_back(&mut self, number: u32) {
        let Some(row) = self.rows.get_mut(number as usize) else { return };
        if let Some((class, count)) = row {
            *count -= 1;
            if *count == 0 {
                self.numbers.remove(class);
                self.free.push(number);
                *row = None;
            }
        }
    }

    fn get(&self, number: u32) -> Option<Class> {
        self.rows.get(number as usize)?.map(|(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::Classes;

    #[test]
    fn a_class_goes_with_its_last_shard() {
        let mut classes = Classes::default();
        let class = |epoch| ("4+2".parse().unwrap(), types::GroupId(1), epoch);
        let (first, second) = (classes.take(class(1)), classes.take(class(2)));
        assert_eq!(classes.take(class(1)), first);
        classes.give_back(first);
        assert_eq!(classes.get(first), Some(class(1)));
        classes.give_back(first);
        assert_eq!((classes.get(first), classes.get(second)), (None, Some(class(2))));
        assert_eq!(classes.take(class(3)), first, "numbers are used again");
        assert_eq!(classes.numbers.len(), 2);
    }
}
