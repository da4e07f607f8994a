//! What each client does, step by step: it follows from the seed alone.

use crate::torture::{
    chance::Chance,
    keys::{Bucket, FOLDER, Folder, Key, Use},
    values::ValueId,
};

/// Every so many steps each client races with the others for a key.
const STEPS_PER_RACE: u32 = 24;
/// S3's least size of a part that is not the last.
pub(crate) const PART: u64 = 5 << 20;
/// Longest page of a listing, so that most listings have several.
const PAGE_MAX: u64 = 9;
/// Longest page of a listing of versions, of which there are more.
const VERSIONS_PAGE_MAX: u64 = 60;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Put {
        key: Key,
        size: u64,
    },
    /// `If-None-Match: *`.
    Create {
        key: Key,
        size: u64,
    },
    /// HEAD, then PUT with `If-Match`.
    Replace {
        key: Key,
        size: u64,
    },
    Get {
        key: Key,
    },
    /// A range that begins at such a part, in thousandths, of the object.
    Range {
        key: Key,
        place: u64,
    },
    Head {
        key: Key,
    },
    Delete {
        key: Key,
    },
    Copy {
        from: Key,
        to: Key,
    },
    /// Gives the object of a key a key of a higher number, so that no value comes to a key twice.
    Rename {
        from: Key,
        to: Key,
    },
    Multipart {
        key: Key,
        upload: Upload,
    },
    List {
        folder: Folder,
        limit: u64,
    },
    /// Lists versions, from the beginning of a folder or after all versions of a key in it.
    Versions {
        folder: Folder,
        after: Option<Key>,
        limit: u64,
    },
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) parts: Vec<Part>,
    /// The part, by its place, that is first uploaded with other bytes and then again.
    pub(crate) again: Option<usize>,
    /// Whether it is aborted in the end instead of completed.
    pub(crate) aborted: bool,
}

/// Where the bytes of a part come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the client: so many.
    Own(u64),
    /// UploadPartCopy of the object that this key has then: all of it, or the bytes between two places in thousandths.
    Copied { from: Key, range: Option<(u64, u64)> },
}

/// Bounds of the steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Register keys of each bucket.
    pub(crate) keys: u32,
    pub(crate) size_max: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Create,
    Race,
    Replace,
    Get,
    Range,
    Head,
    Delete,
    Copy,
    Rename,
    Multipart,
    List,
    Versions,
}

/// Shares in a hundred.
const MIX: [(u64, Kind); 12] = [
    (26, Kind::Put),
    (4, Kind::Create),
    (6, Kind::Replace),
    (19, Kind::Get),
    (6, Kind::Range),
    (6, Kind::Head),
    (10, Kind::Delete),
    (5, Kind::Copy),
    (4, Kind::Rename),
    (4, Kind::Multipart),
    (8, Kind::List),
    (2, Kind::Versions),
];

impl Plan {
    /// What `client` does as its step `number`, and the value that it writes, if it writes one.
    pub(crate) fn step(&self, client: u32, number: u32) -> (Step, ValueId) {
        let mut chance = Chance::new(self.seed, &[u64::from(client), u64::from(number)]);
        let id = ValueId((u64::from(client) << 32) | u64::from(number));
        let bucket = if chance.percent(50) { Bucket::Plain } else { Bucket::Versioned };
        let key = self.key(&mut chance, bucket);
        let size = self.size(&mut chance);
        // All clients come to the same race at about the same time.
        let race = number.is_multiple_of(STEPS_PER_RACE);
        let kind = if race { Kind::Race } else { chance.weighted(&MIX).unwrap_or(Kind::Put) };
        let step = match kind {
            Kind::Put => Step::Put { key, size },
            Kind::Create => Step::Create { key, size },
            Kind::Race => {
                let number = number / STEPS_PER_RACE;
                let bucket = if number.is_multiple_of(2) { Bucket::Plain } else { Bucket::Versioned };
                Step::Create { key: Key { bucket, purpose: Use::Race, number }, size }
            }
            Kind::Replace => Step::Replace { key: key.original(), size },
            Kind::Get => Step::Get { key },
            Kind::Range => Step::Range { key, place: chance.below(1_000) },
            Kind::Head => Step::Head { key },
            Kind::Delete => Step::Delete { key },
            Kind::Copy => {
                let from = self.key(&mut chance, bucket).original();
                Step::Copy { from, to: key.copy() }
            }
            Kind::Rename => {
                let other = self.key(&mut chance, bucket);
                let (from, to) = (key.min(other).original(), key.max(other));
                Step::Rename { from, to: if from == to { to.copy() } else { to } }
            }
            Kind::Multipart => self.multipart(&mut chance, key, size),
            Kind::List => self.list(&mut chance, key, number),
            Kind::Versions => {
                let longest = if chance.percent(50) { PAGE_MAX } else { VERSIONS_PAGE_MAX };
                let limit = chance.between(1, longest);
                Step::Versions { folder: key.folder(), after: chance.percent(25).then_some(key), limit }
            }
        };
        (step, id)
    }

    /// A few keys get most of the requests, so that requests meet.
    fn key(&self, chance: &mut Chance, bucket: Bucket) -> Key {
        let keys = u64::from(self.keys);
        let number = if chance.percent(30) { chance.below(keys.div_ceil(8)) } else { chance.below(keys) };
        Key { bucket, purpose: Use::Register, number: u32::try_from(number).unwrap_or_default() }
    }

    /// Small objects are more common; some are empty.
    fn size(&self, chance: &mut Chance) -> u64 {
        let (low, high) = match chance.below(1_000) {
            0..40 => (0, 0),
            40..350 => (1, 1 << 10),
            350..780 => (1 << 10, 64 << 10),
            780..960 => (64 << 10, 512 << 10),
            960..994 => (512 << 10, 3 << 20),
            _ => (3 << 20, self.size_max),
        };
        let high = high.min(self.size_max);
        chance.between(low.min(high), high)
    }

    /// Half of the uploads have a part that is copied from another key; their keys are of those that take copies.
    fn multipart(&self, chance: &mut Chance, key: Key, size: u64) -> Step {
        let mut parts = vec![Part::Own(size.max(1))];
        if chance.percent(25) {
            parts.insert(0, Part::Own(PART));
        }
        let copied = chance.percent(50);
        if copied {
            let from = self.key(chance, key.bucket).original();
            let range = chance.percent(50).then(|| (chance.below(500), chance.between(500, 1_000)));
            let place = usize::try_from(chance.below(parts.len() as u64)).unwrap_or_default();
            if let Some(part) = parts.get_mut(place) {
                *part = Part::Copied { from, range };
            }
        }
        let again = chance.percent(40).then_some(0);
        let upload = Upload { parts, again, aborted: chance.percent(20) };
        Step::Multipart { key: if copied { key.copy() } else { key }, upload }
    }

    fn list(&self, chance: &mut Chance, key: Key, number: u32) -> Step {
        let limit = chance.between(1, PAGE_MAX);
        let race = Folder { purpose: Use::Race, number: number / STEPS_PER_RACE / FOLDER, ..key.folder() };
        let folder = if chance.percent(15) { race } else { key.folder() };
        Step::List { folder, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Plan, Step};
    use crate::torture::keys::Bucket;

    const PLAN: Plan = Plan { seed: 5, keys: 64, size_max: 8 << 20 };

    #[test]
    fn a_plan_follows_from_its_seed() {
        for number in 0..500 {
            assert_eq!(PLAN.step(1, number), PLAN.step(1, number));
        }
        let differ = (0..500).filter(|number| PLAN.step(1, *number).0 != PLAN.step(2, *number).0).count();
        assert!(differ > 450, "{differ}");
    }

    #[test]
    fn conditions_on_etags_and_sources_of_copies_are_kept_from_copies() {
        for number in 0..5_000 {
            match PLAN.step(0, number).0 {
                Step::Replace { key, .. } => assert_eq!(key, key.original()),
                Step::Copy { from, to } => {
                    assert!(from == from.original() && to == to.copy() && to.number < 64);
                    assert_eq!(from.bucket == Bucket::Plain, to.bucket == Bucket::Plain);
                }
                Step::Multipart { key, upload } => {
                    for part in upload.parts {
                        let Part::Copied { from, range } = part else { continue };
                        assert!(from == from.original() && key == key.copy() && from.bucket == key.bucket);
                        assert!(range.is_none_or(|(start, end)| start < end && end <= 1_000));
                    }
                }
                Step::Rename { from, to } => {
                    assert!(from == from.original() && from.number < to.number && to.number < 64);
                    assert_eq!(from.bucket, to.bucket);
                }
                Step::Put { size, .. } => assert!(size <= 8 << 20),
                _ => {}
            }
        }
    }

    #[test]
    fn every_operation_is_in_the_mix() {
        let steps: Vec<Step> = (0..2_000).map(|number| PLAN.step(0, number).0).collect();
        let names: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        for name in [
            "Put",
            "Create",
            "Replace",
            "Get",
            "Range",
            "Head",
            "Delete",
            "Copy",
            "Rename",
            "Multipart",
            "List",
            "Versions",
        ] {
            assert!(names.iter().any(|step| step.starts_with(&format!("{name} "))), "{name}");
        }
        let copied = names.iter().filter(|step| step.contains("Copied"));
        assert!(copied.clone().any(|step| step.contains("range: None")));
        assert!(copied.clone().any(|step| step.contains("range: Some")));
        assert!(names.iter().any(|step| step.starts_with("Versions") && step.contains("after: Some")));
    }
}
