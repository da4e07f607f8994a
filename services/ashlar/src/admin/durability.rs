//! `ashlar admin durability`: the nines of each storage class.

use std::time::Duration;

use admin_api::{Assumptions, Durability as Reckoned, Resource, Seen};
use clap::Args;
use env::Env;

use super::{
    connect::{Reached, Source, failed},
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
    source: Source,
    /// The share of disks that fail in a year; by default what the cluster has seen of its own, beginning with 0.02.
    #[arg(long, value_name = "SHARE")]
    annual_failure_rate: Option<f64>,
    /// Hours from a disk's failure until its shards are rebuilt; by default the fullest disk's bytes over the rate at which
    /// the cluster has rebuilt so far, and before its first loss over the rate that is given.
    #[arg(long, value_name = "HOURS")]
    repair_hours: Option<f64>,
    /// Bytes a second that repair rebuilds, in MiB, as long as no rebuild was seen; 100 by default.
    #[arg(
        long,
        value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(1..=1_048_576)
    )]
    repair_mib_per_second: Option<u64>,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(env: &Env, args: &Durability) -> Result<(), Exit> {
    let assumed = Assumptions {
        annual_failure_rate: args.annual_failure_rate,
        repair_hours: args.repair_hours,
        repair_mib_per_second: args.repair_mib_per_second,
    };
    let reckoned = match args.source.remote(env).await? {
        Some(remote) => remote.get(Resource::Durability, &in_query(assumed)).await?,
        None => reckoned(&args.source.reach(env).await?, assumed).await?,
    };
    super::print(&if args.json { super::as_json(&reckoned) } else { text(&reckoned, assumed) });
    Ok(())
}

/// Of a cluster that is reached without a gateway.
pub(super) async fn reckoned(reached: &Reached, assumed: Assumptions) -> Result<Reckoned, Exit> {
    let (map, history) = (reached.map().await?, reached.disk_history().await?);
    let held = admin_api::held(&*reached.metadata).await.map_err(failed)?;
    admin_api::durability(&map, &history, held, assumed).map_err(|error| Exit::because(Exit::FAILED, &error))
}

fn in_query(assumed: Assumptions) -> Vec<(&'static str, String)> {
    let Assumptions { annual_failure_rate, repair_hours, repair_mib_per_second } = assumed;
    let values = [
        ("annual_failure_rate", annual_failure_rate.map(|value| value.to_string())),
        ("repair_hours", repair_hours.map(|value| value.to_string())),
        ("repair_mib_per_second", repair_mib_per_second.map(|value| value.to_string())),
    ];
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn text(reckoned: &Reckoned, assumed: Assumptions) -> String {
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
    for class in &reckoned.classes {
        table.line([
            class_name(&class.name, class.former),
            class.coding.clone(),
            class.groups.to_string(),
            nines(class.group_nines),
            nines(class.object_nines),
            nines(class.cluster_nines),
            format!("{:.1e}", class.fresh_loss),
            format!("{:.1e}", class.objects_lost_a_year),
            format!("{:.1e}", class.bytes_lost_a_year),
        ]);
    }
    format!(
        "{}\nHeld: {} objects and older versions, {}. The last two columns say how many of them and of their bytes would be lost in \
         a year, on the mean of many, if all of them were in that class: buckets are not counted by class.\nSeen: {}.\nReckoned \
         with: {:.1} % of the disks fail in a year{}, independently; a lost disk is rebuilt in {:.2} h{} (the fullest holds \
         {}); a group that loses data loses all of it, each byte is in one \
         group, and an object of the mean size in as many as it has chunks of 64 MiB.\nLeft out: failures with a common cause, errors of software, errors of \
         people.\n",
        table.text(),
        reckoned.held.versions,
        bytes(reckoned.held.bytes),
        seen(&reckoned.seen),
        reckoned.annual_failure_rate * 100.0,
        if assumed.annual_failure_rate.is_some() { " (as asked)" } else { "" },
        reckoned.repair_seconds / 3600.0,
        if assumed.repair_hours.is_some() { " (as asked)" } else { "" },
        bytes(reckoned.fullest_disk_bytes),
    )
}

fn nines(nines: Option<f64>) -> String {
    format!("{:.1}", nines.unwrap_or(f64::INFINITY))
}

/// What the cluster has seen of its disks.
fn seen(seen: &Seen) -> String {
    let Seen { disks, losses, rebuilt, .. } = *seen;
    let hours = |seconds: u64| Duration::from_secs(seconds).as_secs_f64() / 3600.0;
    let years = hours(seen.observed_seconds) / (365.25 * 24.0);
    let rate = seen.rebuilt_bytes_per_second.map_or_else(String::new, |rate| {
        format!("; {} of lost disks at {} a second", bytes(seen.measured_bytes), bytes(rate))
    });
    let lost = match (losses, rebuilt) {
        (0, _) => "none lost".to_owned(),
        (_, 0) => format!("{losses} lost, not rebuilt yet"),
        _ => format!(
            "{losses} lost, {rebuilt} of them rebuilt, in {:.2} h on average and {:.2} h at most",
            hours(seen.rebuilding_seconds / rebuilt),
            hours(seen.longest_rebuild_seconds)
        ),
    };
    format!("{disks} disks for {years:.2} years in all, {lost}{rate}")
}

#[cfg(test)]
mod tests {
    use super::{Seen, seen};

    #[test]
    fn rebuilds_are_told_of_once_there_is_one() {
        let year = 365 * 24 * 3600 + 6 * 3600;
        let young = Seen {
            disks: 10,
            observed_seconds: year,
            losses: 0,
            rebuilt: 0,
            rebuilding_seconds: 0,
            longest_rebuild_seconds: 0,
            measured_bytes: 0,
            rebuilt_bytes_per_second: None,
        };
        assert_eq!(seen(&young), "10 disks for 1.00 years in all, none lost");
        let old = Seen {
            observed_seconds: 2 * year,
            losses: 3,
            rebuilt: 2,
            rebuilding_seconds: 7200,
            longest_rebuild_seconds: 5400,
            ..young
        };
        let told = "10 disks for 2.00 years in all, 3 lost, 2 of them rebuilt, in 1.00 h on average and 1.50 h at most";
        assert_eq!(seen(&old), told);
        let measured = Seen { measured_bytes: 9 << 29, rebuilt_bytes_per_second: Some(447_392), ..old };
        assert_eq!(seen(&measured), format!("{told}; 4.5 GiB of lost disks at 436.9 KiB a second"));
    }
}
