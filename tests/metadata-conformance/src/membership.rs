//! Who is there: heartbeats, silence, intents, disks that come and go.

use env::Env;
use types::{Content, DiskId, Extent, Manifest, NodeId, ShardIndex};

use super::{
    garbage::expect_freed,
    support::{
        Minter, Pool, Store, bucket, delete, epoch, extent, key, map, map_disk, map_node, node, register,
        unique, write_stored,
    },
};
use metadata_api::{DiskHistory, DiskState, Error, Intent, NewMove, NodeState, ObservedNode, all_evictions};

async fn observe(store: &Store, node: NodeId) -> ObservedNode {
    ObservedNode { node, heartbeats: map_node(store, node).await.heartbeats }
}

async fn disk_state(store: &Store, disk: DiskId) -> DiskState {
    map_disk(store, disk).await.state
}

/// What was deleted while a disk was silent and to be removed is forgotten, and stays on it: the disk serves again only
/// when no group and no eviction names it any more, whichever node brings it back.
pub async fn a_disk_that_was_given_up_serves_again_only_when_nothing_is_left_on_it(store: &Store) {
    let pool = Pool::new(store, "1+1", 3).await;
    let group = pool.group(store).await;
    let disk = group.disks[0];
    let registered = pool.node_of(disk).clone();
    let id = registered.node;
    let give_up = async || store.finish_garbage(&[], i64::MAX, &[disk]).await;
    let intent = async || map_disk(store, disk).await.intent;

    // It is waited for: nothing is forgotten, and nothing marked.
    store.set_node_intent(id, Intent::Remove).await.expect("a node");
    assert_eq!(give_up().await, Ok(0));
    assert_eq!(intent().await, Intent::Serve, "a disk that answers is not given up");
    store.mark_node(observe(store, id).await, NodeState::Down).await.expect("a silent node");
    store.set_node_intent(id, Intent::Drain).await.expect("a node");
    assert_eq!(give_up().await, Ok(0));
    assert_eq!(intent().await, Intent::Serve, "a disk that may return is not given up");
    store.set_node_intent(id, Intent::Serve).await.expect("nothing was forgotten");

    store.set_node_intent(id, Intent::Remove).await.expect("a node");
    let before = epoch(store).await;
    assert_eq!(give_up().await, Ok(0));
    assert_eq!(intent().await, Intent::Remove, "it is to be removed by its own intent");
    assert!(epoch(store).await > before);
    let marked = epoch(store).await;
    assert_eq!(give_up().await, Ok(0));
    assert_eq!(epoch(store).await, marked, "marked once");

    // It comes back, as a disk of another node.
    let mut other = node(&registered.disks[0].medium);
    other.disks = registered.disks.clone();
    register(store, &other).await;
    assert_eq!(disk_state(store, disk).await, DiskState::Up);
    let refused = |answer: Result<(), Error>| matches!(answer, Err(Error::Malformed { .. }));
    assert!(refused(store.set_disk_intent(disk, Intent::Serve).await));
    store.set_node_intent(id, Intent::Serve).await.expect("the node has no such disk any more");
    store.set_node_intent(other.node, Intent::Remove).await.expect("a node");
    assert!(refused(store.set_node_intent(other.node, Intent::Serve).await));
    assert_eq!(intent().await, Intent::Remove, "what is refused changes nothing");

    store.set_disk_intent(disk, Intent::Drain).await.expect("the way on");
    store.set_node_intent(other.node, Intent::Serve).await.expect("its disk is drained");
    assert!(refused(store.set_disk_intent(disk, Intent::Serve).await), "the group is still on it");
    let moved = pool.begin(store, 0).await;
    store.finish_move(group.id, ShardIndex(0), moved.since).await.expect("a pending move");
    assert!(refused(store.set_disk_intent(disk, Intent::Serve).await), "it is still to be evicted");
    let evictions = all_evictions(&**store).await.expect("evictions");
    for eviction in evictions.into_iter().filter(|eviction| eviction.disk == disk) {
        store.finish_eviction(eviction).await.expect("an eviction");
    }
    store.set_disk_intent(disk, Intent::Serve).await.expect("nothing is left on it");
    assert_eq!(intent().await, Intent::Serve);
}

/// Who forgets garbage need not know of the mark: silent disks of its groups that are to be removed have it, and no others.
pub async fn silent_disks_are_given_up_with_the_garbage_of_their_groups(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 4, 8).await;
    let group = pool.group(store).await;
    let (disk, other) = (group.disks[0], pool.spares(&group)[1]);
    for id in [disk, other, group.disks[1]].map(|disk| pool.node_of(disk).node) {
        store.mark_node(observe(store, id).await, NodeState::Down).await.expect("a silent node");
    }
    let mut minter = Minter::acquire(store).await;
    let (name, k) = (bucket(store).await, key("k"));
    let stored = Extent { group: group.id, ..extent(minter.chunk(), 64) };
    let content = Content::Stored(Manifest { extents: vec![stored] });
    store.commit_version(write_stored(&name, &k, 1, minter.lease, content)).await.expect("a commit");
    // A target of a move is a place as well.
    let moved = pool.begin(store, 1).await;
    store
        .mark_node(observe(store, pool.node_of(moved.to).node).await, NodeState::Down)
        .await
        .expect("a node");
    for id in [disk, other, moved.to].map(|disk| pool.node_of(disk).node) {
        store.set_node_intent(id, Intent::Remove).await.expect("a node");
    }
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &[stored.chunk]).await;
    let intent = async |disk| map_disk(store, disk).await.intent;
    assert_eq!(intent(disk).await, Intent::Remove, "it may have what was forgotten");
    assert_eq!(intent(moved.to).await, Intent::Remove, "it may have what was forgotten");
    assert_eq!(intent(other).await, Intent::Serve, "nothing of the group is on it");
    assert_eq!(intent(group.disks[1]).await, Intent::Serve, "it is waited for");
}

/// Every heartbeat is counted, and none alone raises the epoch.
pub async fn heartbeats_are_counted(store: &Store) {
    let registered = node("conformance");
    register(store, &registered).await;
    let (before, at) = (observe(store, registered.node).await, epoch(store).await);
    for count in 1..=3 {
        register(store, &registered).await;
        assert_eq!(observe(store, registered.node).await.heartbeats, before.heartbeats + count);
    }
    assert_eq!(epoch(store).await, at);
}

/// A node is taken for silent only on a fresh observation; a heartbeat makes it up again; both raise the epoch.
pub async fn a_node_falls_silent_on_a_fresh_observation(store: &Store) {
    let registered = node("conformance");
    register(store, &registered).await;
    let (id, disk) = (registered.node, registered.disks[0].disk);
    let stale = observe(store, id).await;
    register(store, &registered).await;
    let before = epoch(store).await;
    assert_eq!(store.mark_node(stale, NodeState::Down).await, Ok(false), "a heartbeat came since");
    assert_eq!((map_node(store, id).await.state, epoch(store).await), (NodeState::Up, before));

    let mut at = before;
    for (state, disk_is) in [(NodeState::Suspect, DiskState::Up), (NodeState::Down, DiskState::Down)] {
        let observed = observe(store, id).await;
        assert_eq!(store.mark_node(observed, state).await, Ok(true));
        assert_eq!(map_node(store, id).await.state, state);
        assert_eq!(disk_state(store, disk).await, disk_is);
        let now = epoch(store).await;
        assert!(now > at, "a change of state raises the epoch");
        assert_eq!(store.mark_node(observed, state).await, Ok(true), "it is in that state already");
        assert_eq!(epoch(store).await, now, "nothing has changed");
        at = now;
    }
    assert_eq!(store.mark_node(stale, NodeState::Down).await, Ok(true), "it is down, whoever saw it");
    register(store, &registered).await;
    assert_eq!(map_node(store, id).await.state, NodeState::Up);
    assert_eq!(disk_state(store, disk).await, DiskState::Up);
    assert!(epoch(store).await > at);

    let observed = observe(store, id).await;
    let answer = store.mark_node(observed, NodeState::Up).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "only a heartbeat makes a node up: {answer:?}");
    let unknown = node("conformance").node;
    let answer = store.mark_node(ObservedNode { node: unknown, heartbeats: 0 }, NodeState::Down).await;
    assert_eq!(answer, Err(Error::NodeNotFound { node: unknown }));
}

/// A disk that its node no longer reports is down; one of a node that is down may turn up at another.
pub async fn a_disk_is_down_without_its_node(store: &Store) {
    let mut registered = node("conformance");
    let kept = node("conformance").disks[0].clone();
    registered.disks.push(kept.clone());
    register(store, &registered).await;
    let lost = registered.disks.remove(0);
    let before = epoch(store).await;
    register(store, &registered).await;
    assert!(epoch(store).await > before, "a disk that is away raises the epoch");
    assert_eq!(disk_state(store, lost.disk).await, DiskState::Down);
    assert_eq!(disk_state(store, kept.disk).await, DiskState::Up);

    let mut other = node("conformance");
    other.disks = vec![lost.clone(), kept.clone()];
    let answer = store.register_node(other.clone()).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "a live node has one of them: {answer:?}");
    let observed = observe(store, registered.node).await;
    assert_eq!(store.mark_node(observed, NodeState::Down).await, Ok(true));
    register(store, &other).await;
    for disk in [lost.disk, kept.disk] {
        let found = map_disk(store, disk).await;
        assert_eq!((found.node, found.state), (other.node, DiskState::Up));
    }
    let answer = store.register_node(registered).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "the disk has another node now: {answer:?}");
}

/// Intents are kept and shown, raise the epoch when they change, and survive heartbeats.
pub async fn intents_are_kept(store: &Store) {
    let pool = Pool::new(store, "1+1", 2).await;
    let registered = &pool.nodes[0];
    let (id, disk) = (registered.node, registered.disks[0].disk);
    for intent in [Intent::Drain, Intent::Remove, Intent::Serve] {
        let before = epoch(store).await;
        store.set_node_intent(id, intent).await.expect("a known node");
        assert!(epoch(store).await > before);
        store.set_disk_intent(disk, intent).await.expect("a known disk");
        let at = epoch(store).await;
        store.set_node_intent(id, intent).await.expect("a known node");
        store.set_disk_intent(disk, intent).await.expect("a known disk");
        register(store, registered).await;
        assert_eq!(epoch(store).await, at, "nothing has changed");
        assert_eq!(map_node(store, id).await.intent, intent);
        let found = map_disk(store, disk).await;
        assert_eq!((found.intent, found.state), (intent, DiskState::Up), "a group names the disk");
    }
    let unknown = node("conformance");
    let answer = store.set_node_intent(unknown.node, Intent::Drain).await;
    assert_eq!(answer, Err(Error::NodeNotFound { node: unknown.node }));
    let disk = unknown.disks[0].disk;
    assert_eq!(store.set_disk_intent(disk, Intent::Drain).await, Err(Error::DiskNotFound { disk }));
}

/// A disk to be removed is gone with the change after which no group names it, for good, and loses its evictions.
pub async fn a_removed_disk_is_gone_once_no_group_names_it(store: &Store) {
    let pool = Pool::new(store, "2+1", 5).await;
    let group = pool.group(store).await;
    let spares = pool.spares(&group);
    store.set_disk_intent(spares[1], Intent::Remove).await.expect("a known disk");
    assert_eq!(disk_state(store, spares[1]).await, DiskState::Gone, "no group names it");

    let (by_disk, by_node) = (group.disks[0], group.disks[1]);
    store.set_disk_intent(by_disk, Intent::Remove).await.expect("a known disk");
    assert_eq!(disk_state(store, by_disk).await, DiskState::Up, "a group names it");
    let pending = pool.begin(store, 0).await;
    assert_eq!(disk_state(store, by_disk).await, DiskState::Up, "its shards are still on their way");
    store.finish_move(group.id, pending.index, pending.since).await.expect("a pending move");
    assert_eq!(disk_state(store, by_disk).await, DiskState::Gone);
    let evictions = all_evictions(&**store).await.expect("evictions");
    assert!(evictions.iter().all(|eviction| eviction.disk != by_disk), "nothing is left to evict there");

    let owner = pool.node_of(by_node);
    store.set_node_intent(owner.node, Intent::Remove).await.expect("a known node");
    let fresh = node(pool.class.medium.as_deref().unwrap_or_default());
    register(store, &fresh).await;
    let new = NewMove { group: group.id, index: ShardIndex(1), to: fresh.disks[0].disk };
    let since = store.begin_moves(epoch(store).await, &[new]).await.expect("a move");
    store.finish_move(group.id, new.index, since).await.expect("a pending move");
    assert_eq!(disk_state(store, by_node).await, DiskState::Gone, "its node was to be removed");

    for (disk, intent) in [(by_disk, Intent::Serve), (by_node, Intent::Drain)] {
        let at = epoch(store).await;
        let answer = store.set_disk_intent(disk, intent).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
        assert_eq!(epoch(store).await, at);
    }
    store.set_disk_intent(by_disk, Intent::Remove).await.expect("that is what it is");
    store.set_node_intent(owner.node, Intent::Serve).await.expect("a known node");
    let observed = observe(store, pool.node_of(by_disk).node).await;
    assert_eq!(store.mark_node(observed, NodeState::Down).await, Ok(true));
    for disk in [by_disk, by_node] {
        register(store, pool.node_of(disk)).await;
        assert_eq!(disk_state(store, disk).await, DiskState::Gone, "it reports again and stays gone");
        let new = NewMove { group: group.id, index: ShardIndex(2), to: disk };
        let answer = store.begin_moves(epoch(store).await, &[new]).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "a gone disk is not used: {answer:?}");
    }
}

/// New groups go to disks that serve: none that is gone, is drained, or is away. One of a node that is down may.
pub async fn new_groups_are_on_disks_that_serve(store: &Store) {
    let medium = unique();
    let nodes: Vec<_> = (0..4).map(|_| node(&medium)).collect();
    for node in &nodes {
        register(store, node).await;
    }
    store.set_disk_intent(nodes[0].disks[0].disk, Intent::Remove).await.expect("a known disk");
    store.set_node_intent(nodes[1].node, Intent::Drain).await.expect("a known node");
    let observed = observe(store, nodes[2].node).await;
    assert_eq!(store.mark_node(observed, NodeState::Down).await, Ok(true));
    let definition = metadata_api::StorageClassDefinition {
        medium: Some(medium),
        ..super::support::definition("1+1".parse().expect("a valid coding"))
    };
    store.define_storage_class(definition.clone()).await.expect("a new class");
    let classes = map(store).await.classes;
    let class = classes.iter().find(|class| class.definition == definition).expect("it is defined");
    assert_eq!(class.groups.len(), 8, "two disks are left");
    for group in &class.groups {
        let mut disks = group.disks.clone();
        disks.sort_unstable();
        let mut expected = vec![nodes[2].disks[0].disk, nodes[3].disks[0].disk];
        expected.sort_unstable();
        assert_eq!(disks, expected);
    }
}

/// A disk counts as lost once its shards begin to be rebuilt elsewhere, and as rebuilt when no group names it; not when it
/// comes back before.
pub async fn lost_disks_are_remembered(store: &Store) {
    let pool = Pool::new(store, "1+1", 4).await;
    let before = history(store).await;
    let lose = async |index: u8| {
        let disk = pool.group(store).await.disks[usize::from(index)];
        let node = pool.node_of(disk).clone();
        let observed = observe(store, node.node).await;
        assert_eq!(store.mark_node(observed, NodeState::Down).await, Ok(true));
        node
    };

    let spared = lose(0).await;
    assert_eq!(history(store).await.losses, before.losses, "nothing is rebuilt yet");
    let begun = pool.begin(store, 0).await;
    assert_eq!(history(store).await.losses, before.losses + 1);
    register(store, &spared).await;
    assert_eq!(history(store).await.losses, before.losses, "it is back before its shards were rebuilt");
    let group = pool.group(store).await.id;
    store.finish_move(group, begun.index, begun.since).await.expect("the end of the move");
    assert_eq!(history(store).await.rebuilt, before.rebuilt);

    let lost = lose(1).await;
    let begun = pool.begin(store, 1).await;
    Env::real().sleep(PASSES).await;
    store.finish_move(group, begun.index, begun.since).await.expect("the end of the move");
    let after = history(store).await;
    assert_eq!((after.losses, after.rebuilt), (before.losses + 1, before.rebuilt + 1));
    assert!(after.rebuilding >= before.rebuilding + PASSES / 2, "{before:?}, then {after:?}");
    assert!((PASSES / 2..=after.rebuilding).contains(&after.longest_rebuild), "{after:?}");
    let report = &lost.disks[0];
    let held = report.capacity_bytes - report.available_bytes;
    assert!(held > 0 && after.measured_bytes == before.measured_bytes + held, "{before:?}, then {after:?}");
    assert!(
        after.measured_rebuilding >= before.measured_rebuilding + PASSES / 2,
        "{before:?}, then {after:?}"
    );
    let others = u32::try_from(after.disks - 1).expect("a few disks");
    assert!(after.disks >= 4 && after.observed >= before.observed + others.min(3) * PASSES / 2);
    register(store, &lost).await;
    let back = history(store).await;
    assert_eq!((back.losses, back.rebuilt), (after.losses, after.rebuilt), "it was lost all the same");

    // A disk that is gone is observed no longer, and what it was before is not forgotten.
    store.set_node_intent(lost.node, Intent::Remove).await.expect("a removal");
    assert_eq!(disk_state(store, lost.disks[0].disk).await, DiskState::Gone);
    let gone = history(store).await;
    assert_eq!(gone.disks, back.disks);
    assert!(gone.observed >= back.observed, "{back:?}, then {gone:?}");
}

/// A time that every clock sees pass.
const PASSES: std::time::Duration = std::time::Duration::from_millis(60);

async fn history(store: &Store) -> DiskHistory {
    store.disk_history().await.expect("the history of the disks")
}
