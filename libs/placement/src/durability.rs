//! How likely data is lost by disks that fail independently of each other: plain arithmetic, no measurement.
//!
//! What the numbers leave out, and what dominates in practice: failures with one cause (a rack's power, a batch of
//! disks, heat, an upgrade), errors of software and firmware, people who delete or replace the wrong thing, latent
//! sector errors that no scrub has found yet, and the loss of the metadata, without which shards are bytes without
//! names. The rate is taken as constant, though disks fail more often when new and when old, and repair as exponentially
//! distributed around its mean, all lost shards of a group at the same time. The figures compare codings and repair
//! times; they are no promise.

use std::time::Duration;

use types::Coding;

/// Hours of a year of 365.25 days.
const YEAR_HOURS: f64 = 8766.0;

/// How often disks fail, and how long it takes until a failed one's shards are elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureModel {
    rate_per_hour: f64,
    repair_hours: f64,
}

/// The numbers are not a failure model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FailureModelError {
    /// Not above 0 and at most 1.
    #[error("an annual failure rate is above 0 and at most 1")]
    AnnualFailureRate,
    /// Zero.
    #[error("a repair takes time")]
    RepairTime,
}

/// The odds of a class of groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Durability {
    /// Nines per year of one group: 11 when a group loses data with a chance of 10^-11 a year.
    pub group_nines: f64,
    /// Nines per year of all groups together: of no group losing data.
    pub cluster_nines: f64,
    /// The chance that a chunk is lost before its missing shards are repaired when it was acknowledged with no more
    /// than the write quorum stable.
    pub fresh_loss: f64,
}

/// Bytes of a chunk, at most.
const CHUNK_BYTES: u64 = 64 << 20;

/// What is kept in groups of a class, which are taken for equally full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Bytes of the objects, as clients count them.
    pub bytes: u64,
    /// Objects; every version is one.
    pub objects: u64,
    /// Groups that they are spread over.
    pub groups: u32,
}

/// What of it is lost in a year, on the mean of many such years.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpectedLoss {
    /// Bytes that cannot be read any more.
    pub bytes: f64,
    /// Objects that lost at least one of their chunks.
    pub objects: f64,
    /// Nines per year of an object of the mean size.
    pub object_nines: f64,
}

impl FailureModel {
    /// Checks the numbers: an annual failure rate of 0.02 is 2 % of the disks a year; `repair` is the time from a
    /// disk's failure until the last of its shards has been rebuilt.
    pub fn new(annual_failure_rate: f64, repair: Duration) -> Result<Self, FailureModelError> {
        if !(annual_failure_rate > 0.0 && annual_failure_rate <= 1.0) {
            return Err(FailureModelError::AnnualFailureRate);
        }
        if repair.is_zero() {
            return Err(FailureModelError::RepairTime);
        }
        let repair_hours = repair.as_secs_f64() / 3600.0;
        Ok(Self { rate_per_hour: annual_failure_rate / YEAR_HOURS, repair_hours })
    }

    /// The odds of `groups` groups of a coding.
    ///
    /// Groups on the same set of disks lose data together, so that a number of groups far above the number of sets
    /// makes the whole look worse than it is. Small objects, kept as m + 1 copies, are no worse off than their group.
    pub fn durability(&self, coding: Coding, groups: u32) -> Durability {
        let group = self.annual_loss(coding);
        let any = if groups == 0 { 0.0 } else { -(f64::from(groups) * (-group).ln_1p()).exp_m1() };
        Durability {
            group_nines: nines(group),
            cluster_nines: nines(any),
            fresh_loss: self.loss_before_repair(coding, coding.write_quorum()),
        }
    }

    /// What of `kept` is lost in a year.
    ///
    /// A group that loses data is taken to lose all of its bytes: an upper bound, as what was rebuilt before its last disk went
    /// is there still. A byte is in one group, so that its odds are those of a group; an object is in as many as it has chunks,
    /// and lost with any of them.
    pub fn expected_loss(&self, coding: Coding, kept: Kept) -> ExpectedLoss {
        let group = self.annual_loss(coding);
        let mean = kept.bytes.checked_div(kept.objects).unwrap_or(0);
        let chunks = mean.div_ceil(CHUNK_BYTES).clamp(1, u64::from(kept.groups.max(1)));
        let object = -(large(chunks) * (-group).ln_1p()).exp_m1();
        ExpectedLoss {
            bytes: large(kept.bytes) * group,
            objects: large(kept.objects) * object,
            object_nines: nines(object),
        }
    }

    /// The chance that a group loses data within a year.
    ///
    /// A Markov chain over the number of lost shards: with i lost, the next one goes at k + m - i times the rate of
    /// one disk, and one comes back at i times the rate of one repair, since repairs run side by side. Data is lost
    /// with m + 1.
    pub fn annual_loss(&self, coding: Coding) -> f64 {
        // The mean time to come from i lost shards to i + 1 for the first time, added up. It can be had from the mean
        // time from i - 1 to i: a repair on the way costs that much again.
        let (mut step, mut total) = (0.0, 0.0);
        for lost in 0..=coding.parity() {
            let fail = as_float(coding.total() - lost) * self.rate_per_hour;
            let repair = as_float(lost) / self.repair_hours;
            step = 1.0 / fail + repair / fail * step;
            total += step;
        }
        -(-YEAR_HOURS / total).exp_m1()
    }

    /// The chance that a chunk of which `stable` shards are on disk loses so many of them within one repair time that
    /// fewer than k are left: what an acknowledgement with that many shards is worth until the rest is made good.
    pub fn loss_before_repair(&self, coding: Coding, stable: usize) -> f64 {
        if stable < coding.data() {
            return 1.0;
        }
        let one = -(-self.rate_per_hour * self.repair_hours).exp_m1();
        at_least(stable - coding.data() + 1, stable, one)
    }

    /// The chance that a group loses data within a year by the coarser method that some publish: the chance that more
    /// than m of its disks fail within one repair time, once for each such window of the year.
    pub fn annual_loss_by_windows(&self, coding: Coding) -> f64 {
        let window = self.loss_before_repair(coding, coding.total());
        -(YEAR_HOURS / self.repair_hours * (-window).ln_1p()).exp_m1()
    }
}

/// Nines of a chance of loss: 5 for 0.00001.
pub fn nines(loss: f64) -> f64 {
    -loss.log10()
}

/// The chance that at least `least` of `count` independent events happen, each with the chance `one`.
fn at_least(least: usize, count: usize, one: f64) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for happen in 0..=count {
        if happen > 0 {
            ways *= as_float(count - happen + 1) / as_float(happen);
        }
        if happen >= least {
            sum += ways * power(one, happen) * power(1.0 - one, count - happen);
        }
    }
    // Rounding may have carried it past certainty.
    sum.min(1.0)
}

fn power(base: f64, exponent: usize) -> f64 {
    std::iter::repeat_n(base, exponent).product()
}

#[expect(clippy::cast_precision_loss, reason = "fifteen digits of a count are enough")]
fn large(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of shards")]
fn as_float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use types::Coding;

    use super::{ExpectedLoss, FailureModel, FailureModelError, Kept, nines};

    fn coding(text: &str) -> Coding {
        text.parse().unwrap()
    }

    fn hours(hours: f64) -> Duration {
        Duration::from_secs_f64(hours * 3600.0)
    }

    fn model(annual_failure_rate: f64, repair_hours: f64) -> FailureModel {
        FailureModel::new(annual_failure_rate, hours(repair_hours)).unwrap()
    }

    #[test]
    fn nines_of_a_group_by_coding_and_repair_time() {
        let columns = [(0.02, 1.0), (0.02, 6.0), (0.02, 24.0), (0.02, 156.0), (0.10, 24.0)];
        for (text, expected) in [
            ("1+2", [12.5, 10.9, 9.7, 8.1, 7.6]),
            ("2+1", [6.6, 5.8, 5.2, 4.4, 3.8]),
            ("2+2", [11.9, 10.3, 9.1, 7.5, 7.0]),
            ("4+2", [11.2, 9.6, 8.4, 6.8, 6.3]),
            ("4+3", [16.5, 14.1, 12.3, 9.9, 9.5]),
            ("6+3", [15.9, 13.6, 11.8, 9.3, 9.0]),
            ("8+3", [15.5, 13.2, 11.4, 8.9, 8.6]),
            ("8+4", [20.7, 17.6, 15.1, 11.9, 11.7]),
            ("12+4", [19.9, 16.8, 14.4, 11.2, 10.9]),
            ("17+3", [14.3, 12.0, 10.2, 7.8, 7.4]),
        ] {
            for ((rate, repair), expected) in columns.into_iter().zip(expected) {
                let found = nines(model(rate, repair).annual_loss(coding(text)));
                assert!(
                    (found - expected).abs() < 0.1,
                    "{text} at {rate}, {repair} h: {found}, not {expected}"
                );
            }
        }
    }

    /// Backblaze, "Cloud Storage Durability", 2018: eleven nines at 17+3, a failure rate of 0.41 %, 6.5 days.
    #[test]
    fn a_published_figure_by_the_same_method() {
        let found = nines(model(0.0041, 156.0).annual_loss_by_windows(coding("17+3")));
        assert!((found - 11.1).abs() < 0.1, "{found}");
    }

    #[test]
    fn the_chance_to_lose_what_was_just_acknowledged() {
        let columns = [1.0 / 60.0, 1.0, 24.0];
        for (text, stable, expected) in [
            ("4+2", 4, [1.5e-7, 9.1e-6, 2.2e-4]),
            ("4+2", 5, [1.4e-14, 5.2e-11, 3.0e-8]),
            ("4+2", 6, [1.1e-21, 2.4e-16, 3.3e-12]),
            ("8+4", 8, [3.0e-7, 1.8e-5, 4.4e-4]),
            ("8+4", 10, [6.6e-21, 1.4e-15, 2.0e-11]),
        ] {
            for (repair, expected) in columns.into_iter().zip(expected) {
                let found = model(0.02, repair).loss_before_repair(coding(text), stable);
                assert!(
                    (found / expected - 1.0).abs() < 0.04,
                    "{text}, {stable} stable, {repair} h: {found:e}"
                );
            }
        }
        assert!((model(0.02, 1.0).loss_before_repair(coding("4+2"), 3) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_cluster_is_as_good_as_all_its_groups() {
        let model = model(0.02, 24.0);
        let one = model.durability(coding("8+4"), 1);
        assert!((one.cluster_nines - one.group_nines).abs() < 1e-9);
        assert!((one.group_nines - 15.1).abs() < 0.1);
        assert!((one.fresh_loss / 2.0e-11 - 1.0).abs() < 0.04);
        let many = model.durability(coding("8+4"), 1000);
        assert!((many.group_nines - many.cluster_nines - 3.0).abs() < 1e-6);
        assert!(model.durability(coding("8+4"), 0).cluster_nines.is_infinite());
        // One copy on a disk: its own failure rate; a hundred such hardly last a year.
        let single = model.durability(Coding::SINGLE, 100);
        assert!((single.group_nines - nines(0.0198)).abs() < 0.001);
        assert!((single.cluster_nines - nines(1.0 - 0.9802_f64.powi(100))).abs() < 0.001);
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 1e-4
    }

    /// By hand, for two copies, 2 % a year, a day of repair: a disk fails once in 8766 h / 0.02 = 438,300 h. It takes
    /// 438,300 / 2 = 219,150 h to the first loss, and from there 438,300 + 219,150 * 438,300 / 24 = 4,002,665,175 h to the second,
    /// together 4,002,884,325 h. A year has 8766 of them: a chance of 2.18992e-6. Of a TiB that is 2,407,841 bytes.
    #[test]
    fn bytes_and_objects_that_are_lost_as_reckoned_by_hand() {
        let kept = Kept { bytes: 1 << 40, objects: 1 << 20, groups: 64 };
        let ExpectedLoss { bytes, objects, object_nines } =
            model(0.02, 24.0).expected_loss(coding("1+1"), kept);
        assert!(is_near(bytes, 2_407_841.0), "{bytes}");
        assert!(is_near(objects, 2.18992e-6 * 1_048_576.0), "{objects}: of a mebibyte each has one chunk");
        assert!(is_near(object_nines, 5.65957), "{object_nines}");

        // One copy goes with its disk, 1 - e^-0.02 = 0.0198013 a year; two chunks are in two groups, 1 - e^-0.04 = 0.0392106.
        let kept = Kept { bytes: 1000 * (128 << 20), objects: 1000, groups: 100 };
        let lost = model(0.02, 24.0).expected_loss(Coding::SINGLE, kept);
        assert!(is_near(lost.bytes, 134_217_728_000.0 * 0.019_801_3), "{lost:?}");
        assert!(is_near(lost.objects, 39.2106) && is_near(lost.object_nines, 1.406_59), "{lost:?}");
        // An object is in no more groups than there are.
        let one_group = model(0.02, 24.0).expected_loss(Coding::SINGLE, Kept { groups: 1, ..kept });
        assert!(is_near(one_group.objects, 19.8013), "{one_group:?}");
        let nothing = model(0.02, 24.0).expected_loss(Coding::SINGLE, Kept::default());
        assert!(nothing.bytes.abs() + nothing.objects.abs() < f64::EPSILON, "{nothing:?}");
    }

    #[test]
    fn models_that_make_no_sense_are_refused() {
        for rate in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(FailureModel::new(rate, hours(1.0)), Err(FailureModelError::AnnualFailureRate));
        }
        assert_eq!(FailureModel::new(0.02, Duration::ZERO), Err(FailureModelError::RepairTime));
        // The extremes of what is accepted give a chance.
        for repair in [Duration::from_nanos(1), Duration::MAX] {
            for text in ["1+0", "32+32", "1+7", "32+0"] {
                let model = FailureModel::new(1.0, repair).unwrap();
                let losses = [model.annual_loss(coding(text)), model.annual_loss_by_windows(coding(text))];
                assert!(losses.iter().all(|loss| (0.0..=1.0).contains(loss)), "{text}: {losses:?}");
            }
        }
    }
}
