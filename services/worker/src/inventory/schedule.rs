//! When a list is due.

use std::time::Duration;

use s3_wire::inventory::Frequency;
use types::Timestamp;

/// Days between 1970-01-01, a Thursday, and the first Sunday.
const FIRST_SUNDAY: i64 = 3;

/// Whether a list is due that was last begun at `listed`: once in each day, or in each week, which begins with Sunday (UTC). A
/// daily one that never was is due at once, a weekly one on the next Sunday.
pub(super) fn is_due(frequency: Frequency, day: Duration, now: Timestamp, listed: Option<Timestamp>) -> bool {
    let day_ms = i64::try_from(day.as_millis()).unwrap_or(i64::MAX).max(1);
    let day = |time: Timestamp| time.0.div_euclid(day_ms);
    let week = |time: Timestamp| (day(time) - FIRST_SUNDAY).div_euclid(7);
    match (frequency, listed) {
        (Frequency::Daily, None) => true,
        (Frequency::Daily, Some(listed)) => day(listed) < day(now),
        (Frequency::Weekly, None) => (day(now) - FIRST_SUNDAY).rem_euclid(7) == 0,
        (Frequency::Weekly, Some(listed)) => week(listed) < week(now),
    }
}
