//! How fast something gets done, and how long the rest will take.

use std::time::Duration;

use env::Instant;

/// What is left of a work, watched from some moment on. What is left may grow while it is watched.
#[derive(Debug)]
pub(crate) struct Pace {
    begun: Instant,
    most: u64,
    left: u64,
}

impl Pace {
    /// Begins to watch.
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, most: 0, left: 0 }
    }

    /// Takes a look in.
    pub(crate) fn look(&mut self, left: u64) {
        self.most = self.most.max(left);
        self.left = left;
    }

    /// The time that is left at the mean pace so far; `None` while nothing was seen to get done.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let done = self.most - self.left;
        let elapsed = now.since(self.begun).as_secs();
        (done > 0).then(|| Duration::from_secs(elapsed.saturating_mul(self.left) / done))
    }

    /// Such as `12 of 40 shards, about 3 min left`.
    pub(crate) fn text(&self, what: &str, now: Instant) -> String {
        let time = match self.time_left(now) {
            Some(time) if self.left > 0 => format!(", about {} left", in_words(time)),
            _ => String::new(),
        };
        format!("{} of {} {what}{time}", self.most - self.left, self.most)
    }
}

/// In the largest unit that leaves more than one.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0..=99 => format!("{} s", time.as_secs().max(1)),
        100..=5_999 => format!("{} min", time.as_secs().div_ceil(60)),
        6_000..=172_799 => format!("{} h", time.as_secs().div_ceil(3_600)),
        _ => format!("{} days", time.as_secs().div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Env;

    use super::Pace;

    #[test]
    fn time_left_follows_the_pace_so_far() {
        let begun = Env::real().now();
        let mut pace = Pace::new(begun);
        pace.look(100);
        assert_eq!(pace.text("shards", begun), "0 of 100 shards");
        pace.look(75);
        let after = |seconds| begun.after(Duration::from_secs(seconds));
        assert_eq!(pace.text("shards", after(20)), "25 of 100 shards, about 60 s left");
        assert_eq!(pace.text("shards", after(1_900)), "25 of 100 shards, about 95 min left");
        // More came.
        pace.look(150);
        assert_eq!(pace.text("shards", after(20)), "0 of 150 shards");
        pace.look(0);
        assert_eq!(pace.text("shards", after(30)), "150 of 150 shards");
    }
}
