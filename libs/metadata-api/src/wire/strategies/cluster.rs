//! Leases, the cluster map, moves, repair, jobs and garbage.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};
use types::{
    BucketId, ChunkOwner, FailureDomain, GroupId, LeaseId, Sequence, ShardId, ShardIndex, Timestamp,
};

use super::{
    bucket_name, chunk_id, coding, disk, extent, missing_shard, node, object_key, part_number, storage_class,
    upload_id,
};
use crate::wire::OwnedChunk;
use crate::{
    ClassChange, ClusterMap, ContentKind, ContentOwner, ContentPage, ContentPosition, ContentRow,
    DiskHistory, DiskRegistration, DiskState, Eviction, FormerTarget, GarbageId, GarbageItem, Intent,
    Inventory, JobName, JobProgress, JobState, Lease, LeaseState, MapDisk, MapNode, NewMove,
    NodeRegistration, NodeState, PlacementGroup, ReplaceChunks, Replacement, ShardMove, StorageClass,
    StorageClassDefinition,
};

pub(crate) fn lease() -> impl Strategy<Value = Lease> {
    any::<(i64, u64)>().prop_map(|(id, ns)| Lease { id: LeaseId(id), time_to_live: Duration::from_nanos(ns) })
}

pub(crate) fn lease_state() -> impl Strategy<Value = LeaseState> {
    (any::<i64>(), "\\PC{0,32}", any::<i64>(), any::<i64>(), any::<bool>()).prop_map(
        |(id, holder, renewals, oldest_epoch, revoked)| LeaseState {
            id: LeaseId(id),
            holder,
            renewals,
            oldest_epoch,
            revoked,
        },
    )
}

pub(crate) fn owned_chunk() -> impl Strategy<Value = OwnedChunk> {
    (chunk_id(), bucket_name(), object_key())
        .prop_map(|(chunk, bucket, key)| OwnedChunk(chunk, ChunkOwner { bucket, key }))
}

fn node_state() -> impl Strategy<Value = NodeState> {
    prop_oneof![Just(NodeState::Up), Just(NodeState::Suspect), Just(NodeState::Down)]
}

fn disk_state() -> impl Strategy<Value = DiskState> {
    prop_oneof![Just(DiskState::Up), Just(DiskState::Down), Just(DiskState::Gone)]
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![Just(Intent::Serve), Just(Intent::Drain), Just(Intent::Remove)]
}

fn shard_index() -> impl Strategy<Value = ShardIndex> {
    any::<u8>().prop_map(ShardIndex)
}

pub(crate) fn new_move() -> impl Strategy<Value = NewMove> {
    (any::<i32>(), shard_index(), disk()).prop_map(|(group, index, to)| NewMove {
        group: GroupId(group),
        index,
        to,
    })
}

pub(crate) fn eviction() -> impl Strategy<Value = Eviction> {
    (disk(), any::<i32>(), shard_index(), any::<i64>()).prop_map(|(disk, group, index, epoch)| Eviction {
        disk,
        group: GroupId(group),
        index,
        epoch,
    })
}

pub(crate) fn shard_id() -> impl Strategy<Value = ShardId> {
    (chunk_id(), shard_index()).prop_map(|(chunk, index)| ShardId { chunk, index })
}

fn content_owner() -> impl Strategy<Value = ContentOwner> {
    prop_oneof![
        any::<i64>().prop_map(|sequence| ContentOwner::Version(Sequence(sequence))),
        (upload_id(), part_number()).prop_map(|(upload, number)| ContentOwner::Part { upload, number }),
    ]
}

pub(crate) fn replace_chunks() -> impl Strategy<Value = ReplaceChunks> {
    let replacement = (chunk_id(), extent()).prop_map(|(chunk, by)| Replacement { chunk, by });
    let lists = (vec(replacement, 0..3), vec(missing_shard(), 0..3));
    let class =
        option::of((storage_class(), storage_class()).prop_map(|(from, to)| ClassChange { from, to }));
    let lease = option::of(any::<i64>().prop_map(LeaseId));
    (bucket_name(), object_key(), content_owner(), lease, lists, class).prop_map(
        |(bucket, key, owner, lease, (chunks, missing), class)| ReplaceChunks {
            bucket,
            key,
            owner,
            lease,
            chunks,
            missing,
            class,
        },
    )
}

pub(crate) fn content_page() -> impl Strategy<Value = ContentPage> {
    let kind = prop_oneof![Just(ContentKind::Version), Just(ContentKind::Part), Just(ContentKind::Garbage)];
    let bucket = (any::<i64>().prop_map(BucketId), option::of(bucket_name()));
    let row = (kind, bucket, (option::of(object_key()), option::of(content_owner())), vec(extent(), 0..3))
        .prop_map(|(kind, (bucket, bucket_name), (key, owner), extents)| ContentRow {
            kind,
            bucket,
            bucket_name,
            key,
            owner,
            extents,
        });
    let next = option::of(vec(any::<u8>(), 0..40).prop_map(ContentPosition));
    (vec(row, 0..3), next).prop_map(|(rows, next)| ContentPage { rows, next })
}

pub(crate) fn inventory() -> impl Strategy<Value = Inventory> {
    let (document, listed) = (vec(any::<u8>(), 0..64), (option::of(any::<i64>()), any::<i64>()));
    ("[a-zA-Z0-9._-]{1,64}", document, listed).prop_map(|(id, document, (listed, now))| Inventory {
        id,
        document: document.into(),
        listed: listed.map(Timestamp),
        now: Timestamp(now),
    })
}

pub(crate) fn job_state() -> impl Strategy<Value = JobState> {
    let job = prop::sample::select(JobName::ALL.to_vec());
    let progress = any::<(u64, u64, u64)>();
    let progress = progress.prop_map(|(done, total, per_hour)| JobProgress { done, total, per_hour });
    (job, "\\PC{0,32}", any::<i64>(), progress).prop_map(|(job, holder, renewals, progress)| JobState {
        job,
        holder,
        renewals,
        progress,
    })
}

fn domain() -> impl Strategy<Value = FailureDomain> {
    "([a-zA-Z0-9._-]{1,8}/){3}[a-z0-9]{1,8}".prop_filter_map("never", |domain| domain.parse().ok())
}

pub(crate) fn node_registration() -> impl Strategy<Value = NodeRegistration> {
    let reported = any::<(u64, u64, bool, bool)>();
    let disk = (disk(), "[a-z]{0,8}", reported).prop_map(
        |(disk, medium, (capacity_bytes, available_bytes, writable, failed))| DiskRegistration {
            disk,
            medium,
            capacity_bytes,
            available_bytes,
            writable,
            failed,
        },
    );
    (node(), "[a-z.]{0,20}:[0-9]{1,5}|", domain(), vec(disk, 0..4))
        .prop_map(|(node, address, domain, disks)| NodeRegistration { node, address, domain, disks })
}

pub(crate) fn storage_class_definition() -> impl Strategy<Value = StorageClassDefinition> {
    let limits = any::<(u64, u64)>();
    (storage_class(), coding(), limits, 0..32u32, option::of("[a-z]{0,8}")).prop_map(
        |(name, coding, (inline_limit_bytes, whole_limit_bytes), power, medium)| StorageClassDefinition {
            name,
            coding,
            inline_limit_bytes,
            whole_limit_bytes,
            groups: 1 << power,
            medium,
        },
    )
}

pub(crate) fn cluster_map() -> impl Strategy<Value = ClusterMap> {
    let map_node = (node(), "[a-z:0-9]{0,20}", domain(), node_state(), intent(), any::<i64>()).prop_map(
        |(node, address, domain, state, intent, heartbeats)| MapNode {
            node,
            address,
            domain,
            state,
            intent,
            heartbeats,
        },
    );
    let reported = any::<(u64, u64, bool, bool)>();
    let map_disk = (disk(), node(), "[a-z]{0,8}", reported, disk_state(), intent()).prop_map(
        |(disk, node, medium, (capacity_bytes, available_bytes, writable, failed), state, intent)| MapDisk {
            disk,
            node,
            medium,
            capacity_bytes,
            available_bytes,
            writable,
            failed,
            state,
            intent,
        },
    );
    let shard_move = (shard_index(), disk(), any::<i64>(), any::<bool>())
        .prop_map(|(index, to, since, redirected)| ShardMove { index, to, since, redirected });
    let former_target = (shard_index(), disk()).prop_map(|(index, disk)| FormerTarget { index, disk });
    let group =
        (any::<i32>(), vec(disk(), 0..6), vec(shard_move, 0..3), vec(former_target, 0..3), any::<i64>())
            .prop_map(|(id, disks, moves, former_targets, changed_epoch)| PlacementGroup {
                id: GroupId(id),
                disks,
                moves,
                former_targets,
                changed_epoch,
            });
    let class = (storage_class_definition(), vec(group, 0..4), any::<bool>())
        .prop_map(|(definition, groups, is_former)| StorageClass { definition, groups, is_former });
    (any::<i64>(), vec(map_node, 0..3), vec(map_disk, 0..3), vec(class, 0..3), any::<bool>()).prop_map(
        |(epoch, nodes, disks, classes, is_frozen)| ClusterMap { epoch, nodes, disks, classes, is_frozen },
    )
}

pub(crate) fn garbage_id() -> impl Strategy<Value = GarbageId> {
    any::<(i64, i64)>().prop_map(|(bucket, number)| GarbageId { bucket: BucketId(bucket), number })
}

pub(crate) fn garbage_item() -> impl Strategy<Value = GarbageItem> {
    (garbage_id(), vec(extent(), 0..4)).prop_map(|(id, extents)| GarbageItem { id, extents })
}

pub(crate) fn disk_history() -> impl Strategy<Value = DiskHistory> {
    any::<(u64, u64, u64, u64, u64, u64, u64, u64)>().prop_map(|numbers| DiskHistory {
        disks: numbers.0,
        observed: Duration::from_millis(numbers.1),
        losses: numbers.2,
        rebuilt: numbers.3,
        rebuilding: Duration::from_millis(numbers.4),
        longest_rebuild: Duration::from_millis(numbers.5),
        measured_bytes: numbers.6,
        measured_rebuilding: Duration::from_millis(numbers.7),
    })
}
