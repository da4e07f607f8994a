//! A file system in memory that can lose power.
//!
//! What was not synced when the power goes is kept or lost sector by sector, as a seed decides; file names that were
//! not synced are kept up to some point of their history. After the cut every call fails.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use env::{DirectoryLock, Disk, Env, File, OpenMode, Random, RealClock, RealNetwork, SpaceUsage};

const SECTOR: usize = 512;

/// A small generator for tests: SplitMix64 (Steele, Lea, Flood, 2014).
#[derive(Clone)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    /// For each sector changed since the last sync, what it held then.
    undo: BTreeMap<usize, [u8; SECTOR]>,
    synced_length: usize,
}

impl Inode {
    fn write(&mut self, bytes: &[u8], at: usize) {
        if self.data.len() < at + bytes.len() {
            self.data.resize(at + bytes.len(), 0);
        }
        self.remember(at, at + bytes.len());
        self.data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn set_length(&mut self, length: usize) {
        let old = self.data.len();
        if length < old {
            self.remember(length, old);
        }
        self.data.resize(length, 0);
    }

    fn remember(&mut self, start: usize, end: usize) {
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            let mut old = [0; SECTOR];
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.data.len());
            if from < to {
                old[..to - from].copy_from_slice(&self.data[from..to]);
            }
            self.undo.entry(sector).or_insert(old);
        }
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        // All, none, or a random half of what was not synced.
        let mode = rng.below(4);
        let lengths = [self.data.len(), self.synced_length];
        let length = lengths[usize::try_from(rng.below(2)).unwrap()];
        let full = self.data.len().max(self.synced_length).next_multiple_of(SECTOR);
        self.data.resize(full, 0);
        for (sector, old) in std::mem::take(&mut self.undo) {
            let lost = match mode {
                0 => true,
                1 => false,
                _ => rng.below(2) == 0,
            };
            if lost && (sector + 1) * SECTOR <= full {
                self.data[sector * SECTOR..(sector + 1) * SECTOR].copy_from_slice(&old);
            }
        }
        self.data.resize(length, 0);
        self.synced_length = length;
    }
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, u64),
    Remove(PathBuf),
}

#[derive(Clone, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    changes: Vec<NameChange>,
    next_inode: u64,
    /// Calls that change something, until the power goes. `None`: it stays.
    calls_left: Option<u64>,
    off: bool,
    fail_syncs: bool,
}

impl State {
    fn apply(&mut self, change: NameChange) {
        match &change {
            NameChange::Set(path, inode) => self.names.insert(path.clone(), *inode),
            NameChange::Remove(path) => self.names.remove(path),
        };
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|inode| self.inodes.get(inode))
            .map(|inode| inode.data.len() as u64)
            .sum()
    }
}

/// The file system. Clones share it.
#[derive(Clone)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
    capacity: u64,
    rng: Arc<Mutex<Rng>>,
}

impl SimDisk {
    pub(super) fn new(capacity: u64) -> Self {
        Self { state: Arc::default(), capacity, rng: Arc::new(Mutex::new(Rng(capacity))) }
    }

    /// An environment with this disk and the machine's clock.
    pub(super) fn env(&self) -> Env {
        Env::new(
            Arc::new(RealClock::new()),
            Arc::new(self.clone()),
            Arc::new(RealNetwork),
            Arc::new(self.clone()),
        )
    }

    /// Cuts the power after this many more changing calls.
    pub(super) fn cut_power_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    /// From now on every sync fails.
    pub(super) fn fail_syncs(&self) {
        self.state().fail_syncs = true;
    }

    /// What is left after the power is gone, as a new file system with power. A running one loses it now.
    pub(super) fn after_power_cut(&self, rng: &mut Rng) -> Self {
        let mut state = self.state();
        state.off = true;
        let mut left = state.clone();
        drop(state);
        let kept = usize::try_from(rng.below(left.changes.len() as u64 + 1)).unwrap();
        left.names = std::mem::take(&mut left.synced_names);
        for change in std::mem::take(&mut left.changes).into_iter().take(kept) {
            left.apply(change);
        }
        left.changes.clear();
        left.synced_names = left.names.clone();
        for inode in left.inodes.values_mut() {
            inode.lose_power(rng);
        }
        left.off = false;
        left.calls_left = None;
        Self { state: Arc::new(Mutex::new(left)), capacity: self.capacity, rng: self.rng.clone() }
    }

    /// An independent copy.
    pub(super) fn copy(&self) -> Self {
        let state = self.state().clone();
        Self { state: Arc::new(Mutex::new(state)), capacity: self.capacity, rng: self.rng.clone() }
    }

    /// Every file's path and length.
    pub(super) fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.state();
        state.names.iter().map(|(path, inode)| (path.clone(), state.inodes[inode].data.len())).collect()
    }

    /// Changes a file behind everybody's back.
    pub(super) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[path];
        change(&mut state.inodes.get_mut(&inode).unwrap().data);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.off { Err(io::Error::other("no power")) } else { Ok(state) }
    }

    fn changing(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.reading()?;
        match &mut state.calls_left {
            Some(0) => {
                state.off = true;
                return Err(io::Error::other("no power"));
            }
            Some(calls) => *calls -= 1,
            None => {}
        }
        Ok(state)
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl SimFile {
    fn grow(&self, state: &State, length: u64) -> io::Result<()> {
        let now = state.inodes[&self.inode].data.len() as u64;
        if length > now && state.used() + (length - now) > self.disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl File for SimFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.reading()?;
        let data = &state.inodes[&self.inode].data;
        let start = usize::try_from(offset).unwrap();
        let found = data.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        self.grow(&state, offset + buffer.len() as u64)?;
        let start = usize::try_from(offset).unwrap();
        state.inodes.get_mut(&self.inode).unwrap().write(buffer, start);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        if state.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.undo.clear();
        inode.synced_length = inode.data.len();
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.reading()?.inodes[&self.inode].data.len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        self.grow(&state, length)?;
        state.inodes.get_mut(&self.inode).unwrap().set_length(usize::try_from(length).unwrap());
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = if mode == OpenMode::CreateNew { self.changing()? } else { self.reading()? };
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
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.reading()?;
        let within = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(within.filter_map(|name| Some(PathBuf::from(name.file_name()?))).collect())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.synced_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // One change, so that a power cut sees both or neither; the old name is forgotten with the next sync.
        state.names.remove(from);
        state.apply(NameChange::Set(to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.apply(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.reading()?.names.contains_key(path))
    }

    fn space(&self, _path: &Path) -> io::Result<SpaceUsage> {
        let used = self.reading()?.used();
        Ok(SpaceUsage { total_bytes: self.capacity, available_bytes: self.capacity.saturating_sub(used) })
    }

    fn lock(&self, _path: &Path) -> io::Result<DirectoryLock> {
        Ok(DirectoryLock::unshared())
    }
}

impl Random for SimDisk {
    fn fill(&self, out: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap();
        out.iter_mut().for_each(|byte| *byte = rng.next().to_le_bytes()[0]);
    }
}
