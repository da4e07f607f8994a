//! Carries moves out: brings the shards of one index of a placement group to another disk.
//!
//! Nothing is remembered: a worker that takes over lists the group again and finds what is left to do. A move is
//! finished when every chunk of the group that is known has its shard at the new disk; a chunk that cannot be rebuilt
//! holds it up, because finishing it clears the old disk of what may be the chunk's last shards.

mod needed;
mod pass;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    pin::pin,
    time::Duration,
};

use env::Instant;
use futures_util::{StreamExt, stream::FuturesUnordered};
use metadata_api::{ClusterMap, DiskState, Error, MapDisk, NodeState, PlacementGroup};
use placement::{is_blocked, spare_shards};
use types::{Coding, DiskId, GroupId, ShardIndex};

use self::{
    needed::Needed,
    pass::{Pass, pass},
};
use crate::{context::Context, jobs::Progress, throttle::Throttle};

/// Pause between looks for moves.
const PERIOD: Duration = Duration::from_secs(1);

/// Moves that are carried out at a time.
const AT_ONCE: usize = 8;

/// Those among them whose group cannot be read and whose disk is away: as a rule nothing can be done for them, and it takes
/// long to find that out.
const BLOCKED_AT_ONCE: usize = 2;

/// Passes over a group before others get a turn.
const PASSES_MAX: usize = 8;

/// How often, and after which pause, it is looked whether writers have taken a move in, before others get a turn.
const WRITERS_LOOKS: usize = 10;
const WRITERS_PAUSE: Duration = Duration::from_secs(1);

/// How often disks are asked how many bytes they keep, to say how much is left.
const LIVE_BYTES_PERIOD: Duration = Duration::from_secs(30);

/// Wait before a move that could not be finished is tried again; longer each time that it ends for the same reason.
const RETRY: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(120);

/// A move as the map has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) group: PlacementGroup,
    pub(crate) coding: Coding,
    pub(crate) index: ShardIndex,
    pub(crate) to: DiskId,
    pub(crate) since: i64,
}

/// Names a move; a move that was sent elsewhere has another name.
pub(crate) type Key = (GroupId, ShardIndex, i64);

impl Move {
    fn key(&self) -> Key {
        (self.group.id, self.index, self.since)
    }
}

/// How a move was left.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Left {
    /// It is finished.
    Finished { bytes: u64 },
    /// It is not there any more, or is another by now.
    Gone,
    /// It cannot be finished now.
    Unfinished { reason: String },
}

/// Carries moves out as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let throttle = Throttle::new(context.env.clone(), context.options.move_rate_bytes);
    let needed = Needed::default();
    let mut running = FuturesUnordered::new();
    let mut waiting = Waiting::default();
    let mut active = Active::default();
    let mut live = LiveBytes::default();
    loop {
        // Those under way go on meanwhile: a disk that does not say how much it keeps is waited for.
        let mut ended = Vec::new();
        let ready = {
            let mut looking = pin!(ready_moves(&context, &progress, &mut live));
            loop {
                tokio::select! {
                    ready = &mut looking => break ready,
                    Some(one) = running.next(), if !running.is_empty() => ended.push(one),
                }
            }
        };
        match ready {
            Ok(moves) => {
                waiting.keep(&moves);
                let now = context.env.now();
                for ready in moves {
                    if waiting.is_over(&ready.pending.key(), now) && active.enter(&ready) {
                        running.push(carry_out(&context, &throttle, &progress, &needed, ready.pending));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "moves were not looked at"),
        }
        // Not before: what was found may still have them.
        for (ended, left) in ended {
            active.remove(&ended.key());
            waiting.take_in(&ended, left, context.env.now());
        }
        tokio::select! {
            Some((ended, left)) = running.next(), if !running.is_empty() => {
                active.remove(&ended.key());
                waiting.take_in(&ended, left, context.env.now());
            }
            () = context.pause(PERIOD) => {}
        }
    }
}

/// A move that can be carried out now, as its target answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    pending: Move,
    /// What is in its group cannot be read now, neither from its disk nor from the others.
    is_blocked: bool,
}

/// The moves that are being carried out, and whether they are blocked.
#[derive(Debug, Default)]
struct Active(HashMap<Key, bool>);

impl Active {
    /// Whether the move may be carried out now; it counts as active then.
    fn enter(&mut self, ready: &Ready) -> bool {
        let blocked = self.0.values().filter(|is_blocked| **is_blocked).count();
        let has_room = self.0.len() < AT_ONCE && !(ready.is_blocked && blocked >= BLOCKED_AT_ONCE);
        has_room && !self.0.contains_key(&ready.pending.key()) && {
            self.0.insert(ready.pending.key(), ready.is_blocked);
            true
        }
    }

    fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

/// How many bytes of shards disks keep, as they said last.
#[derive(Debug, Default)]
struct LiveBytes {
    asked: Option<Instant>,
    known: BTreeMap<DiskId, u64>,
}

impl LiveBytes {
    /// Of the disks of the groups that move, asked for anew now and then.
    async fn of(&mut self, context: &Context, moves: &[Move]) -> &BTreeMap<DiskId, u64> {
        let now = context.env.now();
        let disks: BTreeSet<DiskId> =
            moves.iter().flat_map(|pending| &pending.group.disks).copied().collect();
        let is_old = self.asked.is_none_or(|asked| now.since(asked) >= LIVE_BYTES_PERIOD);
        if !disks.is_empty() && is_old {
            self.asked = Some(now);
            let statuses = context.pool.statuses(&disks).await.into_values();
            self.known = statuses.map(|status| (status.disk, status.live_bytes)).collect();
        }
        &self.known
    }
}

/// Moves that can be carried out now because their target answers. The most urgent come first, and those of groups that
/// cannot be read last.
async fn ready_moves(
    context: &Context,
    progress: &Progress,
    live: &mut LiveBytes,
) -> Result<Vec<Ready>, Error> {
    let map = context.map().await?;
    let moves = moves(&map);
    let live = live.of(context, &moves).await;
    progress.set_left(moves.iter().map(|pending| estimate(&map, live, pending)).sum());
    Ok(by_urgency(&map, moves))
}

fn by_urgency(map: &ClusterMap, moves: Vec<Move>) -> Vec<Ready> {
    let ready = moves.into_iter().filter(|pending| is_up(map, pending.to)).map(|pending| {
        let (group, index) = (pending.group.placed(), usize::from(pending.index.0));
        let is_blocked = is_blocked(&group, index, pending.coding, |disk| is_up(map, disk));
        Ready { pending, is_blocked }
    });
    let mut ready: Vec<Ready> = ready.collect();
    ready.sort_by_cached_key(|ready| (ready.is_blocked, spare(map, &ready.pending)));
    ready
}

fn moves(map: &ClusterMap) -> Vec<Move> {
    let mut moves = Vec::new();
    for class in &map.classes {
        let coding = class.definition.coding;
        for group in &class.groups {
            moves.extend(group.moves.iter().map(|pending| Move {
                group: group.clone(),
                coding,
                index: pending.index,
                to: pending.to,
                since: pending.since,
            }));
        }
    }
    moves
}

fn is_up(map: &ClusterMap, disk: DiskId) -> bool {
    let up = |found: &&MapDisk| {
        let mut nodes = map.nodes.iter();
        found.state == DiskState::Up
            && nodes.any(|node| node.node == found.node && node.state != NodeState::Down)
    };
    map.disks.iter().find(|found| found.disk == disk).as_ref().is_some_and(up)
}

fn spare(map: &ClusterMap, pending: &Move) -> isize {
    spare_shards(&pending.group.placed(), pending.coding, |disk| is_up(map, disk))
}

/// About how many bytes a move has: what an index of a group has on average on those of the group's disks of which it is
/// known how many bytes of shards they keep.
fn estimate(map: &ClusterMap, live: &BTreeMap<DiskId, u64>, pending: &Move) -> u64 {
    let mut slots: HashMap<DiskId, u64> = HashMap::new();
    for disk in map.classes.iter().flat_map(|class| &class.groups).flat_map(|group| &group.disks) {
        *slots.entry(*disk).or_default() += 1;
    }
    let known = pending.group.disks.iter().filter_map(|disk| Some((disk, live.get(disk)?)));
    let shares = known.map(|(disk, live)| live / slots.get(disk).copied().unwrap_or(1).max(1));
    let (count, sum) = shares.fold((0, 0_u64), |(count, sum), share| (count + 1, sum.saturating_add(share)));
    sum.checked_div(count).unwrap_or(0)
}

/// Whether the map still has this very move.
pub(crate) async fn is_pending(context: &Context, pending: &Move) -> Result<bool, Error> {
    let map = context.map().await?;
    let mut groups = map.classes.iter().flat_map(|class| &class.groups);
    let group = groups.find(|group| group.id == pending.group.id);
    let found = group.and_then(|group| group.move_of(pending.index));
    Ok(found.is_some_and(|found| found.since == pending.since))
}

async fn carry_out(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    needed: &Needed,
    pending: Move,
) -> (Move, Left) {
    let _running = context.counts.moves_running.enter();
    let left = match bring_over(context, throttle, progress, needed, &pending).await {
        Ok(left) => left,
        Err(Error::MoveNotFound) => Left::Gone,
        Err(error) => Left::Unfinished { reason: error.to_string() },
    };
    (pending, left)
}

/// Goes over the group until a pass finds nothing left to bring over that began when no writer put shards to the old disk
/// any more, and finishes the move.
async fn bring_over(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    needed: &Needed,
    pending: &Move,
) -> Result<Left, Error> {
    let mut all_bytes = 0;
    for _ in 0..PASSES_MAX {
        let is_known = is_known_to_writers(context, pending.since).await?;
        match pass(context, throttle, progress, needed, pending).await? {
            Pass::Gone => return Ok(Left::Gone),
            Pass::Incomplete { reason } => return Ok(Left::Unfinished { reason }),
            Pass::Complete { brought, bytes } => {
                all_bytes += bytes;
                if brought == 0 && is_known {
                    context.metadata.finish_move(pending.group.id, pending.index, pending.since).await?;
                    context.counts.moves_finished.increment();
                    return Ok(Left::Finished { bytes: all_bytes });
                }
                if !is_known && !wait_for_writers(context, pending.since).await? {
                    return Ok(Left::Unfinished {
                        reason: "writers still go by an older cluster map".to_owned(),
                    });
                }
            }
        }
    }
    Ok(Left::Unfinished { reason: "there was something to bring over in every pass".to_owned() })
}

/// Whether every writer goes by a map that has the moves of `since`.
async fn is_known_to_writers(context: &Context, since: i64) -> Result<bool, Error> {
    let leases = context.metadata.list_leases().await?;
    Ok(leases.iter().filter(|lease| !lease.revoked).all(|lease| lease.oldest_epoch >= since))
}

async fn wait_for_writers(context: &Context, since: i64) -> Result<bool, Error> {
    for _ in 0..WRITERS_LOOKS {
        if is_known_to_writers(context, since).await? {
            return Ok(true);
        }
        context.env.sleep(WRITERS_PAUSE).await;
    }
    Ok(false)
}

/// Moves that could not be finished, and why.
#[derive(Debug, Default)]
struct Waiting {
    moves: HashMap<Key, Wait>,
}

#[derive(Debug)]
struct Wait {
    until: Instant,
    pause: Duration,
    reason: String,
}

impl Waiting {
    /// Forgets moves that are not there any more.
    fn keep(&mut self, moves: &[Ready]) {
        let keys: HashSet<Key> = moves.iter().map(|ready| ready.pending.key()).collect();
        self.moves.retain(|key, _| keys.contains(key));
    }

    fn is_over(&self, key: &Key, now: Instant) -> bool {
        self.moves.get(key).is_none_or(|wait| wait.until <= now)
    }

    fn take_in(&mut self, ended: &Move, left: Left, now: Instant) {
        let Move { group, index, to, since, .. } = ended;
        let (group, index) = (group.id.0, index.0);
        match left {
            Left::Finished { bytes } => {
                tracing::info!(group, index, %to, since, bytes, "finished a move");
                self.moves.remove(&ended.key());
            }
            Left::Gone => drop(self.moves.remove(&ended.key())),
            Left::Unfinished { reason } => {
                let before = self.moves.get(&ended.key()).filter(|before| before.reason == reason);
                let pause = before.map_or(RETRY, |before| (before.pause * 2).min(RETRY_MAX));
                // Told when it changes, not every time.
                if before.is_none() {
                    tracing::warn!(group, index, %to, reason, "a move cannot be finished now");
                }
                self.moves.insert(ended.key(), Wait { until: now.after(pause), pause, reason });
            }
        }
    }
}

#[cfg(test)]
mod tests;
