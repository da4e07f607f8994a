//! Random operations played to a model and to a subject, answers compared.
//!
//! The seed determines the operations, so a difference is replayed by its seed. What two correct stores may choose
//! differently is named instead of compared: version ids, upload ids and bucket numbers by the order in which they
//! were first seen, chunks by their counter; times are left out.

mod operation;
mod play;
mod side;

use std::sync::Arc;

use env::Env;

use self::{
    operation::{Operation, Planner},
    side::Side,
};
use super::support::Store;
use metadata_api::{Metadata, fake::Fake};

/// Plays `operations` random operations to both, and fails at the first answer that differs.
///
/// Both are used with buckets and a lease of their own and need a garbage hold of zero.
pub async fn compare(model: &Arc<dyn Metadata>, subject: &Arc<dyn Metadata>, seed: u64, operations: usize) {
    let mut planner = Planner::new(seed);
    let (mut model, mut subject) = (Side::new(model.clone()).await, Side::new(subject.clone()).await);
    for number in 0..operations {
        let operation = planner.next(&model);
        step(&mut planner, &mut model, &mut subject, &operation, (seed, number)).await;
        if number % 100 == 99 || number + 1 == operations {
            for operation in Operation::overview() {
                step(&mut planner, &mut model, &mut subject, &operation, (seed, number)).await;
            }
        }
    }
}

async fn step(
    planner: &mut Planner,
    model: &mut Side,
    subject: &mut Side,
    operation: &Operation,
    (seed, number): (u64, usize),
) {
    let expected = model.play(operation).await;
    let answer = match operation {
        // Garbage may take a moment to fall due.
        Operation::Collect => subject.collect_until(&expected.text).await,
        _ => subject.play(operation).await,
    };
    planner.learn(operation, expected.succeeded);
    assert_eq!(
        answer.text, expected.text,
        "seed {seed}, operation {number}, {operation:#?}: answer, then the model's"
    );
}

/// The store against the in-memory fake, for a few seeds.
pub async fn random_operations_agree_with_the_model(store: &Store) {
    for seed in 0..3 {
        let model: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
        compare(&model, store, seed, 500).await;
    }
}
