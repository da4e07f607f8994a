//! Object lock: versions that cannot be removed for a time. Source: Amazon S3 User Guide, "Locking objects with Object
//! Lock".

use crate::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How firmly a version is retained. The numbers are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetentionMode {
    /// Who may bypass it can shorten it or remove the version.
    Governance = 1,
    /// Nobody can, until the time has come.
    Compliance = 2,
}

impl RetentionMode {
    /// The mode of a persistent number.
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| *mode as u64 == number)
    }

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// The mode of S3's name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| mode.name() == name)
    }
}

/// Until when a version is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retention {
    /// How firmly.
    pub mode: RetentionMode,
    /// Until when.
    pub until: Timestamp,
}

impl Retention {
    /// A retention until a time, rounded up to the whole second that S3 shows, so that what is shown can be asked for again.
    pub fn new(mode: RetentionMode, until: Timestamp) -> Self {
        let seconds = until.0.div_euclid(1000) + i64::from(until.0.rem_euclid(1000) != 0);
        Self { mode, until: Timestamp(seconds.saturating_mul(1000)) }
    }

    /// Whether it can be replaced by another, or by none, at this time. It can be prolonged by anybody who may set one;
    /// one that is over can be replaced by any.
    pub fn yields_to(self, other: Option<Self>, now: Timestamp, bypasses_governance: bool) -> bool {
        let is_over = self.until <= now;
        let prolongs = other.is_some_and(|other| other.mode == self.mode && other.until >= self.until);
        is_over || prolongs || (self.mode == RetentionMode::Governance && bypasses_governance)
    }
}

/// What keeps a version from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VersionLock {
    /// Its retention.
    pub retention: Option<Retention>,
    /// Whether it is held until somebody lets it go; `None` when nobody ever said so.
    pub legal_hold: Option<bool>,
}

impl VersionLock {
    /// Whether the version cannot be removed at this time.
    pub fn protects(&self, now: Timestamp, bypasses_governance: bool) -> bool {
        let retained =
            self.retention.is_some_and(|retention| !retention.yields_to(None, now, bypasses_governance));
        retained || self.legal_hold == Some(true)
    }
}

/// The object lock of a bucket that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ObjectLockConfiguration {
    /// The retention of versions that are written without one.
    pub default_retention: Option<DefaultRetention>,
}

/// The retention of versions that are written without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefaultRetention {
    /// How firmly.
    pub mode: RetentionMode,
    /// For how long from when the version is made.
    pub period: RetentionPeriod,
}

impl DefaultRetention {
    /// The retention of a version that is made at this time.
    pub fn of(self, made: Timestamp) -> Retention {
        let until = made.0.saturating_add(i64::from(self.period.days()).saturating_mul(DAY_MS));
        Retention::new(self.mode, Timestamp(until))
    }
}

/// A time in S3's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetentionPeriod {
    /// Days, 1 to [`RetentionPeriod::DAYS_MAX`].
    Days(u32),
    /// Years of 365 days, 1 to [`RetentionPeriod::YEARS_MAX`].
    Years(u32),
}

impl RetentionPeriod {
    /// Most days.
    pub const DAYS_MAX: u32 = 36_500;
    /// Most years.
    pub const YEARS_MAX: u32 = 100;

    /// This many days, if that is allowed.
    pub fn from_days(days: u32) -> Option<Self> {
        (1..=Self::DAYS_MAX).contains(&days).then_some(Self::Days(days))
    }

    /// This many years, if that is allowed.
    pub fn from_years(years: u32) -> Option<Self> {
        (1..=Self::YEARS_MAX).contains(&years).then_some(Self::Years(years))
    }

    fn days(self) -> u32 {
        match self {
            Self::Days(days) => days,
            Self::Years(years) => years.saturating_mul(365),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn retention(mode: RetentionMode, until: i64) -> Retention {
        Retention { mode, until: Timestamp(until) }
    }

    #[test]
    fn a_retention_protects_until_its_time_has_come() {
        use RetentionMode::{Compliance, Governance};
        for (mode, until, bypasses, protects) in [
            (Governance, 1_001, false, true),
            (Governance, 1_001, true, false),
            (Governance, 1_000, false, false),
            (Compliance, 1_001, false, true),
            (Compliance, 1_001, true, true),
            (Compliance, 1_000, true, false),
        ] {
            let lock = VersionLock { retention: Some(retention(mode, until)), legal_hold: None };
            assert_eq!(lock.protects(NOW, bypasses), protects, "{mode:?} {until} {bypasses}");
        }
    }

    #[test]
    fn a_legal_hold_protects_whoever_asks() {
        for (legal_hold, protects) in [(None, false), (Some(false), false), (Some(true), true)] {
            let lock = VersionLock { retention: None, legal_hold };
            assert_eq!(lock.protects(NOW, true), protects, "{legal_hold:?}");
        }
    }

    #[test]
    fn a_retention_can_be_prolonged_and_only_governance_be_bypassed() {
        use RetentionMode::{Compliance, Governance};
        for (mode, other, plain, bypassed) in [
            (Governance, Some((Governance, 3_000)), true, true),
            (Governance, Some((Governance, 2_000)), true, true),
            (Governance, Some((Governance, 1_999)), false, true),
            (Governance, Some((Compliance, 3_000)), false, true),
            (Governance, None, false, true),
            (Compliance, Some((Compliance, 3_000)), true, true),
            (Compliance, Some((Compliance, 1_999)), false, false),
            (Compliance, Some((Governance, 3_000)), false, false),
            (Compliance, None, false, false),
        ] {
            let (current, other) =
                (retention(mode, 2_000), other.map(|(mode, until)| retention(mode, until)));
            assert_eq!(current.yields_to(other, NOW, false), plain, "{mode:?} {other:?}");
            assert_eq!(current.yields_to(other, NOW, true), bypassed, "{mode:?} {other:?} bypassed");
            assert!(current.yields_to(other, Timestamp(2_000), false), "{mode:?} {other:?} when it is over");
        }
    }

    #[test]
    fn a_default_retention_counts_from_the_making() {
        for (period, days) in [
            (RetentionPeriod::Days(1), 1),
            (RetentionPeriod::Years(1), 365),
            (RetentionPeriod::Years(100), 36_500),
        ] {
            let default = DefaultRetention { mode: RetentionMode::Compliance, period };
            let end = days * 86_400_000;
            for (made, until) in [(7, end + 1000), (0, end), (-999, end)] {
                assert_eq!(default.of(Timestamp(made)).until, Timestamp(until), "{period:?}");
            }
        }
    }
}
