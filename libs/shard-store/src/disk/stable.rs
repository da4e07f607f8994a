//! `stable`: how far the disk is known to be stable, so that a start can tell a torn end from rot.
//!
//! The writer notes the newest group whose sync has succeeded and where the segments then ended. The note is not synced
//! by itself: after a kill it is exact, after a power cut it may be older than the newest group, never newer. Two slots
//! are written in turn, so that a torn note leaves the one before it.

use std::{io, path::Path, sync::Arc};

use checksum::crc32c;
use env::{Disk, File, OpenMode};
use tracing::warn;
use types::DiskId;

use super::{
    format::{FORMAT_VERSION, Group, field},
    segment::Kind,
    unread::is_for_want_of_means,
};

const FILE_NAME: &str = "stable";
const MAGIC: [u8; 8] = *b"ASHSTABL";
const SLOT_LENGTH: usize = 68;
const SLOT_SPACING: u64 = 4096;
const FILE_LENGTH: usize = 2 * SLOT_SPACING as usize;

/// A position in the sequence of all segments of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) segment: u32,
    pub(super) position: u64,
}

/// Everything up to here was stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StablePoint {
    /// The newest group whose sync succeeded.
    pub(super) group: Group,
    /// Where the segments of shards ended then.
    pub(super) shards: End,
    /// Where the segments of marks ended then.
    pub(super) marks: End,
}

impl Default for StablePoint {
    fn default() -> Self {
        Self { group: Group(0), shards: End::default(), marks: End::default() }
    }
}

impl StablePoint {
    pub(super) fn end(&self, kind: Kind) -> End {
        match kind {
            Kind::Shards => self.shards,
            Kind::Marks => self.marks,
        }
    }

    pub(super) fn set_end(&mut self, kind: Kind, end: End) {
        match kind {
            Kind::Shards => self.shards = end,
            Kind::Marks => self.marks = end,
        }
    }

    fn encode(&self, disk: DiskId) -> [u8; SLOT_LENGTH] {
        let mut out = [0; SLOT_LENGTH];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[16..32].copy_from_slice(&disk.0);
        out[32..40].copy_from_slice(&self.group.0.to_le_bytes());
        out[40..44].copy_from_slice(&self.shards.segment.to_le_bytes());
        out[44..48].copy_from_slice(&self.marks.segment.to_le_bytes());
        out[48..56].copy_from_slice(&self.shards.position.to_le_bytes());
        out[56..64].copy_from_slice(&self.marks.position.to_le_bytes());
        let crc = crc32c(&out[..SLOT_LENGTH - 4]);
        out[SLOT_LENGTH - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8; SLOT_LENGTH], disk: DiskId) -> Option<Self> {
        let good = field::<8>(bytes, 0) == MAGIC
            && u16::from_le_bytes(field(bytes, 8)) == FORMAT_VERSION
            && field::<16>(bytes, 16) == disk.0
            && u32::from_le_bytes(field(bytes, SLOT_LENGTH - 4)) == crc32c(&bytes[..SLOT_LENGTH - 4]);
        let end = |segment, position| End {
            segment: u32::from_le_bytes(field(bytes, segment)),
            position: u64::from_le_bytes(field(bytes, position)),
        };
        good.then(|| Self {
            group: Group(u64::from_le_bytes(field(bytes, 32))),
            shards: end(40, 48),
            marks: end(44, 56),
        })
    }
}

/// The point that the directory's file names. The beginning, when there is no file or no note in it is whole: less is
/// known then, and nothing else is lost. Fails when the process lacks the means to find out.
pub(super) fn read(disk: &dyn Disk, directory: &Path, id: DiskId) -> io::Result<StablePoint> {
    let found = match disk.open(&directory.join(FILE_NAME), OpenMode::Read) {
        Err(error) if is_for_want_of_means(&error) => return Err(error),
        file => file.ok().and_then(|file| newest(file.as_ref(), id)),
    };
    Ok(found.map_or_else(StablePoint::default, |(_, point)| point))
}

/// The newest note in the file, and where it is.
fn newest(file: &dyn File, id: DiskId) -> Option<(u64, StablePoint)> {
    let points = [0, SLOT_SPACING].into_iter().filter_map(|position| {
        let mut bytes = [0; SLOT_LENGTH];
        file.read_exact_at(&mut bytes, position).ok()?;
        Some((position, StablePoint::decode(&bytes, id)?))
    });
    points.max_by_key(|(_, point)| point.group)
}

/// The file that the writer notes its progress in.
pub(super) struct StableFile {
    disk: DiskId,
    file: Option<Arc<dyn File>>,
    /// Where the last note is.
    slot: u64,
}

impl StableFile {
    /// Opens the file, or makes it. Without one, on a full disk, a start knows less, and nothing else changes. Fails when the
    /// process lacks the means.
    pub(super) fn open(disk: &dyn Disk, directory: &Path, id: DiskId) -> io::Result<Self> {
        let path = directory.join(FILE_NAME);
        let opened = disk.open(&path, OpenMode::ReadWrite).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            let file = disk.open(&path, OpenMode::CreateNew)?;
            file.write_all_at(&[0; FILE_LENGTH], 0)?;
            file.sync_data()?;
            disk.sync_directory(directory)?;
            Ok(file)
        });
        let file = match opened {
            Err(error) if is_for_want_of_means(&error) => return Err(error),
            opened => {
                opened.inspect_err(|error| warn!(disk = %id, %error, "what is stable cannot be noted")).ok()
            }
        };
        let slot = file.as_ref().and_then(|file| newest(file.as_ref(), id)).map_or(0, |(slot, _)| slot);
        Ok(Self { disk: id, file, slot })
    }

    /// Notes a point, over the older of the two notes. Not synced.
    ///
    /// An error is that of a medium which cannot be written any more, so that the sync before it proves nothing: a file system that
    /// goes down while it syncs may say that it has succeeded. (Linux 6.18: `fdatasync` of ext4 answers 0 when the file system is
    /// shut down before it has noted that the blocks were written; they are zeros after the next mount.) Lack of room is no error.
    pub(super) fn note(&mut self, point: &StablePoint) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.slot = SLOT_SPACING - self.slot;
        let Err(error) = file.write_all_at(&point.encode(self.disk), self.slot) else { return Ok(()) };
        warn!(disk = %self.disk, %error, "what is stable cannot be noted any more");
        self.file = None;
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(()),
            _ => Err(error),
        }
    }

    /// Makes the last note stable: at an orderly stop.
    pub(super) fn sync(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = file.sync_data() {
            warn!(disk = %self.disk, %error, "the note of what is stable may be lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use types::DiskId;

    use super::{End, Group, StableFile, StablePoint};

    /// A note that is torn leaves the one before it, also when it is the first one after a start.
    #[test]
    fn the_first_note_after_a_start_is_over_the_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, id) = (env::RealDisk, DiskId([1; 16]));
        let point = |group| StablePoint { group: Group(group), ..StablePoint::default() };
        for notes in 1..6 {
            let mut file = StableFile::open(&disk, directory.path(), id).unwrap();
            for group in 1..=notes {
                file.note(&point(notes * 10 + group)).unwrap();
            }
            let before = super::read(&disk, directory.path(), id).unwrap();
            assert_eq!(before, point(notes * 11));
            let mut file = StableFile::open(&disk, directory.path(), id).unwrap();
            file.note(&point(1)).unwrap();
            assert_eq!(super::read(&disk, directory.path(), id).unwrap(), before, "{notes} notes");
        }
    }

    #[test]
    fn a_note_with_a_changed_byte_or_of_another_disk_is_none() {
        let end = |segment, position| End { segment, position };
        let point = StablePoint { group: Group(77), shards: end(3, 8192), marks: end(2, 4608) };
        let bytes = point.encode(DiskId([1; 16]));
        assert_eq!(StablePoint::decode(&bytes, DiskId([1; 16])), Some(point));
        assert_eq!(StablePoint::decode(&bytes, DiskId([2; 16])), None);
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 8;
            assert_eq!(StablePoint::decode(&changed, DiskId([1; 16])), None, "byte {at}");
        }
    }
}
