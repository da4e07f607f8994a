//! The server's side of each call: wire to domain and back, nothing else.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::mpsc;
use types::{DiskId, GroupId, ShardId, ShardIndex};

use super::{Inner, Query, status};
use crate::{
    Cell, CellRange, Error, ListShards, Purpose, READ_CELLS_MAX, SHARDS_PER_CALL_MAX, ShardBody, ShardHeader,
    body::malformed,
    incoming::BodyReader,
    outgoing::OutgoingBody,
    validate_limit,
    wire::{
        HEAD_LENGTH, LEASE_LENGTH, NAME_LENGTH, PutHead, WireDisk, WireVerdict, decode_leases, decode_names,
        encode_listing, parse_shard, put_length,
    },
};

/// Shards of at most this many bytes are handed over whole.
const WHOLE_MAX: u64 = 256 << 10;

/// Bytes of the names in a call: one name more than allowed, so that the service's own answer to too many is reached.
const NAMES_MAX: usize = (SHARDS_PER_CALL_MAX + 1) * NAME_LENGTH;

/// Cells that wait between the connection and the service.
const CELLS_WAITING: usize = 4;

impl Inner {
    pub(super) async fn put(
        &self,
        disk: DiskId,
        shard: ShardId,
        length: Option<u64>,
        purpose: Purpose,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let head = PutHead::decode(&body.take(HEAD_LENGTH).await?)?;
        let owner = body.take(head.owner_length).await?;
        let header = head.header(shard, owner);
        header.validate()?;
        if length != Some(put_length(&header)) {
            return Err(malformed("the body's length is not the shard's"));
        }
        if header.length() <= WHOLE_MAX {
            let mut cells = Vec::new();
            for number in 0..header.cells() {
                cells.push(body.cell(&header, number).await?);
            }
            self.service.put_shard(disk, header, ShardBody::Whole(cells), purpose).await?;
        } else {
            self.put_streamed(disk, header, purpose, body).await?;
        }
        Ok(status(StatusCode::NO_CONTENT))
    }

    /// Reads the body only as fast as the service takes cells, and stops reading when the service has answered.
    async fn put_streamed(
        &self,
        disk: DiskId,
        header: ShardHeader,
        purpose: Purpose,
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
        let put = self.service.put_shard(disk, header.clone(), ShardBody::Stream(Box::pin(cells)), purpose);
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
        let names = decode_names(&body.collect(NAMES_MAX).await?)?;
        self.service.delete_shards(disk, &names).await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    pub(super) async fn evict(
        &self,
        disk: DiskId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let (group, index) = (GroupId(query.number("group")?), ShardIndex(query.number("index")?));
        self.service.evict_group(disk, group, index, query.number("epoch")?).await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    pub(super) async fn fence(
        &self,
        disk: DiskId,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let leases = decode_leases(&body.collect((SHARDS_PER_CALL_MAX + 1) * LEASE_LENGTH).await?)?;
        self.service.fence_leases(disk, &leases).await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    pub(super) async fn verify(
        &self,
        disk: DiskId,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let names = decode_names(&body.collect(NAMES_MAX).await?)?;
        let verdicts = self.service.verify_shards(disk, &names).await?;
        json(&verdicts.iter().map(WireVerdict::new).collect::<Vec<_>>())
    }

    pub(super) async fn list(
        &self,
        disk: DiskId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let limit = query.number("limit")?;
        validate_limit(limit)?;
        let after = query.get("after").map(parse_shard).transpose()?;
        let group = query.get("group").map(|_| query.number("group").map(GroupId)).transpose()?;
        let page = self.service.list_shards(disk, ListShards { after, limit, group }).await?;
        let tells_damage = query.get("damage") == Some("true");
        Ok(Response::new(OutgoingBody::full(encode_listing(&page, tells_damage))))
    }

    pub(super) async fn disks(self: &Arc<Self>) -> Result<Response<OutgoingBody>, Error> {
        let disks: Vec<WireDisk> = self.service.disks().await?.into_iter().map(WireDisk::from).collect();
        json(&disks)
    }
}

fn json(answer: &impl serde::Serialize) -> Result<Response<OutgoingBody>, Error> {
    let text =
        serde_json::to_vec(answer).map_err(|error| Error::Unavailable { reason: error.to_string() })?;
    Ok(Response::new(OutgoingBody::full(text.into())))
}
