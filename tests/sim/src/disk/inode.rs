//! One file: its sectors, and what each held when it was last synced.

use std::{collections::BTreeMap, io};

use crate::rng::Rng;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

/// A file. Sectors that are not there are zero.
#[derive(Default)]
pub(super) struct Inode {
    sectors: BTreeMap<u64, Sector>,
    length: u64,
    /// For each sector changed since the last sync, what it held then.
    undo: BTreeMap<u64, Option<Sector>>,
    synced_length: u64,
}

impl Inode {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, range) in pieces(offset, buffer.len()) {
            let piece = &mut buffer[range.clone()];
            match self.sectors.get(&number) {
                Some(sector) => piece.copy_from_slice(&sector[within..within + range.len()]),
                None => piece.fill(0),
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for (number, within, range) in pieces(offset, bytes.len()) {
            self.remember(number);
            let sector = self.sectors.entry(number).or_insert([0; SECTOR]);
            sector[within..within + range.len()].copy_from_slice(&bytes[range]);
        }
        self.length = self.length.max(offset + bytes.len() as u64);
    }

    pub(super) fn set_length(&mut self, length: u64) {
        let first_cut = length / SECTOR as u64;
        let cut: Vec<u64> = self.sectors.range(first_cut..).map(|(number, _)| *number).collect();
        for number in cut {
            self.remember(number);
            let within = usize::try_from(length.saturating_sub(number * SECTOR as u64)).expect("a sector");
            if within == 0 {
                self.sectors.remove(&number);
            } else if let Some(sector) = self.sectors.get_mut(&number) {
                sector[within.min(SECTOR)..].fill(0);
            }
        }
        self.length = length;
    }

    pub(super) fn sync(&mut self) {
        self.undo.clear();
        self.synced_length = self.length;
    }

    /// Keeps all, none, or a random half of what was not synced.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        let mode = rng.below(4);
        for (number, old) in std::mem::take(&mut self.undo) {
            let lost = match mode {
                0 => true,
                1 => false,
                _ => rng.once_in(2),
            };
            match old {
                _ if !lost => {}
                Some(old) => {
                    self.sectors.insert(number, old);
                }
                None => {
                    self.sectors.remove(&number);
                }
            }
        }
        let length = if rng.once_in(2) { self.length } else { self.synced_length };
        // Behind the end there is nothing, whatever a sector held.
        self.set_length(length);
        self.sync();
    }

    fn remember(&mut self, number: u64) {
        let old = self.sectors.get(&number).copied();
        self.undo.entry(number).or_insert(old);
    }
}

/// For a run of bytes: each sector's number, the place in it, and the place in the run.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % SECTOR as u64).expect("a sector");
        let piece = (SECTOR - within).min(length - done);
        let range = done..done + piece;
        done += piece;
        Some((at / SECTOR as u64, within, range))
    })
}
