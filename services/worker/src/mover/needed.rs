//! Which chunks rows name, of groups whose disks cannot show what there is: those that would are lost, and nobody waits for them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, ContentKind, Error, PAGE_SIZE_MAX};
use tokio::sync::Mutex;
use types::{ChunkId, GroupId};

use crate::{context::Context, presence};

/// Most chunks that are kept, about 30 bytes each. Groups for which there is no room come with a later look, when others need less.
const CHUNKS_MAX: usize = 1_000_000;

/// How old a look may be by which a move still waits, at least, and as a multiple of the time that it took: reading every row is no
/// small thing, and who is to delete what is lost may let it wait for days.
const AGE_MAX: Duration = Duration::from_secs(60);
const AGE_IN_LOOKS: u32 = 20;

/// What rows were seen to name last. One reading of them is for all moves that ask meanwhile.
#[derive(Debug, Default)]
pub(super) struct Needed {
    last: Mutex<Option<Arc<Look>>>,
}

/// What rows named when they were read.
#[derive(Debug)]
struct Look {
    ended: Instant,
    took: Duration,
    /// Which moves all writers went by before the reading.
    known_epoch: i64,
    chunks: BTreeMap<GroupId, HashSet<ChunkId>>,
}

impl Needed {
    /// The chunks of a group that rows name, other than garbage, when no writer can name more of them by a map from before `since`;
    /// `None` when that is not known yet. Some may be named no more.
    ///
    /// Every row is read twice: one that moved behind the reader, as when an upload was completed, is met the second time.
    pub(super) async fn of(
        &self,
        context: &Context,
        group: GroupId,
        since: i64,
    ) -> Result<Option<HashSet<ChunkId>>, Error> {
        let mut last = self.last.lock().await;
        let now = context.env.now();
        // What names nothing of the group goes on to name nothing.
        let is_fresh = |look: &Arc<Look>| {
            let chunks = look.chunks.get(&group);
            let age_max = AGE_MAX.max(look.took * AGE_IN_LOOKS);
            let is_settled = chunks.is_some_and(HashSet::is_empty) || now.since(look.ended) < age_max;
            look.known_epoch >= since && is_settled
        };
        let look = match last.take().filter(is_fresh) {
            Some(look) => look,
            None => Arc::new(Look::take(context).await?),
        };
        let chunks = look.chunks.get(&group).filter(|_| look.known_epoch >= since).cloned();
        *last = Some(look);
        Ok(chunks)
    }
}

impl Look {
    async fn take(context: &Context) -> Result<Self, Error> {
        let began = context.env.now();
        let map = context.map().await?;
        let leases = context.metadata.list_leases().await?;
        let live = leases.iter().filter(|lease| !lease.revoked).map(|lease| lease.oldest_epoch);
        let known_epoch = live.min().unwrap_or(map.epoch).min(map.epoch);
        let mut chunks: BTreeMap<GroupId, HashSet<ChunkId>> =
            groups_of_lost(&map).into_iter().map(|group| (group, HashSet::new())).collect();
        let mut count = 0;
        for _ in 0..2 {
            let mut after = None;
            loop {
                let page = context.metadata.list_contents(after, PAGE_SIZE_MAX).await?;
                let rows = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
                for extent in rows.flat_map(|row| &row.extents) {
                    let of_group = chunks.get_mut(&extent.group);
                    count += usize::from(of_group.is_some_and(|of_group| of_group.insert(extent.chunk)));
                }
                while count > CHUNKS_MAX {
                    let Some((_, left_out)) = chunks.pop_last() else { break };
                    count -= left_out.len();
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let ended = context.env.now();
        Ok(Self { ended, took: ended.since(began), known_epoch, chunks })
    }
}

/// The groups that move off disks that were given up.
fn groups_of_lost(map: &ClusterMap) -> BTreeSet<GroupId> {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let moving = groups.filter(|group| !group.moves.is_empty());
    let lost = moving.filter(|group| group.named_disks().any(|disk| presence::is_given_up(map, disk)));
    lost.map(|group| group.id).collect()
}
