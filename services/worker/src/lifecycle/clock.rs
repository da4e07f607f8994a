//! Days as lifecycle rules count them.

use std::time::Duration;

use s3_wire::lifecycle::midnight_after;
use types::Timestamp;

/// The time of a pass, and how long a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    day_ms: i64,
    now: Timestamp,
}

impl Days {
    pub(super) fn new(day: Duration, now_ms: i64) -> Self {
        let day_ms = i64::try_from(day.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { day_ms, now: Timestamp(now_ms) }
    }

    /// Whether so many days have passed since then.
    pub(super) fn have_passed(self, days: u32, since: Timestamp) -> bool {
        self.passed_at(days, since).is_some()
    }

    /// When so many days had passed since then, if they have.
    pub(super) fn passed_at(self, days: u32, since: Timestamp) -> Option<Timestamp> {
        let end = midnight_after(since, days, self.day_ms);
        self.has_come(end).then_some(end)
    }

    /// Whether a date has come.
    pub(super) fn has_come(self, date: Timestamp) -> bool {
        self.now.0 >= date.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use types::Timestamp;

    use super::Days;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn days_have_passed_at_midnight() {
        let at = |now| Days::new(Duration::from_secs(24 * 60 * 60), now);
        let noon = Timestamp(10 * DAY + DAY / 2);
        assert!(!at(12 * DAY - 1).have_passed(1, noon));
        assert_eq!(at(13 * DAY).passed_at(1, noon), Some(Timestamp(12 * DAY)));
        assert!(at(11 * DAY).have_passed(1, Timestamp(10 * DAY)));
        assert!(!at(i64::MAX - DAY).have_passed(u32::MAX, Timestamp(i64::MAX - DAY)));
        assert!(at(5).has_come(Timestamp(5)) && !at(4).has_come(Timestamp(5)));
    }
}
