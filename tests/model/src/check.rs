//! Runs the checker over a scenario.

use std::fmt;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{model::Protocol, properties::RESTS, sabotage::Sabotage, scenario::Scenario, scenarios};

/// What the checker found.
pub struct Outcome {
    /// States that were looked at, counting each as often as it was reached.
    pub states: usize,
    /// Different states.
    pub different: usize,
    /// The longest path that was followed.
    pub depth: usize,
    /// Whether the model came to rest.
    pub rests: bool,
    /// The properties that were violated, each with the steps that lead there.
    pub violations: Vec<(&'static str, Vec<String>)>,
}

impl Outcome {
    /// Whether every state was looked at and is as it should be.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.rests
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} different, depth {}", self.states, self.different, self.depth)?;
        if !self.rests && self.violations.is_empty() {
            write!(f, ", never comes to rest")?;
        }
        for (property, steps) in &self.violations {
            write!(f, "\nviolated after {} steps: {property}", steps.len())?;
            for step in steps {
                write!(f, "\n    {step}")?;
            }
        }
        Ok(())
    }
}

/// Looks at every state of a scenario, or until a property is violated.
pub fn check(name: &str) -> Outcome {
    run(scenarios::named(name))
}

/// Looks for the violation that leaving out a rule leads to, in the scenario that exposes it. Of the ways to a violation it finds a
/// shortest one.
pub fn check_without(sabotage: Sabotage) -> Outcome {
    let (name, _) = sabotage.exposed_by();
    run(Scenario { sabotage: Some(sabotage), ..scenarios::named(name) })
}

fn run(scenario: Scenario) -> Outcome {
    let checker = Protocol { scenario }.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let violations = discoveries.iter().filter(|(name, _)| **name != RESTS).map(|(name, path)| {
        (*name, path.clone().into_actions().iter().map(|action| format!("{action:?}")).collect())
    });
    Outcome {
        states: checker.state_count(),
        different: checker.unique_state_count(),
        depth: checker.max_depth(),
        rests: discoveries.contains_key(RESTS),
        violations: violations.collect(),
    }
}
