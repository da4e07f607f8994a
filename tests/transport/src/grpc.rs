//! The transport that was measured against: tonic, with windows and frames large enough not to be its limit.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, CellStream, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun,
    ShardBody, ShardHeader, ShardSummary,
};
use futures_util::{Stream, StreamExt};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use types::{ChunkId, Coding, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use self::wire::{shards_client::ShardsClient, shards_server};

mod wire {
    tonic::include_proto!("shards");
}

const WINDOW: u32 = 8 << 20;
const MESSAGE_MAX: usize = 8 << 20;

struct Service(Arc<dyn ChunkService>);

impl Service {
    async fn put(&self, shard: Option<wire::Shard>, body: ShardBody) -> Result<Response<wire::Done>, Status> {
        let shard = shard.ok_or_else(|| Status::invalid_argument("no shard"))?;
        let header = ShardHeader {
            shard: name(&shard.chunk, shard.index),
            coding: Coding::SINGLE,
            chunk_length: shard.chunk_length,
            group: GroupId(0),
            epoch: 0,
            owner: shard.owner,
        };
        self.0.put_shard(disk(&shard.disk), header, body, Purpose::Write).await.map_err(status)?;
        Ok(Response::new(wire::Done {}))
    }

    async fn read(&self, request: wire::ReadRequest) -> Result<Vec<Cell>, Status> {
        let range = CellRange { first: request.first, count: request.count };
        self.0
            .read_cells(disk(&request.disk), name(&request.chunk, request.index), range)
            .await
            .map_err(status)
    }
}

#[async_trait]
impl shards_server::Shards for Service {
    async fn put_whole(&self, request: Request<wire::PutRequest>) -> Result<Response<wire::Done>, Status> {
        let request = request.into_inner();
        self.put(request.shard, ShardBody::Whole(from_wire(request.cells))).await
    }

    async fn put_streamed(
        &self,
        request: Request<Streaming<wire::PutRequest>>,
    ) -> Result<Response<wire::Done>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.ok_or_else(|| Status::invalid_argument("empty"))?;
        let rest = messages.flat_map(|message| {
            let cells = message.map_or_else(
                |_| vec![Err(Error::Interrupted)],
                |message| from_wire(message.cells).into_iter().map(Ok).collect(),
            );
            futures_util::stream::iter(cells)
        });
        let cells = futures_util::stream::iter(from_wire(first.cells).into_iter().map(Ok)).chain(rest);
        self.put(first.shard, ShardBody::Stream(Box::pin(cells))).await
    }

    async fn read_whole(&self, request: Request<wire::ReadRequest>) -> Result<Response<wire::Cells>, Status> {
        Ok(Response::new(to_wire(&self.read(request.into_inner()).await?)))
    }

    type ReadStreamedStream = Pin<Box<dyn Stream<Item = Result<wire::Cells, Status>> + Send>>;

    async fn read_streamed(
        &self,
        request: Request<wire::ReadRequest>,
    ) -> Result<Response<Self::ReadStreamedStream>, Status> {
        let cells = self.read(request.into_inner()).await?;
        let messages = cells.into_iter().map(|cell| Ok(to_wire(&[cell])));
        Ok(Response::new(Box::pin(futures_util::stream::iter(messages))))
    }
}

pub(crate) struct Client(ShardsClient<Channel>);

pub(crate) async fn start(service: Arc<dyn ChunkService>) -> Client {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
    let address = incoming.local_addr().unwrap();
    let server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_frame_size(256 << 10)
        .add_service(
            shards_server::ShardsServer::new(Service(service)).max_decoding_message_size(MESSAGE_MAX),
        );
    tokio::spawn(server.serve_with_incoming(incoming));
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .connect()
        .await
        .unwrap();
    Client(ShardsClient::new(channel).max_decoding_message_size(MESSAGE_MAX))
}

#[async_trait]
impl ChunkService for Client {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        _: Purpose,
    ) -> Result<(), Error> {
        let shard = wire::Shard {
            disk: disk.0.to_vec().into(),
            chunk: header.shard.chunk.to_bytes().to_vec().into(),
            index: header.shard.index.0.into(),
            chunk_length: header.chunk_length,
            owner: header.owner,
        };
        let client = self.0.clone();
        match body {
            ShardBody::Whole(cells) => {
                let cells = Some(to_wire(&cells));
                put_whole(client, wire::PutRequest { shard: Some(shard), cells }).await
            }
            ShardBody::Stream(cells) => put_streamed(client, Messages { shard: Some(shard), cells }).await,
        }
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let request = wire::ReadRequest {
            disk: disk.0.to_vec().into(),
            chunk: shard.chunk.to_bytes().to_vec().into(),
            index: shard.index.0.into(),
            first: cells.first,
            count: cells.count,
        };
        let mut client = self.0.clone();
        if cells.count <= 4 {
            return Ok(from_wire(Some(client.read_whole(request).await.map_err(error)?.into_inner())));
        }
        let mut messages = client.read_streamed(request).await.map_err(error)?.into_inner();
        let mut read = Vec::with_capacity(cells.count as usize);
        while let Some(message) = messages.message().await.map_err(error)? {
            read.extend(from_wire(Some(message)));
        }
        Ok(read)
    }

    async fn delete_shards(&self, _: DiskId, _: &[ShardId]) -> Result<(), Error> {
        Ok(())
    }

    async fn evict_group(&self, _: DiskId, _: GroupId, _: ShardIndex, _: i64) -> Result<(), Error> {
        Err(crate::stub::not_measured())
    }

    async fn fence_leases(&self, _: DiskId, _: &[LeaseId]) -> Result<(), Error> {
        Err(crate::stub::not_measured())
    }

    async fn verify_shards(&self, _: DiskId, _: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        Err(crate::stub::not_measured())
    }

    async fn list_shards(&self, _: DiskId, _: ListShards) -> Result<Vec<ShardSummary>, Error> {
        Ok(Vec::new())
    }

    async fn list_quarantined(&self, _: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        Err(crate::stub::not_measured())
    }

    async fn release_quarantined(&self, _: DiskId, _: &[String]) -> Result<(), Error> {
        Err(crate::stub::not_measured())
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        Ok(Vec::new())
    }
}

async fn put_whole(mut client: ShardsClient<Channel>, request: wire::PutRequest) -> Result<(), Error> {
    client.put_whole(request).await.map(|_| ()).map_err(error)
}

async fn put_streamed(mut client: ShardsClient<Channel>, messages: Messages) -> Result<(), Error> {
    client.put_streamed(messages).await.map(|_| ()).map_err(error)
}

/// The shard, then one message for each cell. A type of its own, as the compiler cannot prove that closures here are
/// `Send`.
struct Messages {
    shard: Option<wire::Shard>,
    cells: CellStream,
}

impl Stream for Messages {
    type Item = wire::PutRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<wire::PutRequest>> {
        if let Some(shard) = self.shard.take() {
            return Poll::Ready(Some(wire::PutRequest { shard: Some(shard), cells: None }));
        }
        let cell = ready!(self.cells.as_mut().poll_next(context));
        Poll::Ready(cell.map(|cell| wire::PutRequest { shard: None, cells: Some(to_wire(&[cell.unwrap()])) }))
    }
}

fn to_wire(cells: &[Cell]) -> wire::Cells {
    let cell = |cell: &Cell| wire::Cell { data: cell.data().clone(), checksum: cell.checksum() };
    wire::Cells { cells: cells.iter().map(cell).collect() }
}

fn from_wire(cells: Option<wire::Cells>) -> Vec<Cell> {
    let cell = |cell: wire::Cell| Cell::received(cell.data, cell.checksum);
    cells.map(|cells| cells.cells.into_iter().map(cell).collect()).unwrap_or_default()
}

fn disk(bytes: &[u8]) -> DiskId {
    DiskId(bytes.try_into().unwrap())
}

fn name(chunk: &[u8], index: u32) -> ShardId {
    ShardId {
        chunk: ChunkId::from_bytes(chunk.try_into().unwrap()),
        index: ShardIndex(index.try_into().unwrap()),
    }
}

fn status(error: Error) -> Status {
    Status::internal(error.to_string())
}

fn error(status: Status) -> Error {
    Error::Unavailable { reason: status.to_string() }
}
