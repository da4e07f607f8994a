//! The check against hand-made histories, and against brute force on random ones.

use super::{Anomaly, Cluster, NEVER, Time, check};
use crate::torture::chance::Chance;

fn cluster(write: (Time, Time), reads: &[(Time, Time)]) -> Cluster {
    let mut cluster = Cluster::new(write.0, write.1);
    reads.iter().for_each(|(start, finish)| cluster.read(*start, *finish));
    cluster
}

#[test]
fn values_in_a_row_and_concurrent_ones_are_fine() {
    let row = [cluster((1, 2), &[(3, 4), (3, 9)]), cluster((5, 6), &[(7, 8)])];
    assert_eq!(check(&row), []);
    let concurrent = [cluster((1, 10), &[(8, 9), (11, 12)]), cluster((2, 7), &[(3, 6)])];
    assert_eq!(check(&concurrent), []);
}

#[test]
fn a_stale_read_is_an_overlap() {
    // 0 is read after 1 was.
    let stale = [cluster((1, 2), &[(9, 10)]), cluster((3, 4), &[(5, 6)])];
    assert_eq!(check(&stale), [Anomaly::Overlap(0, 1)]);
}

#[test]
fn a_write_that_nobody_read_counts_when_it_was_acknowledged() {
    let overwritten = [cluster((1, 2), &[(9, 10)]), cluster((4, 5), &[])];
    assert_eq!(check(&overwritten), [Anomaly::Inside(1, 0)]);
    let unknown = [cluster((1, 2), &[(9, 10)]), cluster((4, NEVER), &[])];
    assert_eq!(check(&unknown), []);
}

#[test]
fn an_unknown_write_may_take_effect_late_but_not_come_and_go() {
    let late = [cluster((1, NEVER), &[(9, 10)]), cluster((2, 3), &[(4, 5)])];
    assert_eq!(check(&late), []);
    let twice = [cluster((1, NEVER), &[(2, 3), (9, 10)]), cluster((4, 5), &[(6, 7)])];
    assert_eq!(check(&twice), [Anomaly::Overlap(0, 1)]);
}

#[test]
fn a_read_cannot_know_the_future() {
    assert_eq!(check(&[cluster((5, 6), &[(1, 2), (7, 8)])]), [Anomaly::ReadBeforeWrite(0)]);
}

/// An operation of a random history: value 0 is there from the beginning, each other is written once.
#[derive(Debug, Clone, Copy)]
struct Operation {
    value: usize,
    write: bool,
    start: Time,
    finish: Time,
}

fn history(chance: &mut Chance) -> Vec<Operation> {
    let mut interval = || {
        let start = chance.between(1, 24);
        (start, start + chance.between(0, 8))
    };
    let mut operations: Vec<_> = (1..=3)
        .map(|value| {
            let (start, finish) = interval();
            Operation { value, write: true, start, finish }
        })
        .collect();
    let spans = [interval(), interval(), interval(), interval()];
    operations.extend(spans.map(|(start, finish)| Operation { value: 0, write: false, start, finish }));
    for operation in &mut operations {
        if !operation.write {
            operation.value = usize::try_from(chance.below(4)).unwrap();
        } else if chance.percent(20) {
            operation.finish = NEVER;
        }
    }
    operations.truncate(usize::try_from(chance.between(2, 7)).unwrap());
    operations.retain(|operation| operation.write || operation.value == 0 || chance.percent(85));
    let written: Vec<usize> = operations.iter().filter(|o| o.write).map(|o| o.value).collect();
    operations.retain(|operation| operation.value == 0 || written.contains(&operation.value));
    operations
}

/// Tries every order that respects what ended before something else started.
fn linearizable(left: &[Operation], current: usize) -> bool {
    let must_happen = |operation: &Operation| operation.finish != NEVER;
    if !left.iter().any(must_happen) {
        return true;
    }
    left.iter().enumerate().any(|(index, operation)| {
        let minimal = left.iter().all(|other| other.finish >= operation.start);
        let legal = operation.write || operation.value == current;
        let mut rest = left.to_vec();
        rest.remove(index);
        minimal && legal && linearizable(&rest, operation.value)
    })
}

#[test]
fn agrees_with_brute_force_on_random_histories() {
    let mut chance = Chance::new(20_260_101, &[]);
    let mut counts = [0_u32; 2];
    for round in 0..30_000 {
        let operations = history(&mut chance);
        let mut clusters: Vec<_> = (0..=3).map(|_| Cluster::new(NEVER, NEVER)).collect();
        clusters[0] = Cluster::new(0, 0);
        for operation in operations.iter().filter(|operation| operation.write) {
            clusters[operation.value] = Cluster::new(operation.start, operation.finish);
        }
        for operation in operations.iter().filter(|operation| !operation.write) {
            clusters[operation.value].read(operation.start, operation.finish);
        }
        let (found, wanted) = (check(&clusters).is_empty(), linearizable(&operations, 0));
        assert_eq!(found, wanted, "round {round}: {operations:#?}\n{:?}", check(&clusters));
        counts[usize::from(wanted)] += 1;
    }
    // Both answers are tried often.
    assert!(counts.iter().all(|count| *count > 3_000), "{counts:?}");
}

#[test]
fn one_stale_read_among_a_hundred_thousand_operations_is_found() {
    let mut clusters = vec![Cluster::new(0, 0)];
    for value in 1..20_000_u64 {
        let mut cluster = Cluster::new(value * 10, value * 10 + 5);
        (1..5).for_each(|read| cluster.read(value * 10 + read, value * 10 + 6 + read));
        clusters.push(cluster);
    }
    assert_eq!(check(&clusters), []);
    clusters[7_000].read(70_017, 70_018);
    assert_eq!(check(&clusters), [Anomaly::Inside(7_001, 7_000)]);
}
