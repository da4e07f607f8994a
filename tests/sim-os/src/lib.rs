//! Takes the operating system's random source and clocks away from a thread that a simulation owns.
//!
//! Our own code reaches both through `env::Env`. What it is built on does not: every `HashMap` of the standard library
//! takes its order from `getrandom`, tokio chooses between branches of `select!` and between waiters with a generator that
//! is seeded the same way, and HTTP/2 notes the time of a reset by `clock_gettime`. A program that links this crate has
//! these two functions of the C library replaced by its own, which the linker prefers. On a thread that called [`own`] they
//! answer from a seed and from a time that stands still until it is set; on every other thread they are the system calls.
//!
//! `unsafe`: a C function that writes where its caller says can be defined in no other way. The contract of both is the one
//! of POSIX and of `getrandom(2)`: the pointer is valid for what is asked for, and nothing else is written to.

use std::{cell::Cell, time::Duration};

use libc::{c_int, c_long, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};

/// What an owned thread's wall clock shows at time zero: the first second of 2026.
pub const EPOCH_SECONDS: i64 = 1_767_225_600;

/// Seconds that an owned thread's monotonic clock shows at time zero. Not zero, as programs go back from now.
const MONOTONIC_SECONDS: i64 = 1_000_000;

#[derive(Clone, Copy)]
struct Owned {
    random: u64,
    time: Duration,
}

thread_local! {
    static OWNED: Cell<Option<Owned>> = const { Cell::new(None) };
}

/// From now on this thread's random bytes follow from `seed` and its clocks stand still. To be called before anything on
/// the thread asked for either: the standard library keeps what it got.
pub fn own(seed: u64) {
    OWNED.set(Some(Owned { random: seed, time: Duration::ZERO }));
}

/// Sets the clocks of this thread, if it is owned.
pub fn set_time(time: Duration) {
    if let Some(owned) = OWNED.get() {
        OWNED.set(Some(Owned { time, ..owned }));
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `getrandom(2)`.
///
/// # Safety
///
/// `buffer` is valid for `length` bytes of writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    // A thread that is ending has no value any more, and asks the system.
    let Some(mut owned) = OWNED.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the caller's own arguments for the call that it asked for.
        let answer = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(answer).unwrap_or(-1);
    };
    for position in 0..length {
        let [byte, ..] = next(&mut owned.random).to_le_bytes();
        // SAFETY: the caller says that these `length` bytes may be written, and `position` is below `length`.
        unsafe { buffer.cast::<u8>().add(position).write(byte) };
    }
    OWNED.set(Some(owned));
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// `clock_gettime(2)`.
///
/// # Safety
///
/// `time` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let owned = OWNED.try_with(Cell::get).ok().flatten();
    let (Some(owned), false) = (owned, time.is_null()) else {
        // SAFETY: the caller's own arguments for the call that it asked for; the system checks them.
        let answer: c_long = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
        return c_int::try_from(answer).unwrap_or(-1);
    };
    let start = if clock == libc::CLOCK_REALTIME { EPOCH_SECONDS } else { MONOTONIC_SECONDS };
    let shown = timespec {
        tv_sec: start + i64::try_from(owned.time.as_secs()).unwrap_or(0),
        tv_nsec: i64::from(owned.time.subsec_nanos()),
    };
    // SAFETY: not null, so the caller says that it may be written.
    unsafe { time.write(shown) };
    0
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        hash::{BuildHasher, RandomState},
        thread,
        time::{Duration, Instant},
    };

    use super::{own, set_time};

    /// What a fresh thread sees of the standard library's randomness.
    fn order(seed: Option<u64>) -> (u64, Vec<u32>) {
        let look = move || {
            if let Some(seed) = seed {
                own(seed);
            }
            let set: HashSet<u32> = (0..100).collect();
            (RandomState::new().hash_one(1), set.into_iter().collect())
        };
        thread::spawn(look).join().unwrap()
    }

    #[test]
    fn an_owned_threads_hash_maps_have_the_order_of_its_seed() {
        assert_eq!(order(Some(7)), order(Some(7)));
        assert_ne!(order(Some(7)), order(Some(8)));
        assert_ne!(order(None), order(None));
    }

    #[test]
    fn an_owned_threads_time_stands_still_until_it_is_set() {
        thread::spawn(|| {
            own(1);
            let start = Instant::now();
            thread::sleep(Duration::from_millis(2));
            assert_eq!(Instant::now(), start);
            set_time(Duration::from_millis(1500));
            assert_eq!(start.elapsed(), Duration::from_millis(1500));
        })
        .join()
        .unwrap();
        let start = Instant::now();
        thread::sleep(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}
