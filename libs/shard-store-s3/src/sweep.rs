//! What follows behind: objects of puts without a known outcome are made void, dead objects are removed, and what a former
//! holder's late puts left is found by a second listing.

use std::{sync::Arc, time::Duration};

use chunk_api::Error;
use s3_client::KEYS_MAX;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    index::Grave,
    keeper::wait,
    marks::Mark,
    name::ObjectName,
    shared::{Shared, Stop},
};

/// Pause between looks.
const PAUSE: Duration = Duration::from_secs(5);
/// Pause before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

impl Shared {
    /// Makes void and removes until it is told to stop.
    pub(crate) async fn sweep_until(self: Arc<Self>, mut stop: watch::Receiver<Stop>) {
        loop {
            let mut ended = stop.clone();
            tokio::select! {
                stopped = wait(&self, PAUSE, &mut stop) => if stopped { return },
                () = self.sweep.notified() => {}
            }
            tokio::select! {
                () = self.sweep_once() => {}
                _ = ended.wait_for(|stop| *stop != Stop::No) => return,
            }
        }
    }

    async fn sweep_once(self: &Arc<Self>) {
        if !self.is_held() {
            return;
        }
        if let Err(error) = self.void_doubtful().await {
            warn!(disk = %self.disk, %error, "puts without a known outcome were not made void; it is tried again");
        }
        while self.remove_some().await {}
    }

    /// Makes the objects void whose put had no known outcome: whenever they appear, they are no shards.
    pub(crate) async fn void_doubtful(self: &Arc<Self>) -> Result<(), Error> {
        let doubtful = self.index().doubtful.clone();
        if doubtful.is_empty() {
            return Ok(());
        }
        self.store_marks(doubtful.iter().map(|name| Mark::Void(name.turn)).collect()).await?;
        let now = self.env.now();
        let mut index = self.index();
        index.doubtful.retain(|name| !doubtful.contains(name));
        for name in doubtful {
            // It may be there by now or may still be on its way.
            index.bury(name, now, 0);
            index.bury(name, now.after(self.timings.late), 0);
        }
        Ok(())
    }

    /// Removes dead objects that are due; whether there may be more.
    async fn remove_some(&self) -> bool {
        let now = self.env.now();
        let mut due: Vec<Grave> = Vec::new();
        self.index().graves.retain(|grave| {
            let take = grave.due <= now && due.len() < KEYS_MAX;
            if take {
                due.push(grave.clone());
            }
            !take
        });
        if due.is_empty() {
            return false;
        }
        let keys: Vec<String> = due.iter().map(|grave| self.shard_key(&grave.name)).collect();
        let removed = self.bucket.delete(&keys).await;
        let mut index = self.index();
        match removed {
            Ok(()) => {
                index.dead_bytes -= due.iter().map(|grave| grave.counted_bytes).sum::<u64>();
                true
            }
            Err(failure) => {
                warn!(disk = %self.disk, %failure, objects = due.len(), "dead objects were not removed; it is tried again");
                let again = self.env.now().after(AGAIN);
                index.graves.extend(due.into_iter().map(|grave| Grave { due: again, ..grave }));
                false
            }
        }
    }

    /// Waits until no put of a former holder can be on its way any more, and makes void what came late.
    pub(crate) async fn settle(self: Arc<Self>, mut stop: watch::Receiver<Stop>) {
        let mut pause = self.timings.late;
        loop {
            if wait(&self, pause, &mut stop).await {
                return;
            }
            match self.find_late().await {
                Ok(found) => {
                    info!(disk = %self.disk, found, "no put of a former user of the remote bucket is on its way any more");
                    self.index().settled = true;
                    self.sweep.notify_one();
                    return;
                }
                Err(error) => {
                    warn!(disk = %self.disk, %error, "the second listing failed; it is tried again");
                    pause = AGAIN.min(self.timings.late);
                }
            }
        }
    }

    /// Lists what former holders put and is not in the index: none of it was acknowledged to anybody.
    async fn find_late(self: &Arc<Self>) -> Result<usize, Error> {
        let mut found = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.shards_page(after.as_deref()).await;
            let (page, next) = page.map_err(|failure| Error::Unavailable { reason: failure.to_string() })?;
            let late: Vec<ObjectName> = {
                let index = self.index();
                let names = page.into_iter().filter_map(|(name, _)| name);
                names.filter(|name| self.is_late(&index, name)).collect()
            };
            if !late.is_empty() {
                found += late.len();
                self.store_marks(late.iter().map(|name| Mark::Void(name.turn)).collect()).await?;
                let now = self.env.now();
                let mut index = self.index();
                late.into_iter().for_each(|name| index.bury(name, now, 0));
            }
            after = next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    fn is_late(&self, index: &crate::index::Index, name: &ObjectName) -> bool {
        let known = index.shards.get(&name.shard).is_some_and(|place| place.name == *name);
        name.turn.generation < self.generation && !known
    }
}
