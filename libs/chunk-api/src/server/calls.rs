//! The server's side of each call: wire to domain and back, nothing else.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::mpsc;
use types::{DiskId, ShardId};

use super::{Inner, Query, status};
use crate::{
    Cell, CellRange, Error, READ_CELLS_MAX, SHARDS_PER_CALL_MAX, ShardBody, ShardHeader,
    body::malformed,
    incoming::BodyReader,
    outgoing::OutgoingBody,
    validate_limit,
    wire::{
        HEAD_LENGTH, NAME_LENGTH, PutHead, WireDisk, decode_names, encode_listing, parse_shard, put_length,
    },
};

/// Shards of at most this many bytes are handed over whole.
const WHOLE_MAX: u64 = 256 << 10;

/// Cells that wait between the connection and the service.
const CELLS_WAITING: usize = 4;

impl Inner {
    pub(super) async fn put(
        &self,
        disk: DiskId,
        shard: ShardId,
        length: Option<u64>,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let head = PutHead::decode(&body.take(HEAD_LENGTH).await?)?;
        let owner = body.take(head.owner_length).await?;
        let header = ShardHeader { shard, coding: head.coding, chunk_length: head.chunk_length, owner };
        header.validate()?;
        if length != Some(put_length(&header)) {
            return Err(malformed("the body's length is not the shard's"));
        }
        if header.length() <= WHOLE_MAX {
            let mut cells = Vec::new();
            for number in 0..header.cells() {
                cells.push(body.cell(&header, number).await?);
            }
            self.service.put_shard(disk, header, ShardBody::Whole(cells)).await?;
        } else {
            self.put_streamed(disk, header, body).await?;
        }
        Ok(status(StatusCode::NO_CONTENT))
    }

    /// Reads the body only as fast as the service takes cells, and stops reading when the service has answered.
    async fn put_streamed(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: &mut BodyReader,
    ) -> Result<(), Error> {
        let (sender, receiver) = mpsc::channel::<Result<Cell, Error>>(CELLS_WAITING);
        let cells = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|cell| (cell, receiver))
        });
        let feed = async {
            for number in 0..header.cells() {
                let cell = body.cell(&header, number).await.map_err(Error::from);
                let failed = cell.is_err();
                if sender.send(cell).await.is_err() || failed {
                    break;
                }
            }
            drop(sender);
        };
        let put = self.service.put_shard(disk, header.clone(), ShardBody::Stream(Box::pin(cells)));
        tokio::pin!(feed, put);
        tokio::select! {
            biased;
            result = &mut put => result,
            () = &mut feed => put.await,
        }
    }

    pub(super) async fn read(
        &self,
        disk: DiskId,
        shard: ShardId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let cells = CellRange { first: query.number("first")?, count: query.number("count")? };
        if cells.count > READ_CELLS_MAX {
            return Err(malformed("the number of cells to read is out of bounds"));
        }
        let cells = self.service.read_cells(disk, shard, cells).await?;
        Ok(Response::new(OutgoingBody::whole(Bytes::new(), &cells)))
    }

    pub(super) async fn delete(
        &self,
        disk: DiskId,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        // One name more, so that the service's own answer to too many is reached.
        let names = decode_names(&body.collect((SHARDS_PER_CALL_MAX + 1) * NAME_LENGTH).await?)?;
        self.service.delete_shards(disk, &names).await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    pub(super) async fn list(
        &self,
        disk: DiskId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let limit = query.number("limit")?;
        validate_limit(limit)?;
        let after = query.get("after").map(parse_shard).transpose()?;
        let page = self.service.list_shards(disk, after, limit).await?;
        Ok(Response::new(OutgoingBody::full(encode_listing(&page))))
    }

    pub(super) async fn disks(self: &Arc<Self>) -> Result<Response<OutgoingBody>, Error> {
        let disks: Vec<WireDisk> = self.service.disks().await?.into_iter().map(WireDisk::from).collect();
        let text =
            serde_json::to_vec(&disks).map_err(|error| Error::Unavailable { reason: error.to_string() })?;
        Ok(Response::new(OutgoingBody::full(text.into())))
    }
}
