//! The order of a group's disks: which hold data, which hold the copies of small objects, which comes first.

use types::Coding;

use crate::{
    seeded,
    tree::{LEVELS, Tree},
};

/// Lengths of the fronts of a group that matter, the longest first: the first disk (the first copy of small objects is
/// read from it), the first m + 1 (they hold the copies) and the first k (a healthy read touches them alone).
pub(crate) fn front_lengths(coding: Coding) -> Vec<usize> {
    let mut lengths = vec![coding.data(), coding.parity() + 1, 1];
    lengths.retain(|length| *length < coding.total());
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.dedup();
    lengths
}

/// Orders groups so that every disk is as often in each front as its share asks for.
pub(crate) struct Orderer<'a> {
    tree: &'a Tree,
    /// For each disk the fraction of groups it is in.
    shares: &'a [f64],
    size: usize,
    seed: u64,
    fronts: Vec<Front>,
}

struct Front {
    length: usize,
    /// How often each disk has been in it.
    counts: Vec<f64>,
}

impl<'a> Orderer<'a> {
    pub(crate) fn new(tree: &'a Tree, shares: &'a [f64], coding: Coding, seed: u64) -> Self {
        let size = coding.total();
        let front = |length| Front { length, counts: vec![0.0; shares.len()] };
        Self { tree, shares, size, seed, fronts: front_lengths(coding).into_iter().map(front).collect() }
    }

    /// Orders the members of group number `group`; groups come in order of their numbers.
    pub(crate) fn order(&mut self, group: usize, members: &[usize]) -> Vec<usize> {
        let mut behind: Vec<Vec<usize>> = Vec::new();
        let mut ahead = members.to_vec();
        ahead.sort_by(|a, b| {
            seeded::fraction(!self.seed, group, *a).total_cmp(&seeded::fraction(!self.seed, group, *b))
        });
        // The longest front is chosen from all members, each shorter one from the one before.
        for at in 0..self.fronts.len() {
            let chosen = self.choose(group, &ahead, at);
            for disk in &chosen {
                self.fronts[at].counts[*disk] += 1.0;
            }
            behind.push(ahead.into_iter().filter(|disk| !chosen.contains(disk)).collect());
            ahead = chosen;
        }
        behind.into_iter().rev().fold(ahead, |mut order, part| {
            order.extend(part);
            order
        })
    }

    /// Members for a front: spread over domains first, because the copies of a small object must not share a fate
    /// that they can avoid, then those that were in front too seldom.
    fn choose(&self, group: usize, members: &[usize], front: usize) -> Vec<usize> {
        let Front { length, counts } = &self.fronts[front];
        #[expect(clippy::cast_precision_loss, reason = "a few thousand groups of a few dozen disks")]
        let expected = *length as f64 / self.size as f64 * (group + 1) as f64;
        let mut chosen: Vec<usize> = Vec::with_capacity(*length);
        let mut left = members.to_vec();
        while chosen.len() < *length {
            let crowd = |disk: usize| -> [usize; LEVELS] {
                let domains = self.tree.of_disk[disk];
                std::array::from_fn(|level| {
                    chosen.iter().filter(|other| self.tree.of_disk[**other][level] == domains[level]).count()
                })
            };
            let excess = |disk: usize| counts[disk] - self.shares[disk] * expected;
            let best = (0..left.len()).min_by(|a, b| {
                let (a, b) = (left[*a], left[*b]);
                crowd(a).cmp(&crowd(b)).then_with(|| excess(a).total_cmp(&excess(b)))
            });
            let Some(best) = best else { break };
            chosen.push(left.remove(best));
        }
        chosen
    }
}
