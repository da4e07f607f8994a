//! What every implementation of [`Metadata`] must do, as tests that it can be put to.
//!
//! Each case is a public function of one `&Arc<dyn Metadata>` and panics, saying what was wrong, when the contract is
//! broken. [`conformance_tests!`](crate::conformance_tests) makes a test of each, [`run_all`] runs them one after the
//! other, [`compare`](compare::compare) plays random operations to a model and a subject.
//!
//! The store under test is made with a garbage hold of zero and S3's own 5 MiB for the least size of a part. Cases
//! use buckets, keys, leases, nodes and classes with names of their own, so they may share a store, one after the
//! other; at the same time only if no other than the garbage cases finish garbage and no other than the cluster
//! cases register nodes. Tasks run on the calling tokio runtime, best one with several threads.

pub mod accounts;
pub mod acls;
pub mod buckets;
pub mod cluster;
pub mod commits;
pub mod compare;
pub mod completion;
pub mod conditions;
pub mod contents;
pub mod copies;
pub mod deletes;
pub mod encryption;
pub mod garbage;
pub mod identities;
pub mod inventories;
pub mod jobs;
pub mod leases;
pub mod listing;
pub mod locks;
pub mod membership;
pub mod moves;
pub mod quotas;
pub mod rates;
pub mod reaping;
pub mod recoding;
pub mod rename_prefixes;
pub mod renames;
pub mod repair;
pub mod restores;
pub mod sessions;
pub mod support;
pub mod transitions;
pub mod uploads;
pub mod version_listing;
pub mod versions;

use std::{any::Any, ops::AsyncFn, pin::Pin, sync::Arc};

use metadata_api::Metadata;

/// A store under test, and what must live as long as it, such as a temporary directory.
pub struct Subject {
    /// The store.
    pub metadata: Arc<dyn Metadata>,
    _guard: Box<dyn Any + Send>,
}

impl Subject {
    /// A store and what must be dropped only after it.
    pub fn holding(metadata: Arc<dyn Metadata>, guard: impl Any + Send) -> Self {
        Self { metadata, _guard: Box::new(guard) }
    }
}

impl From<Arc<dyn Metadata>> for Subject {
    fn from(metadata: Arc<dyn Metadata>) -> Self {
        Self::holding(metadata, ())
    }
}

/// Runs every case, each on what `make` makes.
pub async fn run_all<S: Into<Subject>>(make: impl AsyncFn() -> S) {
    crate::conformance_cases!(@run make);
}

/// A future that is made in a frame of its own: with a place for each case, that of [`run_all`] would not fit on a stack.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

/// Makes one test of each case of the conformance suite.
///
/// `make` is called without arguments for each test and answers a future of `Arc<dyn Metadata>` or of
/// [`Subject`](metadata_api::Subject). The invoking crate needs tokio with macros and threads.
///
/// ```ignore
/// async fn make() -> Arc<dyn Metadata> { Arc::new(Fake::new(Env::real())) }
/// metadata_conformance::conformance_tests!(make);
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_cases!(@tests $make);
    };
}

/// The one list of all cases.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    (@$mode:ident $make:expr) => {
        $crate::conformance_each! { @$mode $make;
            buckets::a_new_bucket_is_empty_and_unversioned;
            buckets::a_bucket_says_whether_it_has_lifecycle_rules;
            buckets::a_taken_name_answers_its_owner;
            buckets::a_missing_bucket_is_reported_by_every_call;
            buckets::a_bucket_that_holds_anything_cannot_be_deleted;
            buckets::a_bucket_made_again_is_another_bucket;
            buckets::an_accounts_buckets_are_listed_in_pages;
            buckets::versioning_cannot_be_taken_back;
            buckets::subresources_are_kept_apart_and_go_with_their_bucket;
            buckets::a_bucket_can_begin_with_subresources;
            buckets::a_bucket_says_whether_it_has_a_policy;
            inventories::inventories_are_kept_by_name_and_go_with_their_bucket;
            inventories::a_bucket_has_a_thousand_inventories_at_most;
            buckets::a_bucket_comes_with_its_ownership_controls_and_encryption;
            accounts::an_account_is_found_by_all_that_it_is_called;
            accounts::names_and_addresses_are_taken_once;
            accounts::accounts_are_listed_by_their_names;
            accounts::what_is_read_of_an_account_says_its_status;
            accounts::root_keys_are_few_and_sign_for_their_account;
            accounts::only_what_is_empty_is_removed_and_stays_closed;
            accounts::bounds_of_accounts_are_checked;
            identities::records_are_kept_by_kind_and_name;
            identities::changes_are_made_all_or_none;
            identities::of_racing_changes_one_is_made;
            identities::many_records_are_read_in_pages;
            identities::a_secret_is_told_once_and_goes_with_its_key;
            identities::what_was_removed_is_forgotten_some_time;
            identities::bounds_of_changes_are_checked;
            rates::limits_are_for_who_is_there;
            rates::bounds_of_limits_are_checked;
            sessions::a_session_is_what_its_token_says;
            sessions::a_token_that_is_not_right_does_not_open;
            sessions::a_session_ends_by_itself;
            sessions::bounds_of_sessions_are_checked;
            versions::a_version_is_read_back_as_it_was_committed;
            versions::content_is_sent_only_when_asked_for;
            versions::unversioned_writes_replace_each_other;
            versions::versioned_writes_add_versions;
            versions::the_null_version_is_kept_and_replaced_across_versioning_states;
            versions::a_delete_marker_hides_the_key_and_is_a_version;
            versions::deletes_in_a_suspended_bucket_replace_the_null_version;
            versions::removing_the_current_version_uncovers_the_older_one;
            versions::keys_are_bytes_and_not_paths;
            versions::tags_are_changed_version_by_version;
            acls::lists_are_changed_version_by_version;
            acls::a_list_goes_along_with_its_object_but_not_with_copies;
            restores::a_version_is_restored_only_as_it_was_found;
            restores::a_restore_goes_along_with_renames_but_not_with_copies;
            restores::listings_tell_what_is_restored;
            locks::object_lock_keeps_versioning_enabled;
            locks::a_locked_version_is_not_removed;
            locks::a_locked_version_is_refused_among_others;
            locks::a_lock_is_changed_as_it_allows;
            locks::nothing_is_locked_without_object_lock;
            locks::the_default_retention_is_that_of_what_is_made;
            conditions::if_absent_needs_a_key_without_current_version;
            conditions::if_match_needs_that_entity_tag;
            conditions::if_present_needs_any_current_version;
            conditions::a_failed_condition_changes_nothing;
            conditions::of_racing_if_absent_writers_one_wins;
            conditions::compare_and_swap_loses_no_update;
            deletes::deleting_what_is_not_there_succeeds;
            deletes::a_batch_answers_entry_by_entry;
            deletes::a_batch_is_one_commit;
            deletes::a_key_named_twice_is_deleted_once;
            deletes::a_delete_can_be_meant_for_a_marker_alone;
            deletes::conditions_guard_deletes;
            deletes::conditions_of_a_delete_concern_the_named_version;
            deletes::too_long_a_batch_is_malformed;
            commits::sequence_numbers_are_gapless_under_concurrency;
            commits::usage_is_exact_under_concurrency;
            commits::mixed_deletes_and_writes_leave_exact_counts;
            listing::common_prefixes_roll_up;
            listing::positions_before_inside_and_after_a_common_prefix;
            listing::random_listings_agree_with_a_naive_model;
            listing::chained_pages_give_everything_once;
            listing::deleted_keys_are_invisible;
            listing::listings_tell_whose_each_entry_is;
            listing::bounds_of_listings_are_checked;
            version_listing::versions_come_newest_first;
            version_listing::a_listing_goes_on_inside_a_key;
            version_listing::a_listing_goes_on_after_a_version_that_is_gone;
            version_listing::a_listing_goes_on_after_a_null_version_that_changed;
            version_listing::random_version_listings_agree_with_a_naive_model;
            encryption::encrypted_content_tells_the_size_of_its_object;
            encryption::encrypted_parts_tell_their_sizes;
            encryption::copies_and_renames_keep_how_their_bytes_are_encrypted;
            encryption::a_data_key_is_wrapped_anew_as_it_was_found;
            encryption::copies_can_wrap_their_data_key_otherwise;
            encryption::whatever_is_encrypted_is_listed;
            copies::a_copy_is_a_version_of_the_same_content;
            copies::copying_an_older_version_restores_it;
            copies::a_copy_needs_its_source_as_it_was_read;
            copies::conditions_of_a_copy_concern_the_destination;
            copies::copies_in_opposite_directions_do_not_block_each_other;
            renames::a_rename_takes_everything_along;
            renames::a_rename_keeps_the_versions_of_both_keys;
            renames::a_rename_keeps_the_lock;
            renames::a_rename_needs_its_source_as_it_was_read;
            renames::conditions_of_a_rename_concern_the_destination;
            renames::a_rename_frees_what_it_replaces;
            renames::racing_renames_of_an_object_have_one_winner;
            rename_prefixes::a_prefix_is_renamed_with_all_that_is_under_it;
            rename_prefixes::a_renamed_prefix_keeps_versions_and_their_content;
            rename_prefixes::a_prefix_is_renamed_only_as_it_was_read;
            rename_prefixes::a_prefix_that_breaks_the_quota_stays_as_it_is;
            rename_prefixes::bounds_of_renamed_prefixes_are_checked;
            rename_prefixes::nobody_sees_half_a_renamed_prefix;
            quotas::a_quota_bounds_what_a_bucket_holds;
            quotas::a_quota_counts_all_versions;
            quotas::racing_writers_do_not_pass_a_quota;
            quotas::bounds_of_quotas_are_checked;
            uploads::an_open_upload_is_found_as_it_was_opened;
            uploads::an_unknown_upload_is_reported_by_every_call;
            uploads::parts_are_listed_by_number_and_replaced;
            uploads::an_aborted_upload_is_gone;
            uploads::random_upload_listings_agree_with_a_naive_model;
            completion::a_completed_upload_is_an_object_of_its_parts;
            completion::an_upload_of_many_parts_completes;
            completion::one_empty_part_makes_an_empty_object;
            completion::wrong_parts_are_refused_and_the_upload_stays_open;
            completion::stated_size_and_checksum_must_hold;
            completion::conditions_hold_at_completion;
            completion::a_repeated_completion_gives_the_same_answer;
            completion::racing_completions_and_aborts_have_one_outcome;
            garbage::replaced_and_removed_content_is_freed_once;
            garbage::garbage_is_handed_out_until_it_is_finished;
            garbage::chunks_of_copies_are_freed_with_the_last_of_them;
            garbage::a_copy_onto_itself_keeps_its_content;
            garbage::racing_copies_and_deletes_free_nothing_that_is_named;
            garbage::parts_that_end_in_no_object_are_freed;
            leases::leases_are_distinct_and_listed;
            leases::nothing_is_committed_under_a_revoked_or_unknown_lease;
            leases::chunks_are_named_under_their_own_lease;
            leases::no_commit_follows_a_revocation;
            cluster::a_registered_node_is_in_the_map;
            cluster::the_epoch_grows_with_every_change_but_free_space;
            cluster::a_disk_belongs_to_one_node;
            cluster::a_class_is_mapped_when_there_are_enough_disks;
            cluster::a_class_keeps_its_coding;
            garbage::garbage_is_finished_by_a_map_that_has_every_place;
            garbage::nothing_is_handed_out_while_all_is_frozen;
            cluster::a_class_keeps_to_its_medium;
            membership::heartbeats_are_counted;
            membership::a_node_falls_silent_on_a_fresh_observation;
            membership::a_disk_is_down_without_its_node;
            membership::intents_are_kept;
            membership::a_disk_that_was_given_up_serves_again_only_when_nothing_is_left_on_it;
            membership::silent_disks_are_given_up_with_the_garbage_of_their_groups;
            membership::a_removed_disk_is_gone_once_no_group_names_it;
            membership::new_groups_are_on_disks_that_serve;
            membership::lost_disks_are_remembered;
            moves::a_move_begins_by_the_current_map;
            moves::a_move_that_breaks_a_rule_is_refused;
            moves::a_finished_move_leaves_an_eviction;
            moves::a_disk_takes_nothing_back_before_it_was_evicted;
            moves::evictions_come_in_pages;
            moves::evictions_wait_for_their_disk;
            moves::a_move_can_be_turned_round;
            moves::a_move_can_be_sent_elsewhere;
            moves::a_former_target_that_answers_is_removed_once_its_move_is_finished;
            moves::of_racing_movers_one_begins;
            reaping::a_lease_shows_its_oldest_map;
            reaping::a_released_lease_is_revoked;
            reaping::unnamed_chunks_are_told_of_revoked_leases_only;
            reaping::chunks_of_live_leases_can_be_asked_for;
            reaping::versions_name_their_chunks_until_they_are_freed;
            reaping::copies_name_the_chunks_of_their_source;
            reaping::parts_name_their_chunks;
            reaping::a_deleted_bucket_names_its_chunks_until_they_are_freed;
            reaping::a_lease_is_finished_by_a_map_that_has_every_place;
            reaping::leases_that_are_not_known_are_adopted;
            repair::missing_shards_wait_until_they_are_finished;
            repair::missing_shards_are_queued_with_their_commit;
            repair::missing_shards_are_finished_by_a_map_that_is_new_enough;
            repair::missing_shards_of_freed_chunks_are_forgotten;
            repair::bounds_of_the_repair_queue_are_checked;
            recoding::a_classes_coding_can_be_changed;
            recoding::a_classes_medium_stays_when_its_coding_changes;
            recoding::former_groups_go_when_nothing_is_in_them;
            recoding::a_disk_that_was_given_up_is_cleared_of_former_groups;
            recoding::replaced_chunks_are_freed_and_nothing_else_changes;
            recoding::only_named_chunks_are_replaced;
            recoding::replaced_chunks_of_copies_are_freed_with_the_last_of_them;
            recoding::replaced_chunks_are_named_until_they_are_freed;
            recoding::chunks_of_parts_are_replaced;
            recoding::chunks_of_a_long_manifest_are_replaced;
            recoding::chunks_of_several_rows_are_replaced_each_by_itself;
            recoding::what_is_replaced_together_is_checked_together;
            recoding::racing_replacements_lose_and_leak_nothing;
            transitions::a_versions_class_changes_with_its_chunks;
            transitions::a_restore_ends_with_the_class_that_it_is_of;
            transitions::a_version_that_is_not_all_in_a_class_does_not_get_it;
            transitions::copies_change_their_class_each_by_itself;
            contents::every_row_that_names_chunks_is_listed;
            contents::a_long_manifest_is_listed_whole;
            contents::bounds_of_the_contents_are_checked;
            jobs::a_job_has_one_holder;
            jobs::of_racing_workers_one_gets_the_job;
            leases::a_lease_is_revoked_only_on_a_fresh_observation;
            compare::random_operations_agree_with_the_model;
            // Last, as each step of the fake goes over the 300,000 chunks that it leaves.
            rename_prefixes::what_is_too_much_for_a_transaction_is_refused;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_each {
    (@run $make:expr; $($module:ident::$case:ident;)*) => {
        $({
            let subject: Subject = boxed(|| $make()).await.into();
            boxed(|| $module::$case(&subject.metadata)).await;
        })*
    };
    (@tests $make:expr; $($module:ident::$case:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let subject = $crate::Subject::from($make().await);
                $crate::$module::$case(&subject.metadata).await;
            }
        )*
    };
}
