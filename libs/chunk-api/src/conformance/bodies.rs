//! Bodies that do not keep what their header promises.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use types::{CELL_SIZE, CHUNK_SIZE_MAX, ShardIndex};

use super::{Sample, Subject, sample::stream_of};
use crate::{Cell, Error, OWNER_LENGTH_MAX, Purpose, ShardBody, ShardHeader};

const CELL: u64 = CELL_SIZE as u64;

/// A body that ends early or yields an error leaves no shard, and its name free.
pub(super) async fn a_broken_body_keeps_nothing(subject: &Subject) {
    for (counter, length) in [(1, 3 * CELL), (2, 20 * CELL + 9)] {
        let sample = Sample::single(201, counter, length);
        let but_one = sample.cells.len() - 1;
        let some: Vec<Cell> = sample.cells[..but_one].to_vec();
        let broken: Vec<_> = some.iter().cloned().map(Ok).chain([Err(Error::Interrupted)]).collect();
        let bodies = [
            ShardBody::Whole(some.clone()),
            stream_of(some.into_iter().map(Ok).collect()),
            stream_of(broken),
        ];
        for body in bodies {
            assert_eq!(sample.put_body(subject, body).await, Err(Error::Interrupted));
            sample.expect_absent(subject).await;
        }
        expect_free(subject, &sample).await;
    }
}

/// A cell that is corrupt, of the wrong length, out of order or one too many leaves no shard, and its name free.
pub(super) async fn a_bad_cell_keeps_nothing(subject: &Subject) {
    for (counter, length) in [(1, 3 * CELL), (2, 20 * CELL + 9)] {
        let sample = Sample::single(202, counter, length);
        let shard = sample.shard();

        let mut corrupt = sample.cells.clone();
        corrupt[1] = Cell::received(corrupt[1].data().clone(), corrupt[1].checksum() ^ 1);
        let mut swapped = sample.cells.clone();
        swapped.swap(0, 1);
        for (cells, cell) in [(corrupt, 1), (swapped, 0)] {
            for body in [ShardBody::Whole(cells.clone()), stream_of(cells.into_iter().map(Ok).collect())] {
                assert_eq!(sample.put_body(subject, body).await, Err(Error::ShardCorrupt { shard, cell }));
                sample.expect_absent(subject).await;
            }
        }

        let mut short = sample.cells.clone();
        short[2] = Cell::new(shard, 2, Bytes::from_static(b"short"));
        let mut long = sample.cells.clone();
        long.push(Cell::new(shard, long.len() as u64, Bytes::from_static(b"one too many")));
        let mut empty = sample.cells.clone();
        empty.push(Cell::new(shard, empty.len() as u64, Bytes::new()));
        for cells in [short, long, empty] {
            for body in [ShardBody::Whole(cells.clone()), stream_of(cells.into_iter().map(Ok).collect())] {
                let put = sample.put_body(subject, body).await;
                assert!(matches!(put, Err(Error::Malformed { .. })), "{put:?}");
                sample.expect_absent(subject).await;
            }
        }
        expect_free(subject, &sample).await;
    }
}

/// A put whose caller went away before its body ended leaves no shard, and soon its name free.
pub(super) async fn an_abandoned_put_frees_its_name(subject: &Subject) {
    let sample = Sample::single(203, 1, 40 * CELL);
    let some: Vec<_> = sample.cells[..30].iter().cloned().map(Ok).collect();
    let endless = futures_util::stream::iter(some).chain(futures_util::stream::pending());
    let put = sample.put_body(subject, ShardBody::Stream(Box::pin(endless)));
    let waited = subject.env.timeout(Duration::from_millis(200), put).await;
    assert!(waited.is_err(), "a put ended before its body: {waited:?}");
    expect_free(subject, &sample).await;
}

/// Headers out of bounds are refused.
pub(super) async fn malformed_headers_are_refused(subject: &Subject) {
    let good = Sample::single(204, 1, 10).header;
    let mut index = good.clone();
    index.shard.index = ShardIndex(1);
    let owner = ShardHeader { owner: vec![0; OWNER_LENGTH_MAX + 1].into(), ..good.clone() };
    let long = ShardHeader { chunk_length: CHUNK_SIZE_MAX + 1, ..good.clone() };
    for header in [index, owner, long] {
        let put = subject
            .service
            .put_shard(subject.disk, header, ShardBody::Whole(Vec::new()), Purpose::Write)
            .await;
        assert!(matches!(put, Err(Error::Malformed { .. })), "{put:?}");
    }
    Sample::with_header(good).expect_absent(subject).await;
}

/// Puts the shard whose name must be free, or become free within ten seconds: over a network the service learns of an
/// abandoned call only after its caller.
async fn expect_free(subject: &Subject, sample: &Sample) {
    let mut put = sample.put(subject).await;
    for _ in 0..1000 {
        if !matches!(put, Err(Error::ShardExists { .. })) {
            break;
        }
        subject.env.sleep(Duration::from_millis(10)).await;
        put = sample.put(subject).await;
    }
    assert_eq!(put, Ok(()));
    sample.expect_kept(subject.service.as_ref(), subject.disk).await;
}
