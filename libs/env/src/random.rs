//! Unpredictable bytes.

use std::cell::RefCell;

/// A source of unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's random source. Each thread asks it for several numbers at a time and gives every byte out once; what is
/// longer than a number, as keys and nonces are, is asked for when it is wanted, so that no copy of a machine's memory has it.
#[derive(Debug, Clone, Copy)]
pub struct RealRandom;

/// Bytes that a thread asks for at a time.
const AHEAD: usize = 512;

/// Bytes of a number.
const NUMBER: usize = 8;

/// Bytes that were not given out yet: those from the second's place on.
struct Ahead([u8; AHEAD], usize);

thread_local! {
    static LEFT: RefCell<Ahead> = const { RefCell::new(Ahead([0; AHEAD], AHEAD)) };
}

impl Random for RealRandom {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > NUMBER {
            return ask(out);
        }
        LEFT.with_borrow_mut(|Ahead(bytes, next)| {
            if AHEAD - *next < out.len() {
                ask(bytes);
                *next = 0;
            }
            let taken = &mut bytes[*next..*next + out.len()];
            out.copy_from_slice(taken);
            taken.fill(0);
            *next += out.len();
        });
    }
}

fn ask(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system's random source answers once the system has booted");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{AHEAD, NUMBER, Random, RealRandom};

    #[test]
    fn no_number_is_given_out_twice() {
        let number = || {
            let mut bytes = [0; 8];
            RealRandom.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        let there = std::thread::scope(|scope| {
            scope.spawn(|| (0..AHEAD).map(|_| number()).collect::<Vec<_>>()).join().expect("it ends")
        });
        let all: BTreeSet<u64> = (0..AHEAD).map(|_| number()).chain(there).collect();
        assert_eq!(all.len(), 2 * AHEAD);
    }

    #[test]
    fn whatever_is_asked_for_is_filled() {
        for length in [0, 1, 7, NUMBER, NUMBER + 1, 16, 3 * AHEAD] {
            let mut seen = vec![0_u8; length];
            for _ in 0..64 {
                let mut bytes = vec![0; length];
                RealRandom.fill(&mut bytes);
                seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
            }
            assert!(seen.iter().all(|byte| *byte != 0), "{length}");
        }
    }
}
