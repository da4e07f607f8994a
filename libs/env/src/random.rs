//! Unpredictable bytes.

/// A source of unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy)]
pub struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out)
            .expect("the operating system's random source answers once the system has booted");
    }
}
