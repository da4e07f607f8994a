//! Putting and reading back.

use types::CELL_SIZE;

use super::{Sample, Subject};
use crate::{CellRange, Error, OWNER_LENGTH_MAX, READ_CELLS_MAX, ShardHeader};

const CELL: u64 = CELL_SIZE as u64;

/// Whole and streamed shards of every shape come back, cell by cell, with their owner.
pub(super) async fn shards_read_back_as_they_were_put(subject: &Subject) {
    let lengths = [0, 1, 100, CELL - 1, CELL, CELL + 1, 4 * CELL, 4 * CELL + 1, 9 * CELL + 7, 70 * CELL + 3];
    let mut counter = 0;
    for (coding, index) in [("1+0", 0), ("1+2", 2), ("4+2", 0), ("4+2", 3), ("4+2", 5)] {
        for length in lengths {
            for streamed in [false, true] {
                counter += 1;
                let sample = Sample::new(101, counter, index, coding, length);
                let body = if streamed { sample.stream() } else { sample.whole() };
                assert_eq!(sample.put_body(subject, body).await, Ok(()), "{coding}, {length} bytes");
                sample.expect_kept(subject.service.as_ref(), subject.disk).await;
            }
        }
    }
    let mut header: ShardHeader = Sample::single(101, 0, 5).header;
    header.owner = vec![0xee; OWNER_LENGTH_MAX].into();
    let sample = Sample::with_header(header);
    assert_eq!(sample.put(subject).await, Ok(()));
    sample.expect_kept(subject.service.as_ref(), subject.disk).await;
}

/// Every range within a shard yields its cells; every range beyond is malformed.
pub(super) async fn ranges_of_cells_are_exact(subject: &Subject) {
    let sample = Sample::new(102, 1, 1, "2+1", 8 * CELL + 70);
    assert_eq!(sample.put(subject).await, Ok(()));
    let cells = sample.cells.len();
    for first in 0..cells {
        for count in 1..=cells - first {
            let range = CellRange { first: first as u64, count: u32::try_from(count).unwrap_or(u32::MAX) };
            let read = subject.service.read_cells(subject.disk, sample.shard(), range).await;
            assert_eq!(read.as_deref(), Ok(&sample.cells[first..first + count]), "{range:?}");
        }
    }
    for (first, count) in
        [(0, 0), (0, 6), (5, 1), (4, 2), (u64::MAX, 1), (0, READ_CELLS_MAX + 1), (0, u32::MAX)]
    {
        let read = subject.service.read_cells(subject.disk, sample.shard(), CellRange { first, count }).await;
        assert!(matches!(read, Err(Error::Malformed { .. })), "{first}+{count}: {read:?}");
    }
}

/// A name that was never put is not found.
pub(super) async fn what_is_not_there_is_not_found(subject: &Subject) {
    let sample = Sample::single(103, 1, 10);
    sample.expect_absent(subject).await;
    assert_eq!(sample.put(subject).await, Ok(()));
    Sample::single(103, 2, 10).expect_absent(subject).await;
    Sample::new(103, 1, 1, "1+1", 10).expect_absent(subject).await;
}
