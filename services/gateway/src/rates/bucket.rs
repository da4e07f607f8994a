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

/// That something was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// How long it takes until there is so much.
    pub(super) wait: Duration,
    /// When it has come back, with all that was taken before it.
    pub(super) until: Duration,
}

/// What was taken of a rate. Times are counted from any one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes so much, of which there may not be enough yet. What is taken while others wait comes after what they took.
    pub(super) fn take(&mut self, rate: Rate, amount: u64, now: Duration) -> Taken {
        self.full_at = self.full_at.max(now).saturating_add(rate.time_of(amount));
        let wait = self.full_at.saturating_sub(rate.burst).saturating_sub(now);
        Taken { wait, until: self.full_at }
    }

    /// Takes so much, or as much of it as there is now: whoever takes next waits no longer for it than a burst takes to come back.
    pub(super) fn take_what_is_there(&mut self, rate: Rate, amount: u64, now: Duration) {
        let taken = self.full_at.max(now).saturating_add(rate.time_of(amount));
        self.full_at = self.full_at.max(taken.min(now.saturating_add(rate.burst)));
    }

    /// Takes so much if there is enough now; otherwise nothing, and answers how long it takes until there is.
    pub(super) fn try_take(&mut self, rate: Rate, amount: u64, now: Duration) -> Result<(), Duration> {
        let mut taken = *self;
        let wait = taken.take(rate, amount, now).wait;
        if !wait.is_zero() {
            return Err(wait);
        }
        *self = taken;
        Ok(())
    }

    /// Puts back so much of what was taken and not used, which would have come back at `until`. What has come back of it meanwhile
    /// is there already.
    pub(super) fn give_back(&mut self, rate: Rate, amount: u64, until: Duration, now: Duration) {
        let left = rate.time_of(amount).min(until.saturating_sub(now));
        self.full_at = self.full_at.saturating_sub(left);
    }

    /// From now on it is of another rate, which `old` was before. As much as was taken has to come back by it, but nobody waits for
    /// more than a burst of it: that more could be used at once was so by a rate that is none any more.
    pub(super) fn change(&mut self, old: Rate, new: Rate, now: Duration) {
        let owed = self.full_at.saturating_sub(now);
        let nanos = owed.as_nanos() * u128::from(old.per_second) / u128::from(new.per_second.max(1));
        let owed = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.full_at = now.saturating_add(owed.min(new.burst));
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
                turns.push((now + bucket.take(rate, amount, now).wait, amount));
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

        /// What is given back at once is as if it had not been taken.
        #[test]
        fn what_is_given_back_was_not_taken(rate in rate(), shares in proptest::collection::vec(0.0..2.0_f64, 1..20)) {
            let mut bucket = Bucket::default();
            bucket.take(rate, amount(rate, 0.5), SECOND);
            let before = bucket;
            let taken: Vec<_> =
                shares.iter().map(|share| bucket.take(rate, amount(rate, *share), SECOND).until).collect();
            for (share, until) in shares.iter().zip(taken) {
                bucket.give_back(rate, amount(rate, *share), until, SECOND);
            }
            prop_assert_eq!(bucket.full_at, before.full_at);
            prop_assert!(bucket.is_full(SECOND * 2));
        }

        /// Whatever is given back and when, there is never more than if it had never been taken.
        #[test]
        fn what_is_given_back_late_is_there_already(rate in rate(), attempts in attempts()) {
            let (mut bucket, mut without, mut now) = (Bucket::default(), Bucket::default(), SECOND);
            let mut unused = Vec::new();
            for (number, (pause, share)) in attempts.into_iter().enumerate() {
                now += Duration::from_millis(pause);
                let amount = amount(rate, share);
                match number % 4 {
                    0 => unused.push((amount, bucket.take(rate, amount, now).until)),
                    2 => unused.drain(..).for_each(|(amount, until)| bucket.give_back(rate, amount, until, now)),
                    _ => {
                        bucket.take(rate, amount, now);
                        without.take(rate, amount, now);
                    }
                }
                prop_assert!(bucket.full_at.max(now) >= without.full_at.max(now));
            }
        }
    }

    #[test]
    fn what_has_come_back_is_not_given_back_again() {
        let rate = Rate { per_second: 10, burst: SECOND };
        let mut bucket = Bucket::default();
        let taken = bucket.take(rate, 10, SECOND);
        // All of it has come back after a second, and is used by somebody else.
        let now = SECOND * 2;
        assert_eq!(bucket.try_take(rate, 10, now), Ok(()));
        bucket.give_back(rate, 10, taken.until, now);
        assert_eq!(bucket.try_take(rate, 1, now), Err(SECOND / 10));
        // Half of it has.
        let mut bucket = Bucket::default();
        let taken = bucket.take(rate, 10, SECOND);
        let now = SECOND * 3 / 2;
        bucket.give_back(rate, 10, taken.until, now);
        assert_eq!(bucket.try_take(rate, 10, now), Ok(()));
        assert_eq!(bucket.try_take(rate, 1, now), Err(SECOND / 10));
    }

    #[test]
    fn nobody_waits_for_what_was_taken_of_another_rate() {
        let long = Rate { per_second: 1, burst: 3600 * SECOND };
        let short = Rate { per_second: 2, burst: 2 * SECOND };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.try_take(long, 3600, SECOND), Ok(()));
        let before = bucket;
        bucket.change(long, short, SECOND);
        assert_eq!(bucket.try_take(short, 1, SECOND), Err(SECOND / 2));
        // What was taken comes back by the new rate.
        let mut bucket = before;
        bucket.change(long, Rate { per_second: 3600, ..long }, SECOND);
        assert!(!bucket.is_full(SECOND * 2 - Duration::from_nanos(1)) && bucket.is_full(SECOND * 2));
        let mut bucket = Bucket::default();
        bucket.change(long, short, SECOND);
        assert!(bucket.is_full(SECOND), "nothing was taken");
    }

    /// What is taken of what there is delays nobody who waits already, and never by more than a burst.
    #[test]
    fn what_is_there_can_be_taken_without_a_debt() {
        let rate = Rate { per_second: 10, burst: SECOND };
        let mut bucket = Bucket::default();
        bucket.take_what_is_there(rate, 5, SECOND);
        assert_eq!(bucket.take(rate, 5, SECOND).wait, Duration::ZERO);
        let mut bucket = Bucket::default();
        bucket.take_what_is_there(rate, 1000, SECOND);
        assert_eq!(bucket.take(rate, 1, SECOND).wait, SECOND / 10);
        assert_eq!(bucket.take(rate, 9, SECOND).wait, SECOND);
        bucket.take_what_is_there(rate, 1000, SECOND);
        assert_eq!(bucket.take(rate, 1, SECOND).wait, SECOND * 11 / 10);
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
