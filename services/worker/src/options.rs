//! How the worker works: what an operator may turn.

use std::time::Duration;

use clap::Args;

/// When nodes are taken for lost, and how fast shards are rebuilt and moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Options {
    /// Seconds without a heartbeat after which a chunk service is suspect: nothing is moved to it. A service sends a
    /// heartbeat every two seconds.
    #[arg(
        long = "suspect-after",
        env = "ASHLAR_SUSPECT_AFTER",
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(5..=3600)
    )]
    pub suspect_after_seconds: u64,
    /// Seconds without a heartbeat after which a chunk service, or a disk that its service no longer reports, is taken
    /// for lost, and its shards are rebuilt on other disks. Longer spares the network when services come back after a
    /// while; shorter lowers the risk that more are lost meanwhile. Set it to an hour or more before long maintenance.
    #[arg(
        long = "down-after",
        env = "ASHLAR_DOWN_AFTER",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(10..=604_800)
    )]
    pub down_after_seconds: u64,
    /// Most shards of placement groups that are on their way to another disk at a time.
    #[arg(
        long = "moves-pending",
        env = "ASHLAR_MOVES_PENDING",
        value_name = "NUMBER",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=4096)
    )]
    pub moves_pending: u32,
    /// Bytes per second at which shards are moved to other disks, all disks together. 0 means as fast as the disks
    /// go, at the cost of what clients do meanwhile.
    #[arg(
        long = "move-rate",
        env = "ASHLAR_MOVE_RATE",
        value_name = "BYTES",
        default_value_t = 256 << 20
    )]
    pub move_rate_bytes: u64,
    /// Bytes per second at which single missing and damaged shards are rebuilt. 0 means as fast as the disks go.
    #[arg(
        long = "repair-rate",
        env = "ASHLAR_REPAIR_RATE",
        value_name = "BYTES",
        default_value_t = 256 << 20
    )]
    pub repair_rate_bytes: u64,
    /// Bytes of objects per second that are re-encoded after the coding of a storage class was changed, and as many that
    /// lifecycle rules move to other storage classes; a small object counts as a mebibyte. 0 means as fast as the disks go,
    /// at the cost of what clients do meanwhile; never more than eight chunks of each at a time.
    #[arg(
        long = "recode-rate",
        env = "ASHLAR_RECODE_RATE",
        value_name = "BYTES",
        default_value_t = 128 << 20
    )]
    pub recode_rate_bytes: u64,
    /// When what is in buckets expires or moves to other storage classes.
    #[command(flatten)]
    pub lifecycle: LifecycleOptions,
    /// How often everything is audited.
    #[command(flatten)]
    pub audit: AuditSchedule,
}

/// How often the names of all shards are compared with everything that names them, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct AuditSchedule {
    /// Seconds from the end of one audit of the cluster to the next: every shard on every disk is compared by its name with
    /// what the metadata says. 0 means never. A worker that has just started waits an hour at most.
    #[arg(
        long = "audit-period",
        env = "ASHLAR_AUDIT_PERIOD",
        value_name = "SECONDS",
        default_value_t = 7 * 86_400,
        value_parser = clap::value_parser!(u64).range(0..=31_536_000)
    )]
    pub period_seconds: u64,
    /// Rows and shards a second that an audit reads, by their names. 0 means as many as there are, at the cost of what
    /// clients do meanwhile.
    #[arg(long = "audit-rate", env = "ASHLAR_AUDIT_RATE", value_name = "NUMBER", default_value_t = 20_000)]
    pub rate: u64,
}

impl AuditSchedule {
    /// From the end of an audit to the next; `None` means that there are none.
    pub(crate) fn period(&self) -> Option<Duration> {
        (self.period_seconds > 0).then(|| Duration::from_secs(self.period_seconds))
    }
}

impl Default for AuditSchedule {
    fn default() -> Self {
        Self { period_seconds: 7 * 86_400, rate: 20_000 }
    }
}

/// When what is in buckets expires or moves to other storage classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct LifecycleOptions {
    /// Seconds that lifecycle rules, inventories and restores of archived objects count as a day. Anything but a day is for
    /// trying them out: objects are deleted and moved, lists made, and restores over, that much sooner.
    #[arg(
        long = "lifecycle-day",
        env = "ASHLAR_LIFECYCLE_DAY",
        value_name = "SECONDS",
        default_value_t = 86_400,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub lifecycle_day_seconds: u64,
}

impl LifecycleOptions {
    /// How long a day is.
    pub(crate) fn day(&self) -> Duration {
        Duration::from_secs(self.lifecycle_day_seconds)
    }
}

impl Default for LifecycleOptions {
    fn default() -> Self {
        Self { lifecycle_day_seconds: 86_400 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            suspect_after_seconds: 10,
            down_after_seconds: 30,
            moves_pending: 32,
            move_rate_bytes: 256 << 20,
            repair_rate_bytes: 256 << 20,
            recode_rate_bytes: 128 << 20,
            lifecycle: LifecycleOptions::default(),
            audit: AuditSchedule::default(),
        }
    }
}

impl Options {
    /// Silence after which a node is suspect.
    pub(crate) fn suspect_after(&self) -> Duration {
        Duration::from_secs(self.suspect_after_seconds)
    }

    /// Silence after which a node or a disk is taken for lost; never sooner than it is suspect.
    pub(crate) fn down_after(&self) -> Duration {
        Duration::from_secs(self.down_after_seconds.max(self.suspect_after_seconds))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::Options;

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        let matches = Options::augment_args(Command::new("worker")).get_matches_from(["worker"]);
        assert_eq!(Options::from_arg_matches(&matches).unwrap(), Options::default());
    }
}
