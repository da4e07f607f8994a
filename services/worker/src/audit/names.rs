//! The chunks that rows name, a part of them at a time.

use std::collections::HashMap;

use metadata_api::{ContentKind, Metadata};
use types::{ChunkId, Coding, Extent, GroupId};

use super::{AuditError, AuditProgress, pace::Pace};

/// What rows say of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) group: GroupId,
    pub(super) coding: Coding,
    pub(super) length: u64,
    pub(super) checksum: u64,
    /// Whether only rows name it whose chunks wait to be freed.
    pub(super) is_garbage: bool,
}

impl Named {
    /// The whole chunk, as an extent.
    pub(super) fn extent(&self, chunk: ChunkId) -> Extent {
        Extent {
            chunk,
            group: self.group,
            coding: self.coding,
            chunk_length: self.length,
            offset: 0,
            length: self.length,
            checksum: self.checksum,
        }
    }
}

/// A part of all chunks: those whose number is `remainder` modulo `modulus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    modulus: u64,
    remainder: u64,
}

impl Part {
    pub(super) fn whole() -> Self {
        Self { modulus: 1, remainder: 0 }
    }

    pub(super) fn contains(self, chunk: ChunkId) -> bool {
        // Leases are random and counters count, so that the sum spreads evenly.
        chunk.lease.0.cast_unsigned().wrapping_add(chunk.counter) % self.modulus == self.remainder
    }

    /// The two halves.
    fn split(self) -> (Self, Self) {
        let modulus = self.modulus * 2;
        (Self { modulus, ..self }, Self { modulus, remainder: self.remainder + self.modulus })
    }

    /// The half that this one was split from.
    pub(super) fn sibling(self) -> Self {
        Self { remainder: self.remainder - self.modulus / 2, ..self }
    }
}

/// Reads every row. When the part has more chunks than `maximum` it is halved, and the other halves are answered.
pub(super) async fn collect(
    metadata: &dyn Metadata,
    pace: &Pace,
    mut part: Part,
    maximum: usize,
    told: &mut AuditProgress,
    progress: &mut (dyn FnMut(AuditProgress) + Send),
) -> Result<(HashMap<ChunkId, Named>, Vec<Part>), AuditError> {
    let (mut names, mut rest) = (HashMap::new(), Vec::new());
    let mut after = None;
    loop {
        let page = pace.rows(metadata, after).await?;
        told.rows += page.rows.len() as u64;
        progress(*told);
        for row in page.rows {
            let is_garbage = row.kind == ContentKind::Garbage;
            for extent in row.extents.iter().filter(|extent| part.contains(extent.chunk)) {
                let named = names.entry(extent.chunk).or_insert(Named {
                    group: extent.group,
                    coding: extent.coding,
                    length: extent.chunk_length,
                    checksum: extent.checksum,
                    is_garbage,
                });
                named.is_garbage &= is_garbage;
            }
        }
        while names.len() > maximum.max(1) {
            let (kept, other) = part.split();
            names.retain(|chunk, _| kept.contains(*chunk));
            rest.push(other);
            part = kept;
        }
        after = page.next;
        if after.is_none() {
            return Ok((names, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{ChunkId, LeaseId};

    use super::Part;

    #[test]
    fn halves_make_the_whole() {
        let (mut parts, mut leaves) = (vec![Part::whole()], Vec::new());
        while let Some(part) = parts.pop() {
            if part.modulus < 8 {
                let (kept, other) = part.split();
                assert_eq!(other.sibling(), kept);
                parts.extend([kept, other]);
            } else {
                leaves.push(part);
            }
        }
        for counter in 0..100 {
            let chunk = ChunkId { lease: LeaseId(i64::MAX - 50), counter };
            assert_eq!(leaves.iter().filter(|part| part.contains(chunk)).count(), 1);
        }
    }
}
