//! Bodies that come in: collected up to a bound, or cut into cells.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use env::Env;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::{Cell, Error, ShardHeader, wire::CHECKSUM_LENGTH};

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke, or the body was shorter than announced.
    Broken,
    /// Nothing came for too long.
    Stalled,
    /// Longer than it may be.
    TooLong,
}

/// Reads exact numbers of bytes from a body.
pub(crate) struct BodyReader {
    env: Env,
    body: Incoming,
    /// Longest wait for the next piece.
    patience: Duration,
    pieces: VecDeque<Bytes>,
    held: usize,
}

impl BodyReader {
    pub(crate) fn new(env: Env, body: Incoming, patience: Duration) -> Self {
        Self { env, body, patience, pieces: VecDeque::new(), held: 0 }
    }

    /// The next `length` bytes: a slice of what came when they came in one piece, else a copy.
    pub(crate) async fn take(&mut self, length: usize) -> Result<Bytes, BodyError> {
        while self.held < length {
            match self.piece().await? {
                Some(piece) => {
                    self.held += piece.len();
                    self.pieces.push_back(piece);
                }
                None => return Err(BodyError::Broken),
            }
        }
        self.held -= length;
        if let Some(front) = self.pieces.front_mut()
            && front.len() >= length
        {
            return Ok(front.split_to(length));
        }
        let mut out = BytesMut::with_capacity(length);
        while out.len() < length {
            let Some(front) = self.pieces.front_mut() else { return Err(BodyError::Broken) };
            let part = front.split_to(front.len().min(length - out.len()));
            out.extend_from_slice(&part);
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
        Ok(out.freeze())
    }

    /// All that is left, at most `limit` bytes.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(BodyError::TooLong);
        }
        while let Some(piece) = self.piece().await? {
            self.held += piece.len();
            if self.held > limit {
                return Err(BodyError::TooLong);
            }
            self.pieces.push_back(piece);
        }
        self.take(self.held).await
    }

    /// Reads and forgets up to `limit` bytes. Whether the body ended within them.
    pub(crate) async fn drain(&mut self, limit: u64) -> bool {
        let mut left = limit;
        loop {
            match self.piece().await {
                Ok(None) => return true,
                Ok(Some(piece)) if piece.len() as u64 <= left => left -= piece.len() as u64,
                _ => return false,
            }
        }
    }

    /// The shard's next cell.
    pub(crate) async fn cell(&mut self, header: &ShardHeader, number: u64) -> Result<Cell, BodyError> {
        let mut bytes = self.take(header.cell_length(number) + CHECKSUM_LENGTH).await?;
        let data = bytes.split_to(bytes.len() - CHECKSUM_LENGTH);
        Ok(Cell::received(data, bytes.get_u32_le()))
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame =
                self.env.timeout(self.patience, self.body.frame()).await.map_err(|_| BodyError::Stalled)?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyError::Broken),
                // Trailers carry nothing of ours.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => {}
                },
            }
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken | BodyError::Stalled => Self::Interrupted,
            BodyError::TooLong => crate::body::malformed("the body is longer than it may be"),
        }
    }
}
