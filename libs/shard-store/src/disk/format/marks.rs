//! Marks: facts that outlive the shards they concern. Names that were deleted or evicted, leases that were fenced.

use types::{LeaseId, ShardId};

use super::{NAME_LENGTH, decode_name, encode_name, field};

/// Most names or leases in one record of marks.
pub(in super::super) const MARKS_PER_RECORD_MAX: usize = 4096;

const LEASE_LENGTH: usize = 8;

/// What a record of marks says of its names or leases. The numbers persist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum MarkKind {
    /// Names that can never be put again.
    Deleted,
    /// Names whose shards of an epoch and before are gone.
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

    /// Bytes of one name or lease.
    pub(in super::super) fn length(self) -> usize {
        match self {
            Self::Deleted | Self::Evicted => NAME_LENGTH,
            Self::Fenced => LEASE_LENGTH,
        }
    }
}

/// The header of a record of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct MarksRecord {
    pub(in super::super) kind: MarkKind,
    /// Names or leases in the record.
    pub(in super::super) count: usize,
    /// Of evictions; 0 otherwise.
    pub(in super::super) epoch: i64,
}

/// Facts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Marks {
    Deleted(Vec<ShardId>),
    Evicted { epoch: i64, shards: Vec<ShardId> },
    Fenced(Vec<LeaseId>),
}

impl Marks {
    pub(in super::super) fn record(&self) -> MarksRecord {
        match self {
            Self::Deleted(shards) => MarksRecord { kind: MarkKind::Deleted, count: shards.len(), epoch: 0 },
            Self::Evicted { epoch, shards } => {
                MarksRecord { kind: MarkKind::Evicted, count: shards.len(), epoch: *epoch }
            }
            Self::Fenced(leases) => MarksRecord { kind: MarkKind::Fenced, count: leases.len(), epoch: 0 },
        }
    }

    /// The record's body, without its checksum.
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deleted(shards) | Self::Evicted { shards, .. } => {
                shards.iter().flat_map(|shard| encode_name(*shard)).collect()
            }
            Self::Fenced(leases) => leases.iter().flat_map(|lease| lease.0.to_le_bytes()).collect(),
        }
    }

    /// The marks of a record with this header and body.
    pub(in super::super) fn decode(record: &MarksRecord, body: &[u8]) -> Self {
        let names = || body.as_chunks::<NAME_LENGTH>().0.iter().map(decode_name).collect();
        match record.kind {
            MarkKind::Deleted => Self::Deleted(names()),
            MarkKind::Evicted => Self::Evicted { epoch: record.epoch, shards: names() },
            MarkKind::Fenced => {
                let leases = body.as_chunks::<LEASE_LENGTH>().0.iter();
                Self::Fenced(leases.map(|bytes| LeaseId(i64::from_le_bytes(field(bytes, 0)))).collect())
            }
        }
    }
}
