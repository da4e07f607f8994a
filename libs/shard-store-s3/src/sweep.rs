//! What follows behind: objects of puts without a known outcome are made void, dead objects are removed, and what a former
//! holder's late puts left is found by a second listing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chunk_api::Error;
use s3_client::{Failure, KEYS_MAX};
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
        // The read ends with this statement: no lock is held while the marks are stored.
        let marks_unstored = self.index().marks_unstored;
        if marks_unstored && let Err(error) = self.store_marks(Vec::new()).await {
            warn!(disk = %self.disk, %error, "marks were not stored; it is tried again");
        }
        while self.remove_some().await {}
        let wants_listing = self.index().wants_listing();
        if wants_listing && let Err(failure) = self.find_dead().await {
            warn!(disk = %self.disk, %failure, "dead objects were not listed; it is tried again");
            self.index().break_listing_off();
        }
    }

    /// Lists what is dead and in no grave.
    async fn find_dead(&self) -> Result<(), Failure> {
        let buried = self.index().begin_listing();
        let mut after: Option<String> = None;
        loop {
            let (page, next) = self.shards_page(after.as_deref()).await?;
            {
                let now = self.env.now();
                let mut index = self.index();
                for (name, size) in page {
                    if let Some(name) = name
                        && !buried.contains(&name.turn)
                        && index.is_dead(&name)
                    {
                        index.bury(name, now, size);
                    }
                }
            }
            after = next;
            if after.is_none() {
                self.sweep.notify_one();
                return Ok(());
            }
        }
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
        {
            let mut index = self.index();
            if index.marks_unstored {
                return false;
            }
            index.graves.retain(|grave| {
                let take = grave.due <= now && due.len() < KEYS_MAX;
                if take {
                    due.push(grave.clone());
                }
                !take
            });
        }
        if due.is_empty() {
            return false;
        }
        let keys: Vec<String> = due.iter().map(|grave| self.shard_key(&grave.name)).collect();
        let (left, failure) = match self.bucket.delete(&keys).await {
            Ok(refused) => {
                let failure = refused.first().map(|(_, failure)| failure.clone());
                (refused.into_iter().map(|(key, _)| key).collect(), failure)
            }
            Err(failure) => (keys.iter().cloned().collect::<HashSet<_>>(), Some(failure)),
        };
        if let Some(failure) = &failure {
            warn!(disk = %self.disk, %failure, objects = left.len(), "dead objects were not removed; it is tried again");
        }
        let again = self.env.now().after(AGAIN);
        let mut index = self.index();
        for (key, grave) in keys.into_iter().zip(due) {
            if left.contains(&key) {
                index.graves.push(Grave { due: again, ..grave });
            } else {
                index.dead_bytes -= grave.counted_bytes;
            }
        }
        // A call that failed is not followed by another one at once.
        failure.is_none()
    }

    /// Waits until no put of a former holder can be on its way any more, and makes void what came late. The last attempt of
    /// such a put began while that holder's claim held, and was given up one attempt later.
    pub(crate) async fn settle(self: Arc<Self>, mut stop: watch::Receiver<Stop>) {
        let mut pause = self.timings.late.saturating_add(self.timings.attempt);
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
