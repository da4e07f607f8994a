//! Bytes of a streamed shard on their way to its segment. They lie in memory as they will lie in the file, so that whole blocks of them
//! can be written past the system's memory.
//!
//! What was just written is seldom what is read next, and to copy it into the system's memory costs more than to write it
//! (`docs/decisions/0023-direct-writes.md`). Direct I/O wants whole blocks: position, length and memory are multiples of
//! [`GROUP_ALIGNMENT`]. The first and the last block of a record, which its header and its footer are in, go by way of the system's
//! memory, and so does what is short. No block is written both ways.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use env::File;
use tracing::warn;

use super::{Shared, active::Active, format::GROUP_ALIGNMENT};

const BLOCK: usize = GROUP_ALIGNMENT as usize;

/// Fewest bytes that are written past the system's memory: below, the call costs more than the copy.
const DIRECT_MIN: usize = 64 << 10;

/// Bytes that a streamed put gathers before it writes them.
pub(super) const GATHERED: usize = 512 << 10;

/// Most buffers that wait for their next use.
const KEPT_MAX: usize = 16;

/// Bytes for one place of a file.
pub(super) struct Blocks {
    bytes: Vec<u8>,
    /// Bytes at the front that are nothing: those after them begin in memory as far behind a block's beginning as in the file.
    lead: usize,
    /// Where in the file they begin.
    start: u64,
}

impl Blocks {
    /// None yet, at `start` of a file, with room for so many.
    fn new(capacity: usize, start: u64) -> Self {
        let mut blocks = Self { bytes: Vec::with_capacity(capacity + 2 * BLOCK), lead: 0, start };
        blocks.restart(start);
        blocks
    }

    /// None again, elsewhere. The buffer stays as long as it is.
    pub(super) fn restart(&mut self, start: u64) {
        self.bytes.clear();
        self.start = start;
        // Less than a block, or as much as cannot be had: then nothing is written past the system's memory.
        let to_block = self.bytes.as_ptr().align_offset(BLOCK) % BLOCK;
        self.lead = to_block + usize::try_from(start % GROUP_ALIGNMENT).unwrap_or_default();
        self.bytes.resize(self.lead, 0);
    }

    /// Where they end.
    pub(super) fn end(&self) -> u64 {
        self.start + self.content().len() as u64
    }

    pub(super) fn content(&self) -> &[u8] {
        self.bytes.get(self.lead..).unwrap_or_default()
    }

    /// Those from `position` of the file on.
    pub(super) fn behind(&self, position: u64) -> &[u8] {
        let before = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.content().get(before..).unwrap_or_default()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What they are appended to.
    pub(super) fn appended(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Cuts them there.
    pub(super) fn truncate(&mut self, end: u64) {
        let length = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.truncate(self.lead.saturating_add(length));
    }

    /// Writes them all. Not durable before the file is synced.
    pub(super) fn write(&self, shared: &Shared, active: &Active) -> io::Result<()> {
        let (file, content) = (&active.file, self.content());
        let Some((direct, (head, body, tail))) = self.direct(shared, active).zip(self.blocks()) else {
            return file.write_all_at(content, self.start);
        };
        let position = self.start + head.len() as u64;
        if !head.is_empty() {
            file.write_all_at(head, self.start)?;
        }
        match direct.write_all_at(body, position) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                if !shared.refuses_direct.swap(true, Ordering::Relaxed) {
                    warn!(disk = %shared.disk, %error, "the file system takes no direct writes; from now on they go by way of memory");
                }
                file.write_all_at(body, position)?;
            }
            written => written?,
        }
        if tail.is_empty() { Ok(()) } else { file.write_all_at(tail, position + body.len() as u64) }
    }

    /// The file for writes past the system's memory, if there is one.
    fn direct<'a>(&self, shared: &Shared, active: &'a Active) -> Option<&'a dyn File> {
        active.direct.as_deref().filter(|_| !shared.refuses_direct.load(Ordering::Relaxed))
    }

    /// What is before the whole blocks, these, and what is behind them: `None` where they are few, or begin in memory where no
    /// block does.
    fn blocks(&self) -> Option<(&[u8], &[u8], &[u8])> {
        let first = usize::try_from(self.start.next_multiple_of(GROUP_ALIGNMENT) - self.start).ok()?;
        let (head, rest) = self.content().split_at_checked(first)?;
        let (body, tail) = rest.split_at_checked(rest.len() - rest.len() % BLOCK)?;
        (body.len() >= DIRECT_MIN && body.as_ptr().align_offset(BLOCK) == 0).then_some((head, body, tail))
    }
}

/// Buffers of streamed puts that are not in use: kept, they are not made anew by the system, page by page.
#[derive(Default)]
pub(super) struct KeptBlocks(Mutex<Vec<Blocks>>);

impl KeptBlocks {
    /// A buffer for what is gathered at `start`.
    pub(super) fn take(&self, start: u64) -> Blocks {
        let kept = self.kept().pop();
        match kept {
            Some(mut blocks) => {
                blocks.restart(start);
                blocks
            }
            // What is gathered is looked at behind each cell.
            None => Blocks::new(GATHERED + types::CELL_SIZE + BLOCK, start),
        }
    }

    /// Takes back what was written.
    pub(super) fn give(&self, blocks: Blocks) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.push(blocks);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Blocks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
