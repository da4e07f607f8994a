//! Makes the index from the segments, and the segments fit to go on.
//!
//! The state of a disk is the set of its shard records, the newest of each name, less those that its marks end: the
//! order in which they are found does not matter, and repeating a recovery that was cut short gives the same state.
//!
//! A record of group `n` proves that all of group `n - 1` was stable, since a group is written only after the sync of
//! the one before it. So only records of the newest group can be torn, and only those are read whole here; the cells of
//! all others are verified when they are read.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use env::File;
use tracing::{info, warn};
use types::ShardId;

use super::{
    format::{
        Chain, FOOTER_LENGTH, Footer, GROUP_ALIGNMENT, Group, HEADER_LENGTH, Marks, RecordHeader, Salt,
        open_sealed, sealed_length, take_cell,
    },
    index::{Index, Place},
    scan::{Record, Scan, scan},
    segment::{Kind, SegmentFiles, SegmentName},
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
    /// The newest group on the disk.
    pub(super) group: Group,
    /// The highest segment number in use, 0 when there is none.
    pub(super) last_segment: u32,
    /// The newest segment of each kind.
    pub(super) shards: Option<Tail>,
    pub(super) marks: Option<Tail>,
    /// Damaged records that were skipped.
    pub(super) damaged: u64,
}

/// A segment with what its scan found.
struct Scanned {
    name: SegmentName,
    file: Arc<dyn File>,
    scan: Scan,
}

/// Recovers a disk. Blocks for as long as reading the ends of all records takes.
pub(super) fn recover(files: &SegmentFiles) -> io::Result<Recovered> {
    // A killed process may have made a segment without having synced its name.
    files.sync_directory()?;
    let mut segments = Vec::new();
    for name in files.list()? {
        let file = files.open(name)?;
        let scan = scan(&file, name.salt)?;
        segments.push(Scanned { name, file, scan });
    }
    let groups = segments.iter().flat_map(|segment| &segment.scan.records).map(|record| record.group);
    let group = groups.max().unwrap_or(Group(0));
    for segment in &mut segments {
        settle_newest_group(segment, group)?;
    }
    let mut damaged = 0;
    for segment in &segments {
        damaged += segment.scan.damaged;
        if segment.scan.damaged > 0 {
            warn!(segment = segment.name.file_name(), runs = segment.scan.damaged, "damaged records skipped");
        }
    }
    let last_segment = segments.iter().map(|segment| segment.name.number).max().unwrap_or(0);
    let marks = cut_tail(&segments, Kind::Marks)?;
    let shards = cut_tail(&segments, Kind::Shards)?;
    let (index, lost) = fill_index(&segments)?;
    Ok(Recovered { index, group, last_segment, shards, marks, damaged: damaged + lost })
}

/// Reads every record of the newest group whole. Good ones are written again and synced, so that they are stable
/// whatever became of the sync they waited for; of torn ones the footer is wiped, so that no later start, for which
/// they are no longer of the newest group, trusts them.
fn settle_newest_group(segment: &mut Scanned, newest: Group) -> io::Result<()> {
    if segment.scan.records.iter().all(|record| record.group != newest) {
        return Ok(());
    }
    let (file, salt) = (&segment.file, segment.name.salt);
    let mut kept = Vec::with_capacity(segment.scan.records.len());
    for record in std::mem::take(&mut segment.scan.records) {
        if record.group != newest {
            kept.push(record);
            continue;
        }
        let mut bytes =
            vec![0; usize::try_from(record.header.layout().footer).unwrap_or_default() + FOOTER_LENGTH];
        let whole = file.read_exact_at(&mut bytes, record.position).is_ok();
        if whole && is_intact(&record, salt, &bytes) {
            file.write_all_at(&bytes, record.position)?;
            kept.push(record);
        } else {
            info!(
                segment = segment.name.file_name(),
                position = record.position,
                "record was never stable: dropped"
            );
            file.write_all_at(&[0; FOOTER_LENGTH], record.position + record.header.layout().footer)?;
        }
    }
    segment.scan.records = kept;
    file.sync_data()
}

/// Whether every checksum of a record holds.
fn is_intact(record: &Record, salt: Salt, bytes: &[u8]) -> bool {
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
                chain.push(cell.checksum);
            }
        }
    }
    Some(chain.matches(&footer))
}

/// Cuts what follows the last record of the newest segment of a kind, so that it can be gone on with.
fn cut_tail(segments: &[Scanned], kind: Kind) -> io::Result<Option<Tail>> {
    let Some(newest) = segments.iter().rfind(|segment| segment.name.kind == kind) else { return Ok(None) };
    let position = newest.scan.end().next_multiple_of(GROUP_ALIGNMENT);
    let length = newest.file.length()?;
    if newest.scan.damaged_tail {
        info!(
            segment = newest.name.file_name(),
            position,
            bytes = length.saturating_sub(position),
            "torn tail cut"
        );
    }
    // Even an untorn tail is cut: room that was reserved ahead is reserved again when it is needed.
    if length > position {
        newest.file.set_length(position)?;
        newest.file.sync_data()?;
    }
    Ok(Some(Tail { name: newest.name, file: newest.file.clone(), position }))
}

/// The index of all records, and the number of records of marks that could not be read.
fn fill_index(segments: &[Scanned]) -> io::Result<(Index, u64)> {
    let mut index = Index::default();
    let mut lost = 0;
    let newest =
        segments.iter().rfind(|segment| segment.name.kind == Kind::Shards).map(|segment| segment.name.number);
    let of_kind = |kind| segments.iter().filter(move |segment| segment.name.kind == kind);
    // Of records of one name the one that was written last counts. They are few, so only their groups are kept.
    let mut groups = BTreeMap::new();
    for segment in of_kind(Kind::Shards) {
        index.add_segment(segment.name);
        index.set_end(segment.name.number, segment.scan.end());
        add_shards(&mut index, segment, segments, &mut groups);
        if Some(segment.name.number) != newest {
            index.seal(segment.name.number);
        }
    }
    for segment in of_kind(Kind::Marks) {
        for record in &segment.scan.records {
            match read_marks(segment, record) {
                Some(marks) => index.mark(&marks),
                None => {
                    warn!(
                        segment = segment.name.file_name(),
                        position = record.position,
                        "marks are damaged"
                    );
                    lost += 1;
                }
            }
        }
    }
    index.sweep_all();
    Ok((index, lost))
}

fn add_shards(
    index: &mut Index,
    segment: &Scanned,
    segments: &[Scanned],
    groups: &mut BTreeMap<ShardId, Group>,
) {
    for found in &segment.scan.records {
        let RecordHeader::Shard(record) = found.header else { continue };
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

/// The group of the record at a place.
fn group_of(segments: &[Scanned], place: &Place) -> Group {
    let scanned = segments.iter().find(|segment| segment.name.number == place.segment());
    let records = scanned.map_or(&[][..], |segment| &segment.scan.records);
    let at = records.binary_search_by_key(&place.position(), |record| record.position);
    at.ok().and_then(|at| records.get(at)).map_or(Group(0), |record| record.group)
}

fn read_marks(segment: &Scanned, record: &Record) -> Option<Marks> {
    let RecordHeader::Marks(header) = record.header else { return None };
    let mut bytes = vec![0; sealed_length(header.count * header.kind.length())];
    segment.file.read_exact_at(&mut bytes, record.position + HEADER_LENGTH as u64).ok()?;
    Some(Marks::decode(header.kind, open_sealed(&bytes)?))
}
