//! One pass over a group: every chunk that is known gets its shard at the new disk.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use chunk_api::Error as ChunkError;
use data_pool::{ChunkList, ListedChunk, Look, UnreachedDisk};
use futures_util::{StreamExt, stream};
use metadata_api::{ClusterMap, Error, PAGE_SIZE_MAX, PlacementGroup};
use types::{ChunkId, Coding, DiskId, GroupId, ShardIndex};

use super::{Move, is_pending, needed::Needed};
use crate::{
    context::Context,
    jobs::Progress,
    presence,
    restore::{Outcome, Target, restore},
    standing,
    throttle::Throttle,
};

/// Chunks that are looked at together.
const BATCH: usize = 128;

/// Chunks of a move that are brought over at a time.
const CHUNKS_AT_ONCE: usize = 4;

/// Most chunks with missing shards that a pass takes up; those beyond them come with the next one.
const MISSING_MAX: usize = 200_000;

/// Most chunks that a pass leaves open before it gives up.
const OPEN_MAX: usize = 1000;

/// How often, and after which pause, a pass looks again at chunks that it left open.
const LOOKS: usize = 4;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What a pass found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pass {
    /// The move is not there any more, or is another.
    Gone,
    /// Every named chunk that is known has its shard at the new disk now; `brought` of them had to be brought over and
    /// had been written before the move.
    Complete { brought: usize, bytes: u64 },
    /// Some chunks' shards could not be brought over, or it is not known which chunks there are.
    Incomplete { reason: String },
}

/// What is known of a group when it was gone over.
struct Tally<'a> {
    context: &'a Context,
    throttle: &'a Throttle,
    progress: &'a Progress,
    pending: &'a Move,
    brought: usize,
    bytes: u64,
    open: Vec<(ListedChunk, String)>,
}

/// Goes over the group once.
pub(super) async fn pass(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    needed: &Needed,
    pending: &Move,
) -> Result<Pass, Error> {
    // Before the disks are listed: a shard that is missing now and is on its disk by the time that is listed is found
    // one way or the other.
    let (mut missing, has_more) = missing_chunks(context, pending).await?;
    let Some(mut list) = context.pool.list_group(pending.group.id) else {
        return Ok(incomplete("the cluster map does not have the group"));
    };
    if list.epoch() < pending.since {
        return Ok(incomplete("the cluster map is older than the move"));
    }
    let mut tally = Tally { context, throttle, progress, pending, brought: 0, bytes: 0, open: Vec::new() };
    loop {
        let batch = next_batch(&mut list).await;
        if batch.is_empty() {
            break;
        }
        let mut doubted = HashSet::new();
        for chunk in &batch {
            if missing.remove(&chunk.chunk).is_some_and(|queued| queued.indexes.contains(&pending.index)) {
                doubted.insert(chunk.chunk);
            }
        }
        if !is_pending(context, pending).await? {
            return Ok(Pass::Gone);
        }
        tally.go_over(batch, &doubted).await?;
        if tally.open.len() > OPEN_MAX {
            return Ok(tally.given_up());
        }
    }
    let shown = tally.shown(list.shown_indexes(), list.unreached()).await?;
    if let Some(reason) = unknown_chunks(pending, &shown) {
        let waits = if shown.is_all_that_is_left {
            lost_chunks(context, needed, pending, &list.listed()).await?
        } else {
            Some(reason)
        };
        if let Some(reason) = waits {
            return Ok(Pass::Incomplete { reason });
        }
    }
    // Chunks of which no disk that answers has a shard.
    for chunk in missing.into_keys() {
        let found = context.pool.find_chunk(pending.group.id, chunk).await;
        let found = found.unwrap_or(ListedChunk { chunk, shards: Vec::new() });
        tally.open.push((found, "no disk that answers has a shard of it".to_owned()));
        if tally.open.len() > OPEN_MAX {
            return Ok(tally.given_up());
        }
    }
    tally.look_again().await?;
    if !tally.open.is_empty() {
        return Ok(tally.given_up());
    }
    let brought = tally.brought + usize::from(has_more);
    Ok(Pass::Complete { brought, bytes: tally.bytes })
}

/// Why a move waits of which disks that were given up alone could show every chunk, if it does: rows name chunks that nothing is
/// left of. It ends when these are deleted, so that nothing is dropped without somebody's will, and any disk can be removed. `listed`
/// are the disks that the pass has listed to their end: what others alone show, having come back meanwhile, it has not gone over.
async fn lost_chunks(
    context: &Context,
    needed: &Needed,
    pending: &Move,
    listed: &BTreeSet<DiskId>,
) -> Result<Option<String>, Error> {
    let group = pending.group.id;
    let Some(mut lost) = needed.of(context, group, pending.since).await? else {
        return Ok(Some("it is not known yet which chunks rows name whose disks were given up".to_owned()));
    };
    if lost.is_empty() {
        return Ok(None);
    }
    let Some(mut list) = context.pool.list_group(group) else {
        return Ok(Some("the cluster map does not have the group".to_owned()));
    };
    let mut is_anew = false;
    while let Some(chunk) = list.next().await {
        let was_gone_over = chunk.shards.iter().any(|shard| listed.contains(&shard.disk));
        is_anew |= lost.remove(&chunk.chunk) && !was_gone_over;
    }
    if is_anew {
        return Ok(Some(
            "a disk that was given up has come back meanwhile, and is gone over next".to_owned(),
        ));
    }
    Ok((!lost.is_empty()).then(|| {
        format!(
            "{} chunks that objects name were on disks alone that were given up: `ashlar admin audit` names these objects, and the \
             move ends when they are deleted",
            lost.len()
        )
    }))
}

fn incomplete(reason: &str) -> Pass {
    Pass::Incomplete { reason: reason.to_owned() }
}

/// What the queue of missing shards says of a chunk.
struct Queued {
    coding: Coding,
    indexes: BTreeSet<ShardIndex>,
}

/// Chunks of the group with shards in the queue of missing ones, and whether there are more.
async fn missing_chunks(
    context: &Context,
    pending: &Move,
) -> Result<(BTreeMap<ChunkId, Queued>, bool), Error> {
    let mut chunks: BTreeMap<ChunkId, Queued> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = context.metadata.list_missing(Some(pending.group.id), after, PAGE_SIZE_MAX).await?;
        let is_last = page.len() < PAGE_SIZE_MAX;
        after = page.last().map(|missing| missing.shard);
        let concerned = page.iter().filter(|missing| has_index(missing.coding, pending.index));
        for missing in concerned {
            let queued = Queued { coding: missing.coding, indexes: BTreeSet::new() };
            chunks.entry(missing.shard.chunk).or_insert(queued).indexes.insert(missing.shard.index);
        }
        if is_last || chunks.len() >= MISSING_MAX {
            return Ok((chunks, !is_last));
        }
    }
}

fn find_group(map: &ClusterMap, id: GroupId) -> Option<&PlacementGroup> {
    map.classes.iter().flat_map(|class| &class.groups).find(|group| group.id == id)
}

fn has_index(coding: Coding, index: ShardIndex) -> bool {
    usize::from(index.0) < coding.total()
}

async fn next_batch(list: &mut ChunkList) -> Vec<ListedChunk> {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(chunk) = list.next().await else { break };
        batch.push(chunk);
    }
    batch
}

/// What the places of a group can tell.
struct Shown {
    /// Indexes of which every place was listed.
    indexes: BTreeSet<ShardIndex>,
    /// Those of which a shard is known not to be there when it was not listed. A place may have lost the name of one to rot: it
    /// says then that it has something quarantined, and what it does not show may still be named, with its last shard on a
    /// disk that is silent for now.
    explained: BTreeSet<ShardIndex>,
    /// Whether there is no place but those that were listed.
    is_all: bool,
    /// Whether there is none but those and disks that were given up.
    is_all_that_is_left: bool,
}

/// Why it is not known which chunks there are, if so.
///
/// A committed chunk has each of its shards at a place of it or in the queue of missing ones, so one index whose places
/// were all listed, and have lost no name, shows every chunk that has it. Whole copies have the first m + 1 indexes alone. Which places those are
/// says the map by which they were listed: other moves may have begun or ended since this one was taken up. Where all
/// places were listed there is no other to wait for, even if each index had a target that was lost.
fn unknown_chunks(pending: &Move, shown: &Shown) -> Option<String> {
    let copies = pending.coding.as_copies().total();
    let indexes = if usize::from(pending.index.0) < copies { copies } else { pending.coding.total() };
    let known = shown.is_all || shown.explained.iter().any(|index| usize::from(index.0) < indexes);
    (!known).then(|| "too few disks can be listed, so it is not known which chunks there are".to_owned())
}

/// Whether a chunk that is known from the queue alone, and of which the indexes that are shown have no shard, need not be
/// waited for: it was freed, or it cannot be rebuilt whatever the other places have.
fn is_past_help(queued: &Queued, shown: &Shown) -> bool {
    let total = queued.coding.total();
    let is_of_chunk = |index: &&ShardIndex| usize::from(index.0) < total;
    // Were it named, a shard that is not in the queue would be at its place.
    let mut absent = shown.explained.iter().filter(is_of_chunk);
    let is_freed = absent.any(|index| !queued.indexes.contains(index));
    is_freed || total - shown.indexes.iter().filter(is_of_chunk).count() < queued.coding.data()
}

impl Tally<'_> {
    /// What a listing shows that did not reach these disks. Disks that were given up are not waited for.
    async fn shown(
        &self,
        indexes: BTreeSet<ShardIndex>,
        unreached: &[UnreachedDisk],
    ) -> Result<Shown, Error> {
        if unreached.is_empty() {
            return Ok(Shown {
                explained: indexes.clone(),
                indexes,
                is_all: true,
                is_all_that_is_left: true,
            });
        }
        let map = self.context.map().await?;
        if unreached.iter().all(|unreached| presence::is_given_up(&map, unreached.disk)) {
            return Ok(Shown {
                explained: indexes.clone(),
                indexes,
                is_all: false,
                is_all_that_is_left: true,
            });
        }
        let group = find_group(&map, self.pending.group.id).unwrap_or(&self.pending.group);
        let explained = presence::explained(&self.context.pool, group).await;
        Ok(Shown {
            explained: indexes.intersection(&explained).copied().collect(),
            indexes,
            is_all: false,
            is_all_that_is_left: false,
        })
    }

    fn given_up(&self) -> Pass {
        let example = self.open.first().map_or("", |(_, reason)| reason.as_str());
        Pass::Incomplete {
            reason: format!(
                "{} chunks could not be brought over, one of them because {example}",
                self.open.len()
            ),
        }
    }

    /// Brings over what of these chunks is not at the new disk. Of those that are doubted the queue says that the shard is missing or
    /// damaged: what a scrub found is not in a listing.
    async fn go_over(&mut self, batch: Vec<ListedChunk>, doubted: &HashSet<ChunkId>) -> Result<(), Error> {
        let Move { index, to, since, .. } = *self.pending;
        let mut unsure = Vec::new();
        let mut absent = Vec::new();
        for chunk in batch {
            let Some(first) = chunk.shards.first() else { continue };
            if !has_index(first.header.coding, index) {
                continue;
            }
            match chunk.on(index, to) {
                // Put there for this move, or by a writer that knows of it: proved when it was put, if it was put to its end.
                Some(shard)
                    if shard.header.epoch >= since
                        && !shard.is_damaged
                        && !doubted.contains(&chunk.chunk) => {}
                Some(_) => unsure.push(chunk),
                None => absent.push(chunk),
            }
        }
        for (chunk, whole) in self.verify(unsure).await {
            match whole {
                Ok(()) => {}
                Err(
                    ChunkError::ShardNotFound { .. }
                    | ChunkError::ShardCorrupt { .. }
                    | ChunkError::ShardDeleted { .. },
                ) => absent.push(chunk),
                Err(error) => self.open.push((chunk, error.to_string())),
            }
        }
        self.bring(absent).await
    }

    /// Reads every byte of what lay at the new disk before the move.
    async fn verify(&self, chunks: Vec<ListedChunk>) -> Vec<(ListedChunk, Result<(), ChunkError>)> {
        let index = self.pending.index;
        let named = chunks.iter().filter_map(|chunk| {
            let header = &chunk.on(index, self.pending.to)?.header;
            Some((header.shard, header.length()))
        });
        let results = presence::verify(&self.context.pool, self.pending.to, &named.collect::<Vec<_>>()).await;
        chunks.into_iter().zip(results).collect()
    }

    /// Brings over those of the chunks that something names; what cannot be brought over now is left open. What nothing
    /// names yet is being written by a writer that knows of the move, or the pass is not the last one.
    async fn bring(&mut self, mut chunks: Vec<ListedChunk>) -> Result<(), Error> {
        let named = standing::named(&*self.context.metadata, &chunks).await?;
        chunks.retain(|chunk| named.contains(&chunk.chunk));
        let chunks = self.without_freed(chunks).await;
        let (context, throttle, pending) = (self.context, self.throttle, self.pending);
        let target = Target { index: pending.index, disk: pending.to, epoch: pending.since };
        let restoring = chunks.into_iter().map(|chunk| async move {
            let outcome = restore(context, &chunk, target).await;
            if let Outcome::Whole { bytes } = outcome {
                throttle.spent(bytes).await;
            }
            (chunk, outcome)
        });
        let mut restoring = stream::iter(restoring).buffer_unordered(CHUNKS_AT_ONCE);
        while let Some((chunk, outcome)) = restoring.next().await {
            match outcome {
                Outcome::Whole { bytes } => {
                    self.bytes += bytes;
                    self.progress.add(bytes);
                    self.context.counts.move_bytes.add(bytes);
                    self.brought += usize::from(!is_of_move(&chunk, pending.since));
                }
                Outcome::Freed => {}
                Outcome::Open { reason } | Outcome::Refused { reason } => self.open.push((chunk, reason)),
            }
        }
        Ok(())
    }

    /// Leaves out what was freed and is still on a disk that the move was sent elsewhere from: no tombstone was put there, and the new
    /// disk may have none. Whether something names it is not known where its owner cannot be read.
    async fn without_freed(&self, chunks: Vec<ListedChunk>) -> Vec<ListedChunk> {
        let homes: BTreeSet<DiskId> = self.pending.group.named_disks().collect();
        let mut left = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let is_doubtful = !chunk.shards.iter().any(|shard| homes.contains(&shard.disk));
            if !is_doubtful || !presence::is_freed(&self.context.pool, &self.pending.group, chunk.chunk).await
            {
                left.push(chunk);
            }
        }
        left
    }

    /// Looks again at chunks that were left open, for a while.
    async fn look_again(&mut self) -> Result<(), Error> {
        for _ in 0..LOOKS {
            if self.open.is_empty() {
                return Ok(());
            }
            self.context.env.sleep(LOOK_PAUSE).await;
            let map = self.context.map().await?;
            // Before the disks are asked, as in the pass.
            let (missing, has_more) = missing_chunks(self.context, self.pending).await?;
            let mut due = Vec::new();
            for (chunk, reason) in std::mem::take(&mut self.open) {
                // What is known from more than the queue has an owner and was named: every place of it has to tell.
                let queued = (chunk.shards.is_empty() && !has_more).then(|| missing.get(&chunk.chunk));
                match self.find(&chunk, &map, queued).await? {
                    Found::Nowhere => {}
                    Found::Somewhere(found) => due.push(found),
                    Found::Unknown => self.open.push((chunk, reason)),
                }
            }
            self.bring(due).await?;
        }
        Ok(())
    }

    /// Looks for a chunk; `queued` is what the queue alone says of it, if all there is to know of it is from there.
    async fn find(
        &self,
        chunk: &ListedChunk,
        map: &ClusterMap,
        queued: Option<Option<&Queued>>,
    ) -> Result<Found, Error> {
        if let Some(Look { found, shown, unreached }) =
            self.context.pool.look_for_chunk(self.pending.group.id, chunk.chunk).await
        {
            // Also one that is there by now: its put was not heard to end well.
            if !found.shards.is_empty() {
                return Ok(Found::Somewhere(found));
            }
            if let Some(queued) = queued {
                let shown = self.shown(shown, &unreached).await?;
                let is_nowhere = match queued {
                    Some(queued) => is_past_help(queued, &shown),
                    // It has left the queue. Were it named, it would have been shown.
                    None => unknown_chunks(self.pending, &shown).is_none(),
                };
                if is_nowhere {
                    return Ok(Found::Nowhere);
                }
            }
        }
        let Tally { context, pending, .. } = self;
        let is_nowhere = presence::is_nowhere(&context.pool, map, &pending.group, chunk.chunk).await;
        Ok(if is_nowhere { Found::Nowhere } else { Found::Unknown })
    }
}

/// Whether every shard that was found was put by a map that has the move: by a writer that knows of it, as a rule.
fn is_of_move(chunk: &ListedChunk, since: i64) -> bool {
    chunk.shards.iter().all(|shard| shard.header.epoch >= since)
}

/// What became of a chunk that was left open.
enum Found {
    /// Shards of it are found.
    Somewhere(ListedChunk),
    /// No place of it has a shard, as far as one has to know: it was freed.
    Nowhere,
    /// No place that answers has a shard of it.
    Unknown,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use metadata_api::ShardMove;
    use types::ShardIndex;

    use super::{Queued, Shown, is_past_help, unknown_chunks};
    use crate::{
        mover::moves,
        tests::maps::{disk, map},
    };

    /// Indexes that were listed, of which these are explained.
    fn shown(indexes: &[u8], explained: &[u8], is_all: bool) -> Shown {
        let set = |indexes: &[u8]| -> BTreeSet<_> { indexes.iter().copied().map(ShardIndex).collect() };
        let (indexes, explained) = (set(indexes), set(explained));
        Shown { indexes, explained, is_all, is_all_that_is_left: is_all }
    }

    #[test]
    fn one_index_that_was_listed_shows_every_chunk() {
        // 2+2: whole copies are on the first three.
        let mut map = map(6, &[[0, 1, 2, 3]]);
        map.classes[0].groups[0].moves = vec![
            ShardMove { index: ShardIndex(0), to: disk(4), since: 2, redirected: false },
            ShardMove { index: ShardIndex(3), to: disk(5), since: 2, redirected: false },
        ];
        let moves = moves(&map);
        let unknown = |number: usize, indexes: &[u8]| {
            unknown_chunks(&moves[number], &shown(indexes, indexes, false)).is_some()
        };
        for index in 0..3 {
            assert!(!unknown(0, &[index]));
        }
        assert!(unknown(0, &[]));
        // Copies have no shard 3, so that every other shows what has one, and it alone does not show copies.
        assert!(unknown(0, &[3]));
        assert!(!unknown(1, &[3]));
        assert!(unknown(1, &[]));
        assert_eq!(unknown_chunks(&moves[0], &shown(&[], &[], true)), None, "there is no other place");
        // One whose names rotted shows nothing.
        assert!(unknown_chunks(&moves[0], &shown(&[0], &[], false)).is_some());
        assert_eq!(unknown_chunks(&moves[0], &shown(&[0, 1], &[1], false)), None);
    }

    #[test]
    fn a_chunk_is_waited_for_while_a_silent_disk_may_tell_of_it() {
        let judge = |coding: &str, queued: &[u8], shown: &Shown| {
            let indexes = queued.iter().copied().map(ShardIndex).collect();
            is_past_help(&Queued { coding: coding.parse().unwrap(), indexes }, shown)
        };
        let is_past_help =
            |coding, queued: &[u8], indexes: &[u8]| judge(coding, queued, &shown(indexes, indexes, false));
        // The silent disks have enough, for all that is known.
        assert!(!is_past_help("1+1", &[1], &[1]));
        assert!(!is_past_help("2+2", &[2, 3], &[2, 3]));
        // Shards 1 and 3 would be at their places.
        assert!(is_past_help("1+1", &[0], &[1]));
        assert!(is_past_help("2+2", &[0, 1], &[0, 1, 3]));
        // One shard is not enough.
        assert!(is_past_help("2+2", &[0, 1, 3], &[0, 1, 3]));
        // Whole copies have three.
        assert!(!is_past_help("1+2", &[1, 2], &[1, 2, 3]));
        // Copy 0 may be there without its name, and the last one on the disk that is silent.
        assert!(!judge("1+2", &[1], &shown(&[0, 1], &[1], false)));
        assert!(judge("1+2", &[1], &shown(&[0, 1], &[0, 1], false)));
    }
}
