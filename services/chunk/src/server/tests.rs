use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chunk_api::{
    ChunkService, Purpose,
    client::{Caller, Client, ClientOptions},
    conformance::{self, Sample, Subject},
};
use env::{Env, Task};
use harness::{ACCESS_KEY, SECRET_KEY};
use metadata_api::{DiskState, MapNode, Metadata, Token, client::connect, fake::Fake};
use s3_client::{Bucket, Connect, Endpoint, PutCondition};
use service_kit::{ShutdownTrigger, shutdown_channel};
use shard_store::ShardStore;
use shard_store_s3::{Credentials, S3Store, Timings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{DiskId, Role, Roles};

use super::{BindError, HEARTBEAT, NODE_FILE, Server};
use crate::{Config, Data};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(data: Vec<PathBuf>) -> Config {
    Config {
        data: data.into_iter().map(Data::from).collect(),
        remote: Credentials {
            access_key_id: Some(ACCESS_KEY.to_owned()),
            secret_access_key: Some(SECRET_KEY.to_owned()),
            session_token: None,
        },
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        health_listen: "127.0.0.1:0".parse().unwrap(),
        metadata: Vec::new(),
        cluster_tls: Default::default(),
        cluster_secret: SECRET.parse().unwrap(),
        demand_capabilities: false,
        failure_domain: "eu/a/r1/h7".parse().unwrap(),
        name_from: crate::NameSource::Host,
        medium: "nvme".to_owned(),
        scrub: crate::ScrubOptions::default(),
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
        Self::start_with(env, config, metadata, Timings::default()).await
    }

    /// The same with other timings of remote buckets.
    async fn start_with(env: &Env, config: Config, metadata: Arc<dyn Metadata>, timings: Timings) -> Self {
        let mut server = Server::bind(env.clone(), config, metadata, None).await.unwrap();
        server.buckets.iter_mut().for_each(|options| options.timings = timings);
        let address = server.address().to_string();
        let health = server.health.listener.local_address().unwrap().to_string();
        let (trigger, shutdown) = shutdown_channel();
        let task = env.spawn(server.run(shutdown));
        Self { address, health, trigger, task }
    }

    fn client(&self, env: &Env) -> Client {
        let secret: service_kit::ClusterSecret = SECRET.parse().unwrap();
        let caller =
            Caller::derived(Roles::of(&[Role::Worker, Role::Admin]), |audience| secret.token(audience));
        Client::new(env.clone(), self.address.as_str(), caller, ClientOptions::default())
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

/// What a health path answers: the status line and all after it.
async fn health(env: &Env, running: &Running, path: &str) -> String {
    let mut connection = env.connect(&running.health).await.unwrap();
    let request = format!("GET /health/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn wait_until_ready(env: &Env, running: &Running) {
    for _ in 0..3000 {
        if health(env, running, "ready").await.starts_with("HTTP/1.1 200 ") {
            return;
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the service did not become ready");
}

/// Waits until the service serves so many disks.
async fn wait_for_disks(env: &Env, running: &Running, count: usize) -> Vec<DiskId> {
    let client = running.client(env);
    for _ in 0..3000 {
        let disks = client.disks().await.unwrap();
        if disks.len() == count {
            return disks.into_iter().map(|status| status.disk).collect();
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the service does not come to {count} disks");
}

fn bucket(address: &str, bucket: &str, prefix: &str) -> Data {
    format!("s3://{bucket}/{prefix}?endpoint=http://{address}&capacity=1GiB").parse().unwrap()
}

/// Accepts connections and never answers.
async fn black_hole(env: &Env) -> String {
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    env.spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    address
}

/// Passes connections on to `server`, and while `cut` is set breaks them and takes no new ones.
async fn cuttable(env: &Env, server: &str, cut: Arc<AtomicBool>) -> String {
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let (own_env, server) = (env.clone(), server.to_owned());
    env.spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (env, server, cut) = (own_env.clone(), server.clone(), cut.clone());
            own_env.spawn(async move {
                let Ok(mut server) = env.connect(&server).await else { return };
                let is_cut = async {
                    while !cut.load(Ordering::SeqCst) {
                        env.sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    () = is_cut => {}
                }
            });
        }
    });
    address
}

/// Waits until the metadata service knows one node, of this address, up and with one disk.
async fn wait_for_node_at(env: &Env, metadata: &Fake, address: &str) {
    for _ in 0..3000 {
        let map = metadata.cluster_map(None).await.unwrap().unwrap_or_default();
        if let ([node], [disk]) = (&map.nodes[..], &map.disks[..])
            && node.address == address
            && disk.state == DiskState::Up
        {
            assert_eq!(node.node.0, disk.disk.0);
            return;
        }
        env.sleep(Duration::from_millis(10)).await;
    }
    panic!("the node does not come to {address}");
}

async fn epoch(metadata: &Fake) -> i64 {
    metadata.cluster_map(None).await.unwrap().unwrap_or_default().epoch
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
    wait_until_ready(&env, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn a_map_that_is_long_in_coming_delays_no_heartbeat() {
    let (env, folder) = (Env::real(), tempfile::tempdir().unwrap());
    let metadata = Arc::new(Fake::new(env.clone()));
    metadata.slow_map(Duration::from_secs(3600));
    let running = Running::start(&env, config(vec![folder.path().into()]), metadata.clone()).await;
    while metadata.is_map_slow() {
        env.sleep(Duration::from_millis(10)).await;
    }
    let (before, _) = registered(&env, &metadata).await;
    let deadline = env.now().after(4 * HEARTBEAT);
    while registered(&env, &metadata).await.0.heartbeats == before.heartbeats {
        assert!(env.now() < deadline, "no heartbeat while the map is waited for");
        env.sleep(Duration::from_millis(50)).await;
    }
    running.stop().await;
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
    let first = Server::bind(env.clone(), config(folders[..1].to_vec()), away(), None).await.unwrap();
    first.node.close().await;
    let again = Server::bind(env.clone(), config(folders[..1].to_vec()), away(), None).await.unwrap();
    again.node.close().await;
    let added = Server::bind(env.clone(), config(folders), away(), None).await;
    assert!(matches!(added, Err(BindError::Metadata(_))));
}

#[tokio::test]
async fn folders_of_two_nodes_are_refused_whichever_comes_first() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let [here, moved] = ["here", "moved"].map(|name| home.path().join(name));
    for folder in [&here, &moved] {
        let metadata = Arc::new(Fake::new(env.clone()));
        let server = Server::bind(env.clone(), config(vec![folder.clone()]), metadata, None).await.unwrap();
        server.node.close().await;
    }
    let bind = async |folders: [&PathBuf; 2]| {
        let config = config(folders.map(PathBuf::clone).into());
        Server::bind(env.clone(), config, Arc::new(Fake::new(env.clone())), None).await
    };
    for folders in [[&here, &moved], [&moved, &here]] {
        let Err(refused) = bind(folders).await else { panic!("the service has two identities") };
        let BindError::TwoNodes { first, second, known, other } = &refused else { panic!("{refused}") };
        assert!([first, second] == folders && known != other, "{refused}");
        assert!(refused.to_string().contains("remove the file node-id from"), "{refused}");
    }
    // As the message says.
    env.disk().remove(&moved.join(NODE_FILE)).unwrap();
    let server = bind([&moved, &here]).await.unwrap();
    assert_eq!(server.node.len(), 2);
    server.node.close().await;
}

#[tokio::test]
async fn without_a_usable_folder_it_does_not_start() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    env.disk().replace_small(&file, b"").unwrap();
    let bound = Server::bind(env.clone(), config(vec![file]), Arc::new(Fake::new(env)), None).await;
    assert!(matches!(bound, Err(BindError::Folder { .. })));
}

#[tokio::test]
async fn a_remote_bucket_that_does_not_answer_keeps_no_folder_waiting() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Arc::new(Fake::new(env.clone()));
    let mut config = config(vec![home.path().join("d1")]);
    config.data.insert(0, bucket(&black_hole(&env).await, "b", "p"));
    let starting = Running::start(&env, config, metadata.clone());
    let running = env.timeout(Duration::from_secs(8), starting).await.unwrap();
    assert_eq!(registered(&env, &metadata).await.1.len(), 1);
    wait_until_ready(&env, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn a_node_of_remote_buckets_lives_at_once_and_is_ready_when_the_first_is_open() {
    let env = Env::real();
    let metadata = Arc::new(Fake::new(env.clone()));
    let (server, name) = remote().await;
    let address = server.client().host();
    // Only the second of its buckets can be opened: it is served, and the node has no identity yet.
    let mut config = config(Vec::new());
    config.data = vec![bucket(&black_hole(&env).await, &name, "one"), bucket(&address, &name, "two")];
    let running = Running::start(&env, config.clone(), metadata.clone()).await;
    assert!(health(&env, &running, "live").await.starts_with("HTTP/1.1 200 "));
    let two = wait_for_disks(&env, &running, 1).await;
    assert!(health(&env, &running, "ready").await.starts_with("HTTP/1.1 503 "));
    assert_eq!(metadata.cluster_map(None).await.unwrap().unwrap_or_default().nodes, []);
    running.stop().await;

    config.data[0] = bucket(&address, &name, "one");
    let running = Running::start(&env, config, metadata.clone()).await;
    let disks = wait_for_disks(&env, &running, 2).await;
    wait_until_ready(&env, &running).await;
    let one = disks.into_iter().find(|disk| *disk != two[0]).unwrap();
    assert_eq!(registered(&env, &metadata).await.0.node.0, one.0);
    running.stop().await;
    stop(server).await;
}

#[tokio::test]
async fn a_remote_bucket_that_another_process_has_is_served_and_reported_no_more() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Arc::new(Fake::new(env.clone()));
    let (server, name) = remote().await;
    let address = server.client().host();
    let mut config = config(vec![home.path().join("d1")]);
    config.data.push(bucket(&address, &name, "p"));
    let connect = Connect::new(sigv4::Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.to_owned(),
        session_token: None,
    });
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    let raw = Bucket::new(connect.access(&env, endpoint).await.unwrap(), name);
    // A claim that was let go, for later.
    let options = super::places(config.data.clone(), &config.remote).1.remove(0);
    S3Store::open(&env, options).await.unwrap().close().await;
    let (released, _) = raw.get("p/claim", 4096).await.unwrap().unwrap();

    let running = Running::start(&env, config, metadata.clone()).await;
    wait_for_disks(&env, &running, 2).await;
    let (_, etag) = raw.get("p/claim", 4096).await.unwrap().unwrap();
    // Not a claim that can be read, but surely not this process's.
    raw.put("p/claim", "{}".into(), PutCondition::Matches(&etag)).await.unwrap();
    wait_for_disks(&env, &running, 1).await;
    // Once it can be had again it is.
    let (_, etag) = raw.get("p/claim", 4096).await.unwrap().unwrap();
    raw.put("p/claim", released, PutCondition::Matches(&etag)).await.unwrap();
    wait_for_disks(&env, &running, 2).await;
    running.stop().await;
    harness::Logs.take("");
    stop(server).await;
}

/// A bucket is the node: of two processes that live, the one that has the bucket registers, and nobody else.
#[tokio::test]
async fn a_node_that_is_cut_off_from_its_bucket_leaves_its_name_to_whoever_takes_the_bucket_over() {
    let env = Env::real();
    let metadata = Arc::new(Fake::new(env.clone()));
    let (server, name) = remote().await;
    let address = server.client().host();
    let cut = Arc::new(AtomicBool::new(false));
    let through = cuttable(&env, &address, cut.clone()).await;
    let timings = Timings {
        claim: Duration::from_secs(4),
        late: Duration::from_secs(2),
        attempt: Duration::from_secs(1),
        fence: Duration::from_millis(500),
    };
    let [mut old_config, mut new_config] = [config(Vec::new()), config(Vec::new())];
    old_config.data = vec![bucket(&through, &name, "p")];
    new_config.data = vec![bucket(&address, &name, "p")];
    let old = Running::start_with(&env, old_config, metadata.clone(), timings).await;
    wait_for_node_at(&env, &metadata, &old.address).await;

    cut.store(true, Ordering::SeqCst);
    let new = Running::start_with(&env, new_config, metadata.clone(), timings).await;
    wait_for_node_at(&env, &metadata, &new.address).await;
    // The old one cannot know yet whether the bucket is another process's, and registers no more, nor once it knows.
    for is_cut in [true, false] {
        cut.store(is_cut, Ordering::SeqCst);
        if !is_cut {
            wait_for_disks(&env, &old, 0).await;
        }
        let before = epoch(&metadata).await;
        env.sleep(HEARTBEAT * 2 + Duration::from_secs(1)).await;
        assert_eq!(epoch(&metadata).await, before, "two processes register as one node");
        wait_for_node_at(&env, &metadata, &new.address).await;
        assert!(health(&env, &old, "ready").await.starts_with("HTTP/1.1 503 "));
        assert!(health(&env, &new, "ready").await.starts_with("HTTP/1.1 200 "));
    }
    let logged = harness::Logs.take("gives it its identity");
    assert!(!logged.is_empty(), "the old one says nothing");

    // When the new one goes the old one has the bucket again, and says so.
    new.stop().await;
    wait_for_node_at(&env, &metadata, &old.address).await;
    wait_until_ready(&env, &old).await;
    old.stop().await;
    harness::Logs.take("");
    stop(server).await;
}

/// A remote server and the name of its bucket.
async fn remote() -> (harness::Server, String) {
    let starting = Env::real().spawn_blocking(|| {
        let server = harness::Server::start();
        let name = server.bucket().name;
        (server, name)
    });
    starting.await.unwrap()
}

/// Stops a server outside of the test's own threads.
async fn stop(server: harness::Server) {
    Env::real().spawn_blocking(move || drop(server)).await.unwrap();
}
