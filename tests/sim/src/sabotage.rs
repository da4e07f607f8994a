//! Defects that are put in on purpose, to see that a world finds them.

use clap::ValueEnum;

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Gateways take a shard for stable before its chunk service has answered.
    EarlyAck,
    /// Disks answer syncs and do nothing.
    IgnoredSyncs,
    /// Deletions answer and leave the shards where they are.
    ForgottenDeletes,
    /// The database makes an object of an upload without one of its parts, and answers as if all of them were in it.
    LostPart,
    /// The database removes another version of the key than the one that was named.
    OtherVersion,
    /// Shards count as moved as soon as their move has begun, before any was brought.
    HastyMoves,
    /// A rename leaves its source where it is.
    LeftSource,
    /// A page of versions goes on behind the key, not the version, that the one before ended with.
    SkippedVersions,
    /// A disk that is drained is said to be empty as soon as its shards have begun to move.
    EarlyDrain,
}
