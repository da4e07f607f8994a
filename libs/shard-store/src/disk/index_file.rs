//! Index files: what a scan of a full segment finds, kept beside the segment, so that a start need not scan it.
//!
//! They are a cache and never synced. One that is missing, torn, of another release or of another segment counts as none:
//! the segment is scanned, and its file is made anew in the background.
//!
//! An index file is made by a scan, when nothing writes to its segment any more, and holds all that the scan found:
//! records that marks end and records that newer ones replace too. So a start comes to the same state with it or
//! without it, whatever the order of records. A segment in which anything is suspect or unexplained has none.
//!
//! Invariant: a segment that has an index file is not written to again. Should it be, by a start that finds it the newest
//! because those after it are gone, it grows: a file that names another length than the segment has counts as none.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use chunk_api::Error;
use env::File;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{
    Handle, Shared, closed,
    format::{HEADER_LENGTH, IndexEntry, IndexFile, RECORD_ALIGNMENT, RecordHeader, decode_void},
    scan::{Broken, Record, Scan, Stray, Void, scan},
    segment::{SegmentFiles, SegmentName},
    unread::is_for_want_of_means,
};

/// How often segments without an index file are looked for.
const PERIOD: Duration = Duration::from_secs(10);

/// Bytes of segments that are scanned in a second, so that scans do not take the disk from others. What was written last
/// comes first: mostly the system still holds it in memory.
const BYTES_PER_SECOND: u64 = 128 << 20;

/// What the index file of a full segment says that a scan would find; `None` when there is none that can be relied on. Fails when
/// the process lacks the means to find out.
pub(super) fn load(files: &SegmentFiles, name: SegmentName, file: &dyn File) -> io::Result<Option<Scan>> {
    let length = file.length()?;
    let bytes = match files.read_index_file(name, IndexFile::length_max(length)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // That says nothing of the file.
        Err(error) if is_for_want_of_means(&error) => return Err(error),
        Err(error) => {
            info!(index = name.index_file_name(), %error, "index file cannot be read: its segment is scanned");
            return Ok(None);
        }
    };
    let found = decode(&bytes, name, file, length);
    if found.is_none() {
        info!(
            index = name.index_file_name(),
            "index file is not whole or not up to date: its segment is scanned"
        );
    }
    Ok(found.map(|IndexFile { end, entries }| {
        let record = |IndexEntry { position, group, record }| Record {
            position,
            header: RecordHeader::Shard(record),
            group,
        };
        let records = entries.into_iter().map(record).collect();
        let last = Void { position: end - RECORD_ALIGNMENT, length: RECORD_ALIGNMENT };
        Scan { records, voids: vec![last], end, is_finished: true, ..Scan::default() }
    }))
}

/// What the bytes of an index file say, if that can be relied on for the segment, which is `length` bytes long.
fn decode(bytes: &[u8], name: SegmentName, file: &dyn File, length: u64) -> Option<IndexFile> {
    let found = IndexFile::decode(bytes, name.number, name.salt);
    found.filter(|found| found.end == length && ends_there(file, name, length))
}

/// Reads the index file of a full segment, and the void that ends the segment, from the medium. How many bytes that were, and
/// whether a start could rely on them. Fails when there is none, when it cannot be read, and when the process lacks the means.
pub(super) fn check(files: &SegmentFiles, name: SegmentName) -> io::Result<(u64, bool)> {
    let file = files.open(name)?;
    let length = file.length()?;
    file.forget_cached(length.saturating_sub(RECORD_ALIGNMENT), RECORD_ALIGNMENT);
    files.forget_cached_index_file(name)?;
    let bytes = files.read_index_file(name, IndexFile::length_max(length))?;
    Ok((bytes.len() as u64, decode(&bytes, name, file.as_ref(), length).is_some()))
}

/// Whether a full segment ends with its void at `end`. Where the void is missing the segment has lost its end.
fn ends_there(file: &dyn File, name: SegmentName, end: u64) -> bool {
    let Some(start) = end.checked_sub(RECORD_ALIGNMENT) else { return false };
    let mut void = [0; HEADER_LENGTH];
    file.read_exact_at(&mut void, start).is_ok()
        && decode_void(&void, name.salt, start) == Some(RECORD_ALIGNMENT)
}

/// Removes index files that no segment uses: of segments that are gone, and such as could not be relied on.
pub(super) fn remove_unused(files: &SegmentFiles, used: &BTreeMap<u32, SegmentName>) -> io::Result<()> {
    let is_unused = |name: &SegmentName| used.get(&name.number) != Some(name);
    for name in files.list_index_files()?.into_iter().filter(is_unused) {
        // It would count as none again.
        if let Err(error) = files.remove_index_file(name) {
            warn!(index = name.index_file_name(), %error, "unused index file could not be removed");
        }
    }
    Ok(())
}

/// Makes missing index files until the disk is closed or dropped.
pub(super) async fn run(handle: Handle, mut closing: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = handle.shared.env.sleep(PERIOD) => {}
            _ = closing.changed() => return,
        }
        tokio::select! {
            written = handle.write_index_files(true) => if written.is_err() { return },
            _ = closing.changed() => return,
        }
    }
}

/// What came of making one index file.
pub(super) enum Outcome {
    /// Its segment was scanned.
    Scanned,
    /// Its segment cannot be scanned yet.
    PutOff,
    /// There may be no room for it.
    NoRoom,
}

impl Handle {
    /// Makes an index file for each segment that is to have one and has none, the newest first. Fails when the disk is
    /// closed or has failed.
    pub(super) async fn write_index_files(&self, throttled: bool) -> Result<(), Error> {
        let mut put_off = BTreeSet::new();
        loop {
            self.check_open()?;
            if self.shared.index().newest_without_index_file(&put_off).is_none() {
                return Ok(());
            }
            // As streams do: what writes holds one, so that a disk that is closed is not let go before the write has ended.
            let permit = self.streams.clone().acquire_owned().await.map_err(|_| closed())?;
            let turn = self.until_closed(async { Ok(self.shared.options.scan_turns.take().await) }).await?;
            self.check_open()?;
            // Chosen now: while others were scanned, which may take hours, a newer one may have become full.
            let next = self.shared.index().newest_without_index_file(&put_off);
            let Some((segment, length)) = next else { return Ok(()) };
            // After a failed sync what a scan finds may not be what the medium has. Such a sync is noted before the puts that
            // waited for it leave the segment.
            self.shared.check_failure()?;
            let shared = self.shared.clone();
            let task = self.shared.env.spawn_blocking(move || {
                let outcome = shared.make_index_file(segment, length);
                drop(permit);
                outcome
            });
            // The turn ends with the wait: other disks do not wait for one that hangs.
            let outcome = self.unless_hung(async { task.await.ok_or_else(closed) }).await?;
            drop(turn);
            match outcome {
                Outcome::Scanned if throttled => {
                    let pause = Duration::from_millis(length * 1000 / BYTES_PER_SECOND);
                    self.shared.env.sleep(pause).await;
                }
                Outcome::Scanned => {}
                Outcome::PutOff => {
                    put_off.insert(segment.number);
                }
                Outcome::NoRoom => return Ok(()),
            }
        }
    }
}

impl Shared {
    /// Scans a full segment and makes its index file. When anything in it is not as it should be it gets none before the
    /// next start.
    pub(super) fn make_index_file(&self, segment: SegmentName, length: u64) -> Outcome {
        // It must not eat into the reserve. Looked at before the scan, so that a full disk is not scanned in vain.
        if !self.space().is_ok_and(|(_, free)| free >= IndexFile::length_max(length)) {
            return Outcome::NoRoom;
        }
        // Room that was given up looks like damage until it is voided, which the writer does before its next work.
        if self.abandoned().iter().any(|room| room.is_in(segment.salt)) {
            return Outcome::PutOff;
        }
        let scanned = self.files.open(segment).and_then(|file| Ok((scan(&file, segment.salt)?, file)));
        match scanned.and_then(|(scan, file)| finish_scan(segment, scan, file.as_ref())) {
            Ok(Some(found)) => self.keep_index_file(segment, &found.encode(segment.number, segment.salt)),
            Ok(None) => self.index().refuse_index_file(segment.number),
            Err(error) => {
                // A segment whose last shard went meanwhile is gone, which is no error.
                if error.kind() == io::ErrorKind::NotFound {
                    debug!(segment = segment.file_name(), "segment is gone and gets no index file");
                } else {
                    warn!(segment = segment.file_name(), %error, "segment could not be scanned for its index file");
                }
                self.index().refuse_index_file(segment.number);
            }
        }
        Outcome::Scanned
    }

    /// Writes an index file. A failure is not the disk's: nothing is lost.
    fn keep_index_file(&self, segment: SegmentName, bytes: &[u8]) {
        let written = self.files.write_index_file(segment, bytes);
        let is_there = match &written {
            Ok(()) => self.index().note_index_file(segment.number),
            Err(error) => {
                warn!(index = segment.index_file_name(), %error, "index file could not be written");
                self.index().refuse_index_file(segment.number);
                false
            }
        };
        // The segment may have been removed meanwhile, and its index file was not there yet.
        if !is_there && let Err(error) = self.files.remove_index_file(segment) {
            warn!(index = segment.index_file_name(), %error, "unused index file could not be removed");
        }
    }
}

/// What a scan has found, and the segment is made as long as that says. `None` when that is not all there is.
fn finish_scan(segment: SegmentName, scan: Scan, file: &dyn File) -> io::Result<Option<IndexFile>> {
    let name = segment.file_name();
    for Broken { position, .. } in &scan.broken {
        warn!(segment = name, position, "a record in a full segment has lost its footer");
    }
    for Stray { start, end } in &scan.strays {
        warn!(segment = name, position = start, until = end, "bytes in a full segment are rotted or lost");
    }
    if !scan.is_finished {
        warn!(segment = name, position = scan.end, "the end of a full segment is lost");
    }
    if !scan.is_whole() {
        return Ok(None);
    }
    let entry = |Record { position, header, group }| match header {
        RecordHeader::Shard(record) => Ok(IndexEntry { position, group, record }),
        RecordHeader::Marks(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it holds marks")),
    };
    let entries = scan.records.into_iter().map(entry).collect::<io::Result<_>>()?;
    if file.length()? != scan.end {
        // What was reserved and not used was not given back, or a power cut undid that.
        file.set_length(scan.end)?;
    }
    debug!(segment = name, "segment scanned for its index file");
    Ok(Some(IndexFile { end: scan.end, entries }))
}
