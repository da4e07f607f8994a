//! Rules of the protocol that can be left out. Each has a scenario in which that is caught, by the property named beside it.

use crate::properties::{ACCOUNTED, FREED, NOTHING_LEFT, READABLE, READER};

macro_rules! sabotages {
    ($($(#[$doc:meta])+ $name:ident in $scenario:literal breaks $property:expr;)+) => {
        /// One rule of the protocol that is left out or bent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sabotage {
            $($(#[$doc])+ $name,)+
        }

        impl Sabotage {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The scenario that exposes it, and the property that is violated.
            pub fn exposed_by(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$name => ($scenario, $property),)+
                }
            }
        }
    };
}

sabotages! {
    /// A commit does not look whether its lease is live.
    NoCommitFence in "reap" breaks ACCOUNTED;
    /// A deletion leaves no tombstone.
    NoTombstones in "reap" breaks NOTHING_LEFT;
    /// The reaper does not fence the lease at the disks.
    NoLeaseFence in "reap" breaks FREED;
    /// `finish_lease` does not look at the map's epoch.
    FinishLeaseWithAnyMap in "join" breaks FREED;
    /// A gateway takes a new map without a renewal of its lease after that.
    MapWithoutRenewal in "join" breaks FREED;
    /// The reaper asks for versions first and then, in another snapshot, for parts.
    UnnamedInTwoSnapshots in "complete" breaks READABLE;
    /// A copy reads the source in one transaction and writes the destination in another.
    CopyInTwoTransactions in "copy" breaks FREED;
    /// Completing reads the parts in one transaction and takes them in another.
    CompleteInTwoTransactions in "abort" breaks FREED;
    /// Garbage is freed without looking in the same transaction whether something names it.
    GarbageWithoutRecheck in "copy" breaks ACCOUNTED;
    /// `finish_garbage` does not look at the map's epoch.
    FinishGarbageWithAnyMap in "delete" breaks FREED;
    /// A disk that was away and to be removed when garbage was forgotten may serve again as it is.
    GivenUpUnmarked in "delete, given up" breaks FREED;
    /// Deleters go to the old place only while a move is pending.
    DeleteAtFromOnly in "delete" breaks FREED;
    /// Deleters go to the new place only while a move is pending.
    DeleteAtToOnly in "delete" breaks FREED;
    /// The mover does not wait for the leases' oldest epochs.
    MoverDoesNotWait in "move" breaks ACCOUNTED;
    /// A lease is given to a gateway that has an older map than the current one.
    LeaseWithOldMap in "first lease" breaks READABLE;
    /// A renewal tells the current map's epoch, not the oldest one in use.
    RenewalForgetsHeldMaps in "move" breaks READABLE;
    /// A write lets go of its map when the shards are stable, not when its commit has an outcome.
    MapHeldForShardsOnly in "move" breaks READABLE;
    /// A write lets go of its map when nobody waits for its commit any more, which may still be carried out.
    MapHeldForAnswersOnly in "given up commit" breaks READABLE;
    /// A move is finished although a chunk could not be copied.
    FinishMoveEarly in "outage" breaks ACCOUNTED;
    /// A move is finished by what could be listed alone, although rows of missing shards say that there is more.
    MoverIgnoresMissing in "outage" breaks READABLE;
    /// `finish_move` does not look whether the move is still the one that was copied.
    FinishMoveWithAnySince in "reverse" breaks ACCOUNTED;
    /// A move is cancelled: dropped, and its new place evicted.
    CancelInsteadOfReverse in "reverse" breaks ACCOUNTED;
    /// An evicted record leaves a tombstone, so nothing can come back.
    EvictionIsTombstone in "back" breaks ACCOUNTED;
    /// An eviction takes records of any epoch.
    EvictionIgnoresEpoch in "back" breaks READABLE;
    /// An eviction concerns the names that were listed, not the whole group.
    EvictionByNames in "move" breaks NOTHING_LEFT;
    /// A move may lead to a disk whose eviction still waits.
    MoveOntoWaitingEviction in "back" breaks READABLE;
    /// Copies are made without asking whether a row names the chunk.
    CopiesWithoutAsking in "abandon" breaks FREED;
    /// The repairer forgets a missing shard of a chunk that nothing names yet, although its lease is live.
    RepairDropsUncommitted in "rot" breaks ACCOUNTED;
    /// `finish_missing` does not look at the map's epoch.
    FinishMissingWithAnyMap in "repair" breaks ACCOUNTED;
    /// A commit does not record the shards that it could not store.
    CommitForgetsMissing in "move" breaks ACCOUNTED;
    /// A reader does not look at the map again when it finds nothing.
    ReaderKeepsItsMap in "read" breaks READER;
    /// A chunk that was written anew is freed without a look at what else names it.
    RecodeIgnoresReferences in "recode, copy" breaks ACCOUNTED;
    /// A chunk is put in the place of another although the version does not name that any more.
    RecodeUnconditionally in "recode" breaks NOTHING_LEFT;
}
