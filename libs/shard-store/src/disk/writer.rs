//! The disk's one writer: a thread that gathers what waits, writes it and makes it stable with one sync.
//!
//! While one group is being synced the next gathers in the queue; nothing waits for a timer.

use std::{collections::BTreeSet, io, sync::Arc};

use chunk_api::Error;
use env::File;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{error, warn};
use types::ShardId;

use super::{
    Shared,
    active::{Active, Appender, NoRoom},
    format::{
        Chain, GROUP_ALIGNMENT, Group, NAME_LENGTH, NAMES_PER_RECORD_MAX, RecordHeader, encode_name,
        push_cell, push_sealed,
    },
    group::{Batch, Progress, Run, Written},
    index::Place,
    recovery::Recovered,
    request::{Reply, Request, Room, SmallPut, StreamedPut},
    segment::Kind,
};

/// Bytes by which a segment of shards is reserved ahead.
const SHARDS_STEP: u64 = 16 << 20;

/// Bytes by which a segment of tombstones is reserved ahead, and length of a full one.
const TOMBSTONES_STEP: u64 = 1 << 20;
const TOMBSTONES_LENGTH: u64 = 16 << 20;

/// Everything that only the writer's thread touches.
pub(super) struct Writer {
    shared: Arc<Shared>,
    group: Group,
    next_segment: u32,
    shards: Appender,
    tombstones: Appender,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, recovered: &mut Recovered) -> Self {
        let full_length = shared.options.segment_bytes;
        Self {
            group: recovered.group,
            next_segment: recovered.last_segment + 1,
            shards: Appender::new(Kind::Shards, SHARDS_STEP, full_length, recovered.shards.take()),
            tombstones: Appender::new(
                Kind::Tombstones,
                TOMBSTONES_STEP,
                TOMBSTONES_LENGTH,
                recovered.tombstones.take(),
            ),
            shared,
        }
    }

    /// Works until the queue ends or a `Close` comes.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        self.remove_empty_segments();
        self.keep_room_for_tombstones();
        while let Some(first) = queue.blocking_recv() {
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
                for reply in closes {
                    // Nobody waits any more: nothing to tell.
                    let _ = reply.send(());
                }
                return;
            }
        }
    }

    fn work_off(&mut self, batch: Batch) {
        for (length, permit, reply) in batch.reserves {
            let _ = reply.send(self.reserve(length, permit));
        }
        if !batch.deletes.is_empty() {
            self.delete(batch.deletes);
        }
        if !batch.puts.is_empty() || !batch.commits.is_empty() {
            self.put(batch.puts, batch.commits);
        }
        self.shared.set_slack(self.shards.slack());
        self.remove_empty_segments();
    }

    fn reserve(&mut self, length: u64, permit: OwnedSemaphorePermit) -> Result<Arc<Room>, Error> {
        self.shared.check_failure()?;
        self.shards.align();
        let length = length.next_multiple_of(GROUP_ALIGNMENT);
        let room = self.shards.append(&self.shared, &mut self.next_segment, length);
        let (active, position) = room.map_err(|reason| self.refusal(reason))?;
        Ok(Arc::new(Room::new(
            self.shared.clone(),
            active.number,
            active.salt,
            active.file,
            position,
            permit,
        )))
    }

    /// Writes small shards and the footers of streamed ones, syncs, publishes, answers.
    fn put(&mut self, puts: Vec<SmallPut>, commits: Vec<StreamedPut>) {
        if let Err(error) = self.shared.check_failure() {
            let replies =
                puts.into_iter().map(|put| put.reply).chain(commits.into_iter().map(|commit| commit.reply));
            return answer(replies, &error);
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
                    let published = self.shared.index().publish(written.shard, written.place);
                    debug_assert!(
                        published,
                        "names were checked when the group began and only this thread deletes"
                    );
                    let _ = written.reply.send(Ok(()));
                }
            }
            Err(error) => answer(progress.written.into_iter().map(|written| written.reply), &error),
        }
    }

    /// Encodes a small shard behind the run, or behind a new one when the segment changes.
    fn add(&mut self, put: SmallPut, run: &mut Option<Run>, progress: &mut Progress) {
        let shard = put.header.shard;
        // The guard must be gone before `put` is dropped, which takes the lock again.
        let refused = self.shared.index().refuse(shard);
        if let Err(error) = refused {
            let _ = put.reply.send(Err(error));
            return;
        }
        let header = RecordHeader::from(&put.header);
        let length = header.layout().length;
        if !self.shards.fits(length) {
            self.write_run(run.take(), progress);
        }
        let (active, position) = match self.shards.append(&self.shared, &mut self.next_segment, length) {
            Ok(found) => found,
            Err(reason) => {
                let _ = put.reply.send(Err(self.refusal(reason)));
                return;
            }
        };
        let run = run.get_or_insert_with(|| Run {
            active: active.clone(),
            start: position,
            bytes: Vec::new(),
            written: Vec::new(),
        });
        encode(&mut run.bytes, &put, &active, position, self.group);
        let end = usize::try_from(position - run.start + length).unwrap_or(usize::MAX);
        run.bytes.resize(end, 0);
        let place = Place::new(active.number, position, &put.header);
        run.written.push(Written { shard, place, reply: put.reply, _name: put.name, _room: None });
    }

    fn write_run(&mut self, run: Option<Run>, progress: &mut Progress) {
        let Some(run) = run else { return };
        progress.touch(run.active.number, &run.active.file);
        match run.active.file.write_all_at(&run.bytes, run.start) {
            Ok(()) => progress.written.extend(run.written),
            Err(error) => {
                // What was written of it is not to be found at the next start.
                for written in &run.written {
                    let _ = run.active.file.write_all_at(&[0; 64], written.place.position());
                }
                let error = self.refusal(error.into());
                answer(run.written.into_iter().map(|written| written.reply), &error);
            }
        }
    }

    fn write_footer(&mut self, commit: StreamedPut, progress: &mut Progress) {
        let shard = commit.header.shard;
        let refused = self.shared.index().refuse(shard);
        if let Err(error) = refused {
            let _ = commit.reply.send(Err(error));
            return;
        }
        let room = commit.room;
        let footer = commit.chain.footer(room.salt, self.group);
        let position = room.position + RecordHeader::from(&commit.header).layout().footer;
        progress.touch(room.segment, &room.file);
        match room.file.write_all_at(&footer, position) {
            Ok(()) => {
                let place = Place::new(room.segment, room.position, &commit.header);
                let (reply, _name, _room) = (commit.reply, commit.name, Some(room));
                progress.written.push(Written { shard, place, reply, _name, _room });
            }
            Err(error) => {
                let _ = commit.reply.send(Err(self.refusal(error.into())));
            }
        }
    }

    /// Makes tombstones stable, then takes the shards out of view.
    fn delete(&mut self, deletes: Vec<(Vec<ShardId>, Reply<()>)>) {
        let result = self.bury(deletes.iter().flat_map(|(shards, _)| shards.iter().copied()).collect());
        for (_, reply) in deletes {
            let _ = reply.send(result.clone());
        }
    }

    fn bury(&mut self, mut shards: BTreeSet<ShardId>) -> Result<(), Error> {
        self.shared.check_failure()?;
        {
            let index = self.shared.index();
            shards.retain(|shard| !index.is_deleted(*shard));
        }
        if shards.is_empty() {
            return Ok(());
        }
        self.group.0 += 1;
        self.tombstones.align();
        let names: Vec<ShardId> = shards.into_iter().collect();
        let mut progress = Progress::default();
        for names in names.chunks(NAMES_PER_RECORD_MAX) {
            self.write_tombstones(names, &mut progress).map_err(|reason| self.refusal(reason))?;
        }
        self.sync(&progress.dirty)?;
        {
            let mut index = self.shared.index();
            names.into_iter().for_each(|shard| index.delete(shard));
        }
        self.keep_room_for_tombstones();
        Ok(())
    }

    fn write_tombstones(&mut self, names: &[ShardId], progress: &mut Progress) -> Result<(), NoRoom> {
        let header = RecordHeader::Tombstones { count: names.len() };
        let length = header.layout().length;
        let (active, position) = self.tombstones.append(&self.shared, &mut self.next_segment, length)?;
        let mut sealed = Vec::with_capacity(names.len() * NAME_LENGTH + 4);
        push_sealed(&mut sealed, &names.iter().flat_map(|name| encode_name(*name)).collect::<Vec<u8>>());
        let header = header.encode(active.salt, position);
        let mut chain = Chain::new(&header);
        chain.push(last_checksum(&sealed));
        let mut record = header.to_vec();
        record.extend_from_slice(&sealed);
        record.extend_from_slice(&chain.footer(active.salt, self.group));
        progress.touch(active.number, &active.file);
        Ok(active.file.write_all_at(&record, position)?)
    }

    fn sync(&self, files: &[(u32, Arc<dyn File>)]) -> Result<(), Error> {
        self.shared.check_failure()?;
        for (_, file) in files {
            // Never tried again: after a failed sync the system may have dropped what it could not write.
            file.sync_data().map_err(|error| self.shared.fail(&error))?;
        }
        Ok(())
    }

    /// The error that callers see; a failing medium is given up.
    fn refusal(&self, reason: NoRoom) -> Error {
        match reason {
            NoRoom::Full => Error::DiskFull { disk: self.shared.disk },
            NoRoom::Failed(error) => self.shared.fail(&error),
        }
    }

    fn keep_room_for_tombstones(&mut self) {
        match self.tombstones.keep_slack(&self.shared, &mut self.next_segment) {
            Ok(()) => {}
            Err(NoRoom::Full) => {
                warn!(disk = %self.shared.disk, "no room ahead for deletions: the disk is full")
            }
            Err(NoRoom::Failed(error)) => {
                self.shared.fail(&error);
            }
        }
    }

    fn remove_empty_segments(&self) {
        let names = self.shared.index().take_empty();
        for name in names {
            // A removal that a crash undoes is done again at the next start: tombstones are stable by now.
            match self.shared.files.remove(name) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    error!(segment = name.file_name(), %error, "empty segment could not be removed")
                }
            }
        }
    }
}

/// Appends a small shard's record.
fn encode(out: &mut Vec<u8>, put: &SmallPut, active: &Active, position: u64, group: Group) {
    let header = RecordHeader::from(&put.header).encode(active.salt, position);
    out.extend_from_slice(&header);
    let mut chain = Chain::new(&header);
    push_sealed(out, &put.header.owner);
    chain.push(last_checksum(out));
    for cell in &put.cells {
        push_cell(out, cell);
        chain.push(cell.checksum);
    }
    out.extend_from_slice(&chain.footer(active.salt, group));
}

/// The checksum that `push_sealed` has just appended.
pub(super) fn last_checksum(bytes: &[u8]) -> u32 {
    bytes.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

fn answer(replies: impl Iterator<Item = Reply<()>>, error: &Error) {
    for reply in replies {
        let _ = reply.send(Err(error.clone()));
    }
}
