//! A machine's disk: a file system that loses what was not synced when the power goes, runs full and fails.
//!
//! At a power cut each sector that was written and not synced is kept or lost on its own, a file that has grown may have
//! its old length, and names that were made, changed or removed without a sync of their directory are kept up to some point
//! of their history. After a failed sync what it should have made stable is lost, though it can still be read.
//!
//! A folder stands for a disk of its own, which may be destroyed with all that is in it.

mod inode;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use env::{DirectoryLock, Disk, File, OpenMode, SpaceUsage};

use self::inode::Inode;
use crate::{
    life::{Life, Standing},
    rng::Rng,
    trace::{Trace, fingerprint},
};

enum NameChange {
    Set(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

struct State {
    rng: Rng,
    capacity: u64,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    changes: Vec<NameChange>,
    next_inode: u64,
    /// Calls that change something until the power goes.
    calls_left: Option<u64>,
    /// The next sync fails, and nothing changes any more until the machine starts again.
    failing: bool,
    failed: bool,
    /// Folders whose disk is destroyed: nothing in them can be read or changed.
    destroyed: Vec<PathBuf>,
    /// Sabotage: syncs answer and do nothing.
    ignores_syncs: bool,
}

/// The disk, which outlives the processes that use it. Clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk {
    name: Arc<str>,
    trace: Trace,
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    pub(crate) fn new(name: &str, rng: Rng, trace: Trace, capacity: u64, ignores_syncs: bool) -> Self {
        let state = State {
            rng,
            capacity,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            next_inode: 0,
            calls_left: None,
            failing: false,
            failed: false,
            destroyed: Vec::new(),
            ignores_syncs,
        };
        Self { name: name.into(), trace, state: Arc::new(Mutex::new(state)) }
    }

    /// The disk as one life of a process has it.
    pub(crate) fn of(&self, life: Arc<Life>) -> ProcessDisk {
        ProcessDisk { disk: self.clone(), life }
    }

    /// Cuts the power after this many more changing calls.
    pub(crate) fn cut_power_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    /// The next sync fails, and from then on every change.
    pub(crate) fn fail_next_sync(&self) {
        self.state().failing = true;
    }

    /// Takes back that the next sync fails, if none came meanwhile.
    pub(crate) fn fail_no_sync(&self) {
        self.state().failing = false;
    }

    /// Changes the disk's size, so that it may be full.
    pub(crate) fn set_capacity(&self, capacity: u64) {
        self.state().capacity = capacity;
    }

    /// Loses a folder and all that is in it, while processes may use it: from now on every call about it fails.
    pub(crate) fn destroy(&self, folder: &Path) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.destroyed.push(folder.to_owned());
        state.names.retain(|path, _| !path.starts_with(folder));
        state.synced_names.retain(|path, _| !path.starts_with(folder));
        state.changes.retain(|change| !change.path().starts_with(folder));
        let names: Vec<u64> = state.names.values().chain(state.synced_names.values()).copied().collect();
        state.inodes.retain(|inode, _| names.contains(inode));
    }

    /// Puts an empty disk in the place of the one that was destroyed.
    pub(crate) fn replace(&self, folder: &Path) {
        self.state().destroyed.retain(|destroyed| destroyed != folder);
    }

    /// The bytes of a small file, if it is there.
    pub(crate) fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.inodes.get(state.names.get(path)?)?;
        let mut bytes = vec![0; usize::try_from(inode.length()).expect("a small file")];
        inode.read(&mut bytes, 0).ok()?;
        Some(bytes)
    }

    /// Bytes that its files take.
    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// The process that used the disk is gone and starts again: with what was synced if the power was lost, with
    /// everything if it was only killed. Faults are repaired.
    pub(crate) fn restart(&self, after: Standing) {
        let mut guard = self.state();
        let state = &mut *guard;
        // What a failed sync should have made stable is gone from memory as well.
        let lost = after == Standing::PowerLost || state.failed;
        state.calls_left = None;
        state.failing = false;
        state.failed = false;
        if !lost {
            return;
        }
        let kept = state.rng.below(state.changes.len() as u64 + 1);
        state.names = std::mem::take(&mut state.synced_names);
        for change in std::mem::take(&mut state.changes).into_iter().take(usize::try_from(kept).expect("few"))
        {
            apply(&mut state.names, &change);
        }
        state.synced_names = state.names.clone();
        for inode in state.inodes.values_mut() {
            inode.lose_power(&mut state.rng);
        }
        let names: Vec<u64> = state.names.values().copied().collect();
        state.inodes.retain(|inode, _| names.contains(inode));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn note(&self, what: &'static str, numbers: [u64; 3]) {
        self.trace.event(what, &self.name, numbers);
    }
}

impl State {
    fn apply(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|inode| self.inodes.get(inode)).map(Inode::length).sum()
    }

    /// Whether a file may grow to `length`.
    fn check_room(&self, inode: u64, length: u64) -> io::Result<()> {
        let now = self.inodes.get(&inode).map_or(0, Inode::length);
        if length > now && self.used() + (length - now) > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Fails when the path is on a disk that is destroyed.
    fn check_there(&self, path: &Path) -> io::Result<()> {
        if self.destroyed.iter().any(|folder| path.starts_with(folder)) {
            return Err(io::Error::other("the disk is destroyed"));
        }
        Ok(())
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::Error::other("the file was lost"))
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Set(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

/// The disk as a process has it.
#[derive(Clone)]
pub(crate) struct ProcessDisk {
    disk: SimDisk,
    life: Arc<Life>,
}

impl ProcessDisk {
    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        if self.life.is_alive() {
            Ok(self.disk.state())
        } else {
            Err(io::Error::other("the process is dead"))
        }
    }

    fn changing(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.reading()?;
        match &mut state.calls_left {
            Some(0) => {
                drop(state);
                self.disk.note("power cut", [0; 3]);
                self.life.end(Standing::PowerLost);
                return Err(io::Error::other("no power"));
            }
            Some(calls) => *calls -= 1,
            None => {}
        }
        if state.failed { Err(io::Error::other("the disk has failed")) } else { Ok(state) }
    }
}

/// What direct writes come in, in bytes.
const BLOCK: usize = 4096;

struct OpenFile {
    disk: ProcessDisk,
    inode: u64,
    /// Whether it takes whole blocks alone.
    is_direct: bool,
}

impl File for OpenFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.reading()?.inode(self.inode)?.read(buffer, offset)
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        if self.is_direct {
            let is_whole = |number: usize| number.is_multiple_of(BLOCK);
            assert!(
                offset.is_multiple_of(BLOCK as u64)
                    && is_whole(buffer.len())
                    && buffer.as_ptr().align_offset(BLOCK) == 0
            );
        }
        let mut state = self.disk.changing()?;
        state.check_room(self.inode, offset + buffer.len() as u64)?;
        state.inode(self.inode)?.write(buffer, offset);
        drop(state);
        self.disk.disk.note("write", [self.inode, offset, fingerprint(buffer)]);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        if state.failing {
            state.failed = true;
            drop(state);
            self.disk.disk.note("failed sync", [self.inode, 0, 0]);
            return Err(io::Error::other("the sync failed"));
        }
        if !state.ignores_syncs {
            state.inode(self.inode)?.sync();
        }
        drop(state);
        self.disk.disk.note("sync", [self.inode, 0, 0]);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.reading()?.inode(self.inode)?.length())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        state.check_room(self.inode, length)?;
        state.inode(self.inode)?.set_length(length);
        Ok(())
    }
}

impl Disk for ProcessDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = if mode == OpenMode::CreateNew { self.changing()? } else { self.reading()? };
        state.check_there(path)?;
        let inode = match (state.names.get(path).copied(), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::CreateNew) => {
                state.next_inode += 1;
                let inode = state.next_inode;
                state.inodes.insert(inode, Inode::default());
                state.apply(NameChange::Set(path.to_owned(), inode));
                inode
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(OpenFile { disk: self.clone(), inode, is_direct: mode == OpenMode::Direct }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.reading()?.check_there(path)
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.reading()?;
        state.check_there(path)?;
        let within = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(within.filter_map(|name| Some(PathBuf::from(name.file_name()?))).collect())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut guard = self.changing()?;
        let state = &mut *guard;
        state.check_there(path)?;
        if state.ignores_syncs {
            return Ok(());
        }
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.changes).into_iter().partition(|change| change.is_in(path));
        for change in &synced {
            apply(&mut state.synced_names, change);
        }
        state.changes = rest;
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.check_there(from)?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.apply(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.check_there(path)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.apply(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.reading()?;
        state.check_there(path)?;
        Ok(state.names.contains_key(path))
    }

    fn space(&self, path: &Path) -> io::Result<SpaceUsage> {
        let state = self.reading()?;
        state.check_there(path)?;
        let (used, capacity) = (state.used(), state.capacity);
        Ok(SpaceUsage { total_bytes: capacity, available_bytes: capacity.saturating_sub(used) })
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        self.reading()?.check_there(path)?;
        Ok(DirectoryLock::unshared())
    }
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Rename(path, ..) => path,
        }
    }

    fn is_in(&self, directory: &Path) -> bool {
        self.path().parent() == Some(directory)
    }
}

#[cfg(test)]
mod tests;
