//! Every target on its corpus and on what is made from it. `FUZZ_MUTANTS=n` makes n of each target instead of 5,000.
//!
//! The longer search is `tests/fuzz/run`.

use std::{fs, panic, path::Path};

use test_fuzz::TARGETS;

/// Changed inputs of each target.
const MUTANTS: u64 = 5_000;
/// Longest input.
const LENGTH_MAX: usize = 4096;

/// A generator of numbers: splitmix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a size")
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Changes an input: bytes flipped, removed, doubled, put in, and pieces of others.
fn mutant(numbers: &mut Numbers, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        let length = numbers.below(16).min(input.len() - at);
        match numbers.below(6) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 => drop(input.drain(at..at + length)),
            2 => {
                let piece = input[at..at + length].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len() + 1);
                let piece = other[from..(from + numbers.below(64)).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                const HARD: [&[u8]; 8] = [
                    b"\0",
                    b"%00",
                    b"%2F..",
                    b"18446744073709551616",
                    b"-1",
                    b"\xff\xfe",
                    b"\r\n\r\n",
                    b"&#0;",
                ];
                input.splice(at..at, HARD[numbers.below(HARD.len())].iter().copied());
            }
            _ => input.insert(at, u8::try_from(numbers.below(256)).expect("a byte")),
        }
        input.truncate(LENGTH_MAX);
    }
    input
}

/// Runs `name` on `input`; a panic says which bytes it were.
fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    if panic::catch_unwind(|| target(input)).is_err() {
        panic!("{name} panicked on {}", input.escape_ascii());
    }
}

macro_rules! played {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_played() {
            let played = [$(stringify!($name)),*];
            let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(targets, played);
        }
    };
}

fn play(name: &str) {
    let (_, target) = test_fuzz::target(name).expect("a target of this name");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for input in &corpus {
        run(name, target, input);
    }
    let mutants = std::env::var("FUZZ_MUTANTS").map_or(MUTANTS, |text| text.parse().expect("a number"));
    let mut numbers = Numbers(7);
    for _ in 0..mutants {
        run(name, target, &mutant(&mut numbers, &corpus));
    }
}

played! {
    xml_delete
    xml_complete
    xml_lifecycle
    xml_access
    xml_tagging
    xml_cors
    xml_website
    xml_inventory
    xml_logging
    xml_object_lock
    xml_encryption
    xml_small
    headers
    range_header
    copy_source
    address
    query
    dates
    post_form
    post_policy
    chunked_signed
    chunked_trailer
    sigv4_header
    sigv4_query
    sigv2
    web_identity
    policy_bucket
    policy_identity
    names
    metadata_call
    chunk_call
    capability
}
