//! Days as lifecycle rules count them.

use std::time::Duration;

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

    /// Whether so many days have passed since then. As on S3 they end at the next midnight (UTC).
    pub(super) fn have_passed(self, days: u32, since: Timestamp) -> bool {
        let end = since.0.saturating_add(self.day_ms.saturating_mul(days.into()));
        let midnights = end.div_euclid(self.day_ms) + i64::from(end.rem_euclid(self.day_ms) > 0);
        self.now.0 >= midnights.saturating_mul(self.day_ms)
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
    fn days_end_at_midnight() {
        let at = |now| Days::new(Duration::from_secs(24 * 60 * 60), now);
        let noon = Timestamp(10 * DAY + DAY / 2);
        assert!(!at(11 * DAY + DAY / 2).have_passed(1, noon));
        assert!(!at(12 * DAY - 1).have_passed(1, noon));
        assert!(at(12 * DAY).have_passed(1, noon));
        assert!(at(11 * DAY).have_passed(1, Timestamp(10 * DAY)));
        assert!(!at(11 * DAY - 1).have_passed(1, Timestamp(10 * DAY)));
        assert!(!at(i64::MAX - DAY).have_passed(u32::MAX, Timestamp(i64::MAX - DAY)));
        assert!(at(5).has_come(Timestamp(5)) && !at(4).has_come(Timestamp(5)));
    }
}
