//! Disks that are destroyed for good, and how their operator replaces them.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use metadata_api::{DiskState, Intent, Metadata};
use types::{DiskId, NodeId};

use crate::{life::Standing, process::Process, rng::Rng, site::Site, time};

/// Disks that were destroyed. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses {
    disks: Arc<Mutex<Vec<DiskId>>>,
    is_removing: Arc<AtomicBool>,
}

impl Losses {
    /// Notes that a disk was destroyed.
    pub(crate) fn add(&self, disk: DiskId) {
        self.disks.lock().expect("nobody panics with it").push(disk);
    }

    /// Notes that a disk is to be removed, which counts as lost if it falls silent; false when another is.
    pub(crate) fn begin_removal(&self) -> bool {
        !self.is_removing.swap(true, Ordering::Relaxed)
    }

    /// Notes that nothing is to be removed any more.
    pub(crate) fn end_removal(&self) {
        self.is_removing.store(false, Ordering::Relaxed);
    }

    /// Whether the cluster bears it that another disk is destroyed.
    pub(crate) fn may_destroy(&self) -> bool {
        self.disks().is_empty() && !self.is_removing.load(Ordering::Relaxed)
    }

    /// The disks, in the order in which they were destroyed.
    pub(crate) fn disks(&self) -> Vec<DiskId> {
        self.disks.lock().expect("nobody panics with it").clone()
    }
}

/// A disk that was destroyed.
pub(crate) struct Lost {
    process: Arc<Process>,
    folder: PathBuf,
    disk: DiskId,
    /// Its node, if it had no other disk: the node's identity is lost with it.
    node: Option<NodeId>,
}

/// Destroys the disk in one of a chunk service's folders, which the cluster knows; `None` when it knows none.
pub(crate) async fn destroy(
    site: &Site,
    process: &Arc<Process>,
    losses: &Losses,
    rng: &mut Rng,
) -> Option<Lost> {
    let folder = rng.pick(&process.folders).clone();
    let disk = identity(process, &folder)?;
    let map = site.database.cluster_map(None).await.ok()??;
    let known = map.disks.iter().find(|known| known.disk == disk)?;
    process.disk.destroy(&folder);
    losses.add(disk);
    let node = (process.folders.len() == 1).then_some(known.node);
    Some(Lost { process: process.clone(), folder, disk, node })
}

/// The identity of the disk in a folder.
pub(crate) fn identity(process: &Process, folder: &Path) -> Option<DiskId> {
    let text = String::from_utf8(process.disk.peek(&folder.join("shards/disk.json"))?).ok()?;
    let (_, rest) = text.split_once("\"disk\": \"")?;
    rest.split_once('"')?.0.parse().ok()
}

impl Lost {
    /// Replaces the disk by an empty one, and says that the old one will not come back, before or after.
    pub(crate) async fn replace(self, site: Arc<Site>, mut rng: Rng) {
        time::sleep_ms(rng.between(1000, 20_000)).await;
        self.process.kill(Standing::PowerLost);
        time::sleep_ms(rng.between(500, 1500)).await;
        let says_first = rng.once_in(2);
        if says_first {
            self.say_removed(&site).await;
        }
        self.process.disk.replace(&self.folder);
        site.trace.event("replace disk", &self.process.name, [u64::from(says_first), 0, 0]);
        self.process.want();
        if !says_first {
            time::sleep_ms(rng.between(1000, 20_000)).await;
            self.say_removed(&site).await;
            // A service that misses a disk makes no new one; the next start of it does.
            self.process.kill(Standing::Killed);
            time::sleep_ms(rng.between(10, 1000)).await;
            self.process.want();
        }
    }

    async fn say_removed(&self, site: &Site) {
        let said = match self.node {
            Some(node) => site.database.set_node_intent(node, Intent::Remove).await,
            None => site.database.set_disk_intent(self.disk, Intent::Remove).await,
        };
        said.expect("the cluster knows what was lost");
    }
}

/// Disks that were destroyed and that the cluster still counts on.
pub(crate) async fn unreplaced(site: &Site, losses: &Losses) -> Vec<String> {
    let map = site.database.cluster_map(None).await.ok().flatten().unwrap_or_default();
    let mut lost = losses.disks();
    lost.retain(|lost| map.disks.iter().any(|disk| disk.disk == *lost && disk.state != DiskState::Gone));
    lost.iter().map(DiskId::to_string).collect()
}
