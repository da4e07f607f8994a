//! What callers have been told, and whether a disk keeps to it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use chunk_api::{CellRange, Error, ListShards, Purpose, ShardHeader, conformance::Sample};
use types::{ChunkId, GroupId, LeaseId, ShardId, ShardIndex};

use super::{DiskStore, Rng, SimDisk};
use crate::{ShardStore, disk::format::cell_offset};

/// Names under one lease.
pub(super) const NAMES_PER_LEASE: u64 = 1000;

/// What is wrong with what a store shows.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Something acknowledged is not there any more, though its medium is honest or nothing was reported.
    Lost(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// What callers have asked for and what they have been told.
#[derive(Default)]
pub(super) struct Told {
    samples: BTreeMap<ShardId, Sample>,
    /// Greatest epoch of a put of a name that was asked for, and that was acknowledged.
    asked: BTreeMap<ShardId, i64>,
    acknowledged: BTreeMap<ShardId, i64>,
    delete_asked: BTreeSet<ShardId>,
    deleted: BTreeSet<ShardId>,
    evict_asked: BTreeMap<GroupId, i64>,
    evicted: BTreeMap<GroupId, i64>,
    pub(super) fenced: BTreeSet<LeaseId>,
    /// Shards that were tampered with, and not repaired since.
    pub(super) spoiled: BTreeSet<ShardId>,
    /// Whether a segment of marks was tampered with, and not mended since.
    are_marks_spoiled: bool,
    /// Whether one was at a start, which has lost marks then.
    is_start_spoiled: bool,
    /// Whether a start has reported damage.
    reported: bool,
    /// Whether the medium lost what stands last in a kind of files, or the last block of a group.
    pub(super) is_last_lost: bool,
    /// Whether a start was cut short before it could report anything.
    pub(super) is_cut_short: bool,
}

/// The name of a shard, numbered.
pub(super) fn shard(name: u64) -> ShardId {
    let lease = LeaseId(i64::try_from(name / NAMES_PER_LEASE).unwrap());
    ShardId { chunk: ChunkId { lease, counter: name % NAMES_PER_LEASE }, index: ShardIndex(0) }
}

/// The shard of a name at an epoch: everything else of it follows from the name.
pub(super) fn sample(name: u64, epoch: i64) -> Sample {
    thread_local! {
        // Seeds use the same names, and making up bytes takes longer than keeping them.
        static MADE: RefCell<HashMap<u64, Sample>> = RefCell::default();
    }
    let mut sample = MADE.with_borrow_mut(|made| made.entry(name).or_insert_with(|| make(name)).clone());
    sample.header.epoch = epoch;
    sample
}

fn make(name: u64) -> Sample {
    let mut rng = Rng(name);
    // Records of one sector and of many: a group may lose some and keep others.
    let length = match rng.below(40) {
        0 => 280_000,
        1..14 => rng.below(6000),
        _ => rng.below(300),
    };
    let ChunkId { lease, counter } = shard(name).chunk;
    let mut sample = Sample::single(lease.0, counter, length);
    sample.header.group = GroupId(i32::try_from(name % 3).unwrap());
    sample
}

fn raise<K: Ord>(map: &mut BTreeMap<K, i64>, key: K, epoch: i64) {
    let known = map.entry(key).or_insert(epoch);
    *known = epoch.max(*known);
}

impl Told {
    pub(super) fn ask_put(&mut self, sample: &Sample) {
        self.samples.entry(sample.shard()).or_insert_with(|| sample.clone());
        raise(&mut self.asked, sample.shard(), sample.header.epoch);
    }

    pub(super) fn put(&mut self, sample: &Sample) {
        raise(&mut self.acknowledged, sample.shard(), sample.header.epoch);
        self.spoiled.remove(&sample.shard());
    }

    pub(super) fn ask_delete(&mut self, shard: ShardId) {
        self.delete_asked.insert(shard);
    }

    pub(super) fn delete(&mut self, shard: ShardId) {
        self.deleted.insert(shard);
    }

    pub(super) fn ask_evict(&mut self, group: GroupId, epoch: i64) {
        raise(&mut self.evict_asked, group, epoch);
    }

    pub(super) fn evict(&mut self, group: GroupId, epoch: i64) {
        raise(&mut self.evicted, group, epoch);
    }

    /// Whether callers may rely on a shard.
    fn is_kept(&self, shard: ShardId) -> bool {
        let Some(epoch) = self.acknowledged.get(&shard) else { return false };
        let evicted = self.evict_asked.get(&self.samples[&shard].header.group);
        !self.delete_asked.contains(&shard) && evicted.is_none_or(|end| end < epoch)
    }

    /// Whether marks that were acknowledged end a shard.
    fn is_ended(&self, header: &ShardHeader) -> bool {
        let evicted = self.evicted.get(&header.group);
        self.deleted.contains(&header.shard) || evicted.is_some_and(|end| header.epoch <= *end)
    }

    /// Flips a bit of a cell of one shard.
    pub(super) fn spoil_one(&mut self, store: &DiskStore, disk: &SimDisk, rng: &mut Rng) {
        let with_cells = |sample: &&Sample| !sample.cells.is_empty();
        let samples: Vec<_> = self.samples.values().filter(with_cells).collect();
        if samples.is_empty() {
            return;
        }
        let sample = samples[usize::try_from(rng.below(samples.len() as u64)).unwrap()];
        let Ok((place, segment)) = store.handle.shared.index().find(sample.shard()) else { return };
        let path = store.handle.shared.files.directory().join(segment.file_name());
        let at = place.position() + cell_offset(place.record.owner_length, 0);
        disk.tamper(&path, |data| data[usize::try_from(at).unwrap()] ^= 1);
        self.spoiled.insert(sample.shard());
    }

    /// Flips a bit of what is written in one segment of marks.
    pub(super) fn spoil_marks(&mut self, disk: &SimDisk, rng: &mut Rng) {
        self.are_marks_spoiled |= disk.flip_one(rng, "marks-");
    }

    /// A scrub has gone over all marks.
    pub(super) fn note_scrubbed(&mut self, store: &DiskStore) {
        let index = store.handle.shared.index();
        let mut last = None;
        let mut is_mended = !self.is_start_spoiled;
        while let Some(view) = index.marks_after(last) {
            last = Some(view.name.number);
            is_mended &= !view.is_damaged;
        }
        self.are_marks_spoiled &= !is_mended;
    }

    /// Whether a medium that lies may have lost something.
    fn may_have_lost(&self) -> bool {
        self.reported || self.is_last_lost || self.is_cut_short
    }

    /// Takes in what a start reports. The runs of bytes that it has quarantined.
    pub(super) async fn note_report(&mut self, store: &DiskStore) -> u64 {
        let status = store.status().await;
        self.reported |= status.damaged_records > 0;
        status.quarantined_records
    }

    /// Compares a store with what callers were told, once it has started. What a medium that lies has lost must have
    /// been reported.
    pub(super) async fn check(&mut self, store: &DiskStore, is_honest: bool) -> Result<(), Wrong> {
        let quarantined = self.note_report(store).await;
        self.is_start_spoiled |= self.are_marks_spoiled;
        let is_honest = is_honest && !self.is_start_spoiled;
        if is_honest && quarantined > 0 {
            return Err(Wrong::Other(format!("{quarantined} runs of bytes pass for rot")));
        }
        let mut lost = self.check_shards(store, is_honest).await?;
        lost.extend(self.check_marks(store));
        match lost.into_iter().next() {
            Some(lost) if is_honest || !self.may_have_lost() => Err(Wrong::Lost(lost)),
            _ => Ok(()),
        }
    }

    /// What is lost of the shards.
    async fn check_shards(&self, store: &DiskStore, is_honest: bool) -> Result<Vec<String>, Wrong> {
        let other = |what: String| Err(Wrong::Other(what));
        let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
        let suspects = store.list_damaged().await.unwrap();
        let mut lost = Vec::new();
        for line in &listed {
            let shard = line.header.shard;
            let Some(sample) = self.samples.get(&shard) else {
                return other(format!("{shard} was never put"));
            };
            let owner_lost = line.header.owner.is_empty();
            let owner = if owner_lost { sample.header.owner.clone() } else { line.header.owner.clone() };
            let header = ShardHeader { owner, epoch: sample.header.epoch, ..line.header.clone() };
            if header != sample.header || line.header.epoch > self.asked[&shard] {
                return other(format!("{shard} has another header"));
            }
            if self.is_ended(&line.header) {
                // Its deletion or its eviction is gone.
                lost.push(format!("the end of {shard}"));
            }
            let is_suspect = suspects.iter().any(|header| header.shard == shard);
            let read = read(store, sample).await;
            let verdict = store.verify(&[shard]).await.unwrap().remove(0);
            match (&read, &verdict) {
                (Ok(cells), _) if *cells != sample.cells => return other(format!("{shard} has other bytes")),
                (Ok(_), Ok(())) if is_suspect || owner_lost => {
                    return other(format!("{shard} passes for whole"));
                }
                (Ok(_), Ok(())) => {}
                (Ok(_) | Err(Error::ShardCorrupt { .. }), Err(Error::ShardCorrupt { .. })) => {
                    // Known by name, so that a scrub finds it and a repair replaces it.
                    if is_honest && self.is_kept(shard) && !self.spoiled.contains(&shard) {
                        lost.push(format!("bytes of {shard}"));
                    }
                }
                _ => return other(format!("{shard} reads {:?} and verifies as {verdict:?}", read.err())),
            }
        }
        let is_listed = |shard: &ShardId| listed.iter().any(|line| line.header.shard == *shard);
        let missing = self.acknowledged.keys().filter(|shard| self.is_kept(**shard) && !is_listed(shard));
        lost.extend(missing.map(|shard| format!("{shard} itself")));
        Ok(lost)
    }

    /// What is lost of the marks.
    fn check_marks(&self, store: &DiskStore) -> Vec<String> {
        let mut lost = Vec::new();
        let mut expect = |sample: &Sample, purpose, refusal: Error| {
            let mut index = store.handle.shared.index();
            let begun = index.begin(&(&sample.header).into(), purpose).map(drop);
            if begun.is_ok() {
                index.end(sample.shard());
            }
            if begun != Err(refusal.clone()) {
                lost.push(format!("{refusal:?}"));
            }
        };
        for shard in &self.deleted {
            let sample = Sample::single(shard.chunk.lease.0, shard.chunk.counter, 0);
            expect(&sample, Purpose::Repair, Error::ShardDeleted { shard: *shard });
        }
        for (group, epoch) in &self.evicted {
            let mut sample = sample(NAMES_PER_LEASE - 10, *epoch);
            sample.header.group = *group;
            expect(&sample, Purpose::Repair, Error::ShardDeleted { shard: sample.shard() });
        }
        for lease in &self.fenced {
            let name = u64::try_from(lease.0).unwrap() * NAMES_PER_LEASE + NAMES_PER_LEASE - 10;
            expect(&sample(name, i64::MAX), Purpose::Write, Error::LeaseFenced { lease: *lease });
        }
        lost
    }
}

async fn read(store: &DiskStore, sample: &Sample) -> Result<Vec<chunk_api::Cell>, Error> {
    match u32::try_from(sample.cells.len()).unwrap() {
        0 => Ok(Vec::new()),
        count => store.read_cells(sample.shard(), CellRange { first: 0, count }).await,
    }
}
