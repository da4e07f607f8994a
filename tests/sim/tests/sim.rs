//! Worlds by the hundred. Each runs in a process of its own; a failure prints what found it and the seed to repeat it with.
//!
//! `SIM_SEEDS=n` runs n seeds instead of 200, `SIM_SEED=n` that one alone: `SIM_SEED=7 cargo nextest run -p test-sim`.
//! `cargo run -p test-sim -- --seed 7 --trace` shows what happens in a world, `--log debug` what its services say of it.

use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Worlds at a time.
const AT_ONCE: usize = 2;

/// What is to happen in some of many worlds.
const FIGURES: [&str; 14] = [
    "acknowledged",
    "uploads completed",
    "uploads aborted",
    "uploads raced",
    "versions removed",
    "renamed",
    "renames repeated",
    "parts copied",
    "ranges copied",
    "pages continued",
    "drained",
    "taken back",
    "disks removed",
    "disks lost",
];

/// What a world said.
struct Said {
    good: bool,
    text: String,
}

impl Said {
    /// A figure of a good world.
    fn figure(&self, name: &str) -> u64 {
        let (_, rest) =
            self.verdict().split_once(&format!("{name}: ")).expect("a good world tells its figures");
        rest.split_once(',').expect("more follows").0.parse().expect("a number")
    }

    /// The last line: verdict, hash and figures.
    fn verdict(&self) -> &str {
        self.text.trim_end().lines().last().unwrap_or_default()
    }

    /// The hash of all events.
    fn hash(&self) -> &str {
        let (_, rest) = self.verdict().split_once("hash ").expect("every world tells its hash");
        rest.split(' ').next().expect("a hash")
    }
}

fn world(seed: u64, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["--seed", &seed.to_string()])
        .args(arguments)
        .env_clear()
        .output()
        .expect("the world runs");
    let text = [output.stderr, output.stdout].concat();
    Said { good: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Runs worlds with these seeds, some at a time, and hands each to `look`.
fn worlds(seeds: impl Iterator<Item = u64> + Send, arguments: &[&str], look: impl Fn(u64, Said) + Sync) {
    let seeds = std::sync::Mutex::new(seeds);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = seeds.lock().expect("nobody panics with it").next();
                    let Some(seed) = seed else { return };
                    look(seed, world(seed, arguments));
                }
            });
        }
    });
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn whatever_goes_wrong_nothing_acknowledged_is_lost_and_no_answer_is_wrong() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(200),
    };
    let failures = std::sync::Mutex::new(Vec::new());
    let is_whole = seeds.end - seeds.start >= 100;
    let figures = FIGURES.map(|_| AtomicU64::new(0));
    worlds(seeds, &[], |seed, said| {
        if said.good {
            for (name, sum) in FIGURES.iter().zip(&figures) {
                sum.fetch_add(said.figure(name), Ordering::Relaxed);
            }
        } else {
            eprintln!("{}\nrepeat it: SIM_SEED={seed} cargo nextest run -p test-sim", said.text);
            failures.lock().expect("nobody panics with it").push(seed);
        }
    });
    let figures = figures.map(AtomicU64::into_inner);
    for (name, sum) in FIGURES.iter().zip(&figures) {
        println!("{name}: {sum}");
    }
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "seeds that found something: {failures:?}");
    assert!(
        !is_whole || figures.iter().all(|sum| *sum > 0),
        "worlds in which something never happens prove nothing of it: {FIGURES:?}, {figures:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let mut hashes = Vec::new();
    for seed in [3, 4, 5] {
        let (first, second) = (world(seed, &[]), world(seed, &[]));
        assert_eq!(first.verdict(), second.verdict());
        assert_eq!(first.text, second.text);
        hashes.push(first.hash().to_owned());
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 3);
}

#[test]
fn where_nothing_goes_wrong_every_request_succeeds_and_no_shard_is_left_over_or_missing() {
    worlds(0..5, &["--calm"], |_, said| {
        assert!(said.good, "{}", said.text);
        assert!(said.verdict().contains("unknown: 0, refused: 0"), "{}", said.text);
    });
}

/// A defect is found by one of the first seeds, and by what it should be found by.
fn is_found(defect: &str, by: &[&str]) {
    for seed in 0..20 {
        let said = world(seed, &["--sabotage", defect]);
        if !said.good {
            assert!(by.iter().any(|by| said.text.contains(by)), "found by something else: {}", said.text);
            println!("{}", said.verdict());
            return;
        }
    }
    panic!("twenty worlds did not see {defect}");
}

#[test]
fn acknowledging_before_the_quorum_is_found() {
    is_found("early-ack", &["endangered", "can be read: not within", "is not linearizable"]);
}

#[test]
fn disks_that_ignore_syncs_are_found() {
    is_found(
        "ignored-syncs",
        &["endangered", "can be read: not within", "not within", "did not come through"],
    );
}

#[test]
fn shards_that_are_not_deleted_are_found() {
    is_found("forgotten-deletes", &["freed and still there"]);
}

#[test]
fn an_upload_that_becomes_an_object_without_one_of_its_parts_is_found() {
    is_found("lost-part", &["bytes that nobody wrote", "tag that nobody wrote"]);
}

#[test]
fn a_delete_that_removes_another_version_than_it_names_is_found() {
    is_found("other-version", &["the history of versions is not linearizable"]);
}

#[test]
fn moves_that_are_finished_before_anything_was_brought_are_found() {
    is_found("hasty-moves", &["endangered", "incomplete", "can be read: not within"]);
}

#[test]
fn a_rename_that_leaves_its_source_is_found() {
    is_found("left-source", &["is not linearizable"]);
}

#[test]
fn a_page_of_versions_that_skips_some_is_found() {
    is_found("skipped-versions", &["the history of versions is not linearizable"]);
}

#[test]
fn a_drain_that_is_said_to_have_ended_too_early_is_found() {
    is_found("early-drain", &["was drained and holds what is named"]);
}
