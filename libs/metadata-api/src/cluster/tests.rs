use types::{DiskId, NodeId};

use super::{ClusterMap, MapDisk, MapNode, MassLoss};
use crate::{DiskState, Intent, NodeState};

/// Nodes of so many disks each, all well.
fn map(nodes: u8, disks_each: u8) -> ClusterMap {
    let node = |number| MapNode {
        node: NodeId([number; 16]),
        address: String::new(),
        domain: format!("r/z/k/h{number}").parse().unwrap(),
        state: NodeState::Up,
        intent: Intent::Serve,
        heartbeats: 1,
    };
    let disk = |node: u8, number: u8| MapDisk {
        disk: DiskId([node * 16 + number; 16]),
        node: NodeId([node; 16]),
        medium: "disk".to_owned(),
        capacity_bytes: 1 << 40,
        available_bytes: 1 << 40,
        writable: true,
        failed: false,
        state: DiskState::Up,
        intent: Intent::Serve,
    };
    let disks = (0..nodes).flat_map(|node| (0..disks_each).map(move |number| disk(node, number)));
    ClusterMap {
        epoch: 1,
        nodes: (0..nodes).map(node).collect(),
        disks: disks.collect(),
        classes: Vec::new(),
        is_frozen: false,
    }
}

fn silence(map: &mut ClusterMap, nodes: usize) {
    map.nodes.iter_mut().take(nodes).for_each(|node| node.state = NodeState::Down);
}

#[test]
fn more_than_a_third_of_several_disks_is_a_mass_loss() {
    for (nodes, silent, is_mass_loss) in
        [(6, 0, false), (6, 2, false), (6, 3, true), (8, 2, false), (8, 3, true), (4, 2, true), (3, 1, false)]
    {
        let mut map = map(nodes, 2);
        silence(&mut map, silent);
        let expected = MassLoss { silent: silent * 2, disks: usize::from(nodes) * 2 };
        assert_eq!(map.mass_loss(), is_mass_loss.then_some(expected), "{silent} of {nodes}");
    }
}

#[test]
fn one_node_or_disk_alone_is_none() {
    let mut two = map(2, 6);
    silence(&mut two, 1);
    assert_eq!(two.mass_loss(), None);
    let mut one = map(1, 2);
    one.disks[0].state = DiskState::Down;
    assert_eq!(one.mass_loss(), None);
    one.disks[1].state = DiskState::Down;
    assert_eq!(one.mass_loss(), Some(MassLoss { silent: 2, disks: 2 }));
}

#[test]
fn what_is_known_to_be_lost_does_not_count() {
    let mut map = map(6, 1);
    silence(&mut map, 3);
    map.nodes[0].intent = Intent::Remove;
    assert_eq!(map.mass_loss(), Some(MassLoss { silent: 2, disks: 5 }));
    map.disks[1].intent = Intent::Remove;
    assert_eq!(map.mass_loss(), None);
    for disk in &mut map.disks[3..] {
        disk.failed = true;
    }
    assert_eq!(map.mass_loss(), None);
    map.disks[2].state = DiskState::Gone;
    assert_eq!(map.mass_loss(), None);
}
