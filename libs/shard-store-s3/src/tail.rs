//! Stores marks: into the last object of marks while it has room, which is put anew under a new key.

use std::sync::Arc;

use chunk_api::Error;
use s3_client::{KEYS_MAX, PutCondition};
use tracing::warn;

use crate::{
    marks::{MARKS_MAX, Mark, encode},
    shared::Shared,
};

/// The last object of marks.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Its marks, at most [`MARKS_MAX`].
    pub(crate) marks: Vec<Mark>,
    /// Where they are: the object, and others that it replaced and that may still be there.
    pub(crate) keys: Vec<String>,
}

impl Shared {
    /// Makes marks durable and brings them into force. Goes on to its end though the caller gives up.
    ///
    /// Errors: `Unavailable` when none was stored; `TimedOut` when some were or may have been, and those are in force.
    pub(crate) async fn store_marks(self: &Arc<Self>, marks: Vec<Mark>) -> Result<(), Error> {
        let shared = self.clone();
        let task = self.env.spawn(async move {
            let mut tail = shared.tail.lock().await;
            for (turn, batch) in marks.chunks(MARKS_MAX).enumerate() {
                match shared.extend(&mut tail, batch).await {
                    Err(Error::Unavailable { .. }) if turn > 0 => return Err(Error::TimedOut),
                    result => result?,
                }
            }
            Ok(())
        });
        task.await.unwrap_or(Err(Error::TimedOut))
    }

    async fn extend(&self, tail: &mut Tail, batch: &[Mark]) -> Result<(), Error> {
        drop(self.open_index()?);
        let fits = tail.marks.len() + batch.len() <= MARKS_MAX;
        let (mut marks, replaced) =
            if fits { (tail.marks.clone(), std::mem::take(&mut tail.keys)) } else { Default::default() };
        marks.extend_from_slice(batch);
        let turn = self.next_turn();
        let key = format!("{}{:016x}-{:016x}", self.marks_prefix(), turn.generation, turn.counter);
        let put = self.bucket.put(&key, encode(&marks), PutCondition::Absent).await;
        let stored = match put {
            // A claim that lapsed may have been taken over before the marks were there to be read.
            Ok(_) => self.is_held(),
            Err(failure) if failure.promises_nothing_happened() => {
                tail.keys.extend(replaced);
                return Err(Error::Unavailable { reason: format!("the marks were not stored: {failure}") });
            }
            Err(failure) => {
                warn!(disk = %self.disk, %failure, "whether marks were stored is not known");
                false
            }
        };
        // What may have been stored counts from now on, and is stored again with the marks that follow.
        tail.marks = marks;
        tail.keys = vec![key];
        let now = self.env.now();
        {
            let mut index = self.index();
            batch.iter().for_each(|mark| index.apply(mark, now));
        }
        self.sweep.notify_one();
        if !stored {
            tail.keys.extend(replaced);
            tail.keys.truncate(KEYS_MAX);
            return Err(Error::TimedOut);
        }
        if !replaced.is_empty()
            && let Err(failure) = self.bucket.delete(&replaced).await
        {
            warn!(disk = %self.disk, %failure, "a replaced object of marks was not removed");
            tail.keys.extend(replaced);
            // Those that are forgotten stay, and do no harm.
            tail.keys.truncate(KEYS_MAX);
        }
        Ok(())
    }
}
