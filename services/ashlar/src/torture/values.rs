//! The values that a run writes: each once, known by a number that travels in the object's metadata, with bytes that
//! follow from the seed, so that a few numbers stand for megabytes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// A part of a value that was uploaded in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of its own, unlike those of a part with another number.
    Own { number: u32, length: u64 },
    /// A range of another value.
    Of { value: Value, offset: u64, length: u64 },
}

impl Piece {
    pub(crate) fn length(self) -> u64 {
        match self {
            Self::Own { length, .. } | Self::Of { length, .. } => length,
        }
    }
}

/// All values of a run. A value is added before it is sent, so whoever reads it finds it here.
#[derive(Debug)]
pub(crate) struct Values {
    run: String,
    pattern: Pattern,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    values: HashMap<ValueId, Value>,
    /// Of what the values consist that were uploaded in parts.
    pieces: HashMap<ValueId, Arc<[Piece]>>,
    /// Further keys that a value may have been given.
    renamed: BTreeSet<(ValueId, Key)>,
}

impl Values {
    /// None so far. `run` keeps the values of one run apart from another's.
    pub(crate) fn new(run: String) -> Self {
        Self { run, pattern: Pattern::new(), known: Mutex::default() }
    }

    /// Adds a value with bytes of its own.
    pub(crate) fn add(&self, id: ValueId, key: Key, size: u64) {
        self.insert(id, Value { key, size, origin: id });
    }

    /// Adds a copy of a value.
    pub(crate) fn add_copy(&self, id: ValueId, key: Key, of: Value) {
        self.insert(id, Value { key, ..of });
    }

    /// Adds a value that consists of these parts; tells its size.
    pub(crate) fn add_composed(&self, id: ValueId, key: Key, pieces: Vec<Piece>) -> u64 {
        let size = pieces.iter().map(|piece| piece.length()).sum();
        self.known().pieces.insert(id, pieces.into());
        self.add(id, key, size);
        size
    }

    /// Tells that a value may be found under another key, too.
    pub(crate) fn rename(&self, id: ValueId, to: Key) {
        self.known().renamed.insert((id, to));
    }

    /// Whether a value was written or renamed to this key.
    pub(crate) fn may_be_at(&self, id: ValueId, key: Key) -> bool {
        let known = self.known();
        known.values.get(&id).is_some_and(|value| value.key == key) || known.renamed.contains(&(id, key))
    }

    fn insert(&self, id: ValueId, value: Value) {
        self.known().values.insert(id, value);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A value by its number.
    pub(crate) fn get(&self, id: ValueId) -> Option<Value> {
        self.known().values.get(&id).copied()
    }

    /// A value's bytes.
    pub(crate) fn content(&self, value: Value) -> Content {
        let id = value.origin;
        let pieces = self.known().pieces.get(&id).cloned();
        match pieces {
            None => self.pattern.object(&format!("{}/{:x}", self.run, id.0), value.size),
            Some(pieces) => {
                let pieces = pieces.iter().map(|piece| self.piece(id, *piece));
                pieces.fold(self.pattern.object("", 0), |whole, piece| whole.then(piece))
            }
        }
    }

    /// The bytes of a part of a value.
    pub(crate) fn piece(&self, id: ValueId, piece: Piece) -> Content {
        match piece {
            Piece::Own { number, length } => {
                self.pattern.object(&format!("{}/{:x}/{number}", self.run, id.0), length)
            }
            Piece::Of { value, offset, length } => self.content(value).range(offset, length),
        }
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
    use super::{Piece, ValueId, Values};
    use crate::torture::keys::{Bucket, Key, Use};

    fn bytes(content: s3_client::Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        content.for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn a_copy_has_its_origins_bytes_and_a_name_of_its_own() {
        let key = Key { bucket: Bucket::Plain, purpose: Use::Register, number: 1 };
        let values = Values::new("run".to_owned());
        values.add(ValueId(1), key, 5_000);
        let origin = values.get(ValueId(1)).unwrap();
        values.add_copy(ValueId(2), Key { number: 2, ..key }, origin);
        let (id, copy) = values.by_label(&values.label(ValueId(2))).unwrap();
        assert_eq!((id, copy.origin, copy.key.number), (ValueId(2), ValueId(1), 2));
        let bytes = bytes(values.content(copy));
        assert!(values.content(origin).matches(&bytes));
        assert!(!values.decoy(ValueId(1), 5_000).matches(&bytes));
        for unknown in ["", "run-", "run-3", "other-1", "run-1z"] {
            assert_eq!(values.by_label(unknown), None, "{unknown}");
        }
    }
    #[test]
    fn a_value_can_be_put_together_from_others_and_a_copy_of_it_has_the_same_bytes() {
        let key = Key { bucket: Bucket::Plain, purpose: Use::Register, number: 1 };
        let values = Values::new("run".to_owned());
        let value = |id, size| {
            values.add(ValueId(id), key, size);
            values.get(ValueId(id)).unwrap()
        };
        let other = value(2, 5_000);
        let own = Piece::Own { number: 1, length: 700 };
        let pieces = vec![own, Piece::Of { value: other, offset: 4_000, length: 1_000 }];
        assert_eq!(values.add_composed(ValueId(3), key, pieces), 1_700);
        let composed = values.get(ValueId(3)).unwrap();
        values.add_copy(ValueId(4), key, composed);
        let own = bytes(values.piece(ValueId(3), own));
        let wanted = [&own[..], &bytes(values.content(other))[4_000..]].concat();
        for id in [3, 4] {
            let value = values.get(ValueId(id)).unwrap();
            assert_eq!((value.size, bytes(values.content(value))), (1_700, wanted.clone()));
        }
        let nested = Piece::Of { value: composed, offset: 690, length: 20 };
        assert_eq!(bytes(values.piece(ValueId(5), nested)), wanted[690..710]);
    }

    #[test]
    fn a_value_is_at_its_key_and_where_it_was_renamed_to() {
        let key = |number| Key { bucket: Bucket::Plain, purpose: Use::Register, number };
        let values = Values::new("run".to_owned());
        values.add(ValueId(1), key(0), 100);
        values.rename(ValueId(1), key(5));
        let found: Vec<u32> = (0..8).filter(|number| values.may_be_at(ValueId(1), key(*number))).collect();
        assert_eq!(found, [0, 5]);
        assert!(!values.may_be_at(ValueId(2), key(0)));
    }
}
