//! The body, cut into pieces of the lengths asked for.

use std::{collections::VecDeque, pin::Pin};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::WriteError;

/// Pieces below this many bytes are copied together when they are read ahead.
const CRUMB: usize = 4 << 10;

/// A body of declared length, or one that is read ahead: what has come of it is what it declares.
pub(crate) struct Input<'a, S> {
    body: Pin<&'a mut S>,
    /// Received and not yet taken.
    pending: Bytes,
    /// Received after that.
    ahead: VecDeque<Bytes>,
    /// Received last, in pieces too small to be kept each by itself.
    crumbs: BytesMut,
    declared: u64,
    received: u64,
    taken: u64,
    /// How many bytes a body without a declared length is read ahead by.
    read_ahead: Option<u64>,
    ended: bool,
}

impl<'a, S, E> Input<'a, S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    pub(crate) fn new(body: Pin<&'a mut S>, declared: u64) -> Self {
        Self {
            body,
            pending: Bytes::new(),
            ahead: VecDeque::new(),
            crumbs: BytesMut::new(),
            declared,
            received: 0,
            taken: 0,
            read_ahead: None,
            ended: false,
        }
    }

    /// A body of unknown length, of which `read_ahead` bytes are held in memory.
    pub(crate) fn undeclared(body: Pin<&'a mut S>, read_ahead: u64) -> Self {
        Self { read_ahead: Some(read_ahead), ..Self::new(body, 0) }
    }

    /// Reads ahead where the length was not declared: more than the bytes to read ahead by are left afterwards, or the
    /// body has ended and no more than what is left belongs to it.
    pub(crate) async fn read_ahead(&mut self) -> Result<(), WriteError<E>> {
        let Some(wanted) = self.read_ahead else { return Ok(()) };
        while !self.ended && self.left() <= wanted {
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    self.received = self.received.saturating_add(bytes.len() as u64);
                    self.declared = self.received;
                    self.keep(bytes);
                }
                Some(Err(error)) => return Err(WriteError::Body(error)),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    /// Keeps what was read ahead. Small pieces are copied together: each by itself would take more memory than its bytes.
    fn keep(&mut self, bytes: Bytes) {
        if bytes.len() < CRUMB {
            self.crumbs.extend_from_slice(&bytes);
        }
        if bytes.len() >= CRUMB || self.crumbs.len() >= 16 * CRUMB {
            let crumbs = self.crumbs.split().freeze();
            if !crumbs.is_empty() {
                self.ahead.push_back(crumbs);
            }
        }
        if bytes.len() >= CRUMB {
            self.ahead.push_back(bytes);
        }
    }

    /// Whether the body's end has been seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
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
            if let Some(bytes) = self.ahead.pop_front() {
                self.pending = bytes;
                continue;
            }
            if !self.crumbs.is_empty() {
                self.pending = self.crumbs.split().freeze();
                continue;
            }
            let next = if self.ended { None } else { self.body.next().await };
            match next {
                Some(Ok(bytes)) => {
                    self.received = self.received.saturating_add(bytes.len() as u64);
                    self.pending = bytes;
                }
                Some(Err(error)) => return Err(WriteError::Body(error)),
                None => {
                    self.ended = true;
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
