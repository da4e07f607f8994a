//! When a list is due.

use std::time::Duration;

use s3_wire::inventory::Frequency;
use types::Timestamp;

/// Days between 1970-01-01, a Thursday, and the first Sunday.
const FIRST_SUNDAY: i64 = 3;

/// Whether a list is due that was last begun at `listed`: once in each day, or in each week, which begins with Sunday (UTC). One
/// that never was is due at once, and so is one that was begun in what is the future now: a clock was wrong. Source: User Guide,
/// "Configuring Amazon S3 Inventory": "Weekly reports are generated every Sunday (UTC) after the initial report".
pub(super) fn is_due(frequency: Frequency, day: Duration, now: Timestamp, listed: Option<Timestamp>) -> bool {
    listed.is_none_or(|listed| begin(frequency, day, listed) != begin(frequency, day, now))
}

/// When the day or week began that a time is in.
pub(super) fn begin(frequency: Frequency, day: Duration, time: Timestamp) -> Timestamp {
    let day_ms = i64::try_from(day.as_millis()).unwrap_or(i64::MAX).max(1);
    let days = time.0.div_euclid(day_ms);
    let first = match frequency {
        Frequency::Daily => days,
        Frequency::Weekly => days - (days - FIRST_SUNDAY).rem_euclid(7),
    };
    Timestamp(first.saturating_mul(day_ms))
}
