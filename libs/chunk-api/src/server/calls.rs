//! The server's side of each call: wire to domain and back, nothing else.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode, header, request::Parts};
use tokio::sync::mpsc;
use types::{DiskId, GroupId, ShardId, ShardIndex};

use super::{Inner, Query, grant::Grant, patience, status, tell_of};
use crate::{
    Cell, CellRange, ChunkService, Error, ListShards, Purpose, READ_CELLS_MAX, ShardBody, ShardHeader,
    body::malformed,
    incoming::BodyReader,
    outgoing::OutgoingBody,
    validate_limit,
    wire::{
        HEAD_LENGTH, PutHead, WireDisk, WireVerdict, decode_leases, decode_names, encode_listing,
        parse_shard, put_length,
    },
};

/// Shards of at most this many bytes are handed over whole.
const WHOLE_MAX: u64 = 256 << 10;

/// Shards of a listing that are asked for at once. A disk that takes 50 ms for each is slow, and sends in time.
const LISTED_AT_ONCE: usize = 64;

/// Cells that wait between the connection and the service.
const CELLS_WAITING: usize = 4;

impl Inner {
    pub(super) async fn put(
        &self,
        parts: &Parts,
        grant: &Grant,
        (disk, shard, purpose): (DiskId, ShardId, Purpose),
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let head = PutHead::decode(&body.take(HEAD_LENGTH).await?)?;
        let path = parts.uri.path();
        grant.check_epoch(head.epoch).map_err(|refusal| refusal.counted(&self.refusals, path))?;
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
        path: &str,
        disk: DiskId,
        sent: &[u8],
    ) -> Result<Response<OutgoingBody>, Error> {
        let names = decode_names(sent)?;
        let service = self.service.clone();
        self.change(path, async move { service.delete_shards(disk, &names).await }).await
    }

    pub(super) async fn evict(
        &self,
        path: &str,
        disk: DiskId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let (group, index) = (GroupId(query.number("group")?), ShardIndex(query.number("index")?));
        let epoch = query.number("epoch")?;
        let service = self.service.clone();
        self.change(path, async move { service.evict_group(disk, group, index, epoch).await }).await
    }

    pub(super) async fn fence(
        &self,
        path: &str,
        disk: DiskId,
        sent: &[u8],
    ) -> Result<Response<OutgoingBody>, Error> {
        let leases = decode_leases(sent)?;
        let service = self.service.clone();
        self.change(path, async move { service.fence_leases(disk, &leases).await }).await
    }

    /// The answer of a call that gives nothing back and may have to wait for its disk.
    async fn change(
        &self,
        path: &str,
        call: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<Response<OutgoingBody>, Error> {
        patience::answer(&self.env, path, async move { call.await.map(|()| Bytes::new()) }).await
    }

    pub(super) async fn verify(
        &self,
        path: &str,
        disk: DiskId,
        sent: &[u8],
    ) -> Result<Response<OutgoingBody>, Error> {
        let names = decode_names(sent)?;
        let service = self.service.clone();
        let verify = async move {
            let verdicts = service.verify_shards(disk, &names).await?;
            json(&verdicts.iter().map(WireVerdict::new).collect::<Vec<_>>())
        };
        patience::answer(&self.env, path, verify).await
    }

    pub(super) async fn list(
        &self,
        path: &str,
        disk: DiskId,
        query: &Query<'_>,
    ) -> Result<Response<OutgoingBody>, Error> {
        let limit = query.number("limit")?;
        validate_limit(limit)?;
        let after = query.get("after").map(parse_shard).transpose()?;
        let group = query.get("group").map(|_| query.number("group").map(GroupId)).transpose()?;
        let tells_damage = query.get("damage") == Some("true");
        let service = self.service.clone();
        let mut rest = Rest { service, disk, after, left: limit, group, tells_damage, complete: false };
        let first = rest.next().await?.unwrap_or_default();
        if rest.is_empty() {
            return Ok(Response::new(OutgoingBody::full(first)));
        }
        let path = path.to_owned();
        let pieces = futures_util::stream::unfold((rest, path), |(mut rest, path)| async move {
            let piece = rest.next().await.inspect_err(|error| tell_of(error, &path)).transpose()?;
            Some((piece, (rest, path)))
        });
        Ok(Response::new(OutgoingBody::begun(first, pieces)))
    }

    pub(super) async fn quarantine(&self, disk: DiskId) -> Result<Response<OutgoingBody>, Error> {
        Ok(Response::new(OutgoingBody::full(json(&self.service.list_quarantined(disk).await?)?)))
    }

    pub(super) async fn release(
        &self,
        path: &str,
        disk: DiskId,
        sent: &[u8],
    ) -> Result<Response<OutgoingBody>, Error> {
        let ids: Vec<String> =
            serde_json::from_slice(sent).map_err(|_| malformed("not the names of runs"))?;
        let service = self.service.clone();
        self.change(path, async move { service.release_quarantined(disk, &ids).await }).await
    }

    pub(super) async fn disks(self: &Arc<Self>) -> Result<Response<OutgoingBody>, Error> {
        let disks: Vec<WireDisk> = self.service.disks().await?.into_iter().map(WireDisk::from).collect();
        Ok(Response::new(OutgoingBody::full(json(&disks)?)))
    }
}

/// What is left of a page of a listing. It is asked for in parts, each sent when it is there: the disk reads the owner of
/// every shard, and who waits for the page is not to hear nothing for as long as that takes for all of them.
struct Rest {
    service: Arc<dyn ChunkService>,
    disk: DiskId,
    after: Option<ShardId>,
    left: usize,
    group: Option<GroupId>,
    /// Whether it says which shards are damaged.
    tells_damage: bool,
    /// Whether the disk has no more.
    complete: bool,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.complete || self.left == 0
    }

    /// The next part; none when the page is whole.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let limit = self.left.min(LISTED_AT_ONCE);
        let request = ListShards { after: self.after, limit, group: self.group };
        let part =
            self.service.list_shards(self.disk, request).await.inspect_err(|_| self.complete = true)?;
        self.complete = part.len() < limit;
        self.left -= part.len().min(limit);
        self.after = part.last().map(|line| line.header.shard);
        Ok(Some(encode_listing(&part, self.tells_damage)))
    }
}

fn json(answer: &impl serde::Serialize) -> Result<Bytes, Error> {
    let text =
        serde_json::to_vec(answer).map_err(|error| Error::Unavailable { reason: error.to_string() })?;
    Ok(text.into())
}
