//! Verifies what the disk keeps beside shards, marks and index files, as the medium has it, and mends what is damaged.
//!
//! Nobody reads either before the next start, and then it is too late for marks: what they ended would be there again. For
//! as long as the process lives its index knows every mark, though not which segment it is in. So damaged segments of marks are
//! mended by what the index knows and no other segment says: that is written again at the end of the open segment, read back
//! from the medium, and then the damaged files go. What could still be read of them is among it. The power may go at any
//! moment: to repeat a mark says nothing new.
//!
//! The open segment is looked at as far as it is stable; when that part is damaged the segment is ended first. An index file
//! is a cache: a damaged one is removed and made anew by those who make them. A segment's own header nobody needs, so that it
//! is not looked at.
//!
//! What mending costs: all marks are read once to find every segment that is damaged, and once for each [`NAMES_AT_ONCE`] names
//! that were ever deleted, at most 32 MiB a second; no more is written than all marks take densely, 17 bytes a name, and rather
//! what the damaged segments had. In memory are the names of such a part, about two bytes each, and never more than the
//! index takes for as many; with all evictions and fences, which are few.
//!
//! Invariant: a damaged segment of marks is removed only after every mark that the index knows was found in others, whole, or
//! was read back where it was written again.
//! Invariant: a mark that a start found in two segments counts for the older one too once the newer is damaged, so that no
//! condensing leaves it out.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use chunk_api::Error;
use tracing::{error, info, warn};
use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{
    Handle, Shared, closed,
    compact::BYTES_PER_SECOND,
    condense::{MarkCounts, RECORDS_PER_GROUP, ReadMarks, dense_bytes},
    format::{Eviction, GROUP_ALIGNMENT, MARKS_PER_RECORD_MAX, Marks, SEGMENT_HEADER_LENGTH},
    index::{DeletedNames, MarksView, Part},
    index_file,
    read::EXAMINED_MAX,
    request::Request,
    segment::SegmentName,
    unread::is_for_want_of_means,
    writer::merge,
};
use crate::Beside;

/// Deleted names that are looked for in all segments at once: 16 MiB where the shards of a lease are spread over a hundred
/// disks, 40 MiB over a thousand.
const NAMES_AT_ONCE: usize = 8 << 20;

/// What a look at a part has come to.
struct Looked {
    bytes: u64,
    found: MarkCounts,
    is_whole: bool,
}

/// Marks that the index knows, less those that were found.
#[derive(Debug, Default)]
struct Missing {
    deleted: DeletedNames,
    evicted: BTreeMap<(GroupId, ShardIndex), i64>,
    fenced: BTreeSet<LeaseId>,
}

/// Why damaged segments stay as they are.
enum Unmended {
    /// Nothing was tried, or was not ended.
    Call(Error),
    /// What was just written cannot be read.
    NotReadBack(Vec<MarksView>),
}

impl From<Error> for Unmended {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl Missing {
    /// Takes out what a record says.
    fn strike(&mut self, marks: &Marks) {
        match marks {
            Marks::Deleted(shards) => shards.iter().for_each(|shard| self.deleted.remove(*shard)),
            Marks::Evicted(evictions) => {
                for Eviction { group, index, epoch } in evictions {
                    if self.evicted.get(&(*group, *index)).is_some_and(|end| end <= epoch) {
                        self.evicted.remove(&(*group, *index));
                    }
                }
            }
            Marks::Fenced(leases) => {
                for lease in leases {
                    self.fenced.remove(lease);
                }
            }
        }
    }

    fn counts(&self) -> MarkCounts {
        let (evicted, fenced) = (self.evicted.len(), self.fenced.len());
        MarkCounts { deleted: self.deleted.len(), evicted, fenced }
    }

    /// The evictions and fences, in records.
    fn few(&self) -> Vec<Marks> {
        let eviction = |(key, epoch): (&(GroupId, ShardIndex), &i64)| Eviction {
            group: key.0,
            index: key.1,
            epoch: *epoch,
        };
        let evicted = self.evicted.iter().map(eviction).collect();
        merge([Marks::Evicted(evicted), Marks::Fenced(self.fenced.iter().copied().collect())])
    }
}

impl Handle {
    /// Verifies the part behind that of a segment's number, and mends what is damaged in it. `None` when there is none.
    pub(super) async fn verify_beside(&self, after: Option<u32>) -> Result<Option<Beside>, Error> {
        self.verify_part(after, NAMES_AT_ONCE).await
    }

    /// As [`Handle::verify_beside`]: what is missing is looked for by so many names at once.
    pub(super) async fn verify_part(
        &self,
        after: Option<u32>,
        names_at_once: usize,
    ) -> Result<Option<Beside>, Error> {
        self.check_open()?;
        if after.is_none() {
            // For want of room, it may be, which there may be now.
            self.shared.index().forget_damaged_marks();
        }
        // Held as long as what was found is, so that disks take turns, and nothing is condensed meanwhile.
        let _turn = self.until_closed(async { Ok(self.shared.options.scan_turns.take().await) }).await?;
        let part = self.shared.index().part_after(after);
        let Some((number, part)) = part else { return Ok(None) };
        let (bytes, bad_files) = match part {
            Part::Marks(view) => self.verify_marks(view, names_at_once).await?,
            Part::IndexFile(name) => self.verify_index_file(name).await?,
        };
        Ok(Some(Beside { number, bytes, bad_files }))
    }

    /// Bytes of a segment of marks, and how many damaged ones were found.
    async fn verify_marks(&self, view: MarksView, names_at_once: usize) -> Result<(u64, u64), Error> {
        // In vain, or told in this pass already.
        if view.is_spent() || view.is_damaged {
            return Ok((0, 0));
        }
        let looked = self.look_at_marks(view).await?;
        let bad = if looked.is_whole { 0 } else { self.mend(view, names_at_once).await? };
        Ok((looked.bytes, bad))
    }

    async fn look_at_marks(&self, view: MarksView) -> Result<Looked, Error> {
        self.read(move |shared| shared.look_at_marks(view, |_| {})).await
    }

    /// Looks at all segments of marks and mends those that are damaged, of which one is known. How many were not known to be.
    async fn mend(&self, known: MarksView, names_at_once: usize) -> Result<u64, Error> {
        let (mut damaged, mut whole) = (Vec::new(), Vec::new());
        let mut last = None;
        while let Some(view) = self.next_marks(last) {
            last = Some(view.name.number);
            if view.is_spent() {
                continue;
            }
            let looked = self.look_at_marks(view).await?;
            if !looked.is_whole || view.name == known.name {
                damaged.push(view);
            } else if view.end.is_none() {
                whole.push((view.name.number, looked.found));
            }
            self.rest_after(looked.bytes).await;
        }
        let newest = damaged.last().map_or(0, |view| view.name.number);
        {
            let mut index = self.shared.index();
            let older = whole.into_iter().filter(|(number, _)| *number < newest);
            older.for_each(|(number, found)| index.recount_marks(number, found));
        }
        let is_news = |view: &&MarksView| !view.is_quarantined && !view.is_damaged;
        let news = damaged.iter().filter(is_news);
        news.clone().for_each(|view| warn!(disk = %self.shared.disk, segment = view.name.file_name(), "a segment of marks is damaged"));
        let news = news.count() as u64;
        let disk = self.shared.disk;
        match self.write_again(&damaged, names_at_once).await {
            Ok(marks) => {
                info!(%disk, segments = damaged.len(), marks, "damaged segments of marks were mended by what is in memory");
            }
            Err(Unmended::Call(error)) if is_full(&error) || self.shared.check_failure().is_err() => {
                error!(%disk, %error, segments = damaged.len(), "marks of damaged segments are in memory alone and cannot be written again now");
                self.leave_damaged(&damaged);
            }
            Err(Unmended::NotReadBack(unread)) => {
                error!(%disk, segments = damaged.len(), "marks of damaged segments cannot be read back where they were written again");
                self.leave_damaged(&damaged);
                self.leave_damaged(&unread);
            }
            // The caller tries again.
            Err(Unmended::Call(error)) => return Err(error),
        }
        Ok(news)
    }

    fn next_marks(&self, after: Option<u32>) -> Option<MarksView> {
        self.shared.index().marks_after(after)
    }

    fn leave_damaged(&self, damaged: &[MarksView]) {
        let mut index = self.shared.index();
        damaged.iter().for_each(|view| index.note_damaged_marks(view.name.number));
    }

    /// Leaves the disk to others after so many bytes were read.
    async fn rest_after(&self, bytes: u64) {
        let pause = Duration::from_millis(bytes * 1000 / BYTES_PER_SECOND);
        if !pause.is_zero() {
            self.shared.env.sleep(pause).await;
        }
    }

    /// Writes again what the index knows and these segments alone may say, and gives them up. How many marks that were.
    async fn write_again(&self, damaged: &[MarksView], names_at_once: usize) -> Result<u64, Unmended> {
        let segments = damaged.iter().map(|view| view.name.number).collect();
        // By the answer the index knows of every mark in them.
        self.ask(|reply| Request::EndMarks { segments, reply }).await?;
        let mut open = None;
        while let Some(view) = self.next_marks(open) {
            open = Some(view.name.number);
        }
        let (mut written, mut after) = (0, None);
        loop {
            let (missing, next) =
                self.read(move |shared| Ok(shared.known_marks(after, names_at_once))).await?;
            let missing = self.strike_found(missing, damaged).await?;
            written += self.write_missing(missing).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        if written > 0 {
            self.read_back(open).await?;
        }
        for view in damaged {
            if view.is_quarantined {
                // It is kept for an operator.
                self.shared.index().spend_marks(view.name.number);
            } else {
                self.ask(|reply| Request::RemoveMarks { segment: view.name, reply }).await?;
            }
        }
        Ok(written)
    }

    /// Takes out of these marks what other segments say than the damaged ones. In the order of their numbers: one that was
    /// made meanwhile has no mark that these may have been lost with.
    async fn strike_found(&self, mut missing: Missing, damaged: &[MarksView]) -> Result<Missing, Error> {
        let mut last = None;
        while let Some(view) = self.next_marks(last) {
            last = Some(view.name.number);
            if view.is_spent() || damaged.iter().any(|other| other.name == view.name) {
                continue;
            }
            let bytes;
            (missing, bytes) = self
                .read(move |shared| {
                    let looked = shared.look_at_marks(view, |marks| missing.strike(&marks))?;
                    Ok((missing, looked.bytes))
                })
                .await?;
            self.rest_after(bytes).await;
        }
        Ok(missing)
    }

    /// Writes marks, if there is room for all of them. How many.
    async fn write_missing(&self, missing: Missing) -> Result<u64, Error> {
        let counts = missing.counts();
        if counts.is_zero() {
            return Ok(0);
        }
        let needed = dense_bytes(counts.records()) + 2 * GROUP_ALIGNMENT;
        if !self.read(move |shared| Ok(shared.has_room_for_copies(needed))).await? {
            return Err(Error::DiskFull { disk: self.shared.disk });
        }
        for group in missing.few().chunks(RECORDS_PER_GROUP) {
            self.copy_marks(group.to_vec(), true).await?;
        }
        let mut after = None;
        loop {
            let names = missing.deleted.after(after, RECORDS_PER_GROUP * MARKS_PER_RECORD_MAX);
            let Some(last) = names.last() else { break };
            after = Some(*last);
            self.copy_marks(merge([Marks::Deleted(names)]), true).await?;
        }
        Ok((counts.deleted + counts.evicted + counts.fenced) as u64)
    }

    /// Reads the segments from one on, which have what was written again.
    async fn read_back(&self, first: Option<u32>) -> Result<(), Unmended> {
        let mut unread = Vec::new();
        let mut last = first.and_then(|first| first.checked_sub(1));
        while let Some(view) = self.next_marks(last) {
            last = Some(view.name.number);
            let looked = self.look_at_marks(view).await?;
            if !looked.is_whole {
                unread.push(view);
            }
            self.rest_after(looked.bytes).await;
        }
        if unread.is_empty() { Ok(()) } else { Err(Unmended::NotReadBack(unread)) }
    }

    /// Bytes of an index file, and whether it was damaged.
    async fn verify_index_file(&self, name: SegmentName) -> Result<(u64, u64), Error> {
        let (bytes, is_sound) = self.read(move |shared| shared.look_at_index_file(name)).await?;
        if is_sound || !self.shared.index().has_index_file(name.number) {
            return Ok((bytes, 0));
        }
        warn!(disk = %self.shared.disk, index = name.index_file_name(), "index file is damaged and is made anew");
        // A disk that has failed is not changed any more, and a start passes over the file as well.
        if self.shared.check_failure().is_ok() {
            // As streams do: a disk that is closed is not let go before the removal has ended.
            let permit = self.streams.clone().acquire_owned().await.map_err(|_| closed())?;
            self.check_open()?;
            let shared = self.shared.clone();
            let task = self.shared.env.spawn_blocking(move || {
                shared.remove_damaged_index_file(name);
                drop(permit);
            });
            self.unless_hung(async { task.await.ok_or_else(closed) }).await?;
        }
        Ok((bytes, 1))
    }
}

impl Shared {
    /// Reads a segment of marks from the medium, and hands on the marks of every record that is whole. `Unavailable` when the
    /// process lacks the means.
    fn look_at_marks(&self, view: MarksView, take: impl FnMut(Marks)) -> Result<Looked, Error> {
        let looking = || -> io::Result<Looked> {
            let file = self.files.open(view.name)?;
            let length = file.length()?;
            file.forget_cached(0, length);
            let ReadMarks { counts, is_whole } = self.read_marks(view.name, view.end, take)?;
            let bytes = view.end.unwrap_or(length).saturating_sub(SEGMENT_HEADER_LENGTH);
            Ok(Looked { bytes, found: counts, is_whole: is_whole && counts.covers(&view.counts) })
        };
        match looking() {
            Err(error) if is_for_want_of_means(&error) => Err(unavailable(&error)),
            Err(error) => {
                warn!(disk = %self.disk, segment = view.name.file_name(), %error, "segment of marks cannot be read");
                Ok(Looked { bytes: 0, found: MarkCounts::default(), is_whole: false })
            }
            Ok(looked) => Ok(looked),
        }
    }

    /// What the index knows: names behind one, as many as are looked for at once, and with the first of them all else. Behind
    /// which name the next ones come. Whatever is marked meanwhile is in no damaged segment.
    fn known_marks(&self, mut after: Option<ShardId>, names_at_once: usize) -> (Missing, Option<ShardId>) {
        let mut missing = Missing::default();
        if after.is_none() {
            (missing.evicted, missing.fenced) = self.index().evicted_and_fenced();
        }
        loop {
            let wanted = EXAMINED_MAX.min(names_at_once - missing.deleted.len());
            // The index is let go in between.
            let names = self.index().deleted_after(after, wanted);
            names.iter().for_each(|name| missing.deleted.insert(*name));
            if names.len() < wanted {
                return (missing, None);
            }
            after = names.last().copied().or(after);
            if missing.deleted.len() >= names_at_once {
                return (missing, after);
            }
        }
    }

    /// Reads an index file from the medium. How many bytes it has, and whether a start could rely on it.
    fn look_at_index_file(&self, name: SegmentName) -> Result<(u64, bool), Error> {
        match index_file::check(&self.files, name) {
            Err(error) if is_for_want_of_means(&error) => Err(unavailable(&error)),
            Err(error) => {
                info!(disk = %self.disk, index = name.index_file_name(), %error, "index file cannot be read");
                Ok((0, false))
            }
            Ok(found) => Ok(found),
        }
    }

    /// Removes an index file, so that it is made anew.
    fn remove_damaged_index_file(&self, name: SegmentName) {
        match self.files.remove_index_file(name) {
            // Once it is gone: whoever makes it anew must not find it removed.
            Ok(()) => self.index().lose_index_file(name.number),
            // A start does without it.
            Err(error) => {
                warn!(index = name.index_file_name(), %error, "damaged index file could not be removed");
            }
        }
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::DiskFull { .. })
}

fn unavailable(error: &io::Error) -> Error {
    Error::Unavailable { reason: format!("it cannot be verified now: {error}") }
}
