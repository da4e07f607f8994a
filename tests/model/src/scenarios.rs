//! The scenarios that are checked: several small ones, each of which lets a few parts of the protocol meet.

use crate::scenario::{
    Request::{Abort, Complete, Copy, Delete, Get, Part, Put, Recode},
    Scenario,
};

/// Checked by the tests: name, and the least number of different states that it has.
pub const QUICK: &[(&str, usize)] = &[
    ("reap", 1_000),
    ("join", 400_000),
    ("copy", 1_500),
    ("abort", 500),
    ("complete", 1_500),
    ("multipart", 50_000),
    ("overwrite", 6_000),
    ("recode", 300_000),
    ("recode, copy", 400_000),
    ("recode, read", 15_000),
    ("move", 1_000),
    ("first lease", 1_000),
    ("two moves", 10_000),
    ("back", 50_000),
    ("reverse", 20_000),
    ("outage", 20_000),
    ("loss", 2_000),
    ("rot", 4_000),
    ("repair", 10_000),
    ("read", 400_000),
    ("delete", 80_000),
    ("delete, given up", 100_000),
    ("abandon", 100_000),
    ("given up commit", 5_000),
    ("two movers", 100_000),
    ("back, outage", 100_000),
    ("back, rot", 20_000),
];

/// Checked by `tests/model/run --deep` besides those.
pub const DEEP: &[(&str, usize)] = &[
    ("delete, late", 400_000),
    ("delete, back", 400_000),
    ("put and copy", 400_000),
    ("put and copy, two collectors", 1_000_000),
    ("parts and reaper", 1_000_000),
    ("recode, reaped", 1_000_000),
    ("read, two moves", 500_000),
    ("abandon, fences one by one", 500_000),
    ("abandon, back", 700_000),
    ("abandon, reverse", 700_000),
    ("two movers, two reversals", 800_000),
    ("repair, back, outage", 800_000),
];

/// One object is written.
const PUT: &[crate::scenario::Request] = &[Put { key: 0, chunk: 0 }];

/// The chunk of [`PUT`] is written anew.
const RECODE: crate::scenario::Request = Recode { key: 0, from: 0, to: 1 };

/// A scenario by its name.
pub(crate) fn named(name: &str) -> Scenario {
    commits(name).or_else(|| moves(name)).expect("scenarios are asked for by names of the lists above")
}

/// Leases, the reaper, commits and garbage; nothing moves.
fn commits(name: &str) -> Option<Scenario> {
    let quiet = Scenario::quiet();
    Some(match name {
        "reap" => Scenario { programs: [PUT, &[], &[]], reaps: true, abandons: true, ..quiet },
        "join" => Scenario { spare_joins: true, reaps_by_old_maps: true, moves: &[(0, 2)], ..named("reap") },
        "copy" => Scenario {
            programs: [&[Put { key: 0, chunk: 0 }, Delete { key: 0 }], &[Copy { from: 0, to: 1 }], &[]],
            collectors: 2,
            ..quiet
        },
        "abort" => Scenario {
            programs: [&[Part { part: 0, chunk: 0 }], &[Complete { key: 0 }], &[Abort]],
            collectors: 1,
            ..quiet
        },
        "complete" => Scenario {
            programs: [&[Part { part: 0, chunk: 0 }], &[Complete { key: 0 }], &[]],
            reaps: true,
            ..quiet
        },
        "multipart" => Scenario {
            programs: [
                &[Part { part: 0, chunk: 0 }, Part { part: 1, chunk: 1 }],
                &[Complete { key: 0 }, Delete { key: 0 }],
                &[Copy { from: 0, to: 1 }, Get { key: 1 }],
            ],
            collectors: 1,
            ..quiet
        },
        "overwrite" => Scenario {
            programs: [PUT, &[Put { key: 0, chunk: 1 }], &[]],
            minted_by: [0, 1, 0],
            collectors: 1,
            ..quiet
        },
        "put and copy" => Scenario {
            programs: [
                &[Put { key: 0, chunk: 0 }, Put { key: 0, chunk: 1 }],
                &[Copy { from: 0, to: 1 }, Delete { key: 1 }],
                &[],
            ],
            reaps: true,
            abandons: true,
            collectors: 1,
            ..quiet
        },
        "put and copy, two collectors" => Scenario { collectors: 2, ..named("put and copy") },
        "parts and reaper" => Scenario {
            programs: [
                &[Part { part: 0, chunk: 0 }, Part { part: 0, chunk: 1 }],
                &[Complete { key: 0 }],
                &[Abort],
            ],
            reaps: true,
            collectors: 1,
            ..quiet
        },
        "recode" => Scenario {
            programs: [&[Put { key: 0, chunk: 0 }, Put { key: 0, chunk: 2 }], &[RECODE], &[]],
            minted_by: [0, 1, 0],
            collectors: 1,
            ..quiet
        },
        "recode, copy" => Scenario {
            programs: [
                &[Put { key: 0, chunk: 0 }, Delete { key: 0 }],
                &[RECODE],
                &[Copy { from: 0, to: 1 }, Delete { key: 1 }],
            ],
            collectors: 2,
            ..named("recode")
        },
        "recode, read" => Scenario {
            programs: [&[Put { key: 0, chunk: 0 }], &[RECODE], &[Get { key: 0 }]],
            ..named("recode")
        },
        "recode, reaped" => Scenario {
            programs: [&[Put { key: 0, chunk: 0 }], &[RECODE], &[Copy { from: 0, to: 1 }]],
            reaps: true,
            abandons: true,
            ..named("recode")
        },
        _ => return None,
    })
}

/// Moves, and what may meet them.
fn moves(name: &str) -> Option<Scenario> {
    let quiet = Scenario::quiet();
    Some(match name {
        "move" => Scenario { programs: [PUT, &[], &[]], moves: &[(0, 2)], ..quiet },
        "first lease" => Scenario { has_leases: false, ..named("move") },
        "two moves" => Scenario { moves: &[(0, 2), (1, 0)], ..named("move") },
        "back" => Scenario { moves: &[(0, 2), (0, 0)], late_workers: true, ..named("move") },
        "reverse" => Scenario { reversals: 1, late_workers: true, ..named("move") },
        "outage" => Scenario { outages: 1, late_workers: true, ..named("move") },
        "loss" => Scenario { losses: 1, quorum: 2, late_workers: true, ..named("move") },
        "rot" => Scenario { rot: 1, quorum: 2, late_workers: true, ..named("move") },
        "repair" => Scenario { repairs_by_old_maps: true, late_workers: true, ..named("move") },
        "read" => Scenario { programs: [PUT, &[Get { key: 0 }], &[]], ..named("two moves") },
        "read, two moves" => Scenario { reversals: 1, ..named("read") },
        "delete" => Scenario {
            programs: [&[Put { key: 0, chunk: 0 }, Delete { key: 0 }], &[], &[]],
            collectors: 1,
            ..named("move")
        },
        "delete, given up" => Scenario { outages: 1, gives_up: true, ..named("delete") },
        "delete, late" => Scenario { late_workers: true, ..named("delete") },
        "delete, back" => Scenario { moves: &[(0, 2), (0, 0)], ..named("delete") },
        "abandon" => Scenario { reaps: true, abandons: true, ..named("move") },
        "given up commit" => Scenario { reaps: true, gives_commits_up: true, ..named("move") },
        "abandon, fences one by one" => {
            Scenario { fences_one_by_one: true, late_workers: true, ..named("abandon") }
        }
        "abandon, back" => Scenario { moves: &[(0, 2), (0, 0)], listing: [0, 1, 2], ..named("abandon") },
        "abandon, reverse" => Scenario { reversals: 1, ..named("abandon") },
        "two movers" => Scenario { movers: 2, moves: &[(0, 2), (0, 0)], ..named("move") },
        "two movers, two reversals" => Scenario { movers: 2, reversals: 2, ..named("move") },
        "back, outage" => Scenario { outages: 1, ..named("back") },
        "back, rot" => Scenario { rot: 1, quorum: 2, ..named("back") },
        "repair, back, outage" => Scenario { repairs_by_old_maps: true, ..named("back, outage") },
        _ => return None,
    })
}
