//! `ashlar admin durability`: the nines of each storage class.

use std::time::Duration;

use clap::Args;
use env::Env;
use metadata_api::{ClusterMap, DiskHistory, DiskState, StorageClass};
use placement::durability::{ExpectedLoss, FailureModel, Kept};

use super::{
    bucket,
    connect::Connect,
    status::class_name,
    table::{Table, bytes},
};
use crate::Exit;

/// What the arithmetic starts from.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ashlar admin durability --annual-failure-rate 0.015 --metadata meta1:9300"
)]
pub(crate) struct Durability {
    #[command(flatten)]
    connect: Connect,
    /// The share of disks that fail in a year; by default what the cluster has seen of its own, beginning with 0.02.
    #[arg(long, value_name = "SHARE")]
    annual_failure_rate: Option<f64>,
    /// Hours from a disk's failure until its shards are rebuilt; by default the fullest disk's bytes over the rate at which
    /// the cluster has rebuilt so far, and before its first loss over the rate that is given.
    #[arg(long, value_name = "HOURS")]
    repair_hours: Option<f64>,
    /// Bytes a second that repair rebuilds, in MiB, as long as no rebuild was seen.
    #[arg(
        long,
        default_value_t = 100,
        value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(1..=1_048_576)
    )]
    repair_mib_per_second: u64,
}

pub(crate) async fn run(env: &Env, args: &Durability) -> Result<(), Exit> {
    let reached = args.connect.reach(env).await?;
    let (map, history) = (reached.map().await?, reached.disk_history().await?);
    let repair = match args.repair_hours {
        Some(hours) if hours > 0.0 && hours.is_finite() => Duration::from_secs_f64(hours * 3600.0),
        Some(_) => return Err(Exit::new(Exit::FAILED, "--repair-hours must be above 0".to_owned())),
        None => match (rebuilt_per_second(&history), mean_rebuild(&history)) {
            (Some(rate), _) => repair_time(&map, rate),
            (None, Some(mean)) => NOTICE + mean,
            (None, None) => repair_time(&map, args.repair_mib_per_second << 20),
        },
    };
    let rate = args.annual_failure_rate.unwrap_or_else(|| annual_failure_rate(&history));
    let model = FailureModel::new(rate, repair).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let held = bucket::all(&reached, "").await?.into_iter().fold(Kept::default(), |sum, bucket| Kept {
        bytes: sum.bytes + bucket.usage.version_bytes,
        objects: sum.objects + bucket.usage.versions,
        ..sum
    });
    let mut table = Table::new([
        "CLASS",
        "CODING",
        "GROUPS",
        "NINES A GROUP",
        "NINES AN OBJECT",
        "NINES ALL",
        "FRESH LOSS",
        "OBJECTS A YEAR",
        "BYTES A YEAR",
    ]);
    for class in &map.classes {
        let StorageClass { definition, groups, .. } = class;
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let odds = model.durability(definition.coding, count);
        let ExpectedLoss { bytes, objects, object_nines } =
            model.expected_loss(definition.coding, Kept { groups: count, ..held });
        table.line([
            class_name(class),
            definition.coding.to_string(),
            count.to_string(),
            format!("{:.1}", odds.group_nines),
            format!("{object_nines:.1}"),
            format!("{:.1}", odds.cluster_nines),
            format!("{:.1e}", odds.fresh_loss),
            format!("{objects:.1e}"),
            format!("{bytes:.1e}"),
        ]);
    }
    let fullest = fullest_bytes(&map);
    super::print(&format!(
        "{}\nHeld: {} objects and older versions, {}. The last two columns say how many of them and of their bytes would be lost in \
         a year, on the mean of many, if all of them were in that class: buckets are not counted by class.\nSeen: {}.\nReckoned \
         with: {:.1} % of the disks fail in a year{}, independently; a lost disk is rebuilt in {:.2} h{} (the fullest holds \
         {}); a group that loses data loses all of it, each byte is in one \
         group, and an object of the mean size in as many as it has chunks of 64 MiB.\nLeft out: failures with a common cause, errors of software, errors of \
         people.\n",
        table.text(),
        held.objects,
        bytes(held.bytes),
        seen(&history),
        rate * 100.0,
        if args.annual_failure_rate.is_some() { " (as asked)" } else { "" },
        repair.as_secs_f64() / 3600.0,
        if args.repair_hours.is_some() { " (as asked)" } else { "" },
        bytes(fullest),
    ));
    Ok(())
}

/// Bytes in use on the fullest disk.
fn fullest_bytes(map: &ClusterMap) -> u64 {
    let disks = map.disks.iter().filter(|disk| disk.state != DiskState::Gone);
    disks.map(|disk| disk.capacity_bytes.saturating_sub(disk.available_bytes)).max().unwrap_or(0)
}

/// What a cluster that has seen nothing yet begins with: one loss in fifty years of a disk.
const PRIOR_LOSSES: f64 = 1.0;
const PRIOR_YEARS: f64 = 50.0;

/// The share of disks that fail in a year: the mean of what a gamma distribution becomes that begins with one loss in
/// fifty years and has seen the cluster's own. A young cluster is taken for an average one; an old one for what it is.
fn annual_failure_rate(history: &DiskHistory) -> f64 {
    let losses = PRIOR_LOSSES + history.losses as f64;
    (losses / (PRIOR_YEARS + years(history.observed))).min(1.0)
}

fn years(duration: Duration) -> f64 {
    duration.as_secs_f64() / (365.25 * 24.0 * 3600.0)
}

fn mean_rebuild(history: &DiskHistory) -> Option<Duration> {
    let count = u32::try_from(history.rebuilt).ok().filter(|count| *count > 0)?;
    Some(history.rebuilding / count)
}

/// What the cluster has seen of its disks.
fn seen(history: &DiskHistory) -> String {
    let DiskHistory { disks, observed, losses, rebuilt, longest_rebuild, measured_bytes, .. } = history;
    let rate = rebuilt_per_second(history).map_or_else(String::new, |rate| {
        format!("; {} of lost disks at {} a second", bytes(*measured_bytes), bytes(rate))
    });
    let lost = match (losses, mean_rebuild(history)) {
        (0, _) => "none lost".to_owned(),
        (_, None) => format!("{losses} lost, not rebuilt yet"),
        (_, Some(mean)) => format!(
            "{losses} lost, {rebuilt} of them rebuilt, in {:.2} h on average and {:.2} h at most",
            mean.as_secs_f64() / 3600.0,
            longest_rebuild.as_secs_f64() / 3600.0
        ),
    };
    format!("{disks} disks for {:.2} years in all, {lost}{rate}", years(*observed))
}

/// The time to notice a loss.
const NOTICE: Duration = Duration::from_secs(60);

/// The time to notice a loss, and to rebuild the fullest disk.
fn repair_time(map: &ClusterMap, bytes_per_second: u64) -> Duration {
    NOTICE + Duration::from_secs(fullest_bytes(map) / bytes_per_second.max(1))
}

/// Bytes of lost disks that the cluster has rebuilt in a second, on the mean of all that it has rebuilt; `None` while it does
/// not know of any how many those were.
fn rebuilt_per_second(history: &DiskHistory) -> Option<u64> {
    let milliseconds = u64::try_from(history.measured_rebuilding.as_millis()).unwrap_or(u64::MAX);
    let rate = u128::from(history.measured_bytes) * 1000 / u128::from(milliseconds.max(1));
    u64::try_from(rate).ok().filter(|rate| *rate > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metadata_api::{ClusterMap, DiskHistory, DiskState, Intent, MapDisk};
    use types::{DiskId, NodeId};

    use super::{annual_failure_rate, mean_rebuild, rebuilt_per_second, repair_time, seen};

    fn history(disk_years: u32, losses: u64) -> DiskHistory {
        let observed = Duration::from_secs(365 * 24 * 3600 + 6 * 3600) * disk_years;
        DiskHistory { disks: 10, observed, losses, ..DiskHistory::default() }
    }

    fn disk(used_bytes: u64) -> MapDisk {
        MapDisk {
            disk: DiskId([1; 16]),
            node: NodeId([1; 16]),
            medium: "hdd".to_owned(),
            capacity_bytes: 1 << 40,
            available_bytes: (1 << 40) - used_bytes,
            writable: true,
            failed: false,
            state: DiskState::Up,
            intent: Intent::Serve,
        }
    }

    #[test]
    fn the_rate_goes_from_the_usual_one_to_the_clusters_own() {
        for (disk_years, losses, expected) in
            [(0, 0, 0.02), (50, 0, 0.01), (50, 3, 0.04), (9950, 499, 0.05), (0, 100, 1.0)]
        {
            let rate = annual_failure_rate(&history(disk_years, losses));
            assert!((rate - expected).abs() < 1e-9, "{disk_years} years, {losses} losses: {rate}");
        }
    }

    #[test]
    fn rebuilds_are_told_of_once_there_is_one() {
        let young = history(1, 0);
        assert_eq!(
            (mean_rebuild(&young), seen(&young)),
            (None, "10 disks for 1.00 years in all, none lost".to_owned())
        );
        let (rebuilding, longest_rebuild) = (Duration::from_secs(7200), Duration::from_secs(5400));
        let old = DiskHistory { rebuilt: 2, rebuilding, longest_rebuild, ..history(2, 3) };
        assert_eq!(mean_rebuild(&old), Some(Duration::from_secs(3600)));
        let told = "10 disks for 2.00 years in all, 3 lost, 2 of them rebuilt, in 1.00 h on average and 1.50 h at most";
        assert_eq!(seen(&old), told);

        // 3 GiB in 2 h and 1.5 GiB in one are 4,831,838,208 bytes in 10,800 s, 447,392 a second. The fullest disk, of 447,392,000,
        // takes 1000 s, and the minute in which the loss is noticed.
        assert_eq!(rebuilt_per_second(&old), None, "nobody knows how many bytes those were");
        let measured_rebuilding = Duration::from_secs(3 * 3600);
        let measured = DiskHistory { measured_bytes: 9 << 29, measured_rebuilding, ..old };
        assert_eq!(rebuilt_per_second(&measured), Some(447_392));
        assert_eq!(seen(&measured), format!("{told}; 4.5 GiB of lost disks at 436.9 KiB a second"));
        let map = ClusterMap { disks: vec![disk(447_392_000)], ..ClusterMap::default() };
        assert_eq!(repair_time(&map, 447_392), Duration::from_secs(1060));
    }
}
