//! `ashlar admin durability`: the nines of each storage class.

use std::time::Duration;

use clap::Args;
use env::Env;
use metadata_api::{ClusterMap, DiskState, StorageClass};
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
    /// The share of disks that fail in a year.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    annual_failure_rate: f64,
    /// Hours from a disk's failure until its shards are rebuilt; by default the fullest disk's bytes over the rate.
    #[arg(long, value_name = "HOURS")]
    repair_hours: Option<f64>,
    /// Bytes a second that repair rebuilds, in MiB.
    #[arg(long, default_value_t = 100, value_name = "MIB")]
    repair_mib_per_second: u64,
}

pub(crate) async fn run(env: &Env, args: &Durability) -> Result<(), Exit> {
    let map = args.connect.reach(env).await?.map().await?;
    let repair = match args.repair_hours {
        Some(hours) if hours > 0.0 && hours.is_finite() => Duration::from_secs_f64(hours * 3600.0),
        Some(_) => return Err(Exit::new(Exit::FAILED, "--repair-hours must be above 0".to_owned())),
        None => repair_time(&map, args.repair_mib_per_second),
    };
    let model = FailureModel::new(args.annual_failure_rate, repair)
        .map_err(|error| Exit::because(Exit::FAILED, &error))?;
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
        "{}\nAssumed: {} % of the disks fail in a year, independently; a lost disk is rebuilt in {:.1} h (the fullest \
         holds {}).\nLeft out: failures with a common cause, errors of software, errors of people.\n",
        table.text(),
        args.annual_failure_rate * 100.0,
        repair.as_secs_f64() / 3600.0,
        bytes(fullest),
    ));
    Ok(())
}

/// Bytes in use on the fullest disk.
fn fullest_bytes(map: &ClusterMap) -> u64 {
    let disks = map.disks.iter().filter(|disk| disk.state != DiskState::Gone);
    disks.map(|disk| disk.capacity_bytes.saturating_sub(disk.available_bytes)).max().unwrap_or(0)
}

/// The time to notice a loss, and to rebuild the fullest disk.
fn repair_time(map: &ClusterMap, mib_per_second: u64) -> Duration {
    const NOTICE: Duration = Duration::from_secs(60);
    NOTICE + Duration::from_secs(fullest_bytes(map) / (mib_per_second.max(1) << 20))
}
