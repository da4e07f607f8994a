//! The share of shards that each disk is to hold.

use crate::tree::{LEVELS, Tree};

/// For each disk, the fraction of groups it is to be in: proportional to its weight as far as the caps allow. The
/// fractions add up to `size`, the disks of a group, and none is above 1.
pub(crate) fn shares(tree: &Tree, weights: &[u64], caps: &[usize; LEVELS], size: usize) -> Vec<f64> {
    let bounds = tree.bounds(caps);
    let mut domain_weights: [Vec<f64>; LEVELS] = std::array::from_fn(|level| vec![0.0; tree.count(level)]);
    for (disk, domains) in tree.of_disk.iter().enumerate() {
        for level in 0..LEVELS {
            domain_weights[level][domains[level]] += as_float(weights[disk]);
        }
    }
    // From the top down, each domain's share is dealt to its parts.
    let mut above = vec![as_float(size as u64)];
    for level in 0..LEVELS {
        let parts = (0..tree.count(level))
            .map(|domain| Part {
                of: tree.parents[level][domain],
                weight: domain_weights[level][domain],
                bound: as_float(bounds[level][domain] as u64),
            })
            .collect::<Vec<_>>();
        above = deal(&above, &parts);
    }
    let disks = tree.of_disk.iter().zip(weights);
    let disks = disks.map(|(domains, weight)| Part {
        of: domains[LEVELS - 1],
        weight: as_float(*weight),
        bound: 1.0,
    });
    deal(&above, &disks.collect::<Vec<_>>())
}

struct Part {
    of: usize,
    weight: f64,
    bound: f64,
}

/// Deals each of `amounts` to the parts that are `of` it, by weight, no part above its bound.
fn deal(amounts: &[f64], parts: &[Part]) -> Vec<f64> {
    let mut dealt = vec![0.0; parts.len()];
    let mut open: Vec<usize> = (0..parts.len()).collect();
    let mut left = amounts.to_vec();
    loop {
        let mut weights = vec![0.0; amounts.len()];
        for part in &open {
            weights[parts[*part].of] += parts[*part].weight;
        }
        let share = |part: usize| left[parts[part].of] * parts[part].weight / weights[parts[part].of];
        let (full, rest): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|part| share(**part) > parts[**part].bound);
        if full.is_empty() {
            for part in rest {
                dealt[part] = share(part);
            }
            return dealt;
        }
        for part in full {
            dealt[part] = parts[part].bound;
            left[parts[part].of] -= parts[part].bound;
        }
        open = rest;
    }
}

#[expect(clippy::cast_precision_loss, reason = "weights need no more than 53 bits")]
fn as_float(number: u64) -> f64 {
    number as f64
}
