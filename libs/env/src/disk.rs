//! Files and directories. Every call blocks: call from a thread where that is allowed.

use std::{
    fs, io,
    num::NonZeroU64,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the system keeps of a file in memory, or forgets, at least, in bytes.
const PAGE: u64 = 4096;

/// The flag of writes past the system's memory.
const DIRECT: i32 = rustix::fs::OFlags::DIRECT.bits().cast_signed();

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; no writes.
    Read,
    /// It must exist; reads and writes.
    ReadWrite,
    /// It must not exist; reads and writes; only the owner may read it.
    CreateNew,
    /// It must exist; writes that go past what the system keeps in memory, and are no more durable for that before
    /// [`File::sync_data`]. `InvalidInput` where the file system has no such thing, and for a write whose position, length and
    /// memory are not multiples of its block: of that, some may have been written. Source: open(2), `O_DIRECT`.
    Direct,
}

/// Space on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceUsage {
    /// Size of the file system.
    pub total_bytes: u64,
    /// Free for this process.
    pub available_bytes: u64,
}

/// An open file. Positions are explicit, so one handle serves many threads.
pub trait File: Send + Sync + 'static {
    /// Fills `buffer` from `offset`; `UnexpectedEof` when the file is too short.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Fills `buffer` from `offset` if that takes no waiting, because the bytes are in the system's memory, and tells whether it
    /// did. Otherwise the buffer may have been written to in part. May be called from any thread.
    fn read_exact_now(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<bool> {
        Ok(false)
    }
    /// Lets the system forget what it keeps in memory of these bytes, as far as that is on the medium already, so that the next
    /// read shows what the medium has. A hint: nothing says whether it was followed.
    fn forget_cached(&self, _offset: u64, _length: u64) {}
    /// Writes all of `buffer` at `offset`, growing the file. Not durable before [`File::sync_data`].
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written so far, and the file's length, survive a power cut. After an error the file's
    /// unsynced contents are unknown: never retry, give the file up.
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends the file.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Extends the file with zeros to `length` and reserves its space on the medium, so that writes below `length`
    /// neither grow the file nor run out of space. A file system that cannot reserve only extends.
    fn allocate(&self, length: u64) -> io::Result<()> {
        if self.length()? < length { self.set_length(length) } else { Ok(()) }
    }
}

/// Holds a directory against other processes until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: Option<fs::File>,
}

impl DirectoryLock {
    /// A lock that holds nothing, for disks that only one process can see.
    pub fn unshared() -> Self {
        Self { _file: None }
    }
}

/// File systems.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file. A created file's name is durable only after [`Disk::sync_directory`] of its directory.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Makes a directory and those above it, for the owner alone. The names of what was made survive a power cut.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, sorted.
    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes creations, renames and removals in a directory survive a power cut.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a file or directory at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<SpaceUsage>;
    /// Takes the lock file `path`, or `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<DirectoryLock>;
    /// The whole contents of a small file, at most `limit` bytes (`InvalidData` when it is longer).
    fn read_small(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let length = usize::try_from(file.length()?).unwrap_or(usize::MAX);
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is longer than it may be"));
        }
        let mut contents = vec![0; length];
        file.read_exact_at(&mut contents, 0)?;
        Ok(contents)
    }
    /// Replaces a small file in one durable step: a new file is written, synced and renamed over it, and the
    /// directory is synced. Readable by the owner alone.
    fn replace_small(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let directory = directory_of(path);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = directory.join(name);
        if self.exists(&temporary)? {
            self.remove(&temporary)?;
        }
        let file = self.open(&temporary, OpenMode::CreateNew)?;
        file.write_all_at(contents, 0)?;
        file.sync_data()?;
        self.rename(&temporary, path)?;
        self.sync_directory(directory)
    }
    /// The file to replace where a person named `path`: what a link leads to, or `path` itself where nothing is there yet.
    /// `InvalidInput` for what is there and is no file, such as a device, a pipe or a directory.
    fn replaceable(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// Makes a directory and those above it that are not there, each after the name of the one above was synced: of what a process
/// leaves behind that is killed meanwhile, the last alone may have a name that is not stable, and that is synced by the next.
fn create_synced(
    path: &Path,
    exists: impl Fn(&Path) -> io::Result<bool>,
    make: impl Fn(&Path) -> io::Result<()>,
    sync: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut absent = Vec::new();
    for directory in path.ancestors().filter(|directory| !directory.as_os_str().is_empty()) {
        if exists(directory)? {
            // The parent of what was there may be out of reach, as that of a mount may, and then nobody has made it lately.
            let _ = sync(directory_of(directory));
            break;
        }
        absent.push(directory);
    }
    for directory in absent.into_iter().rev() {
        make(directory)?;
        sync(directory_of(directory))?;
    }
    Ok(())
}

/// Replaces a small file that a person named, in one durable step. `salt` makes the name of the new file before it is renamed, so that
/// no other file is taken for it. Readable by the owner alone.
pub(crate) fn replace_named(disk: &dyn Disk, path: &Path, contents: &[u8], salt: u64) -> io::Result<()> {
    let path = disk.replaceable(path)?;
    let directory = directory_of(&path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{salt:016x}.partial"));
    let temporary = directory.join(name);
    let file = disk.open(&temporary, OpenMode::CreateNew)?;
    let written = file
        .write_all_at(contents, 0)
        .and_then(|()| file.sync_data())
        .and_then(|()| disk.rename(&temporary, &path));
    if let Err(error) = written {
        // What failed is told; that its rest cannot be removed says nothing more.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    disk.sync_directory(directory)
}

/// The directory that a file is in. The parent of a bare name is an empty path, which nothing can open.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The machine's file systems.
#[derive(Debug, Clone, Copy)]
pub struct RealDisk;

impl File for fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    /// Linux manual, preadv2(2), `RWF_NOWAIT`. What is short or not supported is left to the call that waits.
    #[cfg(target_os = "linux")]
    fn read_exact_now(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<bool> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        while !buffer.is_empty() {
            match preadv2(self, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
                Ok(0) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    return Ok(false);
                }
                Ok(read) => {
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                    offset += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn forget_cached(&self, offset: u64, length: u64) {
        // Pages of which only a part is named stay.
        let start = offset - offset % PAGE;
        let end = offset.saturating_add(length).next_multiple_of(PAGE);
        // A file system that keeps nothing in memory, or nothing else, refuses.
        let _ = rustix::fs::fadvise(self, start, NonZeroU64::new(end - start), rustix::fs::Advice::DontNeed);
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), 0, length) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) if File::length(self)? < length => {
                self.set_len(length)
            }
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            result => Ok(result?),
        }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true),
            OpenMode::CreateNew => options.read(true).write(true).create_new(true).mode(0o600),
            OpenMode::Direct => options.write(true).custom_flags(DIRECT),
        };
        Ok(Arc::new(options.open(path)?))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let make = |directory: &Path| match fs::DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        create_synced(path, |directory| fs::exists(directory), make, |parent| self.sync_directory(parent))?;
        // What is there may be something else than a directory.
        fs::create_dir_all(path)
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn replaceable(&self, path: &Path) -> io::Result<PathBuf> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
            found => found?,
        };
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and is no file"));
        }
        fs::canonicalize(path)
    }

    fn space(&self, path: &Path) -> io::Result<SpaceUsage> {
        let stat = rustix::fs::statvfs(path)?;
        let block = stat.f_frsize;
        Ok(SpaceUsage {
            total_bytes: stat.f_blocks.saturating_mul(block),
            available_bytes: stat.f_bavail.saturating_mul(block),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: Some(file) }),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs, io,
        os::unix::{
            fs::{FileTypeExt, PermissionsExt, symlink},
            net::UnixListener,
        },
        path::Path,
    };

    use super::{Disk, OpenMode, RealDisk, create_synced, directory_of, replace_named};

    #[test]
    fn what_a_person_names_is_replaced_if_it_is_a_file_and_left_alone_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = |name: &str| String::from_utf8(RealDisk.read_small(&at(name), 100).unwrap()).unwrap();
        let names = || RealDisk.list_directory(folder.path()).unwrap().len();
        fs::write(at("keys.new"), "another's").unwrap();
        for contents in ["first", "second"] {
            replace_named(&RealDisk, &at("keys"), contents.as_bytes(), 7).unwrap();
            assert_eq!((text("keys").as_str(), text("keys.new").as_str()), (contents, "another's"));
        }
        symlink(at("keys"), at("link")).unwrap();
        replace_named(&RealDisk, &at("link"), b"third", 7).unwrap();
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink(), "the link stays");
        assert_eq!(text("keys"), "third");

        // A socket stands for all that is no file: a device cannot be made by everybody.
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("socket"), at("link to it")).unwrap();
        symlink(at("nothing"), at("link to nothing")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let there = names();
        for name in ["socket", "link to it", "folder"] {
            let refused = replace_named(&RealDisk, &at(name), b"text", 7).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{name}: {refused}");
        }
        let refused = replace_named(&RealDisk, &at("link to nothing"), b"text", 7).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotFound);
        assert!(fs::symlink_metadata(at("socket")).unwrap().file_type().is_socket());
        assert_eq!(names(), there, "nothing is left behind");
    }

    #[test]
    fn a_locked_directory_refuses_a_second_holder_until_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealDisk.lock(&path).unwrap();
    }

    #[test]
    fn whole_blocks_are_written_past_the_systems_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = RealDisk.open(&path, OpenMode::CreateNew).unwrap();
        file.allocate(1 << 20).unwrap();
        file.write_all_at(b"before", 100).unwrap();
        // A file system need not have it.
        let direct = match RealDisk.open(&path, OpenMode::Direct) {
            Err(error) => return assert_eq!(error.kind(), io::ErrorKind::InvalidInput),
            Ok(direct) => direct,
        };
        let bytes: Vec<u8> = (0..80_000_u32).map(|number| (number % 251) as u8).collect();
        let first = bytes.as_ptr().align_offset(4096);
        direct.write_all_at(&bytes[first..first + 65_536], 8192).unwrap();
        file.sync_data().unwrap();
        let (mut read, mut before) = (vec![0; 65_536], [0; 6]);
        file.read_exact_at(&mut read, 8192).unwrap();
        file.read_exact_at(&mut before, 100).unwrap();
        assert!(read == bytes[first..first + 65_536] && &before == b"before");
        assert_eq!(file.length().unwrap(), 1 << 20);
    }

    #[test]
    fn what_was_just_written_is_read_without_waiting_and_no_more_than_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&directory.path().join("file"), OpenMode::CreateNew).unwrap();
        let written: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        file.write_all_at(&written, 0).unwrap();
        let mut read = vec![0; 100_000];
        // A file system need not support it.
        if file.read_exact_now(&mut read, 77).unwrap() {
            assert_eq!(read, written[77..100_077]);
        }
        assert!(!file.read_exact_now(&mut read, 100_001).unwrap());
    }

    #[test]
    fn a_bare_name_is_in_the_directory_that_is_current() {
        for (path, expected) in [("keys", "."), ("./keys", "."), ("a/keys", "a"), ("/keys", "/")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(expected), "{path}");
        }
        RealDisk.sync_directory(directory_of(Path::new("keys"))).unwrap();
    }

    #[test]
    fn each_directory_that_is_made_is_synced_by_its_name_before_the_next() {
        let calls = |path: &str, there: &[&str]| {
            let calls = std::cell::RefCell::new(Vec::new());
            let exists = |path: &Path| Ok(there.iter().any(|known| Path::new(known) == path));
            let tell = |what: &str, path: &Path| {
                calls.borrow_mut().push(format!("{what} {}", path.display()));
                Ok(())
            };
            create_synced(Path::new(path), exists, |path| tell("make", path), |path| tell("sync", path))
                .unwrap();
            calls.into_inner()
        };
        assert_eq!(
            calls("/a/b/c", &["/", "/a"]),
            ["sync /", "make /a/b", "sync /a", "make /a/b/c", "sync /a/b"]
        );
        // Whoever made it may have been killed before it was synced.
        assert_eq!(calls("/a/b", &["/", "/a", "/a/b"]), ["sync /a"]);
        assert_eq!(calls("a/b", &[]), ["make a", "sync .", "make a/b", "sync a"]);
    }

    #[test]
    fn a_name_that_cannot_be_synced_is_an_error_only_of_what_is_made() {
        let fails = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        let create = |is_there: bool| create_synced(Path::new("a"), |_| Ok(is_there), |_| Ok(()), fails);
        create(true).unwrap();
        assert_eq!(create(false).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn directories_are_made_with_those_above_them_and_not_over_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        for _ in 0..2 {
            RealDisk.create_directory(&path).unwrap();
            assert!(path.is_dir());
        }
        for made in [path.as_path(), &directory.path().join("a")] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
        RealDisk.replace_small(&path.join("file"), b"").unwrap();
        RealDisk.create_directory(&path.join("file")).unwrap_err();
    }

    #[test]
    fn replacing_a_small_file_leaves_old_or_new_contents_and_no_residue() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings");
        for contents in [b"one".as_slice(), b"two"] {
            RealDisk.replace_small(&path, contents).unwrap();
            assert_eq!(RealDisk.read_small(&path, 16).unwrap(), contents);
        }
        assert_eq!(RealDisk.list_directory(directory.path()).unwrap().len(), 1);
        assert_eq!(RealDisk.read_small(&path, 2).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(RealDisk.open(&path, OpenMode::CreateNew).is_err());
    }
}
