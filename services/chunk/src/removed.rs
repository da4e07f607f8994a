//! Disks that serve nobody any more, because their operator removed them from the cluster.

use std::{collections::BTreeSet, time::Duration};

use env::{Env, Instant};
use metadata_api::{ClusterMap, DiskState, MapDisk, Metadata};
use types::DiskId;

use crate::ChunkNode;

/// How often the cluster map is asked for.
const PERIOD: Duration = Duration::from_secs(60);

/// What is known of the disks of this service that were removed. They go on answering, and nothing else tells whoever started the
/// service that it does so in vain.
#[derive(Debug, Default)]
pub struct Removed {
    looked: Option<Instant>,
    epoch: Option<i64>,
    told: BTreeSet<DiskId>,
}

impl Removed {
    /// Looks now and then, and logs those that were not told of before. What cannot be asked now is asked later.
    pub async fn look(&mut self, env: &Env, metadata: &dyn Metadata, node: &ChunkNode) {
        let now = env.now();
        if self.looked.is_some_and(|looked| now.since(looked) < PERIOD) {
            return;
        }
        self.looked = Some(now);
        let Ok(Some(map)) = metadata.cluster_map(self.epoch).await else { return };
        self.epoch = Some(map.epoch);
        for disk in self.take_in(&map, &node.open_disks()) {
            tracing::warn!(
                %disk,
                "this disk was removed from the cluster for good, and nothing is kept on it: take it out of --data and start this \
                 service again; to have it used anew, empty its folder before that"
            );
        }
    }

    /// Those of the open disks that are removed, and were not told of.
    fn take_in(&mut self, map: &ClusterMap, open: &BTreeSet<DiskId>) -> Vec<DiskId> {
        let gone = |disk: &&MapDisk| disk.state == DiskState::Gone && open.contains(&disk.disk);
        let gone: BTreeSet<DiskId> = map.disks.iter().filter(gone).map(|disk| disk.disk).collect();
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
        let open = [disk(1), disk(2)].into();
        let mut look = async |intents: &[(u8, Intent)]| {
            for (number, intent) in intents {
                metadata.set_disk_intent(disk(*number), *intent).await.unwrap();
            }
            removed.take_in(&metadata.cluster_map(None).await.unwrap().unwrap(), &open)
        };
        assert_eq!(look(&[(1, Intent::Drain)]).await, []);
        // Nothing is on them, so that they are gone at once; one of them is not open here.
        assert_eq!(look(&[(1, Intent::Remove), (3, Intent::Remove)]).await, [disk(1)]);
        assert_eq!(look(&[]).await, [], "once");
        assert_eq!(look(&[(2, Intent::Remove)]).await, [disk(2)]);
    }
}
