//! Which chunks rows name, of groups whose disks cannot show what there is: those that would are lost, and nobody waits for them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, ContentKind, ContentRow, Error, PAGE_SIZE_MAX};
use tokio::sync::Mutex;
use types::{ChunkId, GroupId};

use crate::{context::Context, presence};

/// Most chunks that are kept, about 30 bytes each, unless one group alone has more. Groups for which there is no room come with the
/// next look, before others.
const CHUNKS_MAX: usize = 1_000_000;

/// How old a look may be by which a move still waits, at least, and as a multiple of the time that it took: reading every row is no
/// small thing, and who is to delete what is lost may let it wait for days.
const AGE_MAX: Duration = Duration::from_secs(60);
const AGE_IN_LOOKS: u32 = 20;

/// What rows were seen to name last. One reading of them is for all moves that ask meanwhile.
#[derive(Debug, Default)]
pub(super) struct Needed {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Arc<Look>>,
    turns: Turns,
}

/// Groups that looks had no room for, although they were asked for, the longest waiting first.
#[derive(Debug, Default)]
struct Turns(Vec<GroupId>);

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
    pub(super) async fn of(
        &self,
        context: &Context,
        group: GroupId,
        since: i64,
    ) -> Result<Option<HashSet<ChunkId>>, Error> {
        let mut state = self.state.lock().await;
        let now = context.env.now();
        // What names nothing of the group goes on to name nothing.
        let is_fresh = |look: &Arc<Look>| {
            let chunks = look.chunks.get(&group);
            let age_max = AGE_MAX.max(look.took * AGE_IN_LOOKS);
            let is_settled = chunks.is_some_and(HashSet::is_empty) || now.since(look.ended) < age_max;
            look.known_epoch >= since && is_settled
        };
        let look = match state.last.take().filter(is_fresh) {
            Some(look) => look,
            None => Arc::new(Look::take(context, |groups| state.turns.order(group, groups)).await?),
        };
        state.turns.took_place(group, look.chunks.contains_key(&group));
        let chunks = look.chunks.get(&group).filter(|_| look.known_epoch >= since).cloned();
        state.last = Some(look);
        Ok(chunks)
    }
}

impl Turns {
    /// In which order groups get room: the one that is asked for, then those that wait, then the others.
    fn order(&self, asked: GroupId, mut groups: Vec<GroupId>) -> Vec<GroupId> {
        let place = |group: &GroupId| match self.0.iter().position(|waiting| waiting == group) {
            _ if *group == asked => 0,
            Some(place) => place + 1,
            None => usize::MAX,
        };
        groups.sort_by_key(place);
        groups
    }

    /// A group was asked for, and had room or not.
    fn took_place(&mut self, group: GroupId, had_room: bool) {
        if had_room {
            self.0.retain(|waiting| *waiting != group);
        } else if !self.0.contains(&group) {
            self.0.push(group);
        }
    }
}

impl Look {
    async fn take(
        context: &Context,
        order: impl FnOnce(Vec<GroupId>) -> Vec<GroupId>,
    ) -> Result<Self, Error> {
        let began = context.env.now();
        let map = context.map().await?;
        let leases = context.metadata.list_leases().await?;
        let live = leases.iter().filter(|lease| !lease.revoked).map(|lease| lease.oldest_epoch);
        let known_epoch = live.min().unwrap_or(map.epoch).min(map.epoch);
        let groups = order(groups_of_lost(&map).into_iter().collect());
        let mut reading = Reading::new(groups, CHUNKS_MAX);
        for round in [Round::First, Round::Second] {
            let mut after = None;
            loop {
                let page = context.metadata.list_contents(after, PAGE_SIZE_MAX).await?;
                reading.take_in(round, &page.rows);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let ended = context.env.now();
        Ok(Self { ended, took: ended.since(began), known_epoch, chunks: reading.chunks() })
    }
}

/// Which reading of all rows it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Second,
}

/// Every row is read twice: one that moved behind the reader, as when an upload was completed, is met the second time. One that moves
/// behind it the second time too has left a removed row where it was when that reading began, which stays for longer than the reading
/// takes (for a day, unless it is set otherwise): a chunk of a removed row that was not removed there the first time counts as named.
#[derive(Debug)]
struct Reading {
    groups: HashMap<GroupId, Named>,
    /// Those of them for which there is room; the last goes first.
    order: Vec<GroupId>,
    count: usize,
    count_max: usize,
}

/// What rows name of a group.
#[derive(Debug, Default)]
struct Named {
    chunks: HashSet<ChunkId>,
    /// Chunks of rows that were removed, and where these are, as of the first reading.
    removed: HashSet<(ChunkId, u64)>,
}

impl Reading {
    fn new(order: Vec<GroupId>, count_max: usize) -> Self {
        let groups = order.iter().map(|group| (*group, Named::default())).collect();
        Self { groups, order, count: 0, count_max }
    }

    fn take_in(&mut self, round: Round, rows: &[ContentRow]) {
        for row in rows {
            let is_removed = row.kind == ContentKind::Garbage;
            let place = place(row);
            for extent in &row.extents {
                let Some(named) = self.groups.get_mut(&extent.group) else { continue };
                let is_new = match (is_removed, round) {
                    (false, _) => named.chunks.insert(extent.chunk),
                    (true, Round::First) => named.removed.insert((extent.chunk, place)),
                    (true, Round::Second) => {
                        !named.removed.contains(&(extent.chunk, place)) && named.chunks.insert(extent.chunk)
                    }
                };
                self.count += usize::from(is_new);
            }
        }
        while self.count > self.count_max && self.order.len() > 1 {
            let left_out = self.order.pop().and_then(|group| self.groups.remove(&group)).unwrap_or_default();
            self.count -= left_out.chunks.len() + left_out.removed.len();
        }
    }

    fn chunks(self) -> BTreeMap<GroupId, HashSet<ChunkId>> {
        self.groups.into_iter().map(|(group, named)| (group, named.chunks)).collect()
    }
}

/// Tells keys of buckets from each other.
fn place(row: &ContentRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row.bucket.0, row.key.as_ref().map(types::ObjectKey::as_bytes)).hash(&mut hasher);
    hasher.finish()
}

/// The groups that move off disks that were given up.
fn groups_of_lost(map: &ClusterMap) -> BTreeSet<GroupId> {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let moving = groups.filter(|group| !group.moves.is_empty());
    let lost = moving.filter(|group| group.named_disks().any(|disk| presence::is_given_up(map, disk)));
    lost.map(|group| group.id).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use metadata_api::{ContentKind, ContentRow};
    use types::{BucketId, ChunkId, Extent, GroupId, LeaseId, ObjectKey};

    use super::{Reading, Round, Turns};

    fn chunk(number: u64) -> ChunkId {
        ChunkId { lease: LeaseId(1), counter: number }
    }

    fn row(kind: ContentKind, key: &str, group: GroupId, number: u64) -> ContentRow {
        let coding = "4+2".parse().unwrap();
        let extents = vec![Extent {
            group,
            chunk: chunk(number),
            coding,
            chunk_length: 1,
            offset: 0,
            length: 1,
            checksum: 0,
        }];
        let key = Some(ObjectKey::new(key.as_bytes().to_vec()).unwrap());
        ContentRow { kind, bucket: BucketId(1), bucket_name: None, key, owner: None, extents }
    }

    const GROUP: GroupId = GroupId(1);

    fn named(first: &[ContentRow], second: &[ContentRow]) -> HashSet<ChunkId> {
        let mut reading = Reading::new(vec![GROUP], 10);
        reading.take_in(Round::First, first);
        reading.take_in(Round::Second, second);
        reading.chunks().remove(&GROUP).unwrap()
    }

    #[test]
    fn an_object_that_moves_behind_both_readings_is_named() {
        let (live, removed) =
            (|key| row(ContentKind::Version, key, GROUP, 1), |key| row(ContentKind::Garbage, key, GROUP, 1));
        assert_eq!(named(&[], &[live("a")]), [chunk(1)].into());
        // From c to b before the first reading is at c, and from b to a before the second is at b.
        assert_eq!(named(&[removed("c")], &[removed("b"), removed("c")]), [chunk(1)].into());
        // From an upload in parts, which leaves nothing, to b.
        assert_eq!(named(&[], &[removed("b")]), [chunk(1)].into());
        assert_eq!(named(&[removed("c")], &[removed("c")]), [].into(), "it was deleted");
        assert_eq!(named(&[live("c")], &[removed("c")]), [chunk(1)].into(), "and moved, maybe");
    }

    #[test]
    fn every_group_has_room_in_its_turn() {
        let groups: Vec<GroupId> = (1..=4).map(GroupId).collect();
        let rows: Vec<ContentRow> = groups
            .iter()
            .flat_map(|group| {
                (0..3).map(|number| {
                    row(ContentKind::Version, "k", *group, u64::from(group.0.unsigned_abs()) * 10 + number)
                })
            })
            .collect();
        let mut turns = Turns::default();
        let mut look = |asked: GroupId| {
            let mut reading = Reading::new(turns.order(asked, groups.clone()), 7);
            reading.take_in(Round::First, &rows);
            let found = reading.chunks();
            for group in &groups {
                turns.took_place(*group, found.contains_key(group));
            }
            assert!(found.values().all(|chunks| chunks.len() == 3));
            found.into_keys().collect::<Vec<_>>()
        };
        // Always looked for by the same group.
        assert_eq!(look(GROUP), [GroupId(1), GroupId(2)]);
        assert_eq!(look(GROUP), [GroupId(1), GroupId(3)]);
        assert_eq!(look(GROUP), [GroupId(1), GroupId(4)]);
        assert_eq!(look(GROUP), [GroupId(1), GroupId(2)]);
    }

    #[test]
    fn a_group_with_more_chunks_than_there_is_room_for_is_looked_at_alone() {
        let mut reading = Reading::new(vec![GROUP, GroupId(2)], 2);
        let rows: Vec<ContentRow> =
            (0..5).map(|number| row(ContentKind::Version, "k", GROUP, number)).collect();
        reading.take_in(Round::First, &rows);
        assert_eq!(
            reading.chunks().into_iter().map(|(group, chunks)| (group, chunks.len())).collect::<Vec<_>>(),
            [(GROUP, 5)]
        );
    }
}
