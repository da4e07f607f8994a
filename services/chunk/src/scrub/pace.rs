//! How long a scrub waits between two shards, so that a pass takes its period.

use std::time::Duration;

use env::Instant;

/// Pauses shorter than this are put together.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Holds a pass to its period: what reading takes is part of it, and what a slow stretch took too long the next ones make up for, by
/// pausing less. A disk that cannot be read within the period is read without pauses.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    /// Up to when time is accounted for.
    since: Instant,
    /// Time that the pass is ahead of its period.
    ahead: Duration,
    /// Time that it is behind, at most one period. One of the two is zero.
    behind: Duration,
}

impl Pace {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        Self { period, since: now, ahead: Duration::ZERO, behind: Duration::ZERO }
    }

    /// Leaves out the time until now: nothing could be read in it.
    pub(super) fn skip(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes in that a part of the disk was read since it was last told something, from 0 to 1.
    pub(super) fn read(&mut self, part: f32, now: Instant) {
        let (wanted, took) = (self.period.mul_f32(part), now.since(self.since));
        self.since = now;
        let (plus, minus) = (self.ahead + wanted, self.behind + took);
        self.ahead = plus.saturating_sub(minus);
        self.behind = minus.saturating_sub(plus).min(self.period);
    }

    /// The pause that is due, if it is worth one. It counts as made.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        (self.ahead >= PAUSE_MIN).then(|| self.rest())
    }

    /// The pause that is due, however short. It counts as made.
    pub(super) fn rest(&mut self) -> Duration {
        std::mem::take(&mut self.ahead)
    }

    /// Whether passes take longer than the period.
    pub(super) fn is_late(&self) -> bool {
        self.behind > self.period / 10
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;

    use super::Pace;

    const PERIOD: Duration = Duration::from_secs(1000);

    /// How long a pass takes over a disk of so many shards, each of which takes so long to read.
    fn pass(pace: &mut Pace, now: &mut Instant, takes: &[Duration]) -> Duration {
        let began = *now;
        for each in takes {
            *now = now.after(*each);
            pace.read(1.0 / takes.len() as f32, *now);
            if let Some(pause) = pace.pause() {
                *now = now.after(pause);
                pace.skip(*now);
            }
        }
        *now = now.after(pace.rest());
        pace.skip(*now);
        now.since(began)
    }

    fn is_near(took: Duration, wanted: Duration) -> bool {
        took.abs_diff(wanted) < wanted / 100
    }

    #[test]
    fn a_pass_takes_its_period_reading_included() {
        let start = Instant::from_start(Duration::ZERO);
        let (mut pace, mut now) = (Pace::new(PERIOD, start), start);
        for each in [1, 500, 4900] {
            let took = pass(&mut pace, &mut now, &[Duration::from_millis(each); 200]);
            assert!(is_near(took, PERIOD), "{each} ms each: {took:?}");
            assert!(!pace.is_late());
        }
    }

    #[test]
    fn a_slow_stretch_is_made_up_for() {
        let start = Instant::from_start(Duration::ZERO);
        let (mut pace, mut now) = (Pace::new(PERIOD, start), start);
        let mut takes = [Duration::from_millis(100); 200];
        takes[40..60].fill(Duration::from_secs(30));
        let took = pass(&mut pace, &mut now, &takes);
        assert!(is_near(took, PERIOD), "{took:?}");
        // One at the end takes from the next pass.
        takes[40..60].fill(Duration::from_millis(100));
        takes[199] = Duration::from_secs(400);
        let took =
            pass(&mut pace, &mut now, &takes) + pass(&mut pace, &mut now, &[Duration::from_millis(100); 200]);
        assert!(is_near(took, 2 * PERIOD), "{took:?}");
    }

    #[test]
    fn a_disk_that_takes_longer_is_read_without_pauses() {
        let start = Instant::from_start(Duration::ZERO);
        let (mut pace, mut now) = (Pace::new(PERIOD, start), start);
        for _ in 0..5 {
            let took = pass(&mut pace, &mut now, &[Duration::from_secs(6); 200]);
            assert!(is_near(took, Duration::from_secs(1200)), "{took:?}");
            assert!(pace.is_late());
        }
        // What is behind is bounded: after two passes that have time for it a pass is back in step.
        let quick = [Duration::from_millis(100); 200];
        pass(&mut pace, &mut now, &quick);
        pass(&mut pace, &mut now, &quick);
        assert!(is_near(pass(&mut pace, &mut now, &quick), PERIOD));
    }

    #[test]
    fn time_in_which_nothing_could_be_read_is_not_made_up_for() {
        let start = Instant::from_start(Duration::ZERO);
        let (mut pace, now) = (Pace::new(PERIOD, start), start.after(PERIOD));
        pace.skip(now);
        pace.read(0.5, now);
        assert_eq!(pace.rest(), PERIOD / 2);
    }
}
