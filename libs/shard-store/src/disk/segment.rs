//! Segment files and their index files: their names, and a bounded number of open ones.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use env::{Disk, File, OpenMode};
use tracing::debug;

use super::{format::Salt, unread::is_out_of_descriptors};

/// Most segment files of one disk that are open for reading at once.
const OPEN_FILES_MAX: usize = 128;

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Shards. Removed when none of them is kept any more.
    Shards,
    /// Names that were deleted, groups that were evicted, leases that were fenced.
    Marks,
}

/// A segment's identity: everything that recovery must know of it stands in its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentName {
    pub(super) kind: Kind,
    /// Ascending over the disk's life; never used twice.
    pub(super) number: u32,
    pub(super) salt: Salt,
}

impl SegmentName {
    /// `shards-00000001-0123456789abcdef.segment`.
    pub(super) fn file_name(&self) -> String {
        format!("{self}.segment")
    }

    /// `shards-00000001-0123456789abcdef.index`.
    pub(super) fn index_file_name(&self) -> String {
        format!("{self}.index")
    }

    /// The segment of a file name, if it is one.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        Self::parse_stem(file_name.strip_suffix(".segment")?)
    }

    /// The segment whose index file has this name, if it is one.
    pub(super) fn parse_index_file(file_name: &str) -> Option<Self> {
        Self::parse_stem(file_name.strip_suffix(".index")?)
    }

    fn parse_stem(stem: &str) -> Option<Self> {
        let mut parts = stem.split('-');
        let kind = match parts.next()? {
            "shards" => Kind::Shards,
            "marks" => Kind::Marks,
            _ => return None,
        };
        let number = u32::from_str_radix(parts.next()?, 16).ok()?;
        let salt = Salt(u64::from_str_radix(parts.next()?, 16).ok()?);
        let name = Self { kind, number, salt };
        (name.to_string() == stem).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Shards => "shards",
            Kind::Marks => "marks",
        };
        write!(f, "{kind}-{:08x}-{:016x}", self.number, self.salt.0)
    }
}

/// The disk's directory and its open segments.
pub(super) struct SegmentFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    open: Mutex<OpenFiles>,
}

#[derive(Default)]
struct OpenFiles {
    files: HashMap<u32, Arc<dyn File>>,
    /// Numbers in the order of opening; the oldest is closed first.
    order: VecDeque<u32>,
    /// Files removed so far.
    removals: u64,
}

impl OpenFiles {
    fn keep(&mut self, number: u32, file: Arc<dyn File>) {
        if self.files.insert(number, file).is_none() {
            self.order.push_back(number);
        }
        while self.order.len() > OPEN_FILES_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.files.remove(&oldest);
            }
        }
    }
}

impl SegmentFiles {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf) -> Self {
        Self { disk, directory, open: Mutex::default() }
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// Every segment of the disk, in the order of kinds and numbers.
    pub(super) fn list(&self) -> io::Result<Vec<SegmentName>> {
        let mut segments = self.list_names(SegmentName::parse)?;
        segments.sort_by_key(|name| (name.kind, name.number));
        Ok(segments)
    }

    /// The segments of all index files, in any order. They may be gone.
    pub(super) fn list_index_files(&self) -> io::Result<Vec<SegmentName>> {
        self.list_names(SegmentName::parse_index_file)
    }

    fn list_names(&self, parse: impl Fn(&str) -> Option<SegmentName>) -> io::Result<Vec<SegmentName>> {
        let names = self.with_descriptor(|disk| disk.list_directory(&self.directory))?;
        Ok(names.iter().filter_map(|name| parse(name.to_str()?)).collect())
    }

    /// The segment's file for reading and writing, opened if it is not open.
    pub(super) fn open(&self, name: SegmentName) -> io::Result<Arc<dyn File>> {
        let removals = {
            let open = self.lock();
            if let Some(file) = open.files.get(&name.number) {
                return Ok(file.clone());
            }
            open.removals
        };
        // Opened outside the lock; when two readers race, one of two equal handles is kept.
        let path = self.directory.join(name.file_name());
        let file = self.with_descriptor(|disk| disk.open(&path, OpenMode::ReadWrite))?;
        let mut open = self.lock();
        // Kept, the handle of a segment that was removed meanwhile would hold its room.
        if open.removals == removals {
            open.keep(name.number, file.clone());
        }
        drop(open);
        Ok(file)
    }

    /// The segment's file, if it is open.
    pub(super) fn opened(&self, name: SegmentName) -> Option<Arc<dyn File>> {
        self.lock().files.get(&name.number).cloned()
    }

    /// Makes a new segment's file. Its name is durable only after [`SegmentFiles::sync_directory`].
    pub(super) fn create(&self, name: SegmentName) -> io::Result<Arc<dyn File>> {
        let path = self.directory.join(name.file_name());
        let file = self.with_descriptor(|disk| disk.open(&path, OpenMode::CreateNew))?;
        self.lock().keep(name.number, file.clone());
        Ok(file)
    }

    /// The segment's file for writes past the system's memory; `None` where that cannot be, for one reason or another: it is not
    /// worth another file's descriptor.
    pub(super) fn open_direct(&self, name: SegmentName) -> Option<Arc<dyn File>> {
        let opened = self.disk.open(&self.directory.join(name.file_name()), OpenMode::Direct);
        opened.inspect_err(|error| debug!(segment = name.file_name(), %error, "no direct writes")).ok()
    }

    pub(super) fn sync_directory(&self) -> io::Result<()> {
        self.with_descriptor(|disk| disk.sync_directory(&self.directory))
    }

    /// Removes a segment's file. Readers that have it open read on.
    pub(super) fn remove(&self, name: SegmentName) -> io::Result<()> {
        let removed = self.disk.remove(&self.directory.join(name.file_name()));
        // After its name is gone: whoever opened it by its name keeps it before this, or sees that something was removed.
        let mut open = self.lock();
        open.removals += 1;
        open.files.remove(&name.number);
        open.order.retain(|number| *number != name.number);
        removed
    }

    /// The bytes of a segment's index file: `InvalidData` when they are more than `limit`.
    pub(super) fn read_index_file(&self, name: SegmentName, limit: u64) -> io::Result<Vec<u8>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let path = self.directory.join(name.index_file_name());
        self.with_descriptor(|disk| disk.read_small(&path, limit))
    }

    /// Lets the system forget what it keeps in memory of a segment's index file.
    pub(super) fn forget_cached_index_file(&self, name: SegmentName) -> io::Result<()> {
        let path = self.directory.join(name.index_file_name());
        let file = self.with_descriptor(|disk| disk.open(&path, OpenMode::Read))?;
        file.forget_cached(0, file.length()?);
        Ok(())
    }

    /// Makes a segment's index file, in place of one that may be there. Neither it nor its name is durable.
    pub(super) fn write_index_file(&self, name: SegmentName, bytes: &[u8]) -> io::Result<()> {
        let path = self.directory.join(name.index_file_name());
        let make = || self.with_descriptor(|disk| disk.open(&path, OpenMode::CreateNew));
        let made = make().or_else(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            self.disk.remove(&path)?;
            make()
        });
        made?.write_all_at(bytes, 0)
    }

    /// Removes a segment's index file, if there is one.
    pub(super) fn remove_index_file(&self, name: SegmentName) -> io::Result<()> {
        match self.disk.remove(&self.directory.join(name.index_file_name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Does what takes a file descriptor. When there is none left, the files that nobody reads or writes now are closed first.
    fn with_descriptor<T>(&self, work: impl Fn(&dyn Disk) -> io::Result<T>) -> io::Result<T> {
        match work(self.disk.as_ref()) {
            Err(error) if is_out_of_descriptors(&error) && self.close_all() => work(self.disk.as_ref()),
            result => result,
        }
    }

    /// Keeps none of the files open that are; whether there were any.
    fn close_all(&self) -> bool {
        let closed = {
            let mut open = self.lock();
            open.order.clear();
            std::mem::take(&mut open.files)
        };
        !closed.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Salt, SegmentName};

    #[test]
    fn names_round_trip_and_nothing_else_is_one() {
        for kind in [Kind::Shards, Kind::Marks] {
            let name = SegmentName { kind, number: 0x1f, salt: Salt(0xfeed_0000_0000_0001) };
            assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
            assert_eq!(SegmentName::parse_index_file(&name.index_file_name()), Some(name));
            assert_eq!(SegmentName::parse(&name.index_file_name()), None);
            assert_eq!(SegmentName::parse_index_file(&name.file_name()), None);
        }
        for text in [
            "",
            "disk.json",
            "shards-1-2.segment",
            "shards-00000001-0000000000000002.segment.new",
            "lost+found",
        ] {
            assert_eq!(SegmentName::parse(text), None, "{text}");
            assert_eq!(SegmentName::parse_index_file(text), None, "{text}");
        }
    }
}
