//! Counting which of a chunk's shards are stable.

use chunk_api::Error;
use types::Coding;

use crate::{snapshot::Domains, write::choose::Part};

/// What is known of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// On its way.
    Pending,
    /// It survives a power cut.
    Stable,
    /// It was not tried, because its disk is down.
    Skipped,
    /// It failed.
    Failed(Error),
}

/// The outcomes of a chunk's shards.
#[derive(Debug)]
pub(crate) struct Tally {
    coding: Coding,
    outcomes: Vec<Outcome>,
    parts: Vec<Part>,
    /// Where each shard's disk stands, if that is known.
    domains: Vec<Option<Domains>>,
}

impl Tally {
    /// All shards pending but those that are left out.
    pub(crate) fn new(coding: Coding, parts: &[Part], domains: impl Fn(usize) -> Option<Domains>) -> Self {
        let outcome = |part: &Part| if *part == Part::Out { Outcome::Skipped } else { Outcome::Pending };
        Self {
            coding,
            outcomes: parts.iter().map(outcome).collect(),
            parts: parts.to_vec(),
            domains: (0..parts.len()).map(domains).collect(),
        }
    }

    /// Takes a shard's result in.
    pub(crate) fn record(&mut self, position: usize, result: Result<(), Error>) {
        self.outcomes[position] = result.map_or_else(Outcome::Failed, |()| Outcome::Stable);
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|outcome| which(outcome)).count()
    }

    /// Shards that are stable or may yet be.
    pub(crate) fn reachable(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Pending | Outcome::Stable))
    }

    /// Shards that are stable.
    pub(crate) fn stable(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Stable)
    }

    /// Whether the quorum can no longer be reached.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.reachable() < self.coding.write_quorum()
    }

    /// Whether the quorum can be reached with one shard less.
    pub(crate) fn can_spare_one(&self) -> bool {
        self.reachable() > self.coding.write_quorum()
    }

    /// Whether enough shards are stable.
    pub(crate) fn has_quorum(&self) -> bool {
        self.stable() >= self.coding.write_quorum()
    }

    /// Whether the chunk could be read if any one host were lost, or any one rack, zone or region. Of a level where it
    /// could not be read either way, by the shards that are stable and those that are waited for, nothing is asked.
    pub(crate) fn survives_a_domain(&self) -> bool {
        let is_stable = |position: usize| self.outcomes[position] == Outcome::Stable;
        let may_be = |position: usize| {
            is_stable(position)
                || (self.outcomes[position] == Outcome::Pending && self.parts[position] == Part::Full)
        };
        (0..Domains::default().len())
            .all(|level| !self.survives_at(level, may_be) || self.survives_at(level, is_stable))
    }

    /// Whether these shards are enough to read the chunk without those of any one domain of a level.
    fn survives_at(&self, level: usize, counts: impl Fn(usize) -> bool) -> bool {
        let domain = |position: usize| self.domains[position].map(|domains| domains[level]);
        let counted = || (0..self.outcomes.len()).filter(|position| counts(*position));
        counted().all(|lost| {
            counted().filter(|other| domain(*other) != domain(lost)).count() >= self.coding.data()
        })
    }

    /// Whether the outcome of every shard that is waited for is known.
    pub(crate) fn is_complete(&self) -> bool {
        !self
            .outcomes
            .iter()
            .zip(&self.parts)
            .any(|(outcome, part)| *outcome == Outcome::Pending && *part == Part::Full)
    }

    /// Whether a shard is not waited for while others suffice.
    pub(crate) fn goes_along(&self, position: usize) -> bool {
        self.parts[position] == Part::Along
    }

    /// Shards that are not known to be stable, with what is known.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        self.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome != Outcome::Stable)
    }
}

#[cfg(test)]
mod tests {
    use chunk_api::Error;
    use types::Coding;

    use super::Tally;
    use crate::{snapshot::Domains, write::choose::Part};

    #[test]
    fn the_quorum_table() {
        // Coding, shards tried, stable and failed among them; then whether there is a quorum and whether hope is lost.
        for (text, tried, stable, failed, quorum, hopeless) in [
            ("1+0", 1, 0, 0, false, false),
            ("1+0", 1, 1, 0, true, false),
            ("1+0", 1, 0, 1, false, true),
            ("1+1", 2, 1, 0, false, false),
            ("1+1", 2, 1, 1, false, true),
            ("1+2", 3, 2, 1, true, false),
            ("1+2", 3, 1, 2, false, true),
            ("2+1", 3, 2, 0, false, false),
            ("2+1", 3, 3, 0, true, false),
            ("2+1", 2, 2, 0, false, true),
            ("4+2", 6, 4, 0, false, false),
            ("4+2", 6, 4, 1, false, false),
            ("4+2", 6, 5, 1, true, false),
            ("4+2", 5, 4, 0, false, false),
            ("4+2", 5, 5, 0, true, false),
            ("4+2", 5, 4, 1, false, true),
            ("8+4", 12, 9, 2, false, false),
            ("8+4", 12, 10, 2, true, false),
            ("8+4", 12, 9, 3, false, true),
        ] {
            let coding: Coding = text.parse().unwrap();
            let mut tally = Tally::new(
                coding,
                &Vec::from_iter((0..coding.total()).map(|i| if i < tried { Part::Full } else { Part::Out })),
                |_| None,
            );
            (0..stable).for_each(|position| tally.record(position, Ok(())));
            (stable..stable + failed).for_each(|position| tally.record(position, Err(Error::TimedOut)));
            let case = format!("{text} {tried} {stable} {failed}");
            assert_eq!(tally.has_quorum(), quorum, "{case}");
            assert_eq!(tally.is_hopeless(), hopeless, "{case}");
            assert_eq!(tally.is_complete(), stable + failed == tried, "{case}");
            assert_eq!(tally.missing().count(), coding.total() - stable, "{case}");
        }
    }

    #[test]
    fn a_shard_that_goes_along_counts_but_is_not_waited_for() {
        let coding: Coding = "4+2".parse().unwrap();
        let mut tally = Tally::new(coding, &[[Part::Full; 5].as_slice(), &[Part::Along]].concat(), |_| None);
        assert!(tally.can_spare_one());
        tally.record(0, Err(Error::TimedOut));
        assert!(!tally.is_hopeless());
        (1..5).for_each(|position| tally.record(position, Ok(())));
        assert!(tally.is_complete() && !tally.has_quorum());
        tally.record(5, Ok(()));
        assert!(tally.has_quorum());
    }

    /// Shards on three hosts with two disks each, in one rack.
    fn on_three_hosts(position: usize) -> Option<Domains> {
        Some([0, 1, 2, 3 + position / 2])
    }

    #[test]
    fn what_is_stable_outlives_a_host_wherever_the_whole_chunk_would() {
        let coding: Coding = "4+2".parse().unwrap();
        let full = [Part::Full; 6];
        let mut tally = Tally::new(coding, &full, on_three_hosts);
        (0..5).for_each(|position| tally.record(position, Ok(())));
        assert!(tally.has_quorum() && !tally.survives_a_domain(), "without the first host three are left");
        tally.record(5, Ok(()));
        assert!(tally.survives_a_domain());

        // A shard that cannot come any more is not waited for.
        let mut tally = Tally::new(coding, &full, on_three_hosts);
        (0..5).for_each(|position| tally.record(position, Ok(())));
        tally.record(5, Err(Error::TimedOut));
        assert!(tally.survives_a_domain());
        let mut tally =
            Tally::new(coding, &[[Part::Full; 5].as_slice(), &[Part::Along]].concat(), on_three_hosts);
        (0..5).for_each(|position| tally.record(position, Ok(())));
        assert!(tally.survives_a_domain());

        // On six hosts the quorum is enough.
        let mut tally = Tally::new(coding, &full, |position| Some([0, 1, 2, 3 + position]));
        (1..6).for_each(|position| tally.record(position, Ok(())));
        assert!(tally.survives_a_domain());
    }

    #[test]
    fn racks_and_zones_count_as_hosts_do() {
        // Three zones of two racks of one host.
        let coding: Coding = "4+2".parse().unwrap();
        let place = |position: usize| Some([0, 1 + position / 2, 4 + position, 10 + position]);
        let mut tally = Tally::new(coding, &[Part::Full; 6], place);
        for position in 0..6 {
            tally.record(position, Ok(()));
            assert_eq!(tally.survives_a_domain(), position == 5, "{position}");
        }
    }
}
