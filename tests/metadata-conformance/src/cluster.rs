//! Nodes, disks, storage classes and placement groups.

use std::collections::BTreeSet;

use types::{Coding, DiskId, StorageClassName};

use super::support::{Store, definition, map, node, register, unique, violation};
use metadata_api::{Error, NodeRegistration, StorageClass, StorageClassDefinition};

/// A heartbeat puts the node and its disks into the map.
pub async fn a_registered_node_is_in_the_map(store: &Store) {
    let mut registered = node("conformance");
    registered.disks.extend(node("other").disks);
    registered.disks[1].writable = false;
    registered.disks[1].failed = true;
    register(store, &registered).await;
    let map = map(store).await;
    let found = map.nodes.iter().find(|node| node.node == registered.node);
    let found = found.unwrap_or_else(|| violation("a registered node is in the map"));
    assert_eq!((&found.address, &found.domain), (&registered.address, &registered.domain));
    for disk in &registered.disks {
        let found = map.disks.iter().find(|other| other.disk == disk.disk);
        let found = found.unwrap_or_else(|| violation("a registered disk is in the map"));
        assert_eq!((found.node, &found.medium), (registered.node, &disk.medium));
        assert_eq!(
            (found.capacity_bytes, found.available_bytes),
            (disk.capacity_bytes, disk.available_bytes)
        );
        assert_eq!((found.writable, found.failed), (disk.writable, disk.failed));
    }
    assert_eq!(store.cluster_map(Some(map.epoch)).await, Ok(None), "nothing new since that epoch");
}

/// Heartbeats that tell nothing new, or only free space, leave the epoch; everything else raises it.
pub async fn the_epoch_grows_with_every_change_but_free_space(store: &Store) {
    let mut registered = node("conformance");
    register(store, &registered).await;
    let before = map(store).await.epoch;
    register(store, &registered).await;
    registered.disks[0].available_bytes -= 4096;
    register(store, &registered).await;
    let now = map(store).await;
    assert_eq!(now.epoch, before, "free space alone does not raise the epoch");
    assert_eq!(store.cluster_map(Some(before)).await, Ok(None));
    let disk = now.disks.iter().find(|disk| disk.disk == registered.disks[0].disk);
    assert_eq!(disk.map(|disk| disk.available_bytes), Some((1 << 39) - 4096), "the last report is shown");

    let mut epoch = before;
    let changes: [fn(&mut NodeRegistration); 6] = [
        |node| node.address = "127.0.0.1:7002".to_owned(),
        |node| node.disks[0].writable = false,
        |node| node.disks[0].writable = true,
        |node| node.disks[0].failed = true,
        |node| node.disks[0].failed = false,
        |node| node.disks.extend(super::support::node("conformance").disks),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        change(&mut registered);
        register(store, &registered).await;
        let map = store.cluster_map(Some(epoch)).await.expect("the cluster's map");
        let map = map.unwrap_or_else(|| violation(format_args!("change {number} does not raise the epoch")));
        assert!(map.epoch > epoch, "epochs grow");
        epoch = map.epoch;
    }
    register(store, &node("conformance")).await;
    assert!(map(store).await.epoch > epoch, "a new node raises the epoch");
}

/// A disk that another live node has just reported is not taken from it.
pub async fn a_disk_belongs_to_one_node(store: &Store) {
    let (first, mut second) = (node("conformance"), node("conformance"));
    register(store, &first).await;
    second.disks.push(first.disks[0].clone());
    let answer = store.register_node(second).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    let map = map(store).await;
    let disk = map.disks.iter().find(|disk| disk.disk == first.disks[0].disk);
    assert_eq!(disk.map(|disk| disk.node), Some(first.node), "the disk stays with its node");
}

async fn class(store: &Store, definition: &StorageClassDefinition) -> StorageClass {
    let class = map(store).await.classes.into_iter().find(|class| class.definition.name == definition.name);
    class.unwrap_or_else(|| violation("a defined class is in the map"))
}

/// A class is mapped once there are enough disks: every group to distinct disks of the map, group numbers unique.
pub async fn a_class_is_mapped_when_there_are_enough_disks(store: &Store) {
    let fresh = map(store).await.disks.is_empty();
    let definition = definition(Coding::new(2, 1).expect("a valid coding"));
    store.define_storage_class(definition.clone()).await.expect("a new class");
    assert_eq!(class(store, &definition).await.definition, definition);
    let medium = unique();
    for count in 0..3 {
        if fresh {
            assert_eq!(class(store, &definition).await.groups, [], "{count} disks are not enough");
        }
        register(store, &node(&medium)).await;
    }
    let mapped = class(store, &definition).await;
    assert_eq!(mapped.groups.len(), 8, "three disks are enough for 2+1");
    let map = map(store).await;
    for group in &mapped.groups {
        let disks: BTreeSet<DiskId> = group.disks.iter().copied().collect();
        assert_eq!((group.disks.len(), disks.len()), (3, 3), "k + m distinct disks: {group:?}");
        assert!(disks.iter().all(|id| map.disks.iter().any(|disk| disk.disk == *id)), "disks of the map");
    }
    let ids: Vec<_> =
        map.classes.iter().flat_map(|class| class.groups.iter().map(|group| group.id)).collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "a group's number is unique in the cluster"
    );

    let later = super::support::definition(Coding::new(1, 1).expect("a valid coding"));
    store.define_storage_class(later.clone()).await.expect("a new class");
    assert_eq!(class(store, &later).await.groups.len(), 8, "a class defined later is mapped at once");
    assert!(
        store.cluster_map(Some(map.epoch)).await.expect("the map").is_some(),
        "a new class raises the epoch"
    );
    assert_eq!(class(store, &definition).await, mapped, "mapped groups stay as they are");
}

/// A class that names a medium is on disks of that medium alone, and waits for them.
pub async fn a_class_keeps_to_its_medium(store: &Store) {
    let (medium, other) = (unique(), unique());
    let coding = Coding::new(1, 1).expect("a valid coding");
    let definition = StorageClassDefinition { medium: Some(medium.clone()), ..definition(coding) };
    store.define_storage_class(definition.clone()).await.expect("a new class");
    for medium in [&other, &other, &medium] {
        register(store, &node(medium)).await;
        let class = class(store, &definition).await;
        assert_eq!(class.definition, definition, "the medium is kept");
        assert_eq!(class.groups, [], "two disks of the medium are wanted");
    }
    register(store, &node(&medium)).await;
    let (class, map) = (class(store, &definition).await, map(store).await);
    assert_eq!(class.groups.len(), 8);
    for id in class.groups.iter().flat_map(|group| &group.disks) {
        let disk = map.disks.iter().find(|disk| disk.disk == *id);
        assert_eq!(disk.map(|disk| &disk.medium), Some(&medium));
    }
}

/// Defining a class again is harmless; with another coding it is refused, as is one with limits that no database has.
pub async fn a_class_keeps_its_coding(store: &Store) {
    let definition = definition(Coding::SINGLE);
    store.define_storage_class(definition.clone()).await.expect("a new class");
    let before = (map(store).await.epoch, class(store, &definition).await);
    store.define_storage_class(definition.clone()).await.expect("the same class again");
    let other =
        StorageClassDefinition { coding: Coding::new(1, 2).expect("a valid coding"), ..definition.clone() };
    let answer = store.define_storage_class(other).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "another coding: {answer:?}");
    let name = StorageClassName::new("COUNTLESS").expect("a valid name");
    for (inline_limit_bytes, whole_limit_bytes) in [(1 << 63, 0), (0, u64::MAX)] {
        let countless = StorageClassDefinition {
            name: name.clone(),
            inline_limit_bytes,
            whole_limit_bytes,
            ..definition.clone()
        };
        let answer = store.define_storage_class(countless).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "limits that cannot be kept: {answer:?}");
    }
    assert_eq!((map(store).await.epoch, class(store, &definition).await), before, "nothing has changed");
}
