//! The body, cut into pieces of the lengths asked for.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::WriteError;

/// A body of declared length.
pub(crate) struct Input<'a, S> {
    body: Pin<&'a mut S>,
    /// Received and not yet taken.
    pending: Bytes,
    declared: u64,
    received: u64,
    taken: u64,
}

impl<'a, S, E> Input<'a, S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    pub(crate) fn new(body: Pin<&'a mut S>, declared: u64) -> Self {
        Self { body, pending: Bytes::new(), declared, received: 0, taken: 0 }
    }

    /// Bytes declared and not yet taken.
    pub(crate) fn left(&self) -> u64 {
        self.declared - self.taken
    }

    /// The next `length` bytes, which is at most what is left. They are a slice of what came when that holds all of
    /// them, and copied together otherwise.
    pub(crate) async fn take(&mut self, length: usize) -> Result<Bytes, WriteError<E>> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        if self.pending.is_empty() {
            self.receive().await?;
        }
        let bytes = if self.pending.len() >= length {
            self.pending.split_to(length)
        } else {
            self.gather(length).await?
        };
        self.taken += length as u64;
        Ok(bytes)
    }

    async fn gather(&mut self, length: usize) -> Result<Bytes, WriteError<E>> {
        let mut bytes = BytesMut::with_capacity(length);
        loop {
            let piece = self.pending.split_to(self.pending.len().min(length - bytes.len()));
            bytes.extend_from_slice(&piece);
            if bytes.len() == length {
                return Ok(bytes.freeze());
            }
            self.receive().await?;
        }
    }

    /// Waits for the next bytes of the body.
    async fn receive(&mut self) -> Result<(), WriteError<E>> {
        while self.pending.is_empty() {
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    self.received = self.received.saturating_add(bytes.len() as u64);
                    self.pending = bytes;
                }
                Some(Err(error)) => return Err(WriteError::Body(error)),
                None => {
                    let (declared, received) = (self.declared, self.received);
                    return Err(WriteError::BodyTooShort { declared, received });
                }
            }
        }
        Ok(())
    }

    /// Checks that the body ends here, where all that was declared has been taken.
    pub(crate) async fn end(&mut self) -> Result<(), WriteError<E>> {
        if self.pending.is_empty() {
            match self.receive().await {
                Err(WriteError::BodyTooShort { .. }) => return Ok(()),
                other => other?,
            }
        }
        Err(WriteError::BodyTooLong { declared: self.declared, received: self.received })
    }
}

#[cfg(test)]
mod tests;
