//! Whether a chunk is still to be written anew, and whether there is room for it. A pass may take days.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, Error, PlacementGroup, StorageClass};
use types::{DiskId, GroupId, StorageClassName};

use super::Purpose;
use crate::{context::Context, recode::Former};

/// How old what is known of the map may be.
const PERIOD: Duration = Duration::from_secs(2);

/// What to do with a chunk now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is to be written anew.
    Due,
    /// Its class has its coding again, or its group is gone.
    Settled,
    /// It is to be written anew when there is room.
    NoRoom,
}

/// The map as it was a moment ago.
#[derive(Debug)]
struct Look {
    former: Former,
    /// Classes to which chunks may be written, and for whose present coding there is too little room.
    full: BTreeSet<StorageClassName>,
}

/// Looks at the map again and again.
pub(super) struct Watch<'a> {
    context: &'a Context,
    purpose: Purpose,
    /// The last look, and when it began.
    last: Mutex<(Instant, Option<Arc<Look>>)>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(context: &'a Context, purpose: Purpose) -> Self {
        Self { context, purpose, last: Mutex::new((context.env.now(), None)) }
    }

    /// What to do with a chunk of a group that is to be written to a class. Errors: those of
    /// [`metadata_api::Metadata::cluster_map`].
    pub(super) async fn standing(&self, class: &StorageClassName, group: GroupId) -> Result<Standing, Error> {
        let look = self.look(class).await?;
        Ok(if self.purpose == Purpose::Recode && !look.former.has(group) {
            Standing::Settled
        } else if look.full.contains(class) {
            Standing::NoRoom
        } else {
            Standing::Due
        })
    }

    async fn look(&self, class: &StorageClassName) -> Result<Arc<Look>, Error> {
        let now = self.context.env.now();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let (at, look) = &mut *last;
            if let Some(look) = look
                && now.since(*at) < PERIOD
            {
                return Ok(Arc::clone(look));
            }
            // The others go by what is known until this one has an answer.
            *at = now;
        }
        // Free space alone is no new map.
        let map = self.context.map_with_heartbeats().await?;
        let look = Arc::new(Look { former: Former::of(&map), full: full_classes(&map, self.purpose) });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let was_full = last.1.as_ref().is_some_and(|look| look.full.contains(class));
        if look.full.contains(class) && !was_full {
            tracing::warn!(
                class = class.as_str(),
                purpose = ?self.purpose,
                "it waits: too many disks have less than a twentieth of their space left"
            );
        }
        last.1 = Some(Arc::clone(&look));
        Ok(look)
    }
}

/// Classes to which chunks may be written, of re-encoding those with a former coding, and which have no room for their
/// present one. What is written anew is on disks twice until the hold time of garbage has passed, and must not take from
/// clients what room there is.
fn full_classes(map: &ClusterMap, purpose: Purpose) -> BTreeSet<StorageClassName> {
    let full: BTreeSet<DiskId> =
        map.disks.iter().filter(|disk| !disk.has_room()).map(|disk| disk.disk).collect();
    let wanted = map.classes.iter().filter(|class| class.is_former || purpose == Purpose::Transition);
    let names: BTreeSet<&StorageClassName> = wanted.map(|class| &class.definition.name).collect();
    let present = names.into_iter().filter_map(|name| map.class(name));
    present.filter(|class| !has_room(class, &full)).map(|class| class.definition.name.clone()).collect()
}

/// Whether at least half of the groups have room on every disk; others are passed over while they have not.
fn has_room(class: &StorageClass, full: &BTreeSet<DiskId>) -> bool {
    let has_room = |group: &&PlacementGroup| group.written_disks().all(|disk| !full.contains(&disk));
    let with_room = class.groups.iter().filter(has_room).count();
    with_room * 2 >= class.groups.len()
}

#[cfg(test)]
mod tests {
    use metadata_api::StorageClass;

    use super::{Purpose, full_classes};
    use crate::tests::maps::map;

    #[test]
    fn a_class_has_room_while_half_of_its_groups_have() {
        let mut map = map(6, &[[0, 1, 2, 3], [1, 2, 3, 4]]);
        let name = map.classes[0].definition.name.clone();
        let is_full = |map: &metadata_api::ClusterMap| full_classes(map, Purpose::Recode).contains(&name);
        map.classes.push(StorageClass { is_former: true, ..map.classes[0].clone() });
        map.disks[5].available_bytes = 0;
        assert!(!is_full(&map), "no group is on it");
        map.disks[0].available_bytes = map.disks[0].capacity_bytes / 20 - 1;
        assert!(!is_full(&map), "one group of two has room");
        map.disks[4].available_bytes = 0;
        assert!(is_full(&map));
        map.disks[0].available_bytes += 1;
        assert!(!is_full(&map), "a twentieth is enough");
        map.disks[0].available_bytes = 0;
        map.classes.pop();
        assert!(!is_full(&map), "there is nothing to re-encode");
        assert!(full_classes(&map, Purpose::Transition).contains(&name));
    }
}
