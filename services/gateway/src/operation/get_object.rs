//! GetObject: an object's bytes, or a range or part of them. S3 API Reference, "GetObject".

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use data_pool::{ByteStream, Pool, ReadError};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use metadata_api::{FoundVersion, Metadata, VersionState};
use s3_wire::S3Error;
use types::{ByteRange, Content};

use super::object_read::{self, ReadVersion};
use crate::{
    Gateway,
    auth::Permit,
    encryption::{self, Opening},
    error,
    request::{Request, Response},
};

/// Times that a read is begun whose version is replaced each time between being found and being read.
const ATTEMPTS_MAX: u32 = 4;

/// Every byte is proved before it leaves. When that fails in the middle, the connection is broken rather than the
/// answer completed.
pub(super) async fn get_object(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let mut response = answer(gateway, request, permit).await?;
    permit.hide_private(request, response.headers_mut());
    Ok(response)
}

async fn answer(gateway: &Gateway, request: &Request, permit: &Permit) -> Result<Response, S3Error> {
    // A client that reads slowly, or a version that is replaced all the time, meets chunks that were freed meanwhile. They count as lost
    // when the version names them still.
    let pool = gateway.pool.leaving_losses();
    let mut read = object_read::read(gateway, request, true).await?;
    let mut attempt = 1;
    loop {
        let Some(bytes) = read.bytes.filter(|bytes| bytes.length() > 0) else { return Ok(read.response) };
        // The first bytes decide whether there is an answer at all: an unreadable object is an error, not a 200.
        let mut stream = encryption::read(&pool, &read.content, read.opening.as_ref(), bytes);
        let unreadable = match stream.try_next().await {
            // All there is: no stream has to be asked for more, and head and body leave in one write.
            Ok(Some(only)) if only.len() as u64 == bytes.length() => {
                let mut response = read.response;
                *response.body_mut() = Body::from(only);
                return Ok(response);
            }
            Ok(first) => {
                let sent = first.as_ref().map_or(0, |first| first.len() as u64);
                let rest = Rest {
                    metadata: Arc::clone(&gateway.metadata),
                    pool,
                    version: read.version,
                    content: read.content,
                    opening: read.opening,
                    stream,
                    next: bytes.start() + sent,
                    end: bytes.end(),
                    attempts: 0,
                };
                let first = stream::iter(first.map(Ok));
                let mut response = read.response;
                *response.body_mut() = Body::from_stream(first.chain(rest.into_stream()));
                return Ok(response);
            }
            Err(unreadable) => unreadable,
        };
        // The version may have been replaced meanwhile and its bytes freed; then what is there now is the answer, if it may
        // be read too: the policy may ask for its tags.
        permit.again(gateway, request).await?;
        let now = object_read::read(gateway, request, true).await?;
        if now.content == read.content {
            pool.count_lost(&unreadable);
        }
        if now.content == read.content || attempt == ATTEMPTS_MAX {
            return Err(error::from_read(&unreadable, request.bucket()?, request.key()?));
        }
        attempt += 1;
        read = now;
    }
}

/// An answer's bytes after the first.
struct Rest {
    metadata: Arc<dyn Metadata>,
    /// Which leaves it to this to count what is lost.
    pool: Pool,
    version: ReadVersion,
    content: Content,
    opening: Option<Opening>,
    stream: ByteStream,
    /// The next byte, counted from the object's first.
    next: u64,
    end: u64,
    /// How often the version was looked up again since the last byte.
    attempts: u32,
}

impl Rest {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
        stream::try_unfold(self, |mut rest| async move {
            loop {
                match rest.stream.try_next().await {
                    Ok(Some(bytes)) => {
                        rest.next += bytes.len() as u64;
                        rest.attempts = 0;
                        return Ok(Some((bytes, rest)));
                    }
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        match rest.look().await {
                            Named::Elsewhere => continue,
                            Named::There => rest.pool.count_lost(&error),
                            Named::Unknown => {}
                        }
                        let (bucket, key) = (&rest.version.wanted.bucket, rest.version.wanted.key.as_str());
                        tracing::error!(%error, %bucket, key, "an answer was broken off");
                        return Err(error);
                    }
                }
            }
        })
    }

    /// Looks the version up again. Where it has the same bytes elsewhere by now, as it has when it was re-encoded and its former
    /// chunks were freed, it goes on by these. One of the same id that replaced it is another, which might not be read.
    async fn look(&mut self) -> Named {
        if self.attempts == ATTEMPTS_MAX {
            return Named::Unknown;
        }
        self.attempts += 1;
        let found = self.metadata.get_version(self.version.wanted.clone()).await;
        let Ok(FoundVersion { state: VersionState::Object(version), sequence: found, .. }) = found else {
            return Named::Unknown;
        };
        let ReadVersion { sequence, etag, size, .. } = self.version;
        let is_same = (found, version.etag, version.size) == (sequence, etag, size)
            && encryption::is_same(self.opening.as_ref(), &version);
        let Some(left) = ByteRange::new(self.next, self.end).filter(|_| is_same) else {
            return Named::Unknown;
        };
        if version.content == self.content {
            return Named::There;
        }
        tracing::debug!(next = self.next, "an answer goes on by what its version names now");
        self.stream = encryption::read(&self.pool, &version.content, self.opening.as_ref(), left);
        self.content = version.content;
        Named::Elsewhere
    }
}

/// What a version names whose bytes could not be read.
enum Named {
    /// The same bytes elsewhere.
    Elsewhere,
    /// What could not be read.
    There,
    /// It is gone, or another, or could not be looked up.
    Unknown,
}

#[cfg(test)]
mod tests;
