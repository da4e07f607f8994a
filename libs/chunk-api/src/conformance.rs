//! What every implementation of [`ChunkService`] must do, as checks that panic when it does not.
//!
//! Each check uses chunk ids of a lease of its own, so that all may run on one service, in any order, one after the
//! other, on a disk that keeps other shards too.

mod bodies;
mod leases;
mod listing;
mod moves;
mod names;
mod reading;
mod sample;

use std::sync::Arc;

use env::Env;
use types::DiskId;

use crate::ChunkService;

pub use sample::Sample;

/// A service under test and one of its disks, which has room for 64 MiB.
#[derive(Clone)]
pub struct Subject {
    /// Time for bounded waits.
    pub env: Env,
    /// The service.
    pub service: Arc<dyn ChunkService>,
    /// The disk.
    pub disk: DiskId,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({})", self.disk)
    }
}

/// Runs every check.
pub async fn run(subject: &Subject) {
    reading::shards_read_back_as_they_were_put(subject).await;
    reading::ranges_of_cells_are_exact(subject).await;
    reading::what_is_not_there_is_not_found(subject).await;
    bodies::a_broken_body_keeps_nothing(subject).await;
    bodies::a_bad_cell_keeps_nothing(subject).await;
    bodies::an_abandoned_put_frees_its_name(subject).await;
    bodies::malformed_headers_are_refused(subject).await;
    names::a_name_is_taken_once(subject).await;
    names::of_racing_puts_one_wins(subject).await;
    names::a_deleted_name_is_never_put_again(subject).await;
    names::a_delete_beats_a_put_under_way(subject).await;
    names::many_puts_at_once_are_all_kept(subject).await;
    leases::a_fence_refuses_writes_under_its_lease(subject).await;
    leases::a_fence_beats_a_write_under_way(subject).await;
    leases::what_is_listed_after_a_fence_is_final(subject).await;
    leases::a_fence_does_not_wait_for_bodies(subject).await;
    moves::an_eviction_ends_the_shards_of_its_epoch_and_before(subject).await;
    moves::an_eviction_beats_an_earlier_put_under_way(subject).await;
    moves::a_repair_leaves_a_whole_shard(subject).await;
    moves::verification_answers_for_each_shard(subject).await;
    moves::a_group_is_listed_alone(subject).await;
    listing::pages_are_in_order_and_complete(subject).await;
    listing::status_counts_shards(subject).await;
    listing::a_whole_disk_has_nothing_quarantined(subject).await;
    listing::an_unknown_disk_is_refused_by_every_call(subject).await;
}
