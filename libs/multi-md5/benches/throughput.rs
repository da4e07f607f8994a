//! Throughput of one core in seconds per GB: lanes full, half full and nearly empty, beside one stream by this crate and by `md-5`, and
//! streams through a pool, alone and together. `cargo bench -p multi-md5` prints it; of each figure the best of several runs is taken.
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::{
    future::poll_fn,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use futures_util::future::join_all;
use md5::{Digest, Md5};
use multi_md5::{Backend, Pool, digests};

/// Bytes of each stream: what is hashed of one in one go.
const LENGTH: usize = 256 << 10;

/// Runs of which the best counts.
const RUNS: usize = 50;

fn streams(number: usize, length: usize) -> Vec<Bytes> {
    (0..number).map(|stream| (0..length).map(|byte| (byte * 7 + stream) as u8).collect()).collect()
}

/// Prints the seconds per GB that `work` takes on `bytes` bytes.
fn measure(what: &str, bytes: usize, mut work: impl FnMut()) {
    let best = (0..RUNS).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    });
    println!("{what:<40} {:.3} s/GB", best.fold(f64::INFINITY, f64::min) / bytes as f64 * 1e9);
}

/// What hands pieces of 64 KiB of each message to a stream of its own, in turn.
async fn through(pool: &Pool, message: &Bytes) -> [u8; 16] {
    let mut stream = pool.stream();
    for begin in (0..message.len()).step_by(64 << 10) {
        stream.push(message.slice(begin..message.len().min(begin + (64 << 10))));
        stream.settle().await;
        give_a_turn().await;
    }
    stream.digest().await
}

/// Lets the other streams have their turn.
async fn give_a_turn() {
    let mut given = false;
    poll_fn(|_| if std::mem::replace(&mut given, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Polls again and again, as streams never wait for anything but their turn here.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

fn main() {
    let one = streams(1, LENGTH);
    measure("md-5, 1 stream", LENGTH, || {
        black_box(Md5::digest(black_box(&one[0])));
    });
    for backend in Backend::available() {
        for number in [1, 2, 4, 8, 16].into_iter().filter(|number| *number <= backend.lanes()) {
            let messages = streams(number, LENGTH);
            measure(&format!("{}, {number} streams", backend.name()), LENGTH * number, || {
                black_box(digests(backend, black_box(&messages)));
            });
        }
    }
    let pool = Pool::new(Backend::detect());
    for (number, length) in
        [(1, 64 << 10), (1, 4 << 20), (2, 4 << 20), (4, 4 << 20), (8, 1 << 20), (16, 64 << 10)]
    {
        let messages = streams(number, length);
        measure(&format!("pool, {number} streams of {} KiB", length >> 10), number * length, || {
            block_on(join_all(messages.iter().map(|message| through(&pool, message))));
        });
    }
}
