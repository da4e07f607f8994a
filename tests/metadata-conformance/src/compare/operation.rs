//! Which operations are played.

use std::collections::BTreeMap;

use types::{KeyPrefix, ObjectKey, Versioning};

use super::{
    super::support::{Generator, etag, key, prefix},
    side::Side,
};
use metadata_api::{DeleteCondition, ETagCondition, WriteCondition};

/// Buckets played with.
pub(super) const BUCKETS: usize = 3;

/// Keys that share prefixes and order badly.
const KEYS: [&str; 12] =
    ["a", "a/", "a/b", "a//b", "a/b/c", "ab", "b", "b\0", "é", "é/1", "😀", "\u{10ffff}"];

const DELIMITERS: [&str; 4] = ["/", "//", "b", "é"];

/// A version that either side knows under an id of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum VersionName {
    Null,
    /// By the order in which numbered versions were first seen.
    Number(usize),
}

/// What is wrong with a completion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    UnknownPart,
    WrongTag,
    Order,
    Size,
}

/// One operation; buckets, versions and uploads by number.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Put {
        bucket: usize,
        key: ObjectKey,
        stored: bool,
        tag: u64,
        condition: WriteCondition,
    },
    Get {
        bucket: usize,
        key: ObjectKey,
        version: Option<VersionName>,
        with_content: bool,
    },
    Delete {
        bucket: usize,
        entries: Vec<(ObjectKey, Option<VersionName>, DeleteCondition)>,
    },
    /// Copies what a read just before found; `stale` names a tag that it did not find.
    Copy {
        from: (usize, ObjectKey, Option<VersionName>),
        to: (usize, ObjectKey),
        stale: bool,
        replace: bool,
        condition: WriteCondition,
    },
    /// Renames what a read just before found.
    Rename {
        bucket: usize,
        from: ObjectKey,
        to: ObjectKey,
        condition: WriteCondition,
    },
    /// Renames what a read just before found under one of a few prefixes.
    RenamePrefix {
        bucket: usize,
        from: &'static str,
        to: &'static str,
        stale: bool,
    },
    CreateUpload {
        bucket: usize,
        key: ObjectKey,
    },
    Part {
        upload: usize,
        number: u16,
        tag: u64,
    },
    Complete {
        upload: usize,
        parts: Vec<(u16, u64)>,
        fault: Fault,
        condition: WriteCondition,
    },
    Abort {
        upload: usize,
    },
    ListParts {
        upload: usize,
        limit: usize,
    },
    SetVersioning {
        bucket: usize,
        versioning: Versioning,
    },
    GetBucket {
        bucket: usize,
    },
    DeleteBucket {
        bucket: usize,
    },
    /// Removes every version, then the bucket, and makes the bucket again.
    Renew {
        bucket: usize,
    },
    ListObjects {
        bucket: usize,
        prefix: KeyPrefix,
        delimiter: Option<KeyPrefix>,
        after: Option<KeyPrefix>,
        limit: usize,
    },
    ListVersions {
        bucket: usize,
        prefix: KeyPrefix,
        delimiter: Option<KeyPrefix>,
        after: Option<(ObjectKey, Option<VersionName>)>,
        limit: usize,
    },
    ListUploads {
        bucket: usize,
        prefix: KeyPrefix,
        delimiter: Option<KeyPrefix>,
        after: Option<KeyPrefix>,
    },
    Collect,
}

impl Operation {
    /// Everything there is to see.
    pub(super) fn overview() -> Vec<Self> {
        let everything = |bucket| {
            let prefix = KeyPrefix::default;
            [
                Self::GetBucket { bucket },
                Self::ListObjects { bucket, prefix: prefix(), delimiter: None, after: None, limit: 1000 },
                Self::ListVersions { bucket, prefix: prefix(), delimiter: None, after: None, limit: 1000 },
                Self::ListUploads { bucket, prefix: prefix(), delimiter: None, after: None },
            ]
        };
        (0..BUCKETS).flat_map(everything).chain([Self::Collect]).collect()
    }
}

/// What the plan knows of an upload.
#[derive(Debug)]
struct Upload {
    bucket: usize,
    open: bool,
    /// The tag of each part that was added.
    parts: BTreeMap<u16, u64>,
}

/// Chooses operations, with an eye to those that succeeded.
#[derive(Debug)]
pub(super) struct Planner {
    generator: Generator,
    uploads: Vec<Upload>,
}

impl Planner {
    pub(super) fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), uploads: Vec::new() }
    }

    /// The next operation. Versions and uploads are chosen among those that the model has named.
    pub(super) fn next(&mut self, model: &Side) -> Operation {
        let (bucket, key) = (self.generator.below(BUCKETS), self.key());
        match self.generator.below(100) {
            0..27 => self.put(bucket, key),
            27 => self.rename_prefix(bucket),
            28..38 => {
                let (bucket, key, version) = self.version(model);
                Operation::Get { bucket, key, version, with_content: self.generator.one_in(2) }
            }
            38..54 => self.delete(model),
            54..60 => self.copy(model),
            60..62 => Operation::Rename { bucket, from: key, to: self.key(), condition: self.condition() },
            62..66 => Operation::CreateUpload { bucket, key },
            66..82 if !self.uploads.is_empty() => self.on_upload(),
            82..85 => {
                let versioning = *self.generator.choose(&[Versioning::Enabled, Versioning::Suspended]);
                // The first bucket stays unversioned.
                Operation::SetVersioning { bucket: bucket.max(1), versioning }
            }
            85 => Operation::DeleteBucket { bucket },
            86 => Operation::Renew { bucket },
            87 => Operation::Collect,
            88..92 => self.list_versions(model),
            92..94 => {
                let after = self.generator.one_in(2).then(|| self.prefix());
                Operation::ListUploads { bucket, prefix: self.prefix(), delimiter: self.delimiter(), after }
            }
            94..100 => {
                let (delimiter, after) = (self.delimiter(), self.generator.one_in(2).then(|| self.prefix()));
                Operation::ListObjects {
                    bucket,
                    prefix: self.prefix(),
                    delimiter,
                    after,
                    limit: self.limit(),
                }
            }
            _ => Operation::GetBucket { bucket },
        }
    }

    /// Takes note of what an operation changed.
    pub(super) fn learn(&mut self, operation: &Operation, succeeded: bool) {
        if !succeeded {
            return;
        }
        match operation {
            Operation::CreateUpload { bucket, .. } => {
                self.uploads.push(Upload { bucket: *bucket, open: true, parts: BTreeMap::new() });
            }
            Operation::Part { upload, number, tag } => {
                self.uploads[*upload].parts.insert(*number, *tag);
            }
            Operation::Complete { upload, .. } | Operation::Abort { upload } => {
                self.uploads[*upload].open = false
            }
            Operation::DeleteBucket { bucket } | Operation::Renew { bucket } => {
                for upload in self.uploads.iter_mut().filter(|upload| upload.bucket == *bucket) {
                    upload.open = false;
                }
            }
            _ => {}
        }
    }

    fn rename_prefix(&mut self, bucket: usize) -> Operation {
        let (from, to) =
            *self.generator.choose(&[("a/", "é/"), ("é/", "a/"), ("a//", "é/"), ("a/", "b/"), ("b/", "a/")]);
        Operation::RenamePrefix { bucket, from, to, stale: self.generator.one_in(8) }
    }

    /// Mostly one of few keys, so that versions pile up.
    fn key(&mut self) -> ObjectKey {
        let among = if self.generator.one_in(3) { &KEYS[..] } else { &KEYS[..4] };
        key(self.generator.choose::<&str>(among))
    }

    fn prefix(&mut self) -> KeyPrefix {
        let mut text = (*self.generator.choose(&KEYS)).to_owned();
        for _ in 0..self.generator.below(3) {
            text.pop();
        }
        prefix(&text)
    }

    fn delimiter(&mut self) -> Option<KeyPrefix> {
        (!self.generator.one_in(3)).then(|| prefix(self.generator.choose::<&str>(&DELIMITERS)))
    }

    fn limit(&mut self) -> usize {
        *self.generator.choose(&[1, 2, 3, 5, 1000])
    }

    /// One of few tags, so that conditions often hold.
    fn tag(&mut self) -> u64 {
        1 + self.generator.number() % 4
    }

    fn condition(&mut self) -> WriteCondition {
        match self.generator.below(10) {
            0 | 1 => WriteCondition::IfAbsent,
            2 | 3 => WriteCondition::IfMatch(etag(self.tag())),
            4 => WriteCondition::IfPresent,
            _ => WriteCondition::None,
        }
    }

    /// A bucket, a key, and mostly a version of it.
    fn version(&mut self, model: &Side) -> (usize, ObjectKey, Option<VersionName>) {
        let versions = model.versions();
        match self.generator.below(5) {
            0 | 1 if !versions.is_empty() => {
                let number = self.generator.below(versions.len());
                let (bucket, key, _) = &versions[number];
                (*bucket, key.clone(), Some(VersionName::Number(number)))
            }
            2 => (self.generator.below(BUCKETS), self.key(), Some(VersionName::Null)),
            _ => (self.generator.below(BUCKETS), self.key(), None),
        }
    }

    fn put(&mut self, bucket: usize, key: ObjectKey) -> Operation {
        let (stored, tag) = (self.generator.one_in(2), self.tag());
        Operation::Put { bucket, key, stored, tag, condition: self.condition() }
    }

    fn delete(&mut self, model: &Side) -> Operation {
        let (bucket, key, version) = self.version(model);
        let mut entries = vec![(key, version, self.delete_condition())];
        for _ in 0..self.generator.below(4) {
            if self.generator.one_in(2) {
                let key = entries[0].0.clone();
                entries.push((key, None, DeleteCondition::default()));
            }
            let (other, key, version) = self.version(model);
            if other == bucket {
                entries.push((key, version, self.delete_condition()));
            }
        }
        Operation::Delete { bucket, entries }
    }

    fn delete_condition(&mut self) -> DeleteCondition {
        match self.generator.below(8) {
            0 => DeleteCondition { etag: Some(ETagCondition::Any), ..DeleteCondition::default() },
            1 => DeleteCondition {
                etag: Some(ETagCondition::Is(etag(self.tag()))),
                ..DeleteCondition::default()
            },
            2 => DeleteCondition { size: Some(self.tag()), ..DeleteCondition::default() },
            3 => DeleteCondition { marker: true, ..DeleteCondition::default() },
            _ => DeleteCondition::default(),
        }
    }

    fn copy(&mut self, model: &Side) -> Operation {
        let from = self.version(model);
        let to = (self.generator.below(BUCKETS), self.key());
        let stale = self.generator.one_in(6);
        // With two reasons to refuse, either may be given.
        let condition = if stale { WriteCondition::None } else { self.condition() };
        Operation::Copy { from, to, stale, replace: self.generator.one_in(2), condition }
    }

    fn on_upload(&mut self) -> Operation {
        // The newest uploads are the ones that may be open.
        let recent = self.uploads.len().min(6);
        let upload = self.uploads.len() - 1 - self.generator.below(recent);
        match self.generator.below(10) {
            0 => Operation::Abort { upload },
            1 => Operation::ListParts { upload, limit: self.limit() },
            2..5 if !self.uploads[upload].parts.is_empty() => self.complete(upload),
            _ => Operation::Part { upload, number: *self.generator.choose(&[1, 2, 3, 9]), tag: self.tag() },
        }
    }

    fn complete(&mut self, upload: usize) -> Operation {
        let Upload { open, ref parts, .. } = self.uploads[upload];
        let mut parts: Vec<(u16, u64)> = parts.iter().map(|(number, tag)| (*number, *tag)).collect();
        if parts.len() > 1 && self.generator.one_in(3) {
            parts.remove(self.generator.below(parts.len()));
        }
        let mut fault = match self.generator.below(12) {
            _ if !open => Fault::None,
            0 => Fault::UnknownPart,
            1 => Fault::WrongTag,
            2 => Fault::Order,
            3 => Fault::Size,
            _ => Fault::None,
        };
        if fault == Fault::Order && parts.len() < 2 {
            fault = Fault::None;
        }
        let condition = if fault == Fault::None { self.condition() } else { WriteCondition::None };
        Operation::Complete { upload, parts, fault, condition }
    }

    fn list_versions(&mut self, model: &Side) -> Operation {
        let (bucket, key, version) = self.version(model);
        let after = (!self.generator.one_in(3)).then_some((key, version));
        let (prefix, delimiter) = (self.prefix(), self.delimiter());
        Operation::ListVersions { bucket, prefix, delimiter, after, limit: self.limit() }
    }
}
