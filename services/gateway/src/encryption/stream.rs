//! Object bytes on their way to the pool and back: sealed and opened frame by frame.

use std::{collections::VecDeque, pin::Pin};

use ::encryption::{Opener, Sealer};
use bytes::Bytes;
use data_pool::{ByteStream, Pool, ReadError, Stored, WriteError};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use types::{ByteRange, Content, StorageClassName};

use super::{Opening, Sealing};

/// Writes an object, and seals it on the way.
pub(crate) async fn write<E: Send>(
    pool: &Pool,
    class: &StorageClassName,
    owner: Bytes,
    length: Option<u64>,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    sealing: Option<&Sealing>,
) -> Result<Stored, WriteError<E>> {
    let Some(sealing) = sealing else {
        return match length {
            Some(length) => pool.write(class, owner, length, body).await,
            None => pool.write_undeclared(class, owner, body).await,
        };
    };
    let sealer = sealing.sealer();
    let length = length.map(|length| sealer.sealed_length(length));
    let body = sealed(Box::pin(body), sealer);
    match length {
        Some(length) => Box::pin(pool.write(class, owner, length, body)).await,
        None => Box::pin(pool.write_undeclared(class, owner, body)).await,
    }
}

/// Writes a part, and seals it on the way.
pub(crate) async fn write_part<E: Send>(
    pool: &Pool,
    class: &StorageClassName,
    owner: Bytes,
    length: u64,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    sealing: Option<&Sealing>,
) -> Result<Stored, WriteError<E>> {
    let Some(sealing) = sealing else { return pool.write_part(class, owner, length, body).await };
    let sealer = sealing.sealer();
    let length = sealer.sealed_length(length);
    Box::pin(pool.write_part(class, owner, length, sealed(Box::pin(body), sealer))).await
}

/// Reads a range of an object, which is opened and proved frame by frame on the way.
pub(crate) fn read(
    pool: &Pool,
    content: &Content,
    opening: Option<&Opening>,
    range: ByteRange,
) -> ByteStream {
    let Some(opening) = opening else { return pool.read(content, range) };
    if range.length() == 0 {
        return Box::pin(stream::empty());
    }
    let opener = Opener::new(&opening.key, &opening.layout, range);
    let Some((opener, kept)) = opener.and_then(|opener| opener.kept().map(|kept| (opener, kept))) else {
        // The row says of its content what cannot be.
        return Box::pin(stream::once(async { Err(ReadError::NotDecrypted) }));
    };
    let salt = opener.salt().map(|salt| pool.read(content, salt));
    let kept = stream::iter(salt).flatten().chain(pool.read(content, kept));
    let opened = Opened { kept: Box::pin(kept), opener, ready: VecDeque::new() };
    Box::pin(stream::try_unfold(opened, |mut opened| async move {
        let next = opened.next().await?;
        Ok(next.map(|bytes| (bytes, opened)))
    }))
}

/// Kept bytes that are being opened.
struct Opened {
    kept: ByteStream,
    opener: Opener,
    ready: VecDeque<Bytes>,
}

impl Opened {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let mut frames = Vec::new();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            let Some(kept) = self.kept.try_next().await? else {
                return if self.opener.is_at_end() { Ok(None) } else { Err(ReadError::NotDecrypted) };
            };
            self.opener.open(kept, &mut frames).map_err(|_| ReadError::NotDecrypted)?;
            self.ready.extend(frames.drain(..));
        }
    }
}

/// Bytes that are being sealed. The last frame is sealed only when the body has ended without an error.
fn sealed<E: Send, B: Stream<Item = Result<Bytes, E>> + Send>(
    body: Pin<Box<B>>,
    sealer: Sealer,
) -> impl Stream<Item = Result<Bytes, E>> + Send {
    let state = (body, Some(sealer), VecDeque::new());
    stream::try_unfold(state, |(mut body, mut sealer, mut ready)| async move {
        let mut frames = Vec::new();
        loop {
            if let Some(frame) = ready.pop_front() {
                return Ok(Some((frame, (body, sealer, ready))));
            }
            let Some(open) = &mut sealer else { return Ok(None) };
            match body.try_next().await? {
                Some(bytes) => open.seal(&bytes, &mut frames),
                None => {
                    if let Some(open) = sealer.take() {
                        open.finish(&mut frames);
                    }
                }
            }
            ready.extend(frames.drain(..));
        }
    })
}
