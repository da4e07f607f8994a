//! Writing: from a body to content that a commit can name.

pub(crate) mod choose;
mod chunk;
mod chunks;
mod input;
pub(crate) mod kept;
pub(crate) mod shard;
mod tally;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use chunk_api::OWNER_LENGTH_MAX;
use futures_util::Stream;
use types::{CHUNK_SIZE_MAX, Coding, Content, LeaseId, MissingShard, StorageClassName};

use crate::{
    Claim, Pool, WriteError,
    cluster::HeldSnapshot,
    limits::{INLINE_LIMIT_MAX, READ_AHEAD, WRITE_AWAITED_MAX, WRITE_AWAITED_PERIOD},
    write::{chunks::ChunkedWrite, input::Input},
};

/// What a write made.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where the bytes are. Inline content is not stable before it is committed; chunks are.
    pub content: Content,
    /// The lease under which the chunks were named; none for inline content. The commit must check that it is live.
    pub lease: Option<LeaseId>,
    /// Shards that are not known to be stable, to be committed with the content and repaired.
    pub missing: Vec<MissingShard>,
    /// To be told what became of the commit. While it is there the lease is not given back.
    pub claim: Claim,
}

impl Pool {
    /// Stores a body of `length` bytes by a storage class.
    ///
    /// Up to the class's inline limit the bytes are answered as they are; up to its whole limit they become m + 1
    /// copies; beyond that chunks in the class's coding. `owner`, at most [`OWNER_LENGTH_MAX`] bytes, is kept with
    /// each shard, so that orphans can be traced. The body is read to its end, also when it is empty, before its last
    /// byte is handed to any disk, so that a body which fails at its very end never was on enough disks to be read.
    ///
    /// On `Ok` every chunk is stable on at least the write quorum of disks, and [`Stored::claim`] is to be told what
    /// becomes of the commit. On an error, and when the future is
    /// dropped, nothing is named and what is on disks is deleted in the background.
    ///
    /// Errors: those of [`WriteError`]. Nothing of the body is read before `OwnerTooLong`, `UnknownClass`,
    /// `LeaseNotHeld`, and `NotEnoughShards` when the disks known to be down leave no group a quorum.
    pub async fn write<E>(
        &self,
        class: &StorageClassName,
        owner: Bytes,
        length: u64,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, WriteError<E>> {
        self.write_with(class, owner, Some(length), body, Form::Object).await
    }

    /// As [`Pool::write`], for a body whose length shows only at its end. It is read ahead: up to
    /// 8 MiB are held in memory, and a longer one is cut into chunks of about that length.
    pub async fn write_undeclared<E>(
        &self,
        class: &StorageClassName,
        owner: Bytes,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, WriteError<E>> {
        self.write_with(class, owner, None, body, Form::Object).await
    }

    /// As [`Pool::write`], but never inline: for the parts of an upload, which become one object by their chunks.
    pub async fn write_part<E>(
        &self,
        class: &StorageClassName,
        owner: Bytes,
        length: u64,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, WriteError<E>> {
        self.write_with(class, owner, Some(length), body, Form::Part).await
    }

    /// As [`Pool::write_part`], but in one chunk, so that it can come in the place of another chunk: at most
    /// [`CHUNK_SIZE_MAX`] bytes, and at least one. Nobody waits for it: it goes to disks that are as good as full only when
    /// no group is without one.
    pub async fn write_chunk<E>(
        &self,
        class: &StorageClassName,
        owner: Bytes,
        length: u64,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, WriteError<E>> {
        self.write_with(class, owner, Some(length), body, Form::Chunk).await
    }

    async fn write_with<E>(
        &self,
        class: &StorageClassName,
        owner: Bytes,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
        form: Form,
    ) -> Result<Stored, WriteError<E>> {
        if owner.len() > OWNER_LENGTH_MAX {
            return Err(WriteError::OwnerTooLong { length: owner.len(), maximum: OWNER_LENGTH_MAX });
        }
        // Held to the end: while a write goes on by a coding that the class had before, that coding's groups are kept.
        let map = Arc::new(self.shared().view.hold());
        let Some(coding) = map.class(class).map(|class| class.definition.coding) else {
            return Err(WriteError::UnknownClass { class: class.clone() });
        };
        tokio::select! {
            biased;
            stored = self.write_by(Arc::clone(&map), class, owner, length, body, form) => stored,
            () = self.has_been_awaited(&map, class, coding) => Err(WriteError::Overtaken),
        }
    }

    /// Waits until moves, or the groups of a coding that the class has no more, have waited for too long for a write by this
    /// map: a client may take days to send a body.
    async fn has_been_awaited(&self, map: &HeldSnapshot, class: &StorageClassName, coding: Coding) {
        let shared = self.shared();
        let mut awaited_since = None;
        loop {
            shared.env.sleep(WRITE_AWAITED_PERIOD).await;
            let (latest, now) = (shared.view.snapshot(), shared.env.now());
            let is_former = || latest.class(class).is_none_or(|class| class.definition.coding != coding);
            if latest.moves_since <= map.epoch && !is_former() {
                awaited_since = None;
            } else if now.since(*awaited_since.get_or_insert(now)) >= WRITE_AWAITED_MAX {
                return;
            }
        }
    }

    async fn write_by<E>(
        &self,
        snapshot: Arc<HeldSnapshot>,
        class: &StorageClassName,
        owner: Bytes,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
        form: Form,
    ) -> Result<Stored, WriteError<E>> {
        let Some(definition) = snapshot.class(class).map(|class| &class.definition) else {
            return Err(WriteError::UnknownClass { class: class.clone() });
        };
        let body = pin!(body);
        let mut input = match length {
            Some(length) => Input::new(body, length),
            None => Input::undeclared(body, READ_AHEAD),
        };
        input.read_ahead().await?;
        // Of a body that goes on beyond what was read ahead the length remains unknown.
        let length = length.or(input.has_ended().then_some(input.left()));
        if let Some(length) = length
            && form == Form::Object
            && length <= definition.inline_limit_bytes.min(INLINE_LIMIT_MAX)
        {
            let bytes = input.take(usize::try_from(length).unwrap_or(usize::MAX)).await?;
            input.end().await?;
            let content = Content::Inline(bytes);
            return Ok(Stored { content, lease: None, missing: Vec::new(), claim: Claim::default() });
        }
        let class_coding = definition.coding;
        let (coding, chunk_size) = match length {
            Some(length) if length <= definition.whole_limit_bytes.min(CHUNK_SIZE_MAX) => {
                (class_coding.as_copies(), length)
            }
            Some(_) if form == Form::Chunk => (class_coding, CHUNK_SIZE_MAX),
            Some(_) => (class_coding, chunk_size(class_coding, CHUNK_SIZE_MAX)),
            None => (class_coding, chunk_size(class_coding, READ_AHEAD)),
        };
        let grant = self.leases().grant().map_err(|_| WriteError::LeaseNotHeld)?;
        let write = ChunkedWrite {
            pool: self,
            map: Arc::clone(&snapshot),
            class,
            class_coding,
            owner,
            coding,
            chunk_size,
            grant: &grant,
            in_background: form == Form::Chunk,
        };
        write.run(&mut input).await
    }
}

/// What a body becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An object, which may be inline.
    Object,
    /// Part of an object by its chunks.
    Part,
    /// One chunk.
    Chunk,
}

/// Object bytes in a full chunk: as many whole stripes as there are in `most` bytes.
fn chunk_size(coding: Coding, most: u64) -> u64 {
    most / coding.stripe_size() * coding.stripe_size()
}
