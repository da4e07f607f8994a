//! Stores marks: into the last object of marks until it is full, then into the next one.
//!
//! Each put demands that the object is as this process knows it, by its ETag, or absent. So once a later user of the prefix
//! has put the last object anew, no put of this process can land any more ([`Shared::seal`]).

use std::sync::Arc;

use chunk_api::Error;
use s3_client::{Failure, PutCondition};
use tracing::warn;

use crate::{
    claim::is_collision,
    marks::{MARKS_LENGTH_MAX, MARKS_MAX, Mark, decode, encode},
    name::Turn,
    open::OpenError,
    shared::Shared,
};

/// Most puts of an object that is found to be another than was thought.
const PUTS_MAX: u32 = 3;

/// The last object of marks.
#[derive(Debug)]
pub(crate) struct Tail {
    /// What its key is made of. Keys follow each other, so that a later user knows which one comes next.
    pub(crate) number: Turn,
    /// Its ETag; `None` when it is not there yet.
    pub(crate) etag: Option<String>,
    /// Its marks, at most [`MARKS_MAX`], and those in force that may not be there.
    pub(crate) marks: Vec<Mark>,
}

impl Default for Tail {
    fn default() -> Self {
        Self { number: Turn { generation: 0, counter: 1 }, etag: None, marks: Vec::new() }
    }
}

impl Tail {
    /// The object that follows on one, empty and not there yet.
    pub(crate) fn after(number: Turn) -> Self {
        let counter = number.counter.saturating_add(1);
        Self { number: Turn { counter, ..number }, etag: None, marks: Vec::new() }
    }
}

impl Shared {
    /// Makes marks durable and brings them into force. Those that are in force and stored already take no request. Goes on to
    /// its end though the caller gives up.
    ///
    /// Errors: `Unavailable` when none was stored; `TimedOut` when some were or may have been, and those are in force.
    pub(crate) async fn store_marks(self: &Arc<Self>, marks: Vec<Mark>) -> Result<(), Error> {
        let shared = self.clone();
        let task = self.env.spawn(async move {
            let mut tail = shared.tail.lock().await;
            // Marks come into force only under this lock.
            let new: Vec<Mark> = {
                let index = shared.open_index()?;
                marks.into_iter().filter(|mark| !index.is_in_force(mark)).collect()
            };
            let mut rest = &new[..];
            loop {
                let unstored = shared.index().marks_unstored;
                if rest.is_empty() && !unstored {
                    return Ok(());
                }
                // An object is gone on from only when it is full and surely stored.
                if tail.marks.len() >= MARKS_MAX && !unstored {
                    *tail = Tail::after(tail.number);
                }
                let (batch, later) = rest.split_at(rest.len().min(MARKS_MAX - tail.marks.len()));
                match shared.extend(&mut tail, batch).await {
                    Err(Error::Unavailable { .. }) if rest.len() < new.len() => return Err(Error::TimedOut),
                    result => result?,
                }
                rest = later;
            }
        });
        task.await.unwrap_or(Err(Error::TimedOut))
    }

    /// Puts the last object with more marks, and with those that may not be there yet.
    async fn extend(&self, tail: &mut Tail, batch: &[Mark]) -> Result<(), Error> {
        drop(self.open_index()?);
        let marks = [&tail.marks[..], batch].concat();
        let stored = match self.put_tail(tail, &marks).await {
            // A claim that lapsed may have been taken over before the marks were there to be read.
            Ok(etag) => {
                tail.etag = Some(etag);
                self.is_held()
            }
            Err(failure) if failure.promises_nothing_happened() => {
                return Err(Error::Unavailable { reason: format!("the marks were not stored: {failure}") });
            }
            Err(failure) => {
                warn!(disk = %self.disk, %failure, "whether marks were stored is not known");
                false
            }
        };
        // What may have been stored counts from now on, and is stored again before anything else is.
        tail.marks = marks;
        {
            let now = self.env.now();
            let mut index = self.index();
            index.marks_unstored = !stored;
            batch.iter().for_each(|mark| index.apply(mark, now));
        }
        self.sweep.notify_one();
        if stored { Ok(()) } else { Err(Error::TimedOut) }
    }

    /// Puts these marks as the last object, and finds out what is there when that is not what was thought: a put whose
    /// outcome was not known has landed, or somebody has removed the object. Answers the ETag.
    async fn put_tail(&self, tail: &mut Tail, marks: &[Mark]) -> Result<String, Failure> {
        let key = self.marks_key(tail.number);
        let mut puts = 0;
        loop {
            puts += 1;
            let condition = tail.etag.as_deref().map_or(PutCondition::Absent, PutCondition::Matches);
            let failure = match self.bucket.put(&key, encode(marks), condition).await {
                Err(failure) if puts < PUTS_MAX && is_other(&failure) => failure,
                result => return result,
            };
            match self.bucket.get(&key, MARKS_LENGTH_MAX).await? {
                None => tail.etag = None,
                // Objects only grow: what this process has put is the beginning of what it knows.
                Some((bytes, etag)) if decode(&bytes).is_some_and(|found| tail.marks.starts_with(&found)) => {
                    tail.etag = Some(etag);
                }
                // Another process has put it; the keeper of the claim will find out.
                Some(_) => return Err(failure),
            }
        }
    }

    /// Puts the last object anew, so that no put of marks of a former holder lands after it has been read: what such a put
    /// demands holds no more. Whether it was as it had been read; if not, the marks must be read again.
    ///
    /// A void mark of a turn that is never used makes the object another one.
    pub(crate) async fn seal(&self) -> Result<bool, OpenError> {
        let mut tail = self.tail.lock().await;
        if tail.marks.len() >= MARKS_MAX {
            *tail = Tail::after(tail.number);
        }
        let seal = Mark::Void(Turn { generation: self.generation, counter: 0 });
        let marks = [&tail.marks[..], &[seal]].concat();
        let condition = tail.etag.as_deref().map_or(PutCondition::Absent, PutCondition::Matches);
        match self.bucket.put(&self.marks_key(tail.number), encode(&marks), condition).await {
            Ok(etag) => {
                tail.marks = marks;
                tail.etag = Some(etag);
                Ok(true)
            }
            Err(failure) if is_other(&failure) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    fn marks_key(&self, number: Turn) -> String {
        format!("{}{:016x}-{:016x}", self.marks_prefix(), number.generation, number.counter)
    }

    /// The number in a key of [`Shared::marks_key`].
    pub(crate) fn marks_number(&self, key: &str) -> Option<Turn> {
        let (generation, counter) = key.strip_prefix(&self.marks_prefix())?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let number = Turn { generation: number(generation)?, counter: number(counter)? };
        (self.marks_key(number) == key).then_some(number)
    }
}

/// Whether a put was refused because the object is another one, or is not there.
fn is_other(failure: &Failure) -> bool {
    is_collision(failure) || failure.code() == "NoSuchKey"
}
