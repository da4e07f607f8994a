//! Byte ranges of an object.

/// A half-open range of bytes, `start..end`, with `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    start: u64,
    end: u64,
}

impl ByteRange {
    /// The range `start..end`, unless it runs backwards.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// The first byte.
    pub fn start(self) -> u64 {
        self.start
    }

    /// The byte after the last one.
    pub fn end(self) -> u64 {
        self.end
    }

    /// Number of bytes.
    pub fn length(self) -> u64 {
        self.end - self.start
    }
}
