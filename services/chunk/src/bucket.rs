//! Opens a remote bucket beside the running node, attaches it, and takes it out again when another process has it.
//!
//! A remote server may take its time or be away, and a bucket whose last user was killed must be watched for a minute: no
//! other disk waits for that.

use std::{sync::Arc, time::Duration};

use env::Env;
use service_kit::Shutdown;
use shard_store::ShardStore;
use shard_store_s3::{OpenError, S3Options, S3Store};
use tokio::sync::watch;
use tracing::{error, info, warn};
use types::NodeId;

use crate::{BadShards, ChunkNode, node::chain};

/// Pause before a bucket that could not be opened is tried again; it doubles each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One remote bucket of a node.
pub(crate) struct BucketTask {
    pub(crate) env: Env,
    pub(crate) options: S3Options,
    pub(crate) node: Arc<ChunkNode>,
    /// Where to tell the node's identity when it is that of this bucket.
    pub(crate) identity: Option<watch::Sender<Option<NodeId>>>,
    pub(crate) scrub_period: Duration,
    pub(crate) bad: Arc<dyn BadShards>,
}

impl BucketTask {
    /// Keeps the bucket open until the stop begins. What is attached then is left to [`ChunkNode::close`].
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut pause = PAUSE_MIN;
        loop {
            let opened = tokio::select! {
                opened = S3Store::open(&self.env, self.options.clone()) => opened,
                () = shutdown.begun() => return,
            };
            match opened {
                Ok(store) => {
                    pause = PAUSE_MIN;
                    if self.keep(Arc::new(store), &shutdown).await {
                        return;
                    }
                }
                Err(reason) => {
                    let (location, error) = (&self.options.location, chain(&reason));
                    match reason {
                        // As a standby finds it for as long as it is not needed.
                        OpenError::InUse => {
                            info!(%location, error, "remote bucket not opened; it is tried again")
                        }
                        _ => error!(%location, error, "remote bucket not opened; it is tried again"),
                    }
                }
            }
            tokio::select! {
                () = self.env.sleep(pause) => {}
                () = shutdown.begun() => return,
            }
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// Serves a store until the stop begins, which it answers, or until another process has the bucket.
    async fn keep(&self, store: Arc<S3Store>, shutdown: &Shutdown) -> bool {
        let (location, disk) = (&self.options.location, store.disk());
        if !self.node.attach(store.clone()) {
            error!(%location, %disk, "remote bucket left out: another place of this node has the same disk");
            store.close().await;
            return false;
        }
        info!(%location, %disk, "remote bucket opened");
        if let Some(identity) = &self.identity {
            identity.send_replace(Some(NodeId(disk.0)));
        }
        let scrub =
            self.node.scrub_disk(disk, &self.env, self.scrub_period, self.bad.clone(), shutdown.clone());
        tokio::select! {
            // It ends when the stop begins.
            () = scrub => true,
            () = store.lost() => {
                warn!(%location, %disk, "remote bucket taken out: another process uses it; it is tried again");
                self.node.detach(disk);
                store.close().await;
                false
            }
        }
    }
}
