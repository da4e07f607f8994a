//! `ashlar admin durability`: the nines of each storage class.

use std::time::Duration;

use clap::Args;
use env::Env;
use metadata_api::{ClusterMap, DiskHistory, DiskState, StorageClass};
use placement::durability::FailureModel;

use super::{
    connect::Connect,
    status::class_name,
    table::{Table, bytes},
};
use crate::Exit;

/// What the arithmetic starts from.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ashlar admin durability --annual-failure-rate 0.015 --metadata meta1:9400"
)]
pub(crate) struct Durability {
    #[command(flatten)]
    connect: Connect,
    /// The share of disks that fail in a year; by default what the cluster has seen of its own, beginning with 0.02.
    #[arg(long, value_name = "SHARE")]
    annual_failure_rate: Option<f64>,
    /// Hours from a disk's failure until its shards are rebuilt; by default the mean of the rebuilds that the cluster has
    /// seen, and before the first the fullest disk's bytes over the rate.
    #[arg(long, value_name = "HOURS")]
    repair_hours: Option<f64>,
    /// Bytes a second that repair rebuilds, in MiB, as long as no rebuild was seen.
    #[arg(long, default_value_t = 100, value_name = "MIB")]
    repair_mib_per_second: u64,
}

pub(crate) async fn run(env: &Env, args: &Durability) -> Result<(), Exit> {
    let reached = args.connect.reach(env).await?;
    let (map, history) = (reached.map().await?, reached.disk_history().await?);
    let repair = match args.repair_hours {
        Some(hours) if hours > 0.0 && hours.is_finite() => Duration::from_secs_f64(hours * 3600.0),
        Some(_) => return Err(Exit::new(Exit::FAILED, "--repair-hours must be above 0".to_owned())),
        None => match mean_rebuild(&history) {
            Some(mean) => NOTICE + mean,
            None => repair_time(&map, args.repair_mib_per_second),
        },
    };
    let rate = args.annual_failure_rate.unwrap_or_else(|| annual_failure_rate(&history));
    let model = FailureModel::new(rate, repair).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let mut table = Table::new(["CLASS", "CODING", "GROUPS", "NINES A GROUP", "NINES ALL", "FRESH LOSS"]);
    for class in &map.classes {
        let StorageClass { definition, groups, .. } = class;
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let odds = model.durability(definition.coding, count);
        table.line([
            class_name(class),
            definition.coding.to_string(),
            count.to_string(),
            format!("{:.1}", odds.group_nines),
            format!("{:.1}", odds.cluster_nines),
            format!("{:.1e}", odds.fresh_loss),
        ]);
    }
    let fullest = fullest_bytes(&map);
    super::print(&format!(
        "{}\nSeen: {}.\nReckoned with: {:.1} % of the disks fail in a year{}, independently; a lost disk is rebuilt in \
         {:.2} h{} (the fullest holds {}).\nLeft out: failures with a common cause, errors of software, errors of \
         people.\n",
        table.text(),
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
    let DiskHistory { disks, observed, losses, rebuilt, longest_rebuild, .. } = history;
    let lost = match (losses, mean_rebuild(history)) {
        (0, _) => "none lost".to_owned(),
        (_, None) => format!("{losses} lost, not rebuilt yet"),
        (_, Some(mean)) => format!(
            "{losses} lost, {rebuilt} of them rebuilt, in {:.2} h on average and {:.2} h at most",
            mean.as_secs_f64() / 3600.0,
            longest_rebuild.as_secs_f64() / 3600.0
        ),
    };
    format!("{disks} disks for {:.2} years in all, {lost}", years(*observed))
}

/// The time to notice a loss.
const NOTICE: Duration = Duration::from_secs(60);

/// The time to notice a loss, and to rebuild the fullest disk.
fn repair_time(map: &ClusterMap, mib_per_second: u64) -> Duration {
    NOTICE + Duration::from_secs(fullest_bytes(map) / (mib_per_second.max(1) << 20))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metadata_api::DiskHistory;

    use super::{annual_failure_rate, mean_rebuild, seen};

    fn history(disk_years: u32, losses: u64) -> DiskHistory {
        let observed = Duration::from_secs(365 * 24 * 3600 + 6 * 3600) * disk_years;
        DiskHistory { disks: 10, observed, losses, ..DiskHistory::default() }
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
    }
}
