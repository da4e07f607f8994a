//! Moves of placement groups, and the evictions that they leave.

use types::{DiskId, GroupId, ShardIndex};

use super::support::{Pool, Store, epoch, map_node, register};
use metadata_api::{
    DiskState, Error, Eviction, FormerTarget, Intent, NewMove, NodeState, ObservedNode, PAGE_SIZE_MAX,
    ShardMove, all_evictions,
};

async fn evictions(store: &Store, group: GroupId) -> Vec<Eviction> {
    let mut evictions = all_evictions(&**store).await.expect("evictions");
    evictions.retain(|eviction| eviction.group == group);
    evictions
}

/// A move is in the map from its epoch on, and nothing else of the group changes; a map that is too old begins none.
pub async fn a_move_begins_by_the_current_map(store: &Store) {
    let pool = Pool::with_groups(store, "2+1", 5, 2).await;
    let groups = pool.groups(store).await;
    let (group, other) = (&groups[0], &groups[1]);
    let at = epoch(store).await;
    assert!(group.changed_epoch <= at && group.changed_epoch > 0, "a group is as new as its mapping");
    let to = pool.spares(group)[0];
    let new = NewMove { group: group.id, index: ShardIndex(1), to };
    for stale in [at - 1, at + 1, 0] {
        assert_eq!(store.begin_moves(stale, &[new]).await, Err(Error::StaleMap { epoch: at }));
    }
    assert_eq!(store.begin_moves(at, &[]).await, Ok(at), "no move is no change");
    assert_eq!((pool.groups(store).await, epoch(store).await), (groups.clone(), at));

    let since = store.begin_moves(at, &[new]).await.expect("a move");
    assert!(since > at);
    let now = pool.groups(store).await;
    assert_eq!(epoch(store).await, since, "the answer is the epoch of the map that has the move");
    assert_eq!(now[0].moves, [ShardMove { index: new.index, to, since, redirected: false }]);
    assert_eq!((&now[0].disks, now[0].changed_epoch), (&group.disks, since));
    assert_eq!(now[1], *other, "other groups are not concerned");
    assert_eq!(store.begin_moves(at, &[new]).await, Err(Error::StaleMap { epoch: since }));
}

/// At most one move of an index, never two shards of a group on one disk, moves' targets counted; all or none.
pub async fn a_move_that_breaks_a_rule_is_refused(store: &Store) {
    let pool = Pool::new(store, "2+1", 5).await;
    let pending = pool.begin(store, 0).await;
    let group = pool.group(store).await;
    let spare = pool.spares(&group)[0];
    let (at, id) = (epoch(store).await, group.id);
    let drained = Pool::new(store, "1+1", 3).await;
    let drained_group = drained.group(store).await;
    let drained_spare = drained.spares(&drained_group)[0];
    store.set_disk_intent(drained_spare, Intent::Drain).await.expect("a known disk");
    assert!(epoch(store).await > at);
    let at = epoch(store).await;

    let new = |index: u8, to: DiskId| NewMove { group: id, index: ShardIndex(index), to };
    let good = new(1, spare);
    let nowhere = DiskId([7; 16]);
    let refused: [(&str, Vec<NewMove>); 11] = [
        ("an index that is on its way", vec![new(0, spare)]),
        ("an index twice", vec![good, good]),
        ("a disk of the group", vec![new(1, group.disks[2])]),
        ("the disk where it is", vec![new(1, group.disks[1])]),
        ("a disk that an index leaves", vec![new(1, group.disks[0])]),
        ("a disk that an index moves to", vec![new(1, pending.to)]),
        ("a disk that an index begins to move to", vec![good, new(2, spare)]),
        ("an index that is not there", vec![new(3, spare)]),
        ("a group that is not there", vec![NewMove { group: GroupId(i32::MAX), ..good }]),
        ("a disk that is not there", vec![good, new(2, nowhere)]),
        (
            "a disk that is drained",
            vec![NewMove { group: drained_group.id, index: ShardIndex(0), to: drained_spare }],
        ),
    ];
    for (what, moves) in refused {
        let answer = store.begin_moves(at, &moves).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{what}: {answer:?}");
        assert_eq!((epoch(store).await, pool.group(store).await), (at, group.clone()), "{what}");
    }
    let foreign = NewMove { group: drained_group.id, index: ShardIndex(0), to: spare };
    let answer = store.begin_moves(at, &[foreign]).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "a disk of another medium: {answer:?}");
    let many = vec![good; metadata_api::PAGE_SIZE_MAX + 1];
    assert!(matches!(store.begin_moves(at, &many).await, Err(Error::Malformed { .. })), "too many");
    store.begin_moves(at, &[good]).await.expect("a second index may move meanwhile");
    assert_eq!(pool.group(store).await.moves.len(), 2);
}

/// A finished move is the group's new disk and an eviction, by the epoch of the map that says so, once.
pub async fn a_finished_move_leaves_an_eviction(store: &Store) {
    let pool = Pool::new(store, "2+1", 5).await;
    let before = pool.group(store).await;
    let (first, second) = (pool.begin(store, 0).await, pool.begin(store, 2).await);
    assert_ne!(first.to, second.to);
    let finish = async |index: u8, since: i64| store.finish_move(before.id, ShardIndex(index), since).await;
    for (index, since) in [(0, first.since + 1), (0, first.since - 1), (1, first.since), (2, first.since)] {
        assert_eq!(finish(index, since).await, Err(Error::MoveNotFound), "{index} {since}");
    }
    let answer = store.finish_move(GroupId(i32::MAX), ShardIndex(0), first.since).await;
    assert_eq!(answer, Err(Error::MoveNotFound));
    assert_eq!(epoch(store).await, second.since, "what was refused changes nothing");
    assert_eq!(evictions(store, before.id).await, []);

    finish(0, first.since).await.expect("a pending move");
    let (now, at) = (pool.group(store).await, epoch(store).await);
    assert!(at > second.since);
    assert_eq!((now.disks[0], now.disks[1], now.disks[2]), (first.to, before.disks[1], before.disks[2]));
    assert_eq!((&now.moves[..], now.changed_epoch), (&[second][..], at));
    let left = Eviction { disk: before.disks[0], group: before.id, index: ShardIndex(0), epoch: at };
    assert_eq!(evictions(store, before.id).await, [left]);
    assert_eq!(finish(0, first.since).await, Err(Error::MoveNotFound), "once");

    let other = Eviction { epoch: at - 1, ..left };
    store.finish_eviction(other).await.expect("another eviction is not there, which is no harm");
    assert_eq!(evictions(store, before.id).await, [left]);
    store.finish_eviction(left).await.expect("an eviction");
    assert_eq!(evictions(store, before.id).await, []);
    assert_eq!(epoch(store).await, at, "evictions are not in the map");
}

/// A shard does not come back to a disk that has yet to evict it: the eviction would take it away again.
pub async fn a_disk_takes_nothing_back_before_it_was_evicted(store: &Store) {
    let pool = Pool::new(store, "1+1", 3).await;
    let before = pool.group(store).await;
    let moved = pool.begin(store, 0).await;
    store.finish_move(before.id, moved.index, moved.since).await.expect("a pending move");
    let back = NewMove { group: before.id, index: moved.index, to: before.disks[0] };
    let answer = store.begin_moves(epoch(store).await, &[back]).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    let other = NewMove { index: ShardIndex(1), ..back };
    let since = store.begin_moves(epoch(store).await, &[other]).await.expect("another index may come");
    store.finish_move(before.id, other.index, since).await.expect("a pending move");

    let left = evictions(store, before.id).await;
    let first = left.iter().find(|eviction| eviction.index == moved.index).expect("it waits");
    store.finish_eviction(*first).await.expect("an eviction");
    let third = pool.spares(&pool.group(store).await)[0];
    assert_eq!(third, before.disks[1]);
    let back = NewMove { to: third, ..back };
    store.begin_moves(epoch(store).await, &[back]).await.expect("that disk has no shard of this index");
}

/// Evictions come by their key, those behind the last one that is known, so that those that wait hide none.
pub async fn evictions_come_in_pages(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 3, 4).await;
    let at = epoch(store).await;
    let groups = pool.groups(store).await;
    let moves = groups.iter().map(|group| {
        let to = pool.spares(group)[0];
        NewMove { group: group.id, index: ShardIndex(0), to }
    });
    let since = store.begin_moves(at, &moves.collect::<Vec<_>>()).await.expect("moves");
    for group in &groups {
        store.finish_move(group.id, ShardIndex(0), since).await.expect("a pending move");
    }
    let all = all_evictions(&**store).await.expect("evictions");
    assert!(all.len() >= groups.len() && all.len() < PAGE_SIZE_MAX, "{} evictions", all.len());
    assert!(all.is_sorted_by(|left, right| left.key() < right.key()), "{all:?}");
    for (place, last) in all.iter().enumerate() {
        let page = store.list_evictions(Some(Eviction { epoch: 0, ..*last })).await;
        assert_eq!(page.as_deref(), Ok(&all[place + 1..]), "behind {last:?}");
    }
}

/// Evictions of a disk that is away or has failed wait, and are not handed out.
pub async fn evictions_wait_for_their_disk(store: &Store) {
    let pool = Pool::new(store, "1+1", 3).await;
    let before = pool.group(store).await;
    let moved = pool.begin(store, 0).await;
    store.finish_move(before.id, moved.index, moved.since).await.expect("a pending move");
    let left = evictions(store, before.id).await;
    let owner = pool.node_of(before.disks[0]);
    let heartbeats = map_node(store, owner.node).await.heartbeats;
    let observed = ObservedNode { node: owner.node, heartbeats };
    assert_eq!(store.mark_node(observed, NodeState::Down).await, Ok(true));
    assert_eq!(evictions(store, before.id).await, []);
    register(store, owner).await;
    assert_eq!(evictions(store, before.id).await, left);
    let mut failing = owner.clone();
    failing.disks.iter_mut().for_each(|disk| disk.failed = true);
    register(store, &failing).await;
    assert_eq!(evictions(store, before.id).await, []);
    register(store, owner).await;
    assert_eq!(evictions(store, before.id).await, left);
}

/// A move turned round is one to the disk that it came from; the old one is not there any more.
pub async fn a_move_can_be_turned_round(store: &Store) {
    let pool = Pool::new(store, "2+1", 4).await;
    let before = pool.group(store).await;
    let first = pool.begin(store, 1).await;
    let reverse = async |since: i64| store.reverse_move(before.id, first.index, since).await;
    assert_eq!(reverse(first.since - 1).await, Err(Error::MoveNotFound));
    let since = reverse(first.since).await.expect("a pending move");
    assert!(since > first.since);
    let now = pool.group(store).await;
    assert_eq!(epoch(store).await, since);
    assert_eq!(now.disks, [before.disks[0], first.to, before.disks[2]]);
    assert_eq!(now.moves, [ShardMove { index: first.index, to: before.disks[1], since, redirected: false }]);
    assert_eq!(now.changed_epoch, since);
    assert_eq!(evictions(store, before.id).await, [], "nothing is left behind yet");

    assert_eq!(reverse(first.since).await, Err(Error::MoveNotFound));
    let answer = store.finish_move(before.id, first.index, first.since).await;
    assert_eq!(answer, Err(Error::MoveNotFound), "that move is another by now");
    store.finish_move(before.id, first.index, since).await.expect("a pending move");
    let (now, epoch) = (pool.group(store).await, epoch(store).await);
    assert_eq!((now.disks, now.moves), (before.disks.clone(), Vec::new()));
    let left = Eviction { disk: first.to, group: before.id, index: first.index, epoch };
    assert_eq!(evictions(store, before.id).await, [left]);
}

/// A move whose target is lost goes elsewhere, and leaves an eviction for the lost disk.
pub async fn a_move_can_be_sent_elsewhere(store: &Store) {
    let pool = Pool::new(store, "2+1", 5).await;
    let before = pool.group(store).await;
    let first = pool.begin(store, 1).await;
    let to = pool.spares(&pool.group(store).await)[0];
    let redirect =
        async |since: i64, to: DiskId| store.redirect_move(before.id, first.index, since, to).await;
    assert_eq!(redirect(first.since - 1, to).await, Err(Error::MoveNotFound));
    for (what, to) in [("where it goes already", first.to), ("a disk of the group", before.disks[0])] {
        let answer = redirect(first.since, to).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{what}: {answer:?}");
    }
    assert_eq!(epoch(store).await, first.since, "what was refused changes nothing");

    let since = redirect(first.since, to).await.expect("a pending move");
    assert!(since > first.since);
    let now = pool.group(store).await;
    assert_eq!(epoch(store).await, since);
    assert_eq!((&now.disks, now.changed_epoch), (&before.disks, since));
    assert_eq!(now.moves, [ShardMove { index: first.index, to, since, redirected: true }]);
    let former = FormerTarget { index: first.index, disk: first.to };
    assert_eq!(now.former_targets, [former], "it may have what no other disk has");
    let left = Eviction { disk: first.to, group: before.id, index: first.index, epoch: since };
    assert_eq!(evictions(store, before.id).await, [left]);
    assert_eq!(redirect(first.since, to).await, Err(Error::MoveNotFound), "that move is another by now");
    let back = redirect(since, first.to).await;
    assert!(matches!(back, Err(Error::Malformed { .. })), "it still has to evict: {back:?}");

    let since = store.reverse_move(before.id, first.index, since).await.expect("a pending move");
    let reversed = ShardMove { index: first.index, to: before.disks[1], since, redirected: true };
    let now = pool.group(store).await;
    assert_eq!(now.moves, [reversed], "what the lost disk had is still at neither place");
    assert_eq!(now.former_targets, [former]);
    store.finish_move(before.id, first.index, since).await.expect("a pending move");
    let now = pool.group(store).await;
    assert_eq!((now.moves, now.former_targets), (Vec::new(), Vec::new()));
    let again = pool.begin(store, 2).await;
    let now = pool.group(store).await;
    assert_eq!(now.moves, [again], "another move begins afresh");
    assert_eq!(now.former_targets, []);
}

/// A disk that a move was sent elsewhere from is not gone before the move is finished, while it answers: it may have what no other has.
pub async fn a_former_target_that_answers_is_removed_once_its_move_is_finished(store: &Store) {
    let pool = Pool::new(store, "2+1", 5).await;
    let group = pool.group(store).await;
    let first = pool.begin(store, 1).await;
    let to = pool.spares(&pool.group(store).await)[0];
    let since = store.redirect_move(group.id, first.index, first.since, to).await.expect("a pending move");
    let state = async || {
        let map = store.cluster_map(None).await.expect("a map").expect("a map");
        map.disks.iter().find(|disk| disk.disk == first.to).map(|disk| disk.state)
    };
    store.set_disk_intent(first.to, Intent::Remove).await.expect("a disk");
    assert_eq!(state().await, Some(DiskState::Up));
    let former = FormerTarget { index: first.index, disk: first.to };
    assert_eq!(pool.group(store).await.former_targets, [former]);
    store.finish_move(group.id, first.index, since).await.expect("a pending move");
    assert_eq!(state().await, Some(DiskState::Gone));
    assert_eq!(evictions(store, group.id).await.iter().filter(|left| left.disk == first.to).count(), 0);
}

/// Of movers that begin the same move at once one does, and the others are told of its map.
pub async fn of_racing_movers_one_begins(store: &Store) {
    let pool = Pool::new(store, "1+1", 3).await;
    let group = pool.group(store).await;
    let new = NewMove { group: group.id, index: ShardIndex(0), to: pool.spares(&group)[0] };
    let at = epoch(store).await;
    let movers = (0..8).map(|_| {
        let store = store.clone();
        async move { store.begin_moves(at, &[new]).await }
    });
    let answers = super::support::together(movers).await;
    let begun: Vec<i64> = answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).collect();
    let [since] = begun[..] else { super::support::violation(format_args!("begun: {begun:?}")) };
    let stale = answers.iter().filter(|answer| **answer == Err(Error::StaleMap { epoch: since })).count();
    assert_eq!(stale, 7, "{answers:?}");

    let movers = (0..8).map(|_| {
        let store = store.clone();
        async move { store.finish_move(group.id, new.index, since).await }
    });
    let answers = super::support::together(movers).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert_eq!(evictions(store, group.id).await.len(), 1);
}
