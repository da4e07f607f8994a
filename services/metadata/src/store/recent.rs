//! What was read last of buckets and of current versions, for a process that has a SQLite database for itself.
//!
//! What is answered from here is what the database would answer at that moment:
//!
//! - Everything that changes rows is a transaction of this process, and SQLite has one writer, so at most one commits at a time.
//! - While one commits, from before its COMMIT until after it, no version is answered from here that it may change. That has been
//!   thrown away when it begins: versions of the keys that it names when it is a batch of commits, everything when it is anything
//!   else.
//! - Of its bucket's row a batch of commits changes the sequence and the usage. The row is answered as it was before until the
//!   COMMIT has ended, or until somebody has read from the database how it is after: nobody is told an older one than another was told before. What a listing shows of keys may be
//!   newer than it for that long.
//! - What is read from the database is taken in only if no transaction that may have changed it has begun or ended to commit
//!   since before the read began.
//! - A bucket and a version of it are answered with together only while both are known: as of the same moment.
//! - When it is not known how a COMMIT ended, or that it has ended, nothing is answered from here any more.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metadata_api::{Bucket, FoundVersion, Version, VersionState};
use types::{BucketName, Content, ObjectKey, Sequence, Timestamp, VersionId};

/// Most bytes that are kept, about. Past it the memory begins anew.
const BYTES_MAX: usize = 24 << 20;

/// Past so many bytes only what is asked for again is kept: whoever reads each of very many objects once would make everything be forgotten
/// that others ask for again and again, and pay for what is never asked for.
const BYTES_FOR_ALL: usize = BYTES_MAX / 2;

/// How many are known that were asked for once. A power of two.
const ASKED_MAX: usize = 1 << 15;

/// Most bytes of one version, about.
const VERSION_BYTES_MAX: usize = 24 << 10;

/// What a version takes beside what is counted of it, about.
const OVERHEAD: usize = 768;

/// Most buckets that are kept.
const BUCKETS_MAX: usize = 10_000;

/// Most batches that are known to have committed, and most keys of theirs.
const ENDED_MAX: usize = 64;
const ENDED_KEYS_MAX: usize = 4096;

/// What a transaction may change.
#[derive(Debug, Clone, Default)]
pub(crate) enum Touches {
    #[default]
    Anything,
    /// The row of this bucket and versions of these keys.
    Keys(BucketName, BTreeSet<ObjectKey>),
    /// Nothing that is ever remembered.
    Nothing,
}

/// Tables of whose rows nothing is remembered.
const FORGOTTEN: [&str; 22] = [
    "access_key_secrets",
    "accounts",
    "cluster",
    "completed_uploads",
    "counters",
    "disk_losses",
    "disks",
    "evictions",
    "garbage",
    "gateway_leases",
    "identity_accounts",
    "identity_records",
    "jobs",
    "missing_shards",
    "nodes",
    "parts",
    "placement_groups",
    "released_bucket_names",
    "rate_limits",
    "shard_moves",
    "storage_classes",
    "uploads",
];

/// Whether a statement may change what is remembered: all but reads, and changes of tables that are known.
pub(crate) fn may_be_remembered(sql: &str) -> bool {
    let mut words = sql.split_ascii_whitespace();
    let table = match words.next() {
        Some("SELECT") => return false,
        Some("UPDATE") => words.next(),
        Some("INSERT") if words.next() == Some("INTO") => words.next(),
        Some("DELETE") if words.next() == Some("FROM") => words.next(),
        _ => None,
    };
    !table.is_some_and(|table| FORGOTTEN.contains(&table))
}

/// The memory. Clones share it.
#[derive(Clone)]
pub(crate) struct Recent {
    state: Option<Arc<Mutex<State>>>,
}

#[derive(Default)]
struct State {
    /// Counts the beginnings and ends of commits.
    generation: u64,
    /// What the transaction that commits now may change.
    committing: Option<Touches>,
    /// The last batches that have committed, the newest last.
    ended: VecDeque<Ended>,
    ended_keys: usize,
    /// What was changed up to this generation is not known.
    unknown_until: u64,
    /// The end of a commit was not learnt of.
    is_lost: bool,
    buckets: HashMap<BucketName, Known>,
    bytes: usize,
    asked: Asked,
}

/// What was asked for once, by what its hash has beside its place. Two that share a place forget each other, and two that share what is compared, of which
/// there is a pair in some billions, are taken for one: then something is kept at once.
#[derive(Default)]
struct Asked {
    hashes: RandomState,
    places: Vec<u32>,
}

impl Asked {
    /// Whether this was asked for before; from now on it was.
    fn again(&mut self, name: &BucketName, key: &ObjectKey, with_content: bool) -> bool {
        if self.places.is_empty() {
            self.places = vec![0; ASKED_MAX];
        }
        let hash = self.hashes.hash_one((name, key, with_content));
        let place = usize::try_from(hash).unwrap_or(usize::MAX) & (ASKED_MAX - 1);
        let rest = u32::try_from(hash >> 32).unwrap_or(u32::MAX) | 1;
        std::mem::replace(&mut self.places[place], rest) == rest
    }
}

/// A batch of commits that has ended.
struct Ended {
    generation: u64,
    bucket: BucketName,
    keys: BTreeSet<ObjectKey>,
}

/// What is known of a bucket.
#[derive(Default)]
struct Known {
    bucket: Option<Bucket>,
    /// Current versions that are objects, by key and by whether their content was read.
    versions: HashMap<(ObjectKey, bool), Found>,
}

/// A version without its bucket.
struct Found {
    version_id: VersionId,
    sequence: Sequence,
    last_modified: Timestamp,
    version: Box<Version>,
    bytes: usize,
}

/// Says when a read began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(Option<u64>);

/// A commit that is under way. Dropped without [`Committing::end`] it ends the memory.
pub(crate) struct Committing {
    recent: Recent,
    has_ended: bool,
}

impl Recent {
    /// A memory, which is of use only to a process that has its database for itself.
    pub(crate) fn new(is_alone: bool) -> Self {
        Self { state: is_alone.then(Arc::default) }
    }

    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bucket of this name, if it is known now.
    pub(crate) fn bucket(&self, name: &BucketName) -> Option<Bucket> {
        let state = self.lock()?;
        state.known(name)?.bucket.clone()
    }

    /// The current version of a key with its bucket, if both are known now.
    pub(crate) fn version(
        &self,
        name: &BucketName,
        key: &ObjectKey,
        with_content: bool,
    ) -> Option<FoundVersion> {
        let state = self.lock()?;
        let known = state.known(name)?;
        let bucket = known.bucket.clone()?;
        let found = known.versions.get(&(key.clone(), with_content))?;
        Some(FoundVersion {
            bucket,
            version_id: found.version_id,
            sequence: found.sequence,
            is_current: true,
            last_modified: found.last_modified,
            state: VersionState::Object(found.version.clone()),
        })
    }

    /// Taken before a read whose answer is to be kept.
    pub(crate) fn ticket(&self) -> Ticket {
        let state = self.lock().filter(|state| !matches!(state.committing, Some(Touches::Anything)));
        Ticket(state.map(|state| state.generation))
    }

    /// Takes note of rows of buckets that were read from the database and are about to be told.
    pub(crate) fn tell_buckets(&self, buckets: &[Bucket]) {
        let Some(mut state) = self.lock() else { return };
        buckets.iter().for_each(|bucket| state.tell(bucket));
    }

    /// Takes note of a bucket that is about to be told, and keeps it if it was read since the ticket was taken.
    pub(crate) fn keep_bucket(&self, ticket: Ticket, bucket: &Bucket) {
        let Some(mut state) = self.lock() else { return };
        state.tell(bucket);
        if state.is_unchanged(ticket, &bucket.name, None) {
            state.known_mut(&bucket.name).bucket = Some(bucket.clone());
        }
    }

    /// Takes note of the bucket of a key's current version, which are about to be told, and keeps both if they were read since the
    /// ticket was taken.
    pub(crate) fn keep_version(
        &self,
        ticket: Ticket,
        key: &ObjectKey,
        with_content: bool,
        found: &FoundVersion,
    ) {
        let name = &found.bucket.name;
        // Freed when nobody waits for the lock any more.
        let mut forgotten = HashMap::new();
        let Some(mut state) = self.lock() else { return };
        state.tell(&found.bucket);
        let VersionState::Object(version) = &found.state else { return };
        let bytes = bytes_of(key, version);
        if !state.is_unchanged(ticket, name, Some(key)) || !found.is_current || bytes > VERSION_BYTES_MAX {
            return;
        }
        if state.bytes > BYTES_FOR_ALL && !state.asked.again(name, key, with_content) {
            return;
        }
        if state.bytes + bytes > BYTES_MAX {
            std::mem::swap(&mut state.buckets, &mut forgotten);
            state.bytes = 0;
        }
        let is_bucket_unchanged = state.is_unchanged(ticket, name, None);
        let known = state.known_mut(name);
        if is_bucket_unchanged {
            known.bucket = Some(found.bucket.clone());
        }
        let kept = Found {
            version_id: found.version_id,
            sequence: found.sequence,
            last_modified: found.last_modified,
            version: version.clone(),
            bytes,
        };
        let replaced = known.versions.insert((key.clone(), with_content), kept);
        state.bytes = (state.bytes + bytes).saturating_sub(replaced.map_or(0, |replaced| replaced.bytes));
    }

    /// Called before a COMMIT is sent: throws away what it may change.
    pub(crate) fn begin(&self, touches: Touches) -> Committing {
        if let Some(mut state) = self.lock() {
            state.generation += 1;
            // There is one writer. If there were two, nobody would know what the other changes.
            state.is_lost |= state.committing.is_some();
            match &touches {
                Touches::Anything => {
                    state.forget_everything();
                    state.unknown_until = state.generation;
                }
                Touches::Keys(name, keys) => state.forget(name, keys),
                Touches::Nothing => {}
            }
            state.committing = Some(touches);
        }
        Committing { recent: self.clone(), has_ended: false }
    }
}

impl State {
    /// Of a bucket that is known as it was before, how it is now.
    fn tell(&mut self, bucket: &Bucket) {
        let known = self.buckets.get_mut(&bucket.name).and_then(|known| known.bucket.as_mut());
        let is_older =
            |known: &Bucket| known.id == bucket.id && known.commit_sequence < bucket.commit_sequence;
        if let Some(known) = known.filter(|known| is_older(known)) {
            known.clone_from(bucket);
        }
    }

    /// What is known of a bucket now.
    fn known(&self, name: &BucketName) -> Option<&Known> {
        let is_known = !self.is_lost && !matches!(self.committing, Some(Touches::Anything));
        self.buckets.get(name).filter(|_| is_known)
    }

    fn known_mut(&mut self, name: &BucketName) -> &mut Known {
        if self.buckets.len() >= BUCKETS_MAX && !self.buckets.contains_key(name) {
            self.forget_everything();
        }
        self.buckets.entry(name.clone()).or_default()
    }

    /// Whether nothing can have changed the current version of a key, or a bucket's row, since the ticket was taken.
    fn is_unchanged(&self, ticket: Ticket, name: &BucketName, key: Option<&ObjectKey>) -> bool {
        let Some(began) = ticket.0.filter(|began| !self.is_lost && *began >= self.unknown_until) else {
            return false;
        };
        let has = |bucket: &BucketName, keys: &BTreeSet<ObjectKey>| {
            bucket == name && key.is_none_or(|key| keys.contains(key))
        };
        let is_changing = match &self.committing {
            None | Some(Touches::Nothing) => false,
            Some(Touches::Anything) => true,
            Some(Touches::Keys(bucket, keys)) => has(bucket, keys),
        };
        let mut since = self.ended.iter().rev().take_while(|ended| ended.generation > began);
        !is_changing && !since.any(|ended| has(&ended.bucket, &ended.keys))
    }

    fn note_end(&mut self, bucket: BucketName, keys: BTreeSet<ObjectKey>) {
        self.ended_keys += keys.len();
        self.ended.push_back(Ended { generation: self.generation, bucket, keys });
        while self.ended.len() > ENDED_MAX || self.ended_keys > ENDED_KEYS_MAX {
            let Some(oldest) = self.ended.pop_front() else { return };
            self.ended_keys -= oldest.keys.len();
            self.unknown_until = self.unknown_until.max(oldest.generation);
        }
    }

    fn forget_everything(&mut self) {
        self.buckets.clear();
        self.bytes = 0;
    }

    fn forget(&mut self, name: &BucketName, keys: &BTreeSet<ObjectKey>) {
        let Some(known) = self.buckets.get_mut(name) else { return };
        for key in keys {
            for with_content in [false, true] {
                let gone = known.versions.remove(&(key.clone(), with_content));
                self.bytes = self.bytes.saturating_sub(gone.map_or(0, |gone| gone.bytes));
            }
        }
    }
}

impl Committing {
    /// The COMMIT has ended, well or not. `bucket` is the row as it left it, if that is known and all that it touched.
    pub(crate) fn end(mut self, bucket: Option<Bucket>) {
        self.has_ended = true;
        let Some(mut state) = self.recent.lock() else { return };
        state.generation += 1;
        match state.committing.take() {
            Some(Touches::Keys(name, keys)) => {
                let bucket = bucket.filter(|bucket| bucket.name == name);
                if bucket.is_some() || state.buckets.contains_key(&name) {
                    state.known_mut(&name).bucket = bucket;
                }
                state.note_end(name, keys);
            }
            Some(Touches::Nothing) => {}
            Some(Touches::Anything) | None => state.unknown_until = state.generation,
        }
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if let Some(mut state) = self.recent.lock() {
            tracing::warn!(
                "how a commit ended is not known: what is read is not remembered any more, until a restart"
            );
            state.is_lost = true;
            state.forget_everything();
        }
    }
}

/// About what a version takes in memory.
fn bytes_of(key: &ObjectKey, version: &Version) -> usize {
    let content = match &version.content {
        Content::Inline(bytes) => bytes.len(),
        Content::Stored(manifest) => manifest.extents.len() * 96,
    };
    let attributes = &version.attributes;
    let texts = [
        &attributes.content_type,
        &attributes.cache_control,
        &attributes.content_disposition,
        &attributes.content_encoding,
        &attributes.content_language,
        &attributes.expires,
        &attributes.website_redirect_location,
    ];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let metadata = attributes.user_metadata.iter().map(|(name, value)| name.len() + value.len() + 64);
    let tags = attributes.tags.iter().map(|(key, value)| key.len() + value.len() + 64);
    let described = texts + metadata.sum::<usize>() + tags.sum::<usize>();
    let grants = attributes.acl.as_ref().map_or(0, |acl| (acl.grants.len() + 1) * 256);
    OVERHEAD + key.as_bytes().len() + content + described + grants + version.parts.len() * 96
}
