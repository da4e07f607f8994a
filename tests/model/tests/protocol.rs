//! The protocol holds in every scenario, and every rule that is left out is caught.

use model::{
    check::{check, check_without},
    sabotage::Sabotage,
    scenarios,
};

macro_rules! holds {
    ($($name:ident: $scenarios:expr;)+) => {
        $(
            #[test]
            fn $name() {
                holds($scenarios);
            }
        )+

        /// Every quick scenario is in one of the lists.
        #[test]
        fn every_scenario_is_checked() {
            let lists: &[&[&str]] = &[$($scenarios),+];
            let listed = lists.concat();
            for (name, _) in scenarios::QUICK {
                assert!(listed.contains(name), "{name} is not checked by any test");
            }
        }
    };
}

holds! {
    commits_and_garbage: &["copy", "abort", "complete", "overwrite", "multipart"];
    recoding: &["recode", "recode, copy", "recode, read"];
    reaper: &["reap"];
    reaper_when_a_disk_joins: &["join"];
    moves: &["move", "first lease", "two moves"];
    moves_back_and_reversals: &["back", "reverse"];
    moves_when_disks_fail: &["outage", "loss", "rot", "repair", "back, rot"];
    moves_back_when_disks_are_away: &["back, outage"];
    moves_with_readers: &["read"];
    moves_with_deletions: &["delete"];
    deletions_that_do_not_wait_for_a_disk: &["delete, given up"];
    moves_with_writes_given_up: &["abandon", "given up commit"];
    moves_by_two_movers: &["two movers"];
}

/// Checks scenarios to the last state. The floor shows that a scenario has not become empty unnoticed.
fn holds(names: &[&str]) {
    for name in names {
        let (_, floor) = scenarios::QUICK.iter().find(|(other, _)| other == name).expect("a quick scenario");
        let outcome = check(name);
        println!("{name}: {outcome}");
        assert!(outcome.is_good(), "{name}: {outcome}");
        assert!(outcome.different >= *floor, "{name} has only {} states", outcome.different);
    }
}

#[test]
fn every_rule_that_is_left_out_is_caught() {
    for &sabotage in Sabotage::ALL {
        let (name, property) = sabotage.exposed_by();
        let outcome = check_without(sabotage);
        println!("{name} with {sabotage:?}: {outcome}");
        let is_caught = outcome.violations.iter().any(|(violated, _)| *violated == property);
        assert!(is_caught, "{sabotage:?} in {name} does not break '{property}': {outcome}");
    }
}

/// A sabotage proves nothing in a scenario that is broken without it.
#[test]
fn sabotages_are_shown_in_scenarios_that_hold() {
    for &sabotage in Sabotage::ALL {
        let (name, _) = sabotage.exposed_by();
        assert!(scenarios::QUICK.iter().any(|(other, _)| *other == name), "{name} is not a quick scenario");
    }
}
