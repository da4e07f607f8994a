//! One shard on its way to its disk.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use chunk_api::{Cell, Error, Purpose, ShardBody, ShardHeader};
use env::{Env, Instant};
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::{
    limits::{CHANNEL_CELLS, SHARD_ANSWER_MAX, SHARD_STALL_MAX},
    snapshot::Place,
};

/// Puts a shard and answers when it is stable, or when its service does nothing for too long (`TimedOut`).
pub(crate) async fn put(
    env: &Env,
    place: &Place,
    header: ShardHeader,
    source: Source,
    purpose: Purpose,
) -> Result<(), Error> {
    let Source { body, progress } = source;
    let put = place.service.put_shard(place.disk, header, body, purpose);
    tokio::select! {
        biased;
        result = put => result,
        () = progress.stalled(env) => Err(Error::TimedOut),
    }
}

/// A shard's body and how far its service is with it.
pub(crate) struct Source {
    body: ShardBody,
    progress: Arc<Progress>,
}

impl Source {
    /// All cells at once.
    pub(crate) fn whole(env: &Env, cells: Vec<Cell>) -> Self {
        let progress = Arc::new(Progress::new(env.now(), State::Complete));
        Self { body: ShardBody::Whole(cells), progress }
    }

    /// `cells` cells as they are sent. Dropping the sender before all were sent abandons the shard.
    pub(crate) fn stream(env: &Env, cells: u64) -> (mpsc::Sender<Cell>, Self) {
        let (sender, receiver) = mpsc::channel(CHANNEL_CELLS);
        // The service is given time to ask for the first cell, as if that were there already.
        let progress = Arc::new(Progress::new(env.now(), State::Offered));
        let stream = Cells { env: env.clone(), receiver, left: cells, progress: Arc::clone(&progress) };
        (sender, Self { body: ShardBody::Stream(Box::pin(stream)), progress })
    }
}

/// Who is waiting for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The service waits for a cell: its patience is its own affair.
    Starved,
    /// A cell may be there and the service has not asked for it.
    Offered,
    /// The service has every cell and has not answered.
    Complete,
}

#[derive(Debug)]
struct Progress(Mutex<(Instant, State)>);

impl Progress {
    fn new(now: Instant, state: State) -> Self {
        Self(Mutex::new((now, state)))
    }

    fn set(&self, now: Instant, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, state);
    }

    fn get(&self) -> (Instant, State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the service has done nothing for longer than it may.
    async fn stalled(&self, env: &Env) {
        loop {
            let (since, state) = self.get();
            let limit = match state {
                State::Starved => None,
                State::Offered => Some(SHARD_STALL_MAX),
                State::Complete => Some(SHARD_ANSWER_MAX),
            };
            let waited = env.now().since(since);
            match limit {
                Some(limit) if waited >= limit => return,
                Some(limit) => env.sleep(limit - waited + Duration::from_millis(1)).await,
                None => env.sleep(SHARD_STALL_MAX).await,
            }
        }
    }
}

/// The cells that come through a channel.
struct Cells {
    env: Env,
    receiver: mpsc::Receiver<Cell>,
    left: u64,
    progress: Arc<Progress>,
}

impl Stream for Cells {
    type Item = Result<Cell, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        match self.receiver.poll_recv(context) {
            Poll::Pending => {
                self.progress.set(self.env.now(), State::Starved);
                Poll::Pending
            }
            Poll::Ready(Some(cell)) => {
                self.left -= 1;
                let state = if self.left == 0 { State::Complete } else { State::Offered };
                self.progress.set(self.env.now(), state);
                Poll::Ready(Some(Ok(cell)))
            }
            Poll::Ready(None) => {
                self.left = 0;
                self.progress.set(self.env.now(), State::Complete);
                Poll::Ready(Some(Err(Error::Interrupted)))
            }
        }
    }
}
