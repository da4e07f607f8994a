//! A cluster of nodes that can be cut off, with its gateways and workers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use chunk_api::ChunkService;
use data_pool::{ClusterView, Follower, LeaseHolder, Pool};
use env::{Env, Task};
use metadata_api::{
    AccountId, ClusterMap, CreateBucket, Metadata, PlacementGroup, StorageClassDefinition, fake::Fake,
};
use service_kit::{ShutdownTrigger, shutdown_channel};
use telemetry::Source;
use types::{DiskId, StorageClassName};
use worker::{Options, Worker};

use crate::{
    audit::{self, Audit},
    clock::paused,
    gateway::{Gateway, bucket, content},
    node::Node,
};

/// Objects are inline up to this many bytes, whole copies up to the other.
pub(crate) const INLINE: usize = 100;
pub(crate) const WHOLE: usize = 16 << 10;

type Registry = Arc<Mutex<BTreeMap<String, Arc<Node>>>>;

pub(crate) struct Cluster {
    pub(crate) env: Env,
    pub(crate) metadata: Arc<Fake>,
    pub(crate) nodes: Vec<Arc<Node>>,
    registry: Registry,
}

/// A worker that runs until it is killed or stopped.
pub(crate) struct RunningWorker {
    task: Task<()>,
    trigger: ShutdownTrigger,
}

impl RunningWorker {
    /// Ends it at once: nothing is released.
    pub(crate) fn kill(self) {
        self.task.abort();
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) {
        self.trigger.begin();
        self.task.await.unwrap();
    }
}

impl Cluster {
    /// So many nodes, and a class of this coding with so many groups.
    pub(crate) async fn new(nodes: u8, coding: &str, groups: u32) -> Self {
        let cluster = Self::without_class(nodes).await;
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: coding.parse().unwrap(),
            inline_limit_bytes: INLINE as u64,
            whole_limit_bytes: WHOLE as u64,
            groups,
            medium: None,
        };
        cluster.metadata.define_storage_class(definition).await.unwrap();
        cluster
    }

    /// So many nodes, and no class.
    pub(crate) async fn without_class(nodes: u8) -> Self {
        let env = paused();
        let metadata = Arc::new(Fake::new(env.clone()));
        let mut cluster = Self { env, metadata, nodes: Vec::new(), registry: Registry::default() };
        for _ in 0..nodes {
            cluster.add_node().await;
        }
        let request = CreateBucket::new(bucket(), AccountId("owner".to_owned()));
        cluster.metadata.create_bucket(request).await.unwrap();
        cluster
    }

    pub(crate) async fn add_node(&mut self) {
        let node = Arc::new(Node::new(&self.env, self.nodes.len() as u8));
        let registration = node.registration();
        self.registry.lock().unwrap().insert(registration.address.clone(), node.clone());
        self.metadata.register_node(registration).await.unwrap();
        self.env.spawn(node.clone().beat(self.metadata.clone()));
        self.nodes.push(node);
    }

    fn view(&self) -> Arc<ClusterView> {
        let registry = self.registry.clone();
        Arc::new(ClusterView::networked(move |address| -> Arc<dyn ChunkService> {
            registry.lock().unwrap()[address].clone()
        }))
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        Gateway::start(&self.env, self.metadata.clone(), self.view()).await
    }

    pub(crate) fn worker(&self) -> RunningWorker {
        self.worker_with(Options::default())
    }

    pub(crate) fn worker_with(&self, options: Options) -> RunningWorker {
        self.start_worker(options, |_, _| ())
    }

    /// A worker, and what it counts.
    pub(crate) async fn counted_worker(&self, options: Options) -> (RunningWorker, Arc<dyn Source>) {
        let (told, counts) = tokio::sync::oneshot::channel();
        let worker = self.start_worker(options, |worker, _| drop(told.send(worker)));
        (worker, counts.await.unwrap())
    }

    /// A worker, and what its reads and writes count.
    pub(crate) async fn reading_worker(&self, options: Options) -> (RunningWorker, Arc<dyn Source>) {
        let (told, counts) = tokio::sync::oneshot::channel();
        let worker = self.start_worker(options, |_, pool| drop(told.send(pool)));
        (worker, counts.await.unwrap())
    }

    fn start_worker(
        &self,
        options: Options,
        tell: impl FnOnce(Arc<dyn Source>, Arc<dyn Source>) + Send + 'static,
    ) -> RunningWorker {
        let (trigger, shutdown) = shutdown_channel();
        let (env, metadata, view) =
            (self.env.clone(), self.metadata.clone() as Arc<dyn Metadata>, self.view());
        let task = self.env.spawn(async move {
            let _follower = Follower::start(&env, metadata.clone(), view.clone());
            let leases = Arc::new(LeaseHolder::start(&env, metadata.clone(), &view, "worker"));
            let pool = Pool::new(&env, view.clone(), leases, Arc::new(|_| ()));
            let reads = Arc::new(pool.clone());
            let worker = Worker::new(env, metadata, view, pool, options);
            tell(worker.counts(), reads);
            worker.run(shutdown).await;
        });
        RunningWorker { task, trigger }
    }

    pub(crate) async fn map(&self) -> ClusterMap {
        self.metadata.cluster_map(None).await.unwrap().unwrap()
    }

    pub(crate) async fn groups(&self) -> Vec<PlacementGroup> {
        self.map().await.classes.into_iter().flat_map(|class| class.groups).collect()
    }

    /// Disks that a group is on or moves to.
    pub(crate) async fn named_disks(&self) -> BTreeSet<DiskId> {
        let named = |group: PlacementGroup| {
            group.disks.into_iter().chain(group.moves.into_iter().map(|pending| pending.to))
        };
        self.groups().await.into_iter().flat_map(named).collect()
    }

    pub(crate) async fn moves(&self) -> usize {
        self.groups().await.iter().map(|group| group.moves.len()).sum()
    }

    /// Repairs that the nodes have been asked for.
    pub(crate) fn repairs(&self) -> u64 {
        self.nodes.iter().map(|node| node.repairs.load(std::sync::atomic::Ordering::SeqCst)).sum()
    }

    /// Waits until the condition holds.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, condition: impl Fn() -> F) {
        for _ in 0..3000 {
            if condition().await {
                return;
            }
            self.env.sleep(Duration::from_millis(500)).await;
        }
        panic!("never: {what}");
    }

    /// Waits until nothing is left to do and every shard is whole and where it should be, and no other is anywhere.
    /// Nodes that are cut off are not looked at.
    pub(crate) async fn until_clean(&self) -> Audit {
        let mut last = None;
        for _ in 0..2000 {
            let audit = audit::audit(self).await;
            if audit.is_clean() {
                return audit;
            }
            last = Some(audit);
            self.env.sleep(Duration::from_secs(1)).await;
        }
        panic!("never clean: {last:#?}");
    }

    /// Writes objects of every kind, and answers their names and lengths.
    pub(crate) async fn fill(&self, gateway: &Gateway, count: usize) -> Vec<(String, usize)> {
        let lengths = [INLINE, INLINE + 1, WHOLE, WHOLE + 1, 300_000, 1_000_000];
        let mut objects = Vec::new();
        for (number, length) in (0..count).zip(lengths.into_iter().cycle()) {
            let name = format!("object-{number}");
            assert!(gateway.put(&name, length).await, "{name}");
            objects.push((name, length));
        }
        objects
    }

    /// Reads all of them.
    pub(crate) async fn check(&self, gateway: &Gateway, objects: &[(String, usize)]) {
        for (name, length) in objects {
            let read = gateway.get(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(read == content(name, *length), "{name}");
        }
    }
}
