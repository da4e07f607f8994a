//! A rate as a token bucket, without a clock of its own.
//!
//! It is kept as one moment: that at which everything that was taken has come back, which is how the generic cell rate algorithm
//! has it (ITU-T I.371, annex A). What is taken moves that moment on by the time that it takes to come back.
//!
//! Invariant: in any time what is taken without waiting is at most a burst and what comes back in that time.

use std::time::Duration;

/// So much a second, and for how many seconds of not using it that can be used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Not 0.
    pub(super) per_second: u64,
    pub(super) burst: Duration,
}

impl Rate {
    /// How long so much takes to come back.
    fn time_of(self, amount: u64) -> Duration {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What was taken of a rate. Times are counted from any one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes so much, of which there may not be enough yet: answers how long it takes until there is. What is taken while others
    /// wait comes after what they took.
    pub(super) fn take(&mut self, rate: Rate, amount: u64, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now).saturating_add(rate.time_of(amount));
        self.full_at.saturating_sub(rate.burst).saturating_sub(now)
    }

    /// Takes so much if there is enough now; otherwise nothing, and answers how long it takes until there is.
    pub(super) fn try_take(&mut self, rate: Rate, amount: u64, now: Duration) -> Result<(), Duration> {
        let mut taken = *self;
        let wait = taken.take(rate, amount, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        *self = taken;
        Ok(())
    }

    /// Puts back what was taken and not used.
    pub(super) fn give_back(&mut self, rate: Rate, amount: u64) {
        self.full_at = self.full_at.saturating_sub(rate.time_of(amount));
    }

    /// Whether everything has come back.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Bucket, Rate};

    const SECOND: Duration = Duration::from_secs(1);

    fn rate() -> impl Strategy<Value = Rate> {
        (1_u64..1 << 40, 1_u64..3600)
            .prop_map(|(per_second, burst)| Rate { per_second, burst: Duration::from_secs(burst) })
    }

    /// Times between attempts in milliseconds, and amounts as shares of what a second brings.
    fn attempts() -> impl Strategy<Value = Vec<(u64, f64)>> {
        proptest::collection::vec((0_u64..3000, 0.0..2.0_f64), 1..200)
    }

    fn amount(rate: Rate, share: f64) -> u64 {
        (rate.per_second as f64 * share) as u64
    }

    /// How much a bucket of a rate brings in a time, with a burst, and what rounding may add.
    fn most(rate: Rate, time: Duration, takes: usize) -> f64 {
        rate.per_second as f64 * (time + rate.burst).as_secs_f64() * (1.0 + 1e-9)
            + takes as f64 * (1.0 + rate.per_second as f64 / 1e9)
    }

    proptest! {
        /// Whatever is tried and when, nothing passes beyond a burst and the rate; over every span of the attempts, not just from
        /// the first on.
        #[test]
        fn no_more_passes_than_the_rate(rate in rate(), attempts in attempts()) {
            let (mut bucket, mut now, mut passed) = (Bucket::default(), SECOND, Vec::new());
            for (pause, share) in attempts {
                now += Duration::from_millis(pause);
                let amount = amount(rate, share);
                if bucket.try_take(rate, amount, now).is_ok() {
                    passed.push((now, amount));
                }
            }
            for from in 0..passed.len() {
                let mut sum = 0;
                for (at, amount) in &passed[from..] {
                    sum += amount;
                    prop_assert!(sum as f64 <= most(rate, *at - passed[from].0, passed.len()), "{sum}");
                }
            }
        }

        /// Whoever waits as long as is said gets through, and no sooner; so the rate is used up by whoever asks for it.
        #[test]
        fn what_is_refused_passes_when_it_was_said(rate in rate(), share in 0.01..1.0_f64) {
            let amount = amount(rate, share).max(1);
            let (mut bucket, mut now, start, mut sum) = (Bucket::default(), SECOND, SECOND, 0);
            for _ in 0..100 {
                if let Err(wait) = bucket.try_take(rate, amount, now) {
                    let before = bucket;
                    let early = now + wait - Duration::from_nanos(1).min(wait);
                    prop_assert!(bucket.try_take(rate, amount, early).is_err() || early == now + wait);
                    bucket = before;
                    now += wait;
                    prop_assert!(bucket.try_take(rate, amount, now).is_ok());
                }
                sum += amount;
            }
            let brought = rate.per_second as f64 * (now - start).as_secs_f64();
            prop_assert!(sum as f64 >= brought - 1.0, "{sum} of {brought}");
        }

        /// Those who wait have their turns in the order in which they took, and together no more than the rate.
        #[test]
        fn turns_come_in_order_and_at_the_rate(rate in rate(), attempts in attempts()) {
            let (mut bucket, mut now, mut turns) = (Bucket::default(), SECOND, Vec::new());
            for (pause, share) in attempts {
                now += Duration::from_millis(pause);
                let amount = amount(rate, share);
                turns.push((now + bucket.take(rate, amount, now), amount));
            }
            prop_assert!(turns.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            // What is taken at once beyond a burst waits for all of it, so the last turn ends what was begun before it.
            for from in 0..turns.len() {
                let sum: u64 = turns[from..].iter().map(|(_, amount)| amount).sum();
                let time = turns[turns.len() - 1].0 - turns[from].0;
                let first = turns[from].1;
                prop_assert!((sum - first) as f64 <= most(rate, time, turns.len()), "{sum}");
            }
        }

        /// What is given back is as if it had not been taken.
        #[test]
        fn what_is_given_back_was_not_taken(rate in rate(), shares in proptest::collection::vec(0.0..2.0_f64, 1..20)) {
            let mut bucket = Bucket::default();
            bucket.take(rate, amount(rate, 0.5), SECOND);
            let before = bucket;
            for share in &shares {
                bucket.take(rate, amount(rate, *share), SECOND);
            }
            for share in &shares {
                bucket.give_back(rate, amount(rate, *share));
            }
            prop_assert_eq!(bucket.full_at, before.full_at);
            prop_assert!(bucket.is_full(SECOND * 2));
        }
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let rate = Rate { per_second: 1, burst: SECOND };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.try_take(rate, 1, SECOND), Ok(()));
        assert_eq!(bucket.try_take(rate, 1, SECOND), Err(SECOND));
        assert_eq!(bucket.try_take(rate, 1, SECOND * 3 / 2), Err(SECOND / 2));
        assert_eq!(bucket.try_take(rate, 1, SECOND * 2), Ok(()));
        assert!(!bucket.is_full(SECOND * 2) && bucket.is_full(SECOND * 3));
        assert_eq!(
            bucket.try_take(rate, 2, SECOND * 100),
            Err(SECOND),
            "more than a burst never passes at once"
        );
    }
}
