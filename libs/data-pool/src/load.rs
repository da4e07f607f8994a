//! How much each disk has to do for this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use types::DiskId;

use crate::health::Use;

/// Calls in progress. There are never more entries than calls.
#[derive(Debug, Default)]
pub(crate) struct Load(Mutex<HashMap<(DiskId, Use), usize>>);

impl Load {
    /// How many calls to a disk are in progress.
    pub(crate) fn of(&self, disk: DiskId, what_for: Use) -> usize {
        self.counts().get(&(disk, what_for)).copied().unwrap_or(0)
    }

    /// Counts a call until the answer is dropped.
    pub(crate) fn begin(self: &Arc<Self>, disk: DiskId, what_for: Use) -> Call {
        *self.counts().entry((disk, what_for)).or_default() += 1;
        Call { load: Arc::clone(self), subject: (disk, what_for) }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<(DiskId, Use), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Call {
    load: Arc<Load>,
    subject: (DiskId, Use),
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut counts = self.load.counts();
        if let Some(count) = counts.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::DiskId;

    use super::{Load, Use};

    #[test]
    fn calls_count_until_they_are_dropped() {
        let load = Arc::new(Load::default());
        let (one, other) = (DiskId([1; 16]), DiskId([2; 16]));
        let calls = [load.begin(one, Use::Read), load.begin(one, Use::Read), load.begin(one, Use::Write)];
        assert_eq!((load.of(one, Use::Read), load.of(one, Use::Write), load.of(other, Use::Read)), (2, 1, 0));
        drop(calls);
        assert!(load.counts().is_empty());
    }
}
