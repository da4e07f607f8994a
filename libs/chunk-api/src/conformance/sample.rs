//! Shards made up for checks: the same arguments give the same bytes.

use bytes::Bytes;
use futures_util::StreamExt;
use types::{ChunkId, Coding, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{Cell, CellRange, ChunkService, Error, Purpose, ShardBody, ShardHeader, conformance::Subject};

/// A shard with its cells.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The header.
    pub header: ShardHeader,
    /// The cells.
    pub cells: Vec<Cell>,
}

impl Sample {
    /// Shard `index` of a chunk of `chunk_length` bytes, named by `lease` and `counter`.
    pub fn new(lease: i64, counter: u64, index: u8, coding: &str, chunk_length: u64) -> Self {
        let shard = ShardId { chunk: ChunkId { lease: LeaseId(lease), counter }, index: ShardIndex(index) };
        let coding: Coding = coding.parse().expect("checks name valid codings");
        let owner = Bytes::from(format!("owner of {shard}"));
        Self::with_header(ShardHeader { shard, coding, chunk_length, group: GroupId(5), epoch: 9, owner })
    }

    /// A single copy of `length` bytes.
    pub fn single(lease: i64, counter: u64, length: u64) -> Self {
        Self::new(lease, counter, 0, "1+0", length)
    }

    /// Made-up cells for a header.
    pub fn with_header(header: ShardHeader) -> Self {
        let cells = (0..header.cells())
            .map(|number| {
                let length = header.cell_length(number);
                Cell::new(header.shard, number, made_up(header.shard, number, length))
            })
            .collect();
        Self { header, cells }
    }

    /// The shard's name.
    pub fn shard(&self) -> ShardId {
        self.header.shard
    }

    /// All cells at once.
    pub fn whole(&self) -> ShardBody {
        ShardBody::Whole(self.cells.clone())
    }

    /// The cells one by one.
    pub fn stream(&self) -> ShardBody {
        stream_of(self.cells.iter().cloned().map(Ok).collect())
    }

    pub(super) async fn put(&self, subject: &Subject) -> Result<(), Error> {
        subject.service.put_shard(subject.disk, self.header.clone(), self.whole(), Purpose::Write).await
    }

    pub(super) async fn put_body(&self, subject: &Subject, body: ShardBody) -> Result<(), Error> {
        subject.service.put_shard(subject.disk, self.header.clone(), body, Purpose::Write).await
    }

    /// Reads every cell, in calls of at most 64, and compares.
    pub async fn expect_kept(&self, service: &dyn ChunkService, disk: types::DiskId) {
        for first in (0..self.header.cells()).step_by(crate::READ_CELLS_MAX as usize) {
            let left = self.header.cells() - first;
            let count = u32::try_from(left).unwrap_or(u32::MAX).min(crate::READ_CELLS_MAX);
            let read = service.read_cells(disk, self.shard(), CellRange { first, count }).await;
            let start = usize::try_from(first).unwrap_or(usize::MAX);
            let wanted = &self.cells[start..start + count as usize];
            assert_eq!(read.as_deref(), Ok(wanted), "cells {first}.. of {}", self.shard());
        }
    }

    pub(super) async fn expect_absent(&self, subject: &Subject) {
        let read =
            subject.service.read_cells(subject.disk, self.shard(), CellRange { first: 0, count: 1 }).await;
        assert_eq!(read, Err(Error::ShardNotFound { shard: self.shard() }));
    }
}

/// A body that stops in the middle until the sender is used or dropped.
pub(super) fn paused_body(sample: &Sample) -> (ShardBody, tokio::sync::oneshot::Sender<()>) {
    let half = sample.cells.len() / 2;
    let (resume, resumed) = tokio::sync::oneshot::channel::<()>();
    let first = futures_util::stream::iter(sample.cells[..half].to_vec());
    let second = futures_util::stream::iter(sample.cells[half..].to_vec());
    let pause = futures_util::stream::once(async {
        // Ends when the sender is used or dropped: either way the body goes on.
        let _ = resumed.await;
    });
    let body = first.chain(pause.flat_map(move |()| second.clone())).map(Ok);
    (ShardBody::Stream(Box::pin(body)), resume)
}

/// A streamed body of these items.
pub(super) fn stream_of(items: Vec<Result<Cell, Error>>) -> ShardBody {
    ShardBody::Stream(Box::pin(futures_util::stream::iter(items)))
}

/// `length` bytes that differ from cell to cell (a multiplicative generator after Steele and Vigna, 2022).
fn made_up(shard: ShardId, number: u64, length: usize) -> Bytes {
    let mut state: u64 = checksum::crc32c(&crate::cell_seed(shard, number)).into();
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        out.extend_from_slice(&state.to_be_bytes());
    }
    out.truncate(length);
    out.into()
}
