//! The file descriptors of a process, of which there may be few.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// `EMFILE`.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// How many are taken, and how many there are.
pub(super) struct Descriptors {
    taken: AtomicUsize,
    most: AtomicUsize,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { taken: AtomicUsize::new(0), most: AtomicUsize::new(usize::MAX) }
    }
}

/// One that is taken, until it is dropped.
pub(super) struct Descriptor(Arc<Descriptors>);

impl Descriptors {
    /// From now on there are no more than so many.
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::SeqCst);
    }

    /// Takes one, or fails as the system does.
    pub(super) fn take(self: &Arc<Self>) -> io::Result<Descriptor> {
        let taken = self.taken.fetch_add(1, Ordering::SeqCst);
        let descriptor = Descriptor(Arc::clone(self));
        if taken >= self.most.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES));
        }
        Ok(descriptor)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
    }
}
