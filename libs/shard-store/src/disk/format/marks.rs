//! Marks: facts that outlive the shards they concern. Names that were deleted, groups that were evicted, leases that
//! were fenced.

use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{NAME_LENGTH, decode_name, encode_name, field};

/// Most marks in one record.
pub(in super::super) const MARKS_PER_RECORD_MAX: usize = 4096;

const LEASE_LENGTH: usize = 8;
const EVICTION_LENGTH: usize = 13;

/// What a record of marks says. The numbers persist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum MarkKind {
    /// Names that can never be put again.
    Deleted,
    /// Groups and indices whose shards of an epoch and before are gone.
    Evicted,
    /// Leases under which nothing is written any more.
    Fenced,
}

impl MarkKind {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Deleted => 1,
            Self::Evicted => 2,
            Self::Fenced => 3,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Deleted, Self::Evicted, Self::Fenced].into_iter().find(|kind| kind.code() == code)
    }

    /// Bytes of one mark.
    pub(in super::super) fn length(self) -> usize {
        match self {
            Self::Deleted => NAME_LENGTH,
            Self::Evicted => EVICTION_LENGTH,
            Self::Fenced => LEASE_LENGTH,
        }
    }
}

/// The header of a record of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct MarksRecord {
    pub(in super::super) kind: MarkKind,
    /// Marks in the record.
    pub(in super::super) count: usize,
}

/// Ends the shards of a group and index that were put at an epoch or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Eviction {
    pub(in super::super) group: GroupId,
    pub(in super::super) index: ShardIndex,
    pub(in super::super) epoch: i64,
}

impl Eviction {
    fn encode(&self) -> [u8; EVICTION_LENGTH] {
        let mut out = [0; EVICTION_LENGTH];
        out[..4].copy_from_slice(&self.group.0.to_le_bytes());
        out[4] = self.index.0;
        out[5..].copy_from_slice(&self.epoch.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8; EVICTION_LENGTH]) -> Self {
        Self {
            group: GroupId(i32::from_le_bytes(field(bytes, 0))),
            index: ShardIndex(bytes[4]),
            epoch: i64::from_le_bytes(field(bytes, 5)),
        }
    }
}

/// Facts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Marks {
    Deleted(Vec<ShardId>),
    Evicted(Vec<Eviction>),
    Fenced(Vec<LeaseId>),
}

impl Marks {
    pub(in super::super) fn record(&self) -> MarksRecord {
        let (kind, count) = match self {
            Self::Deleted(shards) => (MarkKind::Deleted, shards.len()),
            Self::Evicted(evictions) => (MarkKind::Evicted, evictions.len()),
            Self::Fenced(leases) => (MarkKind::Fenced, leases.len()),
        };
        MarksRecord { kind, count }
    }

    /// The record's body, without its checksum.
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deleted(shards) => shards.iter().flat_map(|shard| encode_name(*shard)).collect(),
            Self::Evicted(evictions) => evictions.iter().flat_map(Eviction::encode).collect(),
            Self::Fenced(leases) => leases.iter().flat_map(|lease| lease.0.to_le_bytes()).collect(),
        }
    }

    /// The marks in the body of a record of this kind.
    pub(in super::super) fn decode(kind: MarkKind, body: &[u8]) -> Self {
        match kind {
            MarkKind::Deleted => {
                Self::Deleted(body.as_chunks::<NAME_LENGTH>().0.iter().map(decode_name).collect())
            }
            MarkKind::Evicted => {
                Self::Evicted(body.as_chunks::<EVICTION_LENGTH>().0.iter().map(Eviction::decode).collect())
            }
            MarkKind::Fenced => {
                let leases = body.as_chunks::<LEASE_LENGTH>().0.iter();
                Self::Fenced(leases.map(|bytes| LeaseId(i64::from_le_bytes(*bytes))).collect())
            }
        }
    }
}
