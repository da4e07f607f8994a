//! A class is given another coding while the pool writes.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use metadata_api::Metadata;
use types::{Content, Extent, StorageClassName};

use super::harness::{BodyError, Cluster, WHOLE, bytes, pieces};

fn extents(content: &Content) -> &[Extent] {
    match content {
        Content::Stored(manifest) => &manifest.extents,
        Content::Inline(_) => &[],
    }
}

async fn set_coding(cluster: &Cluster, coding: &str) {
    let class = StorageClassName::standard();
    cluster.metadata.set_storage_class_coding(&class, coding.parse().unwrap()).await.unwrap();
    cluster.view.refresh(&*cluster.metadata).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_spans_a_change_keeps_its_coding_and_its_map() {
    let cluster = Arc::new(Cluster::new(6, "2+1", 2).await);
    let (before, original) = (cluster.view.epoch(), bytes(300_000));
    let (changing, mut is_changed) = (Arc::clone(&cluster), false);
    let body = pieces(&original).then(move |piece| {
        let (cluster, change) = (Arc::clone(&changing), !std::mem::replace(&mut is_changed, true));
        async move {
            if change {
                set_coding(&cluster, "4+2").await;
            }
            Ok::<Bytes, BodyError>(piece)
        }
    });
    let stored = cluster.write_unnamed(original.len() as u64, body).await.unwrap();
    let now = cluster.view.epoch();
    assert!(now > before);
    assert!(extents(&stored.content).iter().all(|extent| extent.coding == "2+1".parse().unwrap()));
    assert_eq!(
        cluster.view.oldest_epoch_in_use(),
        before,
        "former groups are kept until the outcome is known"
    );
    stored.claim.named();
    assert_eq!(cluster.view.oldest_epoch_in_use(), now);
    assert_eq!(cluster.read_all(&stored.content).await.unwrap(), original);

    let later = cluster.write(&original).await.unwrap();
    assert!(extents(&later.content).iter().all(|extent| extent.coding == "4+2".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_class_is_found_by_a_coding_that_it_had_before() {
    let cluster = Cluster::new(6, "2+1", 2).await;
    set_coding(&cluster, "4+2").await;
    let (map, name) = (cluster.view.snapshot(), StorageClassName::standard());
    assert_eq!(map.class(&name).unwrap().definition.coding, "4+2".parse().unwrap());
    for coding in ["2+1", "4+2"] {
        let class = map.class_with(&name, coding.parse().unwrap()).unwrap();
        assert_eq!((class.definition.coding, class.groups.len()), (coding.parse().unwrap(), 2));
        assert!(class.groups.iter().all(|group| map.group(group.id).is_some()), "all groups are found");
    }
    assert!(map.class_with(&name, "1+1".parse().unwrap()).is_none());
}

/// Whatever the coding, a chunk that comes in the place of another has the same bytes and checksum.
#[tokio::test(start_paused = true)]
async fn a_chunk_is_written_anew_as_one_chunk() {
    for length in [1, WHOLE, WHOLE + 1, 5_000_000] {
        let cluster = Cluster::new(9, "2+1", 2).await;
        let original = bytes(length);
        let stored = cluster.write_part(&original).await;
        set_coding(&cluster, "6+3").await;
        let [old] = extents(&stored.content) else { panic!("one chunk") };
        let body = cluster.pool.read(&stored.content, types::ByteRange::new(0, length).unwrap());
        let class = StorageClassName::standard();
        let new = cluster.pool.write_chunk(&class, Bytes::new(), length, body).await.unwrap();
        let [by] = extents(&new.content) else { panic!("one chunk") };
        assert_eq!((by.chunk_length, by.checksum), (old.chunk_length, old.checksum));
        assert_eq!(by.coding, if length <= WHOLE { "1+3" } else { "6+3" }.parse().unwrap());
        assert_eq!(cluster.read_all(&new.content).await.unwrap(), original);
        new.claim.named();
    }
    // A body that fails, as the reading of a chunk may, leaves nothing.
    let cluster = Cluster::new(6, "4+2", 2).await;
    let body = stream::iter([Ok(bytes(70_000)), Err(BodyError)]);
    let class = StorageClassName::standard();
    cluster.pool.write_chunk(&class, Bytes::new(), 140_000, body).await.unwrap_err();
    cluster.pool.settle().await;
    assert_eq!(cluster.shard_count().await, 0);
}

/// Nobody waits for a chunk that is written anew: what room full disks have left is for clients.
#[tokio::test(start_paused = true)]
async fn a_chunk_keeps_off_full_disks_while_it_can() {
    let cluster = Cluster::new(6, "2+1", 8).await;
    let mut map = cluster.metadata.cluster_map(None).await.unwrap().unwrap();
    let full = map.classes[0].groups[0].disks[0];
    let on_full: BTreeSet<_> = map.classes[0]
        .groups
        .iter()
        .filter(|group| group.disks.contains(&full))
        .map(|group| group.id)
        .collect();
    assert!(on_full.len() < 8, "some groups are without it");
    for disk in &mut map.disks {
        disk.capacity_bytes = 100;
        disk.available_bytes = if disk.disk == full { 4 } else { 5 };
    }
    cluster.view.update(&map);
    let length = WHOLE + 1;
    let (mut by_client, mut anew) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..16 {
        let stored = cluster.write_part(&bytes(length)).await;
        by_client.extend(extents(&stored.content).iter().map(|extent| extent.group));
        stored.claim.named();
        let body = stream::iter([Ok::<_, BodyError>(bytes(length))]);
        let class = StorageClassName::standard();
        let stored = cluster.pool.write_chunk(&class, Bytes::new(), length, body).await.unwrap();
        anew.extend(extents(&stored.content).iter().map(|extent| extent.group));
        stored.claim.named();
    }
    assert!(by_client.intersection(&on_full).next().is_some());
    assert_eq!(anew.intersection(&on_full).count(), 0);
    // When there is no other group it is as good as any.
    map.disks.iter_mut().for_each(|disk| disk.available_bytes = 4);
    cluster.view.update(&map);
    let body = stream::iter([Ok::<_, BodyError>(bytes(length))]);
    let class = StorageClassName::standard();
    cluster.pool.write_chunk(&class, Bytes::new(), length, body).await.unwrap().claim.named();
}
