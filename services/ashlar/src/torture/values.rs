//! The values that a run writes: each once, known by a number that travels in the object's metadata, with bytes that
//! follow from the seed, so that a few numbers stand for megabytes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::torture::keys::Key;
use s3_client::{Content, Pattern};

/// A value's number: the client's in the upper half, that of its step in the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ValueId(pub(crate) u64);

/// What was sent as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    /// Where it was written.
    pub(crate) key: Key,
    pub(crate) size: u64,
    /// The value whose bytes these are: itself, or for a copy that which was copied.
    pub(crate) origin: ValueId,
}

/// All values of a run. A value is added before it is sent, so whoever reads it finds it here.
#[derive(Debug)]
pub(crate) struct Values {
    run: String,
    pattern: Pattern,
    values: Mutex<HashMap<ValueId, Value>>,
}

impl Values {
    /// None so far. `run` keeps the values of one run apart from another's.
    pub(crate) fn new(run: String) -> Self {
        Self { run, pattern: Pattern::new(), values: Mutex::default() }
    }

    /// Adds a value with bytes of its own.
    pub(crate) fn add(&self, id: ValueId, key: Key, size: u64) {
        self.insert(id, Value { key, size, origin: id });
    }

    /// Adds a copy of a value.
    pub(crate) fn add_copy(&self, id: ValueId, key: Key, of: Value) {
        self.insert(id, Value { key, ..of });
    }

    fn insert(&self, id: ValueId, value: Value) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(id, value);
    }

    /// A value by its number.
    pub(crate) fn get(&self, id: ValueId) -> Option<Value> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// A value's bytes.
    pub(crate) fn content(&self, value: Value) -> Content {
        self.pattern.object(&format!("{}/{:x}", self.run, value.origin.0), value.size)
    }

    /// Bytes that are no value's.
    pub(crate) fn decoy(&self, id: ValueId, size: u64) -> Content {
        self.pattern.object(&format!("{}/decoy/{:x}", self.run, id.0), size)
    }

    /// How a value is named in an object's metadata.
    pub(crate) fn label(&self, id: ValueId) -> String {
        format!("{}-{:x}", self.run, id.0)
    }

    /// The value of this name.
    pub(crate) fn by_label(&self, label: &str) -> Option<(ValueId, Value)> {
        let number = label.strip_prefix(&self.run)?.strip_prefix('-')?;
        let id = ValueId(u64::from_str_radix(number, 16).ok()?);
        Some((id, self.get(id)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{ValueId, Values};
    use crate::torture::keys::{Bucket, Key, Use};

    #[test]
    fn a_copy_has_its_origins_bytes_and_a_name_of_its_own() {
        let key = Key { bucket: Bucket::Plain, purpose: Use::Register, number: 1 };
        let values = Values::new("run".to_owned());
        values.add(ValueId(1), key, 5_000);
        let origin = values.get(ValueId(1)).unwrap();
        values.add_copy(ValueId(2), Key { number: 2, ..key }, origin);
        let (id, copy) = values.by_label(&values.label(ValueId(2))).unwrap();
        assert_eq!((id, copy.origin, copy.key.number), (ValueId(2), ValueId(1), 2));
        let mut bytes = Vec::new();
        values.content(copy).for_each(|piece| bytes.extend_from_slice(piece));
        assert!(values.content(origin).matches(&bytes));
        assert!(!values.decoy(ValueId(1), 5_000).matches(&bytes));
        for unknown in ["", "run-", "run-3", "other-1", "run-1z"] {
            assert_eq!(values.by_label(unknown), None, "{unknown}");
        }
    }
}
