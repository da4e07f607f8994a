use std::{path::PathBuf, sync::Arc, time::Duration};

use chunk_api::{
    ChunkService, Purpose,
    client::{Client, ClientOptions},
    conformance::{self, Sample, Subject},
};
use env::{Env, Task};
use metadata_api::{MapNode, Metadata, Token, client::connect, fake::Fake};
use service_kit::{ShutdownTrigger, shutdown_channel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::DiskId;

use super::{BindError, Server};
use crate::{Config, Data, RemoteKeys};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(data: Vec<PathBuf>) -> Config {
    Config {
        data: data.into_iter().map(Data::from).collect(),
        remote: RemoteKeys::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        health_listen: "127.0.0.1:0".parse().unwrap(),
        metadata: Vec::new(),
        cluster_secret: SECRET.parse().unwrap(),
        failure_domain: "eu/a/r1/h7".parse().unwrap(),
        medium: "nvme".to_owned(),
        scrub_days: 14,
    }
}

/// A running service. Stops when `stop` is awaited.
struct Running {
    address: String,
    health: String,
    trigger: ShutdownTrigger,
    task: Task<()>,
}

impl Running {
    async fn start(env: &Env, config: Config, metadata: Arc<dyn Metadata>) -> Self {
        let server = Server::bind(env.clone(), config, metadata).await.unwrap();
        let address = server.address().to_string();
        let health = server.health.listener.local_address().unwrap().to_string();
        let (trigger, shutdown) = shutdown_channel();
        let task = env.spawn(server.run(shutdown));
        Self { address, health, trigger, task }
    }

    fn client(&self, env: &Env) -> Client {
        let secret: service_kit::ClusterSecret = SECRET.parse().unwrap();
        Client::new(env.clone(), self.address.as_str(), &secret.token("chunk"), ClientOptions::default())
            .unwrap()
    }

    async fn stop(self) {
        self.trigger.begin();
        self.task.await.unwrap();
    }
}

/// The node that the metadata service has been told of, and its disks, waiting for it up to ten seconds.
async fn registered(env: &Env, metadata: &Fake) -> (MapNode, Vec<DiskId>) {
    for _ in 0..1000 {
        let map = metadata.cluster_map(None).await.unwrap().unwrap_or_default();
        if let Some(node) = map.nodes.first() {
            let disks = map.disks.iter().filter(|disk| disk.node == node.node).map(|disk| disk.disk);
            return (node.clone(), disks.collect());
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the node was not registered");
}

#[tokio::test]
async fn a_served_node_passes_the_conformance_suite() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Arc::new(Fake::new(env.clone()));
    let running =
        Running::start(&env, config(vec![home.path().join("d1"), home.path().join("d2")]), metadata).await;
    let client = running.client(&env);
    let disk = client.disks().await.unwrap()[1].disk;
    conformance::run(&Subject { env: env.clone(), service: Arc::new(client), disk }).await;
    running.stop().await;
}

#[tokio::test]
async fn it_tells_metadata_of_its_disks_and_then_is_ready() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Arc::new(Fake::new(env.clone()));
    let running =
        Running::start(&env, config(vec![home.path().join("d1"), home.path().join("d2")]), metadata.clone())
            .await;
    let (node, disks) = registered(&env, &metadata).await;
    assert_eq!(node.address, running.address);
    assert_eq!(node.domain.as_str(), "eu/a/r1/h7");
    let known: Vec<_> =
        running.client(&env).disks().await.unwrap().into_iter().map(|status| status.disk).collect();
    assert_eq!(disks, known);
    for _ in 0..1000 {
        let mut connection = env.connect(&running.health).await.unwrap();
        connection
            .write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        if answer.starts_with("HTTP/1.1 200 ") {
            running.stop().await;
            return;
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the service did not become ready");
}

#[tokio::test]
async fn shards_and_identities_outlive_a_restart_and_the_loss_of_a_folder() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let folders: Vec<_> = ["d1", "d2"].iter().map(|name| home.path().join(name)).collect();
    let metadata = Arc::new(Fake::new(env.clone()));
    let running = Running::start(&env, config(folders.clone()), metadata.clone()).await;
    let (node, disks) = registered(&env, &metadata).await;
    let samples: Vec<_> = (0..).zip([100, 400_000]).map(|(n, length)| Sample::single(1, n, length)).collect();
    for disk in &disks {
        for sample in &samples {
            running
                .client(&env)
                .put_shard(*disk, sample.header.clone(), sample.stream(), Purpose::Write)
                .await
                .unwrap();
        }
    }
    running.stop().await;

    // The first folder's disk is dead: in its place stands a file.
    env.disk().rename(&folders[0], &home.path().join("gone")).unwrap();
    env.disk().replace_small(&folders[0], b"").unwrap();
    let metadata = Arc::new(Fake::new(env.clone()));
    let running = Running::start(&env, config(folders), metadata.clone()).await;
    let (again, left) = registered(&env, &metadata).await;
    assert_eq!(again.node, node.node);
    assert_eq!(left.len(), 1);
    for sample in &samples {
        sample.expect_kept(&running.client(&env), left[0]).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_new_node_starts_before_metadata_does_and_a_new_folder_of_a_known_one_does_not() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let secret: service_kit::ClusterSecret = SECRET.parse().unwrap();
    let token = Token::new(&secret.token("metadata")).unwrap();
    // Nobody listens there.
    let away = || {
        let client = connect(env.clone(), vec!["127.0.0.1:9".to_owned()], token.clone()).unwrap();
        Arc::new(client) as Arc<dyn Metadata>
    };
    let folders: Vec<_> = ["d1", "d2"].iter().map(|name| home.path().join(name)).collect();
    let first = Server::bind(env.clone(), config(folders[..1].to_vec()), away()).await.unwrap();
    first.node.close().await;
    let again = Server::bind(env.clone(), config(folders[..1].to_vec()), away()).await.unwrap();
    again.node.close().await;
    let added = Server::bind(env.clone(), config(folders), away()).await;
    assert!(matches!(added, Err(BindError::Metadata(_))));
}

#[tokio::test]
async fn without_a_usable_folder_it_does_not_start() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    env.disk().replace_small(&file, b"").unwrap();
    let bound = Server::bind(env.clone(), config(vec![file]), Arc::new(Fake::new(env))).await;
    assert!(matches!(bound, Err(BindError::Folder { .. })));
}
