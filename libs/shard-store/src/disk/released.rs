//! `released`: the runs of bytes, quarantined by a start, that an operator needs no more. A start passes over them, and their
//! segments are rewritten and removed as others are. They are not written over: they may share a block with what is kept.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use chunk_api::{Error, QuarantinedRun};
use env::Disk;
use tracing::{info, warn};

use super::{
    Shared,
    recovery::segment_of_run,
    segment::{Kind, SegmentName},
    unread::is_for_want_of_means,
};

/// Longest file: each line names a run of a segment that is there.
const LENGTH_MAX: usize = 1 << 20;

fn path(directory: &Path) -> PathBuf {
    directory.join("released")
}

/// What was released; nothing when that cannot be read, so that it is quarantined again. Fails when the process lacks the means
/// to find out.
pub(super) fn read(disk: &dyn Disk, directory: &Path) -> io::Result<BTreeSet<String>> {
    let path = path(directory);
    let text = match disk.exists(&path) {
        Ok(false) => Ok(Vec::new()),
        Ok(true) => disk.read_small(&path, LENGTH_MAX),
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()),
        Err(error) if is_for_want_of_means(&error) => Err(error),
        Err(error) => {
            warn!(path = %path.display(), %error, "it is not known which quarantined bytes were released");
            Ok(BTreeSet::new())
        }
    }
}

impl Shared {
    /// Forgets runs of bytes; durable on return. Those that are not known are forgotten already.
    pub(super) fn release(&self, ids: &BTreeSet<String>) -> Result<(), Error> {
        // Beside the lock of what is quarantined, which is asked for where nobody may wait for a disk.
        let _releasing = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_released = |run: &QuarantinedRun| ids.contains(&run.id);
        let released: Vec<String> =
            self.quarantined().iter().filter(|run| is_released(run)).map(|run| run.id.clone()).collect();
        if released.is_empty() {
            return Ok(());
        }
        self.note_released(&released).map_err(|error| Error::Unavailable { reason: error.to_string() })?;
        let mut quarantined = self.quarantined();
        quarantined.retain(|run| !is_released(run));
        let held: BTreeSet<u32> = numbers(quarantined.iter().map(|run| &run.id)).collect();
        let mut index = self.index();
        numbers(released.iter())
            .filter(|number| !held.contains(number))
            .for_each(|number| index.release(number));
        info!(disk = %self.disk, runs = released.len(), left = quarantined.len(), "released quarantined bytes");
        Ok(())
    }

    /// Adds to what was released, less what is in segments that are gone.
    fn note_released(&self, released: &[String]) -> io::Result<()> {
        let there: Vec<SegmentName> = self.files.list()?;
        let mut all = read(self.files.disk().as_ref(), self.files.directory())?;
        all.retain(|id| segment_of_run(id).is_none_or(|name| there.contains(&name)));
        all.extend(released.iter().cloned());
        let text: String = all.iter().map(|id| format!("{id}\n")).collect();
        if text.len() > LENGTH_MAX {
            return Err(io::Error::other("so much was released that it cannot be noted: replace the disk"));
        }
        self.files.disk().replace_small(&path(self.files.directory()), text.as_bytes())
    }
}

/// The segments of shards that runs are in. Those of marks stay as they are until the next start.
fn numbers<'a>(ids: impl Iterator<Item = &'a String>) -> impl Iterator<Item = u32> {
    let names = ids.filter_map(|id| segment_of_run(id));
    names.filter(|name| name.kind == Kind::Shards).map(|name| name.number)
}
