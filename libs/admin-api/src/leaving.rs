//! What stands in the way of disks that are to leave.

use metadata_api::{ClusterMap, DiskState, Intent, MapDisk};
use types::{DiskId, StorageClassName};

/// The classes with groups on these disks that have too few other disks to move to, with how many they need and how many are left.
pub fn short_of_disks(map: &ClusterMap, leaving: &[DiskId]) -> Vec<(StorageClassName, usize, usize)> {
    let serves = |disk: &&MapDisk| {
        let node_serves = map.nodes.iter().any(|node| node.node == disk.node && node.intent == Intent::Serve);
        let is_there = disk.state != DiskState::Gone && !disk.failed && node_serves;
        is_there && disk.intent == Intent::Serve && !leaving.contains(&disk.disk)
    };
    let classes = map.classes.iter().filter(|class| !class.is_former);
    let short = classes.filter_map(|class| {
        let used = class.groups.iter().flat_map(|group| &group.disks).find(|disk| leaving.contains(disk))?;
        let medium = &map.disks.iter().find(|disk| disk.disk == *used)?.medium;
        let left = map.disks.iter().filter(serves).filter(|disk| disk.medium == *medium).count();
        let needed = class.definition.coding.total();
        (left < needed).then(|| (class.definition.name.clone(), needed, left))
    });
    short.collect()
}

#[cfg(test)]
mod tests {
    use metadata_api::Intent;
    use types::{DiskId, StorageClassName};

    use super::short_of_disks;
    use crate::fixture::map;

    fn disks(numbers: impl IntoIterator<Item = u8>) -> Vec<DiskId> {
        numbers.into_iter().map(|number| DiskId([number; 16])).collect()
    }

    #[test]
    fn a_class_without_disks_to_move_to_is_named() {
        let mut map = map();
        assert_eq!(short_of_disks(&map, &disks([0, 5])), []);
        assert_eq!(short_of_disks(&map, &disks([0, 4, 5])), [(StorageClassName::standard(), 4, 3)]);
        // Nothing of the class is on these.
        assert_eq!(short_of_disks(&map, &disks([4, 5])), []);
        map.nodes[4].intent = Intent::Drain;
        map.disks[5].failed = true;
        assert_eq!(short_of_disks(&map, &disks([0])), [(StorageClassName::standard(), 4, 3)]);
        map.disks[5].failed = false;
        map.disks[5].medium = "tape".to_owned();
        assert_eq!(short_of_disks(&map, &disks([0])), [(StorageClassName::standard(), 4, 3)]);
        map.disks[5].medium = "hdd".to_owned();
        assert_eq!(short_of_disks(&map, &disks([0])), []);
    }
}
