//! What requests of each operation can say, from the list that is made of AWS's model. The page of compatibility is made from it too.

use std::collections::{BTreeMap, BTreeSet};

use s3_wire::{Operation, operation::Kind};

const MODEL: &str = include_str!("../../model/fields.txt");

/// Operations of the model that cannot be told from their successors, by whose names they are known here.
const SUPERSEDED: [(&str, &str); 4] = [
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
];

/// What requests of an operation can say.
#[derive(Default)]
pub(super) struct Said {
    /// Headers and query parameters, with what they are.
    pub(super) fields: BTreeSet<(&'static str, &'static str)>,
    /// The paths of the elements of a body.
    pub(super) elements: BTreeSet<&'static str>,
}

/// The operations of the model by their names.
pub(super) fn model() -> BTreeMap<&'static str, Said> {
    let mut model: BTreeMap<&str, Said> = BTreeMap::new();
    let mut current = "";
    for line in MODEL.lines().filter(|line| !line.starts_with('#')) {
        let Some(field) = line.strip_prefix("  ") else {
            let superseded = SUPERSEDED.iter().find(|(old, _)| *old == line);
            current = superseded.map_or(line, |(_, new)| new);
            model.entry(current).or_default();
            continue;
        };
        let said = model.get_mut(current).expect("an operation comes first");
        match field.split_once(' ').expect("a kind and a name") {
            ("body", path) => drop(said.elements.insert(path)),
            field => drop(said.fields.insert(field)),
        }
    }
    model
}

/// The operations of the model that are answered.
pub(super) fn answered() -> impl Iterator<Item = (Operation, Said)> {
    let model = model().into_iter().map(|(name, said)| {
        let operation = Operation::ALL.iter().find(|operation| operation.name() == name);
        (*operation.expect(name), said)
    });
    model.filter(|(operation, _)| operation.kind() != Kind::Refused)
}
