//! A call whose token is not for it reaches no disk, whatever else is right about it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use env::Env;
use types::{ChunkId, DiskId, GroupId, LeaseId, Role, ShardId, ShardIndex};

use super::{DISK, exchange};
use crate::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
    capability::{
        Capability, ChunkRange, Keys, LIFE_MS, Method, Methods, SCHEME, SKEW_MS, Scope, call_digest,
    },
    conformance::Sample,
    fake::FakeChunkService,
    server::{Access, ChunkServer},
    wire::{HEAD_LENGTH, PutHead, encode_leases, encode_names},
};

const OTHER_DISK: DiskId = DiskId([9; 16]);
const SECRET: &str = "the secret of the cluster";

fn derive(audience: &str) -> String {
    format!("{SECRET} {audience}")
}

/// Counts what reaches it.
struct Counting {
    kept: FakeChunkService,
    reached: AtomicUsize,
}

impl Counting {
    fn reached(&self) -> &FakeChunkService {
        self.reached.fetch_add(1, Ordering::Relaxed);
        &self.kept
    }
}

#[async_trait]
impl ChunkService for Counting {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.reached().put_shard(disk, header, body, purpose).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.reached().read_cells(disk, shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.reached().delete_shards(disk, shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.reached().evict_group(disk, group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.reached().fence_leases(disk, leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.reached().verify_shards(disk, shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.reached().list_shards(disk, request).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.reached().list_quarantined(disk).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.reached().release_quarantined(disk, ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.reached().disks().await
    }
}

/// A call as it is sent.
struct Sent {
    method: Method,
    verb: &'static str,
    path: String,
    body: Bytes,
    chunk: Option<ChunkId>,
    epoch: Option<i64>,
}

impl Sent {
    /// What its own caller shows.
    fn capability(&self, now_ms: i64) -> Capability {
        let scope = match self.chunk {
            Some(chunk) => Scope::Chunks(ChunkRange::one(chunk)),
            None => Scope::Call(call_digest(&self.path, &self.body)),
        };
        Capability {
            issuer: Role::ALL.into_iter().find(|role| self.method.callers().have(*role)).unwrap(),
            methods: Methods::of(&[self.method]),
            disk: (self.method != Method::Disks).then_some(DISK),
            scope,
            epoch: self.epoch,
            ends_ms: now_ms + LIFE_MS,
        }
    }

    fn bytes(&self, authorization: &str) -> Vec<u8> {
        let Self { verb, path, body, .. } = self;
        let mut sent = format!("{verb} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
        if !authorization.is_empty() {
            sent += &format!("authorization: {authorization}\r\n");
        }
        [sent.as_bytes(), b"\r\n", body].concat()
    }
}

/// One of each call, with one name or parameter.
fn calls() -> Vec<Sent> {
    let sample = Sample::single(1, 1, 10);
    let shard = sample.shard();
    let mut put = BytesMut::new();
    PutHead::encode(&sample.header, &mut put);
    put.extend_from_slice(&sample.header.owner);
    for cell in &sample.cells {
        put.extend_from_slice(cell.data());
        put.extend_from_slice(&cell.checksum().to_le_bytes());
    }
    let (put, shard_path) = (put.freeze(), format!("/v1/disks/{DISK}/shards/{shard}"));
    let epoch = Some(sample.header.epoch);
    let of_shard =
        |method, verb, path, body, epoch| Sent { method, verb, path, body, chunk: Some(shard.chunk), epoch };
    let other = |method, verb, path, body| Sent { method, verb, path, body, chunk: None, epoch: None };
    let on_disk = |call: &str| format!("/v1/disks/{DISK}/{call}");
    let (get, post) = ("GET", "POST");
    vec![
        of_shard(Method::Put, "PUT", shard_path.clone(), put.clone(), epoch),
        of_shard(Method::Read, get, format!("{shard_path}?first=0&count=1"), Bytes::new(), None),
        of_shard(Method::Repair, "PUT", format!("{shard_path}?purpose=repair"), put, epoch),
        other(Method::Disks, get, "/v1/disks".to_owned(), Bytes::new()),
        other(Method::List, get, on_disk("shards?limit=1"), Bytes::new()),
        other(Method::Quarantine, get, on_disk("quarantine"), Bytes::new()),
        other(Method::Verify, post, on_disk("verify"), encode_names(&[shard])),
        other(Method::Delete, post, on_disk("delete"), encode_names(&[shard])),
        other(Method::Evict, post, on_disk("evict?group=1&index=0&epoch=3"), Bytes::new()),
        other(Method::Fence, post, on_disk("fence"), encode_leases(&[LeaseId(1)])),
        other(Method::Release, post, on_disk("release"), Bytes::from_static(b"[\"a\"]")),
    ]
}

struct Served {
    env: Env,
    service: Arc<Counting>,
    server: ChunkServer,
    keys: Keys,
}

impl Served {
    fn new(access: Access) -> Self {
        let env = Env::real();
        let kept = FakeChunkService::new([DISK, OTHER_DISK]);
        let service = Arc::new(Counting { kept, reached: AtomicUsize::new(0) });
        let server = ChunkServer::new(env.clone(), service.clone(), access);
        let keys = Keys::of(Role::ALL.into_iter().collect(), &derive);
        Self { env, service, server, keys }
    }

    fn shown(&self, capability: &Capability) -> String {
        format!("{SCHEME} {}", self.keys.get(capability.issuer).unwrap().mint(capability))
    }

    /// How often the disk was reached by it, and the answer.
    async fn send(&self, call: &Sent, authorization: &str) -> (usize, String) {
        let before = self.service.reached.load(Ordering::Relaxed);
        let answer = exchange(&self.env, &self.server, &call.bytes(authorization)).await;
        (self.service.reached.load(Ordering::Relaxed) - before, answer)
    }

    /// Refused with 403 and for this reason, without a disk having been reached.
    async fn refuses(&self, call: &Sent, capability: &Capability, reason: &str) -> String {
        let (reached, answer) = self.send(call, &self.shown(capability)).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("forbidden") && answer.contains(reason),
            "{:?}: {capability:?}: {answer}",
            call.method
        );
        assert_eq!(reached, 0, "{:?}: {capability:?}", call.method);
        answer
    }
}

fn served() -> Served {
    Served::new(Access::derived(derive).demanding_capabilities(true))
}

#[tokio::test]
async fn each_call_is_made_with_its_own_token() {
    let served = served();
    for call in calls() {
        let (reached, answer) =
            served.send(&call, &served.shown(&call.capability(served.env.wall_clock_ms()))).await;
        let refused = ["HTTP/1.1 401", "HTTP/1.1 403"].iter().any(|status| answer.starts_with(status));
        assert!(reached >= 1 && !refused, "{:?}: {answer}", call.method);
    }
}

#[tokio::test]
async fn a_token_is_for_no_other_method() {
    let served = served();
    for call in calls() {
        for other in Method::ALL.into_iter().filter(|other| *other != call.method) {
            let mut capability = call.capability(served.env.wall_clock_ms());
            capability.methods = Methods::of(&[other]);
            served.refuses(&call, &capability, "the token is for another call").await;
        }
        let capability =
            Capability { methods: Methods::of(&[]), ..call.capability(served.env.wall_clock_ms()) };
        served.refuses(&call, &capability, "the token is for another call: nothing").await;
    }
}

#[tokio::test]
async fn a_token_that_reads_deletes_nothing() {
    let served = served();
    let calls = calls();
    let of = |method| calls.iter().find(|call| call.method == method).unwrap();
    let read = of(Method::Read).capability(served.env.wall_clock_ms());
    for method in [Method::Delete, Method::Put, Method::Repair, Method::Evict, Method::Fence, Method::Release]
    {
        served.refuses(of(method), &read, "").await;
    }
}

#[tokio::test]
async fn a_role_mints_for_what_it_may_do_alone() {
    let served = served();
    for call in calls() {
        let strangers = Role::ALL.into_iter().filter(|role| !call.method.callers().have(*role));
        for issuer in strangers {
            let capability = Capability { issuer, ..call.capability(served.env.wall_clock_ms()) };
            let reason =
                format!("the token is that of {issuer}, and the call is for {}", call.method.callers());
            served.refuses(&call, &capability, &reason).await;
        }
    }
}

#[tokio::test]
async fn a_token_is_for_its_disk_alone() {
    let served = served();
    for call in calls() {
        let own = call.capability(served.env.wall_clock_ms());
        let others = [Some(OTHER_DISK), own.disk.map_or(Some(DISK), |_| None)];
        for disk in others {
            served.refuses(&call, &Capability { disk, ..own }, "the token is for another disk").await;
        }
    }
}

#[tokio::test]
async fn a_token_is_for_its_chunks_alone() {
    let served = served();
    for call in calls().iter().filter(|call| call.chunk.is_some()) {
        let own = call.capability(served.env.wall_clock_ms());
        let chunk = call.chunk.unwrap();
        let of_lease = |number: i64| {
            let id = |counter| ChunkId { lease: LeaseId(number), counter };
            ChunkRange { first: id(0), last: id(u64::MAX) }
        };
        let next = ChunkId { counter: chunk.counter + 1, ..chunk };
        let scopes = [
            Scope::Chunks(ChunkRange::one(next)),
            Scope::Chunks(of_lease(chunk.lease.0 + 1)),
            Scope::Chunks(of_lease(chunk.lease.0 - 1)),
            // From its end to its beginning.
            Scope::Chunks(ChunkRange { first: next, last: chunk }),
            Scope::Call(call_digest(&call.path, &call.body)),
        ];
        for scope in scopes {
            served.refuses(call, &Capability { scope, ..own }, "the token is for other chunks").await;
        }
        let whole = Capability { scope: Scope::Chunks(of_lease(chunk.lease.0)), ..own };
        assert_eq!(served.send(call, &served.shown(&whole)).await.0, 1, "all of its lease's, too");
    }
}

#[tokio::test]
async fn a_token_is_for_what_its_call_said_alone() {
    let served = served();
    for call in calls().iter().filter(|call| call.chunk.is_none()) {
        let own = call.capability(served.env.wall_clock_ms());
        let chunk = ChunkId { lease: LeaseId(1), counter: 1 };
        let scopes = [
            Scope::Call(call_digest(&call.path, b"another body")),
            Scope::Call(call_digest("/another/path", &call.body)),
            Scope::Chunks(ChunkRange { first: ChunkId { counter: 0, ..chunk }, last: chunk }),
        ];
        for scope in scopes {
            served.refuses(call, &Capability { scope, ..own }, "the token is for another call").await;
        }
    }
}

#[tokio::test]
async fn a_token_is_for_its_epoch_alone() {
    let served = served();
    for call in calls().iter().filter(|call| call.epoch.is_some()) {
        let own = call.capability(served.env.wall_clock_ms());
        let epoch = call.epoch.unwrap();
        for epoch in [Some(epoch + 1), Some(epoch - 1), None] {
            let reason = "the token is for another epoch of the cluster map";
            served.refuses(call, &Capability { epoch, ..own }, reason).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_has_ended_does_nothing_and_the_time_is_told() {
    let served = served();
    for call in calls() {
        let now_ms = served.env.wall_clock_ms();
        let own = call.capability(now_ms);
        let ended = Capability { ends_ms: now_ms - SKEW_MS, ..own };
        let answer = served.refuses(&call, &ended, "the token has ended").await;
        let told = answer.split("ashlar-clock: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let shown = served.shown(&ended);
        let (_, token) = shown.split_once(' ').unwrap();
        let told_ms =
            served.keys.get(own.issuer).unwrap().told_clock(told, token).expect("the service's word");
        assert!((now_ms..now_ms + 60_000).contains(&told_ms), "{told}");
        // A minute is left for the test to be slow in.
        for ends_ms in [now_ms + LIFE_MS + 2 * SKEW_MS, i64::MAX] {
            served.refuses(&call, &Capability { ends_ms, ..own }, "the token ends later than any does").await;
        }
        served.refuses(&call, &Capability { ends_ms: i64::MIN, ..own }, "the token has ended").await;
        for ends_ms in [now_ms - SKEW_MS / 2, now_ms + LIFE_MS + SKEW_MS / 2] {
            let (reached, answer) = served.send(&call, &served.shown(&Capability { ends_ms, ..own })).await;
            assert!(reached >= 1, "clocks may be as far apart as that: {answer}");
        }
    }
}

#[tokio::test]
async fn whoever_shows_no_token_of_this_cluster_is_a_stranger() {
    let served = served();
    for call in calls() {
        let own = call.capability(served.env.wall_clock_ms());
        let good = served.shown(&own);
        let foreign =
            Keys::of(Role::ALL.into_iter().collect(), &|audience: &str| format!("another {audience}"));
        let foreign = format!("{SCHEME} {}", foreign.get(own.issuer).unwrap().mint(&own));
        let as_bearer = good.replace(SCHEME, "Bearer");
        let (cut, longer) = (good[..good.len() - 1].to_owned(), format!("{good}{}", "A".repeat(1000)));
        let cluster_token = format!("Bearer {}", derive("chunk"));
        for shown in ["", SCHEME, &foreign, &as_bearer, &cut, &longer, &cluster_token] {
            let (reached, answer) = served.send(&call, shown).await;
            assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\n"), "{shown}: {answer}");
            assert_eq!(reached, 0, "{:?}: {shown}", call.method);
        }
    }
    assert_eq!(served.server.refusals().token.get(), 7 * calls().len() as u64);
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let served = served();
    let calls = calls();
    let (put, now_ms) = (&calls[0], served.env.wall_clock_ms());
    let own = put.capability(now_ms);
    served.refuses(put, &Capability { issuer: Role::Chunk, ..own }, "").await;
    served.refuses(put, &Capability { methods: Methods::of(&[Method::Read]), ..own }, "").await;
    served.refuses(put, &Capability { disk: None, ..own }, "").await;
    served.refuses(put, &Capability { scope: Scope::Call([0; 32]), ..own }, "").await;
    served.refuses(put, &Capability { epoch: None, ..own }, "").await;
    served.refuses(put, &Capability { ends_ms: 0, ..own }, "").await;
    let refusals = served.server.refusals();
    let counters =
        [&refusals.role, &refusals.method, &refusals.disk, &refusals.range, &refusals.epoch, &refusals.ended];
    assert_eq!(counters.map(|counter| counter.get()), [1; 6]);
}

#[tokio::test]
async fn callers_of_the_release_before_are_served_until_capabilities_are_demanded() {
    let cluster_token = format!("Bearer {}", derive("chunk"));
    let open = Served::new(Access::derived(derive));
    for call in calls() {
        let (reached, answer) = open.send(&call, &cluster_token).await;
        assert!(reached >= 1, "{:?}: {answer}", call.method);
    }
    assert_eq!(open.server.refusals().cluster_token.get(), calls().len() as u64);
    assert_eq!(HEAD_LENGTH, 24, "as that release sends it");
}
