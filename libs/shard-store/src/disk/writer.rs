//! The disk's one writer: a thread that gathers what waits, writes it and makes it stable with one sync.
//!
//! While one group is being synced the next gathers in the queue; nothing waits for a timer.

use std::{collections::BTreeMap, io, sync::Arc};

use chunk_api::Error;
use env::File;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{error, warn};

use super::{
    Shared,
    active::{Active, Appender, NoRoom, Share},
    format::{
        Chain, Eviction, GROUP_ALIGNMENT, Group, HEADER_LENGTH, MARKS_PER_RECORD_MAX, Marks, RecordHeader,
        ShardRecord, padding, push_cell, push_sealed,
    },
    group::{Batch, Progress, Run, Written},
    index::Place,
    read::EXAMINED_MAX,
    recovery::Recovered,
    request::{Reply, Request, Reserve, Room, SmallPut, StreamedPut, TakenName},
    segment::{Kind, SegmentName},
    stable::{End, StableFile, StablePoint},
    unread::is_out_of_descriptors,
};

/// Bytes by which a segment of shards is reserved ahead.
const SHARDS_STEP: u64 = 16 << 20;

/// Most bytes that are kept to gather the next run in.
const KEPT_MAX: usize = 2 << 20;

/// Bytes by which a segment of marks is reserved ahead.
const MARKS_STEP: u64 = 1 << 20;

/// Everything that only the writer's thread touches.
pub(super) struct Writer {
    shared: Arc<Shared>,
    group: Group,
    next_segment: u32,
    shards: Appender,
    marks: Appender,
    /// What is stable, and where that is noted.
    stable: StablePoint,
    note: StableFile,
    /// Memory that runs are gathered in, used again: it is neither made anew by the system, page by page, nor grown.
    gathered: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, recovered: &mut Recovered) -> io::Result<Self> {
        let note = StableFile::open(shared.files.disk().as_ref(), shared.files.directory(), shared.disk)?;
        let (full_length, full_marks) = (shared.options.segment_bytes, shared.options.mark_segment_bytes);
        let marks_step = MARKS_STEP.min(full_marks);
        Ok(Self {
            group: recovered.stable.group,
            stable: recovered.stable,
            note,
            next_segment: recovered.last_segment + 1,
            shards: Appender::new(
                &shared.files,
                Kind::Shards,
                SHARDS_STEP,
                full_length,
                recovered.shards.take(),
            ),
            marks: Appender::new(&shared.files, Kind::Marks, marks_step, full_marks, recovered.marks.take()),
            gathered: Vec::new(),
            shared,
        })
    }

    /// Works until the queue ends or a `Close` comes. Blocks between its awaits: for a thread of its own.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        self.remove_empty_segments();
        self.keep_room_for_marks();
        while let Some(first) = queue.recv().await {
            let mut batch = Batch::default();
            batch.push(first);
            while batch.has_room() {
                let Ok(next) = queue.try_recv() else { break };
                batch.push(next);
            }
            let closes = std::mem::take(&mut batch.closes);
            self.work_off(batch);
            if !closes.is_empty() {
                queue.close();
                self.void_abandoned();
                self.note.sync();
                for reply in closes {
                    // Nobody waits any more: nothing to tell.
                    let _ = reply.send(());
                }
                return;
            }
        }
    }

    fn work_off(&mut self, batch: Batch) {
        self.void_abandoned();
        for Reserve { record, owner, share, permit, reply } in batch.reserves {
            let _ = reply.send(self.reserve(record, &owner, share, permit));
        }
        if !batch.marks.is_empty() {
            self.mark(batch.marks);
        }
        for (marks, reply) in batch.mark_copies {
            let _ = reply.send(self.copy_marks(&marks));
        }
        for (segments, reply) in batch.mark_ends {
            let _ = reply.send(self.end_marks(&segments));
        }
        for (segment, reply) in batch.mark_removals {
            let _ = reply.send(self.remove_marks(segment));
        }
        if !batch.puts.is_empty() || !batch.commits.is_empty() {
            self.put(batch.puts, batch.commits);
        }
        self.shared.set_slack(self.shards.slack());
        if let Some((number, end)) = self.shards.end() {
            self.shared.index().set_end(number, end);
        }
        self.remove_empty_segments();
    }

    /// Finds room for a record and writes its header and owner there, so that whatever becomes stable behind it shows what is
    /// there. Answers with the chain as far as that.
    fn reserve(
        &mut self,
        record: ShardRecord,
        owner: &[u8],
        share: Share,
        permit: OwnedSemaphorePermit,
    ) -> Result<(Arc<Room>, Chain), Error> {
        self.shared.check_failure()?;
        self.shards.align();
        let length = record.layout().length.next_multiple_of(GROUP_ALIGNMENT);
        let room = self.shards.append(&self.shared, &mut self.next_segment, length, share);
        let (active, position) = room.map_err(|reason| self.refusal(reason))?;
        // With the owner, so that a process that is killed before the first cells come leaves nothing of which nobody can
        // tell for which key it was written.
        let header = RecordHeader::Shard(record).encode(active.salt, position);
        let mut head = header.to_vec();
        push_sealed(&mut head, owner);
        let mut chain = Chain::new(&header);
        chain.push(last_checksum(&head));
        let tail = position + record.layout().length;
        let written = active.file.write_all_at(&head, position);
        let written = written.and_then(|()| active.file.write_all_at(padding(tail), tail));
        written.map_err(|error| self.shared.fail(&error))?;
        Ok((Arc::new(Room::new(self.shared.clone(), active, position, length, permit)), chain))
    }

    /// Says in the segments that streamed puts which were given up left nothing.
    fn void_abandoned(&self) {
        // They stay in the list until it is said: whoever scans their segment meanwhile must not take them for damage.
        let abandoned = self.shared.abandoned().clone();
        for room in &abandoned {
            if let Err(error) = room.void() {
                self.shared.fail(&error);
            }
        }
        self.shared.abandoned().drain(..abandoned.len());
    }

    /// Writes small shards and the footers of streamed ones, syncs, publishes, answers.
    fn put(&mut self, puts: Vec<SmallPut>, commits: Vec<StreamedPut>) {
        if let Err(error) = self.shared.check_failure() {
            puts.into_iter().for_each(|put| finish(put.reply, put.name, Err(error.clone())));
            commits.into_iter().for_each(|commit| finish(commit.reply, commit.name, Err(error.clone())));
            return;
        }
        self.group.0 += 1;
        self.shards.align();
        let mut progress = Progress::default();
        let mut run = None;
        for put in puts {
            self.add(put, &mut run, &mut progress);
        }
        self.write_run(run.take(), &mut progress);
        for commit in commits {
            self.write_footer(commit, &mut progress);
        }
        match self.sync(&progress.dirty) {
            Ok(()) => {
                for written in progress.written {
                    let published = self.shared.index().publish(written.place, written.claim);
                    debug_assert!(
                        published,
                        "names were checked when the group began and only this thread marks"
                    );
                    finish(written.reply, written.name, Ok(()));
                }
            }
            Err(error) => give_up(progress.written, &error),
        }
    }

    /// Encodes a small shard behind the run, or behind a new one when the segment changes.
    fn add(&mut self, put: SmallPut, run: &mut Option<Run>, progress: &mut Progress) {
        // The medium may have failed earlier in this group: nothing more is written then.
        if let Err(error) = self.shared.check_failure() {
            return finish(put.reply, put.name, Err(error));
        }
        let record = ShardRecord::from(&put.header);
        // The guard must be gone before `put` is dropped, which takes the lock again.
        let allowed = self.shared.index().check(&record, put.claim);
        if let Err(error) = allowed {
            return finish(put.reply, put.name, Err(error));
        }
        let length = record.layout().length;
        if !self.shards.fits(length) {
            self.write_run(run.take(), progress);
        }
        let share = put.claim.share();
        let appended = self.shards.append(&self.shared, &mut self.next_segment, length, share);
        let (active, position) = match appended {
            Ok(found) => found,
            Err(reason) => {
                return finish(put.reply, put.name, Err(self.refusal(reason)));
            }
        };
        let run = run.get_or_insert_with(|| Run {
            active: active.clone(),
            start: position,
            bytes: std::mem::take(&mut self.gathered),
            written: Vec::new(),
        });
        encode(&mut run.bytes, &put, &active, position, self.group);
        let end = usize::try_from(position - run.start + length).unwrap_or(usize::MAX);
        run.bytes.resize(end, 0);
        let place = Place::new(active.number, position, record);
        let (claim, reply, name) = (put.claim, put.reply, put.name);
        run.written.push(Written { place, claim, reply, name, _room: None });
    }

    fn write_run(&mut self, run: Option<Run>, progress: &mut Progress) {
        let Some(mut run) = run else { return };
        pad(&mut run.bytes, run.start);
        progress.touch(run.active.number, &run.active.file);
        match run.active.file.write_all_at(&run.bytes, run.start) {
            Ok(()) => progress.written.extend(run.written),
            Err(error) => {
                // What was written of it is not to be found at the next start.
                for written in &run.written {
                    let _ = run.active.file.write_all_at(&[0; HEADER_LENGTH], written.place.position());
                }
                give_up(run.written, &self.shared.fail(&error));
            }
        }
        if run.bytes.capacity() <= KEPT_MAX {
            run.bytes.clear();
            self.gathered = run.bytes;
        }
    }

    fn write_footer(&mut self, commit: StreamedPut, progress: &mut Progress) {
        let record = commit.record;
        let allowed = self.shared.index().check(&record, commit.claim);
        if let Err(error) = allowed {
            return finish(commit.reply, commit.name, Err(error));
        }
        let room = commit.room;
        let mut footer = commit.chain.footer(room.active.salt, self.group).to_vec();
        let position = room.position + record.layout().footer;
        pad(&mut footer, position);
        progress.touch(room.active.number, &room.active.file);
        match room.active.file.write_all_at(&footer, position) {
            Ok(()) => {
                room.commit();
                let place = Place::new(room.active.number, room.position, record);
                let (claim, reply, name, _room) = (commit.claim, commit.reply, commit.name, Some(room));
                progress.written.push(Written { place, claim, reply, name, _room });
            }
            Err(error) => {
                finish(commit.reply, commit.name, Err(self.shared.fail(&error)));
            }
        }
    }

    /// Makes marks stable, then takes what they end out of view.
    fn mark(&mut self, requests: Vec<(Marks, Reply<()>)>) {
        let (marks, replies): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        let result = self.keep_marks(merge(marks));
        for reply in replies {
            let _ = reply.send(result.clone());
        }
    }

    fn keep_marks(&mut self, mut marks: Vec<Marks>) -> Result<(), Error> {
        self.shared.check_failure()?;
        {
            let index = self.shared.index();
            marks.iter_mut().for_each(|marks| index.retain_new(marks));
        }
        marks.retain(|marks| marks.record().count > 0);
        if marks.is_empty() {
            return Ok(());
        }
        self.write_group_of_marks(&marks, Share::Marks)?;
        {
            let mut index = self.shared.index();
            for marks in &marks {
                index.mark(marks);
            }
        }
        if marks.iter().any(|marks| matches!(marks, Marks::Evicted(_))) {
            self.sweep();
        }
        self.keep_room_for_marks();
        Ok(())
    }

    /// Writes marks again that a full segment holds.
    fn copy_marks(&mut self, marks: &[Marks]) -> Result<(), Error> {
        self.shared.check_failure()?;
        self.write_group_of_marks(marks, Share::Moves)?;
        self.keep_room_for_marks();
        Ok(())
    }

    /// Goes on in another segment of marks, if the one that is open is one of these.
    fn end_marks(&mut self, segments: &[u32]) -> Result<(), Error> {
        self.shared.check_failure()?;
        if self.marks.end().is_none_or(|(open, _)| !segments.contains(&open)) {
            return Ok(());
        }
        self.marks.align();
        let changed = self.marks.change(&self.shared, &mut self.next_segment);
        changed.map_err(|reason| self.refusal(reason))?;
        self.keep_room_for_marks();
        Ok(())
    }

    /// Removes a full segment whose marks were all written again, and were answered and so are stable.
    fn remove_marks(&self, segment: SegmentName) -> Result<(), Error> {
        self.shared.check_failure()?;
        if let Err(error) = self.shared.files.remove(segment) {
            // Marks that are there twice do no harm. The next start finds that nothing in it is needed and tries again.
            error!(segment = segment.file_name(), %error, "segment of marks could not be removed");
            self.shared.index().leave_marks(segment.number);
            return Ok(());
        }
        self.shared.index().forget_mark_segment(segment.number);
        // A removal that a crash undoes would be done again at a start, and cost another scan each time.
        match self.shared.files.sync_directory() {
            Err(error) if is_out_of_descriptors(&error) => Ok(()),
            synced => synced.map_err(|error| self.shared.fail(&error)),
        }
    }

    /// Writes marks as one group and makes it stable.
    fn write_group_of_marks(&mut self, marks: &[Marks], share: Share) -> Result<(), Error> {
        self.group.0 += 1;
        self.marks.align();
        let mut progress = Progress::default();
        let mut written = Ok(());
        for marks in marks {
            written = self.write_marks(marks, share, &mut progress).map_err(|reason| self.refusal(reason));
            if written.is_err() {
                break;
            }
        }
        // Even where there was no room for all of it: records of a later group will say that this one is stable.
        self.sync(&progress.dirty)?;
        if let Some((number, end)) = self.marks.end() {
            self.shared.index().note_stable_marks(number, end.next_multiple_of(GROUP_ALIGNMENT));
        }
        written
    }

    /// Takes evicted shards out of view. The index is let go in between.
    fn sweep(&self) {
        let mut after = None;
        loop {
            after = self.shared.index().sweep(after, EXAMINED_MAX);
            if after.is_none() {
                return;
            }
        }
    }

    fn write_marks(&mut self, marks: &Marks, share: Share, progress: &mut Progress) -> Result<(), NoRoom> {
        let header = RecordHeader::Marks(marks.record());
        let length = header.layout().length;
        let (active, position) = self.marks.append(&self.shared, &mut self.next_segment, length, share)?;
        self.shared.index().count_marks(active.number, marks.record());
        let mut sealed = Vec::new();
        push_sealed(&mut sealed, &marks.encode());
        let header = header.encode(active.salt, position);
        let mut chain = Chain::new(&header);
        chain.push(last_checksum(&sealed));
        let mut record = header.to_vec();
        record.extend_from_slice(&sealed);
        record.extend_from_slice(&chain.footer(active.salt, self.group));
        pad(&mut record, position);
        progress.touch(active.number, &active.file);
        active.file.write_all_at(&record, position).map_err(NoRoom::Failed)
    }

    /// Makes the group stable, and notes that it is: only then is it acknowledged.
    fn sync(&mut self, files: &[(u32, Arc<dyn File>)]) -> Result<(), Error> {
        self.shared.check_failure()?;
        for (_, file) in files {
            // Never tried again: after a failed sync the system may have dropped what it could not write.
            let synced = self.shared.syncs.count(&self.shared.env, || file.sync_data());
            synced.map_err(|error| self.shared.fail(&error))?;
        }
        // Something else may have failed meanwhile.
        self.shared.check_failure()?;
        self.stable.group = self.group;
        for (kind, end) in [(Kind::Shards, self.shards.end()), (Kind::Marks, self.marks.end())] {
            // Room that was reserved in a file that was not synced now is not stable yet.
            if let Some((segment, position)) =
                end.filter(|(segment, _)| files.iter().any(|(file, _)| file == segment))
            {
                self.stable.set_end(kind, End { segment, position });
            }
        }
        self.note.note(&self.stable).map_err(|error| self.shared.fail(&error))
    }

    /// The error that callers see; a failing medium is given up.
    fn refusal(&self, reason: NoRoom) -> Error {
        match reason {
            NoRoom::Full => Error::DiskFull { disk: self.shared.disk },
            NoRoom::Means(error) => {
                Error::Unavailable { reason: format!("a segment cannot be made now: {error}") }
            }
            NoRoom::Failed(error) => self.shared.fail(&error),
        }
    }

    fn keep_room_for_marks(&mut self) {
        match self.marks.keep_slack(&self.shared, &mut self.next_segment) {
            Ok(()) => {}
            Err(NoRoom::Full) => {
                warn!(disk = %self.shared.disk, "no room ahead for marks: the disk is full")
            }
            Err(NoRoom::Means(error)) => warn!(disk = %self.shared.disk, %error, "no room ahead for marks"),
            Err(NoRoom::Failed(error)) => {
                self.shared.fail(&error);
            }
        }
    }

    fn remove_empty_segments(&self) {
        let names = self.shared.index().take_empty();
        for name in names {
            // A removal that a crash undoes is done again at the next start: marks are stable by now. The index file goes
            // after its segment, so that nothing is scanned only to be removed; one that stays is removed at a start.
            match self.shared.files.remove(name) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    error!(segment = name.file_name(), %error, "empty segment could not be removed")
                }
            }
            if let Err(error) = self.shared.files.remove_index_file(name) {
                warn!(index = name.index_file_name(), %error, "unused index file could not be removed");
            }
        }
    }
}

/// Fills up the last block of what is written at `position`.
fn pad(bytes: &mut Vec<u8>, position: u64) {
    bytes.extend_from_slice(padding(position + bytes.len() as u64));
}

/// Marks of many requests in as few records as may be.
pub(super) fn merge(marks: impl IntoIterator<Item = Marks>) -> Vec<Marks> {
    let (mut deleted, mut evicted, mut fenced) = (Vec::new(), BTreeMap::new(), Vec::new());
    for marks in marks {
        match marks {
            Marks::Deleted(shards) => deleted.extend(shards),
            Marks::Evicted(evictions) => {
                for eviction in evictions {
                    let epoch = evicted.entry((eviction.group, eviction.index)).or_insert(eviction.epoch);
                    *epoch = eviction.epoch.max(*epoch);
                }
            }
            Marks::Fenced(leases) => fenced.extend(leases),
        }
    }
    fenced.sort_unstable();
    fenced.dedup();
    let mut merged = Vec::new();
    deleted.sort_unstable();
    deleted.dedup();
    merged.extend(deleted.chunks(MARKS_PER_RECORD_MAX).map(|shards| Marks::Deleted(shards.to_vec())));
    let evicted: Vec<_> =
        evicted.into_iter().map(|((group, index), epoch)| Eviction { group, index, epoch }).collect();
    merged.extend(evicted.chunks(MARKS_PER_RECORD_MAX).map(|evictions| Marks::Evicted(evictions.to_vec())));
    merged.extend(fenced.chunks(MARKS_PER_RECORD_MAX).map(|leases| Marks::Fenced(leases.to_vec())));
    merged
}

/// Appends a small shard's record.
fn encode(out: &mut Vec<u8>, put: &SmallPut, active: &Active, position: u64, group: Group) {
    let header = RecordHeader::Shard(ShardRecord::from(&put.header)).encode(active.salt, position);
    out.extend_from_slice(&header);
    let mut chain = Chain::new(&header);
    push_sealed(out, &put.header.owner);
    chain.push(last_checksum(out));
    for cell in &put.cells {
        push_cell(out, cell);
        chain.push(cell.checksum());
    }
    out.extend_from_slice(&chain.footer(active.salt, group));
}

/// The checksum that `push_sealed` has just appended.
fn last_checksum(bytes: &[u8]) -> u32 {
    bytes.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

/// Answers a put. Its name is free, or taken for good, before its caller goes on.
fn finish(reply: Reply<()>, name: TakenName, result: Result<(), Error>) {
    drop(name);
    // Whoever went away is not told.
    let _ = reply.send(result);
}

fn give_up(written: Vec<Written>, error: &Error) {
    written.into_iter().for_each(|written| finish(written.reply, written.name, Err(error.clone())));
}
