//! What is guessed of writes that nobody was told the outcome of.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Made, NULL, Name, Operation, Page, Rename, Version};
use crate::{
    content::Value,
    linear::{Key, Token},
};

/// What writes of unknown outcome, and renames of the source's marker, may have made: versions that were seen and that no
/// answered write made. What was made and not seen was replaced or does not exist, as all that is there is listed in the
/// end.
#[derive(Default)]
pub(super) struct Guesses {
    unclaimed: BTreeMap<(Key, Name), Option<Value>>,
    /// Keys that had a null version at some time.
    with_null: BTreeSet<Key>,
    /// What null versions were seen to be.
    nulls: BTreeMap<Key, BTreeSet<Value>>,
    /// Versions that answered renames named, which an unanswered one before may have made.
    renamed: BTreeSet<(Token, Key, Name)>,
}

impl Guesses {
    pub(super) fn new(operations: &[Operation]) -> Self {
        let (mut guesses, mut claimed) = (Self::default(), BTreeSet::new());
        for operation in operations {
            match &operation.action {
                Action::Make(key, Some(name), _) => {
                    claimed.insert((*key, *name));
                }
                Action::Rename(Rename { to, token, made: Some(name), .. }) => {
                    claimed.insert((*to, *name));
                    guesses.renamed.extend(token.map(|token| (token, *to, *name)));
                }
                Action::Make(_, None, _) | Action::Rename(_) | Action::HasNone(_) => {}
                Action::Remove(key, name, _) => guesses.with_null.extend((*name == NULL).then_some(*key)),
                Action::ReadCurrent(key, version) => {
                    version.iter().for_each(|version| guesses.see(*key, *version));
                }
                Action::Read(key, name, content) => {
                    content.iter().for_each(|content| guesses.see(*key, (*name, *content)));
                }
                Action::List(Page { rows, .. }) => {
                    rows.iter().for_each(|row| guesses.see(row.key, row.version));
                }
            }
        }
        guesses.with_null.extend(claimed.iter().filter(|(_, name)| *name == NULL).map(|(key, _)| *key));
        guesses.unclaimed.retain(|version, _| !claimed.contains(version));
        guesses
    }

    fn see(&mut self, key: Key, (name, content): Version) {
        if name == NULL {
            self.with_null.insert(key);
            self.nulls.entry(key).or_default().extend(content);
        } else {
            self.unclaimed.insert((key, name), content);
        }
    }

    fn unclaimed(&self, key: Key) -> impl Iterator<Item = Version> {
        let of_key = self.unclaimed.iter().filter(move |((of, _), _)| *of == key);
        of_key.map(|((_, name), content)| (*name, *content))
    }

    /// What a write of unknown outcome may have made, if it made anything.
    pub(super) fn of(&self, key: Key, made: Made) -> Vec<Version> {
        let fits = |content: Option<Value>| match made {
            Made::Object(value) => content == Some(value),
            Made::Marker => content.is_none(),
            Made::Copy => content.is_some(),
        };
        let mut versions: Vec<Version> = self.unclaimed(key).filter(|(_, content)| fits(*content)).collect();
        if self.with_null.contains(&key) {
            match made {
                Made::Object(value) => versions.push((NULL, Some(value))),
                Made::Marker => versions.push((NULL, None)),
                Made::Copy => {
                    let nulls = self.nulls.get(&key).into_iter().flatten();
                    versions.extend(nulls.map(|value| (NULL, Some(*value))));
                }
            }
        }
        versions
    }

    /// The version that a rename of unknown outcome may have made of this object.
    pub(super) fn renamed(&self, to: Key, object: Value, token: Option<Token>) -> Vec<Name> {
        let seen = self.of(to, Made::Object(object)).into_iter().map(|(name, _)| name);
        let told = self.renamed.iter().filter(|(of, key, _)| Some(*of) == token && *key == to);
        seen.chain(told.map(|(_, _, name)| *name)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The marker that a rename may have left.
    pub(super) fn markers(&self, from: Key, is_null: bool) -> Vec<Name> {
        if is_null {
            return vec![NULL];
        }
        self.unclaimed(from).filter(|(_, content)| content.is_none()).map(|(name, _)| name).collect()
    }

    /// Whether the operation can have any part in what was told.
    pub(super) fn matter(&self, operation: &Operation) -> bool {
        match operation.action {
            Action::Make(key, None, made) => !self.of(key, made).is_empty(),
            Action::Rename(Rename { to, token, made: None, .. }) => {
                let is_told = self.renamed.iter().any(|(of, key, _)| Some(*of) == token && *key == to);
                is_told || !self.of(to, Made::Copy).is_empty() || self.with_null.contains(&to)
            }
            _ => true,
        }
    }
}
