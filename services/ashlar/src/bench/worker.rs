//! One worker: makes one request after the other on its own connection.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::bench::{
    args::{Mix, Operation},
    keys::Keys,
    list::Cursor,
    s3::{Done, S3},
    tally::Kind,
};
use s3_client::{Failure, Pattern, mix};

/// What all workers of a phase do. Objects are known by number; see [`Keys`].
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) operation: Operation,
    pub(crate) size: u64,
    pub(crate) range_size: u64,
    pub(crate) part_size: u64,
    pub(crate) mix: Mix,
    pub(crate) keys: Keys,
    /// Objects 0 to this one are there (for put: the keys to use in turn, or 0 for a new one each time).
    pub(crate) objects: u64,
    /// The next number for a new object.
    pub(crate) next: Arc<AtomicU64>,
    /// The next object to delete.
    pub(crate) next_deleted: AtomicU64,
    /// Whether what a put has stored is read at once, so that it is in the server's memory as far as that goes.
    pub(crate) reads_back: bool,
}

/// What one worker remembers between requests.
pub(crate) struct Worker<'a> {
    work: &'a Work,
    pattern: &'a Pattern,
    s3: S3<'a>,
    /// The state of its choices; the same run makes the same ones.
    random: u64,
    /// For mixed: its own objects, that no other worker touches.
    live: Vec<u64>,
    live_min: usize,
    cursor: Cursor,
}

impl<'a> Worker<'a> {
    /// Worker `index` of `workers`.
    pub(crate) fn new(work: &'a Work, pattern: &'a Pattern, s3: S3<'a>, index: u64, workers: u64) -> Self {
        let live: Vec<u64> = match work.operation {
            Operation::Mixed => {
                (index..work.objects).step_by(usize::try_from(workers).unwrap_or(usize::MAX)).collect()
            }
            _ => Vec::new(),
        };
        let live_min = (live.len() / 2).max(1);
        Self { work, pattern, s3, random: mix(index), live, live_min, cursor: Cursor::default() }
    }

    /// Connects ahead of the first request. A failure shows again, and is counted, at the first request.
    pub(crate) async fn connect(&mut self) {
        let _ = self.s3.connect().await;
    }

    /// Makes one request; `None` when there is nothing left to do it to.
    pub(crate) async fn step(&mut self) -> Option<(Kind, Result<Done, Failure>)> {
        let work = self.work;
        let done = match work.operation {
            Operation::Put => (Kind::Put, self.put().await),
            Operation::Get => {
                let number = self.below(work.objects);
                (Kind::Get, self.get(number).await)
            }
            Operation::Head => {
                let number = self.below(work.objects);
                (Kind::Head, self.s3.head(&work.keys.name(number), work.size).await)
            }
            Operation::List => (Kind::List, self.list().await),
            Operation::Delete => {
                let number = work.next_deleted.fetch_add(1, Ordering::Relaxed);
                if number >= work.objects {
                    return None;
                }
                (Kind::Delete, self.s3.delete(&work.keys.name(number)).await)
            }
            Operation::Copy => {
                let source = work.keys.name(self.below(work.objects));
                let target = work.keys.name(work.next.fetch_add(1, Ordering::Relaxed));
                (Kind::Copy, self.s3.copy(&source, &target, work.size).await)
            }
            Operation::Range => {
                let key = work.keys.name(self.below(work.objects));
                let offset = self.below(work.size - work.range_size + 1);
                (
                    Kind::Range,
                    self.s3.range(&key, self.pattern.object(&key, work.size), offset, work.range_size).await,
                )
            }
            Operation::Multipart => {
                let key = work.keys.name(work.next.fetch_add(1, Ordering::Relaxed));
                (
                    Kind::Multipart,
                    self.s3.multipart(&key, self.pattern.object(&key, work.size), work.part_size).await,
                )
            }
            Operation::Mixed => self.mixed().await,
        };
        Some(done)
    }

    async fn put(&mut self) -> Result<Done, Failure> {
        let number = self.work.next.fetch_add(1, Ordering::Relaxed);
        let number = number.checked_rem(self.work.objects).unwrap_or(number);
        let done = self.put_object(number).await?;
        if self.work.reads_back {
            // What is answered wrongly shows when it is measured.
            let _ = self.get(number).await;
        }
        Ok(done)
    }

    async fn put_object(&mut self, number: u64) -> Result<Done, Failure> {
        let key = self.work.keys.name(number);
        let content = self.pattern.object(&key, self.work.size);
        self.s3.put(&key, content).await
    }

    async fn get(&mut self, number: u64) -> Result<Done, Failure> {
        let key = self.work.keys.name(number);
        let content = self.pattern.object(&key, self.work.size);
        self.s3.get(&key, content).await
    }

    async fn list(&mut self) -> Result<Done, Failure> {
        match self.work.keys.folders_used(self.work.objects) {
            Some(folders) => self.cursor.folders(&mut self.s3, &self.work.keys, folders).await,
            None => {
                let choice = self.number();
                self.cursor.page(&mut self.s3, &self.work.keys, self.work.objects, choice).await
            }
        }
    }

    /// One request of a kind drawn by share. Too few objects left turn a DELETE into a PUT.
    async fn mixed(&mut self) -> (Kind, Result<Done, Failure>) {
        let Mix { get, head, put, delete: _ } = self.work.mix;
        let drawn = u32::try_from(self.below(u64::from(self.work.mix.total()))).unwrap_or(0);
        let place = usize::try_from(self.below(self.live.len() as u64)).unwrap_or(0);
        let Some(number) = self.live.get(place).copied() else {
            return (Kind::Put, self.put_live().await);
        };
        let key = self.work.keys.name(number);
        if drawn < get {
            (Kind::Get, self.get(number).await)
        } else if drawn < get + head {
            (Kind::Head, self.s3.head(&key, self.work.size).await)
        } else if drawn < get + head + put || self.live.len() <= self.live_min {
            (Kind::Put, self.put_live().await)
        } else {
            self.live.swap_remove(place);
            (Kind::Delete, self.s3.delete(&key).await)
        }
    }

    async fn put_live(&mut self) -> Result<Done, Failure> {
        let number = self.work.next.fetch_add(1, Ordering::Relaxed);
        let done = self.put_object(number).await;
        // After a failure nobody knows whether it is there; it is not read.
        if done.is_ok() {
            self.live.push(number);
        }
        done
    }

    fn number(&mut self) -> u64 {
        self.random = mix(self.random);
        self.random
    }

    /// A number below `bound`; 0 when there is none.
    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.number()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}
