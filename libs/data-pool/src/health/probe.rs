//! Asks services that failed how they are, so that they are used again as soon as they answer.
//!
//! Without it a service would be found well again only by the call that happens to try it, which is rarer the longer the
//! service was away; and while one is not used, another that dies may be one too many.

use std::sync::{Arc, Weak};

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use types::NodeId;

use crate::{
    limits::{PROBE_PERIOD, PROBE_TIMEOUT, PROBES_AT_ONCE},
    pool::Shared,
};

/// Probes in the background until the pool is gone.
pub(crate) fn start(shared: &Arc<Shared>) {
    let news = shared.health.subscribe();
    shared.env.spawn(run(Arc::downgrade(shared), news));
}

async fn run(shared: Weak<Shared>, mut news: watch::Receiver<()>) {
    while news.changed().await.is_ok() {
        while let Some(shared) = shared.upgrade() {
            let nodes = shared.health.failed_nodes();
            if nodes.is_empty() {
                break;
            }
            stream::iter(nodes).for_each_concurrent(PROBES_AT_ONCE, |node| probe(&shared, node)).await;
            let env = shared.env.clone();
            drop(shared);
            // What fails meanwhile is asked at once. An error means that the pool is gone.
            let _ = env.timeout(PROBE_PERIOD, news.changed()).await;
        }
    }
}

async fn probe(shared: &Shared, node: NodeId) {
    let map = shared.view.snapshot();
    let Some(service) = map.service(node) else { return shared.health.node_gone(node) };
    let asked = shared.env.now();
    match shared.env.timeout(PROBE_TIMEOUT, service.disks()).await {
        Ok(Ok(disks)) => shared.health.node_answered(node, asked, &disks),
        Ok(Err(_)) | Err(_) => shared.health.node_silent(node),
    }
}
