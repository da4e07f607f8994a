//! The nines of each storage class.

use std::time::Duration;

use metadata_api::{ClusterMap, DiskHistory, DiskState};
use placement::durability::{ExpectedLoss, FailureModel, FailureModelError, Kept};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How likely data is lost, and how much of it, from the coding, the disks and the time a repair takes. Failures with a common cause, errors of
/// software and errors of people are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Durability {
    /// Each class.
    pub classes: Vec<ClassDurability>,
    /// What is stored.
    pub held: Held,
    /// What the cluster has seen of its disks.
    pub seen: Seen,
    /// The share of disks that fail in a year, by which it is reckoned.
    pub annual_failure_rate: f64,
    /// Seconds from a disk's failure until its shards are rebuilt, by which it is reckoned.
    pub repair_seconds: f64,
    /// Bytes in use on the fullest disk.
    pub fullest_disk_bytes: u64,
}

/// How likely data of a class is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassDurability {
    /// Its name.
    pub name: String,
    /// Data and parity shards.
    pub coding: String,
    /// Whether this is a coding that the class had before.
    pub former: bool,
    /// Its placement groups.
    pub groups: u32,
    /// The nines of a group: how likely it loses nothing in a year; none where nothing can be lost.
    pub group_nines: Option<f64>,
    /// Those of an object of the mean size.
    pub object_nines: Option<f64>,
    /// Those of all groups of the class.
    pub cluster_nines: Option<f64>,
    /// How likely an object is lost that was written by no more shards than a write waits for, before the others are there.
    pub fresh_loss: f64,
    /// Objects that are lost in a year, on the mean of many, if all were in this class.
    pub objects_lost_a_year: f64,
    /// Bytes that are.
    pub bytes_lost_a_year: f64,
}

/// What is stored, in all classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Objects and older versions.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What the cluster has seen of its disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// Disks that it ever had.
    pub disks: u64,
    /// How long it had them, added up.
    pub observed_seconds: u64,
    /// How often a disk was lost.
    pub losses: u64,
    /// Of these, how many are rebuilt.
    pub rebuilt: u64,
    /// How long those took, added up.
    pub rebuilding_seconds: u64,
    /// How long the longest took.
    pub longest_rebuild_seconds: u64,
    /// Bytes of lost disks of which it is known.
    pub measured_bytes: u64,
    /// How many of these were rebuilt in a second, if any were.
    pub rebuilt_bytes_per_second: Option<u64>,
}

/// What is reckoned with in the place of what the cluster has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Assumptions {
    /// The share of disks that fail in a year.
    pub annual_failure_rate: Option<f64>,
    /// Hours from a disk's failure until its shards are rebuilt.
    pub repair_hours: Option<f64>,
    /// Bytes a second that are rebuilt, in MiB, as long as no rebuild was seen; 100 if nothing is said.
    pub repair_mib_per_second: Option<u64>,
}

/// Below this, what is lost in a year cannot be told from nothing.
const RATE_MIN: f64 = 1e-9;

/// An assumption cannot be reckoned with.
#[derive(Debug, thiserror::Error)]
pub enum AssumptionError {
    /// No repair takes no time.
    #[error("the hours that a repair takes must be above 0")]
    RepairHours,
    /// No disk rebuilds nothing.
    #[error("the MiB a second that are rebuilt must be from 1 to 1048576")]
    RepairRate,
    /// Fewer failures than can be reckoned with.
    #[error("the share of disks that fail in a year must be at least {RATE_MIN}")]
    Rate,
    /// The model has no such rate.
    #[error(transparent)]
    Model(#[from] FailureModelError),
}

/// Reckons by a map, what the cluster has seen of its disks and what buckets hold.
pub fn durability(
    map: &ClusterMap,
    history: &DiskHistory,
    held: Held,
    assumed: Assumptions,
) -> Result<Durability, AssumptionError> {
    const REPAIR_MIB_PER_SECOND: u64 = 100;
    let mib_per_second = assumed.repair_mib_per_second.unwrap_or(REPAIR_MIB_PER_SECOND);
    if !(1..=1 << 20).contains(&mib_per_second) {
        return Err(AssumptionError::RepairRate);
    }
    let repair = match assumed.repair_hours {
        Some(hours) if hours > 0.0 => {
            Duration::try_from_secs_f64(hours * 3600.0).map_err(|_| AssumptionError::RepairHours)?
        }
        Some(_) => return Err(AssumptionError::RepairHours),
        None => match (rebuilt_per_second(history), mean_rebuild(history)) {
            (Some(rate), _) => repair_time(map, rate),
            (None, Some(mean)) => NOTICE + mean,
            (None, None) => repair_time(map, mib_per_second << 20),
        },
    };
    let rate = assumed.annual_failure_rate.unwrap_or_else(|| annual_failure_rate(history));
    if rate < RATE_MIN {
        return Err(AssumptionError::Rate);
    }
    let model = FailureModel::new(rate, repair)?;
    let classes = map.classes.iter().map(|class| {
        let coding = class.definition.coding;
        let groups = u32::try_from(class.groups.len()).unwrap_or(u32::MAX);
        let odds = model.durability(coding, groups);
        let kept = Kept { bytes: held.bytes, objects: held.versions, groups };
        let ExpectedLoss { bytes, objects, object_nines } = model.expected_loss(coding, kept);
        ClassDurability {
            name: class.definition.name.to_string(),
            coding: coding.to_string(),
            former: class.is_former,
            groups,
            group_nines: finite(odds.group_nines),
            object_nines: finite(object_nines),
            cluster_nines: finite(odds.cluster_nines),
            fresh_loss: odds.fresh_loss,
            objects_lost_a_year: objects,
            bytes_lost_a_year: bytes,
        }
    });
    Ok(Durability {
        classes: classes.collect(),
        held,
        seen: Seen::from(history),
        annual_failure_rate: rate,
        repair_seconds: repair.as_secs_f64(),
        fullest_disk_bytes: fullest_bytes(map),
    })
}

/// A number that JSON can have.
fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

impl From<&DiskHistory> for Seen {
    fn from(history: &DiskHistory) -> Self {
        Self {
            disks: history.disks,
            observed_seconds: history.observed.as_secs(),
            losses: history.losses,
            rebuilt: history.rebuilt,
            rebuilding_seconds: history.rebuilding.as_secs(),
            longest_rebuild_seconds: history.longest_rebuild.as_secs(),
            measured_bytes: history.measured_bytes,
            rebuilt_bytes_per_second: rebuilt_per_second(history),
        }
    }
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

    use super::{
        Assumptions, Held, annual_failure_rate, durability, mean_rebuild, rebuilt_per_second, repair_time,
    };

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
    fn the_rate_of_rebuilding_is_known_once_bytes_were_measured() {
        assert_eq!(mean_rebuild(&history(1, 0)), None);
        let (rebuilding, longest_rebuild) = (Duration::from_secs(7200), Duration::from_secs(5400));
        let old = DiskHistory { rebuilt: 2, rebuilding, longest_rebuild, ..history(2, 3) };
        assert_eq!(mean_rebuild(&old), Some(Duration::from_secs(3600)));

        // 3 GiB in 2 h and 1.5 GiB in one are 4,831,838,208 bytes in 10,800 s, 447,392 a second. The fullest disk, of 447,392,000,
        // takes 1000 s, and the minute in which the loss is noticed.
        assert_eq!(rebuilt_per_second(&old), None, "nobody knows how many bytes those were");
        let measured_rebuilding = Duration::from_secs(3 * 3600);
        let measured = DiskHistory { measured_bytes: 9 << 29, measured_rebuilding, ..old };
        assert_eq!(rebuilt_per_second(&measured), Some(447_392));
        let map = ClusterMap { disks: vec![disk(447_392_000)], ..ClusterMap::default() };
        assert_eq!(repair_time(&map, 447_392), Duration::from_secs(1060));
    }

    #[test]
    fn what_cannot_be_reckoned_with_is_refused() {
        let with =
            |assumed| durability(&ClusterMap::default(), &history(1, 0), Held::default(), assumed).is_ok();
        assert!(with(Assumptions::default()));
        for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(!with(Assumptions { repair_hours: Some(hours), ..Assumptions::default() }), "{hours}");
        }
        for rate in [-0.1, 1.5, f64::NAN] {
            assert!(
                !with(Assumptions { annual_failure_rate: Some(rate), ..Assumptions::default() }),
                "{rate}"
            );
        }
        for rate in [0, u64::MAX] {
            assert!(
                !with(Assumptions { repair_mib_per_second: Some(rate), ..Assumptions::default() }),
                "{rate}"
            );
        }
    }
}
