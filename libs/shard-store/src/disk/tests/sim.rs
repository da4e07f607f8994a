//! A file system in memory that can lose power, and whose medium can lie.
//!
//! What was not synced when the power goes is kept or lost sector by sector, as a seed decides; file names that were
//! not synced are kept up to some point of their history. After the cut every call fails. A medium that lies loses
//! writes that it has acknowledged, or puts them elsewhere; one that rots changes bits.

mod descriptors;
mod inode;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use env::{DirectoryLock, Disk, Env, File, OpenMode, Random, RealClock, RealNetwork, SpaceUsage};

use self::{
    descriptors::{Descriptor, Descriptors},
    inode::Inode,
};

const SECTOR: usize = 512;

/// What direct writes come in.
const BLOCK: usize = 4096;

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

/// What the medium does to a write that it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing: the old contents stay.
    Lost,
    /// It lands elsewhere, at a multiple of 512, in any file.
    Misdirected,
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
    goes_down_in_sync: bool,
    /// Syncs until one fails, and no later one; and with what.
    sync_failure: Option<(u64, io::ErrorKind)>,
    /// What the next sync of a directory fails with.
    directory_sync_failure: Option<io::ErrorKind>,
    /// What removals fail with.
    removal_failure: Option<io::ErrorKind>,
    /// What writes fail with.
    write_failure: Option<io::ErrorKind>,
    /// What reads fail with.
    read_failure: Option<io::ErrorKind>,
    /// Runs of sectors written to the medium until this is done to one.
    lie: Option<(u64, Lie)>,
    /// The file and the last sector that the medium lied about, and whether it wrote behind them in files of the kind.
    lied: Option<(u64, usize, bool)>,
    /// Whether the medium lied about the last block of what it was given, and not about what is before it.
    lied_about_a_tail: bool,
    ignore_syncs: bool,
    ignore_directory_syncs: bool,
    refuse_new_files: bool,
    /// Bytes that were read of all files.
    read_bytes: u64,
    /// What becomes of direct writes, and how many there were.
    direct: Direct,
    direct_writes: u64,
}

/// What a file system makes of direct writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direct {
    #[default]
    Taken,
    /// Files open, and each write is refused.
    Refused,
    /// No file opens.
    Unknown,
}

impl State {
    fn apply(&mut self, change: NameChange) {
        match &change {
            NameChange::Set(path, inode) => self.names.insert(path.clone(), *inode),
            NameChange::Remove(path) => self.names.remove(path),
        };
        self.changes.push(change);
    }

    /// Writes a file's contents to the medium, as far as it is honest.
    fn sync(&mut self, number: u64, rng: &mut Rng) -> io::Result<()> {
        let inode = self.inodes.get_mut(&number).unwrap();
        match &mut self.sync_failure {
            Some((0, kind)) => {
                let kind = *kind;
                self.sync_failure = None;
                inode.fail_sync(rng);
                return Err(kind.into());
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        if let Some((left, lie)) = &mut self.lie {
            let runs = inode.unsynced_runs();
            let count = runs.len() as u64;
            if count <= *left {
                *left -= count;
            } else {
                let (chosen, lie) = (usize::try_from(*left).unwrap(), *lie);
                self.lie = None;
                let group = runs.into_iter().nth(chosen).unwrap();
                let (first, last) = (group.first(), group.last());
                let run = group.some(rng);
                self.lied_about_a_tail |= run.last() == last && run.first() > first;
                self.lied = Some((number, run.last(), false));
                inode.lose(&run, rng.below(2) == 0);
                inode.sync();
                if lie == Lie::Misdirected {
                    let chosen = rng.below(self.inodes.len() as u64) as usize;
                    let other = self.inodes.values_mut().nth(chosen).unwrap();
                    let sectors = other.used_sectors().last().unwrap_or(0) + 16;
                    other.overwrite(&run, rng.below(sectors as u64) as usize);
                }
                return Ok(());
            }
        }
        let last = inode.last_unsynced();
        inode.sync();
        if let (Some((lied, sector, false)), Some(last)) = (self.lied, last)
            && self.kind(lied) == self.kind(number)
            && (number, last) > (lied, sector)
        {
            self.lied = Some((lied, sector, true));
        }
        Ok(())
    }

    /// How a file's name begins.
    fn kind(&self, number: u64) -> Option<&str> {
        let path = self.names.iter().find(|(_, inode)| **inode == number)?.0;
        path.file_name()?.to_str()?.split('-').next()
    }

    /// Another process finds the medium. Files that have no name are gone.
    fn begin_anew(&mut self) {
        (self.off, self.calls_left) = (false, None);
        (self.sync_failure, self.lie, self.lied) = (None, None, None);
        let changes = self.changes.iter().filter_map(|change| match change {
            NameChange::Set(_, inode) => Some(*inode),
            NameChange::Remove(_) => None,
        });
        let named = self.names.values().chain(self.synced_names.values()).copied();
        let named: BTreeSet<_> = named.chain(changes).collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|inode| self.inodes.get(inode)).map(|inode| inode.length as u64).sum()
    }
}

/// A call that changes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Write,
    SetLength,
}

/// What is done before the next change of a kind.
type Hook = Option<(Change, Box<dyn FnOnce() + Send>)>;

/// The file system. Clones share it.
#[derive(Clone)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
    capacity: u64,
    rng: Arc<Mutex<Rng>>,
    hook: Arc<Mutex<Hook>>,
    descriptors: Arc<Descriptors>,
}

impl SimDisk {
    pub(super) fn new(capacity: u64) -> Self {
        Self::of_seed(capacity, capacity)
    }

    /// A disk whose random numbers follow from a seed.
    pub(super) fn of_seed(capacity: u64, seed: u64) -> Self {
        let rng = Arc::new(Mutex::new(Rng(seed)));
        Self { state: Arc::default(), capacity, rng, hook: Arc::default(), descriptors: Arc::default() }
    }

    /// Says what becomes of direct writes.
    pub(super) fn make_of_direct_writes(&self, what: Direct) {
        self.state().direct = what;
    }

    /// Direct writes so far.
    pub(super) fn direct_writes(&self) -> u64 {
        self.state().direct_writes
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

    /// The next sync does nothing and says that it succeeded, and nothing can be written from then on.
    pub(super) fn go_down_in_sync(&self) {
        self.state().goes_down_in_sync = true;
    }

    /// From now on every sync fails.
    pub(super) fn fail_syncs(&self) {
        self.state().fail_syncs = true;
    }

    /// After so many syncs of files one fails; what it was to write is there or not, and later ones know nothing of it.
    pub(super) fn fail_one_sync_after(&self, syncs: u64, kind: io::ErrorKind) {
        self.state().sync_failure = Some((syncs, kind));
    }

    /// The next sync of a directory fails.
    pub(super) fn fail_one_directory_sync(&self, kind: io::ErrorKind) {
        self.state().directory_sync_failure = Some(kind);
    }

    /// From now on no file can be removed.
    pub(super) fn fail_removals(&self, kind: io::ErrorKind) {
        self.state().removal_failure = Some(kind);
    }

    /// From now on files can be removed again.
    pub(super) fn allow_removals(&self) {
        self.state().removal_failure = None;
    }

    /// From now on every write fails.
    pub(super) fn fail_writes(&self, kind: io::ErrorKind) {
        self.state().write_failure = Some(kind);
    }

    /// From now on every read fails so, or none.
    pub(super) fn fail_reads(&self, kind: Option<io::ErrorKind>) {
        self.state().read_failure = kind;
    }

    /// After so many runs of sectors the medium lies about one.
    pub(super) fn lie_after(&self, runs: u64, lie: Lie) {
        self.state().lie = Some((runs, lie));
    }

    /// Whether the medium lied about what stands last in a kind of files, or in what was written at once.
    pub(super) fn lied_at_the_end(&self) -> bool {
        let state = self.state();
        state.lied_about_a_tail || state.lied.is_some_and(|(.., went_on)| !went_on)
    }

    /// From now on syncs of files do nothing, but say that they did.
    pub(super) fn ignore_syncs(&self) {
        self.state().ignore_syncs = true;
    }

    /// From now on syncs of directories do nothing, but say that they did.
    pub(super) fn ignore_directory_syncs(&self) {
        self.state().ignore_directory_syncs = true;
    }

    /// From now on there are no more than so many file descriptors.
    pub(super) fn limit_open_files(&self, most: usize) {
        self.descriptors.limit(most);
    }

    /// From now on no file can be made.
    pub(super) fn refuse_new_files(&self) {
        self.state().refuse_new_files = true;
    }

    /// The system has written everything to the medium by itself.
    pub(super) fn write_back(&self) {
        let mut state = self.state();
        state.inodes.values_mut().for_each(Inode::sync);
        state.synced_names = state.names.clone();
        state.changes.clear();
    }

    /// Bytes that were read of all files so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.state().read_bytes
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
        left.begin_anew();
        for inode in left.inodes.values_mut() {
            inode.lose_power(rng);
        }
        self.with(left)
    }

    /// What the next process finds when this one is killed. It keeps its calls that are under way to itself.
    pub(super) fn after_kill(&self) -> Self {
        let copy = self.copy();
        let mut state = copy.state();
        state.begin_anew();
        drop(state);
        copy
    }

    /// An independent copy.
    pub(super) fn copy(&self) -> Self {
        let state = self.state().clone();
        self.with(state)
    }

    /// As [`SimDisk::copy`], of another size.
    pub(super) fn with_capacity(&self, capacity: u64) -> Self {
        Self { capacity, ..self.copy() }
    }

    fn with(&self, state: State) -> Self {
        let (state, hook) = (Arc::new(Mutex::new(state)), Arc::default());
        Self { state, capacity: self.capacity, rng: self.rng.clone(), hook, descriptors: Arc::default() }
    }

    /// Does something on the thread of the next change of a kind, before that.
    pub(super) fn before_next(&self, change: Change, work: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() = Some((change, Box::new(work)));
    }

    fn before(&self, change: Change) {
        let hook = self.hook.lock().unwrap().take_if(|(wanted, _)| *wanted == change);
        if let Some((_, work)) = hook {
            work();
        }
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
        state.inodes.get_mut(&inode).unwrap().tamper(change);
    }

    /// Flips a bit somewhere.
    pub(super) fn rot(&self, rng: &mut Rng) {
        self.flip_one(rng, "");
    }

    /// Flips a bit of a file whose name begins so. Whether there is any.
    pub(super) fn flip_one(&self, rng: &mut Rng, prefix: &str) -> bool {
        let mut state = self.state();
        let is_meant = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        let linked: Vec<_> =
            state.names.iter().filter(|(path, _)| is_meant(path)).map(|(_, inode)| *inode).collect();
        let used = |inode: &u64| {
            state.inodes[inode].used_sectors().map(|number| (*inode, number)).collect::<Vec<_>>()
        };
        let sectors: Vec<_> = linked.iter().flat_map(used).collect();
        if sectors.is_empty() {
            return false;
        }
        let (inode, number) = sectors[rng.below(sectors.len() as u64) as usize];
        state.inodes.get_mut(&inode).unwrap().flip(number, rng.below(8 * SECTOR as u64) as usize);
        true
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

fn failing(kind: Option<io::ErrorKind>) -> io::Result<()> {
    kind.map_or(Ok(()), |kind| Err(kind.into()))
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    /// Whether it takes whole blocks alone.
    is_direct: bool,
    _descriptor: Descriptor,
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
        let mut state = self.disk.reading()?;
        failing(state.read_failure)?;
        state.read_bytes += buffer.len() as u64;
        let inode = &state.inodes[&self.inode];
        let start = usize::try_from(offset).unwrap();
        if start + buffer.len() > inode.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.read(buffer, start);
        Ok(())
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.disk.before(Change::Write);
        let mut state = self.disk.changing()?;
        if self.is_direct {
            assert!(
                offset.is_multiple_of(BLOCK as u64) && buffer.len().is_multiple_of(BLOCK),
                "{} at {offset}",
                buffer.len()
            );
            assert_eq!(buffer.as_ptr().align_offset(BLOCK), 0);
            if state.direct == Direct::Refused {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            state.direct_writes += 1;
        }
        failing(state.write_failure)?;
        self.grow(&state, offset + buffer.len() as u64)?;
        let start = usize::try_from(offset).unwrap();
        state.inodes.get_mut(&self.inode).unwrap().write(buffer, start);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        if state.goes_down_in_sync {
            state.write_failure = Some(io::ErrorKind::Other);
            return Ok(());
        }
        if state.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        if state.ignore_syncs {
            return Ok(());
        }
        state.sync(self.inode, &mut self.disk.rng.lock().unwrap())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.reading()?.inodes[&self.inode].length as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.before(Change::SetLength);
        let mut state = self.disk.changing()?;
        self.grow(&state, length)?;
        state.inodes.get_mut(&self.inode).unwrap().set_length(usize::try_from(length).unwrap());
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let descriptor = self.descriptors.take()?;
        let mut state = if mode == OpenMode::CreateNew { self.changing()? } else { self.reading()? };
        let is_direct = mode == OpenMode::Direct;
        if is_direct && state.direct == Direct::Unknown {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let inode = match (state.names.get(path).copied(), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::CreateNew) if state.refuse_new_files => {
                return Err(io::Error::other("no new files"));
            }
            (None, OpenMode::CreateNew) => {
                state.next_inode += 1;
                let inode = state.next_inode;
                state.inodes.insert(inode, Inode::default());
                state.apply(NameChange::Set(path.to_owned(), inode));
                inode
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile { disk: self.clone(), inode, is_direct, _descriptor: descriptor }))
    }

    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let _descriptor = self.descriptors.take()?;
        let state = self.reading()?;
        let within = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(within.filter_map(|name| Some(PathBuf::from(name.file_name()?))).collect())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        let _descriptor = self.descriptors.take()?;
        let mut state = self.changing()?;
        failing(state.directory_sync_failure.take())?;
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
        failing(state.removal_failure)?;
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
