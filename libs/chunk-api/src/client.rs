//! The chunk service over the network: the contract's one client, with its pool, deadlines and retries.

mod pool;
mod progress;
mod shown;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use env::Env;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tracing::Instrument;
use types::{CELL_SIZE, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use self::{
    pool::{Lease, Pool},
    progress::Progress,
    shown::{Named, Shown, Shows},
};
pub use crate::capability::Caller;
use crate::{
    Cell, CellRange, CheckedCells, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun,
    READ_CELLS_MAX, ShardBody, ShardHeader, ShardSummary,
    body::malformed,
    capability,
    incoming::BodyReader,
    outgoing::OutgoingBody,
    span, validate_leases, validate_limit, validate_names, validate_runs,
    wire::{
        CHECKSUM_LENGTH, HEAD_LENGTH, LISTING_MAX, PutHead, SMALL_ANSWER_MAX, WireDisk, WireError,
        WireVerdict, decode_listing, encode_leases, encode_names, put_length, split_cells,
    },
};

/// Bounds of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientOptions {
    /// Longest wait for a connection. Default 1 s.
    pub connect_timeout: Duration,
    /// Longest time in which the service neither takes nor sends anything that it owes, and longest wait for a
    /// connection to become free. A stopped peer fails a call after this and a quarter more. Default 4 s.
    pub stall_timeout: Duration,
    /// Most connections; calls beyond wait. Default 64.
    pub connections_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            stall_timeout: Duration::from_secs(4),
            connections_max: 64,
        }
    }
}

/// A chunk service on another machine. Cheap to share behind an `Arc`; keeps connections open between calls.
///
/// A call is repeated once when the connection it was put on turns out to be dead: always for calls that change
/// nothing or may be repeated, and for `put_shard` only when none of it was sent. A call is also repeated once when the service did
/// not take what it was shown and another token may do: one of the release before, or one by the service's clock.
pub struct Client {
    env: Env,
    address: String,
    shows: Shows,
    options: ClientOptions,
    pool: Pool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

/// Why a call has no answer.
enum Failure {
    /// Nothing of the request was sent.
    Unsent(Error),
    /// The request was sent, at least in part; what became of it is unknown.
    Lost {
        reason: String,
        /// Whether the connection had been kept open from an earlier call, and so may have been dead all along.
        reused: bool,
    },
    /// The service did not move for too long.
    Stalled,
}

/// An answer with its body.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Client {
    /// A client for the service at `address` (`host:port`). Connects when it is first called.
    pub fn new(env: Env, address: impl Into<String>, caller: Caller, options: ClientOptions) -> Self {
        let address = address.into();
        let shows = Shows::new(env.clone(), caller);
        let pool = Pool::new(env.clone(), address.clone(), options.connect_timeout, options.connections_max);
        Self { env, address, shows, options, pool }
    }

    fn show(&self, call: Named<'_>) -> Result<Shown, Error> {
        self.shows
            .of(call)
            .ok_or_else(|| Error::Unavailable { reason: "there is no token that can be shown".to_owned() })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        shown: &Shown,
        body: OutgoingBody,
    ) -> Result<Request<OutgoingBody>, Error> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::AUTHORIZATION, &shown.authorization)
            .body(body)
            .map(span::carried)
            .map_err(|error| Error::Unavailable { reason: error.to_string() })
    }

    /// A call that may be repeated, with a short body. Its answer has at most `limit` bytes.
    async fn call(
        &self,
        method: Method,
        path: &str,
        named: Named<'_>,
        body: Bytes,
        limit: usize,
    ) -> Result<Answer, Error> {
        let span = span::of_call(&method, path, &self.address);
        self.repeated(method, path, named, body, limit).instrument(span).await
    }

    /// A call that is not about a single shard.
    async fn other(
        &self,
        method: capability::Method,
        disk: Option<DiskId>,
        path: &str,
        body: Bytes,
        limit: usize,
    ) -> Result<Answer, Error> {
        use capability::Method as Call;
        let verb = match method {
            Call::Disks | Call::List | Call::Quarantine | Call::Read => Method::GET,
            Call::Put | Call::Repair => Method::PUT,
            Call::Delete | Call::Evict | Call::Fence | Call::Verify | Call::Release => Method::POST,
        };
        let sent = body.clone();
        self.call(verb, path, Named::Other { method, disk, path, body: &sent }, body, limit).await
    }

    async fn repeated(
        &self,
        method: Method,
        path: &str,
        named: Named<'_>,
        body: Bytes,
        limit: usize,
    ) -> Result<Answer, Error> {
        let (mut fresh, mut shown_another) = (false, false);
        loop {
            let shown = self.show(named)?;
            let request = self.request(method.clone(), path, &shown, OutgoingBody::full(body.clone()))?;
            let progress = Progress::new(self.env.clone());
            match self.exchange(request, &progress, fresh).await {
                Ok((lease, response)) => {
                    let another_may_do = self.shows.learn(&shown, response.status(), response.headers());
                    if another_may_do && !shown_another {
                        shown_another = true;
                        continue;
                    }
                    let answer = self.finish(response, limit).await?;
                    self.pool.give_back(lease);
                    return Ok(answer);
                }
                Err(Failure::Lost { reused: true, .. }) if !fresh => fresh = true,
                Err(Failure::Unsent(error)) => return Err(error),
                Err(Failure::Lost { reason, .. }) if method == Method::GET => {
                    return Err(Error::Unavailable { reason });
                }
                Err(Failure::Lost { .. } | Failure::Stalled) => return Err(Error::TimedOut),
            }
        }
    }

    /// Sends a request and waits for the head of its answer. A request of which nothing was sent, because the
    /// connection had been closed meanwhile, is sent again on a new one.
    async fn exchange(
        &self,
        mut request: Request<OutgoingBody>,
        progress: &Progress,
        mut fresh: bool,
    ) -> Result<(Lease, Response<Incoming>), Failure> {
        loop {
            let leased = self.pool.lease(fresh, self.options.stall_timeout).await;
            let mut lease = leased.map_err(Failure::Unsent)?;
            progress.begin();
            let sent =
                progress.watch(self.options.stall_timeout, lease.sender.try_send_request(request)).await;
            let mut error = match sent {
                Ok(Ok(response)) => return Ok((lease, response)),
                Ok(Err(error)) => error,
                Err(_) => return Err(Failure::Stalled),
            };
            let reason = error.error().to_string();
            match error.take_message() {
                Some(unsent) if lease.reused => {
                    request = unsent;
                    fresh = true;
                }
                Some(_) => return Err(Failure::Unsent(Error::Unavailable { reason })),
                None => return Err(Failure::Lost { reason, reused: lease.reused }),
            }
        }
    }

    /// Reads an answer's body; an answer that is an error becomes one.
    async fn finish(&self, response: Response<Incoming>, limit: usize) -> Result<Answer, Error> {
        let status = response.status();
        span::answered(status);
        if status == StatusCode::UNAUTHORIZED {
            return Err(Error::Unauthenticated);
        }
        let limit = if status.is_success() { limit } else { SMALL_ANSWER_MAX };
        let mut reader = BodyReader::new(self.env.clone(), response.into_body(), self.options.stall_timeout);
        let body = reader.collect(limit).await.map_err(|_| Error::TimedOut)?;
        Ok(Answer { status, body })
    }

    /// A call that changes something and answers nothing.
    async fn change(
        &self,
        method: capability::Method,
        disk: DiskId,
        path: &str,
        body: Bytes,
    ) -> Result<(), Error> {
        let answer = self.other(method, Some(disk), path, body, SMALL_ANSWER_MAX).await?;
        outcome(answer).map(|_| ()).map_err(|error| error.unwrap_or(Error::TimedOut))
    }

    /// Sends a shard. Cells that come one by one are sent once, so that it is found out before what the service takes.
    async fn put(
        &self,
        path: &str,
        named: Named<'_>,
        header: &ShardHeader,
        body: PutBody,
    ) -> Result<(), Error> {
        if !self.shows.is_known() {
            self.disks().await?;
        }
        let again = match &body {
            PutBody::Whole(cells) => Some(PutBody::Whole(cells.clone())),
            PutBody::Stream(_) => None,
        };
        let span = span::of_call(&Method::PUT, path, &self.address);
        let putting = async {
            if let Some(outcome) = self.put_once(path, named, header, body).await? {
                return outcome;
            }
            let refused = || Error::Unavailable {
                reason: "the service did not take the token; the next call shows another".to_owned(),
            };
            let again = again.ok_or_else(refused)?;
            self.put_once(path, named, header, again).await?.unwrap_or_else(|| Err(refused()))
        };
        putting.instrument(span).await
    }

    /// `None` if the service refused the token, did nothing, and may take another.
    async fn put_once(
        &self,
        path: &str,
        named: Named<'_>,
        header: &ShardHeader,
        body: PutBody,
    ) -> Result<Option<Result<(), Error>>, Error> {
        let progress = Arc::new(Progress::new(self.env.clone()));
        let body = body.outgoing(header).watched_by(progress.clone());
        let shown = self.show(named)?;
        let (lease, response) = self
            .exchange(self.request(Method::PUT, path, &shown, body)?, &progress, false)
            .await
            .map_err(|failure| {
                let error = match failure {
                    Failure::Unsent(error) => error,
                    Failure::Lost { .. } | Failure::Stalled => Error::TimedOut,
                };
                // When the cells ended with an error, the request broke for that reason and no other.
                progress.error.take().unwrap_or(error)
            })?;
        if self.shows.learn(&shown, response.status(), response.headers()) {
            return Ok(None);
        }
        let answer = self.finish(response, SMALL_ANSWER_MAX).await?;
        if progress.has_ended() {
            self.pool.give_back(lease);
        }
        Ok(Some(outcome(answer).map(|_| ()).map_err(|error| error.unwrap_or(Error::TimedOut))))
    }
}

#[async_trait]
impl ChunkService for Client {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        header.validate()?;
        let body = PutBody::new(&header, body).await?;
        let ShardHeader { shard, epoch, .. } = header;
        let repair = purpose == Purpose::Repair;
        let parameters = if repair { "?purpose=repair" } else { "" };
        let named = Named::Put { disk, chunk: shard.chunk, epoch, repair };
        self.put(&format!("/v1/disks/{disk}/shards/{shard}{parameters}"), named, &header, body).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let CellRange { first, count } = cells;
        let path = format!("/v1/disks/{disk}/shards/{shard}?first={first}&count={count}");
        let limit = count.min(READ_CELLS_MAX) as usize * (CELL_SIZE + CHECKSUM_LENGTH);
        let named = Named::Read { disk, chunk: shard.chunk };
        let body = read_outcome(self.call(Method::GET, &path, named, Bytes::new(), limit).await?)?;
        split_cells(body, count).ok_or_else(misunderstood)
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        validate_names(shards)?;
        let path = format!("/v1/disks/{disk}/delete");
        self.change(capability::Method::Delete, disk, &path, encode_names(shards)).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        let (group, index) = (group.0, index.0);
        let path = format!("/v1/disks/{disk}/evict?group={group}&index={index}&epoch={epoch}");
        self.change(capability::Method::Evict, disk, &path, Bytes::new()).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        validate_leases(leases)?;
        let path = format!("/v1/disks/{disk}/fence");
        self.change(capability::Method::Fence, disk, &path, encode_leases(leases)).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        validate_names(shards)?;
        let path = format!("/v1/disks/{disk}/verify");
        let verify = capability::Method::Verify;
        let answer = self.other(verify, Some(disk), &path, encode_names(shards), SMALL_ANSWER_MAX).await?;
        let body = read_outcome(answer)?;
        let verdicts: Vec<WireVerdict> = serde_json::from_slice(&body).map_err(|_| misunderstood())?;
        let verdicts: Option<Vec<_>> = verdicts.into_iter().map(WireVerdict::decode).collect();
        verdicts.filter(|verdicts| verdicts.len() == shards.len()).ok_or_else(misunderstood)
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        let ListShards { after, limit, group } = request;
        validate_limit(limit)?;
        let after = after.map(|shard| format!("&after={shard}")).unwrap_or_default();
        let group = group.map(|group| format!("&group={}", group.0)).unwrap_or_default();
        let path = format!("/v1/disks/{disk}/shards?limit={limit}{after}{group}&damage=true");
        let body = read_outcome(
            self.other(capability::Method::List, Some(disk), &path, Bytes::new(), LISTING_MAX).await?,
        )?;
        decode_listing(body).ok_or_else(misunderstood)
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        let path = format!("/v1/disks/{disk}/quarantine");
        let quarantine = capability::Method::Quarantine;
        let answer = self.other(quarantine, Some(disk), &path, Bytes::new(), SMALL_ANSWER_MAX).await?;
        let body = read_outcome(answer)?;
        serde_json::from_slice(&body).map_err(|_| misunderstood())
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        validate_runs(ids)?;
        let ids = serde_json::to_vec(ids).map_err(|error| Error::Malformed { reason: error.to_string() })?;
        let path = format!("/v1/disks/{disk}/release");
        self.change(capability::Method::Release, disk, &path, ids.into()).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        let disks = capability::Method::Disks;
        let body = read_outcome(self.other(disks, None, "/v1/disks", Bytes::new(), SMALL_ANSWER_MAX).await?)?;
        let disks: Vec<WireDisk> = serde_json::from_slice(&body).map_err(|_| misunderstood())?;
        disks.into_iter().map(|disk| disk.into_status().ok_or_else(misunderstood)).collect()
    }
}

/// The bytes of an answer that is a success; else its error, or `None` when the service said nothing that can be
/// understood.
fn outcome(answer: Answer) -> Result<Bytes, Option<Error>> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    Err(serde_json::from_slice::<WireError>(&answer.body).ok().and_then(WireError::decode))
}

/// As [`outcome`], of a call that changes nothing.
fn read_outcome(answer: Answer) -> Result<Bytes, Error> {
    let status = answer.status;
    outcome(answer).map_err(|error| {
        error.unwrap_or_else(|| Error::Unavailable {
            reason: format!("the service answered with status {status}"),
        })
    })
}

fn misunderstood() -> Error {
    Error::Unavailable { reason: "the service's answer cannot be understood".to_owned() }
}

/// A put's cells, checked before they are sent.
enum PutBody {
    Whole(Vec<Cell>),
    Stream(CheckedCells),
}

impl PutBody {
    async fn new(header: &ShardHeader, body: ShardBody) -> Result<Self, Error> {
        let whole = matches!(body, ShardBody::Whole(_)) || header.cells() <= 1;
        let cells = CheckedCells::new(header.clone(), body);
        if whole { Ok(Self::Whole(cells.collect().await?)) } else { Ok(Self::Stream(cells)) }
    }

    fn outgoing(self, header: &ShardHeader) -> OutgoingBody {
        let mut head = BytesMut::with_capacity(HEAD_LENGTH + header.owner.len());
        PutHead::encode(header, &mut head);
        head.extend_from_slice(&header.owner);
        let head = head.freeze();
        match self {
            Self::Whole(cells) => OutgoingBody::whole(head, &cells),
            Self::Stream(cells) => {
                let cells = futures_util::stream::unfold(Some((cells, header.cells())), |state| async move {
                    let (mut cells, left) = state?;
                    match next_cell(&mut cells, left).await {
                        Ok(cell) => Some((Ok(cell?), Some((cells, left - 1)))),
                        Err(error) => Some((Err(error), None)),
                    }
                });
                OutgoingBody::streamed(head, cells, put_length(header))
            }
        }
    }
}

/// The next cell of `left`. The last one is given only when the body has ended well behind it: once it is sent, the
/// service has the whole shard.
async fn next_cell(cells: &mut CheckedCells, left: u64) -> Result<Option<Cell>, Error> {
    let cell = cells.next().await?;
    if left == 1 && cells.next().await?.is_some() {
        return Err(malformed("the body has more cells than the shard"));
    }
    Ok(cell)
}

#[cfg(test)]
mod tests;
