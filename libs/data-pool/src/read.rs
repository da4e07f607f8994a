//! Reading: from content back to bytes.

pub(crate) mod fetch;
mod grid;
pub(crate) mod windows;

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use checksum::Crc64;
use env::Task;
use futures_util::{Stream, future::poll_immediate, stream};
use tracing::{Instrument, Span};
use types::{ByteRange, Content};

use crate::{
    Pool, ReadError,
    limits::{READ_TURN, WORK_SLICE},
    pool::Shared,
    read::windows::{Window, Windows},
};

/// Verified bytes in order. After an error there is nothing more.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>;

impl Pool {
    /// Reads a range of content as a stream of runs of at most a cell, about 1 MiB at a time and as much ahead; what is in memory, as
    /// the reads before had it, in shorter steps and none ahead.
    ///
    /// While all is well only the cells that the range touches are read. A shard that is missing, corrupt, failing or
    /// slow is replaced by others, up to m of them in any stripe. Bytes that cannot be proved end the stream with an
    /// error; those that were answered before are right.
    ///
    /// Errors: those of [`ReadError`], as items.
    pub fn read(&self, content: &Content, range: ByteRange) -> ByteStream {
        if range.end() > content.length() {
            let error = ReadError::RangeBeyondEnd { end: range.end(), length: content.length() };
            return Box::pin(stream::once(async { Err(error) }));
        }
        match content {
            Content::Inline(bytes) => {
                let (start, end) = (range.start() as usize, range.end() as usize);
                let run = Some(bytes.slice(start..end)).filter(|run| !run.is_empty());
                Box::pin(stream::iter(run.map(Ok)))
            }
            Content::Stored(manifest) => {
                let windows = Windows::new(manifest, range);
                let reader = Reader::new(Arc::clone(self.shared()), windows, self.counts_losses());
                Box::pin(stream::unfold(reader, |mut reader| async move {
                    let item = reader.next().await?;
                    Some((item, reader))
                }))
            }
        }
    }
}

/// A read in progress.
struct Reader {
    shared: Arc<Shared>,
    windows: Windows,
    counts_losses: bool,
    ahead: Option<Ahead>,
    /// Bytes that came without waiting since others had their turn.
    at_once: u64,
    /// Fetched and verified runs that were not taken yet.
    ready: VecDeque<Bytes>,
    /// Of the chunk being read, as long as it is read from its beginning and in whole.
    crc: Crc64,
    failed: bool,
}

/// A window that is fetched while the one before is consumed.
struct Ahead {
    window: Window,
    task: Task<Result<Vec<Bytes>, ReadError>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    fn new(shared: Arc<Shared>, windows: Windows, counts_losses: bool) -> Self {
        let (ready, crc) = (VecDeque::new(), Crc64::new());
        Self { shared, windows, counts_losses, ahead: None, at_once: 0, ready, crc, failed: false }
    }

    async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        while self.ready.is_empty() {
            if self.failed {
                return None;
            }
            if let Err(error) = self.advance().await? {
                self.failed = true;
                self.ahead = None;
                if self.counts_losses {
                    self.shared.counts.count_lost(&error);
                }
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }

    /// Makes the next window's runs ready; `None` after the last window.
    async fn advance(&mut self) -> Option<Result<(), ReadError>> {
        // A read of one window, as of any small object, spawns nothing; nor does one of what is in memory.
        let (window, runs) = match self.ahead.take() {
            Some(mut ahead) => {
                self.fetch_ahead();
                let runs = (&mut ahead.task).await;
                (ahead.window, runs.unwrap_or(Err(ahead.window.not_enough(0))))
            }
            None => {
                if self.at_once >= READ_TURN {
                    self.at_once = 0;
                    tokio::task::yield_now().await;
                }
                let is_waiting_likely = self.shared.reads_wait.load(Relaxed);
                self.windows.set_short(!is_waiting_likely);
                let window = match self.windows.next()? {
                    Ok(window) => window,
                    Err(error) => return Some(Err(error)),
                };
                let shared = Arc::clone(&self.shared);
                let mut fetching = pin!(fetch::fetch(&shared, &window));
                let now = poll_immediate(fetching.as_mut()).await;
                if now.is_some() == is_waiting_likely {
                    self.shared.reads_wait.store(!is_waiting_likely, Relaxed);
                }
                let runs = match now {
                    Some(runs) => {
                        self.at_once += window.to - window.from;
                        runs
                    }
                    None => {
                        self.windows.set_short(false);
                        self.fetch_ahead();
                        fetching.await
                    }
                };
                (window, runs)
            }
        };
        match runs {
            Ok(runs) => Some(self.accept(&window, runs).await),
            Err(error) => Some(Err(error)),
        }
    }

    fn fetch_ahead(&mut self) {
        // A malformed extent is met again when its turn comes.
        let Some(Ok(window)) = self.windows.peek() else { return };
        self.windows.next();
        let shared = Arc::clone(&self.shared);
        let fetching = async move { fetch::fetch(&shared, &window).await };
        let task = self.shared.env.spawn(fetching.instrument(Span::current()));
        self.ahead = Some(Ahead { window, task });
    }

    /// Checks the chunk's checksum when this window completes the chunk, and lets the runs out.
    async fn accept(&mut self, window: &Window, runs: Vec<Bytes>) -> Result<(), ReadError> {
        if window.is_chunk_whole {
            if window.begins_chunk() {
                self.crc = Crc64::new();
            }
            let mut worked = 0;
            for run in &runs {
                if worked >= WORK_SLICE {
                    worked = 0;
                    tokio::task::yield_now().await;
                }
                self.crc.update(run);
                worked += run.len();
            }
            if window.ends_chunk() && self.crc.value() != window.extent.checksum {
                let chunk = window.extent.chunk;
                tracing::error!(%chunk, "chunk does not match the checksum in its manifest");
                return Err(ReadError::ChunkChecksumMismatch { chunk });
            }
        }
        self.ready.extend(runs);
        Ok(())
    }
}
