//! Disks that serve nobody any more, because their operator removed them from the cluster.

use std::{collections::BTreeSet, time::Duration};

use env::Env;
use metadata_api::{ClusterMap, DiskState, MapDisk, Metadata};
use types::DiskId;

use crate::ChunkNode;

/// How often the cluster map is asked for.
const PERIOD: Duration = Duration::from_secs(60);

/// What is known of the disks of this service that were removed. They go on answering, and nothing else tells whoever started the
/// service that it does so in vain.
#[derive(Debug, Default)]
pub struct Removed {
    epoch: Option<i64>,
    gone: BTreeSet<DiskId>,
    told: BTreeSet<DiskId>,
}

impl Removed {
    /// Looks again and again, and logs those that were not told of before.
    pub async fn watch(&mut self, env: &Env, metadata: &dyn Metadata, node: &ChunkNode) {
        loop {
            self.look(metadata, node).await;
            env.sleep(PERIOD).await;
        }
    }

    /// What cannot be asked now is asked later.
    async fn look(&mut self, metadata: &dyn Metadata, node: &ChunkNode) {
        let Ok(map) = metadata.cluster_map(self.epoch).await else { return };
        for disk in self.take_in(map.as_ref(), &node.open_disks()) {
            tracing::warn!(
                %disk,
                "this disk was removed from the cluster for good, and nothing is kept on it: take it out of --data and start this \
                 service again; to have it used anew, empty its folder before that"
            );
        }
    }

    /// Those of the open disks that are removed, and were not told of; by the map that was known if there is no newer one.
    fn take_in(&mut self, map: Option<&ClusterMap>, open: &BTreeSet<DiskId>) -> Vec<DiskId> {
        if let Some(map) = map {
            let gone = |disk: &&MapDisk| disk.state == DiskState::Gone;
            self.gone = map.disks.iter().filter(gone).map(|disk| disk.disk).collect();
            self.epoch = Some(map.epoch);
        }
        let gone = self.gone.intersection(open).copied().collect();
        let before = std::mem::replace(&mut self.told, gone);
        self.told.difference(&before).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use env::Env;
    use metadata_api::{DiskRegistration, Intent, Metadata, NodeRegistration, fake::Fake};
    use types::{DiskId, NodeId};

    use super::Removed;

    #[tokio::test]
    async fn a_disk_that_was_removed_is_told_of_once() {
        let (metadata, mut removed) = (Fake::new(Env::real()), Removed::default());
        let disk = |number| DiskId([number; 16]);
        let registration = |numbers: &[u8]| NodeRegistration {
            node: NodeId([9; 16]),
            address: "a:1".to_owned(),
            domain: "r/z/k/h".parse().unwrap(),
            disks: numbers
                .iter()
                .map(|number| DiskRegistration {
                    disk: disk(*number),
                    medium: "hdd".to_owned(),
                    capacity_bytes: 100,
                    available_bytes: 50,
                    writable: true,
                    failed: false,
                })
                .collect(),
        };
        metadata.register_node(registration(&[1, 2, 3])).await.unwrap();
        let mut look = async |intents: &[(u8, Intent)], open: &[u8]| {
            for (number, intent) in intents {
                metadata.set_disk_intent(disk(*number), *intent).await.unwrap();
            }
            let open = open.iter().map(|number| disk(*number)).collect();
            removed.take_in(metadata.cluster_map(removed.epoch).await.unwrap().as_ref(), &open)
        };
        assert_eq!(look(&[(1, Intent::Drain)], &[1, 2]).await, []);
        // Nothing is on them, so that they are gone at once; one of them is not open here.
        assert_eq!(look(&[(1, Intent::Remove), (3, Intent::Remove)], &[1, 2]).await, [disk(1)]);
        assert_eq!(look(&[], &[1, 2]).await, [], "once");
        assert_eq!(look(&[(2, Intent::Remove)], &[1, 2]).await, [disk(2)]);
        assert_eq!(look(&[], &[1, 2, 3]).await, [disk(3)], "attached while the map stands still");
    }
}
