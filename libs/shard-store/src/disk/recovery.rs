//! Makes the index from the segments, and the segments fit to go on.
//!
//! The state of a disk is the set of its shard records, the newest of each name, less those that its marks end: the
//! order in which they are found does not matter, and repeating a recovery that was cut short gives the same state.
//!
//! A record of group `n` proves that all of group `n - 1` was stable, since a group is written only after the sync of
//! the one before it, and `stable` may prove more. What lies behind the proven end may be torn and is read whole here;
//! before it, whatever is not whole has rotted. The cells of all other records are verified when they are read.
//!
//! The index file of a full segment says what a scan once found. It takes the scan's place when every record in it is
//! known to be stable; what has rotted since is found when it is read or verified.
//!
//! Invariant: what may have been acknowledged is never dropped unseen. Where a header is whole the shard is kept as
//! *suspect*: it answers `ShardCorrupt` and is reported. What has no name is counted, and kept if it was stable once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use bytes::Bytes;
use chunk_api::QuarantinedRun;
use env::File;
use tracing::warn;
use types::ShardId;

use super::{
    format::{
        Chain, FOOTER_LENGTH, Footer, GROUP_ALIGNMENT, Group, HEADER_LENGTH, Marks, MarksRecord,
        RECORD_ALIGNMENT, RecordHeader, Salt, encode_void, open_sealed, padding, sealed_length, take_cell,
    },
    index::{Index, Place},
    index_file,
    scan::{Broken, Record, Scan, Stray, Void, scan},
    segment::{Kind, SegmentFiles, SegmentName},
    stable::{End, StablePoint},
};

/// A segment to go on with.
pub(super) struct Tail {
    pub(super) name: SegmentName,
    pub(super) file: Arc<dyn File>,
    /// Where the next group begins.
    pub(super) position: u64,
}

/// What recovery yields.
pub(super) struct Recovered {
    pub(super) index: Index,
    /// What is stable now: at least all that was found.
    pub(super) stable: StablePoint,
    /// The highest segment number that was ever used, as far as is known; 0 when there is none.
    pub(super) last_segment: u32,
    /// The newest segment of each kind.
    pub(super) shards: Option<Tail>,
    pub(super) marks: Option<Tail>,
    /// Damage found beside what is quarantined: suspect shards, and torn ends that no name can be told of.
    pub(super) damaged: u64,
    /// Runs of bytes, stable once, that no name can be told of and that were not released.
    pub(super) quarantined: Vec<QuarantinedRun>,
}

/// A segment with what its scan found.
struct Scanned {
    name: SegmentName,
    scan: Scan,
    /// Runs of bytes in it, stable once, that no name can be told of and that were not released.
    quarantined: Vec<QuarantinedRun>,
    released: Arc<BTreeSet<String>>,
    /// Whether its index file was read in place of a scan.
    has_index_file: bool,
}

impl Scanned {
    /// Finds the segment's records. One that may be gone on with is always looked at itself.
    fn new(
        files: &SegmentFiles,
        name: SegmentName,
        is_newest: bool,
        released: Arc<BTreeSet<String>>,
    ) -> io::Result<Self> {
        let file = files.open(name)?;
        let is_full = name.kind == Kind::Shards && !is_newest;
        let indexed = if is_full { index_file::load(files, name, file.as_ref())? } else { None };
        let has_index_file = indexed.is_some();
        let scan = match indexed {
            Some(found) => found,
            None => scan(&file, name.salt)?,
        };
        Ok(Self { name, scan, quarantined: Vec::new(), released, has_index_file })
    }

    /// The segment's file: opened again where it has been closed meanwhile, for there may be more segments than a process may have
    /// files open.
    fn file(&self, files: &SegmentFiles) -> io::Result<Arc<dyn File>> {
        files.open(self.name)
    }

    /// Keeps a run of bytes, unless an operator has released it.
    fn quarantine(&mut self, position: u64, bytes: u64, reason: &str) {
        let id = run_id(self.name, position, bytes);
        if !self.released.contains(&id) {
            self.quarantined.push(QuarantinedRun { id, bytes, reason: reason.to_owned() });
        }
    }

    /// Scans the segment instead, if its index file names a record that is not known to be stable.
    fn look_again_if_unproven(&mut self, files: &SegmentFiles, stable: &StablePoint) -> io::Result<()> {
        if self.has_index_file && self.scan.records.iter().any(|record| record.group > stable.group) {
            self.has_index_file = false;
            self.scan = scan(&self.file(files)?, self.name.salt)?;
        }
        Ok(())
    }

    fn at(&self, position: u64) -> End {
        End { segment: self.name.number, position }
    }
}

/// What names a run of bytes of a disk. One that has grown since, because what was behind it is unreadable too, is another.
fn run_id(name: SegmentName, position: u64, bytes: u64) -> String {
    format!("{}:{position}+{bytes}", name.file_name())
}

/// The segment that a run is in; none of one that is gone.
pub(super) fn segment_of_run(id: &str) -> Option<SegmentName> {
    SegmentName::parse(id.rsplit_once(':')?.0)
}

/// Recovers a disk of which `stable` is known to be stable, and of which an operator has released these runs of bytes. Blocks
/// for as long as reading the index files, and the ends of all records that are in none, takes.
pub(super) fn recover(
    files: &SegmentFiles,
    noted: StablePoint,
    released: BTreeSet<String>,
) -> io::Result<Recovered> {
    let released = Arc::new(released);
    // A killed process may have made a segment without having synced its name.
    files.sync_directory()?;
    let names = files.list()?;
    let newest = |kind| names.iter().rfind(|name| name.kind == kind).copied();
    let newest = [newest(Kind::Shards), newest(Kind::Marks)];
    let mut segments = Vec::new();
    for name in names {
        let is_newest = newest.contains(&Some(name));
        segments.push(Scanned::new(files, name, is_newest, Arc::clone(&released))?);
    }
    let stable = proven(&segments, noted);
    for segment in &mut segments {
        segment.look_again_if_unproven(files, &stable)?;
    }
    let used = segments.iter().filter(|segment| segment.has_index_file).map(|segment| segment.name);
    index_file::remove_unused(files, &used.map(|name| (name.number, name)).collect())?;
    let mut torn = 0;
    for segment in &mut segments {
        let is_newest = newest.contains(&Some(segment.name));
        torn += settle(files, segment, is_newest, &stable)?;
    }
    let kinds = [Kind::Shards, Kind::Marks].into_iter();
    let vanished = kinds.filter_map(|kind| vanished(&segments, kind, &noted));
    let mut quarantined: Vec<QuarantinedRun> = vanished.filter(|run| !released.contains(&run.id)).collect();
    let last_noted = noted.shards.segment.max(noted.marks.segment);
    let last_segment = segments.iter().map(|segment| segment.name.number).fold(last_noted, u32::max);
    let marks = cut_tail(files, &segments, Kind::Marks, &stable)?;
    let shards = cut_tail(files, &segments, Kind::Shards, &stable)?;
    let mut index = fill_index(files, &mut segments)?;
    void_ended(files, &mut segments, &index);
    for segment in segments.iter().filter(|segment| !segment.scan.broken.is_empty()) {
        index.refuse_index_file(segment.name.number);
    }
    quarantined.extend(segments.iter_mut().flat_map(|segment| std::mem::take(&mut segment.quarantined)));
    let damaged = torn + index.suspects().len() as u64;
    let records = segments.iter().flat_map(|segment| &segment.scan.records);
    let group = records.map(|record| record.group).fold(stable.group, Group::max);
    let stable = StablePoint { group, ..stable };
    Ok(Recovered { index, stable, last_segment, shards, marks, damaged, quarantined })
}

/// What was stable when the disk was let go: what was noted, and all groups but the newest that is found.
fn proven(segments: &[Scanned], noted: StablePoint) -> StablePoint {
    let records = || {
        segments.iter().flat_map(|segment| segment.scan.records.iter().map(move |record| (segment, record)))
    };
    let newest = records().map(|(_, record)| record.group.0).max().unwrap_or(0);
    let group = noted.group.max(Group(newest.saturating_sub(1)));
    let mut stable = StablePoint { group, ..noted };
    for (segment, record) in records().filter(|(_, record)| record.group <= group) {
        let end = stable.end(segment.name.kind).max(segment.at(record.end()));
        stable.set_end(segment.name.kind, end);
    }
    stable
}

/// The segment that was written last, if it is gone: it, or one after it, is there for as long as the disk is whole.
fn vanished(segments: &[Scanned], kind: Kind, noted: &StablePoint) -> Option<QuarantinedRun> {
    let wanted = noted.end(kind).segment;
    let there = segments.iter().any(|segment| segment.name.kind == kind && segment.name.number >= wanted);
    (wanted > 0 && !there).then(|| {
        warn!(?kind, segment = wanted, "the newest segment is gone");
        let kind = if kind == Kind::Shards { "shards" } else { "marks" };
        let id = format!("{kind}-{wanted:08x}:gone");
        QuarantinedRun { id, bytes: 0, reason: "the newest segment is gone".to_owned() }
    })
}

/// Tells what may be torn from what has rotted; the number of torn ends.
///
/// Whole records that are not known to be stable are written again and synced, so that they are, whatever became of the
/// sync they waited for. Of torn ones the footer is wiped, so that no later start takes them for more. Other bytes behind
/// the stable end are voided, so that no later start takes them for rot.
fn settle(
    files: &SegmentFiles,
    segment: &mut Scanned,
    is_newest: bool,
    stable: &StablePoint,
) -> io::Result<u64> {
    let end = stable.end(segment.name.kind);
    let mut dirty = settle_records(files, segment, stable)?;
    dirty |= settle_heads(files, segment, end)?;
    if segment.name.number == end.segment && segment.scan.end.next_multiple_of(GROUP_ALIGNMENT) < end.position
    {
        let tail = segment.scan.strays.pop_if(|stray| stray.end > segment.scan.end);
        let until = tail.map_or(end.position, |stray| stray.end.max(end.position));
        segment.scan.strays.push(Stray { start: segment.scan.end, end: until });
    }
    // All of a full segment was stable before the next one was made.
    if !is_newest && !segment.scan.is_finished {
        warn!(
            segment = segment.name.file_name(),
            position = segment.scan.end,
            "the end of a full segment is lost"
        );
        segment.quarantine(segment.scan.end, 0, "the end of a full segment is lost");
    }
    let mut torn = 0;
    for stray in segment.scan.strays.clone() {
        let (name, Stray { start, end: until }) = (segment.name.file_name(), stray);
        if segment.at(start) < end {
            warn!(segment = name, position = start, until, "rotted or lost bytes are quarantined");
            segment.quarantine(start, until.saturating_sub(start), "rotted or lost bytes");
        } else {
            warn!(segment = name, position = start, until, "torn: what was written last was not stable");
            torn += 1;
            // The tail of a newest segment is cut at the next block, so that a void may reach no further.
            let is_cut = is_newest && start == segment.scan.end;
            let until = if is_cut { start.next_multiple_of(GROUP_ALIGNMENT) } else { until };
            if until > start {
                let void = encode_void(segment.name.salt, start, until - start);
                segment.file(files)?.write_all_at(&void, start)?;
                dirty = true;
            }
        }
    }
    let (marks, shards): (Vec<_>, Vec<_>) =
        segment.scan.broken.drain(..).partition(|broken| matches!(broken.header, RecordHeader::Marks(_)));
    segment.scan.broken = shards;
    for Broken { position, header } in marks {
        warn!(segment = segment.name.file_name(), position, "marks are damaged");
        if segment.at(position) < end {
            segment.quarantine(position, header.layout().length, "marks are damaged");
        } else {
            torn += 1;
            let void = encode_void(segment.name.salt, position, header.layout().length);
            segment.file(files)?.write_all_at(&void, position)?;
            dirty = true;
        }
    }
    if dirty {
        segment.file(files)?.sync_data()?;
    }
    Ok(torn)
}

/// Reads the records that are not known to be stable. Whether anything was written.
fn settle_records(files: &SegmentFiles, segment: &mut Scanned, stable: &StablePoint) -> io::Result<bool> {
    // Most segments have none, and are not opened again.
    if segment.scan.records.iter().all(|record| record.group <= stable.group) {
        return Ok(false);
    }
    let (file, salt) = (segment.file(files)?, segment.name.salt);
    let length = file.length()?;
    let starts = segment.scan.starts();
    let (kept, unproven): (Vec<_>, Vec<_>) =
        segment.scan.records.drain(..).partition(|record| record.group <= stable.group);
    segment.scan.records = kept;
    for record in unproven {
        let footer = record.header.layout().footer;
        let mut bytes = vec![0; usize::try_from(footer).unwrap_or_default() + FOOTER_LENGTH];
        let read = file.read_exact_at(&mut bytes, record.position).is_ok();
        if read && is_intact(&record, salt, &bytes) {
            file.write_all_at(&bytes, record.position)?;
            let end = record.end();
            let block_end = end.next_multiple_of(GROUP_ALIGNMENT);
            if block_end <= length && starts.range(end..block_end).next().is_none() {
                file.write_all_at(padding(end), end)?;
            }
            segment.scan.records.push(record);
        } else {
            file.write_all_at(&[0; FOOTER_LENGTH], record.position + footer)?;
            segment.scan.broken.push(Broken { position: record.position, header: record.header });
        }
    }
    segment.scan.records.sort_unstable_by_key(|record| record.position);
    Ok(true)
}

/// Writes again what explains bytes behind the stable end and belongs to no whole record: headers alone, and voids. After a
/// sync that failed they may be there for readers and not on the medium, and what comes to stand behind them would make
/// rot of the hole. Whether anything was written.
fn settle_heads(files: &SegmentFiles, segment: &Scanned, end: End) -> io::Result<bool> {
    let is_behind = |void: &Void| segment.at(void.position) >= end;
    if segment.scan.broken.is_empty() && !segment.scan.voids.iter().any(is_behind) {
        return Ok(false);
    }
    let (file, salt) = (segment.file(files)?, segment.name.salt);
    let mut dirty = false;
    for Broken { position, header } in &segment.scan.broken {
        if segment.at(*position) >= end {
            file.write_all_at(&header.encode(salt, *position), *position)?;
            dirty = true;
        }
        // Room that was reserved before the end may have been committed behind it.
        let layout = header.layout();
        if segment.at(*position) >= end || segment.scan.is_alone(*position, layout.length) {
            dirty |= settle_missing_footer(file.as_ref(), position + layout.footer)?;
        }
    }
    for Void { position, length } in segment.scan.voids.iter().filter(|void| is_behind(void)) {
        file.write_all_at(&encode_void(salt, *position, *length), *position)?;
        dirty = true;
    }
    Ok(dirty)
}

/// Writes again what stands in the place of a footer that is none, so that the medium has no footer there either: a start
/// that wiped a torn record's may have failed to make that stable. Whether anything was written.
fn settle_missing_footer(file: &dyn File, position: u64) -> io::Result<bool> {
    let mut bytes = [0; FOOTER_LENGTH];
    // Behind the end of the file, or not readable: then it will be no footer.
    if file.read_exact_at(&mut bytes, position).is_err() {
        return Ok(false);
    }
    file.write_all_at(&bytes, position)?;
    Ok(true)
}

/// Whether every checksum of a record holds.
pub(super) fn is_intact(record: &Record, salt: Salt, bytes: &[u8]) -> bool {
    check(record, salt, bytes).unwrap_or(false)
}

fn check(record: &Record, salt: Salt, bytes: &[u8]) -> Option<bool> {
    let header: &[u8; HEADER_LENGTH] = bytes.first_chunk()?;
    let footer = Footer::decode(bytes.last_chunk()?, salt, header)?;
    let mut chain = Chain::new(header);
    let mut rest = bytes.get(HEADER_LENGTH..bytes.len() - FOOTER_LENGTH)?;
    match &record.header {
        RecordHeader::Marks(_) => {
            open_sealed(rest)?;
            chain.push(u32::from_le_bytes(*rest.last_chunk()?));
        }
        RecordHeader::Shard(record) => {
            let (owner, cells) = rest.split_at_checked(sealed_length(record.owner_length))?;
            open_sealed(owner)?;
            chain.push(u32::from_le_bytes(*owner.last_chunk()?));
            rest = cells;
            let mut cells = Bytes::copy_from_slice(rest);
            for number in 0..record.cells() {
                let cell = take_cell(&mut cells, record.cell_length(number))?;
                cell.verify(record.shard, number).ok()?;
                chain.push(cell.checksum());
            }
        }
    }
    Some(chain.matches(&footer))
}

/// Cuts what follows the last record of the newest segment of a kind, so that it can be gone on with. What was stable
/// once is not cut, whatever it is.
fn cut_tail(
    files: &SegmentFiles,
    segments: &[Scanned],
    kind: Kind,
    stable: &StablePoint,
) -> io::Result<Option<Tail>> {
    let Some(newest) = segments.iter().rfind(|segment| segment.name.kind == kind) else { return Ok(None) };
    let end = stable.end(kind);
    let rotted = newest.scan.strays.iter().filter(|stray| newest.at(stray.start) < end);
    let position = rotted.map(|stray| stray.end).fold(newest.scan.end, u64::max);
    let position = position.next_multiple_of(GROUP_ALIGNMENT);
    // Even an untorn tail is cut: room that was reserved ahead is reserved again when it is needed.
    let file = newest.file(files)?;
    if file.length()? > position {
        file.set_length(position)?;
        file.sync_data()?;
    }
    Ok(Some(Tail { name: newest.name, file, position }))
}

/// The index of all records. Marks that cannot be read are quarantined.
fn fill_index(files: &SegmentFiles, segments: &mut [Scanned]) -> io::Result<Index> {
    let mut index = Index::default();
    let mut is_newest = true;
    // The newest first: what a mark in an older segment repeats is not needed there.
    for segment in segments.iter_mut().rev().filter(|segment| segment.name.kind == Kind::Marks) {
        let number = segment.name.number;
        index.add_mark_segment(segment.name);
        let records = std::mem::take(&mut segment.scan.records);
        let file = segment.file(files)?;
        for record in &records {
            match read_marks(file.as_ref(), record) {
                Some(marks) => {
                    let count = index.mark(&marks);
                    index.count_marks(number, MarksRecord { count, ..marks.record() });
                }
                None => {
                    let position = record.position;
                    warn!(segment = segment.name.file_name(), position, "marks are damaged");
                    segment.quarantine(position, record.end() - position, "marks are damaged");
                }
            }
        }
        segment.scan.records = records;
        if std::mem::take(&mut is_newest) {
            index.note_stable_marks(number, segment.scan.end.next_multiple_of(GROUP_ALIGNMENT));
        } else {
            // The void that ends it is none of its groups.
            index.seal_marks(number, segment.scan.end.saturating_sub(RECORD_ALIGNMENT));
        }
        if !segment.quarantined.is_empty() {
            index.quarantine_marks(number);
        }
    }
    let of_shards = || segments.iter().filter(|segment| segment.name.kind == Kind::Shards);
    let newest = of_shards().map(|segment| segment.name.number).max();
    // Of records of one name the one that was written last counts. They are few, so only their groups are kept.
    let mut groups = BTreeMap::new();
    for segment in of_shards() {
        let number = segment.name.number;
        index.add_segment(segment.name);
        index.set_end(number, segment.scan.end);
        add_shards(&mut index, segment, segments, &mut groups);
        if !segment.quarantined.is_empty() {
            index.quarantine(number);
        }
        if segment.has_index_file {
            index.note_index_file(number);
        }
        if Some(number) != newest {
            index.seal(number);
        }
    }
    for segment in of_shards() {
        add_suspects(&mut index, segment);
    }
    Ok(index)
}

fn add_shards(
    index: &mut Index,
    segment: &Scanned,
    segments: &[Scanned],
    groups: &mut BTreeMap<ShardId, Group>,
) {
    for found in &segment.scan.records {
        let RecordHeader::Shard(record) = found.header else { continue };
        if index.is_ended(&record) {
            continue;
        }
        if let Ok((other, _)) = index.find(record.shard) {
            let group = *groups.entry(record.shard).or_insert_with(|| group_of(segments, &other));
            if group > found.group {
                continue;
            }
            groups.insert(record.shard, found.group);
        }
        index.set(Place::new(segment.name.number, found.position, record));
    }
}

/// Keeps the records whose header alone is whole, unless a whole record has their name or it is ended.
fn add_suspects(index: &mut Index, segment: &Scanned) {
    for Broken { position, header } in &segment.scan.broken {
        let RecordHeader::Shard(record) = *header else { continue };
        let superseded = index.find(record.shard).is_ok() && !index.is_suspect(record.shard);
        if !superseded && !index.is_ended(&record) {
            warn!(segment = segment.name.file_name(), position, shard = %record.shard, "shard is damaged");
            index.set_suspect(Place::new(segment.name.number, *position, record));
        }
    }
}

/// Says that nothing is where a header stands alone and its shard has ended, so that its segment can be given an index
/// file. Only where its blocks hold nothing else: those of acknowledged records are not written again.
fn void_ended(files: &SegmentFiles, segments: &mut [Scanned], index: &Index) {
    for segment in segments {
        let scan = &segment.scan;
        let (ended, kept): (Vec<_>, Vec<_>) = scan.broken.iter().cloned().partition(|broken| {
            let RecordHeader::Shard(record) = broken.header else { return false };
            index.is_ended(&record) && scan.is_alone(broken.position, record.layout().length)
        });
        if ended.is_empty() {
            continue;
        }
        let void_in = |file: Arc<dyn File>| {
            for Broken { position, header } in &ended {
                let void = encode_void(segment.name.salt, *position, header.layout().length);
                file.write_all_at(&void, *position)?;
            }
            file.sync_data()
        };
        match segment.file(files).and_then(void_in) {
            Ok(()) => segment.scan.broken = kept,
            // Nothing depends on it, and the next start tries again.
            Err(error) => {
                warn!(segment = segment.name.file_name(), %error, "what is left of ended shards could not be voided");
            }
        }
    }
}

/// The group of the record at a place.
fn group_of(segments: &[Scanned], place: &Place) -> Group {
    let scanned = segments.iter().find(|segment| segment.name.number == place.segment());
    let records = scanned.map_or(&[][..], |segment| &segment.scan.records);
    let at = records.binary_search_by_key(&place.position(), |record| record.position);
    at.ok().and_then(|at| records.get(at)).map_or(Group(0), |record| record.group)
}

fn read_marks(file: &dyn File, record: &Record) -> Option<Marks> {
    let RecordHeader::Marks(header) = record.header else { return None };
    let mut bytes = vec![0; sealed_length(header.count * header.kind.length())];
    file.read_exact_at(&mut bytes, record.position + HEADER_LENGTH as u64).ok()?;
    Some(Marks::decode(header.kind, open_sealed(&bytes)?))
}
