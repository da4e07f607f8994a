//! The codings that classes had before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use metadata_api::{ClusterMap, ContentRow};
use types::{ChunkId, Coding, Extent, GroupId, StorageClassName};

/// The groups of a coding that a class had before.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) groups: Vec<GroupId>,
    /// Epoch of their last change: later maps are from after the class's change.
    pub(super) changed_epoch: i64,
}

/// A class and a coding that it had before.
pub(super) type EntryName = (StorageClassName, Coding);

/// The codings that classes had before, by one cluster map.
#[derive(Debug, Default)]
pub(crate) struct Former {
    pub(super) entries: BTreeMap<EntryName, Entry>,
    /// The class of each of their groups.
    classes: HashMap<GroupId, StorageClassName>,
}

impl Former {
    pub(crate) fn of(map: &ClusterMap) -> Self {
        let mut former = Self::default();
        for class in map.classes.iter().filter(|class| class.is_former) {
            let name = &class.definition.name;
            let entry = former.entries.entry((name.clone(), class.definition.coding)).or_default();
            for group in &class.groups {
                entry.groups.push(group.id);
                entry.changed_epoch = entry.changed_epoch.max(group.changed_epoch);
                former.classes.insert(group.id, name.clone());
            }
        }
        former
    }

    pub(super) fn groups(&self) -> BTreeSet<GroupId> {
        self.classes.keys().copied().collect()
    }

    pub(crate) fn has(&self, group: GroupId) -> bool {
        self.classes.contains_key(&group)
    }

    /// One extent of each chunk of these groups that the row names, with its class.
    pub(super) fn named_by<'a>(&'a self, row: &'a ContentRow) -> Vec<(&'a StorageClassName, Extent)> {
        let mut chunks: BTreeMap<ChunkId, (&StorageClassName, Extent)> = BTreeMap::new();
        for extent in &row.extents {
            if let Some(class) = self.classes.get(&extent.group) {
                chunks.entry(extent.chunk).or_insert((class, *extent));
            }
        }
        chunks.into_values().collect()
    }
}
