use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake},
};

use futures_util::{FutureExt, future::join_all};
use proptest::prelude::*;

use super::*;
use crate::{
    slots::{Next, SLICE, UNHASHED_MAX, WINDOW},
    tests::{expected, message},
};

const NOTHING: Load = Load { streams: 0, bytes: 0 };

fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("there is nothing to wait for")
}

/// Polls until it is done, but waits for a waker, so that a wake-up which does not come shows as a test that does not end.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn place(stream: &Stream) -> usize {
    match stream.place {
        Place::Slot(place) => place,
        Place::Own(_) => panic!("it is too short for others to see"),
    }
}

/// A stream that others see.
fn fed(pool: &Pool, bytes: &Bytes) -> Stream {
    let mut stream = pool.stream();
    stream.push(bytes.clone());
    stream
}

/// Takes a batch as a task on another thread would, which goes on later.
fn take(pool: &Pool, stream: &Stream, need: Need) -> Batch {
    match pool.shared.slots().next(place(stream), need) {
        Next::Hash(batch) => batch,
        Next::Wait | Next::GoOn => panic!("there is something to hash"),
    }
}

#[test]
fn a_stream_that_is_alone_keeps_nothing_and_waits_for_nobody() {
    let pool = Pool::new(Backend::detect());
    // Those that have ended before it count for nothing.
    for round in 0..3 {
        let mut stream = pool.stream();
        let bytes = message(round, (1 << 20) + round);
        for piece in bytes.chunks(40_000) {
            stream.push(Bytes::copy_from_slice(piece));
            ready(stream.settle());
            assert_eq!(stream.waiting(), 0);
        }
        assert_eq!(ready(stream.digest()), expected(&bytes));
        assert_eq!(ready(stream.digest()), expected(&bytes), "asked again");
        drop(stream);
        assert_eq!(pool.load(), NOTHING);
    }
}

/// An upload that stalls keeps neither its bytes waiting nor others from being hashed as they come.
#[test]
fn a_stream_that_stalls_is_forgotten_soon() {
    let pool = Pool::new(Backend::detect());
    let stalled = fed(&pool, &message(1, 30_001));
    let mut stream = pool.stream();
    let bytes = message(2, 16 << 20);
    let mut kept = 0;
    for piece in bytes.chunks(64 << 10) {
        stream.push(Bytes::copy_from_slice(piece));
        block_on(stream.settle());
        kept += usize::from(stream.waiting() > 0);
    }
    assert_eq!(stalled.waiting(), 0);
    assert!(kept <= 2 * WINDOW / (64 << 10), "kept {kept} times");
    assert_eq!(ready(stream.digest()), expected(&bytes));
    let mut stalled = stalled;
    assert_eq!(block_on(stalled.digest()), expected(&message(1, 30_001)));
}

#[test]
fn what_waits_is_bounded_for_each_stream_and_over_all() {
    for (lanes, number) in [(2, 3), (4, 40), (16, 100)] {
        let pool = Pool::with_lanes(Backend::detect(), lanes);
        let piece = message(2, 200_003);
        let mut streams: Vec<Stream> = (0..number).map(|_| pool.stream()).collect();
        let mut most = 0;
        for round in 0..30 {
            for (number, stream) in streams.iter_mut().enumerate() {
                // Some are faster than others.
                for _ in 0..=number % 3 {
                    stream.push(piece.clone());
                    block_on(stream.settle());
                }
                assert!(stream.waiting() < WINDOW, "round {round}");
                assert!(pool.load().bytes <= UNHASHED_MAX, "round {round}: {:?}", pool.load());
                most = most.max(pool.load().bytes);
            }
        }
        assert!(most > UNHASHED_MAX.min(3 * WINDOW) / 2, "no bound was met");
        for (number, mut stream) in streams.into_iter().enumerate() {
            assert_eq!(block_on(stream.digest()), expected(&piece.repeat(30 * (1 + number % 3))));
        }
        assert_eq!(pool.load(), NOTHING);
    }
}

/// Each by itself would keep a buffer of its own.
#[test]
fn small_pieces_are_copied_and_long_ones_are_not() {
    let pool = Pool::new(Backend::detect());
    let mut stream = fed(&pool, &message(3, 20_000));
    for (length, is_copied) in [(7, true), (4_000, true), (8 << 10, false), (64 << 10, false)] {
        let piece = message(4, length);
        stream.push(piece.clone());
        assert_eq!(piece.is_unique(), is_copied, "{length} bytes");
    }
}

#[test]
fn small_pieces_are_hashed_in_their_order_among_long_ones() {
    let pool = Pool::new(Backend::detect());
    let _other = fed(&pool, &message(5, 100_000));
    let bytes = message(6, 3_000_000);
    let (mut stream, mut at) = (pool.stream(), 0);
    for length in [1, 7, 8_191, 8_192, 13, 8_190, 8_191, 8_191, 5, 60_000, 64].into_iter().cycle() {
        let end = bytes.len().min(at + length);
        stream.push(bytes.slice(at..end));
        block_on(stream.settle());
        at = end;
        if at == bytes.len() {
            break;
        }
    }
    assert_eq!(block_on(stream.digest()), expected(&bytes));
}

/// Of two streams that end, the first that asks for its digest hashes both.
#[test]
fn whoever_needs_its_digest_hashes_what_others_have_too() {
    let pool = Pool::with_lanes(Backend::detect(), 4);
    let bytes = [message(5, 100_000), message(6, 100_000)];
    let [mut first, mut second] = bytes.each_ref().map(|bytes| fed(&pool, bytes));
    assert!(first.digest().now_or_never().is_none(), "others get a turn first");
    assert_eq!(block_on(first.digest()), expected(&bytes[0]));
    assert_eq!(second.waiting(), 0);
    assert_eq!(ready(second.digest()), expected(&bytes[1]));
    let counts = pool.counts();
    assert!(counts.blocks * 10 > counts.steps * 19, "two lanes were in use: {counts:?}");
}

/// A stream's end comes while somebody hashes what came before, of whatever length the rest that makes no block is: its digest is not
/// there before the padding was hashed too.
#[test]
fn a_stream_that_ends_in_anothers_hands_has_no_digest_before_its_padding_is_hashed() {
    for rest in 0..64 {
        let pool = Pool::with_lanes(Backend::detect(), 4);
        let bytes = message(rest, 100_032 + rest);
        let mut streams = [(); 3].map(|()| fed(&pool, &bytes));
        let batch = {
            let length = bytes.len() as u64;
            pool.shared.slots().end(place(&streams[1]), length);
            streams[1].ended = true;
            take(&pool, &streams[1], Need::Digest)
        };
        // Its end comes, and it waits.
        assert!(streams[0].digest().now_or_never().is_none());
        assert!(streams[0].digest().now_or_never().is_none());
        pool.shared.hash(batch);
        // What came before is hashed, and the rest carried.
        assert!(pool.shared.slots().digest(place(&streams[0])).is_none(), "rest {rest}");
        for stream in &mut streams {
            assert_eq!(block_on(stream.digest()), expected(&bytes), "rest {rest}");
        }
    }
}

/// The same with the end in the batch: it is there as a whole or not at all.
#[test]
fn padding_that_is_taken_along_is_hashed_with_the_rest() {
    for rest in 0..64 {
        let pool = Pool::with_lanes(Backend::detect(), 4);
        let bytes = message(rest, 100_032 + rest);
        let [mut first, mut second, third] = [(); 3].map(|()| fed(&pool, &bytes));
        assert!(first.digest().now_or_never().is_none());
        // The slice is that of the third, which is shorter by the padding.
        pool.shared.slots().push(place(&third), message(7, 20_000));
        let batch = match pool.shared.slots().next(place(&third), Need::Digest) {
            Next::Hash(batch) => batch,
            Next::Wait | Next::GoOn => panic!("there is something to hash"),
        };
        assert!(pool.shared.slots().digest(place(&first)).is_none(), "rest {rest}");
        pool.shared.hash(batch);
        let digest = pool.shared.slots().digest(place(&first));
        assert_eq!(digest, Some(expected(&bytes)), "rest {rest}");
        assert_eq!(ready(first.digest()), expected(&bytes));
        assert_eq!(block_on(second.digest()), expected(&bytes));
    }
}

/// It goes on reading meanwhile, up to a window.
#[test]
fn a_stream_in_anothers_hands_waits_only_when_a_window_of_it_has_come() {
    let pool = Pool::with_lanes(Backend::detect(), 4);
    let bytes = message(1, WINDOW);
    let mut stream = fed(&pool, &bytes);
    let _other = fed(&pool, &message(2, 50_000));
    let batch = take(&pool, &stream, Need::Room);
    assert_eq!(stream.waiting(), WINDOW - SLICE, "what was taken does not wait");
    ready(stream.settle());
    stream.push(bytes.slice(..SLICE));
    assert!(stream.settle().now_or_never().is_none());
    // The future was dropped, and nothing is lost.
    assert_eq!(stream.waiting(), WINDOW);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    {
        let mut settling = pin!(stream.settle());
        assert!(settling.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        pool.shared.hash(batch);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
    block_on(stream.settle());
    assert!(stream.waiting() < WINDOW);
    let whole = [&bytes[..], &bytes[..SLICE]].concat();
    assert_eq!(block_on(stream.digest()), expected(&whole));
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two cores that hash a stream each do the work of one that hashes both.
#[test]
fn who_comes_while_others_are_hashed_waits_for_company_unless_lanes_are_full() {
    let pool = Pool::with_lanes(Backend::detect(), 3);
    // With its padding as much as is hashed in one go.
    let bytes = message(1, SLICE - 64);
    let mut first = fed(&pool, &bytes);
    let batch = take(&pool, &first, Need::Digest);
    let mut second = fed(&pool, &bytes);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    {
        let mut digest = pin!(second.digest());
        for _ in 0..2 * TURNS {
            assert!(digest.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let before = woken.0.load(Ordering::Relaxed);
        // It goes on being read meanwhile.
        let mut third = fed(&pool, &bytes);
        ready(third.settle());
        assert_eq!(third.waiting(), SLICE - 64);
        pool.shared.hash(batch);
        assert_eq!(woken.0.load(Ordering::Relaxed), before + 1);
        assert_eq!(block_on(digest), expected(&bytes));
        assert_eq!(third.waiting(), 0, "it was hashed along");
        // Nobody is woken twice for one turn, and one whose future was dropped keeps nobody waiting.
        let batch = take(&pool, &fed(&pool, &bytes), Need::Digest);
        assert!(third.digest().now_or_never().is_none() || third.waiting() == 0);
        pool.shared.hash(batch);
        assert_eq!(block_on(third.digest()), expected(&bytes));
    }
    let batch = take(&pool, &fed(&pool, &bytes), Need::Digest);
    let mut others = [(); 3].map(|()| fed(&pool, &bytes));
    assert_eq!(block_on(others[0].digest()), expected(&bytes), "as many wait as there are lanes");
    pool.shared.hash(batch);
    for stream in others.iter_mut().chain([&mut first]) {
        assert_eq!(block_on(stream.digest()), expected(&bytes));
    }
    assert!(pool.load().bytes == 0);
}

#[test]
fn what_is_being_hashed_counts_for_the_bound_over_all() {
    let pool = Pool::with_lanes(Backend::detect(), 2);
    let mut streams = [(); 4].map(|()| fed(&pool, &message(1, UNHASHED_MAX / 4)));
    let batch = take(&pool, &streams[0], Need::Digest);
    assert_eq!(pool.load().bytes, UNHASHED_MAX);
    streams[0].push(message(2, 10_000));
    assert!(streams[0].settle().now_or_never().is_none(), "it is full, and this one is in other hands");
    streams[1].push(message(3, 10_000));
    block_on(streams[1].settle());
    assert!(pool.load().bytes <= UNHASHED_MAX);
    pool.shared.hash(batch);
    for stream in &mut streams {
        block_on(stream.digest());
    }
}

/// As when hashing panics.
#[test]
fn a_batch_that_was_not_hashed_is_given_back_as_it_was() {
    let pool = Pool::with_lanes(Backend::detect(), 4);
    let bytes = message(1, 300_001);
    let mut streams = [(); 3].map(|()| fed(&pool, &bytes));
    let mut batch = take(&pool, &streams[0], Need::Digest);
    streams[1].push(message(2, 20_000));
    pool.shared.slots().give_back(&mut batch, Counts::default());
    assert_eq!(pool.load(), Load { streams: 3, bytes: 3 * 300_001 + 20_000 });
    assert_eq!(block_on(streams[0].digest()), expected(&bytes));
    assert_eq!(block_on(streams[1].digest()), expected(&[&bytes[..], &message(2, 20_000)].concat()));
}

#[test]
fn streams_that_are_dropped_in_anothers_hands_are_closed_when_they_come_back() {
    let pool = Pool::with_lanes(Backend::detect(), 4);
    let bytes = message(1, 300_001);
    let [first, second, mut third] = [(); 3].map(|()| fed(&pool, &bytes));
    let batch = take(&pool, &first, Need::Digest);
    drop((first, second));
    assert_eq!(pool.load().streams, 3);
    pool.shared.hash(batch);
    assert_eq!(pool.load().streams, 1);
    assert_eq!(block_on(third.digest()), expected(&bytes));
    drop(third);
    assert_eq!(pool.load(), NOTHING);
}

/// Hands pieces of a message to a stream, and lets others have their turn after each.
async fn through(pool: &Pool, message: &Bytes, piece: usize) -> [u8; 16] {
    let mut stream = pool.stream();
    for begin in (0..message.len()).step_by(piece) {
        stream.push(message.slice(begin..message.len().min(begin + piece)));
        stream.settle().await;
        give_a_turn().await;
    }
    stream.digest().await
}

#[test]
fn streams_that_are_fed_together_fill_the_lanes() {
    for (streams, length, piece) in
        [(2, 8 << 20, 256 << 10), (4, 8 << 20, 256 << 10), (8, 1 << 20, 200_000), (16, 64 << 10, 20_000)]
    {
        let pool = Pool::with_lanes(Backend::detect(), 16);
        let messages: Vec<Bytes> = (0..streams).map(|seed| message(seed, length)).collect();
        let found = block_on(join_all(messages.iter().map(|message| through(&pool, message, piece))));
        assert!(found.iter().zip(&messages).all(|(digest, message)| *digest == expected(message)));
        let counts = pool.counts();
        let lanes = counts.blocks as f64 / counts.steps as f64;
        assert!(lanes > streams as f64 * 0.7, "{lanes} of {streams} lanes");
    }
}

/// What can be done with streams.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Push(usize, usize),
    Settle(usize),
    /// Settles, but gives it up after the first poll.
    SettleOnce(usize),
    Digest(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..24_usize;
    let length = prop_oneof![0..200_usize, 0..70_000_usize, Just(64), Just(16 << 10), Just(300_000)];
    prop_oneof![
        2 => Just(Step::Open),
        12 => (which.clone(), length).prop_map(|(which, length)| Step::Push(which, length)),
        6 => which.clone().prop_map(Step::Settle),
        1 => which.clone().prop_map(Step::SettleOnce),
        1 => which.clone().prop_map(Step::Digest),
        1 => which.prop_map(Step::Drop),
    ]
}

/// Carries steps out, holds every digest against another implementation's, and answers what waited after each.
fn carry_out(pool: &Pool, steps: &[Step]) -> Result<Vec<Load>, TestCaseError> {
    let mut open: Vec<(Stream, Vec<u8>)> = Vec::new();
    let mut loads = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let count = open.len();
        match *step {
            Step::Open => open.push((pool.stream(), Vec::new())),
            _ if count == 0 => {}
            Step::Push(which, length) => {
                let (stream, all) = &mut open[which % count];
                let bytes = message(number, length);
                all.extend_from_slice(&bytes);
                stream.push(bytes);
            }
            Step::Settle(which) => {
                let stream = &mut open[which % count].0;
                block_on(stream.settle());
                prop_assert!(stream.waiting() < WINDOW);
            }
            Step::SettleOnce(which) => {
                let _ = open[which % count].0.settle().now_or_never();
            }
            Step::Digest(which) => {
                let (mut stream, all) = open.swap_remove(which % count);
                // The first turn is given up too.
                let _ = stream.digest().now_or_never();
                prop_assert_eq!(block_on(stream.digest()), expected(&all));
            }
            Step::Drop(which) => drop(open.swap_remove(which % count)),
        }
        loads.push(pool.load());
    }
    for (mut stream, all) in open {
        prop_assert_eq!(block_on(stream.digest()), expected(&all));
    }
    prop_assert_eq!(pool.load(), NOTHING);
    Ok(loads)
}

/// What one of many threads does with a stream.
#[derive(Debug, Clone)]
struct Upload {
    length: usize,
    pieces: Vec<usize>,
    is_dropped: bool,
}

fn upload() -> impl Strategy<Value = Upload> {
    let piece = prop_oneof![1..2_000_usize, 1..70_000_usize, Just(256 << 10)];
    let length = prop_oneof![0..100_000_usize, 0..2_000_000_usize];
    (length, proptest::collection::vec(piece, 1..6), proptest::bool::weighted(0.1))
        .prop_map(|(length, pieces, is_dropped)| Upload { length, pieces, is_dropped })
}

fn carry_upload_out(pool: &Pool, seed: usize, upload: &Upload) -> Result<(), TestCaseError> {
    let bytes = message(seed, upload.length);
    let (mut stream, mut at) = (pool.stream(), 0);
    for piece in upload.pieces.iter().cycle() {
        if at == bytes.len() {
            break;
        }
        let end = bytes.len().min(at + piece);
        stream.push(bytes.slice(at..end));
        at = end;
        block_on(stream.settle());
        prop_assert!(stream.waiting() < WINDOW);
    }
    if !upload.is_dropped {
        prop_assert_eq!(block_on(stream.digest()), expected(&bytes));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Streams are opened, fed, ended and dropped in any order: each has the digest of its bytes, and nothing is left. With lanes of its own, a
    /// pool does the same by every backend.
    #[test]
    fn any_interleaving_of_streams_gives_each_its_own_digest_and_depends_on_no_processor(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut loads = Vec::new();
        for backend in Backend::available() {
            carry_out(&Pool::new(backend), &steps)?;
            loads.push(carry_out(&Pool::with_lanes(backend, 8), &steps)?);
        }
        loads.dedup();
        prop_assert_eq!(loads.len(), 1);
    }

    #[test]
    fn many_threads_hash_each_others_streams(
        threads in proptest::collection::vec(proptest::collection::vec(upload(), 1..6), 2..8),
    ) {
        for backend in Backend::available() {
            let pool = Pool::new(backend);
            let results = std::thread::scope(|scope| {
                let running: Vec<_> = threads.iter().enumerate().map(|(thread, uploads)| {
                    let pool = pool.clone();
                    scope.spawn(move || {
                        uploads.iter().enumerate()
                            .try_for_each(|(number, upload)| carry_upload_out(&pool, thread * 100 + number, upload))
                    })
                }).collect();
                running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect::<Vec<_>>()
            });
            results.into_iter().collect::<Result<(), _>>()?;
            prop_assert_eq!(pool.load(), NOTHING);
        }
    }
}

/// Long enough for windows and the pool to be full, so that streams are hashed and waited for before they end.
#[test]
fn many_threads_fill_their_windows_and_the_pool() {
    for backend in Backend::available() {
        let pool = Pool::new(backend);
        let at_once = std::sync::Barrier::new(9);
        std::thread::scope(|scope| {
            for thread in 0..9 {
                let (pool, at_once) = (&pool, &at_once);
                scope.spawn(move || {
                    let pieces = vec![256 << 10, 70_001 + thread, 1 << 20];
                    let upload = Upload { length: 5_000_017 + thread, pieces, is_dropped: thread == 8 };
                    at_once.wait();
                    carry_upload_out(pool, thread, &upload).expect("it is the digest of its bytes");
                });
            }
        });
        assert_eq!(pool.load(), NOTHING);
    }
}
