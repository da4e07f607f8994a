//! Checks the scenarios that are named, or all of them, and prints what was found.

use std::process::ExitCode;

use model::{
    check::{check, check_without},
    sabotage::Sabotage,
    scenarios,
};

const HELP: &str = "usage: tests/model/run [--deep] [SCENARIO...]
Checks scenarios of the protocol exhaustively and prints a line for each; without names all of the quick ones and every sabotage.
--deep adds the large ones.";

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.iter().any(|name| name == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let is_deep = names.iter().any(|name| name == "--deep");
    names.retain(|name| name != "--deep");
    let known = || scenarios::QUICK.iter().chain(scenarios::DEEP);
    if let Some(unknown) = names.iter().find(|name| !known().any(|(other, _)| other == name)) {
        eprintln!("no scenario is named {unknown}\n{HELP}");
        return ExitCode::from(2);
    }
    let (mut passed, mut failed) = (0, 0);
    let mut count = |is_good| if is_good { passed += 1 } else { failed += 1 };
    let all = scenarios::QUICK.iter().chain(scenarios::DEEP.iter().filter(|_| is_deep || !names.is_empty()));
    for (name, floor) in all.filter(|(name, _)| names.is_empty() || names.iter().any(|other| other == name)) {
        let outcome = check(name);
        println!("{name}: {outcome}");
        count(outcome.is_good() && outcome.different >= *floor);
    }
    for &sabotage in Sabotage::ALL.iter().filter(|_| names.is_empty()) {
        let (name, property) = sabotage.exposed_by();
        let outcome = check_without(sabotage);
        let is_caught = outcome.violations.iter().any(|(violated, _)| *violated == property);
        let steps = outcome.violations.iter().map(|(_, steps)| steps.len()).min().unwrap_or(0);
        println!(
            "{name} with {sabotage:?}: {}",
            if is_caught { format!("caught after {steps} steps") } else { outcome.to_string() }
        );
        count(is_caught);
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
