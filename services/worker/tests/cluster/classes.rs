//! The storage classes of a cluster whose operator defined none.

use std::time::Duration;

use metadata_api::{Metadata, StorageClassDefinition};
use types::StorageClassName;

use crate::harness::Cluster;

/// Names and codings of the classes.
async fn classes(cluster: &Cluster) -> Vec<(String, String)> {
    let map = cluster.map().await;
    let text = |class: &metadata_api::StorageClass| {
        assert!(!class.groups.is_empty() && !class.is_former);
        (class.definition.name.to_string(), class.definition.coding.to_string())
    };
    map.classes.iter().map(text).collect()
}

fn named(classes: &[(&str, &str)]) -> Vec<(String, String)> {
    classes.iter().map(|(name, coding)| ((*name).to_owned(), (*coding).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn workers_define_classes_once_by_the_nodes_that_are_there_and_never_change_them() {
    let mut cluster = Cluster::without_class(4).await;
    let workers = [cluster.worker(), cluster.worker()];
    cluster.env.sleep(Duration::from_secs(20)).await;
    assert_eq!(classes(&cluster).await, []);
    cluster.until("classes are defined", async || !classes(&cluster).await.is_empty()).await;
    cluster.env.sleep(Duration::from_secs(10)).await;
    let expected = named(&[("REDUCED_REDUNDANCY", "2+1"), ("STANDARD", "2+2")]);
    assert_eq!(classes(&cluster).await, expected);

    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    for _ in 0..4 {
        cluster.add_node().await;
    }
    cluster.env.sleep(Duration::from_secs(300)).await;
    assert_eq!(classes(&cluster).await, expected);
    cluster.check(&gateway, &objects).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_class_that_the_operator_defines_first_is_kept() {
    let cluster = Cluster::without_class(6).await;
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(20)).await;
    let definition = StorageClassDefinition {
        name: StorageClassName::standard(),
        coding: "3+1".parse().unwrap(),
        inline_limit_bytes: 0,
        whole_limit_bytes: 0,
        groups: 4,
        medium: None,
    };
    cluster.metadata.define_storage_class(definition).await.unwrap();
    cluster.env.sleep(Duration::from_secs(100)).await;
    assert_eq!(classes(&cluster).await, named(&[("STANDARD", "3+1")]));
    worker.stop().await;
}
