//! Wall-clock time as it is stored and shown.

/// Milliseconds since 1970-01-01T00:00:00Z. For showing and for S3's own conditions; never for ordering commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down as HTTP dates are.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}
