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

/// A file's contents. Sectors of zeros take no memory: most of a file is room that was allocated ahead.
#[derive(Clone, Default)]
struct Inode {
    sectors: BTreeMap<usize, [u8; SECTOR]>,
    length: usize,
    /// For each sector changed since the last sync, what it held then.
    undo: BTreeMap<usize, [u8; SECTOR]>,
    synced_length: usize,
}

impl Inode {
    fn sector(&self, number: usize) -> [u8; SECTOR] {
        self.sectors.get(&number).copied().unwrap_or([0; SECTOR])
    }

    fn set_sector(&mut self, number: usize, contents: [u8; SECTOR]) {
        if contents == [0; SECTOR] {
            self.sectors.remove(&number);
        } else {
            self.sectors.insert(number, contents);
        }
    }

    fn read(&self, out: &mut [u8], at: usize) {
        let mut done = 0;
        while done < out.len() {
            let (number, offset) = ((at + done) / SECTOR, (at + done) % SECTOR);
            let count = (SECTOR - offset).min(out.len() - done);
            match self.sectors.get(&number) {
                Some(sector) => out[done..done + count].copy_from_slice(&sector[offset..offset + count]),
                None => out[done..done + count].fill(0),
            }
            done += count;
        }
    }

    fn write(&mut self, bytes: &[u8], at: usize) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, offset) = ((at + done) / SECTOR, (at + done) % SECTOR);
            let count = (SECTOR - offset).min(bytes.len() - done);
            let mut sector = self.sector(number);
            self.undo.entry(number).or_insert(sector);
            sector[offset..offset + count].copy_from_slice(&bytes[done..done + count]);
            self.set_sector(number, sector);
            done += count;
        }
        self.length = self.length.max(at + bytes.len());
    }

    fn set_length(&mut self, length: usize) {
        if length < self.length {
            let zeros = vec![0; length.next_multiple_of(SECTOR) - length];
            if !zeros.is_empty() {
                self.write(&zeros, length);
            }
            let cut = self.sectors.split_off(&length.div_ceil(SECTOR));
            for (number, contents) in cut {
                self.undo.entry(number).or_insert(contents);
            }
        }
        self.length = length;
    }

    fn sync(&mut self) {
        self.undo.clear();
        self.synced_length = self.length;
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        // All, none, or a random half of what was not synced.
        let mode = rng.below(4);
        let length = [self.length, self.synced_length][usize::try_from(rng.below(2)).unwrap()];
        for (number, old) in std::mem::take(&mut self.undo) {
            let lost = match mode {
                0 => true,
                1 => false,
                _ => rng.below(2) == 0,
            };
            if lost {
                self.set_sector(number, old);
            }
        }
        self.set_length(length);
        self.sync();
    }

    fn contents(&self) -> Vec<u8> {
        let mut data = vec![0; self.length];
        self.read(&mut data, 0);
        data
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
    ignore_syncs: bool,
    ignore_directory_syncs: bool,
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
        self.names.values().filter_map(|inode| self.inodes.get(inode)).map(|inode| inode.length as u64).sum()
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

    /// From now on syncs of files do nothing, but say that they did.
    pub(super) fn ignore_syncs(&self) {
        self.state().ignore_syncs = true;
    }

    /// From now on syncs of directories do nothing, but say that they did.
    pub(super) fn ignore_directory_syncs(&self) {
        self.state().ignore_directory_syncs = true;
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
        state.names.iter().map(|(path, inode)| (path.clone(), state.inodes[inode].length)).collect()
    }

    /// Changes a file behind everybody's back.
    pub(super) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[path];
        let inode = state.inodes.get_mut(&inode).unwrap();
        let (old, mut data) = (inode.contents(), inode.contents());
        change(&mut data);
        // What is tampered with is on the medium: neither synced nor unsynced bytes of others change.
        let undo = inode.undo.clone();
        for number in 0..data.len().max(old.len()).div_ceil(SECTOR) {
            let of = |bytes: &[u8]| {
                let mut sector = [0; SECTOR];
                let found = bytes.get(number * SECTOR..).unwrap_or(&[]);
                let count = found.len().min(SECTOR);
                sector[..count].copy_from_slice(&found[..count]);
                sector
            };
            if of(&old) != of(&data) {
                inode.set_sector(number, of(&data));
            }
        }
        (inode.length, inode.undo) = (data.len(), undo);
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
        let now = state.inodes[&self.inode].length as u64;
        if length > now && state.used() + (length - now) > self.disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl File for SimFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.reading()?;
        let inode = &state.inodes[&self.inode];
        let start = usize::try_from(offset).unwrap();
        if start + buffer.len() > inode.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.read(buffer, start);
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
        if !state.ignore_syncs {
            state.inodes.get_mut(&self.inode).unwrap().sync();
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.reading()?.inodes[&self.inode].length as u64)
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
        if !state.ignore_directory_syncs {
            state.synced_names = state.names.clone();
            state.changes.clear();
        }
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
