//! Memory that shards are read into. Long reads get theirs back from reads that are done with it, so that it is neither made
//! anew by the system, page by page, nor filled with zeros first.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Lengths of buffers that are kept: of runs of cells with their checksums, the longest of them that of a window.
const LENGTHS: [usize; 4] = [run(128 << 10), run(256 << 10), run(512 << 10), run(1 << 20)];

/// Reads up to this length get memory of their own.
const SHORT: usize = 96 << 10;

/// Most bytes of buffers that wait for their next use.
const KEPT_MAX: usize = 24 << 20;

const fn run(length: usize) -> usize {
    length + (4 << 10)
}

/// Buffers that are not in use.
#[derive(Default)]
pub(super) struct Buffers {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    by_length: [Vec<Vec<u8>>; LENGTHS.len()],
    bytes: usize,
}

/// Bytes to read into.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    /// Where it goes when nobody has its bytes any more: among those of which length.
    kept: Option<(Arc<Mutex<Kept>>, usize)>,
}

impl Buffers {
    /// So many bytes of any value.
    pub(super) fn take(&self, length: usize) -> Buffer {
        let fitting = LENGTHS.iter().position(|kept| length <= *kept).filter(|_| length > SHORT);
        let Some(class) = fitting else {
            return Buffer { bytes: vec![0; length], length, kept: None };
        };
        let bytes = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = kept.by_length[class].pop();
            kept.bytes -= bytes.as_ref().map_or(0, Vec::len);
            bytes
        };
        let bytes = bytes.unwrap_or_else(|| vec![0; LENGTHS[class]]);
        Buffer { bytes, length, kept: Some((Arc::clone(&self.kept), class)) }
    }
}

impl Buffer {
    /// Its bytes, which keep it from being used again.
    pub(super) fn into_bytes(mut self) -> Bytes {
        match self.kept {
            Some(_) => Bytes::from_owner(self),
            None => std::mem::take(&mut self.bytes).into(),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some((kept, class)) = &self.kept else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + self.bytes.len() <= KEPT_MAX {
            kept.bytes += self.bytes.len();
            kept.by_length[*class].push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, KEPT_MAX, LENGTHS, SHORT};

    #[test]
    fn memory_is_used_again_once_the_last_of_its_bytes_is_gone() {
        let buffers = Buffers::default();
        let mut first = buffers.take(SHORT + 1);
        first.as_mut().fill(7);
        let bytes = first.into_bytes();
        let end = bytes.slice(SHORT..);
        drop(bytes);
        let other = buffers.take(SHORT + 1);
        assert!(other.as_ref().iter().all(|byte| *byte == 0), "not the one that is in use");
        assert_eq!(&end[..], [7]);
        drop(end);
        assert_eq!(buffers.take(LENGTHS[0]).as_ref()[0], 7);
    }

    #[test]
    fn a_buffer_is_as_long_as_was_asked_for() {
        let longest = LENGTHS[3];
        for length in [0, 1, SHORT, SHORT + 1, LENGTHS[0], LENGTHS[0] + 1, longest, longest + 1, 3 * longest]
        {
            let mut buffer = Buffers::default().take(length);
            assert_eq!((buffer.as_mut().len(), buffer.into_bytes().len()), (length, length));
        }
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..60).map(|_| buffers.take(LENGTHS[3])).collect();
        drop(many);
        let kept = buffers.kept.lock().unwrap();
        assert!(kept.bytes <= KEPT_MAX && kept.bytes > KEPT_MAX - LENGTHS[3], "{}", kept.bytes);
    }
}
