//! The contract as HTTP/1.1: what client and server must spell alike. `docs/decisions/0002-shard-transport.md` says
//! why it is HTTP.
//!
//! | call | request | answer |
//! |---|---|---|
//! | `put_shard` | `PUT /v1/disks/D/shards/S[?purpose=repair]`, [`PutHead`], owner, cells | 204 |
//! | `read_cells` | `GET /v1/disks/D/shards/S?first=N&count=N` | 200, cells |
//! | `delete_shards` | `POST /v1/disks/D/delete`, names | 204 |
//! | `evict_group` | `POST /v1/disks/D/evict?group=G&index=I&epoch=N` | 204 |
//! | `fence_leases` | `POST /v1/disks/D/fence`, leases, eight bytes each, big-endian | 204 |
//! | `verify_shards` | `POST /v1/disks/D/verify`, names | 200, JSON |
//! | `list_shards` | `GET /v1/disks/D/shards?after=S&limit=N&group=N` | 200, names with [`PutHead`] and owner |
//! | `disks` | `GET /v1/disks` | 200, JSON |
//! | `list_quarantined` | `GET /v1/disks/D/quarantine` | 200, JSON |
//! | `release_quarantined` | `POST /v1/disks/D/release`, names in JSON | 204 |
//!
//! A cell is its bytes, then its CRC-32C in four bytes, little-endian. Every cell of a shard but the last is full, so
//! lengths need not be sent. Errors are JSON ([`WireError`]); 401 has no body.
//!
//! `delete_shards`, `evict_group`, `fence_leases` and `verify_shards` may read or write much. When one takes more than a
//! second its answer is begun with 200, goes on with a blank a second, and ends with what stands in the table, or nothing
//! for 204; or it is broken off, when the call failed. A page of a listing is sent in parts as they are read.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use types::{CELL_SIZE, ChunkId, Coding, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    Cell, DiskStatus, Error, OWNER_LENGTH_MAX, ScrubStatus, ShardHeader, ShardSummary, body::malformed,
};

/// Bytes of a shard's name: the chunk's id and the shard's index.
pub(crate) const NAME_LENGTH: usize = 17;

/// Bytes of a cell's checksum.
pub(crate) const CHECKSUM_LENGTH: usize = 4;

/// Bytes of a [`PutHead`].
pub(crate) const HEAD_LENGTH: usize = 24;

/// Bytes of a lease's number.
pub(crate) const LEASE_LENGTH: usize = 8;

/// Most bytes of an answer that is neither cells nor a listing.
pub(crate) const SMALL_ANSWER_MAX: usize = 1 << 20;

/// Most bytes of the names of a `release_quarantined`.
pub(crate) const RELEASE_MAX: usize = 256 << 10;

/// Most bytes of a page of a listing.
pub(crate) const LISTING_MAX: usize =
    crate::SHARDS_PER_CALL_MAX * (NAME_LENGTH + HEAD_LENGTH + OWNER_LENGTH_MAX);

/// A shard's header without its name: data and parity shards, one byte each; length of the owner, two bytes; length of
/// the chunk, eight bytes; placement group, four bytes; epoch, eight bytes; little-endian.
pub(crate) struct PutHead {
    pub(crate) coding: Coding,
    pub(crate) owner_length: usize,
    pub(crate) chunk_length: u64,
    pub(crate) group: GroupId,
    pub(crate) epoch: i64,
}

impl PutHead {
    pub(crate) fn encode(header: &ShardHeader, out: &mut BytesMut) {
        // Checked constructors and `ShardHeader::validate` keep these in their widths.
        out.put_u8(u8::try_from(header.coding.data()).unwrap_or_default());
        out.put_u8(u8::try_from(header.coding.parity()).unwrap_or_default());
        out.put_u16_le(u16::try_from(header.owner.len()).unwrap_or(u16::MAX));
        out.put_u64_le(header.chunk_length);
        out.put_i32_le(header.group.0);
        out.put_i64_le(header.epoch);
    }

    pub(crate) fn header(&self, shard: ShardId, owner: Bytes) -> ShardHeader {
        let Self { coding, chunk_length, group, epoch, .. } = *self;
        ShardHeader { shard, coding, chunk_length, group, epoch, owner }
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < HEAD_LENGTH {
            return Err(Error::Interrupted);
        }
        let (data, parity) = (bytes.get_u8(), bytes.get_u8());
        let coding = Coding::new(data, parity).map_err(|_| malformed("the coding is not one"))?;
        let owner_length = usize::from(bytes.get_u16_le());
        if owner_length > OWNER_LENGTH_MAX {
            return Err(malformed("the owner is longer than it may be"));
        }
        let (chunk_length, group, epoch) =
            (bytes.get_u64_le(), GroupId(bytes.get_i32_le()), bytes.get_i64_le());
        Ok(Self { coding, owner_length, chunk_length, group, epoch })
    }
}

/// Bytes of a put's body.
pub(crate) fn put_length(header: &ShardHeader) -> u64 {
    (HEAD_LENGTH + header.owner.len()) as u64 + header.length() + header.cells() * CHECKSUM_LENGTH as u64
}

/// Splits the body of a read of `count` cells. `None` when it cannot be one.
pub(crate) fn split_cells(mut body: Bytes, count: u32) -> Option<Vec<Cell>> {
    let full = CELL_SIZE + CHECKSUM_LENGTH;
    let mut cells = Vec::with_capacity(count as usize);
    for left in (0..count).rev() {
        let length = if left > 0 { CELL_SIZE } else { body.len().checked_sub(CHECKSUM_LENGTH)? };
        if length > CELL_SIZE || body.len() < length + CHECKSUM_LENGTH || (left > 0 && body.len() < full) {
            return None;
        }
        let data = body.split_to(length);
        cells.push(Cell::received(data, body.get_u32_le()));
    }
    body.is_empty().then_some(cells)
}

pub(crate) fn encode_names(shards: &[ShardId]) -> Bytes {
    let mut out = BytesMut::with_capacity(shards.len() * NAME_LENGTH);
    for shard in shards {
        put_name(*shard, &mut out);
    }
    out.freeze()
}

pub(crate) fn decode_names(body: &[u8]) -> Result<Vec<ShardId>, Error> {
    let (names, rest) = body.as_chunks::<NAME_LENGTH>();
    if rest.is_empty() { Ok(names.iter().map(name).collect()) } else { Err(malformed("a name is cut off")) }
}

pub(crate) fn encode_leases(leases: &[LeaseId]) -> Bytes {
    let mut out = BytesMut::with_capacity(leases.len() * LEASE_LENGTH);
    leases.iter().for_each(|lease| out.put_i64(lease.0));
    out.freeze()
}

pub(crate) fn decode_leases(body: &[u8]) -> Result<Vec<LeaseId>, Error> {
    let (leases, rest) = body.as_chunks::<LEASE_LENGTH>();
    let leases = leases.iter().map(|bytes| LeaseId(i64::from_be_bytes(*bytes))).collect();
    if rest.is_empty() { Ok(leases) } else { Err(malformed("a lease is cut off")) }
}

fn put_name(shard: ShardId, out: &mut BytesMut) {
    out.put_slice(&shard.chunk.to_bytes());
    out.put_u8(shard.index.0);
}

fn name(bytes: &[u8; NAME_LENGTH]) -> ShardId {
    let mut chunk = [0; 16];
    chunk.copy_from_slice(&bytes[..16]);
    ShardId { chunk: ChunkId::from_bytes(chunk), index: ShardIndex(bytes[16]) }
}

/// In a listing, set in the length of the owner of a shard that is damaged. Told to those alone who ask for it: others take
/// the length for one that cannot be.
const DAMAGED: u16 = 1 << 15;

/// Where the length of the owner stands in a head.
const OWNER_LENGTH_AT: usize = 2;

/// A page of a listing. It says which shards are damaged if `tells_damage`.
pub(crate) fn encode_listing(page: &[ShardSummary], tells_damage: bool) -> Bytes {
    let mut out = BytesMut::new();
    for ShardSummary { header, is_damaged } in page {
        put_name(header.shard, &mut out);
        let head = out.len();
        PutHead::encode(header, &mut out);
        if tells_damage && *is_damaged {
            out[head + OWNER_LENGTH_AT + 1] |= (DAMAGED >> 8) as u8;
        }
        out.put_slice(&header.owner);
    }
    out.freeze()
}

pub(crate) fn decode_listing(mut body: Bytes) -> Option<Vec<ShardSummary>> {
    let mut page = Vec::new();
    while !body.is_empty() {
        let shard = name(body.first_chunk()?);
        body.advance(NAME_LENGTH);
        let mut bytes: [u8; HEAD_LENGTH] = *body.first_chunk()?;
        let high = &mut bytes[OWNER_LENGTH_AT + 1];
        let is_damaged = *high & (DAMAGED >> 8) as u8 != 0;
        *high &= !((DAMAGED >> 8) as u8);
        let head = PutHead::decode(&bytes).ok()?;
        body.advance(HEAD_LENGTH);
        if body.len() < head.owner_length {
            return None;
        }
        let owner = body.split_to(head.owner_length);
        let header = head.header(shard, owner);
        header.validate().ok()?;
        page.push(ShardSummary { header, is_damaged });
    }
    Some(page)
}

/// A shard's name as it stands in a path: `0123456789abcdef0123456789abcdef.3`.
pub(crate) fn parse_shard(text: &str) -> Result<ShardId, Error> {
    let parse = || {
        let (chunk, index) = text.split_once('.')?;
        Some(ShardId { chunk: chunk.parse().ok()?, index: ShardIndex(index.parse().ok()?) })
    };
    parse().ok_or_else(|| malformed("not a shard's name"))
}

/// A disk's state in JSON. Fields may be added, and are ignored by those who do not know them.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireDisk {
    disk: String,
    medium: String,
    capacity_bytes: u64,
    available_bytes: u64,
    shards: u64,
    writable: bool,
    #[serde(default)]
    failed: bool,
    #[serde(default)]
    damaged_records: u64,
    #[serde(default)]
    live_bytes: u64,
    #[serde(default)]
    dead_bytes: u64,
    #[serde(default)]
    quarantined_records: u64,
    #[serde(default)]
    scrub_passes: u64,
    #[serde(default)]
    scrub_verified_bytes: u64,
    #[serde(default)]
    scrub_bad_shards: u64,
    #[serde(default)]
    scrub_bad_files: u64,
    #[serde(default)]
    scrub_progress: f32,
}

impl From<DiskStatus> for WireDisk {
    fn from(status: DiskStatus) -> Self {
        Self {
            disk: status.disk.to_string(),
            medium: status.medium,
            capacity_bytes: status.capacity_bytes,
            available_bytes: status.available_bytes,
            shards: status.shards,
            writable: status.writable,
            failed: status.failed,
            damaged_records: status.damaged_records,
            live_bytes: status.live_bytes,
            dead_bytes: status.dead_bytes,
            quarantined_records: status.quarantined_records,
            scrub_passes: status.scrub.passes,
            scrub_verified_bytes: status.scrub.verified_bytes,
            scrub_bad_shards: status.scrub.bad_shards,
            scrub_bad_files: status.scrub.bad_files,
            scrub_progress: status.scrub.progress,
        }
    }
}

impl WireDisk {
    pub(crate) fn into_status(self) -> Option<DiskStatus> {
        Some(DiskStatus {
            disk: self.disk.parse().ok()?,
            medium: self.medium,
            capacity_bytes: self.capacity_bytes,
            available_bytes: self.available_bytes,
            shards: self.shards,
            writable: self.writable,
            failed: self.failed,
            damaged_records: self.damaged_records,
            live_bytes: self.live_bytes,
            dead_bytes: self.dead_bytes,
            quarantined_records: self.quarantined_records,
            scrub: ScrubStatus {
                passes: self.scrub_passes,
                verified_bytes: self.scrub_verified_bytes,
                bad_shards: self.scrub_bad_shards,
                bad_files: self.scrub_bad_files,
                progress: self.scrub_progress,
            },
        })
    }
}

/// An error in JSON: its code, and the facts that the code has.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct WireError {
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl WireError {
    /// The error's status and JSON.
    pub(crate) fn encode(error: &Error) -> (StatusCode, Self) {
        let code = |code: &str| Self { code: code.to_owned(), ..Self::default() };
        let of_disk = |name: &str, disk: &DiskId| Self { disk: Some(disk.to_string()), ..code(name) };
        let of_shard = |name: &str, shard: &ShardId| Self { shard: Some(shard.to_string()), ..code(name) };
        let because = |name: &str, reason: &String| Self { reason: Some(reason.clone()), ..code(name) };
        match error {
            Error::DiskNotFound { disk } => (StatusCode::NOT_FOUND, of_disk("disk_not_found", disk)),
            Error::DiskFull { disk } => (StatusCode::INSUFFICIENT_STORAGE, of_disk("disk_full", disk)),
            Error::DiskFailed { disk, reason } => {
                let error = Self { reason: Some(reason.clone()), ..of_disk("disk_failed", disk) };
                (StatusCode::INTERNAL_SERVER_ERROR, error)
            }
            Error::ShardNotFound { shard } => (StatusCode::NOT_FOUND, of_shard("shard_not_found", shard)),
            Error::ShardCorrupt { shard, cell } => {
                let error = Self { cell: Some(*cell), ..of_shard("shard_corrupt", shard) };
                (StatusCode::UNPROCESSABLE_ENTITY, error)
            }
            Error::ShardExists { shard } => (StatusCode::CONFLICT, of_shard("shard_exists", shard)),
            Error::ShardDeleted { shard } => (StatusCode::GONE, of_shard("shard_deleted", shard)),
            Error::LeaseFenced { lease } => {
                (StatusCode::GONE, Self { lease: Some(lease.0), ..code("lease_fenced") })
            }
            Error::Interrupted => (StatusCode::BAD_REQUEST, code("interrupted")),
            Error::Malformed { reason } => (StatusCode::BAD_REQUEST, because("malformed", reason)),
            Error::Unauthenticated => (StatusCode::UNAUTHORIZED, code("unauthenticated")),
            Error::Forbidden { reason } => (StatusCode::FORBIDDEN, because("forbidden", reason)),
            Error::Unavailable { reason } => {
                (StatusCode::SERVICE_UNAVAILABLE, because("unavailable", reason))
            }
            Error::Busy => (StatusCode::SERVICE_UNAVAILABLE, code("busy")),
            Error::TimedOut => (StatusCode::GATEWAY_TIMEOUT, code("timed_out")),
        }
    }

    /// The error; `None` for a code of a later release or a missing fact.
    pub(crate) fn decode(self) -> Option<Error> {
        let disk = |text: Option<String>| text?.parse::<DiskId>().ok();
        let shard = |text: Option<String>| parse_shard(&text?).ok();
        Some(match self.code.as_str() {
            "disk_not_found" => Error::DiskNotFound { disk: disk(self.disk)? },
            "disk_full" => Error::DiskFull { disk: disk(self.disk)? },
            "disk_failed" => Error::DiskFailed { disk: disk(self.disk)?, reason: self.reason? },
            "shard_not_found" => Error::ShardNotFound { shard: shard(self.shard)? },
            "shard_corrupt" => Error::ShardCorrupt { shard: shard(self.shard)?, cell: self.cell? },
            "shard_exists" => Error::ShardExists { shard: shard(self.shard)? },
            "shard_deleted" => Error::ShardDeleted { shard: shard(self.shard)? },
            "lease_fenced" => Error::LeaseFenced { lease: LeaseId(self.lease?) },
            "interrupted" => Error::Interrupted,
            "malformed" => Error::Malformed { reason: self.reason? },
            "unauthenticated" => Error::Unauthenticated,
            "forbidden" => Error::Forbidden { reason: self.reason? },
            "unavailable" => Error::Unavailable { reason: self.reason? },
            "busy" => Error::Busy,
            "timed_out" => Error::TimedOut,
            _ => return None,
        })
    }
}

/// What a verification found of one shard: nothing when it is whole.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct WireVerdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<WireError>,
}

impl WireVerdict {
    pub(crate) fn new(verdict: &Result<(), Error>) -> Self {
        Self { error: verdict.as_ref().err().map(|error| WireError::encode(error).1) }
    }

    /// The verdict; `None` for an error that is not understood.
    pub(crate) fn decode(self) -> Option<Result<(), Error>> {
        match self.error {
            None => Some(Ok(())),
            Some(error) => error.decode().map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use types::{CELL_SIZE, DiskId, LeaseId};

    use super::{
        WireError, decode_listing, decode_names, encode_listing, encode_names, parse_shard, split_cells,
    };
    use crate::{Error, ShardSummary, conformance::Sample};

    #[test]
    fn every_error_survives_the_wire() {
        let (disk, shard) = (DiskId([5; 16]), Sample::single(1, 2, 3).shard());
        let reason = || "a \"reason\"".to_owned();
        for error in [
            Error::DiskNotFound { disk },
            Error::DiskFull { disk },
            Error::DiskFailed { disk, reason: reason() },
            Error::ShardNotFound { shard },
            Error::ShardCorrupt { shard, cell: 9 },
            Error::ShardExists { shard },
            Error::ShardDeleted { shard },
            Error::LeaseFenced { lease: LeaseId(77) },
            Error::Interrupted,
            Error::Malformed { reason: reason() },
            Error::Unauthenticated,
            Error::Forbidden { reason: reason() },
            Error::Unavailable { reason: reason() },
            Error::Busy,
            Error::TimedOut,
        ] {
            let (status, wire) = WireError::encode(&error);
            assert!(status.is_client_error() || status.is_server_error());
            let text = serde_json::to_vec(&wire).unwrap();
            assert_eq!(serde_json::from_slice::<WireError>(&text).unwrap().decode(), Some(error));
        }
    }

    #[test]
    fn cells_are_split_by_their_count_and_nothing_else_is_taken_for_cells() {
        for length in [0, 1, CELL_SIZE, CELL_SIZE + 1, 3 * CELL_SIZE, 3 * CELL_SIZE + 9] {
            let sample = Sample::new(1, 1, 0, "1+0", length as u64);
            let mut body = BytesMut::new();
            for cell in &sample.cells {
                body.extend_from_slice(cell.data());
                body.extend_from_slice(&cell.checksum().to_le_bytes());
            }
            let body = body.freeze();
            let count = u32::try_from(sample.cells.len()).unwrap();
            assert_eq!(split_cells(body.clone(), count), Some(sample.cells));
            assert_eq!(split_cells(body, count + 1), None);
        }
        assert_eq!(split_cells(Bytes::from_static(b"abc"), 1), None);
        assert_eq!(split_cells(vec![0; CELL_SIZE + 5].into(), 1), None);
    }

    #[test]
    fn names_and_listings_round_trip_and_short_ones_are_refused() {
        let samples: Vec<_> = (0..3).map(|n| Sample::new(7, n, 1, "2+1", 1000 * n)).collect();
        let names: Vec<_> = samples.iter().map(Sample::shard).collect();
        let bytes = encode_names(&names);
        assert_eq!(decode_names(&bytes), Ok(names.clone()));
        assert!(decode_names(&bytes[1..]).is_err());
        for name in names {
            assert_eq!(parse_shard(&name.to_string()), Ok(name));
        }
        let summary = |(number, sample): (usize, Sample)| ShardSummary {
            header: sample.header,
            is_damaged: number % 3 == 1,
        };
        let page: Vec<_> = samples.into_iter().enumerate().map(summary).collect();
        let bytes = encode_listing(&page, true);
        assert_eq!(decode_listing(bytes.clone()).as_ref(), Some(&page));
        // As it is told to those who do not ask.
        let whole: Vec<_> =
            page.into_iter().map(|summary| ShardSummary { is_damaged: false, ..summary }).collect();
        assert_eq!(decode_listing(encode_listing(&whole, true)), Some(whole.clone()));
        assert_eq!(encode_listing(&whole, true), encode_listing(&whole, false));
        assert_eq!(decode_listing(bytes.slice(..bytes.len() - 1)), None);
    }
}
