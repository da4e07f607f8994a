//! A file of the simulated disk: what its readers see, and what is on the medium.

use std::collections::BTreeMap;

use super::{Rng, SECTOR};

/// A sector's contents. `None` are zeros, which take no memory: most of a file is room that was allocated ahead.
type Sector = Option<Box<[u8; SECTOR]>>;

const SECTORS_PER_BLOCK: usize = 8;

/// A file's contents.
#[derive(Clone, Default)]
pub(super) struct Inode {
    sectors: Vec<Sector>,
    pub(super) length: usize,
    /// For each sector changed since the last sync, what the medium holds.
    unsynced: BTreeMap<usize, Sector>,
    /// For each sector that the medium says it has and has not, what it holds.
    lost: BTreeMap<usize, Sector>,
    synced_length: usize,
}

/// Sectors that lie one behind the other and are written to the medium at once.
pub(super) struct Run {
    first: usize,
    sectors: Vec<Sector>,
}

impl Inode {
    fn set(&mut self, number: usize, sector: Sector) {
        if number >= self.sectors.len() {
            if sector.is_none() {
                return;
            }
            self.sectors.resize(number + 1, None);
        }
        self.sectors[number] = sector;
    }

    fn get(&self, number: usize) -> Sector {
        self.sectors.get(number).cloned().flatten()
    }

    /// Remembers what the medium holds of a sector that is about to change.
    fn touch(&mut self, number: usize) {
        if !self.unsynced.contains_key(&number) {
            let held = self.lost.remove(&number).unwrap_or_else(|| self.get(number));
            self.unsynced.insert(number, held);
        }
    }

    pub(super) fn read(&self, out: &mut [u8], at: usize) {
        let mut done = 0;
        while done < out.len() {
            let (number, offset) = ((at + done) / SECTOR, (at + done) % SECTOR);
            let count = (SECTOR - offset).min(out.len() - done);
            match self.sectors.get(number) {
                // Everything behind the last sector is zeros.
                None => return out[done..].fill(0),
                Some(None) => out[done..done + count].fill(0),
                Some(Some(sector)) => {
                    out[done..done + count].copy_from_slice(&sector[offset..offset + count])
                }
            }
            done += count;
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: usize) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, offset) = ((at + done) / SECTOR, (at + done) % SECTOR);
            let count = (SECTOR - offset).min(bytes.len() - done);
            self.touch(number);
            let mut sector = self.get(number).unwrap_or_else(|| Box::new([0; SECTOR]));
            sector[offset..offset + count].copy_from_slice(&bytes[done..done + count]);
            self.set(number, Some(sector).filter(|sector| **sector != [0; SECTOR]));
            done += count;
        }
        self.length = self.length.max(at + bytes.len());
    }

    pub(super) fn set_length(&mut self, length: usize) {
        if length < self.length {
            let zeros = vec![0; length.next_multiple_of(SECTOR) - length];
            if !zeros.is_empty() {
                self.write(&zeros, length);
            }
            for number in length.div_ceil(SECTOR)..self.sectors.len() {
                self.touch(number);
            }
            self.sectors.truncate(length.div_ceil(SECTOR));
        }
        self.length = length;
    }

    /// Everything that was written is on the medium.
    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.synced_length = self.length;
    }

    /// The last sector that a sync would write.
    pub(super) fn last_unsynced(&self) -> Option<usize> {
        self.unsynced.keys().next_back().copied()
    }

    /// What a sync writes, run by run.
    pub(super) fn unsynced_runs(&self) -> Vec<Run> {
        let mut runs = Vec::<Run>::new();
        for number in self.unsynced.keys().copied() {
            match runs.last_mut() {
                Some(run) if run.first + run.sectors.len() == number => run.sectors.push(self.get(number)),
                _ => runs.push(Run { first: number, sectors: vec![self.get(number)] }),
            }
        }
        runs
    }

    /// These sectors stay unwritten, while the medium says that it has them. Readers see what was written until the
    /// power goes, as long as the system remembers it.
    pub(super) fn lose(&mut self, run: &Run, remembered: bool) {
        for number in run.first..run.first + run.sectors.len() {
            let Some(held) = self.unsynced.remove(&number) else { continue };
            if remembered {
                self.lost.insert(number, held);
            } else {
                self.set(number, held);
            }
        }
    }

    /// A sync that failed: the system takes what was written for written, and a part of it is not.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        for (number, held) in std::mem::take(&mut self.unsynced) {
            if rng.below(2) == 0 {
                self.lost.insert(number, held);
            }
        }
    }

    /// The medium's contents change, as those of a write that was meant for another place.
    pub(super) fn overwrite(&mut self, run: &Run, first: usize) {
        let sectors = self.length.div_ceil(SECTOR);
        for (number, sector) in (first..sectors).zip(&run.sectors) {
            match self.unsynced.get_mut(&number) {
                Some(held) => held.clone_from(sector),
                None => self.set(number, sector.clone()),
            }
        }
    }

    /// The numbers of the sectors that hold something.
    pub(super) fn used_sectors(&self) -> impl Iterator<Item = usize> {
        self.sectors.iter().enumerate().filter(|(_, sector)| sector.is_some()).map(|(number, _)| number)
    }

    /// Flips a bit of a sector.
    pub(super) fn flip(&mut self, number: usize, bit: usize) {
        if let Some(Some(sector)) = self.sectors.get_mut(number) {
            sector[bit / 8 % SECTOR] ^= 1 << (bit % 8);
        }
    }

    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        for (number, held) in std::mem::take(&mut self.lost) {
            self.set(number, held);
        }
        // All, none, or a random half of what was not synced.
        let mode = rng.below(4);
        let length = [self.length, self.synced_length][usize::try_from(rng.below(2)).unwrap()];
        for (number, held) in std::mem::take(&mut self.unsynced) {
            let is_lost = match mode {
                0 => true,
                1 => false,
                _ => rng.below(2) == 0,
            };
            if is_lost {
                self.set(number, held);
            }
        }
        self.set_length(length);
        // What a cut file had behind its end does not come back when it grows.
        self.sectors.truncate(length.div_ceil(SECTOR));
        self.sync();
    }

    pub(super) fn contents(&self) -> Vec<u8> {
        let mut data = vec![0; self.length];
        self.read(&mut data, 0);
        data
    }

    /// Changes what is on the medium: neither synced nor unsynced sectors of others change.
    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut data = self.contents();
        change(&mut data);
        for number in 0..data.len().max(self.length).div_ceil(SECTOR) {
            let mut sector = [0; SECTOR];
            let found = data.get(number * SECTOR..).unwrap_or(&[]);
            let count = found.len().min(SECTOR);
            sector[..count].copy_from_slice(&found[..count]);
            self.set(number, Some(Box::new(sector)).filter(|sector| **sector != [0; SECTOR]));
        }
        self.length = data.len();
    }
}

impl Run {
    pub(super) fn first(&self) -> usize {
        self.first
    }

    pub(super) fn last(&self) -> usize {
        self.first + self.sectors.len().saturating_sub(1)
    }

    /// This run, or one block of it: a file system writes no less at once.
    pub(super) fn some(self, rng: &mut Rng) -> Self {
        if rng.below(2) == 0 {
            return self;
        }
        let chosen = self.first + usize::try_from(rng.below(self.sectors.len() as u64)).unwrap();
        let block = chosen / SECTORS_PER_BLOCK * SECTORS_PER_BLOCK;
        let first = self.first.max(block);
        let end = (block + SECTORS_PER_BLOCK).min(self.first + self.sectors.len());
        Self { first, sectors: self.sectors[first - self.first..end - self.first].to_vec() }
    }
}
