//! What objects hold: bytes that follow from an object's key and size, so that no copy of them has to be kept.
//!
//! One block of pseudo-random bytes is made once and shared. An object is that block read round and round from a
//! place that a hash of key and size chooses. The block's length is a prime above 1 MiB, so two pieces of an object
//! that start at different multiples of a power of two up to 1 MiB, such as two cells of a store, are equal only when
//! they lie a terabyte or more apart: a piece in the wrong place is noticed, as is one of another object (but for one
//! pair in a million). Sending is slicing and checking is comparing memory, both from the processor's cache, so that
//! the load generator takes as little as possible of the machine it may share with the server.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Length after which the bytes of an object repeat: the first prime above 1 MiB.
pub(crate) const PERIOD: usize = (1 << 20) + 7;
/// Bytes handed to the connection at a time.
const FRAME_SIZE: usize = 128 << 10;

/// The bytes that all objects are cut from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// One period and the beginning of the next, so that every frame is one slice.
    block: Bytes,
}

/// What one object holds, or a part or a range of it, or several of these in a row.
#[derive(Debug, Clone)]
pub struct Content {
    block: Bytes,
    piece: Piece,
    /// What follows, the next one last. Only the piece of a content of which nothing remains is empty.
    rest: Vec<Piece>,
}

/// Bytes in a row of the pattern.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where in the period the next byte lies.
    position: usize,
    remaining: u64,
}

impl Piece {
    /// The `length` bytes from `offset`; both must lie within the piece.
    fn range(self, offset: u64, length: u64) -> Self {
        let position = position(self.position as u64 + offset % PERIOD as u64);
        Self { position, remaining: length }
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

impl Pattern {
    /// The same bytes every time.
    pub fn new() -> Self {
        let mut block: Vec<u8> = (0..PERIOD.div_ceil(8) as u64).flat_map(|n| mix(n).to_le_bytes()).collect();
        block.truncate(PERIOD);
        block.extend_from_within(..FRAME_SIZE);
        Self { block: Bytes::from(block) }
    }

    /// The object `key` of `size` bytes.
    pub fn object(&self, key: &str, size: u64) -> Content {
        let hash = key.bytes().fold(mix(size), |hash, byte| mix(hash ^ u64::from(byte)));
        let piece = Piece { position: position(hash), remaining: size };
        Content { block: self.block.clone(), piece, rest: Vec::new() }
    }
}

impl Content {
    /// The `length` bytes from `offset`; both must lie within the content.
    pub fn range(&self, mut offset: u64, mut length: u64) -> Self {
        let none = Self { block: self.block.clone(), piece: self.piece.range(0, 0), rest: Vec::new() };
        let pieces = [&self.piece].into_iter().chain(self.rest.iter().rev());
        pieces.fold(none, |whole, piece| {
            let skipped = offset.min(piece.remaining);
            let taken = length.min(piece.remaining - skipped);
            (offset, length) = (offset - skipped, length - taken);
            let piece = piece.range(skipped, taken);
            whole.then(Self { block: self.block.clone(), piece, rest: Vec::new() })
        })
    }

    /// These bytes and then those of another content of the same pattern.
    pub fn then(mut self, next: Self) -> Self {
        if self.piece.remaining == 0 {
            return next;
        }
        let pieces = next.rest.into_iter().chain((next.piece.remaining > 0).then_some(next.piece));
        self.rest = pieces.chain(self.rest).collect();
        self
    }

    /// Bytes not yet taken.
    pub fn remaining(&self) -> u64 {
        self.rest.iter().map(|piece| piece.remaining).sum::<u64>() + self.piece.remaining
    }

    /// Whether `received` is what comes next; moves past it if so.
    pub fn matches(&mut self, mut received: &[u8]) -> bool {
        if received.len() as u64 > self.remaining() {
            return false;
        }
        while !received.is_empty() {
            let (start, end) = self.advance(received.len());
            let (head, rest) = received.split_at(end - start);
            if self.block.get(start..end) != Some(head) {
                return false;
            }
            received = rest;
        }
        true
    }

    /// Gives every piece of the content to `take`, in order.
    pub fn for_each(mut self, mut take: impl FnMut(&[u8])) {
        while self.piece.remaining > 0 {
            let (start, end) = self.advance(FRAME_SIZE);
            take(self.block.get(start..end).unwrap_or_default());
        }
    }

    /// Takes up to `length` bytes, at least one if any remain, and says where in the block they lie.
    fn advance(&mut self, length: usize) -> (usize, usize) {
        let Piece { position: start, remaining } = self.piece;
        let length = length.min(FRAME_SIZE).min(usize::try_from(remaining).unwrap_or(usize::MAX));
        self.piece = self.piece.range(length as u64, remaining - length as u64);
        if self.piece.remaining == 0
            && let Some(next) = self.rest.pop()
        {
            self.piece = next;
        }
        (start, start + length)
    }
}

/// A request's body.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// An object's bytes, or a part's.
    Content(Content),
    /// These bytes; none for requests without a body.
    Bytes(Bytes),
}

impl RequestBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Content(content) => content.remaining(),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.length() == 0 {
            return Poll::Ready(None);
        }
        let data = match &mut *self {
            Self::Content(content) => {
                let (start, end) = content.advance(FRAME_SIZE);
                content.block.slice(start..end)
            }
            Self::Bytes(bytes) => std::mem::take(bytes),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number % PERIOD as u64).unwrap_or_default()
}

/// A well-mixed function of `number`: the output step of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Content, PERIOD, Pattern};

    fn bytes_of(content: Content) -> Vec<u8> {
        let mut out = Vec::new();
        content.for_each(|piece| out.extend_from_slice(piece));
        out
    }

    #[test]
    fn the_period_is_a_prime() {
        assert!((2..).take_while(|n| n * n <= PERIOD).all(|n| !PERIOD.is_multiple_of(n)));
    }

    #[test]
    fn a_content_matches_itself_however_it_is_cut() {
        let pattern = Pattern::new();
        for size in [0, 1, 4096, PERIOD as u64 - 1, 3 * PERIOD as u64 + 17] {
            let whole = bytes_of(pattern.object("a", size));
            assert_eq!(whole.len() as u64, size);
            for piece in [1_usize, 4095, 70_001, 1 << 20] {
                if size > 1 << 20 && piece == 1 {
                    continue;
                }
                let mut content = pattern.object("a", size);
                assert!(whole.chunks(piece).all(|piece| content.matches(piece)), "{size} {piece}");
                assert_eq!(content.remaining(), 0);
            }
        }
    }

    #[test]
    fn one_changed_byte_a_shift_and_a_surplus_are_noticed() {
        let pattern = Pattern::new();
        let size = 2 * PERIOD as u64;
        let mut whole = bytes_of(pattern.object("a", size));
        assert!(!pattern.object("a", size).matches(&whole[1..]));
        assert!(!pattern.object("a", size - 1).matches(&whole));
        for place in [0, PERIOD - 1, PERIOD, whole.len() - 1] {
            whole[place] ^= 1;
            assert!(!pattern.object("a", size).matches(&whole), "{place}");
            whole[place] ^= 1;
        }
        assert!(pattern.object("a", size).matches(&whole));
    }

    #[test]
    fn keys_sizes_and_places_differ() {
        let pattern = Pattern::new();
        let first = bytes_of(pattern.object("a", 4096));
        assert_ne!(first, bytes_of(pattern.object("b", 4096)));
        assert_ne!(first, bytes_of(pattern.object("a", 8192).range(0, 4096)));
        // Cells of 64 KiB within one object, over several periods.
        let whole = bytes_of(pattern.object("a", 64 << 20));
        let mut cells: Vec<&[u8]> = whole.chunks(64 << 10).collect();
        cells.sort_unstable();
        assert!(cells.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn contents_in_a_row_are_sent_ranged_and_compared_as_one() {
        let pattern = Pattern::new();
        let parts = [("a", 300_000), ("b", 0), ("c", PERIOD as u64 + 9), ("d", 1), ("e", 0)];
        let none = pattern.object("none", 0);
        let joined = parts.iter().fold(none, |whole, (key, size)| whole.then(pattern.object(key, *size)));
        let whole: Vec<u8> =
            parts.iter().flat_map(|(key, size)| bytes_of(pattern.object(key, *size))).collect();
        assert_eq!((joined.remaining(), bytes_of(joined.clone())), (whole.len() as u64, whole.clone()));
        for piece in [4095_usize, 299_999, 1 << 20] {
            let mut content = joined.clone();
            assert!(whole.chunks(piece).all(|piece| content.matches(piece)), "{piece}");
            assert_eq!(content.remaining(), 0);
        }
        for (offset, length) in [(0, 10), (299_990, 20), (299_990, PERIOD + 19), (300_000, PERIOD + 10)] {
            let range = joined.range(offset as u64, length as u64);
            assert_eq!(bytes_of(range), whole[offset..offset + length], "{offset} {length}");
        }
        assert!(!joined.clone().then(pattern.object("f", 5)).matches(&whole[1..]));
        let mut wrong = whole;
        wrong[300_000] ^= 1;
        assert!(!joined.clone().matches(&wrong));
    }

    #[test]
    fn a_range_is_that_piece_of_the_whole() {
        let pattern = Pattern::new();
        let size = 3 * PERIOD as u64;
        let whole = bytes_of(pattern.object("k", size));
        for (offset, length) in [(0, 10), (PERIOD - 5, 10), (2 * PERIOD, PERIOD), (whole.len(), 0)] {
            let range = pattern.object("k", size).range(offset as u64, length as u64);
            assert_eq!(bytes_of(range), whole[offset..offset + length]);
        }
    }
}
